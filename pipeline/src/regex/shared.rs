//! Patterns in use, each compiled once however often it is written: in groks of several branches, and before and after a reload.
//!
//! Only loading a pipeline comes here and takes the lock. A pattern that nobody uses any more is forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Flags, Regex, RegexError};

static IN_USE: Mutex<Option<Patterns>> = Mutex::new(None);

/// Dead entries are swept when there are this many, and then when there are twice as many as were left.
const FIRST_SWEEP: usize = 64;

struct Patterns {
    compiled: HashMap<(String, Flags), Weak<Regex>>,
    sweep_at: usize,
}

/// The compiled pattern, the one that is in use already if there is one.
pub(super) fn get(pattern: &str, flags: Flags) -> Result<Arc<Regex>, RegexError> {
    let key = (pattern.to_owned(), flags);
    if let Some(known) = with(|patterns| patterns.compiled.get(&key).and_then(Weak::upgrade)) {
        return Ok(known);
    }
    let regex = Arc::new(Regex::new(pattern, flags)?);
    with(|patterns| patterns.keep(key, &regex));
    Ok(regex)
}

fn with<T>(work: impl FnOnce(&mut Patterns) -> T) -> T {
    // Nothing in here panics half way through a change.
    let mut patterns = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    work(patterns.get_or_insert_with(|| Patterns { compiled: HashMap::new(), sweep_at: FIRST_SWEEP }))
}

impl Patterns {
    fn keep(&mut self, key: (String, Flags), regex: &Arc<Regex>) {
        if self.compiled.len() >= self.sweep_at {
            self.compiled.retain(|_, regex| regex.strong_count() > 0);
            self.sweep_at = FIRST_SWEEP.max(2 * self.compiled.len());
        }
        self.compiled.insert(key, Arc::downgrade(regex));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_in_use_is_compiled_once() {
        let (plain, multiline) = (Flags::default(), Flags { multiline: true, ..Flags::default() });
        let first = get("shared (a|b)+", plain).unwrap();
        assert!(Arc::ptr_eq(&first, &get("shared (a|b)+", plain).unwrap()));
        assert!(!Arc::ptr_eq(&first, &get("shared (a|b)+", multiline).unwrap()));
        assert!(get("shared (", plain).is_err());
    }

    #[test]
    fn patterns_that_nobody_uses_are_forgotten() {
        for number in 0..1000 {
            drop(get(&format!("forgotten {number}"), Flags::default()).unwrap());
        }
        let kept = with(|patterns| patterns.compiled.keys().filter(|(text, _)| text.starts_with("forgotten")).count());
        assert!(kept < 300, "{kept} are kept");
    }
}
