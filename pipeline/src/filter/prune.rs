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
//! A value that is no text under a rule for values ends Logstash's worker; here it is counted as a failure, logged and tagged
//! `_elkhound_filter_failure`, and the event goes on unchanged. So it does when the expressions take longer than about a second on it.
//!
//! ## Differences from Logstash
//!
//! None known.

use std::fmt;

use elkhound_config::ast::ValueKind;
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::Raised;
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::path::Path;
use crate::regex::{Allowance, Budget, Flags, Regex, Scratch};
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
        let allowance = Budget::for_text(self.bytes_to_match(event)).start(&cx.scratch);
        let mut look = Look { event, allowance, scratch: &mut cx.scratch };
        let mut changes = Vec::new();
        if !self.keep.is_empty() {
            look.by_name(&self.keep, false, &mut changes)?;
        }
        if !self.drop.is_empty() {
            look.by_name(&self.drop, true, &mut changes)?;
        }
        look.by_value(&self.keep_values, false, &mut changes)?;
        look.by_value(&self.drop_values, true, &mut changes)?;
        changes.into_iter().try_for_each(|change| change.apply(event))
    }

    /// What all expressions are matched with, at most: names with all for names, and values, where there are rules for them, with those.
    fn bytes_to_match(&self, event: &Event) -> usize {
        let names: usize = event.fields().map(|(name, _)| name.len()).sum();
        let rules = self.keep_values.len() + self.drop_values.len();
        let values: usize = if rules == 0 { 0 } else { event.fields().map(|(_, value)| text_bytes(value)).sum() };
        names.saturating_mul(self.keep.len() + self.drop.len()).saturating_add(values.saturating_mul(rules))
    }
}

fn text_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::List(list) => list.iter().map(text_bytes).sum(),
        _ => 0,
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

/// One event that is looked at, and what is left to be spent on it.
struct Look<'a> {
    event: &'a Event,
    allowance: Allowance,
    scratch: &'a mut Scratch,
}

impl Look<'_> {
    /// Removes the fields whose names match, or, without `matching`, those whose names don't.
    fn by_name(&mut self, patterns: &[Pattern], matching: bool, changes: &mut Vec<Change>) -> Result<(), Raised> {
        for (name, _) in self.event.fields() {
            let mut matches = false;
            for pattern in patterns {
                matches = matches || self.is_match(pattern, name)?;
            }
            if matches == matching {
                changes.push(Change::Remove(name.clone()));
            }
        }
        Ok(())
    }

    fn by_value(&mut self, rules: &[Rule], matching: bool, changes: &mut Vec<Change>) -> Result<(), Raised> {
        for rule in rules {
            let name = rule.key.render(self.event)?;
            rule.pattern.check(self.event)?;
            match self.event.field(&name) {
                None | Some(Value::Null | Value::Bool(false)) => {}
                Some(Value::List(list)) => changes.extend(self.thin_out(rule, &name, list, matching)?),
                Some(value) => {
                    if self.matches_value(&rule.pattern, value)? == matching {
                        changes.push(Change::Remove(name));
                    }
                }
            }
        }
        Ok(())
    }

    /// What is to be done with a list; it goes altogether when nothing of it stays.
    fn thin_out(&mut self, rule: &Rule, name: &Text, list: &[Value], matching: bool) -> Result<Option<Change>, Raised> {
        let mut kept = Vec::new();
        for value in list {
            if self.matches_value(&rule.pattern, value)? != matching {
                kept.push(value.clone());
            }
        }
        Ok(match kept.len() {
            stay if stay == list.len() => None,
            0 => Some(Change::Remove(name.clone())),
            _ => Some(Change::Set(name.clone(), Value::list(kept))),
        })
    }

    fn is_match(&mut self, pattern: &Pattern, text: &str) -> Result<bool, Raised> {
        let budget = self.allowance.left(self.scratch);
        let found = match pattern {
            Pattern::Fixed(regex) => regex.is_match(text, self.scratch, budget),
            Pattern::Rendered(template) => compiled(template, self.event)?.is_match(text, self.scratch, budget),
        };
        found.map_err(|overrun| Raised(format!("`{pattern}`: {overrun}")))
    }

    fn matches_value(&mut self, pattern: &Pattern, value: &Value) -> Result<bool, Raised> {
        let Some(text) = value.as_text() else {
            return Err(Raised("a value is no text, which can't be matched".into()));
        };
        self.is_match(pattern, text)
    }
}

impl Pattern {
    /// An expression is put together also where there is no value to match it with.
    fn check(&self, event: &Event) -> Result<(), Raised> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Rendered(template) => compiled(template, event).map(|_| ()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(regex) => f.write_str(regex.pattern()),
            Self::Rendered(_) => f.write_str("an expression with `%{}`"),
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
    fn expressions_that_go_astray_fail_once_for_all_values() {
        let long = "a".repeat(8 << 10);
        let event = format!(r#"{{"l":["{long}!","{long}?"]}}"#);
        let expected = format!(r#"{{"l":["{long}!","{long}?"],"tags":["_elkhound_filter_failure"]}}"#);
        assert_eq!(filtered(r"prune { blacklist_values => { 'l' => '^(a+)+\1$' } }", &event), expected);
    }

    #[test]
    fn bad_expressions_are_refused() {
        assert_eq!(mistakes("prune { whitelist_names => ['('] }").len(), 1);
        assert_eq!(mistakes("prune { whitelist_values => { 'a' => ['b', 'c'] } }").len(), 1);
    }
}
