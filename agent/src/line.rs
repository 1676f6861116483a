//! From the pipelines' texts to lines that can be run: every mistake of all files is collected before anything starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use elkhound_config::ast::{Document, NumberValue, Plugin, Value, ValueKind};
use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::env;
use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_config::parser::{Escapes, Parsed};
use elkhound_config::source::Source;
use elkhound_pipeline::decoration::{self, Decoration};
use elkhound_pipeline::filter::common::{EXCLUDE_TAGS, TAGS, TYPE};
use elkhound_pipeline::plan::{
    Compiled, Culprit, Fate, NOT_THERE_YET, PlacedOutput, Plan, Trouble, called, compile, unknown,
};
use elkhound_pipeline::setup::{Ecs, Setup};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::bus::{Bus, Ways};
use crate::dead_letters::DeadLetters;
use crate::input::{self, Input};
use crate::limit::Limit;
use crate::output::{self, Output};
use crate::settings::{Mistake, PipelineSettings, PipelineText, Settings};
use crate::stats::dead_letters::DeadLetterMeter;
use crate::{clock, files, host, variables};

/// A pipeline with its inputs and outputs made, ready to run.
pub(crate) struct Line {
    /// Filters and routing.
    pub(crate) plan: Arc<Plan>,
    /// The inputs, each with its common options.
    pub(crate) inputs: Vec<(Box<dyn Input>, Decoration)>,
    /// The outputs, by their number in the plan.
    pub(crate) outputs: Vec<Box<dyn Output>>,
    /// What inputs and outputs are called, in the same order.
    pub(crate) names: (Vec<Named>, Vec<Named>),
    /// What its dead letter queue tells of itself.
    pub(crate) dead_letters: Option<Arc<DeadLetterMeter>>,
    /// Cancelled to make the outputs give up.
    pub(crate) give_up: CancellationToken,
    /// Cancelled by an output of which a part has panicked.
    pub(crate) broken: CancellationToken,
    /// How often pipelines were loaded before this one.
    pub(crate) round: u64,
}

impl Line {
    /// True when whatever was not delivered can be read again.
    pub(crate) fn reads_again(&self) -> bool {
        self.inputs.iter().all(|(input, _)| input.reads_again())
    }

    /// True when another line may take its place.
    pub(crate) fn is_reloadable(&self) -> bool {
        self.inputs.iter().all(|(input, _)| input.is_reloadable())
    }
}

/// What the monitoring API calls a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its `id`, or one made from its name and its number.
    pub(crate) id: String,
    /// The plugin's name.
    pub(crate) name: String,
}

impl Named {
    fn all(plugins: &[Plugin]) -> Vec<Self> {
        plugins.iter().enumerate().map(|(at, plugin)| Self::new(at, plugin)).collect()
    }

    fn new(at: usize, plugin: &Plugin) -> Self {
        Self { id: called(plugin, at), name: plugin.name.clone() }
    }
}

/// All pipelines, made, and what was found wrong or odd on the way.
pub(crate) struct Made {
    /// The lines, in the order of the settings. With an error among the diagnostics they must not be run.
    pub(crate) lines: Vec<Line>,
    /// What is wrong or odd, by pipeline.
    pub(crate) diagnostics: Vec<Vec<Diagnostic>>,
    /// The addresses between them.
    pub(crate) bus: Arc<Bus>,
}

/// What lines are made on, beside the settings and their texts.
pub(crate) struct Ground<'a> {
    /// Where asynchronous work runs.
    pub(crate) runtime: &'a Handle,
    /// Cancelled to make all outputs give up.
    pub(crate) give_up: &'a CancellationToken,
    /// The addresses in use.
    pub(crate) ways: &'a Ways,
    /// How often pipelines were loaded before.
    pub(crate) round: u64,
}

impl Made {
    /// True when nothing keeps the lines from being run.
    pub(crate) fn is_sound(&self) -> bool {
        !self.diagnostics.iter().flatten().any(Diagnostic::is_error)
    }
}

/// Makes the lines of all pipelines, each from the source of its number. Nothing is started.
pub(crate) fn make(sources: &[Source], settings: &Settings, ground: &Ground<'_>) -> Made {
    let names = settings.pipelines.iter().map(|pipeline| pipeline.id.clone()).collect();
    let bus = Arc::new(Bus::over(names, ground.ways));
    let host = host::name(settings.node.as_deref());
    let shared = Shared { data: &settings.data, host: &host, ground, bus: &bus };
    let (mut lines, mut diagnostics) = (Vec::new(), Vec::new());
    for (number, (pipeline, source)) in settings.pipelines.iter().zip(sources).enumerate() {
        let (line, found) = make_one(source, pipeline, number, &shared);
        lines.push(line);
        diagnostics.push(found);
    }
    for (number, mistake) in bus.mistakes() {
        diagnostics[number].push(mistake);
    }
    // Found by several stages; read from top to bottom.
    diagnostics.iter_mut().for_each(|found| found.sort_by_key(|diagnostic| diagnostic.span.start));
    Made { lines, diagnostics, bus }
}

/// What all pipelines have in common.
struct Shared<'a> {
    data: &'a Path,
    host: &'a str,
    ground: &'a Ground<'a>,
    bus: &'a Arc<Bus>,
}

fn make_one(
    source: &Source,
    pipeline: &PipelineSettings,
    number: usize,
    shared: &Shared<'_>,
) -> (Line, Vec<Diagnostic>) {
    let (document, mut diagnostics) = parse(source, escapes(pipeline));
    let setup = setup(pipeline.ecs);
    let mut compiled = compile(&document, source, &setup, Box::new(report), &mut diagnostics);
    let data = state_folder(shared.data, &pipeline.id);
    let (give_up, broken) = (give_up(pipeline, shared.ground.give_up), CancellationToken::new());
    let letters = pipeline.dead_letters.clone().map(|settings| Arc::new(DeadLetters::new(settings)));
    let dead_letters = letters.as_ref().map(|queue| queue.meter());
    let world = output::World {
        setup: &setup,
        runtime: shared.ground.runtime.clone(),
        give_up: give_up.clone(),
        broken: broken.clone(),
        bus: Arc::clone(shared.bus),
        pipeline: number,
        number: 0,
        claims: Arc::default(),
        dead_letters: letters,
        spill: &pipeline.spill,
        round: shared.ground.round,
    };
    if let Some(set_aside) = world.set_aside() {
        compiled.plan.set_aside(set_aside);
    }
    let (host, round) = (shared.host, shared.ground.round);
    let mut maker = Maker { setup: &setup, data: &data, host, round, world: &world, diagnostics: &mut diagnostics };
    let numbered = compiled.inputs.iter().enumerate();
    let inputs =
        numbered.filter_map(|(at, plugin)| maker.input(twins_before(&compiled.inputs[..at], plugin), plugin)).collect();
    let outputs = compiled.outputs.iter().zip(compiled.plan.outputs()).enumerate();
    let outputs = outputs.filter_map(|(number, (plugin, placed))| maker.output(number, plugin, placed)).collect();
    let names = (Named::all(&compiled.inputs), Named::all(&compiled.outputs));
    let plan = Arc::new(compiled.plan);
    (Line { plan, inputs, outputs, names, dead_letters, give_up, broken, round }, diagnostics)
}

/// What makes a pipeline's outputs give up: the deadline of a stop, but for one that is to empty its queue, however long that takes.
fn give_up(pipeline: &PipelineSettings, deadline: &CancellationToken) -> CancellationToken {
    let drains = pipeline.queue.as_ref().is_some_and(|queue| queue.drain);
    if drains { CancellationToken::new() } else { deadline.child_token() }
}

/// How many inputs of the same kind stand before `plugin`. That names its state, so that one of another kind may come and go.
fn twins_before(before: &[Plugin], plugin: &Plugin) -> usize {
    before.iter().filter(|other| other.name == plugin.name).count()
}

/// Where a pipeline's inputs keep their state: `path.data` itself for `main`, which is what one pipeline alone is called, else a
/// folder in it.
fn state_folder(data: &Path, id: &str) -> PathBuf {
    if id == "main" {
        return data.to_owned();
    }
    data.join(format!("pipeline-{}", folder_name(id)))
}

/// A pipeline's id as the name of a folder.
pub(crate) fn folder_name(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    id.bytes().map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02x}") }).collect()
}

/// The world as plugins see it when they are made: this machine's files and clock.
pub(crate) fn setup(ecs: Ecs) -> Setup<'static> {
    Setup { ecs, now: clock::now(), read_file: &|path| std::fs::read(path), list_files: &files::matching }
}

/// What a backslash means in a pipeline's text.
pub(crate) fn escapes(pipeline: &PipelineSettings) -> Escapes {
    if pipeline.support_escapes { Escapes::Processed } else { Escapes::Kept }
}

/// Parses a pipeline and puts in the values of `${NAME}`, from the environment and from secrets' files.
pub(crate) fn parse(source: &Source, escapes: Escapes) -> (Document, Vec<Diagnostic>) {
    let Parsed { mut document, mut diagnostics } = elkhound_config::parse(source, escapes);
    env::substitute(&mut document, &variables::find, &mut diagnostics);
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
        kind: OptionKind::Any,
        default: "1",
        required: false,
        help: "1 is accepted; each pipeline worker has a writer",
    },
    EXCLUDE_TAGS,
    TAGS,
    TYPE,
    output::WHEN_FULL,
];

/// Outputs have had no workers of their own since Logstash 6, which refuses any other number.
fn refuse_workers(options: &mut Options<'_>) {
    let one = |value: &Value| matches!(&value.kind, ValueKind::Number(number) if matches!(number.value, NumberValue::Integer(1) | NumberValue::Float(1.0)));
    if options.value("workers").is_some_and(|value| !one(value)) {
        let message = "an output has no workers of its own, and Logstash refuses this, too";
        options.fail("workers", message, "take it out; `pipeline.workers` is for the whole pipeline");
    }
}

struct Maker<'a> {
    setup: &'a Setup<'a>,
    data: &'a Path,
    host: &'a str,
    round: u64,
    world: &'a output::World<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Maker<'_> {
    fn input(&mut self, number: usize, plugin: &Plugin) -> Option<(Box<dyn Input>, Decoration)> {
        let Some(kind) = input::find(&plugin.name) else {
            self.diagnostics.extend(unknown("input", plugin, input::KINDS.iter().map(|kind| kind.name)));
            return None;
        };
        let mut options = Options::new(plugin, &[kind.options, decoration::OPTIONS], self.diagnostics);
        let (bus, pipeline) = (&*self.world.bus, self.world.pipeline);
        let (setup, data, host, round) = (self.setup, self.data, self.host, self.round);
        let world = input::World { setup, data, host, number, round, bus, pipeline };
        let decoration = Decoration::read(&mut options);
        let input = (kind.build)(&mut options, &world);
        options.finish();
        Some((input?, decoration))
    }

    fn output(&mut self, number: usize, plugin: &Plugin, placed: &Arc<PlacedOutput>) -> Option<Box<dyn Output>> {
        let Some(kind) = output::find(&plugin.name) else {
            self.diagnostics.extend(unknown("output", plugin, output::KINDS.iter().map(|kind| kind.name)));
            return None;
        };
        let mut options = Options::new(plugin, &[kind.options, OUTPUT_OPTIONS], self.diagnostics);
        refuse_workers(&mut options);
        let give_up = self.world.give_up.child_token();
        let world = output::World { number, give_up: give_up.clone(), ..self.world.clone() };
        let output = (kind.build)(&mut options, &world).map(|output| (output, give_up));
        let plan = || Plan::passing(Arc::clone(placed), Box::new(report), self.world.set_aside());
        let output = output.map(|output| output::when_full(&mut options, placed, plan, output, self.world));
        options.finish();
        output
    }
}

/// Reads a pipeline's text.
///
/// # Errors
/// A path that matches nothing or can't be read, at the place where it was given.
pub(crate) fn read_source(pipeline: &PipelineSettings) -> Result<Source, Box<Mistake>> {
    match &pipeline.text {
        PipelineText::Inline(text) if pipeline.id == "main" => Ok(Source::of("config string", &text.value)),
        PipelineText::Inline(text) => Ok(Source::of(&format!("config string of {}", pipeline.id), &text.value)),
        PipelineText::Files(given) => read_path(&given.value).map_err(|reason| Box::new(given.refused(&reason))),
    }
}

/// Reads a file, all files of a folder, or those that match a glob, joined in name order.
///
/// # Errors
/// A path that matches nothing or can't be read.
pub(crate) fn read_path(path: &str) -> Result<Source, String> {
    let found = files::pipeline(path).map_err(|error| format!("it can't be read: {error}"))?;
    if found.is_empty() {
        let remedy = "give a file, a folder or a glob such as '/etc/elkhound/pipelines/*.conf'";
        return Err(format!("{path} matches no file; {remedy}"));
    }
    read_files(&found)
}

/// Reads files, to be joined in this order.
///
/// # Errors
/// A file that can't be read, or is not UTF-8.
pub(crate) fn read_files(files: &[PathBuf]) -> Result<Source, String> {
    let mut source = Source::default();
    for file in files {
        let shown = file.display().to_string();
        let bytes = std::fs::read(file).map_err(|error| format!("{shown} can't be read: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8; save it as UTF-8"))?;
        source.add(&shown, &text);
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
        Trouble::GivenUp { place, condition } => {
            warn!(
                suppressed,
                place,
                condition,
                "a pattern of a condition took too long on an event and counted as not matching; write it without repeating what repeats, as in `(a+)+`"
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
        Trouble::Panicked { culprit: Culprit { kind, id, place, .. }, fate } => {
            let fate = match fate {
                Fate::Kept => "the dead letter queue keeps it",
                Fate::ReadAgain => "it is read again after the next start",
                Fate::GoesOn if kind == "queue" => {
                    "it is lost, for there is no dead letter queue (dead_letter_queue.enable)"
                }
                Fate::GoesOn if kind == "output" => "this output does not get it, for there is no dead letter queue",
                Fate::GoesOn => "it goes on to what follows",
            };
            error!(
                suppressed,
                kind, id, place, "part of a pipeline panicked on an event, which is a defect of elkhound; {fate}"
            );
        }
        Trouble::Lost { events } => {
            error!(
                suppressed,
                events,
                "what an input has read could not be made into events, which is a defect of elkhound; they are lost: report it with the panic's place, which is told before"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::RunArgs;
    use crate::settings::Given;

    #[test]
    fn making_a_line_starts_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let text = "input { docker {} } output { elasticsearch { hosts => [\"http://127.0.0.1:9\"] } stdout {} }";
        let made = made(&[Source::of("text", text)], &settings(&["main"], text), runtime.handle());
        assert!(made.is_sound() && made.lines[0].outputs.len() == 2);
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    }

    #[test]
    fn each_pipeline_keeps_its_state_apart() {
        let folder = |id| state_folder(Path::new("/data"), id).display().to_string();
        assert_eq!(folder("main"), "/data");
        assert_eq!(folder("web-1"), "/data/pipeline-web-1");
        assert_eq!(folder("../é"), "/data/pipeline-%2e%2e%2f%c3%a9");
    }

    #[test]
    fn an_address_is_one_inputs_over_all_pipelines() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = "input { pipeline { address => inn } } output { stdout {} }";
        let sources = [Source::of("one", text), Source::of("two", text)];
        let made = made(&sources, &settings(&["one", "two"], text), runtime.handle());
        let messages: Vec<_> =
            made.diagnostics[1].iter().map(|mistake| (mistake.is_error(), mistake.message.as_str())).collect();
        assert_eq!(messages, [(true, "the pipeline `one` listens on the address `inn` already")]);
        assert!(!made.is_sound());
    }

    fn made(sources: &[Source], settings: &Settings, runtime: &Handle) -> Made {
        let (give_up, ways) = (CancellationToken::new(), Ways::default());
        make(sources, settings, &Ground { runtime, give_up: &give_up, ways: &ways, round: 0 })
    }

    fn settings(ids: &[&str], text: &str) -> Settings {
        let flag = |name: &str, value: &str| (crate::settings::table::find(name).unwrap(), value.to_owned());
        let one = |id: &&str| {
            let given = vec![flag("config.string", text), flag("pipeline.id", id)];
            Given::collect(RunArgs { given }).meant()
        };
        let mut all = ids.iter().map(one);
        let mut settings = all.next().unwrap();
        settings.pipelines.extend(all.flat_map(|other| other.pipelines));
        settings
    }
}
