//! What translate looks texts up in: exactly, by regular expressions, or within the text.

use std::collections::HashMap;

use crate::print;
use crate::regex::{Budget, Flags, Regex, Scratch};
use crate::text::Text;
use crate::value::Value;

/// A dictionary, compiled.
pub(super) enum Dictionary {
    /// `exact => true`: the whole text is a key.
    Exact(HashMap<Text, Value>),
    /// `regex => true`: the first key that matches somewhere in the text.
    Regex(Vec<(Regex, Value)>),
    /// `exact => false`: every key in the text is replaced by its value.
    Within(Replacer),
}

/// How keys are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Exact,
    Regex,
    Within,
}

impl Dictionary {
    /// Compiles the entries, in their order. A key that comes twice has the place of the first and the value of the last.
    ///
    /// # Errors
    /// The key that is no regular expression, or no text where a text is needed, and why.
    pub(super) fn new(entries: Vec<(Value, Value)>, mode: Mode) -> Result<Self, String> {
        if mode == Mode::Exact {
            let texts = entries.into_iter().filter_map(|(key, value)| Some((key.as_text()?.clone(), value)));
            return Ok(Self::Exact(texts.collect()));
        }
        let entries = unique(entries)?;
        if mode == Mode::Within {
            return Ok(Self::Within(Replacer::new(&entries)));
        }
        let compile = |(key, value): (Text, Value)| match Regex::new(&key, Flags::default()) {
            Ok(regex) => Ok((regex, value)),
            Err(error) => Err(format!("the key `{key}` is no regular expression: {error}")),
        };
        Ok(Self::Regex(entries.into_iter().map(compile).collect::<Result<_, _>>()?))
    }

    /// The translation of `text`.
    ///
    /// # Errors
    /// An expression that takes too long on this text.
    #[inline]
    pub(super) fn find(&self, text: &Text, scratch: &mut Scratch) -> Result<Option<Value>, String> {
        match self {
            Self::Exact(map) => Ok(map.get(text).cloned()),
            Self::Regex(entries) => first_match(entries, text, scratch),
            Self::Within(replacer) => Ok(replacer.replaced(text).map(Value::from)),
        }
    }
}

fn unique(entries: Vec<(Value, Value)>) -> Result<Vec<(Text, Value)>, String> {
    let mut places: HashMap<Text, usize> = HashMap::new();
    let mut unique: Vec<(Text, Value)> = Vec::new();
    for (key, value) in entries {
        let Value::Text(key) = key else {
            return Err(format!("the key `{}` is no text; put it in quotes", print::ruby_text(&key)));
        };
        match places.get(&key) {
            Some(place) => unique[*place].1 = value,
            None => {
                places.insert(key.clone(), unique.len());
                unique.push((key, value));
            }
        }
    }
    Ok(unique)
}

/// All expressions together may take about a second, and for each what a linear one needs.
fn first_match(entries: &[(Regex, Value)], text: &Text, scratch: &mut Scratch) -> Result<Option<Value>, String> {
    let allowance = Budget::for_text(text.len().saturating_mul(entries.len())).start(scratch);
    for (regex, value) in entries {
        let budget = allowance.left(scratch);
        let matched =
            regex.is_match(text, scratch, budget).map_err(|error| format!("`{}`: {error}", regex.pattern()))?;
        if matched {
            return Ok(Some(value.clone()));
        }
    }
    Ok(None)
}

/// Replaces keys by values from left to right; where several fit, the first of the dictionary wins.
pub(super) struct Replacer {
    entries: Vec<(Text, Text)>,
    /// By first byte: the entries that may start there, in order, the empty key among them.
    starts: Vec<Vec<usize>>,
    empty: Option<usize>,
}

impl Replacer {
    fn new(entries: &[(Text, Value)]) -> Self {
        let entries: Vec<(Text, Text)> =
            entries.iter().map(|(key, value)| (key.clone(), print::ruby_text(value))).collect();
        let empty = entries.iter().position(|(key, _)| key.is_empty());
        let mut starts = vec![Vec::new(); 256];
        // What comes behind the empty key is never reached.
        for (at, (key, _)) in entries.iter().enumerate().take(empty.unwrap_or(usize::MAX)) {
            starts[usize::from(key.as_bytes()[0])].push(at);
        }
        Self { entries, starts, empty }
    }

    /// The text with all keys replaced; nothing when it stays the same.
    fn replaced(&self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while at <= text.len() {
            let found = self.entry_at(&text[at..]);
            let length = found.map_or(0, |(key, value)| {
                out.push_str(value);
                key.len()
            });
            at += length;
            if length == 0 {
                let Some(letter) = text[at..].chars().next() else { break };
                out.push(letter);
                at += letter.len_utf8();
            }
        }
        (out != text).then_some(out)
    }

    #[inline]
    fn entry_at(&self, rest: &str) -> Option<(&Text, &Text)> {
        let first = rest.bytes().next();
        let candidates = first.map_or(&[][..], |byte| &self.starts[usize::from(byte)]);
        let found = candidates.iter().copied().find(|at| rest.starts_with(self.entries[*at].0.as_str()));
        found.or(self.empty).map(|at| (&self.entries[at].0, &self.entries[at].1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(mode: Mode, entries: &[(&str, &str)]) -> Dictionary {
        let entries = entries.iter().map(|(key, value)| (Value::text(key), Value::text(value))).collect();
        Dictionary::new(entries, mode).unwrap()
    }

    fn find(dictionary: &Dictionary, text: &str) -> Option<String> {
        let found = dictionary.find(&Text::new(text), &mut Scratch::default()).unwrap();
        found.map(|value| print::ruby_text(&value).to_string())
    }

    #[test]
    fn keys_within_a_text_are_replaced_in_the_order_of_the_dictionary() {
        let within = dictionary(Mode::Within, &[("ab", "1"), ("abc", "2"), ("a", "3"), ("ż", "z")]);
        assert_eq!(find(&within, "abc xa").as_deref(), Some("1c x3"));
        assert_eq!(find(&within, "żółw").as_deref(), Some("zółw"));
        assert_eq!(find(&within, "xyz"), None);
        assert_eq!(find(&within, ""), None);
    }

    #[test]
    fn an_empty_key_fits_between_all_letters() {
        let within = dictionary(Mode::Within, &[("b", "-"), ("", "."), ("c", "never")]);
        assert_eq!(find(&within, "abc").as_deref(), Some(".a-.c."));
        assert_eq!(find(&within, "").as_deref(), Some("."));
    }

    #[test]
    fn the_first_expression_that_matches_wins() {
        let regex = dictionary(Mode::Regex, &[("^a", "first"), ("^ab", "second"), ("z", "third"), ("^a", "again")]);
        assert_eq!(find(&regex, "abc").as_deref(), Some("again"));
        assert_eq!(find(&regex, "xyz").as_deref(), Some("third"));
        assert_eq!(find(&regex, "q"), None);
    }

    #[test]
    fn keys_that_are_no_texts_are_refused_where_texts_are_needed() {
        let entries = || vec![(Value::Integer(404), Value::text("x"))];
        assert!(Dictionary::new(entries(), Mode::Exact).is_ok());
        assert!(Dictionary::new(entries(), Mode::Regex).is_err());
        assert!(Dictionary::new(vec![(Value::text("("), Value::Null)], Mode::Regex).is_err());
    }
}
