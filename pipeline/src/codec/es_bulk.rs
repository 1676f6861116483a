//! Elasticsearch's bulk format: each document is an event, and its action is metadata. It only reads.
//!
//! Where the action goes depends on `ecs_compatibility`: `[@metadata][codec][es_bulk]`, or with `disabled` `@metadata`: `action` is `index`,
//! `create`, `update` or `delete`, beside it `_index`, `_id` and whatever else the line has.
//!
//! ## Options
//!
//! - `ecs_compatibility` (default: the pipeline's): where the action goes.
//! - `target` (field reference): the field that gets the document; without it, the event.
//!
//! ## Example
//!
//! ```text
//! input { tcp { port => 9299 codec => es_bulk } }
//! output { elasticsearch { index => "%{[@metadata][codec][es_bulk][_index]}" } }
//! ```
//!
//! ## On failure
//!
//! A line that is no JSON object is an event with the line as `message` and the tag `_jsonparsefailure`; what comes next is an action.
//!
//! ## Differences from Logstash
//!
//! Logstash drops lines that are no JSON objects, with a message in its log.

use std::sync::Arc;

use elkhound_config::options::Options;

use super::charset::Charset;
use super::lines::{ByLine, EachLine, Lines};
use super::{Codec, Decoder, Kind, Usage, message, objects};
use crate::event::Event;
use crate::json::{Numbers, parse_text};
use crate::map::Map;
use crate::path::Path;
use crate::setup::Setup;
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "es_bulk",
    options: &[super::ECS, objects::TARGET],
    reads: true,
    writes: false,
    docs: crate::docs::head(include_str!("es_bulk.rs")),
    build,
};

/// The longest line.
const LIMIT: usize = 16 << 20;

fn build(options: &mut Options<'_>, setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    let field = if setup.ecs_of(options).is_enabled() { "[@metadata][codec][es_bulk]" } else { "@metadata" };
    let metadata = Path::parse(field).ok()?;
    Some(Arc::new(EsBulk { metadata, target: objects::target(options)?, messages: usage == Usage::Messages }))
}

#[derive(Clone)]
struct EsBulk {
    metadata: Path,
    target: Option<Path>,
    messages: bool,
}

impl Codec for EsBulk {
    fn decoder(&self) -> Box<dyn Decoder> {
        let lines = Lines::new("\n", Charset::default(), LIMIT);
        let each = Actions { settings: self.clone(), action: None };
        Box::new(ByLine::new(lines, Charset::default(), self.messages, each))
    }

    fn encode(&self, _event: &Event, _out: &mut Vec<u8>) {}
}

/// Makes an event of an action and the document behind it.
struct Actions {
    settings: EsBulk,
    /// The action whose document is the next line.
    action: Option<Map>,
}

impl EachLine for Actions {
    fn line(&mut self, text: Text, cut: bool, now: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.take(&text, cut, now));
    }
}

impl Actions {
    fn take(&mut self, line: &Text, cut: bool, now: Timestamp) -> Option<Event> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let Ok(Value::Map(map)) = parse_text(line, Numbers::Doubles) else {
            self.action = None;
            let mut event = message::failure(line.clone(), objects::FAILED, now);
            if cut {
                event.tag(message::CUT);
            }
            return Some(event);
        };
        if let Some(action) = self.action.take() {
            return Some(self.event(*map, action, now));
        }
        let (name, details) = map.into_iter().next()?;
        let mut action = if let Value::Map(details) = details { *details } else { Map::new() };
        action.insert("action".into(), Value::Text(name.clone()));
        if name.as_str() == "delete" {
            return Some(self.event(Map::new(), action, now));
        }
        self.action = Some(action);
        None
    }

    fn event(&self, document: Map, action: Map, now: Timestamp) -> Event {
        let mut event = objects::placed(document, self.settings.target.as_ref(), now);
        if event.set(&self.settings.metadata, action.into()).is_err() {
            event.tag(objects::FAILED);
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{codec, decoded};

    const BULK: &[u8] = b"{\"index\":{\"_index\":\"i\",\"_id\":\"1\"}}\n{\"a\":1}\n{\"delete\":{\"_id\":\"2\"}}\n\n{\"create\":{}}\n{\"b\":2}\n";

    fn actions(written: &str) -> Vec<String> {
        let mut events = Vec::new();
        codec(written, Usage::Stream).decoder().decode(BULK, Timestamp::default(), &mut events);
        let shown = |event: &Event| {
            let mut out = Vec::new();
            crate::json::write_map(event.metadata(), &mut out);
            String::from_utf8(out).unwrap()
        };
        events.iter().map(shown).collect()
    }

    #[test]
    fn documents_are_events_and_actions_are_metadata() {
        assert_eq!(decoded("es_bulk", Usage::Stream, &[BULK]), "{\"a\":1}\n{}\n{\"b\":2}");
        let expected = [
            r#"{"_index":"i","_id":"1","action":"index"}"#,
            r#"{"_id":"2","action":"delete"}"#,
            r#"{"action":"create"}"#,
        ];
        assert_eq!(actions("es_bulk"), expected);
        let ecs = expected.map(|action| format!("{{\"codec\":{{\"es_bulk\":{action}}}}}"));
        assert_eq!(actions("es_bulk { ecs_compatibility => v8 }"), ecs);
    }

    #[test]
    fn what_is_no_json_keeps_its_text() {
        let events = decoded("es_bulk", Usage::Messages, &[b"{\"index\":{}}\nbroken\n{\"index\":{}}\n{\"a\":1}"]);
        assert_eq!(events, "{\"message\":\"broken\",\"tags\":[\"_jsonparsefailure\"]}\n{\"a\":1}");
    }
}
