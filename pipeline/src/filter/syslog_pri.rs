//! Splits the priority of a syslog message, `34` in `<34>Oct 11 ...`, into facility and severity, as numbers and as names.
//!
//! ## Options
//!
//! - `syslog_pri_field_name` (default `syslog_pri`, with ECS `[log][syslog][priority]`): the field with the priority. Of a list its first
//!   element counts; a missing field, null and false count as 13, which is `user-level`, `notice`.
//! - `use_labels` (default true): set the names too.
//! - `facility_labels`, `severity_labels`: the names, by number.
//! - `ecs_compatibility`: `disabled` sets `syslog_facility`, `syslog_facility_code`, `syslog_severity` and `syslog_severity_code`; otherwise
//!   they are `[log][syslog][facility][name]` and `[code]`, `[log][syslog][severity][name]` and `[code]`.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   grok { match => { "message" => "^<%{POSINT:[log][syslog][priority]}>%{GREEDYDATA:message}" } overwrite => ["message"] }
//!   syslog_pri { }
//! }
//! ```
//!
//! ```json
//! {"message":"<34>su: failed"}
//! =>
//! {"message":"su: failed","log":{"syslog":{"priority":"34","facility":{"code":4,"name":"security/authorization"},"severity":{"code":2,"name":"critical"}}}}
//! ```
//!
//! ## On failure
//!
//! A facility beyond its labels is tagged `_syslogpriparsefailure`, and no name is set; the common options are applied all the same. Text that
//! is no number counts as 0. A value that has no number at all (true, a map) ends Logstash's worker; here the event is tagged
//! `_elkhound_filter_failure` and goes on.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::number::{self, Integer};
use crate::path::Path;
use crate::setup::{Ecs, Setup};
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "syslog_pri", options: OPTIONS, docs: crate::docs::head(include_str!("syslog_pri.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("ecs_compatibility", OptionKind::OneOf(&["disabled", "v1", "v8"]), "the pipeline's", "which field names"),
    optional(
        "facility_labels",
        OptionKind::Array,
        "[\"kernel\", \"user-level\", ... \"local7\"]",
        "names of the facilities, by number",
    ),
    optional(
        "severity_labels",
        OptionKind::Array,
        "[\"emergency\", \"alert\", ... \"debug\"]",
        "names of the severities, by number",
    ),
    optional(
        "syslog_pri_field_name",
        OptionKind::String,
        "syslog_pri, with ECS [log][syslog][priority]",
        "the field with the priority",
    ),
    optional("use_labels", OptionKind::Boolean, "true", "set the names too"),
];

/// Logstash's names, which follow RFC 3164.
const FACILITIES: &[&str] = &[
    "kernel",
    "user-level",
    "mail",
    "daemon",
    "security/authorization",
    "syslogd",
    "line printer",
    "network news",
    "uucp",
    "clock",
    "security/authorization",
    "ftp",
    "ntp",
    "log audit",
    "log alert",
    "clock",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

const SEVERITIES: &[&str] = &["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

/// What a message without priority has, by RFC 3164.
const DEFAULT_PRIORITY: i64 = 13;

const FAILURE_TAG: &str = "_syslogpriparsefailure";

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let names = if setup.ecs_of(options) == Ecs::Disabled { LEGACY } else { ECS };
    let written = options.text_or("syslog_pri_field_name", names.priority);
    let Ok(source) = Path::parse(&written) else {
        options.fail(
            "syslog_pri_field_name",
            &format!("`{written}` is not a field reference"),
            "write `name` or `[outer][inner]`",
        );
        return None;
    };
    let labels = Labels {
        facilities: options.texts_or("facility_labels", FACILITIES),
        severities: options.texts_or("severity_labels", SEVERITIES),
        facility: parsed(names.facility),
        severity: parsed(names.severity),
    };
    Some(Box::new(SyslogPri {
        source,
        facility_code: parsed(names.facility_code),
        severity_code: parsed(names.severity_code),
        labels: options.boolean("use_labels", true).then_some(labels),
    }))
}

fn parsed(name: &str) -> Path {
    Path::parse(name).expect("the names in this file are field references")
}

/// Field names of one ECS mode.
struct Names {
    priority: &'static str,
    facility: &'static str,
    facility_code: &'static str,
    severity: &'static str,
    severity_code: &'static str,
}

const LEGACY: Names = Names {
    priority: "syslog_pri",
    facility: "syslog_facility",
    facility_code: "syslog_facility_code",
    severity: "syslog_severity",
    severity_code: "syslog_severity_code",
};

const ECS: Names = Names {
    priority: "[log][syslog][priority]",
    facility: "[log][syslog][facility][name]",
    facility_code: "[log][syslog][facility][code]",
    severity: "[log][syslog][severity][name]",
    severity_code: "[log][syslog][severity][code]",
};

struct SyslogPri {
    source: Path,
    facility_code: Path,
    severity_code: Path,
    labels: Option<Labels>,
}

struct Labels {
    facilities: Vec<String>,
    severities: Vec<String>,
    facility: Path,
    severity: Path,
}

impl Filter for SyslogPri {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        match self.split(event) {
            Ok(()) => Outcome::Matched,
            Err(reason) => Outcome::Failed(reason),
        }
    }
}

impl SyslogPri {
    fn split(&self, event: &mut Event) -> Result<(), String> {
        let priority = match event.get(&self.source) {
            None => Integer::Small(DEFAULT_PRIORITY),
            Some(value) => priority(value)
                .ok_or_else(|| format!("the value of `{}` has no number; give it a text or a number", self.source))?,
        };
        let (facility, severity) = divide(&priority);
        set(event, &self.severity_code, Value::Integer(severity as i64))?;
        set(event, &self.facility_code, facility.clone().into())?;
        match &self.labels {
            Some(labels) => labels.apply(&facility, severity, event),
            None => Ok(()),
        }
    }
}

impl Labels {
    /// A negative facility counts from the end, as a Ruby list does.
    fn apply(&self, facility: &Integer, severity: usize, event: &mut Event) -> Result<(), String> {
        let count = self.facilities.len() as i64;
        let index = match facility {
            Integer::Small(code) if *code < count => *code,
            other if other.is_negative() => i64::MIN,
            _ => {
                event.tag(FAILURE_TAG);
                return Ok(());
            }
        };
        let index = if index < 0 { index.saturating_add(count) } else { index };
        if let Some(name) = usize::try_from(index).ok().and_then(|index| self.facilities.get(index)) {
            set(event, &self.facility, Value::text(name))?;
        }
        match self.severities.get(severity) {
            Some(name) => set(event, &self.severity, Value::text(name)),
            None => Ok(()),
        }
    }
}

fn set(event: &mut Event, path: &Path, value: Value) -> Result<(), String> {
    event.set(path, value).map_err(|_| format!("`{path}` can't be set, because a field on its way is no map"))
}

/// The number of a value: Ruby's `to_i`; nothing where Ruby has none.
fn priority(value: &Value) -> Option<Integer> {
    match value {
        Value::Null | Value::Bool(false) => Some(Integer::Small(DEFAULT_PRIORITY)),
        Value::List(list) => list.first().map_or(Some(Integer::Small(0)), whole),
        other => whole(other),
    }
}

fn whole(value: &Value) -> Option<Integer> {
    match value {
        Value::Null => Some(Integer::Small(0)),
        Value::Integer(small) => Some(Integer::Small(*small)),
        Value::Big(big) => Some(Integer::Big((**big).clone())),
        Value::Float(float) => Integer::from_f64(*float),
        Value::Decimal(decimal) => decimal.to_integer(),
        Value::Text(text) => Some(number::to_i(text)),
        Value::Timestamp(timestamp) => Some(Integer::Small(timestamp.seconds())),
        Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// The priority divided by eight, rounded down, and what remains.
fn divide(priority: &Integer) -> (Integer, usize) {
    match priority {
        Integer::Small(small) => (Integer::Small(small >> 3), (small & 7) as usize),
        Integer::Big(big) => divide_digits(big.as_str()),
    }
}

/// The same on decimal digits. A negative number is rounded down, so away from zero.
fn divide_digits(text: &str) -> (Integer, usize) {
    let digits = text.trim_start_matches('-');
    let negative = digits.len() < text.len();
    let mut rest = 0;
    let mut quotient = String::with_capacity(digits.len() + 1);
    for digit in digits.bytes() {
        rest = rest * 10 + usize::from(digit - b'0');
        quotient.push(char::from(b'0' + (rest / 8) as u8));
        rest %= 8;
    }
    if !negative {
        return (number::to_i(&quotient), rest);
    }
    if rest > 0 {
        quotient = incremented(&quotient);
    }
    (number::to_i(&format!("-{quotient}")), (8 - rest) % 8)
}

fn incremented(digits: &str) -> String {
    let kept = digits.trim_end_matches('9');
    let zeros = "0".repeat(digits.len() - kept.len());
    match kept.as_bytes().split_last() {
        None => format!("1{zeros}"),
        Some((last, _)) => format!("{}{}{zeros}", &kept[..kept.len() - 1], char::from(last + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Numbers};

    fn syslog_pri() -> SyslogPri {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        SyslogPri {
            source: parsed("pri"),
            facility_code: parsed("fc"),
            severity_code: parsed("sc"),
            labels: Some(Labels {
                facilities: texts(FACILITIES),
                severities: texts(SEVERITIES),
                facility: parsed("f"),
                severity: parsed("s"),
            }),
        }
    }

    fn filtered(text: &str) -> (String, Outcome) {
        let Value::Map(fields) = json::parse(text, Numbers::Doubles).unwrap() else { panic!("{text} is no map") };
        let mut event = Event::new(*fields);
        let outcome = syslog_pri().filter(&mut event, &mut Context::default());
        event.remove(&parsed("pri"));
        let mut bytes = Vec::new();
        json::write_event(&event, &mut bytes);
        (String::from_utf8(bytes).unwrap(), outcome)
    }

    #[test]
    fn facility_and_severity_get_codes_and_names() {
        let expected = [
            (r#"{"pri":"34"}"#, r#"{"sc":2,"fc":4,"f":"security/authorization","s":"critical"}"#),
            (r#"{}"#, r#"{"sc":5,"fc":1,"f":"user-level","s":"notice"}"#),
            (r#"{"pri":null}"#, r#"{"sc":5,"fc":1,"f":"user-level","s":"notice"}"#),
            (r#"{"pri":["34","x"]}"#, r#"{"sc":2,"fc":4,"f":"security/authorization","s":"critical"}"#),
            (r#"{"pri":[]}"#, r#"{"sc":0,"fc":0,"f":"kernel","s":"emergency"}"#),
            (r#"{"pri":"x"}"#, r#"{"sc":0,"fc":0,"f":"kernel","s":"emergency"}"#),
            (r#"{"pri":-1}"#, r#"{"sc":7,"fc":-1,"f":"local7","s":"debug"}"#),
            (r#"{"pri":-8000}"#, r#"{"sc":0,"fc":-1000,"s":"emergency"}"#),
            (r#"{"pri":"999"}"#, r#"{"sc":7,"fc":124,"tags":["_syslogpriparsefailure"]}"#),
        ];
        for (event, fields) in expected {
            assert_eq!(filtered(event), (fields.to_owned(), Outcome::Matched), "{event}");
        }
    }

    #[test]
    fn a_priority_beyond_64_bits_is_divided_exactly() {
        let codes = |text: &str| {
            let (facility, severity) = divide(&number::to_i(text));
            (Value::from(facility), severity)
        };
        let big = |text: &str| Value::from(number::to_i(text));
        assert_eq!(codes("99999999999999999999"), (big("12499999999999999999"), 7));
        assert_eq!(codes("-80000000000000000001"), (big("-10000000000000000001"), 7));
        assert_eq!(codes("-80000000000000000000"), (big("-10000000000000000000"), 0));
        assert_eq!(codes("-79999999999999999999"), (big("-10000000000000000000"), 1));
    }

    #[test]
    fn what_has_no_number_fails() {
        for event in [r#"{"pri":true}"#, r#"{"pri":{"a":1}}"#, r#"{"pri":[[1]]}"#] {
            assert!(matches!(filtered(event).1, Outcome::Failed(_)), "{event}");
        }
    }
}
