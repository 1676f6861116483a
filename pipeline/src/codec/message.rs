//! Events of plain text, and plain text of events: what `line`, `plain` and `multiline` share.

use elkhound_config::options::Options;

use crate::event::Event;
use crate::map::Map;
use crate::print;
use crate::template::Template;
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// The tag of a piece of a line that was longer than the limit.
pub(super) const CUT: &str = "_linetoolong";

/// An event whose message is `text`; in ECS mode `[event][original]` is, too.
pub(super) fn event(text: Text, original: bool, now: Timestamp) -> Event {
    let mut fields = Map::with_capacity(6);
    fields.push("@timestamp".into(), Value::Timestamp(now));
    fields.push("@version".into(), "1".into());
    if original {
        let event: Map = [(Text::new("original"), Value::Text(text.clone()))].into_iter().collect();
        fields.push("event".into(), event.into());
    }
    fields.push("message".into(), Value::Text(text));
    Event::new(fields)
}

/// An event of bytes that could not be decoded: their text, and a tag.
pub(super) fn failure(text: Text, tag: &str, now: Timestamp) -> Event {
    let mut failed = event(text, false, now);
    failed.tag(tag);
    failed
}

/// The option `format`.
pub(super) fn format(options: &Options<'_>) -> Option<Template> {
    options.text("format").map(|format| Template::parse(&format))
}

/// Appends the event as `format` says; without one, its time, host and message, as Logstash's events print themselves.
pub(super) fn write(event: &Event, format: Option<&Template>, out: &mut Vec<u8>) {
    match format {
        Some(format) => match format.render(event) {
            Ok(text) => out.extend_from_slice(text.as_bytes()),
            // What can't be rendered stays as it is written: an output has no tag to tell by.
            Err(_) => out.extend_from_slice(format.as_str().as_bytes()),
        },
        None => write_default(event, out),
    }
}

fn write_default(event: &Event, out: &mut Vec<u8>) {
    if let Some(timestamp) = event.timestamp() {
        timestamp.write(out);
        out.push(b' ');
    }
    write_field(event, "host", out);
    out.push(b' ');
    write_field(event, "message", out);
}

fn write_field(event: &Event, name: &str, out: &mut Vec<u8>) {
    match event.field(name) {
        None | Some(Value::Null) => {
            out.extend_from_slice(b"%{");
            out.extend_from_slice(name.as_bytes());
            out.push(b'}');
        }
        Some(value) => out.extend_from_slice(print::java_text(value).as_bytes()),
    }
}
