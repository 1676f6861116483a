//! The queue on disk (`queue.type: persisted`), between a pipeline's inputs and its workers.
//!
//! ```text
//! inputs ─▶ queue in memory ─▶ writer ─▶ pages on disk ─▶ reader ─▶ queue in memory ─▶ workers ─▶ outputs
//!                ◀─ receipts, when synced                    ◀─ receipts, when delivered ─ checkpoint
//! ```
//!
//! # What it promises
//!
//! 1. An input's receipt is acknowledged only when its events are synced (`fdatasync`) here. So what an input can read again is never lost, and of what it
//!    can't (tcp, udp), a power cut takes at most what the settings below allow, and the end of the process nothing that was written.
//! 2. An event is taken out only when the receipts of all outputs are back. What was handed out and not acknowledged comes again after the next start,
//!    in the order in which it came, with the identity that it had: its own, or that of its place in the queue. So Elasticsearch has it once.
//! 3. What comes again is at most what is behind the last checkpoint, which is written after `queue.checkpoint.acks` events that were taken out and every
//!    `queue.checkpoint.interval` milliseconds; a stop in good order leaves none. What was written is synced after `queue.checkpoint.writes` events,
//!    after the same interval, when a page is full, and before the inputs would wait for it.
//! 4. Pages are append-only and checksummed by frame. After a crash the last one is cut at the first frame that is none, with a warning that says how
//!    much; a frame that is damaged later is found when it is read, and costs the rest of its page, with a warning and a counter.
//! 5. Disk and memory are bounded: pages by `queue.max_bytes` (more than that only by what was in memory when a stop was given up), what is read ahead by
//!    three quarters of the pipeline's byte budget, what is not written yet by the other quarter.
//! 6. A queue that is full, and a disk that takes nothing, make the inputs wait. Nothing is dropped; it is tried again every second, and told.
//! 7. A folder belongs to one process (a lock that the kernel keeps), and in it to one pipeline at a time ([`crate::claim`]).
//!
//! # What it leaves out
//!
//! Taking out single events: a frame (what an input handed on at once, 128 KiB at most) is taken out as a whole, and the checkpoint passes the longest row of
//! frames that are safe, so one event that no output takes keeps everything behind it on disk. Copies on other hosts. Logstash's format: its pages are
//! neither read nor touched.
//!
//! # Format
//!
//! `N.page` ([`page`], whose frames may be deflated: [`deflate`]), numbered from 1, and `checkpoint` ([`checkpoint`]), each with a version. The model test ([`model`]) tries all of it on a disk that crashes
//! at every write.

mod book;
mod checkpoint;
mod deflate;
mod head;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod model;
mod page;
mod recovery;
#[cfg(test)]
mod simulated;
mod storage;
mod tail;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use elkhound_pipeline::flow::budget::{Budget, EVENT};
use elkhound_pipeline::flow::queue::{Lane, Order, Queue, queue};
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::plan::Plan;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::book::{Book, tell_unsaved};
pub(crate) use self::deflate::{Compression, Meter};
use self::head::{Head, Packed};
use self::page::PageId;
use self::storage::Folder;
use self::tail::Tail;
use self::writer::Writer;
use crate::claim::{self, Claim};
use crate::limit::Limit;
use crate::random;
use crate::volume;

/// Where a pipeline's queue is, and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// How much it may hold, and how often it is made safe.
    pub(crate) limits: Limits,
    /// How what is written is compressed; what is there is read in either form.
    pub(crate) compression: Compression,
    /// Whether a stop waits until it is empty.
    pub(crate) drain: bool,
}

/// How much a queue may hold, and how often it is made safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a page.
    pub(crate) page: u64,
    /// Bytes of all pages.
    pub(crate) bytes: u64,
    /// Events; 0 for any number.
    pub(crate) events: u64,
    /// Events that are taken out between two checkpoints; 0 for any number.
    pub(crate) acks: u64,
    /// Events that are written between two syncs; 0 for any number.
    pub(crate) writes: u64,
    /// The longest time between two checkpoints and two syncs.
    pub(crate) interval: Option<Duration>,
}

/// What a queue holds, for the monitoring API.
#[derive(Debug)]
pub(crate) struct Gauge {
    /// Where it is, and how it is kept.
    pub(crate) settings: Settings,
    /// Events that are not safe at the outputs.
    pub(crate) events: AtomicU64,
    /// Bytes of all pages.
    pub(crate) bytes: AtomicU64,
    /// Events that could not be read for damage, and those that a defect has cost.
    pub(crate) lost: AtomicU64,
    /// What became of bytes that were to be compressed...
    pub(crate) encoded: Arc<Meter>,
    /// ...and of those that were read.
    pub(crate) decoded: Arc<Meter>,
    /// Since when all of this is counted.
    pub(crate) since: Instant,
}

impl Gauge {
    /// One of an empty queue.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            events: AtomicU64::default(),
            bytes: AtomicU64::default(),
            lost: AtomicU64::default(),
            encoded: Arc::default(),
            decoded: Arc::default(),
            since: Instant::now(),
        }
    }
}

/// What the reader hears of the pipeline's end.
pub(crate) struct Ends {
    /// The inputs are to end. What is on disk stays there, unless it is to be drained.
    pub(crate) stop: CancellationToken,
    /// Another pipeline goes on with the queue.
    pub(crate) leave: CancellationToken,
    /// The outputs take nothing more.
    pub(crate) give_up: CancellationToken,
}

/// A queue between the inputs' end and the workers', not yet opened.
pub(crate) struct DiskQueue {
    lane: Lane,
    queue: Queue,
    gauge: Arc<Gauge>,
    plan: Arc<Plan>,
    round: u64,
    sync_bytes: usize,
}

impl DiskQueue {
    /// A queue with the ends for the inputs and for each of `workers`. Both have their share of `bytes`: were there one budget, inputs could use it up and
    /// nothing could be read. `round` counts how often pipelines were loaded before; events that
    /// can't be packed go where `plan` says.
    pub(crate) fn new(
        settings: &Settings,
        (workers, order): (usize, Order),
        bytes: usize,
        round: u64,
        plan: Arc<Plan>,
    ) -> (Queue, Vec<Lane>, Self) {
        let (front, mut lanes) = queue(1, Order::Free, Budget::new(bytes / 4));
        let (back, workers) = queue(workers, order, Budget::new(bytes - bytes / 4));
        let lane = lanes.remove(0);
        let gauge = Arc::new(Gauge::new(settings.clone()));
        (front, workers, Self { lane, queue: back, gauge, plan, round, sync_bytes: bytes / 16 })
    }

    /// What it holds.
    pub(crate) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    /// The bytes that events in memory may take, behind the disk.
    pub(crate) fn budget(&self) -> &Budget {
        self.queue.budget()
    }

    /// Works until all inputs are gone, and everything that they handed on is safe and, as the case may be, handed to the workers.
    ///
    /// # Errors
    /// When the queue can't be opened; nothing was taken from the inputs then.
    pub(crate) async fn run(self, ends: Ends) -> Result<()> {
        let folder = self.gauge.settings.folder.clone();
        let Some(claim) = claim::take(&folder, self.round, &ends.give_up).await else { return Ok(()) };
        let (give_up, guard) = (ends.give_up.clone(), [ends.stop.clone(), ends.leave.clone()]);
        let opened = spawn_blocking(move || self.open(claim, ends)).await.context("the queue could not be opened")?;
        let remedy = || format!("the queue in {} can't be opened", folder.display());
        let Opened { book, threads } = opened.with_context(remedy)?;
        let mut joined =
            spawn_blocking(move || threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count());
        let panicked = tokio::select! {
            panicked = &mut joined => panicked,
            () = give_up.cancelled() => {
                book.give_up();
                joined.await
            }
        };
        let panicked = panicked.context("the threads of the queue could not be joined")?;
        if panicked > 0 {
            guard.iter().for_each(CancellationToken::cancel);
        }
        anyhow::ensure!(panicked == 0, "a thread of the queue on disk ended by a panic, which is a defect of elkhound");
        Ok(())
    }

    /// Opens the queue and starts its threads.
    fn open(self, claim: Claim, ends: Ends) -> Result<Opened> {
        let Self { lane, queue, gauge, plan, sync_bytes, .. } = self;
        let Settings { folder, limits, compression, drain } = gauge.settings.clone();
        let storage: Arc<dyn storage::Storage> = Arc::new(Folder::open(&folder)?);
        let (recovered, medium) = recovery::open(&*storage, new_id(), compression)?;
        let (cut, foreign) = (recovered.cut, recovered.foreign);
        let page = recovered.pages.last().map_or(1, |page| page.number);
        let book = Arc::new(Book::new(storage, limits, recovered, Arc::clone(&gauge), Some(claim)));
        tell(&gauge, cut, foreign);
        let tail = Tail::new(Arc::clone(&book), medium, page, new_id);
        let writer = Writer::new(lane, tail, Arc::clone(&book), sync_bytes, plan);
        let reader = Reader { head: Head::new(Arc::clone(&book)), book: Arc::clone(&book), queue, drain, ends };
        let kept = Arc::clone(&book);
        let threads = vec![
            thread::Builder::new().name("queue-writer".into()).spawn(|| writer.run())?,
            thread::Builder::new().name("queue-reader".into()).spawn(|| reader.run())?,
            thread::Builder::new().name("queue-keeper".into()).spawn(move || keep(&kept))?,
        ];
        Ok(Opened { book, threads })
    }
}

struct Opened {
    book: Arc<Book>,
    threads: Vec<JoinHandle<()>>,
}

fn new_id() -> PageId {
    let mut id = [0; 12];
    id[..8].copy_from_slice(&random::number().to_le_bytes());
    id[8..].copy_from_slice(&random::number().to_le_bytes()[..4]);
    PageId(id)
}

fn tell(gauge: &Gauge, cut: u64, foreign: usize) {
    let folder = gauge.settings.folder.display();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    info!(%folder, events = read(&gauge.events), bytes = read(&gauge.bytes), "events are kept in the queue on disk");
    tell_room(gauge);
    if cut > 0 {
        warn!(
            %folder,
            bytes = cut,
            "the queue on disk ends with what is no whole event, as after a crash; that was cut off, and its inputs had no receipt for it"
        );
    }
    if foreign > 0 {
        warn!(
            %folder,
            pages = foreign,
            "pages of Logstash's own queue are here, which elkhound can't read; let Logstash drain them (queue.drain) or remove them"
        );
    }
}

/// A queue that may become larger than its disk is no mistake, but the disk's other users would be the first to notice.
fn tell_room(gauge: &Gauge) {
    let Settings { folder, limits, .. } = &gauge.settings;
    let Some(free) = volume::free(folder) else { return };
    let room = free + gauge.bytes.load(Ordering::Relaxed);
    if room < limits.bytes {
        let (folder, max_bytes) = (folder.display(), limits.bytes);
        warn!(
            %folder,
            room,
            max_bytes,
            "the disk has less room than the queue may take; lower queue.max_bytes, or put path.queue on another disk"
        );
    }
}

/// Whether a queue could be opened in this folder now, which is made when it is not there.
///
/// # Errors
/// Why it can't.
pub(crate) fn can_open(folder: &Path) -> std::io::Result<()> {
    Folder::open(folder).map(drop)
}

/// The bytes that wait in a queue which nobody has open, for one that is not used any more.
pub(crate) fn left_in(folder: &Path) -> u64 {
    recovery::left_in(folder).unwrap_or_default()
}

/// The thread that hands out what is on disk. When it ends, the workers have all that they get.
struct Reader {
    head: Head,
    book: Arc<Book>,
    queue: Queue,
    drain: bool,
    ends: Ends,
}

impl Reader {
    fn run(mut self) {
        static LIMIT: Limit = Limit::new();
        while !self.is_over() {
            match self.head.next(true) {
                Ok(Some(taken)) => {
                    if !self.hand_on(taken) {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    if let Some(suppressed) = LIMIT.pass() {
                        warn!(reason = %error, suppressed, "a page of the queue on disk can't be read; it is tried again");
                    }
                    self.book.pause();
                }
            }
        }
    }

    /// Whether the rest stays on disk. Until all is written, room may be needed.
    fn is_over(&self) -> bool {
        let Ends { stop, leave, .. } = &self.ends;
        let left = leave.is_cancelled() || (stop.is_cancelled() && !self.drain);
        self.book.is_given_up() || (self.book.is_closed() && left)
    }

    fn hand_on(&self, taken: head::Taken) -> bool {
        // The output may hold all of it and let go only when the lane is closed.
        let bytes = taken.packed.len() + taken.events * EVENT;
        let Some(charge) = self.queue.budget().charge_until(bytes, || self.is_over()) else { return false };
        if self.is_over() {
            return false;
        }
        let (source, number) = (taken.source, self.book.hand_out(taken.end));
        let receipt = Receipt::open(Arc::clone(&self.book) as _, number, Some(charge));
        self.queue.send_blocking(source, Box::new(Packed { taken, receipt, book: Arc::clone(&self.book) })).is_ok()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.book.end();
        if thread::panicking() {
            self.ends.leave.cancel();
            self.ends.stop.cancel();
        }
    }
}

/// The thread that writes checkpoints.
fn keep(book: &Book) {
    while book.wait_until_due() {
        if let Err(error) = book.save() {
            tell_unsaved(&error);
            book.pause();
        }
    }
}
