//! Joins the pieces that dockerd cuts long lines into, numbers the lines, and leaves out those that are safe already.
//!
//! dockerd reads a container's output in pieces of 16 KiB. A piece that fills the buffer has no end of line and is one more message; the
//! line goes on in the next message *of the same stream*, which has the same stamp (json-file, local). A shorter message without an
//! end of line is always the end: the program died in the middle of a line, or it is the driver `local` of
//! Docker 20.10, which loses the line feed behind the last piece. journald stamps each piece by itself, so there only the length and a
//! distance in time of less than a second tell; an empty last piece is lost there by the engine.
//!
//! What it promises: bytes are joined before anybody looks for characters in them; streams never mix; a line longer than the limit
//! is cut there, marked, and its rest is passed over.

use super::lines::Lines;
use super::position::{Gap, Marks, Ordinals, Position, Resume, Stream};
use super::records::{self, Log};

/// The length of dockerd's read buffer.
pub(crate) const PIECE: usize = 16 << 10;

/// How the log driver stamps the pieces of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// All pieces have the stamp of the line.
    Shared,
    /// Each piece has its own, at most [`OWN_STAMPS_APART`] later than the one before.
    Own,
}

impl Stamps {
    /// What the log driver called `driver` does.
    pub(crate) fn of_driver(driver: &str) -> Self {
        if driver == "journald" { Self::Own } else { Self::Shared }
    }
}

/// The most nanoseconds between two pieces of a line that have their own stamps. A busy host takes its time between them; and what is joined wrongly, if
/// it comes within this time, is only the line behind one whose length is a multiple of a piece's, for of that one the engine has lost the end.
const OWN_STAMPS_APART: i64 = 1_000_000_000;

/// Joins one container's messages.
#[derive(Debug)]
pub(crate) struct Joiner {
    limit: usize,
    stamps: Stamps,
    pending: [Pending; 2],
    ordinals: Ordinals,
    resume: Resume,
}

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
struct Pending {
    open: bool,
    /// The line's stamp, and that of its last piece.
    nanos: i64,
    last: i64,
    truncated: bool,
    bytes: Vec<u8>,
}

impl Joiner {
    /// Cuts lines at `limit` bytes and leaves out what `marks` say is safe.
    pub(crate) fn new(limit: usize, stamps: Stamps, marks: Marks) -> Self {
        let ordinals = Ordinals::default();
        Self { limit, stamps, pending: Default::default(), ordinals, resume: Resume::after(marks) }
    }

    /// Goes on at a place before which `last` were the last lines, and leaves out what `marks` say is safe.
    pub(crate) fn behind(limit: usize, stamps: Stamps, marks: Marks, last: Marks) -> Self {
        let (ordinals, resume) = (Ordinals::after(last), Resume::behind(marks, last));
        Self { limit, stamps, pending: Default::default(), ordinals, resume }
    }

    /// The last line of each stream, if reading could go on here: no line is without its end, and nothing that may be missing is still looked for.
    pub(crate) fn resting(&self) -> Option<Marks> {
        let rests = self.resume.is_whole() && self.pending.iter().all(|pending| !pending.open);
        rests.then(|| self.ordinals.last())
    }

    /// Takes a message of `stream`, with the line feed at its end if it has one.
    #[inline]
    pub(crate) fn message(&mut self, stream: Stream, nanos: i64, message: &[u8], out: &mut Lines) {
        let (text, ended) = match message.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (message, message.len() < PIECE),
        };
        self.close_if_other(stream, nanos, out);
        if ended && !self.pending[stream.index()].open {
            return self.whole(stream, nanos, text, out);
        }
        if !self.pending[stream.index()].open {
            out.begin(stream);
        }
        self.pending[stream.index()].add(nanos, text, self.limit);
        if ended {
            self.close(stream, out);
        }
    }

    /// Takes the `log` of a json-file record, undoing its escapes on the way to where it belongs.
    #[inline]
    pub(crate) fn record(&mut self, stream: Stream, nanos: i64, log: Log<'_>, out: &mut Lines) {
        let plain =
            !log.escaped() || (log.is_line() && log.raw().len() <= self.limit && !self.pending[stream.index()].open);
        if !plain {
            let mut message = Vec::with_capacity(log.raw().len());
            records::unescape(log.raw(), &mut message);
            return self.message(stream, nanos, &message, out);
        }
        if !log.escaped() {
            return self.message(stream, nanos, log.raw(), out);
        }
        let position = self.ordinals.next(stream, nanos);
        if self.resume.is_new(stream, position) {
            let raw = &log.raw()[..log.raw().len() - 2];
            out.push(stream, position, false, |bytes| records::unescape(raw, bytes));
        }
    }

    /// Hands on lines without an end: the container has died, nothing more will come.
    pub(crate) fn flush(&mut self, out: &mut Lines) {
        Stream::BOTH.into_iter().for_each(|stream| self.close(stream, out));
    }

    /// The lines that are missing before the first new one; told once.
    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        self.resume.take_gap()
    }

    /// Tells the lines that are missing since `from` before the first one, of a log that was never read.
    pub(crate) fn begins_late(&mut self, from: i64) {
        self.resume = Resume::late(from);
    }

    /// The lines whose end has not come, as marks: for who begins to read within such a line, its rest is the first line of its time.
    pub(crate) fn torn(&self) -> Marks {
        let mut marks = Marks::default();
        for stream in Stream::BOTH {
            let pending = &self.pending[stream.index()];
            if pending.open {
                marks.set(stream, Position { nanos: pending.nanos, ordinal: 0 });
            }
        }
        marks
    }

    /// Takes note that nothing behind the marks is missing before the first message.
    pub(crate) fn adjoins(&mut self) {
        self.resume.covered();
    }

    /// Takes nothing for new until the place of the marks comes by. False where that place is not known.
    pub(crate) fn seek(&mut self) -> bool {
        self.resume.seek()
    }

    /// Whether that place has not come by yet.
    pub(crate) fn is_seeking(&self) -> bool {
        self.resume.is_seeking()
    }

    /// Whether the log begins in the midst of several lines of one time, so that new ones can't be named.
    pub(crate) fn is_shifted(&self) -> bool {
        self.resume.is_shifted()
    }

    /// The time that the first line of this stream must not have where the log is cut off.
    pub(crate) fn ambiguous(&self, stream: Stream) -> Option<i64> {
        self.resume.ambiguous(stream, self.stamps == Stamps::Own)
    }

    /// Whether a log that starts with this message contains everything that is not safe, if nobody has set the clock back.
    pub(crate) fn is_covered_from(&self, stream: Stream, nanos: i64) -> bool {
        self.resume.is_covered_from(stream, nanos, self.stamps == Stamps::Own)
    }

    #[inline]
    fn whole(&mut self, stream: Stream, nanos: i64, text: &[u8], out: &mut Lines) {
        let position = self.ordinals.next(stream, nanos);
        if self.resume.is_new(stream, position) {
            let kept = &text[..text.len().min(self.limit)];
            out.push(stream, position, kept.len() < text.len(), |bytes| bytes.extend_from_slice(kept));
        }
    }

    /// Closes the pending line of `stream` when a message stamped `nanos` can't belong to it.
    #[inline]
    fn close_if_other(&mut self, stream: Stream, nanos: i64, out: &mut Lines) {
        let pending = &self.pending[stream.index()];
        let same = match self.stamps {
            Stamps::Shared => pending.nanos == nanos,
            Stamps::Own => (0..=OWN_STAMPS_APART).contains(&nanos.saturating_sub(pending.last)),
        };
        if pending.open && !same {
            self.close(stream, out);
        }
    }

    fn close(&mut self, stream: Stream, out: &mut Lines) {
        let pending = &mut self.pending[stream.index()];
        if !pending.open {
            return;
        }
        let position = self.ordinals.next(stream, pending.nanos);
        if self.resume.is_new(stream, position) {
            out.push(stream, position, pending.truncated, |bytes| bytes.extend_from_slice(&pending.bytes));
        } else {
            out.leave_out(stream);
        }
        // A line of many MiB must not hold its memory for as long as its container lives.
        pending.bytes.clear();
        pending.bytes.shrink_to(4 * PIECE);
        pending.open = false;
    }
}

impl Pending {
    fn add(&mut self, nanos: i64, text: &[u8], limit: usize) {
        if !self.open {
            (self.open, self.nanos, self.truncated) = (true, nanos, false);
        }
        self.last = nanos;
        let room = limit.saturating_sub(self.bytes.len()).min(text.len());
        self.bytes.extend_from_slice(&text[..room]);
        self.truncated |= room < text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Stderr, Stdout};

    type Messages<'a> = &'a [(Stream, i64, &'a [u8])];

    fn joined(stamps: Stamps, limit: usize, messages: Messages<'_>) -> Vec<(Stream, Position, String, bool)> {
        let mut joiner = Joiner::new(limit, stamps, Marks::default());
        let mut lines = Lines::default();
        for (stream, nanos, message) in messages {
            joiner.message(*stream, *nanos, message, &mut lines);
        }
        joiner.flush(&mut lines);
        let sealed = lines.seal(usize::MAX);
        let show = |line: &super::super::lines::Line| {
            (line.stream, line.position, sealed.text[line.range()].to_owned(), line.truncated)
        };
        sealed.lines.iter().map(show).collect()
    }

    fn at(nanos: i64, ordinal: u32) -> Position {
        Position { nanos, ordinal }
    }

    fn full(letter: &str) -> String {
        letter.repeat(PIECE)
    }

    #[test]
    fn pieces_are_joined_per_stream_with_the_other_stream_between() {
        let (a, b) = (full("a"), full("b"));
        let messages: Messages<'_> = &[
            (Stdout, 5, a.as_bytes()),
            (Stderr, 5, b"error\n"),
            (Stdout, 5, b.as_bytes()),
            (Stderr, 6, a.as_bytes()),
            (Stdout, 5, b"end\n"),
            (Stderr, 6, b"\n"),
            (Stdout, 7, b"short\n"),
        ];
        let expected = [
            (Stderr, at(5, 0), "error".to_owned(), false),
            (Stdout, at(5, 0), format!("{a}{b}end"), false),
            (Stderr, at(6, 0), a.clone(), false),
            (Stdout, at(7, 0), "short".to_owned(), false),
        ];
        assert_eq!(joined(Stamps::Shared, 1 << 20, messages), expected);
    }

    #[test]
    fn the_last_piece_of_the_local_driver_ends_its_line() {
        let a = full("a");
        let messages: Messages<'_> = &[(Stdout, 1, a.as_bytes()), (Stdout, 1, b"end"), (Stdout, 2, b"next\n")];
        let expected = [(Stdout, at(1, 0), format!("{a}end"), false), (Stdout, at(2, 0), "next".to_owned(), false)];
        assert_eq!(joined(Stamps::Shared, 1 << 20, messages), expected);
    }

    #[test]
    fn another_stamp_or_the_end_closes_a_line() {
        let a = full("a");
        let messages: Messages<'_> = &[(Stdout, 1, a.as_bytes()), (Stdout, 2, b"no end"), (Stderr, 3, a.as_bytes())];
        let expected = [
            (Stdout, at(1, 0), a.clone(), false),
            (Stdout, at(2, 0), "no end".to_owned(), false),
            (Stderr, at(3, 0), a.clone(), false),
        ];
        assert_eq!(joined(Stamps::Shared, 1 << 20, messages), expected);
    }

    #[test]
    fn pieces_with_their_own_stamps_are_joined_while_they_are_near() {
        let a = full("a");
        let messages: Messages<'_> = &[
            (Stdout, 1000, a.as_bytes()),
            (Stdout, 2000, a.as_bytes()),
            (Stdout, 3000, b"end\n"),
            (Stdout, 4000, a.as_bytes()),
            (Stdout, 4000 + OWN_STAMPS_APART + 1, b"next\n"),
        ];
        let expected = [
            (Stdout, at(1000, 0), format!("{a}{a}end"), false),
            (Stdout, at(4000, 0), a.clone(), false),
            (Stdout, at(4000 + OWN_STAMPS_APART + 1, 0), "next".to_owned(), false),
        ];
        assert_eq!(joined(Stamps::Own, 1 << 20, messages), expected);
    }

    #[test]
    fn a_line_is_cut_at_the_limit_and_the_next_one_is_whole() {
        let a = full("a");
        let messages: Messages<'_> = &[
            (Stdout, 1, a.as_bytes()),
            (Stdout, 1, a.as_bytes()),
            (Stdout, 1, b"end\n"),
            (Stdout, 2, b"12345\n"),
            (Stdout, 3, b"1\n"),
        ];
        let expected = [
            (Stdout, at(1, 0), a[..3].to_owned(), true),
            (Stdout, at(2, 0), "123".to_owned(), true),
            (Stdout, at(3, 0), "1".to_owned(), false),
        ];
        assert_eq!(joined(Stamps::Shared, 3, messages), expected);
    }

    #[test]
    fn a_character_cut_by_a_piece_is_whole_again() {
        let mut long = full("a").into_bytes();
        long.truncate(PIECE - 1);
        long.extend_from_slice("ä\n".as_bytes());
        let (first, second) = long.split_at(PIECE);
        let lines = joined(Stamps::Shared, 1 << 20, &[(Stdout, 1, first), (Stdout, 1, second)]);
        assert_eq!(lines[0].2.as_bytes(), &long[..long.len() - 1]);
    }

    #[test]
    fn records_and_messages_give_the_same_lines() {
        let long = full("\"");
        let texts =
            ["plain\n", "tab\tand \"quotes\"\n", "", "no end", long.as_str(), "end \u{1}\n", "backslash \\", "\n"];
        let stamp = "2026-11-21T09:55:00Z";
        for limit in [5, 1 << 20] {
            let (mut by_record, mut by_message) = (
                Joiner::new(limit, Stamps::Shared, Marks::default()),
                Joiner::new(limit, Stamps::Shared, Marks::default()),
            );
            let (mut recorded, mut told) = (Lines::default(), Lines::default());
            for text in texts {
                let line =
                    format!(r#"{{"log":{},"stream":"stdout","time":"{stamp}"}}"#, serde_json::to_string(text).unwrap());
                let record = records::parse(line.as_bytes()).unwrap();
                by_record.record(record.stream, record.nanos, record.log, &mut recorded);
                by_message.message(record.stream, record.nanos, text.as_bytes(), &mut told);
            }
            assert_eq!(recorded.seal(usize::MAX), told.seal(usize::MAX), "limit {limit}");
        }
    }

    #[test]
    fn lines_with_one_stamp_are_numbered() {
        let lines = joined(
            Stamps::Shared,
            9,
            &[(Stdout, 1, b"a\n"), (Stdout, 1, b"b\n"), (Stderr, 1, b"c\n"), (Stdout, 2, b"d\n")],
        );
        let positions: Vec<_> = lines.iter().map(|line| line.1).collect();
        assert_eq!(positions, [at(1, 0), at(1, 1), at(1, 0), at(2, 0)]);
    }
}
