//! Lines on their way from the reader to the queue: one shared buffer and, for each line, where it lies in it.
//!
//! What it promises: a line's bytes are copied here once and never again; invalid UTF-8 is found with one pass over the whole
//! buffer, and only a buffer that has some is walked line by line to put U+FFFD in its place.

use std::sync::Arc;

use memchr::memchr;

use super::ansi;
use super::position::{Marks, Position, Stream};

/// A line within its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    start: u32,
    end: u32,
    /// The stream that it was written to.
    pub(crate) stream: Stream,
    /// Its place in the stream.
    pub(crate) position: Position,
    /// Longer than `max_line_bytes`; the rest was left out.
    pub(crate) truncated: bool,
    /// Held bytes that were no UTF-8; U+FFFD stands for them.
    pub(crate) repaired: bool,
}

impl Line {
    /// Where the line lies in its buffer.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Lines that are being collected.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    lines: Vec<Line>,
    marks: Marks,
    strip_ansi: bool,
}

/// Lines that are complete, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The text of all lines, each followed by a line feed.
    pub(crate) text: Arc<String>,
    /// The lines.
    pub(crate) lines: Vec<Line>,
    /// The last line of each stream.
    pub(crate) marks: Marks,
}

impl Lines {
    /// Lines without terminal control sequences, if asked for.
    pub(crate) fn new(strip_ansi: bool) -> Self {
        Self { strip_ansi, ..Self::default() }
    }

    /// Appends a line whose bytes `write` appends.
    #[inline]
    pub(crate) fn push(
        &mut self,
        stream: Stream,
        position: Position,
        truncated: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len() as u32;
        write(&mut self.bytes);
        let end = self.bytes.len() as u32;
        // A separator, so that a character can't begin in one line and end in the next.
        self.bytes.push(b'\n');
        self.lines.push(Line { start, end, stream, position, truncated, repaired: false });
        self.marks.set(stream, position);
    }

    /// Bytes of text so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The last line of each stream so far.
    pub(crate) fn marks(&self) -> Marks {
        self.marks
    }

    /// True when there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes the lines out as text. The buffer that is left has room for as much again only if it held more than `busy` bytes:
    /// hundreds of quiet containers must not keep the buffers of their last busy minute.
    pub(crate) fn seal(&mut self, busy: usize) -> Sealed {
        let lines = std::mem::take(&mut self.lines);
        let marks = std::mem::take(&mut self.marks);
        let expected = if self.bytes.len() >= busy { self.bytes.len() } else { 0 };
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(expected));
        let (text, lines) = match String::from_utf8(bytes) {
            Ok(text) => (text, lines),
            Err(error) => repair(error.as_bytes(), lines),
        };
        if self.strip_ansi && memchr(ansi::ESCAPE, text.as_bytes()).is_some() {
            let (text, lines) = stripped(&text, lines);
            return Sealed { text: Arc::new(text), lines, marks };
        }
        Sealed { text: Arc::new(text), lines, marks }
    }
}

fn stripped(text: &str, lines: Vec<Line>) -> (String, Vec<Line>) {
    let mut out = String::with_capacity(text.len());
    let lines = lines.into_iter().map(|line| {
        let start = out.len() as u32;
        ansi::strip(&text[line.range()], &mut out);
        let end = out.len() as u32;
        out.push('\n');
        Line { start, end, ..line }
    });
    let lines = lines.collect();
    (out, lines)
}

fn repair(bytes: &[u8], lines: Vec<Line>) -> (String, Vec<Line>) {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    let lines = lines.into_iter().map(|line| {
        let start = text.len() as u32;
        let valid = String::from_utf8_lossy(&bytes[line.range()]);
        let repaired = matches!(valid, std::borrow::Cow::Owned(_));
        text.push_str(&valid);
        let end = text.len() as u32;
        text.push('\n');
        Line { start, end, repaired, ..line }
    });
    let lines = lines.collect();
    (text, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(texts: &[&[u8]]) -> Sealed {
        let mut lines = Lines::default();
        for (at, text) in texts.iter().enumerate() {
            let position = Position { nanos: at as i64, ordinal: 0 };
            lines.push(Stream::Stdout, position, false, |out| out.extend_from_slice(text));
        }
        lines.seal(usize::MAX)
    }

    fn shown(sealed: &Sealed) -> Vec<(&str, bool)> {
        sealed.lines.iter().map(|line| (&sealed.text[line.range()], line.repaired)).collect()
    }

    #[test]
    fn lines_keep_their_text() {
        let sealed = sealed(&[b"one", b"", "zwölf".as_bytes()]);
        assert_eq!(shown(&sealed), [("one", false), ("", false), ("zwölf", false)]);
        assert_eq!(sealed.marks.of(Stream::Stdout), Some(Position { nanos: 2, ordinal: 0 }));
        assert_eq!(sealed.marks.of(Stream::Stderr), None);
    }

    #[test]
    fn control_sequences_are_left_out_where_that_is_asked_for() {
        for (strip, expected) in [(true, ["red", "plain"]), (false, ["\u{1b}[31mred\u{1b}[0m", "plain"])] {
            let mut lines = Lines::new(strip);
            for text in ["\u{1b}[31mred\u{1b}[0m", "plain"] {
                lines.push(Stream::Stdout, Position::default(), false, |out| out.extend_from_slice(text.as_bytes()));
            }
            let sealed = lines.seal(usize::MAX);
            let texts: Vec<_> = shown(&sealed).into_iter().map(|(text, _)| text).collect();
            assert_eq!(texts, expected);
        }
    }

    #[test]
    fn invalid_bytes_are_repaired_in_their_line_only() {
        let sealed = sealed(&["ä".as_bytes(), b"\xffx\xc3", b"\xa4y", b"plain"]);
        assert_eq!(shown(&sealed), [("ä", false), ("\u{fffd}x\u{fffd}", true), ("\u{fffd}y", true), ("plain", false)]);
    }
}
