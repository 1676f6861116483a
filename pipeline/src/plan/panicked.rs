//! What becomes of an event on which something panicked: a filter, a condition, an output that was to encode it, or the queue on disk that was to pack it.
//!
//! Where there is somebody to keep such events, the event goes there. Else one that a filter panicked on goes on, tagged, and one that an output panicked on is
//! given up there, as that output would only panic again; the other outputs get it. What the queue can't pack is lost then. Each is told and counted.

use std::sync::atomic::Ordering;

use super::{PlacedFilter, PlacedOutput, Plan, Trouble};
use crate::event::Event;
use crate::filter::Context;

/// Takes an event on which something has panicked; it may wait for a disk.
pub type SetAside = Box<dyn Fn(Culprit<'_>, &Event) -> Fate + Send + Sync>;

/// What becomes of such an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is safe where it was put, and goes no further.
    Kept,
    /// Nobody keeps it.
    GoesOn,
    /// It could not be kept before the end: it goes no further, and is read again after the next start.
    ReadAgain,
}

/// What panicked.
#[derive(Clone, Copy, Debug)]
pub struct Culprit<'a> {
    /// `filter`, `output`, `condition` or `queue`.
    pub kind: &'a str,
    /// The plugin's name.
    pub name: &'a str,
    /// Its `id`.
    pub id: &'a str,
    /// Where it stands: `file:line`; nothing of a condition, which could be any of them, and of the queue, which stands in no pipeline file.
    pub place: &'a str,
}

impl Culprit<'_> {
    const CONDITION: Self = Self { kind: "condition", name: "if", id: "", place: "" };

    /// The one on disk: those in memory do nothing with an event.
    const QUEUE: Self = Self { kind: "queue", name: "persisted", id: "", place: "" };
}

impl<'a> From<&'a PlacedFilter> for Culprit<'a> {
    fn from(PlacedFilter { name, id, place, .. }: &'a PlacedFilter) -> Self {
        Self { kind: "filter", name, id, place }
    }
}

impl<'a> From<&'a PlacedOutput> for Culprit<'a> {
    fn from(PlacedOutput { name, id, place, .. }: &'a PlacedOutput) -> Self {
        Self { kind: "output", name, id, place }
    }
}

impl Plan {
    /// A filter panicked. What the event held then is all that there is of it: nobody keeps a copy.
    #[cold]
    pub(super) fn filter_panicked(&self, placed: &PlacedFilter, event: &mut Event) {
        let fate = self.fate(placed.into(), event);
        if fate == Fate::GoesOn {
            return self.fail(placed, "it panicked, which is a defect of elkhound", event);
        }
        placed.counters.failed.fetch_add(1, Ordering::Relaxed);
        self.take_out(placed.into(), fate, event);
    }

    /// A condition between the filters panicked, or what is done around them.
    #[cold]
    pub(super) fn condition_panicked(&self, event: &mut Event, cx: &mut Context) {
        drop(cx.take_made());
        match self.fate(Culprit::CONDITION, event) {
            Fate::GoesOn => {
                event.tag(super::FAILED_TAG);
                (self.report)(Trouble::Panicked { culprit: Culprit::CONDITION, fate: Fate::GoesOn });
            }
            fate => self.take_out(Culprit::CONDITION, fate, event),
        }
    }

    /// The same with a group that filters have made of one event. Where each of them was can't be told, so that all are left to be read again.
    #[cold]
    pub(super) fn group_panicked(&self, group: &mut Vec<Event>, cx: &mut Context) {
        drop(cx.take_made());
        group.clear();
        (self.report)(Trouble::Panicked { culprit: Culprit::CONDITION, fate: Fate::ReadAgain });
    }

    /// The output of this number panicked on the event, or a condition on the way to the outputs; what becomes of it there is for the caller to do.
    #[cold]
    pub(crate) fn output_panicked(&self, output: Option<usize>, event: &Event) -> Fate {
        let placed = output.and_then(|at| self.outputs.get(at));
        if let Some(output) = placed {
            output.failed.fetch_add(1, Ordering::Relaxed);
        }
        let culprit = placed.map_or(Culprit::CONDITION, |output| (&**output).into());
        let fate = self.fate(culprit, event);
        (self.report)(Trouble::Panicked { culprit, fate });
        fate
    }

    /// The queue on disk panicked on the event, which it therefore can't hand on; [`Fate::GoesOn`] means that it is lost.
    #[cold]
    pub fn queue_panicked(&self, event: &Event) -> Fate {
        let fate = self.fate(Culprit::QUEUE, event);
        (self.report)(Trouble::Panicked { culprit: Culprit::QUEUE, fate });
        fate
    }

    /// So many events of a chunk could not be unpacked.
    #[cold]
    pub fn lost(&self, events: usize) {
        (self.report)(Trouble::Lost { events });
    }

    fn fate(&self, culprit: Culprit<'_>, event: &Event) -> Fate {
        self.set_aside.as_ref().map_or(Fate::GoesOn, |set_aside| set_aside(culprit, event))
    }

    fn take_out(&self, culprit: Culprit<'_>, fate: Fate, event: &mut Event) {
        if fate == Fate::ReadAgain {
            // Dropped, the receipt leaves the event to be read again.
            drop(event.take_receipt());
        }
        event.cancel();
        (self.report)(Trouble::Panicked { culprit, fate });
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A plan that panics on what it can't compare, and has `fate` become of such an event.
    pub(crate) fn touchy(text: &str, fate: Option<Fate>) -> Plan {
        let mut plan = super::super::testing::plan(text);
        plan.report = Box::new(|trouble| assert!(!matches!(trouble, Trouble::Incomparable(_)), "as the test wants it"));
        if let Some(fate) = fate {
            plan.set_aside(Box::new(move |_, _| fate));
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::plan;
    use super::super::{FAILED_TAG, Filter, Outcome, Step};
    use super::testing::touchy;
    use super::*;
    use crate::flow::receipt::Receipt;
    use crate::flow::receipt::testing::Book;
    use crate::value::Value;

    /// Spoils an event, then panics, but for one that is good.
    struct Panics;

    impl Filter for Panics {
        fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
            let good = event.field("n") == Some(&2.into());
            event.set_field("seen".into(), 1.into());
            assert!(good, "as the test wants it");
            Outcome::Matched
        }
    }

    /// The tags of what goes on of a bad event and a good one behind it, and whether the bad one's receipt came back and how.
    fn after(plan: &Plan) -> (Vec<String>, Vec<(u64, bool)>) {
        let ledger = Arc::new(Book::default());
        let (mut bad, mut good) = (Event::default(), Event::default());
        bad.set_origin(None, Some(Receipt::open(ledger.clone(), 7, None)));
        bad.set_field("n".into(), "no number".into());
        good.set_field("n".into(), 2.into());
        let mut events = vec![bad, good];
        plan.filter(&mut events, &mut Context::default());
        let tags = events.iter().map(|event| match event.field("tags") {
            Some(Value::List(tags)) => {
                tags.iter().filter_map(Value::as_text).map(|tag| &**tag).collect::<Vec<_>>().join(" ")
            }
            _ => String::new(),
        });
        let settled = ledger.0.lock().unwrap().clone();
        (tags.collect(), settled)
    }

    /// The same where a filter panics, with how often it has failed.
    fn after_a_filter(fate: Option<Fate>) -> (Vec<String>, Vec<(u64, bool)>, u64) {
        let mut plan = plan("filter { mutate { add_tag => on } }");
        let mut broken = super::super::testing::plan("filter { mutate { } }").filters.remove(0);
        broken.filter = Box::new(Panics);
        plan.filters.push(broken);
        plan.steps.insert(0, Step::Plugin(1));
        if let Some(fate) = fate {
            plan.set_aside(Box::new(move |culprit, event| {
                assert_eq!((culprit.kind, culprit.name, event.field("seen")), ("filter", "mutate", Some(&1.into())));
                fate
            }));
        }
        let (tags, settled) = after(&plan);
        (tags, settled, plan.filters[1].counters.failed.load(Ordering::Relaxed))
    }

    fn on(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tags| (*tags).to_owned()).collect()
    }

    #[test]
    fn an_event_on_which_a_filter_panics_is_set_aside_or_tagged() {
        let tagged = format!("{FAILED_TAG} on");
        let both = on(&[&tagged, "on"]);
        assert_eq!(after_a_filter(None), (both.clone(), vec![], 1));
        assert_eq!(after_a_filter(Some(Fate::GoesOn)), (both, vec![], 1));
        assert_eq!(after_a_filter(Some(Fate::Kept)), (on(&["on"]), vec![(7, true)], 1));
        assert_eq!(after_a_filter(Some(Fate::ReadAgain)), (on(&["on"]), vec![(7, false)], 1));
    }

    #[test]
    fn an_event_on_which_a_condition_panics_is_set_aside_or_tagged() {
        let text = "filter { if [n] > 1 { mutate { add_tag => on } } }";
        let after = |fate| after(&touchy(text, fate));
        assert_eq!(after(None), (on(&[FAILED_TAG, "on"]), vec![]));
        assert_eq!(after(Some(Fate::Kept)), (on(&["on"]), vec![(7, true)]));
        assert_eq!(after(Some(Fate::ReadAgain)), (on(&["on"]), vec![(7, false)]));
    }

    #[test]
    fn a_group_on_which_a_condition_panics_is_read_again() {
        let text = "filter { clone { clones => [copy] } if [n] > 1 { mutate { add_tag => on } } }";
        assert_eq!(after(&touchy(text, Some(Fate::Kept))), (on(&["on", "copy on"]), vec![(7, false)]));
    }
}
