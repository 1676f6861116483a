//! For tests: a filter section as written, and events as JSON.

use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::parser::{self, Escapes};
use elkhound_config::source::Source;

use super::Context;
use crate::event::Event;
use crate::json::{self, Numbers};
use crate::plan::{Plan, compile};
use crate::setup::{Ecs, Setup};
use crate::time::Timestamp;
use crate::value::Value;

/// What becomes of `event`, without `@timestamp` and `@version`; several events are several lines. Panics when the section is refused.
pub(crate) fn filtered(section: &str, event: &str) -> String {
    filtered_with(section, event, &Setup::without_files(Ecs::V8))
}

/// The same, for filters that ask for files.
pub(crate) fn filtered_with(section: &str, event: &str, setup: &Setup<'_>) -> String {
    let loaded = Loaded::new(section, setup);
    assert_eq!(loaded.mistakes, Vec::<String>::new(), "{section}");
    loaded.filtered(event)
}

/// What is wrong with a section, one message for each mistake.
pub(crate) fn mistakes(section: &str) -> Vec<String> {
    Loaded::new(section, &Setup::without_files(Ecs::V8)).mistakes
}

/// The plan of a whole pipeline.
pub(crate) fn plan(pipeline: &str) -> Plan {
    Loaded::whole(pipeline, &Setup::without_files(Ecs::V8)).plan
}

/// A pipeline, and what is wrong with it.
pub(crate) struct Loaded {
    pub(crate) plan: Plan,
    pub(crate) mistakes: Vec<String>,
}

impl Loaded {
    /// One whose filter section is `section`.
    pub(crate) fn new(section: &str, setup: &Setup<'_>) -> Self {
        Self::whole(&format!("filter {{ {section} }}"), setup)
    }

    fn whole(pipeline: &str, setup: &Setup<'_>) -> Self {
        let source = Source::of("test.conf", pipeline);
        let parsed = parser::parse(&source, Escapes::Kept);
        let mut diagnostics = parsed.diagnostics;
        let plan = compile(&parsed.document, &source, setup, Box::new(|_| {}), &mut diagnostics).plan;
        let errors = diagnostics.into_iter().filter(Diagnostic::is_error).map(|mistake| mistake.message);
        Self { plan, mistakes: errors.collect() }
    }

    /// What becomes of an event, as with [`filtered`].
    pub(crate) fn filtered(&self, event: &str) -> String {
        let Ok(Value::Map(fields)) = json::parse(event, Numbers::Doubles) else { panic!("{event} is no object") };
        let mut batch = vec![Event::from_fields(*fields, Timestamp::default())];
        self.plan.filter(&mut batch, &mut Context::default());
        batch.iter().map(shown).collect::<Vec<_>>().join("\n")
    }
}

fn shown(event: &Event) -> String {
    let mut map = event.to_map();
    map.remove("@timestamp");
    map.remove("@version");
    let mut out = Vec::new();
    json::write_map(&map, &mut out);
    String::from_utf8(out).unwrap()
}
