//! What the queue on disk does to an event beside writing, syncing and reading: packed into a frame with its checksum, found in its page and
//! unpacked again. `queue.type: memory` does none of it.

use std::hint::black_box;
use std::io;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::{Pack, unpack};

use super::data::{event, layer, messages};
use crate::disk_queue::page::{Frames, Next, write_frame};
use crate::disk_queue::storage::Medium;

/// The events of `data` into a frame and out of it.
pub(crate) fn through_a_page(data: &str) -> Box<dyn FnMut()> {
    let layer = layer();
    let events: Vec<Event> = messages(data).iter().map(|text| event(text, &layer)).collect();
    let (mut pack, mut back) = (Pack::default(), Vec::with_capacity(events.len()));
    Box::new(move || {
        events.iter().for_each(|event| pack.push(event));
        let mut page = Vec::with_capacity(pack.bytes() + 100);
        write_frame(0, events.len(), &mut page, |out| pack.write(out));
        let end = page.len() as u64;
        let mut frames = Frames::new(Box::new(Page(page)), 0);
        let Ok(Next::Frame(frame)) = frames.next(end) else { unreachable!("the frame is whole") };
        back.clear();
        unpack(frame.packed, frame.events, &mut back).expect("the events are whole");
        black_box(&back);
    })
}

/// A page in memory.
struct Page(Vec<u8>);

impl Medium for Page {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn cut(&self, _length: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}
