//! The options that every filter has: what is done to an event on which the filter succeeded.

use elkhound_config::ast::{NumberValue, Value as Setting, ValueKind};
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::Context;
use super::reference::{Raised, Reference};
use crate::event::Event;
use crate::map::Map;
use crate::path::Path;
use crate::template::{BrokenTemplate, Template};
use crate::text::Text;
use crate::value::Value;

/// The common options, sorted by name.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec { name: "add_field", kind: OptionKind::Hash, default: "{}", required: false, help: "fields to add" },
    OptionSpec { name: "add_tag", kind: OptionKind::Array, default: "[]", required: false, help: "tags to add" },
    OptionSpec {
        name: "ecs_compatibility",
        kind: OptionKind::String,
        default: "the pipeline's",
        required: false,
        help: "which names and defaults, for filters that know several",
    },
    OptionSpec {
        name: "enable_metric",
        kind: OptionKind::Boolean,
        default: "true",
        required: false,
        help: "accepted; counters cost nothing here",
    },
    OptionSpec {
        name: "id",
        kind: OptionKind::String,
        default: "",
        required: false,
        help: "the filter's name in the monitoring API",
    },
    OptionSpec {
        name: "periodic_flush",
        kind: OptionKind::Boolean,
        default: "false",
        required: false,
        help: "accepted; filters that need it are flushed",
    },
    OptionSpec {
        name: "remove_field",
        kind: OptionKind::Array,
        default: "[]",
        required: false,
        help: "fields to remove",
    },
    OptionSpec { name: "remove_tag", kind: OptionKind::Array, default: "[]", required: false, help: "tags to remove" },
    EXCLUDE_TAGS,
    TAGS,
    TYPE,
];

/// What filters and outputs had before there were conditions.
pub const EXCLUDE_TAGS: OptionSpec =
    before_conditions("exclude_tags", "put `if \"sometag\" not in [tags] { … }` around it");
/// See [`EXCLUDE_TAGS`].
pub const TAGS: OptionSpec = before_conditions("tags", "put `if \"sometag\" in [tags] { … }` around it");
/// See [`EXCLUDE_TAGS`].
pub const TYPE: OptionSpec = before_conditions("type", "put `if [type] == \"sometype\" { … }` around it");

const fn before_conditions(name: &'static str, remedy: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::Obsolete(remedy), default: "", required: false, help: "older than conditions" }
}

/// The common options of one filter, compiled.
#[derive(Debug, Default)]
pub struct Common {
    add_field: Vec<(Reference, Vec<Template>)>,
    remove_field: Vec<Reference>,
    add_tag: Vec<Template>,
    remove_tag: Vec<Template>,
    nothing: bool,
}

impl Common {
    /// Reads the common options.
    pub fn read(options: &mut Options<'_>) -> Self {
        let templates = |texts: Vec<String>| texts.iter().map(|text| Template::parse(text)).collect::<Vec<_>>();
        let common = Self {
            add_field: fields_to_add(options),
            remove_field: options.texts("remove_field").iter().map(|field| Reference::template(field)).collect(),
            add_tag: templates(options.texts("add_tag")),
            remove_tag: templates(options.texts("remove_tag")),
            nothing: false,
        };
        let nothing = common.add_field.is_empty()
            && common.remove_field.is_empty()
            && common.add_tag.is_empty()
            && common.remove_tag.is_empty();
        Self { nothing, ..common }
    }

    /// Applies them, in Logstash's order: fields are added, then removed, then tags are added, then removed.
    ///
    /// # Errors
    /// A text that can't be rendered or a field that can't be set; what was done before stays done.
    #[inline]
    pub(crate) fn apply(&self, event: &mut Event, cx: &mut Context) -> Result<(), Raised> {
        if self.nothing {
            return Ok(());
        }
        self.apply_all(event, cx)
    }

    fn apply_all(&self, event: &mut Event, _cx: &mut Context) -> Result<(), Raised> {
        for (name, values) in &self.add_field {
            add_field(name, values, event)?;
        }
        for name in &self.remove_field {
            let path = name.path(event)?;
            event.remove(&path);
        }
        if !self.add_tag.is_empty() {
            add_tags(&self.add_tag, event)?;
        }
        self.remove_tags(event)
    }

    /// Tags that are one text become a list by this.
    fn remove_tags(&self, event: &mut Event) -> Result<(), Raised> {
        if self.remove_tag.is_empty() || !event.field("tags").is_some_and(holds_tags) {
            return Ok(());
        }
        let unwanted = rendered(&self.remove_tag, event)?;
        let Some(tags) = event.field_mut("tags") else { return Ok(()) };
        let mut kept = as_list(std::mem::take(tags));
        kept.retain(|tag| !tag.as_text().is_some_and(|tag| unwanted.contains(tag)));
        *tags = Value::list(kept);
        Ok(())
    }
}

/// Sets the field that `name` refers to. Names that come out of an event are mostly plain, and then no path is made.
pub(crate) fn set_named(event: &mut Event, name: Text, value: Value) -> Result<(), Raised> {
    let plain = memchr::memchr2(b'[', b']', name.as_bytes()).is_none() && !name.starts_with('@') && name != "tags";
    if plain {
        event.set_field(name, value);
        return Ok(());
    }
    Ok(event.set(&Path::parse(&name)?, value)?)
}

/// A value as it is written in an option.
pub(crate) fn literal(written: &Setting) -> Value {
    match &written.kind {
        ValueKind::Bareword(text) | ValueKind::String(text) => Value::text(text),
        ValueKind::Number(number) => match number.value {
            NumberValue::Integer(integer) => Value::Integer(integer),
            NumberValue::Float(float) => Value::Float(float),
        },
        ValueKind::Array(values) => Value::list(values.iter().map(literal).collect()),
        ValueKind::Hash(entries) => {
            entries.iter().map(|(key, value)| (key.text().into(), literal(value))).collect::<Map>().into()
        }
        ValueKind::Plugin(_) => Value::Null,
    }
}

fn holds_tags(tags: &Value) -> bool {
    match tags {
        Value::Null => false,
        Value::Text(text) => !text.is_empty(),
        Value::List(list) => !list.is_empty(),
        _ => true,
    }
}

fn rendered(templates: &[Template], event: &Event) -> Result<Vec<Text>, BrokenTemplate> {
    templates.iter().map(|template| template.render(event)).collect()
}

/// The option `add_field`, compiled.
pub(crate) fn fields_to_add(options: &mut Options<'_>) -> Vec<(Reference, Vec<Template>)> {
    let entries = options.hash("add_field").into_iter();
    entries.map(|(name, value)| (Reference::template(&name), values_to_add(&value))).collect()
}

/// One text, each of a list, or each pair of a hash as Ruby prints it.
fn values_to_add(value: &Setting) -> Vec<Template> {
    let texts = match &value.kind {
        ValueKind::Hash(entries) => entries.iter().map(|(key, value)| pair(key, value).text()).collect(),
        _ => value.texts(),
    };
    texts.iter().map(|text| Template::parse(text)).collect()
}

fn pair(key: &Setting, value: &Setting) -> Setting {
    Setting { kind: ValueKind::Array(vec![key.clone(), value.clone()]), span: key.span }
}

/// Sets a field, or makes a list of it and what is there already.
pub(crate) fn add_field(name: &Reference, values: &[Template], event: &mut Event) -> Result<(), Raised> {
    for value in values {
        let new = Value::Text(value.render(event)?);
        let path = name.path(event)?;
        let value = match event.get(&path) {
            None => new,
            Some(old) => {
                let mut list = as_list(old.clone());
                list.push(new);
                Value::list(list)
            }
        };
        event.set(&path, value)?;
    }
    Ok(())
}

/// What Ruby's `Array(value)` makes: nothing of null, pairs of a map, the list itself, a list of anything else.
pub(crate) fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::List(list) => *list,
        Value::Map(map) => map.into_iter().map(|(name, value)| Value::list(vec![name.into(), value])).collect(),
        other => vec![other],
    }
}

/// Tags that are there already are added again.
fn add_tags(new: &[Template], event: &mut Event) -> Result<(), Raised> {
    if let [tag] = new
        && let Some(text) = tag.literal()
    {
        append_tags([text.clone()], event);
        return Ok(());
    }
    append_tags(rendered(new, event)?, event);
    Ok(())
}

/// Appends tags, also those that are there.
pub(crate) fn append_tags(new: impl IntoIterator<Item = Text>, event: &mut Event) {
    let new = new.into_iter().map(Value::Text);
    match event.field_mut("tags") {
        Some(Value::List(tags)) => tags.extend(new),
        Some(other) => *other = Value::list(as_list(std::mem::take(other)).into_iter().chain(new).collect()),
        None => event.set_field("tags".into(), Value::list(new.collect())),
    }
}
