//! A page: a file of frames, each the events that one chunk of an input had, or a part of them.
//!
//! ```text
//! page   = "EHQP" version 0 0 0, id (12 bytes), number of the first event (8), crc32 of all that (4)
//! frame  = bytes of payload (4), events (4), crc32 of these eight bytes and the payload (4), payload
//! payload = source (8), body
//! body   = events as in elkhound_pipeline::event::stored
//!        | bytes that they take (4), the same deflated; the highest bit of the frame's number of events is set then
//! ```
//!
//! All numbers are little-endian. The version is 2 where frames may be deflated and else 1, so that an elkhound that can't inflate still reads what this one has written
//! without compression; a page of another one is refused and left alone, for a newer elkhound has written it. Zeros, which a file system may leave in place of what it
//! has lost, are neither a page nor a frame.

use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Crc;

use super::deflate::{Body, Compression, Deflater, Meter};
use super::storage::Medium;

/// The size of what a page begins with.
pub(crate) const HEADER: u64 = 32;

/// The size of what a frame begins with, and of its source.
const HEAD: usize = 12;
const SOURCE: usize = 8;

const MAGIC: &[u8; 4] = b"EHQP";
/// The versions of a page whose frames are all raw, and of one whose frames may be deflated.
const RAW: u8 = 1;
const DEFLATABLE: u8 = 2;

/// The bit that is set in the number of events of a frame whose body is deflated.
const DEFLATED: u32 = 1 << 31;

/// So much is read from a page at a time, where frames are smaller.
const READ: usize = 128 << 10;

/// A random name of a page, unique beyond this queue and this folder. With an event's place in the page it is the identity of an event that has
/// none of its own: no other event ever has it, also when the end of a page was lost in a crash after its events had been delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageId(pub(crate) [u8; 12]);

impl PageId {
    /// The identity of the page's event of this number.
    pub(crate) fn of_event(self, number: u64) -> String {
        format!("{}.{number}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What a page begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Its name.
    pub(crate) id: PageId,
    /// How many events the queue had taken before it.
    pub(crate) first: u64,
    /// Whether its frames may be deflated.
    pub(crate) deflatable: bool,
}

/// Why a page can't be read from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// It is none, or a crash has come before it was one.
    Damaged,
    /// It is one of another version of the format.
    Version(u8),
}

impl Header {
    /// As it is written.
    pub(crate) fn encode(self) -> [u8; HEADER as usize] {
        let mut bytes = [0; HEADER as usize];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = if self.deflatable { DEFLATABLE } else { RAW };
        bytes[8..20].copy_from_slice(&self.id.0);
        bytes[20..28].copy_from_slice(&self.first.to_le_bytes());
        let sum = checksum(&[&bytes[..28]]);
        bytes[28..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads what a page begins with.
    ///
    /// # Errors
    /// When that is nothing that this elkhound can read.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NoHeader> {
        let bytes: &[u8; HEADER as usize] = bytes.first_chunk().ok_or(NoHeader::Damaged)?;
        if !bytes.starts_with(MAGIC) {
            return Err(NoHeader::Damaged);
        }
        if ![RAW, DEFLATABLE].contains(&bytes[4]) {
            return Err(NoHeader::Version(bytes[4]));
        }
        let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let sum = bytes[28..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let id = bytes[8..].first_chunk().copied().unwrap_or_default();
        let whole = checksum(&[&bytes[..28]]) == sum;
        let header = Self { id: PageId(id), first: number(20), deflatable: bytes[4] == DEFLATABLE };
        whole.then_some(header).ok_or(NoHeader::Damaged)
    }
}

/// Makes frames, with deflated bodies where that is wanted and pays.
pub(crate) struct Framer {
    deflater: Option<Deflater>,
}

impl Framer {
    /// One that counts in `meter` what deflating does.
    pub(crate) fn new(compression: Compression, meter: &Arc<Meter>) -> Self {
        Self { deflater: Deflater::new(compression, meter) }
    }

    /// Appends a frame whose events `write` appends.
    pub(crate) fn write(&mut self, source: u64, events: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(deflater) = &mut self.deflater else { return write_frame(source, events, out, write) };
        let body = deflater.body(write);
        let mark = if matches!(body, Body::Deflated { .. }) { DEFLATED } else { 0 };
        framed(source, events as u32 | mark, out, |out| body.write(out));
    }
}

/// Appends a raw frame whose events `write` appends.
pub(crate) fn write_frame(source: u64, events: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    framed(source, events as u32, out, write);
}

fn framed(source: u64, events: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    out.extend_from_slice(&source.to_le_bytes());
    write(out);
    let length = (out.len() - start - HEAD) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&events.to_le_bytes());
    let sum = checksum(&[&out[start..start + 8], &out[start + HEAD..]]);
    out[start + 8..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// A frame that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Where its events come from.
    pub(crate) source: u64,
    /// How many they are.
    pub(crate) events: usize,
    /// The events.
    pub(crate) body: Body<'a>,
}

/// What stands at a place of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// The end.
    End,
    /// Something else. Where the next frame begins, nobody can tell.
    Bad,
}

/// Reads the frames of a page, a buffer at a time.
pub(crate) struct Frames {
    medium: Box<dyn Medium>,
    /// Where the next frame begins.
    offset: u64,
    buffer: Vec<u8>,
    /// The place of the buffer in the page.
    start: u64,
}

impl Frames {
    /// The frames from an offset on.
    pub(crate) fn new(medium: Box<dyn Medium>, offset: u64) -> Self {
        Self { medium, offset, buffer: Vec::new(), start: offset }
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The page again.
    pub(crate) fn into_medium(self) -> Box<dyn Medium> {
        self.medium
    }

    /// Reads the next frame. The page ends at `end`; what may stand behind is not looked at.
    ///
    /// # Errors
    /// When the page can't be read.
    pub(crate) fn next(&mut self, end: u64) -> io::Result<Next<'_>> {
        if self.offset >= end {
            return Ok(Next::End);
        }
        if !self.fill(HEAD, end)? {
            return Ok(Next::Bad);
        }
        let head = &self.buffer[(self.offset - self.start) as usize..];
        let number = |at: usize| head[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let (length, events, sum) = (number(0) as usize, number(4), number(8));
        if length < SOURCE || !self.fill(HEAD + length, end)? {
            return Ok(Next::Bad);
        }
        let at = (self.offset - self.start) as usize;
        let frame = &self.buffer[at..at + HEAD + length];
        if checksum(&[&frame[..8], &frame[HEAD..]]) != sum {
            return Ok(Next::Bad);
        }
        let (source, body) = frame[HEAD..].split_at(SOURCE);
        let Some(body) = Body::read(body, events & DEFLATED != 0) else { return Ok(Next::Bad) };
        self.offset += (HEAD + length) as u64;
        let source = source.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Ok(Next::Frame(Frame { source, events: (events & !DEFLATED) as usize, body }))
    }

    /// Has the buffer hold so many bytes from the offset on; false when the page has no more.
    fn fill(&mut self, wanted: usize, end: u64) -> io::Result<bool> {
        let held = (self.start + self.buffer.len() as u64).saturating_sub(self.offset) as usize;
        if held >= wanted {
            return Ok(true);
        }
        let left = end - self.offset;
        if wanted as u64 > left {
            return Ok(false);
        }
        self.buffer.drain(..self.buffer.len() - held);
        self.start = self.offset;
        self.buffer.resize(left.min(wanted.max(READ) as u64) as usize, 0);
        let mut filled = held;
        while filled < self.buffer.len() {
            match self.medium.read_at(self.start + filled as u64, &mut self.buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        self.buffer.truncate(filled);
        Ok(filled >= wanted)
    }
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut sum = Crc::new();
    parts.iter().for_each(|part| sum.update(part));
    sum.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_queue::deflate::Inflater;
    use crate::disk_queue::memory::Memory;

    const ID: PageId = PageId(*b"twelve bytes");

    fn frames(bytes: &[u8]) -> Frames {
        Frames::new(Box::new(Memory::of(bytes.to_vec(), 1000)), 0)
    }

    fn page() -> Vec<u8> {
        let mut out = Vec::new();
        write_frame(7, 2, &mut out, |out| out.extend_from_slice(b"payload"));
        write_frame(u64::MAX, 1, &mut out, |out| out.resize(out.len() + 3 * READ, b'x'));
        write_frame(8, 3, &mut out, |_| {});
        out
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_nothing_else_is_one() {
        let header = Header { id: ID, first: 77, deflatable: false };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        assert_eq!(Header::decode(&bytes[..31]), Err(NoHeader::Damaged));
        assert_eq!(Header::decode(&[0; 32]), Err(NoHeader::Damaged));
        for at in 0..bytes.len() {
            let mut other = bytes;
            other[at] ^= 1;
            let expected = if at == 4 { NoHeader::Version(0) } else { NoHeader::Damaged };
            // Three bytes are kept free and are part of the sum.
            assert_eq!(Header::decode(&other), Err(expected), "{at}");
        }
    }

    #[test]
    fn frames_of_any_size_are_read_one_after_the_other() {
        let bytes = page();
        let end = bytes.len() as u64;
        let mut frames = frames(&bytes);
        assert_eq!(frames.next(end).unwrap(), Next::Frame(Frame { source: 7, events: 2, body: Body::Raw(b"payload") }));
        let Next::Frame(large) = frames.next(end).unwrap() else { panic!() };
        assert_eq!((large.source, large.body), (u64::MAX, Body::Raw(&[b'x'; 3 * READ])));
        assert_eq!(frames.next(end).unwrap(), Next::Frame(Frame { source: 8, events: 3, body: Body::Raw(b"") }));
        assert_eq!(frames.next(end).unwrap(), Next::End);
    }

    #[test]
    fn a_page_of_either_version_is_read() {
        for (deflatable, version) in [(false, 1), (true, 2)] {
            let header = Header { id: ID, first: 3, deflatable };
            assert_eq!((header.encode()[4], Header::decode(&header.encode())), (version, Ok(header)));
        }
        // What the first elkhound that could write pages has written.
        let old = b"EHQP\x01\0\0\0twelve bytes\x03\0\0\0\0\0\0\0";
        let old = [&old[..], &checksum(&[old]).to_le_bytes()].concat();
        assert_eq!(Header::decode(&old), Ok(Header { id: ID, first: 3, deflatable: false }));
    }

    #[test]
    fn raw_and_deflated_frames_stand_in_one_page() {
        let bodies = [vec![b'x'; 2000], b"small".to_vec(), vec![b'y'; 3 * READ], Vec::new()];
        let (mut framer, mut bytes) = (Framer::new(Compression::Speed, &Arc::default()), Vec::new());
        bodies.iter().for_each(|body| framer.write(7, 2, &mut bytes, |out| out.extend_from_slice(body)));
        write_frame(8, 1, &mut bytes, |out| out.extend_from_slice(b"plain"));
        let (mut frames, mut inflater) = (frames(&bytes), Inflater::new(&Arc::default()));
        let mut found = Vec::new();
        while let Next::Frame(frame) = frames.next(bytes.len() as u64).unwrap() {
            let is_deflated = matches!(frame.body, Body::Deflated { .. });
            found.push((frame.source, frame.events, is_deflated, inflater.packed(frame.body).unwrap()));
        }
        let [large, small, largest, empty] = bodies;
        let expected = [(7, 2, true, large), (7, 2, false, small), (7, 2, true, largest), (7, 2, false, empty)];
        assert_eq!((&found[..4], &found[4..]), (&expected[..], &[(8, 1, false, b"plain".to_vec())][..]));
        assert_eq!(frames.offset(), bytes.len() as u64);
    }

    #[test]
    fn a_deflated_frame_that_is_cut_or_changed_is_bad() {
        let (mut framer, mut whole) = (Framer::new(Compression::Size, &Arc::default()), Vec::new());
        framer.write(7, 2, &mut whole, |out| out.resize(out.len() + 5000, b'x'));
        for end in 1..whole.len() {
            assert_eq!(frames(&whole[..end]).next(end as u64).unwrap(), Next::Bad, "it ends at {end}");
        }
        for bit in 0..8 * whole.len() {
            let mut other = whole.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(frames(&other).next(whole.len() as u64).unwrap(), Next::Bad, "bit {bit}");
        }
        // A frame whose sum is right, but that has no room for a length.
        let mut short = Vec::new();
        framed(7, 2 | DEFLATED, &mut short, |out| out.extend_from_slice(b"abc"));
        let mut frames = frames(&short);
        assert_eq!(frames.next(short.len() as u64).unwrap(), Next::Bad);
        assert_eq!(frames.offset(), 0);
    }

    #[test]
    fn a_page_that_grows_is_read_on() {
        let bytes = page();
        let mut frames = frames(&bytes);
        let first = (HEAD + SOURCE + 7) as u64;
        assert!(matches!(frames.next(first).unwrap(), Next::Frame(_)));
        assert_eq!(frames.next(first).unwrap(), Next::End);
        assert!(matches!(frames.next(bytes.len() as u64).unwrap(), Next::Frame(Frame { events: 1, .. })));
    }

    #[test]
    fn what_is_cut_changed_or_lost_is_bad() {
        let whole = &page()[..HEAD + SOURCE + 7];
        for end in 1..whole.len() {
            assert_eq!(frames(whole).next(end as u64).unwrap(), Next::Bad, "the page ends at {end}");
            assert_eq!(frames(&whole[..end]).next(whole.len() as u64).unwrap(), Next::Bad, "the file ends at {end}");
        }
        for at in 0..whole.len() {
            let mut other = whole.to_vec();
            other[at] ^= 0x40;
            assert_eq!(frames(&other).next(whole.len() as u64).unwrap(), Next::Bad, "{at}");
        }
        assert_eq!(frames(&[0; 100]).next(100).unwrap(), Next::Bad);
    }
}
