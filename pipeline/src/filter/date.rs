//! Reads a date from a field and makes it the event's `@timestamp`.
//!
//! Formats are tried in turn. A format is a pattern of Joda-Time (`dd/MMM/yyyy:HH:mm:ss Z`) or one of four names: `ISO8601`, `UNIX`
//! (seconds since 1970), `UNIX_MS` (milliseconds) and `TAI64N`.
//!
//! ## Options
//!
//! - `match`: a list of the field and at least one format.
//! - `target` (default `@timestamp`): the field that gets the time.
//! - `timezone`: where the text names no zone: a name like `Europe/Paris`, an offset like `+01:00`, or `%{}` from the event.
//! - `locale`: the language of names of months and days, like `de` or `en-US`.
//! - `tag_on_failure` (default `["_dateparsefailure"]`).
//! - `precision` (`ms` or `ns`, default `ms`): accepted; `ns` has no effect yet, which `-t` says.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   date { match => ["ts", "dd/MMM/yyyy:HH:mm:ss Z", "ISO8601"] remove_field => ["ts"] }
//! }
//! ```
//!
//! ```json
//! {"ts":"21/Nov/2026:09:43:24 +0100"}
//! =>
//! {"@timestamp":"2026-11-21T08:43:24.000Z"}
//! ```
//!
//! ## On failure
//!
//! When no format fits, the event is tagged `_dateparsefailure`. An event without the field is left alone.
//!
//! ## Differences from Logstash
//!
//! Times have milliseconds, also with `precision => ns`. Without `timezone`, texts that name no zone are in UTC, not in the zone of the host.

use std::sync::{Mutex, PoisonError};

use elkhound_config::ast::Value as Setting;
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome};
use crate::event::Event;
use crate::number::Decimal;
use crate::setup::Setup;
use crate::template::Template;
use crate::text::Text;
use crate::time::{DateFormat, Locale, ParseError, Reading, Timestamp, Zone};
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "date", options: OPTIONS, docs: crate::docs::head(include_str!("date.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "locale",
        kind: OptionKind::String,
        default: "en",
        required: false,
        help: "the language of names of months and days",
    },
    OptionSpec {
        name: "match",
        kind: OptionKind::Array,
        default: "[]",
        required: false,
        help: "the field, and the formats that are tried in turn",
    },
    OptionSpec {
        name: "precision",
        kind: OptionKind::OneOf(&["ms", "ns"]),
        default: "ms",
        required: false,
        help: "accepted; times have milliseconds",
    },
    OptionSpec {
        name: "tag_on_failure",
        kind: OptionKind::Array,
        default: "[\"_dateparsefailure\"]",
        required: false,
        help: "tags of an event that no format fits",
    },
    OptionSpec {
        name: "target",
        kind: OptionKind::String,
        default: "@timestamp",
        required: false,
        help: "the field that gets the time",
    },
    OptionSpec {
        name: "timezone",
        kind: OptionKind::String,
        default: "UTC",
        required: false,
        help: "the zone of texts that name none",
    },
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let written = options.texts("match");
    let [field, formats @ ..] = written.as_slice() else {
        options.fail("match", "`match` of date is empty", "give it a field and at least one format");
        return None;
    };
    if formats.is_empty() {
        let message = format!("`match` of date has no format for `{field}`");
        options.fail("match", &message, "write the field and at least one format, as in `[\"ts\", \"ISO8601\"]`");
        return None;
    }
    let places = options.list("match");
    let formats = compile(formats, places.get(1..).unwrap_or_default(), options);
    let zone = zone(options);
    if options.text("precision").as_deref() == Some("ns") {
        options.warn("precision", "`precision => ns` has no effect yet: times have milliseconds", "leave it out");
    }
    Some(Box::new(Date {
        source: Reference::plain(field),
        target: target(&options.text_or("target", "@timestamp")),
        formats: formats?,
        zone: zone?,
        locale: Locale::parse(&options.text_or("locale", "en")),
        failure_tags: options.texts_or("tag_on_failure", &["_dateparsefailure"]),
    }))
}

fn compile(written: &[String], places: &[Setting], options: &mut Options<'_>) -> Option<Vec<DateFormat>> {
    let mut formats = Some(Vec::new());
    for (format, place) in written.iter().zip(places) {
        match DateFormat::new(format) {
            Ok(compiled) => {
                if let Some(formats) = &mut formats {
                    formats.push(compiled);
                }
            }
            Err(error) => {
                let message = format!("`{format}` is no date format: {error}");
                options.fail_at(
                    place.span,
                    &message,
                    "write a pattern like `yyyy-MM-dd`, or ISO8601, UNIX, UNIX_MS or TAI64N",
                );
                formats = None;
            }
        }
    }
    formats
}

fn zone(options: &mut Options<'_>) -> Option<ZoneChoice> {
    let Some(written) = options.text("timezone") else { return Some(ZoneChoice::Fixed(Zone::UTC)) };
    if written.contains("%{") {
        return Some(ZoneChoice::Rendered(Template::parse(&written), Mutex::default()));
    }
    let zone = Zone::parse(&written);
    if zone.is_none() {
        let message = format!("there is no time zone `{written}`");
        options.fail("timezone", &message, "write a name like `Europe/Paris` or an offset like `+01:00`");
    }
    zone.map(ZoneChoice::Fixed)
}

fn target(written: &str) -> Target {
    if written == "@timestamp" || written == "[@timestamp]" {
        return Target::Timestamp;
    }
    Target::Field(Reference::plain(written))
}

struct Date {
    source: Reference,
    target: Target,
    formats: Vec<DateFormat>,
    zone: ZoneChoice,
    locale: Locale,
    failure_tags: Vec<String>,
}

enum Target {
    Timestamp,
    Field(Reference),
}

enum ZoneChoice {
    Fixed(Zone),
    /// With `%{}` in it. Making a zone takes long, so the last ones are kept, also those that are none.
    Rendered(Template, Mutex<Vec<(Text, Option<Zone>)>>),
}

/// How many zones that events have named are kept.
const KEPT: usize = 64;

impl Filter for Date {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        match self.read(event, cx) {
            Ok(None) => Outcome::Passed,
            Ok(Some(timestamp)) => match self.target.store(timestamp, event) {
                Ok(()) => Outcome::Matched,
                Err(Raised(reason)) => Outcome::Failed(reason),
            },
            Err(ParseError) => {
                self.failure_tags.iter().for_each(|tag| event.tag(tag));
                Outcome::Passed
            }
        }
    }
}

impl Date {
    /// The time in the field; nothing when it is missing or null.
    #[inline]
    fn read(&self, event: &Event, cx: &mut Context) -> Result<Option<Timestamp>, ParseError> {
        let path = self.source.path(event).map_err(|_| ParseError)?;
        let value = match event.get(&path) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        self.formats.iter().find_map(|format| self.read_as(format, value, event, cx).ok()).ok_or(ParseError).map(Some)
    }

    #[inline]
    fn read_as(
        &self,
        format: &DateFormat,
        value: &Value,
        event: &Event,
        cx: &mut Context,
    ) -> Result<Timestamp, ParseError> {
        match value {
            Value::Text(text) => self.read_text(format, text, event, cx),
            Value::Integer(integer) => format.parse_integer(*integer),
            Value::Float(float) => format.parse_float(*float),
            Value::Decimal(decimal) => read_decimal(format, decimal),
            _ => Err(ParseError),
        }
    }

    #[inline]
    fn read_text(
        &self,
        format: &DateFormat,
        text: &str,
        event: &Event,
        cx: &mut Context,
    ) -> Result<Timestamp, ParseError> {
        let reading = |zone| Reading { zone, locale: &self.locale, now: cx.now };
        match &self.zone {
            ZoneChoice::Fixed(zone) => cx.last_date.parse(format, text, reading(zone)),
            ZoneChoice::Rendered(..) if !format.uses_zone() => format.parse(text, reading(&Zone::UTC)),
            ZoneChoice::Rendered(template, kept) => {
                let zone = template.render(event).ok().and_then(|name| named(name, kept)).ok_or(ParseError)?;
                format.parse(text, reading(&zone))
            }
        }
    }
}

/// The latest time that a decimal may be, in milliseconds: for `UNIX_MS`, too, which else knows no end.
const LAST_DECIMAL_MILLI: i64 = i32::MAX as i64 * 1000;

/// Exact digits, where a double could be one millisecond off.
fn read_decimal(format: &DateFormat, decimal: &Decimal) -> Result<Timestamp, ParseError> {
    let float = decimal.to_f64();
    match (format, decimal.to_plain()) {
        (DateFormat::Unix, Some(plain)) if float >= 0.0 => {
            format.parse(&plain, Reading { zone: &Zone::UTC, locale: Locale::english(), now: Timestamp::default() })
        }
        (DateFormat::UnixMillis, _) if float as i64 > LAST_DECIMAL_MILLI => Err(ParseError),
        _ => format.parse_float(float),
    }
}

fn named(name: Text, kept: &Mutex<Vec<(Text, Option<Zone>)>>) -> Option<Zone> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, zone)) = kept.iter().find(|(known, _)| *known == name) {
        return zone.clone();
    }
    let zone = Zone::parse(&name);
    if kept.len() >= KEPT {
        kept.remove(0);
    }
    kept.push((name, zone.clone()));
    zone
}

impl Target {
    #[inline]
    fn store(&self, timestamp: Timestamp, event: &mut Event) -> Result<(), Raised> {
        match self {
            Self::Timestamp => event.set_field("@timestamp".into(), timestamp.into()),
            Self::Field(field) => event.set(&*field.path(event)?, timestamp.into())?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(formats: &[&str], zone: ZoneChoice) -> Date {
        Date {
            source: Reference::plain("ts"),
            target: Target::Timestamp,
            formats: formats.iter().map(|format| DateFormat::new(format).unwrap()).collect(),
            zone,
            locale: Locale::parse("en"),
            failure_tags: vec!["_dateparsefailure".into()],
        }
    }

    fn filtered(filter: &Date, fields: &[(&str, Value)]) -> (Outcome, String) {
        let mut event = Event::new(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect());
        let outcome = filter.filter(&mut event, &mut Context::default());
        let mut out = Vec::new();
        crate::json::write_event(&event, &mut out);
        (outcome, String::from_utf8(out).unwrap())
    }

    #[test]
    fn formats_are_tried_in_turn() {
        let filter = date(&["dd/MMM/yyyy:HH:mm:ss Z", "UNIX"], ZoneChoice::Fixed(Zone::UTC));
        let (outcome, event) = filtered(&filter, &[("ts", 1_768_465_800.into())]);
        assert_eq!(outcome, Outcome::Matched);
        assert_eq!(event, r#"{"ts":1768465800,"@timestamp":"2026-01-15T08:30:00.000Z"}"#);
        let (_, event) = filtered(&filter, &[("ts", "15/Jan/2026:09:30:00 +0100".into())]);
        assert_eq!(event, r#"{"ts":"15/Jan/2026:09:30:00 +0100","@timestamp":"2026-01-15T08:30:00.000Z"}"#);
    }

    #[test]
    fn a_zone_may_come_from_the_event() {
        let zone = ZoneChoice::Rendered(Template::parse("%{tz}"), Mutex::default());
        let filter = date(&["yyyy-MM-dd HH:mm"], zone);
        let ts = ("ts", "2026-01-15 08:30".into());
        for _ in 0..2 {
            let (outcome, event) = filtered(&filter, &[ts.clone(), ("tz", "Asia/Tokyo".into())]);
            assert_eq!(outcome, Outcome::Matched, "{event}");
            assert!(event.contains("2026-01-14T23:30:00.000Z"), "{event}");
            let (_, event) = filtered(&filter, &[ts.clone(), ("tz", "nowhere".into())]);
            assert!(event.ends_with(r#""tags":["_dateparsefailure"]}"#), "{event}");
        }
    }

    #[test]
    fn missing_and_null_pass_and_other_values_are_tagged() {
        let filter = date(&["ISO8601"], ZoneChoice::Fixed(Zone::UTC));
        assert_eq!(filtered(&filter, &[]), (Outcome::Passed, "{}".into()));
        assert_eq!(filtered(&filter, &[("ts", Value::Null)]), (Outcome::Passed, r#"{"ts":null}"#.into()));
        let tagged = r#"{"ts":true,"tags":["_dateparsefailure"]}"#;
        assert_eq!(filtered(&filter, &[("ts", true.into())]), (Outcome::Passed, tagged.into()));
    }

    #[test]
    fn decimals_are_read_exactly_and_end_in_2038() {
        let decimal = |text: &str| Decimal::parse(text).unwrap();
        let read = |format: &str, text: &str| {
            read_decimal(&DateFormat::new(format).unwrap(), &decimal(text)).ok().map(Timestamp::millis)
        };
        assert_eq!(read("UNIX", "1768465800.9996"), Some(1_768_465_800_999));
        assert_eq!(read("UNIX", "2147483648.5"), None);
        assert_eq!(read("UNIX_MS", "1768465800123.9"), Some(1_768_465_800_123));
        assert_eq!(read("UNIX_MS", "2147483648000.5"), None);
        assert_eq!(read("ISO8601", "2026.5"), None);
    }
}
