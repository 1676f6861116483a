//! What is asked of Elasticsearch for an event: a new document, a change of one, or its end.

use elkhound_config::options::Options;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::json::{self, Numbers};
use elkhound_pipeline::template::{BrokenTemplate, Template};
use elkhound_pipeline::text::Text;
use thiserror::Error;

use super::target::Target;

/// An action of the bulk API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// A new document; one with the same id is a 409, which is how a line that is sent twice is indexed once.
    #[default]
    Create,
    /// A new document, or a new version of the one with the same id.
    Index,
    /// A change of the document with the same id.
    Update,
    /// The end of the document with the same id.
    Delete,
}

impl Action {
    /// The action called `name`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "create" => Some(Self::Create),
            "index" => Some(Self::Index),
            "update" => Some(Self::Update),
            "delete" => Some(Self::Delete),
            _ => None,
        }
    }

    /// How its action line begins, up to the index.
    pub(crate) fn opening(self) -> &'static [u8] {
        match self {
            Self::Create => b"{\"create\":{\"_index\":",
            Self::Index => b"{\"index\":{\"_index\":",
            Self::Update => b"{\"update\":{\"_index\":",
            Self::Delete => b"{\"delete\":{\"_index\":",
        }
    }
}

/// Which action an event gets.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// The same for all.
    Always(Action),
    /// The one whose name this renders to.
    ByEvent(Template),
}

/// Why an event can't be made an item.
#[derive(Debug, Error)]
pub(crate) enum Unencodable {
    /// Index, id or the like.
    #[error("{0}")]
    Broken(#[from] BrokenTemplate),
    /// The event names an action that there is none of.
    #[error("`{0}` is no action; create, index, update and delete are")]
    Action(Text),
    /// The name of the index has a reference in it still.
    #[error("the index is called `{0}`, for the event lacks the field")]
    Index(Text),
    /// What `upsert` renders to.
    #[error("`upsert` renders to {0}, which is no JSON object")]
    Upsert(Text),
}

impl Choice {
    /// Reads `action`; a word that is no action is reported.
    pub(crate) fn read(options: &mut Options<'_>) -> Option<Self> {
        let written = options.text_or("action", "create");
        if let Some(action) = Action::parse(&written) {
            if matches!(action, Action::Update | Action::Delete) && !options.was_set("document_id") {
                let message = format!("`action => {written}` without document_id can't name a document that is there");
                options.warn("action", &message, "set document_id to what the document's _id is made of");
            }
            return Some(Self::Always(action));
        }
        let template = Template::parse(&written);
        if template.literal().is_some() {
            options.fail("action", &format!("`{written}` is no action"), "use create, index, update or delete");
            return None;
        }
        Some(Self::ByEvent(template))
    }

    /// The action of this event.
    pub(crate) fn of(&self, event: &Event) -> Result<Action, Unencodable> {
        match self {
            Self::Always(action) => Ok(*action),
            Self::ByEvent(template) => {
                let name = template.render(event)?;
                Action::parse(&name).ok_or(Unencodable::Action(name))
            }
        }
    }
}

/// How a document is changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Update {
    /// How often Elasticsearch itself tries again when two changes meet.
    pub(crate) retry_on_conflict: i64,
    /// The event becomes the document when there is none.
    as_upsert: bool,
    /// The document when there is none.
    upsert: Option<Template>,
    script: Option<Script>,
}

/// A script that changes the document.
#[derive(Clone, Debug)]
struct Script {
    text: Template,
    /// By its name, in place of its text.
    stored: bool,
    lang: String,
    variable: String,
    upsert: bool,
}

impl Update {
    /// Reads the options of updates.
    pub(crate) fn read(options: &Options<'_>) -> Self {
        let script = options.text("script").filter(|text| !text.is_empty()).map(|text| Script {
            text: Template::parse(&text),
            stored: options.texts("script_type").iter().any(|kind| kind == "indexed"),
            lang: options.text_or("script_lang", "painless"),
            variable: options.text_or("script_var_name", "event"),
            upsert: options.boolean("scripted_upsert", false),
        });
        Self {
            retry_on_conflict: options.integer("retry_on_conflict", 1),
            as_upsert: options.boolean("doc_as_upsert", false),
            upsert: options.text("upsert").filter(|text| !text.is_empty()).map(|text| Template::parse(&text)),
            script,
        }
    }

    /// Writes the second line of an update. Source: Elasticsearch's "Update API", request body.
    pub(crate) fn write(&self, event: &Event, target: &Target, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        match &self.script {
            Some(script) => script.write(event, target, out)?,
            None => {
                out.extend_from_slice(b"{\"doc\":");
                target.write_document(event, out);
            }
        }
        if self.script.is_none() && self.as_upsert {
            out.extend_from_slice(b",\"doc_as_upsert\":true");
        } else if let Some(template) = &self.upsert {
            let text = template.render(event)?;
            if !json::parse_text(&text, Numbers::Doubles).is_ok_and(|value| value.as_map().is_some()) {
                return Err(Unencodable::Upsert(text));
            }
            out.extend_from_slice(b",\"upsert\":");
            // A line break would end the item.
            out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        } else if self.script.as_ref().is_some_and(|script| script.upsert) {
            out.extend_from_slice(b",\"upsert\":{}");
        }
        out.push(b'}');
        Ok(())
    }
}

impl Script {
    fn write(&self, event: &Event, target: &Target, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        out.extend_from_slice(if self.stored { b"{\"script\":{\"id\":" } else { b"{\"script\":{\"source\":" });
        json::write_text(&self.text.render(event)?, out);
        if !self.stored {
            out.extend_from_slice(b",\"lang\":");
            json::write_text(&self.lang, out);
        }
        out.extend_from_slice(b",\"params\":{");
        json::write_text(&self.variable, out);
        out.push(b':');
        target.write_document(event, out);
        out.extend_from_slice(b"}}");
        if self.upsert {
            out.extend_from_slice(b",\"scripted_upsert\":true");
        }
        Ok(())
    }
}
