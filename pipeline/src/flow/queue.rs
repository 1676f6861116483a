//! The queue between inputs and workers: chunks, never single events.
//!
//! It is bounded twice: by the byte budget, which an input charges before it sends, and by the number of chunks that wait. When
//! either is used up the input waits ([`Full::Block`] is the policy, and the only one of inputs: nothing of theirs is dropped here),
//! stops reading its source, and the pressure arrives at the container's log. In a lane the sources take turns (`lane.rs`), so that
//! what waits of a busy container delays no quiet one.
//!
//! One lane for all workers gives the best use of the cores; a lane for each worker (`pipeline.ordered`) keeps the order
//! of each source, since all chunks of one source take the same lane.

use std::sync::Arc;
use std::time::Instant;

use super::budget::{Budget, Charge};
use super::lane::{Entrance, lane};
pub use super::lane::{Lane, Next};
use super::meter::{self, SourceMeter};
use super::receipt::Receipt;
use super::worker::survives;
use crate::decoration::{Decorated, Decoration};
use crate::event::Event;

/// Lines or events that travel together, made into events by the worker that takes them up.
pub trait Chunk: Send {
    /// Appends the events.
    fn unpack(self: Box<Self>, events: &mut Vec<Event>);

    /// How many they are.
    fn events(&self) -> usize;

    /// A receipt of them all, with which they are given up when `unpack` panics. Without one they are abandoned then.
    fn receipt(&self) -> Option<Receipt> {
        None
    }
}

/// Appends the events of a chunk. One on which that panics costs itself alone: none of its events is appended, and none is read again, for that would only
/// panic again. Returns how many are lost.
pub fn unpack(chunk: Box<dyn Chunk>, events: &mut Vec<Event>) -> usize {
    let (start, count, receipt) = (events.len(), chunk.events(), chunk.receipt());
    if survives(|| chunk.unpack(events)) {
        receipt.into_iter().for_each(Receipt::acknowledge);
        return 0;
    }
    events.truncate(start);
    receipt.into_iter().for_each(Receipt::give_up);
    count
}

impl Chunk for Vec<Event> {
    fn unpack(mut self: Box<Self>, events: &mut Vec<Event>) {
        events.append(&mut self);
    }

    fn events(&self) -> usize {
        self.len()
    }
}

/// What happens to a chunk that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The sender waits; nothing is lost, the pressure goes back to the source.
    Block,
}

/// The order in which chunks of one source are worked on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Any worker takes any chunk.
    #[default]
    Free,
    /// All chunks of a source go through one worker, one after the other.
    BySource,
}

/// A chunk on its way, with where it is from.
pub struct Sent {
    /// The same number for everything of one source.
    pub source: u64,
    /// What was sent.
    pub chunk: Box<dyn Chunk>,
}

/// The inputs' end.
#[derive(Clone)]
pub struct Queue {
    lanes: Vec<Arc<Entrance>>,
    budget: Budget,
    decoration: Option<Arc<Decoration>>,
    meter: Option<Arc<SourceMeter>>,
}

/// The workers are gone; the pipeline is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A queue with a lane for each of `workers`.
pub fn queue(workers: usize, order: Order, budget: Budget) -> (Queue, Vec<Lane>) {
    let lanes = if order == Order::BySource { workers.max(1) } else { 1 };
    let (entrances, exits): (Vec<_>, Vec<_>) = (0..lanes).map(|_| lane()).unzip();
    let ends = (0..workers.max(1)).map(|worker| exits[worker % lanes].shared()).collect();
    let lanes = entrances.into_iter().map(Arc::new).collect();
    (Queue { lanes, budget, decoration: None, meter: None }, ends)
}

impl Queue {
    /// What an input does when the queue is full.
    pub const WHEN_FULL: Full = Full::Block;

    /// An end whose chunks get an input's common options.
    #[must_use]
    pub fn decorated(self, decoration: Decoration) -> Self {
        let decoration = (!decoration.is_empty()).then(|| Arc::new(decoration));
        Self { decoration, ..self }
    }

    /// An end that counts what goes in.
    #[must_use]
    pub fn metered(self, meter: Arc<SourceMeter>) -> Self {
        Self { meter: Some(meter), ..self }
    }

    fn dressed(&self, chunk: Box<dyn Chunk>) -> Box<dyn Chunk> {
        match &self.decoration {
            Some(decoration) => Box::new(Decorated { chunk, decoration: Arc::clone(decoration) }),
            None => chunk,
        }
    }

    /// The byte budget of everything in flight.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Takes `bytes` from the budget, waiting until they are free.
    pub async fn charge(&self, bytes: usize) -> Charge {
        let began = self.begin();
        let charge = self.budget.charge(bytes).await;
        self.count(0, began);
        charge
    }

    /// Hands a chunk on; `source` is any number that stays the same for one source.
    ///
    /// # Errors
    /// [`Closed`] when the workers are gone; the chunk's receipts are dropped unacknowledged then.
    pub async fn send(&self, source: u64, chunk: Box<dyn Chunk>) -> Result<(), Closed> {
        let (events, began) = (chunk.events(), self.begin());
        let sent = Sent { source, chunk: self.dressed(chunk) };
        self.lane(source).send(sent).await?;
        self.count(events, began);
        Ok(())
    }

    /// The same from a thread that is not part of a runtime.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub fn send_blocking(&self, source: u64, chunk: Box<dyn Chunk>) -> Result<(), Closed> {
        let (events, began) = (chunk.events(), self.begin());
        self.lane(source).send_blocking(Sent { source, chunk: self.dressed(chunk) })?;
        self.count(events, began);
        Ok(())
    }

    /// Hands a chunk on without waiting. False when there is no place for it, or the workers are gone: then it is dropped, its receipts unacknowledged.
    #[must_use]
    pub fn try_send(&self, source: u64, chunk: Box<dyn Chunk>) -> bool {
        self.lane(source).try_send(Sent { source, chunk: self.dressed(chunk) })
    }

    /// Whether a lane has a place for a chunk.
    pub fn has_room(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.is_full())
    }

    /// The number of chunks that wait.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.len()).sum()
    }

    fn begin(&self) -> Option<Instant> {
        self.meter.as_ref().map(|_| Instant::now())
    }

    /// Counts events that were taken, and the time since they were offered.
    fn count(&self, events: usize, began: Option<Instant>) {
        if let (Some(meter), Some(began)) = (&self.meter, began) {
            meter::add(&meter.events, events as u64);
            meter::add(&meter.push_nanos, meter::since(began));
        }
    }

    fn lane(&self, source: u64) -> &Entrance {
        &self.lanes[(source % self.lanes.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::receipt::testing::Book;

    fn chunk(number: i64) -> Box<dyn Chunk> {
        let mut event = Event::default();
        event.set_field("n".into(), number.into());
        Box::new(vec![event])
    }

    fn drain(lane: &Lane) -> Vec<i64> {
        let mut events = Vec::new();
        while let Some(sent) = lane.try_next() {
            sent.chunk.unpack(&mut events);
        }
        let number = |event: &Event| match event.field("n") {
            Some(crate::value::Value::Integer(n)) => *n,
            other => panic!("{other:?}"),
        };
        events.iter().map(number).collect()
    }

    /// Makes one of its two events, then panics.
    struct Half(Receipt);

    impl Chunk for Half {
        fn unpack(self: Box<Self>, events: &mut Vec<Event>) {
            let mut event = Event::default();
            event.set_origin(None, Some(self.0.clone()));
            events.push(event);
            panic!("as the test wants it");
        }

        fn events(&self) -> usize {
            2
        }

        fn receipt(&self) -> Option<Receipt> {
            Some(self.0.clone())
        }
    }

    #[test]
    fn a_chunk_that_panics_is_given_up_whole_and_costs_no_other() {
        let (book, mut events) = (Arc::new(Book::default()), Vec::new());
        assert_eq!(unpack(chunk(1), &mut events), 0);
        let bad = Half(Receipt::open(book.clone(), 7, None));
        let bad = Decorated { chunk: Box::new(bad), decoration: Arc::default() };
        assert_eq!((unpack(Box::new(bad), &mut events), events.len()), (2, 1));
        assert_eq!(*book.0.lock().unwrap(), [(7, true)]);
        assert_eq!((unpack(chunk(3), &mut events), events.len()), (0, 2));
    }

    #[test]
    fn a_source_keeps_its_lane() {
        let (queue, lanes) = queue(2, Order::BySource, Budget::new(1 << 20));
        for n in 0..10 {
            queue.send_blocking(n % 2, chunk(n as i64)).unwrap();
        }
        assert_eq!(drain(&lanes[0]), [0, 2, 4, 6, 8]);
        assert_eq!(drain(&lanes[1]), [1, 3, 5, 7, 9]);
    }
}
