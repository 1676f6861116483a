//! MessagePack: each map is an event. Writes an event as a map, its `@timestamp` as text.
//!
//! ## Options
//!
//! - `format` (text with `%{}`): the `message` of an event that is read and has none.
//! - `target` (field reference): the field that gets the map; without it, the event.
//! - `ecs_compatibility` (default: the pipeline's): accepted, makes no difference.
//!
//! ## Example
//!
//! ```text
//! input { udp { port => 5140 codec => msgpack } }
//! ```
//!
//! ## On failure
//!
//! What is no map is an event with its bytes as `message`, what of them is no text shown as `\xC1`, and the tag `_msgpackparsefailure`. In a
//! stream that holds for everything that was read so far, for nobody can tell where the next map begins.
//!
//! ## Differences from Logstash
//!
//! In a stream a map may come in several reads, and several maps in one. It may take 16 MiB and be nested 100 deep.

use std::sync::Arc;

use elkhound_config::options::{OptionKind, Options};

use super::charset::Charset;
use super::{Codec, Decoder, Kind, Usage, message, objects, optional};
use crate::event::Event;
use crate::path::Path;
use crate::setup::Setup;
use crate::template::Template;
use crate::time::Timestamp;
use crate::value::Value;

mod read;
mod write;

use read::Trouble;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "msgpack",
    options: &[
        super::ECS,
        optional("format", OptionKind::String, "", "the message of an event that has none"),
        objects::TARGET,
    ],
    reads: true,
    writes: true,
    docs: crate::docs::head(include_str!("msgpack.rs")),
    build,
};

/// The most bytes of one map.
const LIMIT: usize = 16 << 20;

const FAILED: &str = "_msgpackparsefailure";

fn build(options: &mut Options<'_>, _setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    let target = objects::target(options)?;
    Some(Arc::new(Msgpack { format: message::format(options), target, messages: usage == Usage::Messages }))
}

#[derive(Clone)]
struct Msgpack {
    format: Option<Template>,
    target: Option<Path>,
    messages: bool,
}

impl Codec for Msgpack {
    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(MsgpackDecoder { settings: self.clone(), kept: Vec::new() })
    }

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        write::event(event, out);
    }
}

struct MsgpackDecoder {
    settings: Msgpack,
    kept: Vec<u8>,
}

impl Decoder for MsgpackDecoder {
    fn decode(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Event>) {
        self.kept.extend_from_slice(bytes);
        let mut start = 0;
        while start < self.kept.len() {
            match read::value(&self.kept[start..]) {
                Ok((Value::Map(map), length)) => {
                    let mut event = objects::placed(*map, self.settings.target.as_ref(), now);
                    self.settings.fill(&mut event);
                    out.push(event);
                    start += length;
                }
                Err(Trouble::Unfinished) if self.kept.len() - start <= LIMIT && !self.settings.messages => break,
                _ => {
                    out.push(failure(&self.kept[start..], now));
                    start = self.kept.len();
                }
            }
        }
        self.kept.drain(..start);
    }

    fn flush(&mut self, now: Timestamp, out: &mut Vec<Event>) {
        if !self.kept.is_empty() {
            out.push(failure(&std::mem::take(&mut self.kept), now));
        }
    }

    fn pending(&self) -> usize {
        self.kept.len()
    }
}

impl Msgpack {
    fn fill(&self, event: &mut Event) {
        if let Some(format) = &self.format
            && event.field("message").is_none_or(Value::is_null)
            && let Ok(text) = format.render(event)
        {
            event.set_field("message".into(), text.into());
        }
    }
}

fn failure(bytes: &[u8], now: Timestamp) -> Event {
    message::failure(Charset::default().text(bytes), FAILED, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{codec, decoded};

    /// `{"a":1,"b":[true,null,-3,1.5,"x"]}`
    const MAP: &[u8] = b"\x82\xa1a\x01\xa1b\x95\xc3\xc0\xfd\xcb\x3f\xf8\0\0\0\0\0\0\xa1x";

    #[test]
    fn a_map_is_an_event_however_it_comes() {
        let expected = r#"{"a":1,"b":[true,null,-3,1.5,"x"]}"#;
        assert_eq!(decoded("msgpack", Usage::Messages, &[MAP]), expected);
        let bytes: Vec<&[u8]> = MAP.chunks(1).collect();
        assert_eq!(decoded("msgpack", Usage::Stream, &bytes), expected);
        let two = [MAP, MAP].concat();
        assert_eq!(decoded("msgpack", Usage::Stream, &[&two]), format!("{expected}\n{expected}"));
    }

    #[test]
    fn a_message_is_made_of_the_format() {
        let read = decoded("msgpack { format => 'a is %{a}' }", Usage::Messages, &[b"\x81\xa1a\x01"]);
        assert_eq!(read, r#"{"a":1,"message":"a is 1"}"#);
    }

    #[test]
    fn what_is_no_map_keeps_its_bytes() {
        for bytes in [b"\xc1x".as_slice(), b"\x05", b"\x81\xa1a"] {
            let events = decoded("msgpack", Usage::Messages, &[bytes]);
            assert!(events.ends_with("\"tags\":[\"_msgpackparsefailure\"]}"), "{events}");
        }
        let events = decoded("msgpack", Usage::Stream, &[b"\x81\xa1a"]);
        assert_eq!(events, r#"{"message":"\\x81\\xA1a","tags":["_msgpackparsefailure"]}"#);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut events = Vec::new();
        codec("msgpack", Usage::Messages).decoder().decode(MAP, Timestamp::from_nanos(5_000_000), &mut events);
        let mut out = Vec::new();
        codec("msgpack", Usage::Write).encode(&events[0], &mut out);
        assert_eq!(decoded("msgpack", Usage::Messages, &[&out]), r#"{"a":1,"b":[true,null,-3,1.5,"x"]}"#);
    }
}
