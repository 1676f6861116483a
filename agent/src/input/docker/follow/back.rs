//! How far back a log is opened, step after step, until it holds what is not safe.
//!
//! What it promises: from whichever place a log is read again, no line of it that is not safe is passed over, and none is handed on that is; a gap is told where the
//! marked lines are not in the log any more, and nowhere else. That holds whatever the clock did, and for lines that share a time.
//! What it leaves out: a log that begins, since it was rotated, in the midst of several lines of one stream and time, for these can't be told apart; and a long one that
//! begins with a later time than the marked line's because the clock was set back since: to be told from one that misses lines it would have to be read twice, so
//! it is taken for one. After a power cut, where the marked line was never written to the disk, a log that is rotated comes once more behind a gap, for nothing tells it from one
//! whose marked line was rotated away; one that is not goes by the times of its lines then.

use super::super::intake::{First, Reach};

/// A log of no more messages than this is read to its end before lines are told to be missing: twice, where they are.
const SHORT: u64 = 25_600;

/// How to open a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// With so many messages from its end, or all, to read on behind the marks.
    Behind(Option<u64>, Reach),
    /// With all messages: it has none of the marked lines any more, and all of it is new.
    Anew,
}

/// The steps back.
#[derive(Clone, Debug)]
pub(super) struct Back {
    /// Numbers of messages to try, the next one first.
    tails: &'static [u64],
    /// What came first in the last step, and whether that one would have had all of a short log.
    before: Option<First>,
    short: bool,
    /// All of the log was looked through for the place of the marks.
    searched: bool,
}

impl Back {
    /// Tries so many messages from the end, one after the other, but not fewer than are `expected`, and then all.
    pub(super) fn new(tails: &'static [u64], expected: u64) -> Self {
        let few = tails.iter().take_while(|tail| **tail < expected).count();
        Self { tails: &tails[few..], before: None, short: false, searched: false }
    }

    /// How to open the log now.
    pub(super) fn step(&self) -> Step {
        match self.tails.first() {
            _ if self.searched => Step::Anew,
            Some(tail) => Step::Behind(Some(*tail), Reach::Tail { before: self.before, short: self.short }),
            None => Step::Behind(None, Reach::Whole),
        }
    }

    /// The last step was not far enough: the log began with this message then.
    pub(super) fn begins_too_late(&mut self, first: First) {
        // Whoever gets the same message first again, from further back, has all of the log.
        self.searched = self.tails.is_empty() || self.before == Some(first);
        self.short = self.tails.first().is_some_and(|tail| *tail <= SHORT);
        self.tails = self.tails.get(1..).unwrap_or_default();
        self.before = Some(first);
    }
}

#[cfg(test)]
mod tests;
