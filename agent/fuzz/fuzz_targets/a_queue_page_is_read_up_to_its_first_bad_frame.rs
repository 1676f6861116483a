//! Any bytes are a page of the queue on disk: frames up to the first that is none. Behind whole frames, raw or deflated, they change nothing of those, and what is read of
//! a checkpoint or a header is what was written. Any bytes that claim to be a deflated body are one of the length that they claim, or none.

#![no_main]

use std::sync::Arc;

use elkhound_pipeline::event::stored::unpack;
use libfuzzer_sys::fuzz_target;

mod agent;

use agent::{disk_queue, input};
use disk_queue::checkpoint;
use disk_queue::deflate::{Body, Compression, Inflater};
use disk_queue::memory::Memory;
use disk_queue::page::{Framer, Frames, Header, Next};

fuzz_target!(|bytes: &[u8]| {
    frames(bytes);
    if let Ok(header) = Header::decode(bytes) {
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }
    let _slot = checkpoint::decode(bytes);

    inflate(bytes);

    // Many times over for some, so that there is enough to be deflated.
    let parts: Vec<(u64, usize, Vec<u8>)> = bytes
        .chunks(bytes.len() / 3 + 1)
        .map(|part| (part.len() as u64, part.len(), part.repeat(if bytes.len().is_multiple_of(2) { 30 } else { 1 })))
        .collect();
    for compression in [Compression::None, Compression::Speed, Compression::Balanced, Compression::Size] {
        let (mut framer, mut page) = (Framer::new(compression, &Arc::default()), Vec::new());
        for (source, events, part) in &parts {
            framer.write(*source, *events, &mut page, |out| out.extend_from_slice(part));
        }
        let written = page.len();
        page.extend_from_slice(bytes);
        assert!(frames(&page).starts_with(&parts), "{written} bytes of whole frames, {compression:?}");
    }
});

/// Takes the bytes for a deflated body: their first four for its length before.
fn inflate(bytes: &[u8]) {
    let Some((length, bytes)) = bytes.split_first_chunk() else { return };
    let length = u32::from_le_bytes(*length);
    if let Some(packed) = Inflater::new(&Arc::default()).packed(Body::Deflated { length, bytes }) {
        assert_eq!(packed.len(), length as usize);
    }
}

/// The frames from the beginning of a page, each with its source and its number of events.
fn frames(page: &[u8]) -> Vec<(u64, usize, Vec<u8>)> {
    let (mut frames, mut found) = (Frames::new(Box::new(Memory::of(page.to_vec(), usize::MAX)), 0), Vec::new());
    let mut inflater = Inflater::new(&Arc::default());
    while let Ok(Next::Frame(frame)) = frames.next(page.len() as u64) {
        let Some(packed) = inflater.packed(frame.body) else { break };
        let _either = unpack(&packed, frame.events, &mut Vec::new());
        found.push((frame.source, frame.events, packed));
    }
    found
}
