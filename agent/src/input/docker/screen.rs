//! What is left out of a container's log although it was read: lines of a stream that no filter wants, those that the container itself does not want to have
//! sent, and lines beyond its rate.
//!
//! All are left out only after their place in the log is known, so the cursor passes them as it passes lines that were sent. The rate is
//! counted in the seconds of the lines' own stamps: a log that was written slowly and is read late is not too fast.
//!
//! What it promises: what the rate suppresses is counted and told, by a warning and by an event of its own behind the second or the chunk in which it was.

use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::event::{Event, Layer};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::time::Timestamp;
use elkhound_pipeline::value::Value;
use tokio::time::Instant;
use tracing::warn;

use super::lines::{Line, Sealed};
use super::picks::{Picker, Picks};
use super::position::{Position, Stream};

/// How long suppressed lines wait to be told together with later ones.
const TOGETHER: Duration = Duration::from_secs(1);

/// What is left out of one container's log.
pub(crate) struct Screen {
    streams: [bool; 2],
    picker: Option<Picker>,
    rate: Option<Rate>,
}

/// The lines that a container may write in a second.
#[derive(Clone, Debug)]
struct Rate {
    limit: u64,
    /// The second that is being counted, since 1970, and how many lines it has.
    second: i64,
    lines: u64,
    /// What has not been told yet, and when it is to be.
    untold: Option<(Suppressed, Instant)>,
}

/// Lines that were left out because there were too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suppressed {
    lines: u64,
    limit: u64,
    /// The first and the last of them, in nanoseconds.
    from: i64,
    to: i64,
    /// The stream of the last one.
    pub(crate) stream: Stream,
}

impl Suppressed {
    /// How many.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }
}

impl Screen {
    /// Lets pass these streams, by [`Stream::index`], of them these lines, and so many a second; 0 for any number.
    pub(crate) fn new(streams: [bool; 2], picks: Option<Arc<Picks>>, limit: u64) -> Self {
        let rate = (limit > 0).then_some(Rate { limit, second: i64::MIN, lines: 0, untold: None });
        Self { streams, picker: picks.map(Picker::new), rate }
    }

    /// Takes out of `sealed` what is left out.
    pub(crate) fn pass(&mut self, sealed: &mut Sealed) {
        if self.streams != [true; 2] {
            sealed.retain(|line| self.streams[line.stream.index()]);
        }
        if let Some(picker) = &mut self.picker {
            let text = Arc::clone(&sealed.text);
            sealed.retain(|line| picker.takes(&text[line.range()]));
        }
        if let Some(rate) = &mut self.rate {
            sealed.retain(|line| rate.takes(line));
        }
    }

    /// What was suppressed and is to be told now.
    pub(crate) fn take_suppressed(&mut self) -> Option<Suppressed> {
        self.is_due().then(|| self.rate.as_mut()?.untold.take().map(|(suppressed, _)| suppressed))?
    }

    /// True when something that was suppressed is to be told.
    pub(crate) fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// When something that was suppressed is to be told.
    pub(crate) fn due(&self) -> Option<Instant> {
        let (_, due) = self.rate.as_ref()?.untold.as_ref()?;
        Some(*due)
    }

    /// Nothing more may come: what was suppressed is to be told at once.
    pub(crate) fn hurry(&mut self) {
        if let Some((_, due)) = self.rate.as_mut().and_then(|rate| rate.untold.as_mut()) {
            *due = Instant::now();
        }
    }
}

impl Rate {
    fn takes(&mut self, line: &Line) -> bool {
        let nanos = line.position.nanos;
        let second = nanos.div_euclid(1_000_000_000);
        if second != self.second {
            (self.second, self.lines) = (second, 0);
        }
        self.lines += 1;
        let takes = self.lines <= self.limit;
        if !takes {
            let fresh = Suppressed { lines: 0, limit: self.limit, from: nanos, to: nanos, stream: line.stream };
            let (suppressed, _) = self.untold.get_or_insert_with(|| (fresh, Instant::now() + TOGETHER));
            suppressed.lines += 1;
            (suppressed.to, suppressed.stream) = (nanos, line.stream);
        }
        takes
    }
}

impl Suppressed {
    /// Where its event stands: with the last line of them, under an ordinal that no line and no gap has.
    pub(crate) fn position(&self) -> Position {
        Position { nanos: self.to, ordinal: u32::MAX - 1 }
    }

    /// Its event, in the fields of the Elastic Common Schema.
    pub(crate) fn event(&self, layer: &Arc<Layer>) -> Event {
        let Self { lines, limit, .. } = self;
        let (start, end) = (Timestamp::from_nanos(self.from), Timestamp::from_nanos(self.to));
        let mut told = Map::with_capacity(4);
        told.push("action".into(), "suppressed".into());
        told.push("end".into(), Value::Timestamp(end));
        told.push("kind".into(), "event".into());
        told.push("start".into(), Value::Timestamp(start));
        let mut log = Map::with_capacity(1);
        log.push("suppressed".into(), Value::Integer(i64::try_from(*lines).unwrap_or(i64::MAX)));
        let mut fields = Map::with_capacity(12);
        fields.push("@timestamp".into(), Value::Timestamp(end));
        let message = format!("{lines} lines suppressed: more than {limit} in a second, between {start} and {end}");
        fields.push("message".into(), message.into());
        fields.push("event".into(), told.into());
        fields.push("log".into(), log.into());
        Event::layered(fields, Arc::clone(layer))
    }

    /// Says it in elkhound's own log.
    pub(crate) fn report(&self, container: &str) {
        warn!(
            container,
            lines = self.lines,
            rate_limit = self.limit,
            "this container writes more lines than rate_limit lets pass; the others are left out"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::lines::Lines;

    fn lines(stamps: impl IntoIterator<Item = (Stream, i64)>) -> Sealed {
        let mut lines = Lines::default();
        for (stream, nanos) in stamps {
            lines.push(stream, Position { nanos, ordinal: 0 }, false, |out| out.extend_from_slice(b"x"));
        }
        lines.seal(usize::MAX)
    }

    fn passed(screen: &mut Screen, mut sealed: Sealed) -> Vec<i64> {
        screen.pass(&mut sealed);
        sealed.lines.iter().map(|line| line.position.nanos).collect()
    }

    #[test]
    fn a_stream_that_no_filter_wants_is_left_out_and_its_mark_stays() {
        let mut sealed = lines([(Stream::Stdout, 1), (Stream::Stderr, 2)]);
        let mut screen = Screen::new([false, true], None, 0);
        screen.pass(&mut sealed);
        assert_eq!(sealed.lines.iter().map(|line| line.stream).collect::<Vec<_>>(), [Stream::Stderr]);
        assert!(sealed.marks.of(Stream::Stdout).is_some());
        assert_eq!((screen.take_suppressed(), screen.due()), (None, None));
    }

    #[test]
    fn a_line_that_its_container_does_not_want_is_left_out_and_its_mark_stays() {
        let mut sealed = lines([(Stream::Stdout, 1), (Stream::Stderr, 2)]);
        let picks = Picks::of("web", None, Some("^x$")).unwrap().map(Arc::new);
        Screen::new([true; 2], picks, 1).pass(&mut sealed);
        assert!(sealed.lines.is_empty() && sealed.marks.of(Stream::Stderr).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn each_second_of_the_log_lets_pass_so_many_lines_and_the_others_are_told_together() {
        const SECOND: i64 = 1_000_000_000;
        let mut screen = Screen::new([true; 2], None, 2);
        let first = lines([0, 1, 2, 3].map(|nanos| (Stream::Stdout, nanos)));
        assert_eq!(passed(&mut screen, first), [0, 1]);
        assert_eq!(screen.take_suppressed(), None, "it waits for more");
        let second = lines([5, SECOND, SECOND + 1, SECOND + 2].map(|nanos| (Stream::Stderr, nanos)));
        assert_eq!(passed(&mut screen, second), [SECOND, SECOND + 1]);
        tokio::time::advance(TOGETHER).await;
        let told = screen.take_suppressed().unwrap();
        let expected = Suppressed { lines: 4, limit: 2, from: 2, to: SECOND + 2, stream: Stream::Stderr };
        assert_eq!((told, screen.take_suppressed()), (expected, None));
        assert_eq!(passed(&mut screen, lines([(Stream::Stdout, SECOND + 3)])), [0_i64; 0]);
        screen.hurry();
        assert_eq!(screen.take_suppressed().map(|told| told.lines), Some(1));
        let event = told.event(&Arc::new(Layer::new(Map::new())));
        let log = event.field("log").and_then(Value::as_map).unwrap();
        assert_eq!(log.get("suppressed"), Some(&Value::Integer(4)));
        assert_eq!(event.timestamp(), Some(Timestamp::from_nanos(SECOND + 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_that_was_written_slowly_passes_whole() {
        let mut screen = Screen::new([true; 2], None, 1);
        let backlog = lines((0..100).map(|second| (Stream::Stdout, second * 1_000_000_000)));
        assert_eq!(passed(&mut screen, backlog).len(), 100);
    }
}
