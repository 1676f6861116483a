//! Durations as the file input's options have them: a number in the option's own unit, or a text such as `250 ms` or `2 weeks`.

use std::time::Duration;

/// Units by the names that Logstash has for them, with their length in seconds.
const UNITS: [(&[&str], f64); 7] = [
    (&["us", "usec", "usecs"], 1e-6),
    (&["ms", "msec", "msecs"], 1e-3),
    (&["s", "sec", "secs", "second", "seconds"], 1.0),
    (&["m", "min", "mins", "minute", "minutes"], 60.0),
    (&["h", "hs", "hour", "hours"], 3600.0),
    (&["d", "ds", "day", "days"], 86_400.0),
    (&["w", "ws", "week", "weeks"], 604_800.0),
];

/// A thousand years: what is longer is never meant, and would overflow when added to the time of day.
const LONGEST: f64 = 1000.0 * 365.0 * 86_400.0;

/// The duration that is written as `text`; a number without a unit counts in `unit`. Nothing when it is none.
pub(super) fn parse(text: &str, unit: Duration) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, name) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let seconds = match name.trim() {
        "" => unit.as_secs_f64(),
        name => UNITS.iter().find(|(names, _)| names.contains(&name)).map(|(_, seconds)| *seconds)?,
    };
    Some(Duration::from_secs_f64((number * seconds).min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn numbers_count_in_the_unit_of_their_option() {
        assert_eq!(parse("15", SECOND), Some(Duration::from_secs(15)));
        assert_eq!(parse("0.5", SECOND), Some(Duration::from_millis(500)));
        assert_eq!(parse("2", Duration::from_secs(86_400)), Some(Duration::from_secs(172_800)));
    }

    #[test]
    fn texts_name_their_unit() {
        for (text, milliseconds) in [
            ("250 ms", 250),
            ("1 hour", 3_600_000),
            ("2 weeks", 1_209_600_000),
            ("1.5min", 90_000),
            ("5 mins", 300_000),
            ("5secs", 5_000),
            ("500000usec", 500),
        ] {
            assert_eq!(parse(text, SECOND), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in ["", "soon", "-5", "5 parsecs", "1 hour 2", "1..5 s", "ms"] {
            assert_eq!(parse(text, SECOND), None, "{text}");
        }
        assert!(parse("99999999999999999999 weeks", SECOND).is_some());
    }
}
