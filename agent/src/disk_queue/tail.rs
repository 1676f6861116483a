//! The end at which the queue grows.

use std::io;
use std::sync::Arc;

use super::book::Book;
use super::page::{HEADER, Header, PageId};
use super::recovery;
use super::storage::Medium;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is in the queue; it is safe when [`Tail::sync`] has returned.
    Whole,
    /// There is no room for it.
    Full,
}

/// Whether a frame must fit into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// As `queue.max_bytes` and `queue.max_events` say.
    Limited,
    /// No: it can go nowhere else.
    Any,
}

/// Writes to the last page.
pub(super) struct Tail {
    book: Arc<Book>,
    medium: Box<dyn Medium>,
    new_id: fn() -> PageId,
    page: u64,
    offset: u64,
    /// What stands behind this offset may be lost in a crash...
    synced: u64,
    /// ...and is kept here until it may not: after a sync that has failed, the kernel has forgotten that it was to be written.
    unsynced: Vec<u8>,
    failed: bool,
}

impl Tail {
    /// Writes behind the header of a page that was just begun.
    pub(super) fn new(book: Arc<Book>, medium: Box<dyn Medium>, page: u64, new_id: fn() -> PageId) -> Self {
        Self { book, medium, new_id, page, offset: HEADER, synced: HEADER, unsynced: Vec::new(), failed: false }
    }

    /// Writes a frame of so many events. A page that is full is synced and the next one begun.
    ///
    /// # Errors
    /// When the disk does not take it. It is not in the queue then, and may be tried again.
    pub(super) fn append(&mut self, frame: &[u8], events: usize, room: Room) -> io::Result<Appended> {
        if self.offset > HEADER && self.offset + frame.len() as u64 > self.book.limits.page {
            self.roll()?;
        }
        if room == Room::Limited && !self.book.has_room(frame.len() as u64, events as u64) {
            return Ok(Appended::Full);
        }
        // A write that has failed half-way is written over by the next one.
        self.medium.write_at(self.offset, frame)?;
        self.unsynced.extend_from_slice(frame);
        self.offset += frame.len() as u64;
        self.book.grew(frame.len() as u64, events as u64);
        Ok(Appended::Whole)
    }

    /// Waits until all that was written is safe.
    ///
    /// # Errors
    /// When the disk can't say so. It may be asked again.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        if self.failed {
            self.medium.write_at(self.synced, &self.unsynced)?;
        }
        let synced = self.medium.sync();
        self.failed = synced.is_err();
        synced?;
        self.synced = self.offset;
        self.unsynced.clear();
        Ok(())
    }

    fn roll(&mut self) -> io::Result<()> {
        self.sync()?;
        let deflatable = self.book.gauge().settings.compression.is_on();
        let header = Header { id: (self.new_id)(), first: self.book.written(), deflatable };
        let (page, medium) = recovery::begin(&*self.book.storage, self.page + 1, header)?;
        (self.page, self.medium) = (page.number, medium);
        (self.offset, self.synced) = (HEADER, HEADER);
        self.book.begin(page);
        Ok(())
    }
}
