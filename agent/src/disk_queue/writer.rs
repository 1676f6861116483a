//! The thread that takes what the inputs hand on, writes it down, and gives them their receipts when it is safe.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::Pack;
use elkhound_pipeline::flow::queue::{Lane, Next, Sent};
use elkhound_pipeline::flow::receipt::Receipt;
use tracing::warn;

use super::book::Book;
use super::page::write_frame;
use super::tail::{Appended, Room, Tail};
use crate::limit::Limit;

/// A frame is closed when it has so many bytes: it is read as a whole, and taken out as a whole.
const FRAME: usize = 128 << 10;

/// How often a trouble that lasts is told.
const TOLD: Duration = Duration::from_secs(10);

/// The thread's work. When it ends, nothing more will be written.
pub(super) struct Writer {
    lane: Lane,
    tail: Tail,
    book: Arc<Book>,
    /// So many bytes are synced at the latest, so that inputs never wait for a sync that nothing else brings about.
    sync_bytes: usize,
    pack: Pack,
    frame: Vec<u8>,
    events: Vec<Event>,
    /// The receipts of what is being packed...
    packing: Vec<Receipt>,
    /// ...and of what is written and not safe yet, with the number of its events and the time since when there is any.
    written: Vec<Receipt>,
    unsafe_events: u64,
    since: Option<Instant>,
}

impl Writer {
    /// Takes what comes through `lane` and writes it to `tail`.
    pub(super) fn new(lane: Lane, tail: Tail, book: Arc<Book>, sync_bytes: usize) -> Self {
        Self {
            lane,
            tail,
            book,
            sync_bytes,
            pack: Pack::default(),
            frame: Vec::new(),
            events: Vec::new(),
            packing: Vec::new(),
            written: Vec::new(),
            unsafe_events: 0,
            since: None,
        }
    }

    /// Works until all inputs are gone and everything that they have handed on is safe.
    pub(super) fn run(mut self) {
        loop {
            let due = self.since.zip(self.book.limits.interval).map(|(since, interval)| since + interval);
            match self.lane.next(due) {
                Next::Chunk(sent) => self.take(sent),
                Next::Nothing => {}
                Next::Closed => break,
            }
            if self.is_due() {
                self.sync();
            }
        }
        self.sync();
    }

    fn take(&mut self, Sent { source, chunk }: Sent) {
        let mut events = std::mem::take(&mut self.events);
        chunk.unpack(&mut events);
        for mut event in events.drain(..) {
            self.pack.push(&event);
            self.packing.extend(event.take_receipt());
            if self.pack.bytes() >= FRAME {
                self.write(source);
            }
        }
        self.events = events;
        if self.pack.events() > 0 {
            self.write(source);
        }
    }

    /// Writes what is packed, for as long as it takes.
    fn write(&mut self, source: u64) {
        let count = self.pack.events();
        self.frame.clear();
        write_frame(source, count, &mut self.frame, |out| self.pack.write(out));
        loop {
            let room = if self.book.is_given_up() { Room::Any } else { Room::Limited };
            match self.tail.append(&self.frame, count, room) {
                Ok(Appended::Whole) => break,
                Ok(Appended::Full) => {
                    // What is safe must not wait for what is not.
                    self.sync();
                    self.tell_full();
                    self.book.pause();
                }
                Err(error) => {
                    tell(&error);
                    if self.book.pause() {
                        // Dropped, not acknowledged: whoever can read it again does.
                        self.packing.clear();
                        return;
                    }
                }
            }
        }
        self.written.append(&mut self.packing);
        self.unsafe_events += count as u64;
        self.since.get_or_insert_with(Instant::now);
    }

    fn is_due(&self) -> bool {
        let limits = &self.book.limits;
        let Some(since) = self.since else { return false };
        (limits.writes > 0 && self.unsafe_events >= limits.writes)
            || limits.interval.is_some_and(|interval| since.elapsed() >= interval)
            || self.tail.unsynced() >= self.sync_bytes
    }

    /// Makes safe what was written, and lets the inputs know.
    fn sync(&mut self) {
        while let Err(error) = self.tail.sync() {
            tell(&error);
            if self.book.pause() {
                // Dropped, not acknowledged: whoever can read it again does.
                self.written.clear();
                break;
            }
        }
        self.written.drain(..).for_each(Receipt::acknowledge);
        (self.unsafe_events, self.since) = (0, None);
    }

    fn tell_full(&self) {
        static LIMIT: Limit = Limit::every(TOLD);
        if let Some(suppressed) = LIMIT.pass() {
            let place = self.book.place();
            warn!(
                folder = place,
                suppressed,
                "the queue on disk is full, and inputs wait; see why outputs are slow, or raise queue.max_bytes"
            );
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.book.close();
    }
}

fn tell(error: &io::Error) {
    static LIMIT: Limit = Limit::every(TOLD);
    if let Some(suppressed) = LIMIT.pass() {
        warn!(
            reason = %error,
            suppressed,
            "the queue on disk can't be written; inputs wait and it is tried again: make room on its disk"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread::{self, JoinHandle};

    use elkhound_pipeline::flow::budget::Budget;
    use elkhound_pipeline::flow::queue::{Order, Queue, queue};
    use elkhound_pipeline::flow::receipt::Ledger;

    use super::*;
    use crate::disk_queue::Limits;
    use crate::disk_queue::model::Opened;
    use crate::disk_queue::simulated::Simulated;

    /// What became of chunks: their number, and whether they are safe.
    #[derive(Default)]
    struct Source(Mutex<Vec<(u64, bool)>>);

    impl Ledger for Source {
        fn settled(&self, chunk: u64) {
            self.0.lock().unwrap().push((chunk, true));
        }

        fn abandoned(&self, chunk: u64) {
            self.0.lock().unwrap().push((chunk, false));
        }
    }

    impl Source {
        fn heard(&self) -> Vec<(u64, bool)> {
            self.0.lock().unwrap().clone()
        }
    }

    /// A writer at work on a disk, the queue to it, and who hears of the receipts.
    struct Running {
        disk: Simulated,
        book: Arc<Book>,
        queue: Option<Queue>,
        source: Arc<Source>,
        thread: JoinHandle<()>,
    }

    impl Running {
        fn new(limits: Limits) -> Self {
            let disk = Simulated::default();
            let Opened { book, tail, .. } = Opened::new(&disk, limits);
            let (queue, mut lanes) = queue(1, Order::Free, Budget::new(1 << 20));
            let writer = Writer::new(lanes.remove(0), tail, Arc::clone(&book), 1 << 20);
            let thread = thread::spawn(|| writer.run());
            Self { disk, book, queue: Some(queue), source: Arc::default(), thread }
        }

        fn send(&self, chunk: u64) {
            let mut event = Event::default();
            event.set_field("n".into(), (chunk as i64).into());
            event.set_origin(None, Some(Receipt::open(Arc::clone(&self.source) as _, chunk, None)));
            self.queue.as_ref().unwrap().send_blocking(7, Box::new(vec![event])).unwrap();
        }

        /// Lets the writer do what it has.
        fn settle(&self, done: impl Fn(&Self) -> bool) {
            while !done(self) {
                thread::yield_now();
            }
        }

        fn end(&mut self) {
            self.queue = None;
        }
    }

    const LIMITS: Limits = Limits { page: 1 << 20, bytes: 1 << 20, events: 0, acks: 0, writes: 0, interval: None };

    #[test]
    fn receipts_come_with_the_sync_and_not_before() {
        let mut running = Running::new(Limits { writes: 3, ..LIMITS });
        (1..=2).for_each(|chunk| running.send(chunk));
        running.settle(|running| running.book.written() == 2);
        assert_eq!(running.source.heard(), []);
        running.send(3);
        running.settle(|running| running.source.heard().len() == 3);
        running.send(4);
        running.end();
        let Running { source, thread, book, .. } = running;
        thread.join().unwrap();
        assert_eq!(source.heard(), [1, 2, 3, 4].map(|chunk| (chunk, true)));
        assert!(book.is_closed());
    }

    #[test]
    fn nothing_is_safe_for_longer_than_the_interval_only_in_memory() {
        let running = Running::new(Limits { interval: Some(Duration::from_millis(5)), ..LIMITS });
        running.send(1);
        running.settle(|running| running.source.heard() == [(1, true)]);
    }

    #[test]
    fn a_disk_that_takes_nothing_makes_inputs_wait_and_loses_nothing() {
        let mut running = Running::new(Limits { writes: 1, ..LIMITS });
        running.disk.fail(true);
        running.send(1);
        running.settle(|running| running.disk.tried() > 1);
        assert_eq!((running.source.heard(), running.book.written()), (vec![], 0));
        running.disk.fail(false);
        running.settle(|running| running.source.heard() == [(1, true)]);
        running.end();
        running.thread.join().unwrap();
        assert_eq!(Opened::new(&running.disk, LIMITS).all().len(), 1);
    }

    #[test]
    fn what_a_dead_disk_never_took_is_left_to_be_read_again() {
        let mut running = Running::new(Limits { writes: 1, ..LIMITS });
        running.disk.fail(true);
        running.send(1);
        running.settle(|running| running.disk.tried() > 0);
        running.book.give_up();
        running.end();
        running.thread.join().unwrap();
        assert_eq!(running.source.heard(), [(1, false)]);
    }

    #[test]
    fn a_full_queue_makes_inputs_wait_and_takes_the_rest_when_it_is_given_up() {
        let mut running = Running::new(Limits { events: 1, writes: 1, ..LIMITS });
        running.send(1);
        running.send(2);
        running.settle(|running| running.source.heard() == [(1, true)]);
        assert_eq!(running.book.written(), 1);
        running.book.give_up();
        running.end();
        running.thread.join().unwrap();
        assert_eq!(running.source.heard(), [(1, true), (2, true)]);
        assert_eq!(Opened::new(&running.disk, LIMITS).all().len(), 2);
    }
}
