//! What differs between two events, field by field, and events as JSON: what `test` and `trace` show.

use elkhound_pipeline::event::Event;
use elkhound_pipeline::json::{self, Numbers};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::value::Value;

/// A field that is not the same on both sides.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// `[outer][inner]`
    pub(crate) path: String,
    /// What the first side has.
    pub(crate) before: Option<Value>,
    /// What the second has.
    pub(crate) after: Option<Value>,
}

/// The fields that differ, in the order of their names. Maps are gone into, lists are compared whole; numbers are compared as numbers,
/// whatever their spelling.
pub(crate) fn between(before: &Map, after: &Map) -> Vec<Change> {
    let mut changes = Vec::new();
    compare_maps("", before, after, &mut changes);
    changes
}

fn compare_maps(outer: &str, before: &Map, after: &Map, changes: &mut Vec<Change>) {
    let mut names: Vec<_> = before.iter().chain(after.iter()).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    for name in names {
        let path = format!("{outer}[{name}]");
        match (before.get(name), after.get(name)) {
            (Some(Value::Map(before)), Some(Value::Map(after))) => compare_maps(&path, before, after, changes),
            (None, Some(Value::Map(after))) if !after.is_empty() => compare_maps(&path, &Map::new(), after, changes),
            (Some(Value::Map(before)), None) if !before.is_empty() => compare_maps(&path, before, &Map::new(), changes),
            (Some(before), Some(after)) if same(before, after) => {}
            (before, after) => changes.push(Change { path, before: before.cloned(), after: after.cloned() }),
        }
    }
}

/// Whether two values are the same, numbers as numbers.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b)),
        _ => one == other || number(one).is_some_and(|a| number(other).is_some_and(|b| a == b)),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    }
}

/// The event as it would be sent, read back: what is compared is what an output writes.
pub(crate) fn as_sent(event: &Event) -> Value {
    let mut bytes = Vec::new();
    json::write_event(event, &mut bytes);
    String::from_utf8(bytes).ok().and_then(|text| json::parse(&text, Numbers::Doubles).ok()).unwrap_or_default()
}

/// A value as JSON on one line, the names of its maps in order, so that two of them can be laid side by side.
pub(crate) fn shown(value: &Value) -> String {
    let mut bytes = Vec::new();
    json::write_value(&sorted(value), &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.into_iter().collect::<Map>().into()
        }
        Value::List(list) => Value::list(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map {
        match json::parse(text, Numbers::Doubles) {
            Ok(Value::Map(map)) => *map,
            other => panic!("{other:?}"),
        }
    }

    fn told(before: &str, after: &str) -> Vec<String> {
        let side = |value: Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), shown);
        let changes = between(&map(before), &map(after)).into_iter();
        changes.map(|change| format!("{} {} {}", change.path, side(change.before), side(change.after))).collect()
    }

    #[test]
    fn differences_are_told_field_by_field_in_order() {
        let before = r#"{"b":{"x":1,"y":[1,2]},"a":"old","gone":null,"n":1}"#;
        let after = r#"{"a":"new","b":{"y":[2,1],"x":1},"n":1.0,"more":{"z":1,"a":{"b":[{"d":1,"c":2}]}}}"#;
        let expected = [
            r#"[a] "old" "new""#,
            "[b][y] [1,2] [2,1]",
            "[gone] null none",
            r#"[more][a][b] none [{"c":2,"d":1}]"#,
            "[more][z] none 1",
        ];
        assert_eq!(told(before, after), expected);
        assert!(told(before, before).is_empty());
    }
}
