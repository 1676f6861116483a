//! JSON: each message is an object, and its names are the fields of the event; a list of objects is an event for each. Writes an
//! event as an object, and nothing between two events.
//!
//! Where bytes come as a stream (`tcp`, `stdin`), `json` reads as `json_lines` does, as in Logstash.
//!
//! ## Options
//!
//! - `charset` (default `UTF-8`): the encoding of what is read, by Ruby's name.
//! - `ecs_compatibility` (default: the pipeline's): unless `disabled`, `[event][original]` is the text, unless the object has one or is
//!   one of several.
//! - `target` (field reference): the field that gets the object; without it, the event.
//!
//! ## Example
//!
//! ```text
//! input { udp { port => 5140 codec => json { target => "[app]" } } }
//! ```
//!
//! ## On failure
//!
//! What is neither an object nor a list of objects is an event with the text as `message` and the tag `_jsonparsefailure`. An empty message
//! is no event. An `@timestamp` that is none goes to `_@timestamp`, with the tag `_timestampparsefailure`.

use std::sync::Arc;

use elkhound_config::options::Options;

use super::charset::{self, Charset};
use super::{Codec, Decoder, Kind, Usage, objects};
use crate::event::Event;
use crate::json;
use crate::path::Path;
use crate::setup::Setup;
use crate::time::Timestamp;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "json",
    options: &[charset::OPTION, super::ECS, objects::TARGET],
    reads: true,
    writes: true,
    docs: crate::docs::head(include_str!("json.rs")),
    build,
};

fn build(options: &mut Options<'_>, setup: &Setup<'_>, _usage: Usage) -> Option<Arc<dyn Codec>> {
    let charset = Charset::read(options)?;
    let original = setup.ecs_of(options).is_enabled();
    Some(Arc::new(Json { charset, original, target: objects::target(options)? }))
}

#[derive(Clone)]
struct Json {
    charset: Charset,
    original: bool,
    target: Option<Path>,
}

impl Codec for Json {
    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(self.clone())
    }

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        json::write_event(event, out);
    }
}

impl Decoder for Json {
    fn decode(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Event>) {
        objects::decode(&self.charset.text(bytes), self.target.as_ref(), self.original, now, out);
    }

    fn flush(&mut self, _now: Timestamp, _out: &mut Vec<Event>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{decoded, encoded};

    #[test]
    fn an_object_is_an_event_and_a_list_is_several() {
        let events = decoded("json", Usage::Messages, &[b"{\"a\":\n1}", b"[{\"b\":2},{\"b\":3}]", b"[]", b" \n"]);
        assert_eq!(events, "{\"a\":1}\n{\"b\":2}\n{\"b\":3}");
    }

    #[test]
    fn what_is_none_keeps_its_text() {
        for text in ["broken", "5", "[{\"a\":1},2]", "{\"a\":1} x"] {
            let events = decoded("json", Usage::Messages, &[text.as_bytes()]);
            let quoted = text.replace('"', "\\\"");
            assert_eq!(events, format!("{{\"message\":\"{quoted}\",\"tags\":[\"_jsonparsefailure\"]}}"));
        }
    }

    #[test]
    fn a_target_gets_the_object() {
        let events = decoded("json { target => '[app][data]' }", Usage::Messages, &[b"{\"a\":1}"]);
        assert_eq!(events, r#"{"app":{"data":{"a":1}}}"#);
    }

    #[test]
    fn the_original_is_kept_in_ecs_mode() {
        let read = |text: &str| decoded("json { ecs_compatibility => v8 }", Usage::Messages, &[text.as_bytes()]);
        assert_eq!(read(r#"{"a":1}"#), r#"{"a":1,"event":{"original":"{\"a\":1}"}}"#);
        assert_eq!(read(r#"{"event":{"original":"x"}}"#), r#"{"event":{"original":"x"}}"#);
        assert_eq!(read(r#"{"event":5}"#), r#"{"event":5}"#);
        assert_eq!(read(r#"[{"a":1},{"a":2}]"#), "{\"a\":1}\n{\"a\":2}");
    }

    #[test]
    fn an_event_is_written_as_an_object() {
        let mut event = Event::default();
        event.set_field("a".into(), 1.into());
        assert_eq!(encoded("json", &event), "{\"a\":1}");
    }
}
