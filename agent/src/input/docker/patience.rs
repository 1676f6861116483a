//! How much of the host's time the patterns of one container may take.
//!
//! Each match has a budget, but a container may write any number of lines that use theirs up, and all logs are read by few threads. So what costs far more than
//! its text is long is counted, and when that of a second is [`LIMIT`], the container's lines match nothing until the second is over. That is said once.
//!
//! What it promises: a pattern that runs over its text in the usual way is never held up, however many lines come.

use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::regex::{Budget, Scratch};
use tokio::time::Instant;
use tracing::warn;

/// What costly matches may take of each [`SECOND`].
const LIMIT: Budget = Budget::from_millis(100);

const SECOND: Duration = Duration::from_secs(1);

/// What a match may cost without being counted: so much, and so much for each byte of its text.
const USUAL: (u64, u64) = (5_000, 50);

/// The patience with one container's patterns.
#[derive(Debug)]
pub(crate) struct Patience {
    container: Arc<str>,
    since: Instant,
    spent: u64,
    said: bool,
}

impl Patience {
    /// With the patterns of the container of this name.
    pub(crate) fn new(container: Arc<str>) -> Self {
        Self { container, since: Instant::now(), spent: 0, said: false }
    }

    /// What `find` finds in a text of so many bytes; nothing where the container has used up its time.
    pub(crate) fn with<T>(
        &mut self,
        bytes: usize,
        scratch: &mut Scratch,
        find: impl FnOnce(&mut Scratch) -> T,
    ) -> Option<T> {
        if self.spent >= LIMIT.steps() && self.since.elapsed() < SECOND {
            return None;
        }
        let before = scratch.spent();
        let found = find(scratch);
        let cost = scratch.spent() - before;
        if cost > USUAL.0 + USUAL.1 * bytes as u64 {
            self.charge(cost);
        }
        Some(found)
    }

    fn charge(&mut self, cost: u64) {
        if self.since.elapsed() >= SECOND {
            (self.since, self.spent) = (Instant::now(), 0);
        }
        self.spent += cost;
        if self.spent >= LIMIT.steps() && !std::mem::replace(&mut self.said, true) {
            let container = &*self.container;
            warn!(
                container,
                "patterns of this container's hints cost too much, so that some of its lines are taken for ones that they do not match; write them without references and nested repetitions"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use elkhound_pipeline::regex::{Flags, Regex};

    use super::*;

    /// How many of so many equal lines are looked at, and what that costs in milliseconds.
    fn looked_at(patience: &mut Patience, pattern: &str, line: &str, lines: usize) -> (usize, u64) {
        let (regex, mut scratch) = (Regex::new(pattern, Flags::default()).unwrap(), Scratch::default());
        let budget = Budget::from_millis(20);
        let mut look = || {
            patience.with(line.len(), &mut scratch, |scratch| regex.is_match(line, scratch, budget).unwrap_or(false))
        };
        let looked = (0..lines).filter(|_| look().is_some()).count();
        (looked, scratch.spent() / Budget::from_millis(1).steps())
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_all_cost_too_much_take_a_part_of_each_second() {
        let mut patience = Patience::new("web".into());
        let line = "a".repeat(60);
        for _ in 0..2 {
            let (looked, millis) = looked_at(&mut patience, r"^(a+)+\1!$", &line, 100);
            assert!((1..=10).contains(&looked) && (100..=120).contains(&millis), "{looked} lines, {millis} ms");
            tokio::time::advance(SECOND).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_usual_pattern_sees_every_line() {
        let line = format!("2026-11-26 20:00:00 INFO [worker-1] com.example.Orders - {}", "order placed ".repeat(20));
        for pattern in [r"^\d{4}-\d\d-\d\d", r"(a+)+$", "ERROR|WARN|Exception", r"^\s+at |^Caused by:", r"(\w+)\s\1!"] {
            let (looked, _) = looked_at(&mut Patience::new("web".into()), pattern, &line, 20_000);
            assert_eq!(looked, 20_000, "{pattern}");
        }
    }
}
