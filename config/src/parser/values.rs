//! Values: words, strings, numbers, lists, hashes and codecs.

use std::collections::HashMap;

use super::{Open, Parser};
use crate::ast::{Number, NumberValue, Span, Value, ValueKind};
use crate::diagnostic::Diagnostic;
use crate::lexer::is_word;
use crate::token::TokenKind;

impl Parser<'_> {
    /// A value; reports when there is none.
    pub(super) fn value(&mut self) -> Option<Value> {
        if !self.descend() {
            self.ascend();
            return None;
        }
        let value = self.some_value();
        self.ascend();
        value
    }

    fn some_value(&mut self) -> Option<Value> {
        let start = self.lexer.at();
        let kind = match self.lexer.byte() {
            Some(b'[') => self.array(),
            Some(b'{') => self.hash(),
            _ if self.followed_by("{") => ValueKind::Plugin(Box::new(self.plugin()?)),
            Some(b'"' | b'\'') => self.string()?,
            _ => self.word_or_number()?,
        };
        Some(Value { kind, span: self.lexer.since(start) })
    }

    /// True when the next character can begin a value.
    pub(super) fn starts_value(&self) -> bool {
        self.lexer.byte().is_some_and(|byte| is_word(byte) || matches!(byte, b'[' | b'{' | b'"' | b'\''))
    }

    fn string(&mut self) -> Option<ValueKind> {
        let escapes = self.escapes;
        self.quoted_text().map(|text| ValueKind::String(escapes.apply(text).into_owned()))
    }

    fn word_or_number(&mut self) -> Option<ValueKind> {
        let start = self.lexer.at();
        if let Some(word) = self.lexer.bareword() {
            self.bare = self.lexer.since(start);
            return Some(ValueKind::Bareword(word.to_owned()));
        }
        if let Some(number) = self.number() {
            return Some(ValueKind::Number(number));
        }
        self.no_value();
        None
    }

    /// A number, when one stands here.
    pub(super) fn number(&mut self) -> Option<Number> {
        let start = self.lexer.at();
        let text = self.lexer.number()?;
        let span = self.lexer.since(start);
        self.bare = span;
        let value = match worth(text) {
            Ok(value) => value,
            Err(why) => {
                self.remark(
                    Diagnostic::error("bad-number", span, format!("the number {text} {why}"))
                        .with_help("put it in quotes"),
                );
                NumberValue::Integer(0)
            }
        };
        Some(Number { value, text: text.to_owned() })
    }

    fn no_value(&mut self) {
        let token = self.lexer.token();
        let text = self.lexer.slice(token.span);
        let quoted = |text: &str| format!("put quotes around it: \"{text}\"");
        let help = match token.kind {
            TokenKind::Word if text.len() == 1 => {
                let mistake =
                    Diagnostic::error("one-letter", token.span, format!("the one letter `{text}` is no value"));
                self.report(
                    mistake.with_help(format!("a word without quotes has two letters or more: write \"{text}\"")),
                );
                return;
            }
            TokenKind::Word => Some(quoted(text)),
            TokenKind::Other('%' | '$' | '@' | '.' | '/' | '*' | '^' | '\\') => {
                let rest = self.lexer.rest();
                let end = |next: char| next.is_whitespace() || matches!(next, ',' | ']');
                Some(quoted(rest.split(end).next().unwrap_or_default()))
            }
            TokenKind::Other('+') => Some("numbers have no plus sign".to_owned()),
            _ => None,
        };
        match help {
            Some(help) => {
                let found = self.describe(token);
                self.report(
                    Diagnostic::error("missing-value", token.span, format!("expected a value, found {found}"))
                        .with_help(help),
                );
            }
            None => self.unexpected("a value"),
        }
    }

    /// A list; `[` stands here.
    pub(super) fn array(&mut self) -> ValueKind {
        let start = self.lexer.at();
        let mut values = Vec::new();
        self.lexer.accept("[");
        self.lexer.space();
        while !self.lexer.accept("]") {
            if self.array_ends_early(start) {
                break;
            }
            match self.value() {
                Some(value) => values.push(value),
                None => self.skip_in_array(),
            }
            self.lexer.space();
            if self.lexer.accept(",") {
                self.lexer.space();
                self.trailing_comma();
            } else if !self.lexer.rest().starts_with(']') && !self.array_ends_early(start) {
                self.missing_comma();
            }
        }
        ValueKind::Array(values)
    }

    /// True when what stands here shows that the closing bracket is missing; reports it.
    fn array_ends_early(&mut self, start: u32) -> bool {
        let token = self.lexer.token();
        let ends = match token.kind {
            TokenKind::CloseBrace | TokenKind::End => true,
            TokenKind::Word => self.followed_by("=>"),
            _ => false,
        };
        if ends {
            let found = self.describe(token);
            let mistake = Diagnostic::error("open-list", token.span, format!("expected `,` or `]`, found {found}"));
            self.report(mistake.with_label(Span::new(start, start + 1), "this list is not closed"));
        }
        ends
    }

    fn trailing_comma(&mut self) {
        if self.lexer.rest().starts_with(']') {
            let at = self.lexer.at();
            let mistake = Diagnostic::error(
                "trailing-comma",
                Span::new(at, at + 1),
                "expected a value after the comma, found `]`",
            );
            self.report(mistake.with_help("remove the comma before it"));
        }
    }

    fn missing_comma(&mut self) {
        self.unexpected("`,` or `]`");
        if !self.starts_value() {
            self.skip_in_array();
            self.lexer.space();
            self.lexer.accept(",");
            self.lexer.space();
        }
    }

    fn skip_in_array(&mut self) {
        loop {
            self.lexer.space();
            match self.lexer.token().kind {
                TokenKind::Other(',' | ']') | TokenKind::CloseBrace | TokenKind::End => return,
                TokenKind::Word if self.followed_by("=>") => return,
                _ => self.pass(),
            }
        }
    }

    /// A hash; `{` stands here.
    fn hash(&mut self) -> ValueKind {
        let start = self.lexer.at();
        self.lexer.accept("{");
        self.entries(Span::new(start, start + 1))
    }

    /// The entries of a hash up to the closing brace; the opening one has been taken.
    pub(super) fn entries(&mut self, brace: Span) -> ValueKind {
        let mut entries = Vec::new();
        self.open.push(Open { name: brace, brace: brace.start });
        loop {
            self.lexer.space();
            let at = self.lexer.at();
            if self.lexer.accept("}") {
                self.close(at);
                break;
            }
            if self.lexer.is_end() {
                self.unexpected("`}`");
                self.unwinding = true;
                return ValueKind::Hash(entries);
            }
            if let Some(entry) = self.entry() {
                entries.push(entry);
            }
        }
        self.open.pop();
        self.check_keys(&entries, brace);
        ValueKind::Hash(entries)
    }

    fn entry(&mut self) -> Option<(Value, Value)> {
        let Some(key) = self.key() else {
            self.stray_in_hash();
            return None;
        };
        self.lexer.space();
        if !self.lexer.accept("=>") && !self.accept_other_arrow() {
            self.no_arrow_in_hash(&key);
            return None;
        }
        self.lexer.space();
        let Some(value) = self.value() else {
            self.skip_in_hash();
            return None;
        };
        if let ValueKind::Plugin(plugin) = &value.kind {
            let place = plugin.name_span;
            self.remark(Diagnostic::error("plugin-in-hash", place, "a hash can't hold a plugin"));
        }
        Some((key, value))
    }

    fn key(&mut self) -> Option<Value> {
        let start = self.lexer.at();
        let kind = if let Some(number) = self.number() {
            let mistake = Diagnostic::error(
                "number-key",
                self.lexer.since(start),
                format!("the key {} is a number", number.text),
            );
            self.remark(mistake.with_help(format!("put quotes around it: \"{}\"", number.text)));
            ValueKind::Number(number)
        } else if let Some(word) = self.lexer.bareword() {
            let word = word.to_owned();
            self.bare = self.lexer.since(start);
            ValueKind::Bareword(word)
        } else {
            self.string()?
        };
        Some(Value { kind, span: self.lexer.since(start) })
    }

    fn no_arrow_in_hash(&mut self, key: &Value) {
        let token = self.lexer.token();
        if self.bare.end == token.span.start && self.bare == key.span {
            self.unexpected("`=>`");
        } else if token.kind == TokenKind::End {
            return;
        } else {
            let name = self.lexer.slice(key.span).to_owned();
            let found = self.describe(token);
            let message = format!("expected `=>` after {name}, found {found}");
            let mistake = Diagnostic::error("missing-arrow", token.span, message);
            self.report(match token.kind {
                TokenKind::CloseBrace | TokenKind::Other(',') => {
                    mistake.with_help(format!("braces are for names and values; a list stands in brackets: [{name}]"))
                }
                _ => mistake,
            });
        }
        self.skip_in_hash();
    }

    fn stray_in_hash(&mut self) {
        let token = self.lexer.token();
        let text = self.lexer.slice(token.span);
        match token.kind {
            TokenKind::Other(',') => {
                let mistake =
                    Diagnostic::error("stray-comma", token.span, "the entries of a hash are not separated by commas");
                self.report(mistake.with_help("remove the comma"));
                self.lexer.skip();
                return;
            }
            TokenKind::Word if text.len() == 1 && self.bare.end != token.span.start => {
                let mistake = Diagnostic::error("one-letter", token.span, format!("the one letter `{text}` is no key"));
                self.report(
                    mistake.with_help(format!("a word without quotes has two letters or more: write \"{text}\"")),
                );
            }
            TokenKind::Other('[') => {
                let mistake = Diagnostic::error("unexpected", token.span, "expected a key or `}`, found `[`");
                self.report(mistake.with_help("put quotes around a field reference: \"[a][b]\""));
            }
            _ => self.unexpected("a key or `}`"),
        }
        self.skip_in_hash();
    }

    /// Passes what can't be understood, up to the next entry or the closing brace.
    fn skip_in_hash(&mut self) {
        let mut nested = 0_usize;
        loop {
            self.lexer.space();
            match self.lexer.token().kind {
                TokenKind::End => return,
                TokenKind::CloseBrace if nested == 0 => return,
                TokenKind::Word | TokenKind::String if nested == 0 && self.followed_by("=>") && self.is_key() => return,
                TokenKind::OpenBrace => nested += 1,
                TokenKind::CloseBrace => nested -= 1,
                _ => {}
            }
            self.pass();
        }
    }

    fn is_key(&self) -> bool {
        let mut ahead = self.lexer.clone();
        let taken = ahead.number().is_some() || ahead.bareword().is_some() || ahead.quoted().is_some();
        ahead.space();
        taken && ahead.accept("=>")
    }

    /// Logstash compares keys as they are written, quotes included.
    fn check_keys(&mut self, entries: &[(Value, Value)], place: Span) {
        let mut seen: HashMap<&str, Span> = HashMap::with_capacity(entries.len());
        let mut twice = Vec::new();
        for (key, _) in entries {
            let text = self.lexer.slice(key.span);
            if let Some(first) = seen.insert(text, key.span) {
                twice.push((text.to_owned(), first, key.span));
            }
        }
        for (text, first, second) in twice {
            let mistake =
                Diagnostic::error("duplicate-key", second, format!("the key {text} stands twice in one hash"));
            let mistake = mistake.with_label(first, "first here").with_label(place, "in this hash");
            self.remark(mistake.with_help("give both values as a list: \"key\" => [\"first\", \"second\"]"));
        }
    }
}

/// What a number is worth to Ruby's `Integer()` and `Float()`, or why it is none.
fn worth(text: &str) -> Result<NumberValue, &'static str> {
    if text.ends_with('.') {
        return Err("ends with a dot");
    }
    if text.contains('.') {
        return text.parse().map(NumberValue::Float).map_err(|_| "is no number");
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let octal = digits.len() > 1 && digits.starts_with('0');
    if octal && digits.contains(['8', '9']) {
        return Err("starts with 0, which makes it octal, and octal numbers have no 8 or 9");
    }
    let radix = if octal { 8 } else { 10 };
    let signed = format!("{sign}{digits}");
    i64::from_str_radix(&signed, radix).map(NumberValue::Integer).map_err(|_| "does not fit in 64 bits")
}
