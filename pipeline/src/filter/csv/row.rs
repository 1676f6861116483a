//! The first row of a text, as Ruby's `CSV.parse_line` reads it.
//!
//! What ends a row is found in the text: the first of `\n`, `\r\n` and `\r`, be it in quotes or not. Strict: a quote
//! inside of a value without quotes, anything behind a closing quote, and the other line ends are mistakes.

use std::fmt;

use crate::text::Text;

/// The values of a row; nothing where a column is empty.
pub(crate) type Row = Vec<Option<Text>>;

/// What stands between values, and around them.
pub(crate) struct Format {
    separator: String,
    quote: char,
}

/// Why a text has no first row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Unclosed,
    BehindQuote,
    QuoteInside,
    LineEnd,
}

impl Format {
    /// Nothing when the separator is empty, or the quote is not one character. `\x00` is written for NUL.
    pub(crate) fn new(separator: &str, quote: &str) -> Option<Self> {
        let quote = if quote == "\\x00" { "\0" } else { quote };
        let mut chars = quote.chars();
        let (Some(quote), None) = (chars.next(), chars.next()) else { return None };
        (!separator.is_empty()).then(|| Self { separator: separator.to_owned(), quote })
    }

    /// The first row, which an empty text does not have.
    pub(crate) fn first_row(&self, text: &Text) -> Result<Option<Row>, Malformed> {
        if text.is_empty() {
            return Ok(None);
        }
        let end = line_end(text);
        if text.starts_with(end) {
            return Ok(Some(Vec::new()));
        }
        let mut row = Vec::new();
        let mut at = 0;
        loop {
            let (value, next) = self.value(text, at, end)?;
            row.push(value);
            if !text[next..].starts_with(&self.separator) {
                return Ok(Some(row));
            }
            at = next + self.separator.len();
        }
    }

    /// The value at `at`, and where it ends: at a separator, at the end of the row or of the text.
    fn value(&self, text: &Text, at: usize, end: &str) -> Result<(Option<Text>, usize), Malformed> {
        let rest = &text[at..];
        if rest.starts_with(self.quote) {
            let (value, next) = self.quoted(text, at + self.quote.len_utf8())?;
            let behind = &text[next..];
            let is_end = behind.is_empty() || behind.starts_with(&self.separator) || behind.starts_with(end);
            return if is_end { Ok((Some(value), next)) } else { Err(Malformed::BehindQuote) };
        }
        let separator = rest.find(&self.separator).unwrap_or(rest.len());
        let length = rest[..separator].find(end).unwrap_or(separator);
        let value = &rest[..length];
        if value.contains(self.quote) {
            return Err(Malformed::QuoteInside);
        }
        if value.contains(['\r', '\n']) {
            return Err(Malformed::LineEnd);
        }
        Ok(((length > 0).then(|| text.slice(at..at + length)), at + length))
    }

    /// A value in quotes, and where its closing quote ends; a doubled quote stands for one.
    fn quoted(&self, text: &Text, start: usize) -> Result<(Text, usize), Malformed> {
        let width = self.quote.len_utf8();
        let mut doubled = String::new();
        let mut from = start;
        loop {
            let close = from + text[from..].find(self.quote).ok_or(Malformed::Unclosed)?;
            let next = close + width;
            if !text[next..].starts_with(self.quote) {
                let value =
                    if doubled.is_empty() { text.slice(start..close) } else { (doubled + &text[from..close]).into() };
                return Ok((value, next));
            }
            doubled.push_str(&text[from..next]);
            from = next + width;
        }
    }
}

fn line_end(text: &str) -> &'static str {
    match text.find(['\r', '\n']) {
        Some(at) if text[at..].starts_with("\r\n") => "\r\n",
        Some(at) if text[at..].starts_with('\r') => "\r",
        _ => "\n",
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unclosed => "a quote is not closed",
            Self::BehindQuote => "something stands behind a closing quote",
            Self::QuoteInside => "a quote stands inside of a value",
            Self::LineEnd => "a line end stands inside of a value without quotes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(separator: &str, text: &str) -> Result<Option<Vec<String>>, Malformed> {
        let row = Format::new(separator, "\"").unwrap().first_row(&text.into())?;
        Ok(row.map(|row| row.into_iter().map(|value| value.map_or("nil".into(), |value| value.to_string())).collect()))
    }

    fn values(separator: &str, text: &str) -> Vec<String> {
        row(separator, text).unwrap().unwrap()
    }

    #[test]
    fn values_are_separated() {
        assert_eq!(values(",", "a,,\"\", b "), ["a", "nil", "", " b "]);
        assert_eq!(values("||", "a||b|c||d"), ["a", "b|c", "d"]);
        assert_eq!(values(",", ","), ["nil", "nil"]);
        assert_eq!(values(",", "\"a,b\",\"c \"\"q\"\"\",e"), ["a,b", "c \"q\"", "e"]);
    }

    #[test]
    fn the_first_row_counts() {
        assert_eq!(row(",", ""), Ok(None));
        assert_eq!(values(",", "\n").len(), 0);
        for text in ["a,b", "a,b\n", "a,b\r\nc", "a,b\rc,d\n"] {
            assert_eq!(values(",", text), ["a", "b"], "{text:?}");
        }
        assert_eq!(values(",", "\"multi\nline\",x"), ["multi\nline", "x"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, mistake) in [
            ("\"open,x", Malformed::Unclosed),
            ("\"a\"b,c", Malformed::BehindQuote),
            ("a\"b,c", Malformed::QuoteInside),
            (" \"a\",b", Malformed::QuoteInside),
            ("\"x\ny\",a\rb", Malformed::LineEnd),
        ] {
            assert_eq!(row(",", text), Err(mistake), "{text:?}");
        }
    }
}
