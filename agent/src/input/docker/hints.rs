//! What a container asks for by Filebeat's labels `co.elastic.logs/…`: lines of one event joined, lines that are JSON read.
//!
//! | label | meaning |
//! |---|---|
//! | `multiline.pattern`, `.negate`, `.match`, `.max_lines`, `.timeout` | lines that (do not) match belong `after` the one before or `before` the next |
//! | `json.keys_under_root` | the object's fields are the event's own; otherwise they are below `json` |
//! | `json.overwrite_keys` | then they win over `message` and the time that the event has |
//! | `json.add_error_key` | a line that is no object gets `error.message` and `error.type` |
//! | `include_lines`, `exclude_lines` | only these lines are sent, and none of those (see `picks`) |
//! | `json.message_key` | this field is the `message` as well |
//! | `pipeline` | the name goes into `[@metadata][pipeline]`, in small letters as with Beats; what comes of it is the output's affair |
//!
//! A container is not trusted: sizes and times are bounded, a pattern that costs too much does not match, and no label names a file, an output
//! or code. What can't be read is left out and said.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::regex::{Flags, Regex};
use tracing::warn;

use super::multiline::Rule;
use super::picks::Picks;

/// What labels of hints begin with.
const PREFIX: &str = "co.elastic.logs/";

/// The longest pattern.
const PATTERN: usize = 1024;

/// The most lines of an event, as Filebeat has it, and the most that a container can ask for.
const LINES: (usize, usize) = (500, 5000);

/// The longest wait for more lines, as Filebeat has it, and the longest that a container can ask for.
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Hints that are Filebeat's and mean nothing here.
const UNKNOWN: &[(&str, &str)] = &[
    ("module", "read the lines by filters of the pipeline"),
    ("processors", "change events by filters of the pipeline"),
    ("raw", "write the pipeline's own configuration"),
];

/// Those that mean something.
const KNOWN: [&str; 13] = [
    "enabled",
    "exclude_lines",
    "include_lines",
    "json.add_error_key",
    "json.keys_under_root",
    "json.message_key",
    "json.overwrite_keys",
    "multiline.match",
    "multiline.max_lines",
    "multiline.negate",
    "multiline.pattern",
    "multiline.timeout",
    "pipeline",
];

/// So many others are named.
const NAMED: usize = 3;

/// The longest name of an ingest pipeline.
const NAME: usize = 128;

/// What one container asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// Its lines are joined.
    pub(crate) multiline: Option<Arc<Rule>>,
    /// Its lines are read as JSON.
    pub(crate) json: Option<Json>,
    /// Only some of its lines are sent.
    pub(crate) picks: Option<Arc<Picks>>,
    /// The ingest pipeline that it would like.
    pub(crate) pipeline: Option<String>,
}

/// How lines are read as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Json {
    /// Fields of the object are the event's own.
    pub(crate) under_root: bool,
    /// They win over those that the event has.
    pub(crate) overwrite: bool,
    /// A line that is no object says so.
    pub(crate) add_error: bool,
    /// The field that is the message.
    pub(crate) message_key: String,
}

impl Hints {
    /// What the container of this name asks for by its labels; what can't be heeded is said, as is LOGSPOUT_MULTILINE in its environment, by which it asks Logspout.
    pub(crate) fn of(
        container: &str,
        labels: &BTreeMap<String, String>,
        logspout_multiline: Option<&str>,
        max_bytes: usize,
    ) -> Self {
        let (hints, said) = Self::read(container, labels, max_bytes);
        for hint in said.into_iter().chain(hints.in_place_of(logspout_multiline)) {
            warn!(container, hint, "a hint of this container can't be heeded");
        }
        hints
    }

    /// What to say of the variable by which a container asks Logspout for its lines to be joined.
    fn in_place_of(&self, logspout_multiline: Option<&str>) -> Option<String> {
        let asks = logspout_multiline.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let said = "LOGSPOUT_MULTILINE in its environment is not heeded; give it the label co.elastic.logs/multiline.pattern, and multiline.match and multiline.negate beside it";
        (asks && self.multiline.is_none()).then(|| said.to_owned())
    }

    /// Reads the labels, and what to say about those that can't be heeded. An event has at most `max_bytes`.
    pub(crate) fn read(container: &str, labels: &BTreeMap<String, String>, max_bytes: usize) -> (Self, Vec<String>) {
        let mut said = Vec::new();
        let value = |name: &str| labels.get(&format!("{PREFIX}{name}")).map(|value| value.trim());
        let asked = labels.keys().filter_map(|label| label.strip_prefix(PREFIX));
        let mut others: Vec<&str> = asked.filter(|name| !KNOWN.contains(name)).collect();
        for (name, instead) in UNKNOWN {
            let before = others.len();
            others.retain(|other| {
                !other.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
            });
            if others.len() < before {
                said.push(format!("{PREFIX}{name} is not heeded; {instead}"));
            }
        }
        if !others.is_empty() {
            let (all, some) = (others.len(), others[..others.len().min(NAMED)].join(", "));
            said.push(format!(
                "{all} labels of {PREFIX} are not heeded, such as {some}; `elkhound docs docker` lists those that are"
            ));
        }
        let multiline = match value("multiline.pattern") {
            Some(pattern) => rule(pattern, value, max_bytes, container, &mut said).map(Arc::new),
            None => None,
        };
        let picks = picks(value, container, &mut said).map(Arc::new);
        let pipeline = value("pipeline").and_then(|name| pipeline(name, &mut said));
        (Self { multiline, json: json(value), picks, pipeline }, said)
    }
}

/// The name of an ingest pipeline. One that begins with `_`, as `_none`, would mean something else to Elasticsearch.
fn pipeline(name: &str, said: &mut Vec<String>) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=NAME).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('_') {
        return Some(name.to_ascii_lowercase());
    }
    said.push(format!(
        "{PREFIX}pipeline is no plain name; use up to {NAME} letters, digits, `-`, `_` and `.`, the first of them no `_`; no pipeline is named"
    ));
    None
}

fn picks<'a>(value: impl Fn(&str) -> Option<&'a str>, container: &str, said: &mut Vec<String>) -> Option<Picks> {
    let lists = ["include_lines", "exclude_lines"].map(value);
    if lists.iter().flatten().any(|list| list.len() > PATTERN) {
        said.push(format!(
            "{PREFIX}include_lines or exclude_lines is longer than {PATTERN} bytes; no line is left out"
        ));
        return None;
    }
    let [include, exclude] = lists;
    Picks::of(container, include, exclude).unwrap_or_else(|(name, reason)| {
        said.push(format!("{PREFIX}{name} can't be read: {reason}; no line is left out"));
        None
    })
}

fn rule<'a>(
    pattern: &str,
    value: impl Fn(&str) -> Option<&'a str>,
    max_bytes: usize,
    container: &str,
    said: &mut Vec<String>,
) -> Option<Rule> {
    if pattern.len() > PATTERN {
        said.push(format!("{PREFIX}multiline.pattern is longer than {PATTERN} bytes; lines are not joined"));
        return None;
    }
    let compiled = Regex::new(pattern, Flags::default());
    let pattern = compiled
        .map_err(|error| said.push(format!("{PREFIX}multiline.pattern can't be read: {error}; lines are not joined")))
        .ok()?;
    let before = match value("multiline.match") {
        Some("after") | None => false,
        Some("before") => true,
        Some(other) => {
            said.push(format!("{PREFIX}multiline.match is {other:?}; use `after` or `before`; lines are not joined"));
            return None;
        }
    };
    let mut lines = LINES.0;
    if let Some(text) = value("multiline.max_lines") {
        match usize::from_str(text) {
            Ok(number) => lines = number.clamp(1, LINES.1),
            Err(_) => said.push(format!("{PREFIX}multiline.max_lines is {text:?}; use a number; {lines} is taken")),
        }
    }
    let mut timeout = TIMEOUT.0;
    if let Some(text) = value("multiline.timeout") {
        match duration(text) {
            Some(time) => timeout = time.min(TIMEOUT.1),
            None => said.push(format!("{PREFIX}multiline.timeout is {text:?}; use a time as `5s`; 5s is taken")),
        }
    }
    let negate = is_true(value("multiline.negate"));
    let pattern = Arc::new(pattern);
    Some(Rule { pattern, negate, before, max_lines: lines, max_bytes, timeout, container: container.into() })
}

/// Any of the labels asks for it.
fn json<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Option<Json> {
    let names = ["keys_under_root", "overwrite_keys", "add_error_key", "message_key"];
    let [under_root, overwrite, add_error, message_key] = names.map(|name| value(&format!("json.{name}")));
    let asks = under_root.or(overwrite).or(add_error).or(message_key).is_some();
    asks.then(|| Json {
        under_root: is_true(under_root),
        overwrite: is_true(overwrite),
        add_error: is_true(add_error),
        message_key: message_key.unwrap_or_default().to_owned(),
    })
}

fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// `500ms`, `5s`, `1m`, as Filebeat has them.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(labels: &[(&str, &str)]) -> (Hints, Vec<String>) {
        let labels = labels.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())).collect();
        Hints::read("web", &labels, 1 << 20)
    }

    #[test]
    fn a_container_without_labels_asks_for_nothing() {
        let (hints, said) = read(&[("enabled", "true")]);
        assert!(hints.multiline.is_none() && hints.json.is_none() && said.is_empty());
    }

    #[test]
    fn who_asks_logspout_for_joined_lines_is_told_how_to_ask_here() {
        let silent = Hints::default();
        let said = silent.in_place_of(Some("true")).unwrap();
        assert!(said.contains("co.elastic.logs/multiline.pattern"), "{said}");
        assert_eq!((silent.in_place_of(Some("false")), silent.in_place_of(None)), (None, None));
        assert_eq!(read(&[("multiline.pattern", "^\\[")]).0.in_place_of(Some("true")), None);
    }

    #[test]
    fn lines_are_joined_as_the_labels_say_within_bounds() {
        let (hints, said) = read(&[
            ("multiline.pattern", "^\\["),
            ("multiline.negate", "True"),
            ("multiline.match", "before"),
            ("multiline.max_lines", "1000000"),
            ("multiline.timeout", "10m"),
        ]);
        let rule = hints.multiline.unwrap();
        assert_eq!((rule.pattern.pattern(), rule.negate, rule.before), ("^\\[", true, true));
        assert_eq!((rule.max_lines, rule.timeout), (LINES.1, TIMEOUT.1));
        assert_eq!(said, [""; 0]);
        let (hints, _) = read(&[("multiline.pattern", "x"), ("multiline.timeout", "500ms")]);
        let rule = hints.multiline.unwrap();
        assert_eq!((rule.negate, rule.before, rule.max_lines), (false, false, 500));
        assert_eq!(rule.timeout, Duration::from_millis(500));
    }

    #[test]
    fn json_is_read_where_one_label_asks_for_it() {
        let (hints, _) = read(&[("json.keys_under_root", "true"), ("json.message_key", "msg")]);
        let expected = Json { under_root: true, message_key: "msg".into(), ..Json::default() };
        assert_eq!(hints.json, Some(expected));
        assert_eq!(read(&[("json.add_error_key", "false")]).0.json, Some(Json::default()));
    }

    #[test]
    fn a_pipelines_name_is_in_small_letters() {
        let (hints, said) = read(&[("pipeline", " Nginx-access_v1.2 ")]);
        assert_eq!((hints.pipeline.as_deref(), said.len()), (Some("nginx-access_v1.2"), 0));
    }

    #[test]
    fn what_can_not_be_heeded_is_said() {
        let long = "x".repeat(PATTERN + 1);
        for (labels, word) in [
            (&[("multiline.pattern", "(")][..], "can't be read"),
            (&[("multiline.pattern", long.as_str())], "longer than"),
            (&[("multiline.pattern", "x"), ("multiline.match", "around")], "around"),
            (&[("multiline.pattern", "x"), ("multiline.timeout", "soon")], "soon"),
            (&[("multiline.pattern", "x"), ("multiline.max_lines", "-1")], "-1"),
            (&[("include_lines", "(")], "include_lines can't be read"),
            (&[("exclude_lines", long.as_str())], "no line is left out"),
            (&[("raw", "[{}]")], "raw is not heeded"),
            (&[("pipeline", "_none")], "no pipeline is named"),
            (&[("pipeline", "%{[message]}")], "no plain name"),
            (&[("pipeline", long.as_str())], "up to 128"),
            (&[("processors.1.dissect.tokenizer", "%{a}")], "by filters"),
            (
                &[("multiline.patern", "x"), ("1.multiline.pattern", "x"), ("enabled", "true")],
                "such as 1.multiline.pattern, multiline.patern;",
            ),
        ] {
            let (_, said) = read(labels);
            assert!(said.len() == 1 && said[0].contains(word), "{said:?}");
        }
    }
}
