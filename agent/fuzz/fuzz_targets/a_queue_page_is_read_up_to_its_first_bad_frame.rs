//! Any bytes are a page of the queue on disk: frames up to the first that is none. Behind whole frames they change nothing of those, and what is read of a
//! checkpoint or a header is what was written.

#![no_main]


use elkhound_pipeline::event::stored::unpack;
use libfuzzer_sys::fuzz_target;

mod agent;

use agent::{disk_queue, input};
use disk_queue::checkpoint;
use disk_queue::memory::Memory;
use disk_queue::page::{Frames, Header, Next, write_frame};

fuzz_target!(|bytes: &[u8]| {
    frames(bytes);
    if let Ok(header) = Header::decode(bytes) {
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }
    let _slot = checkpoint::decode(bytes);

    let mut page = Vec::new();
    for part in bytes.chunks(bytes.len() / 3 + 1) {
        write_frame(part.len() as u64, part.len(), &mut page, |out| out.extend_from_slice(part));
    }
    let written = page.len();
    page.extend_from_slice(bytes);
    let read = frames(&page);
    let parts: Vec<(u64, usize, Vec<u8>)> =
        bytes.chunks(bytes.len() / 3 + 1).map(|part| (part.len() as u64, part.len(), part.to_vec())).collect();
    assert!(read.starts_with(&parts), "{written} bytes of whole frames");
});

/// The frames from the beginning of a page, each with its source and its number of events.
fn frames(page: &[u8]) -> Vec<(u64, usize, Vec<u8>)> {
    let (mut frames, mut found) = (Frames::new(Box::new(Memory::of(page.to_vec(), usize::MAX)), 0), Vec::new());
    while let Ok(Next::Frame(frame)) = frames.next(page.len() as u64) {
        let _either = unpack(frame.packed, frame.events, &mut Vec::new());
        found.push((frame.source, frame.events, frame.packed.to_vec()));
    }
    found
}
