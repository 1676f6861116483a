//! What goes with an item of a request and is not sent: its receipt, and what its dead letter would need.

use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::json;

/// What goes with an item and is not sent.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    /// Its receipt.
    pub(crate) receipt: Option<Receipt>,
    /// What its dead letter would need beside its lines.
    pub(crate) aside: Option<Box<Aside>>,
}

/// What a dead letter needs of its event beside the lines that were sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Aside {
    /// The fields as a JSON object, where the second line is not the event: updates and deletes.
    pub(crate) fields: Option<Vec<u8>>,
    /// `@metadata` as a JSON object; empty when there is none.
    pub(crate) metadata: Vec<u8>,
}

impl Aside {
    /// What is needed of this event; nothing when its document says all.
    pub(crate) fn of(event: &Event, is_document: bool) -> Option<Box<Self>> {
        if is_document && event.metadata().is_empty() {
            return None;
        }
        let mut aside = Self::default();
        if !event.metadata().is_empty() {
            json::write_map(event.metadata(), &mut aside.metadata);
        }
        if !is_document {
            json::write_event(event, aside.fields.insert(Vec::new()));
        }
        Some(Box::new(aside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elkhound_pipeline::path::Path;

    #[test]
    fn an_event_is_kept_aside_only_where_its_document_does_not_say_all() {
        let mut event = Event::default();
        event.set_field("n".into(), 1.into());
        assert_eq!(Aside::of(&event, true), None);
        assert_eq!(Aside::of(&event, false).unwrap().fields.as_deref(), Some(&b"{\"n\":1}"[..]));
        event.set(&Path::parse("[@metadata][m]").unwrap(), "r".into()).unwrap();
        let aside = Aside::of(&event, true).unwrap();
        assert_eq!((aside.fields, aside.metadata), (None, b"{\"m\":\"r\"}".to_vec()));
    }
}
