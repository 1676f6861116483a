//! Secrets that elkhound has read, so that none of them is ever shown: [`mask`] puts `${NAME}` in their place.
//!
//! What is masked: elkhound's log, what it prints about mistakes, and what `elkhound settings` prints. Events are not: they are the operator's.

use std::borrow::Cow;
use std::io::{self, Stderr, Write};
use std::sync::{PoisonError, RwLock};

/// Shorter values are masked only where they stand as words of their own: `1` must not be taken out of every number.
const SHORT: usize = 6;

static KNOWN: RwLock<Vec<Secret>> = RwLock::new(Vec::new());

struct Secret {
    value: String,
    shown: String,
}

/// Keeps the value of `${NAME}` from being shown from now on.
pub(crate) fn remember(name: &str, value: &str) {
    let value = value.trim();
    if value.is_empty() {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    // As it is, and as it is spelled within quotes.
    for value in [value.to_owned(), value.escape_debug().to_string(), value.replace('\\', "\\\\").replace('"', "\\\"")]
    {
        if known.iter().all(|secret| secret.value != value) {
            known.push(Secret { value, shown: format!("${{{name}}}") });
        }
    }
    // A secret that holds another one goes first.
    known.sort_by_key(|secret| std::cmp::Reverse(secret.value.len()));
}

/// The text without secrets.
pub(crate) fn mask(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().fold(Cow::Borrowed(text), |text, secret| match secret.masked(&text) {
        Some(masked) => Cow::Owned(masked),
        None => text,
    })
}

impl Secret {
    fn masked(&self, text: &str) -> Option<String> {
        let found: Vec<usize> =
            text.match_indices(&self.value).map(|(at, _)| at).filter(|at| self.is_meant(text, *at)).collect();
        if found.is_empty() {
            return None;
        }
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        for at in found {
            masked.push_str(&text[from..at]);
            masked.push_str(&self.shown);
            from = at + self.value.len();
        }
        masked.push_str(&text[from..]);
        Some(masked)
    }

    fn is_meant(&self, text: &str, at: usize) -> bool {
        let before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let after = text[at + self.value.len()..].chars().next().is_some_and(char::is_alphanumeric);
        self.value.len() >= SHORT || (!before && !after)
    }
}

/// Standard error, for the log: masked. The log hands over whole lines.
#[derive(Debug)]
pub(crate) struct MaskedError(Stderr);

impl MaskedError {
    /// Standard error.
    pub(crate) fn new() -> Self {
        Self(io::stderr())
    }
}

impl Write for MaskedError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(mask(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_by_their_names() {
        remember("LONG_ONE", "correct horse");
        remember("QUOTED", "with \"quotes\" in it");
        remember("SHORT_ONE", "x7");
        remember("EMPTY", "");
        assert_eq!(mask("the password is correct horse!"), "the password is ${LONG_ONE}!");
        assert_eq!(mask("{\"m\":\"with \\\"quotes\\\" in it\"}"), "{\"m\":\"${QUOTED}\"}");
        assert_eq!(mask("x7 is no part of 0x77"), "${SHORT_ONE} is no part of 0x77");
        assert_eq!(mask("nothing to see"), "nothing to see");
    }
}
