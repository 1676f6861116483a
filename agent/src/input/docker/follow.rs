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
//! Following is opened before the log is read and heard after it, so that nothing is written in between.
//!
//! A stream that is not read because the queue is full falls behind the rotation as well. So when the queue is full for longer than
//! some seconds, the stream is closed and opened again afterwards, which reads every file that is still there.
//!
//! What it promises: lines are handed on in the log's order but for those that following had missed, each chunk with a receipt; what is
//! held back or pending when it is told to stop was never handed on, and is read again.

use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::flow::queue::Queue;
use tokio::sync::{OwnedMutexGuard, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::api::{ApiError, Engine};
use super::chunk::Layers;
use super::hints::Hints;
use super::ledger::ContainerLedger;
use super::metadata::{Container, Host};
use super::position::{Marks, Position};
use super::screen::Screen;
use super::unproved::Unproved;
use crate::random;

mod back;
pub(crate) mod early;
mod pass;
mod reading;

use early::Early;
pub(crate) use pass::Habit;
use pass::{Mode, Pass};

/// How long the last reading may take when the agent stops.
const LAST: Duration = Duration::from_secs(1);

/// How often in a row a stopped container's log is tried that the engine can't read.
const TROUBLES: u32 = 10;

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
    /// Where it runs.
    pub(crate) host: Arc<Host>,
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
    /// How often in a row the engine could not read the log, without a new line.
    pub(crate) troubles: u32,
    /// What the engine has said of it.
    pub(crate) complaints: Vec<String>,
    /// What the container asks for.
    pub(crate) hints: Hints,
    /// The last reading has left lines that wait for others.
    pub(crate) waits: bool,
    /// What is left out of it.
    pub(crate) screen: Screen,
    /// What a log that can be rotated has handed on while it was followed.
    pub(crate) unproved: OwnedMutexGuard<Unproved>,
    /// Its log driver keeps nothing that could be read, which has been said.
    pub(crate) unreadable: bool,
    /// Gaps so far, and where the last one began and ended.
    pub(crate) gaps: (u64, Option<(i64, Position)>),
    /// Whose turn it is to catch up.
    pub(crate) turns: Arc<Semaphore>,
    /// How the log is read, if it can be rotated.
    pub(crate) habit: Habit,
    /// Lines whose beginning was read last and whose end was not there yet.
    pub(crate) torn: Marks,
    /// The start after whose end a log that can be rotated has been read once more.
    pub(crate) rested: Option<u64>,
    /// A reading was given up that the engine may not be done with.
    pub(crate) left: bool,
    /// How often the container had been started when its log was read to the end.
    pub(crate) finished: u64,
    /// The log from its first line on, where the container was created under our eyes.
    pub(crate) early: Option<Early>,
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
            let ended = self.pass().await;
            self.tell_complaints().await;
            let next = match ended {
                Pass::Stop => Next::Stop,
                Pass::Stalled | Pass::Silent | Pass::Uncovered(_) | Pass::Doubtful => Next::Again,
                Pass::Due => {
                    // Streams that end at rotations, with lines between them, must not make pauses longer and longer.
                    delay.reset();
                    Next::Again
                }
                Pass::Troubled(lines) => {
                    if lines > 0 {
                        self.troubles = 0;
                        delay.reset();
                    }
                    self.after_trouble(seen).await
                }
                Pass::End(lines) if lines > 0 => {
                    self.troubles = 0;
                    delay.reset();
                    Next::Again
                }
                Pass::End(_) => self.after_nothing(seen).await,
                Pass::Failed(error) => self.after_failure(&error).await,
            };
            let go_on = match next {
                Next::Again => true,
                Next::Pause => self.pause(delay.next(random::fraction())).await,
                Next::Wait => self.wait(seen).await,
                Next::Gone => return self.gone(),
                Next::Stop => false,
            };
            if !go_on {
                self.prove_last().await;
                return self.ledger.end_reading(seen.starts <= self.finished);
            }
        }
    }

    /// Before the agent stops: what was followed is read again, so that the cursor moves and nothing is sent twice after the next start.
    async fn prove_last(&mut self) {
        if !self.unproved.is_empty() && !self.left {
            self.stop = CancellationToken::new();
            if let Ok(Pass::End(_)) = timeout(LAST, self.read_back(Mode::Proving)).await {
                self.unproved.clear();
            }
        }
    }

    /// The log has been read to its end and there was nothing new.
    async fn after_nothing(&mut self, seen: Signals) -> Next {
        if self.signals.borrow().starts != seen.starts {
            return Next::Again;
        }
        match self.engine.inspect(&self.id).await.map(Container::new) {
            Ok(Some(container)) if container.running => Next::Pause,
            // What was written last may have been passed over while it was followed.
            Ok(_) if self.rotates() && self.rested.replace(seen.starts) != Some(seen.starts) => Next::Again,
            Ok(_) => Next::Wait,
            Err(error) => self.after_failure(&error).await,
        }
    }

    fn rotates(&self) -> bool {
        self.container.log_file_size().is_some()
    }

    /// The engine could not read the log to its end. That it says so again and again means that it never will.
    async fn after_trouble(&mut self, seen: Signals) -> Next {
        self.troubles += 1;
        if self.troubles < TROUBLES {
            return Next::Pause;
        }
        self.troubles = 0;
        self.after_nothing(seen).await
    }

    /// The container does not exist any more. Nobody can tell whether its last start has written anything that was not read.
    fn gone(&self) {
        // That a log can't be read at all was said already.
        if !self.unreadable && self.signals.borrow().starts > self.finished {
            self.ledger.count_unread();
            warn_of_unread(&self.container.name);
        }
        self.ledger.gone();
    }

    async fn tell_complaints(&mut self) {
        let complaints = std::mem::take(&mut self.complaints);
        if !complaints.is_empty() && !self.is_leaving().await {
            let complaint = complaints.join("; ");
            warn!(
                container = self.container.name,
                complaint, "the Docker engine has trouble with this container's log"
            );
        }
    }

    /// Whether the container is gone or being removed: then the engine may not find its log any more, which is no trouble.
    async fn is_leaving(&self) -> bool {
        match self.engine.inspect(&self.id).await.map(Container::new) {
            Ok(container) => container.is_none_or(|container| container.leaving),
            Err(error) => error.status() == Some(404),
        }
    }

    async fn after_failure(&mut self, error: &ApiError) -> Next {
        match error.status() {
            Some(404) => return Next::Gone,
            Some(409) => return Next::Pause,
            Some(500) if self.is_leaving().await => return Next::Pause,
            _ => self.ledger.fails(&error.to_string()),
        }
        match error.status() {
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
            self.gone();
            return false;
        }
        true
    }

    /// Asks for the description again if it has changed.
    async fn refresh(&mut self) {
        let changes = self.signals.borrow().changes;
        if std::mem::replace(&mut self.described, changes) == changes {
            return;
        }
        if let Ok(Some(container)) = self.engine.inspect(&self.id).await.map(Container::new) {
            self.layers = (self.describe)(&container);
            self.ledger.describe_anew(&self.host, &container, &self.layers);
            self.container = container;
        }
    }
}

/// Says that lines of a container may be missing, which is gone.
pub(super) fn warn_of_unread(container: &str) {
    warn!(
        container,
        "the container was removed before its log had been read to the end, so lines may be missing; mount /var/lib/docker/containers read-only, from whose files all is read"
    );
}

/// A number for the queue's lanes and for spreading pauses: the first digits of the container's id.
pub(super) fn source_number(id: &str) -> u64 {
    id.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
