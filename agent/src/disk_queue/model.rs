//! The queue on a disk that crashes: random work, cut off at every write, every sync and every other thing that it does to the disk.
//!
//! After each crash, with all of what was not synced left, or nothing, or some of it, the queue is opened again and held against what it had promised by
//! then: nothing that an input has a receipt for is lost, nothing comes again that the last checkpoint has passed, the order is kept without a hole, ids are
//! those that events had, and no two events ever have the same.

use std::collections::HashMap;
use std::sync::Arc;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::Pack;
use elkhound_pipeline::flow::queue::Chunk;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use elkhound_pipeline::value::Value;

use super::book::Book;
use super::head::{Head, Packed, Taken};
use super::page::write_frame;
use super::simulated::{Left, Simulated, next};
use super::storage::Storage;
use super::tail::{Appended, Room, Tail};
use super::{Gauge, Limits, Settings, new_id, recovery};
use crate::input::NoLedger;

const LIMITS: Limits = Limits { page: 400, bytes: 1500, events: 0, acks: 1, writes: 1, interval: None };

/// What the queue has promised at some point.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    /// How much had been done to the disk.
    after: usize,
    /// So many events are safe on disk.
    synced: i64,
    /// So many are safe at the outputs: these may have been taken out...
    settled: i64,
    /// ...and these have.
    saved: i64,
}

/// An opened queue, in one thread.
pub(super) struct Opened {
    pub(super) book: Arc<Book>,
    pub(super) tail: Tail,
    head: Head,
    /// What was handed out and not settled.
    out: Vec<u64>,
}

impl Opened {
    /// Opens the queue that is on a disk.
    pub(super) fn new(disk: &Simulated, limits: Limits) -> Self {
        let (recovered, medium) = recovery::open(disk, new_id()).unwrap();
        let settings = Settings { folder: "queue".into(), limits, drain: false };
        let gauge = Gauge { settings, events: Default::default(), bytes: Default::default(), lost: Default::default() };
        let page = recovered.pages.last().unwrap().number;
        let book = Arc::new(Book::new(Arc::new(disk.clone()), limits, recovered, Arc::new(gauge), None));
        let tail = Tail::new(Arc::clone(&book), medium, page, new_id);
        let head = Head::new(Arc::clone(&book));
        Self { book, tail, head, out: Vec::new() }
    }

    /// Appends events of these numbers; false when there is no room, or the disk did not take them.
    fn append(&mut self, numbers: std::ops::Range<i64>) -> bool {
        let (mut pack, mut frame) = (Pack::default(), Vec::new());
        for number in numbers.clone() {
            pack.push(&Event::new([("n".into(), number.into())].into_iter().collect()));
        }
        let count = pack.events();
        write_frame(7, count, &mut frame, |out| pack.write(out));
        matches!(self.tail.append(&frame, count, Room::Limited), Ok(Appended::Whole))
    }

    /// Hands out the next frame; its events' numbers and ids.
    fn take(&mut self) -> Option<Vec<(i64, String)>> {
        let taken = self.head.next(false).unwrap()?;
        assert_eq!(taken.source, 7);
        self.out.push(self.book.hand_out(taken.end));
        Some(events(taken, &self.book))
    }

    /// Hands out everything.
    pub(super) fn all(&mut self) -> Vec<(i64, String)> {
        std::iter::from_fn(|| self.take()).flatten().collect()
    }
}

fn events(taken: Taken, book: &Arc<Book>) -> Vec<(i64, String)> {
    let mut events = Vec::new();
    let receipt = Receipt::open(Arc::new(NoLedger), 0, None);
    Box::new(Packed { taken, receipt, book: Arc::clone(book) }).unpack(&mut events);
    let shown = |event: &Event| match (event.field("n"), event.id()) {
        (Some(Value::Integer(number)), Some(id)) => (*number, id.as_str().to_owned()),
        other => panic!("{other:?}"),
    };
    events.iter().map(shown).collect()
}

/// A queue at work, and what it promises on the way.
struct Work {
    disk: Simulated,
    queue: Opened,
    dice: u64,
    written: i64,
    now: Promise,
    promises: Vec<Promise>,
    ids: HashMap<i64, String>,
}

impl Work {
    fn new(seed: u64) -> Self {
        let disk = Simulated::default();
        let queue = Opened::new(&disk, LIMITS);
        let now = Promise { after: disk.done(), ..Promise::default() };
        Self { disk, queue, dice: next(seed), written: 0, now, promises: vec![now], ids: HashMap::new() }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = next(self.dice);
        self.dice % sides
    }

    fn step(&mut self) {
        match self.roll(12) {
            0..4 => {
                let end = self.written + 1 + self.roll(3) as i64;
                if self.queue.append(self.written..end) {
                    self.written = end;
                }
            }
            4 | 5 => {
                if self.queue.tail.sync().is_ok() {
                    self.now.synced = self.written;
                }
            }
            6..8 => self.ids.extend(self.queue.take().into_iter().flatten()),
            8..10 if !self.queue.out.is_empty() => {
                let at = self.roll(self.queue.out.len() as u64) as usize;
                self.queue.book.settled(self.queue.out.swap_remove(at));
                self.now.settled = self.queue.book.safe().events as i64;
            }
            10 => {
                if self.queue.book.save().is_ok() {
                    self.now.saved = self.now.settled;
                }
            }
            _ => {
                let fails = self.roll(3) == 0;
                self.disk.fail(fails);
            }
        }
        self.now.after = self.disk.done();
        self.promises.push(self.now);
    }

    /// What was promised before so much was done.
    fn promised(&self, after: usize) -> Promise {
        *self.promises.iter().rev().find(|promise| promise.after <= after).unwrap()
    }

    fn check(&self, after: usize, left: Left) {
        let promise = self.promised(after);
        let about = format!("after {after}, {left:?} left, {promise:?}");
        let disk = self.disk.crashed(after, left);
        let mut queue = Opened::new(&disk, Limits { bytes: 1 << 20, ..LIMITS });
        let back = queue.all();
        let numbers: Vec<i64> = back.iter().map(|(number, _)| *number).collect();
        let first = numbers.first().copied().unwrap_or(promise.synced.max(promise.settled));
        assert!((promise.saved..=promise.settled).contains(&first), "{first} comes first {about}");
        assert_eq!(numbers, (first..first + numbers.len() as i64).collect::<Vec<_>>(), "{about}");
        assert!(first + numbers.len() as i64 >= promise.synced, "only {numbers:?} {about}");
        for (number, id) in &back {
            assert!(self.ids.get(number).is_none_or(|known| known == id), "{number} has another id {about}");
        }
        // Its second life: what is new has ids that nothing else had, and all is there after another crash.
        assert!(queue.append(1000..1003) && queue.tail.sync().is_ok(), "{about}");
        let again = Opened::new(&disk.crashed(disk.done(), Left::Nothing), LIMITS).all();
        let seen: Vec<_> = again.iter().filter(|(number, _)| *number < 1000).cloned().collect();
        // A checkpoint that was not safe yet may be the one before now, never one before that.
        assert!(
            seen.ends_with(&back) && seen.first().is_none_or(|(number, _)| *number >= promise.saved),
            "{again:?} {about}"
        );
        assert_eq!(again.iter().filter(|(number, _)| *number >= 1000).count(), 3, "{about}");
        let is_new = |id: &String| self.ids.values().all(|known| known != id);
        assert!(again.iter().filter(|(number, _)| *number >= 1000).all(|(_, id)| is_new(id)), "{about}");
    }
}

#[test]
fn whatever_a_crash_leaves_the_promises_hold() {
    let mut crashes = 0;
    for seed in 0..40 {
        let mut work = Work::new(seed);
        (0..120).for_each(|_| work.step());
        for after in work.promises[0].after..=work.disk.done() {
            for left in
                [Left::Everything, Left::Nothing, Left::Some(next(seed + after as u64)), Left::Some(after as u64)]
            {
                work.check(after, left);
                crashes += 1;
            }
        }
    }
    assert!(crashes > 5000, "{crashes}");
}

#[test]
fn a_full_queue_has_room_again_when_its_pages_are_safe_and_a_frame_that_is_too_large_passes_alone() {
    let disk = Simulated::default();
    let mut queue = Opened::new(&disk, LIMITS);
    let mut written = 0;
    while queue.append(written..written + 1) {
        written += 1;
    }
    assert!((1000..=1500).contains(&disk_size(&disk)), "{}", disk_size(&disk));
    let back = queue.all();
    assert_eq!(back.len() as i64, written);
    assert!(!queue.append(0..1));
    std::mem::take(&mut queue.out).into_iter().for_each(|number| queue.book.settled(number));
    queue.book.save().unwrap();
    assert!(!queue.append(0..200), "the last page is not removed before another one follows");
    queue.book.save().unwrap();
    assert!(queue.append(0..200), "more than the whole queue, and than a page");
    assert!(!queue.append(0..1));
    assert_eq!(queue.all().len(), 200);
}

fn disk_size(disk: &Simulated) -> usize {
    let names = disk.names().unwrap();
    names.iter().filter(|name| name.ends_with(".page")).map(|name| disk.file(name).len()).sum()
}

#[test]
fn the_number_of_events_is_a_limit_too() {
    let mut queue = Opened::new(&Simulated::default(), Limits { events: 5, ..LIMITS });
    assert!(queue.append(0..9), "more than there may be passes alone");
    assert!(!queue.append(9..10));
    queue.all();
    queue.book.settled(queue.out[0]);
    assert!(queue.append(9..13) && !queue.append(13..15) && queue.append(13..14));
}

#[test]
fn damage_in_a_page_costs_the_rest_of_it_and_is_counted() {
    let disk = Simulated::default();
    let mut queue = Opened::new(&disk, LIMITS);
    (0..20).for_each(|number| assert!(queue.append(number..number + 1)));
    let page = disk.file("1.page");
    let frame = (page.len() - 32) / queue.book.page(2).unwrap().first as usize;
    disk.open("1.page").unwrap().write_at((32 + 2 * frame + 20) as u64, b"\xff").unwrap();
    let in_page = queue.book.page(2).unwrap().first as i64;
    let numbers: Vec<i64> = queue.all().iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..2).chain(in_page..20).collect::<Vec<_>>());
    // What can't be read does not keep the queue from being emptied.
    std::mem::take(&mut queue.out).into_iter().for_each(|number| queue.book.settled(number));
    assert_eq!(queue.book.safe().events, 20);
}
