//! The tree of a pipeline file, made executable: the one meeting point of the language and the plugins.
//!
//! Compiling collects every mistake of the whole file. What comes out is immutable and shared by the workers: the filters as
//! steps, conditions compiled, and the outputs' conditions as a routing. Inputs and outputs themselves are the agent's: it gets
//! their places in the tree and makes them.
//!
//! How events run through it, as in Logstash with one worker: each event goes through alone until a filter makes further
//! events of it; from there on its group goes step by step, and at an `if` those that match come out before those that don't.

use std::sync::Arc;
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
pub(crate) mod panicked;
mod references;
#[cfg(test)]
mod testing;
mod trace;
mod unknown;

pub use compile::{Compiled, compile};
pub use ids::called;
pub use outline::{Outline, Outlined};
pub use panicked::{Culprit, Fate, SetAside};
pub use trace::{Entry, Seen, Trace};
pub use unknown::{NOT_THERE_YET, unknown};

/// A compiled pipeline.
pub struct Plan {
    steps: Vec<Step>,
    filters: Vec<PlacedFilter>,
    outputs: Vec<Arc<PlacedOutput>>,
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

/// One output of the file, as far as a plan knows it.
#[derive(Debug, Default)]
pub struct PlacedOutput {
    /// Its name in the file.
    pub name: String,
    /// Its `id`, or one made from its name and its number.
    pub id: String,
    /// Where it stands: `file:line`.
    pub place: String,
    /// Events on which it panicked.
    pub failed: AtomicU64,
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
    /// Something panicked, and the event goes no further there.
    Panicked {
        /// What.
        culprit: Culprit<'a>,
        /// What becomes of the event.
        fate: Fate,
    },
    /// A chunk could not be unpacked: a panic, too, but there is no event yet that could be set aside.
    Lost {
        /// How many events it had.
        events: usize,
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

impl Route {
    /// The output that comes after `done` others, where there are `outputs` in all, and whether it is the last.
    #[inline]
    pub(crate) fn output(&self, done: usize, outputs: usize) -> Option<(usize, bool)> {
        match self {
            Self::All => (done < outputs).then_some((done, done + 1 == outputs)),
            Self::Some(picks) => picks.get(done).map(|at| (*at, done + 1 == picks.len())),
        }
    }
}

/// Tag of an event on which a filter failed where Logstash's worker would have ended.
const FAILED_TAG: &str = "_elkhound_filter_failure";

/// What is left of an event after some steps: itself, or the group that filters have made of it.
type Group = Option<Vec<Event>>;

impl Plan {
    /// One that has no filters, and has all events go to `output`.
    pub fn passing(output: Arc<PlacedOutput>, report: Report, set_aside: Option<SetAside>) -> Self {
        Self {
            steps: Vec::new(),
            filters: Vec::new(),
            outputs: vec![output],
            routes: vec![Step::Plugin(0)],
            conditions: ConditionCounters::default(),
            report,
            set_aside,
        }
    }

    /// The filters, in the order of the file.
    pub fn filters(&self) -> &[PlacedFilter] {
        &self.filters
    }

    /// The outputs, in the order of the file.
    pub fn outputs(&self) -> &[Arc<PlacedOutput>] {
        &self.outputs
    }

    /// What has gone wrong in its conditions.
    pub fn conditions(&self) -> &ConditionCounters {
        &self.conditions
    }

    /// Has events on which something panics go there.
    pub fn set_aside(&mut self, set_aside: SetAside) {
        self.set_aside = Some(set_aside);
    }

    /// Runs the filters over `events`, in place; dropped events are acknowledged and gone. Returns those that were not begun before the turn was over.
    pub fn filter(&self, events: &mut Vec<Event>, cx: &mut Context) -> Vec<Event> {
        cx.counts.resize(self.filters.len(), Default::default());
        let (mut at, mut changed) = (0, Vec::new());
        // Around all of them, so that an event costs nothing for it.
        while !survives(|| self.each(events, &mut at, &mut changed, cx)) {
            self.condition_panicked(&mut events[at], cx);
            if events[at].is_cancelled() {
                changed.push((at, Vec::new()));
            }
            at += 1;
        }
        let rest = events.split_off(at);
        if !changed.is_empty() {
            splice(events, changed);
        }
        rest
    }

    /// Each event from number `at` on, which is counted on as they are done, until the turn is over.
    fn each(&self, events: &mut [Event], at: &mut usize, changed: &mut Vec<(usize, Vec<Event>)>, cx: &mut Context) {
        while let Some(event) = events.get_mut(*at) {
            cx.timed = cx.filtered.picks();
            match self.one(&self.steps, event, cx) {
                Some(group) => changed.push((*at, group)),
                None if event.is_cancelled() => changed.push((*at, Vec::new())),
                None => {}
            }
            *at += 1;
            if cx.turn.is_over(cx.scratch.spent()) {
                break;
            }
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
                if !survives(|| self.many(&steps[at + 1..], &mut group, cx)) {
                    self.group_panicked(&mut group, cx);
                }
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
            self.filter_panicked(placed, event);
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
    use crate::flow::turn::{TURN, Turn};
    use crate::setup::{Ecs, Setup};
    use crate::value::Value;

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

    #[test]
    fn a_turn_that_is_over_leaves_the_rest_untouched() {
        let plan = crate::filter::testing::plan("filter { split { field => list } }");
        let event = || {
            let mut event = Event::default();
            event.set_field("list".into(), vec![Value::from("1"), Value::from("2")].into());
            event
        };
        let mut events: Vec<Event> = (0..20).map(|_| event()).collect();
        let mut cx = Context::default();
        cx.turn = Turn::begin(Instant::now() - 2 * TURN, 0);
        let left = plan.filter(&mut events, &mut cx);
        // Each event that was done has become two.
        assert_eq!(events.len(), 2 * (20 - left.len()));
        assert!(!left.is_empty() && left.iter().all(|event| matches!(event.field("list"), Some(Value::List(_)))));
        let rest = plan.filter(&mut { left }, &mut Context::default());
        assert!(rest.is_empty(), "a turn that has no end");
    }
}
