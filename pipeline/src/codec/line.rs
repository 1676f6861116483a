//! Lines of text: each line is an event with the line as its `message`. Writes a line for each event.
//!
//! A carriage return before the end of a line stays in the message, as in Logstash; empty lines are events, too.
//!
//! ## Options
//!
//! - `charset` (default `UTF-8`): the encoding of what is read, by Ruby's name: `ISO-8859-1`, `Windows-1252`, `UTF-16LE`, `ASCII-8BIT`.
//! - `decode_size_limit_bytes` (number, default 1048576): a longer line comes as several events, each with the tag `_linetoolong`.
//! - `delimiter` (text, default a line feed): what stands between two lines.
//! - `ecs_compatibility` (default: the pipeline's): unless `disabled`, `[event][original]` is the line, too.
//! - `format` (text with `%{}`): what is written of an event; without it, its time, host and message.
//!
//! ## Example
//!
//! ```text
//! input { stdin { codec => line { charset => "ISO-8859-1" } } }
//! output { stdout { codec => line { format => "%{[host][name]}: %{message}" } } }
//! ```
//!
//! ## On failure
//!
//! A line that is no UTF-8, though it should be, is shown as Ruby shows it: quotes and backslashes with a backslash before them, `\xE9` for
//! each byte that is none. In other encodings such bytes become U+FFFD.
//!
//! ## Differences from Logstash
//!
//! Logstash has no limit on a line's length. In UTF-16 and UTF-32 elkhound finds the ends of lines; Logstash cuts characters in two.

use std::sync::Arc;

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::charset::{self, Charset};
use super::lines::{ByLine, EachLine, Lines};
use super::{Codec, Decoder, Kind, Usage, message, optional};
use crate::event::Event;
use crate::setup::Setup;
use crate::template::Template;
use crate::text::Text;
use crate::time::Timestamp;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "line",
    options: &[
        charset::OPTION,
        optional("decode_size_limit_bytes", OptionKind::Number, "1048576", "the longest line"),
        DELIMITER,
        super::ECS,
        optional("format", OptionKind::String, "", "what is written of an event"),
    ],
    reads: true,
    writes: true,
    docs: crate::docs::head(include_str!("line.rs")),
    build,
};

/// What `plain` is in a stream.
pub(super) const OF_PLAIN: Kind = Kind { name: "plain", options: super::plain::KIND.options, build: of_plain, ..KIND };

/// The row of the option `delimiter`.
pub(super) const DELIMITER: OptionSpec =
    optional("delimiter", OptionKind::String, "\\n", "what stands between two lines");

/// The longest line, unless the codec says otherwise.
const LIMIT: i64 = 1 << 20;

fn build(options: &mut Options<'_>, setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    let limit = limit(options, LIMIT)?;
    make(options, options.text_or("delimiter", "\n"), limit, setup, usage)
}

fn of_plain(options: &mut Options<'_>, setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    make(options, "\n".into(), LIMIT as usize, setup, usage)
}

/// The most that a decoder may be told to keep.
const MOST: i64 = 1 << 30;

/// Reads the option `decode_size_limit_bytes`.
pub(super) fn limit(options: &mut Options<'_>, default: i64) -> Option<usize> {
    let limit = options.integer("decode_size_limit_bytes", default);
    if !(1..=MOST).contains(&limit) {
        let message = format!("decode_size_limit_bytes can't be {limit}");
        options.fail("decode_size_limit_bytes", &message, "use a number of bytes between 1 and 1073741824");
        return None;
    }
    usize::try_from(limit).ok()
}

fn make(
    options: &mut Options<'_>,
    delimiter: String,
    limit: usize,
    setup: &Setup<'_>,
    usage: Usage,
) -> Option<Arc<dyn Codec>> {
    let charset = Charset::read(options)?;
    let original = setup.ecs_of(options).is_enabled();
    let format = message::format(options);
    Some(Arc::new(Line { delimiter, charset, limit, original, format, messages: usage == Usage::Messages }))
}

struct Line {
    delimiter: String,
    charset: Charset,
    limit: usize,
    original: bool,
    format: Option<Template>,
    messages: bool,
}

impl Codec for Line {
    fn decoder(&self) -> Box<dyn Decoder> {
        let lines = Lines::new(&self.delimiter, self.charset, self.limit);
        Box::new(ByLine::new(lines, self.charset, self.messages, Message { original: self.original }))
    }

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        message::write(event, self.format.as_ref(), out);
        out.extend_from_slice(self.delimiter.as_bytes());
    }
}

/// Makes an event of a line.
struct Message {
    original: bool,
}

impl EachLine for Message {
    fn line(&mut self, text: Text, cut: bool, now: Timestamp, out: &mut Vec<Event>) {
        let mut event = message::event(text, self.original, now);
        if cut {
            event.tag(message::CUT);
        }
        out.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{decoded, encoded, mistakes};
    use crate::map::Map;

    #[test]
    fn a_line_is_an_event() {
        let events = decoded("line", Usage::Stream, &[b"one\r\n\ntw", b"o\nlast"]);
        let expected = "{\"message\":\"one\\r\"}\n{\"message\":\"\"}\n{\"message\":\"two\"}\n{\"message\":\"last\"}";
        assert_eq!(events, expected);
        assert_eq!(decoded("line", Usage::Stream, &[b""]), "");
    }

    #[test]
    fn the_end_of_a_message_ends_a_line() {
        let events = decoded("line { delimiter => ';' }", Usage::Messages, &[b"one;two", b"three;"]);
        assert_eq!(events, "{\"message\":\"one\"}\n{\"message\":\"two\"}\n{\"message\":\"three\"}");
    }

    #[test]
    fn the_original_is_kept_in_ecs_mode() {
        let events = decoded("line { ecs_compatibility => v8 }", Usage::Stream, &[b"a\n"]);
        assert_eq!(events, r#"{"event":{"original":"a"},"message":"a"}"#);
        let plain = decoded("plain { ecs_compatibility => v1 charset => 'ISO-8859-1' }", Usage::Stream, &[b"\xe9\nb"]);
        let expected =
            "{\"event\":{\"original\":\"é\"},\"message\":\"é\"}\n{\"event\":{\"original\":\"b\"},\"message\":\"b\"}";
        assert_eq!(plain, expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_tagged() {
        let events = decoded("line { decode_size_limit_bytes => 4 }", Usage::Stream, &[b"12345\nab\n"]);
        let expected = "{\"message\":\"1234\",\"tags\":[\"_linetoolong\"]}\n{\"message\":\"5\",\"tags\":[\"_linetoolong\"]}\n{\"message\":\"ab\"}";
        assert_eq!(events, expected);
        assert_eq!(mistakes("line { decode_size_limit_bytes => 0 }", Usage::Stream).len(), 1);
    }

    #[test]
    fn an_event_is_written_as_it_prints_itself_or_as_the_format_says() {
        let host: Map = [("name".into(), "h".into())].into_iter().collect();
        let fields = [("message", "m".into()), ("host", host.into()), ("@timestamp", Timestamp::default().into())];
        let event = Event::new(fields.into_iter().map(|(name, value)| (name.into(), value)).collect());
        assert_eq!(encoded("line", &event), "1970-01-01T00:00:00.000Z {name=h} m\n");
        assert_eq!(encoded("line { format => '%{[host][name]}: %{x}' delimiter => ';' }", &event), "h: %{x};");
        assert_eq!(encoded("line", &Event::default()), "%{host} %{message}\n");
    }
}
