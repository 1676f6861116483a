//! Changes fields: renames, replaces, converts, splits, joins, and more.
//!
//! Whatever the order in the file, the operations run in this order: `coerce`, `rename`, `update`, `replace`, `convert`, `gsub`,
//! `uppercase`, `capitalize`, `lowercase`, `strip`, `split`, `join`, `merge`, `copy`; then the common options. Where one
//! operation needs another's result against that order, write two `mutate` filters.
//!
//! ## Options
//!
//! - `coerce`: field → text that replaces null.
//! - `rename`: old name → new name, both may hold `%{}`.
//! - `update`: field → text, when the field is there. `replace`: field → text, always.
//! - `convert`: field → `integer`, `float`, `string`, `boolean`, `integer_eu` or `float_eu`; of a list, each element.
//! - `gsub`: a list of field, regular expression, replacement, and again.
//! - `uppercase`, `lowercase`, `capitalize`, `strip`: lists of fields.
//! - `split`: field → separator. `join`: field → separator.
//! - `merge`: field → field or list of fields that are added to it: lists and texts to a list, maps to a map.
//! - `copy`: field → field.
//! - `tag_on_failure` (default `_mutate_error`).
//!
//! ## Example
//!
//! ```text
//! filter {
//!   mutate {
//!     rename => { "lvl" => "level" }
//!     convert => { "status" => "integer" }
//!     gsub => ["path", "\?.*$", ""]
//!     remove_field => ["agent"]
//!   }
//! }
//! ```
//!
//! ```json
//! {"lvl":"info","status":"200","path":"/cart?id=7","agent":"x"}
//! =>
//! {"level":"info","status":200,"path":"/cart"}
//! ```
//!
//! ## On failure
//!
//! What was done stays done, the rest and the common options are skipped, and the event is tagged `_mutate_error`.

use elkhound_config::ast::{Value as Setting, ValueKind};
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome};
use crate::event::Event;
use crate::setup::Setup;
use crate::template::Template;

mod convert;
mod operation;
mod substitute;

use convert::Conversion;
use operation::{Letters, Operation};
use substitute::Substitution;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "mutate", options: OPTIONS, docs: crate::docs::head(include_str!("mutate.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    fields("capitalize", "fields whose text begins with a capital and goes on in lower case"),
    pairs("coerce", "field → text that replaces null"),
    pairs("convert", "field → type it is converted to"),
    pairs("copy", "field → field it is copied to"),
    fields("gsub", "field, regular expression, replacement, and again"),
    pairs("join", "field → text put between the elements of its list"),
    fields("lowercase", "fields whose text is put in lower case"),
    pairs("merge", "field → fields that are added to it"),
    OptionSpec {
        name: "remove",
        kind: OptionKind::Obsolete("write `remove_field`"),
        default: "",
        required: false,
        help: "old name",
    },
    pairs("rename", "field → its new name"),
    pairs("replace", "field → its new text, also when it is missing"),
    pairs("split", "field → text at which it is split into a list"),
    fields("strip", "fields without white space at both ends"),
    OptionSpec {
        name: "tag_on_failure",
        kind: OptionKind::String,
        default: "_mutate_error",
        required: false,
        help: "tag of an event on which an operation failed",
    },
    pairs("update", "field → its new text, when it is there"),
    fields("uppercase", "fields whose text is put in upper case"),
];

const fn pairs(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::Hash, default: "{}", required: false, help }
}

const fn fields(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::Array, default: "[]", required: false, help }
}

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let conversions = conversions(options);
    let substitutions = substitutions(options);
    let mut operations = Vec::new();
    operations.extend(texts(options, "coerce", Operation::Coerce));
    operations.extend(renames(options));
    operations.extend(texts(options, "update", Operation::Update));
    operations.extend(texts(options, "replace", Operation::Replace));
    operations.extend(conversions?);
    operations.extend(substitutions?);
    operations.extend(letters(options, "uppercase", Letters::Upper));
    operations.extend(letters(options, "capitalize", Letters::Capital));
    operations.extend(letters(options, "lowercase", Letters::Lower));
    operations.extend(plain(options, "strip").map(Operation::Strip));
    operations.extend(separators(options, "split", Operation::Split));
    operations.extend(separators(options, "join", Operation::Join));
    operations.extend(merges(options));
    operations.extend(copies(options));
    Some(Box::new(Mutate { operations, failure_tag: [options.text_or("tag_on_failure", "_mutate_error")] }))
}

fn texts(options: &Options<'_>, name: &str, make: fn(Reference, Template) -> Operation) -> Vec<Operation> {
    let entries = options.hash(name).into_iter();
    entries.map(|(field, text)| make(Reference::plain(&field), Template::parse(&text.text()))).collect()
}

fn renames(options: &Options<'_>) -> impl Iterator<Item = Operation> {
    let entries = options.hash("rename").into_iter();
    entries.map(|(old, new)| Operation::Rename(Reference::template(&old), Reference::template(&new.text())))
}

fn conversions(options: &mut Options<'_>) -> Option<Vec<Operation>> {
    let mut operations = Some(Vec::new());
    for (field, kind) in options.hash("convert") {
        let Some(conversion) = kind.as_str().and_then(Conversion::named) else {
            let message = format!("`{field}` can't be converted to `{}`", kind.text());
            options.fail_at(kind.span, &message, &format!("it can be: {}", Conversion::NAMES.join(", ")));
            operations = None;
            continue;
        };
        if let Some(operations) = &mut operations {
            operations.push(Operation::Convert(Reference::plain(&field), conversion));
        }
    }
    operations
}

fn substitutions(options: &mut Options<'_>) -> Option<Vec<Operation>> {
    let settings = options.list("gsub");
    let mut operations = Some(Vec::new());
    for triple in settings.chunks(3) {
        match substitution(triple) {
            Ok(operation) => {
                if let Some(operations) = &mut operations {
                    operations.push(operation);
                }
            }
            Err(message) => {
                let help = "gsub is a list of field, regular expression, replacement, and again";
                options.fail_at(triple[0].span, &message, help);
                operations = None;
            }
        }
    }
    operations
}

fn substitution(triple: &[Setting]) -> Result<Operation, String> {
    let [field, needle, replacement] = triple else {
        return Err(format!("gsub of `{}` needs an expression and a replacement", triple[0].text()));
    };
    let expression = needle.as_str().ok_or_else(|| format!("`{}` is no regular expression", needle.text()))?;
    let substitution = Substitution::compile(expression, &replacement.text())
        .map_err(|error| format!("the expression `{expression}` of gsub: {error}"))?;
    Ok(Operation::Substitute(Reference::setting(field), Box::new(substitution)))
}

fn plain(options: &Options<'_>, name: &str) -> impl Iterator<Item = Reference> {
    options.list(name).into_iter().map(|field| Reference::setting(&field))
}

fn letters(options: &Options<'_>, name: &str, letters: Letters) -> impl Iterator<Item = Operation> {
    plain(options, name).map(move |field| Operation::Letters(field, letters))
}

/// A separator that is no text makes Ruby raise when it is needed.
fn separators(
    options: &Options<'_>,
    name: &str,
    make: fn(Reference, Option<String>) -> Operation,
) -> impl Iterator<Item = Operation> {
    let entries = options.hash(name).into_iter();
    entries.map(move |(field, separator)| make(Reference::plain(&field), separator.as_str().map(str::to_owned)))
}

fn merges(options: &Options<'_>) -> impl Iterator<Item = Operation> {
    options.hash("merge").into_iter().map(|(field, added)| {
        let added = match &added.kind {
            // A pair of a map is no field reference.
            ValueKind::Hash(entries) => entries.iter().map(|_| Reference::Broken).collect(),
            ValueKind::Array(fields) => fields.iter().map(Reference::setting).collect(),
            _ => vec![Reference::setting(&added)],
        };
        Operation::Merge(Reference::plain(&field), added)
    })
}

fn copies(options: &Options<'_>) -> impl Iterator<Item = Operation> {
    let entries = options.hash("copy").into_iter();
    entries.map(|(from, to)| Operation::Copy(Reference::plain(&from), Reference::setting(&to)))
}

struct Mutate {
    operations: Vec<Operation>,
    failure_tag: [String; 1],
}

impl Filter for Mutate {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        match self.operations.iter().try_for_each(|operation| operation.apply(event, cx)) {
            Ok(()) => Outcome::Matched,
            Err(Raised(_)) => {
                event.tag(&self.failure_tag[0]);
                Outcome::Passed
            }
        }
    }

    fn rescue_tags(&self) -> Option<&[String]> {
        Some(&self.failure_tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Numbers, parse, write_event};
    use crate::value::Value;

    fn run(operations: Vec<Operation>, event: &str) -> (Outcome, String) {
        let filter = Mutate { operations, failure_tag: ["_mutate_error".into()] };
        let Ok(Value::Map(fields)) = parse(event, Numbers::Doubles) else { panic!("{event} is no object") };
        let mut event = Event::new(*fields);
        let outcome = filter.filter(&mut event, &mut Context::default());
        let mut out = Vec::new();
        write_event(&event, &mut out);
        (outcome, String::from_utf8(out).unwrap())
    }

    fn field(name: &str) -> Reference {
        Reference::plain(name)
    }

    #[test]
    fn rename_moves_a_value_and_loses_it_where_it_can_t_be_set() {
        let rename = |old: &str, new: &str| vec![Operation::Rename(Reference::template(old), Reference::template(new))];
        let moved = (Outcome::Matched, r#"{"x":{"y":1}}"#.to_owned());
        assert_eq!(run(rename("a", "[x][y]"), r#"{"a":1}"#), moved);
        assert_eq!(run(rename("%{k}", "%{k}2"), r#"{"k":"a","a":1}"#).1, r#"{"k":"a","a2":1}"#);
        let lost = (Outcome::Passed, r#"{"tags":["_mutate_error"]}"#.to_owned());
        assert_eq!(run(rename("a", "tags"), r#"{"a":1}"#), lost);
        assert_eq!(run(rename("a", "[x"), r#"{"a":1}"#), lost);
    }

    #[test]
    fn a_failure_keeps_what_was_done_and_skips_the_rest() {
        let operations = vec![
            Operation::Replace(field("a"), Template::parse("<%{a}>")),
            Operation::Convert(field("n"), Conversion::Integer),
            Operation::Letters(field("a"), Letters::Upper),
        ];
        let failed = (Outcome::Passed, r#"{"a":"<x>","n":"ten","tags":["_mutate_error"]}"#.to_owned());
        assert_eq!(run(operations, r#"{"a":"x","n":"ten"}"#), failed);
    }

    #[test]
    fn merge_reads_the_field_once() {
        let merge = || vec![Operation::Merge(field("a"), vec![field("b"), field("c")])];
        let merged = |event: &str| run(merge(), event).1;
        assert_eq!(merged(r#"{"a":[1],"b":2,"c":[3]}"#), r#"{"a":[1,2,3],"b":2,"c":[3]}"#);
        assert_eq!(merged(r#"{"a":1,"b":2,"c":[3]}"#), r#"{"a":[1,3],"b":2,"c":[3]}"#);
        assert_eq!(merged(r#"{"a":{"k":1},"b":{"k":2},"c":3}"#), r#"{"a":{"k":2},"b":{"k":2},"c":3}"#);
    }

    #[test]
    fn lists_are_split_joined_and_stripped() {
        let comma = || Some(",".to_owned());
        assert_eq!(run(vec![Operation::Split(field("a"), comma())], r#"{"a":",x,,"}"#).1, r#"{"a":["","x"]}"#);
        let joined = run(vec![Operation::Join(field("a"), comma())], r#"{"a":[1.0,[null,{"k":1}]]}"#).1;
        assert_eq!(joined, r#"{"a":"1.0,,{\"k\" => 1}"}"#);
        assert_eq!(run(vec![Operation::Strip(field("a"))], r#"{"a":[" x\n"]}"#).1, r#"{"a":["x"]}"#);
        let raised = run(vec![Operation::Strip(field("a"))], r#"{"a":[null]}"#).0;
        assert_eq!(raised, Outcome::Passed);
    }

    #[test]
    fn coerce_and_copy_look_at_null() {
        let coerce = || vec![Operation::Coerce(field("a"), Template::parse("none"))];
        assert_eq!(run(coerce(), r#"{"a":null}"#).1, r#"{"a":"none"}"#);
        assert_eq!(run(coerce(), "{}").1, "{}");
        let copy = || vec![Operation::Copy(field("a"), field("b"))];
        assert_eq!(run(copy(), r#"{"a":null}"#).1, r#"{"a":null}"#);
        assert_eq!(run(copy(), r#"{"a":[1]}"#).1, r#"{"a":[1],"b":[1]}"#);
    }
}
