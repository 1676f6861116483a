//! What may be written for each kind of option, and what it becomes: the rules of Logstash's settings validation.

use super::OptionKind;
use super::ruby::{float_text, splat};
use crate::ast::{Number, NumberValue, Plugin, Value, ValueKind};
use crate::suggest;

/// The value of an option, or why it can't be one. `None` is an empty list where one value is wanted: it counts as unset.
pub(super) type Coerced = Result<Option<Value>, Wrong>;

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What was wanted, and what was found.
    pub(super) message: String,
    /// What was probably meant.
    pub(super) meant: Option<&'static str>,
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self { message, meant: None }
    }
}

/// Makes a value of `kind` of what was written.
pub(super) fn coerce(kind: OptionKind, value: Value) -> Coerced {
    match kind {
        OptionKind::Any => Ok(Some(value)),
        OptionKind::Array => array(value),
        OptionKind::String | OptionKind::Path | OptionKind::Uri => single(value, "one text"),
        OptionKind::Password => password(value),
        OptionKind::Number => number(value),
        OptionKind::Boolean => boolean(value),
        OptionKind::Bytes => bytes(value),
        OptionKind::Hash => hash(value),
        OptionKind::Codec => codec(value),
        OptionKind::FieldReference => field_reference(value),
        OptionKind::OneOf(names) => one_of(names, value),
        OptionKind::List(inner) => list(*inner, value),
        OptionKind::Deprecated(_, inner) => coerce(*inner, value),
        OptionKind::Obsolete(_) => Ok(None),
    }
}

/// One value: a list of one element is taken for it, and a hash of one entry for a pair.
fn single(value: Value, wanted: &str) -> Coerced {
    if matches!(value.kind, ValueKind::Plugin(_)) {
        return Err(format!("expected {wanted}, found a plugin").into());
    }
    let mut values = splat(value);
    match values.len() {
        0 => Ok(None),
        1 => Ok(values.pop()),
        many => Err(format!("expected {wanted}, found {many} values").into()),
    }
}

/// One text; other than elsewhere a number is none.
fn password(value: Value) -> Coerced {
    let value = single(value, "one text")?;
    match value.as_ref().map(|value| &value.kind) {
        Some(ValueKind::Number(number)) => {
            Err(format!("expected a text, found the number {0}; write \"{0}\"", number.text).into())
        }
        _ => Ok(value),
    }
}

/// Anything may stand for a list; a hash stays one, and gives its pairs.
fn array(value: Value) -> Coerced {
    match value.kind {
        ValueKind::Plugin(_) => Err("expected a list, found a plugin".to_owned().into()),
        _ => Ok(Some(value)),
    }
}

fn number(value: Value) -> Coerced {
    let Some(value) = single(value, "one number")? else { return Ok(None) };
    match &value.kind {
        ValueKind::Number(_) => Ok(Some(value)),
        ValueKind::String(text) => {
            let number = parse_number(text).ok_or_else(|| format!("expected a number, found \"{text}\""))?;
            Ok(Some(Value { kind: ValueKind::Number(number), span: value.span }))
        }
        _ => Ok(None),
    }
}

/// A text is a number when Ruby would write the number the very same way: neither "1_000" nor "1.50" nor "+1".
fn parse_number(text: &str) -> Option<Number> {
    if let Some(integer) = text.parse::<i64>().ok().filter(|integer| integer.to_string() == text) {
        return Some(Number { value: NumberValue::Integer(integer), text: text.to_owned() });
    }
    let float = text.parse::<f64>().ok().filter(|float| float.is_finite() && float_text(*float) == text)?;
    Some(Number { value: NumberValue::Float(float), text: text.to_owned() })
}

fn boolean(value: Value) -> Coerced {
    let value = single(value, "`true` or `false`")?;
    match value.as_ref().and_then(Value::as_str) {
        Some(text) if text.split('\n').any(|line| line == "true" || line == "false") => Ok(value),
        _ => {
            let found = value.map_or("an empty list".to_owned(), |value| value.text());
            Err(format!("expected `true` or `false`, found {found}").into())
        }
    }
}

fn bytes(value: Value) -> Coerced {
    let span = value.span;
    let text = splat(value).into_iter().next().map(|value| value.text()).unwrap_or_default();
    let Some(size) = parse_size(&text) else {
        return Err(format!("expected a size in bytes, found \"{text}\"").into());
    };
    let kind = ValueKind::Number(Number { value: NumberValue::Integer(size), text });
    Ok(Some(Value { kind, span }))
}

/// `500`, `10 KiB` (1024), `10kb` (1000).
fn parse_size(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit() || digit == '.').len();
    let (amount, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    if unit.is_empty() {
        return amount.parse().ok();
    }
    let unit = unit.strip_suffix('b')?;
    let (unit, base) = unit.strip_suffix('i').map_or((unit, 1000_f64), |unit| (unit, 1024_f64));
    let power = if unit.is_empty() { 0 } else { 1 + "kmgtpe".find(unit).filter(|_| unit.len() == 1)? };
    let size = amount.parse::<f64>().ok()? * base.powi(i32::try_from(power).ok()?);
    (size < 9e18).then_some(size as i64)
}

/// A list is taken for a hash when its elements come in pairs; it keeps its order.
fn hash(value: Value) -> Coerced {
    let span = value.span;
    if matches!(value.kind, ValueKind::Hash(_)) {
        return Ok(Some(value));
    }
    if matches!(value.kind, ValueKind::Plugin(_)) {
        return Err("expected a hash, found a plugin".to_owned().into());
    }
    let values = splat(value);
    if values.len() % 2 == 1 {
        let found =
            if let [one] = values.as_slice() { one.text() } else { format!("a list of {} values", values.len()) };
        return Err(format!("expected a hash or a list of pairs, found {found}").into());
    }
    let mut entries: Vec<(Value, Value)> = Vec::new();
    let mut values = values.into_iter();
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        add_pair(&mut entries, key, value);
    }
    Ok(Some(Value { kind: ValueKind::Hash(entries), span }))
}

/// A key that comes again gathers its values in a list.
fn add_pair(entries: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    let Some((_, known)) = entries.iter_mut().find(|(known, _)| known.text() == key.text()) else {
        entries.push((key, value));
        return;
    };
    if let ValueKind::Array(values) = &mut known.kind {
        values.push(value);
        return;
    }
    known.kind = ValueKind::Array(vec![known.clone(), value]);
}

fn codec(value: Value) -> Coerced {
    let span = value.span;
    let Some(first) = splat(value).into_iter().next() else { return Ok(None) };
    let plugin = match first.kind {
        ValueKind::Plugin(plugin) => plugin,
        ValueKind::String(name) => {
            Box::new(Plugin { name, name_span: first.span, settings: Vec::new(), span: first.span })
        }
        _ => return Err("expected the name of a codec".to_owned().into()),
    };
    Ok(Some(Value { kind: ValueKind::Plugin(plugin), span }))
}

fn field_reference(value: Value) -> Coerced {
    let Some(value) = single(value, "one field reference")? else { return Ok(None) };
    match value.as_str() {
        Some("") => Ok(None),
        Some(text) if is_field_reference(text) => Ok(Some(value)),
        _ => Err(format!("expected a field reference as `name` or `[outer][inner]`, found {}", value.text()).into()),
    }
}

/// A name without brackets and commas, or such names in brackets; a reference may stand in brackets too.
fn is_field_reference(text: &str) -> bool {
    let plain = |byte: u8| !matches!(byte, b'[' | b']' | b',');
    if text.bytes().all(plain) {
        return true;
    }
    let mut depth = 0_usize;
    let mut last = b']';
    for byte in text.bytes() {
        match byte {
            b'[' if last == b']' || last == b'[' => depth += 1,
            b']' if depth > 0 && last != b'[' => depth -= 1,
            b'[' | b']' | b',' => return false,
            _ if depth == 0 || last == b']' => return false,
            _ => {}
        }
        last = byte;
    }
    depth == 0
}

/// How many words are told when one of them is expected.
const TOLD: usize = 12;

/// One of some words; where they are all numbers, one of those, without quotes.
fn one_of(names: &'static [&'static str], value: Value) -> Coerced {
    let numbers = names.iter().all(|name| name.parse::<i64>().is_ok());
    let value = single(value, if numbers { "one number" } else { "one word" })?;
    let word = value.as_ref().and_then(|value| match &value.kind {
        ValueKind::Number(number) => Some(number.text.as_str()).filter(|_| numbers),
        _ => value.as_str().filter(|_| !numbers),
    });
    match word {
        Some(word) if names.contains(&word) => Ok(value),
        _ => {
            let text = value.as_ref().map_or("an empty list".to_owned(), Value::text);
            let quoted = numbers && value.is_some_and(|value| value.as_str().is_some());
            let meant = if numbers {
                names.iter().find(|name| quoted && **name == text).copied()
            } else {
                suggest::near(&text, names.iter().copied())
            };
            let found = if quoted { format!("\"{text}\"") } else { text };
            let told: Vec<String> = names.iter().take(TOLD).map(|name| format!("`{name}`")).collect();
            let more = names.len().saturating_sub(TOLD);
            let more = if more > 0 { format!(" or one of {more} others") } else { String::new() };
            let message = format!("expected {}{more}, found `{found}`", told.join(" or "));
            Err(Wrong { message, meant })
        }
    }
}

fn list(inner: OptionKind, value: Value) -> Coerced {
    let span = value.span;
    let mut values = Vec::new();
    for value in splat(value) {
        values.extend(coerce(inner, value)?);
    }
    Ok(Some(Value { kind: ValueKind::Array(values), span }))
}

/// A plugin's name is one plain text; `["a"]`, which any other text option takes, is refused.
pub(super) fn id(value: Value) -> Coerced {
    match value.kind {
        ValueKind::Array(_) | ValueKind::Hash(_) | ValueKind::Plugin(_) => {
            Err(format!("expected one text, found {}", article(&value)).into())
        }
        _ => Ok(Some(value)),
    }
}

fn article(value: &Value) -> &'static str {
    match value.kind {
        ValueKind::Array(_) => "a list",
        ValueKind::Hash(_) => "a hash",
        _ => "a plugin",
    }
}

/// The whole number in a value.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match &value.kind {
        ValueKind::Number(Number { value: NumberValue::Integer(integer), .. }) => Some(*integer),
        ValueKind::Number(Number { value: NumberValue::Float(float), .. }) => Some(*float as i64),
        _ => None,
    }
}

/// The number in a value.
pub(super) fn float(value: &Value) -> Option<f64> {
    match &value.kind {
        ValueKind::Number(Number { value: NumberValue::Integer(integer), .. }) => Some(*integer as f64),
        ValueKind::Number(Number { value: NumberValue::Float(float), .. }) => Some(*float),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_quotes_are_those_that_ruby_writes() {
        let accepted = ["0", "-5", "1.5", "10.0", "1.0e+20"];
        let refused = ["", "1_000", "+5", "007", "1.50", ".5", "5.", "1e3", " 5", "NaN", "inf"];
        assert!(accepted.iter().all(|text| parse_number(text).is_some()));
        assert_eq!(refused.iter().filter(|text| parse_number(text).is_some()).count(), 0);
    }

    #[test]
    fn sizes_have_units() {
        let sizes: Vec<Option<i64>> = ["500", "10 KiB", "180 mb", "1.5kib", "10MiB", "5 b", "x", "5 xb", ""]
            .iter()
            .map(|text| parse_size(text))
            .collect();
        let expected =
            [Some(500), Some(10_240), Some(180_000_000), Some(1536), Some(10_485_760), Some(5), None, None, None];
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_number_is_no_password() {
        let number = Value {
            kind: ValueKind::Number(Number { value: NumberValue::Integer(24), text: "24".into() }),
            span: crate::ast::Span::new(0, 0),
        };
        let refused = coerce(OptionKind::Password, number.clone()).unwrap_err();
        assert_eq!(refused.message, "expected a text, found the number 24; write \"24\"");
        assert!(coerce(OptionKind::String, number).is_ok());
    }

    #[test]
    fn numbers_to_choose_from_have_no_quotes() {
        let levels = OptionKind::OneOf(&["0", "1", "9"]);
        let value = |kind| Value { kind, span: crate::ast::Span::new(0, 0) };
        let number = |integer: i64| {
            value(ValueKind::Number(Number { value: NumberValue::Integer(integer), text: integer.to_string() }))
        };
        assert_eq!(coerce(levels, number(9)), Ok(Some(number(9))));
        let refused = |value| coerce(levels, value).unwrap_err();
        let quoted = refused(value(ValueKind::String("9".into())));
        assert_eq!((&*quoted.message, quoted.meant), ("expected `0` or `1` or `9`, found `\"9\"`", Some("9")));
        assert_eq!(refused(number(10)).meant, None);
        assert!(coerce(OptionKind::OneOf(&["none", "9"]), number(9)).is_err());
    }

    #[test]
    fn field_references_are_names_or_brackets() {
        for good in ["a", "a b", "[a]", "[a][b]", "[[a][b]]", "[a][0]", "@timestamp"] {
            assert!(is_field_reference(good), "{good}");
        }
        for bad in ["[a", "a]", "[a]b", "a[b]", "[]", "[a][[b]", "a,b", "[a],[b]", "[a]]"] {
            assert!(!is_field_reference(bad), "{bad}");
        }
    }
}
