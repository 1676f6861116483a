//! Plain text: each message is an event with its text as `message`. Writes the text of an event, and nothing between two events.
//!
//! Where bytes come as a stream (`tcp`, `stdin`), `plain` reads as `line` does, as in Logstash.
//!
//! ## Options
//!
//! - `charset` (default `UTF-8`): the encoding of what is read, by Ruby's name: `ISO-8859-1`, `Windows-1252`, `UTF-16LE`, `ASCII-8BIT`.
//! - `ecs_compatibility` (default: the pipeline's): unless `disabled`, `[event][original]` is the text, too.
//! - `format` (text with `%{}`): what is written of an event; without it, its time, host and message.
//!
//! ## Example
//!
//! ```text
//! input { udp { port => 5140 codec => plain { charset => "Windows-1252" } } }
//! ```
//!
//! ## On failure
//!
//! As with `line`: text that is no UTF-8 is shown as Ruby shows it, with `\xE9` for a byte.

use std::sync::Arc;

use elkhound_config::options::{OptionKind, Options};

use super::charset::{self, Charset};
use super::{Codec, Decoder, Kind, Usage, message, optional};
use crate::event::Event;
use crate::setup::Setup;
use crate::template::Template;
use crate::time::Timestamp;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "plain",
    options: &[charset::OPTION, super::ECS, optional("format", OptionKind::String, "", "what is written of an event")],
    reads: true,
    writes: true,
    docs: crate::docs::head(include_str!("plain.rs")),
    build,
};

fn build(options: &mut Options<'_>, setup: &Setup<'_>, _usage: Usage) -> Option<Arc<dyn Codec>> {
    let charset = Charset::read(options)?;
    let original = setup.ecs_of(options).is_enabled();
    Some(Arc::new(Plain { charset, original, format: message::format(options) }))
}

struct Plain {
    charset: Charset,
    original: bool,
    format: Option<Template>,
}

impl Codec for Plain {
    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(PlainDecoder { charset: self.charset, original: self.original })
    }

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        message::write(event, self.format.as_ref(), out);
    }
}

struct PlainDecoder {
    charset: Charset,
    original: bool,
}

impl Decoder for PlainDecoder {
    fn decode(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Event>) {
        out.push(message::event(self.charset.text(bytes), self.original, now));
    }

    fn flush(&mut self, _now: Timestamp, _out: &mut Vec<Event>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{decoded, encoded};

    #[test]
    fn a_message_is_an_event() {
        let events = decoded("plain", Usage::Messages, &[b"one\ntwo\n", b"caf\xe9"]);
        assert_eq!(events, "{\"message\":\"one\\ntwo\\n\"}\n{\"message\":\"caf\\\\xE9\"}");
    }

    #[test]
    fn nothing_is_written_between_events() {
        let mut event = Event::default();
        event.set_field("message".into(), "m".into());
        assert_eq!(encoded("plain { format => '<%{message}>' }", &event), "<m>");
    }
}
