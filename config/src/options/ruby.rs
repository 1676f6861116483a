//! Values as Ruby sees them: what Logstash's own code makes of a setting before a plugin gets it.

use super::java_order;
use crate::ast::{NumberValue, Plugin, Span, Value, ValueKind};

impl Value {
    /// The value as text: Ruby's `to_s`.
    pub fn text(&self) -> String {
        match &self.kind {
            ValueKind::Bareword(text) | ValueKind::String(text) => text.clone(),
            _ => self.inspect(),
        }
    }

    /// The texts of a list, or the one text of anything else.
    pub fn texts(&self) -> Vec<String> {
        match &self.kind {
            ValueKind::Array(values) => values.iter().map(Self::text).collect(),
            _ => vec![self.text()],
        }
    }

    /// The text of a string or bareword; nothing of anything else.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::Bareword(text) | ValueKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// Ruby's nil, which no file can hold: an empty list that takes up no room in it.
    fn nil(at: u32) -> Self {
        Self { kind: ValueKind::Array(Vec::new()), span: Span::new(at, at) }
    }

    fn is_nil(&self) -> bool {
        matches!(&self.kind, ValueKind::Array(values) if values.is_empty()) && self.span.start == self.span.end
    }

    /// The value as Ruby writes it in a program.
    fn inspect(&self) -> String {
        match &self.kind {
            ValueKind::Bareword(text) | ValueKind::String(text) => quote(text),
            ValueKind::Number(number) => match number.value {
                NumberValue::Integer(integer) => integer.to_string(),
                NumberValue::Float(float) => float_text(float),
            },
            ValueKind::Array(_) if self.is_nil() => "nil".to_owned(),
            ValueKind::Array(values) => {
                let values: Vec<String> = values.iter().map(Self::inspect).collect();
                format!("[{}]", values.join(", "))
            }
            ValueKind::Hash(entries) if entries.is_empty() => "{}".to_owned(),
            ValueKind::Hash(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{} => {}", key.inspect(), value.inspect())).collect();
                format!("{{{}}}", entries.join(", "))
            }
            ValueKind::Plugin(plugin) => plugin.name.clone(),
        }
    }
}

/// `String#inspect`.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '#' if matches!(letters.peek(), Some('{' | '$' | '@')) => quoted.push_str("\\#"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{1b}' => quoted.push_str("\\e"),
            other if other.is_ascii_control() => quoted.push_str(&format!("\\x{:02X}", u32::from(other))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// `Float#to_s`: plain between 1e-4 and 1e16, with an exponent of two digits elsewhere.
pub(super) fn float_text(float: f64) -> String {
    if !float.is_finite() {
        return if float > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |exponent| ("-", exponent));
        return format!("{digits}{point}e{sign}{exponent:0>2}");
    }
    format!("{float:?}")
}

/// The value as it reaches a plugin: words are strings, hashes stand in Java's order, and of a plugin in a list only
/// its values are left.
pub(super) fn normal(value: &Value) -> Value {
    let kind = match &value.kind {
        ValueKind::Bareword(text) => ValueKind::String(text.clone()),
        ValueKind::Array(values) => ValueKind::Array(elements(values)),
        ValueKind::Hash(entries) => hash(entries.iter().map(|(key, value)| (key.text(), key.span, normal(value)))),
        other => other.clone(),
    };
    Value { kind, span: value.span }
}

fn elements(values: &[Value]) -> Vec<Value> {
    values
        .iter()
        .flat_map(|value| match &value.kind {
            ValueKind::Plugin(plugin) => values_of(plugin),
            _ => vec![normal(value)],
        })
        .collect()
}

fn values_of(plugin: &Plugin) -> Vec<Value> {
    let values: Vec<Value> = plugin.settings.iter().map(|setting| setting.value.clone()).collect();
    elements(&values)
}

/// A hash in Java's order; the later of two equal keys wins, in the place of the first.
fn hash(entries: impl Iterator<Item = (String, Span, Value)>) -> ValueKind {
    let mut unique: Vec<(String, (Span, Value))> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (key, span, value) in entries {
        match places.get(&key) {
            Some(place) => unique[*place] = (key, (span, value)),
            None => {
                places.insert(key.clone(), unique.len());
                unique.push((key, (span, value)));
            }
        }
    }
    java_order::sort(&mut unique);
    let entry = |(key, (span, value))| (Value { kind: ValueKind::String(key), span }, value);
    ValueKind::Hash(unique.into_iter().map(entry).collect())
}

/// What becomes of a setting that is given twice. Both values are normal.
pub(super) fn merge(existing: Value, new: Value) -> Value {
    let span = existing.span;
    let kind = match existing.kind {
        ValueKind::Hash(entries) => merge_hash(entries, new),
        ValueKind::Array(mut values) => {
            values.extend(splat(new));
            ValueKind::Array(values)
        }
        kind => {
            let existing = Value { kind, span };
            if same(&existing, &new) { existing.kind } else { ValueKind::Array(vec![existing, new]) }
        }
    };
    Value { kind, span }
}

/// Entries with one key become a list. The elements of a list become keys without a value, as Ruby does it; a text or number can't
/// be merged into a hash, and is kept to be complained about.
fn merge_hash(entries: Vec<(Value, Value)>, new: Value) -> ValueKind {
    let key_alone = |key: Value| {
        let (text, span) = (key.text(), key.span);
        (Value { kind: ValueKind::String(text), span }, Value::nil(span.start))
    };
    let more = match new.kind {
        ValueKind::Hash(more) => more,
        ValueKind::Array(keys) => keys.into_iter().map(key_alone).collect(),
        kind => return kind,
    };
    let mut merged = entries;
    for (key, value) in more {
        match merged.iter_mut().find(|(known, _)| known.as_str() == key.as_str()) {
            Some((_, known)) => *known = merge_entry(known.clone(), value),
            None => merged.push((key, value)),
        }
    }
    hash(merged.into_iter().map(|(key, value)| (key.text(), key.span, value)))
}

fn merge_entry(known: Value, new: Value) -> Value {
    let span = known.span;
    let kind = match (known.kind, &new.kind) {
        (ValueKind::Hash(entries), ValueKind::Hash(_)) => merge_hash(entries, new),
        (ValueKind::Array(mut values), ValueKind::Array(more)) => {
            values.extend(more.iter().cloned());
            ValueKind::Array(values)
        }
        (ValueKind::Array(mut values), _) => {
            if !values.iter().any(|value| same(value, &new)) {
                values.push(new);
            }
            ValueKind::Array(values)
        }
        (kind, ValueKind::Array(more)) => {
            let mut values = vec![Value { kind, span }];
            values.extend(more.iter().cloned());
            ValueKind::Array(values)
        }
        (kind, _) => {
            let known = Value { kind, span };
            if same(&known, &new) { known.kind } else { ValueKind::Array(vec![known, new]) }
        }
    };
    Value { kind, span }
}

/// Whether two values are equal, wherever they stand.
fn same(one: &Value, other: &Value) -> bool {
    match (&one.kind, &other.kind) {
        (ValueKind::Number(one), ValueKind::Number(other)) => one.value == other.value,
        (ValueKind::String(one), ValueKind::String(other)) => one == other,
        (ValueKind::Array(ones), ValueKind::Array(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| same(one, other))
        }
        (ValueKind::Hash(ones), ValueKind::Hash(others)) => {
            ones.len() == others.len()
                && ones
                    .iter()
                    .all(|(key, one)| others.iter().any(|(other_key, other)| same(key, other_key) && same(one, other)))
        }
        _ => false,
    }
}

/// Ruby's `[*value]`: the elements of a list, the pairs of a hash, or the value itself.
pub(super) fn splat(value: Value) -> Vec<Value> {
    let span = value.span;
    match value.kind {
        ValueKind::Array(values) => values,
        ValueKind::Hash(entries) => entries.into_iter().map(|(key, value)| pair(key, value, span)).collect(),
        kind => vec![Value { kind, span }],
    }
}

fn pair(key: Value, value: Value, span: Span) -> Value {
    Value { kind: ValueKind::Array(vec![key, value]), span }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_ruby_does() {
        let texts: Vec<String> =
            [1.5, 2.0, 1e-4, 1e-5, 1e15, 1e16, 1.25e20, -0.0].iter().map(|float| float_text(*float)).collect();
        assert_eq!(texts, ["1.5", "2.0", "0.0001", "1.0e-05", "1000000000000000.0", "1.0e+16", "1.25e+20", "-0.0"]);
    }

    #[test]
    fn strings_are_quoted_as_ruby_does() {
        assert_eq!(quote("a\"b\\c\n#{d} # ż"), r##""a\"b\\c\n\#{d} # ż""##);
    }
}
