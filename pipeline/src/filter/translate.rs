//! Looks a field's value up in a dictionary and puts what is found into another field.
//!
//! ## Options
//!
//! - `source` (once `field`): the field to look up. Of a list the first element counts, unless `iterate_on` is set.
//! - `target` (once `destination`; default `translation`, with ECS the source): where the translation goes.
//! - `dictionary`: text → value, which may be a text, a number, a list or a hash.
//! - `dictionary_path`: instead, a file with the dictionary: `.yml`, `.yaml`, `.json` (an object) or `.csv` (two columns).
//! - `exact` (default true): the whole text must be a key. With `false`, every key in the text is replaced by its value.
//! - `regex` (default false): with `exact`, keys are regular expressions, and the first that matches somewhere wins.
//! - `fallback`: what the target gets when nothing is found, with `%{field}`.
//! - `override` (default true when the target is the source, else false): replace a target that is there.
//! - `iterate_on`: a list. When it is the source itself, each element is looked up, and the target is the list of what was found, null
//!   where nothing was. Otherwise its elements are maps, and `source` and `target` are fields of each.
//! - `refresh_interval` (default 300, in seconds; 0 for never): how often to look whether the file has changed. It is read anew when it has.
//! - `refresh_behaviour` (`merge`, the default, or `replace`): whether keys that are gone from the file stay until the next start.
//! - `yaml_dictionary_code_point_limit`, `yaml_load_strategy`: accepted; reading takes memory in proportion to the file either way.
//! - `ecs_compatibility`: see `target`.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   translate {
//!     source => "[http][response][status_code]"
//!     target => "[http][response][reason]"
//!     dictionary => { "200" => "OK" "404" => "Not Found" }
//!     fallback => "other"
//!   }
//! }
//! ```
//!
//! ```json
//! {"http":{"response":{"status_code":404}}}
//! =>
//! {"http":{"response":{"status_code":404,"reason":"Not Found"}}}
//! ```
//!
//! ## On failure
//!
//! Without a match and without `fallback` the event stays as it is, and the common options are skipped, unless target and source are the same
//! field. So it does when the target can't be set, as in Logstash.
//!
//! A dictionary that can't be read keeps the pipeline from starting. Once running, a file that is gone or broken is a warning in elkhound's log,
//! and the last dictionary stays.
//!
//! ## Differences from Logstash
//!
//! Dates in YAML stay text.

use elkhound_config::ast::{NumberValue, Value as Written, ValueKind};
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::common::as_list;
use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, Watched, optional};
use crate::event::Event;
use crate::map::Map;
use crate::path::Path;
use crate::print;
use crate::regex::Scratch;
use crate::setup::{Ecs, Setup};
use crate::template::Template;
use crate::text::Text;
use crate::value::Value;

mod dictionary;
mod file;
mod held;

use dictionary::{Dictionary, Mode};
use held::{Entries, Held, Refreshed};

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "translate", options: OPTIONS, docs: crate::docs::head(include_str!("translate.rs")), build };

const ECS_MODES: OptionKind = OptionKind::OneOf(&["disabled", "v1", "v8"]);
const REFRESH: OptionKind = OptionKind::OneOf(&["merge", "replace"]);
const STRATEGIES: OptionKind = OptionKind::OneOf(&["one_shot", "streaming"]);
const DESTINATION: OptionKind = OptionKind::Deprecated("use `target` instead", &OptionKind::String);
const FIELD: OptionKind = OptionKind::Deprecated("use `source` instead", &OptionKind::String);

const OPTIONS: &[OptionSpec] = &[
    optional("destination", DESTINATION, "", "the old name of target"),
    optional("dictionary", OptionKind::Hash, "{}", "the dictionary: text → value"),
    optional("dictionary_path", OptionKind::Path, "", "a file with the dictionary"),
    optional("ecs_compatibility", ECS_MODES, "the pipeline's", "which default target"),
    optional("exact", OptionKind::Boolean, "true", "the whole text must be a key"),
    optional("fallback", OptionKind::String, "", "the translation of what is not in the dictionary"),
    optional("field", FIELD, "", "the old name of source"),
    optional("iterate_on", OptionKind::FieldReference, "", "the list whose elements are translated"),
    optional("override", OptionKind::Boolean, "whether target is source", "replace a target that is there"),
    optional("refresh_behaviour", REFRESH, "merge", "what becomes of keys that are gone from the file"),
    optional("refresh_interval", OptionKind::Number, "300", "seconds between looks at the file, 0 for never"),
    optional("regex", OptionKind::Boolean, "false", "keys are regular expressions"),
    optional("source", OptionKind::FieldReference, "", "the field to look up"),
    optional("target", OptionKind::FieldReference, "translation, with ECS the source", "where the translation goes"),
    optional("yaml_dictionary_code_point_limit", OptionKind::Number, "134217728", "accepted; see above"),
    optional("yaml_load_strategy", STRATEGIES, "one_shot", "accepted; see above"),
];

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let source = either("source", "field", options)?;
    let Some(source) = source else {
        options.fail("source", "translate needs the option `source`", "name the field to look up");
        return None;
    };
    let default = if setup.ecs_of(options) == Ecs::Disabled { "translation" } else { &source };
    let target = either("target", "destination", options)?.unwrap_or_else(|| default.to_owned());
    let in_place = source == target;
    let iterate_on = options.text("iterate_on");
    let shape = match iterate_on.as_deref() {
        None => Shape::One { source: Reference::plain(&source) },
        Some(list) if list == source => Shape::Values { source: Reference::plain(&source) },
        Some(list) => Shape::Maps { list: Reference::plain(list), items: Items::new(list, &source, &target) },
    };
    Some(Box::new(Translate {
        shape,
        target: Reference::plain(&target),
        in_place,
        replaces: options.boolean("override", in_place),
        fallback: options.text("fallback").map(|text| Template::parse(&text)),
        dictionary: dictionary(options, setup)?,
    }))
}

/// The option under its name or its old one. `None` when both are set.
#[expect(clippy::option_option, reason = "unset is no mistake, set twice is")]
fn either(name: &str, old: &str, options: &mut Options<'_>) -> Option<Option<String>> {
    match (options.text(name), options.text(old)) {
        (Some(_), Some(_)) => {
            options.fail(old, &format!("`{name}` and `{old}` can't both be set"), &format!("keep `{name}`"));
            None
        }
        (new, written) => Some(new.or(written)),
    }
}

fn dictionary(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Held> {
    let mode = match (options.boolean("exact", true), options.boolean("regex", false)) {
        (false, _) => Mode::Within,
        (true, true) => Mode::Regex,
        (true, false) => Mode::Exact,
    };
    let (option, held) = match options.text("dictionary_path") {
        None => ("dictionary", Dictionary::new(written_entries(options), mode).map(Held::Fixed)),
        Some(path) => {
            let entries = entries_in_file(&path, options, setup)?;
            ("dictionary_path", from_file(path, entries, mode, options))
        }
    };
    match held {
        Ok(held) => Some(held),
        Err(why) => {
            options.fail(option, &why, "");
            None
        }
    }
}

fn from_file(path: String, entries: Entries, mode: Mode, options: &Options<'_>) -> Result<Held, String> {
    let Some(watched) = Watched::every(path, options.integer("refresh_interval", 300)) else {
        return Dictionary::new(entries, mode).map(Held::Fixed);
    };
    let merges = options.text_or("refresh_behaviour", "merge") == "merge";
    Ok(Held::File(Box::new(Refreshed::new(watched, mode, merges, entries)?)))
}

fn written_entries(options: &Options<'_>) -> Vec<(Value, Value)> {
    options.hash("dictionary").into_iter().map(|(key, value)| (key.into(), as_value(&value))).collect()
}

fn entries_in_file(path: &str, options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Vec<(Value, Value)>> {
    if !options.hash("dictionary").is_empty() {
        options.fail("dictionary_path", "`dictionary` and `dictionary_path` can't both be set", "keep one of them");
        return None;
    }
    let bytes = super::read_named_file("dictionary_path", path, "put the dictionary there", options, setup)?;
    match file::parse(path, &bytes) {
        Ok(entries) => Some(entries),
        Err(why) => {
            options.fail("dictionary_path", &why, "");
            None
        }
    }
}

/// A value of the pipeline file as an event's value.
fn as_value(written: &Written) -> Value {
    match &written.kind {
        ValueKind::Array(values) => Value::list(values.iter().map(as_value).collect()),
        ValueKind::Hash(entries) => {
            entries.iter().map(|(key, value)| (key.text().into(), as_value(value))).collect::<Map>().into()
        }
        ValueKind::Number(number) => match number.value {
            NumberValue::Integer(integer) => Value::Integer(integer),
            NumberValue::Float(float) => Value::Float(float),
        },
        ValueKind::Bareword(_) | ValueKind::String(_) | ValueKind::Plugin(_) => written.text().into(),
    }
}

struct Translate {
    shape: Shape,
    target: Reference,
    in_place: bool,
    replaces: bool,
    fallback: Option<Template>,
    dictionary: Held,
}

/// What is looked up.
enum Shape {
    /// One value.
    One { source: Reference },
    /// Each element of a list.
    Values { source: Reference },
    /// A field of each map in a list.
    Maps { list: Reference, items: Items },
}

/// How the fields of the maps in a list are called.
struct Items {
    list: String,
    source: String,
    target: String,
}

impl Items {
    fn new(list: &str, source: &str, target: &str) -> Self {
        Self { list: bracketed(list), source: bracketed(source), target: bracketed(target) }
    }

    fn source(&self, index: usize) -> Result<Path, Raised> {
        Ok(Path::parse(&format!("{}[{index}]{}", self.list, self.source))?)
    }

    fn target(&self, index: usize) -> Result<Path, Raised> {
        Ok(Path::parse(&format!("{}[{index}]{}", self.list, self.target))?)
    }
}

fn bracketed(name: &str) -> String {
    if name.starts_with('[') && name.ends_with(']') { name.to_owned() } else { format!("[{name}]") }
}

impl Filter for Translate {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        match self.wanted(event) {
            Ok(true) => {}
            Ok(false) => return Outcome::Passed,
            // Logstash looks for the fields outside of its own error handling, and its worker ends.
            Err(Raised(reason)) => return Outcome::Failed(reason),
        }
        match self.update(event, &mut cx.scratch) {
            Ok(translated) if translated || self.in_place => Outcome::Matched,
            Ok(_) | Err(Trouble::Logged) => Outcome::Passed,
            Err(Trouble::TooLong(reason)) => Outcome::Failed(reason),
        }
    }

    fn watched(&self) -> Option<&Watched> {
        match &self.dictionary {
            Held::Fixed(_) => None,
            Held::File(file) => Some(&file.watched),
        }
    }

    fn refresh(&self, bytes: &[u8]) -> Result<(), String> {
        match &self.dictionary {
            Held::Fixed(_) => Ok(()),
            Held::File(file) => file.refresh(bytes),
        }
    }

    /// Common options that fail are logged, too, and nothing is tagged.
    fn rescue_tags(&self) -> Option<&[String]> {
        Some(&[])
    }
}

/// Why an event could not be translated.
enum Trouble {
    /// Logstash writes a line to its log and leaves the event alone.
    Logged,
    /// The dictionary's expressions took too long.
    TooLong(String),
}

impl From<Raised> for Trouble {
    fn from(_: Raised) -> Self {
        Self::Logged
    }
}

impl Translate {
    fn wanted(&self, event: &Event) -> Result<bool, Raised> {
        match &self.shape {
            Shape::Maps { list, .. } => Ok(value(list, event)?.is_some()),
            Shape::One { source } | Shape::Values { source } => {
                let present = value(source, event)?.is_some();
                Ok(present && (self.replaces || value(&self.target, event)?.is_none()))
            }
        }
    }

    /// True when there is a translation or a fallback.
    fn update(&self, event: &mut Event, scratch: &mut Scratch) -> Result<bool, Trouble> {
        match &self.shape {
            Shape::One { source } => self.one(source, event, scratch),
            Shape::Values { source } => self.values(source, event, scratch),
            Shape::Maps { list, items } => self.maps(list, items, event, scratch),
        }
    }

    fn one(&self, source: &Reference, event: &mut Event, scratch: &mut Scratch) -> Result<bool, Trouble> {
        let text = match value(source, event)? {
            Some(Value::List(list)) => list.first().map_or(Text::EMPTY, print::ruby_text),
            Some(value) => print::ruby_text(value),
            None => Text::EMPTY,
        };
        let Some(value) = self.translation(&text, event, scratch)? else { return Ok(false) };
        let target = self.target.path(event)?;
        set(event, &target, value)?;
        Ok(true)
    }

    fn values(&self, source: &Reference, event: &mut Event, scratch: &mut Scratch) -> Result<bool, Trouble> {
        let values = value(source, event)?.cloned().map(as_list).unwrap_or_default();
        let fallback = self.fallback(event)?.unwrap_or_default();
        let mut found = Vec::with_capacity(values.len());
        for value in &values {
            found.push(self.find(&print::ruby_text(value), scratch)?.unwrap_or_else(|| fallback.clone()));
        }
        let any = found.iter().any(|value| !matches!(value, Value::Null | Value::Bool(false)));
        let target = self.target.path(event)?;
        set(event, &target, Value::list(found))?;
        Ok(any)
    }

    fn maps(&self, list: &Reference, items: &Items, event: &mut Event, scratch: &mut Scratch) -> Result<bool, Trouble> {
        let count = value(list, event)?.map_or(0, length);
        let mut any = false;
        for index in 0..count {
            let text = match event.get(&items.source(index)?) {
                None | Some(Value::Null) => continue,
                Some(value) => print::ruby_text(value),
            };
            if let Some(value) = self.translation(&text, event, scratch)? {
                set(event, &items.target(index)?, value)?;
                any = true;
            }
        }
        Ok(any)
    }

    fn translation(&self, text: &Text, event: &Event, scratch: &mut Scratch) -> Result<Option<Value>, Trouble> {
        match self.find(text, scratch)? {
            Some(value) => Ok(Some(value)),
            None => self.fallback(event),
        }
    }

    fn find(&self, text: &Text, scratch: &mut Scratch) -> Result<Option<Value>, Trouble> {
        self.dictionary.find(text, scratch).map_err(Trouble::TooLong)
    }

    fn fallback(&self, event: &Event) -> Result<Option<Value>, Trouble> {
        let text = self.fallback.as_ref().map(|fallback| fallback.render(event)).transpose();
        text.map(|text| text.map(Value::Text)).map_err(|_| Trouble::Logged)
    }
}

fn value<'e>(reference: &Reference, event: &'e Event) -> Result<Option<&'e Value>, Raised> {
    let path = reference.path(event)?;
    Ok(event.get(&path))
}

fn set(event: &mut Event, path: &Path, value: Value) -> Result<(), Trouble> {
    event.set(path, value).map_err(|_| Trouble::Logged)
}

/// The length of what Ruby's `Array(value)` makes.
fn length(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Numbers};

    fn translate(shape: Shape, target: &str, fallback: Option<&str>) -> Translate {
        let entries = [("200", "ok"), ("404", "missing")];
        let entries = entries.map(|(key, value)| (Value::text(key), Value::text(value))).to_vec();
        Translate {
            shape,
            target: Reference::plain(target),
            in_place: false,
            replaces: false,
            fallback: fallback.map(Template::parse),
            dictionary: Held::Fixed(Dictionary::new(entries, Mode::Exact).unwrap()),
        }
    }

    fn one(target: &str, fallback: Option<&str>) -> Translate {
        translate(Shape::One { source: Reference::plain("code") }, target, fallback)
    }

    fn filtered(translate: &Translate, text: &str) -> (String, Outcome) {
        let Value::Map(fields) = json::parse(text, Numbers::Doubles).unwrap() else { panic!("{text} is no map") };
        let mut event = Event::new(*fields);
        let outcome = translate.filter(&mut event, &mut Context::default());
        let mut bytes = Vec::new();
        json::write_event(&event, &mut bytes);
        (String::from_utf8(bytes).unwrap(), outcome)
    }

    #[test]
    fn one_value_is_looked_up_as_text() {
        let plain = one("text", None);
        let cases = [
            (r#"{"code":404}"#, r#"{"code":404,"text":"missing"}"#, Outcome::Matched),
            (r#"{"code":["200","404"]}"#, r#"{"code":["200","404"],"text":"ok"}"#, Outcome::Matched),
            (r#"{"code":"x"}"#, r#"{"code":"x"}"#, Outcome::Passed),
            (r#"{"code":"200","text":null}"#, r#"{"code":"200","text":null}"#, Outcome::Passed),
            (r#"{}"#, r#"{}"#, Outcome::Passed),
        ];
        for (before, after, outcome) in cases {
            assert_eq!(filtered(&plain, before), (after.to_owned(), outcome), "{before}");
        }
        let fallback = one("text", Some("no %{code}"));
        assert_eq!(filtered(&fallback, r#"{"code":"x"}"#).0, r#"{"code":"x","text":"no x"}"#);
        assert_eq!(filtered(&fallback, r#"{}"#).0, r#"{}"#);
    }

    #[test]
    fn a_target_that_cant_be_set_leaves_the_event_alone() {
        let nested = one("[code][sub]", Some("x"));
        assert_eq!(filtered(&nested, r#"{"code":"200"}"#), (r#"{"code":"200"}"#.to_owned(), Outcome::Passed));
    }

    #[test]
    fn common_options_that_fail_leave_no_tag() {
        let section =
            "translate { source => 'a' target => 't' dictionary => { 'x' => 'y' } add_field => { '[a][b]' => '1' } }";
        assert_eq!(crate::filter::testing::filtered(section, r#"{"a":"x"}"#), r#"{"a":"x","t":"y"}"#);
    }

    #[test]
    fn each_element_of_a_list_has_its_translation() {
        let values = translate(Shape::Values { source: Reference::plain("codes") }, "texts", None);
        let after = r#"{"codes":["200",404,"x"],"texts":["ok","missing",null]}"#;
        assert_eq!(filtered(&values, r#"{"codes":["200",404,"x"]}"#), (after.to_owned(), Outcome::Matched));
        let after = r#"{"codes":[],"texts":[]}"#;
        assert_eq!(filtered(&values, r#"{"codes":[]}"#), (after.to_owned(), Outcome::Passed));
    }

    #[test]
    fn each_map_of_a_list_has_its_translation() {
        let items = Items::new("items", "code", "[text]");
        let maps = translate(Shape::Maps { list: Reference::plain("items"), items }, "text", None);
        let before = r#"{"items":[{"code":"200"},{"id":1},{"code":"x"}]}"#;
        let after = r#"{"items":[{"code":"200","text":"ok"},{"id":1},{"code":"x"}]}"#;
        assert_eq!(filtered(&maps, before), (after.to_owned(), Outcome::Matched));
    }
}
