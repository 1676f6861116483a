//! What the queue on disk does to an event beside writing, syncing and reading: packed into a frame with its checksum, deflated where that is wanted, found in its page
//! and unpacked again. `queue.type: memory` does none of it.

use std::hint::black_box;
use std::sync::Arc;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::{Pack, unpack};

use crate::disk_queue::deflate::{Compression, Inflater};
use crate::disk_queue::memory::Memory;
use crate::disk_queue::page::{Framer, Frames, Next};

/// Events, and what makes frames of them and reads those.
pub(crate) struct Way {
    events: Vec<Event>,
    /// So many are in a frame.
    at_once: usize,
    pack: Pack,
    framer: Framer,
    inflater: Inflater,
    back: Vec<Event>,
}

impl Way {
    /// The way of the events of `data`.
    pub(crate) fn of(data: &str, at_once: usize, compression: Compression) -> Self {
        let events = super::events_of(data);
        let (framer, inflater) = (Framer::new(compression, &Arc::default()), Inflater::new(&Arc::default()));
        let back = Vec::with_capacity(events.len());
        Self { events, at_once, pack: Pack::default(), framer, inflater, back }
    }

    /// Writes all events into frames.
    pub(crate) fn write(&mut self) -> Vec<u8> {
        let mut page = Vec::with_capacity(1 << 17);
        for events in self.events.chunks(self.at_once) {
            events.iter().for_each(|event| self.pack.push(event));
            self.framer.write(0, events.len(), &mut page, |out| self.pack.write(out));
        }
        page
    }

    /// Reads what was written.
    pub(crate) fn read(&mut self, page: Vec<u8>) {
        let end = page.len() as u64;
        let mut frames = Frames::new(Box::new(Memory::of(page, usize::MAX)), 0);
        self.back.clear();
        while let Ok(Next::Frame(frame)) = frames.next(end) {
            let packed = self.inflater.packed(frame.body).expect("the frame is whole");
            unpack(&packed, frame.events, &mut self.back).expect("the events are whole");
        }
        assert_eq!(self.back.len(), self.events.len(), "every event comes back");
        black_box(&self.back);
    }
}

/// The events of `data` into a frame and out of it.
pub(crate) fn through_a_page(data: &str, compression: Compression) -> Box<dyn FnMut()> {
    let mut way = Way::of(data, usize::MAX, compression);
    Box::new(move || {
        let page = way.write();
        way.read(page);
    })
}
