//! `elkhound trace -f FILE`: shows what becomes of an event, filter by filter, with the values on which conditions decided.
//!
//! Filters run as they would in the pipeline; inputs and outputs of the file are not started, and nothing is sent anywhere.

use std::io::{self, BufRead, IsTerminal, Write, stderr, stdin, stdout};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};
use elkhound_config::parser::Escapes;
use elkhound_config::render;
use elkhound_config::source::Source;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::json::{self, Numbers};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::plan::{Trace, Trouble};
use elkhound_pipeline::setup::Ecs;
use elkhound_pipeline::value::Value;

use crate::cli::TraceArgs;
use crate::paint::Paint;
use crate::trial::{Trial, context};
use crate::{line, tell};

mod report;
mod text;

/// A trace with what is needed to tell it.
struct Told<'a> {
    trial: &'a Trial,
    source: &'a Source,
    /// The event that went in.
    event: Map,
    trace: Trace,
    /// Why filters failed, in the order in which they did.
    reasons: Vec<String>,
}

/// Traces the events of the arguments, or each line of standard input. False when the pipeline is refused.
///
/// # Errors
/// A pipeline that can't be read, and an event that is none.
pub(crate) fn run(args: &TraceArgs) -> Result<bool> {
    let source = match &args.path_config {
        Some(path) => line::read_path(path).map_err(|reason| anyhow!("`-f {path}`: {reason}"))?,
        None => Source::of("config string", args.config_string.as_deref().unwrap_or_default()),
    };
    let mode = &args.ecs_compatibility;
    let ecs = Ecs::parse(mode)
        .with_context(|| format!("`--pipeline.ecs_compatibility {mode}`: it takes disabled, v1 or v8"))?;
    let escapes = if args.support_escapes { Escapes::Processed } else { Escapes::Kept };
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&reasons);
    let report = move |trouble: Trouble<'_>| {
        if let Trouble::Failed { reason, .. } = trouble {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(reason.to_owned());
        }
    };
    let trial = match Trial::new(&source, ecs, escapes, Box::new(report)) {
        Ok(trial) => trial,
        Err(mistakes) => {
            tell(&format!("{}\n", render::all(&mistakes, &source, stderr().is_terminal())));
            return Ok(false);
        }
    };
    let mut out = stdout().lock();
    each_event(args, |fields| {
        let mut cx = context();
        let event = Event::from_fields(fields.clone(), cx.now);
        let trace = trial.plan.trace(event, &mut cx);
        let reasons = std::mem::take(&mut *reasons.lock().unwrap_or_else(PoisonError::into_inner));
        let told = Told { trial: &trial, source: &source, event: fields, trace, reasons };
        match args.format.as_str() {
            "json" => writeln!(out, "{}", report::line(&told)),
            _ => write!(out, "{}", text::page(&told, Paint::of_stdout())),
        }
    })?;
    Ok(true)
}

/// Hands on the events of the arguments, or else of standard input as its lines come.
fn each_event(args: &TraceArgs, mut work: impl FnMut(Map) -> io::Result<()>) -> Result<()> {
    for text in &args.events {
        work(fields(text, &args.form)?)?;
    }
    if !args.events.is_empty() {
        return Ok(());
    }
    for line in stdin().lock().split(b'\n') {
        let line = line?;
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
        if !text.is_empty() {
            work(fields(&text, &args.form)?)?;
        }
    }
    Ok(())
}

/// The fields of an event as it is given.
fn fields(text: &str, form: &str) -> Result<Map> {
    let message = || [("message".into(), Value::text(text))].into_iter().collect();
    if form == "line" {
        return Ok(message());
    }
    match json::parse(text, Numbers::Doubles) {
        Ok(Value::Map(fields)) => Ok(*fields),
        _ if form == "auto" => Ok(message()),
        Ok(_) => bail!("`{text}` is JSON and no object; write {{\"message\": …}}, or take `--as line`"),
        Err(error) => bail!("`{text}` is no JSON: {error}; write {{\"message\": …}}, or take `--as line`"),
    }
}

/// The name and the place of an output.
fn output(told: &Told<'_>, number: usize) -> (String, String) {
    match told.trial.outputs.get(number) {
        Some(plugin) => (plugin.name.clone(), told.source.place(plugin.span.start).to_string()),
        None => (String::new(), String::new()),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    const PIPELINE: &str = "filter {\n  grok { match => { \"message\" => \"%{WORD:level} (?<rest>.*)\" } }\n  if [level] == \"DEBUG\" or [n] > 3 {\n    drop { }\n  } else {\n    mutate { remove_field => [\"rest\"] add_tag => [\"kept\"] uppercase => [\"level\"] }\n    clone { clones => [\"copy\"] }\n  }\n}\noutput {\n  if \"copy\" in [tags] { stdout { } }\n}\n";

    fn told(event: &str, show: impl Fn(&Told<'_>) -> String) -> String {
        let source = Source::of("p.conf", PIPELINE);
        let trial = Trial::new(&source, Ecs::V8, Escapes::Kept, Box::new(|_| {})).unwrap_or_else(|_| panic!("refused"));
        let mut fields = fields(event, "auto").unwrap();
        fields.insert("@timestamp".into(), "2026-11-21T09:43:24Z".into());
        let mut cx = context();
        let trace = trial.plan.trace(Event::from_fields(fields.clone(), cx.now), &mut cx);
        show(&Told { trial: &trial, source: &source, event: fields, trace, reasons: Vec::new() })
    }

    #[test]
    fn a_page_shows_conditions_changes_and_outputs() {
        let page = told("info all is well", |told| text::page(told, Paint::none()));
        let expected = r#"event 1 {"@timestamp":"2026-11-21T09:43:24Z","message":"info all is well"}
  p.conf:2:3    grok
                  + [level] "info"
                  + [rest] "all is well"
  p.conf:3:6    if [level] == "DEBUG" or [n] > 3
                  [level] = "info", [n] is not there → can't compare [n] (missing) with 3 (a number): the event is dropped
  event 1 is dropped
"#;
        assert_eq!(page, expected);
    }

    #[test]
    fn an_event_made_on_the_way_has_a_number() {
        let page = told(r#"{"message":"info x","n":1}"#, |told| text::page(told, Paint::none()));
        let expected = r#"event 1 {"@timestamp":"2026-11-21T09:43:24Z","message":"info x","n":1}
  p.conf:2:3     grok
                   + [level] "info"
                   + [rest] "x"
  p.conf:3:6     if [level] == "DEBUG" or [n] > 3
                   [level] = "info", [n] = 1 → false
  p.conf:6:5       mutate
                     ~ [level] "info" → "INFO"
                     - [rest] "x"
                     + tag kept
  p.conf:7:5       clone
                     nothing changed
                     makes event 2
                       + tag copy
  p.conf:11:6    if "copy" in [tags]
                   [tags] = ["kept"] → false
  p.conf:11:6    if "copy" in [tags] (event 2)
                   [tags] = ["kept","copy"] → true
  event 1 comes out and goes to no output
    {"@timestamp":"2026-11-21T09:43:24.000Z","@version":"1","level":"INFO","message":"info x","n":1,"tags":["kept"]}
  event 2 comes out and goes to stdout (p.conf:11:25)
    {"@timestamp":"2026-11-21T09:43:24.000Z","@version":"1","level":"INFO","message":"info x","n":1,"tags":["kept","copy"]}
"#;
        assert_eq!(page, expected);
    }

    #[test]
    fn a_line_for_programs_holds_the_same() {
        let line = told(r#"{"message":"DEBUG x"}"#, report::line);
        let expected = r#"{"event":{"@timestamp":"2026-11-21T09:43:24Z","message":"DEBUG x"},"results":[],"steps":[{"changes":[{"after":"DEBUG","field":"[level]"},{"after":"x","field":"[rest]"}],"dropped":false,"event":1,"filter":"grok","id":"grok-1","made":[],"place":"p.conf:2:3"},{"event":1,"if":"[level] == \"DEBUG\" or [n] > 3","place":"p.conf:3:6","taken":true,"values":{"[level]":"DEBUG"}},{"changes":[],"dropped":true,"event":1,"filter":"drop","id":"drop-2","made":[],"place":"p.conf:4:5"}]}"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn events_are_taken_as_they_are_given() {
        let message = |text: &str, form: &str| fields(text, form).map(|fields| fields.get("message").cloned());
        assert_eq!(message("{\"a\":1}", "line").unwrap(), Some("{\"a\":1}".into()));
        assert_eq!(message("{\"a\":1}", "auto").unwrap(), None);
        assert_eq!(message("[1]", "auto").unwrap(), Some("[1]".into()));
        let refused = message("[1]", "json").unwrap_err().to_string();
        assert_eq!(refused, "`[1]` is JSON and no object; write {\"message\": …}, or take `--as line`");
    }
}
