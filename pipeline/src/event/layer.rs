//! The fields that all events of one source share, serialised once.

use crate::json;
use crate::map::Map;
use crate::path::Key;
use crate::text::Text;
use crate::value::Value;

/// At most this many top-level fields fit into a layer: one bit each in the event.
const FIELDS: usize = 64;

/// Shared top-level fields, each with the JSON it is sent as.
#[derive(Debug)]
pub struct Layer {
    entries: Vec<Entry>,
    /// The marks of all names: a name whose bit is missing is not there.
    marks: u64,
    /// `,"name":value` of all entries, one after the other.
    encoded: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    name: Text,
    value: Value,
    end: usize,
}

impl Layer {
    /// Makes a layer of `fields`.
    ///
    /// # Panics
    /// When there are more than 64 top-level fields; inputs make layers from fixed sets of about ten.
    pub fn new(fields: Map) -> Self {
        assert!(fields.len() <= FIELDS, "a layer has at most 64 top-level fields");
        let mut encoded = Vec::new();
        let marks = fields.iter().fold(0, |marks, (name, _)| marks | Text::mark(name));
        let entries = fields.into_iter().map(|(name, value)| Entry::new(name, value, &mut encoded)).collect();
        Self { entries, marks, encoded }
    }

    /// The field `name`, unless it is hidden.
    #[inline]
    pub fn get(&self, name: &str, hidden: u64) -> Option<&Value> {
        self.seen(self.position(name, Text::mark(name))?, hidden)
    }

    /// The field that the key names, unless it is hidden.
    #[inline]
    pub fn find(&self, key: &Key, hidden: u64) -> Option<&Value> {
        self.seen(self.position(&key.name, key.mark)?, hidden)
    }

    #[inline]
    fn seen(&self, at: usize, hidden: u64) -> Option<&Value> {
        (hidden & (1 << at) == 0).then(|| &self.entries[at].value)
    }

    /// Whether it has the field that the key names, hidden or not.
    #[inline]
    pub fn has(&self, key: &Key) -> bool {
        self.position(&key.name, key.mark).is_some()
    }

    /// The bit that hides the field `name`; 0 when there is none.
    #[inline]
    pub fn bit(&self, name: &str) -> u64 {
        self.position(name, Text::mark(name)).map_or(0, |at| 1 << at)
    }

    #[inline]
    fn position(&self, name: &str, mark: u64) -> Option<usize> {
        if self.marks & mark == 0 {
            return None;
        }
        self.entries.iter().position(|entry| entry.name.as_str() == name)
    }

    /// The fields that are not hidden.
    pub fn visible(&self, hidden: u64) -> impl Iterator<Item = (&Text, &Value)> {
        let shown = self.entries.iter().enumerate().filter(move |(at, _)| hidden & (1 << at) == 0);
        shown.map(|(_, entry)| (&entry.name, &entry.value))
    }

    /// Appends `,"name":value` for each field that is not hidden.
    #[inline]
    pub fn encode(&self, hidden: u64, out: &mut Vec<u8>) {
        if hidden == 0 {
            out.extend_from_slice(&self.encoded);
            return;
        }
        let mut start = 0;
        for (at, entry) in self.entries.iter().enumerate() {
            if hidden & (1 << at) == 0 {
                out.extend_from_slice(&self.encoded[start..entry.end]);
            }
            start = entry.end;
        }
    }
}

impl Entry {
    fn new(name: Text, value: Value, encoded: &mut Vec<u8>) -> Self {
        encoded.push(b',');
        json::write_text(&name, encoded);
        encoded.push(b':');
        json::write_value(&value, encoded);
        Self { name, value, end: encoded.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_fields_are_neither_read_nor_sent() {
        let fields: Map = [("a", 1), ("b", 2), ("c", 3)].into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        let layer = Layer::new(fields);
        let hidden = layer.bit("b");
        let mut out = Vec::new();
        layer.encode(hidden, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#","a":1,"c":3"#);
        assert_eq!(layer.get("b", hidden), None);
        assert_eq!(layer.get("c", hidden), Some(&3.into()));
        assert_eq!(layer.bit("x"), 0);
    }
}
