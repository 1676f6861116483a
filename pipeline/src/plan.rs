//! The tree of a pipeline file, made executable: the one meeting point of the language and the plugins.
//!
//! Compiling collects every mistake of the whole file. What comes out is immutable and shared by the workers: the filters as
//! steps, conditions compiled, and the outputs' conditions as a routing. Inputs and outputs themselves are the agent's: it gets
//! their places in the tree and makes them.
//!
//! How events run through it, as in Logstash with one worker: each event goes through alone until a filter makes further
//! events of it; from there on its group goes step by step, and at an `if` those that match come out before those that don't.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::condition::{Condition, Incomparable};
use crate::event::Event;
use crate::filter::common::Common;
use crate::filter::reference::Raised;
use crate::filter::{Context, Count, Filter, Made, Outcome, Watched};
use crate::flow::meter::{add, read, scaled, since};
use crate::flow::worker::survives;

mod compile;
mod ids;
mod outline;
mod references;
#[cfg(test)]
mod testing;
mod trace;
mod unknown;

pub use compile::{Compiled, compile};
pub use outline::{Outline, Outlined};
pub use trace::{Entry, Seen, Trace};
pub use unknown::{NOT_THERE_YET, unknown};

/// A compiled pipeline.
pub struct Plan {
    steps: Vec<Step>,
    filters: Vec<PlacedFilter>,
    routes: Vec<Step>,
    conditions: ConditionCounters,
    report: Report,
    set_aside: Option<SetAside>,
}

/// What has gone wrong in conditions, for the monitoring API.
#[derive(Debug, Default)]
pub struct ConditionCounters {
    /// Comparisons that could not be made, each of which dropped an event, or kept it from outputs.
    pub incomparable: AtomicU64,
    /// Matches that took too long and counted as none.
    pub given_up: AtomicU64,
}

/// One filter of the file with what surrounds it.
pub struct PlacedFilter {
    /// Its name in the file.
    pub name: String,
    /// Its `id`, or one made from its name and its number.
    pub id: String,
    /// Where it stands: `file:line`.
    pub place: String,
    /// What it has done so far.
    pub counters: Counters,
    common: Common,
    filter: Box<dyn Filter>,
}

impl PlacedFilter {
    /// The file that it wants read again.
    pub fn watched(&self) -> Option<&Watched> {
        self.filter.watched()
    }

    /// Gives it what the file holds now.
    ///
    /// # Errors
    /// Why that is of no use; the filter goes on with what it had.
    pub fn refresh(&self, bytes: &[u8]) -> Result<(), String> {
        self.filter.refresh(bytes)
    }
}

/// What a filter has done, for the monitoring API.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events that went in.
    pub entered: AtomicU64,
    /// Events that came out, with those that it made and without those that it dropped.
    pub left: AtomicU64,
    /// Events on which it failed in a way that would have ended Logstash's worker.
    pub failed: AtomicU64,
    /// Events that were timed, and how long these took.
    sampled: AtomicU64,
    sampled_nanos: AtomicU64,
}

impl Counters {
    fn add(&self, count: &Count) {
        add(&self.entered, count.entered);
        add(&self.left, count.left);
        if count.sampled > 0 {
            add(&self.sampled, count.sampled);
            add(&self.sampled_nanos, count.sampled_nanos);
        }
    }

    /// About how long the filter has worked on all its events, by those that were timed.
    pub fn nanos(&self) -> u64 {
        scaled(read(&self.sampled_nanos), read(&self.entered), read(&self.sampled))
    }
}

/// Told of events that need an operator's eye; the agent logs and counts them.
pub type Report = Box<dyn Fn(Trouble<'_>) + Send + Sync>;

/// Takes an event on which a filter has panicked; it may wait for a disk.
pub type SetAside = Box<dyn Fn(&PlacedFilter, &Event) -> Fate + Send + Sync>;

/// What becomes of an event on which a filter has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is safe where it was put, and goes no further.
    Kept,
    /// It goes on, tagged.
    GoesOn,
    /// It could not be kept before the end: it goes no further, and is read again after the next start.
    ReadAgain,
}

/// Trouble with one event. The pipeline goes on.
pub enum Trouble<'a> {
    /// A condition could not compare, and the event was dropped as Logstash does.
    Incomparable(Incomparable),
    /// A pattern of a condition took too long, and counted as one that does not match.
    GivenUp {
        /// Where the condition stands.
        place: &'a str,
        /// How it is written there.
        condition: &'a str,
    },
    /// A filter failed; the event was tagged and goes on.
    Failed {
        /// Which one.
        filter: &'a PlacedFilter,
        /// Why.
        reason: &'a str,
    },
    /// A filter panicked, and the event was set aside.
    SetAside {
        /// Which one.
        filter: &'a PlacedFilter,
        /// Whether it is safe; else it is read again.
        kept: bool,
    },
}

/// A step of the plan.
enum Step {
    /// The filter, or for routes the output, with this number.
    Plugin(usize),
    /// `if`, `else if`, `else`.
    Branch { arms: Vec<Arm>, otherwise: Vec<Step> },
}

struct Arm {
    condition: Condition,
    body: Vec<Step>,
    /// Where the condition stands, and how it is written there; for traces.
    place: Box<str>,
    written: Box<str>,
}

/// The outputs that an event goes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// All of them.
    All,
    /// Those with these numbers.
    Some(Vec<usize>),
}

/// Tag of an event on which a filter failed where Logstash's worker would have ended.
const FAILED_TAG: &str = "_elkhound_filter_failure";

/// What is left of an event after some steps: itself, or the group that filters have made of it.
type Group = Option<Vec<Event>>;

impl Plan {
    /// One that has no filters, and has all events go to all outputs.
    pub fn passing() -> Self {
        Self {
            steps: Vec::new(),
            filters: Vec::new(),
            routes: Vec::new(),
            conditions: ConditionCounters::default(),
            report: Box::new(|_| {}),
            set_aside: None,
        }
    }

    /// The filters, in the order of the file.
    pub fn filters(&self) -> &[PlacedFilter] {
        &self.filters
    }

    /// What has gone wrong in its conditions.
    pub fn conditions(&self) -> &ConditionCounters {
        &self.conditions
    }

    /// Has events on which a filter panics go there.
    pub fn set_aside(&mut self, set_aside: SetAside) {
        self.set_aside = Some(set_aside);
    }

    /// Runs the filters over `events`, in place; dropped events are acknowledged and gone.
    pub fn filter(&self, events: &mut Vec<Event>, cx: &mut Context) {
        cx.counts.resize(self.filters.len(), Default::default());
        let mut changed: Vec<(usize, Vec<Event>)> = Vec::new();
        for (at, event) in events.iter_mut().enumerate() {
            cx.timed = cx.filtered.picks();
            match self.one(&self.steps, event, cx) {
                Some(group) => changed.push((at, group)),
                None if event.is_cancelled() => changed.push((at, Vec::new())),
                None => {}
            }
        }
        if !changed.is_empty() {
            splice(events, changed);
        }
    }

    /// Emits what filters hold back, at the end of the pipeline. Events made by the filter at one step go through the later steps.
    pub fn finish(&self, events: &mut Vec<Event>, cx: &mut Context) {
        self.flush(true, events, cx);
    }

    /// Lets filters emit what they hold back; `last` at the end of the pipeline.
    pub fn flush(&self, last: bool, events: &mut Vec<Event>, cx: &mut Context) {
        cx.counts.resize(self.filters.len(), Default::default());
        let mut group = Vec::new();
        self.flush_steps(&self.steps, last, &mut group, cx);
        events.extend(group.into_iter().filter_map(keep));
    }

    fn flush_steps(&self, steps: &[Step], last: bool, group: &mut Vec<Event>, cx: &mut Context) {
        for step in steps {
            self.many(std::slice::from_ref(step), group, cx);
            self.flush_step(step, last, group, cx);
        }
    }

    fn flush_step(&self, step: &Step, last: bool, group: &mut Vec<Event>, cx: &mut Context) {
        match step {
            Step::Plugin(at) => {
                self.filters[*at].filter.flush(last, cx);
                self.collect(*at, group, cx);
            }
            Step::Branch { arms, otherwise } => {
                for body in arms.iter().map(|arm| &arm.body).chain([otherwise]) {
                    let mut inner = Vec::new();
                    self.flush_steps(body, last, &mut inner, cx);
                    group.append(&mut inner);
                }
            }
        }
    }

    /// Adds a batch's counts to the filters' counters.
    pub fn account(&self, cx: &mut Context) {
        for (filter, count) in self.filters.iter().zip(&mut cx.counts) {
            if count.entered > 0 || count.left > 0 {
                filter.counters.add(count);
                *count = Count::default();
            }
        }
    }

    /// Which outputs take `event`.
    pub fn route(&self, event: &Event, cx: &mut Context) -> Route {
        if self.routes.iter().all(|step| matches!(step, Step::Plugin(_))) {
            return Route::All;
        }
        let mut picks = Vec::new();
        if let Err(trouble) = self.pick(&self.routes, event, cx, &mut picks) {
            self.incomparable(trouble);
        }
        Route::Some(picks)
    }

    /// The numbers of the outputs that `event` reaches.
    fn pick(
        &self,
        steps: &[Step],
        event: &Event,
        cx: &mut Context,
        picks: &mut Vec<usize>,
    ) -> Result<(), Incomparable> {
        for step in steps {
            match step {
                Step::Plugin(number) => picks.push(*number),
                Step::Branch { arms, otherwise } => {
                    let mut body = otherwise;
                    for arm in arms {
                        if self.holds(arm, event, cx)? {
                            body = &arm.body;
                            break;
                        }
                    }
                    self.pick(body, event, cx, picks)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the condition of `arm` holds; a pattern that was given up on the way is told and counted.
    #[inline]
    fn holds(&self, arm: &Arm, event: &Event, cx: &mut Context) -> Result<bool, Incomparable> {
        let held = arm.condition.evaluate(event, cx);
        if cx.given_up {
            self.given_up(arm, cx);
        }
        held
    }

    #[cold]
    fn given_up(&self, arm: &Arm, cx: &mut Context) {
        cx.given_up = false;
        self.conditions.given_up.fetch_add(1, Ordering::Relaxed);
        (self.report)(Trouble::GivenUp { place: &arm.place, condition: &arm.written });
    }

    #[cold]
    fn incomparable(&self, trouble: Incomparable) {
        self.conditions.incomparable.fetch_add(1, Ordering::Relaxed);
        (self.report)(Trouble::Incomparable(trouble));
    }

    /// One event through `steps`, as far as it stays one event.
    fn one(&self, steps: &[Step], event: &mut Event, cx: &mut Context) -> Group {
        for (at, step) in steps.iter().enumerate() {
            let group = match step {
                Step::Plugin(number) => self.apply(*number, event, cx),
                Step::Branch { arms, otherwise } => match self.choose(arms, otherwise, event, cx) {
                    Some(body) => self.one(body, event, cx),
                    None => None,
                },
            };
            if let Some(mut group) = group {
                self.many(&steps[at + 1..], &mut group, cx);
                return Some(group);
            }
            if event.is_cancelled() {
                return None;
            }
        }
        None
    }

    /// The branch that `event` takes; nothing when a condition could not compare, and then the event is cancelled.
    fn choose<'a>(
        &self,
        arms: &'a [Arm],
        otherwise: &'a [Step],
        event: &mut Event,
        cx: &mut Context,
    ) -> Option<&'a [Step]> {
        for arm in arms {
            match self.holds(arm, event, cx) {
                Ok(true) => return Some(&arm.body),
                Ok(false) => {}
                Err(trouble) => {
                    self.incomparable(trouble);
                    event.cancel();
                    return None;
                }
            }
        }
        Some(otherwise)
    }

    /// A group of events through `steps`: step by step, at an `if` the matching ones first.
    fn many(&self, steps: &[Step], group: &mut Vec<Event>, cx: &mut Context) {
        for step in steps {
            group.retain_mut(keep_in_place);
            if group.is_empty() {
                return;
            }
            match step {
                Step::Plugin(number) => self.apply_all(*number, group, cx),
                Step::Branch { arms, otherwise } => self.branch(arms, otherwise, group, cx),
            }
        }
        group.retain_mut(keep_in_place);
    }

    fn apply_all(&self, number: usize, group: &mut Vec<Event>, cx: &mut Context) {
        let mut after = Vec::with_capacity(group.len());
        for mut event in group.drain(..) {
            match self.apply(number, &mut event, cx) {
                Some(mut made) => after.append(&mut made),
                None => after.push(event),
            }
        }
        *group = after;
    }

    /// Splits the group at an `if`: those that match go through the arm and come out first.
    fn branch(&self, arms: &[Arm], otherwise: &[Step], group: &mut Vec<Event>, cx: &mut Context) {
        let Some((arm, rest)) = arms.split_first() else {
            self.many(otherwise, group, cx);
            return;
        };
        let mut others = Vec::new();
        let mut matching = self.divide(arm, group, &mut others, cx);
        self.many(&arm.body, &mut matching, cx);
        self.branch(rest, otherwise, &mut others, cx);
        group.append(&mut matching);
        group.append(&mut others);
    }

    /// The matching events of a group. An event that can't be compared takes those behind it with it, as in Logstash.
    fn divide(&self, arm: &Arm, group: &mut Vec<Event>, others: &mut Vec<Event>, cx: &mut Context) -> Vec<Event> {
        let mut matching = Vec::new();
        let mut events = group.drain(..);
        while let Some(event) = events.next() {
            match self.holds(arm, &event, cx) {
                Ok(true) => matching.push(event),
                Ok(false) => others.push(event),
                Err(trouble) => {
                    self.incomparable(trouble);
                    std::iter::once(event).chain(events.by_ref()).for_each(acknowledge);
                }
            }
        }
        matching
    }

    /// One filter on one event. Returns the group when it made further events.
    fn apply(&self, number: usize, event: &mut Event, cx: &mut Context) -> Group {
        self.act(number, event, cx);
        if cx.has_made() {
            let mut group = vec![std::mem::take(event)];
            self.collect(number, &mut group, cx);
            return Some(group);
        }
        cx.counts[number].left += u64::from(!event.is_cancelled());
        None
    }

    /// The filter's own work and its common options; what it makes waits in the context.
    #[inline]
    fn act(&self, number: usize, event: &mut Event, cx: &mut Context) {
        let placed = &self.filters[number];
        cx.counts[number].entered += 1;
        let began = cx.timed.then(Instant::now);
        let mut outcome = Outcome::Passed;
        if !survives(|| outcome = placed.filter.filter(event, cx)) {
            self.panicked(placed, event);
        }
        self.settle(placed, outcome, event, cx);
        if let Some(began) = began {
            let count = &mut cx.counts[number];
            count.sampled += 1;
            count.sampled_nanos += since(began);
        }
    }

    /// Appends what filter `number` has made to `group`.
    fn collect(&self, number: usize, group: &mut Vec<Event>, cx: &mut Context) {
        for Made { mut event, outcome } in cx.take_made() {
            self.settle(&self.filters[number], outcome, &mut event, cx);
            cx.counts[number].left += 1;
            group.push(event);
        }
        group.retain_mut(keep_in_place);
    }

    #[inline]
    fn settle(&self, placed: &PlacedFilter, outcome: Outcome, event: &mut Event, cx: &mut Context) {
        match outcome {
            Outcome::Matched => {
                if let Err(Raised(reason)) = placed.common.apply(event, cx) {
                    self.rescue(placed, &reason, event);
                }
            }
            Outcome::Passed => {}
            Outcome::Failed(reason) => self.fail(placed, &reason, event),
        }
    }

    /// The common options failed: some filters tag that, for others it is as bad as a failure of their own.
    #[cold]
    fn rescue(&self, placed: &PlacedFilter, reason: &str, event: &mut Event) {
        match placed.filter.rescue_tags() {
            Some(tags) => tags.iter().for_each(|tag| event.tag(tag)),
            None => self.fail(placed, reason, event),
        }
    }

    /// What it held when the filter panicked is all that there is of the event: nobody keeps a copy.
    #[cold]
    fn panicked(&self, placed: &PlacedFilter, event: &mut Event) {
        let fate = self.set_aside.as_ref().map_or(Fate::GoesOn, |set_aside| set_aside(placed, event));
        if fate == Fate::GoesOn {
            return self.fail(placed, "it panicked, which is a defect of elkhound", event);
        }
        if fate == Fate::ReadAgain {
            // Dropped, the receipt leaves the event to be read again.
            drop(event.take_receipt());
        }
        event.cancel();
        placed.counters.failed.fetch_add(1, Ordering::Relaxed);
        (self.report)(Trouble::SetAside { filter: placed, kept: fate == Fate::Kept });
    }

    #[cold]
    fn fail(&self, placed: &PlacedFilter, reason: &str, event: &mut Event) {
        event.tag(FAILED_TAG);
        placed.counters.failed.fetch_add(1, Ordering::Relaxed);
        (self.report)(Trouble::Failed { filter: placed, reason });
    }
}

/// Replaces the events at the given places by what became of them.
fn splice(events: &mut Vec<Event>, changed: Vec<(usize, Vec<Event>)>) {
    let mut before = std::mem::take(events).into_iter().enumerate();
    for (place, group) in changed {
        for (at, event) in before.by_ref() {
            if at == place {
                if event.is_cancelled() {
                    acknowledge(event);
                }
                break;
            }
            events.push(event);
        }
        events.extend(group);
    }
    events.extend(before.map(|(_, event)| event));
}

fn keep(event: Event) -> Option<Event> {
    if !event.is_cancelled() {
        return Some(event);
    }
    acknowledge(event);
    None
}

/// False for a dropped event, whose receipt is acknowledged.
fn keep_in_place(event: &mut Event) -> bool {
    if event.is_cancelled()
        && let Some(receipt) = event.take_receipt()
    {
        receipt.acknowledge();
    }
    !event.is_cancelled()
}

fn acknowledge(mut event: Event) {
    if let Some(receipt) = event.take_receipt() {
        receipt.acknowledge();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use elkhound_config::parser::{self, Escapes};
    use elkhound_config::source::Source;

    use super::*;
    use crate::filter::testing;
    use crate::flow::receipt::{Ledger, Receipt};
    use crate::setup::{Ecs, Setup};

    /// Spoils an event, then panics, but for one that is good.
    struct Panics;

    impl Filter for Panics {
        fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
            let good = event.field("good").is_some();
            event.set_field("seen".into(), 1.into());
            assert!(good, "as the test wants it");
            Outcome::Matched
        }
    }

    #[derive(Default)]
    struct Settled(Mutex<Vec<(u64, bool)>>);

    impl Ledger for Settled {
        fn settled(&self, chunk: u64) {
            self.0.lock().unwrap().push((chunk, true));
        }

        fn abandoned(&self, chunk: u64) {
            self.0.lock().unwrap().push((chunk, false));
        }
    }

    /// What goes on of a bad event and a good one behind it, whether the bad one's receipt came back and how, and how often the filter has failed.
    fn after_a_panic(fate: Option<Fate>) -> (Vec<String>, Vec<(u64, bool)>, u64) {
        let mut plan = testing::plan("filter { mutate { add_tag => on } }");
        let mut broken = testing::plan("filter { mutate { } }").filters.remove(0);
        broken.filter = Box::new(Panics);
        plan.filters.push(broken);
        plan.steps.insert(0, Step::Plugin(1));
        if let Some(fate) = fate {
            plan.set_aside(Box::new(move |filter, event| {
                assert_eq!((filter.name.as_str(), event.field("seen")), ("mutate", Some(&1.into())));
                fate
            }));
        }
        let ledger = Arc::new(Settled::default());
        let mut bad = Event::default();
        bad.set_origin(None, Some(Receipt::open(ledger.clone(), 7, None)));
        let mut good = Event::default();
        good.set_field("good".into(), 1.into());
        let mut events = vec![bad, good];
        plan.filter(&mut events, &mut Context::default());
        let tags = events.iter().map(|event| format!("{:?}", event.field("tags"))).collect();
        let settled = ledger.0.lock().unwrap().clone();
        (tags, settled, plan.filters[1].counters.failed.load(Ordering::Relaxed))
    }

    #[test]
    fn an_event_on_which_a_filter_panics_is_set_aside_or_tagged() {
        let on = |tags: &[&str]| {
            format!("{:?}", Some(&crate::value::Value::from(tags.iter().map(|tag| (*tag).into()).collect::<Vec<_>>())))
        };
        let (good, tagged) = (on(&["on"]), on(&[FAILED_TAG, "on"]));
        assert_eq!(after_a_panic(None), (vec![tagged.clone(), good.clone()], vec![], 1));
        assert_eq!(after_a_panic(Some(Fate::GoesOn)), (vec![tagged, good.clone()], vec![], 1));
        assert_eq!(after_a_panic(Some(Fate::Kept)), (vec![good.clone()], vec![(7, true)], 1));
        assert_eq!(after_a_panic(Some(Fate::ReadAgain)), (vec![good], vec![(7, false)], 1));
    }

    #[test]
    fn a_pattern_that_is_given_up_is_told_with_its_place_and_counted() {
        let text = "filter {\n  if [message] =~ /^(a+)+\\1$/ { mutate { add_tag => yes } }\n}";
        let source = Source::of("p.conf", text);
        let parsed = parser::parse(&source, Escapes::Kept);
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let report: Report = Box::new(move |trouble| {
            if let Trouble::GivenUp { place, condition } = trouble {
                heard.lock().unwrap().push(format!("{place} {condition}"));
            }
        });
        let setup = Setup::without_files(Ecs::V8);
        let plan = compile(&parsed.document, &source, &setup, report, &mut Vec::new()).plan;
        let mut event = Event::default();
        event.set_field("message".into(), format!("{}!", "a".repeat(16 << 10)).into());
        let mut events = vec![event];
        plan.filter(&mut events, &mut Context::default());
        assert!(events[0].field("tags").is_none());
        assert_eq!(*told.lock().unwrap(), [r"p.conf:2:6 [message] =~ /^(a+)+\1$/"]);
        assert_eq!(plan.conditions().given_up.load(Ordering::Relaxed), 1);
    }
}
