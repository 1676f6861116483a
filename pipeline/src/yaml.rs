//! YAML files that filters name (translate's dictionaries, useragent's patterns), and the agent's files of settings and
//! test cases, for which places are kept.
//!
//! The syntax is left to the crate `saphyr-parser`; what a plain scalar means is Ruby's Psych (YAML 1.1): `yes`, `no`, `on` and `off` are
//! booleans, `010` is 8, `1:30` is 5400, `1_000` is 1000. Left out: tags, merge keys (`<<` is a name like any other), dates
//! (which stay text), and all documents but the first.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use elkhound_config::ast::Span;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::json::{self, Numbers};
use crate::map::Map;
use crate::number;
use crate::print;
use crate::value::Value;

/// How deep lists and mappings may be nested.
const DEPTH: usize = 100;

/// How many values aliases may add; a few lines of aliases to aliases could ask for more than there is memory.
const COPIES: usize = 1_000_000;

/// Why a text can't be read as YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The line, from 1.
    pub line: usize,
    /// Where reading stopped, in bytes.
    pub span: Span,
    message: String,
    /// The message without its place.
    reason: String,
}

impl YamlError {
    fn new(line: usize, span: Span, message: String) -> Self {
        Self { line, span, reason: message.clone(), message }
    }

    /// What is wrong, without the place.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for YamlError {}

/// What a scalar without quotes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalars {
    /// What Ruby makes of it.
    Ruby,
    /// What JSON makes of it; for the rest, which is no JSON, as Ruby.
    Json,
}

/// A value with the line on which it stands, for files whose mistakes are told to people.
#[derive(Clone, Debug)]
pub struct Node {
    /// From 1.
    pub line: usize,
    /// The bytes on that line, without a mark of the byte order; of a list or mapping, where it begins.
    pub span: Span,
    /// What stands there.
    pub content: Content,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// A text, number, boolean or null.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A mapping in its order; keys may be of any kind, and come twice.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The value without its lines; the keys of maps become texts.
    pub fn value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(list) => Value::list(list.iter().map(Node::value).collect()),
            Content::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| (print::ruby_text(&key.value()), value.value()));
                entries.collect::<Map>().into()
            }
        }
    }
}

/// The first document of a text with its lines; nothing when the text is empty.
///
/// # Errors
/// [`YamlError`] for what is no YAML, and beyond the limits above.
pub fn read(text: &str, scalars: Scalars) -> Result<Option<Node>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str(text),
        scalars,
        anchors: HashMap::new(),
        copies: 0,
        line: 1,
        span: Span::default(),
        seen: (0, 0),
    };
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(None),
            event @ (Event::MappingStart(..) | Event::SequenceStart(..) | Event::Scalar(..)) => {
                return reader.node(event, 0).map(Some);
            }
            _ => {}
        }
    }
}

/// The entries of the mapping that the text is, in its order, keys that are numbers or booleans as such. An empty text has none.
///
/// # Errors
/// [`YamlError`] for what is no YAML or no mapping, and beyond the limits above.
pub(crate) fn mapping(text: &str) -> Result<Vec<(Value, Value)>, YamlError> {
    match read(text, Scalars::Ruby)? {
        None => Ok(Vec::new()),
        Some(Node { content: Content::Map(entries), .. }) => {
            Ok(entries.iter().map(|(key, value)| (key.value(), value.value())).collect())
        }
        Some(node) => Err(YamlError::new(node.line, node.span, "it is no mapping".to_owned())),
    }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    scalars: Scalars,
    anchors: HashMap<usize, Node>,
    copies: usize,
    /// Of the last event.
    line: usize,
    span: Span,
    /// The last place that was looked up, in characters and in bytes: places are mostly asked for in their order.
    seen: (usize, usize),
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                let (start, end) = (self.byte(span.start), self.byte(span.end));
                self.span = self.first_line(start, end);
                Ok(event)
            }
            Some(Err(error)) => {
                let (line, at) = (error.marker().line(), self.byte(*error.marker()));
                let (message, reason) = (error.to_string(), error.info().to_owned());
                Err(YamlError { line, span: Span::new(at, at), message, reason })
            }
            None => Ok(Event::StreamEnd),
        }
    }

    fn error(&self, message: impl Into<String>) -> YamlError {
        YamlError::new(self.line, self.span, message.into())
    }

    /// The byte of a place that is given in characters.
    fn byte(&mut self, marker: Marker) -> u32 {
        let (from, base) = if marker.index() >= self.seen.0 { self.seen } else { (0, 0) };
        let rest = &self.text[base..];
        let byte = rest.char_indices().nth(marker.index() - from).map_or(self.text.len(), |(at, _)| base + at);
        if byte < self.text.len() {
            self.seen = (marker.index(), byte);
        }
        u32::try_from(byte).unwrap_or(u32::MAX)
    }

    /// The part of a place that is on its first line, without blanks behind it.
    fn first_line(&self, start: u32, end: u32) -> Span {
        let covered = self.text.get(start as usize..end as usize).unwrap_or_default();
        let shown = covered.lines().next().unwrap_or_default().trim_end();
        Span::new(start, start + shown.len() as u32)
    }

    /// The rest of a mapping.
    fn entries(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, YamlError> {
        let mut entries = Vec::new();
        loop {
            let event = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key = self.node(event, depth)?;
            let event = self.next()?;
            entries.push((key, self.node(event, depth)?));
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(list),
                event => list.push(self.node(event, depth)?),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, YamlError> {
        if depth == DEPTH {
            return Err(self.error(format!("it is nested more than {DEPTH} deep")));
        }
        let (line, span) = (self.line, self.span);
        let (anchor, content) = match event {
            Event::Alias(anchor) => return self.copy(anchor),
            Event::Scalar(text, style, anchor, _) => (anchor, Content::Scalar(self.scalar(&text, style))),
            Event::SequenceStart(anchor, _) => (anchor, Content::List(self.list(depth + 1)?)),
            Event::MappingStart(anchor, _) => (anchor, Content::Map(self.entries(depth + 1)?)),
            _ => return Err(self.error("it ends in the middle")),
        };
        let node = Node { line, span, content };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn copy(&mut self, anchor: usize) -> Result<Node, YamlError> {
        let known = self.anchors.get(&anchor).map(|node| node.content.clone());
        let content = known.unwrap_or(Content::Scalar(Value::Null));
        let node = Node { line: self.line, span: self.span, content };
        self.copies += count(&node);
        if self.copies > COPIES {
            return Err(self.error(format!("its aliases stand for more than {COPIES} values")));
        }
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle) -> Value {
        let as_json = || json::parse(text, Numbers::Doubles).ok();
        match (style, self.scalars) {
            (ScalarStyle::Plain, Scalars::Json) => as_json().unwrap_or_else(|| plain(text)),
            (ScalarStyle::Plain, Scalars::Ruby) => plain(text),
            _ => Value::text(text),
        }
    }
}

fn count(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(_) => 1,
        Content::List(list) => 1 + list.iter().map(count).sum::<usize>(),
        Content::Map(entries) => 1 + entries.iter().map(|(_, value)| count(value)).sum::<usize>(),
    }
}

/// What a scalar without quotes means. Source: Psych 5, `scalar_scanner.rb`.
fn plain(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    if text.contains('\n') || starts_like_a_word(text) {
        return word(text);
    }
    if let Some(symbol) = text.strip_prefix(':').filter(|symbol| !symbol.is_empty()) {
        return Value::text(symbol.trim_matches(['"', '\'']));
    }
    special_float(text)
        .or_else(|| base_60(text))
        .or_else(|| float(text))
        .or_else(|| integer(text))
        .unwrap_or_else(|| Value::text(text))
}

fn starts_like_a_word(text: &str) -> bool {
    let wordy =
        |letter: char| letter.is_alphabetic() || letter.is_whitespace() || "_!@#$%^&*(){}<>|/\\~;=".contains(letter);
    let mut letters = text.chars();
    let first = letters.next().unwrap_or_default();
    let may_precede = !first.is_ascii_digit() && !matches!(first, '.' | ':' | '-');
    wordy(first) || (may_precede && letters.next().is_some_and(wordy))
}

fn word(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "~" | "null" => Value::Null,
        "yes" | "true" | "on" => Value::Bool(true),
        "no" | "false" | "off" => Value::Bool(false),
        _ => Value::text(text),
    }
}

fn special_float(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => Some(Value::Float(f64::INFINITY)),
        "-.inf" => Some(Value::Float(f64::NEG_INFINITY)),
        ".nan" => Some(Value::Float(f64::NAN)),
        _ => None,
    }
}

/// `1:30:00` and `1:30` are hours, minutes and seconds, in seconds.
fn base_60(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let parts: Vec<&str> = digits.split(':').collect();
    if !(2..=3).contains(&parts.len()) || !digits.starts_with(|digit: char| digit.is_ascii_digit()) {
        return None;
    }
    let mut seconds = without_separators(parts[0], "_").parse::<i64>().ok()?.checked_mul(3600)?;
    for (part, unit) in parts[1..].iter().zip([60, 1]) {
        let valid = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        seconds += part.parse::<i64>().ok().filter(|value| valid && *value < 60)? * unit;
    }
    Some(Value::Integer(if text.starts_with('-') { -seconds } else { seconds }))
}

/// A number with a point; an exponent needs its sign.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = unsigned.split_once('.')?;
    let (fraction, exponent) =
        rest.split_once(['e', 'E']).map_or((rest, None), |(fraction, exponent)| (fraction, Some(exponent)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let whole_fits = whole.is_empty() || whole.starts_with(|digit: char| digit.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['+', '-']).is_some_and(|exponent| !exponent.is_empty() && digits(exponent))
    });
    let fits = whole_fits && digits(&without_separators(whole, "_,")) && digits(fraction) && exponent_fits;
    if !fits || unsigned == "." {
        return None;
    }
    without_separators(text, "_,").parse().ok().map(Value::Float)
}

/// Decimal, `0` octal, `0x`, `0b`, with `_` and `,` between digits.
fn integer(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let decimal = unsigned.starts_with(|digit: char| matches!(digit, '1'..='9'));
    let separated = !unsigned.ends_with(['_', ',']) && !unsigned.contains("__") && !unsigned.contains(",,");
    let fits = unsigned == "0" || unsigned.starts_with('0') || (decimal && separated);
    let known = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'x' | b'_' | b',');
    if !fits || !unsigned.bytes().all(known) {
        return None;
    }
    number::parse_integer(&without_separators(text, "_,")).map(Value::from)
}

fn without_separators<'a>(text: &'a str, separators: &str) -> Cow<'a, str> {
    if text.contains(|letter| separators.contains(letter)) {
        text.chars().filter(|letter| !separators.contains(*letter)).collect::<String>().into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(value: &Value) -> String {
        let mut text = String::new();
        print::ruby_inspect(value, &mut text);
        text
    }

    fn entries(text: &str) -> String {
        let entries = mapping(text).unwrap();
        let shown = entries.iter().map(|(key, value)| format!("{}: {}", inspected(key), inspected(value)));
        shown.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn keys_and_values_have_their_types() {
        let text = "---\n\"200\": ok\n404: missing\ndown: \"no\"\nup: yes\nlist: [a, 1, ~]\nobj:\n  k: v\n";
        let expected =
            r#""200": "ok"; 404: "missing"; "down": "no"; "up": true; "list": ["a", 1, nil]; "obj": {"k" => "v"}"#;
        assert_eq!(entries(text), expected);
        assert_eq!(entries(""), "");
        assert_eq!(entries("# nothing\n"), "");
    }

    #[test]
    fn plain_scalars_are_read_as_psych_does() {
        let read = |text: &str| inspected(&plain(text));
        let cases = [
            ("", "nil"),
            ("~", "nil"),
            ("Null", "nil"),
            ("on", "true"),
            ("OFF", "false"),
            ("y", "\"y\""),
            ("12", "12"),
            ("-1_000", "-1000"),
            ("010", "8"),
            ("08", "\"08\""),
            ("0x1F", "31"),
            ("1e5", "\"1e5\""),
            ("1.5", "1.5"),
            ("1.", "1.0"),
            (".", "\".\""),
            ("1.5e+3", "1500.0"),
            ("1,234.5", "1234.5"),
            ("1:30", "5400"),
            ("1:99", "\"1:99\""),
            ("10.0.0.1", "\"10.0.0.1\""),
            ("200ok", "\"200ok\""),
            (":sym", "\"sym\""),
            ("2026-01-15", "\"2026-01-15\""),
            ("99999999999999999999", "99999999999999999999"),
            ("-", "\"-\""),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn aliases_are_copied_within_a_limit() {
        assert_eq!(entries("a: &x [1]\nb: *x\n"), r#""a": [1]; "b": [1]"#);
        let mut text = String::from("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
        for n in 1..10 {
            let previous = n - 1;
            text.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{previous}"); 10].join(",")));
        }
        assert!(mapping(&text).is_err());
    }

    /// Every scalar with the text at its place, an anchor being a part of it.
    fn places(node: &Node, text: &str, out: &mut Vec<(String, String)>) {
        match &node.content {
            Content::Scalar(value) => out.push((
                print::ruby_text(value).to_string(),
                text[node.span.start as usize..node.span.end as usize].to_owned(),
            )),
            Content::List(list) => list.iter().for_each(|node| places(node, text, out)),
            Content::Map(entries) => entries.iter().for_each(|(key, value)| {
                places(key, text, out);
                places(value, text, out);
            }),
        }
    }

    #[test]
    fn everything_has_its_place() {
        let text = "# żółw\nżuk: jeż # c\nlist:\n  - \"ź x\"\n  - 12  \nb: &a yes\nc: *a\n";
        let mut found = Vec::new();
        places(&read(text, Scalars::Ruby).unwrap().unwrap(), text, &mut found);
        let expected = [
            ("żuk", "żuk"),
            ("jeż", "jeż"),
            ("list", "list"),
            ("ź x", "\"ź x\""),
            ("12", "12"),
            ("b", "b"),
            ("true", "&a yes"),
            ("c", "c"),
            ("true", "*a"),
        ];
        let expected: Vec<_> = expected.iter().map(|(value, at)| ((*value).to_owned(), (*at).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_are_kept() {
        let node = read("a: 1\nb:\n  - x\n  - {c: 1e5}\n", Scalars::Json).unwrap().unwrap();
        let Content::Map(entries) = &node.content else { panic!("{node:?}") };
        let Content::List(list) = &entries[1].1.content else { panic!("{node:?}") };
        assert_eq!((entries[1].0.line, list[0].line, list[1].line), (2, 3, 4));
        assert_eq!(inspected(&list[1].value()), r#"{"c" => 100000.0}"#);
        assert_eq!(read("a: [1\nb: 2\n", Scalars::Ruby).unwrap_err().line, 2);
        assert!(read("# nothing\n", Scalars::Ruby).unwrap().is_none());
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for text in ["- a\n", "just text", "a: [1", "a: b: c: d\n"] {
            assert!(mapping(text).is_err(), "{text}");
        }
    }
}
