//! A small map in insertion order: the shape of an event and of every object in it.
//!
//! Events have ten to thirty fields, and comparing a name is comparing at most three words: up to [`INDEXED_ABOVE`] entries
//! a linear walk beats hashing, and most look-ups of a name that is not there (each field that a filter adds is one) end at a
//! 64-bit mask of the names, before any is compared. Above that an index is kept, so that an object with 100,000 names, which any container may
//! print, costs linear and not quadratic time.

use std::collections::HashMap;

use crate::path::Key;
use crate::text::Text;
use crate::value::Value;

/// The number of entries above which names are looked up through a hash index.
const INDEXED_ABOVE: usize = 32;

/// An ordered map from field names to values.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<(Text, Value)>,
    /// The marks of all names, also of some that were removed since: a name whose bit is missing is not there.
    marks: u64,
    #[expect(clippy::box_collection, reason = "keeps the header of the many small maps at 32 bytes")]
    index: Option<Box<HashMap<Text, usize>>>,
}

impl Map {
    /// An empty map; allocates nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), marks: 0, index: None }
    }

    /// An empty map with room for `entries`.
    pub fn with_capacity(entries: usize) -> Self {
        Self { entries: Vec::with_capacity(entries), marks: 0, index: None }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value under `name`.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).map(|at| &self.entries[at].1)
    }

    /// The value under the name of a field reference, whose mark was made when the pipeline was compiled.
    #[inline]
    pub fn find(&self, key: &Key) -> Option<&Value> {
        self.place(&key.name, key.mark).map(|at| &self.entries[at].1)
    }

    /// The value under `name`, to be changed.
    #[inline]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let at = self.position(name)?;
        Some(&mut self.entries[at].1)
    }

    /// True when `name` is there, also when it holds null.
    pub fn contains(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Puts `value` under `name`; an existing entry keeps its place. Returns what was there.
    #[inline]
    pub fn insert(&mut self, name: Text, value: Value) -> Option<Value> {
        let mark = Text::mark(&name);
        if let Some(at) = self.place(&name, mark) {
            return Some(std::mem::replace(&mut self.entries[at].1, value));
        }
        self.push_marked(name, mark, value);
        None
    }

    /// Appends an entry whose name is known to be new, without looking for it.
    #[inline]
    pub fn push(&mut self, name: Text, value: Value) {
        let mark = Text::mark(&name);
        self.push_marked(name, mark, value);
    }

    /// The same under the name of a field reference.
    #[inline]
    pub fn push_key(&mut self, key: &Key, value: Value) {
        self.push_marked(key.name.clone(), key.mark, value);
    }

    #[inline]
    fn push_marked(&mut self, name: Text, mark: u64, value: Value) {
        self.marks |= mark;
        if self.entries.len() >= INDEXED_ABOVE {
            self.push_indexed(&name);
        }
        self.entries.push((name, value));
    }

    /// Has the index know the name that comes next.
    #[cold]
    fn push_indexed(&mut self, name: &Text) {
        if self.index.is_none() {
            self.index = Some(Box::new(self.places()));
        }
        let next = self.entries.len();
        if let Some(index) = &mut self.index {
            index.insert(name.clone(), next);
        }
    }

    /// The value under `name`, which is made by `default` where it is missing.
    pub fn get_or_insert_with(&mut self, name: &Text, default: impl FnOnce() -> Value) -> &mut Value {
        let mark = Text::mark(name);
        let at = self.place(name, mark).unwrap_or_else(|| {
            self.push_marked(name.clone(), mark, default());
            self.entries.len() - 1
        });
        &mut self.entries[at].1
    }

    /// The same under the name of a field reference.
    #[inline]
    pub fn find_or_push(&mut self, key: &Key, default: impl FnOnce() -> Value) -> &mut Value {
        let at = self.place(&key.name, key.mark).unwrap_or_else(|| {
            self.push_key(key, default());
            self.entries.len() - 1
        });
        &mut self.entries[at].1
    }

    /// Takes the entry `name` out; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.position(name)?;
        let (_, value) = self.entries.remove(at);
        if self.index.is_some() {
            self.build_index();
        }
        Some(value)
    }

    /// Keeps the entries for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text, &mut Value) -> bool) {
        self.entries.retain_mut(|(name, value)| keep(name, value));
        if self.index.is_some() {
            self.build_index();
        }
    }

    /// The entries in insertion order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Value)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// The entries in insertion order, values to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Text, &mut Value)> {
        self.entries.iter_mut().map(|(name, value)| (&*name, value))
    }

    /// Removes all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.marks = 0;
        self.index = None;
    }

    #[inline]
    fn place(&self, name: &Text, mark: u64) -> Option<usize> {
        if self.marks & mark == 0 {
            return None;
        }
        match &self.index {
            None => self.entries.iter().position(|(known, _)| known == name),
            Some(index) => index.get(name).copied(),
        }
    }

    #[inline]
    fn position(&self, name: &str) -> Option<usize> {
        if self.marks & Text::mark(name) == 0 {
            return None;
        }
        match &self.index {
            None => self.entries.iter().position(|(known, _)| known.as_str() == name),
            Some(index) => index.get(name).copied(),
        }
    }

    fn places(&self) -> HashMap<Text, usize> {
        self.entries.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect()
    }

    /// Makes the index anew, or does without when there are few entries now.
    fn build_index(&mut self) {
        self.index = (self.entries.len() > INDEXED_ABOVE).then(|| Box::new(self.places()));
    }
}

/// Maps are equal when they hold the same entries, in whatever order.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl FromIterator<(Text, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Text, Value)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (name, value) in entries {
            map.insert(name, value);
        }
        map
    }
}

impl IntoIterator for Map {
    type Item = (Text, Value);
    type IntoIter = std::vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: i64) -> Map {
        (0..count).map(|n| (Text::from(format!("field{n}")), Value::Integer(n))).collect()
    }

    #[test]
    fn finds_and_removes_with_and_without_an_index() {
        for count in [1, 31, 32, 33, 34, 100] {
            let mut map = numbered(count);
            assert_eq!(map.get("field0"), Some(&Value::Integer(0)));
            assert_eq!(map.remove("field0"), Some(Value::Integer(0)));
            assert_eq!(map.get("field0"), None);
            for n in 1..count {
                assert_eq!(map.get(&format!("field{n}")), Some(&Value::Integer(n)), "{count} entries");
            }
        }
    }

    #[test]
    fn an_entry_that_is_set_again_keeps_its_place() {
        let mut map = numbered(3);
        assert_eq!(map.insert("field1".into(), Value::Null), Some(Value::Integer(1)));
        let names: Vec<&str> = map.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["field0", "field1", "field2"]);
    }

    #[test]
    fn order_does_not_matter_for_equality() {
        let forward = numbered(3);
        let backward: Map = (0..3).rev().map(|n| (Text::from(format!("field{n}")), Value::Integer(n))).collect();
        assert_eq!(forward, backward);
    }
}
