//! One container's side of the receipts: chunks that are safe move its cursor.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elkhound_pipeline::flow::meter::add;
use elkhound_pipeline::flow::receipt::Ledger;
use elkhound_pipeline::time::Timestamp;

use super::cursor::Cursors;
use super::lines::{Line, Sealed};
use super::metadata::Container;
use super::place::{Place, Reached};
use super::position::Marks;
use super::screen::Suppressed;
use crate::input::window::Window;
use crate::stats::containers::{Batch, ContainerStats};
use crate::stats::tap::Shown;

/// Moves the cursor of one container, and forgets it when the container is gone and its lines are safe.
pub(crate) struct ContainerLedger {
    container: String,
    cursors: Arc<Cursors>,
    state: Mutex<State>,
    stats: Option<Arc<ContainerStats>>,
}

struct State {
    window: Window<Reached>,
    gone: bool,
}

impl ContainerLedger {
    /// A ledger behind the container's cursor.
    pub(crate) fn new(container: &str, cursors: Arc<Cursors>) -> Self {
        let safe = cursors.of(container).map(|cursor| cursor.reached).unwrap_or_default();
        let state = Mutex::new(State { window: Window::after(safe), gone: false });
        let stats = cursors.stats_of(container);
        if let Some(stats) = &stats {
            stats.safe(safe.marks.latest());
        }
        Self { container: container.to_owned(), cursors, state, stats }
    }

    /// Notes who the container is, whose log is read through the API.
    pub(crate) fn describe(&self, container: &Container) {
        self.cursors.describe(container, "api");
    }

    /// Notes trouble with the container's log.
    pub(crate) fn fails(&self, reason: &str) {
        if let Some(stats) = &self.stats {
            stats.fails(reason);
        }
    }

    /// Counts records that can't be read, and notes why.
    pub(crate) fn misses(&self, records: usize, reason: &str) {
        if let Some(stats) = &self.stats {
            add(&stats.unreadable, records as u64);
            stats.fails(reason);
        }
    }

    /// Notes how many bytes of the log were not read yet.
    pub(crate) fn is_behind(&self, left: u64) {
        if let Some(stats) = &self.stats {
            stats.left.store(left, Ordering::Relaxed);
        }
    }

    /// Counts lines that are handed on, with what is missing before them and what was left out.
    pub(crate) fn count(&self, sealed: &Sealed, gap: bool, suppressed: Option<&Suppressed>) {
        let Some(stats) = &self.stats else { return };
        stats.hand_on(&Batch {
            lines: sealed.lines.len(),
            bytes: sealed.text.len(),
            last: sealed.lines.last().map(|line| line.position.nanos),
            gap,
            suppressed: suppressed.map_or(0, Suppressed::lines),
            truncated: sealed.lines.iter().filter(|line| line.truncated).count() as u64,
            show: &|| sealed.lines.iter().map(|line| shown(line, &sealed.text)).collect(),
        });
    }

    /// Notes a chunk that ends with these lines, and behind which files can be read on at `place`; returns its number.
    pub(crate) fn open(&self, marks: Marks, place: Option<Place>) -> u64 {
        self.state().window.open(Reached { marks, place })
    }

    /// How many chunks are not safe, or stand behind one that is not.
    pub(crate) fn in_flight(&self) -> usize {
        self.state().window.in_flight()
    }

    /// Up to where all is safe.
    pub(crate) fn safe(&self) -> Reached {
        self.state().window.safe()
    }

    /// Counts the container as one that was removed before its log had been read to the end.
    pub(crate) fn count_unread(&self) {
        self.cursors.count_unread();
    }

    /// The container does not exist any more.
    pub(crate) fn gone(&self) {
        let mut state = self.state();
        state.gone = true;
        self.forget_if_done(&state);
    }

    fn forget_if_done(&self, state: &State) {
        if state.gone && state.window.in_flight() == 0 {
            self.cursors.remove(&self.container);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line as viewers see it.
fn shown(line: &Line, text: &str) -> Shown {
    let time = Timestamp::from_nanos(line.position.nanos);
    Shown { time, stream: line.stream.name(), text: text[line.range()].to_owned() }
}

impl Ledger for ContainerLedger {
    fn settled(&self, chunk: u64) {
        let mut state = self.state();
        if let Some(safe) = state.window.settle(chunk) {
            self.cursors.advance(&self.container, safe);
            if let Some(stats) = &self.stats {
                stats.safe(safe.marks.latest());
            }
        }
        self.forget_if_done(&state);
    }

    /// The chunk stays open in the window, so the cursor stops before it.
    fn abandoned(&self, _chunk: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::follow::Start;
    use crate::input::docker::lines::Lines;
    use crate::input::docker::position::{Position, Stream};
    use crate::stats::containers::Containers;
    use crate::stats::tap::Tap;

    fn marks(nanos: i64) -> Marks {
        let mut marks = Marks::default();
        marks.set(Stream::Stdout, Position { nanos, ordinal: 0 });
        marks
    }

    fn ledger() -> (ContainerLedger, Arc<Cursors>) {
        let (cursors, _) = Cursors::open(std::path::Path::new("/nonexistent/elkhound.cursors")).unwrap();
        let cursors = Arc::new(cursors);
        cursors.begin("a", "json-file", Start::End);
        (ContainerLedger::new("a", Arc::clone(&cursors)), cursors)
    }

    #[test]
    fn lines_that_were_cut_are_counted_among_all() {
        let (cursors, _) = Cursors::open(std::path::Path::new("/nonexistent/elkhound.cursors")).unwrap();
        let containers = Arc::new(Containers::new(Arc::new(Tap::new())));
        let ledger = ContainerLedger::new("a", Arc::new(cursors.counted(Some(Arc::clone(&containers)))));
        let mut lines = Lines::default();
        for (nanos, truncated) in [(1, true), (2, false), (3, true)] {
            lines.push(Stream::Stdout, Position { nanos, ordinal: 0 }, truncated, |bytes| bytes.push(b'x'));
        }
        ledger.count(&lines.seal(0), false, None);
        let counted = containers.take_up("a");
        assert_eq!((counted.count(), counted.truncated.load(Ordering::Relaxed)), (3, 2));
    }

    #[test]
    fn the_cursor_follows_the_safe_prefix() {
        let (ledger, cursors) = ledger();
        let (first, second) = (ledger.open(marks(1), None), ledger.open(marks(2), None));
        ledger.settled(second);
        assert!(cursors.of("a").unwrap().reached.marks.is_empty());
        ledger.settled(first);
        assert_eq!(cursors.of("a").unwrap().reached.marks, marks(2));
    }

    #[test]
    fn a_cursor_outlives_its_container_until_all_is_safe() {
        let (ledger, cursors) = ledger();
        let chunk = ledger.open(marks(1), None);
        ledger.gone();
        assert!(cursors.of("a").is_some());
        ledger.settled(chunk);
        assert_eq!(cursors.of("a"), None);
    }
}
