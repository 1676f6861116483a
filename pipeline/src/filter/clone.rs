//! Makes copies of an event, to be treated differently from the original.
//!
//! There is one copy for each name in `clones`. With ECS (the default) the name is added to the copy's tags, even when
//! it is there already; without ECS it becomes the copy's `type`. The original goes on unchanged, the copies behind it; the common options work on the copies.
//!
//! ## Options
//!
//! - `clones` (required): the names of the copies.
//! - `ecs_compatibility`: `v8` and `v1` tag, `disabled` sets `type`.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   clone { clones => ["audit"] remove_field => ["password"] }
//! }
//! ```
//!
//! ```json
//! {"message":"m","password":"p"}
//! =>
//! {"message":"m","password":"p"}
//! {"message":"m","tags":["audit"]}
//! ```
//!
//! ## On failure
//!
//! It can't fail.

use elkhound_config::ast::{NumberValue, Value as Setting, ValueKind};
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::common::append_tags;
use super::{Context, Filter, Kind, Outcome};
use crate::event::Event;
use crate::setup::{Ecs, Setup};
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "clone", options: OPTIONS, docs: crate::docs::head(include_str!("clone.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "clones",
        kind: OptionKind::Array,
        default: "",
        required: true,
        help: "the names of the copies",
    },
    OptionSpec {
        name: "ecs_compatibility",
        kind: OptionKind::OneOf(&["disabled", "v1", "v8"]),
        default: "the pipeline's",
        required: false,
        help: "whether the name becomes a tag, or with `disabled` the type",
    },
];

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let names: Vec<Value> = options.list("clones").iter().map(name).collect();
    if options.was_set("clones") && names.is_empty() {
        options.warn("clones", "`clones` is empty, so there will be no copies", "name them, or remove the filter");
    }
    let ecs = options.text("ecs_compatibility").and_then(|name| Ecs::parse(&name)).unwrap_or(setup.ecs);
    Some(Box::new(Clone { names, mark: if ecs.is_enabled() { Mark::Tag } else { Mark::Type } }))
}

/// A name as it would be in a field: a number stays one.
fn name(setting: &Setting) -> Value {
    match &setting.kind {
        ValueKind::Number(number) => match number.value {
            NumberValue::Integer(integer) => Value::Integer(integer),
            NumberValue::Float(float) => Value::Float(float),
        },
        _ => setting.text().into(),
    }
}

struct Clone {
    names: Vec<Value>,
    mark: Mark,
}

/// Where a copy's name goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Tag,
    Type,
}

impl Filter for Clone {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        for (at, name) in self.names.iter().enumerate() {
            let mut copy = event.duplicate(at + 1);
            // Logstash makes a copy like any new event, and those have a version.
            if copy.field("@version").is_none() {
                copy.set_field("@version".into(), "1".into());
            }
            match (self.mark, name) {
                (Mark::Tag, Value::Text(tag)) => append_tags([tag.clone()], &mut copy),
                (Mark::Tag, _) => {
                    return Outcome::Failed("a tag must be a text, and a name in `clones` is none".into());
                }
                (Mark::Type, name) => copy.set_field("type".into(), name.clone()),
            }
            cx.emit(copy, Outcome::Matched);
        }
        Outcome::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(mark: Mark, names: &[Value]) -> (Outcome, Vec<String>) {
        let filter = Clone { names: names.to_vec(), mark };
        let mut event = Event::default();
        event.set_field("m".into(), 1.into());
        let mut cx = Context::default();
        let outcome = filter.filter(&mut event, &mut cx);
        let written = |event: &Event| {
            let mut out = Vec::new();
            crate::json::write_event(event, &mut out);
            String::from_utf8(out).unwrap()
        };
        (
            outcome,
            std::iter::once(written(&event)).chain(cx.take_made().iter().map(|made| written(&made.event))).collect(),
        )
    }

    /// A copy is an event of its own: it has a version even where the original lost it.
    #[test]
    fn each_copy_bears_its_name() {
        let names = ["a".into(), "b".into()];
        let tagged = vec![
            r#"{"m":1}"#.into(),
            r#"{"m":1,"@version":"1","tags":["a"]}"#.into(),
            r#"{"m":1,"@version":"1","tags":["b"]}"#.into(),
        ];
        assert_eq!(copies(Mark::Tag, &names), (Outcome::Passed, tagged));
        assert_eq!(copies(Mark::Tag, &["a".into(), "a".into()]).1[2], r#"{"m":1,"@version":"1","tags":["a"]}"#);
        let typed = vec![
            r#"{"m":1}"#.into(),
            r#"{"m":1,"@version":"1","type":"a"}"#.into(),
            r#"{"m":1,"@version":"1","type":"b"}"#.into(),
        ];
        assert_eq!(copies(Mark::Type, &names), (Outcome::Passed, typed));
    }

    #[test]
    fn a_number_is_a_type_and_no_tag() {
        assert_eq!(copies(Mark::Type, &[Value::Float(1.5)]).1[1], r#"{"m":1,"@version":"1","type":1.5}"#);
        assert!(matches!(copies(Mark::Tag, &[Value::Float(1.5)]), (Outcome::Failed(_), events) if events.len() == 1));
    }
}
