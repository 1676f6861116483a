//! For tests: a filter section as written, and events as JSON.

use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::parser::{self, Escapes};
use elkhound_config::source::Source;

use super::Context;
use crate::event::Event;
use crate::json::{self, Numbers};
use crate::plan::compile;
use crate::setup::{Ecs, Setup};
use crate::time::Timestamp;
use crate::value::Value;

/// What becomes of `event`, without `@timestamp` and `@version`; several events are several lines. Panics when the section is refused.
pub(crate) fn filtered(section: &str, event: &str) -> String {
    let (plan, mistakes) = compiled(section);
    assert_eq!(mistakes, Vec::<String>::new(), "{section}");
    let Ok(Value::Map(fields)) = json::parse(event, Numbers::Doubles) else { panic!("{event} is no object") };
    let mut batch = vec![Event::from_fields(*fields, Timestamp::default())];
    plan.filter(&mut batch, &mut Context::default());
    batch.iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// What is wrong with a section, one message for each mistake.
pub(crate) fn mistakes(section: &str) -> Vec<String> {
    compiled(section).1
}

/// The plan of a whole pipeline.
pub(crate) fn plan(pipeline: &str) -> crate::plan::Plan {
    whole(pipeline).0
}

fn compiled(section: &str) -> (crate::plan::Plan, Vec<String>) {
    whole(&format!("filter {{ {section} }}"))
}

fn whole(pipeline: &str) -> (crate::plan::Plan, Vec<String>) {
    let source = Source::of("test.conf", pipeline);
    let parsed = parser::parse(&source, Escapes::Kept);
    let setup = Setup::without_files(Ecs::V8);
    let mut diagnostics = parsed.diagnostics;
    let plan = compile(&parsed.document, &source, &setup, Box::new(|_| {}), &mut diagnostics).plan;
    let errors = diagnostics.into_iter().filter(Diagnostic::is_error).map(|mistake| mistake.message);
    (plan, errors.collect())
}

fn shown(event: &Event) -> String {
    let mut map = event.to_map();
    map.remove("@timestamp");
    map.remove("@version");
    let mut out = Vec::new();
    json::write_map(&map, &mut out);
    String::from_utf8(out).unwrap()
}
