//! One event through a plan with everything written down: the values of conditions, and each filter's event before and after.
//!
//! The way is the one that events take when nobody looks ([`Plan::filter`]), for the same filters and conditions are called; a test holds the two
//! against each other. It costs copies of the whole event at every step, so it is for `elkhound trace` and not for pipelines.

use std::sync::atomic::Ordering;

use super::{Arm, PlacedFilter, Plan, Step, keep_in_place};
use crate::condition::{Condition, Incomparable};
use crate::event::Event;
use crate::filter::{Context, Made};
use crate::map::Map;
use crate::value::Value;

/// What has become of an event.
#[derive(Default)]
pub struct Trace {
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// The events that came out, each with its number; the one that went in is 1.
    pub events: Vec<(usize, Event)>,
    /// For each of them the outputs that it goes to, by their number in the plan.
    pub outputs: Vec<Vec<usize>>,
    made: usize,
}

/// Something that happened to an event.
#[derive(Debug)]
pub struct Entry {
    /// The event's number.
    pub event: usize,
    /// How deep it stands in `if`s.
    pub depth: usize,
    /// Where: `file:line:column`.
    pub place: String,
    /// What.
    pub seen: Seen,
}

/// What happened to an event at a place.
#[derive(Debug)]
pub enum Seen {
    /// A condition was evaluated.
    Condition {
        /// As it stands in the file.
        written: String,
        /// The fields that it looks at, with their values.
        values: Vec<(String, Option<Value>)>,
        /// What came of it; when it could not compare, the event is dropped.
        outcome: Result<bool, Incomparable>,
        /// A pattern in it took too long, and counted as one that does not match.
        given_up: bool,
    },
    /// A filter ran.
    Filter {
        /// Its number in the plan.
        number: usize,
        /// All fields before, `@metadata` with them.
        before: Map,
        /// All fields after; nothing when the event is dropped.
        after: Option<Map>,
        /// It failed in a way that would have ended Logstash's worker.
        failed: bool,
        /// The events that it made, with their numbers.
        made: Vec<(usize, Map)>,
    },
}

type Group = Vec<(usize, Event)>;

impl Plan {
    /// Runs the filters over `event` and routes what comes out.
    pub fn trace(&self, event: Event, cx: &mut Context) -> Trace {
        cx.counts.resize(self.filters.len(), Default::default());
        let mut trace = Trace { made: 1, ..Trace::default() };
        let mut group = vec![(1, event)];
        self.trace_steps(&self.steps, &mut group, 0, &mut trace, cx);
        let mut held = Vec::new();
        self.flush(true, &mut held, cx);
        for event in held {
            group.push((trace.next(), event));
        }
        for (number, event) in &group {
            let mut picks = Vec::new();
            self.trace_route(&self.routes, (*number, event), 0, &mut picks, &mut trace, cx);
            trace.outputs.push(picks);
        }
        trace.events = group;
        trace
    }

    fn trace_steps(&self, steps: &[Step], group: &mut Group, depth: usize, trace: &mut Trace, cx: &mut Context) {
        for step in steps {
            match step {
                Step::Plugin(number) => {
                    for (event_number, event) in std::mem::take(group) {
                        group.append(&mut self.trace_filter(*number, (event_number, event), depth, trace, cx));
                    }
                }
                Step::Branch { arms, otherwise } => self.trace_branch(arms, otherwise, group, depth, trace, cx),
            }
        }
    }

    fn trace_filter(
        &self,
        number: usize,
        (event_number, mut event): (usize, Event),
        depth: usize,
        trace: &mut Trace,
        cx: &mut Context,
    ) -> Group {
        let placed = &self.filters[number];
        let before = event.to_whole_map();
        let failures = placed.failures();
        self.act(number, &mut event, cx);
        let mut made = Group::new();
        for Made { mut event, outcome } in cx.take_made() {
            self.settle(placed, outcome, &mut event, cx);
            made.push((trace.next(), event));
        }
        trace.entries.push(Entry {
            event: event_number,
            depth,
            place: placed.place.clone(),
            seen: Seen::Filter {
                number,
                before,
                after: (!event.is_cancelled()).then(|| event.to_whole_map()),
                failed: placed.failures() > failures,
                made: made.iter().map(|(number, event)| (*number, event.to_whole_map())).collect(),
            },
        });
        let mut group = vec![(event_number, event)];
        group.append(&mut made);
        group.retain_mut(|(_, event)| keep_in_place(event));
        group
    }

    fn trace_branch(
        &self,
        arms: &[Arm],
        otherwise: &[Step],
        group: &mut Group,
        depth: usize,
        trace: &mut Trace,
        cx: &mut Context,
    ) {
        if group.is_empty() {
            return;
        }
        let Some((arm, rest)) = arms.split_first() else {
            self.trace_steps(otherwise, group, depth + 1, trace, cx);
            return;
        };
        let (mut matching, mut others) = (Group::new(), Group::new());
        for (number, event) in std::mem::take(group) {
            match trace.condition(arm, (number, &event), depth, cx) {
                Ok(true) => matching.push((number, event)),
                Ok(false) => others.push((number, event)),
                // As in Logstash, an event that can't be compared takes those behind it with it.
                Err(_) => break,
            }
        }
        self.trace_steps(&arm.body, &mut matching, depth + 1, trace, cx);
        self.trace_branch(rest, otherwise, &mut others, depth, trace, cx);
        group.append(&mut matching);
        group.append(&mut others);
    }

    /// Adds the outputs that the event reaches; false when a condition could not compare, which ends the way.
    fn trace_route(
        &self,
        steps: &[Step],
        event: (usize, &Event),
        depth: usize,
        picks: &mut Vec<usize>,
        trace: &mut Trace,
        cx: &mut Context,
    ) -> bool {
        for step in steps {
            match step {
                Step::Plugin(number) => picks.push(*number),
                Step::Branch { arms, otherwise } => {
                    let Some(body) = trace.choose(arms, otherwise, event, depth, cx) else { return false };
                    if !self.trace_route(body, event, depth + 1, picks, trace, cx) {
                        return false;
                    }
                }
            }
        }
        true
    }
}

impl PlacedFilter {
    fn failures(&self) -> u64 {
        self.counters.failed.load(Ordering::Relaxed)
    }
}

impl Trace {
    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn choose<'a>(
        &mut self,
        arms: &'a [Arm],
        otherwise: &'a [Step],
        event: (usize, &Event),
        depth: usize,
        cx: &mut Context,
    ) -> Option<&'a [Step]> {
        for arm in arms {
            if self.condition(arm, event, depth, cx).ok()? {
                return Some(&arm.body);
            }
        }
        Some(otherwise)
    }

    fn condition(
        &mut self,
        arm: &Arm,
        (number, event): (usize, &Event),
        depth: usize,
        cx: &mut Context,
    ) -> Result<bool, Incomparable> {
        let outcome = arm.condition.evaluate(event, cx);
        let given_up = std::mem::take(&mut cx.given_up);
        self.entries.push(Entry {
            event: number,
            depth,
            place: arm.place.to_string(),
            seen: Seen::Condition {
                written: arm.written.to_string(),
                values: values(&arm.condition, event),
                outcome: outcome.clone(),
                given_up,
            },
        });
        outcome
    }
}

fn values(condition: &Condition, event: &Event) -> Vec<(String, Option<Value>)> {
    condition.fields().into_iter().map(|path| (path.to_string(), event.get(path).cloned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;
    use super::*;
    use crate::json::{self, Numbers};
    use crate::time::Timestamp;

    fn event(text: &str) -> Event {
        let Ok(Value::Map(fields)) = json::parse(text, Numbers::Doubles) else { panic!("{text}") };
        Event::from_fields(*fields, Timestamp::default())
    }

    fn told(trace: &Trace) -> Vec<String> {
        let entry = |entry: &Entry| {
            let what = match &entry.seen {
                Seen::Condition { written, values, outcome, .. } => format!("if {written} {values:?} {outcome:?}"),
                Seen::Filter { number, after, failed, made, .. } => {
                    format!("filter {number} kept {} failed {failed} made {}", after.is_some(), made.len())
                }
            };
            format!("{} {} {} {what}", entry.event, entry.depth, entry.place)
        };
        trace.entries.iter().map(entry).collect()
    }

    #[test]
    fn conditions_filters_and_outputs_are_written_down() {
        let plan = plan(
            "filter {\n  split { }\n  if [message] == \"b\" {\n    drop { }\n  } else {\n    mutate { add_tag => [\"x\"] }\n  }\n}\noutput {\n  if [n] > 1 { stdout { } }\n  elasticsearch { }\n}",
        );
        let trace = plan.trace(event(r#"{"message":"a\nb","n":2}"#), &mut Context::default());
        let expected = [
            "1 0 p.conf:2:3 filter 0 kept false failed false made 2",
            r#"2 0 p.conf:3:6 if [message] == "b" [("[message]", Some(Text("a")))] Ok(false)"#,
            r#"3 0 p.conf:3:6 if [message] == "b" [("[message]", Some(Text("b")))] Ok(true)"#,
            "3 1 p.conf:4:5 filter 1 kept false failed false made 0",
            "2 1 p.conf:6:5 filter 2 kept true failed false made 0",
            r#"2 0 p.conf:10:6 if [n] > 1 [("[n]", Some(Integer(2)))] Ok(true)"#,
        ];
        assert_eq!(told(&trace), expected);
        assert_eq!(trace.outputs, [[0, 1]]);
    }

    #[test]
    fn a_condition_is_shown_as_it_is_written() {
        let plan = plan("filter { if !([a] or [b]) and ([c]) # why {\n { drop { } } }");
        let trace = plan.trace(event("{}"), &mut Context::default());
        let Seen::Condition { written, values, .. } = &trace.entries[0].seen else { panic!("{:?}", trace.entries) };
        assert_eq!(written, "!([a] or [b]) and ([c]) # why");
        assert_eq!(values.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["[a]", "[b]", "[c]"]);
    }

    #[test]
    fn a_traced_event_comes_out_as_any_other() {
        let sections = [
            "clone { clones => [\"a\", \"b\"] } if \"a\" in [tags] { mutate { add_field => { \"x\" => \"%{n}\" } } } else if [n] > 5 { drop { } } split { }",
            "if [gone] > 1 { drop { } } mutate { add_tag => [\"t\"] }",
            "split { } if [message] == \"p\" { clone { clones => [\"c\"] } } else { grok { match => { \"message\" => \"%{WORD:w}\" } } }",
            "drop { } mutate { add_tag => [\"t\"] }",
        ];
        for section in sections {
            for text in [r#"{"message":"p\nq r\n-","n":3}"#, r#"{"message":"p","n":9}"#, r#"{"n":"x"}"#] {
                let plan = plan(&format!("filter {{ {section} }}"));
                let mut batch = vec![event(text)];
                plan.filter(&mut batch, &mut Context::default());
                let traced = plan.trace(event(text), &mut Context::default()).events;
                let plain: Vec<Map> = batch.iter().map(Event::to_whole_map).collect();
                let traced: Vec<Map> = traced.iter().map(|(_, event)| event.to_whole_map()).collect();
                assert_eq!(traced, plain, "{section} {text}");
            }
        }
    }
}
