//! `/_node/logging`: what elkhound logs, and changing that while it runs.
//!
//! A logger is a module of elkhound, `elkhound.input.docker` as well as Logstash's `logstash.inputs.docker`; `logger.` before it, as Logstash has it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::log::Levels;

/// Levels as Logstash names them, and as they are called here.
const LEVELS: [(&str, &str); 8] = [
    ("ALL", "trace"),
    ("DEBUG", "debug"),
    ("ERROR", "error"),
    ("FATAL", "error"),
    ("INFO", "info"),
    ("OFF", "off"),
    ("TRACE", "trace"),
    ("WARN", "warn"),
];

/// `GET /_node/logging`.
pub(crate) fn shown(levels: &Levels) -> Value {
    let shown = |(module, level): (String, String)| {
        let name = if module.is_empty() { "libraries".to_owned() } else { module.replace("::", ".") };
        (name, level.to_ascii_uppercase().into())
    };
    let loggers: Map<String, Value> = levels.shown().into_iter().map(shown).collect();
    json!({ "loggers": loggers })
}

/// What the body of `PUT /_node/logging` asks for: levels by module.
///
/// # Errors
/// What can't be understood in it.
pub(crate) fn changes(body: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let parsed: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is no JSON object such as {{\"logger.elkhound\": \"DEBUG\"}}: {error}"))?;
    parsed.iter().map(|(name, level)| change(name, level)).collect()
}

fn change(name: &str, level: &Value) -> Result<(String, String), String> {
    let logger = name.strip_prefix("logger.").ok_or_else(|| format!("unrecognized option [{name}]"))?;
    let wanted = level.as_str().unwrap_or_default();
    let known = LEVELS.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(wanted));
    let (_, level) = known.ok_or_else(|| format!("invalid level[{level}] for logger[{logger}]"))?;
    Ok((module(logger)?, (*level).to_owned()))
}

/// The module that a logger is.
fn module(logger: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let logger = logger.strip_prefix("org.logstash").map_or(logger, |_| "logstash");
    if !logger.bytes().all(plain) || logger.split('.').any(str::is_empty) {
        return Err(format!(
            "there is no logger [{logger}]; write elkhound, or a module of it such as elkhound.input.docker"
        ));
    }
    let (first, rest) = logger.split_once('.').unwrap_or((logger, ""));
    let rest = rest.replace('.', "::");
    let below =
        |module: &str, rest: &str| if rest.is_empty() { module.to_owned() } else { format!("{module}::{rest}") };
    let (section, plugin) = rest.split_once("::").unwrap_or((&rest, ""));
    Ok(match (first, section) {
        ("logstash", "inputs") => below("elkhound::input", plugin),
        ("logstash", "outputs") => below("elkhound::output", plugin),
        ("logstash", "filters") => below("elkhound_pipeline::filter", plugin),
        ("logstash", "codecs") => below("elkhound_pipeline::codec", plugin),
        ("logstash", _) => "elkhound".to_owned(),
        _ => below(first, &rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loggers_are_modules_and_logstashs_are_understood() {
        for (logger, expected) in [
            ("elkhound", "elkhound"),
            ("elkhound.input.docker", "elkhound::input::docker"),
            ("logstash.outputs.elasticsearch", "elkhound::output::elasticsearch"),
            ("logstash.filters", "elkhound_pipeline::filter"),
            ("logstash.agent", "elkhound"),
            ("org.logstash.Logstash", "elkhound"),
        ] {
            assert_eq!(module(logger).as_deref(), Ok(expected));
        }
        assert!(module("elkhound=trace,x").is_err() && module("").is_err() && module("a..b").is_err());
    }

    #[test]
    fn a_body_is_taken_whole_or_not_at_all() {
        let changed = changes(br#"{"logger.elkhound":"debug","logger.hyper":"OFF"}"#).unwrap();
        assert_eq!(
            changed.into_iter().collect::<Vec<_>>(),
            [("elkhound".into(), "debug".into()), ("hyper".into(), "off".into())]
        );
        assert_eq!(changes(br#"{"elkhound":"debug"}"#), Err("unrecognized option [elkhound]".into()));
        assert_eq!(
            changes(br#"{"logger.elkhound":"loud"}"#),
            Err(r#"invalid level["loud"] for logger[elkhound]"#.into())
        );
        assert!(changes(b"[]").unwrap_err().contains("no JSON object"));
    }
}
