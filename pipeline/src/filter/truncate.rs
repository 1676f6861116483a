//! Cuts texts to a number of bytes, between two characters.
//!
//! Lists are cut element by element, maps field by field; numbers and the like stay.
//!
//! ## Options
//!
//! - `length_bytes` (needed): how long a text may be, in bytes.
//! - `fields`: which fields; all when unset.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   truncate { fields => ["message"] length_bytes => 10 add_tag => ["truncated"] }
//! }
//! ```
//!
//! ```json
//! {"message":"a long line indeed"}
//! =>
//! {"message":"a long lin","tags":["truncated"]}
//! ```
//!
//! ## On failure
//!
//! Nothing can fail. The common options are applied only to an event in which something was cut.
//!
//! ## Differences from Logstash
//!
//! None known.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::setup::Setup;
use crate::text::Text;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "truncate", options: OPTIONS, docs: crate::docs::head(include_str!("truncate.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("fields", OptionKind::List(&OptionKind::String), "all fields", "the fields to cut"),
    OptionSpec {
        name: "length_bytes",
        kind: OptionKind::Number,
        default: "",
        required: true,
        help: "how long a text may be, in bytes",
    },
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let fields = options.texts("fields").iter().map(|field| Reference::plain(field)).collect();
    let fields = options.was_set("fields").then_some(fields);
    Some(Box::new(Truncate { fields, length: options.integer("length_bytes", 0) }))
}

struct Truncate {
    fields: Option<Vec<Reference>>,
    length: i64,
}

impl Filter for Truncate {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        match self.truncate(event) {
            Ok(true) => Outcome::Matched,
            Ok(false) => Outcome::Passed,
            Err(Raised(reason)) => Outcome::Failed(reason),
        }
    }
}

impl Truncate {
    fn truncate(&self, event: &mut Event) -> Result<bool, Raised> {
        let Some(fields) = &self.fields else { return Ok(self.truncate_all(event)) };
        let mut cut = false;
        for field in fields {
            let path = field.path(event)?;
            let Some(value) = event.get(&path) else { continue };
            if let Some(shorter) = self.shorter(value) {
                event.set(&path, shorter)?;
                cut = true;
            }
        }
        Ok(cut)
    }

    fn truncate_all(&self, event: &mut Event) -> bool {
        let shorter = |(name, value): (&Text, &Value)| Some((name.clone(), self.shorter(value)?));
        let changed: Vec<(Text, Value)> = event.fields().filter_map(shorter).collect();
        let cut = !changed.is_empty();
        for (name, value) in changed {
            event.set_field(name, value);
        }
        cut
    }

    /// The value with its texts cut; nothing when they are short enough.
    fn shorter(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Text(text) => self.shorter_text(text),
            Value::List(list) => {
                // Only texts are cut in a list, not lists or maps.
                let cut = |value: &Value| value.as_text().and_then(|text| self.shorter_text(text));
                let new: Vec<Option<Value>> = list.iter().map(cut).collect();
                let pairs = list.iter().zip(&new).map(|(old, new)| new.clone().unwrap_or_else(|| old.clone()));
                new.iter().any(Option::is_some).then(|| Value::list(pairs.collect()))
            }
            Value::Map(map) => {
                let mut map = map.clone();
                let mut cut = false;
                for (_, value) in map.iter_mut() {
                    if let Some(shorter) = self.shorter(value) {
                        *value = shorter;
                        cut = true;
                    }
                }
                cut.then_some(Value::Map(map))
            }
            _ => None,
        }
    }

    fn shorter_text(&self, text: &Text) -> Option<Value> {
        let Ok(length) = usize::try_from(self.length) else { return Some(Value::Null) };
        (text.len() > length).then(|| text.slice(0..text.floor_char_boundary(length)).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::filtered;

    #[test]
    fn texts_are_cut_between_characters() {
        for (text, expected) in [("żółw", "żó"), ("日本語", "日"), ("a🚀b", "a"), ("abc", "abc")] {
            let event = format!(r#"{{"m":"{text}"}}"#);
            assert_eq!(
                filtered("truncate { fields => ['m'] length_bytes => 4 }", &event),
                format!(r#"{{"m":"{expected}"}}"#)
            );
        }
    }

    #[test]
    fn lists_and_maps_are_cut_inside() {
        assert_eq!(
            filtered("truncate { length_bytes => 2 }", r#"{"l":["abc",12345,null],"k":{"a":"xyz","b":{"c":"xyz"}}}"#),
            r#"{"l":["ab",12345,null],"k":{"a":"xy","b":{"c":"xy"}}}"#
        );
    }

    #[test]
    fn only_a_cut_is_a_success() {
        let section = "truncate { fields => ['m'] length_bytes => 3 add_tag => cut }";
        assert_eq!(filtered(section, r#"{"m":"abcd"}"#), r#"{"m":"abc","tags":["cut"]}"#);
        assert_eq!(filtered(section, r#"{"m":"abc"}"#), r#"{"m":"abc"}"#);
    }
}
