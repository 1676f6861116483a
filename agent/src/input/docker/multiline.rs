//! Joins the lines of one event, as those of a stack trace, where a container asks for it (see `hints`).
//!
//! Lines of different streams never mix. Whether a line belongs to others is decided by what it says and by its stamp: one that comes later
//! than the time-out is a new event, so that a log gives the same events however often and however late it is read.
//!
//! What it promises: an event stands where its first line stands, and the cursor passes it only when it is complete.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::regex::{Budget, Regex, Scratch};

use super::patience::Patience;
use super::position::{Position, Stream};

/// How lines are joined.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// What a line matches that belongs to others, or with `negate` does not match.
    pub(crate) pattern: Arc<Regex>,
    /// Lines that do not match are those that belong.
    pub(crate) negate: bool,
    /// They belong to the next line, not to the one before.
    pub(crate) before: bool,
    /// The most lines of an event.
    pub(crate) max_lines: usize,
    /// The most bytes of an event.
    pub(crate) max_bytes: usize,
    /// How much later a line may come.
    pub(crate) timeout: Duration,
    /// The container whose rule it is.
    pub(crate) container: Arc<str>,
}

/// What one match may cost: the pattern is the container's, and must not delay others.
const BUDGET: Budget = Budget::from_millis(20);

/// The lines of each stream that wait for others.
pub(crate) struct Multiline {
    rule: Arc<Rule>,
    scratch: Box<Scratch>,
    patience: Patience,
    held: [Option<Joined>; 2],
    taken: u64,
}

/// Lines that belong together.
#[derive(Debug)]
pub(crate) struct Joined {
    /// Their stream.
    pub(crate) stream: Stream,
    /// Where the first one stands.
    pub(crate) first: Position,
    /// Where the last one stands.
    pub(crate) last: Position,
    /// Their text, with line feeds between them.
    pub(crate) bytes: Vec<u8>,
    /// How many they are.
    pub(crate) lines: usize,
    /// How many were taken before the first one.
    number: u64,
    /// Where the first one begins in its file, where that is told.
    pub(crate) offset: u64,
    /// One of them was cut.
    pub(crate) truncated: bool,
    /// The last one says that another one follows.
    open: bool,
}

impl fmt::Debug for Multiline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiline").field("rule", &self.rule).field("held", &self.held).finish_non_exhaustive()
    }
}

impl Multiline {
    /// Joins as the rule says.
    pub(crate) fn new(rule: Arc<Rule>) -> Self {
        let patience = Patience::new(Arc::clone(&rule.container));
        Self { rule, scratch: Box::default(), patience, held: [None, None], taken: 0 }
    }

    /// Takes a line; returns what is complete, the event before this line and perhaps the one that it ends.
    pub(crate) fn take(&mut self, line: Joined) -> [Option<Joined>; 2] {
        let belongs = self.belongs(&line.bytes);
        let slot = &mut self.held[line.stream.index()];
        let in_time = |held: &Joined| line.first.nanos.saturating_sub(held.last.nanos) <= nanos(self.rule.timeout);
        let fits = |held: &Joined| {
            held.lines < self.rule.max_lines && held.bytes.len() + line.bytes.len() < self.rule.max_bytes
        };
        let joins = |held: &Joined| if self.rule.before { held.open } else { belongs };
        let complete = slot.take_if(|held| !(joins(held) && in_time(held) && fits(held)));
        let open = self.rule.before && belongs;
        match slot {
            Some(held) => held.add(&line, open),
            None => *slot = Some(Joined { open, number: self.taken, ..line }),
        }
        self.taken += 1;
        // Where lines belong to the next one, one that does not ends its event.
        let ended = if self.rule.before && !open { slot.take() } else { None };
        [complete, ended]
    }

    fn belongs(&mut self, line: &[u8]) -> bool {
        let (text, pattern) = (String::from_utf8_lossy(line), &self.rule.pattern);
        let find = |scratch: &mut Scratch| pattern.is_match(&text, scratch, BUDGET).unwrap_or(false);
        self.patience.with(line.len(), &mut self.scratch, find).unwrap_or(false) != self.rule.negate
    }

    /// Takes what waits for lines that would come too late by now, which is given in nanoseconds since 1970.
    pub(crate) fn take_overdue(&mut self, now: i64) -> [Option<Joined>; 2] {
        let limit = nanos(self.rule.timeout);
        self.held.each_mut().map(|held| held.take_if(|held| now.saturating_sub(held.last.nanos) > limit))
    }

    /// Takes all that waits: nothing more will come.
    pub(crate) fn take_all(&mut self) -> [Option<Joined>; 2] {
        std::mem::take(&mut self.held)
    }

    /// How many lines were taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many were taken before the first one that waits; all of them, where none does.
    pub(crate) fn taken_before_waiting(&self) -> u64 {
        self.held.iter().flatten().map(|held| held.number).min().unwrap_or(self.taken)
    }

    /// True when lines wait for others.
    pub(crate) fn waits(&self) -> bool {
        self.held.iter().any(Option::is_some)
    }
}

impl Joined {
    /// One line.
    pub(crate) fn new(stream: Stream, position: Position, bytes: Vec<u8>, truncated: bool) -> Self {
        Self { stream, first: position, last: position, bytes, lines: 1, number: 0, offset: 0, truncated, open: false }
    }

    /// The same, which begins there in its file.
    pub(crate) fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    fn add(&mut self, line: &Self, open: bool) {
        self.bytes.push(b'\n');
        self.bytes.extend_from_slice(&line.bytes);
        self.lines += 1;
        self.last = line.last;
        self.truncated |= line.truncated;
        self.open = open;
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use elkhound_pipeline::regex::Flags;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn multiline(pattern: &str, negate: bool, before: bool) -> Multiline {
        let pattern = Arc::new(Regex::new(pattern, Flags::default()).unwrap());
        let timeout = Duration::from_secs(5);
        Multiline::new(Arc::new(Rule {
            pattern,
            negate,
            before,
            max_lines: 3,
            max_bytes: 20,
            timeout,
            container: "".into(),
        }))
    }

    /// Events as `first second: text`, of lines that come one second after the other.
    fn joined(multiline: &mut Multiline, lines: &[(Stream, i64, &str)]) -> Vec<String> {
        let shown = |event: Joined| {
            let text = String::from_utf8(event.bytes).unwrap().replace('\n', "|");
            format!("{} {}: {text}", event.first.nanos / SECOND, event.last.nanos / SECOND)
        };
        let mut events = Vec::new();
        for (stream, second, text) in lines {
            let position = Position { nanos: second * SECOND, ordinal: 0 };
            let line = Joined::new(*stream, position, text.as_bytes().to_vec(), false);
            events.extend(multiline.take(line).into_iter().flatten().map(shown));
        }
        events.extend(multiline.take_all().into_iter().flatten().map(shown));
        events
    }

    fn out(lines: &[&'static str]) -> Vec<(Stream, i64, &'static str)> {
        lines.iter().enumerate().map(|(second, text)| (Stream::Stdout, second as i64, *text)).collect()
    }

    #[test]
    fn all_four_ways_of_filebeat_join_what_belongs_together() {
        type Case<'a> = (&'a str, bool, bool, &'a [&'static str], &'a [&'a str]);
        let cases: [Case<'_>; 4] = [
            ("^ ", false, false, &["a", " b", " c", "d"], &["0 2: a| b| c", "3 3: d"]),
            (r"\\$", false, true, &["a\\", "b\\", "c", "d"], &["0 2: a\\|b\\|c", "3 3: d"]),
            (r"^\[", true, false, &["[1", "x", "[2", "y"], &["0 1: [1|x", "2 3: [2|y"]),
            (";$", true, true, &["a", "b;", "c;", "d"], &["0 1: a|b;", "2 2: c;", "3 3: d"]),
        ];
        for (pattern, negate, before, lines, expected) in cases {
            assert_eq!(joined(&mut multiline(pattern, negate, before), &out(lines)), expected, "{pattern}");
        }
    }

    #[test]
    fn streams_do_not_mix_and_late_lines_do_not_belong() {
        let lines =
            [(Stream::Stdout, 0, "a"), (Stream::Stderr, 1, "e"), (Stream::Stdout, 2, " b"), (Stream::Stdout, 8, " c")];
        assert_eq!(joined(&mut multiline("^ ", false, false), &lines), ["0 2: a| b", "8 8:  c", "1 1: e"]);
    }

    #[test]
    fn an_event_that_grows_without_end_is_handed_on() {
        let expected = ["0 2: a| b| c", "3 3:  d"];
        assert_eq!(joined(&mut multiline("^ ", false, false), &out(&["a", " b", " c", " d"])), expected);
        let long = joined(&mut multiline("^ ", false, false), &out(&["a", " 0123456789012345", " x"]));
        assert_eq!(long, ["0 1: a| 0123456789012345", "2 2:  x"]);
    }

    #[test]
    fn what_waits_is_taken_when_nothing_can_come_in_time() {
        let mut multiline = multiline("^ ", false, false);
        let line = Joined::new(Stream::Stdout, Position { nanos: SECOND, ordinal: 0 }, b"a".to_vec(), false);
        assert!(multiline.take(line).iter().all(Option::is_none));
        assert!(multiline.take_overdue(6 * SECOND).iter().all(Option::is_none) && multiline.waits());
        assert!(multiline.take_overdue(6 * SECOND + 1)[0].is_some() && !multiline.waits());
    }
}
