//! The files of a log that were read to their end, and that hold lines which are not safe yet.
//!
//! They are held open because rotation and the container's removal take their names away, while another reader may have to begin in them
//! ([`super::handover`]). A log that is at rest holds none.

use std::collections::VecDeque;

use super::super::place::Place;
use super::segments::Segment;

/// How many files of a log are held at most. What is in flight has a limit of its own, so that only files far smaller than usual can be so many.
const MOST: usize = 64;

/// Files that were read, the oldest first.
#[derive(Default)]
pub(super) struct Held(VecDeque<Segment>);

impl Held {
    /// True when there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Holds a file that was read to its end.
    pub(super) fn hold(&mut self, file: Segment) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(file);
    }

    /// Closes the files whose lines are safe: all of them where that is known of `all` that was read, else those before the `place` up to which it is known,
    /// if that is in one of these or in one that is still `read`.
    pub(super) fn let_go<'a>(&mut self, place: Option<Place>, all: bool, mut read: impl Iterator<Item = &'a Segment>) {
        let inode = place.map(|place| place.end.inode);
        if all || read.any(|file| Some(file.inode) == inode) {
            self.0.clear();
        } else if let Some(at) = self.0.iter().position(|file| Some(file.inode) == inode) {
            self.0.drain(..at);
        }
    }

    /// The files, to be read again.
    pub(super) fn take(&mut self) -> VecDeque<Segment> {
        std::mem::take(&mut self.0)
    }
}
