//! Logs of a dozen lines against every place from which they can be read again: a model of the engine's tails, with pauses where following is silent.

use super::*;
use crate::input::docker::intake::{Intake, Verdict};
use crate::input::docker::partial::Stamps;
use crate::input::docker::position::{Gap, Marks, Ordinals, Position, Stream};

/// The model's tails.
const TAILS: [u64; 4] = [2, 5, 12, 20];

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A line as it was written.
type Written = (Stream, Position);

/// Lines of both streams, each with a clock of its own. Several lines share a time; where the clock is set back, it does not come to a time again that was there.
fn log(random: &mut Random, set_back: bool, ties: bool) -> Vec<Written> {
    let (mut clocks, mut ordinals, mut log) =
        ([1_000, 1_000 + random.below(40) as i64], Ordinals::default(), Vec::new());
    for number in 0..4 + random.below(9) {
        let stream = Stream::BOTH[(random.below(3) / 2) as usize];
        let clock = &mut clocks[stream.index()];
        *clock += match random.below(10) {
            0..4 if ties => 0,
            // Never the same time again: each step back is of another kind than all before.
            4 if set_back => -(100 * number as i64 + 1),
            _ => 1 + random.below(3) as i64,
        };
        log.push((stream, ordinals.next(stream, *clock)));
    }
    log
}

/// True when no two lines have one identity, which a clock that is set back can bring about.
fn are_distinct(log: &[Written]) -> bool {
    log.iter().enumerate().all(|(at, line)| !log[..at].contains(line))
}

/// Whether a log may begin here: not in the midst of lines of one time.
fn may_begin(log: &[Written], from: usize) -> bool {
    Stream::BOTH.iter().all(|stream| {
        let first = log[from..].iter().find(|line| line.0 == *stream);
        first.is_none_or(|line| line.1.ordinal == 0)
    })
}

fn marks(lines: &[Written], is_ordered: bool) -> Marks {
    let mut marks = Marks::default();
    lines.iter().for_each(|(stream, position)| marks.set(*stream, *position));
    marks.with_later(lines.last().map(|line| line.0).filter(|_| is_ordered))
}

/// The frame of a line, with its number as text.
fn frame(log: &[Written], number: usize) -> Vec<u8> {
    let (stream, position) = log[number];
    let message = format!("2026-11-21T09:55:00.{:09}Z {number}\n", 100_000 + position.nanos);
    let length = (message.len() as u32).to_be_bytes();
    [&[stream.index() as u8 + 1, 0, 0, 0], &length[..], message.as_bytes()].concat()
}

/// One container's log, read again.
struct Reader<'a> {
    random: &'a mut Random,
    log: &'a [Written],
    /// Messages before this one were rotated away.
    begins: usize,
    marks: Marks,
    new: Vec<(usize, Position)>,
    gaps: Vec<Gap>,
}

enum Ended {
    End,
    Doubtful,
    Uncovered(First),
}

impl Reader<'_> {
    /// Does what [`Follower::read_back`] does.
    ///
    /// [`Follower::read_back`]: super::super::Follower::read_back
    fn read_back(&mut self, mut follows: bool) {
        let mut back = Back::new(&TAILS, 0);
        for _ in 0..20 {
            let (tail, reach, marks) = match back.step() {
                Step::Behind(tail, reach) => (tail, reach, self.marks),
                Step::Anew => (None, Reach::Anew(self.marks.latest()), Marks::default()),
            };
            let all = self.log.len() - self.begins;
            let skipped = tail.map_or(0, |tail| all.saturating_sub(tail as usize));
            match self.read(follows, self.begins + skipped, marks, reach) {
                Ended::End => return,
                Ended::Doubtful => follows = false,
                Ended::Uncovered(first) => back.begins_too_late(first),
            }
        }
        panic!("it comes to no end");
    }

    fn read(&mut self, follows: bool, from: usize, marks: Marks, reach: Reach) -> Ended {
        let mut intake = Intake::new(false, Stamps::Shared, 1 << 20, marks, reach);
        for number in from..self.log.len() {
            let verdict = intake.decode(&frame(self.log, number)).unwrap();
            if let Verdict::Uncovered(first) = verdict {
                return Ended::Uncovered(first);
            }
            self.gaps.extend(intake.take_gap());
            if self.random.below(3) == 0 {
                self.hand_on(&mut intake);
            }
            if follows && self.random.below(10) == 0 && intake.at_end() != Verdict::Go {
                return Ended::Doubtful;
            }
        }
        match intake.at_end() {
            Verdict::Uncovered(_) if follows => return Ended::Doubtful,
            Verdict::Uncovered(first) => return Ended::Uncovered(first),
            Verdict::Go => {}
        }
        self.hand_on(&mut intake);
        Ended::End
    }

    fn hand_on(&mut self, intake: &mut Intake) {
        let sealed = intake.lines.seal(usize::MAX);
        self.marks.advance(&sealed.marks);
        self.new.extend(
            sealed.lines.iter().map(|line| (sealed.text[line.range()].parse::<usize>().unwrap(), line.position)),
        );
    }
}

/// Reads a log, of which `safe` lines are safe and the first `begins` were rotated away; what is new, under the times of the model, and the number of gaps.
fn read(
    random: &mut Random,
    log: &[Written],
    safe: usize,
    begins: usize,
    is_ordered: bool,
) -> (Vec<(usize, Position)>, usize) {
    let base = crate::input::docker::stamp::split(b"2026-11-21T09:55:00.000100000Z x").unwrap().0;
    let shifted: Vec<Written> =
        log.iter().map(|(stream, at)| (*stream, Position { nanos: base + at.nanos, ..*at })).collect();
    let marks = marks(&shifted[..safe], is_ordered);
    let follows = random.below(2) == 0;
    let mut reader = Reader { random, log, begins, marks, new: Vec::new(), gaps: Vec::new() };
    reader.read_back(follows);
    let new = reader.new.iter().map(|(number, at)| (*number, Position { nanos: at.nanos - base, ..*at }));
    (new.collect(), reader.gaps.len())
}

#[test]
fn from_every_place_exactly_the_rest_is_new_and_a_gap_is_told_only_where_the_marked_line_is_gone() {
    let random = &mut Random(7);
    for round in 0..3_000 {
        let log = log(random, round % 2 == 1, round % 3 > 0);
        if !are_distinct(&log) {
            continue;
        }
        for safe in 1..=log.len() {
            for begins in (0..log.len()).filter(|begins| may_begin(&log, *begins)) {
                let (new, gaps) = read(random, &log, safe, begins, true);
                let rest: Vec<(usize, Position)> = (safe.max(begins)..log.len()).map(|at| (at, log[at].1)).collect();
                let told = usize::from(begins >= safe);
                assert_eq!((new, gaps), (rest, told), "round {round}: {safe} safe, {begins} gone of {log:?}");
            }
        }
    }
}

#[test]
fn where_lines_are_joined_exactly_the_rest_is_new_if_times_do_not_repeat_and_nobody_sets_the_clock_back() {
    let random = &mut Random(8);
    for round in 0..2_000 {
        let log = log(random, false, false);
        for safe in 1..=log.len() {
            let (new, gaps) = read(random, &log, safe, 0, false);
            let rest: Vec<(usize, Position)> = (safe..log.len()).map(|at| (at, log[at].1)).collect();
            assert_eq!((new, gaps), (rest, 0), "round {round}: {safe} safe of {log:?}");
        }
    }
}

#[test]
fn a_long_log_that_begins_too_late_is_not_read_twice() {
    let at = |nanos| (Stream::Stdout, Position { nanos, ordinal: 0 });
    let log = [9, 8, 7, 6, 5].map(at);
    // What comes first of a log that begins too late.
    let first = |line: &Written| {
        let reach = Reach::Tail { before: None, short: true };
        let mut intake = Intake::new(false, Stamps::Shared, 1 << 20, marks(&[at(1)], true), reach);
        match intake.decode(&frame(&[*line], 0)) {
            Ok(Verdict::Uncovered(first)) => first,
            other => panic!("{other:?}"),
        }
    };
    let steps = |expected| {
        let mut back = Back::new(&[100, 1_600, 25_600, 409_600], expected);
        let mut steps: Vec<(Option<u64>, bool)> = Vec::new();
        while let Step::Behind(tail, reach) = back.step() {
            steps.push((tail, matches!(reach, Reach::Tail { short: true, .. })));
            back.begins_too_late(first(&log[steps.len() - 1]));
        }
        steps
    };
    let all = [(Some(100), false), (Some(1_600), true), (Some(25_600), true), (Some(409_600), true), (None, false)];
    assert_eq!(steps(0), all);
    assert_eq!(steps(30_000), [(Some(409_600), false), (None, false)]);
    assert_eq!(steps(500_000), [(None, false)]);
}
