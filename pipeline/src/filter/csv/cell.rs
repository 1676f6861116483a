//! What becomes of one column: csv's converters, which leave what they can't convert as it is.

use super::super::reference::Raised;
use crate::number::{convert, parse_float, parse_integer};
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// A converter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Text,
    Integer,
    Float,
    Boolean,
    Date,
    DateTime,
}

impl Cell {
    /// The converter called `name` in pipeline files.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "integer" => Some(Self::Integer),
            "float" => Some(Self::Float),
            "boolean" => Some(Self::Boolean),
            "date" => Some(Self::Date),
            "date_time" => Some(Self::DateTime),
            _ => None,
        }
    }

    /// The value of a column.
    ///
    /// # Errors
    /// An empty column is nothing that could be a boolean; all other converters leave it empty.
    pub(crate) fn value(self, text: Option<Text>) -> Result<Value, Raised> {
        let Some(text) = text else {
            let nothing = (self != Self::Boolean).then_some(Value::Null);
            return nothing.ok_or_else(|| Raised("an empty column can't be made a boolean".into()));
        };
        let converted = match self {
            Self::Text => None,
            Self::Integer => parse_integer(&text).map(Value::from),
            Self::Float => parse_float(&text).map(Value::Float),
            Self::Boolean => Some(convert::csv_boolean(&text).map_or_else(Value::from, Value::Bool)),
            Self::Date => date(&text).map(Value::Timestamp),
            Self::DateTime => date_time(&text).map(Value::Timestamp),
        };
        Ok(converted.unwrap_or(Value::Text(text)))
    }
}

/// `2026-01-15`, `Jan 15, 2026`, `Thu, Jan 15 2026`: midnight in UTC.
fn date(text: &str) -> Option<Timestamp> {
    if is_iso_date(text) {
        return Timestamp::parse(&format!("{text}T00:00:00Z"));
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        [month, day, year] | [_, month, day, year] => spelled(month, day, year, "00:00:00"),
        _ => None,
    }
}

/// The same with a time: `2026-01-15 08:30:00`, `2026-01-15T08:30:00.5+01:00`, `Jan 15 08:30:00 2026`. Without an offset it is UTC.
fn date_time(text: &str) -> Option<Timestamp> {
    if is_iso_date(text.get(..10)?) {
        return iso_date_time(text);
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        [month, day, time, year] | [_, month, day, time, year] => spelled(month, day, year, time.trim_end_matches(',')),
        _ => None,
    }
}

fn iso_date_time(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at(10);
    if rest.is_empty() {
        return Timestamp::parse(&format!("{date}T00:00:00Z"));
    }
    let time = rest.strip_prefix('T').or_else(|| rest.strip_prefix(' ').map(str::trim_start))?;
    let offset = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, offset) = time.split_at(offset);
    let clock = if clock.len() == 5 { format!("{clock}:00") } else { clock.to_owned() };
    Timestamp::parse(&format!("{date}T{clock}{}", if offset.is_empty() { "Z" } else { offset }))
}

fn is_iso_date(text: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(shape)
}

fn spelled(month: &str, day: &str, year: &str, time: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let prefix = month.get(..3)?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|name| *name == prefix)? + 1;
    let day: u32 = short_number(day.trim_end_matches(','), 1..=2)?;
    let year = match (year.len(), short_number(year, 2..=4)?) {
        // Two digits are of this century up to 68.
        (2, short) if short < 69 => short + 2000,
        (2, short) => short + 1900,
        (_, long) => long,
    };
    Timestamp::parse(&format!("{year:04}-{month:02}-{day:02}T{time}Z"))
}

fn short_number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let fits = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::ruby_text;

    fn shown(cell: Cell, text: &str) -> String {
        ruby_text(&cell.value(Some(text.into())).unwrap()).to_string()
    }

    #[test]
    fn numbers_and_booleans() {
        assert_eq!(shown(Cell::Integer, " 5 "), "5");
        assert_eq!(shown(Cell::Integer, "0x1F"), "31");
        assert_eq!(shown(Cell::Integer, "1.5"), "1.5");
        assert_eq!(shown(Cell::Float, "1e3"), "1000.0");
        assert_eq!(shown(Cell::Boolean, " True "), "true");
        assert_eq!(shown(Cell::Boolean, "Yes"), "yes");
    }

    #[test]
    fn dates() {
        for text in ["2026-01-15", "Jan 15, 2026", "Thu, January 15 26"] {
            assert_eq!(shown(Cell::Date, text), "2026-01-15T00:00:00.000Z", "{text}");
        }
        for text in ["15 Jan 2026", "2026-13-45", "x", "2026-01-15 08:30:00"] {
            assert_eq!(shown(Cell::Date, text), text);
        }
        for text in ["2026-01-15 08:30:00", "2026-01-15T09:30:00+01:00", "Jan 15 08:30:00 2026", "2026-01-15T08:30"] {
            assert_eq!(shown(Cell::DateTime, text), "2026-01-15T08:30:00.000Z", "{text}");
        }
    }

    #[test]
    fn an_empty_column_stays_so_but_is_no_boolean() {
        assert_eq!(Cell::Integer.value(None), Ok(Value::Null));
        assert!(Cell::Boolean.value(None).is_err());
    }
}
