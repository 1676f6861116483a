//! Lines that were handed on while a log was followed through the API, and are not proved to be complete.
//!
//! An engine that follows a log may pass over lines when the log is rotated, without a word. Reading the same part again in one go, without
//! following, misses nothing that is still there: the engine opens all files at one moment. So each followed part of a log that can be
//! rotated is read again that way soon; what was handed on already is struck out, and the rest is handed on then. The cursor
//! moves with this second reading only.
//!
//! What it promises: no line is handed on twice, also where the engine repeats lines at a rotation.
//! What it leaves out: reading; and lines that share stream and time with the one before: while following these can't be told from
//! repeated ones, so they are left to the second reading.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::lines::{Line, Sealed};
use super::position::{Marks, Position, Stream};

/// The longest that lines may stay unproved.
const LATEST: Duration = Duration::from_secs(30);

/// The most lines that may be unproved, which bounds what is remembered.
const LINES: usize = 10_000;

/// Which lines were handed on, and since when.
#[derive(Debug, Default)]
pub(crate) struct Unproved {
    seen: HashSet<(Stream, Position)>,
    bytes: u64,
    limit: u64,
    since: Option<Instant>,
    /// The first line that was followed, in nanoseconds.
    first: Option<i64>,
}

impl Unproved {
    /// The log's files are rotated at `size` bytes: before an eighth of a file is followed it has to be read again.
    pub(crate) fn expect_rotation_at(&mut self, size: u64) {
        self.limit = (size / 8).clamp(1, 1 << 20);
    }

    /// Notes lines that came by following, and strikes out those that came before, or were `proved` before: at a rotation engines repeat these, too.
    pub(crate) fn add(&mut self, lines: &mut Sealed, proved: &Marks) {
        lines.retain(|line| {
            let Line { stream, position, .. } = *line;
            let is_proved = proved.of(stream).is_some_and(|mark| position <= mark);
            !is_proved && position.ordinal == 0 && self.seen.insert((stream, position))
        });
        self.bytes += lines.text.len() as u64;
        if let Some(line) = lines.lines.first() {
            self.since.get_or_insert_with(Instant::now);
            self.first.get_or_insert(line.position.nanos);
        }
    }

    /// The first line that is not proved, in nanoseconds: reading again has to begin no later.
    pub(crate) fn first(&self) -> Option<i64> {
        self.first
    }

    /// Strikes out what was handed on already.
    pub(crate) fn strike_out(&self, lines: &mut Sealed) {
        if !self.seen.is_empty() {
            lines.retain(|line| !self.seen.contains(&(line.stream, line.position)));
        }
    }

    /// When the log has to be read again.
    pub(crate) fn due(&self) -> Option<Instant> {
        let since = self.since?;
        Some(if self.is_full() { since } else { since + LATEST })
    }

    /// Whether so much came so fast that following does not pay.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.limit || self.seen.len() >= LINES
    }

    /// True when all is proved.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// The log was read again to its end.
    pub(crate) fn clear(&mut self) {
        self.seen = HashSet::new();
        (self.bytes, self.since, self.first) = (0, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::lines::Lines;

    fn lines(stamps: &[(i64, u32)]) -> Sealed {
        let mut lines = Lines::default();
        for (nanos, ordinal) in stamps {
            let position = Position { nanos: *nanos, ordinal: *ordinal };
            lines.push(Stream::Stdout, position, false, |out| out.extend_from_slice(b"x"));
        }
        lines.seal(usize::MAX)
    }

    fn unproved(size: u64) -> Unproved {
        let mut unproved = Unproved::default();
        unproved.expect_rotation_at(size);
        unproved
    }

    fn stamps(lines: &Sealed) -> Vec<i64> {
        lines.lines.iter().map(|line| line.position.nanos).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_skipped_is_left_over_and_what_was_repeated_is_not() {
        let mut unproved = unproved(10 << 20);
        assert_eq!(unproved.due(), None);
        let mut followed = lines(&[(1, 0), (2, 0), (5, 0), (5, 1), (2, 0), (6, 0)]);
        unproved.add(&mut followed, &Marks::default());
        assert_eq!(stamps(&followed), [1, 2, 5, 6]);
        assert_eq!((unproved.due(), unproved.first()), (Some(Instant::now() + LATEST), Some(1)));
        let mut again = lines(&[(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (5, 1), (6, 0), (7, 0)]);
        unproved.strike_out(&mut again);
        assert_eq!(stamps(&again), [3, 4, 5, 7]);
        unproved.clear();
        assert!(unproved.is_empty() && unproved.due().is_none() && unproved.first().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_proved_before_it_was_repeated_is_struck_out() {
        let mut proved = Marks::default();
        proved.set(Stream::Stdout, Position { nanos: 3, ordinal: 0 });
        let mut followed = lines(&[(4, 0), (2, 0), (3, 0), (4, 0), (5, 0)]);
        unproved(10 << 20).add(&mut followed, &proved);
        assert_eq!(stamps(&followed), [4, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_eighth_of_a_file_is_due_at_once() {
        let mut unproved = unproved(64);
        unproved.add(&mut lines(&[(1, 0), (2, 0), (3, 0), (4, 0)]), &Marks::default());
        assert!(unproved.is_full());
        assert_eq!(unproved.due(), Some(Instant::now()));
    }
}
