//! Where a line is in its container's log, what is already safe, and the identity that follows from both.
//!
//! A position is the stream, the time in nanoseconds that dockerd stamped on the line, and the line's ordinal among lines of the
//! same stream and time. Within one stream dockerd's stamps neither repeat nor go back, as long as nobody sets the
//! clock; between the two streams they do, by tens of milliseconds under load. So there is one mark per stream.
//!
//! What it promises: a line that is not safe is never taken for one. [`Resume`] goes by place, not by time: behind the marked line
//! everything is new, whatever its stamp says, so a clock that was set back costs nothing. Where a log can't be read again from further back, a line is skipped only while it
//! stands before its mark *and* is stamped no later than it. Set forward and back again, the clock can make safe
//! lines look new there; they are sent once more under the identity they had, and Elasticsearch refuses the second copy.
//!
//! The marks of both streams together are one place in the log, right behind the marked line that stands later in it. When neither marked line is found
//! before the first new one, the log begins behind that place, and lines may be missing: [`Resume::take_gap`] tells between which. Behind that place
//! everything is new in both streams: so a stream whose own mark is far back, where nobody reads any more, may begin again with any time.
//!
//! Who can read a log again from further back looks for the place itself ([`Resume::seek`]) and goes by no time at all: where the clock was set back, lines before
//! the place may be stamped later than both marks.
//!
//! Only lines that are joined with others break this: one that waits stands before the place and is not safe. Then it is not known which mark is the
//! later one ([`Marks::later`] is nothing), each stream goes by its own mark, and what can't be known is this: a first line of a stream that was never
//! safe, stamped before the other's mark, has either waited there, or stands behind a gap and a clock that was set back. It is taken for the former.

use crate::input::window::Mark;

/// One of a container's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stream {
    /// Standard output; everything a container with a terminal prints.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both, in the order of their indexes.
    pub(crate) const BOTH: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// `stdout` or `stderr`, as events and json-file records spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// The stream that json-file records call `name`.
    #[inline]
    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }

    /// 0 or 1.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// A line's place in its stream. Ordered as the stream is, as long as the clock is not set back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    /// Nanoseconds since 1970, from the stamp that dockerd put on the line.
    pub(crate) nanos: i64,
    /// 0 for the first line of this stream with this time, 1 for the next.
    pub(crate) ordinal: u32,
}

/// The last safe line of each stream; the content of a cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    of: [Option<Position>; 2],
    later: Option<Stream>,
}

impl Marks {
    /// The mark of `stream`, if any of its lines is safe.
    #[inline]
    pub(crate) fn of(&self, stream: Stream) -> Option<Position> {
        self.of[stream.index()]
    }

    /// Moves the mark of `stream` to `position`, forward or back: the order of the log decides, not the clock.
    #[inline]
    pub(crate) fn set(&mut self, stream: Stream, position: Position) {
        self.of[stream.index()] = Some(position);
    }

    /// The stream whose marked line stands later in the log than that of the other one, so that nothing before it is not safe; nothing where that is not known.
    pub(crate) fn later(&self) -> Option<Stream> {
        self.later
    }

    /// The same marks, of which this stream's is known to be the later one.
    pub(crate) fn with_later(self, later: Option<Stream>) -> Self {
        Self { later, ..self }
    }

    /// Takes over those marks of `later` that are set.
    pub(crate) fn advance(&mut self, later: &Self) {
        if later.is_empty() {
            return;
        }
        for (mine, theirs) in self.of.iter_mut().zip(later.of) {
            *mine = theirs.or(*mine);
        }
        self.later = later.later;
    }

    /// The later of both by the clock, in nanoseconds; 0 without any.
    pub(crate) fn latest(&self) -> i64 {
        self.of.iter().flatten().map(|position| position.nanos).max().unwrap_or_default()
    }

    /// True when nothing is safe yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.of == [None, None]
    }
}

impl Mark for Marks {
    fn advance(&mut self, end: &Self) {
        Self::advance(self, end);
    }
}

/// Numbers the lines of each stream that share a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ordinals(Marks);

impl Ordinals {
    /// Goes on behind these lines.
    pub(crate) fn after(last: Marks) -> Self {
        Self(last)
    }

    /// The last line of each stream.
    pub(crate) fn last(&self) -> Marks {
        self.0
    }

    /// The position of the next line of `stream`, stamped `nanos`.
    #[inline]
    pub(crate) fn next(&mut self, stream: Stream, nanos: i64) -> Position {
        let ordinal = match self.0.of(stream) {
            Some(last) if last.nanos == nanos => last.ordinal + 1,
            _ => 0,
        };
        let position = Position { nanos, ordinal };
        self.0.set(stream, position);
        position
    }
}

/// Lines that are missing: behind the last line that was handed on, the log goes on with a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The last line before it, in nanoseconds.
    pub(crate) from: i64,
    /// The first line behind it.
    pub(crate) to: Position,
    /// The stream of that line.
    pub(crate) stream: Stream,
}

/// Decides for each line that is read again after a pause whether it is safe already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resume {
    waiting: Marks,
    /// Streams behind their marks: all that comes is new.
    past: [bool; 2],
    /// It is known that the log still holds all that is not safe: a marked line has come by.
    whole: bool,
    /// Nothing is new until the place of both marks comes by.
    seeks: bool,
    /// A line of a marked time had another ordinal than the one behind the mark, so that others of that time are cut off.
    shifted: bool,
    /// The place of both marks has come by, so that lines before their stream's mark are new as well: they only have an earlier time.
    passed: bool,
    /// The last safe line of all, in nanoseconds.
    last: i64,
    gap: Option<Gap>,
}

impl Resume {
    /// Skips what `marks` say is safe.
    pub(crate) fn after(marks: Marks) -> Self {
        let fresh = marks.is_empty();
        Self { waiting: marks, past: [fresh; 2], whole: fresh, last: marks.latest(), ..Self::default() }
    }

    /// Skips nothing; before the first line, others are missing since `from`.
    pub(crate) fn late(from: i64) -> Self {
        // Nothing was read of this log that could wait for others, so that its first line stands behind the gap whatever its time is.
        Self { last: from, waiting: Marks::default().with_later(Some(Stream::Stdout)), ..Self::default() }
    }

    /// True when the line at `position` has to be sent. To be called once for every line, in the order of the log.
    #[inline]
    pub(crate) fn is_new(&mut self, stream: Stream, position: Position) -> bool {
        self.past[stream.index()] || self.passes(stream, position)
    }

    /// Goes on at a place behind which all stands that `marks` do not say is safe, and before which `last` were the last lines.
    pub(crate) fn behind(marks: Marks, last: Marks) -> Self {
        let mut resume = Self { whole: true, ..Self::after(marks) };
        for stream in Stream::BOTH {
            // The marked line stands before the place: it won't come by any more, and all that does is new.
            if marks.of(stream) == last.of(stream) {
                resume.leave(stream);
                resume.passed |= marks.later() == Some(stream);
            }
        }
        resume
    }

    fn passes(&mut self, stream: Stream, position: Position) -> bool {
        let (mark, later) = (self.waiting.of(stream), self.waiting.later());
        if self.seeks {
            return self.is_behind_place(stream, position);
        }
        if mark.is_some_and(|mark| position < mark) {
            return self.passed;
        }
        if mark == Some(position) {
            self.leave(stream);
            self.whole = true;
            self.passed |= later == Some(stream);
            return false;
        }
        // The marks are one place in the log. Each new line stands behind it, so one of the marked lines has come by, if it is still there. Only a
        // line that was held back, to be joined with others, can stand before the mark of the other stream: it proves nothing.
        let held_back = later.is_none() && mark.is_none() && position.nanos < self.last;
        if !self.whole && !held_back {
            self.whole = true;
            self.gap = Some(Gap { from: self.last, to: position, stream });
        }
        self.leave(stream);
        self.passed |= later.is_some();
        true
    }

    /// Whether the line stands behind the place of both marks, which is looked for; the first one of its stream if it does.
    fn is_behind_place(&mut self, stream: Stream, position: Position) -> bool {
        let mark = self.waiting.of(stream);
        if !self.whole {
            self.whole = self.waiting.later() == Some(stream) && mark == Some(position);
            return false;
        }
        self.shifted |= mark.is_some_and(|mark| position.nanos == mark.nanos && position.ordinal != mark.ordinal + 1);
        self.leave(stream);
        true
    }

    /// The stream is behind its mark.
    fn leave(&mut self, stream: Stream) {
        self.waiting.of[stream.index()] = None;
        self.past[stream.index()] = true;
    }

    /// The lines that are missing before the first new one; told once.
    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        self.gap.take()
    }

    /// Whether it is known that the log contains everything after the marks, or what is missing has been noted.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Notes that the log contains everything after the marks.
    pub(crate) fn covered(&mut self) {
        self.whole = true;
    }

    /// Takes nothing for new until the place of both marks comes by, for a log that can be read again if it does not: see [`Resume::is_seeking`]. Where lines are
    /// joined that place is not known; false then.
    pub(crate) fn seek(&mut self) -> bool {
        self.seeks = self.waiting.later().is_some();
        self.seeks
    }

    /// Whether the place of both marks has not come by, which was to be looked for. No line was new until then.
    pub(crate) fn is_seeking(&self) -> bool {
        self.seeks && !self.whole
    }

    /// Whether the log begins in the midst of several lines of one time, so that the ordinals of new ones are wrong.
    pub(crate) fn is_shifted(&self) -> bool {
        self.shifted
    }

    /// Whether a log that starts with a message of this time contains everything after the marks. A message *before* a mark says so, if nobody has set the clock back.
    /// So does one with the marked time, but for those of [`Resume::ambiguous`].
    #[inline]
    pub(crate) fn is_covered_from(&self, stream: Stream, nanos: i64, ties: bool) -> bool {
        let covers = |mark: Position| nanos <= mark.nanos && self.ambiguous(stream, ties) != Some(nanos);
        self.waiting.is_empty() || self.waiting.of(stream).is_some_and(covers)
    }

    /// The time of this stream's marked line, if the stream's first line in a log that is cut off must not have it: that may be another line of the same time, whose
    /// ordinal would be wrong. At the place of the marks it must not in any case. Elsewhere it is seen by the first new line ([`Resume::is_shifted`]), or, where the place is not
    /// known, it is minded if times repeat (`ties`) or have done so.
    pub(crate) fn ambiguous(&self, stream: Stream, ties: bool) -> Option<i64> {
        let mark = self.waiting.of(stream)?;
        let minded = self.waiting.later().map_or(ties || mark.ordinal > 0, |later| later == stream);
        minded.then_some(mark.nanos)
    }
}

/// The longest identity, in bytes.
pub(crate) const ID_LIMIT: usize = 23 + 1 + 8;

/// How many bytes of a container's id go into an identity: 72 bits keep 2^32 containers apart.
const ID_BYTES: usize = 9;

/// The part of a container's id that goes into the identities of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdPrefix([u8; ID_BYTES]);

impl IdPrefix {
    /// Made of the first 18 hexadecimal digits of `container`; digits that are none count as 0.
    pub(crate) fn new(container: &str) -> Self {
        let mut bytes = [0; ID_BYTES];
        for (at, digit) in container.bytes().take(2 * ID_BYTES).enumerate() {
            let value = (digit as char).to_digit(16).unwrap_or(0) as u8;
            bytes[at / 2] |= value << (4 * (1 - at % 2));
        }
        Self(bytes)
    }

    /// Writes the identity of the line at `position` to `out` and returns its bytes: 23 characters base64url of container, time
    /// and stream, then `.` and the ordinal where it is not 0. Container and time come first and big-endian, so that identities of
    /// neighbouring lines share long prefixes, which Lucene stores and finds fastest.
    #[inline]
    pub(crate) fn identity(self, stream: Stream, position: Position, out: &mut [u8; ID_LIMIT]) -> &[u8] {
        let mut source = [0; ID_BYTES + 9];
        source[..ID_BYTES].copy_from_slice(&self.0);
        // The highest bit of the time is free until the year 2116.
        let time = (position.nanos as u64) << 1 | stream.index() as u64;
        source[ID_BYTES..ID_BYTES + 8].copy_from_slice(&time.to_be_bytes());
        for (six, four) in source.chunks_exact(3).zip(out.chunks_exact_mut(4)) {
            let bits = u32::from(six[0]) << 16 | u32::from(six[1]) << 8 | u32::from(six[2]);
            for (at, character) in four.iter_mut().enumerate() {
                *character = BASE64[(bits >> (18 - 6 * at) & 63) as usize];
            }
        }
        let length = if position.ordinal == 0 { 23 } else { 24 + write_ordinal(position.ordinal, &mut out[23..]) };
        &out[..length]
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Writes `.` and the ordinal in hexadecimal; returns the number of digits.
fn write_ordinal(ordinal: u32, out: &mut [u8]) -> usize {
    let digits = (8 - ordinal.leading_zeros() as usize / 4).max(1);
    out[0] = b'.';
    for at in 0..digits {
        out[1 + at] = b"0123456789abcdef"[(ordinal >> (4 * (digits - 1 - at)) & 15) as usize];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTAINER: &str = "0123456789abcdef01fedcba9876543210fedcba9876543210fedcba98765432";

    fn at(nanos: i64, ordinal: u32) -> Position {
        Position { nanos, ordinal }
    }

    fn identity(stream: Stream, position: Position) -> String {
        let mut out = [0; ID_LIMIT];
        String::from_utf8(IdPrefix::new(CONTAINER).identity(stream, position, &mut out).to_vec()).unwrap()
    }

    /// A log of both streams with ties, and with stamps that go back between the streams.
    fn log() -> Vec<(Stream, i64)> {
        use Stream::{Stderr, Stdout};
        vec![
            (Stdout, 10),
            (Stderr, 8),
            (Stdout, 11),
            (Stdout, 11),
            (Stderr, 11),
            (Stdout, 12),
            (Stderr, 9 + 4),
            (Stderr, 13),
            (Stdout, 12),
            (Stdout, 20),
            (Stderr, 14),
            (Stdout, 21),
            (Stderr, 30),
        ]
    }

    fn positions(log: &[(Stream, i64)]) -> Vec<(Stream, Position)> {
        let mut ordinals = Ordinals::default();
        log.iter().map(|&(stream, nanos)| (stream, ordinals.next(stream, nanos))).collect()
    }

    fn marks(lines: &[(Stream, Position)]) -> Marks {
        let mut marks = Marks::default();
        lines.iter().for_each(|&(stream, position)| marks.set(stream, position));
        marks
    }

    fn unsafe_lines(lines: &[(Stream, Position)], marks: Marks) -> Vec<(Stream, Position)> {
        let mut resume = Resume::after(marks);
        lines.iter().copied().filter(|&(stream, position)| resume.is_new(stream, position)).collect()
    }

    #[test]
    fn after_a_restart_at_any_point_exactly_the_rest_is_new() {
        let lines = positions(&log());
        for safe in 0..=lines.len() {
            let marks = marks(&lines[..safe]);
            for later in [None, lines[..safe].last().map(|line| line.0)] {
                assert_eq!(unsafe_lines(&lines, marks.with_later(later)), lines[safe..], "{safe} safe lines");
            }
        }
    }

    #[test]
    fn a_clock_set_back_loses_nothing() {
        let stamps = [100, 101, 102, 40, 41, 41, 42, 103];
        let lines = positions(&stamps.map(|nanos| (Stream::Stdout, nanos)));
        for safe in 0..=lines.len() {
            let later = lines[..safe].last().map(|line| line.0);
            let again = unsafe_lines(&lines, marks(&lines[..safe]).with_later(later));
            assert!(again.ends_with(&lines[safe..]), "{safe} safe lines: {again:?}");
        }
        // Set back while nobody was reading: nothing is sent twice either.
        assert_eq!(unsafe_lines(&lines, marks(&lines[..3])), lines[3..]);
    }

    #[test]
    fn a_place_that_was_rotated_away_is_told_once() {
        let mut resume = Resume::after(marks(&[(Stream::Stdout, at(5, 0)), (Stream::Stderr, at(7, 0))]));
        assert_eq!(resume.take_gap(), None);
        assert!(resume.is_new(Stream::Stdout, at(9, 0)));
        assert_eq!(resume.take_gap(), Some(Gap { from: 7, to: at(9, 0), stream: Stream::Stdout }));
        assert!(resume.is_new(Stream::Stderr, at(11, 0)));
        assert_eq!(resume.take_gap(), None);
    }

    #[test]
    fn one_marked_line_or_an_earlier_message_proves_that_nothing_is_missing() {
        let both = marks(&[(Stream::Stdout, at(5, 0)), (Stream::Stderr, at(2, 0))]);
        let mut resume = Resume::after(both);
        assert!(!resume.is_new(Stream::Stdout, at(5, 0)));
        assert!(resume.is_new(Stream::Stderr, at(9, 0)));
        assert_eq!(resume.take_gap(), None, "the marked line of stderr is long gone, and nothing behind it");
        let mut resume = Resume::after(both);
        resume.covered();
        assert!(resume.is_new(Stream::Stdout, at(6, 0)));
        assert_eq!(resume.take_gap(), None);
        let mut fresh = Resume::after(Marks::default());
        assert!(fresh.is_new(Stream::Stdout, at(1, 0)));
        assert_eq!(fresh.take_gap(), None);
    }

    #[test]
    fn only_a_line_at_or_before_its_mark_proves_that_nothing_is_cut_off() {
        let first_of_its_time = Resume::after(marks(&[(Stream::Stdout, at(5, 0))]));
        assert!(first_of_its_time.is_covered_from(Stream::Stdout, 4, true));
        assert!(!first_of_its_time.is_covered_from(Stream::Stdout, 5, true));
        assert!(first_of_its_time.is_covered_from(Stream::Stdout, 5, false));
        assert!(!first_of_its_time.is_covered_from(Stream::Stdout, 6, false));
        assert!(!first_of_its_time.is_covered_from(Stream::Stderr, 1, false));
        let third = Resume::after(marks(&[(Stream::Stdout, at(5, 2))]));
        assert!(!third.is_covered_from(Stream::Stdout, 5, false));
        let both = marks(&[(Stream::Stdout, at(5, 0)), (Stream::Stderr, at(7, 2))]).with_later(Some(Stream::Stdout));
        assert!(!Resume::after(both).is_covered_from(Stream::Stdout, 5, false));
        assert!(Resume::after(both).is_covered_from(Stream::Stderr, 7, false), "the place is sought for");
        assert!(Resume::default().is_covered_from(Stream::Stderr, 1, true));
    }

    #[test]
    fn identities_are_short_plain_and_sorted_by_time() {
        assert_eq!(identity(Stream::Stdout, at(0, 0)), "ASNFZ4mrze8BAAAAAAAAAAA");
        assert_eq!(identity(Stream::Stderr, at(1_763_718_000_123_456_789, 0)), "ASNFZ4mrze8BMPP4WmKkWis");
        assert_eq!(identity(Stream::Stdout, at(1, 1)), "ASNFZ4mrze8BAAAAAAAAAAI.1");
        assert_eq!(identity(Stream::Stdout, at(1, u32::MAX)), "ASNFZ4mrze8BAAAAAAAAAAI.ffffffff");
        assert_eq!(identity(Stream::Stdout, at(1, 0x10)), "ASNFZ4mrze8BAAAAAAAAAAI.10");
    }

    #[test]
    fn different_lines_have_different_identities() {
        let mut seen = std::collections::HashSet::new();
        for (stream, position) in positions(&log()) {
            assert!(seen.insert(identity(stream, position)), "{stream:?} {position:?}");
        }
    }

    #[test]
    fn behind_the_place_of_both_marks_a_stream_may_begin_with_any_time() {
        let both = marks(&[(Stream::Stderr, at(9, 0)), (Stream::Stdout, at(7, 0))]).with_later(Some(Stream::Stdout));
        // The marked line of the later stream comes by, or was rotated away; that of the other one is where nobody reads any more.
        for (first, gap) in [(7, None), (8, Some(Gap { from: 9, to: at(8, 0), stream: Stream::Stdout }))] {
            let mut resume = Resume::after(both);
            assert_eq!(resume.is_new(Stream::Stdout, at(first, 0)), gap.is_some());
            assert!(resume.is_new(Stream::Stderr, at(2, 0)), "the clock was set back");
            assert!(!resume.is_new(Stream::Stderr, at(9, 0)), "the marked line itself is safe wherever it comes");
            assert!(resume.is_new(Stream::Stdout, at(10, 0)));
            assert_eq!(resume.take_gap(), gap);
        }
        let mut resume = Resume::after(both);
        assert!(!resume.is_new(Stream::Stderr, at(2, 0)), "it may stand before its mark");
        let mut unordered = Resume::after(both.with_later(None));
        assert!(!unordered.is_new(Stream::Stdout, at(7, 0)));
        assert!(!unordered.is_new(Stream::Stderr, at(2, 0)));
        let mut behind = Resume::behind(both, both);
        assert!(behind.is_new(Stream::Stderr, at(2, 0)));
    }

    #[test]
    fn a_first_line_with_an_earlier_time_is_told_as_a_gap_where_no_line_can_have_waited() {
        let safe = marks(&[(Stream::Stderr, at(7, 0))]);
        for (later, gap) in
            [(None, None), (Some(Stream::Stderr), Some(Gap { from: 7, to: at(5, 0), stream: Stream::Stdout }))]
        {
            let mut resume = Resume::after(safe.with_later(later));
            assert!(resume.is_new(Stream::Stdout, at(5, 0)));
            assert_eq!(resume.take_gap(), gap);
        }
    }

    #[test]
    fn a_line_that_was_held_back_before_the_others_mark_is_no_gap() {
        for (next, gap) in [(7, None), (9, Some(Gap { from: 7, to: at(9, 0), stream: Stream::Stderr }))] {
            let mut resume = Resume::after(marks(&[(Stream::Stderr, at(7, 0))]));
            assert!(resume.is_new(Stream::Stdout, at(5, 0)));
            assert_eq!(resume.is_new(Stream::Stderr, at(next, 0)), gap.is_some());
            assert!(resume.is_new(Stream::Stdout, at(10, 0)));
            assert_eq!(resume.take_gap(), gap);
        }
    }
}
