//! The pattern sets against what was recorded of Logstash's: the interface, and what every pattern matches.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;

use super::super::{Existing, Grok, Match, Pattern, Scope};
use super::*;
use crate::event::Event;
use crate::filter::grok::expand::Expander;
use crate::filter::{Context, Filter, Outcome};
use crate::json::{Numbers, parse, write_map};
use crate::map::Map;
use crate::path::Path;
use crate::regex::{Budget, Scratch};
use crate::text::Text;
use crate::value::Value;

/// Sets and patterns that answer otherwise than was recorded, with the number of such strings; `patterns/README.md` says why.
const KNOWN: &[(&str, &str, usize)] = &[("ecs-v1", "CLOUDFRONT_ACCESS_LOG", 8)];

#[test]
fn a_name_is_defined_once() {
    for set in [[COMMON_FILES, LEGACY_FILES], [COMMON_FILES, ECS_V1_FILES]] {
        let mut seen = HashSet::new();
        for (name, _) in set.into_iter().flatten().flat_map(|file| entries(file)) {
            assert!(seen.insert(name), "{name} is defined twice");
        }
    }
}

#[test]
fn the_interface_is_logstashs() {
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows("grok-interface.jsonl") {
        let (set, name) = (text(&row, "set"), text(&row, "name"));
        expected.entry(set.clone()).or_default().insert(name.clone());
        let wanted = fields_of(&row);
        let captured = captured(&set, &name);
        if captured.as_ref() != Ok(&wanted) {
            wrong.push(format!("{set} {name}: {captured:?}, not {wanted:?}"));
        }
    }
    for (set, names) in expected {
        let more: Vec<_> = of(mode(&set)).keys().filter(|name| !names.contains(**name)).collect();
        assert_eq!(more, Vec::<&&str>::new(), "names that the set {set} should not have");
    }
    assert!(wrong.is_empty(), "{} patterns differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_pattern_matches_what_was_recorded() {
    let groups = groups();
    let strings = strings();
    let mut rates: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut known = 0;
    let mut cx = Context::default();
    for row in rows("grok-patterns.jsonl") {
        let (set, name) = (text(&row, "set"), text(&row, "name"));
        let Some(grok) = compile(&set, &name) else {
            wrong.push(format!("{set} {name} does not compile"));
            continue;
        };
        let rate = rates.entry(format!("{set} {}", groups[&(set.clone(), name.clone())])).or_default();
        for (input, expected) in recorded(&row, &strings) {
            let got = answer(&grok, &input, &mut cx);
            rate.1 += 1;
            if got == expected {
                rate.0 += 1;
            } else if is_known(&set, &name) {
                known += 1;
            } else {
                wrong.push(format!("{set} {name} on {input:?}\n   got    {got}\n   wanted {expected}"));
            }
        }
    }
    assert_eq!(known, KNOWN.iter().map(|(.., count)| count).sum::<usize>(), "differences that are known");
    for (group, (right, all)) in rates.iter().filter(|(_, (right, all))| right < all) {
        println!("{group}: {right} of {all}");
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

fn is_known(set: &str, name: &str) -> bool {
    KNOWN.iter().any(|(known_set, known_name, _)| (set, name) == (*known_set, *known_name))
}

#[test]
fn all_take_linear_time() {
    for ecs in [Ecs::Disabled, Ecs::V1] {
        let is_linear = |name: &str| {
            Expander::of_set(ecs).compile(&format!("%{{{name}}}")).is_ok_and(|(regex, _)| regex.is_linear())
        };
        let slow: Vec<_> = of(ecs).keys().filter(|name| !is_linear(name)).collect();
        assert_eq!(slow, Vec::<&&str>::new());
    }
}

/// Steps that a pattern may take for each byte: what is tried at one position, however the text goes on.
const STEPS_PER_BYTE: u64 = 100;

#[test]
fn no_text_takes_more_steps_than_it_is_long() {
    let own: BTreeMap<(String, String), Map> =
        rows("grok-patterns.jsonl").into_iter().map(|row| ((text(&row, "set"), text(&row, "name")), row)).collect();
    let strings = strings();
    let mut slow = Vec::new();
    for ((set, name), row) in &own {
        let Ok((regex, _)) = Expander::of_set(mode(set)).compile(&format!("%{{{name}}}")) else { panic!("{name}") };
        let recorded = recorded(row, &strings).into_iter().map(|(string, _)| string);
        for text in recorded.chain(long_runs()).chain(long_lines(row)) {
            let budget = Budget::from_steps(STEPS_PER_BYTE * (text.len() as u64 + 100));
            if regex.is_match(&text, &mut Scratch::new(), budget).is_err() {
                slow.push(format!("{set} {name} on {} bytes: {:.60}…", text.len(), text));
            }
        }
    }
    assert!(slow.is_empty(), "{}\n{}", slow.len(), slow.join("\n"));
}

/// What makes a pattern try again and again: one thing, for long.
fn long_runs() -> impl Iterator<Item = String> {
    let runs = [
        "1", "a", " ", "\"", "\\", "/", ".", "1.", "a:", "1 ", "a,", "-1", "<1>", "[a] ", "\\a", "=\"", "é", "x\n",
        ";", "\t1",
    ];
    runs.into_iter().map(|run| run.repeat((16 << 10) / run.len()))
}

/// The pattern's own lines over and over, whole, and without their ends, so that it gets far each time.
fn long_lines(row: &Map) -> impl Iterator<Item = String> {
    let more = row.get("more").and_then(Value::as_list).unwrap_or_default();
    more.iter().filter_map(|pair| pair.as_list()?.first()?.as_text()).filter(|line| !line.is_empty()).take(3).flat_map(
        |line| {
            let cut: String = line.chars().take(line.chars().count() * 4 / 5).collect();
            [line.to_string(), cut].map(|part| part.repeat((16 << 10) / part.len().max(1)))
        },
    )
}

/// Every string with what the pattern captured from it, `null` where it did not match.
fn recorded(row: &Map, strings: &[String]) -> Vec<(String, String)> {
    let on_strings = row.get("on_strings").and_then(Value::as_map).expect("recorded");
    let common = strings.iter().enumerate().map(|(at, string)| {
        let captures = on_strings.get(&at.to_string()).and_then(Value::as_map);
        (string.clone(), canonical(captures))
    });
    let own = row.get("more").and_then(Value::as_list).unwrap_or_default().iter().map(|pair| {
        let pair = pair.as_list().expect("a pair");
        (pair[0].as_text().expect("a string").to_string(), canonical(pair[1].as_map()))
    });
    common.chain(own).collect()
}

fn answer(grok: &Grok, input: &str, cx: &mut Context) -> String {
    let mut fields = Map::default();
    fields.insert(Text::from("message"), Value::text(input));
    let mut event = Event::new(fields);
    if grok.filter(&mut event, cx) != Outcome::Matched {
        return canonical(None);
    }
    let mut fields = event.own_fields().clone();
    if fields.get("message").is_some_and(|message| message.as_text().is_some()) {
        fields.remove("message");
    }
    canonical(Some(&fields))
}

/// JSON with sorted names.
fn canonical(map: Option<&Map>) -> String {
    let Some(map) = map else { return "null".to_owned() };
    let mut out = Vec::new();
    write_map(&sorted(map), &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn sorted(map: &Map) -> Map {
    let entries: BTreeMap<&str, &Value> = map.iter().map(|(name, value)| (&**name, value)).collect();
    let mut out = Map::default();
    for (name, value) in entries {
        let value = value.as_map().map_or_else(|| value.clone(), |map| Value::from(sorted(map)));
        out.insert(Text::from(name), value);
    }
    out
}

fn compile(set: &str, name: &str) -> Option<Grok> {
    let written = format!("%{{{name}:[got][whole]}}");
    let pattern = Pattern::compile(&written, &Expander::of_set(mode(set)), None, &[]).ok()?;
    assert!(pattern.captures.iter().all(|capture| capture.existing == Existing::Joined));
    Some(Grok {
        matches: vec![Match { path: Path::parse("message").expect("a name"), patterns: vec![pattern] }],
        break_on_match: true,
        keep_empty: false,
        failure_tags: Vec::new(),
        timeout_tag: String::new(),
        budget: Budget::from_steps(1_000_000),
        scope: Scope::Pattern,
    })
}

/// Field → type, as the pattern's references say.
fn captured(set: &str, name: &str) -> Result<BTreeMap<String, String>, String> {
    if !of(mode(set)).contains_key(name) {
        return Err("missing".to_owned());
    }
    let written = format!("%{{{name}}}");
    let (regex, names) =
        Expander::of_set(mode(set)).compile(&written).map_err(|mistakes| mistakes[0].message.clone())?;
    let fields = regex.names().iter().map(|(group, _)| {
        let full = names.get(group).unwrap_or(group);
        let mut parts = full.splitn(3, ':');
        let first = parts.next().unwrap_or_default();
        let field = parts.next().unwrap_or(first);
        (field.to_owned(), parts.next().unwrap_or("string").to_owned())
    });
    // A field may be captured in two places: the first one counts.
    Ok(fields.rev().collect())
}

/// The names are as written in Logstash's sets, one with a `?` that the real filter skips, one with a slip that its matches do not show.
fn fields_of(row: &Map) -> BTreeMap<String, String> {
    let fields = row.get("fields").and_then(Value::as_map).expect("fields");
    fields
        .iter()
        .map(|(name, kind)| {
            (
                name.trim_end_matches('?').replace("[bing]", "[bind]").replace("?]", "]"),
                kind.as_text().expect("a type").to_string(),
            )
        })
        .collect()
}

fn groups() -> BTreeMap<(String, String), String> {
    let row = |row: Map| ((text(&row, "set"), text(&row, "name")), text(&row, "group"));
    rows("grok-interface.jsonl").into_iter().map(row).collect()
}

fn mode(set: &str) -> Ecs {
    if set == "legacy" { Ecs::Disabled } else { Ecs::V1 }
}

fn text(row: &Map, name: &str) -> String {
    row.get(name).and_then(Value::as_text).expect("a string").to_string()
}

fn strings() -> Vec<String> {
    let list = json(&file("grok-strings.json"));
    let list = list.as_list().expect("a list");
    list.iter().map(|string| string.as_text().expect("a string").to_string()).collect()
}

fn rows(name: &str) -> Vec<Map> {
    file(name).lines().map(|line| json(line).as_map().expect("an object").clone()).collect()
}

fn json(text: &str) -> Value {
    parse(text, Numbers::Doubles).unwrap_or_else(|error| panic!("{error:?} in {text}"))
}

fn file(name: &str) -> String {
    let path = format!("{}/../tests/conformance/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
