//! Takes a text apart with named patterns: `%{IP:client} %{WORD:method}` makes the fields `client` and `method`.
//!
//! `%{NAME:field}` puts what the pattern NAME matched into `field`; `%{NAME:field:int}` and `:float` make a number of it, and plain
//! `(?<field>...)` works too. Patterns are Ruby regular expressions: `^` and `$` are line anchors, and the dot matches newlines.
//! `elkhound docs grok` lists the options.
//!
//! ## Options
//!
//! - `match`: field → pattern, or a list of patterns that are tried in turn.
//! - `break_on_match` (default true): stop at the first pattern that matches.
//! - `overwrite`: fields that a capture replaces; otherwise it is added to what is there.
//! - `pattern_definitions`, `patterns_dir`, `patterns_files_glob`: patterns of your own; in a file each line is a name, a blank and the expression.
//!   `patterns_dir` takes folders, of which `patterns_files_glob` chooses the files, and files or globs of files.
//! - `tag_on_failure` (default `["_grokparsefailure"]`), `tag_on_timeout` (default `_groktimeout`).
//! - `timeout_millis` (default 30000, 0 for none), `timeout_scope`: how much work an event may cost. Patterns without back-references and unlimited look-around
//!   take linear time whatever the text.
//! - `named_captures_only` (default true), `keep_empty_captures` (default false), `target`.
//! - `ecs_compatibility`: `disabled` takes the patterns with the old field names; otherwise they have the names of ECS.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   grok { match => { "message" => "%{IP:client} %{WORD:method} %{NUMBER:bytes:int}" } }
//! }
//! ```
//!
//! ```json
//! {"message":"10.0.0.1 GET 512"}
//! =>
//! {"message":"10.0.0.1 GET 512","client":"10.0.0.1","method":"GET","bytes":512}
//! ```
//!
//! ## On failure
//!
//! The event is tagged `_grokparsefailure` and otherwise unchanged; a match that uses up its budget tags `_groktimeout`.
//!
//! ## Differences from Logstash
//!
//! The time-out counts work, not time, so that a loaded host does not tag events that an idle one would not.

use std::collections::HashMap;
use std::sync::Arc;

use elkhound_config::ast::{Span, Value as Setting, ValueKind};
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::{Context, Filter, Kind, Outcome};
use crate::event::Event;
use crate::number;
use crate::path::Path;
use crate::print;
use crate::regex::{Allowance, Budget, Overrun, Regex};
use crate::setup::Setup;
use crate::text::Text;
use crate::value::Value;

mod expand;
mod library;

use expand::Expander;
pub(crate) use expand::expression;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "grok", options: OPTIONS, docs: crate::docs::head(include_str!("grok.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "break_on_match",
        kind: OptionKind::Boolean,
        default: "true",
        required: false,
        help: "stop at the first pattern that matches",
    },
    OptionSpec {
        name: "ecs_compatibility",
        kind: OptionKind::OneOf(&["disabled", "v1", "v8"]),
        default: "the pipeline's",
        required: false,
        help: "which set of patterns and field names",
    },
    OptionSpec {
        name: "keep_empty_captures",
        kind: OptionKind::Boolean,
        default: "false",
        required: false,
        help: "keep captures that are empty",
    },
    OptionSpec {
        name: "match",
        kind: OptionKind::Hash,
        default: "{}",
        required: false,
        help: "field → pattern or list of patterns",
    },
    OptionSpec {
        name: "named_captures_only",
        kind: OptionKind::Boolean,
        default: "true",
        required: false,
        help: "keep only captures that are given a name",
    },
    OptionSpec {
        name: "overwrite",
        kind: OptionKind::Array,
        default: "[]",
        required: false,
        help: "fields that a capture replaces",
    },
    OptionSpec {
        name: "pattern",
        kind: OptionKind::Obsolete("write `match => { \"message\" => … }`"),
        default: "",
        required: false,
        help: "old name",
    },
    OptionSpec {
        name: "pattern_definitions",
        kind: OptionKind::Hash,
        default: "{}",
        required: false,
        help: "patterns of your own: name → expression",
    },
    OptionSpec {
        name: "patterns_dir",
        kind: OptionKind::Array,
        default: "[]",
        required: false,
        help: "folders with pattern files, or such files",
    },
    OptionSpec {
        name: "patterns_files_glob",
        kind: OptionKind::String,
        default: "*",
        required: false,
        help: "which files of patterns_dir",
    },
    OptionSpec {
        name: "tag_on_failure",
        kind: OptionKind::Array,
        default: "[\"_grokparsefailure\"]",
        required: false,
        help: "tags of an event that nothing matched",
    },
    OptionSpec {
        name: "tag_on_timeout",
        kind: OptionKind::String,
        default: "_groktimeout",
        required: false,
        help: "tag of an event that cost too much",
    },
    OptionSpec {
        name: "target",
        kind: OptionKind::String,
        default: "",
        required: false,
        help: "the field under which captures are put",
    },
    OptionSpec {
        name: "timeout_millis",
        kind: OptionKind::Number,
        default: "30000",
        required: false,
        help: "how much work an event may cost, in milliseconds; 0 for no limit",
    },
    OptionSpec {
        name: "timeout_scope",
        kind: OptionKind::OneOf(&["pattern", "event"]),
        default: "pattern",
        required: false,
        help: "whether the limit is for each pattern or for the event",
    },
];

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let expander = Expander::read(options, setup)?;
    let target = options.text("target");
    let overwrite = options.texts("overwrite");
    let mut matches = Vec::new();
    let mut sound = true;
    for (field, patterns) in options.hash("match") {
        let Ok(path) = Path::parse(&field) else {
            options.fail("match", &format!("`{field}` is not a field reference"), "write `name` or `[outer][inner]`");
            sound = false;
            continue;
        };
        if let Some(other) = no_pattern(&patterns) {
            options.fail_at(other.span, "a pattern is a text", "write it in quotes, or a list of such texts");
            sound = false;
            continue;
        }
        let mut compiled = Vec::new();
        for written in elements(&patterns) {
            let text = written.text();
            match Pattern::compile(&text, &expander, target.as_deref(), &overwrite) {
                Ok(pattern) => compiled.push(pattern),
                Err(mistakes) => {
                    mistakes.iter().for_each(|mistake| mistake.report(written, &text, options));
                    sound = false;
                }
            }
            expand::warn_of_odd_references(written, &text, options);
        }
        matches.push(Match { path, patterns: compiled });
    }
    for (_, definition) in options.hash("pattern_definitions") {
        expand::warn_of_odd_references(&definition, &definition.text(), options);
    }
    let millis = options.integer("timeout_millis", 30_000);
    let grok = Grok {
        matches,
        break_on_match: options.boolean("break_on_match", true),
        keep_empty: options.boolean("keep_empty_captures", false),
        failure_tags: options.texts_or("tag_on_failure", &["_grokparsefailure"]),
        timeout_tag: options.text_or("tag_on_timeout", "_groktimeout"),
        budget: if millis <= 0 { Budget::UNLIMITED } else { Budget::from_millis(millis as u64) },
        scope: if options.text_or("timeout_scope", "pattern") == "event" { Scope::Event } else { Scope::Pattern },
    };
    sound.then(|| Box::new(grok) as Box<dyn Filter>)
}

/// The patterns of a field, each with its place.
fn elements(patterns: &Setting) -> &[Setting] {
    match &patterns.kind {
        ValueKind::Array(values) => values,
        _ => std::slice::from_ref(patterns),
    }
}

/// What is no text among the patterns of a field.
fn no_pattern(patterns: &Setting) -> Option<&Setting> {
    let is_text = |value: &Setting| matches!(value.kind, ValueKind::String(_) | ValueKind::Bareword(_));
    match &patterns.kind {
        ValueKind::Array(values) => values.iter().find(|value| !is_text(value)),
        ValueKind::Hash(entries) if !entries.is_empty() => Some(patterns),
        ValueKind::Number(_) => Some(patterns),
        _ => None,
    }
}

/// Why a pattern can't be compiled.
struct Mistake {
    message: String,
    help: String,
    /// The name of the pattern that it is about, when it is about one.
    name: Option<String>,
}

impl Mistake {
    fn report(&self, written: &Setting, text: &str, options: &mut Options<'_>) {
        options.fail_at(self.place_in(written, text), &self.message, &self.help);
    }

    /// Where it is in a pattern as written: at the reference, unless that stands in another pattern.
    fn place_in(&self, written: &Setting, text: &str) -> Span {
        let reference = self.name.as_ref().map(|name| format!("%{{{name}"));
        let at = reference.and_then(|reference| Some((text.find(&reference)?, reference.len())));
        at.map_or(written.span, |(start, length)| {
            let end = text[start..].find('}').map_or(start + length, |close| start + close + 1);
            written.place_of(start..end)
        })
    }
}

struct Grok {
    matches: Vec<Match>,
    break_on_match: bool,
    keep_empty: bool,
    failure_tags: Vec<String>,
    timeout_tag: String,
    budget: Budget,
    scope: Scope,
}

/// What the budget is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Each pattern on each text.
    Pattern,
    /// All that is done for an event.
    Event,
}

/// The patterns for one field.
struct Match {
    path: Path,
    patterns: Vec<Pattern>,
}

struct Pattern {
    regex: Arc<Regex>,
    captures: Vec<Capture>,
}

/// Where a group goes.
struct Capture {
    group: usize,
    target: Path,
    cast: Cast,
    existing: Existing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cast {
    Text,
    Integer,
    Float,
}

/// What becomes of a value that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Joined,
    Replaced,
}

impl Filter for Grok {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        match self.match_fields(event, cx) {
            Ok(true) => return Outcome::Matched,
            // What can't be kept is no match; what was kept before stays.
            Ok(false) | Err(Ended::NotKept) => self.failure_tags.iter().for_each(|tag| event.tag(tag)),
            Err(Ended::Overrun) => event.tag(&self.timeout_tag),
        }
        Outcome::Passed
    }
}

/// Why matching an event has ended early.
enum Ended {
    /// It cost too much.
    Overrun,
    /// A capture has nowhere to go: its field can't be set.
    NotKept,
}

impl From<Overrun> for Ended {
    fn from(_: Overrun) -> Self {
        Self::Overrun
    }
}

impl Grok {
    fn match_fields(&self, event: &mut Event, cx: &mut Context) -> Result<bool, Ended> {
        let mut matched = false;
        let allowance = self.budget.start(&cx.scratch);
        for field in &self.matches {
            if self.match_field(field, allowance, event, cx)? {
                matched = true;
                if self.break_on_match {
                    break;
                }
            }
        }
        Ok(matched)
    }

    /// The elements of a list are matched one by one; anything else is matched as Ruby's text of it, a missing field as the empty text.
    fn match_field(
        &self,
        field: &Match,
        allowance: Allowance,
        event: &mut Event,
        cx: &mut Context,
    ) -> Result<bool, Ended> {
        let texts = match event.get(&field.path) {
            None => return self.match_text(field, &Text::EMPTY, allowance, event, cx),
            Some(Value::List(list)) => list.iter().map(print::ruby_text).collect::<Vec<_>>(),
            Some(value) => {
                let text = print::ruby_text(value);
                return self.match_text(field, &text, allowance, event, cx);
            }
        };
        let mut matched = false;
        for text in &texts {
            matched |= self.match_text(field, text, allowance, event, cx)?;
        }
        Ok(matched)
    }

    /// With `break_on_match` off every pattern is tried, and the last one decides.
    fn match_text(
        &self,
        field: &Match,
        text: &Text,
        allowance: Allowance,
        event: &mut Event,
        cx: &mut Context,
    ) -> Result<bool, Ended> {
        let mut matched = false;
        for pattern in &field.patterns {
            let budget = if self.scope == Scope::Event { allowance.left(&cx.scratch) } else { self.budget };
            matched = pattern.regex.captures_at(text, 0, &mut cx.scratch, budget)?;
            if matched {
                pattern.captures.iter().try_for_each(|capture| self.keep(capture, text, event, cx))?;
                if self.break_on_match {
                    break;
                }
            }
        }
        Ok(matched)
    }

    #[inline]
    fn keep(&self, capture: &Capture, text: &Text, event: &mut Event, cx: &Context) -> Result<(), Ended> {
        let range = cx.scratch.group(capture.group);
        let empty = range.is_none_or(|(start, end)| start == end);
        if empty && !self.keep_empty {
            return Ok(());
        }
        let value = range.map_or(Value::Null, |(start, end)| capture.cast.apply(text, start, end));
        capture.store(value, event)
    }
}

impl Cast {
    #[inline]
    fn apply(self, text: &Text, start: usize, end: usize) -> Value {
        match self {
            Self::Text => Value::Text(text.slice(start..end)),
            Self::Integer => Value::from(number::to_i(&text[start..end])),
            Self::Float => Value::Float(number::to_f(&text[start..end])),
        }
    }
}

impl Capture {
    #[inline]
    fn store(&self, value: Value, event: &mut Event) -> Result<(), Ended> {
        let Err(value) = event.add_new(&self.target, value) else { return Ok(()) };
        let merged = match event.get(&self.target) {
            None | Some(Value::Null) => value,
            Some(_) if self.existing == Existing::Replaced => value,
            Some(Value::List(list)) => Value::list(list.iter().cloned().chain([value]).collect()),
            Some(old @ Value::Text(_)) => Value::list(vec![old.clone(), value]),
            Some(_) => return Ok(()),
        };
        event.set(&self.target, merged).map_err(|_| Ended::NotKept)
    }
}

impl Pattern {
    fn compile(
        written: &str,
        expander: &Expander,
        target: Option<&str>,
        overwrite: &[String],
    ) -> Result<Self, Vec<Mistake>> {
        let (regex, names) = expander.compile(written)?;
        let mut captures = Vec::new();
        for (full, numbers) in named(&regex, &names) {
            for (at, number) in numbers.into_iter().enumerate() {
                // Logstash takes a pattern with such a name and never finds it.
                let Some(capture) = capture(full, at, number, target, overwrite) else { return Self::never(expander) };
                captures.push(capture);
            }
        }
        Ok(Self { regex, captures })
    }

    fn never(expander: &Expander) -> Result<Self, Vec<Mistake>> {
        let (regex, _) = expander.compile("(?!)")?;
        Ok(Self { regex, captures: Vec::new() })
    }
}

/// Full names (`PATTERN:field:cast`) in the order in which they first appear, each with all its groups.
fn named<'a>(regex: &'a Regex, names: &'a HashMap<String, String>) -> Vec<(&'a str, Vec<usize>)> {
    let mut all: Vec<(&str, Vec<usize>)> = Vec::new();
    for (group, numbers) in regex.names() {
        let full = names.get(group).map_or(group.as_str(), String::as_str);
        match all.iter_mut().find(|(seen, _)| *seen == full) {
            Some((_, groups)) => groups.extend(numbers),
            None => all.push((full, numbers.clone())),
        }
    }
    all
}

/// `PATTERN:field:cast`, where a name without colon is the field itself. Logstash casts only the first group (`at` 0) of a full name.
/// Nothing when the name can't be a field.
fn capture(name: &str, at: usize, group: usize, target: Option<&str>, overwrite: &[String]) -> Option<Capture> {
    let mut parts = name.splitn(3, ':');
    let first = parts.next().unwrap_or_default();
    let field = parts.next().unwrap_or(first);
    let cast = match parts.next() {
        Some("int") if at == 0 => Cast::Integer,
        Some("float") if at == 0 => Cast::Float,
        _ => Cast::Text,
    };
    let existing = if overwrite.iter().any(|name| name == field) { Existing::Replaced } else { Existing::Joined };
    let full = match target {
        None => field.to_owned(),
        Some(target) if field.starts_with('[') => format!("{}{field}", bracketed(target)),
        Some(target) => format!("{}[{field}]", bracketed(target)),
    };
    let target = Path::parse(&full).ok()?;
    Some(Capture { group, target, cast, existing })
}

fn bracketed(target: &str) -> String {
    if target.starts_with('[') { target.to_owned() } else { format!("[{target}]") }
}

#[cfg(test)]
mod tests;
