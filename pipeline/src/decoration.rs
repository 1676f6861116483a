//! What the common options of an input do to each of its events: `type`, `add_field` and `tags`.
//!
//! It is done on the worker's thread, to whole chunks ([`Decorated`]), so an input need not know of it. An input whose events
//! share fields can put the part that is the same for all of them there: [`Decoration::split`].

use std::sync::Arc;

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use crate::event::Event;
use crate::filter::common::{add_field, fields_to_add};
use crate::filter::reference::{Raised, Reference};
use crate::flow::queue::Chunk;
use crate::flow::receipt::Receipt;
use crate::flow::worker::survives;
use crate::template::Template;
use crate::value::Value;

/// The options that every input has, and behind them those that every input had.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "add_field",
        kind: OptionKind::Hash,
        default: "{}",
        required: false,
        help: "fields to add to each event; names and values may have %{} in them",
    },
    OptionSpec { name: "enable_metric", kind: OptionKind::Boolean, default: "true", required: false, help: "accepted" },
    OptionSpec {
        name: "id",
        kind: OptionKind::String,
        default: "",
        required: false,
        help: "the input's name in the monitoring API",
    },
    OptionSpec {
        name: "tags",
        kind: OptionKind::Array,
        default: "[]",
        required: false,
        help: "tags to add to each event",
    },
    OptionSpec {
        name: "type",
        kind: OptionKind::String,
        default: "",
        required: false,
        help: "the field `type` of each event that has none",
    },
    before_codecs("charset", "write `codec => plain { charset => … }`"),
    before_codecs("debug", "take it out"),
    before_codecs("format", "write `codec => json`, or whatever the format is"),
    before_codecs("message_format", "take it out"),
];

/// What inputs had before there were codecs.
const fn before_codecs(name: &'static str, remedy: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::Obsolete(remedy), default: "", required: false, help: "older than codecs" }
}

/// The tag of an event to which a field could not be added.
const FAILED: &str = "_elkhound_input_failure";

/// The common options of one input, compiled.
#[derive(Clone, Debug, Default)]
pub struct Decoration {
    kind: Option<Value>,
    add_field: Vec<(Reference, Vec<Template>)>,
    tags: Vec<Template>,
}

impl Decoration {
    /// Reads the common options.
    pub fn read(options: &mut Options<'_>) -> Self {
        Self {
            kind: options.text("type").map(Value::from),
            add_field: fields_to_add(options),
            tags: options.texts("tags").iter().map(|tag| Template::parse(tag)).collect(),
        }
    }

    /// True when nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.kind.is_none() && self.add_field.is_empty() && self.tags.is_empty()
    }

    /// How many fields it adds at most, beside `type` and `tags`.
    pub fn fields(&self) -> usize {
        self.add_field.len()
    }

    /// What is the same for all events, and what depends on the event: everything with `%{}` in it, and tags and fields behind which
    /// that comes.
    pub fn split(mut self) -> (Self, Self) {
        let fixed = |(name, values): &(Reference, Vec<Template>)| {
            !matches!(name, Reference::Rendered(_)) && values.iter().all(|value| value.literal().is_some())
        };
        let fields = self.add_field.iter().take_while(|entry| fixed(entry)).count();
        let depends = self.add_field.split_off(fields);
        let tags = self.tags.iter().take_while(|tag| tag.literal().is_some()).count();
        let later = Self { kind: None, add_field: depends, tags: self.tags.split_off(tags) };
        (self, later)
    }

    /// Does it to one event, in Logstash's order: the type unless there is one, fields, tags that are not there yet. A field that
    /// can't be added leaves a tag.
    pub fn apply(&self, event: &mut Event) {
        if let Some(kind) = &self.kind
            && event.field("type").is_none()
        {
            event.set_field("type".into(), kind.clone());
        }
        let mut failed = self.add_field.iter().any(|(name, values)| add_field(name, values, event).is_err());
        failed |= self.tags.iter().any(|tag| add_tag(tag, event).is_err());
        if failed {
            event.tag(FAILED);
        }
    }
}

fn add_tag(tag: &Template, event: &mut Event) -> Result<(), Raised> {
    let tag = tag.render(event)?;
    event.tag(&tag);
    Ok(())
}

/// A chunk whose events get their input's common options when they are unpacked.
pub struct Decorated {
    /// The input's own chunk.
    pub chunk: Box<dyn Chunk>,
    /// The input's options.
    pub decoration: Arc<Decoration>,
}

impl Chunk for Decorated {
    fn events(&self) -> usize {
        self.chunk.events()
    }

    fn unpack(self: Box<Self>, events: &mut Vec<Event>) {
        let before = events.len();
        self.chunk.unpack(events);
        decorate(&mut events[before..], |event| self.decoration.apply(event));
    }

    fn receipt(&self) -> Option<Receipt> {
        self.chunk.receipt()
    }
}

/// Does `apply` to each event; one on which it panics leaves a tag, as one on which it fails does.
fn decorate(events: &mut [Event], apply: impl Fn(&mut Event)) {
    let mut begun = 0;
    while !survives(|| {
        while let Some(event) = events.get_mut(begun) {
            begun += 1;
            apply(event);
        }
    }) {
        events[begun - 1].tag(FAILED);
    }
}

#[cfg(test)]
mod tests {
    use elkhound_config::ast::Statement;
    use elkhound_config::parser::{self, Escapes};
    use elkhound_config::source::Source;

    use super::*;
    use crate::json::{self, Numbers, parse};

    fn decoration(written: &str) -> Decoration {
        let source = Source::of("test.conf", &format!("input {{ test {{ {written} }} }}"));
        let parsed = parser::parse(&source, Escapes::Kept);
        let mut diagnostics = parsed.diagnostics;
        let Statement::Plugin(plugin) = &parsed.document.sections[0].body[0] else { panic!("{written}") };
        let mut options = Options::new(plugin, &[OPTIONS], &mut diagnostics);
        let decoration = Decoration::read(&mut options);
        assert!(options.finish());
        decoration
    }

    #[test]
    fn an_event_on_which_it_panics_is_tagged_and_costs_no_other() {
        let mut events: Vec<Event> = (0..4).map(|_| Event::default()).collect();
        events[1].tag("odd");
        events[3].tag("odd");
        decorate(&mut events, |event| {
            assert_eq!(event.field("tags"), None, "as the test wants it");
            event.tag("done");
        });
        let shown = |event: &Event| format!("{:?}", event.field("tags"));
        let tagged = |tags: &[&str]| {
            let mut event = Event::default();
            tags.iter().for_each(|tag| event.tag(tag));
            shown(&event)
        };
        let (done, failed) = (tagged(&["done"]), tagged(&["odd", FAILED]));
        assert_eq!(events.iter().map(shown).collect::<Vec<_>>(), [&*done, &*failed, &*done, &*failed]);
    }

    fn applied(decoration: &Decoration, fields: &str) -> String {
        let Ok(Value::Map(map)) = parse(fields, Numbers::Doubles) else { panic!("{fields}") };
        let mut event = Event::new(*map);
        decoration.apply(&mut event);
        let mut out = Vec::new();
        json::write_event(&event, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn type_is_set_only_where_there_is_none() {
        let decoration = decoration("type => app");
        assert_eq!(applied(&decoration, "{}"), r#"{"type":"app"}"#);
        assert_eq!(applied(&decoration, r#"{"type":"own"}"#), r#"{"type":"own"}"#);
    }

    #[test]
    fn tags_are_added_to_those_that_are_there() {
        let decoration = decoration("tags => ['a', '%{b}']");
        assert_eq!(applied(&decoration, r#"{"b":"x","tags":["a"]}"#), r#"{"b":"x","tags":["a","x"]}"#);
        assert_eq!(applied(&decoration, r#"{"b":"x","tags":"one"}"#), r#"{"b":"x","tags":["one","a","x"]}"#);
    }

    #[test]
    fn fields_are_rendered_and_joined_with_those_that_are_there() {
        let decoration = decoration("add_field => { '[a][b]' => '%{m}!' 'l' => ['x', 'y'] }");
        let expected = r#"{"m":"1","a":{"b":"1!"},"l":["x","y"]}"#;
        let sorted = |text: &str| parse(text, Numbers::Doubles).unwrap().as_map().unwrap().get("l").cloned();
        let shown = applied(&decoration, r#"{"m":"1"}"#);
        assert_eq!(sorted(&shown), sorted(expected));
        assert!(shown.contains(r#""a":{"b":"1!"}"#), "{shown}");
    }

    #[test]
    fn a_field_that_can_t_be_added_leaves_a_tag() {
        let decoration = decoration("add_field => { '[a' => 1 }");
        assert_eq!(applied(&decoration, "{}"), r#"{"tags":["_elkhound_input_failure"]}"#);
    }

    #[test]
    fn what_depends_on_the_event_is_split_off() {
        let decoration =
            decoration("type => 't' tags => ['a', '%{m}', 'b'] add_field => ['f', '1', 'g', '%{m}', 'h', '2']");
        let (fixed, later) = decoration.split();
        assert_eq!(applied(&fixed, "{}"), r#"{"type":"t","f":"1","tags":["a"]}"#);
        let expected = r#"{"m":"x","g":"x","h":"2","tags":["x","b"]}"#;
        assert_eq!(applied(&later, r#"{"m":"x"}"#), expected);
        assert!(later.split().0.is_empty());
    }
}
