//! The dictionary as the filter holds it: as written in the pipeline, or from a file that is read again from time to time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};

use super::dictionary::{Dictionary, Mode};
use super::file;
use crate::filter::Watched;
use crate::print;
use crate::regex::Scratch;
use crate::text::Text;
use crate::value::Value;

/// Keys and values, in the order in which they are written.
pub(super) type Entries = Vec<(Value, Value)>;

/// A dictionary.
pub(super) enum Held {
    /// It stays as it is.
    Fixed(Dictionary),
    /// It is replaced when its file has changed. Workers only read, so that they wait for no one but a new dictionary.
    File(Box<Refreshed>),
}

/// What comes from a file.
pub(super) struct Refreshed {
    pub(super) watched: Watched,
    mode: Mode,
    /// Keys that are gone from the file stay.
    merges: bool,
    entries: Mutex<Entries>,
    current: RwLock<Dictionary>,
}

impl Refreshed {
    /// The file's first entries.
    pub(super) fn new(watched: Watched, mode: Mode, merges: bool, entries: Entries) -> Result<Self, String> {
        let current = RwLock::new(Dictionary::new(entries.clone(), mode)?);
        Ok(Self { watched, mode, merges, entries: Mutex::new(entries), current })
    }

    /// Takes what the file holds now. When that is no dictionary, the last one stays.
    pub(super) fn refresh(&self, bytes: &[u8]) -> Result<(), String> {
        let mut fresh = file::parse(&self.watched.path.to_string_lossy(), bytes)?;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if self.merges {
            fresh = merged(&entries, fresh);
        }
        // Compiled before the lock is taken.
        let dictionary = Dictionary::new(fresh.clone(), self.mode)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = dictionary;
        *entries = fresh;
        Ok(())
    }
}

impl Held {
    /// The value of a text.
    pub(super) fn find(&self, text: &Text, scratch: &mut Scratch) -> Result<Option<Value>, String> {
        match self {
            Self::Fixed(dictionary) => dictionary.find(text, scratch),
            Self::File(file) => file.current.read().unwrap_or_else(PoisonError::into_inner).find(text, scratch),
        }
    }
}

/// The old entries with the new values of their keys, then those that are new.
fn merged(old: &Entries, fresh: Entries) -> Entries {
    let mut all = old.clone();
    let mut places: HashMap<Text, usize> =
        all.iter().enumerate().map(|(at, (key, _))| (print::ruby_text(key), at)).collect();
    for (key, value) in fresh {
        match places.get(&print::ruby_text(&key)) {
            Some(at) => all[*at].1 = value,
            None => {
                places.insert(print::ruby_text(&key), all.len());
                all.push((key, value));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn held(merges: bool) -> Refreshed {
        let watched = Watched { path: "codes.yml".into(), every: Duration::from_secs(300) };
        let entries = vec![(Value::text("200"), Value::text("ok")), (Value::text("404"), Value::text("missing"))];
        Refreshed::new(watched, Mode::Exact, merges, entries).unwrap()
    }

    fn found(refreshed: Refreshed, keys: &[&str]) -> Vec<Option<Value>> {
        let held = Held::File(Box::new(refreshed));
        keys.iter().map(|key| held.find(&Text::from(*key), &mut Scratch::new()).unwrap()).collect()
    }

    #[test]
    fn a_changed_file_is_merged_or_replaces_what_was_there() {
        let changed = b"'200': fine\n'500': broken\n";
        for (merges, missing) in [(true, Some(Value::text("missing"))), (false, None)] {
            let refreshed = held(merges);
            refreshed.refresh(changed).unwrap();
            let wanted = vec![Some(Value::text("fine")), missing, Some(Value::text("broken"))];
            assert_eq!(found(refreshed, &["200", "404", "500"]), wanted, "merges: {merges}");
        }
    }

    #[test]
    fn what_is_no_dictionary_leaves_the_last_one() {
        let refreshed = held(false);
        assert!(refreshed.refresh(b"- a list\n- is none\n").is_err());
        assert_eq!(found(refreshed, &["200"]), [Some(Value::text("ok"))]);
    }
}
