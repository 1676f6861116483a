//! A stream that is being read: its bytes become lines, and these are handed on in chunks.
//!
//! What it promises: a chunk takes its receipt and its charge before it is sent; while the queue is full for long, the stream is closed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::flow::budget::Charge;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

use super::super::api::{ApiError, ByteStream};
use super::super::chunk::{Content, LinesChunk};
use super::super::intake::{Intake, Verdict};
use super::super::position::{Gap, IdPrefix, Marks};
use super::pass::{Mode, Pass};
use super::{Follower, LAST, source_number};

/// How long the queue may stay full before the stream is closed.
const STALLED: Duration = Duration::from_secs(5);

/// How long a stream may be silent before it is opened again: engines before 19.03 leave followers hanging after a rotation.
pub(super) const SILENT: Duration = Duration::from_secs(300);

/// The same for a log that can be rotated.
const SILENT_ROTATED: Duration = Duration::from_secs(120);

/// How often it is looked whether lines have waited long enough for others that belong to them.
const OTHERS: Duration = Duration::from_millis(250);

/// How long lines may wait for others to travel with.
const GATHER: Duration = Duration::from_millis(25);

/// A chunk is handed on when it holds so many bytes of text.
pub(super) const CHUNK: usize = 128 << 10;

/// The longest turn: a log that grows all the time is never caught up with, and must not keep others waiting.
const TURN: Duration = Duration::from_secs(10);

/// A log that is silent for so long has been caught up with.
const SETTLED: Duration = Duration::from_millis(200);

/// A stream that is being read.
pub(super) struct Reading {
    /// None after it was closed because the queue was full.
    pub(super) stream: Option<ByteStream>,
    /// The turn to catch up; given back as soon as there is nothing more to catch up with.
    pub(super) turn: Option<OwnedSemaphorePermit>,
    pub(super) mode: Mode,
    pub(super) intake: Intake,
    /// Lines that are missing, to be handed on with the next chunk.
    pub(super) gap: Option<Gap>,
    /// New lines so far.
    pub(super) lines: usize,
    /// The engine has said that it can't read the log.
    pub(super) troubled: bool,
}

impl Reading {
    /// At the end of what is there: whether the log began too late. One that the engine could not read to its end does not tell.
    fn check_beginning(&self) -> Result<(), Pass> {
        match self.intake.at_end() {
            Verdict::Uncovered(first) if !self.troubled => Err(Pass::Uncovered(first)),
            _ => Ok(()),
        }
    }

    /// Whether a log that is followed may have begun too late, or is only slow or long: that is seen by reading it to its end, which following never comes to.
    fn is_doubtful(&self) -> bool {
        self.mode == Mode::Follow && self.intake.at_end() != Verdict::Go
    }
}

impl Follower {
    /// Reads to the end of the stream, or to what stops it before.
    pub(super) async fn read_stream(&mut self, reading: &mut Reading) -> Result<(), Pass> {
        let mut deadline = None;
        let begun = Instant::now();
        let mut heard = begun;
        loop {
            let patience = match &reading.turn {
                Some(_) => Instant::now() + SETTLED,
                None if reading.is_doubtful() => Instant::now() + SETTLED,
                None => self.patience(reading.mode, heard),
            };
            let patience = self.screen.due().map_or(patience, |due| due.min(patience));
            let waits = reading.intake.lines.wait_for_others();
            let patience = if waits { patience.min(Instant::now() + OTHERS) } else { patience };
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
                    match self.take(reading, &bytes) {
                        Err(Pass::Troubled(_)) => {
                            self.hand_on(reading).await?;
                            return Err(Pass::Troubled(reading.lines));
                        }
                        taken => taken?,
                    }
                    if begun.elapsed() > TURN {
                        reading.turn = None;
                        if reading.is_doubtful() {
                            return Err(Pass::Doubtful);
                        }
                    }
                }
                Ok(None) => {
                    // A reading that did not follow may have ended in the middle of a line, which is read again then.
                    match reading.mode {
                        // What the engine could not read may be the end of a line.
                        Mode::Follow | Mode::Unproved if !reading.troubled => reading.intake.finish(),
                        Mode::Follow | Mode::Unproved | Mode::Proving => reading.intake.lines.finish_overdue(),
                    }
                    reading.check_beginning()?;
                    self.waits = reading.intake.lines.wait_for_others();
                    self.screen.hurry();
                    self.hand_on(reading).await?;
                    return if reading.troubled { Err(Pass::Troubled(reading.lines)) } else { Ok(()) };
                }
                Err(Waited::Failed(error)) => {
                    self.hand_on(reading).await?;
                    return Err(Pass::Failed(error));
                }
                Err(Waited::Long) if self.screen.is_due() => self.hand_on(reading).await?,
                Err(Waited::Long) if waits => reading.intake.lines.finish_overdue(),
                Err(Waited::Long) if deadline.is_none() && reading.is_doubtful() => return Err(Pass::Doubtful),
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
        if !reading.intake.complaints.is_empty() {
            reading.troubled = true;
            self.complaints.append(&mut reading.intake.complaints);
        }
        if let Ok(Verdict::Uncovered(first)) = verdict {
            return Err(Pass::Uncovered(first));
        }
        // Before a broken frame, too: the lines before it are handed on.
        if let Some(gap) = reading.intake.take_gap() {
            self.note(reading, gap);
        }
        verdict.map(drop).map_err(|corrupt| {
            warn!(container = self.container.name, reason = %corrupt, "the log stream can't be read any further; it is opened again");
            Pass::Troubled(reading.lines)
        })
    }

    /// Lines are missing. The same gap is met again by each reading until the cursor has passed it; one that ends later is wider, for lines that were
    /// followed behind it have been rotated away before they were proved, and others with them.
    fn note(&mut self, reading: &mut Reading, gap: Gap) {
        if self.gaps.1.replace((gap.from, gap.to)) != Some((gap.from, gap.to)) {
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

    /// Hands the lines on.
    async fn hand_on(&mut self, reading: &mut Reading) -> Result<(), Pass> {
        if reading.intake.lines.is_empty() && reading.gap.is_none() && !self.screen.is_due() {
            return Ok(());
        }
        let mut lines = reading.intake.lines.seal(CHUNK);
        if reading.mode == Mode::Proving {
            self.unproved.strike_out(&mut lines);
        }
        if lines.lines.is_empty() && reading.gap.is_none() && !self.screen.is_due() {
            return self.pass_over(reading.mode, &lines.marks);
        }
        // Before anything is noted of the lines, for they are read again when there is no place for them before the end.
        let mut charge = self.charge(reading, LinesChunk::cost(&lines)).await?;
        if reading.mode == Mode::Unproved {
            self.unproved.add(&mut lines, &self.read);
        }
        self.screen.pass(&mut lines);
        let suppressed = self.screen.take_suppressed();
        if lines.lines.is_empty() && reading.gap.is_none() && suppressed.is_none() {
            return self.pass_over(reading.mode, &lines.marks);
        }
        charge.shrink(LinesChunk::cost(&lines));
        self.advance(reading.mode, &lines.marks);
        reading.lines += lines.lines.len();
        if let Some(suppressed) = &suppressed {
            suppressed.report(&self.container.name);
        }
        self.ledger.count(&lines, reading.gap.is_some(), suppressed.as_ref());
        let content = Arc::new(Content { lines, gap: reading.gap.take(), suppressed });
        let number = self.ledger.open_kept(self.read, Arc::clone(&content));
        let receipt = Receipt::open(Arc::clone(&self.ledger) as _, number, Some(charge));
        let (layers, prefix) = (self.layers.clone(), IdPrefix::new(&self.id));
        let chunk = LinesChunk { content, layers, prefix, receipt };
        // A chunk that is not sent before the end is given up, and handed on again like others.
        tokio::select! {
            biased;
            sent = self.queue.send(source_number(&self.id), Box::new(chunk)) => sent.map_err(|_| Pass::Stop),
            () = self.stop.cancelled() => Err(Pass::Stop),
        }
    }

    /// Goes on behind lines of which none is handed on.
    fn pass_over(&mut self, mode: Mode, marks: &Marks) -> Result<(), Pass> {
        self.advance(mode, marks);
        let number = self.ledger.open(self.read, None);
        self.ledger.settled(number);
        Ok(())
    }

    /// Takes so many bytes from the budget; closes the stream while they are not there for long.
    async fn charge(&mut self, reading: &mut Reading, bytes: usize) -> Result<Charge, Pass> {
        let (queue, ledger) = (self.queue.clone(), Arc::clone(&self.ledger));
        let mut charging = pin!(async {
            ledger.is_next().await;
            queue.charge(bytes).await
        });
        let charge = tokio::select! {
            () = self.stop.cancelled() => return Err(Pass::Stop),
            charge = timeout(STALLED, &mut charging) => charge,
        };
        if let Ok(charge) = charge {
            return Ok(charge);
        }
        self.let_go(reading).await;
        reading.turn = None;
        tokio::select! {
            () = self.stop.cancelled() => Err(Pass::Stop),
            charge = charging => Ok(charge),
        }
    }

    /// Gives up a stream that may not be at its end. Engines before 23.0 mix up the decompressed copies of rotated files when the log is opened again
    /// before they are done with them (see [`Engine::mixes_up_copies`]); only the end of the stream shows that they are.
    ///
    /// [`Engine::mixes_up_copies`]: super::super::api::Engine::mixes_up_copies
    pub(super) async fn let_go(&mut self, reading: &mut Reading) {
        let Some(mut stream) = reading.stream.take() else { return };
        if reading.mode != Mode::Proving || !self.container.compresses() || !self.engine.mixes_up_copies() {
            return;
        }
        let stop = self.stop.clone();
        let late = async {
            stop.cancelled().await;
            sleep(LAST).await;
        };
        let end = async { while let Ok(Some(_)) = next_until(&mut stream, Instant::now() + SILENT).await {} };
        tokio::select! {
            () = end => {}
            () = late => self.left = true,
        }
    }

    /// Only what is known to be complete moves the cursor.
    fn advance(&mut self, mode: Mode, marks: &Marks) {
        if mode != Mode::Unproved {
            self.read.advance(marks);
        }
    }
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
