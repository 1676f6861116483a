//! Decodes `%20` and the like in a field, or in all of them.
//!
//! Lists and maps are decoded inside; names are not. `+` stays as it is, and so does a `%` without two hexadecimal digits.
//!
//! ## Options
//!
//! - `field` (default `message`), or `all_fields` (default false).
//! - `charset` (default `UTF-8`): what the bytes mean. Known are UTF-8, US-ASCII, ASCII-8BIT, ISO-8859-1 and Windows-1252; the text of all
//!   others is read as UTF-8.
//! - `tag_on_failure` (default `["_urldecodefailure"]`).
//!
//! ## Example
//!
//! ```text
//! filter {
//!   urldecode { field => "[url][query]" }
//! }
//! ```
//!
//! ```json
//! {"url":{"query":"q=caf%C3%A9"}}
//! =>
//! {"url":{"query":"q=café"}}
//! ```
//!
//! ## On failure
//!
//! A field that can't be set tags the event; the common options follow all the same. Bytes that are no UTF-8 show as `\xFF`.
//! A missing field becomes null.
//!
//! ## Differences from Logstash
//!
//! Charsets but those named above are not decoded.

use std::borrow::Cow;

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::setup::Setup;
use crate::text::Text;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "urldecode", options: OPTIONS, docs: crate::docs::head(include_str!("urldecode.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("all_fields", OptionKind::Boolean, "false", "decode all fields"),
    optional("charset", CHARSETS, "UTF-8", "what the bytes mean"),
    optional("field", OptionKind::String, "message", "the field to decode"),
    optional("tag_on_failure", OptionKind::Array, "[\"_urldecodefailure\"]", "tags of an event that failed"),
];

/// What Ruby calls its encodings; the spelling counts.
#[rustfmt::skip]
const CHARSETS: OptionKind = OptionKind::OneOf(&[
    "ASCII-8BIT", "BINARY", "UTF-8", "CP65001", "US-ASCII", "ASCII", "ANSI_X3.4-1968", "646", "Big5",
    "CP950", "Big5-HKSCS", "Big5-UAO", "CESU-8", "CP949", "Emacs-Mule", "EUC-JP", "eucJP", "EUC-KR",
    "eucKR", "EUC-TW", "eucTW", "GB2312", "EUC-CN", "eucCN", "GB18030", "GBK", "CP936",
    "ISO-8859-1", "ISO-8859-2", "ISO-8859-3", "ISO-8859-4", "ISO-8859-5", "ISO-8859-6", "ISO-8859-7", "ISO-8859-8", "ISO-8859-9",
    "ISO-8859-10", "ISO-8859-11", "ISO-8859-13", "ISO-8859-14", "ISO-8859-15", "ISO-8859-16", "ISO8859-1", "ISO8859-2", "ISO8859-3",
    "ISO8859-4", "ISO8859-5", "ISO8859-6", "ISO8859-7", "ISO8859-8", "ISO8859-9", "ISO8859-10", "ISO8859-11", "ISO8859-13",
    "ISO8859-14", "ISO8859-15", "ISO8859-16", "KOI8-R", "CP878", "KOI8-U", "Shift_JIS", "Windows-31J", "CP932",
    "csWindows31J", "SJIS", "PCK", "UTF-16", "UTF-16BE", "UCS-2BE", "UTF-16LE", "UTF-32", "UTF-32BE",
    "UCS-4BE", "UTF-32LE", "UCS-4LE", "UTF-7", "CP65000", "UTF8-MAC", "UTF-8-MAC", "UTF-8-HFS", "Windows-1250",
    "Windows-1251", "Windows-1252", "Windows-1253", "Windows-1254", "Windows-1255", "Windows-1256", "Windows-1257", "Windows-1258", "Windows-874",
    "CP1250", "CP1251", "CP1252", "CP1253", "CP1254", "CP1255", "CP1256", "CP1257", "CP1258",
    "CP874", "IBM037", "IBM437", "IBM720", "IBM737", "IBM775", "IBM850", "IBM852", "IBM855",
    "IBM857", "IBM860", "IBM861", "IBM862", "IBM863", "IBM864", "IBM865", "IBM866", "IBM869",
    "CP437", "CP720", "CP737", "CP775", "CP850", "CP852", "CP855", "CP857", "CP860",
    "CP861", "CP862", "CP863", "CP864", "CP865", "CP866", "CP869", "macCroatian", "macCyrillic",
    "macGreek", "macIceland", "macRoman", "macRomania", "macThai", "macTurkish", "macUkraine", "macJapanese", "MacJapan",
    "ISO-2022-JP", "ISO2022-JP", "ISO-2022-JP-2", "ISO2022-JP2", "CP50220", "CP50221", "CP51932", "eucJP-ms", "euc-jp-ms",
    "EUC-JIS-2004", "EUC-JISX0213", "stateless-ISO-2022-JP", "TIS-620", "GB12345", "locale", "external", "filesystem", "internal",
]);

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    Some(Box::new(Urldecode {
        field: Reference::plain(&options.text_or("field", "message")),
        all: options.boolean("all_fields", false),
        charset: Charset::named(&options.text_or("charset", "UTF-8")),
        failure_tags: options.texts_or("tag_on_failure", &["_urldecodefailure"]),
    }))
}

struct Urldecode {
    field: Reference,
    all: bool,
    charset: Charset,
    failure_tags: Vec<String>,
}

#[derive(Clone, Copy)]
enum Charset {
    Utf8,
    Ascii,
    Latin1,
    Windows1252,
}

impl Filter for Urldecode {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        let decoded = if self.all { self.decode_all(event) } else { self.decode_field(event) };
        if decoded.is_err() {
            self.failure_tags.iter().for_each(|tag| event.tag(tag));
        }
        Outcome::Matched
    }
}

impl Urldecode {
    fn decode_field(&self, event: &mut Event) -> Result<(), Raised> {
        let path = self.field.path(event)?;
        let decoded = match event.get(&path) {
            Some(value) => self.charset.decode(value),
            None => Value::Null,
        };
        Ok(event.set(&path, decoded)?)
    }

    fn decode_all(&self, event: &mut Event) -> Result<(), Raised> {
        let names: Vec<Text> = event.fields().map(|(name, _)| name.clone()).collect();
        for name in names {
            let path = Reference::plain(&name);
            let path = path.path(event)?;
            let decoded = self.charset.decode(event.field(&name).unwrap_or(&Value::Null));
            event.set(&path, decoded)?;
        }
        Ok(())
    }
}

impl Charset {
    fn named(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "ASCII-8BIT" | "BINARY" | "US-ASCII" | "ASCII" => Self::Ascii,
            "ISO-8859-1" | "ISO8859-1" => Self::Latin1,
            "WINDOWS-1252" | "CP1252" => Self::Windows1252,
            _ => Self::Utf8,
        }
    }

    fn decode(self, value: &Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.decode_text(text)),
            Value::List(list) => Value::list(list.iter().map(|value| self.decode(value)).collect()),
            Value::Map(map) => {
                Value::Map(Box::new(map.iter().map(|(name, value)| (name.clone(), self.decode(value))).collect()))
            }
            other => other.clone(),
        }
    }

    /// All bytes are in the charset, those that were not escaped, too.
    fn decode_text(self, text: &Text) -> Text {
        let bytes = unescaped(text.as_bytes());
        match self {
            Self::Utf8 => match bytes {
                Cow::Borrowed(_) => text.clone(),
                Cow::Owned(bytes) => utf8(bytes).into(),
            },
            Self::Ascii => bytes.iter().map(|byte| ascii(*byte)).collect::<String>().into(),
            Self::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
            Self::Windows1252 => bytes.iter().map(|byte| windows_1252(*byte)).collect::<String>().into(),
        }
    }
}

fn unescaped(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'%', bytes) else { return bytes.into() };
    let mut out = bytes[..first].to_vec();
    let mut rest = &bytes[first..];
    while let [byte, tail @ ..] = rest {
        match (byte, tail) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(digit(*high) << 4 | digit(*low));
                rest = behind;
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out.into()
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        other => (other | 0x20) - b'a' + 10,
    }
}

/// Bytes that are no UTF-8 make the whole text be shown as Ruby's `inspect` would, which is what Logstash's charset code does.
fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut out = String::new();
        crate::ruby::inspect_bytes(error.as_bytes(), &mut out);
        out[1..out.len() - 1].to_owned()
    })
}

/// A byte that is no character becomes the replacement character.
fn ascii(byte: u8) -> char {
    if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER }
}

/// Bytes 0x80 to 0x9f; five of them mean nothing and become the replacement character.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}',
        '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::filtered;

    fn decoded(options: &str, text: &str) -> String {
        filtered(&format!("urldecode {{ {options} }}"), &format!(r#"{{"message":"{text}"}}"#))
    }

    #[test]
    fn escapes_become_characters() {
        assert_eq!(decoded("", "a%20b%2fc+%zz%4 caf%C3%A9%"), r#"{"message":"a b/c+%zz%4 café%"}"#);
        assert_eq!(decoded("", "x%ffy\\n"), r#"{"message":"x\\xFFy\\n"}"#);
    }

    #[test]
    fn charsets_are_read() {
        assert_eq!(decoded("charset => 'ISO-8859-1'", "caf%E9"), r#"{"message":"café"}"#);
        assert_eq!(decoded("charset => 'ASCII-8BIT'", "é%20"), "{\"message\":\"\u{fffd}\u{fffd} \"}");
        assert_eq!(decoded("charset => 'CP1252'", "%80"), r#"{"message":"€"}"#);
    }

    #[test]
    fn a_missing_field_becomes_null_and_all_fields_are_decoded_inside() {
        assert_eq!(filtered("urldecode { add_tag => ok }", "{}"), r#"{"message":null,"tags":["ok"]}"#);
        assert_eq!(
            filtered("urldecode { all_fields => true }", r#"{"a":"x%20y","b":{"k%20":"p%21"},"c":["q%3F",5]}"#),
            r#"{"a":"x y","b":{"k%20":"p!"},"c":["q?",5]}"#
        );
    }
}
