//! Takes the dots out of field names: `a.b` becomes `a_b`, or `b` below `a`.
//!
//! ## Options
//!
//! - `separator` (default `_`): what stands in place of a dot; it must have no dot itself.
//! - `nested` (default false): make fields below fields instead.
//! - `recursive` (default false): names inside of the fields, too.
//! - `fields`: which fields; all top-level ones when unset.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   de_dot { nested => true }
//! }
//! ```
//!
//! ```json
//! {"a.b":1}
//! =>
//! {"a":{"b":1}}
//! ```
//!
//! ## On failure
//!
//! A field that can't be set (`a.b` below an `a` that is a text) tags the event `_de_dot_error` and stays; the common
//! options follow all the same. What the new name held before is overwritten.
//!
//! ## Differences from Logstash
//!
//! None known.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::map::Map;
use crate::path::Path;
use crate::setup::Setup;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "de_dot", options: OPTIONS, docs: crate::docs::head(include_str!("de_dot.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("fields", OptionKind::Array, "all top-level fields", "the fields to rename"),
    optional("nested", OptionKind::Boolean, "false", "make fields below fields"),
    optional("recursive", OptionKind::Boolean, "false", "rename inside of the fields, too"),
    optional("separator", OptionKind::String, "_", "what stands in place of a dot"),
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let separator = options.text_or("separator", "_");
    if separator.contains('.') {
        options.fail("separator", &format!("the separator `{separator}` has a dot itself"), "leave it out for `_`");
        return None;
    }
    let nested = options.boolean("nested", false);
    let fields = options.was_set("fields").then(|| options.texts("fields"));
    let separator = if nested { "][".to_owned() } else { separator };
    let recursive = options.boolean("recursive", false);
    let renames = fields.map(|fields| fields.iter().map(|field| Rename::new(field, &separator, nested)).collect());
    Some(Box::new(DeDot { renames, separator, nested, recursive }))
}

struct DeDot {
    /// Nothing for all top-level fields.
    renames: Option<Vec<Rename>>,
    separator: String,
    nested: bool,
    recursive: bool,
}

struct Rename {
    old: Reference,
    new: Reference,
    has_dot: bool,
}

impl Rename {
    fn new(old: &str, separator: &str, nested: bool) -> Self {
        let new = old.replace('.', separator);
        let new = if nested && !new.starts_with('[') { format!("[{new}]") } else { new };
        Self { old: Reference::plain(old), new: Reference::plain(&new), has_dot: old.contains('.') }
    }
}

impl Filter for DeDot {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        let renamed = match &self.renames {
            Some(renames) => renames.iter().try_for_each(|rename| self.rename(rename, event)),
            None => self.rename_all(event),
        };
        if renamed.is_err() {
            event.tag("_de_dot_error");
        }
        Outcome::Matched
    }
}

impl DeDot {
    fn rename_all(&self, event: &mut Event) -> Result<(), Raised> {
        let concerned = |name: &str, value: &Value| name.contains('.') || (self.recursive && is_container(value));
        let names: Vec<String> =
            event.fields().filter(|(name, value)| concerned(name, value)).map(|(name, _)| name.to_string()).collect();
        names.iter().try_for_each(|name| self.rename(&Rename::new(name, &self.separator, self.nested), event))
    }

    fn rename(&self, rename: &Rename, event: &mut Event) -> Result<(), Raised> {
        let old = rename.old.path(event)?;
        let Some(value) = event.get(&old).cloned() else { return Ok(()) };
        let value = if self.recursive { self.inside(value) } else { value };
        if rename.has_dot {
            self.set(rename, &old, value, event)
        } else if self.recursive {
            Ok(event.set(&old, value)?)
        } else {
            Ok(())
        }
    }

    fn set(&self, rename: &Rename, old: &Path, value: Value, event: &mut Event) -> Result<(), Raised> {
        let new = rename.new.path(event)?;
        event.set(&new, value)?;
        event.remove(old);
        Ok(())
    }

    fn inside(&self, value: Value) -> Value {
        match value {
            Value::List(list) => Value::list(list.into_iter().map(|value| self.inside(value)).collect()),
            Value::Map(map) => self.inside_map(*map).into(),
            other => other,
        }
    }

    fn inside_map(&self, map: Map) -> Map {
        let mut renamed = Map::with_capacity(map.len());
        for (name, value) in map {
            let value = self.inside(value);
            if !name.contains('.') {
                renamed.insert(name, value);
            } else if self.nested {
                nest(&mut renamed, &name, value);
            } else {
                renamed.insert(name.replace('.', &self.separator).into(), value);
            }
        }
        renamed
    }
}

/// Puts `value` below the maps that `name` spells; what is no map on the way is replaced.
fn nest(map: &mut Map, name: &str, value: Value) {
    let Some((first, rest)) = name.split_once('.') else {
        map.insert(name.into(), value);
        return;
    };
    let below = map.get_or_insert_with(&first.into(), || Map::new().into());
    if !matches!(below, Value::Map(_)) {
        *below = Map::new().into();
    }
    if let Value::Map(below) = below {
        nest(below, rest, value);
    }
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Map(_))
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::{filtered, mistakes};

    #[test]
    fn dots_become_the_separator() {
        assert_eq!(filtered("de_dot { }", r#"{"a.b.c":1,"x":{"y.z":2}}"#), r#"{"x":{"y.z":2},"a_b_c":1}"#);
        assert_eq!(
            filtered("de_dot { fields => ['[x][y.z]', 'no.pe'] separator => '' }", r#"{"a.b":1,"x":{"y.z":2}}"#),
            r#"{"a.b":1,"x":{"yz":2}}"#
        );
    }

    #[test]
    fn dots_become_levels() {
        assert_eq!(filtered("de_dot { nested => true }", r#"{"a.b":1,"a.c":2}"#), r#"{"a":{"b":1,"c":2}}"#);
        assert_eq!(
            filtered("de_dot { nested => true add_tag => ok }", r#"{"a":"x","a.b":1}"#),
            r#"{"a":"x","a.b":1,"tags":["_de_dot_error","ok"]}"#
        );
    }

    #[test]
    fn a_separator_with_a_dot_is_refused() {
        assert_eq!(mistakes("de_dot { separator => '.' }"), ["the separator `.` has a dot itself"]);
    }
}
