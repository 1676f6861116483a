//! JSON text to values (RFC 8259), as Jackson reads it for Logstash.

use std::fmt;
use std::ops::Range;

use super::scan::{self, WIDTH};
use crate::map::Map;
use crate::number::{BigInteger, Decimal};
use crate::text::Text;
use crate::value::Value;

/// Objects and lists nested deeper than this are refused; Jackson's own limit.
const DEPTH: usize = 1000;

/// What becomes of a number with a fraction or an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// A double, as in the events that inputs make.
    Doubles,
    /// A decimal that keeps its spelling, as the `json` filter makes.
    Decimals,
}

/// Text that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Byte offset of the trouble.
    pub offset: usize,
    /// What was expected there.
    pub message: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

impl std::error::Error for JsonError {}

/// Parses one JSON value; only white space may follow it.
///
/// # Errors
/// [`JsonError`] names the first byte that does not fit.
pub fn parse(text: &str, numbers: Numbers) -> Result<Value, JsonError> {
    Reader { text, at: 0, depth: 0, numbers, shared: None }.document()
}

/// The same for a [`Text`], whose buffer the strings without escapes share.
///
/// # Errors
/// As [`parse`].
pub fn parse_text(text: &Text, numbers: Numbers) -> Result<Value, JsonError> {
    Reader { text, at: 0, depth: 0, numbers, shared: Some(text) }.document()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    numbers: Numbers,
    shared: Option<&'a Text>,
}

type Parsed<T> = Result<T, JsonError>;

impl Reader<'_> {
    fn document(mut self) -> Parsed<Value> {
        let value = self.value()?;
        self.skip_space();
        if self.at < self.text.len() { self.fail("nothing more was expected") } else { Ok(value) }
    }

    fn value(&mut self) -> Parsed<Value> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => self.fail("a value was expected"),
            None => self.fail("the text ends where a value was expected"),
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Parsed<Value>) -> Parsed<Value> {
        if self.depth == DEPTH {
            return self.fail("nested more than 1000 deep");
        }
        self.depth += 1;
        self.at += 1;
        let value = inner(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Parsed<Value> {
        let mut map = Map::with_capacity(12);
        self.skip_space();
        if self.accept(b'}') {
            return Ok(Map::new().into());
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.fail("a name in double quotes was expected");
            }
            let name = self.string()?;
            self.skip_space();
            self.expect(b':', "`:` was expected after the name")?;
            let value = self.value()?;
            map.insert(name, value);
            self.skip_space();
            if !self.accept(b',') {
                break;
            }
        }
        self.expect(b'}', "`,` or `}` was expected")?;
        Ok(map.into())
    }

    fn list(&mut self) -> Parsed<Value> {
        let mut list = Vec::new();
        self.skip_space();
        if self.accept(b']') {
            return Ok(Value::list(list));
        }
        loop {
            list.push(self.value()?);
            self.skip_space();
            if !self.accept(b',') {
                break;
            }
        }
        self.expect(b']', "`,` or `]` was expected")?;
        Ok(Value::list(list))
    }

    #[inline]
    fn string(&mut self) -> Parsed<Text> {
        let start = self.at + 1;
        // Most strings end within a block, and need no loop.
        let block = self.text.as_bytes().get(start..).and_then(|rest| rest.first_chunk());
        let length = block.map_or(WIDTH, scan::before_quote_or_backslash);
        if length < WIDTH && self.text.as_bytes()[start + length] == b'"' {
            self.at = start + length + 1;
            return Ok(self.text_at(start..start + length));
        }
        self.long_string(start)
    }

    fn long_string(&mut self, start: usize) -> Parsed<Text> {
        let rest = &self.text.as_bytes()[start..];
        let Some(length) = scan::quote_or_backslash(rest) else { return self.fail("the string has no end") };
        self.at = start + length;
        if rest[length] == b'\\' {
            return self.escaped_string(start);
        }
        self.at += 1;
        Ok(self.text_at(start..start + length))
    }

    #[inline]
    fn text_at(&self, range: Range<usize>) -> Text {
        match self.shared {
            Some(text) => text.slice(range),
            None => Text::new(&self.text[range]),
        }
    }

    /// The rest of a string that began at `start` and has its first backslash at the current place.
    #[cold]
    fn escaped_string(&mut self, start: usize) -> Parsed<Text> {
        let mut built = String::from(&self.text[start..self.at]);
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(length) = scan::quote_or_backslash(rest) else { return self.fail("the string has no end") };
            built.push_str(&self.text[self.at..self.at + length]);
            self.at += length + 1;
            if rest[length] == b'"' {
                return Ok(built.into());
            }
            built.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => {
                self.at -= 1;
                return self.fail("not an escape that JSON knows");
            }
        })
    }

    /// A pair of surrogates is one character; half a pair becomes U+FFFD.
    fn unicode_escape(&mut self) -> Parsed<char> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Parsed<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return self.fail("four hexadecimal digits were expected");
        };
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        self.accept(b'-');
        let digits = self.at;
        self.skip_digits("a digit was expected")?;
        if self.text.as_bytes()[digits] == b'0' && self.at > digits + 1 {
            self.at = digits;
            return self.fail("a number may not begin with 0");
        }
        let whole = self.fraction_and_exponent()?;
        let written = &self.text[start..self.at];
        Ok(if whole { integer(written) } else { self.decimal(written) })
    }

    /// True when there is neither a fraction nor an exponent.
    fn fraction_and_exponent(&mut self) -> Parsed<bool> {
        let mut whole = true;
        if self.accept(b'.') {
            whole = false;
            self.skip_digits("a digit was expected after the decimal point")?;
        }
        if self.accept(b'e') || self.accept(b'E') {
            whole = false;
            let _sign = self.accept(b'+') || self.accept(b'-');
            self.skip_digits("a digit was expected in the exponent")?;
        }
        Ok(whole)
    }

    fn skip_digits(&mut self, message: &'static str) -> Parsed<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.fail(message) } else { Ok(()) }
    }

    fn decimal(&self, written: &str) -> Value {
        let decimal = (self.numbers == Numbers::Decimals).then(|| Decimal::parse(written)).flatten();
        match decimal {
            Some(decimal) => Value::Decimal(Box::new(decimal)),
            None => Value::Float(written.parse().unwrap_or(f64::INFINITY)),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Parsed<Value> {
        let rest = &self.text.as_bytes()[self.at..];
        let ends = rest.get(word.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
        if !(rest.starts_with(word.as_bytes()) && ends) {
            return self.fail("a value was expected");
        }
        self.at += word.len();
        Ok(value)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8, message: &'static str) -> Parsed<()> {
        if self.accept(byte) { Ok(()) } else { self.fail(message) }
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn fail<T>(&self, message: &'static str) -> Parsed<T> {
        Err(JsonError { offset: self.at, message })
    }
}

fn integer(written: &str) -> Value {
    if let Ok(integer) = written.parse() {
        return Value::Integer(integer);
    }
    BigInteger::parse(written).map_or(Value::Null, |big| Value::Big(Box::new(big)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed<Value> {
        parse(text, Numbers::Doubles)
    }

    #[test]
    fn reads_every_kind() {
        assert_eq!(read(" -12 "), Ok(Value::Integer(-12)));
        assert_eq!(read("1.5e2"), Ok(Value::Float(150.0)));
        assert_eq!(read("[true,false,null]"), Ok(Value::list(vec![true.into(), false.into(), Value::Null])));
        assert_eq!(read("{}"), Ok(Map::new().into()));
        assert_eq!(read(r#""a\u00e9\n\ud83d\ude00\ud83d""#), Ok("aé\n😀\u{fffd}".into()));
    }

    #[test]
    fn names_the_place_of_the_trouble() {
        for (text, offset) in
            [("", 0), ("{\"a\" 1}", 5), ("[1,]", 3), ("01", 0), ("1 2", 2), ("\"\\x\"", 2), ("tru", 0), ("\"abc", 0)]
        {
            assert_eq!(read(text).map_err(|error| error.offset), Err(offset), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(read(&format!("{}1{}", "[".repeat(1000), "]".repeat(1000))).is_ok());
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn the_last_of_two_equal_names_wins() {
        assert_eq!(read(r#"{"a":1,"a":2}"#).unwrap().as_map().unwrap().get("a"), Some(&Value::Integer(2)));
    }
}
