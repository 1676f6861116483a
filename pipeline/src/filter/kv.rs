//! Finds `key=value` pairs in a text and makes fields of them.
//!
//! A value may stand in quotes or brackets, which are taken off: `msg="hello world" user=(bob smith) id=5`. The first character
//! of `field_split` that follows ends a value without quotes; blanks around `value_split` are skipped, so `a= b=2` gives
//! `a` the value `b=2`. A key that comes twice gets a list.
//!
//! ## Options
//!
//! - `source` (default `message`): the field to read; in a list, each text.
//! - `target`: the field under which the pairs are put; the event itself when unset.
//! - `field_split` (default one blank), `value_split` (default `=`): characters between pairs, and between key and value.
//! - `field_split_pattern`, `value_split_pattern`: the same as regular expressions, which win.
//! - `whitespace` (default `lenient`; or `strict`): whether blanks around `value_split` are skipped.
//! - `include_brackets` (default true): take `()`, `[]` and `<>` around values off.
//! - `trim_key`, `trim_value`: characters to take off at both ends; `remove_char_key`, `remove_char_value`: anywhere.
//! - `transform_key`, `transform_value`: `lowercase`, `uppercase` or `capitalize`.
//! - `include_keys`, `exclude_keys`: the keys that are kept, or not; they see the key without `prefix`.
//! - `prefix`: put before each key.
//! - `default_keys`: keys and values for those that are missing.
//! - `allow_duplicate_values` (default true): off, a value that is part of what the key has already is left out.
//! - `allow_empty_values` (default false): keep keys without a value.
//! - `recursive` (default false): look for pairs in values, too.
//! - `tag_on_failure` (default `["_kv_filter_error"]`), `tag_on_timeout` (default `_kv_filter_timeout`).
//! - `timeout_millis` (default 30000, 0 for none): how much work an event may cost.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   kv { source => "[url][query]" field_split => "&" target => "[url][params]" }
//! }
//! ```
//!
//! ```json
//! {"url":{"query":"id=7&lang=de"}}
//! =>
//! {"url":{"query":"id=7&lang=de","params":{"id":"7","lang":"de"}}}
//! ```
//!
//! ## On failure
//!
//! A key that is no field reference (`arr[]`), an element of a list that is no text, and a text in an option that can't be
//! rendered tag the event `_kv_filter_error`; pairs before the bad key stay. A text without pairs is no failure, but the
//! common options are skipped.
//!
//! ## Differences from Logstash
//!
//! The time-out counts work, not time.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::common::{literal, set_named};
use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::map::Map;
use crate::path::Path;
use crate::regex::{Allowance, Budget, Overrun, RegexError};
use crate::setup::Setup;
use crate::template::Template;
use crate::text::Text;
use crate::value::Value;

mod class;
mod clean;
mod scan;

use clean::{Cleaner, Letters};
use scan::{Scanner, Splits};

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "kv", options: OPTIONS, docs: crate::docs::head(include_str!("kv.rs")), build };

const TRANSFORM: OptionKind = OptionKind::OneOf(&["lowercase", "uppercase", "capitalize"]);

const OPTIONS: &[OptionSpec] = &[
    optional("allow_duplicate_values", OptionKind::Boolean, "true", "keep a value that a key has already"),
    optional("allow_empty_values", OptionKind::Boolean, "false", "keep keys without a value"),
    optional("default_keys", OptionKind::Hash, "{}", "keys and values for those that are missing"),
    optional("exclude_keys", OptionKind::Array, "[]", "keys that are left out"),
    optional("field_split", OptionKind::String, "\" \"", "characters between pairs"),
    optional("field_split_pattern", OptionKind::String, "", "what is between pairs, as a regular expression"),
    optional("include_brackets", OptionKind::Boolean, "true", "take brackets around values off"),
    optional("include_keys", OptionKind::Array, "[]", "the keys that are kept; all when empty"),
    optional("prefix", OptionKind::String, "", "put before each key"),
    optional("recursive", OptionKind::Boolean, "false", "look for pairs in values, too"),
    optional("remove_char_key", OptionKind::String, "", "characters to take out of keys"),
    optional("remove_char_value", OptionKind::String, "", "characters to take out of values"),
    optional("source", OptionKind::FieldReference, "message", "the field to read"),
    optional("tag_on_failure", OptionKind::Array, "[\"_kv_filter_error\"]", "tags of an event that failed"),
    optional("tag_on_timeout", OptionKind::String, "_kv_filter_timeout", "tag of an event that cost too much"),
    optional("target", OptionKind::FieldReference, "", "the field under which the pairs are put"),
    optional(
        "timeout_millis",
        OptionKind::Number,
        "30000",
        "how much work an event may cost, in milliseconds; 0 for no limit",
    ),
    optional("transform_key", TRANSFORM, "", "letter case of keys"),
    optional("transform_value", TRANSFORM, "", "letter case of values"),
    optional("trim", OptionKind::Obsolete("write `trim_value`"), "", "old name"),
    optional("trim_key", OptionKind::String, "", "characters to take off both ends of keys"),
    optional("trim_value", OptionKind::String, "", "characters to take off both ends of values"),
    optional("trimkey", OptionKind::Obsolete("write `trim_key`"), "", "old name"),
    optional("value_split", OptionKind::String, "=", "characters between key and value"),
    optional("value_split_pattern", OptionKind::String, "", "what is between key and value, as a regular expression"),
    optional(
        "whitespace",
        OptionKind::OneOf(&["strict", "lenient"]),
        "lenient",
        "whether blanks around value_split are skipped",
    ),
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let scanner = scanner(options);
    let key = cleaner(options, "trim_key", "remove_char_key", "transform_key");
    let value = cleaner(options, "trim_value", "remove_char_value", "transform_value");
    let millis = options.integer("timeout_millis", 30_000);
    let templates = |texts: Vec<String>| texts.iter().map(|text| Template::parse(text)).collect();
    let kv = Kv {
        source: Reference::plain(&options.text_or("source", "message")),
        target: options.text("target").and_then(|target| Path::parse(&target).ok()),
        scanner: scanner?,
        key: key?,
        value: value?,
        include: templates(options.texts("include_keys")),
        exclude: templates(options.texts("exclude_keys")),
        prefix: options.text("prefix").filter(|prefix| !prefix.is_empty()).map(|prefix| Template::parse(&prefix)),
        defaults: options
            .hash("default_keys")
            .iter()
            .map(|(key, value)| (key.as_str().into(), literal(value)))
            .collect(),
        keep_duplicates: options.boolean("allow_duplicate_values", true),
        keep_empty: options.boolean("allow_empty_values", false),
        recursive: options.boolean("recursive", false),
        failure_tags: options.texts_or("tag_on_failure", &["_kv_filter_error"]),
        timeout_tag: options.text_or("tag_on_timeout", "_kv_filter_timeout"),
        budget: if millis <= 0 { Budget::UNLIMITED } else { Budget::from_millis(millis.unsigned_abs()) },
    };
    Some(Box::new(kv))
}

fn scanner(options: &mut Options<'_>) -> Option<Scanner> {
    let named = ["field_split", "value_split", "field_split_pattern", "value_split_pattern"];
    for name in named {
        if options.text(name).is_some_and(|text| text.is_empty()) {
            options.fail(name, &format!("`{name}` of kv is empty"), "leave it out, or give at least one character");
            return None;
        }
    }
    let [field, value, field_pattern, value_pattern] = named.map(|name| options.text(name));
    let splits = Splits {
        field: field.unwrap_or_else(|| " ".into()),
        value: value.unwrap_or_else(|| "=".into()),
        field_pattern,
        value_pattern,
        lenient: options.text_or("whitespace", "lenient") == "lenient",
        brackets: options.boolean("include_brackets", true),
    };
    let place = match (&splits.field_pattern, &splits.value_pattern) {
        (Some(_), _) => "field_split_pattern",
        (None, Some(_)) => "value_split_pattern",
        _ if options.was_set("field_split") => "field_split",
        _ => "value_split",
    };
    reported(Scanner::new(&splits), options, place)
}

fn cleaner(options: &mut Options<'_>, trim: &str, remove: &str, transform: &str) -> Option<Cleaner> {
    let letters = options.text(transform).and_then(|name| Letters::parse(&name));
    let cleaner = Cleaner::new(options.text(trim).as_deref(), options.text(remove).as_deref(), letters);
    reported(cleaner, options, if options.was_set(trim) { trim } else { remove })
}

fn reported<T>(result: Result<T, RegexError>, options: &mut Options<'_>, place: &str) -> Option<T> {
    if let Err(error) = &result {
        let help = "write what may stand in a regular expression";
        options.fail(place, &format!("`{place}` of kv: {error}"), help);
    }
    result.ok()
}

struct Kv {
    source: Reference,
    target: Option<Path>,
    scanner: Scanner,
    key: Cleaner,
    value: Cleaner,
    include: Vec<Template>,
    exclude: Vec<Template>,
    prefix: Option<Template>,
    defaults: Map,
    keep_duplicates: bool,
    keep_empty: bool,
    recursive: bool,
    failure_tags: Vec<String>,
    timeout_tag: String,
    budget: Budget,
}

/// How deep `recursive` goes. Values nest as deep as a text has `=`, and the stack does not.
const DEPTH: usize = 64;

/// What a text is read for.
#[derive(Clone, Copy)]
struct Reader<'a> {
    event: &'a Event,
    depth: usize,
    /// What all matches for the event may cost.
    allowance: Allowance,
}

/// Why an event is tagged.
enum Failure {
    /// It cost too much.
    Overrun,
    /// Ruby would have raised.
    Raised,
}

impl From<Overrun> for Failure {
    fn from(_: Overrun) -> Self {
        Self::Overrun
    }
}

impl From<Raised> for Failure {
    fn from(_: Raised) -> Self {
        Self::Raised
    }
}

impl Filter for Kv {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        match self.split(event, cx) {
            Ok(outcome) => return outcome,
            Err(Failure::Overrun) => event.tag(&self.timeout_tag),
            Err(Failure::Raised) => self.failure_tags.iter().for_each(|tag| event.tag(tag)),
        }
        Outcome::Passed
    }

    fn rescue_tags(&self) -> Option<&[String]> {
        Some(&self.failure_tags)
    }
}

impl Kv {
    fn split(&self, event: &mut Event, cx: &mut Context) -> Result<Outcome, Failure> {
        let mut pairs = Map::new();
        let allowance = self.budget.start(&cx.scratch);
        match event.get(&*self.source.path(event)?) {
            Some(Value::Text(text)) => self.parse(text, &Reader { event, depth: 0, allowance }, &mut pairs, cx)?,
            Some(Value::List(list)) => self.parse_list(list, &Reader { event, depth: 0, allowance }, &mut pairs, cx)?,
            // Anything else has no pairs; Logstash logs it.
            _ => {}
        }
        let pairs = self.with_defaults(pairs);
        if pairs.is_empty() {
            return Ok(Outcome::Passed);
        }
        self.store(pairs, event)?;
        Ok(Outcome::Matched)
    }

    fn parse_list(
        &self,
        list: &[Value],
        reader: &Reader<'_>,
        pairs: &mut Map,
        cx: &mut Context,
    ) -> Result<(), Failure> {
        list.iter().try_for_each(|element| match element {
            Value::Text(text) => self.parse(text, reader, pairs, cx),
            Value::Null => Ok(()),
            _ => Err(Failure::Raised),
        })
    }

    fn parse(&self, text: &Text, reader: &Reader<'_>, pairs: &mut Map, cx: &mut Context) -> Result<(), Failure> {
        let include = rendered(&self.include, reader.event)?;
        let exclude = rendered(&self.exclude, reader.event)?;
        let mut at = 0;
        loop {
            let budget = reader.allowance.left(&cx.scratch);
            let Some(found) = self.scanner.next(text, at, &mut cx.scratch, budget)? else { break };
            at = found.end;
            if found.value.is_empty() && !self.keep_empty {
                continue;
            }
            let key = self.key.clean(text.slice(found.key), &mut cx.scratch, budget)?;
            let left_out = !include.is_empty() && !include.contains(&key);
            if left_out || exclude.contains(&key) {
                continue;
            }
            let key = self.prefixed(key, reader.event)?;
            let value = self.value.clean(text.slice(found.value), &mut cx.scratch, budget)?;
            self.add(key, value, reader, pairs, cx)?;
        }
        Ok(())
    }

    fn prefixed(&self, key: Text, event: &Event) -> Result<Text, Failure> {
        let Some(prefix) = &self.prefix else { return Ok(key) };
        let mut out = String::new();
        prefix.render_into(event, &mut out).map_err(|_| Failure::Raised)?;
        out.push_str(&key);
        Ok(out.into())
    }

    #[inline]
    fn add(
        &self,
        key: Text,
        value: Text,
        reader: &Reader<'_>,
        pairs: &mut Map,
        cx: &mut Context,
    ) -> Result<(), Failure> {
        if !self.keep_duplicates && pairs.get(&key).is_some_and(|known| includes(known, &value)) {
            return Ok(());
        }
        let value = if self.recursive { self.parse_inner(value, reader, cx)? } else { Value::Text(value) };
        match pairs.get_mut(&key) {
            None => pairs.push(key, value),
            Some(Value::List(list)) => list.push(value),
            Some(known) => *known = Value::list(vec![std::mem::take(known), value]),
        }
        Ok(())
    }

    /// The pairs in a value, or the value itself when it has none.
    fn parse_inner(&self, value: Text, reader: &Reader<'_>, cx: &mut Context) -> Result<Value, Failure> {
        if reader.depth >= DEPTH {
            return Ok(Value::Text(value));
        }
        let mut inner = Map::new();
        self.parse(&value, &Reader { depth: reader.depth + 1, ..*reader }, &mut inner, cx)?;
        Ok(if inner.is_empty() { Value::Text(value) } else { inner.into() })
    }

    fn with_defaults(&self, pairs: Map) -> Map {
        if self.defaults.is_empty() {
            return pairs;
        }
        let mut merged = self.defaults.clone();
        for (key, value) in pairs {
            merged.insert(key, value);
        }
        merged
    }

    fn store(&self, pairs: Map, event: &mut Event) -> Result<(), Failure> {
        if let Some(target) = &self.target {
            return event.set(target, pairs.into()).map_err(|_| Failure::Raised);
        }
        for (key, value) in pairs {
            set_named(event, key, value).map_err(|_| Failure::Raised)?;
        }
        Ok(())
    }
}

/// Texts without references cost nothing here but the list.
fn rendered(templates: &[Template], event: &Event) -> Result<Vec<Text>, Failure> {
    templates.iter().map(|template| template.render(event).map_err(|_| Failure::Raised)).collect()
}

/// Ruby's `include?`, which asks a text for a part, a list for an element, and a map for a key.
fn includes(known: &Value, value: &Text) -> bool {
    match known {
        Value::Text(text) => text.contains(value.as_str()),
        Value::List(list) => list.iter().any(|element| element.as_text() == Some(value)),
        Value::Map(map) => map.contains(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
