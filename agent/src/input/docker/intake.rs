//! From the bytes of one log stream to lines: messages, stamps, pieces, and what is safe already.
//!
//! When a log is read again, it is opened with only so many messages from its end, because the engine decodes a whole log to find a time in
//! it. The first message that comes shows whether that may be enough: [`Verdict::Uncovered`] means that the log has to be
//! opened again, further back. Where the clock was set back that message shows nothing. So nothing is taken for new before the place of the marks has come by; a log
//! that is at its end before ([`Intake::at_end`]) has to be opened again as well.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::frames::{CorruptHeader, Decoder, Kind};
use super::lines::Lines;
use super::partial::{Joiner, Stamps};
use super::position::{Gap, Marks, Stream};
use super::stamp;

/// What the reader knows about how far back its stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// At the beginning of the log, or where reading shall begin: whatever comes first is taken.
    Whole,
    /// Some messages from the end. The last time, with fewer, this one came first; if it does again, the log has no more.
    Tail {
        /// The first message of the last try.
        before: Option<First>,
        /// The log is short enough to look for the place of the marks to its end before lines are told to be missing, if it has no more.
        short: bool,
    },
    /// Before the end of what was handed on: it was opened before that was read. Nothing is missing before its first message.
    Adjoining,
    /// At the beginning of a log that holds none of the marked lines any more: all of it is new, and lines are missing since this time.
    Anew(i64),
}

/// The first message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First {
    stream: Stream,
    nanos: i64,
    /// Of its text, for several messages may have one time.
    hash: u64,
}

/// What to do after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Go,
    /// The stream begins too late; this message came first.
    Uncovered(First),
}

/// Reads one stream of one container.
#[derive(Debug)]
pub(crate) struct Intake {
    decoder: Decoder,
    joiner: Joiner,
    reach: Option<Reach>,
    first: Option<First>,
    /// Messages may stand before the first one; then no stream's first one may have this time.
    cut_off: bool,
    ambiguous: [Option<i64>; 2],
    tty: bool,
    last: [i64; 2],
    /// A line of this time was there before, with nothing safe.
    expected: Option<i64>,
    /// Lines that can be handed on.
    pub(crate) lines: Lines,
    /// What the engine itself has said, since it was asked last.
    pub(crate) complaints: Vec<String>,
}

impl Intake {
    /// Reads the log of a container with or without a terminal, from behind `marks`.
    pub(crate) fn new(tty: bool, stamps: Stamps, limit: usize, marks: Marks, reach: Reach) -> Self {
        let joiner = Joiner::new(limit, stamps, marks);
        let (decoder, last) = (Decoder::new(tty), [0; 2]);
        let (first, expected, lines, complaints) = (None, None, Lines::default(), Vec::new());
        let (cut_off, ambiguous) = (false, Stream::BOTH.map(|stream| joiner.ambiguous(stream)));
        Self { decoder, joiner, reach: Some(reach), first, cut_off, ambiguous, tty, last, expected, lines, complaints }
    }

    /// Tells a gap when the log begins later than with a line that was there before, though nothing of it is safe.
    pub(crate) fn expect(&mut self, nanos: Option<i64>) {
        self.expected = nanos;
    }

    /// Takes bytes of the stream.
    ///
    /// # Errors
    /// [`CorruptHeader`], after which the stream is of no use; the lines before it are.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Result<Verdict, CorruptHeader> {
        let mut verdict = Verdict::Go;
        let Self { decoder, joiner, reach, first, cut_off, ambiguous, tty, last, expected, lines, complaints } = self;
        let mut each = |kind, message: &[u8]| {
            let stream = match kind {
                Kind::Stdout => Stream::Stdout,
                Kind::Stderr => Stream::Stderr,
                Kind::System => return complaints.push(String::from_utf8_lossy(message).trim_end().to_owned()),
                Kind::Stdin => return,
            };
            let (nanos, text) = stamp::split(message).unwrap_or((last[stream.index()], message));
            last[stream.index()] = nanos;
            if let Some(reach) = reach.take() {
                let begun = First::new(stream, nanos, text);
                *first = Some(begun);
                if !covers(reach, joiner, begun) {
                    verdict = Verdict::Uncovered(begun);
                }
                *cut_off = reach.cuts_off(begun);
            }
            let is_ambiguous = *cut_off && ambiguous[stream.index()].take() == Some(nanos);
            if let Some(expected) = expected.take().filter(|expected| *expected < nanos) {
                joiner.begins_late(expected);
            }
            let text = if *tty { text.strip_suffix(b"\r\n").unwrap_or(text) } else { text };
            joiner.message(stream, nanos, text, lines);
            if *cut_off && (is_ambiguous || joiner.is_shifted()) {
                verdict = first.map_or(verdict, Verdict::Uncovered);
            }
        };
        decoder.decode(bytes, &mut each)?;
        Ok(verdict)
    }

    /// Whether the stream has begun too late, now that all of it has come by. A last line without its end may be the marked one.
    pub(crate) fn at_end(&self) -> Verdict {
        let whole = || !self.decoder.is_cut() && self.joiner.torn().is_empty();
        match self.first {
            Some(first) if self.joiner.is_seeking() && whole() => Verdict::Uncovered(first),
            _ => Verdict::Go,
        }
    }

    /// The stream is at its end: lines without an end are lines now.
    pub(crate) fn finish(&mut self) {
        let Self { decoder, joiner, lines, last, .. } = self;
        decoder.finish(&mut |_, message| {
            let (nanos, text) = stamp::split(message).unwrap_or((last[0], message));
            joiner.message(Stream::Stdout, nanos, text, lines);
        });
        joiner.flush(lines);
        lines.finish();
    }

    /// The lines whose end has not come, as marks.
    pub(crate) fn torn(&self) -> Marks {
        self.joiner.torn()
    }

    /// The lines that are missing before the first new one; told once.
    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        self.joiner.take_gap()
    }
}

impl First {
    fn new(stream: Stream, nanos: i64, text: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self { stream, nanos, hash: hasher.finish() }
    }
}

impl Reach {
    /// Whether other messages may stand before the first one that comes.
    fn cuts_off(self, first: First) -> bool {
        matches!(self, Self::Tail { before, .. } if before != Some(first))
    }
}

/// Whether a stream that begins with this message may be read on. Has it look for the place of the marks if they should be there.
fn covers(reach: Reach, joiner: &mut Joiner, first: First) -> bool {
    match reach {
        Reach::Adjoining => joiner.adjoins(),
        Reach::Anew(from) => joiner.begins_late(from),
        Reach::Whole | Reach::Tail { .. } if joiner.is_covered_from(first.stream, first.nanos) => {
            // Where that place is not known, the first message has to do.
            if !joiner.seek() {
                joiner.adjoins();
            }
        }
        Reach::Whole => {}
        Reach::Tail { .. } if reach.cuts_off(first) => return false,
        Reach::Tail { short, .. } => {
            let _seeks = short && joiner.seek();
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::position::Position;

    const TAIL: Reach = Reach::Tail { before: None, short: true };

    fn stamped(second: u32, text: &str) -> String {
        format!("2026-11-21T09:55:{second:02}.000000000Z {text}")
    }

    fn nanos(second: i64) -> i64 {
        (1_795_254_900 + second) * 1_000_000_000
    }

    fn frame(kind: u8, message: &str) -> Vec<u8> {
        let mut frame = vec![kind, 0, 0, 0];
        frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
        frame.extend_from_slice(message.as_bytes());
        frame
    }

    fn marks(entries: &[(Stream, i64)]) -> Marks {
        let mut marks = Marks::default();
        entries.iter().for_each(|(stream, second)| marks.set(*stream, Position { nanos: nanos(*second), ordinal: 0 }));
        marks
    }

    fn texts(intake: &mut Intake) -> Vec<String> {
        let sealed = intake.lines.seal(usize::MAX);
        sealed.lines.iter().map(|line| sealed.text[line.range()].to_owned()).collect()
    }

    fn intake(marks: Marks, reach: Reach) -> Intake {
        Intake::new(false, Stamps::Shared, 1 << 20, marks, reach)
    }

    #[test]
    fn frames_become_lines_and_the_engines_words_do_not() {
        let bytes = [
            frame(1, &stamped(1, "one\n")),
            frame(3, "Error grabbing logs: unexpected EOF\n"),
            frame(2, &stamped(2, "two\n")),
        ]
        .concat();
        let mut intake = intake(Marks::default(), Reach::Whole);
        assert_eq!(intake.decode(&bytes), Ok(Verdict::Go));
        assert_eq!(texts(&mut intake), ["one", "two"]);
        assert_eq!(intake.complaints, ["Error grabbing logs: unexpected EOF"]);
    }

    #[test]
    fn a_terminal_ends_lines_its_own_way() {
        let mut intake = Intake::new(true, Stamps::Shared, 1 << 20, Marks::default(), Reach::Whole);
        let bytes = [stamped(1, "one\r\n"), stamped(2, "prompt> ")].concat();
        assert_eq!(intake.decode(bytes.as_bytes()), Ok(Verdict::Go));
        intake.finish();
        assert_eq!(texts(&mut intake), ["one", "prompt> "]);
    }

    #[test]
    fn a_tail_must_begin_at_or_before_a_mark() {
        let safe = marks(&[(Stream::Stdout, 5)]);
        for (second, covered) in [(4, true), (5, true), (6, false)] {
            let mut intake = intake(safe, TAIL);
            let verdict = intake.decode(&frame(1, &stamped(second, "x\n"))).unwrap();
            assert_eq!(verdict == Verdict::Go, covered, "second {second}");
        }
        let mut intake = intake(safe, TAIL);
        let first = First::new(Stream::Stderr, nanos(1), b"x\n");
        assert_eq!(intake.decode(&frame(2, &stamped(1, "x\n"))), Ok(Verdict::Uncovered(first)));
    }

    #[test]
    fn behind_a_clock_that_was_set_back_only_the_marked_line_proves_that_nothing_is_missing() {
        let marks = marks(&[(Stream::Stdout, 5)]).with_later(Some(Stream::Stdout));
        let first = Verdict::Uncovered(First::new(Stream::Stdout, nanos(3), b"3\n"));
        for (seconds, at_end, new) in [
            (&[3, 4][..], first, &[][..]),
            (&[3, 4, 6], first, &[]),
            (&[3, 5, 4, 6], Verdict::Go, &["4", "6"]),
            (&[3, 6, 5, 4, 7], Verdict::Go, &["4", "7"]),
        ] {
            let bytes: Vec<u8> =
                seconds.iter().flat_map(|second| frame(1, &stamped(*second, &format!("{second}\n")))).collect();
            let mut intake = intake(marks, TAIL);
            assert_eq!((intake.decode(&bytes), intake.at_end()), (Ok(Verdict::Go), at_end), "{seconds:?}");
            assert_eq!((texts(&mut intake), intake.take_gap()), (new.iter().map(ToString::to_string).collect(), None));
        }
    }

    #[test]
    fn a_tail_may_not_begin_in_the_midst_of_lines_of_a_marked_time() {
        let mut marks = marks(&[(Stream::Stderr, 6)]);
        marks.set(Stream::Stdout, Position { nanos: nanos(7), ordinal: 2 });
        let bytes = [frame(2, &stamped(5, "a\n")), frame(2, &stamped(6, "b\n")), frame(1, &stamped(7, "c\n"))].concat();
        let first = First::new(Stream::Stderr, nanos(5), b"a\n");
        for later in [Some(Stream::Stdout), Some(Stream::Stderr), None] {
            let marks = marks.with_later(later);
            assert_eq!(intake(marks, TAIL).decode(&bytes), Ok(Verdict::Uncovered(first)), "{later:?}");
            let all = Reach::Tail { before: Some(first), short: true };
            assert_eq!(intake(marks, all).decode(&bytes), Ok(Verdict::Go), "{later:?}");
        }
    }

    #[test]
    fn messages_of_one_time_are_not_taken_for_one_message() {
        let before = Some(First::new(Stream::Stdout, nanos(6), b"one\n"));
        for (text, verdict) in
            [("one\n", Verdict::Go), ("two\n", Verdict::Uncovered(First::new(Stream::Stdout, nanos(6), b"two\n")))]
        {
            let mut intake = intake(marks(&[(Stream::Stdout, 5)]), Reach::Tail { before, short: false });
            assert_eq!(intake.decode(&frame(1, &stamped(6, text))), Ok(verdict));
        }
    }

    #[test]
    fn a_log_that_holds_no_marked_line_any_more_is_all_new_behind_a_gap() {
        let mut intake = intake(Marks::default(), Reach::Anew(nanos(5)));
        assert_eq!(
            intake.decode(&[frame(1, &stamped(3, "3\n")), frame(2, &stamped(2, "2\n"))].concat()),
            Ok(Verdict::Go)
        );
        let to = Position { nanos: nanos(3), ordinal: 0 };
        assert_eq!(intake.take_gap(), Some(Gap { from: nanos(5), to, stream: Stream::Stdout }));
        assert_eq!((texts(&mut intake), intake.at_end()), (vec!["3".to_owned(), "2".to_owned()], Verdict::Go));
    }

    #[test]
    fn a_log_that_has_no_more_is_taken_and_the_gap_is_told_once() {
        let before = Some(First::new(Stream::Stdout, nanos(6), b"six\n"));
        let mut intake = intake(marks(&[(Stream::Stdout, 5)]), Reach::Tail { before, short: false });
        assert_eq!(intake.take_gap(), None);
        assert_eq!(intake.decode(&frame(1, &stamped(6, "six\n"))), Ok(Verdict::Go));
        let to = Position { nanos: nanos(6), ordinal: 0 };
        assert_eq!(intake.take_gap(), Some(Gap { from: nanos(5), to, stream: Stream::Stdout }));
        assert_eq!(intake.take_gap(), None);
        assert_eq!(texts(&mut intake), ["six"]);
    }

    #[test]
    fn a_stream_that_was_opened_before_the_log_was_read_misses_nothing_and_may_begin_within_a_line() {
        let long = "x".repeat(crate::input::docker::partial::PIECE);
        let mut read = intake(Marks::default(), Reach::Whole);
        read.decode(&[frame(1, &stamped(1, "one\n")), frame(1, &stamped(2, &long))].concat()).unwrap();
        assert_eq!((texts(&mut read), read.torn()), (vec!["one".to_owned()], marks(&[(Stream::Stdout, 2)])));
        let mut marks = marks(&[(Stream::Stdout, 1)]);
        marks.advance(&read.torn());
        let mut followed = intake(marks, Reach::Adjoining);
        let bytes = [frame(1, &stamped(2, "rest\n")), frame(2, &stamped(3, "two\n")), frame(1, &stamped(4, "three\n"))];
        assert_eq!(followed.decode(&bytes.concat()), Ok(Verdict::Go));
        assert_eq!((followed.take_gap(), texts(&mut followed)), (None, vec!["two".to_owned(), "three".to_owned()]));
    }

    #[test]
    fn a_log_that_begins_behind_what_was_followed_has_a_gap_though_nothing_was_safe() {
        for (second, told) in [(2, false), (3, true)] {
            let mut intake = intake(Marks::default(), Reach::Whole);
            intake.expect(Some(nanos(2)));
            let bytes = [frame(1, &stamped(second, "x\n")), frame(1, &stamped(9, "y\n"))].concat();
            assert_eq!(intake.decode(&bytes), Ok(Verdict::Go));
            let to = Position { nanos: nanos(i64::from(second)), ordinal: 0 };
            let gap = Gap { from: nanos(2), to, stream: Stream::Stdout };
            assert_eq!(intake.take_gap(), told.then_some(gap));
            assert_eq!(texts(&mut intake), ["x", "y"]);
        }
    }

    #[test]
    fn what_is_safe_is_left_out() {
        let bytes: Vec<u8> = (1..=4).flat_map(|second| frame(1, &stamped(second, &format!("{second}\n")))).collect();
        let mut intake = intake(marks(&[(Stream::Stdout, 2)]), TAIL);
        assert_eq!(intake.decode(&bytes), Ok(Verdict::Go));
        assert_eq!(texts(&mut intake), ["3", "4"]);
        assert_eq!(intake.take_gap(), None);
    }
}
