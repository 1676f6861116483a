//! One container's side of the receipts: chunks that are safe move its cursor.
//!
//! A ledger of a log that is read through the API outlives its reader, for the next one goes on behind what that has handed on, and what a pipeline has given up
//! is handed on again from here.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elkhound_pipeline::flow::budget::Charge;
use elkhound_pipeline::flow::meter::add;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use elkhound_pipeline::time::Timestamp;
use tokio::sync::{Notify, OwnedMutexGuard};

use super::chunk::{Content, Layers, LinesChunk};
use super::cursor::Cursors;
use super::kept::Kept;
use super::lines::{Line, Sealed};
use super::metadata::{Container, Host};
use super::place::{Place, Reached};
use super::position::{IdPrefix, Marks};
use super::screen::Suppressed;
use super::unproved::Unproved;
use crate::claim::Claim;
use crate::input::window::Window;
use crate::stats::containers::{Batch, ContainerStats};
use crate::stats::tap::Shown;

/// Moves the cursor of one container, and forgets it when the container is gone and its lines are safe.
pub(crate) struct ContainerLedger {
    container: String,
    cursors: Arc<Cursors>,
    state: Mutex<State>,
    /// Held by who reads the log: a new reader waits for the end of the old one, and goes on with what that has handed on unproved.
    reader: Arc<tokio::sync::Mutex<Unproved>>,
    /// All that was handed on has come back.
    at_rest: Notify,
    /// Given back with the last receipt: whoever reads the log's files then begins where they are safe.
    claim: Option<Arc<Claim>>,
}

struct State {
    window: Window<Reached>,
    gone: bool,
    /// Its last reader has seen the end of what the container had written, which was not running any more.
    is_read: bool,
    stats: Option<Arc<ContainerStats>>,
    kept: Kept,
    about: Option<About>,
    heir: Option<Heir>,
}

/// Whose log it is.
type About = (Arc<Host>, Container);

/// Who wants what others have given up.
#[derive(Clone)]
struct Heir {
    round: u64,
    layers: Layers,
}

impl ContainerLedger {
    /// A ledger behind the container's cursor.
    pub(crate) fn new(container: &str, cursors: Arc<Cursors>) -> Self {
        let safe = cursors.of(container).map(|cursor| cursor.reached).unwrap_or_default();
        let stats = cursors.stats_of(container);
        if let Some(stats) = &stats {
            stats.safe(safe.marks.latest());
        }
        let (window, kept) = (Window::after(safe), Kept::default());
        let state = State { window, gone: false, is_read: false, stats, kept, about: None, heir: None };
        let (container, state) = (container.to_owned(), Mutex::new(state));
        let reader = Arc::new(tokio::sync::Mutex::new(Unproved::default()));
        Self { container, cursors, state, reader, at_rest: Notify::new(), claim: None }
    }

    /// Holds the claim for as long as receipts are out.
    pub(crate) fn claimed(mut self, claim: Arc<Claim>) -> Self {
        self.claim = Some(claim);
        self
    }

    /// The container's id.
    pub(crate) fn container(&self) -> &str {
        &self.container
    }

    /// Waits until what others have given up is on its way, of whatever container.
    pub(crate) async fn is_next(&self) {
        self.cursors.after_what_was_given_up().await;
    }

    /// Waits until nobody else reads the log, which is read for as long as the answer is kept.
    pub(crate) async fn begin_reading(&self) -> OwnedMutexGuard<Unproved> {
        Arc::clone(&self.reader).lock_owned().await
    }

    /// Notes who the container is, whose log is read through the API.
    pub(crate) fn describe(&self, host: &Arc<Host>, container: &Container) {
        self.cursors.describe(container, "api");
        self.state().about = Some((Arc::clone(host), container.clone()));
    }

    /// The same when what its events share has changed with it.
    pub(crate) fn describe_anew(&self, host: &Arc<Host>, container: &Container, layers: &Layers) {
        self.describe(host, container);
        if let Some(heir) = &mut self.state().heir {
            heir.layers = layers.clone();
        }
    }

    /// Whose log it is, if that was told.
    pub(crate) fn about(&self) -> Option<About> {
        self.state().about.clone()
    }

    /// Its reader ends; `is_read` when the container was not running and all that it had written was handed on.
    pub(crate) fn end_reading(&self, is_read: bool) {
        self.state().is_read = is_read;
    }

    /// Whether the last reader has seen the end of all that the container had written, or has said that it may not have.
    pub(crate) fn is_read(&self) -> bool {
        let state = self.state();
        state.is_read || state.gone
    }

    /// From now on a pipeline of this round has it: what others give up of it is for that one, in events with these layers. Returns up to where lines were
    /// handed on so far.
    pub(crate) fn inherit(&self, round: u64, layers: Layers) -> Marks {
        let stats = self.cursors.stats_of(&self.container);
        let mut state = self.state();
        if let Some(stats) = &stats {
            stats.safe(state.window.safe().marks.latest());
        }
        state.stats = stats;
        state.heir = Some(Heir { round, layers });
        if state.kept.left().is_some() {
            self.cursors.leave();
        }
        state.window.ahead().marks
    }

    /// The first chunk of what was given up, if it is for a pipeline of this round.
    pub(crate) fn left(&self, round: u64) -> Option<(u64, Arc<Content>)> {
        let state = self.state();
        state.heir.as_ref().filter(|heir| heir.round == round)?;
        state.kept.left()
    }

    /// The chunk that was [`left`](Self::left), to be handed on with this charge. Nothing if it is not any more.
    pub(crate) fn hand_on_again(self: &Arc<Self>, round: u64, number: u64, charge: Charge) -> Option<LinesChunk> {
        let mut state = self.state();
        let heir = state.heir.clone().filter(|heir| heir.round == round)?;
        let (_, content) = state.kept.left().filter(|(left, _)| *left == number)?;
        state.kept.hand_on(number, Arc::clone(&content));
        drop(state);
        let receipt = Receipt::open(Arc::clone(self) as _, number, Some(charge));
        Some(LinesChunk { content, layers: heir.layers, prefix: IdPrefix::new(&self.container), receipt })
    }

    /// Waits until nobody reads the log, and all that was handed on is safe or was given up.
    pub(crate) async fn rests(&self) {
        drop(self.begin_reading().await);
        loop {
            let at_rest = self.at_rest.notified();
            if self.state().kept.is_at_rest() {
                return;
            }
            at_rest.await;
        }
    }

    /// Notes trouble with the container's log.
    pub(crate) fn fails(&self, reason: &str) {
        if let Some(stats) = self.stats() {
            stats.fails(reason);
        }
    }

    /// Counts records that can't be read, and notes why.
    pub(crate) fn misses(&self, records: usize, reason: &str) {
        if let Some(stats) = self.stats() {
            add(&stats.unreadable, records as u64);
            stats.fails(reason);
        }
    }

    /// Notes how many bytes of the log were not read yet.
    pub(crate) fn is_behind(&self, left: u64) {
        if let Some(stats) = self.stats() {
            stats.left.store(left, Ordering::Relaxed);
        }
    }

    /// Counts lines that are handed on, with what is missing before them and what was left out.
    pub(crate) fn count(&self, sealed: &Sealed, gap: bool, suppressed: Option<&Suppressed>) {
        let Some(stats) = self.stats() else { return };
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

    /// The same for a chunk of which a copy is kept, for nothing else may be able to bring its lines again.
    pub(crate) fn open_kept(&self, marks: Marks, content: Arc<Content>) -> u64 {
        let mut state = self.state();
        let number = state.window.open(Reached { marks, place: None });
        state.kept.hand_on(number, content);
        number
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

    fn stats(&self) -> Option<Arc<ContainerStats>> {
        self.state().stats.clone()
    }

    fn rest_if_all_is_back(&self, state: &State) {
        if state.kept.is_at_rest() {
            self.at_rest.notify_waiters();
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
            if let Some(stats) = &state.stats {
                stats.safe(safe.marks.latest());
            }
        }
        state.kept.settle(chunk);
        self.rest_if_all_is_back(&state);
        self.forget_if_done(&state);
    }

    /// The chunk stays open in the window, so the cursor stops before it until it is handed on again.
    fn abandoned(&self, chunk: u64) {
        let mut state = self.state();
        state.kept.abandon(chunk);
        self.rest_if_all_is_back(&state);
        self.cursors.leave();
    }
}

#[cfg(test)]
mod tests {
    use elkhound_pipeline::flow::budget::Budget;
    use elkhound_pipeline::flow::queue::Chunk;
    use elkhound_pipeline::value::Value;

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
        cursors.begin_anew(Some(Arc::clone(&containers)));
        let ledger = ContainerLedger::new("a", Arc::new(cursors));
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

    fn content(text: &str) -> Arc<Content> {
        let mut lines = Lines::default();
        lines.push(Stream::Stdout, Position { nanos: 1, ordinal: 0 }, false, |out| {
            out.extend_from_slice(text.as_bytes());
        });
        Arc::new(Content { lines: lines.seal(0), gap: None, suppressed: None })
    }

    /// The texts of what is handed on again to a pipeline of this round.
    fn handed_on_again(ledger: &Arc<ContainerLedger>, round: u64) -> Vec<Value> {
        let (budget, mut texts) = (Budget::new(1 << 20), Vec::new());
        while let Some((number, _)) = ledger.left(round) {
            let mut events = Vec::new();
            Box::new(ledger.hand_on_again(round, number, budget.try_charge(1).unwrap()).unwrap()).unpack(&mut events);
            for mut event in events {
                texts.push(event.field("message").unwrap().clone());
                event.take_receipt().into_iter().for_each(Receipt::acknowledge);
            }
        }
        texts
    }

    #[tokio::test]
    async fn the_next_pipeline_gets_what_the_last_has_given_up_and_reads_on_behind_it() {
        let (ledger, cursors) = ledger();
        let ledger = Arc::new(ledger);
        assert_eq!(ledger.inherit(1, Layers::plain()), Marks::default());
        let receipts = [1, 2].map(|nanos| {
            let number = ledger.open_kept(marks(nanos), content(&format!("line {nanos}")));
            Receipt::open(Arc::clone(&ledger) as _, number, None)
        });
        assert_eq!(ledger.inherit(2, Layers::plain()), marks(2));
        assert!(ledger.left(2).is_none(), "the old pipeline may still deliver it");
        let [first, second] = receipts;
        second.acknowledge();
        drop(first);
        assert_eq!(cursors.of("a").unwrap().reached.marks, Marks::default());
        ledger.gone();
        // A third pipeline comes before the second has it: the container may be none of its, or have other fields there.
        assert!(ledger.left(3).is_none());
        assert_eq!(ledger.inherit(3, Layers::plain()), marks(2));
        assert!(ledger.left(2).is_none());
        assert_eq!(handed_on_again(&ledger, 3), ["line 1".into()]);
        assert_eq!(cursors.of("a"), None, "the container is gone, and all of it is safe");
    }

    #[tokio::test]
    async fn who_reads_the_files_waits_for_what_was_read_through_the_api() {
        let (_, cursors) = ledger();
        let ledger = cursors.ledger_or_new("a");
        let receipt = Receipt::open(Arc::clone(&ledger) as _, ledger.open_kept(marks(1), content("line")), None);
        let waiting = tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move { ledger.rests().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        receipt.acknowledge();
        waiting.await.unwrap();
        cursors.let_go();
    }
}
