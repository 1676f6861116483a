//! The time that was read last: the lines of a second, and often of a burst, carry the same text.

use super::timestamp::Timestamp;
use super::{DateFormat, ParseError, Reading};

/// Remembers one text and what it means.
#[derive(Debug, Default)]
pub struct LastDate {
    /// The address of the format: each filter has its own, and zone and language with it.
    format: usize,
    now: Timestamp,
    text: String,
    found: Timestamp,
}

impl LastDate {
    /// As [`DateFormat::parse`], for a format whose zone and locale are always the same. Only as long as `now`, the time of the batch, is the
    /// same as well is anything remembered, so that a new plan at an old address is none of its business.
    ///
    /// # Errors
    /// [`ParseError`] when it is no date of this format.
    #[inline]
    pub fn parse(&mut self, format: &DateFormat, text: &str, reading: Reading<'_>) -> Result<Timestamp, ParseError> {
        let address = std::ptr::from_ref(format).addr();
        if self.format == address && self.now == reading.now && self.text == text {
            return Ok(self.found);
        }
        let found = format.parse(text, reading)?;
        self.text.clear();
        self.text.push_str(text);
        (self.format, self.now, self.found) = (address, reading.now, found);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Locale, Zone};

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let formats = ["dd/MM HH:mm", "MM/dd HH:mm"].map(|format| DateFormat::new(format).unwrap());
        let nows = ["2026-06-01T00:00:00Z", "2027-06-01T00:00:00Z"].map(|now| Timestamp::parse(now).unwrap());
        let mut last = LastDate::default();
        for text in ["01/02 03:04", "01/02 03:05", "13/02 03:05", "x", "13/02 03:05"] {
            for format in &formats {
                for now in nows {
                    let reading = Reading { zone: &Zone::UTC, locale: Locale::english(), now };
                    for _ in 0..2 {
                        assert_eq!(last.parse(format, text, reading), format.parse(text, reading), "{text} {format:?}");
                    }
                }
            }
        }
    }
}
