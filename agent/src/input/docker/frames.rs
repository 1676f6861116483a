//! The two shapes of a log stream of the Docker API, taken apart into messages.
//!
//! Without a terminal each message is a frame: eight bytes `{kind, 0, 0, 0, length (32 bits, big-endian)}` and the payload (Docker Engine
//! API, "ContainerAttach"). With a terminal there are no frames: messages follow each other and end in `\r\n`, or after 16 KiB
//! of text when the line goes on. Which of the two it is says `Config.Tty` and nothing else: text can look like a header.
//!
//! What it promises: any cut of the stream into reads gives the same messages; a message that lies within one read is handed on as a
//! slice of it. Only a message that is cut by the end of a read is collected, at most [`LONGEST`] bytes of it.
//!
//! What it leaves out: stamps and lines. With a terminal, a text that its program left without an end glues to
//! the next message when the log is read again, for nothing marks the place.

use memchr::memchr;

use super::partial::PIECE;
use super::stamp;

/// The longest payload that is believed. dockerd's messages are 16 KiB, some drivers' caches hold up to 1 MiB.
pub(crate) const LONGEST: usize = 16 << 20;

/// Length of a frame's header.
const HEADER: usize = 8;

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The container's input; dockerd does not log it, but the protocol has it.
    Stdin,
    /// The container's standard output.
    Stdout,
    /// The container's standard error.
    Stderr,
    /// dockerd itself, about trouble with this stream. Never the container's words.
    System,
}

/// A header that can't be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "corrupt frame header {header:02x?} at byte {offset} of the log stream; if the container has a terminal, the engine did not say so"
)]
pub(crate) struct CorruptHeader {
    /// Bytes of the stream before the header.
    pub(crate) offset: u64,
    /// The header.
    pub(crate) header: [u8; HEADER],
}

/// Takes a log stream apart.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// Without a terminal.
    Frames(Frames),
    /// With a terminal.
    Terminal(Terminal),
}

impl Decoder {
    /// For the stream of a container with or without a terminal.
    pub(crate) fn new(tty: bool) -> Self {
        if tty { Self::Terminal(Terminal::default()) } else { Self::Frames(Frames::default()) }
    }

    /// Calls `each` for every message that ends within `input`.
    ///
    /// # Errors
    /// [`CorruptHeader`]; the messages before it have been handed on, the stream can't be read any further.
    pub(crate) fn decode(&mut self, input: &[u8], each: &mut impl FnMut(Kind, &[u8])) -> Result<(), CorruptHeader> {
        match self {
            Self::Frames(frames) => frames.decode(input, each),
            Self::Terminal(terminal) => {
                terminal.decode(input, each);
                Ok(())
            }
        }
    }

    /// Whether there are bytes whose message has no end yet.
    pub(crate) fn is_cut(&self) -> bool {
        match self {
            Self::Frames(frames) => !frames.cut.is_empty(),
            Self::Terminal(terminal) => !terminal.cut.is_empty(),
        }
    }

    /// Hands on what has no end yet: for a terminal the last text; a cut frame is of no use.
    pub(crate) fn finish(&mut self, each: &mut impl FnMut(Kind, &[u8])) {
        if let Self::Terminal(terminal) = self {
            terminal.finish(each);
        }
    }
}

/// Takes frames apart.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    cut: Vec<u8>,
    offset: u64,
}

impl Frames {
    fn decode(&mut self, input: &[u8], each: &mut impl FnMut(Kind, &[u8])) -> Result<(), CorruptHeader> {
        let mut rest = self.complete(input, each)?;
        while let Some(header) = rest.first_chunk::<HEADER>() {
            let (kind, length) = self.header(*header)?;
            let Some(payload) = rest.get(HEADER..HEADER + length) else { break };
            each(kind, payload);
            self.offset += (HEADER + length) as u64;
            rest = &rest[HEADER + length..];
        }
        self.cut.extend_from_slice(rest);
        Ok(())
    }

    /// Completes the frame that the last read cut, if any; returns what follows it.
    fn complete<'a>(&mut self, input: &'a [u8], each: &mut impl FnMut(Kind, &[u8])) -> Result<&'a [u8], CorruptHeader> {
        if self.cut.is_empty() {
            return Ok(input);
        }
        let rest = self.collect(input, HEADER);
        let Some(header) = self.cut.first_chunk::<HEADER>() else { return Ok(rest) };
        let (kind, length) = self.header(*header)?;
        let rest = self.collect(rest, HEADER + length);
        if self.cut.len() == HEADER + length {
            each(kind, &self.cut[HEADER..]);
            self.offset += self.cut.len() as u64;
            self.cut.clear();
        }
        Ok(rest)
    }

    /// Moves bytes over until the cut frame has `wanted` of them; returns the others.
    fn collect<'a>(&mut self, input: &'a [u8], wanted: usize) -> &'a [u8] {
        let missing = wanted.saturating_sub(self.cut.len()).min(input.len());
        self.cut.extend_from_slice(&input[..missing]);
        &input[missing..]
    }

    #[inline]
    fn header(&self, header: [u8; HEADER]) -> Result<(Kind, usize), CorruptHeader> {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let kind = match header {
            _ if length > LONGEST => None,
            [0, 0, 0, 0, ..] => Some(Kind::Stdin),
            [1, 0, 0, 0, ..] => Some(Kind::Stdout),
            [2, 0, 0, 0, ..] => Some(Kind::Stderr),
            [3, 0, 0, 0, ..] => Some(Kind::System),
            _ => None,
        };
        kind.map(|kind| (kind, length)).ok_or(CorruptHeader { offset: self.offset, header })
    }
}

/// Takes a terminal's stream apart.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    cut: Vec<u8>,
}

/// A terminal's message without an end of line: stamp, space and one piece.
const UNENDED: usize = stamp::LENGTH + 1 + PIECE;

impl Terminal {
    fn decode(&mut self, input: &[u8], each: &mut impl FnMut(Kind, &[u8])) {
        let mut rest = input;
        while let Some(length) = self.message_length(rest) {
            let (message, after) = rest.split_at(length);
            self.emit(message, each);
            rest = after;
        }
        self.cut.extend_from_slice(rest);
    }

    /// How many bytes of `rest` belong to the message that is being read, if it ends there.
    fn message_length(&self, rest: &[u8]) -> Option<usize> {
        let window = rest.len().min(UNENDED - self.cut.len());
        let end = memchr(b'\n', &rest[..window]).map(|at| at + 1);
        end.or((self.cut.len() + window == UNENDED).then_some(window))
    }

    fn emit(&mut self, message: &[u8], each: &mut impl FnMut(Kind, &[u8])) {
        if self.cut.is_empty() {
            return each(Kind::Stdout, message);
        }
        self.cut.extend_from_slice(message);
        each(Kind::Stdout, &self.cut);
        self.cut.clear();
    }

    fn finish(&mut self, each: &mut impl FnMut(Kind, &[u8])) {
        if !self.cut.is_empty() {
            self.emit(b"", each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 0, 0];
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }

    type Messages = Vec<(Kind, Vec<u8>)>;

    /// Decodes `parts` one after the other.
    fn decoded(tty: bool, parts: &[&[u8]]) -> (Messages, Result<(), CorruptHeader>) {
        let mut messages = Vec::new();
        let mut each = |kind, payload: &[u8]| messages.push((kind, payload.to_vec()));
        let mut decoder = Decoder::new(tty);
        let result = parts.iter().try_for_each(|part| decoder.decode(part, &mut each));
        decoder.finish(&mut each);
        (messages, result)
    }

    fn stream() -> (Vec<u8>, Messages) {
        let messages = [
            (1, Kind::Stdout, "one\n"),
            (2, Kind::Stderr, "two"),
            (3, Kind::System, "Error\n"),
            (1, Kind::Stdout, ""),
            (0, Kind::Stdin, "x"),
        ];
        let bytes = messages.iter().flat_map(|(number, _, payload)| frame(*number, payload.as_bytes())).collect();
        (bytes, messages.iter().map(|(_, kind, payload)| (*kind, payload.as_bytes().to_vec())).collect())
    }

    #[test]
    fn every_cut_into_three_reads_gives_the_same_frames() {
        let (bytes, expected) = stream();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(decoded(false, &parts), (expected.clone(), Ok(())), "cut at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decoded(false, &single).0, expected);
    }

    #[test]
    fn a_corrupt_header_says_where_it_is() {
        for (at, header) in
            [(0, [1, 0, 0, 9, 0, 0, 0, 1]), (4, [4, 0, 0, 0, 0, 0, 0, 1]), (7, [1, 0, 0, 0, 0xff, 0, 0, 0])]
        {
            let mut bytes = frame(1, b"fine");
            bytes.extend_from_slice(&header);
            let (messages, result) = decoded(false, &[&bytes[..at], &bytes[at..]]);
            assert_eq!(messages, [(Kind::Stdout, b"fine".to_vec())]);
            assert_eq!(result, Err(CorruptHeader { offset: 12, header }));
        }
    }

    #[test]
    fn a_cut_frame_at_the_end_is_left_out() {
        let bytes = frame(1, b"line\n");
        assert_eq!(decoded(false, &[&bytes[..10]]), (vec![], Ok(())));
    }

    #[test]
    fn every_cut_of_a_terminal_gives_the_same_messages() {
        let stamp = "2026-11-21T09:55:00.000000002Z ";
        let long = "x".repeat(PIECE);
        let messages =
            [format!("{stamp}a\r\n"), format!("{stamp}{long}"), format!("{stamp}rest\r\n"), format!("{stamp}no end")];
        let bytes = messages.concat().into_bytes();
        let expected: Vec<_> = messages.iter().map(|text| (Kind::Stdout, text.as_bytes().to_vec())).collect();
        let near = [33, 34, 40, 64, 34 + UNENDED - 1, 34 + UNENDED, 34 + UNENDED + 1];
        for cut in (0..80).chain(near).chain(bytes.len() - 80..=bytes.len()) {
            assert_eq!(decoded(true, &[&bytes[..cut], &bytes[cut..]]).0, expected, "cut at {cut}");
        }
    }
}
