//! How far reading is behind: the bytes that wait in log files, and how long they will, looked at every ten seconds.
//!
//! It promises nothing: services go on writing while their logs are read, and what is compressed is not counted, for nobody knows its size before it is
//! read. Logs that are read through the API are not counted either.

use std::time::{Duration, Instant};

use tracing::info;

use crate::amounts::{lasting, size};
use crate::stats::containers::BEHIND;

/// How often it is looked at, and said.
const EVERY: Duration = Duration::from_secs(10);
/// How soon for the first and the second time, which together make a speed.
const FIRST: Duration = Duration::from_secs(1);

/// From here on, in bytes, it is said; below [`BEHIND`], that it is over.
const MUCH: u64 = 16 << 20;

/// The looks so far.
pub(super) struct Backlog {
    due: Instant,
    last: Option<(Instant, u64)>,
    told: bool,
}

/// What an operator is told.
#[derive(Debug, PartialEq)]
enum Said {
    Nothing,
    CatchingUp,
    CaughtUp,
}

impl Backlog {
    /// Nothing was looked at yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now + FIRST, last: None, told: false }
    }

    /// Whether it is time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// So many bytes wait now; how long they will, where that can be told. Says so in the log when they are many.
    pub(super) fn look(&mut self, left: u64, now: Instant) -> Option<Duration> {
        let time_left = self.time_left(left, now);
        match self.judge(left) {
            Said::Nothing => {}
            Said::CatchingUp => {
                let left = size(usize::try_from(left).unwrap_or(usize::MAX));
                let time = time_left.map_or_else(|| "unknown".into(), |time| lasting(time.as_secs_f64()));
                info!(left, time_left = time, "catching up with log files");
            }
            Said::CaughtUp => info!("caught up with log files"),
        }
        self.due = now + if self.last.is_none() { FIRST } else { EVERY };
        self.last = Some((now, left));
        time_left
    }

    /// As long as it takes when it goes on as since the last look. Nothing when more was written than read.
    fn time_left(&self, left: u64, now: Instant) -> Option<Duration> {
        if left == 0 {
            return Some(Duration::ZERO);
        }
        let (at, before) = self.last?;
        let gained = before.checked_sub(left).filter(|gained| *gained > 0)?;
        let seconds = now.saturating_duration_since(at).as_secs_f64() * left as f64 / gained as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn judge(&mut self, left: u64) -> Said {
        if left >= MUCH {
            self.told = true;
            return Said::CatchingUp;
        }
        if left < BEHIND && std::mem::take(&mut self.told) {
            return Said::CaughtUp;
        }
        Said::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_what_was_gained_since_the_last_look() {
        let start = Instant::now();
        let mut backlog = Backlog::new(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!backlog.is_due(start) && backlog.is_due(after(1)));
        assert_eq!(backlog.look(1000, after(10)), None);
        assert!(!backlog.is_due(after(10)) && backlog.is_due(after(11)));
        assert_eq!(backlog.look(750, after(20)), Some(Duration::from_secs(30)));
        assert!(!backlog.is_due(after(29)) && backlog.is_due(after(30)));
        assert_eq!(backlog.look(800, after(30)), None);
        assert_eq!(backlog.look(0, after(40)), Some(Duration::ZERO));
    }

    #[test]
    fn it_is_told_while_much_is_left_and_once_that_it_is_over() {
        let mut backlog = Backlog::new(Instant::now());
        let said = [0, MUCH - 1, MUCH, MUCH * 2, BEHIND, BEHIND - 1, 0].map(|left| backlog.judge(left));
        use Said::{CatchingUp, CaughtUp, Nothing};
        assert_eq!(said, [Nothing, Nothing, CatchingUp, CatchingUp, Nothing, CaughtUp, Nothing]);
    }
}
