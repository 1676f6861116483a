//! A lane: chunks wait in it for a worker, and the sources that they are from take turns.
//!
//! What it promises: chunks of one source come out in the order in which they went in; a chunk waits for no more than one of each other
//! source, however many of those wait. Who finds no place waits, and places are given in the order in which they were asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::blocking::block_on;
use super::queue::{Chunk, Closed, Sent};

/// How many chunks may wait; the byte budget usually ends the line earlier.
const PLACES: usize = 256;

/// The inputs' end. The lane is closed when it is dropped.
pub(super) struct Entrance(Arc<Shared>);

/// A worker's end.
pub struct Lane(Arc<Exit>);

/// What a worker finds when it looks into its lane.
pub enum Next {
    /// A chunk.
    Chunk(Sent),
    /// Nothing until the deadline.
    Nothing,
    /// All inputs are gone and the lane is empty.
    Closed,
}

/// Drops what waits when the last worker is gone.
struct Exit(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    /// Something has come, or nothing will any more.
    changed: Condvar,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Waiting {
    /// The sources of which something waits, the next one first.
    turns: VecDeque<u64>,
    /// What waits of each of them.
    by_source: HashMap<u64, VecDeque<Held>>,
    /// Nothing will come any more.
    closed: bool,
    /// Nobody will take anything any more.
    left: bool,
}

/// A chunk, and the place that it takes. What was given back takes none.
struct Held {
    chunk: Box<dyn Chunk>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Both ends of a lane, the second for so many workers.
pub(super) fn lane() -> (Entrance, Lane) {
    let places = Arc::new(Semaphore::new(PLACES));
    let shared = Arc::new(Shared { waiting: Mutex::default(), changed: Condvar::new(), places });
    (Entrance(Arc::clone(&shared)), Lane(Arc::new(Exit(shared))))
}

impl Entrance {
    /// Hands a chunk in, waiting for a place.
    pub(super) async fn send(&self, sent: Sent) -> Result<(), Closed> {
        let place = Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| Closed)?;
        self.0.put(sent, place)
    }

    /// The same from a thread that is not part of a runtime; blocks it.
    pub(super) fn send_blocking(&self, sent: Sent) -> Result<(), Closed> {
        block_on(self.send(sent))
    }

    /// The same without waiting. False when there is no place, or nobody to take it: the chunk is dropped then.
    pub(super) fn try_send(&self, sent: Sent) -> bool {
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        place.is_ok_and(|place| self.0.put(sent, place).is_ok())
    }

    /// Whether there is no place; when nobody takes anything any more, there is one to find that out.
    pub(super) fn is_full(&self) -> bool {
        self.0.places.available_permits() == 0 && !self.0.places.is_closed()
    }

    /// How many chunks wait.
    pub(super) fn len(&self) -> usize {
        self.0.locked().by_source.values().map(VecDeque::len).sum()
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.locked().closed = true;
        self.0.changed.notify_all();
    }
}

impl Lane {
    /// The same end for another worker.
    pub(super) fn shared(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// The next chunk, waited for until `deadline`, or for ever without one.
    pub fn next(&self, deadline: Option<Instant>) -> Next {
        let Shared { waiting, changed, .. } = &*self.0.0;
        let mut waiting = lock(waiting);
        loop {
            if let Some(sent) = waiting.pop() {
                return Next::Chunk(sent);
            }
            if waiting.closed {
                return Next::Closed;
            }
            let Some(deadline) = deadline else {
                waiting = changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Nothing;
            }
            waiting = changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A chunk that is there already.
    pub fn try_next(&self) -> Option<Sent> {
        self.0.0.locked().pop()
    }

    /// Gives back what there was no time for: it is the first of its source, when that has its turn again.
    pub(super) fn give_back(&self, Sent { source, chunk }: Sent) {
        let mut waiting = self.0.0.locked();
        waiting.of(source).push_front(Held { chunk, _place: None });
        drop(waiting);
        self.0.0.changed.notify_one();
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.0.places.close();
        let mut waiting = self.0.locked();
        waiting.left = true;
        waiting.turns.clear();
        let never = std::mem::take(&mut waiting.by_source);
        // Their receipts go back to ledgers, which must not find the lane locked.
        drop(waiting);
        drop(never);
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    fn put(&self, Sent { source, chunk }: Sent, place: OwnedSemaphorePermit) -> Result<(), Closed> {
        let mut waiting = self.locked();
        if waiting.left {
            return Err(Closed);
        }
        waiting.of(source).push_back(Held { chunk, _place: Some(place) });
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }
}

impl Waiting {
    /// What waits of `source`, which has a turn from now on.
    fn of(&mut self, source: u64) -> &mut VecDeque<Held> {
        let Self { turns, by_source, .. } = self;
        by_source.entry(source).or_insert_with(|| {
            turns.push_back(source);
            VecDeque::new()
        })
    }

    fn pop(&mut self) -> Option<Sent> {
        let source = self.turns.pop_front()?;
        let held = self.by_source.get_mut(&source)?;
        let next = held.pop_front()?;
        if held.is_empty() {
            self.by_source.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        Some(Sent { source, chunk: next.chunk })
    }
}

/// Nothing that holds the lock can leave what it guards half done.
fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::event::Event;

    /// A chunk of so many events, by which the tests know it.
    fn sent(source: u64, events: usize) -> Sent {
        Sent { source, chunk: Box::new((0..events).map(|_| Event::default()).collect::<Vec<Event>>()) }
    }

    fn drain(lane: &Lane) -> Vec<(u64, usize)> {
        std::iter::from_fn(|| lane.try_next()).map(|sent| (sent.source, sent.chunk.events())).collect()
    }

    #[test]
    fn sources_take_turns_and_each_keeps_its_order() {
        let (entrance, lane) = lane();
        for (source, events) in [(7, 1), (7, 2), (7, 3), (8, 4), (9, 5), (8, 6)] {
            entrance.send_blocking(sent(source, events)).unwrap();
        }
        assert_eq!(entrance.len(), 6);
        assert_eq!(drain(&lane), [(7, 1), (8, 4), (9, 5), (7, 2), (8, 6), (7, 3)]);
    }

    #[test]
    fn what_is_given_back_is_the_first_of_its_source_and_lets_others_go_before() {
        let (entrance, lane) = lane();
        for (source, events) in [(7, 5), (7, 2), (8, 4)] {
            entrance.send_blocking(sent(source, events)).unwrap();
        }
        let first = lane.try_next().unwrap();
        assert_eq!((first.source, first.chunk.events()), (7, 5));
        lane.give_back(sent(7, 3));
        assert_eq!(drain(&lane), [(8, 4), (7, 3), (7, 2)]);
        lane.give_back(sent(7, 1));
        assert_eq!(drain(&lane), [(7, 1)]);
    }

    #[test]
    fn who_finds_no_place_waits_until_a_chunk_is_taken() {
        let (entrance, lane) = lane();
        (0..PLACES).for_each(|at| assert!(entrance.try_send(sent(at as u64, 1))));
        assert!(entrance.is_full());
        assert!(!entrance.try_send(sent(0, 1)));
        // Whoever gives something back must not have to wait for those who wait for a place, and takes none of theirs.
        lane.give_back(sent(0, 2));
        assert_eq!(lane.try_next().map(|sent| sent.chunk.events()), Some(2));
        assert!(entrance.is_full());
        thread::scope(|scope| {
            let waits = scope.spawn(|| entrance.send_blocking(sent(9, 1)));
            assert_eq!(lane.try_next().map(|sent| sent.source), Some(1));
            waits.join().unwrap().unwrap();
        });
        assert_eq!(drain(&lane).len(), PLACES);
        assert!(!entrance.is_full());
    }

    #[test]
    fn a_lane_without_inputs_is_emptied_and_closed_and_one_without_workers_takes_nothing() {
        let (entrance, first) = lane();
        let second = first.shared();
        assert!(entrance.try_send(sent(1, 1)));
        drop(first);
        assert!(entrance.try_send(sent(1, 1)));
        assert!(matches!(second.next(Some(Instant::now())), Next::Chunk(_)));
        assert!(matches!(second.next(None), Next::Chunk(_)));
        assert!(matches!(second.next(Some(Instant::now())), Next::Nothing));
        drop(entrance);
        assert!(matches!(second.next(None), Next::Closed));
        let (entrance, only) = lane();
        assert!(entrance.try_send(sent(1, 1)));
        drop(only);
        assert_eq!(entrance.len(), 0);
        assert!(!entrance.is_full() && !entrance.try_send(sent(1, 1)));
        assert_eq!(entrance.send_blocking(sent(1, 1)), Err(Closed));
    }

    #[test]
    fn who_waits_for_a_chunk_gets_it_or_hears_of_the_end() {
        let (entrance, lane) = lane();
        thread::scope(|scope| {
            let waits =
                scope.spawn(|| matches!(lane.next(None), Next::Chunk(_)) && matches!(lane.next(None), Next::Closed));
            entrance.send_blocking(sent(1, 1)).unwrap();
            drop(entrance);
            assert!(waits.join().unwrap());
        });
    }
}
