//! A trace as a JSON object on a line, for programs.

use elkhound_pipeline::map::Map;
use elkhound_pipeline::plan::{Entry, Seen};
use elkhound_pipeline::value::Value;

use super::{Told, output};
use crate::difference::{Change, between, shown};

/// The line of one event.
pub(super) fn line(told: &Told<'_>) -> String {
    let mut reasons = told.reasons.iter();
    let steps = told.trace.entries.iter().map(|entry| step(told, entry, &mut reasons)).collect();
    let results = told.trace.events.iter().zip(&told.trace.outputs);
    let results = results.map(|((number, event), outputs)| {
        let outputs = outputs.iter().map(|number| {
            let (name, place) = output(told, *number);
            object([("name", name.into()), ("place", place.into())])
        });
        object([
            ("event", event.to_whole_map().into()),
            ("number", count(*number)),
            ("outputs", Value::list(outputs.collect())),
        ])
    });
    let results = Value::list(results.collect());
    shown(&object([("event", told.event.clone().into()), ("steps", Value::list(steps)), ("results", results)]))
}

fn step(told: &Told<'_>, entry: &Entry, reasons: &mut std::slice::Iter<'_, String>) -> Value {
    let mut step = Map::new();
    step.insert("event".into(), count(entry.event));
    step.insert("place".into(), entry.place.clone().into());
    match &entry.seen {
        Seen::Condition { written, values, outcome, given_up } => {
            step.insert("if".into(), written.clone().into());
            let there = values.iter().filter_map(|(field, value)| Some((field.as_str().into(), value.clone()?)));
            step.insert("values".into(), there.collect::<Map>().into());
            step.insert("taken".into(), matches!(outcome, Ok(true)).into());
            if let Err(trouble) = outcome {
                step.insert("dropped".into(), trouble.to_string().into());
            }
            if *given_up {
                step.insert("given_up".into(), true.into());
            }
        }
        Seen::Filter { number, before, after, failed, made } => {
            let filter = &told.trial.plan.filters()[*number];
            step.insert("filter".into(), filter.name.clone().into());
            step.insert("id".into(), filter.id.clone().into());
            let changes = after.as_ref().map(|after| between(before, after)).unwrap_or_default();
            step.insert("changes".into(), Value::list(changes.into_iter().map(changed).collect()));
            step.insert("dropped".into(), after.is_none().into());
            step.insert("made".into(), Value::list(made.iter().map(|(number, _)| count(*number)).collect()));
            if *failed {
                step.insert("failed".into(), reasons.next().cloned().unwrap_or_default().into());
            }
        }
    }
    step.into()
}

fn changed(change: Change) -> Value {
    let mut map = Map::new();
    map.insert("field".into(), change.path.into());
    for (name, value) in [("before", change.before), ("after", change.after)] {
        if let Some(value) = value {
            map.insert(name.into(), value);
        }
    }
    map.into()
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    entries.into_iter().map(|(name, value)| (name.into(), value)).collect::<Map>().into()
}

fn count(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
