//! An event to MessagePack bytes, each value in its shortest form.

use crate::event::Event;
use crate::print;
use crate::text::Text;
use crate::value::Value;

/// Appends the event as a map.
pub(super) fn event(event: &Event, out: &mut Vec<u8>) {
    map(event.fields().count(), event.fields(), out);
}

fn map<'a>(length: usize, entries: impl Iterator<Item = (&'a Text, &'a Value)>, out: &mut Vec<u8>) {
    head(length, 0x80, 0x0f, [None, Some(0xde), Some(0xdf)], out);
    for (name, value) in entries {
        text(name, out);
        write(value, out);
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(truth) => out.push(0xc2 + u8::from(*truth)),
        Value::Integer(integer) => number(*integer, out),
        Value::Float(float) => {
            out.push(0xcb);
            out.extend_from_slice(&float.to_be_bytes());
        }
        Value::Text(written) => text(written, out),
        Value::List(list) => {
            head(list.len(), 0x90, 0x0f, [None, Some(0xdc), Some(0xdd)], out);
            list.iter().for_each(|value| write(value, out));
        }
        Value::Map(entries) => map(entries.len(), entries.iter(), out),
        Value::Big(_) | Value::Decimal(_) | Value::Timestamp(_) => text(&print::template_string(value), out),
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    head(text.len(), 0xa0, 0x1f, [Some(0xd9), Some(0xda), Some(0xdb)], out);
    out.extend_from_slice(text.as_bytes());
}

/// A length: within the first byte when it fits `mask`, else in one, two or four bytes behind a byte that says which.
fn head(length: usize, short: u8, mask: u8, long: [Option<u8>; 3], out: &mut Vec<u8>) {
    let [one, two, four] = long;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length <= mask => out.push(short | length),
        (Ok(length), _) if one.is_some() => out.extend(one.into_iter().chain([length])),
        (_, Ok(length)) => out.extend(two.into_iter().chain(length.to_be_bytes())),
        // An event is bounded far below 4 GiB.
        _ => out.extend(four.into_iter().chain((length as u32).to_be_bytes())),
    }
}

fn number(number: i64, out: &mut Vec<u8>) {
    if (-32..128).contains(&number) {
        out.push(number as u8);
    } else if let Ok(short) = i16::try_from(number) {
        out.push(0xd1);
        out.extend_from_slice(&short.to_be_bytes());
    } else if let Ok(middle) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&middle.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::map::Map;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let numbers = [0, 127, 128, -32, -33, 40_000, -40_000, i64::MAX, i64::MIN].map(Value::Integer);
        let lengths = [0, 31, 32, 255, 256, 65_535, 65_536].map(|length| Value::from("x".repeat(length)));
        let lists = [15, 16, 70_000].map(|length| Value::list(vec![Value::Null; length]));
        let maps = [15, 16].map(|length| {
            Value::from((0..length).map(|at| (Text::from(at.to_string()), Value::Bool(true))).collect::<Map>())
        });
        for value in numbers.into_iter().chain(lengths).chain(lists).chain(maps).chain([Value::Float(0.1)]) {
            let mut out = Vec::new();
            write(&value, &mut out);
            let length = out.len();
            assert!(read::value(&out) == Ok((value, length)), "{length} bytes");
        }
    }
}
