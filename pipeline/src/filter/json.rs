//! Reads JSON from a field and puts what it finds into the event.
//!
//! Without `target` the names of the object become fields of the event, over those that are there; a name that is a field
//! reference (`[a][b]`) sets that field. Numbers with a fraction keep their spelling.
//!
//! ## Options
//!
//! - `source` (required): the field with the text.
//! - `target`: the field that gets the value; any JSON value will do then.
//! - `skip_on_invalid_json` (default false): accepted; what can't be read is tagged either way and logged in neither.
//! - `tag_on_failure` (default `["_jsonparsefailure"]`).
//! - `ecs_compatibility`: accepted, makes no difference.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   json { source => "message" target => "app" }
//! }
//! ```
//!
//! ```json
//! {"message":"{\"level\":\"info\",\"n\":1}"}
//! =>
//! {"message":"{\"level\":\"info\",\"n\":1}","app":{"level":"info","n":1}}
//! ```
//!
//! ## On failure
//!
//! The event is tagged `_jsonparsefailure` when the text is no JSON, or is no object and there is no `target`, or one of its names
//! can't be set; what was set before stays. An `@timestamp` that is none goes to `_@timestamp`, with the tag
//! `_timestampparsefailure`, and the current time takes its place.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome};
use crate::event::Event;
use crate::json::{Numbers, parse_text};
use crate::map::Map;
use crate::path::Path;
use crate::print;
use crate::setup::Setup;
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "json", options: OPTIONS, docs: crate::docs::head(include_str!("json.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "ecs_compatibility",
        kind: OptionKind::String,
        default: "the pipeline's",
        required: false,
        help: "accepted; makes no difference",
    },
    OptionSpec {
        name: "skip_on_invalid_json",
        kind: OptionKind::Boolean,
        default: "false",
        required: false,
        help: "leave events alone whose text is no JSON",
    },
    OptionSpec {
        name: "source",
        kind: OptionKind::String,
        default: "",
        required: true,
        help: "the field with the text",
    },
    OptionSpec {
        name: "tag_on_failure",
        kind: OptionKind::Array,
        default: "[\"_jsonparsefailure\"]",
        required: false,
        help: "tags of an event whose text can't be used",
    },
    OptionSpec {
        name: "target",
        kind: OptionKind::FieldReference,
        default: "",
        required: false,
        help: "the field that gets the value; without it, the event",
    },
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    Some(Box::new(Json {
        source: Reference::setting(options.value("source")?),
        target: options.text("target").map(|target| Reference::plain(&target)),
        skip_invalid: options.boolean("skip_on_invalid_json", false),
        failure_tags: options.texts_or("tag_on_failure", &["_jsonparsefailure"]),
    }))
}

struct Json {
    source: Reference,
    target: Option<Reference>,
    skip_invalid: bool,
    failure_tags: Vec<String>,
}

impl Filter for Json {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        self.expand(event, cx).unwrap_or_else(|Raised(_)| {
            self.failure_tags.iter().for_each(|tag| event.tag(tag));
            Outcome::Passed
        })
    }

    fn rescue_tags(&self) -> Option<&[String]> {
        Some(&self.failure_tags)
    }
}

impl Json {
    #[inline]
    fn expand(&self, event: &mut Event, cx: &Context) -> Result<Outcome, Raised> {
        let path = self.source.path(event)?;
        let parsed = match event.get(&path) {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(Outcome::Passed),
            // Nothing at all reads as null, which only a target can take.
            Some(Value::Text(text)) if is_blank(text) => Ok(Value::Null),
            Some(Value::Text(text)) => parse_text(text, Numbers::Decimals).map_err(|error| error.to_string()),
            Some(other) => Err(format!("`{}` is no text", print::ruby_text(other))),
        };
        match (parsed, &self.target) {
            (Err(_), _) if self.skip_invalid => return Ok(Outcome::Passed),
            (Err(reason), _) => return Err(Raised(reason)),
            (Ok(value), Some(target)) => event.set(&*target.path(event)?, value)?,
            (Ok(Value::Map(map)), None) => put_all(*map, event, cx.now)?,
            (Ok(_), None) => return Err(Raised("the JSON is no object, and there is no target".into())),
        }
        Ok(Outcome::Matched)
    }
}

#[inline]
fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// Sets all fields, `@timestamp` last. When one can't be set, those behind it are not, either.
fn put_all(mut map: Map, event: &mut Event, now: Timestamp) -> Result<(), Raised> {
    let timestamp = if map.contains("@timestamp") { map.remove("@timestamp") } else { None };
    for (name, value) in map {
        put(name, value, event)?;
    }
    match timestamp {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(written) => put_timestamp(&written, event, now),
    }
    Ok(())
}

/// Nearly all names are plain ones, and need not be parsed.
#[inline]
fn put(name: Text, value: Value, event: &mut Event) -> Result<(), Raised> {
    if name.as_str() == "tags" || name.as_str() == "@metadata" || name.contains(['[', ']']) {
        return Ok(event.set(&Path::parse(&name)?, value)?);
    }
    event.set_field(name, value);
    Ok(())
}

fn put_timestamp(written: &Value, event: &mut Event, now: Timestamp) {
    let parsed = written.as_text().and_then(|text| Timestamp::parse(text));
    event.set_field("@timestamp".into(), parsed.unwrap_or(now).into());
    if parsed.is_none() {
        event.tag("_timestampparsefailure");
        event.set_field("_@timestamp".into(), print::ruby_text(written).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(target: Option<&str>, text: &str) -> (Outcome, String) {
        let filter = Json {
            source: Reference::plain("m"),
            target: target.map(Reference::plain),
            skip_invalid: false,
            failure_tags: vec!["_jsonparsefailure".into()],
        };
        let mut event = Event::default();
        event.set_field("m".into(), text.into());
        let outcome = filter.filter(&mut event, &mut Context::default());
        event.remove(&Path::field("m"));
        let mut out = Vec::new();
        crate::json::write_event(&event, &mut out);
        (outcome, String::from_utf8(out).unwrap())
    }

    #[test]
    fn names_become_fields_and_references_are_followed() {
        let (outcome, event) = filtered(None, r#"{"a":1.10,"[b][c]":2,"tags":["x"]}"#);
        assert_eq!((outcome, event.as_str()), (Outcome::Matched, r#"{"a":1.10,"b":{"c":2},"tags":["x"]}"#));
        assert_eq!(filtered(Some("d"), " "), (Outcome::Matched, r#"{"d":null}"#.into()));
        assert_eq!(filtered(Some("[d][e]"), "[1]"), (Outcome::Matched, r#"{"d":{"e":[1]}}"#.into()));
    }

    #[test]
    fn a_name_that_can_t_be_set_ends_it_half_way() {
        let tagged = r#"{"a":1,"tags":["_jsonparsefailure"]}"#;
        for text in [r#"{"a":1,"b[0]":2,"c":3}"#, r#"{"a":1,"tags":{"k":"v"},"c":3}"#, r#"{"a":1,"@metadata":5}"#] {
            assert_eq!(filtered(None, text), (Outcome::Passed, tagged.into()), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_object_is_tagged() {
        for text in ["", "plain", "[1]", "5", r#"{"a":1} x"#] {
            assert_eq!(filtered(None, text), (Outcome::Passed, r#"{"tags":["_jsonparsefailure"]}"#.into()), "{text}");
        }
    }

    #[test]
    fn a_timestamp_that_is_none_is_kept_beside() {
        let (_, event) = filtered(None, r#"{"@timestamp":"2025-06-01T10:00:00.123Z"}"#);
        assert_eq!(event, r#"{"@timestamp":"2025-06-01T10:00:00.123Z"}"#);
        let (_, event) = filtered(None, r#"{"@timestamp":"soon"}"#);
        let kept =
            r#"{"@timestamp":"1970-01-01T00:00:00.000Z","tags":["_timestampparsefailure"],"_@timestamp":"soon"}"#;
        assert_eq!(event, kept);
        assert_eq!(filtered(None, r#"{"@timestamp":null}"#), (Outcome::Matched, "{}".into()));
    }
}
