//! One case run, and what differs from what it expects.

use std::collections::HashSet;
use std::path::PathBuf;

use elkhound_config::parser::Escapes;
use elkhound_config::render;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::map::Map;
use elkhound_pipeline::time::Timestamp;
use elkhound_pipeline::value::Value;

use super::case_file::{Case, Mode};
use crate::difference::{self, Change, between, shown};
use crate::line;
use crate::trial::Trial;

/// Fields that count only where they are named: the machine and the moment decide about them, and `@metadata` is not sent.
const IGNORED: [&str; 4] = ["@timestamp", "@version", "host", "@metadata"];

/// What differs; nothing when the case passes. A pipeline that is refused is explained once, and `told` remembers it.
pub(super) fn of(case: &Case, told: &mut HashSet<Vec<PathBuf>>) -> Option<String> {
    // Filters may remember what they have seen, so that each case has a pipeline of its own.
    let trial = match compiled(case) {
        Ok(trial) => trial,
        Err(why) if told.insert(case.settings.pipeline.clone()) => return Some(why),
        Err(_) => return Some("its pipeline is refused, see above".to_owned()),
    };
    let found = trial.run(case.events.iter().cloned(), true);
    let found: Vec<Map> = found.iter().map(as_sent).collect();
    compare(case, &found)
}

fn compiled(case: &Case) -> Result<Trial, String> {
    let source = line::read_files(&case.settings.pipeline).map_err(|error| format!("{error:#}"))?;
    Trial::new(&source, case.settings.ecs, Escapes::Kept, Box::new(|_| {}))
        .map_err(|mistakes| format!("its pipeline is refused:\n{}", render::all(&mistakes, &source, false)))
}

fn as_sent(event: &Event) -> Map {
    let mut fields = match difference::as_sent(event) {
        Value::Map(map) => *map,
        _ => Map::new(),
    };
    if !event.metadata().is_empty() {
        fields.insert("@metadata".into(), event.metadata().clone().into());
    }
    fields
}

fn compare(case: &Case, found: &[Map]) -> Option<String> {
    let mut text = String::new();
    if case.expect.len() != found.len() {
        text.push_str(&format!("{} expected, {} came out\n", events(case.expect.len()), found.len()));
    }
    for at in 0..case.expect.len().max(found.len()) {
        match (case.expect.get(at), found.get(at)) {
            (Some(expected), Some(found)) => text.push_str(&told(at, &differences(case, expected, found))),
            (Some(expected), None) => text.push_str(&format!("event {}\n  - {}\n", at + 1, one_line(expected))),
            (None, found) => {
                text.push_str(&format!("event {}\n  + {}\n", at + 1, found.map(one_line).unwrap_or_default()));
            }
        }
    }
    (!text.is_empty()).then_some(text)
}

fn events(count: usize) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

fn one_line(event: &Map) -> String {
    shown(&event.clone().into())
}

fn told(at: usize, changes: &[Change]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let line = |change: &Change| {
        let expected = change.before.as_ref().map_or_else(|| "not expected".to_owned(), shown);
        let found = change.after.as_ref().map_or_else(|| "not there".to_owned(), shown);
        format!("  {}\n    - {expected}\n    + {found}\n", change.path)
    };
    format!("event {}\n{}", at + 1, changes.iter().map(line).collect::<String>())
}

/// The fields that count and differ.
fn differences(case: &Case, expected: &Map, found: &Map) -> Vec<Change> {
    let mut changes = between(expected, found);
    changes.retain(|change| counts(case, expected, change));
    changes
}

fn counts(case: &Case, expected: &Map, change: &Change) -> bool {
    let within = |field: &str| {
        let rest = change.path.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
    };
    if case.settings.ignore.iter().any(|field| within(field)) {
        return false;
    }
    match (&change.before, &change.after) {
        (Some(Value::Null), None) => false,
        (Some(before), Some(after)) => !(within("[@timestamp]") && same_time(before, after)),
        (Some(_), None) => true,
        (None, _) => {
            let unnamed = IGNORED.iter().any(|name| within(&format!("[{name}]")) && !expected.contains(name));
            case.settings.mode == Mode::Exact && !unnamed
        }
    }
}

/// Times are the same whatever their digits and zone.
fn same_time(one: &Value, other: &Value) -> bool {
    let time = |value: &Value| value.as_text().and_then(|text| Timestamp::parse(text));
    time(one).is_some_and(|one| time(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use elkhound_pipeline::json::{self, Numbers};
    use elkhound_pipeline::setup::Ecs;

    use super::super::case_file::Settings;
    use super::*;

    fn map(text: &str) -> Map {
        match json::parse(text, Numbers::Doubles) {
            Ok(Value::Map(map)) => *map,
            other => panic!("{other:?}"),
        }
    }

    fn difference(mode: Mode, expected: &[&str], found: &[&str]) -> String {
        let settings = Settings { pipeline: Vec::new(), ecs: Ecs::V8, mode, ignore: vec!["[noise]".to_owned()] };
        let expect = expected.iter().map(|event| map(event)).collect();
        let case = Case { name: "n".to_owned(), line: 1, settings, events: Vec::new(), expect };
        let found: Vec<Map> = found.iter().map(|event| map(event)).collect();
        compare(&case, &found).unwrap_or_default()
    }

    #[test]
    fn a_subset_says_nothing_of_other_fields() {
        let found = r#"{"a":1,"b":{"c":2,"d":3},"@timestamp":"2026-11-21T09:43:24.000Z","noise":1}"#;
        assert_eq!(difference(Mode::Subset, &[r#"{"a":1.0,"b":{"c":2},"e":null}"#], &[found]), "");
        assert_eq!(
            difference(Mode::Subset, &[r#"{"@timestamp":"2026-11-21T10:43:24+01:00","noise":2}"#], &[found]),
            ""
        );
        let told = difference(Mode::Subset, &[r#"{"a":null,"b":{"c":"2","x":1}}"#], &[found]);
        assert_eq!(
            told,
            "event 1\n  [a]\n    - null\n    + 1\n  [b][c]\n    - \"2\"\n    + 2\n  [b][x]\n    - 1\n    + not there\n"
        );
    }

    #[test]
    fn exactly_means_every_field_but_those_of_machine_and_moment() {
        let found = r#"{"a":1,"more":true,"@timestamp":"2026-11-21T09:43:24.000Z","host":"h","noise":1}"#;
        assert_eq!(difference(Mode::Exact, &[r#"{"a":1,"more":true}"#], &[found]), "");
        let told = difference(Mode::Exact, &[r#"{"a":1,"host":"g"}"#], &[found]);
        assert_eq!(told, "event 1\n  [host]\n    - \"g\"\n    + \"h\"\n  [more]\n    - not expected\n    + true\n");
    }

    #[test]
    fn events_too_many_and_too_few_are_shown() {
        let told = difference(Mode::Subset, &[], &[r#"{"b":1,"a":2}"#]);
        assert_eq!(told, "0 events expected, 1 came out\nevent 1\n  + {\"a\":2,\"b\":1}\n");
        let told = difference(Mode::Subset, &[r#"{"a":1}"#], &[]);
        assert_eq!(told, "1 event expected, 0 came out\nevent 1\n  - {\"a\":1}\n");
    }
}
