//! Values to JSON bytes.

use super::scan::{self, WIDTH};
use crate::event::Event;
use crate::map::Map;
use crate::number;
use crate::text::{INLINE, Text};
use crate::value::Value;

/// Appends the event as one JSON object, without line break.
pub fn write_event(event: &Event, out: &mut Vec<u8>) {
    let start = out.len();
    for (name, value) in event.own_fields().iter() {
        write_entry(name, value, out);
    }
    if let Some((layer, hidden)) = event.layer() {
        layer.encode(hidden, out);
    }
    close_object(start, out);
}

/// Appends a map as a JSON object.
pub fn write_map(map: &Map, out: &mut Vec<u8>) {
    let start = out.len();
    for (name, value) in map.iter() {
        write_entry(name, value, out);
    }
    close_object(start, out);
}

/// Entries are written with a comma before each, so that encoded layers can be appended as they are; the first comma
/// becomes the opening brace.
fn close_object(start: usize, out: &mut Vec<u8>) {
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

#[inline]
fn write_entry(name: &Text, value: &Value, out: &mut Vec<u8>) {
    out.push(b',');
    write_own(name, out);
    out.push(b':');
    write_value(value, out);
}

/// Appends a value.
#[inline]
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_own(text, out),
        Value::Integer(integer) => number::write_integer(*integer, out),
        Value::Timestamp(timestamp) => {
            out.push(b'"');
            timestamp.write(out);
            out.push(b'"');
        }
        other => write_rare(other, out),
    }
}

fn write_rare(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Float(float) => number::write_json_float(*float, out),
        Value::Big(big) => out.extend_from_slice(big.to_string().as_bytes()),
        Value::Decimal(decimal) => out.extend_from_slice(decimal.to_string().as_bytes()),
        Value::List(list) => write_list(list, out),
        Value::Map(map) => write_map(map, out),
        Value::Text(_) | Value::Integer(_) | Value::Timestamp(_) => write_value(value, out),
    }
}

fn write_list(list: &[Value], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, value) in list.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_value(value, out);
    }
    out.push(b']');
}

/// Appends a [`Text`] as [`write_text`] does; most are names and short values, of which more bytes can be copied than there are.
#[inline]
fn write_own(text: &Text, out: &mut Vec<u8>) {
    let Some((bytes, length)) = text.padded() else { return write_text(text, out) };
    let (first, last) = (bytes.first_chunk::<WIDTH>(), bytes.last_chunk::<WIDTH>());
    let (Some(first), Some(last)) = (first, last) else { return };
    let plain = match scan::before_special(first) {
        WIDTH => INLINE - WIDTH + scan::before_special(last),
        plain => plain,
    };
    if plain < length {
        return write_text(text, out);
    }
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.truncate(out.len() - INLINE + length);
    out.push(b'"');
}

/// Appends `text` as a JSON string with its quotes.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    // A block is copied whole, and what had to be escaped is taken back: access lines have a quote every thirty bytes.
    while let Some((block, after)) = rest.split_first_chunk::<WIDTH>() {
        let plain = scan::before_special(block);
        out.extend_from_slice(block);
        if plain == WIDTH {
            rest = after;
            continue;
        }
        out.truncate(out.len() - WIDTH + plain);
        escape(block[plain], out);
        rest = &rest[plain + 1..];
    }
    for &byte in rest {
        if byte < 0x20 || byte == b'"' || byte == b'\\' { escape(byte, out) } else { out.push(byte) }
    }
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Numbers, parse};

    fn text(text: &str) -> String {
        let mut out = Vec::new();
        write_text(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_at_every_offset() {
        for offset in 0..20 {
            for (raw, escaped) in
                [("\"", "\\\""), ("\\", "\\\\"), ("\n", "\\n"), ("\u{1}", "\\u0001"), ("é", "é"), ("\u{7f}", "\u{7f}")]
            {
                let pad = "x".repeat(offset);
                assert_eq!(text(&format!("{pad}{raw}{pad}")), format!("\"{pad}{escaped}{pad}\""));
            }
        }
    }

    #[test]
    fn every_character_comes_back() {
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        let parsed = parse(&text(&all), Numbers::Doubles).unwrap();
        assert_eq!(parsed, Value::text(&all));
    }

    #[test]
    fn objects_with_and_without_entries() {
        let mut out = Vec::new();
        write_event(&Event::default(), &mut out);
        write_value(&parse(r#"{"a":[1,null,true,"x"],"b":{}}"#, Numbers::Doubles).unwrap(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{}{"a":[1,null,true,"x"],"b":{}}"#);
    }
}
