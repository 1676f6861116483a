//! Reads json-file logs straight from their files: the engine is not asked for lines, so reading costs dockerd nothing.
//!
//! One thread goes round all logs and takes a block from each that has grown, so a busy container delays a quiet one by no more than a block
//! of each other log. Which logs there are is told by the supervisor, which knows it from the engine's events; or, where no engine is
//! asked at all, a glob finds them, and what is known about a container is read from the files that dockerd keeps beside its log.
//!
//! What it promises: the same lines, positions and identities as through the engine's API, so that one can follow the other;
//! and every line that Docker still keeps.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use elkhound_pipeline::flow::budget::Charge;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::flow::receipt::Receipt;
use flume::{Receiver, Sender};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::chunk::{Layers, LinesChunk};
use super::cursor::Cursors;
use super::follow::{Start, source_number};
use super::ledger::ContainerLedger;
use super::metadata::Container;
use super::position::IdPrefix;
use super::select::Wanted;
use crate::files;

mod described;
mod log;
mod segments;

use described::described;
use log::{BLOCK, Log, Reading, Step};

/// How long all logs may be at their end before they are looked at again.
const POLL: Duration = Duration::from_millis(50);

/// How often a glob is looked for new logs, beside when its folder has changed.
const DISCOVER: Duration = Duration::from_secs(1);

/// How long a folder that has changed is looked at with every poll: a container's log comes after its folder.
const FRESH: Duration = Duration::from_secs(10);

/// How many orders may wait; then the supervisor's tasks wait until the thread, which may wait for the queue, takes them up.
const ORDERS: usize = 256;

/// What the supervisor asks the thread to do.
pub(super) enum Order {
    /// Read the log at `path`, of `container`.
    Read {
        /// The log, which need not be there yet.
        path: PathBuf,
        /// Whose it is.
        container: Box<Container>,
        /// What its events share.
        layers: Layers,
        /// Where to begin without a cursor.
        start: Start,
    },
    /// What the events of the log at `path` share has changed.
    Describe {
        /// The log.
        path: PathBuf,
        /// What its events share now.
        layers: Layers,
    },
}

/// The way of orders to the thread.
pub(super) fn orders() -> (Sender<Order>, Receiver<Order>) {
    flume::bounded(ORDERS)
}

/// Where the thread learns of logs.
pub(super) enum Known {
    /// From a glob; the last makes what a container's events share.
    Found(String, Box<dyn Fn(&Container) -> Layers + Send>),
    /// From the supervisor.
    Told(Receiver<Order>),
}

/// What all logs need.
pub(super) struct Files {
    /// Where logs come from.
    pub(super) known: Known,
    /// The longest line, in bytes.
    pub(super) limit: usize,
    /// Leaves out terminal control sequences.
    pub(super) strip_ansi: bool,
    /// Where to begin without a cursor in logs that are found at the first look.
    pub(super) start: Start,
    /// Which containers are left out.
    pub(super) wanted: Wanted,
    /// How far each log is safe.
    pub(super) cursors: Arc<Cursors>,
    /// Where lines go.
    pub(super) queue: Queue,
    /// The end.
    pub(super) stop: CancellationToken,
}

/// The agent stops, or the pipeline is closed.
struct Stopped;

/// A log and what its chunks carry.
struct Followed {
    log: Log,
    name: String,
    prefix: IdPrefix,
    source: u64,
    gaps: u64,
    /// It could not be read the last time, which has been said.
    failed: bool,
}

type Logs = HashMap<PathBuf, Option<Followed>>;

impl Files {
    /// Reads until the agent stops. Runs on a thread of its own; `runtime` is for waiting only.
    pub(super) fn run(self, runtime: &Handle) {
        let mut logs = Logs::new();
        let mut block = Vec::new();
        let mut finder = Finder::default();
        if let Known::Found(pattern, _) = &self.known {
            info!(path = pattern, "reading containers' log files");
        }
        while !self.stop.is_cancelled() {
            let told = self.learn(&mut logs, &mut finder);
            match self.round(&mut logs, &mut block, runtime) {
                Err(Stopped) => return,
                Ok(true) => {}
                Ok(false) if told => {}
                Ok(false) => self.pause(runtime),
            }
        }
    }

    fn pause(&self, runtime: &Handle) {
        runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        });
    }

    /// Takes up logs that are new; true when there was one.
    fn learn(&self, logs: &mut Logs, finder: &mut Finder) -> bool {
        match &self.known {
            Known::Told(orders) => {
                logs.retain(|_, log| log.is_some());
                let before = logs.len();
                orders.try_iter().for_each(|order| self.obey(order, logs));
                logs.len() > before
            }
            Known::Found(pattern, describe) => {
                let Some(first) = finder.due(pattern) else { return false };
                self.discover(pattern, describe, first, logs)
            }
        }
    }

    fn obey(&self, order: Order, logs: &mut Logs) {
        match order {
            Order::Read { path, container, layers, start } => {
                logs.entry(path).or_insert_with_key(|path| Some(self.open(path, &container, layers, start)));
            }
            Order::Describe { path, layers } => {
                if let Some(Some(followed)) = logs.get_mut(&path) {
                    followed.log.layers = layers;
                }
            }
        }
    }

    /// Opens logs that are new. Those that are there at the first look begin where the option says, later ones at their start.
    fn discover(&self, pattern: &str, describe: &dyn Fn(&Container) -> Layers, first: bool, logs: &mut Logs) -> bool {
        let found = match files::matching(pattern) {
            Ok(found) => found,
            Err(error) => {
                warn!(path = pattern, reason = %error, "the logs can't be listed; it is tried again");
                return false;
            }
        };
        logs.retain(|path, log| log.is_some() || path.exists());
        let before = logs.len();
        let own = if first || found.len() > before { described::own(pattern) } else { Default::default() };
        for path in found {
            if logs.contains_key(&path) {
                continue;
            }
            let container = described(&path);
            let reason = self.wanted.exclusion(&container, &own);
            if let Some(reason) = reason {
                info!(container = container.name, reason, "this container is left out");
            }
            let start = if first { self.start } else { Start::Beginning };
            let log = reason.is_none().then(|| self.open(&path, &container, describe(&container), start));
            logs.insert(path, log);
        }
        logs.len() > before
    }

    fn open(&self, path: &Path, container: &Container, layers: Layers, start: Start) -> Followed {
        self.cursors.begin(&container.id, "json-file");
        let ledger = Arc::new(ContainerLedger::new(&container.id, Arc::clone(&self.cursors)));
        let read = self.cursors.of(&container.id).map(|cursor| cursor.marks).unwrap_or_default();
        let from_end = start == Start::End && read.is_empty();
        let (limit, strip_ansi) = (self.limit, self.strip_ansi);
        let reading = Reading { limit, strip_ansi, tty: container.tty, from_end, read };
        Followed {
            log: Log::new(path, layers, ledger, reading),
            name: container.name.clone(),
            prefix: IdPrefix::new(&container.id),
            source: source_number(&container.id),
            gaps: 0,
            failed: false,
        }
    }

    /// A block from each log that has one; false when none had.
    fn round(&self, logs: &mut Logs, block: &mut Vec<u8>, runtime: &Handle) -> Result<bool, Stopped> {
        let mut any = false;
        for (path, slot) in logs.iter_mut() {
            let Some(followed) = slot else { continue };
            let step = followed.log.advance(block);
            let failed = step.is_err();
            match step {
                Ok(Step::Read) => any = true,
                Ok(Step::Gone) => {
                    self.hand_on(followed, runtime)?;
                    followed.log.ledger.gone();
                    *slot = None;
                    continue;
                }
                Err(error) if !followed.failed => {
                    warn!(path = %path.display(), reason = %error, "a log can't be read; check the rights on it; it is tried again");
                }
                Ok(Step::End) | Err(_) => {}
            }
            followed.failed = failed;
            self.hand_on(followed, runtime)?;
        }
        Ok(any)
    }

    /// Hands on the lines of a log, waiting while the queue is full.
    fn hand_on(&self, followed: &mut Followed, runtime: &Handle) -> Result<(), Stopped> {
        let log = &mut followed.log;
        if log.lines.is_empty() {
            return Ok(());
        }
        let lines = log.lines.seal(BLOCK / 2);
        let gap = log.joiner.take_gap();
        if let Some(gap) = &gap {
            followed.gaps += 1;
            gap.report(&followed.name, followed.gaps);
        }
        let charge = self.charge(LinesChunk::cost(&lines), runtime).ok_or(Stopped)?;
        log.read.advance(&lines.marks);
        let number = log.ledger.open(log.read);
        let receipt = Receipt::open(Arc::clone(&log.ledger) as _, number, Some(charge));
        let chunk = LinesChunk { lines, gap, layers: log.layers.clone(), prefix: followed.prefix, receipt };
        self.queue.send_blocking(followed.source, Box::new(chunk)).map_err(|_| Stopped)
    }

    fn charge(&self, bytes: usize, runtime: &Handle) -> Option<Charge> {
        runtime.block_on(async {
            tokio::select! {
                biased;
                charge = self.queue.charge(bytes) => Some(charge),
                () = self.stop.cancelled() => None,
            }
        })
    }
}

/// Decides when a glob is looked at again.
#[derive(Default)]
struct Finder {
    looked: Option<Instant>,
}

impl Finder {
    /// Whether it is time to look, and if so, whether it is for the first time.
    fn due(&mut self, pattern: &str) -> Option<bool> {
        let first = self.looked.is_none();
        let due = self.looked.is_none_or(|at| at.elapsed() >= DISCOVER) || is_fresh(pattern);
        due.then(|| {
            self.looked = Some(Instant::now());
            first
        })
    }
}

/// Whether a container was made or removed lately.
fn is_fresh(pattern: &str) -> bool {
    let fixed = pattern.split(['*', '?', '[', '{']).next().unwrap_or_default();
    let folder = fixed.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let changed = std::fs::metadata(folder).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age < FRESH))
}
