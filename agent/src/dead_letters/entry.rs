//! One entry: a line of JSON with why, when and where an event was refused, and the event with its `@metadata`.
//!
//! ```text
//! {"time":"…","plugin":{"type":"elasticsearch","id":"…"},"action":"create","index":"…","document_id":"…","status":400,"error":"…","reason":"…","event":{…}}
//! ```
//!
//! Times in the event are texts there; `@timestamp` becomes a time again when it is read, other fields stay texts.

use elkhound_pipeline::event::{DocumentId, Event};
use elkhound_pipeline::json::{self, Numbers};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::text::Text;
use elkhound_pipeline::time::Timestamp;
use elkhound_pipeline::value::Value;

/// The field below `@metadata` that says why an event is in the queue, as in Logstash.
pub(crate) const FIELD: &str = "dead_letter_queue";

/// Why, when and by whom an event was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// When it was written down.
    pub(crate) time: Timestamp,
    /// The name of the output, or of the filter that panicked.
    pub(crate) plugin: String,
    /// Its `id`.
    pub(crate) plugin_id: String,
    /// What was asked for.
    pub(crate) action: String,
    /// Where the event was to go.
    pub(crate) index: String,
    /// The `_id` it was to have, which keeps it from being doubled when it is sent again.
    pub(crate) document_id: String,
    /// HTTP status; 0 when it was never sent.
    pub(crate) status: u16,
    /// Elasticsearch's name of the error.
    pub(crate) error: String,
    /// Elasticsearch's sentence.
    pub(crate) reason: String,
}

impl Refusal {
    /// The entry, with its line break. `event` is a JSON object, and so is `metadata` where there is any.
    pub(crate) fn entry(&self, event: &[u8], metadata: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(event.len() + metadata.len() + 300);
        out.extend_from_slice(b"{\"time\":\"");
        self.time.write(&mut out);
        out.extend_from_slice(b"\",\"plugin\":{\"type\":");
        json::write_text(&self.plugin, &mut out);
        out.extend_from_slice(b",\"id\":");
        json::write_text(&self.plugin_id, &mut out);
        out.push(b'}');
        let texts = [
            ("action", &self.action),
            ("index", &self.index),
            ("document_id", &self.document_id),
            ("error", &self.error),
            ("reason", &self.reason),
        ];
        for (name, text) in texts {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            json::write_text(text, &mut out);
        }
        out.extend_from_slice(format!(",\"status\":{},\"event\":", self.status).as_bytes());
        out.extend_from_slice(event.trim_ascii_end());
        if !metadata.is_empty() {
            out.pop();
            out.extend_from_slice(if out.ends_with(b"{") { b"\"@metadata\":" } else { b",\"@metadata\":" });
            out.extend_from_slice(metadata);
            out.push(b'}');
        }
        out.extend_from_slice(b"}\n");
        out
    }

    /// The entry of an event.
    pub(crate) fn entry_of(&self, event: &Event) -> Vec<u8> {
        let (mut fields, mut metadata) = (Vec::new(), Vec::new());
        json::write_event(event, &mut fields);
        if !event.metadata().is_empty() {
            json::write_map(event.metadata(), &mut metadata);
        }
        self.entry(&fields, &metadata)
    }

    /// Whether the error, its reason or the index has this text in it.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.error.contains(text) || self.reason.contains(text) || self.index.contains(text)
    }
}

/// An entry that was read.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Why it is here.
    pub(crate) refusal: Refusal,
    /// The event's fields, `@metadata` among them.
    pub(crate) fields: Map,
}

impl Entry {
    /// Reads a line; nothing when it is none of an entry, as the torn last line of a crash.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let text = Text::from(String::from_utf8(line.to_vec()).ok()?);
        let mut map = match json::parse_text(&text, Numbers::Doubles).ok()? {
            Value::Map(map) => *map,
            _ => return None,
        };
        let fields = match map.remove("event")? {
            Value::Map(fields) => *fields,
            _ => return None,
        };
        let text = |map: &Map, name: &str| match map.get(name) {
            Some(Value::Text(text)) => text.to_string(),
            _ => String::new(),
        };
        let time = Timestamp::parse(&text(&map, "time"))?;
        let plugin = map.get("plugin").and_then(Value::as_map);
        let of_plugin = |name: &str| plugin.map(|plugin| text(plugin, name)).unwrap_or_default();
        let status = match map.get("status") {
            Some(Value::Integer(status)) => u16::try_from(*status).unwrap_or_default(),
            _ => 0,
        };
        let refusal = Refusal {
            time,
            plugin: of_plugin("type"),
            plugin_id: of_plugin("id"),
            action: text(&map, "action"),
            index: text(&map, "index"),
            document_id: text(&map, "document_id"),
            status,
            error: text(&map, "error"),
            reason: text(&map, "reason"),
        };
        Some(Self { refusal, fields })
    }

    /// The event again, with the reason below `[@metadata][dead_letter_queue]` and the identity that it had.
    pub(crate) fn into_event(self) -> Event {
        let Self { refusal, mut fields } = self;
        let mut metadata = match fields.remove("@metadata") {
            Some(Value::Map(map)) => *map,
            _ => Map::new(),
        };
        metadata.insert(FIELD.into(), told(&refusal).into());
        fields.insert("@metadata".into(), metadata.into());
        let mut event = Event::from_fields(fields, refusal.time);
        let id = refusal.document_id.as_bytes();
        event.set_origin((!id.is_empty()).then(|| DocumentId::new(id)), None);
        event
    }
}

/// The fields by Logstash's names, and those that elkhound has beside them.
fn told(refusal: &Refusal) -> Map {
    let mut map = Map::new();
    map.push("entry_time".into(), Value::Timestamp(refusal.time));
    map.push("plugin_type".into(), Value::text(&refusal.plugin));
    map.push("plugin_id".into(), Value::text(&refusal.plugin_id));
    map.push("reason".into(), Value::text(&refusal.reason));
    map.push("error".into(), Value::text(&refusal.error));
    map.push("status".into(), i64::from(refusal.status).into());
    map.push("index".into(), Value::text(&refusal.index));
    map.push("action".into(), Value::text(&refusal.action));
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use elkhound_pipeline::path::Path;

    fn refusal() -> Refusal {
        Refusal {
            time: Timestamp::from_millis(1_800_000_000_123),
            plugin: "elasticsearch".into(),
            plugin_id: "out".into(),
            action: "create".into(),
            index: "logs".into(),
            document_id: "abc.1".into(),
            status: 400,
            error: "document_parsing_exception".into(),
            reason: "failed to parse field [n]: \"x\"\n".into(),
        }
    }

    #[test]
    fn an_entry_comes_back_as_it_went() {
        let line = refusal().entry(b"{\"n\":\"x\",\"@timestamp\":\"2026-01-15T08:30:00.000Z\"}\n", b"{\"k\":1}");
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let entry = Entry::parse(&line).unwrap();
        assert_eq!(entry.refusal, refusal());
        let event = entry.into_event();
        assert_eq!(event.id().map(|id| id.as_str().to_owned()).as_deref(), Some("abc.1"));
        assert_eq!(event.timestamp(), Timestamp::parse("2026-01-15T08:30:00.000Z"));
        let at = |path: &str| event.get(&Path::parse(path).unwrap()).cloned();
        assert_eq!(at("[@metadata][k]"), Some(1.into()));
        assert_eq!(at("[@metadata][dead_letter_queue][plugin_id]"), Some("out".into()));
        assert_eq!(at("[@metadata][dead_letter_queue][status]"), Some(400.into()));
        assert_eq!(at("[@metadata][dead_letter_queue][entry_time]"), Some(Value::Timestamp(refusal().time)));
    }

    #[test]
    fn an_event_without_fields_is_an_object_all_the_same() {
        let line = refusal().entry(b"{}", b"{\"k\":1}");
        assert!(Entry::parse(&line).unwrap().fields.contains("@metadata"));
        assert_eq!(Entry::parse(&refusal().entry(b"{}", b"")).unwrap().fields.len(), 0);
    }

    #[test]
    fn what_a_crash_has_torn_is_no_entry() {
        let line = refusal().entry(b"{\"n\":1}", b"");
        for end in 0..line.len() - 1 {
            assert!(Entry::parse(&line[..end]).is_none(), "cut at {end}");
        }
        assert!(Entry::parse(b"null\n").is_none() && Entry::parse(b"{\"event\":{}}").is_none());
    }
}
