//! Field references: `[a][b]`, `name`, `[list][0]`, `[@metadata][x]`, parsed once when the pipeline is loaded.
//!
//! The syntax is Logstash's strict one: either a bare name without brackets, or bracketed parts and nothing between them.
//! A part that is a whole number is an index where it meets a list (negative counts from the end), and a name elsewhere.

use std::fmt;

use crate::text::Text;
use crate::value::Value;

/// A parsed field reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    root: Root,
    keys: Vec<Key>,
    guard: Guard,
    written: Text,
}

/// Which values the field takes; Logstash watches over two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Any.
    Anything,
    /// A timestamp: the field is `@timestamp`.
    Timestamp,
    /// A text, a list of texts or null: the field is `tags`.
    Tags,
    /// None: the field is below `tags`.
    Nothing,
}

impl Guard {
    fn of(root: Root, keys: &[Key]) -> Self {
        match keys {
            [key, _, ..] if root == Root::Fields && key.name == "tags" => Self::Nothing,
            [key] if root == Root::Fields && key.name == "@timestamp" => Self::Timestamp,
            [key] if root == Root::Fields && key.name == "tags" => Self::Tags,
            _ => Self::Anything,
        }
    }

    /// True when the field may hold `value`.
    #[inline]
    pub(crate) fn admits(self, value: &Value) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => false,
            Self::Timestamp => matches!(value, Value::Timestamp(_)),
            Self::Tags => match value {
                Value::Text(_) | Value::Null => true,
                Value::List(list) => list.iter().all(|tag| matches!(tag, Value::Text(_))),
                _ => false,
            },
        }
    }
}

/// The two trees of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// What is sent to outputs.
    Fields,
    /// `@metadata`: carried along, never sent.
    Metadata,
}

/// One step of a field reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name, as it is looked up in a map.
    pub name: Text,
    /// The same as an index into a list, when it is a whole number.
    pub index: Option<i32>,
    /// The name's mark, for [`crate::map::Map::find`].
    pub(crate) mark: u64,
}

/// A field reference that can't be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPath {
    /// The reference as written.
    pub written: String,
}

impl Path {
    /// Parses a field reference.
    ///
    /// # Errors
    /// [`InvalidPath`] for unbalanced brackets, text between brackets, and names with a bracket in them.
    pub fn parse(written: &str) -> Result<Self, InvalidPath> {
        let invalid = || InvalidPath { written: written.to_owned() };
        let names = if written.contains(['[', ']']) { bracketed(written).ok_or_else(invalid)? } else { vec![written] };
        let mut keys: Vec<Key> = names.into_iter().map(Key::new).collect();
        let root = if keys.first().is_some_and(|key| key.name == "@metadata") { Root::Metadata } else { Root::Fields };
        if root == Root::Metadata {
            keys.remove(0);
        }
        Ok(Self { root, guard: Guard::of(root, &keys), keys, written: Text::new(written) })
    }

    /// A reference to the top-level field `name`, whatever characters it holds.
    pub fn field(name: &str) -> Self {
        let keys = vec![Key::new(name)];
        Self { root: Root::Fields, guard: Guard::of(Root::Fields, &keys), keys, written: Text::new(name) }
    }

    /// Which tree it points into.
    pub fn root(&self) -> Root {
        self.root
    }

    /// The steps from the root; empty only for `[@metadata]` itself.
    #[inline]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Which values the field takes.
    #[inline]
    pub(crate) fn guard(&self) -> Guard {
        self.guard
    }

    /// The reference as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl Key {
    fn new(name: &str) -> Self {
        Self { name: Text::new(name), index: name.parse().ok(), mark: Text::mark(name) }
    }
}

/// The names between the brackets, or nothing when the brackets don't fit. Nested brackets are flattened: `[[a][b]]` is `[a][b]`.
fn bracketed(written: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, character) in written.char_indices() {
        if character != '[' && character != ']' {
            continue;
        }
        let empty = character == ']' && written[..at].ends_with('[');
        if empty {
            return None;
        }
        if start < at {
            names.push(if depth == 0 { None } else { Some(&written[start..at]) }?);
        }
        depth = if character == '[' { depth + 1 } else { depth.checked_sub(1)? };
        start = at + 1;
    }
    (depth == 0 && start == written.len() && !names.is_empty()).then_some(names)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Display for InvalidPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a field reference; write `name` or `[outer][inner]`", self.written)
    }
}

impl std::error::Error for InvalidPath {}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(written: &str) -> Option<Vec<String>> {
        Path::parse(written).ok().map(|path| path.keys.iter().map(|key| key.name.to_string()).collect())
    }

    #[test]
    fn bare_names_and_bracketed_parts() {
        assert_eq!(names("message"), Some(vec!["message".into()]));
        assert_eq!(names("[message]"), Some(vec!["message".into()]));
        assert_eq!(names("[a][b c][0]"), Some(vec!["a".into(), "b c".into(), "0".into()]));
        assert_eq!(Path::parse("[list][-1]").unwrap().keys()[1].index, Some(-1));
    }

    #[test]
    fn metadata_is_a_tree_of_its_own() {
        let path = Path::parse("[@metadata][index]").unwrap();
        assert_eq!((path.root(), path.keys().len()), (Root::Metadata, 1));
        assert!(Path::parse("[@metadata]").unwrap().keys().is_empty());
    }

    #[test]
    fn refuses_what_logstash_refuses() {
        for written in ["[a", "a]", "[a]b", "a[b]", "[a]b[c]", "[]", "][", "[a][]", "[[]a]"] {
            assert_eq!(names(written), None, "{written}");
        }
    }
}
