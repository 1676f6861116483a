//! Events of JSON texts: what `json` and `json_lines` share.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::{message, optional};
use crate::event::Event;
use crate::json::{Numbers, parse_text};
use crate::map::Map;
use crate::path::Path;
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// The row of the option `target`.
pub(super) const TARGET: OptionSpec =
    optional("target", OptionKind::FieldReference, "", "the field that gets the object; without it, the event");

/// The tag of a text that is no JSON.
pub(super) const FAILED: &str = "_jsonparsefailure";

/// Reads the option `target`.
pub(super) fn target(options: &mut Options<'_>) -> Option<Option<Path>> {
    let Some(written) = options.text("target") else { return Some(None) };
    match Path::parse(&written) {
        Ok(path) => Some(Some(path)),
        Err(_) => {
            options.fail("target", &format!("`{written}` is no field reference"), "write name or [outer][inner]");
            None
        }
    }
}

/// Appends the event of an object, or one for each object of a list; blank text is none. What is neither is one event with the text and
/// a tag. With `original`, a single event keeps the text.
pub(super) fn decode(text: &Text, target: Option<&Path>, original: bool, now: Timestamp, out: &mut Vec<Event>) {
    if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return;
    }
    match parse_text(text, Numbers::Doubles) {
        Ok(Value::Map(map)) => {
            let mut event = placed(*map, target, now);
            if original {
                keep_original(&mut event, text);
            }
            out.push(event);
        }
        Ok(Value::List(list)) if list.iter().all(|value| matches!(value, Value::Map(_))) => {
            let only = original && list.len() == 1;
            let maps = list.into_iter().filter_map(|value| if let Value::Map(map) = value { Some(*map) } else { None });
            out.extend(maps.map(|map| placed(map, target, now)));
            if only && let Some(event) = out.last_mut() {
                keep_original(event, text);
            }
        }
        _ => out.push(message::failure(text.clone(), FAILED, now)),
    }
}

/// The event of an object, which is below `target` if there is one.
pub(super) fn placed(map: Map, target: Option<&Path>, now: Timestamp) -> Event {
    let Some(target) = target else { return Event::from_fields(map, now) };
    let mut event = Event::from_fields(Map::new(), now);
    if event.set(target, map.into()).is_err() {
        event.tag(FAILED);
    }
    event
}

/// Sets `[event][original]` unless the event has one, or has an `event` that is no map.
pub(super) fn keep_original(event: &mut Event, text: &Text) {
    match event.field_mut("event") {
        None => {
            let original: Map = [(Text::new("original"), Value::Text(text.clone()))].into_iter().collect();
            event.set_field("event".into(), original.into());
        }
        Some(Value::Map(map)) if !map.contains("original") => {
            map.push("original".into(), Value::Text(text.clone()));
        }
        Some(_) => {}
    }
}
