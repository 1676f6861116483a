//! Lines on their way from the reader to the queue: one shared buffer and, for each line, where it lies in it.
//!
//! What it promises: a line's bytes are copied here once and never again; invalid UTF-8 is found with one pass over the whole
//! buffer, and only a buffer that has some is walked line by line to put U+FFFD in its place.

use std::sync::Arc;
use std::time::SystemTime;

use memchr::memchr;

use super::ansi;
use super::multiline::{Joined, Multiline, Rule};
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
    /// Is several lines that belong together.
    pub(crate) joined: bool,
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
    /// Lines are joined, or tell where they begin.
    slowly: bool,
    multiline: Option<Multiline>,
    offsets: Option<Offsets>,
}

/// Where lines begin in the file that they stand in.
#[derive(Debug, Default)]
struct Offsets {
    /// Of each line so far.
    of: Vec<u64>,
    /// Of the record that is being taken.
    record: u64,
    /// Of the first record of a line whose end has not come, by stream.
    open: [Option<u64>; 2],
}

/// Lines that are complete, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The text of all lines, each followed by a line feed.
    pub(crate) text: Arc<String>,
    /// The lines.
    pub(crate) lines: Vec<Line>,
    /// Where each of them begins in its file; empty where that is not told.
    pub(crate) offsets: Vec<u64>,
    /// The last line of each stream.
    pub(crate) marks: Marks,
}

impl Lines {
    /// Lines without terminal control sequences, if asked for, and joined by a rule.
    pub(crate) fn new(strip_ansi: bool, rule: Option<Arc<Rule>>) -> Self {
        Self { strip_ansi, slowly: rule.is_some(), multiline: rule.map(Multiline::new), ..Self::default() }
    }

    /// The same, and it is told where lines begin: see [`Lines::take_record`].
    pub(crate) fn with_offsets(self) -> Self {
        Self { slowly: true, offsets: Some(Offsets::default()), ..self }
    }

    /// True when it is told where lines begin.
    pub(crate) fn tell_offsets(&self) -> bool {
        self.offsets.is_some()
    }

    /// What is pushed from now on is from the record at this offset, but for lines that have begun before.
    pub(crate) fn take_record(&mut self, offset: u64) {
        if let Some(offsets) = &mut self.offsets {
            offsets.record = offset;
        }
    }

    /// A line of this stream begins with the record that is being taken, and does not end there.
    pub(crate) fn begin(&mut self, stream: Stream) {
        if let Some(offsets) = &mut self.offsets {
            offsets.open[stream.index()] = Some(offsets.record);
        }
    }

    /// The line of this stream that has begun is left out.
    pub(crate) fn leave_out(&mut self, stream: Stream) {
        if let Some(offsets) = &mut self.offsets {
            offsets.open[stream.index()] = None;
        }
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
        if self.slowly {
            return self.push_slowly(stream, position, truncated, write);
        }
        self.push_whole(stream, position, truncated, write);
    }

    fn push_slowly(&mut self, stream: Stream, position: Position, truncated: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let offset = self.offsets.as_mut().map_or(0, |offsets| offsets.of_line(stream));
        let Some(multiline) = &mut self.multiline else {
            self.offsets.iter_mut().for_each(|offsets| offsets.of.push(offset));
            return self.push_whole(stream, position, truncated, write);
        };
        let mut bytes = Vec::new();
        write(&mut bytes);
        let complete = multiline.take(Joined::new(stream, position, bytes, truncated).at(offset));
        self.append(complete);
    }

    #[inline]
    fn push_whole(&mut self, stream: Stream, position: Position, truncated: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len() as u32;
        write(&mut self.bytes);
        let end = self.bytes.len() as u32;
        // A separator, so that a character can't begin in one line and end in the next.
        self.bytes.push(b'\n');
        self.lines.push(Line { start, end, stream, position, truncated, repaired: false, joined: false });
        self.marks.set(stream, position);
    }

    fn append(&mut self, events: [Option<Joined>; 2]) {
        for event in events.into_iter().flatten() {
            let start = self.bytes.len() as u32;
            self.bytes.extend_from_slice(&event.bytes);
            let end = self.bytes.len() as u32;
            self.bytes.push(b'\n');
            let Joined { stream, first: position, last, truncated, lines, offset, .. } = event;
            self.offsets.iter_mut().for_each(|offsets| offsets.of.push(offset));
            self.lines.push(Line { start, end, stream, position, truncated, repaired: false, joined: lines > 1 });
            self.marks.set(stream, last);
        }
    }

    /// True when lines wait for others that belong to them.
    pub(crate) fn wait_for_others(&self) -> bool {
        self.multiline.as_ref().is_some_and(Multiline::waits)
    }

    /// How many lines came so far that may wait for others, and how many before the first one that does.
    pub(crate) fn taken(&self) -> (u64, u64) {
        self.multiline.as_ref().map_or((0, 0), |multiline| (multiline.taken(), multiline.taken_before_waiting()))
    }

    /// Takes for complete what waits for lines that would come too late by now.
    pub(crate) fn finish_overdue(&mut self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        if let Some(events) = self.multiline.as_mut().map(|multiline| multiline.take_overdue(now)) {
            self.append(events);
        }
    }

    /// Takes for complete all that waits: nothing more will come.
    pub(crate) fn finish(&mut self) {
        if let Some(events) = self.multiline.as_mut().map(Multiline::take_all) {
            self.append(events);
        }
    }

    /// Bytes of text so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The last line of each stream so far. Where lines are joined, it is not known which of them stands later in the log.
    pub(crate) fn marks(&self) -> Marks {
        let last = self.lines.last().filter(|_| self.multiline.is_none());
        self.marks.with_later(last.map(|line| line.stream))
    }

    /// True when there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes the lines out as text. The buffer that is left has room for as much again only if it held more than `busy` bytes:
    /// hundreds of quiet containers must not keep the buffers of their last busy minute.
    pub(crate) fn seal(&mut self, busy: usize) -> Sealed {
        let marks = self.marks();
        let lines = std::mem::take(&mut self.lines);
        let offsets = self.offsets.as_mut().map(|offsets| std::mem::take(&mut offsets.of)).unwrap_or_default();
        self.marks = Marks::default();
        let expected = if self.bytes.len() >= busy { self.bytes.len() } else { 0 };
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(expected));
        let (text, lines) = match String::from_utf8(bytes) {
            Ok(text) => (text, lines),
            Err(error) => repair(error.as_bytes(), lines),
        };
        if self.strip_ansi && memchr(ansi::ESCAPE, text.as_bytes()).is_some() {
            let (text, lines) = stripped(&text, lines);
            return Sealed { text: Arc::new(text), lines, offsets, marks };
        }
        Sealed { text: Arc::new(text), lines, offsets, marks }
    }
}

impl Offsets {
    /// Of the line of this stream that is complete now.
    fn of_line(&mut self, stream: Stream) -> u64 {
        self.open[stream.index()].take().unwrap_or(self.record)
    }
}

impl Sealed {
    /// Leaves out all lines but these.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&Line) -> bool) {
        if self.offsets.is_empty() {
            return self.lines.retain(keeps);
        }
        let mut kept = Vec::with_capacity(self.offsets.len());
        let mut offsets = self.offsets.iter();
        self.lines.retain(|line| {
            let offset = offsets.next();
            let keeps = keeps(line);
            kept.extend(offset.filter(|_| keeps));
            keeps
        });
        self.offsets = kept;
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
            let mut lines = Lines::new(strip, None);
            for text in ["\u{1b}[31mred\u{1b}[0m", "plain"] {
                lines.push(Stream::Stdout, Position::default(), false, |out| out.extend_from_slice(text.as_bytes()));
            }
            let sealed = lines.seal(usize::MAX);
            let texts: Vec<_> = shown(&sealed).into_iter().map(|(text, _)| text).collect();
            assert_eq!(texts, expected);
        }
    }

    #[test]
    fn joined_lines_are_one_and_their_mark_is_the_last_of_them() {
        let pattern = Arc::new(elkhound_pipeline::regex::Regex::new("^ ", Default::default()).unwrap());
        let timeout = std::time::Duration::from_secs(5);
        let rule =
            Rule { pattern, negate: false, before: false, max_lines: 9, max_bytes: 99, timeout, container: "".into() };
        let mut lines = Lines::new(false, Some(Arc::new(rule)));
        for (nanos, text) in ["one", " more", "two"].into_iter().enumerate() {
            let position = Position { nanos: nanos as i64, ordinal: 0 };
            lines.push(Stream::Stdout, position, false, |out| out.extend_from_slice(text.as_bytes()));
        }
        let sealed = lines.seal(usize::MAX);
        assert_eq!(shown(&sealed), [("one\n more", false)]);
        assert_eq!((sealed.lines[0].position.nanos, sealed.lines[0].joined), (0, true));
        assert_eq!(sealed.marks.of(Stream::Stdout), Some(Position { nanos: 1, ordinal: 0 }));
        lines.finish_overdue();
        assert_eq!((shown(&lines.seal(usize::MAX)), lines.wait_for_others()), (vec![("two", false)], false));
    }

    #[test]
    fn invalid_bytes_are_repaired_in_their_line_only() {
        let sealed = sealed(&["ä".as_bytes(), b"\xffx\xc3", b"\xa4y", b"plain"]);
        assert_eq!(shown(&sealed), [("ä", false), ("\u{fffd}x\u{fffd}", true), ("\u{fffd}y", true), ("plain", false)]);
    }
}
