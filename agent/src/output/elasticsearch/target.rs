//! Where documents go: an index that the pipeline file names, or a data stream.
//!
//! Logstash decides for a data stream by itself (`data_stream => auto`) where nothing in the settings speaks against it; a file that
//! names no index at all writes to `logs-generic-default` there, and so it does here.

use elkhound_config::options::Options;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::json;
use elkhound_pipeline::map::Map;
use elkhound_pipeline::setup::Ecs;
use elkhound_pipeline::template::{BrokenTemplate, Template};
use elkhound_pipeline::text::Text;
use elkhound_pipeline::value::Value;

/// Where documents go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// An index, with references.
    Index(Template),
    /// A data stream.
    DataStream(DataStream),
}

/// A data stream's name in its three parts, and what an event has to say about it.
#[derive(Clone, Debug)]
pub(crate) struct DataStream {
    parts: [Text; 3],
    name: Text,
    /// Whether the event's own `[data_stream]` fields choose the stream.
    routing: bool,
    /// What is put at the end of a document that has no `data_stream` field, if it is to have one.
    synced: Option<Vec<u8>>,
}

/// The parts of a data stream's name, as fields below `[data_stream]`.
const PARTS: [&str; 3] = ["type", "dataset", "namespace"];

/// Settings that go with a data stream; any other speaks for an index. Those of the connection are listed by [`super::options`].
const OWN: [&str; 4] = ["routing", "pipeline", "ecs_compatibility", "document_id"];

impl Target {
    /// Reads the options; what contradicts itself is reported through the cursor.
    pub(crate) fn read(options: &mut Options<'_>, ecs: Ecs, of_connection: impl Fn(&str) -> bool) -> Option<Self> {
        let others: Vec<String> = settings_for_an_index(options, of_connection);
        let wanted = options.text_or("data_stream", "auto");
        let stream = match wanted.as_str() {
            "true" => true,
            "false" => false,
            _ => ecs.is_enabled() && others.is_empty(),
        };
        if !stream {
            warn_of_name(options);
            return no_stream_settings(options).then(|| Self::Index(index(options, ecs)));
        }
        if let Some(name) = others.first() {
            let message = format!("`{name}` does not go with `data_stream => true`");
            options.fail(name, &message, "take it out, or set `data_stream => false`");
            return None;
        }
        if !ecs.is_enabled() {
            let message = "a data stream needs events in ECS form, and `ecs_compatibility` is disabled";
            options.fail("data_stream", message, "set `ecs_compatibility => v8`, or `data_stream => false`");
            return None;
        }
        DataStream::read(options).map(Self::DataStream)
    }

    /// The name of the index, with references; one reference where events name their stream themselves.
    pub(crate) fn written(&self) -> &str {
        match self {
            Self::Index(template) => template.as_str(),
            Self::DataStream(DataStream { routing: true, .. }) => "%{data_stream}",
            Self::DataStream(stream) => &stream.name,
        }
    }

    /// Appends the name of the event's index to an action line, as JSON.
    pub(crate) fn write_name(&self, event: &Event, out: &mut Vec<u8>) -> Result<(), BrokenTemplate> {
        match self {
            Self::Index(template) => json::write_text(&template.render(event)?, out),
            Self::DataStream(stream) => json::write_text(&stream.name_for(event), out),
        }
        Ok(())
    }

    /// Appends the document, with the fields that its data stream is to have.
    pub(crate) fn write_document(&self, event: &Event, out: &mut Vec<u8>) {
        match self {
            Self::DataStream(DataStream { synced: Some(synced), .. }) if event.field("data_stream").is_none() => {
                json::write_event(event, out);
                out.pop();
                out.extend_from_slice(if out.ends_with(b"{") { &synced[1..] } else { synced });
            }
            Self::DataStream(stream) if stream.synced.is_some() => json::write_event(&stream.sync(event), out),
            _ => json::write_event(event, out),
        }
    }
}

/// The settings that only an index has, in the order of the file.
fn settings_for_an_index(options: &Options<'_>, of_connection: impl Fn(&str) -> bool) -> Vec<String> {
    let goes_along = |name: &str| {
        name.starts_with("data_stream")
            || OWN.contains(&name)
            || of_connection(name)
            || name == "manage_template" && options.text("manage_template").as_deref() == Some("false")
            || name == "action" && options.text("action").as_deref() == Some("create")
    };
    options.plugin().settings.iter().map(|setting| setting.name.clone()).filter(|name| !goes_along(name)).collect()
}

/// Whether no `data_stream_…` setting is left over when there is no stream; each is reported.
fn no_stream_settings(options: &mut Options<'_>) -> bool {
    let left: Vec<String> = options
        .plugin()
        .settings
        .iter()
        .map(|setting| setting.name.clone())
        .filter(|name| name.starts_with("data_stream_"))
        .collect();
    for name in &left {
        let message = format!("`{name}` has no meaning here, for the events go to an index");
        options.fail(name, &message, "set `data_stream => true`, or take it out");
    }
    left.is_empty()
}

/// Elasticsearch refuses every document for such an index. What events put in may be as wrong, but that is not known yet.
fn warn_of_name(options: &mut Options<'_>) {
    let Some(name) = options.text("index") else { return };
    // A name with date math stands in brackets, `<logs-{now/d}>`.
    if name.starts_with('<') {
        return;
    }
    let fixed = Template::parse(&name).fixed();
    let message = if fixed.chars().any(char::is_uppercase) {
        format!("`{name}` has capital letters, which Elasticsearch does not take in the name of an index")
    } else if let Some(other) = fixed
        .chars()
        .find(|c| c.is_whitespace() || matches!(c, '\\' | '/' | '*' | '?' | '"' | '<' | '>' | '|' | ',' | '#'))
    {
        format!("`{name}` has a `{other}`, which Elasticsearch does not take in the name of an index")
    } else if name.starts_with(['_', '-', '+']) {
        format!("`{name}` begins with what Elasticsearch does not take at the beginning of an index's name")
    } else {
        return;
    };
    options.warn("index", &message, "write small letters, digits, `-`, `_` and `.`");
}

/// The index of the settings, else Logstash's.
fn index(options: &Options<'_>, ecs: Ecs) -> Template {
    let default = if ecs.is_enabled() { "ecs-logstash-%{+YYYY.MM.dd}" } else { "logstash-%{+YYYY.MM.dd}" };
    Template::parse(&options.text_or("index", default))
}

impl DataStream {
    fn read(options: &mut Options<'_>) -> Option<Self> {
        let part = |options: &mut Options<'_>, name: &str, default: &str| {
            let text = options.text_or(name, default);
            if let Some(why) = wrong_part(&text) {
                options.fail(
                    name,
                    &format!("`{text}` {why}"),
                    "name it with small letters, digits, dots and underscores",
                );
                return None;
            }
            Some(Text::new(&text))
        };
        let parts = [
            part(options, "data_stream_type", "logs")?,
            part(options, "data_stream_dataset", "generic")?,
            part(options, "data_stream_namespace", "default")?,
        ];
        let routing = options.boolean("data_stream_auto_routing", true);
        Some(Self::new(parts, routing, options.boolean("data_stream_sync_fields", true)))
    }

    fn new(parts: [Text; 3], routing: bool, sync: bool) -> Self {
        let fields: Map =
            PARTS.iter().zip(&parts).map(|(name, part)| (Text::new(name), Value::Text(part.clone()))).collect();
        let synced = sync.then(|| {
            let mut bytes = b",\"data_stream\":".to_vec();
            json::write_map(&fields, &mut bytes);
            bytes.push(b'}');
            bytes
        });
        Self { name: joined(&parts), parts, routing, synced }
    }

    /// The stream of events that name none.
    pub(super) fn own_name(&self) -> &str {
        &self.name
    }

    /// The stream that the event goes to.
    fn name_for(&self, event: &Event) -> Text {
        match event.field("data_stream") {
            Some(Value::Map(own)) if self.routing => joined(&self.merged(own)),
            _ => self.name.clone(),
        }
    }

    /// The parts, with those that the event names itself.
    fn merged(&self, own: &Map) -> [Text; 3] {
        let mut parts = self.parts.clone();
        for (part, name) in parts.iter_mut().zip(PARTS) {
            if let Some(Value::Text(text)) = own.get(name) {
                part.clone_from(text);
            }
        }
        parts
    }

    /// The event with `[data_stream]` fields that agree with the stream it goes to.
    fn sync(&self, event: &Event) -> Event {
        let mut fields = match event.field("data_stream") {
            Some(Value::Map(own)) => (**own).clone(),
            _ => Map::default(),
        };
        let parts = if self.routing { self.merged(&fields) } else { self.parts.clone() };
        for (name, part) in PARTS.into_iter().zip(parts) {
            fields.insert(Text::new(name), Value::Text(part));
        }
        // The copy is only written; the id was written already.
        let mut event = event.duplicate(0);
        event.set_field("data_stream".into(), fields.into());
        event
    }
}

fn joined(parts: &[Text; 3]) -> Text {
    Text::from(format!("{}-{}-{}", parts[0], parts[1], parts[2]))
}

/// Why a part of a data stream's name can't be one. Source: Elasticsearch's "Data stream naming scheme".
fn wrong_part(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > 100 {
        return Some("is longer than 100 bytes");
    }
    text.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':'])
        .then_some("has a character that a data stream's name can't have")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(routing: bool, sync: bool) -> Target {
        Target::DataStream(DataStream::new(["logs".into(), "web".into(), "prod".into()], routing, sync))
    }

    fn event(data_stream: Option<&str>) -> Event {
        let mut event = Event::default();
        event.set_field("message".into(), "m".into());
        if let Some(text) = data_stream {
            let value = json::parse_text(&text.into(), json::Numbers::Doubles).unwrap();
            event.set_field("data_stream".into(), value);
        }
        event
    }

    fn written(target: &Target, event: &Event) -> String {
        let mut out = Vec::new();
        target.write_name(event, &mut out).unwrap();
        out.push(b' ');
        target.write_document(event, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_document_says_which_stream_it_is_in() {
        let own = r#"{"dataset":"db"}"#;
        for (routing, sync, data_stream, expected) in [
            (
                true,
                true,
                None,
                r#""logs-web-prod" {"message":"m","data_stream":{"type":"logs","dataset":"web","namespace":"prod"}}"#,
            ),
            (true, false, None, r#""logs-web-prod" {"message":"m"}"#),
            (
                true,
                true,
                Some(own),
                r#""logs-db-prod" {"message":"m","data_stream":{"dataset":"db","type":"logs","namespace":"prod"}}"#,
            ),
            (true, false, Some(own), r#""logs-db-prod" {"message":"m","data_stream":{"dataset":"db"}}"#),
            (
                false,
                true,
                Some(own),
                r#""logs-web-prod" {"message":"m","data_stream":{"dataset":"web","type":"logs","namespace":"prod"}}"#,
            ),
            (
                true,
                true,
                Some("5"),
                r#""logs-web-prod" {"message":"m","data_stream":{"type":"logs","dataset":"web","namespace":"prod"}}"#,
            ),
        ] {
            assert_eq!(
                written(&stream(routing, sync), &event(data_stream)),
                expected,
                "{routing} {sync} {data_stream:?}"
            );
        }
    }

    #[test]
    fn an_event_without_fields_gets_those_of_its_stream() {
        let expected = r#""logs-web-prod" {"data_stream":{"type":"logs","dataset":"web","namespace":"prod"}}"#;
        assert_eq!(written(&stream(true, true), &Event::default()), expected);
    }

    #[test]
    fn parts_that_no_name_can_have() {
        for (text, right) in
            [("web.access_1", true), ("", false), ("a b", false), ("a:b", false), (&"x".repeat(101), false)]
        {
            assert_eq!(wrong_part(text).is_none(), right, "{text}");
        }
    }
}
