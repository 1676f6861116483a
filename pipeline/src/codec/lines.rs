//! Cuts a stream into lines, whatever pieces it comes in, and keeps the beginning of a line until its end is there.
//!
//! What it keeps is bounded: a line longer than the limit comes in pieces that say so. Where a piece ends depends on the line and the
//! limit only, not on how the stream was read.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::Decoder;
use super::charset::Charset;
use crate::event::Event;
use crate::text::Text;
use crate::time::Timestamp;

/// The state of one stream.
pub(super) struct Lines {
    delimiter: Finder<'static>,
    /// Bytes of a character's unit: delimiters are looked for at multiples of it.
    unit: usize,
    limit: usize,
    kept: Vec<u8>,
    /// Where to look for the next delimiter.
    scanned: usize,
    /// The beginning of the line that is kept was handed on already.
    cut: bool,
}

/// Lines that lie in one buffer.
#[derive(Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

/// One line, or a piece of one.
pub(super) struct Line {
    range: Range<usize>,
    cut: bool,
}

impl Lines {
    /// Lines that end with `delimiter`; without one, reads are lines. `limit` is the most bytes of a line.
    pub(super) fn new(delimiter: &str, charset: Charset, limit: usize) -> Self {
        let unit = charset.unit();
        let delimiter = Finder::new(&charset.bytes(delimiter)).into_owned();
        Self { delimiter, unit, limit: (limit / 4 * 4).max(4), kept: Vec::new(), scanned: 0, cut: false }
    }

    /// Takes the next bytes of the stream and gives the lines that are whole now.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Block {
        self.kept.extend_from_slice(bytes);
        let mut lines = Vec::new();
        let mut start = 0;
        while let Some(end) = self.find(self.scanned) {
            self.push(start, end, true, &mut lines);
            start = end + self.delimiter.needle().len();
            self.scanned = start;
        }
        start = self.push(start, self.kept.len(), false, &mut lines);
        let overlap = self.delimiter.needle().len().saturating_sub(1);
        self.scanned = self.kept.len().saturating_sub(overlap).max(start) - start;
        self.scanned -= self.scanned % self.unit;
        self.take(start, lines)
    }

    /// Gives the line that has no end yet, unless it is empty.
    pub(super) fn rest(&mut self) -> Block {
        let mut lines = Vec::new();
        if !self.kept.is_empty() {
            self.push(0, self.kept.len(), true, &mut lines);
        }
        self.scanned = 0;
        self.cut = false;
        self.take(self.kept.len(), lines)
    }

    /// Bytes that are kept.
    pub(super) fn pending(&self) -> usize {
        self.kept.len()
    }

    fn find(&self, mut from: usize) -> Option<usize> {
        if self.delimiter.needle().is_empty() {
            return None;
        }
        loop {
            let at = from + self.delimiter.find(self.kept.get(from..)?)?;
            if at.is_multiple_of(self.unit) {
                return Some(at);
            }
            from = at + 1;
        }
    }

    /// Adds a line, in pieces when it is too long. One that is not `whole` stays but for what is over the limit; where that ends is returned.
    fn push(&mut self, mut start: usize, end: usize, whole: bool, lines: &mut Vec<Line>) -> usize {
        while end - start > self.limit {
            let piece = self.boundary(start, start + self.limit);
            lines.push(Line { range: start..piece, cut: true });
            self.cut = true;
            start = piece;
        }
        if whole {
            lines.push(Line { range: start..end, cut: self.cut });
            self.cut = false;
        }
        start
    }

    /// The last place up to `at` that is within no UTF-8 character; bytes that are none are cut anywhere.
    fn boundary(&self, start: usize, at: usize) -> usize {
        let inside = |at: usize| self.unit == 1 && self.kept[at] & 0xc0 == 0x80;
        (at.saturating_sub(3).max(start + 1)..=at).rev().find(|at| !inside(*at)).unwrap_or(at)
    }

    fn take(&mut self, start: usize, lines: Vec<Line>) -> Block {
        if lines.is_empty() {
            return Block::default();
        }
        let rest = self.kept[start..].to_vec();
        Block { bytes: std::mem::replace(&mut self.kept, rest), lines }
    }
}

impl Block {
    /// Calls `each` with the text of each line and whether it is a piece of a line that was too long. The texts share one buffer
    /// when all of it is UTF-8.
    pub(super) fn texts(self, charset: Charset, mut each: impl FnMut(Text, bool)) {
        if !charset.is_utf8() {
            self.lines.iter().for_each(|line| each(charset.text(&self.bytes[line.range.clone()]), line.cut));
            return;
        }
        match String::from_utf8(self.bytes) {
            Ok(buffer) => {
                let buffer = Arc::new(buffer);
                self.lines.into_iter().for_each(|line| each(Text::slice_of(&buffer, line.range), line.cut));
            }
            Err(error) => {
                let bytes = error.as_bytes();
                self.lines.iter().for_each(|line| each(charset.text(&bytes[line.range.clone()]), line.cut));
            }
        }
    }
}

/// What a codec makes of one line; `cut` says that it is a piece of one that was too long.
pub(super) trait EachLine: Send {
    /// Appends the line's events.
    fn line(&mut self, text: Text, cut: bool, now: Timestamp, out: &mut Vec<Event>);
}

/// The decoder of codecs that take their stream line by line.
pub(super) struct ByLine<T> {
    lines: Lines,
    charset: Charset,
    /// The end of a message ends a line.
    messages: bool,
    each: T,
}

impl<T: EachLine> ByLine<T> {
    /// Cuts a stream into `lines`, which are in `charset`.
    pub(super) fn new(lines: Lines, charset: Charset, messages: bool, each: T) -> Self {
        Self { lines, charset, messages, each }
    }

    fn take(&mut self, block: Block, now: Timestamp, out: &mut Vec<Event>) {
        block.texts(self.charset, |text, cut| self.each.line(text, cut, now, out));
    }
}

impl<T: EachLine> Decoder for ByLine<T> {
    fn decode(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Event>) {
        let block = self.lines.feed(bytes);
        self.take(block, now, out);
        if self.messages {
            self.flush(now, out);
        }
    }

    fn flush(&mut self, now: Timestamp, out: &mut Vec<Event>) {
        let block = self.lines.rest();
        self.take(block, now, out);
    }

    fn pending(&self) -> usize {
        self.lines.pending()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(delimiter: &str, limit: usize, reads: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(delimiter, Charset::default(), limit);
        let mut found = Vec::new();
        let mut each = |block: Block| {
            block.texts(Charset::default(), |text, cut| found.push(format!("{text}{}", if cut { "…" } else { "" })));
        };
        reads.iter().for_each(|bytes| each(lines.feed(bytes)));
        each(lines.rest());
        assert_eq!(lines.pending(), 0);
        found
    }

    #[test]
    fn the_same_lines_come_out_however_the_stream_is_cut() {
        let stream = "one\n\nzwölf\r\nlast".as_bytes();
        let whole = cut("\n", 100, &[stream]);
        assert_eq!(whole, ["one", "", "zwölf\r", "last"]);
        for at in 0..stream.len() {
            assert_eq!(cut("\n", 100, &[&stream[..at], &stream[at..]]), whole, "{at}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(cut("\n", 100, &bytes), whole);
    }

    #[test]
    fn long_delimiters_may_come_in_pieces() {
        let stream = b"a<|>b<||>c<|><|>d<|>";
        let whole = cut("<|>", 100, &[stream]);
        assert_eq!(whole, ["a", "b<||>c", "", "d"]);
        for at in 0..stream.len() {
            assert_eq!(cut("<|>", 100, &[&stream[..at], &stream[at..]]), whole, "{at}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_comes_in_pieces_between_characters() {
        let stream = "abcdefgéhij\nshort\n0123456789".as_bytes();
        let whole = cut("\n", 8, &[stream]);
        assert_eq!(whole, ["abcdefg…", "éhij…", "short", "01234567…", "89…"]);
        for at in 0..stream.len() {
            assert_eq!(cut("\n", 8, &[&stream[..at], &stream[at..]]), whole, "{at}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut lines = Lines::new("\n", Charset::default(), 1000);
        for _ in 0..100 {
            lines.feed(&[b'x'; 777]);
            assert!(lines.pending() <= 1000);
        }
    }

    #[test]
    fn a_delimiter_is_looked_for_between_units() {
        let charset = Charset::find("UTF-16LE").unwrap();
        let mut lines = Lines::new("\n", charset, 100);
        let mut found = Vec::new();
        // U+0A41 has a byte 0x0A, and ends where a line feed would begin.
        let bytes: Vec<u8> = "a\u{a41}\nb\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for byte in bytes {
            lines.feed(&[byte]).texts(charset, |text, _| found.push(text.to_string()));
        }
        assert_eq!(found, ["a\u{a41}", "b"]);
    }
}
