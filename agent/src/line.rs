//! From the pipeline's text to a line that can be run: every mistake of the file is collected before anything starts.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use elkhound_config::ast::{Document, Plugin};
use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::env;
use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_config::parser::{Escapes, Parsed};
use elkhound_config::source::Source;
use elkhound_pipeline::decoration::{self, Decoration};
use elkhound_pipeline::plan::{Compiled, NOT_THERE_YET, Plan, Trouble, compile, unknown};
use elkhound_pipeline::setup::Setup;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::input::{self, Input};
use crate::limit::Limit;
use crate::output::{self, Output};
use crate::settings::{PipelineText, Settings};
use crate::{clock, files, host};

/// A pipeline with its inputs and outputs made, ready to run.
pub(crate) struct Line {
    /// Filters and routing.
    pub(crate) plan: Arc<Plan>,
    /// The inputs, each with its common options.
    pub(crate) inputs: Vec<(Box<dyn Input>, Decoration)>,
    /// The outputs, by their number in the plan.
    pub(crate) outputs: Vec<Box<dyn Output>>,
    /// Cancelled to make outputs give up.
    pub(crate) give_up: CancellationToken,
    /// What is legal in the file and seldom meant.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Makes the line, or returns all mistakes.
///
/// # Errors
/// The diagnostics of the pipeline file.
pub(crate) fn make(source: &Source, settings: &Settings, runtime: &Handle) -> Result<Line, Vec<Diagnostic>> {
    let escapes = if settings.support_escapes { Escapes::Processed } else { Escapes::Kept };
    let (document, mut diagnostics) = parse(source, escapes);
    let setup = Setup {
        ecs: settings.ecs,
        now: clock::now(),
        read_file: &|path| std::fs::read(path),
        list_files: &files::matching,
    };
    let compiled = compile(&document, source, &setup, Box::new(report), &mut diagnostics);
    let give_up = CancellationToken::new();
    let host = host::name();
    let mut maker =
        Maker { setup: &setup, settings, runtime, give_up: &give_up, host: &host, diagnostics: &mut diagnostics };
    let inputs =
        compiled.inputs.iter().enumerate().filter_map(|(number, plugin)| maker.input(number, plugin)).collect();
    let outputs = compiled.outputs.iter().filter_map(|plugin| maker.output(plugin)).collect();
    // Found by several stages; read from top to bottom.
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    Ok(Line { plan: Arc::new(compiled.plan), inputs, outputs, give_up, warnings: diagnostics })
}

/// Parses a pipeline and puts in the values of `${NAME}`, from the environment.
pub(crate) fn parse(source: &Source, escapes: Escapes) -> (Document, Vec<Diagnostic>) {
    let Parsed { mut document, mut diagnostics } = elkhound_config::parse(source, escapes);
    env::substitute(&mut document, &|name| std::env::var(name).ok(), &mut diagnostics);
    (document, diagnostics)
}

/// Holds inputs and outputs against their tables without making them. Those that only Logstash has are let pass: whoever tests the filters of
/// a pipeline on his own machine need not cut its ends off.
pub(crate) fn check_inputs_and_outputs(compiled: &Compiled, diagnostics: &mut Vec<Diagnostic>) {
    for plugin in &compiled.inputs {
        let table = input::find(&plugin.name).map(|kind| [kind.options, decoration::OPTIONS]);
        check(plugin, table, || unknown("input", plugin, input::KINDS.iter().map(|kind| kind.name)), diagnostics);
    }
    for plugin in &compiled.outputs {
        let table = output::find(&plugin.name).map(|kind| [kind.options, OUTPUT_OPTIONS]);
        check(plugin, table, || unknown("output", plugin, output::KINDS.iter().map(|kind| kind.name)), diagnostics);
    }
}

fn check(
    plugin: &Plugin,
    table: Option<[&'static [OptionSpec]; 2]>,
    unknown: impl Fn() -> Option<Diagnostic>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    match table {
        Some(table) => {
            Options::new(plugin, &table, diagnostics).finish();
        }
        None => diagnostics.extend(unknown().filter(|mistake| mistake.code != NOT_THERE_YET)),
    }
}

/// The options that every output has.
const OUTPUT_OPTIONS: &[OptionSpec] = &[
    OptionSpec { name: "enable_metric", kind: OptionKind::Boolean, default: "true", required: false, help: "accepted" },
    OptionSpec {
        name: "id",
        kind: OptionKind::String,
        default: "",
        required: false,
        help: "the output's name in the monitoring API",
    },
    OptionSpec {
        name: "workers",
        kind: OptionKind::Number,
        default: "1",
        required: false,
        help: "accepted; each pipeline worker has a writer",
    },
];

struct Maker<'a> {
    setup: &'a Setup<'a>,
    settings: &'a Settings,
    runtime: &'a Handle,
    give_up: &'a CancellationToken,
    host: &'a str,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Maker<'_> {
    fn input(&mut self, number: usize, plugin: &Plugin) -> Option<(Box<dyn Input>, Decoration)> {
        let Some(kind) = input::find(&plugin.name) else {
            self.diagnostics.extend(unknown("input", plugin, input::KINDS.iter().map(|kind| kind.name)));
            return None;
        };
        let mut options = Options::new(plugin, &[kind.options, decoration::OPTIONS], self.diagnostics);
        let world = input::World { setup: self.setup, data: &self.settings.data, host: self.host, number };
        let decoration = Decoration::read(&mut options);
        let input = (kind.build)(&mut options, &world);
        options.finish();
        Some((input?, decoration))
    }

    fn output(&mut self, plugin: &Plugin) -> Option<Box<dyn Output>> {
        let Some(kind) = output::find(&plugin.name) else {
            self.diagnostics.extend(unknown("output", plugin, output::KINDS.iter().map(|kind| kind.name)));
            return None;
        };
        let mut options = Options::new(plugin, &[kind.options, OUTPUT_OPTIONS], self.diagnostics);
        let world = output::World { setup: self.setup, runtime: self.runtime.clone(), give_up: self.give_up.clone() };
        let output = (kind.build)(&mut options, &world);
        options.finish();
        output
    }
}

/// Reads the pipeline's text: a file, all files of a folder, or those that match a glob, joined in name order.
///
/// # Errors
/// A path that matches nothing or can't be read.
pub(crate) fn read_source(text: &PipelineText) -> Result<Source> {
    let path = match text {
        PipelineText::Inline(text) => return Ok(Source::of("config string", text)),
        PipelineText::Files(path) => path,
    };
    let found = files::pipeline(path).with_context(|| format!("`-f {path}` can't be read"))?;
    if found.is_empty() {
        bail!("`-f {path}` matches no file; give a file, a folder or a glob such as '/etc/elkhound/pipelines/*.conf'");
    }
    read_files(&found)
}

/// Reads files, to be joined in this order.
///
/// # Errors
/// A file that can't be read, or is not UTF-8.
pub(crate) fn read_files(files: &[PathBuf]) -> Result<Source> {
    let mut source = Source::default();
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
        let text =
            String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8; save it as UTF-8", file.display()))?;
        source.add(&file.display().to_string(), &text);
    }
    Ok(source)
}

/// Trouble with single events, for the log. Rate limited, for a pipeline can have such trouble with every event.
fn report(trouble: Trouble<'_>) {
    static LIMIT: Limit = Limit::new();
    let Some(suppressed) = LIMIT.pass() else { return };
    match trouble {
        Trouble::Incomparable(what) => {
            warn!(
                suppressed,
                "an event was dropped, for a condition could not compare: {what}; test the field first, as in `if [field] and [field] > 1`"
            );
        }
        Trouble::Failed { filter, reason } => {
            warn!(
                suppressed,
                filter = filter.id,
                place = filter.place,
                reason,
                "a filter failed on an event, which was tagged and goes on"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::RunArgs;

    #[test]
    fn making_a_line_starts_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let text = "input { docker {} } output { elasticsearch { hosts => [\"http://127.0.0.1:9\"] } stdout {} }";
        let settings = Settings::from_args(RunArgs { config_string: Some(text.into()), ..RunArgs::default() }).unwrap();
        let made = make(&Source::of("text", text), &settings, runtime.handle());
        assert!(made.is_ok_and(|line| line.outputs.len() == 2));
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    }
}
