//! Events as bytes and back, for a queue that keeps them outside of memory.
//!
//! What it promises: an event comes back with the same fields in the same order, the same kinds of values to the last digit and nanosecond, the
//! same `@metadata`, tags, shared layer and identity; so filters, outputs and ids can't tell that it was away. Bytes that are no packed events
//! are an error, never a panic and never more work or memory than their length. Receipts are not kept: they belong to one process.
//!
//! All texts stand behind the structure, one after the other, so that those of a pack that is read are slices of one buffer, as are those of a
//! chunk that was read from a log. A layer is written once for all events of a pack that share it.
//!
//! ```text
//! pack   = varint(bytes of structure) structure texts
//! event  = byte(length of id) id, map of fields, map of @metadata, varint(layer: 0 none, n the n-th) [map, where it is new], varint(hidden)
//! map    = varint(entries) { varint(bytes of name) value }
//! value  = byte(kind) payload
//! ```

use std::fmt;
use std::sync::Arc;

use super::{DocumentId, Event, Layer};
use crate::json;
use crate::map::Map;
use crate::number::{BigInteger, Decimal};
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// How deep values nest: what JSON allows, and some levels that a pipeline has put around it. What is deeper is kept as its JSON text.
const DEPTH: usize = 1100;

/// Shared layers that a new event is compared with: a pack holds lines of one source, seldom of two streams.
const RECENT: usize = 4;

/// So many fields fit into a layer.
const LAYER_FIELDS: usize = 64;

/// Room for what filters add to an event, as inputs leave it.
const ROOM: usize = 13;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const BIG: u8 = 4;
const FLOAT: u8 = 5;
const DECIMAL: u8 = 6;
const TEXT: u8 = 7;
const TIMESTAMP: u8 = 8;
const LIST: u8 = 9;
const MAP: u8 = 10;

/// Bytes that are no packed events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these bytes are no packed events")
    }
}

impl std::error::Error for Corrupt {}

/// Events that are being packed.
#[derive(Debug, Default)]
pub struct Pack {
    structure: Vec<u8>,
    texts: Vec<u8>,
    layers: Vec<Arc<Layer>>,
    events: usize,
}

/// A place between two events of a pack.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark {
    structure: usize,
    texts: usize,
    layers: usize,
    events: usize,
}

impl Pack {
    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        let id = event.id.as_ref().map_or(&[][..], DocumentId::as_bytes);
        self.structure.push(id.len() as u8);
        self.structure.extend_from_slice(id);
        self.map(&event.fields, 0);
        self.map(&event.metadata, 0);
        match &event.layer {
            None => self.structure.push(0),
            Some(layer) => self.layer(layer),
        }
        put(&mut self.structure, event.hidden);
        self.events += 1;
    }

    /// How much there is now.
    pub fn mark(&self) -> Mark {
        let Self { structure, texts, layers, events } = self;
        Mark { structure: structure.len(), texts: texts.len(), layers: layers.len(), events: *events }
    }

    /// Forgets what was packed behind `mark`.
    pub fn take_back(&mut self, mark: Mark) {
        self.structure.truncate(mark.structure);
        self.texts.truncate(mark.texts);
        self.layers.truncate(mark.layers);
        self.events = mark.events;
    }

    /// How many events there are.
    pub fn events(&self) -> usize {
        self.events
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.structure.len() + self.texts.len()
    }

    /// Appends them to `out` and begins anew.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        put(out, self.structure.len() as u64);
        out.extend_from_slice(&self.structure);
        out.extend_from_slice(&self.texts);
        self.structure.clear();
        self.texts.clear();
        self.layers.clear();
        self.events = 0;
    }

    fn layer(&mut self, layer: &Arc<Layer>) {
        let known = self.layers.iter().enumerate().rev().take(RECENT).find(|(_, known)| Arc::ptr_eq(known, layer));
        if let Some((at, _)) = known {
            return put(&mut self.structure, at as u64 + 1);
        }
        self.layers.push(Arc::clone(layer));
        put(&mut self.structure, self.layers.len() as u64);
        let fields = layer.visible(0);
        put(&mut self.structure, layer.visible(0).count() as u64);
        for (name, value) in fields {
            self.text(name);
            self.value(value, 1);
        }
    }

    fn map(&mut self, map: &Map, depth: usize) {
        put(&mut self.structure, map.len() as u64);
        for (name, value) in map.iter() {
            self.text(name);
            self.value(value, depth + 1);
        }
    }

    fn text(&mut self, text: &str) {
        put(&mut self.structure, text.len() as u64);
        self.texts.extend_from_slice(text.as_bytes());
    }

    fn value(&mut self, value: &Value, depth: usize) {
        let kind = |kind: u8, pack: &mut Self| pack.structure.push(kind);
        match value {
            Value::Null => kind(NULL, self),
            Value::Bool(truth) => kind(if *truth { TRUE } else { FALSE }, self),
            Value::Integer(number) => {
                kind(INTEGER, self);
                put(&mut self.structure, zigzag(*number));
            }
            Value::Big(number) => {
                kind(BIG, self);
                self.text(number.as_str());
            }
            Value::Float(number) => {
                kind(FLOAT, self);
                self.structure.extend_from_slice(&number.to_bits().to_le_bytes());
            }
            Value::Decimal(number) => {
                kind(DECIMAL, self);
                self.text(&number.to_string());
            }
            Value::Text(text) => {
                kind(TEXT, self);
                self.text(text);
            }
            Value::Timestamp(time) => {
                kind(TIMESTAMP, self);
                put(&mut self.structure, zigzag(time.seconds()));
                put(&mut self.structure, time.nanos().into());
            }
            Value::List(_) | Value::Map(_) if depth > DEPTH => {
                let mut text = Vec::new();
                json::write_value(value, &mut text);
                kind(TEXT, self);
                self.text(&String::from_utf8_lossy(&text));
            }
            Value::List(list) => {
                kind(LIST, self);
                put(&mut self.structure, list.len() as u64);
                list.iter().for_each(|value| self.value(value, depth + 1));
            }
            Value::Map(map) => {
                kind(MAP, self);
                self.map(map, depth);
            }
        }
    }
}

/// Appends the `count` events that were packed into `bytes`.
///
/// # Errors
/// When the bytes are something else; `events` may have some of them all the same then.
pub fn unpack(bytes: &[u8], count: usize, events: &mut Vec<Event>) -> Result<(), Corrupt> {
    let mut structure = bytes;
    let length = usize::try_from(take(&mut structure)?).map_err(|_| Corrupt)?;
    let (structure, texts) = structure.split_at_checked(length).ok_or(Corrupt)?;
    let texts = str::from_utf8(texts).map_err(|_| Corrupt)?;
    if count > structure.len() || u32::try_from(texts.len()).is_err() {
        return Err(Corrupt);
    }
    let mut unpacking = Unpacking { structure, texts: Arc::new(texts.to_owned()), at: 0, layers: Vec::new() };
    events.reserve(count);
    for _ in 0..count {
        events.push(unpacking.event()?);
    }
    let whole = unpacking.structure.is_empty() && unpacking.at == unpacking.texts.len();
    if whole { Ok(()) } else { Err(Corrupt) }
}

struct Unpacking<'a> {
    /// What is left.
    structure: &'a [u8],
    texts: Arc<String>,
    /// Where the next text begins.
    at: usize,
    layers: Vec<Arc<Layer>>,
}

impl Unpacking<'_> {
    fn event(&mut self) -> Result<Event, Corrupt> {
        let length = usize::from(self.byte()?);
        let id = (length > 0).then_some(self.bytes(length)?).map(DocumentId::new);
        let fields = self.map(0, ROOM)?;
        let metadata = self.map(0, 0)?;
        let layer = self.layer()?;
        let hidden = take(&mut self.structure)?;
        Ok(Event { fields, metadata, layer, hidden, cancelled: false, id, receipt: None })
    }

    fn layer(&mut self) -> Result<Option<Arc<Layer>>, Corrupt> {
        let Some(at) = usize::try_from(take(&mut self.structure)?).map_err(|_| Corrupt)?.checked_sub(1) else {
            return Ok(None);
        };
        if at == self.layers.len() {
            let fields = self.map(0, 0)?;
            if fields.len() > LAYER_FIELDS {
                return Err(Corrupt);
            }
            self.layers.push(Arc::new(Layer::new(fields)));
        }
        self.layers.get(at).cloned().map(Some).ok_or(Corrupt)
    }

    fn map(&mut self, depth: usize, room: usize) -> Result<Map, Corrupt> {
        let count = self.count()?;
        let mut map = Map::with_capacity(count.max(room));
        for _ in 0..count {
            let name = self.text()?;
            map.push(name, self.value(depth + 1)?);
        }
        Ok(map)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Corrupt> {
        Ok(match self.byte()? {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INTEGER => Value::Integer(unzigzag(take(&mut self.structure)?)),
            BIG => Value::Big(Box::new(BigInteger::parse(&self.text()?).ok_or(Corrupt)?)),
            FLOAT => {
                let bits = self.bytes(8)?.try_into().map_err(|_| Corrupt)?;
                Value::Float(f64::from_bits(u64::from_le_bytes(bits)))
            }
            DECIMAL => Value::Decimal(Box::new(Decimal::parse(&self.text()?).ok_or(Corrupt)?)),
            TEXT => Value::Text(self.text()?),
            TIMESTAMP => {
                let seconds = unzigzag(take(&mut self.structure)?);
                let nanos = u32::try_from(take(&mut self.structure)?).map_err(|_| Corrupt)?;
                Value::Timestamp(Timestamp::new(seconds, nanos))
            }
            LIST | MAP if depth > DEPTH => return Err(Corrupt),
            LIST => {
                let count = self.count()?;
                let mut list = Vec::with_capacity(count);
                for _ in 0..count {
                    list.push(self.value(depth + 1)?);
                }
                Value::list(list)
            }
            MAP => self.map(depth, 0)?.into(),
            _ => return Err(Corrupt),
        })
    }

    /// How many entries follow, each of at least a byte.
    fn count(&mut self) -> Result<usize, Corrupt> {
        let count = usize::try_from(take(&mut self.structure)?).map_err(|_| Corrupt)?;
        if count > self.structure.len() { Err(Corrupt) } else { Ok(count) }
    }

    fn text(&mut self) -> Result<Text, Corrupt> {
        let length = usize::try_from(take(&mut self.structure)?).map_err(|_| Corrupt)?;
        let end = self.at.checked_add(length).ok_or(Corrupt)?;
        if self.texts.get(self.at..end).is_none() {
            return Err(Corrupt);
        }
        let text = Text::slice_of(&self.texts, self.at..end);
        self.at = end;
        Ok(text)
    }

    fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.structure.split_first().ok_or(Corrupt)?;
        self.structure = rest;
        Ok(*first)
    }

    fn bytes(&mut self, length: usize) -> Result<&[u8], Corrupt> {
        let (bytes, rest) = self.structure.split_at_checked(length).ok_or(Corrupt)?;
        self.structure = rest;
        Ok(bytes)
    }
}

/// Appends a number in as few groups of seven bits as it needs, the lowest first.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes such a number off the front.
fn take(bytes: &mut &[u8]) -> Result<u64, Corrupt> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(Corrupt)?;
        *bytes = rest;
        let bits = u64::from(first & 0x7f);
        if bits << shift >> shift != bits {
            return Err(Corrupt);
        }
        number |= bits << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Corrupt)
}

/// Small numbers of either sign as small ones without.
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    fn packed(events: &[Event]) -> Vec<u8> {
        let (mut pack, mut bytes) = (Pack::default(), Vec::new());
        events.iter().for_each(|event| pack.push(event));
        pack.write(&mut bytes);
        bytes
    }

    fn unpacked(bytes: &[u8], count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        unpack(bytes, count, &mut events).unwrap();
        events
    }

    fn layer() -> Arc<Layer> {
        let fields: Map = [("a", 1), ("b", 2)].into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Arc::new(Layer::new(fields))
    }

    #[test]
    fn every_kind_of_value_comes_back_to_the_last_digit() {
        let decimal = |text: &str| Value::Decimal(Box::new(Decimal::parse(text).unwrap()));
        let values = [
            Value::Null,
            true.into(),
            i64::MIN.into(),
            (-1).into(),
            Value::Big(Box::new(BigInteger::parse("-123456789012345678901234567890").unwrap())),
            f64::MIN_POSITIVE.into(),
            Value::Float(-0.0),
            decimal("1.10"),
            decimal("1E+400"),
            decimal("-0.00000000001"),
            "".into(),
            "längerer Text, der nicht in den Wert selbst passt".into(),
            Timestamp::new(-62_135_596_800, 1).into(),
            Timestamp::new(i64::MAX, 999_999_999).into(),
            Value::list(vec![Value::Null, Value::list(Vec::new()), Map::new().into()]),
        ];
        let fields: Map = values.iter().enumerate().map(|(at, value)| (at.to_string().into(), value.clone())).collect();
        let mut event = Event::new(fields);
        event.set(&Path::parse("[@metadata][x][y]").unwrap(), "z".into()).unwrap();
        event.set_origin(Some(DocumentId::new(b"some.id-1")), None);
        let back = unpacked(&packed(&[event]), 1).remove(0);
        // Equality of decimals and doubles is by value; their spelling and their sign are in the debug form.
        let shown: Vec<String> = back.fields.iter().map(|(_, value)| format!("{value:?}")).collect();
        assert_eq!(shown, values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>());
        assert_eq!(back.get(&Path::parse("[@metadata][x][y]").unwrap()), Some(&"z".into()));
        assert_eq!(back.id().map(DocumentId::as_str), Some("some.id-1"));
    }

    #[test]
    fn what_was_begun_is_taken_back() {
        let event = |layer| Event::layered([("n".into(), 1.into())].into_iter().collect(), layer);
        let (first, second) = (event(layer()), event(layer()));
        let mut pack = Pack::default();
        pack.push(&first);
        let mark = pack.mark();
        pack.structure.push(0);
        pack.layer(&layer());
        pack.text("half an event");
        pack.take_back(mark);
        pack.push(&second);
        let mut bytes = Vec::new();
        pack.write(&mut bytes);
        assert_eq!(bytes, packed(&[first, second]));
    }

    #[test]
    fn a_shared_layer_is_kept_once_and_stays_shared_and_hidden_where_it_was() {
        let (layer, other) = (layer(), layer());
        let mut events: Vec<Event> = (0..3).map(|_| Event::layered(Map::new(), Arc::clone(&layer))).collect();
        events.push(Event::layered(Map::new(), other));
        events.push(Event::default());
        events[1].remove(&Path::parse("a").unwrap());
        let back = unpacked(&packed(&events), 5);
        let shared = |event: &Event| event.layer.clone().unwrap();
        assert!(
            Arc::ptr_eq(&shared(&back[0]), &shared(&back[2])) && !Arc::ptr_eq(&shared(&back[0]), &shared(&back[3]))
        );
        assert!(back[4].layer.is_none());
        let maps = |events: &[Event]| events.iter().map(Event::to_map).collect::<Vec<_>>();
        assert_eq!(maps(&back), maps(&events));
        assert_eq!(packed(&events[..3]).iter().filter(|byte| **byte == b'a').count(), 1);
    }

    #[test]
    fn what_is_too_deep_is_kept_as_its_text() {
        let mut value = Value::list(vec!["core".into()]);
        for _ in 0..DEPTH + 10 {
            value = Value::list(vec![value]);
        }
        let event = Event::new([("deep".into(), value)].into_iter().collect());
        let back = unpacked(&packed(&[event]), 1).remove(0);
        let mut innermost = back.field("deep").unwrap();
        while let Some([inner]) = innermost.as_list() {
            innermost = inner;
        }
        assert_eq!(innermost.as_text().map(Text::as_str), Some("[[[[[[[[[[[\"core\"]]]]]]]]]]]"));
    }

    #[test]
    fn what_is_cut_or_changed_is_refused_or_read_as_something_else_but_never_panics() {
        let mut event = Event::layered([("m".into(), "täxt".into())].into_iter().collect(), layer());
        event.set_field("list".into(), Value::list(vec![1.5.into(), Timestamp::default().into()]));
        let bytes = packed(&[event]);
        for at in 0..bytes.len() {
            assert_eq!(unpack(&bytes[..at], 1, &mut Vec::new()), Err(Corrupt), "cut at {at}");
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                let _either = unpack(&other, 1, &mut Vec::new());
            }
        }
        assert_eq!(unpack(&bytes, 2, &mut Vec::new()), Err(Corrupt));
        assert_eq!(unpack(&bytes, usize::MAX, &mut Vec::new()), Err(Corrupt));
    }

    #[test]
    fn numbers_take_as_few_bytes_as_they_need_and_no_more_than_fit() {
        for number in [0, 1, 127, 128, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(take(&mut &bytes[..]), Ok(number));
        }
        assert_eq!(take(&mut &[0xff; 20][..]), Err(Corrupt));
        assert_eq!(take(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2][..]), Err(Corrupt));
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
    }
}
