//! Writes a field as JSON text.
//!
//! ## Options
//!
//! - `source` (needed): the field.
//! - `target`: where the text goes; the source itself when unset.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   json_encode { source => "payload" target => "[event][original]" }
//! }
//! ```
//!
//! ```json
//! {"payload":{"a":1}}
//! =>
//! {"payload":{"a":1},"event":{"original":"{\"a\":1}"}}
//! ```
//!
//! ## On failure
//!
//! A field that can't be set tags the event `_jsongeneratefailure`. A missing source is written as `null`.
//!
//! ## Differences from Logstash
//!
//! Logstash does not bring this filter along; it has to be installed there.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::json;
use crate::setup::Setup;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "json_encode", options: OPTIONS, docs: crate::docs::head(include_str!("json_encode.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "source",
        kind: OptionKind::String,
        default: "",
        required: true,
        help: "the field to write as JSON",
    },
    optional("target", OptionKind::String, "source", "where the text goes"),
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let source = options.text("source")?;
    let target = options.text_or("target", &source);
    let failure_tag = vec!["_jsongeneratefailure".to_owned()];
    Some(Box::new(JsonEncode { source: Reference::plain(&source), target: Reference::plain(&target), failure_tag }))
}

struct JsonEncode {
    source: Reference,
    target: Reference,
    failure_tag: Vec<String>,
}

impl Filter for JsonEncode {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        if self.encode(event).is_ok() {
            return Outcome::Matched;
        }
        self.failure_tag.iter().for_each(|tag| event.tag(tag));
        Outcome::Passed
    }

    fn rescue_tags(&self) -> Option<&[String]> {
        Some(&self.failure_tag)
    }
}

impl JsonEncode {
    fn encode(&self, event: &mut Event) -> Result<(), Raised> {
        let mut bytes = Vec::new();
        json::write_value(event.get(&*self.source.path(event)?).unwrap_or(&Value::Null), &mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(event.set(&*self.target.path(event)?, text.into())?)
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::filtered;

    #[test]
    fn any_value_becomes_text() {
        assert_eq!(
            filtered("json_encode { source => 'a' target => 'b' }", r#"{"a":{"k":[1,"x\"",null]}}"#),
            r#"{"a":{"k":[1,"x\"",null]},"b":"{\"k\":[1,\"x\\\"\",null]}"}"#
        );
        assert_eq!(filtered("json_encode { source => 'a' }", "{}"), r#"{"a":"null"}"#);
    }

    #[test]
    fn a_field_that_cannot_be_set_is_tagged() {
        assert_eq!(
            filtered("json_encode { source => 'a' target => '[a][b]' add_tag => ok }", r#"{"a":1}"#),
            r#"{"a":1,"tags":["_jsongeneratefailure"]}"#
        );
    }
}
