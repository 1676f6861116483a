//! Reads json-file logs straight from their files: the engine is not asked for lines, so reading costs dockerd nothing.
//!
//! One thread goes round all logs and takes a block from each that has grown, so a busy container delays a quiet one by no more than a block
//! of each other log. It sleeps until the kernel says which log has changed; one that is written to all the time is read at most
//! every hundredth of a second, however many lines come. Which logs there are is told by the supervisor, which knows it from the engine's events; or, where no engine is
//! asked at all, a glob finds them, and what is known about a container is read from the files that dockerd keeps beside its log.
//!
//! What it promises: the same lines, positions and identities as through the engine's API, so that one can follow the other;
//! and every line that Docker still keeps.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use elkhound_pipeline::flow::budget::Charge;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use flume::{Receiver, Sender};
use tokio::runtime::Handle;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::chunk::{Content, LinesChunk};
use super::cursor::Cursors;
use super::follow::{Start, source_number};
use super::ledger::ContainerLedger;
use super::metadata::{Container, Host};
use super::position::IdPrefix;
use super::screen::Screen;
use super::select::{Own, Wanted};
use super::supervisor::Describe;
use crate::claim::Claim;
use crate::files;

mod backlog;
mod described;
mod finder;
pub(super) mod handover;
mod held;
mod log;
mod segments;
mod watch;

use backlog::Backlog;
use described::described;
use finder::Finder;
use handover::OpenLog;
use log::{BLOCK, Log, Reading, Step};
use watch::{Changed, Trust, Watcher};

/// How often a log is looked at whose changes the kernel doesn't tell.
const POLL: Duration = Duration::from_millis(50);

/// How often one is looked at whose changes it should tell: lines without an end are flushed then, and it is seen whether it does.
const SLOW: Duration = Duration::from_secs(2);

/// How long all logs rest after lines were read, so that those of a burst are read together.
const GATHER: Duration = Duration::from_millis(10);

/// How many times as long as a round over many busy logs the rest after it is, up to [`POLL`].
const REST: u32 = 4;

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
        /// Where that runs.
        host: Arc<Host>,
        /// Where to begin without a cursor.
        start: Start,
    },
    /// The container whose log is at `path` has changed.
    Describe {
        /// The log.
        path: PathBuf,
        /// The container as it is now.
        container: Box<Container>,
    },
}

/// What the reader of the files claims whose cursors are at `cursors`, until its last receipt is back. It is a name only.
pub(super) fn claimed(cursors: &Path) -> PathBuf {
    cursors.with_extension("files")
}

/// The way of orders to the thread.
pub(super) fn orders() -> (Sender<Order>, Receiver<Order>) {
    flume::bounded(ORDERS)
}

/// Where the thread learns of logs.
pub(super) enum Known {
    /// From a glob, on this host.
    Found(String, Arc<Host>),
    /// From the supervisor.
    Told(Receiver<Order>),
}

/// What all logs need.
pub(super) struct Files {
    /// Where logs come from.
    pub(super) known: Known,
    /// Makes what the events of a container share.
    pub(super) describe: Describe,
    /// The longest line, in bytes.
    pub(super) limit: usize,
    /// Leaves out terminal control sequences.
    pub(super) strip_ansi: bool,
    /// Whether containers' hints are heeded.
    pub(super) hints: bool,
    /// Whether events tell where their line begins in its file.
    pub(super) offsets: bool,
    /// How many lines a second a container may write; 0 for any number.
    pub(super) rate_limit: u64,
    /// Where to begin without a cursor in logs that are found at the first look.
    pub(super) start: Start,
    /// Which containers are left out.
    pub(super) wanted: Wanted,
    /// How far each log is safe.
    pub(super) cursors: Arc<Cursors>,
    /// How often pipelines were loaded before this one.
    pub(super) round: u64,
    /// Reading begins where all is safe, so nobody else may be moving cursors of logs that are read from files: see [`claimed`].
    pub(super) claim: Arc<Claim>,
    /// Set when the logs are taken over that the reader before this one had open.
    pub(super) has_taken_over: Arc<AtomicBool>,
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
    screen: Screen,
    /// Whose log it is, for whoever reads it next.
    container: Box<Container>,
    host: Arc<Host>,
    /// When the files that describe the container were written that it was described from; nothing where the supervisor describes it.
    described: Option<SystemTime>,
    prefix: IdPrefix,
    source: u64,
    gaps: u64,
    /// It was read to its end and its container is gone; it is only kept until its lines are safe.
    gone: bool,
    /// It could not be read the last time, which has been said.
    failed: bool,
    /// When it is looked at next.
    next: Instant,
    /// It was at its end, and the kernel is to tell when that changes.
    waits: bool,
    trust: Trust,
}

impl Followed {
    /// Lines were there at this look.
    fn has_read(&mut self, path: &Path, now: Instant) {
        self.next = now;
        if std::mem::take(&mut self.waits) && self.trust.untold() {
            warn!(path = %path.display(), "the kernel does not tell of new lines in this log, as on a network's file system; it is looked at every 50 ms, which costs more");
        }
    }

    /// It is at its end. True when the kernel watches it only from now on, so that it has to be looked at once more.
    fn is_at_end(&mut self, path: &Path, now: Instant, watcher: &mut Watcher) -> bool {
        let begins = !self.waits;
        if begins {
            self.waits = self.trust.holds() && path.parent().is_some_and(|folder| watcher.arm(folder));
        }
        self.next = now + if self.waits { SLOW } else { POLL };
        begins && self.waits
    }

    /// Something in its folder has changed.
    fn wake(&mut self, now: Instant) {
        self.waits = false;
        self.trust.told();
        self.next = now;
    }
}

type Logs = HashMap<PathBuf, Option<Followed>>;

impl Files {
    /// Reads until the agent stops. Runs on a thread of its own; `runtime` is for waiting only.
    pub(super) fn run(self, runtime: &Handle) {
        let cursors = self.cursors.path();
        runtime.spawn(handover::close_unwanted(cursors.to_owned(), claimed(cursors), self.round));
        let within = runtime.enter();
        let mut watcher = Watcher::new();
        drop(within);
        let mut logs = Logs::new();
        let mut block = Vec::new();
        let mut finder = None;
        self.take_over(&mut logs);
        self.has_taken_over.store(true, Ordering::Release);
        if let Known::Found(pattern, _) = &self.known {
            info!(path = pattern, "reading containers' log files");
            finder = Some(Finder::new(pattern));
        }
        let mut busy = false;
        let mut backlog = Backlog::new(Instant::now());
        while !self.stop.is_cancelled() {
            let began = Instant::now();
            if backlog.is_due(began) {
                self.look_behind(&logs, &mut backlog, began);
            }
            let told = self.learn(&mut logs, finder.as_mut(), &mut watcher);
            match self.round(&mut logs, &mut watcher, &mut block, runtime) {
                Err(Stopped) => break,
                Ok(true) => {
                    busy = true;
                    wake(&mut logs, finder.as_mut(), &watcher.take());
                }
                Ok(false) if told => {}
                Ok(false) => {
                    if std::mem::take(&mut busy) {
                        self.rest((began.elapsed() * REST).clamp(GATHER, POLL), runtime);
                    }
                    self.wait(&mut logs, finder.as_mut(), &mut watcher, runtime);
                }
            }
        }
        self.hand_over(logs);
    }

    /// Goes on with the logs that the reader before this one had open, those of removed containers among them.
    fn take_over(&self, logs: &mut Logs) {
        for OpenLog { path, container, host, files } in handover::take(self.cursors.path()) {
            let safe = self.cursors.of(&container.id).is_none();
            if safe || self.wanted.exclusion(&container, &Own::default()).is_some() {
                continue;
            }
            let mut followed = self.open(&path, container, host, self.start);
            if let Err(error) = followed.log.go_on_in(files) {
                warn!(path = %path.display(), reason = %error, "a log that was open can't be read on; it is opened again");
            }
            logs.insert(path, Some(followed));
        }
    }

    /// Leaves the logs to the reader that comes next, if there is one.
    fn hand_over(&self, logs: Logs) {
        let open = |(path, followed): (PathBuf, Option<Followed>)| {
            let Followed { log, container, host, .. } = followed?;
            Some(OpenLog { path, container, host, files: log.into_files() })
        };
        handover::leave(self.cursors.path(), self.round, logs.into_iter().filter_map(open).collect());
    }

    /// Notes how much of each log is left to be read.
    fn look_behind(&self, logs: &Logs, backlog: &mut Backlog, now: Instant) {
        let mut all = 0;
        for followed in logs.values().flatten() {
            let left = followed.log.left();
            followed.log.ledger.is_behind(left);
            all += left;
        }
        self.cursors.are_behind(backlog.look(all, now));
    }

    fn rest(&self, pause: Duration, runtime: &Handle) {
        runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        });
    }

    /// Waits until there is something to do, and wakes the logs that it concerns.
    fn wait(&self, logs: &mut Logs, finder: Option<&mut Finder>, watcher: &mut Watcher, runtime: &Handle) {
        let slow = Instant::now() + SLOW;
        let next =
            logs.values().flatten().map(|followed| followed.next).chain(finder.as_ref().map(|finder| finder.next()));
        let next = next.min().unwrap_or(slow).min(slow);
        let order = runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => None,
                () = watcher.changed() => None,
                order = self.order() => Some(order),
                () = sleep_until(next.into()) => None,
            }
        });
        if let Some(order) = order {
            self.obey(order, logs);
        }
        wake(logs, finder, &watcher.take());
    }

    /// The supervisor's next order. Never, where there is none or it has ended.
    async fn order(&self) -> Order {
        if let Known::Told(orders) = &self.known
            && let Ok(order) = orders.recv_async().await
        {
            return order;
        }
        std::future::pending().await
    }

    /// Takes up logs that are new; true when there was one.
    fn learn(&self, logs: &mut Logs, finder: Option<&mut Finder>, watcher: &mut Watcher) -> bool {
        match &self.known {
            Known::Told(orders) => {
                logs.retain(|_, log| log.is_some());
                let before = logs.len();
                orders.try_iter().for_each(|order| self.obey(order, logs));
                logs.len() > before
            }
            Known::Found(pattern, host) => {
                let Some(finder) = finder else { return false };
                let Some(first) = finder.due(Instant::now(), watcher) else { return false };
                let any = self.discover(pattern, host, first, logs);
                finder.watch(logs.keys(), watcher);
                any
            }
        }
    }

    fn obey(&self, order: Order, logs: &mut Logs) {
        match order {
            Order::Read { path, container, host, start } => match logs.get_mut(&path) {
                Some(Some(followed)) => self.describe(followed, container),
                _ => drop(logs.insert(path.clone(), Some(self.open(&path, container, host, start)))),
            },
            Order::Describe { path, container } => {
                if let Some(Some(followed)) = logs.get_mut(&path) {
                    self.describe(followed, container);
                }
            }
        }
    }

    /// The container may have changed.
    fn describe(&self, followed: &mut Followed, container: Box<Container>) {
        self.cursors.describe(&container, "files");
        followed.log.layers = (self.describe)(&followed.host, &container);
        followed.container = container;
    }

    /// Describes the container again if its files say something else by now.
    fn describe_anew(&self, path: &Path, followed: &mut Followed) {
        let written = described::written(path);
        if written.is_some() && std::mem::replace(&mut followed.described, written) != written {
            self.describe(followed, Box::new(described(path)));
        }
    }

    /// Opens logs that are new. Those that are there at the first look begin where the option says, later ones at their start.
    fn discover(&self, pattern: &str, host: &Arc<Host>, first: bool, logs: &mut Logs) -> bool {
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
            if let Some(known) = logs.get_mut(&path) {
                known.iter_mut().for_each(|followed| self.describe_anew(&path, followed));
                continue;
            }
            let written = described::written(&path);
            let container = Box::new(described(&path));
            let reason = self.wanted.exclusion(&container, &own);
            if let Some(reason) = reason {
                info!(container = container.name, reason, "this container is left out");
            } else if let Some(risk) = container.risk() {
                warn!(container = container.name, risk, "this container's log settings lose lines");
            }
            let start = if first { self.start } else { Start::Beginning };
            let open = || Followed { described: written, ..self.open(&path, container, Arc::clone(host), start) };
            let log = reason.is_none().then(open);
            logs.insert(path, log);
        }
        logs.len() > before
    }

    fn open(&self, path: &Path, container: Box<Container>, host: Arc<Host>, start: Start) -> Followed {
        let start = self.cursors.begin(&container.id, "json-file", start);
        let ledger = ContainerLedger::new(&container.id, Arc::clone(&self.cursors)).claimed(Arc::clone(&self.claim));
        self.cursors.describe(&container, "files");
        let reached = self.cursors.of(&container.id).map(|cursor| cursor.reached).unwrap_or_default();
        let from_end = start == Start::End && reached.marks.is_empty();
        let (limit, strip_ansi) = (self.limit, self.strip_ansi);
        let hints = container.hints(self.hints, limit);
        let (tty, files, rule) = (container.tty, container.log_files(), hints.multiline);
        let reading = Reading { limit, strip_ansi, tty, from_end, reached, files, rule, offsets: self.offsets };
        Followed {
            log: Log::new(path, (self.describe)(&host, &container), Arc::new(ledger), reading),
            screen: Screen::new(self.wanted.streams(&container), hints.picks, self.rate_limit),
            prefix: IdPrefix::new(&container.id),
            source: source_number(&container.id),
            container,
            host,
            described: None,
            gaps: 0,
            gone: false,
            failed: false,
            next: Instant::now(),
            waits: false,
            trust: Trust::default(),
        }
    }

    /// A block from each log that has one; false when none had.
    fn round(
        &self,
        logs: &mut Logs,
        watcher: &mut Watcher,
        block: &mut Vec<u8>,
        runtime: &Handle,
    ) -> Result<bool, Stopped> {
        let mut any = false;
        let now = Instant::now();
        for (path, slot) in logs.iter_mut() {
            let Some(followed) = slot.as_mut().filter(|followed| followed.next <= now) else { continue };
            if followed.gone {
                followed.next = now + SLOW;
                if followed.log.is_safe() {
                    *slot = None;
                }
                continue;
            }
            let mut step = followed.log.advance(block);
            if matches!(step, Ok(Step::End)) && followed.is_at_end(path, now, watcher) {
                step = followed.log.advance(block);
                followed.waits = !matches!(step, Ok(Step::Read));
            }
            let failed = step.is_err();
            match step {
                Ok(Step::Read) => {
                    any = true;
                    followed.has_read(path, now);
                }
                Ok(Step::Gone) => {
                    followed.screen.hurry();
                    self.hand_on(followed, runtime)?;
                    followed.log.ledger.gone();
                    followed.gone = true;
                    continue;
                }
                Err(error) => {
                    followed.next = now + POLL;
                    if !followed.failed {
                        followed.log.ledger.fails(&error.to_string());
                        warn!(path = %path.display(), reason = %error, "a log can't be read; check the rights on it; it is tried again");
                    }
                }
                Ok(Step::End) => followed.log.note_place(),
            }
            followed.failed = failed;
            self.hand_on(followed, runtime)?;
        }
        Ok(any)
    }

    /// Hands on the lines of a log, waiting while the queue is full.
    fn hand_on(&self, followed: &mut Followed, runtime: &Handle) -> Result<(), Stopped> {
        let log = &mut followed.log;
        if log.lines.is_empty() && !followed.screen.is_due() {
            return Ok(());
        }
        let mut lines = log.lines.seal(BLOCK / 2);
        followed.screen.pass(&mut lines);
        let suppressed = followed.screen.take_suppressed();
        if let Some(suppressed) = &suppressed {
            suppressed.report(&followed.container.name);
        }
        let gap = log.take_gap();
        if let Some(gap) = &gap {
            followed.gaps += 1;
            gap.report(&followed.container.name, followed.gaps);
        }
        let charge = self.charge(LinesChunk::cost(&lines), runtime).ok_or(Stopped)?;
        log.read.advance(&lines.marks);
        log.ledger.count(&lines, gap.is_some(), suppressed.as_ref());
        let number = log.open_chunk();
        if lines.lines.is_empty() && gap.is_none() && suppressed.is_none() {
            log.ledger.settled(number);
            return Ok(());
        }
        let receipt = Receipt::open(Arc::clone(&log.ledger) as _, number, Some(charge));
        let content = Arc::new(Content { lines, gap, suppressed });
        let chunk = LinesChunk { content, layers: log.layers.clone(), prefix: followed.prefix, receipt };
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

/// Has the logs looked at in whose folders something has changed.
fn wake(logs: &mut Logs, finder: Option<&mut Finder>, changed: &Changed) {
    if changed.is_nothing() {
        return;
    }
    let now = Instant::now();
    for (path, followed) in logs.iter_mut() {
        if let Some(followed) = followed
            && path.parent().is_some_and(|folder| changed.has(folder))
        {
            followed.wake(now);
        }
    }
    if let Some(finder) = finder {
        finder.wake(changed, now);
    }
}
