//! The queue on a disk that crashes: random work, cut off at every write, every sync and every other thing that it does to the disk.
//!
//! After each crash, with all of what was not synced left, or nothing, or some of it, the queue is opened again and held against what it had promised by
//! then, without compression and with it: nothing that an input has a receipt for is lost, nothing comes again that the last checkpoint has passed, the order is kept without a hole, ids are
//! those that events had, and no two events ever have the same.

use std::collections::HashMap;
use std::sync::Arc;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::Pack;
use elkhound_pipeline::flow::queue::Chunk;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use elkhound_pipeline::value::Value;

use super::book::Book;
use super::deflate::Compression;
use super::head::{Head, Packed, Taken};
use super::page::{Framer, HEADER, Header};
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
    framer: Framer,
    /// What was handed out and not settled.
    out: Vec<u64>,
}

impl Opened {
    /// Opens the queue that is on a disk.
    pub(super) fn new(disk: &Simulated, limits: Limits) -> Self {
        Self::compressing(disk, limits, Compression::None)
    }

    /// Opens it to go on so.
    pub(super) fn compressing(disk: &Simulated, limits: Limits, compression: Compression) -> Self {
        let (recovered, medium) = recovery::open(disk, new_id(), compression).unwrap();
        let settings = Settings { folder: "queue".into(), limits, compression, drain: false };
        let gauge = Gauge::new(settings);
        let framer = Framer::new(compression, &gauge.encoded);
        let page = recovered.pages.last().unwrap().number;
        let book = Arc::new(Book::new(Arc::new(disk.clone()), limits, recovered, Arc::new(gauge), None));
        let tail = Tail::new(Arc::clone(&book), medium, page, new_id);
        let head = Head::new(Arc::clone(&book));
        Self { book, tail, head, framer, out: Vec::new() }
    }

    /// Appends events of these numbers; false when there is no room, or the disk did not take them.
    fn append(&mut self, numbers: std::ops::Range<i64>) -> bool {
        let (mut pack, mut frame) = (Pack::default(), Vec::new());
        let large = self.book.gauge().settings.compression.is_on();
        numbers.for_each(|number| pack.push(&event(number, large && number % 3 > 0)));
        let count = pack.events();
        self.framer.write(7, count, &mut frame, |out| pack.write(out));
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

/// An event of a number. A large one has a text that gets much shorter when it is deflated.
fn event(number: i64, large: bool) -> Event {
    let mut event = Event::new([("n".into(), number.into())].into_iter().collect());
    if large {
        event.set_field("text".into(), "x".repeat(1200).as_str().into());
    }
    event
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
    fn new(seed: u64, compression: Compression) -> Self {
        let disk = Simulated::default();
        let queue = Opened::compressing(&disk, LIMITS, compression);
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
        let compression = self.queue.book.gauge().settings.compression;
        let mut queue = Opened::compressing(&disk, Limits { bytes: 1 << 20, ..LIMITS }, compression);
        let back = queue.all();
        let numbers: Vec<i64> = back.iter().map(|(number, _)| *number).collect();
        let first = numbers.first().copied().unwrap_or(promise.synced.max(promise.settled));
        assert!((promise.saved..=promise.settled).contains(&first), "{first} comes first {about}");
        assert_eq!(numbers, (first..first + numbers.len() as i64).collect::<Vec<_>>(), "{about}");
        assert!(first + numbers.len() as i64 >= promise.synced, "only {numbers:?} {about}");
        for (number, id) in &back {
            assert!(self.ids.get(number).is_none_or(|known| known == id), "{number} has another id {about}");
        }
        // Its second life: what is new has ids that nothing else had, and all is there after another crash, whatever is to be compressed then.
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
    hold_whatever_a_crash_leaves(Compression::None);
}

#[test]
fn whatever_a_crash_leaves_the_promises_hold_with_compression() {
    hold_whatever_a_crash_leaves(Compression::Speed);
}

fn hold_whatever_a_crash_leaves(compression: Compression) {
    let mut crashes = 0;
    for seed in 0..40 {
        let mut work = Work::new(seed, compression);
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

/// The bytes of the pages behind their headers.
fn bytes_of(disk: &Simulated, numbers: std::ops::Range<i64>, compression: Compression) -> usize {
    let before = disk_size(disk);
    let mut queue = Opened::compressing(disk, Limits { page: 1 << 20, bytes: 1 << 20, ..LIMITS }, compression);
    let large = |number| event(number, true);
    let (mut pack, mut frame) = (Pack::default(), Vec::new());
    numbers.map(large).for_each(|event| pack.push(&event));
    let count = pack.events();
    queue.framer.write(7, count, &mut frame, |out| pack.write(out));
    assert_eq!(queue.tail.append(&frame, count, Room::Limited).unwrap(), Appended::Whole);
    disk_size(disk) - before - HEADER as usize
}

#[test]
fn a_queue_is_read_whatever_its_compression_was_and_is() {
    let disk = Simulated::default();
    let modes = [Compression::None, Compression::Speed, Compression::Balanced, Compression::Size, Compression::None];
    let sizes: Vec<usize> = (0..).zip(modes).map(|(at, mode)| bytes_of(&disk, 10 * at..10 * at + 10, mode)).collect();
    assert!(sizes[1..4].iter().all(|size| size * 5 < sizes[0]) && sizes[4] == sizes[0], "{sizes:?}");
    // What can't be deflated is in pages that an elkhound of before reads, too.
    let deflatable = |page: usize| Header::decode(&disk.file(&format!("{page}.page"))).unwrap().deflatable;
    assert_eq!((1..=5).map(deflatable).collect::<Vec<_>>(), [false, true, true, true, false]);
    for mode in modes {
        let back = Opened::compressing(&disk, LIMITS, mode).all();
        assert_eq!(back.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    }
}

#[test]
fn the_limit_is_for_bytes_on_disk() {
    let filled = |compression| {
        let disk = Simulated::default();
        let mut queue = Opened::compressing(&disk, LIMITS, compression);
        // Beginning with a large one where it may be deflated.
        let written = (0..).map(|at| 3 * at + 1).take_while(|at| queue.append(*at..at + 1)).count();
        (written, disk_size(&disk))
    };
    let (raw, compressed) = (filled(Compression::None), filled(Compression::Size));
    assert!((1000..=1500).contains(&raw.1) && (1000..=1500).contains(&compressed.1), "{raw:?} {compressed:?}");
    // Their texts alone would take ten times the limit.
    assert!(compressed.0 * 1200 > 5000, "{raw:?} {compressed:?}");
}

#[test]
fn a_deflated_frame_that_is_none_is_damage_as_a_raw_one_is() {
    for spoil in [spoil_body, spoil_length] {
        let disk = Simulated::default();
        let mut queue = Opened::compressing(&disk, LIMITS, Compression::Balanced);
        (0..20).for_each(|number| assert!(queue.append(number..number + 1)));
        spoil(&disk);
        let next = queue.book.page(2).unwrap().first as i64;
        let numbers: Vec<i64> = queue.all().iter().map(|(number, _)| *number).collect();
        // Number 0 is a raw frame, number 1 the spoiled one.
        assert_eq!(numbers, (0..1).chain(next..20).collect::<Vec<_>>());
        assert_eq!(queue.book.all_lost() as i64, next - 1);
    }
}

/// Where the second frame of the first page begins.
fn second_frame(page: &[u8]) -> usize {
    let length: &[u8; 4] = page[HEADER as usize..].first_chunk().unwrap();
    HEADER as usize + 12 + u32::from_le_bytes(*length) as usize
}

/// Changes a deflated byte, so that the sum is wrong.
fn spoil_body(disk: &Simulated) {
    let at = second_frame(&disk.file("1.page")) as u64;
    disk.open("1.page").unwrap().write_at(at + 12 + 8 + 4 + 3, b"\xff").unwrap();
}

/// Has the frame say that it was longer by one, under a sum that is right.
fn spoil_length(disk: &Simulated) {
    let page = disk.file("1.page");
    let at = second_frame(&page);
    let length: &[u8; 4] = page[at..].first_chunk().unwrap();
    let mut frame = page[at..at + 12 + u32::from_le_bytes(*length) as usize].to_vec();
    frame[20] += 1;
    let mut sum = flate2::Crc::new();
    [&frame[..8], &frame[12..]].iter().for_each(|part| sum.update(part));
    frame[8..12].copy_from_slice(&sum.sum().to_le_bytes());
    disk.open("1.page").unwrap().write_at(at as u64, &frame).unwrap();
}
