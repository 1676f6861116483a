//! Gives each event a random identifier (a version 4 UUID).
//!
//! ## Options
//!
//! - `target` (needed): the field for it.
//! - `overwrite` (default false): replace what the field holds already.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   uuid { target => "[event][id]" }
//! }
//! ```
//!
//! ```json
//! {"message":"m"}
//! =>
//! {"message":"m","event":{"id":"…"}}
//! ```
//!
//! ## On failure
//!
//! Nothing can fail but a field that can't be set, which counts as a failure of the filter.
//!
//! ## Differences from Logstash
//!
//! None known.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::setup::Setup;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "uuid", options: OPTIONS, docs: crate::docs::head(include_str!("uuid.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("overwrite", OptionKind::Boolean, "false", "replace what the field holds already"),
    OptionSpec {
        name: "target",
        kind: OptionKind::String,
        default: "",
        required: true,
        help: "the field for the identifier",
    },
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let target = Reference::template(&options.text("target")?);
    Some(Box::new(Uuid { target, overwrite: options.boolean("overwrite", false) }))
}

struct Uuid {
    target: Reference,
    overwrite: bool,
}

impl Filter for Uuid {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        match self.identify(event, cx) {
            Ok(()) => Outcome::Matched,
            Err(Raised(reason)) => Outcome::Failed(reason),
        }
    }
}

impl Uuid {
    fn identify(&self, event: &mut Event, cx: &mut Context) -> Result<(), Raised> {
        let path = self.target.path(event)?;
        let is_there = event.get(&path).is_some_and(|value| !value.is_null());
        if self.overwrite || !is_there {
            event.set(&path, cx.random.uuid().into())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::filtered;

    #[test]
    fn a_missing_field_gets_an_identifier() {
        let event = filtered("uuid { target => '[e][id]' }", "{}");
        assert_eq!(event.len(), r#"{"e":{"id":"01234567-89ab-4def-8123-456789abcdef"}}"#.len(), "{event}");
        assert!(event.starts_with(r#"{"e":{"id":""#));
    }

    #[test]
    fn what_is_there_stays_unless_told_otherwise() {
        let old = r#"{"id":"old"}"#;
        assert_eq!(filtered("uuid { target => id }", old), old);
        assert_ne!(filtered("uuid { target => id overwrite => true }", old), old);
    }
}
