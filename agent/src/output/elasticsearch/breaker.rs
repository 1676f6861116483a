//! Whether requests go to a host: a circuit breaker.
//!
//! A host that fails is left alone for a pause. After it one request may try, and its outcome decides: the host is used again, or left alone for
//! twice as long, up to a minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// The breaker of one host.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// Requests go there.
    #[default]
    Closed,
    /// None do until then.
    Open { until: Instant, pause: Duration },
    /// One is trying.
    Probing { pause: Duration },
}

impl Breaker {
    /// Whether a request may go to the host now.
    pub(crate) fn admits(&self) -> bool {
        let mut state = self.state();
        match *state {
            State::Closed => true,
            State::Open { until, pause } if Instant::now() >= until => {
                *state = State::Probing { pause };
                true
            }
            State::Open { .. } | State::Probing { .. } => false,
        }
    }

    /// The host has answered.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::Closed;
    }

    /// The host is to blame for a failure.
    pub(crate) fn failed(&self) {
        let mut state = self.state();
        let pause = match *state {
            State::Closed => SHORTEST,
            State::Probing { pause } => (pause * 2).min(LONGEST),
            // Others that were under way when it was opened say nothing new.
            State::Open { .. } => return,
        };
        *state = State::Open { until: Instant::now() + pause, pause };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_one_request_tries_and_decides() {
        let breaker = Breaker::default();
        assert!(breaker.admits() && breaker.admits());
        for seconds in [5, 10, 20, 40, 60, 60] {
            breaker.failed();
            breaker.failed();
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(!breaker.admits(), "{seconds}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(breaker.admits() && !breaker.admits(), "{seconds}");
        }
        breaker.succeeded();
        assert!(breaker.admits() && breaker.admits());
        breaker.failed();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(breaker.admits());
    }
}
