//! The thread that takes what the inputs hand on, writes it down, and gives them their receipts when it is safe.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::Pack;
use elkhound_pipeline::flow::queue::{Lane, Next, Sent, unpack};
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::flow::worker::survives;
use elkhound_pipeline::plan::{Fate, Plan};
use tracing::warn;

use super::book::Book;
use super::page::Framer;
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
    /// Adds an event to the pack; a test has its own, which panics.
    push: fn(&mut Pack, &Event),
    /// Says what becomes of events on which that panics.
    plan: Arc<Plan>,
    framer: Framer,
    frame: Vec<u8>,
    events: Vec<Event>,
    /// The receipts of what is being packed...
    packing: Vec<Receipt>,
    /// ...and of what is written and not safe yet, with the number of its events, their bytes, and the time since when there is any.
    written: Vec<Receipt>,
    unsafe_events: u64,
    /// What its events took before they were deflated: it is by that, that inputs were charged for them.
    unsafe_bytes: usize,
    since: Option<Instant>,
}

impl Writer {
    /// Takes what comes through `lane` and writes it to `tail`. What can't be packed goes where `plan` says.
    pub(super) fn new(lane: Lane, tail: Tail, book: Arc<Book>, sync_bytes: usize, plan: Arc<Plan>) -> Self {
        let gauge = book.gauge();
        let framer = Framer::new(gauge.settings.compression, &gauge.encoded);
        Self {
            lane,
            tail,
            book,
            sync_bytes,
            pack: Pack::default(),
            push: Pack::push,
            plan,
            framer,
            frame: Vec::new(),
            events: Vec::new(),
            packing: Vec::new(),
            written: Vec::new(),
            unsafe_events: 0,
            unsafe_bytes: 0,
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
        let lost = unpack(chunk, &mut events);
        if lost > 0 {
            self.book.lost(lost as u64);
            self.plan.lost(lost);
        }
        for mut event in events.drain(..) {
            let mark = self.pack.mark();
            if survives(|| (self.push)(&mut self.pack, &event)) {
                self.packing.extend(event.take_receipt());
            } else {
                self.pack.take_back(mark);
                self.set_aside(event);
            }
            if self.pack.bytes() >= FRAME {
                self.write(source);
            }
        }
        self.events = events;
        if self.pack.events() > 0 {
            self.write(source);
        }
    }

    /// An event that can't be packed is not written, and its receipt comes back: read again, it would only panic again.
    #[cold]
    fn set_aside(&self, mut event: Event) {
        let receipt = event.take_receipt();
        match self.plan.queue_panicked(&event) {
            Fate::Kept => {}
            Fate::GoesOn => self.book.lost(1),
            // Dropped, not acknowledged.
            Fate::ReadAgain => return,
        }
        receipt.into_iter().for_each(Receipt::acknowledge);
    }

    /// Writes what is packed, for as long as it takes.
    fn write(&mut self, source: u64) {
        let (count, bytes) = (self.pack.events(), self.pack.bytes());
        self.frame.clear();
        self.framer.write(source, count, &mut self.frame, |out| self.pack.write(out));
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
        self.unsafe_bytes += bytes;
        self.since.get_or_insert_with(Instant::now);
    }

    fn is_due(&self) -> bool {
        let limits = &self.book.limits;
        let Some(since) = self.since else { return false };
        (limits.writes > 0 && self.unsafe_events >= limits.writes)
            || limits.interval.is_some_and(|interval| since.elapsed() >= interval)
            || self.unsafe_bytes >= self.sync_bytes
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
        (self.unsafe_events, self.unsafe_bytes, self.since) = (0, 0, None);
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
    use elkhound_pipeline::plan::SetAside;

    use super::*;
    use crate::disk_queue::model::Opened;
    use crate::disk_queue::simulated::Simulated;
    use crate::disk_queue::{Compression, Limits};

    /// So much is synced at the latest.
    const SYNC_BYTES: usize = 1 << 20;

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
            Self::touchy(limits, Fate::Kept)
        }

        /// One that panics on an event with the number 13, of which this becomes.
        fn touchy(limits: Limits, fate: Fate) -> Self {
            Self::of(limits, Compression::None, fate)
        }

        fn compressing(limits: Limits) -> Self {
            Self::of(limits, Compression::Speed, Fate::Kept)
        }

        fn of(limits: Limits, compression: Compression, fate: Fate) -> Self {
            let disk = Simulated::default();
            let Opened { book, tail, .. } = Opened::compressing(&disk, limits, compression);
            let (queue, mut lanes) = queue(1, Order::Free, Budget::new(1 << 20));
            let set_aside: SetAside = Box::new(move |culprit, event| {
                assert_eq!((culprit.kind, event.field("n")), ("queue", Some(&13.into())));
                fate
            });
            let plan = Arc::new(Plan::passing(Arc::default(), Box::new(|_| {}), Some(set_aside)));
            let mut writer = Writer::new(lanes.remove(0), tail, Arc::clone(&book), SYNC_BYTES, plan);
            writer.push = |pack, event| {
                pack.push(event);
                assert_ne!(event.field("n"), Some(&13.into()), "as the test wants it");
            };
            let thread = thread::spawn(|| writer.run());
            Self { disk, book, queue: Some(queue), source: Arc::default(), thread }
        }

        fn send(&self, chunk: u64) {
            self.send_together(&[chunk]);
        }

        /// Sends events that travel together, each with a receipt of its number.
        fn send_together(&self, numbers: &[u64]) {
            let event = |number: &u64| {
                let mut event = Event::default();
                event.set_field("n".into(), (*number as i64).into());
                event.set_origin(None, Some(Receipt::open(Arc::clone(&self.source) as _, *number, None)));
                event
            };
            let events: Vec<Event> = numbers.iter().map(event).collect();
            self.queue.as_ref().unwrap().send_blocking(7, Box::new(events)).unwrap();
        }

        /// Sends an event with a text and a receipt of this number.
        fn send_text(&self, number: u64, text: &str) {
            let mut event = Event::default();
            event.set_field("text".into(), text.into());
            event.set_origin(None, Some(Receipt::open(Arc::clone(&self.source) as _, number, None)));
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

    /// What is on disk of a chunk with an event that can't be packed, what became of the receipts, and how many are lost.
    fn with_one_that_panics(fate: Fate) -> (Vec<i64>, Vec<(u64, bool)>, u64) {
        let mut running = Running::touchy(Limits { writes: 1, ..LIMITS }, fate);
        running.send_together(&[1, 13, 2]);
        running.send_together(&[13]);
        running.send(3);
        running.end();
        let Running { source, thread, book, disk, .. } = running;
        thread.join().unwrap();
        let written = Opened::new(&disk, LIMITS).all().into_iter().map(|(number, _)| number).collect();
        let mut heard = source.heard();
        heard.sort_unstable();
        (written, heard, book.all_lost())
    }

    #[test]
    fn an_event_that_cannot_be_packed_costs_no_other() {
        let heard = |safe| vec![(1, true), (2, true), (3, true), (13, safe), (13, safe)];
        assert_eq!(with_one_that_panics(Fate::Kept), (vec![1, 2, 3], heard(true), 0));
        assert_eq!(with_one_that_panics(Fate::GoesOn), (vec![1, 2, 3], heard(true), 2));
        assert_eq!(with_one_that_panics(Fate::ReadAgain), (vec![1, 2, 3], heard(false), 0));
    }

    #[test]
    fn nothing_is_safe_for_longer_than_the_interval_only_in_memory() {
        let running = Running::new(Limits { interval: Some(Duration::from_millis(5)), ..LIMITS });
        running.send(1);
        running.settle(|running| running.source.heard() == [(1, true)]);
    }

    #[test]
    fn what_is_not_safe_is_bounded_by_what_it_was_before_it_was_deflated() {
        let running = Running::compressing(LIMITS);
        // More than the bytes after which is synced, and a small part of them on disk: nothing else would bring receipts.
        let text = "x".repeat(SYNC_BYTES);
        running.send_text(1, &text);
        running.settle(|running| running.source.heard() == [(1, true)]);
        assert!(running.disk.file("1.page").len() * 100 < SYNC_BYTES);
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
