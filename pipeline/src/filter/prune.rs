//! Removes fields by their names or values.
//!
//! All names and values are looked at first and removed then, so that no rule sees what another one has removed. Only top-level
//! fields are looked at; `@timestamp` and `@version` are fields, too.
//!
//! ## Options
//!
//! - `whitelist_names`: regular expressions; fields whose names match none of them are removed.
//! - `blacklist_names` (default `["%\{[^}]+\}"]`): fields whose names match one of them are removed.
//! - `whitelist_values`, `blacklist_values`: field → regular expression for its text; in a list, single elements are removed.
//! - `interpolate` (default false): `%{}` in names and expressions is put in for each event, which is slow.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   prune { whitelist_names => ["^@timestamp$", "^message$", "^log$"] }
//! }
//! ```
//!
//! ```json
//! {"message":"m","log":{"level":"info"},"noise":1}
//! =>
//! {"message":"m","log":{"level":"info"}}
//! ```
//!
//! ## On failure
//!
//! A value that is no text under a rule for values ends Logstash's worker; here it is counted as a failure, and the event goes on
//! unchanged.
//!
//! ## Differences from Logstash
//!
//! None known.

use elkhound_config::ast::ValueKind;
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::Raised;
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::path::Path;
use crate::regex::{Budget, Flags, Regex, Scratch};
use crate::setup::Setup;
use crate::template::Template;
use crate::text::Text;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "prune", options: OPTIONS, docs: crate::docs::head(include_str!("prune.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("blacklist_names", OptionKind::Array, r#"["%\{[^}]+\}"]"#, "names of fields to remove"),
    optional("blacklist_values", OptionKind::Hash, "{}", "field → values for which it is removed"),
    optional("interpolate", OptionKind::Boolean, "false", "put `%{}` in for each event"),
    optional("whitelist_names", OptionKind::Array, "[]", "names of fields to keep"),
    optional("whitelist_values", OptionKind::Hash, "{}", "field → values for which it is kept"),
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let interpolate = options.boolean("interpolate", false);
    let keep = options.texts("whitelist_names");
    let drop = options.texts_or("blacklist_names", &[r"%\{[^}]+\}"]);
    let keep = names(options, "whitelist_names", &keep, interpolate);
    let drop = names(options, "blacklist_names", &drop, interpolate);
    let keep_values = values(options, "whitelist_values", interpolate);
    let drop_values = values(options, "blacklist_values", interpolate);
    Some(Box::new(Prune { keep: keep?, drop: drop?, keep_values: keep_values?, drop_values: drop_values? }))
}

fn names(options: &mut Options<'_>, name: &str, written: &[String], interpolate: bool) -> Option<Vec<Pattern>> {
    let patterns: Vec<_> = written.iter().map(|text| pattern(options, name, text, interpolate)).collect();
    patterns.into_iter().collect()
}

fn values(options: &mut Options<'_>, name: &str, interpolate: bool) -> Option<Vec<Rule>> {
    let mut rules = Vec::new();
    for (key, written) in options.hash(name) {
        let is_text = matches!(written.kind, ValueKind::String(_) | ValueKind::Bareword(_));
        if !is_text && !interpolate {
            let message = format!("`{}` of `{key}` is no regular expression", written.text());
            options.fail_at(written.span, &message, "write a text; join several with `|`");
            return None;
        }
        let key = if interpolate { Template::parse(&key) } else { Template::plain(&key) };
        rules.push(Rule { key, pattern: pattern(options, name, &written.text(), interpolate)? });
    }
    Some(rules)
}

fn pattern(options: &mut Options<'_>, name: &str, written: &str, interpolate: bool) -> Option<Pattern> {
    let template = Template::parse(written);
    let compiled = Regex::new(written, Flags::default());
    match compiled {
        Ok(regex) if !interpolate || template.literal().is_some() => Some(Pattern::Fixed(Box::new(regex))),
        // Logstash compiles these with each event, also those that can't be.
        _ if interpolate => Some(Pattern::Rendered(template)),
        Ok(_) => None,
        Err(error) => {
            options.fail(name, &format!("`{written}`: {error}"), "write a regular expression");
            None
        }
    }
}

struct Prune {
    keep: Vec<Pattern>,
    drop: Vec<Pattern>,
    keep_values: Vec<Rule>,
    drop_values: Vec<Rule>,
}

/// A regular expression, put together for each event where it has `%{}` in it.
enum Pattern {
    Fixed(Box<Regex>),
    Rendered(Template),
}

struct Rule {
    key: Template,
    pattern: Pattern,
}

/// What is done once everything has been looked at.
enum Change {
    Remove(Text),
    Set(Text, Value),
}

impl Filter for Prune {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        match self.prune(event, cx) {
            Ok(()) => Outcome::Matched,
            Err(Raised(reason)) => Outcome::Failed(reason),
        }
    }
}

impl Prune {
    fn prune(&self, event: &mut Event, cx: &mut Context) -> Result<(), Raised> {
        let mut changes = Vec::new();
        let scratch = &mut cx.scratch;
        if !self.keep.is_empty() {
            by_name(&self.keep, false, event, scratch, &mut changes)?;
        }
        if !self.drop.is_empty() {
            by_name(&self.drop, true, event, scratch, &mut changes)?;
        }
        by_value(&self.keep_values, false, event, scratch, &mut changes)?;
        by_value(&self.drop_values, true, event, scratch, &mut changes)?;
        changes.into_iter().try_for_each(|change| change.apply(event))
    }
}

impl Change {
    fn apply(self, event: &mut Event) -> Result<(), Raised> {
        match self {
            Self::Remove(name) => {
                event.remove(&Path::parse(&name)?);
                Ok(())
            }
            Self::Set(name, value) => Ok(event.set(&Path::parse(&name)?, value)?),
        }
    }
}

/// Removes the fields whose names match, or, without `matching`, those whose names don't.
fn by_name(
    patterns: &[Pattern],
    matching: bool,
    event: &Event,
    scratch: &mut Scratch,
    changes: &mut Vec<Change>,
) -> Result<(), Raised> {
    for (name, _) in event.fields() {
        let mut matches = false;
        for pattern in patterns {
            matches = matches || pattern.is_match(name, event, scratch)?;
        }
        if matches == matching {
            changes.push(Change::Remove(name.clone()));
        }
    }
    Ok(())
}

fn by_value(
    rules: &[Rule],
    matching: bool,
    event: &Event,
    scratch: &mut Scratch,
    changes: &mut Vec<Change>,
) -> Result<(), Raised> {
    for rule in rules {
        let name = rule.key.render(event)?;
        rule.pattern.check(event)?;
        match event.field(&name) {
            None | Some(Value::Null | Value::Bool(false)) => {}
            Some(Value::List(list)) => changes.extend(rule.thin_out(&name, list, matching, event, scratch)?),
            Some(value) => {
                if rule.pattern.matches_value(value, event, scratch)? == matching {
                    changes.push(Change::Remove(name));
                }
            }
        }
    }
    Ok(())
}

impl Rule {
    /// What is to be done with a list; it goes altogether when nothing of it stays.
    fn thin_out(
        &self,
        name: &Text,
        list: &[Value],
        matching: bool,
        event: &Event,
        scratch: &mut Scratch,
    ) -> Result<Option<Change>, Raised> {
        let mut kept = Vec::new();
        for value in list {
            if self.pattern.matches_value(value, event, scratch)? != matching {
                kept.push(value.clone());
            }
        }
        Ok(match kept.len() {
            stay if stay == list.len() => None,
            0 => Some(Change::Remove(name.clone())),
            _ => Some(Change::Set(name.clone(), Value::list(kept))),
        })
    }
}

impl Pattern {
    fn is_match(&self, text: &str, event: &Event, scratch: &mut Scratch) -> Result<bool, Raised> {
        let found = match self {
            Self::Fixed(regex) => regex.is_match(text, scratch, Budget::for_text(text.len())),
            Self::Rendered(template) => {
                compiled(template, event)?.is_match(text, scratch, Budget::for_text(text.len()))
            }
        };
        found.map_err(|overrun| Raised(overrun.to_string()))
    }

    fn matches_value(&self, value: &Value, event: &Event, scratch: &mut Scratch) -> Result<bool, Raised> {
        let Some(text) = value.as_text() else {
            return Err(Raised("a value is no text, which can't be matched".into()));
        };
        self.is_match(text, event, scratch)
    }

    /// An expression is put together also where there is no value to match it with.
    fn check(&self, event: &Event) -> Result<(), Raised> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Rendered(template) => compiled(template, event).map(|_| ()),
        }
    }
}

fn compiled(template: &Template, event: &Event) -> Result<Regex, Raised> {
    Regex::new(&template.render(event)?, Flags::default()).map_err(|error| Raised(error.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::{filtered, mistakes};

    const EVENT: &str = r#"{"status":200,"status_text":"ok","%{x}":1,"l":["a","b","a"]}"#;

    #[test]
    fn names_are_kept_or_removed() {
        assert_eq!(filtered("prune { }", EVENT), r#"{"status":200,"status_text":"ok","l":["a","b","a"]}"#);
        assert_eq!(filtered("prune { whitelist_names => ['status$'] }", EVENT), r#"{"status":200}"#);
        let both = "prune { blacklist_names => ['^status$', '^l'] add_tag => ok }";
        assert_eq!(filtered(both, EVENT), r#"{"status_text":"ok","%{x}":1,"tags":["ok"]}"#);
    }

    #[test]
    fn values_thin_lists_out() {
        assert_eq!(
            filtered("prune { whitelist_names => ['^l'] blacklist_values => { 'l' => '^a' } }", EVENT),
            r#"{"l":["b"]}"#
        );
        assert_eq!(
            filtered("prune { whitelist_names => ['^s'] whitelist_values => { 'status_text' => 'no' } }", EVENT),
            r#"{"status":200}"#
        );
    }

    #[test]
    fn references_are_put_in_for_each_event() {
        assert_eq!(
            filtered(
                "prune { interpolate => true blacklist_values => { '%{f}' => '^%{v}$' } }",
                r#"{"f":"lvl","v":"debug","lvl":"debug"}"#
            ),
            r#"{"f":"lvl","v":"debug"}"#
        );
    }

    #[test]
    fn bad_expressions_are_refused() {
        assert_eq!(mistakes("prune { whitelist_names => ['('] }").len(), 1);
        assert_eq!(mistakes("prune { whitelist_values => { 'a' => ['b', 'c'] } }").len(), 1);
    }
}
