//! A limit on how often elkhound says the same kind of thing: once a second, if not told otherwise, with the number of times it held its tongue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long a message of one kind keeps the next ones quiet.
const PAUSE: Duration = Duration::from_secs(1);

/// One kind of message.
#[derive(Debug)]
pub(crate) struct Limit {
    pause: Duration,
    /// Milliseconds since the first use, of the last message; 0 before the first.
    last: AtomicU64,
    suppressed: AtomicU64,
    start: std::sync::OnceLock<Instant>,
}

impl Limit {
    /// A limit that lets the first message pass.
    pub(crate) const fn new() -> Self {
        Self::every(PAUSE)
    }

    /// The same with another pause.
    pub(crate) const fn every(pause: Duration) -> Self {
        Self { pause, last: AtomicU64::new(0), suppressed: AtomicU64::new(0), start: std::sync::OnceLock::new() }
    }

    /// The number of messages held back since the last one, when it is time to say something again.
    pub(crate) fn pass(&self) -> Option<u64> {
        let elapsed = self.start.get_or_init(Instant::now).elapsed();
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let last = self.last.load(Ordering::Relaxed);
        let due = last == 0 || now >= last + self.pause.as_millis() as u64;
        if due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn says_how_often_it_was_quiet() {
        let limit = Limit::new();
        assert_eq!(limit.pass(), Some(0));
        assert_eq!(limit.pass(), None);
        assert_eq!(limit.pass(), None);
        tokio::time::advance(PAUSE).await;
        assert_eq!(limit.pass(), Some(2));
    }
}
