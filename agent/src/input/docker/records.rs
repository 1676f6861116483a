//! Records of the driver json-file, read without building a tree: `{"log":"text\n","stream":"stdout","attrs":{…},"time":"…"}`.
//!
//! What it promises: a record is scanned once; the text stays where it is until somebody asks for it without its escapes. The order of the
//! names does not matter, unknown names are passed over. A record that can't be read (half-written when the host
//! lost power, or followed by zero bytes) costs only itself: reading goes on at the next `{"log":`, in the same line or after it.
//!
//! What it leaves out: files, rotation, and joining pieces.

use std::sync::LazyLock;

use elkhound_pipeline::json::scan::{self, WIDTH};
use memchr::{memchr, memchr2, memmem};

use super::position::Stream;
use super::stamp;

/// What one record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The text.
    pub(crate) log: Log<'a>,
    /// The stream it was written to.
    pub(crate) stream: Stream,
    /// Nanoseconds since 1970.
    pub(crate) nanos: i64,
    /// The object of labels and variables that the driver was told to add, as JSON.
    pub(crate) attrs: Option<&'a [u8]>,
}

/// A text in JSON's spelling, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Log<'a> {
    /// As it stands in the file.
    #[inline]
    pub(crate) fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// True when there are escapes to undo.
    #[inline]
    pub(crate) fn escaped(self) -> bool {
        self.escaped
    }

    /// True when the text ends in a line feed.
    #[inline]
    pub(crate) fn is_line(self) -> bool {
        let Some(before) = self.raw.strip_suffix(b"\\n") else { return false };
        before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0
    }
}

/// The start of every record that dockerd writes.
const START: &[u8] = b"{\"log\":";

/// What became of a piece of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Bytes that are done with; what follows is the beginning of a record.
    pub(crate) consumed: usize,
    /// Records that could not be read.
    pub(crate) corrupt: usize,
}

/// Calls `each` for every complete record in `bytes`.
#[inline]
pub(crate) fn decode<'a>(bytes: &'a [u8], mut each: impl FnMut(Record<'a>)) -> Decoded {
    decode_with_offsets(bytes, |_, record| each(record))
}

/// The same, with where in `bytes` each record begins.
#[inline]
pub(crate) fn decode_with_offsets<'a>(bytes: &'a [u8], mut each: impl FnMut(usize, Record<'a>)) -> Decoded {
    let mut decoded = Decoded::default();
    while let Some(length) = memchr(b'\n', &bytes[decoded.consumed..]) {
        let start = decoded.consumed;
        let line = &bytes[start..start + length];
        decoded.consumed += length + 1;
        match parse(line) {
            Some(record) => each(start, record),
            None if line.is_empty() => {}
            None => {
                decoded.corrupt += 1;
                if let Some((behind, record)) = resynchronise(line) {
                    each(start + behind, record);
                }
            }
        }
    }
    decoded
}

/// The record that begins behind the start of `line`, and where: one was cut off, and the next was appended to what was left of it.
fn resynchronise(line: &[u8]) -> Option<(usize, Record<'_>)> {
    let at = memmem::find_iter(line.get(1..)?, START).last()? + 1;
    Some((at, parse(&line[at..])?))
}

/// Reads one record, without the line feed behind it.
#[inline]
pub(crate) fn parse(line: &[u8]) -> Option<Record<'_>> {
    usual(line).or_else(|| parse_any(line))
}

/// What stands between the text and the stream's name in a record without attributes.
const STREAM: &[u8] = b"\",\"stream\":\"std";

static FIND_STREAM: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(STREAM));

static FIND_START: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(START));

/// Reads a record that has exactly the shape that dockerd gives it, by looking for what must stand behind the text: a text full of escapes
/// is not stopped at each of them. Nothing for any other shape.
#[inline]
fn usual(line: &[u8]) -> Option<Record<'_>> {
    let rest = line.strip_prefix(START)?.strip_prefix(b"\"")?;
    let length = FIND_STREAM.find(rest)?;
    let raw = &rest[..length];
    // A quote behind an odd number of backslashes belongs to the text.
    if raw.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
        return None;
    }
    let (stream, rest) = match &rest[length + STREAM.len()..] {
        [b'o', b'u', b't', rest @ ..] => (Stream::Stdout, rest),
        [b'e', b'r', b'r', rest @ ..] => (Stream::Stderr, rest),
        _ => return None,
    };
    let time = rest.strip_prefix(b"\",\"time\":\"")?.strip_suffix(b"\"}")?;
    // Within a text every quote has a backslash before it, so a bare one would mean that the text ended earlier, or that another record begins there.
    let first = memchr2(b'\\', b'"', raw);
    if first.is_some_and(|at| raw[at] == b'"' || FIND_START.find(&raw[at..]).is_some()) {
        return None;
    }
    let escaped = first.is_some();
    Some(Record { log: Log { raw, escaped }, stream, nanos: stamp::parse(time)?, attrs: None })
}

fn parse_any(line: &[u8]) -> Option<Record<'_>> {
    let (mut log, mut stream, mut nanos, mut attrs) = (None, None, None, None);
    let mut rest = line.strip_prefix(b"{")?;
    loop {
        let (name, after) = text(skip_space(rest))?;
        let after = skip_space(skip_space(after).strip_prefix(b":")?);
        rest = match name.raw {
            b"log" => keep(text(after)?, &mut log),
            b"stream" => keep(text(after)?, &mut stream),
            b"time" => keep(text(after)?, &mut nanos),
            b"attrs" => keep(value(after)?, &mut attrs),
            _ => value(after)?.1,
        };
        rest = skip_space(rest);
        match rest.split_first()? {
            (b',', after) => rest = after,
            (b'}', after) if skip_space(after).is_empty() => break,
            _ => return None,
        }
    }
    Some(Record { log: log?, stream: Stream::parse(stream?.raw)?, nanos: stamp::parse(nanos?.raw)?, attrs })
}

#[inline]
fn keep<'a, T>((found, rest): (T, &'a [u8]), place: &mut Option<T>) -> &'a [u8] {
    *place = Some(found);
    rest
}

#[inline]
fn skip_space(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b' ' | b'\t' | b'\r', ..] => bytes.trim_ascii_start(),
        _ => bytes,
    }
}

/// A text in quotes, and what follows it.
#[inline]
fn text(bytes: &[u8]) -> Option<(Log<'_>, &[u8])> {
    let bytes = bytes.strip_prefix(b"\"")?;
    let mut at = 0;
    let mut escaped = false;
    loop {
        at += scan::quote_or_backslash(bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some((Log { raw: &bytes[..at], escaped }, &bytes[at + 1..]));
        }
        escaped = true;
        at += 2;
    }
}

/// Any value, as it is spelled, and what follows it.
fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut depth = 0usize;
    let mut rest = bytes;
    loop {
        match rest.first()? {
            b'"' => rest = text(rest)?.1,
            b'{' | b'[' => (depth, rest) = (depth + 1, &rest[1..]),
            b'}' | b']' | b',' if depth == 0 => break,
            b'}' | b']' => (depth, rest) = (depth - 1, &rest[1..]),
            _ => rest = &rest[1..],
        }
    }
    Some((bytes[..bytes.len() - rest.len()].trim_ascii_end(), rest)).filter(|(found, _)| !found.is_empty())
}

/// Appends `raw` to `out` with its escapes undone. An escape that JSON does not have stays as it is.
#[inline]
pub(crate) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    out.reserve(raw.len());
    // JSON inside JSON has an escape every ten bytes: a block is copied at once, and what is behind a backslash is taken back.
    while let Some((block, after)) = rest.split_first_chunk() {
        let plain = scan::before_backslash(block);
        out.extend_from_slice(block);
        if plain == WIDTH {
            rest = after;
            continue;
        }
        out.truncate(out.len() - WIDTH + plain);
        rest = match rest.get(plain + 1).map_or(0, |letter| LETTERS[usize::from(*letter)]) {
            0 => &rest[plain + escape(&rest[plain..], out)..],
            character => {
                out.push(character);
                &rest[plain + 2..]
            }
        };
    }
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + escape(&rest[at..], out)..];
    }
    out.extend_from_slice(rest);
}

/// Appends what the escape at the start of `bytes` stands for; returns its length.
#[inline]
fn escape(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    match bytes.get(1) {
        Some(b'u') => unicode(bytes, out),
        Some(letter) if LETTERS[usize::from(*letter)] != 0 => {
            out.push(LETTERS[usize::from(*letter)]);
            2
        }
        _ => {
            out.push(b'\\');
            1
        }
    }
}

/// What a letter behind a backslash stands for; 0 for those that are no whole escape.
const LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let known = *b"\"\"\\\\//n\nt\tr\rb\x08f\x0c";
    let mut at = 0;
    while at < known.len() {
        letters[known[at] as usize] = known[at + 1];
        at += 2;
    }
    letters
};

/// The same for `\u1234`, and for two of them that make one character; a half of such a pair becomes U+FFFD.
fn unicode(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(first) = unit(bytes) else {
        out.push(b'\\');
        return 1;
    };
    let (code, length) = match (first, bytes.get(6..).and_then(unit)) {
        (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => (0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00), 12),
        _ => (first, 6),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | (*digit as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(raw: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        unescape(raw, &mut out);
        out
    }

    fn texts(bytes: &[u8]) -> (Vec<String>, Decoded) {
        let mut texts = Vec::new();
        let decoded = decode(bytes, |record| texts.push(String::from_utf8(unescaped(record.log.raw())).unwrap()));
        (texts, decoded)
    }

    fn line(text: &str) -> String {
        format!(
            "{{\"log\":{},\"stream\":\"stdout\",\"time\":\"2026-11-21T09:55:00.5Z\"}}\n",
            serde_json::to_string(text).unwrap()
        )
    }

    #[test]
    fn reads_what_dockerd_writes() {
        let record = br#"{"log":"a \"b\"\n","stream":"stderr","attrs":{"tag":"x}\"","n":"1"},"time":"2026-11-21T09:55:00.000000001Z"}"#;
        let expected = Record {
            log: Log { raw: br#"a \"b\"\n"#, escaped: true },
            stream: Stream::Stderr,
            nanos: 1_795_254_900_000_000_001,
            attrs: Some(br#"{"tag":"x}\"","n":"1"}"#),
        };
        assert_eq!(parse(record), Some(expected));
    }

    #[test]
    fn the_order_of_names_and_unknown_names_do_not_matter() {
        let record = br#"{ "time" : "2026-11-21T09:55:00Z", "new":[1,{"a":null}], "stream":"stdout" ,"log":"" }"#;
        let parsed = parse(record).unwrap();
        assert_eq!((parsed.log.raw(), parsed.stream, parsed.attrs), (b"".as_slice(), Stream::Stdout, None));
    }

    #[test]
    fn a_record_cut_anywhere_costs_itself_and_not_the_one_behind_it() {
        for text in ["plain\n", "{\"a\":\"b\",\"log\":\"x\"}\n", "no end"] {
            let whole = line(text);
            // What is cut off behind its last byte but one, the line feed, is a record.
            for cut in 1..whole.len() - 1 {
                let (texts, decoded) = texts(format!("{}{whole}", &whole[..cut]).as_bytes());
                assert_eq!((texts, decoded.corrupt), (vec![text.to_owned()], 1), "{}", &whole[..cut]);
            }
        }
    }

    #[test]
    fn undoes_every_escape() {
        for code in 0..=u32::from(char::MAX) {
            let Some(character) = char::from_u32(code) else { continue };
            let text = format!("<{character}>");
            let json = serde_json::to_string(&text).unwrap();
            assert_eq!(unescaped(&json.as_bytes()[1..json.len() - 1]), text.as_bytes(), "U+{code:04X}");
            let mut units = [0; 2];
            let spelled: String =
                character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect();
            assert_eq!(unescaped(spelled.as_bytes()), character.to_string().as_bytes(), "{spelled}");
        }
        assert_eq!(unescaped(br#"\u003c\u003E\u0026\/\b\f\r"#), b"<>&/\x08\x0c\r");
    }

    #[test]
    fn half_pairs_and_foreign_escapes_do_no_harm() {
        assert_eq!(unescaped(br"\ud83d!"), "\u{fffd}!".as_bytes());
        assert_eq!(unescaped(br"\ud83d\u0041"), "\u{fffd}A".as_bytes());
        assert_eq!(unescaped(br"\x\u12"), br"\x\u12");
        assert_eq!(unescaped(br"\"), br"\");
    }

    #[test]
    fn knows_whether_a_line_ends() {
        for (raw, is_line) in
            [(r"a\n", true), (r"a\\n", false), (r"a\\\n", true), (r"\n", true), ("n", false), ("", false)]
        {
            assert_eq!(Log { raw: raw.as_bytes(), escaped: true }.is_line(), is_line, "{raw}");
        }
    }

    #[test]
    fn a_cut_anywhere_leaves_the_rest_for_later() {
        let bytes = [line("one"), line("two \"quoted\"")].concat();
        for cut in 0..=bytes.len() {
            let (mut found, first) = texts(&bytes.as_bytes()[..cut]);
            let (rest, second) = texts(&bytes.as_bytes()[first.consumed..]);
            found.extend(rest);
            assert_eq!(found, ["one", "two \"quoted\""], "cut at {cut}");
            assert_eq!((first.corrupt, second.corrupt, first.consumed + second.consumed), (0, 0, bytes.len()));
        }
    }

    #[test]
    fn any_damage_costs_only_the_record_it_is_in() {
        let (one, two) = (line("one"), line("two"));
        for cut in 1..one.len() {
            let bytes = [&one[..cut], &two].concat();
            let (found, decoded) = texts(bytes.as_bytes());
            assert_eq!(found, ["two"], "cut at {cut}");
            assert_eq!(decoded, Decoded { consumed: bytes.len(), corrupt: 1 });
        }
        let zeros =
            [b"\0\0\0\0\n".to_vec(), two.clone().into_bytes(), b"garbage\n\n{\"log\":1}\n".to_vec(), one.into_bytes()]
                .concat();
        assert_eq!(texts(&zeros), (vec!["two".into(), "one".into()], Decoded { consumed: zeros.len(), corrupt: 3 }));
    }
}
