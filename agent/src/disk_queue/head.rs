//! The end at which the queue is read.

use std::io;
use std::sync::Arc;

use elkhound_pipeline::event::stored::{Corrupt, unpack};
use elkhound_pipeline::event::{DocumentId, Event};
use elkhound_pipeline::flow::queue::Chunk;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use elkhound_pipeline::flow::worker::survives;
use tracing::{error, warn};

use super::book::{Behind, Book};
use super::checkpoint::Place;
use super::deflate::Inflater;
use super::page::{Frames, HEADER, Next, PageId};
use super::recovery::page_name;

/// Reads frame after frame, from where all before is safe.
pub(super) struct Head {
    book: Arc<Book>,
    place: Place,
    /// The page of the place, when it is open.
    open: Option<Open>,
    inflater: Inflater,
}

struct Open {
    id: PageId,
    first: u64,
    frames: Frames,
}

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Taken {
    /// Where its events come from.
    pub(super) source: u64,
    /// How many they are.
    pub(super) events: usize,
    /// Its page.
    page: PageId,
    /// How many events of the page stand before it.
    before: u64,
    /// The place behind it.
    pub(super) end: Place,
    /// The events.
    pub(super) packed: Vec<u8>,
}

impl Head {
    /// Begins behind what is safe.
    pub(super) fn new(book: Arc<Book>) -> Self {
        let place = book.safe();
        let inflater = Inflater::new(&book.gauge().decoded);
        Self { book, place, open: None, inflater }
    }

    /// The next frame, waited for where `wait` says so; nothing when there is none and none will come. What can't be read is passed over, and told.
    ///
    /// # Errors
    /// When a page can't be opened or read. It may be tried again.
    pub(super) fn next(&mut self, wait: bool) -> io::Result<Option<Taken>> {
        loop {
            match self.book.behind(self.place, wait) {
                Behind::Nothing => return Ok(None),
                Behind::Page(page) => {
                    self.open = None;
                    self.place = Place { page: page.number, offset: HEADER, events: page.first };
                }
                Behind::More { end } => match self.read(end)? {
                    Some(taken) => return Ok(Some(taken)),
                    None => self.pass_over(),
                },
            }
        }
    }

    /// The frame at the place; nothing when there is something else.
    fn read(&mut self, end: u64) -> io::Result<Option<Taken>> {
        let Self { book, place, open, inflater } = self;
        let open = match open {
            Some(open) => open,
            none => none.insert(Open::new(book, *place)?),
        };
        let Open { id, first, frames } = open;
        let Next::Frame(frame) = frames.next(end)? else { return Ok(None) };
        let (source, events) = (frame.source, frame.events);
        let Some(packed) = inflater.packed(frame.body) else { return Ok(None) };
        let before = place.events.saturating_sub(*first);
        place.offset = frames.offset();
        place.events += events as u64;
        Ok(Some(Taken { source, events, page: *id, before, end: *place, packed }))
    }

    /// Goes on at the end of the page, for nobody can tell where in it the next frame begins.
    fn pass_over(&mut self) {
        let Some(end) = self.book.end_of(self.place.page) else { return };
        let events = end.events.saturating_sub(self.place.events);
        if events > 0 {
            let page = page_name(self.place.page);
            let (offset, bytes) = (self.place.offset, end.offset.saturating_sub(self.place.offset));
            warn!(
                page,
                offset,
                bytes,
                events,
                "a page of the queue on disk is damaged, and events are lost; look after the disk"
            );
            self.book.lost(events);
        }
        self.open = None;
        self.place = end;
        let number = self.book.hand_out(end);
        self.book.settled(number);
    }
}

impl Open {
    fn new(book: &Book, place: Place) -> io::Result<Self> {
        let page = book.page(place.page).ok_or(io::ErrorKind::NotFound)?;
        let medium = book.storage.open(&page_name(place.page))?;
        Ok(Self { id: page.id, first: page.first, frames: Frames::new(medium, place.offset) })
    }
}

/// A frame on its way to a worker, which makes events of it.
pub(super) struct Packed {
    /// The frame.
    pub(super) taken: Taken,
    /// The receipt of all its events.
    pub(super) receipt: Receipt,
    /// Hears of what is lost.
    pub(super) book: Arc<Book>,
}

impl Chunk for Packed {
    fn unpack(self: Box<Self>, events: &mut Vec<Event>) {
        let Self { taken, receipt, book } = *self;
        let start = events.len();
        if !is_read(|| unpack(&taken.packed, taken.events, events)) {
            // The checksum was right: this is not the disk's fault.
            events.truncate(start);
            book.lost(taken.events as u64);
            error!(
                events = taken.events,
                "events of the queue on disk can't be read, which is a defect of elkhound; they are lost"
            );
        }
        for (nth, event) in events[start..].iter_mut().enumerate() {
            let own = || DocumentId::plain(taken.page.of_event(taken.before + nth as u64).as_bytes());
            let id = event.id().copied().unwrap_or_else(own);
            event.set_origin(Some(id), Some(receipt.clone()));
        }
        receipt.acknowledge();
    }

    fn events(&self) -> usize {
        self.taken.events
    }

    fn receipt(&self) -> Option<Receipt> {
        Some(self.receipt.clone())
    }
}

/// Whether `read` has found events; a panic is a no.
fn is_read(read: impl FnOnce() -> Result<(), Corrupt>) -> bool {
    let mut found = Err(Corrupt);
    survives(|| found = read()) && found.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_queue::Limits;
    use crate::disk_queue::model::Opened;
    use crate::disk_queue::simulated::Simulated;
    use crate::input::NoLedger;

    #[test]
    fn what_panics_is_not_read() {
        assert!(is_read(|| Ok(())));
        assert!(!is_read(|| Err(Corrupt)));
        assert!(!is_read(|| panic!("as the test wants it")));
    }

    #[test]
    fn a_frame_that_is_none_is_lost_and_counted() {
        let limits = Limits { page: 1 << 20, bytes: 1 << 20, events: 0, acks: 0, writes: 0, interval: None };
        let book = Opened::new(&Simulated::default(), limits).book;
        let taken = Taken { source: 7, events: 3, page: PageId([0; 12]), before: 0, end: book.safe(), packed: vec![9] };
        let receipt = Receipt::open(Arc::new(NoLedger), 0, None);
        let mut events = Vec::new();
        Box::new(Packed { taken, receipt, book: Arc::clone(&book) }).unpack(&mut events);
        assert_eq!((events.len(), book.all_lost()), (0, 3));
    }
}
