//! JSON, one object on each line; a line with a list of objects is an event for each. Writes an object and a line feed for each event.
//!
//! ## Options
//!
//! - `charset` (default `UTF-8`): the encoding of what is read, by Ruby's name.
//! - `decode_size_limit_bytes` (number, default 16777216): a longer line comes in pieces, each an event with its text as `message` and the
//!   tags `_jsonparsefailure` and `_linetoolong`.
//! - `delimiter` (text, default a line feed): what stands between two objects.
//! - `ecs_compatibility` (default: the pipeline's): accepted, makes no difference.
//! - `target` (field reference): the field that gets the object; without it, the event.
//!
//! ## Example
//!
//! ```text
//! input { stdin { codec => json_lines } }
//! output { stdout { codec => json_lines } }
//! ```
//!
//! ## On failure
//!
//! A line that is neither an object nor a list of objects is an event with the line as `message` and the tag `_jsonparsefailure`. Blank lines
//! are no events. An `@timestamp` that is none goes to `_@timestamp`, with the tag `_timestampparsefailure`.
//!
//! ## Differences from Logstash
//!
//! Logstash has no limit on a line's length unless one is set, and then tags the line.

use std::sync::Arc;

use elkhound_config::options::{OptionKind, Options};

use super::charset::{self, Charset};
use super::lines::{ByLine, EachLine, Lines};
use super::{Codec, Decoder, Kind, Usage, line, message, objects, optional};
use crate::event::Event;
use crate::json;
use crate::path::Path;
use crate::setup::Setup;
use crate::text::Text;
use crate::time::Timestamp;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "json_lines",
    options: &[
        charset::OPTION,
        optional("decode_size_limit_bytes", OptionKind::Number, "16777216", "the longest line"),
        line::DELIMITER,
        super::ECS,
        objects::TARGET,
    ],
    reads: true,
    writes: true,
    docs: crate::docs::head(include_str!("json_lines.rs")),
    build,
};

/// What `json` is in a stream.
pub(super) const OF_JSON: Kind = Kind { name: "json", options: super::json::KIND.options, build: of_json, ..KIND };

/// The longest line, unless the codec says otherwise.
const LIMIT: i64 = 16 << 20;

fn build(options: &mut Options<'_>, _setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    let limit = line::limit(options, LIMIT)?;
    make(options, options.text_or("delimiter", "\n"), limit, usage)
}

fn of_json(options: &mut Options<'_>, _setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    make(options, "\n".into(), LIMIT as usize, usage)
}

fn make(options: &mut Options<'_>, delimiter: String, limit: usize, usage: Usage) -> Option<Arc<dyn Codec>> {
    let charset = Charset::read(options)?;
    let target = objects::target(options)?;
    Some(Arc::new(JsonLines { delimiter, charset, limit, target, messages: usage == Usage::Messages }))
}

struct JsonLines {
    delimiter: String,
    charset: Charset,
    limit: usize,
    target: Option<Path>,
    messages: bool,
}

impl Codec for JsonLines {
    fn decoder(&self) -> Box<dyn Decoder> {
        let lines = Lines::new(&self.delimiter, self.charset, self.limit);
        Box::new(ByLine::new(lines, self.charset, self.messages, Objects { target: self.target.clone() }))
    }

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        json::write_event(event, out);
        out.extend_from_slice(self.delimiter.as_bytes());
    }
}

/// Makes events of a line's JSON.
struct Objects {
    target: Option<Path>,
}

impl EachLine for Objects {
    fn line(&mut self, text: Text, cut: bool, now: Timestamp, out: &mut Vec<Event>) {
        if cut {
            let mut event = message::failure(text, objects::FAILED, now);
            event.tag(message::CUT);
            out.push(event);
        } else {
            objects::decode(&text, self.target.as_ref(), false, now, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{decoded, encoded};

    #[test]
    fn a_line_is_an_object_or_keeps_its_text() {
        let events = decoded("json_lines", Usage::Stream, &[b"{\"a\":1}\n\n  \nbro", b"ken\n[{\"b\":2},{\"b\":3}]"]);
        let expected = "{\"a\":1}\n{\"message\":\"broken\",\"tags\":[\"_jsonparsefailure\"]}\n{\"b\":2}\n{\"b\":3}";
        assert_eq!(events, expected);
    }

    #[test]
    fn json_in_a_stream_is_json_lines() {
        let events = decoded("json { target => 'd' }", Usage::Stream, &[b"{\"a\":", b"1}\n{\"a\":2}\n"]);
        assert_eq!(events, "{\"d\":{\"a\":1}}\n{\"d\":{\"a\":2}}");
    }

    #[test]
    fn a_line_that_is_too_long_is_never_taken_for_json() {
        let events = decoded("json_lines { decode_size_limit_bytes => 8 }", Usage::Stream, &[b"12345678{}\n{}\n"]);
        let tags = "\"tags\":[\"_jsonparsefailure\",\"_linetoolong\"]";
        assert_eq!(events, format!("{{\"message\":\"12345678\",{tags}}}\n{{\"message\":\"{{}}\",{tags}}}\n{{}}"));
    }

    #[test]
    fn an_event_is_written_as_a_line() {
        assert_eq!(encoded("json_lines { delimiter => ';' }", &Event::default()), "{};");
    }
}
