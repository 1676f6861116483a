//! The option `charset`: bytes to text, under the names that Ruby has for encodings.
//!
//! Bytes that are no UTF-8 though they should be make the text what Logstash makes of it: Ruby's `inspect`, with `\xFF` for each of those
//! bytes. In all other encodings what can't be read becomes U+FFFD.

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_config::suggest;
use encoding_rs::Encoding;

use super::optional;
use crate::ruby;
use crate::text::Text;

/// The row of the option.
pub(super) const OPTION: OptionSpec =
    optional("charset", OptionKind::String, "UTF-8", "the encoding of the bytes that are read");

/// An encoding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Charset(Form);

#[derive(Clone, Copy, Debug, Default)]
enum Form {
    #[default]
    Utf8,
    /// Bytes above 127 mean nothing.
    Ascii,
    /// Bytes are the first 256 characters.
    Latin1,
    Utf32 {
        little: bool,
    },
    Table(&'static Encoding),
}

impl Charset {
    /// Reads the option `charset`.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let name = options.text_or("charset", "UTF-8");
        let found = Self::find(&name);
        if found.is_none() {
            let help = match suggest::near(&name, NAMES.iter().map(|(name, _)| *name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "use a name as Ruby has it: UTF-8, ISO-8859-1, Windows-1252, UTF-16LE, ASCII-8BIT".into(),
            };
            options.fail("charset", &format!("elkhound knows no charset `{name}`"), &help);
        }
        found
    }

    /// The encoding that Ruby calls `name`.
    pub(super) fn find(name: &str) -> Option<Self> {
        let label = NAMES.iter().find(|(known, _)| *known == name)?.1;
        Some(Self(match label {
            "utf-8" => Form::Utf8,
            "ascii" => Form::Ascii,
            "latin1" => Form::Latin1,
            "utf-32le" => Form::Utf32 { little: true },
            "utf-32be" => Form::Utf32 { little: false },
            label => Form::Table(Encoding::for_label(label.as_bytes())?),
        }))
    }

    /// True for UTF-8.
    pub(super) fn is_utf8(self) -> bool {
        matches!(self.0, Form::Utf8)
    }

    /// Bytes of which characters are multiples.
    pub(super) fn unit(self) -> usize {
        match self.0 {
            Form::Utf32 { .. } => 4,
            Form::Table(table) if table == encoding_rs::UTF_16LE || table == encoding_rs::UTF_16BE => 2,
            _ => 1,
        }
    }

    /// The text of `bytes`.
    pub(super) fn text(self, bytes: &[u8]) -> Text {
        match self.0 {
            Form::Utf8 => utf8(bytes),
            Form::Ascii => {
                let char = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
                bytes.iter().map(char).collect::<String>().into()
            }
            Form::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
            Form::Utf32 { little } => bytes.chunks(4).map(|unit| utf32(unit, little)).collect::<String>().into(),
            Form::Table(table) => table.decode_with_bom_removal(bytes).0.into_owned().into(),
        }
    }

    /// A delimiter as it stands between the lines of a stream.
    pub(super) fn bytes(self, delimiter: &str) -> Vec<u8> {
        match (self.0, self.unit()) {
            (Form::Utf32 { little: true }, _) => delimiter.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            (Form::Utf32 { .. }, _) => delimiter.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
            (Form::Table(table), 2) if table == encoding_rs::UTF_16LE => {
                delimiter.encode_utf16().flat_map(u16::to_le_bytes).collect()
            }
            (_, 2) => delimiter.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            _ => delimiter.as_bytes().to_vec(),
        }
    }
}

fn utf8(bytes: &[u8]) -> Text {
    match std::str::from_utf8(bytes) {
        Ok(text) => Text::new(text),
        Err(_) => inspected(bytes).into(),
    }
}

/// Ruby's `inspect` of a string with broken bytes, without the quotes around it.
fn inspected(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        let mut quoted = String::with_capacity(chunk.valid().len() + 2);
        ruby::inspect(chunk.valid(), &mut quoted);
        out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02X}")));
    }
    out
}

fn utf32(unit: &[u8], little: bool) -> char {
    let code =
        unit.try_into().ok().map(|unit| if little { u32::from_le_bytes(unit) } else { u32::from_be_bytes(unit) });
    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Ruby's names and aliases, with what they are read as.
const NAMES: &[(&str, &str)] = &[
    ("UTF-8", "utf-8"),
    ("CP65001", "utf-8"),
    ("ASCII-8BIT", "ascii"),
    ("BINARY", "ascii"),
    ("US-ASCII", "ascii"),
    ("ASCII", "ascii"),
    ("ANSI_X3.4-1968", "ascii"),
    ("646", "ascii"),
    ("ISO-8859-1", "latin1"),
    ("ISO8859-1", "latin1"),
    ("ISO-8859-2", "iso-8859-2"),
    ("ISO8859-2", "iso-8859-2"),
    ("ISO-8859-3", "iso-8859-3"),
    ("ISO8859-3", "iso-8859-3"),
    ("ISO-8859-4", "iso-8859-4"),
    ("ISO8859-4", "iso-8859-4"),
    ("ISO-8859-5", "iso-8859-5"),
    ("ISO8859-5", "iso-8859-5"),
    ("ISO-8859-6", "iso-8859-6"),
    ("ISO8859-6", "iso-8859-6"),
    ("ISO-8859-7", "iso-8859-7"),
    ("ISO8859-7", "iso-8859-7"),
    ("ISO-8859-8", "iso-8859-8"),
    ("ISO8859-8", "iso-8859-8"),
    ("ISO-8859-9", "windows-1254"),
    ("ISO8859-9", "windows-1254"),
    ("ISO-8859-10", "iso-8859-10"),
    ("ISO8859-10", "iso-8859-10"),
    ("ISO-8859-11", "windows-874"),
    ("ISO8859-11", "windows-874"),
    ("ISO-8859-13", "iso-8859-13"),
    ("ISO8859-13", "iso-8859-13"),
    ("ISO-8859-14", "iso-8859-14"),
    ("ISO8859-14", "iso-8859-14"),
    ("ISO-8859-15", "iso-8859-15"),
    ("ISO8859-15", "iso-8859-15"),
    ("ISO-8859-16", "iso-8859-16"),
    ("ISO8859-16", "iso-8859-16"),
    ("Windows-1250", "windows-1250"),
    ("CP1250", "windows-1250"),
    ("Windows-1251", "windows-1251"),
    ("CP1251", "windows-1251"),
    ("Windows-1252", "windows-1252"),
    ("CP1252", "windows-1252"),
    ("Windows-1253", "windows-1253"),
    ("CP1253", "windows-1253"),
    ("Windows-1254", "windows-1254"),
    ("CP1254", "windows-1254"),
    ("Windows-1255", "windows-1255"),
    ("CP1255", "windows-1255"),
    ("Windows-1256", "windows-1256"),
    ("CP1256", "windows-1256"),
    ("Windows-1257", "windows-1257"),
    ("CP1257", "windows-1257"),
    ("Windows-1258", "windows-1258"),
    ("CP1258", "windows-1258"),
    ("Windows-874", "windows-874"),
    ("CP874", "windows-874"),
    ("TIS-620", "windows-874"),
    ("IBM866", "ibm866"),
    ("CP866", "ibm866"),
    ("KOI8-R", "koi8-r"),
    ("CP878", "koi8-r"),
    ("KOI8-U", "koi8-u"),
    ("macCyrillic", "x-mac-cyrillic"),
    ("macRoman", "macintosh"),
    ("Big5", "big5"),
    ("CP950", "big5"),
    ("Big5-HKSCS", "big5"),
    ("Big5-HKSCS:2008", "big5"),
    ("GB2312", "gbk"),
    ("EUC-CN", "gbk"),
    ("eucCN", "gbk"),
    ("GBK", "gbk"),
    ("CP936", "gbk"),
    ("GB18030", "gb18030"),
    ("EUC-JP", "euc-jp"),
    ("eucJP", "euc-jp"),
    ("Shift_JIS", "shift_jis"),
    ("Windows-31J", "shift_jis"),
    ("CP932", "shift_jis"),
    ("csWindows31J", "shift_jis"),
    ("SJIS", "shift_jis"),
    ("PCK", "shift_jis"),
    ("ISO-2022-JP", "iso-2022-jp"),
    ("ISO2022-JP", "iso-2022-jp"),
    ("EUC-KR", "euc-kr"),
    ("eucKR", "euc-kr"),
    ("CP949", "euc-kr"),
    ("UTF-16", "utf-16be"),
    ("UTF-16BE", "utf-16be"),
    ("UCS-2BE", "utf-16be"),
    ("UTF-16LE", "utf-16le"),
    ("UTF-32", "utf-32be"),
    ("UTF-32BE", "utf-32be"),
    ("UCS-4BE", "utf-32be"),
    ("UTF-32LE", "utf-32le"),
    ("UCS-4LE", "utf-32le"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Usage;
    use crate::codec::testing::mistakes;

    fn read(name: &str, bytes: &[u8]) -> String {
        Charset::find(name).unwrap().text(bytes).to_string()
    }

    #[test]
    fn every_name_is_known() {
        assert!(NAMES.iter().all(|(name, _)| Charset::find(name).is_some()));
    }

    #[test]
    fn bytes_become_the_characters_of_their_encoding() {
        assert_eq!(read("ISO-8859-1", b"caf\xe9 \x80"), "café \u{80}");
        assert_eq!(read("Windows-1252", b"caf\xe9 \x80"), "café €");
        assert_eq!(read("ISO-8859-15", b"\xa4"), "€");
        assert_eq!(read("KOI8-R", b"\xd0\xd2\xc9"), "при");
        assert_eq!(read("Shift_JIS", b"\x93\xfa\x96\x7b"), "日本");
        assert_eq!(read("UTF-16LE", b"\xff\xfeh\0\xe9\0"), "hé");
        assert_eq!(read("UTF-16BE", b"\0h\0\xe9"), "hé");
        assert_eq!(read("UTF-32LE", b"h\0\0\0\x00\xf6\x01\0"), "h😀");
        assert_eq!(read("ASCII-8BIT", b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn broken_utf_8_is_shown_as_ruby_shows_it() {
        assert_eq!(read("UTF-8", "naïve \"q\"".as_bytes()), "naïve \"q\"");
        assert_eq!(read("UTF-8", b"caf\xe9 \"q\"\t\\"), "caf\\xE9 \\\"q\\\"\\t\\\\");
        assert_eq!(read("UTF-8", b"\xff\xfe"), "\\xFF\\xFE");
    }

    #[test]
    fn names_are_those_of_ruby() {
        assert_eq!(
            mistakes("line { charset => 'utf-8' }", Usage::Stream),
            ["elkhound knows no charset `utf-8`: did you mean `UTF-8`?"]
        );
    }
}
