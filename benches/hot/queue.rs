//! What the queue on disk does to an event beside writing, syncing and reading: packed into a frame with its checksum, found in its page and
//! unpacked again. `queue.type: memory` does none of it.

use std::hint::black_box;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::{Pack, unpack};

use super::data::{event, layer, messages};
use crate::disk_queue::memory::Memory;
use crate::disk_queue::page::{Frames, Next, write_frame};

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
        let mut frames = Frames::new(Box::new(Memory::of(page, usize::MAX)), 0);
        let Ok(Next::Frame(frame)) = frames.next(end) else { unreachable!("the frame is whole") };
        back.clear();
        unpack(frame.packed, frame.events, &mut back).expect("the events are whole");
        black_box(&back);
    })
}
