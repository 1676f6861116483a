//! `gsub`: what a regular expression matches is replaced, as Ruby's `String#gsub` does it.

use std::sync::{Arc, Mutex, PoisonError};

use super::Raised;
use crate::event::Event;
use crate::filter::Context;
use crate::regex::{Budget, Flags, Regex, RegexError, Replacement};
use crate::template::Template;
use crate::text::Text;
use crate::value::Value;

/// How many expressions that events have put together are kept.
const KEPT: usize = 64;

/// One needle and its replacement.
pub(super) struct Substitution {
    needle: Needle,
    replacement: Put,
}

enum Needle {
    Fixed(Arc<Regex>),
    /// With `%{}` in it: compiled for each event, the last ones are kept.
    Rendered(Template, Mutex<Vec<Arc<Regex>>>),
}

enum Put {
    Fixed(Replacement),
    Rendered(Template),
}

impl Substitution {
    pub(super) fn compile(needle: &str, replacement: &str) -> Result<Self, RegexError> {
        let needle = if needle.contains("%{") {
            Needle::Rendered(Template::parse(needle), Mutex::default())
        } else {
            Needle::Fixed(Arc::new(Regex::new(needle, Flags::default())?))
        };
        let template = Template::parse(replacement);
        let replacement = match template.literal() {
            Some(text) => Put::Fixed(Replacement::parse(text)),
            None => Put::Rendered(template),
        };
        Ok(Self { needle, replacement })
    }

    /// The new value; nothing when it stays as it is. Of a list the texts are replaced.
    pub(super) fn apply(&self, value: &Value, event: &Event, cx: &mut Context) -> Result<Option<Value>, Raised> {
        match value {
            Value::Text(text) => Ok(self.replace(text, event, cx)?.map(Value::from)),
            Value::List(list) => {
                let replaced = list.iter().map(|value| match value {
                    Value::Text(text) => Ok(self.replace(text, event, cx)?.map_or_else(|| value.clone(), Value::from)),
                    other => Ok(other.clone()),
                });
                Ok(Some(Value::list(replaced.collect::<Result<_, Raised>>()?)))
            }
            _ => Ok(None),
        }
    }

    fn replace(&self, text: &Text, event: &Event, cx: &mut Context) -> Result<Option<String>, Raised> {
        let rendered;
        let regex = match &self.needle {
            Needle::Fixed(regex) => regex,
            Needle::Rendered(template, kept) => {
                rendered = compiled(&template.render(event)?, kept)?;
                &rendered
            }
        };
        match &self.replacement {
            Put::Fixed(replacement) => run(regex, text, replacement, cx),
            Put::Rendered(template) => run(regex, text, &Replacement::parse(&template.render(event)?), cx),
        }
    }
}

fn run(regex: &Regex, text: &str, replacement: &Replacement, cx: &mut Context) -> Result<Option<String>, Raised> {
    let replaced = regex
        .replace_all(text, replacement, &mut cx.scratch, Budget::for_text(text.len()))
        .map_err(|overrun| Raised(format!("gsub with `{}`: {overrun}", regex.pattern())))?;
    match replacement.unknown_name(regex) {
        // Ruby finds out when it replaces, so a text without match is left alone.
        Some(name) if replaced.is_some() => {
            Err(Raised(format!("the replacement names the group `{name}`, which is not there")))
        }
        _ => Ok(replaced),
    }
}

fn compiled(pattern: &str, kept: &Mutex<Vec<Arc<Regex>>>) -> Result<Arc<Regex>, Raised> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.iter().find(|regex| regex.pattern() == pattern) {
        return Ok(Arc::clone(known));
    }
    let regex = Regex::new(pattern, Flags::default()).map_err(|error| Raised(error.to_string()))?;
    let regex = Arc::new(regex);
    if kept.len() >= KEPT {
        kept.remove(0);
    }
    kept.push(Arc::clone(&regex));
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(needle: &str, replacement: &str, text: &str) -> Result<Option<Value>, Raised> {
        let mut event = Event::default();
        event.set_field("word".into(), "b+".into());
        Substitution::compile(needle, replacement).unwrap().apply(&text.into(), &event, &mut Context::default())
    }

    #[test]
    fn needle_and_replacement_may_hold_references() {
        assert_eq!(replace("%{word}", "<%{word}>", "abba"), Ok(Some("a<b+>a".into())));
        assert_eq!(replace("x", "y", "abba"), Ok(None));
    }

    #[test]
    fn an_unknown_group_raises_where_something_matches() {
        assert!(replace("b", r"\k<n>", "abba").is_err());
        assert_eq!(replace("x", r"\k<n>", "abba"), Ok(None));
    }

    #[test]
    fn a_pattern_that_goes_astray_is_given_up() {
        let text = "a".repeat(16 << 10) + "!";
        let Err(Raised(reason)) = replace(r"^(a+)+\1$", "", &text) else { panic!("it ended") };
        assert!(reason.contains("took too long"), "{reason}");
    }
}
