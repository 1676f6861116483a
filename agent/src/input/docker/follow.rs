//! One container's log, followed through the API from its cursor until the container is gone.
//!
//! A stream of the API ends when the container stops, when dockerd stops, and at times for no reason; so the follower opens it again and
//! again, each time behind what it has handed on. Only when a pass brings nothing new and the container does not run does it
//! wait for a sign.
//!
//! A stream that is followed through a rotation may miss lines without a word. So a log that can be rotated is read in turns: a reading
//! that does not follow, which misses nothing that is still there and shows by where it begins whether lines are gone; and
//! following, for lines to come at once, until it is time to read that part again (see `unproved`). A log that grows fast is not
//! followed at all.
//!
//! A stream that is not read because the queue is full falls behind the rotation as well. So when the queue is full for longer than
//! [`STALLED`], the stream is closed and opened again afterwards, which reads every file that is still there.
//!
//! What it promises: lines are handed on in the log's order but for those that following had missed, each chunk with a receipt; what is
//! held back or pending when it is told to stop was never handed on, and is read again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::api::{ApiError, ByteStream, Engine, LogRequest};
use super::chunk::{Layers, LinesChunk};
use super::intake::{First, Intake, Reach, Verdict};
use super::ledger::ContainerLedger;
use super::lines::Lines;
use super::metadata::Container;
use super::partial::Stamps;
use super::position::{Gap, IdPrefix, Marks, Position, Stream};
use super::unproved::Unproved;
use crate::random;

/// How long the queue may stay full before the stream is closed.
const STALLED: Duration = Duration::from_secs(5);

/// How long a stream may be silent before it is opened again: engines before 19.03 leave followers hanging after a rotation.
const SILENT: Duration = Duration::from_secs(300);

/// The same for a log that can be rotated.
const SILENT_ROTATED: Duration = Duration::from_secs(120);

/// A reading that brings so many lines is followed by another one: the log is behind.
const BEHIND: usize = 2_000;

/// A log that fills what may be unproved sooner than this is read again and again instead of being followed.
const FAST: Duration = Duration::from_secs(5);

/// A fast log that brings fewer lines than this in one reading is followed again.
const SLOW: usize = 100;

/// How often a fast log is read.
const PACE: Duration = Duration::from_millis(500);

/// How long the last reading may take when the agent stops.
const LAST: Duration = Duration::from_secs(1);

/// How long lines may wait for others to travel with.
const GATHER: Duration = Duration::from_millis(25);

/// A chunk is handed on when it holds so many bytes of text.
const CHUNK: usize = 128 << 10;

/// How many messages from its end a log is opened with when it is read again; after these, with all.
const TAILS: [u64; 4] = [100, 1_600, 25_600, 409_600];

/// What has happened to the container, counted, so that nothing is missed while nobody looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    /// How often it was started, or was seen running.
    pub(crate) starts: u64,
    /// How often its description has changed.
    pub(crate) changes: u64,
    /// It was destroyed.
    pub(crate) destroyed: bool,
}

/// Where to begin in the log of a container that has no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the first line.
    Beginning,
    /// With what is written from now on.
    End,
}

/// How many logs may be caught up with at once: dockerd decodes each of them with a thread of its own.
const CATCHING_UP: usize = 8;

/// The longest turn: a log that grows all the time is never caught up with, and must not keep others waiting.
const TURN: Duration = Duration::from_secs(10);

/// A log that is silent for so long has been caught up with.
const SETTLED: Duration = Duration::from_millis(200);

/// Lets followers catch up, so many at once.
pub(crate) fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(CATCHING_UP))
}

/// Follows one container.
pub(crate) struct Follower {
    /// The engine.
    pub(crate) engine: Engine,
    /// The container's id.
    pub(crate) id: String,
    /// Its description.
    pub(crate) container: Container,
    /// What its events share; made again by `describe` when the description changes.
    pub(crate) layers: Layers,
    /// Makes the layers.
    pub(crate) describe: Arc<dyn Fn(&Container) -> Layers + Send + Sync>,
    /// The longest line, in bytes.
    pub(crate) limit: usize,
    /// Leaves out terminal control sequences.
    pub(crate) strip_ansi: bool,
    /// Where lines go.
    pub(crate) queue: Queue,
    /// Where receipts go.
    pub(crate) ledger: Arc<ContainerLedger>,
    /// What happens to the container.
    pub(crate) signals: watch::Receiver<Signals>,
    /// The end of everything.
    pub(crate) stop: CancellationToken,
    /// Up to where lines have been handed on.
    pub(crate) read: Marks,
    /// Where to begin without a mark.
    pub(crate) start: Start,
    /// The change of its description that was seen last.
    pub(crate) described: u64,
    /// What a log that can be rotated has handed on while it was followed.
    pub(crate) unproved: Unproved,
    /// Its log driver keeps nothing that could be read, which has been said.
    pub(crate) unreadable: bool,
    /// Gaps so far, and where the last one began.
    pub(crate) gaps: (u64, Option<i64>),
    /// Whose turn it is to catch up.
    pub(crate) turns: Arc<Semaphore>,
    /// How the log is read, if it can be rotated.
    pub(crate) habit: Habit,
}

/// How a log that can be rotated was read last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habit {
    /// It grows too fast to be followed.
    fast: bool,
    /// How many lines a reading brings.
    lines: usize,
}

/// How a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Followed; the log is never rotated.
    Follow,
    /// Followed through rotations that may cost lines.
    Unproved,
    /// Read to its present end.
    Proving,
}

/// How a pass over the stream ended.
enum Pass {
    /// At the end of the stream, with so many new lines.
    End(usize),
    /// The stream began too late; with this message.
    Uncovered(First),
    /// The queue was full for too long; it is not any more.
    Stalled,
    /// Nothing has come for a long time.
    Silent,
    /// What was followed has to be read again.
    Due,
    /// The pipeline is closed, or the agent stops.
    Stop,
    /// It failed.
    Failed(ApiError),
}

/// What to do after a pass.
enum Next {
    Again,
    Pause,
    Wait,
    Gone,
    Stop,
}

impl Follower {
    /// Follows until the container is gone or the agent stops.
    pub(crate) async fn run(mut self) {
        let mut delay = super::pauses();
        loop {
            let seen = *self.signals.borrow_and_update();
            self.refresh().await;
            let next = match self.pass().await {
                Pass::Stop => Next::Stop,
                Pass::Stalled | Pass::Silent | Pass::Due | Pass::Uncovered(_) => Next::Again,
                Pass::End(lines) if lines > 0 => {
                    delay.reset();
                    Next::Again
                }
                Pass::End(_) => self.after_nothing(seen).await,
                Pass::Failed(error) => self.after_failure(&error),
            };
            let go_on = match next {
                Next::Again => true,
                Next::Pause => self.pause(delay.next(random::fraction())).await,
                Next::Wait => self.wait(seen).await,
                Next::Gone => return self.ledger.gone(),
                Next::Stop => false,
            };
            if !go_on {
                return self.prove_last().await;
            }
        }
    }

    /// Before the agent stops: what was followed is read again, so that the cursor moves and nothing is sent twice after the next start.
    async fn prove_last(&mut self) {
        if !self.unproved.is_empty() {
            self.stop = CancellationToken::new();
            let _ = timeout(LAST, self.read_back(Mode::Proving)).await;
        }
    }

    /// The log has been read to its end and there was nothing new.
    async fn after_nothing(&mut self, seen: Signals) -> Next {
        if self.signals.borrow().starts != seen.starts {
            return Next::Again;
        }
        match self.engine.inspect(&self.id).await.map(Container::new) {
            Ok(Some(container)) if container.running => Next::Pause,
            Ok(_) => Next::Wait,
            Err(error) => self.after_failure(&error),
        }
    }

    fn after_failure(&mut self, error: &ApiError) -> Next {
        match error.status() {
            Some(404) => Next::Gone,
            Some(409) => Next::Pause,
            Some(501) => {
                let (container, driver) = (&self.container.name, &self.container.driver);
                if !std::mem::replace(&mut self.unreadable, true) {
                    warn!(
                        container,
                        driver,
                        "the log of this container can't be read, its log driver keeps none; use json-file or local, or drop cache-disabled"
                    );
                }
                Next::Wait
            }
            Some(_) => {
                warn!(container = self.container.name, reason = %error, "reading a log failed; it is tried again");
                Next::Pause
            }
            // The engine itself is in trouble: that is said once, by whoever listens to its events.
            None => {
                debug!(container = self.container.name, reason = %error, "reading a log failed; it is tried again");
                Next::Pause
            }
        }
    }

    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = sleep(pause) => true,
            changed = self.signals.changed() => changed.is_ok(),
        }
    }

    /// Waits until the container is started or destroyed.
    async fn wait(&mut self, seen: Signals) -> bool {
        let awake = self.signals.wait_for(|now| now.starts != seen.starts || now.destroyed);
        tokio::select! {
            () = self.stop.cancelled() => return false,
            changed = awake => if changed.is_err() { return false },
        }
        if self.signals.borrow().destroyed && self.signals.borrow().starts == seen.starts {
            self.ledger.gone();
            return false;
        }
        true
    }

    async fn pass(&mut self) -> Pass {
        if self.container.log_file_size().is_none() {
            return self.read_back(Mode::Follow).await;
        }
        if self.read.is_empty() && std::mem::replace(&mut self.start, Start::Beginning) == Start::End {
            match self.last_line().await {
                Ok(marks) => self.read = marks,
                Err(error) => {
                    self.start = Start::End;
                    return Pass::Failed(error);
                }
            }
        }
        let begun = Instant::now();
        let proved = match self.read_back(Mode::Proving).await {
            Pass::End(lines) => lines,
            ended => return ended,
        };
        self.unproved.clear();
        self.habit.lines = proved;
        if self.habit.fast && proved >= SLOW {
            return self.until(begun + PACE).await.unwrap_or(Pass::End(proved));
        }
        self.habit.fast = false;
        if proved >= BEHIND {
            return Pass::End(proved);
        }
        let begun = Instant::now();
        let ended = self.read_back(Mode::Unproved).await;
        self.habit.fast = self.unproved.is_full() && begun.elapsed() < FAST;
        match ended {
            Pass::End(lines) => Pass::End(proved + lines),
            other => other,
        }
    }

    async fn until(&self, time: Instant) -> Option<Pass> {
        tokio::select! {
            () = self.stop.cancelled() => Some(Pass::Stop),
            () = tokio::time::sleep_until(time) => None,
        }
    }

    /// Where a log stands that shall be read from now on: both streams behind the time of its last message.
    async fn last_line(&self) -> Result<Marks, ApiError> {
        let request = LogRequest { follow: false, tail: Some(1), only: None };
        let mut stream = self.engine.logs(&self.id, request).await?;
        let stamps = Stamps::of_driver(&self.container.driver);
        let mut intake = Intake::new(self.container.tty, stamps, self.limit, Marks::default(), Reach::Whole);
        while let Some(bytes) = stream.next().await? {
            if intake.decode(&bytes).is_err() {
                break;
            }
        }
        intake.finish();
        let sealed = intake.lines.seal(CHUNK);
        let mut marks = Marks::default();
        if let Some(line) = sealed.lines.last() {
            let last = Position { nanos: line.position.nanos, ordinal: 0 };
            Stream::BOTH.into_iter().for_each(|stream| marks.set(stream, last));
        }
        Ok(marks)
    }

    /// Reads the log from behind what was handed on, opening it further and further back until nothing is missing.
    async fn read_back(&mut self, mode: Mode) -> Pass {
        if self.read.is_empty() {
            let tail = if std::mem::replace(&mut self.start, Start::Beginning) == Start::End { Some(0) } else { None };
            return self.read_from(mode, tail, Reach::Whole).await;
        }
        let mut before = None;
        let expected = if mode == Mode::Proving { self.habit.lines as u64 } else { 0 };
        for tail in TAILS.into_iter().filter(|tail| *tail >= expected) {
            match self.read_from(mode, Some(tail), Reach::Tail { before }).await {
                Pass::Uncovered(first) => before = Some(first),
                ended => return ended,
            }
        }
        self.read_from(mode, None, Reach::Whole).await
    }

    async fn read_from(&mut self, mode: Mode, tail: Option<u64>, reach: Reach) -> Pass {
        let request = LogRequest { follow: mode != Mode::Proving, tail, only: None };
        let stop = self.stop.clone();
        let turns = Arc::clone(&self.turns);
        let opened = async {
            // What is followed until it is proved has just been caught up with.
            let turn = if mode == Mode::Unproved { None } else { turns.acquire_owned().await.ok() };
            (turn, self.engine.logs(&self.id, request).await)
        };
        let (turn, opened) = tokio::select! {
            () = stop.cancelled() => return Pass::Stop,
            opened = opened => opened,
        };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => return Pass::Failed(error),
        };
        let stamps = Stamps::of_driver(&self.container.driver);
        let mut intake = Intake::new(self.container.tty, stamps, self.limit, self.read, reach);
        intake.lines = Lines::new(self.strip_ansi);
        let mut reading = Reading { stream: Some(stream), turn, mode, intake, gap: None, lines: 0 };
        match self.read_stream(&mut reading).await {
            Err(ended) => ended,
            Ok(()) => Pass::End(reading.lines),
        }
    }

    /// Reads to the end of the stream, or to what stops it before.
    async fn read_stream(&mut self, reading: &mut Reading) -> Result<(), Pass> {
        let mut deadline = None;
        let begun = Instant::now();
        let mut heard = begun;
        loop {
            let patience = match &reading.turn {
                Some(_) => Instant::now() + SETTLED,
                None => self.patience(reading.mode, heard),
            };
            let Some(stream) = &mut reading.stream else { return Err(Pass::Stalled) };
            let stop = self.stop.clone();
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Pass::Stop),
                changed = self.signals.changed() => {
                    changed.map_err(|_| Pass::Stop)?;
                    self.refresh().await;
                    continue;
                }
                read = next_until(stream, deadline.unwrap_or(patience)) => read,
            };
            match read {
                Ok(Some(bytes)) => {
                    heard = Instant::now();
                    if begun.elapsed() > TURN {
                        reading.turn = None;
                    }
                    self.take(reading, &bytes)?;
                }
                Ok(None) => {
                    // A reading that did not follow may have ended in the middle of a line, which is read again then.
                    if reading.mode != Mode::Proving {
                        reading.intake.finish();
                    }
                    return self.hand_on(reading).await;
                }
                Err(Waited::Failed(error)) => {
                    self.hand_on(reading).await?;
                    return Err(Pass::Failed(error));
                }
                Err(Waited::Long) if deadline.is_none() && reading.turn.take().is_some() => {}
                Err(Waited::Long) if deadline.is_none() && !self.is_due(reading.mode) => return Err(Pass::Silent),
                Err(Waited::Long) => {}
            }
            if self.is_due(reading.mode) {
                self.hand_on(reading).await?;
                return Err(Pass::Due);
            }
            if reading.intake.lines.is_empty() {
                continue;
            }
            let due = *deadline.get_or_insert_with(|| Instant::now() + GATHER);
            if reading.intake.lines.bytes() >= CHUNK || Instant::now() >= due {
                self.hand_on(reading).await?;
                deadline = None;
            }
        }
    }

    fn take(&mut self, reading: &mut Reading, bytes: &[u8]) -> Result<(), Pass> {
        let verdict = reading.intake.decode(bytes);
        for complaint in reading.intake.complaints.drain(..) {
            warn!(
                container = self.container.name,
                complaint, "the Docker engine has trouble with this container's log"
            );
        }
        match verdict {
            Ok(Verdict::Go) => {}
            Ok(Verdict::Uncovered(first)) => return Err(Pass::Uncovered(first)),
            Err(corrupt) => {
                warn!(container = self.container.name, reason = %corrupt, "the log stream can't be read any further; it is opened again");
                return Err(Pass::End(reading.lines));
            }
        }
        if let Some(gap) = reading.intake.take_gap() {
            self.note(reading, gap);
        }
        Ok(())
    }

    /// Lines are missing. The same gap is met again by each reading until the cursor has passed it.
    fn note(&mut self, reading: &mut Reading, gap: Gap) {
        if self.gaps.1.replace(gap.from) != Some(gap.from) {
            self.gaps.0 += 1;
            gap.report(&self.container.name, self.gaps.0);
            reading.gap = Some(gap);
        }
    }

    /// Until when a silent stream is waited for.
    fn patience(&self, mode: Mode, heard: Instant) -> Instant {
        match mode {
            Mode::Unproved => self.unproved.due().unwrap_or(heard + SILENT_ROTATED),
            Mode::Follow | Mode::Proving => heard + SILENT,
        }
    }

    fn is_due(&self, mode: Mode) -> bool {
        mode == Mode::Unproved && self.unproved.due().is_some_and(|due| due <= Instant::now())
    }

    /// Hands the lines on; closes the stream while the queue is full for long.
    async fn hand_on(&mut self, reading: &mut Reading) -> Result<(), Pass> {
        if reading.intake.lines.is_empty() {
            return Ok(());
        }
        let mut lines = reading.intake.lines.seal(CHUNK);
        match reading.mode {
            Mode::Follow => {}
            Mode::Unproved => self.unproved.add(&mut lines),
            Mode::Proving => self.unproved.strike_out(&mut lines),
        }
        if lines.lines.is_empty() && reading.gap.is_none() {
            self.advance(reading.mode, &lines.marks);
            let number = self.ledger.open(self.read);
            self.ledger.settled(number);
            return Ok(());
        }
        let queue = self.queue.clone();
        let mut charging = pin!(queue.charge(LinesChunk::cost(&lines)));
        let charge = tokio::select! {
            () = self.stop.cancelled() => return Err(Pass::Stop),
            charge = timeout(STALLED, &mut charging) => charge,
        };
        let charge = match charge {
            Ok(charge) => charge,
            Err(_) => {
                (reading.stream, reading.turn) = (None, None);
                tokio::select! {
                    () = self.stop.cancelled() => return Err(Pass::Stop),
                    charge = charging => charge,
                }
            }
        };
        self.advance(reading.mode, &lines.marks);
        reading.lines += lines.lines.len();
        let number = self.ledger.open(self.read);
        let receipt = Receipt::open(Arc::clone(&self.ledger) as _, number, Some(charge));
        let (gap, layers, prefix) = (reading.gap.take(), self.layers.clone(), IdPrefix::new(&self.id));
        let chunk = LinesChunk { lines, gap, layers, prefix, receipt };
        queue.send(source_number(&self.id), Box::new(chunk)).await.map_err(|_| Pass::Stop)
    }

    /// Only what is known to be complete moves the cursor.
    fn advance(&mut self, mode: Mode, marks: &Marks) {
        if mode != Mode::Unproved {
            self.read.advance(marks);
        }
    }

    /// Asks for the description again if it has changed.
    async fn refresh(&mut self) {
        let changes = self.signals.borrow().changes;
        if std::mem::replace(&mut self.described, changes) == changes {
            return;
        }
        if let Ok(Some(container)) = self.engine.inspect(&self.id).await.map(Container::new) {
            self.layers = (self.describe)(&container);
            self.container = container;
        }
    }
}

/// A stream that is being read.
struct Reading {
    /// None after it was closed because the queue was full.
    stream: Option<ByteStream>,
    /// The turn to catch up; given back as soon as there is nothing more to catch up with.
    turn: Option<OwnedSemaphorePermit>,
    mode: Mode,
    intake: Intake,
    /// Lines that are missing, to be handed on with the next chunk.
    gap: Option<Gap>,
    /// New lines so far.
    lines: usize,
}

/// Why there are no bytes.
enum Waited {
    Long,
    Failed(ApiError),
}

/// The next bytes, waited for until `deadline`.
async fn next_until(stream: &mut ByteStream, deadline: Instant) -> Result<Option<bytes::Bytes>, Waited> {
    match timeout_at(deadline, stream.next()).await {
        Ok(read) => read.map_err(Waited::Failed),
        Err(_) => Err(Waited::Long),
    }
}

/// A number for the queue's lanes and for spreading pauses: the first digits of the container's id.
pub(super) fn source_number(id: &str) -> u64 {
    id.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
}
