//! A pipeline's filters on events put in by hand, its inputs and outputs left alone: what `test` and `trace` have in common.

use elkhound_config::ast::Plugin;
use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::parser::Escapes;
use elkhound_config::source::Source;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::filter::Context;
use elkhound_pipeline::map::Map;
use elkhound_pipeline::plan::{Plan, Report, compile};
use elkhound_pipeline::setup::Ecs;

use crate::{clock, line};

/// A compiled pipeline that runs filters only.
pub(crate) struct Trial {
    /// The filters and the routing.
    pub(crate) plan: Plan,
    /// The outputs as they stand in the file, by their number in the plan.
    pub(crate) outputs: Vec<Plugin>,
}

impl Trial {
    /// Compiles a pipeline. Inputs and outputs are held against their tables and not made.
    ///
    /// # Errors
    /// All diagnostics when there is a mistake among them.
    pub(crate) fn new(source: &Source, ecs: Ecs, escapes: Escapes, report: Report) -> Result<Self, Vec<Diagnostic>> {
        let (document, mut diagnostics) = line::parse(source, escapes);
        let compiled = compile(&document, source, &line::setup(ecs), report, &mut diagnostics);
        line::check_inputs_and_outputs(&compiled, &mut diagnostics);
        if diagnostics.iter().any(Diagnostic::is_error) {
            diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
            return Err(diagnostics);
        }
        Ok(Self { plan: compiled.plan, outputs: compiled.outputs })
    }

    /// What comes out of the filters for `events`, each put in alone; with `last`, also what they hold back until the end.
    pub(crate) fn run(&self, events: impl IntoIterator<Item = Map>, last: bool) -> Vec<Event> {
        let mut cx = context();
        let mut out = Vec::new();
        for fields in events {
            let mut batch = vec![Event::from_fields(fields, cx.now)];
            self.plan.filter(&mut batch, &mut cx);
            out.append(&mut batch);
        }
        if last {
            self.plan.flush(true, &mut out, &mut cx);
        }
        out
    }
}

/// A worker's context at this moment.
pub(crate) fn context() -> Context {
    let mut cx = Context::default();
    cx.now = clock::now();
    cx
}
