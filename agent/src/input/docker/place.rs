//! The place in a log's files up to which they were read, so that a restart goes on there and does not read again what is safe.
//!
//! A file is found again by its inode, which rotation does not change, and by the last bytes before the place: they hold the time of a record to the
//! nanosecond, so that a file which was truncated or replaced is not taken for what it was. The device is left out: its number may be another
//! one after the host has started again, and the bytes say more.
//!
//! What it promises: all lines that are not safe begin at the place or behind it. What is safe may stand behind it too, for it is passed over by
//! its position, as everywhere; so an old place costs reading and nothing else.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::cursor::checksum;
use super::position::Marks;
use crate::input::window::Mark;

/// How many bytes before the end of a record are compared at most: more than the time and the names behind a record's text.
const COMPARED: usize = 256;

/// The end of a record in a log's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordEnd {
    /// The file.
    pub(crate) inode: u64,
    /// How many bytes of the file stand before it.
    pub(crate) offset: u64,
    /// How many of them are compared.
    pub(crate) compared: u16,
    /// Their checksum.
    pub(crate) checksum: u64,
}

/// Where reading can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Behind which record.
    pub(crate) end: RecordEnd,
    /// The last line of each stream before it: lines of the same time that follow are numbered after it.
    pub(crate) last: Marks,
}

/// How far a log is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The last safe line of each stream.
    pub(crate) marks: Marks,
    /// Where its files can be read on, if they are what is read.
    pub(crate) place: Option<Place>,
}

impl RecordEnd {
    /// The end of `bytes`, the last that were read of a file up to `offset`. Nothing without any.
    pub(crate) fn of(inode: u64, offset: u64, bytes: &[u8]) -> Option<Self> {
        let bytes = &bytes[bytes.len().saturating_sub(COMPARED)..];
        let compared = u16::try_from(bytes.len()).ok().filter(|compared| *compared > 0)?;
        Some(Self { inode, offset, compared, checksum: checksum(bytes) })
    }

    /// Whether the same bytes stand before it in `file`.
    pub(crate) fn is_in(&self, file: &File) -> bool {
        let Some(start) = self.offset.checked_sub(self.compared.into()) else { return false };
        let mut bytes = vec![0; self.compared.into()];
        file.read_exact_at(&mut bytes, start).is_ok() && checksum(&bytes) == self.checksum
    }
}

impl Mark for Reached {
    fn advance(&mut self, end: &Self) {
        self.marks.advance(&end.marks);
        self.place = end.place.or(self.place);
    }
}
