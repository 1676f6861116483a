//! Events to the body of a `_bulk` request: an action line and a document line for each event.
//!
//! Source of the format: Elasticsearch's "Bulk API" reference. The body is written straight from the events into the buffer that
//! is sent; each item's range is kept, so that what must be sent again is copied and not encoded again.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::json;
use elkhound_pipeline::template::{BrokenTemplate, Template};
use elkhound_pipeline::text::Text;

use super::action::{Action, Choice, Unencodable, Update};
use super::attached::{Aside, Attached};
use super::target::Target;

/// A request body in the making, or one that waits to be sent.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// The lines so far.
    pub(crate) bytes: Vec<u8>,
    /// Where each item's two lines stand.
    pub(crate) items: Vec<Range<u32>>,
    /// What goes with each item and is not sent.
    pub(crate) attached: Vec<Attached>,
}

/// Options that stand in an action line, with what stands before their values there.
pub(crate) const MORE: [(&str, &[u8]); 4] = [
    ("pipeline", PIPELINE),
    ("routing", b",\"routing\":"),
    ("version", b",\"version\":"),
    ("version_type", b",\"version_type\":"),
];

const PIPELINE: &[u8] = b",\"pipeline\":";

/// Whether `pipeline`, rendered as this, names none: it is empty, or a reference to what the event does not have.
fn names_none(template: &Template, rendered: &str) -> bool {
    rendered.is_empty() || (template.literal().is_none() && rendered == template.as_str())
}

/// Encodes events as bulk items.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    /// What is asked for.
    pub(crate) action: Choice,
    /// How documents are changed.
    pub(crate) update: Update,
    /// Where documents go.
    pub(crate) target: Target,
    /// The document's id in place of the event's own identity.
    pub(crate) document_id: Option<Template>,
    /// What else stands in an action line: the settings that were given, each name as it is written there.
    pub(crate) more: Vec<(&'static [u8], Template)>,
    /// Makes ids for events that have no identity of their own, so that sending them again is harmless too. Nothing where Elasticsearch is to make all ids.
    pub(crate) ids: Option<&'static IdSource>,
    /// What is put behind events' own identities, so that two outputs that write to one index have two documents.
    pub(crate) suffix: String,
    /// Whether there is a dead letter queue, which needs to know what the lines don't say.
    pub(crate) keeps: bool,
    /// Whether an event whose index can't be named for want of a field is refused here; else the index is named as the reference is written.
    pub(crate) names_fully: bool,
}

impl Encoder {
    /// Appends `event` to `body`.
    ///
    /// # Errors
    /// When the action, index, id, pipeline or routing can't be rendered for this event; `body` is as it was before.
    pub(crate) fn encode(
        &self,
        event: &Event,
        receipt: &mut Option<Receipt>,
        body: &mut Body,
    ) -> Result<(), Unencodable> {
        let start = body.bytes.len();
        let action = match self.lines(event, &mut body.bytes) {
            Ok(action) => action,
            Err(error) => {
                body.bytes.truncate(start);
                return Err(error);
            }
        };
        let is_document = matches!(action, Action::Create | Action::Index);
        let aside = if self.keeps { Aside::of(event, is_document) } else { None };
        body.items.push(start as u32..body.bytes.len() as u32);
        body.attached.push(Attached { receipt: receipt.take(), aside });
        Ok(())
    }

    fn lines(&self, event: &Event, out: &mut Vec<u8>) -> Result<Action, Unencodable> {
        let action = self.action.of(event)?;
        self.action_line(action, event, out)?;
        match action {
            Action::Create | Action::Index => self.target.write_document(event, out),
            Action::Update => self.update.write(event, &self.target, out)?,
            Action::Delete => return Ok(action),
        }
        out.push(b'\n');
        Ok(action)
    }

    fn action_line(&self, action: Action, event: &Event, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        out.extend_from_slice(action.opening());
        let name = out.len();
        self.target.write_name(event, out)?;
        if self.names_fully && memchr::memmem::find(&out[name..], b"%{").is_some() {
            return Err(Unencodable::Index(Text::new(String::from_utf8_lossy(&out[name..]).trim_matches('"'))));
        }
        if let Some(ids) = self.ids {
            out.extend_from_slice(b",\"_id\":");
            self.id(event, ids, out)?;
        }
        if action == Action::Update {
            out.extend_from_slice(b",\"retry_on_conflict\":");
            out.extend_from_slice(self.update.retry_on_conflict.to_string().as_bytes());
        }
        for (name, template) in &self.more {
            let value = template.render(event)?;
            if *name != PIPELINE || !names_none(template, &value) {
                out.extend_from_slice(name);
                json::write_text(&value, out);
            }
        }
        out.extend_from_slice(b"}}\n");
        Ok(())
    }

    fn id(&self, event: &Event, ids: &IdSource, out: &mut Vec<u8>) -> Result<(), BrokenTemplate> {
        if let Some(template) = &self.document_id {
            json::write_text(&template.render(event)?, out);
            return Ok(());
        }
        match event.id() {
            Some(id) => {
                out.push(b'"');
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(self.suffix.as_bytes());
                out.push(b'"');
            }
            None => json::write_text(&ids.next(), out),
        }
        Ok(())
    }
}

/// Unique ids for events without an identity: a random prefix of the process and a counter.
#[derive(Debug)]
pub(crate) struct IdSource {
    prefix: u64,
    count: AtomicU64,
}

impl IdSource {
    /// Ids that begin with `prefix`, which the caller draws at random.
    pub(crate) const fn new(prefix: u64) -> Self {
        Self { prefix, count: AtomicU64::new(0) }
    }

    fn next(&self) -> Text {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        Text::from(format!("{:016x}-{count:x}", self.prefix))
    }
}

impl Body {
    /// Appends an item of another body.
    pub(crate) fn copy(&mut self, bytes: &[u8], range: Range<u32>, attached: Attached) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&bytes[range.start as usize..range.end as usize]);
        self.items.push(start..self.bytes.len() as u32);
        self.attached.push(attached);
    }

    /// Cuts off what was written behind the last item, by an event that could not be encoded to its end.
    pub(crate) fn take_back(&mut self) {
        self.bytes.truncate(self.items.last().map_or(0, |item| item.end as usize));
    }

    /// Makes the body empty again, with the memory of `bytes`.
    pub(crate) fn reuse(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
        self.bytes.clear();
        self.items.clear();
        self.attached.clear();
    }

    /// True when nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    static IDS: IdSource = IdSource::new(0xabc);

    /// Creates in `index`.
    pub(crate) fn encoder(index: &str) -> Encoder {
        Encoder {
            action: Choice::Always(Action::Create),
            update: Update::default(),
            target: Target::Index(Template::parse(index)),
            document_id: None,
            more: Vec::new(),
            ids: Some(&IDS),
            suffix: String::new(),
            keeps: false,
            names_fully: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::encoder;
    use super::*;
    use elkhound_pipeline::event::DocumentId;
    use elkhound_pipeline::path::Path;

    fn event() -> Event {
        let mut event = Event::default();
        event.set_field("message".into(), "a \"b\"\n".into());
        event.set_field("app".into(), "web".into());
        event.set_origin(Some(DocumentId::new(b"id-1")), None);
        event
    }

    #[test]
    fn writes_an_action_and_a_document_line() {
        let mut body = Body::default();
        encoder("logs-%{app}").encode(&event(), &mut None, &mut body).unwrap();
        let expected = "{\"create\":{\"_index\":\"logs-web\",\"_id\":\"id-1\"}}\n{\"message\":\"a \\\"b\\\"\\n\",\"app\":\"web\"}\n";
        assert_eq!(String::from_utf8(body.bytes).unwrap(), expected);
        assert_eq!((body.items.len(), &body.items[0]), (1, &(0..expected.len() as u32)));
    }

    #[test]
    fn the_event_may_choose_its_action() {
        let encoder = Encoder { action: Choice::ByEvent(Template::parse("%{[@metadata][do]}")), ..encoder("x") };
        let mut lines = Vec::new();
        for action in ["index", "update", "delete", "explode"] {
            let (mut event, mut body) = (event(), Body::default());
            event.set(&Path::parse("[@metadata][do]").unwrap(), action.into()).unwrap();
            lines.push(match encoder.encode(&event, &mut None, &mut body) {
                Ok(()) => String::from_utf8(body.bytes).unwrap(),
                Err(error) => format!("{error}, {} bytes", body.bytes.len()),
            });
        }
        let document = "{\"message\":\"a \\\"b\\\"\\n\",\"app\":\"web\"}";
        let expected = [
            format!("{{\"index\":{{\"_index\":\"x\",\"_id\":\"id-1\"}}}}\n{document}\n"),
            format!(
                "{{\"update\":{{\"_index\":\"x\",\"_id\":\"id-1\",\"retry_on_conflict\":0}}}}\n{{\"doc\":{document}}}\n"
            ),
            "{\"delete\":{\"_index\":\"x\",\"_id\":\"id-1\"}}\n".to_owned(),
            "`explode` is no action; create, index, update and delete are, 0 bytes".to_owned(),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_output_may_have_ids_of_its_own() {
        let mut body = Body::default();
        Encoder { suffix: ".o2".into(), ..encoder("x") }.encode(&event(), &mut None, &mut body).unwrap();
        assert!(body.bytes.starts_with(br#"{"create":{"_index":"x","_id":"id-1.o2"}}"#));
    }

    #[test]
    fn an_event_without_identity_gets_an_id_of_its_own() {
        let mut body = Body::default();
        for _ in 0..2 {
            encoder("x").encode(&Event::default(), &mut None, &mut body).unwrap();
        }
        let text = String::from_utf8(body.bytes).unwrap();
        let ids: Vec<&str> = text.lines().step_by(2).collect();
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn elasticsearch_may_make_the_ids() {
        let mut body = Body::default();
        Encoder { ids: None, ..encoder("x") }.encode(&event(), &mut None, &mut body).unwrap();
        let text = String::from_utf8(body.bytes).unwrap();
        assert_eq!(text.lines().next(), Some(r#"{"create":{"_index":"x"}}"#));
    }

    #[test]
    fn settings_of_the_document_stand_in_its_action_line() {
        let more = MORE.iter().map(|(name, key)| (*key, Template::parse(&format!("%{{app}}-{name}")))).collect();
        let mut body = Body::default();
        Encoder { more, ..encoder("x") }.encode(&event(), &mut None, &mut body).unwrap();
        let line = String::from_utf8(body.bytes).unwrap().lines().next().unwrap().to_owned();
        assert_eq!(
            line,
            r#"{"create":{"_index":"x","_id":"id-1","pipeline":"web-pipeline","routing":"web-routing","version":"web-version","version_type":"web-version_type"}}"#
        );
    }

    #[test]
    fn an_event_without_the_field_that_names_the_pipeline_goes_through_none() {
        for (written, expected) in [
            ("%{app}", r#"{"create":{"_index":"x","_id":"id-1","pipeline":"web"}}"#),
            ("fixed", r#"{"create":{"_index":"x","_id":"id-1","pipeline":"fixed"}}"#),
            ("%{[@metadata][pipeline]}", r#"{"create":{"_index":"x","_id":"id-1"}}"#),
            ("", r#"{"create":{"_index":"x","_id":"id-1"}}"#),
        ] {
            let more = vec![(PIPELINE, Template::parse(written))];
            let mut body = Body::default();
            Encoder { more, ..encoder("x") }.encode(&event(), &mut None, &mut body).unwrap();
            let text = String::from_utf8(body.bytes).unwrap();
            assert_eq!(text.lines().next(), Some(expected), "{written:?}");
        }
    }

    #[test]
    fn an_index_that_the_event_cannot_name_is_refused_where_there_is_a_queue_for_it() {
        let (with, without) = (Encoder { names_fully: true, ..encoder("x-%{no}") }, encoder("x-%{no}"));
        let mut body = Body::default();
        let error = with.encode(&event(), &mut None, &mut body).unwrap_err();
        assert_eq!(error.to_string(), "the index is called `x-%{no}`, for the event lacks the field");
        assert!(body.is_empty() && body.bytes.is_empty());
        without.encode(&event(), &mut None, &mut body).unwrap();
        assert!(body.bytes.starts_with(br#"{"create":{"_index":"x-%{no}","#));
    }

    #[test]
    fn half_an_item_is_taken_back() {
        let (mut body, mut whole) = (Body::default(), Body::default());
        for body in [&mut body, &mut whole] {
            encoder("x").encode(&event(), &mut None, body).unwrap();
        }
        body.bytes.extend_from_slice(b"{\"create\":{\"_ind");
        body.take_back();
        for body in [&mut body, &mut whole] {
            encoder("x").encode(&event(), &mut None, body).unwrap();
        }
        assert_eq!((&body.bytes, &body.items), (&whole.bytes, &whole.items));
        let mut empty = Body { bytes: b"{".to_vec(), ..Body::default() };
        empty.take_back();
        assert!(empty.bytes.is_empty());
    }

    #[test]
    fn what_cannot_be_rendered_leaves_the_body_alone() {
        let mut body = Body::default();
        assert!(encoder("%{[a]b}").encode(&event(), &mut None, &mut body).is_err());
        assert!(body.is_empty() && body.bytes.is_empty());
    }
}
