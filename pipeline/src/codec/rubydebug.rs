//! Events for people: over several lines, names aligned, as Ruby shows them. It only writes.
//!
//! ## Options
//!
//! - `metadata` (default false): show `@metadata`, too.
//!
//! ## Example
//!
//! ```text
//! output { stdout { codec => rubydebug { metadata => true } } }
//! ```
//!
//! ## Differences from Logstash
//!
//! Fields stand in the order in which they were set. On a terminal there are colours, as there are with Logstash; `NO_COLOR` turns them off.

use std::io::Write;
use std::sync::Arc;

use elkhound_config::options::{OptionKind, Options};

use super::{Codec, Deaf, Decoder, Kind, Usage, optional};
use crate::event::Event;
use crate::print;
use crate::setup::Setup;
use crate::text::Text;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "rubydebug",
    options: &[optional("metadata", OptionKind::Boolean, "false", "show @metadata, too")],
    reads: false,
    writes: true,
    docs: crate::docs::head(include_str!("rubydebug.rs")),
    build,
};

fn build(options: &mut Options<'_>, _setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    let colour = if usage == Usage::Terminal { Colour::SOME } else { Colour::NONE };
    Some(Arc::new(Rubydebug { metadata: options.boolean("metadata", false), colour }))
}

struct Rubydebug {
    metadata: bool,
    colour: Colour,
}

/// The colours of names, texts and everything else; empty when nobody looks.
#[derive(Clone, Copy, Debug)]
struct Colour {
    name: &'static str,
    text: &'static str,
    other: &'static str,
    reset: &'static str,
}

impl Colour {
    const NONE: Self = Self { name: "", text: "", other: "", reset: "" };
    const SOME: Self = Self { name: "\x1b[36m", text: "\x1b[32m", other: "\x1b[33m", reset: "\x1b[0m" };
}

impl Codec for Rubydebug {
    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Deaf)
    }

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let mut entries: Vec<(&Text, &Value)> = event.fields().collect();
        let metadata = self.metadata.then(|| (Text::new("@metadata"), Value::from(event.metadata().clone())));
        if let Some((name, value)) = &metadata {
            entries.push((name, value));
        }
        write_map(&entries, 0, self.colour, out);
        out.push(b'\n');
    }
}

fn write_map(entries: &[(&Text, &Value)], indent: usize, colour: Colour, out: &mut Vec<u8>) {
    if entries.is_empty() {
        out.extend_from_slice(b"{}");
        return;
    }
    let widest = entries.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    out.extend_from_slice(b"{\n");
    for (at, (name, value)) in entries.iter().enumerate() {
        let pad = indent + 4 + widest - name.chars().count();
        let _infallible = write!(out, "{:pad$}{}\"{name}\"{} => ", "", colour.name, colour.reset);
        write_value(value, indent + 4, colour, out);
        out.extend_from_slice(if at + 1 < entries.len() { b",\n" } else { b"\n" });
    }
    let _infallible = write!(out, "{:indent$}}}", "");
}

fn write_value(value: &Value, indent: usize, colour: Colour, out: &mut Vec<u8>) {
    match value {
        Value::Map(map) => write_map(&map.iter().collect::<Vec<_>>(), indent, colour, out),
        Value::List(list) if !list.is_empty() => write_list(list, indent, colour, out),
        Value::Text(_) => coloured(value, colour.text, colour.reset, out),
        _ => coloured(value, colour.other, colour.reset, out),
    }
}

fn write_list(list: &[Value], indent: usize, colour: Colour, out: &mut Vec<u8>) {
    out.extend_from_slice(b"[\n");
    for (at, value) in list.iter().enumerate() {
        let _infallible = write!(out, "{:width$}[{at}] ", "", width = indent + 4);
        write_value(value, indent + 4, colour, out);
        out.extend_from_slice(if at + 1 < list.len() { b",\n" } else { b"\n" });
    }
    let _infallible = write!(out, "{:indent$}]", "");
}

fn coloured(value: &Value, start: &str, reset: &str, out: &mut Vec<u8>) {
    let mut text = String::new();
    print::ruby_inspect(value, &mut text);
    let _infallible = write!(out, "{start}{text}{reset}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{codec, encoded};
    use crate::map::Map;
    use crate::path::Path;
    use crate::time::Timestamp;

    fn event() -> Event {
        let mut inner = Map::new();
        inner.insert("id".into(), 1.into());
        let mut event = Event::default();
        event.set_field("message".into(), "say \"hello\"\t#{x}".into());
        event.set_field("@timestamp".into(), Timestamp::default().into());
        event.set_field("log".into(), inner.into());
        event.set_field("tags".into(), Value::list(vec!["a".into()]));
        event.set_field("none".into(), Value::Null);
        event
    }

    #[test]
    fn names_are_aligned() {
        let expected = r#"{
       "message" => "say \"hello\"\t\#{x}",
    "@timestamp" => 1970-01-01T00:00:00.000Z,
           "log" => {
        "id" => 1
    },
          "tags" => [
        [0] "a"
    ],
          "none" => nil
}
"#;
        assert_eq!(encoded("rubydebug", &event()), expected);
    }

    #[test]
    fn metadata_is_shown_when_asked_for() {
        let mut event = Event::default();
        event.set(&Path::parse("[@metadata][a]").unwrap(), 1.into()).unwrap();
        assert_eq!(encoded("rubydebug", &event), "{}\n");
        let expected = "{\n    \"@metadata\" => {\n        \"a\" => 1\n    }\n}\n";
        assert_eq!(encoded("rubydebug { metadata => true }", &event), expected);
    }

    #[test]
    fn a_terminal_gets_colours() {
        let mut out = Vec::new();
        codec("rubydebug", Usage::Terminal).encode(&event(), &mut out);
        assert!(String::from_utf8(out).unwrap().contains("\u{1b}[36m\"log\"\u{1b}[0m => {"));
    }
}
