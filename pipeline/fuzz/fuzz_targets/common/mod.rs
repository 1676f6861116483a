//! A filter section run over one event, as the targets of filters need it.

use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::parser::{self, Escapes};
use elkhound_config::source::Source;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::filter::Context;
use elkhound_pipeline::json;
use elkhound_pipeline::map::Map;
use elkhound_pipeline::plan::{Trouble, compile};
use elkhound_pipeline::setup::{Ecs, Setup};
use elkhound_pipeline::time::Timestamp;

/// Runs `section` over an event with that message, and encodes what comes out. A section that is refused is no trouble; a filter that
/// panics is, though the pipeline would go on.
pub fn filtered(section: &str, message: &str) {
    let source = Source::of("fuzz.conf", &format!("filter {{ {section} }}"));
    let parsed = parser::parse(&source, Escapes::Kept);
    let setup = Setup::without_files(Ecs::V8);
    let mut diagnostics = parsed.diagnostics;
    let report = |trouble: Trouble<'_>| {
        if let Trouble::Failed { reason, .. } = trouble {
            assert!(!reason.contains("panicked"), "{reason}");
        }
    };
    let plan = compile(&parsed.document, &source, &setup, Box::new(report), &mut diagnostics).plan;
    if diagnostics.iter().any(Diagnostic::is_error) {
        return;
    }
    let fields: Map = [("message".into(), message.into())].into_iter().collect();
    let mut batch = vec![Event::from_fields(fields, Timestamp::default())];
    let mut cx = Context::default();
    plan.filter(&mut batch, &mut cx);
    plan.flush(true, &mut batch, &mut cx);
    for event in &batch {
        let mut bytes = Vec::new();
        json::write_event(event, &mut bytes);
        assert!(String::from_utf8(bytes).is_ok(), "an event is encoded as UTF-8");
    }
}
