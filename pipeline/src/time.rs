//! Time: points in time, time zones, and the three languages of date patterns that pipelines use.
//!
//! | type | what it is |
//! |---|---|
//! | [`Timestamp`] | a point in time; reads and writes the text of `@timestamp` |
//! | [`JodaFormat`] | a pattern of Joda-Time, for `%{+...}` and the `date` filter |
//! | [`DateTimeFormat`] | a pattern of java.time, for `%{{...}}` |
//! | [`DateFormat`] | a format of the `date` filter: a pattern of Joda-Time, or one of four names |
//! | [`Locale`] | names of months and days |
//! | [`Zone`] | UTC, an offset, or a zone of the time zone database |
//!
//! No clock is read here: where a result depends on the current time, it is passed in, or told by the clock that [`set_clock`] was given. No pattern
//! and no text makes it panic.

mod civil;
mod date;
mod iso;
mod java;
mod joda;
mod last;
mod locale;
mod present;
mod timestamp;
mod zone;

pub use date::{DateFormat, Reading};
pub use java::DateTimeFormat;
pub use joda::JodaFormat;
pub use last::LastDate;
pub use locale::Locale;
pub(crate) use present::now;
pub use present::set_clock;
pub use timestamp::Timestamp;
pub use zone::Zone;

use std::fmt;

/// A pattern that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Byte of the pattern at which it goes wrong.
    pub offset: usize,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl FormatError {
    fn new(offset: usize, message: String) -> Self {
        Self { offset, message }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FormatError {}

/// A text that is no date of the form asked for. It says no more, because on the hot path this is an everyday answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError;

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is no date of this form")
    }
}

impl std::error::Error for ParseError {}
