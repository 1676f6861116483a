//! The manual held against the filters: every example is run, and the options that a table has and its documentation are the same.

use std::io;

use elkhound_config::parser::{self, Escapes};
use elkhound_config::render;
use elkhound_config::source::Source;

use super::{Context, KINDS, Kind, geoip};
use crate::docs::{Example, examples, promised_options};
use crate::event::Event;
use crate::json::{self, Numbers};
use crate::map::Map;
use crate::plan::{Plan, compile};
use crate::setup::{Ecs, Setup};
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// Stands in an example for a text that is another one each time, or too long to be worth showing.
const ANY: &str = "…";

#[test]
fn the_table_is_sorted_for_look_ups() {
    assert!(KINDS.is_sorted_by(|one, other| one.name < other.name));
    for kind in KINDS {
        assert!(kind.options.is_sorted_by(|one, other| one.name < other.name), "options of {}", kind.name);
    }
}

#[test]
fn options_and_their_documentation_are_the_same() {
    for kind in KINDS {
        for option in kind.options.iter().filter(|option| !option.is_obsolete()) {
            let named = kind.docs.contains(&format!("`{}`", option.name));
            assert!(named, "the docs of {} do not name its option `{}`", kind.name, option.name);
        }
        for promised in promised_options(kind.docs) {
            let there = kind.options.iter().any(|option| option.name == promised);
            assert!(there, "the docs of {} promise an option `{promised}` that it does not have", kind.name);
        }
    }
}

#[test]
fn every_example_comes_out_as_the_manual_says() {
    let mut wrong = Vec::new();
    for kind in KINDS {
        let examples = examples(kind.docs);
        assert!(!examples.is_empty(), "the docs of {} have no example", kind.name);
        wrong.extend(examples.iter().filter_map(|example| difference(kind, example)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(kind: &Kind, example: &Example) -> Option<String> {
    assert!(!example.events.is_empty(), "an example of {} has no events", kind.name);
    let plan = compiled(kind, &example.pipeline);
    let mut batch = example.events.iter().map(|text| Event::from_fields(object(text), Timestamp::default())).collect();
    plan.filter(&mut batch, &mut Context::default());
    let results: Vec<Map> = batch.iter().map(|event| object(&sent(event))).collect();
    let expected: Vec<Map> = example.results.iter().map(|text| object(text)).collect();
    let same = expected.len() == results.len() && expected.iter().zip(&results).all(|(a, b)| same_event(a, b));
    let lines = || batch.iter().map(sent).collect::<Vec<_>>().join("\n");
    (!same).then(|| format!("{}: expected\n{}\nfound\n{}", kind.name, example.results.join("\n"), lines()))
}

fn compiled(kind: &Kind, pipeline: &str) -> Plan {
    let source = Source::of(&format!("the example of {}", kind.name), pipeline);
    let parsed = parser::parse(&source, Escapes::Kept);
    let read_file = |path: &std::path::Path| match path.extension() {
        Some(extension) if extension == "mmdb" => Ok(geoip::city_database()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let setup =
        Setup { ecs: Ecs::V8, now: Timestamp::default(), read_file: &read_file, list_files: &|_| Ok(Vec::new()) };
    let mut diagnostics = parsed.diagnostics;
    let plan = compile(&parsed.document, &source, &setup, Box::new(|_| {}), &mut diagnostics).plan;
    assert!(diagnostics.is_empty(), "{}", render::all(&diagnostics, &source, false));
    plan
}

fn object(text: &str) -> Map {
    match json::parse(text, Numbers::Doubles) {
        Ok(Value::Map(map)) => *map,
        other => panic!("{text} is no object: {other:?}"),
    }
}

/// As JSON, `@metadata` with it.
fn sent(event: &Event) -> String {
    let mut bytes = Vec::new();
    json::write_map(&event.to_whole_map(), &mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// `@timestamp` and `@version`, which every event has, count where they are named.
fn same_event(expected: &Map, found: &Map) -> bool {
    let mut found = found.clone();
    found.retain(|name, _| expected.contains(name) || !matches!(name.as_str(), "@timestamp" | "@version"));
    same_map(expected, &found)
}

fn same_map(expected: &Map, found: &Map) -> bool {
    let same = |(name, value): (&Text, &_)| found.get(name).is_some_and(|found| same_value(value, found));
    expected.len() == found.len() && expected.iter().all(same)
}

fn same_value(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Map(expected), Value::Map(found)) => same_map(expected, found),
        (Value::Text(expected), Value::Text(_)) if expected.as_str() == ANY => true,
        _ => expected == found,
    }
}
