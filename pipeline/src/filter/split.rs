//! Makes an event of each line of a text, or of each element of a list.
//!
//! The new events are copies of the original, which is dropped, with one part each in the field or the `target`. Null and empty
//! parts make no event. A text without the terminator stays as it is; an empty list or text leaves no event at all.
//!
//! ## Options
//!
//! - `field` (default `message`): what is split.
//! - `target`: where the part goes, by default into the field.
//! - `terminator` (default a line feed): what stands between the parts of a text. `" "` is any white space.
//! - `ecs_compatibility`: accepted, makes no difference.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   split { field => "[response][items]" target => "item" remove_field => ["response"] }
//! }
//! ```
//!
//! ```json
//! {"response":{"items":["a","b"]}}
//! =>
//! {"item":"a"}
//! {"item":"b"}
//! ```
//!
//! ## On failure
//!
//! A field that is neither text nor list, or is missing, tags `_split_type_failure`.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome};
use crate::event::Event;
use crate::path::Path;
use crate::setup::Setup;
use crate::text::Text;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "split", options: OPTIONS, docs: crate::docs::head(include_str!("split.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "ecs_compatibility",
        kind: OptionKind::OneOf(&["disabled", "v1", "v8"]),
        default: "the pipeline's",
        required: false,
        help: "accepted; makes no difference",
    },
    OptionSpec { name: "field", kind: OptionKind::String, default: "message", required: false, help: "what is split" },
    OptionSpec {
        name: "target",
        kind: OptionKind::String,
        default: "the field",
        required: false,
        help: "where a part goes",
    },
    OptionSpec {
        name: "terminator",
        kind: OptionKind::String,
        default: "a line feed",
        required: false,
        help: "what stands between the parts of a text",
    },
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let field = options.text_or("field", "message");
    let target = options.text_or("target", &field);
    Some(Box::new(Split {
        field: Reference::plain(&field),
        in_place: field == target,
        target: Reference::plain(&target),
        terminator: options.text_or("terminator", "\n"),
    }))
}

struct Split {
    field: Reference,
    target: Reference,
    in_place: bool,
    terminator: String,
}

const FAILURE_TAG: &str = "_split_type_failure";

impl Filter for Split {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        match self.split(event, cx) {
            Ok(()) => Outcome::Passed,
            Err(Raised(reason)) => Outcome::Failed(reason),
        }
    }
}

impl Split {
    fn split(&self, event: &mut Event, cx: &mut Context) -> Result<(), Raised> {
        let field = self.field.path(event)?.into_owned();
        let parts = match event.get(&field) {
            Some(Value::List(_)) => self.take_list(&field, event),
            Some(Value::Text(text)) => parts(text, &self.terminator),
            _ => {
                event.tag(FAILURE_TAG);
                return Ok(());
            }
        };
        match parts {
            None => Ok(()),
            Some(parts) => self.emit(parts, event, cx),
        }
    }

    /// The elements. Where each copy gets a new value in the list's place, the list is taken out of the event, so that it is not copied
    /// with every one of them; setting a field that was there can't fail then.
    fn take_list(&self, field: &Path, event: &mut Event) -> Option<Vec<Value>> {
        let in_a_list = field.keys().last().is_some_and(|key| key.index.is_some());
        let list = if self.in_place && !in_a_list { event.remove(field) } else { event.get(field).cloned() };
        match list {
            Some(Value::List(list)) => Some(*list),
            _ => None,
        }
    }

    /// All copies are made before the first goes out, so that a failure leaves one event and not some.
    fn emit(&self, parts: Vec<Value>, event: &mut Event, cx: &mut Context) -> Result<(), Raised> {
        let target = self.target.path(event)?;
        let mut copies = Vec::with_capacity(parts.len());
        for part in parts.into_iter().filter(|part| !is_empty(part)) {
            let mut copy = event.duplicate(copies.len() + 1);
            copy.set(&target, part)?;
            copies.push(copy);
        }
        copies.into_iter().for_each(|copy| cx.emit(copy, Outcome::Matched));
        event.cancel();
        Ok(())
    }
}

fn is_empty(part: &Value) -> bool {
    part.is_null() || part.as_text().is_some_and(|text| text.is_empty())
}

/// The parts of a text, as slices of it; nothing when there is but one. Ruby's `split(terminator, -1)`: empty parts at the end are kept.
fn parts(text: &Text, terminator: &str) -> Option<Vec<Value>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let parts: Vec<&str> = match terminator {
        " " => text.trim_start_matches(is_space).split(is_space).collect(),
        "" => text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]).chain([""]).collect(),
        _ => text.split(terminator).collect(),
    };
    let start = text.as_str().as_ptr() as usize;
    let slice = |part: &str| {
        let at = (part.as_ptr() as usize).wrapping_sub(start);
        if part.is_empty() { Text::EMPTY } else { text.slice(at..at + part.len()) }
    };
    (parts.len() > 1).then(|| parts.into_iter().map(|part| Value::Text(slice(part))).collect())
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Numbers, parse, write_event};

    fn split(field: &str, target: &str, terminator: &str, event: &str) -> (Outcome, Vec<String>) {
        let filter = Split {
            field: Reference::plain(field),
            target: Reference::plain(target),
            in_place: field == target,
            terminator: terminator.into(),
        };
        let Ok(Value::Map(fields)) = parse(event, Numbers::Doubles) else { panic!("{event} is no object") };
        let mut event = Event::new(*fields);
        let mut cx = Context::default();
        let outcome = filter.filter(&mut event, &mut cx);
        let mut events: Vec<Event> = cx.take_made().into_iter().map(|made| made.event).collect();
        if !event.is_cancelled() {
            events.insert(0, event);
        }
        let written = |event: &Event| {
            let mut out = Vec::new();
            write_event(event, &mut out);
            String::from_utf8(out).unwrap()
        };
        (outcome, events.iter().map(written).collect())
    }

    #[test]
    fn texts_are_split_at_the_terminator() {
        let texts = |terminator: &str, text: &str| split("m", "m", terminator, &format!(r#"{{"m":"{text}"}}"#)).1;
        assert_eq!(texts(",", "a,,b,"), [r#"{"m":"a"}"#, r#"{"m":"b"}"#]);
        assert_eq!(texts(",", "a"), [r#"{"m":"a"}"#]);
        assert_eq!(texts(",", ""), Vec::<String>::new());
        assert_eq!(texts("", "ab"), [r#"{"m":"a"}"#, r#"{"m":"b"}"#]);
        assert_eq!(texts(" ", "  a  b"), [r#"{"m":"a"}"#, r#"{"m":"b"}"#]);
        assert_eq!(texts(" ", " a"), [r#"{"m":" a"}"#]);
    }

    #[test]
    fn elements_of_lists_go_to_the_target() {
        assert_eq!(split("l", "l", "", r#"{"l":[1,null,"",{"k":2}]}"#).1, [r#"{"l":1}"#, r#"{"l":{"k":2}}"#]);
        assert_eq!(split("l", "i", "", r#"{"l":[1,2]}"#).1, [r#"{"l":[1,2],"i":1}"#, r#"{"l":[1,2],"i":2}"#]);
        assert_eq!(split("l", "l", "", r#"{"l":[]}"#).1, Vec::<String>::new());
    }

    #[test]
    fn other_values_are_tagged_and_refused_targets_leave_the_event() {
        let tagged = vec![r#"{"m":5,"tags":["_split_type_failure"]}"#.to_owned()];
        assert_eq!(split("m", "m", "", r#"{"m":5}"#), (Outcome::Passed, tagged));
        let (outcome, events) = split("l", "[m][x]", "", r#"{"m":5,"l":[1,2]}"#);
        assert!(matches!(outcome, Outcome::Failed(_)));
        assert_eq!(events, [r#"{"m":5,"l":[1,2]}"#]);
    }
}
