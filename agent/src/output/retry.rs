//! The pauses between the tries of an output, and what is said about them.

use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::limit::Limit;
use crate::random;

/// Why something did not work this time, for the log.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// Where: a file, an address.
    pub(crate) place: String,
    /// What the system said.
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) remedy: &'static str,
}

impl Trouble {
    /// Trouble at a place.
    pub(crate) fn new(place: impl fmt::Display, reason: impl fmt::Display, remedy: &'static str) -> Self {
        Self { place: place.to_string(), reason: reason.to_string(), remedy }
    }
}

/// The tries of one output.
#[derive(Debug)]
pub(crate) struct Retry {
    output: &'static str,
    backoff: Backoff,
    failing: bool,
    limit: Limit,
    give_up: CancellationToken,
}

impl Retry {
    /// Growing pauses for the output called `output`, until `give_up` is cancelled.
    pub(crate) fn new(output: &'static str, backoff: Backoff, give_up: CancellationToken) -> Self {
        Self { output, backoff, failing: false, limit: Limit::new(), give_up }
    }

    /// Something went well: the next pause is a short one again.
    pub(crate) fn succeeded(&mut self) {
        self.backoff.reset();
        if std::mem::take(&mut self.failing) {
            info!(output = self.output, "the output takes events again");
        }
    }

    /// Says what went wrong and waits before the next try; false when it is time to give up.
    pub(crate) async fn failed(&mut self, trouble: &Trouble) -> bool {
        self.failing = true;
        let pause = self.backoff.next(random::fraction());
        if let Some(suppressed) = self.limit.pass() {
            let Trouble { place, reason, remedy } = trouble;
            let seconds = (pause.as_secs_f64() * 10.0).round() / 10.0;
            warn!(output = self.output, place, reason, remedy, seconds, suppressed, "events wait; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.give_up.cancelled() => false,
        }
    }

    /// Cancelled when it is time to give up.
    pub(crate) fn give_up(&self) -> CancellationToken {
        self.give_up.clone()
    }
}

/// A pause that an option sets in seconds, within what a timer can do.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX).min(Duration::from_secs(86_400 * 365))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_go_on_until_it_is_time_to_give_up() {
        let (second, give_up) = (Duration::from_secs(1), CancellationToken::new());
        let mut retry = Retry::new("file", Backoff::new(second, second * 30), give_up.clone());
        let trouble = Trouble::new("/var/log/x", "full", "free some space");
        for _ in 0..100 {
            assert!(retry.failed(&trouble).await);
        }
        give_up.cancel();
        assert!(!retry.failed(&trouble).await);
    }
}
