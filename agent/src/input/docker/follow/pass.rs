//! One pass over a container's log: how far back its stream is opened, and in which turns it is read and followed.

use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::flow::receipt::Ledger;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::super::api::{ApiError, ByteStream, LogRequest};
use super::super::intake::{First, Intake, Reach};
use super::super::lines::Lines;
use super::super::partial::Stamps;
use super::super::position::{Marks, Position, Stream};
use super::back::{Back, Step};
use super::reading::{CHUNK, Reading};
use super::{Follower, Start};

/// A reading that brings so many lines is followed by another one: the log is behind.
const BEHIND: usize = 2_000;

/// A log that fills what may be unproved sooner than this is read again and again instead of being followed.
const FAST: Duration = Duration::from_secs(5);

/// A fast log that brings fewer lines than this in one reading is followed again.
const SLOW: usize = 100;

/// How often a fast log is read.
const PACE: Duration = Duration::from_millis(500);

/// How many messages from its end a log is opened with when it is read again; after these, with all.
const TAILS: [u64; 4] = [100, 1_600, 25_600, 409_600];

/// How a log that can be rotated was read last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habit {
    /// It grows too fast to be followed.
    fast: bool,
    /// How many lines a reading brings, once there was one.
    lines: Option<usize>,
}

impl Habit {
    /// Whether the next reading will probably be followed by following.
    fn follows(self) -> bool {
        !self.fast && self.lines.is_some_and(|lines| lines < BEHIND)
    }
}

/// How a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Followed; the log is never rotated.
    Follow,
    /// Followed through rotations that may cost lines.
    Unproved,
    /// Read to its present end.
    Proving,
}

/// How a pass over the stream ended.
pub(super) enum Pass {
    /// At the end of the stream, with so many new lines.
    End(usize),
    /// The engine could not read the log any further, behind so many new lines.
    Troubled(usize),
    /// The stream began too late; with this message.
    Uncovered(First),
    /// The stream, which is followed, is silent or takes long, and the place of the marks has not come by.
    Doubtful,
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

impl Follower {
    /// Reads the log once from behind what was handed on.
    pub(super) async fn pass(&mut self) -> Pass {
        if let Some(ended) = self.follow_early().await {
            return ended;
        }
        if !self.rotates() {
            return self.read_back(Mode::Follow).await;
        }
        if self.read.is_empty() && std::mem::replace(&mut self.start, Start::Beginning) == Start::End {
            match self.last_line().await {
                Ok(marks) => {
                    self.read = marks;
                    let number = self.ledger.open(marks, None);
                    self.ledger.settled(number);
                }
                Err(error) => {
                    self.start = Start::End;
                    return Pass::Failed(error);
                }
            }
        }
        let begun = Instant::now();
        let ahead = match self.open_ahead().await {
            Ok(ahead) => ahead,
            Err(ended) => return ended,
        };
        let proved = match self.read_back(Mode::Proving).await {
            Pass::End(lines) => lines,
            ended => return ended,
        };
        self.unproved.clear();
        self.habit.lines = Some(proved);
        if self.hints.multiline.is_some() {
            // Following would join lines around those that it passes over.
            let again = proved.max(usize::from(self.waits));
            return self.until(begun + PACE).await.unwrap_or(Pass::End(again));
        }
        if self.habit.fast && proved >= SLOW {
            return self.until(begun + PACE).await.unwrap_or(Pass::End(proved));
        }
        self.habit.fast = false;
        match ahead {
            Some(stream) if proved < BEHIND => self.follow_on(stream, proved).await,
            _ if proved > 0 => Pass::End(proved),
            _ => Pass::Due,
        }
    }

    /// Opens the stream that is followed after the log has been read, before it is read, so that no line comes between the two. It begins with what is
    /// written from now on: so the engine opens no rotated file for it.
    async fn open_ahead(&self) -> Result<Option<ByteStream>, Pass> {
        if !self.habit.follows() || self.hints.multiline.is_some() {
            return Ok(None);
        }
        self.open(Mode::Unproved, Some(0)).await.map(|(_, stream)| Some(stream))
    }

    /// Follows what was opened before `proved` new lines were read.
    async fn follow_on(&mut self, stream: ByteStream, proved: usize) -> Pass {
        let mut marks = self.read;
        // The stream may begin within a line.
        marks.advance(&self.torn);
        match self.follow_unproved(stream, marks, Reach::Adjoining).await {
            Pass::End(lines) => Pass::End(proved + lines),
            other => other,
        }
    }

    /// Follows what was opened before the container was started. Nothing if there is no such thing.
    async fn follow_early(&mut self) -> Option<Pass> {
        let early = self.early.take()?;
        if self.rotates() && self.hints.multiline.is_some() {
            return None;
        }
        let stream = tokio::select! {
            () = self.stop.cancelled() => return Some(Pass::Stop),
            stream = early.opened() => stream?,
        };
        let ended = match self.rotates() {
            true => self.follow_unproved(stream, self.read, Reach::Whole).await,
            false => self.read_from(Mode::Follow, None, stream, self.read, Reach::Whole).await,
        };
        // Its start may not have been told yet.
        self.finished = self.finished.max(u64::from(matches!(ended, Pass::End(_))));
        Some(ended)
    }

    /// Follows a log that can be rotated.
    async fn follow_unproved(&mut self, stream: ByteStream, marks: Marks, reach: Reach) -> Pass {
        let begun = Instant::now();
        let ended = self.read_from(Mode::Unproved, None, stream, marks, reach).await;
        self.habit.fast = self.unproved.is_full() && begun.elapsed() < FAST;
        ended
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
        let Some(line) = sealed.lines.last() else { return Ok(Marks::default()) };
        let last = Position { nanos: line.position.nanos, ordinal: 0 };
        let mut marks = Marks::default();
        Stream::BOTH.into_iter().for_each(|stream| marks.set(stream, last));
        Ok(marks.with_later(Some(line.stream)))
    }

    /// Reads the log from behind what was handed on, opening it further and further back until nothing is missing.
    pub(super) async fn read_back(&mut self, mode: Mode) -> Pass {
        if self.read.is_empty() {
            let tail = if std::mem::replace(&mut self.start, Start::Beginning) == Start::End { Some(0) } else { None };
            return self.read_tail(mode, tail, Reach::Whole, self.read).await;
        }
        let expected = if mode == Mode::Proving { self.habit.lines.unwrap_or_default() as u64 } else { 0 };
        let (mut mode, mut back) = (mode, Back::new(&TAILS, expected));
        loop {
            let ended = match back.step() {
                Step::Behind(tail, reach) => self.read_tail(mode, tail, reach, self.read).await,
                Step::Anew if self.rotates() => self.read_anew(mode).await,
                // Nothing can be rotated away: after a power cut the marked line was never written to the disk. What was safe is told by its time.
                Step::Anew => self.read_tail(mode, None, Reach::Whole, self.read.with_later(None)).await,
            };
            match ended {
                // The same once more, to its end.
                Pass::Doubtful => mode = Mode::Proving,
                Pass::Uncovered(first) => back.begins_too_late(first),
                ended => return ended,
            }
        }
    }

    /// Reads a log that has none of the marked lines any more, though it has older ones by their time: the clock was set back, and all of it is new.
    async fn read_anew(&mut self, mode: Mode) -> Pass {
        let reach = Reach::Anew(self.read.latest());
        match self.open(mode, None).await {
            Ok((turn, stream)) => self.read_from(mode, turn, stream, Marks::default(), reach).await,
            Err(ended) => ended,
        }
    }

    async fn read_tail(&mut self, mode: Mode, tail: Option<u64>, reach: Reach, marks: Marks) -> Pass {
        match self.open(mode, tail).await {
            Ok((turn, stream)) => self.read_from(mode, turn, stream, marks, reach).await,
            Err(ended) => ended,
        }
    }

    /// Opens the log with so many messages from its end, when it is this container's turn.
    async fn open(&self, mode: Mode, tail: Option<u64>) -> Result<(Option<OwnedSemaphorePermit>, ByteStream), Pass> {
        let request = LogRequest { follow: mode != Mode::Proving, tail, only: None };
        let turns = Arc::clone(&self.turns);
        let opened = async {
            // What is followed until it is proved has nothing to catch up with.
            let turn = if mode == Mode::Unproved { None } else { turns.acquire_owned().await.ok() };
            (turn, self.engine.logs(&self.id, request).await)
        };
        tokio::select! {
            () = self.stop.cancelled() => Err(Pass::Stop),
            (turn, stream) = opened => Ok((turn, stream.map_err(Pass::Failed)?)),
        }
    }

    async fn read_from(
        &mut self,
        mode: Mode,
        turn: Option<OwnedSemaphorePermit>,
        stream: ByteStream,
        marks: Marks,
        reach: Reach,
    ) -> Pass {
        let stamps = Stamps::of_driver(&self.container.driver);
        let mut intake = Intake::new(self.container.tty, stamps, self.limit, marks, reach);
        if self.read.is_empty() {
            // Nothing is proved yet, but what was followed was there.
            intake.expect(self.unproved.first());
        }
        intake.lines = Lines::new(self.strip_ansi, self.hints.multiline.clone());
        let mut reading = Reading { stream: Some(stream), turn, mode, intake, gap: None, lines: 0, troubled: false };
        let starts = self.signals.borrow().starts;
        let ended = match self.read_stream(&mut reading).await {
            Err(ended) => ended,
            Ok(()) => Pass::End(reading.lines),
        };
        if matches!(ended, Pass::End(_)) {
            // What is followed ends with the container.
            self.finished = if mode == Mode::Proving { starts } else { self.signals.borrow().starts };
        }
        self.let_go(&mut reading).await;
        if mode == Mode::Proving {
            self.torn = reading.intake.torn();
        }
        ended
    }
}
