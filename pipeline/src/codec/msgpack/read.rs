//! MessagePack bytes to a value.

use crate::codec::charset::Charset;
use crate::map::Map;
use crate::number::BigInteger;
use crate::print;
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The bytes end before the value does.
    Unfinished,
    /// They are no MessagePack, or nested too deep.
    Broken,
}

/// Values nested deeper than this are refused.
const DEPTH: usize = 100;

/// The value at the beginning of `bytes`, and its length.
pub(super) fn value(bytes: &[u8]) -> Result<(Value, usize), Trouble> {
    let mut reader = Reader { bytes, at: 0, depth: 0 };
    let value = reader.value()?;
    Ok((value, reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

type Read<T> = Result<T, Trouble>;

impl<'a> Reader<'a> {
    fn value(&mut self) -> Read<Value> {
        let [kind] = self.fixed()?;
        Ok(match kind {
            0x00..=0x7f => Value::Integer(i64::from(kind)),
            0x80..=0x8f => return self.map(usize::from(kind & 0x0f)),
            0x90..=0x9f => return self.list(usize::from(kind & 0x0f)),
            0xa0..=0xbf => return self.text(usize::from(kind & 0x1f)),
            0xc0 => Value::Null,
            0xc1 => return Err(Trouble::Broken),
            0xc2 | 0xc3 => Value::Bool(kind == 0xc3),
            0xc4 | 0xd9 => return self.length(1).and_then(|length| self.text(length)),
            0xc5 | 0xda => return self.length(2).and_then(|length| self.text(length)),
            0xc6 | 0xdb => return self.length(4).and_then(|length| self.text(length)),
            0xc7..=0xc9 => return self.length(1 << (kind - 0xc7)).and_then(|length| self.extension(length)),
            0xca => Value::Float(f64::from(f32::from_be_bytes(self.fixed()?))),
            0xcb => Value::Float(f64::from_be_bytes(self.fixed()?)),
            0xcc => Value::Integer(i64::from(u8::from_be_bytes(self.fixed()?))),
            0xcd => Value::Integer(i64::from(u16::from_be_bytes(self.fixed()?))),
            0xce => Value::Integer(i64::from(u32::from_be_bytes(self.fixed()?))),
            0xcf => unsigned(u64::from_be_bytes(self.fixed()?)),
            0xd0 => Value::Integer(i64::from(i8::from_be_bytes(self.fixed()?))),
            0xd1 => Value::Integer(i64::from(i16::from_be_bytes(self.fixed()?))),
            0xd2 => Value::Integer(i64::from(i32::from_be_bytes(self.fixed()?))),
            0xd3 => Value::Integer(i64::from_be_bytes(self.fixed()?)),
            0xd4..=0xd8 => return self.extension(1 << (kind - 0xd4)),
            0xdc => return self.length(2).and_then(|length| self.list(length)),
            0xdd => return self.length(4).and_then(|length| self.list(length)),
            0xde => return self.length(2).and_then(|length| self.map(length)),
            0xdf => return self.length(4).and_then(|length| self.map(length)),
            0xe0..=0xff => Value::Integer(i64::from(kind as i8)),
        })
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(Trouble::Broken)?;
        let taken = self.bytes.get(self.at..end).ok_or(Trouble::Unfinished)?;
        self.at = end;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Trouble::Broken)
    }

    /// A length of so many bytes.
    fn length(&mut self, bytes: usize) -> Read<usize> {
        Ok(self.take(bytes)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn text(&mut self, length: usize) -> Read<Value> {
        Ok(Value::Text(Charset::default().text(self.take(length)?)))
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth == DEPTH {
            return Err(Trouble::Broken);
        }
        self.depth += 1;
        let value = inner(self)?;
        self.depth -= 1;
        Ok(value)
    }

    // Room is made as values come, not for as many as are promised.
    fn list(&mut self, length: usize) -> Read<Value> {
        let values = self.nested(|reader| (0..length).map(|_| reader.value()).collect::<Read<Vec<Value>>>())?;
        Ok(Value::list(values))
    }

    fn map(&mut self, length: usize) -> Read<Value> {
        let mut map = Map::new();
        self.nested(|reader| {
            for _ in 0..length {
                let name = name(&reader.value()?);
                let value = reader.value()?;
                map.insert(name, value);
            }
            Ok(())
        })?;
        Ok(map.into())
    }

    /// A time, which is extension -1, or any other extension's bytes.
    fn extension(&mut self, length: usize) -> Read<Value> {
        let [kind] = self.fixed()?;
        let bytes = self.take(length)?;
        let time = if kind == 0xff { timestamp(bytes) } else { None };
        Ok(time.map_or_else(|| Value::Text(Charset::default().text(bytes)), Value::Timestamp))
    }
}

fn name(value: &Value) -> Text {
    print::ruby_text(value)
}

fn unsigned(number: u64) -> Value {
    match i64::try_from(number) {
        Ok(number) => Value::Integer(number),
        Err(_) => BigInteger::parse(&number.to_string()).map_or(Value::Null, |big| Value::Big(Box::new(big))),
    }
}

fn timestamp(bytes: &[u8]) -> Option<Timestamp> {
    let (seconds, nanos) = match bytes.len() {
        4 => (i64::from(u32::from_be_bytes(bytes.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(bytes.try_into().ok()?);
            ((both & 0x3_ffff_ffff) as i64, (both >> 34) as i64)
        }
        12 => {
            let nanos = u32::from_be_bytes(bytes[..4].try_into().ok()?);
            (i64::from_be_bytes(bytes[4..].try_into().ok()?), i64::from(nanos))
        }
        _ => return None,
    };
    Some(Timestamp::from_nanos(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        let read = |bytes: &[u8]| value(bytes).map(|(value, length)| (value, length == bytes.len()));
        assert_eq!(read(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff").unwrap().0, unsigned(u64::MAX));
        assert_eq!(read(b"\xd1\xff\xfe"), Ok((Value::Integer(-2), true)));
        assert_eq!(read(b"\xca\x3f\xc0\0\0"), Ok((Value::Float(1.5), true)));
        assert_eq!(read(b"\xda\0\x02hi"), Ok(("hi".into(), true)));
        assert_eq!(read(b"\xc4\x01\xff"), Ok(("\\xFF".into(), true)));
        assert_eq!(read(b"\xd6\xff\0\0\0\x05"), Ok((Timestamp::from_nanos(5_000_000_000).into(), true)));
        assert_eq!(read(b"\xdc\0\x01\xc0"), Ok((Value::list(vec![Value::Null]), true)));
    }

    #[test]
    fn promises_are_not_believed() {
        assert_eq!(value(b"\xdd\xff\xff\xff\xff"), Err(Trouble::Unfinished));
        assert_eq!(value(b"\xdb\xff\xff\xff\xffx"), Err(Trouble::Unfinished));
        assert_eq!(value(&[0x91; 200]), Err(Trouble::Broken));
    }
}
