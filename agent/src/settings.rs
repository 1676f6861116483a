//! Settings, in two stages: as written (flags, environment, `elkhound.yml`, `pipelines.yml`; [`written`]), and as meant, which is here.
//!
//! | stronger first | where |
//! |---|---|
//! | 1 | the pipeline's entry in `pipelines.yml` |
//! | 2 | flags |
//! | 3 | the environment: the setting's name in capitals, `.` as `_` (`PIPELINE_WORKERS`), or a file that `PIPELINE_WORKERS_FILE` names |
//! | 4 | `elkhound.yml` in the folder of `path.settings`, else `logstash.yml` there |
//! | 5 | defaults |
//!
//! All mistakes are collected, each with its place. `pipelines.yml` is read when no pipeline is given by any of 2 to 4.

pub(crate) mod api;
mod file;
mod pipelines;
mod queue;
pub(crate) mod table;
mod written;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use elkhound_config::env::Lookup;
use elkhound_pipeline::flow::queue::Order;
use elkhound_pipeline::setup::Ecs;

use self::api::ApiSettings;
use self::file::Reader;
use self::pipelines::Entry;
use self::table::{ROWS, Row};
#[cfg(test)]
pub(crate) use self::written::Origin as WrittenAt;
use self::written::{Layer, Layers, Origin};
pub(crate) use self::written::{Mistake, Written};
use crate::cli::RunArgs;
use crate::line::folder_name;
use crate::notice::Cloud;
use crate::{cgroup, dead_letters, disk_queue, variables};

/// The byte budget of everything in flight. Encoded documents are a few times larger than their lines, and the inputs charge for that.
const IN_FLIGHT: usize = 24 << 20;

/// The least: below it large lines would pass one by one.
const LEAST_IN_FLIGHT: usize = 1 << 20;

/// What part of the memory that a container may have is for what is in flight. The rest is for cursors, encoded requests, connections, patterns
/// and the program itself.
const PART_IN_FLIGHT: u64 = 8;

/// Levels of the log, as tracing calls them.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// What to run and how.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The pipelines, in the order of their file.
    pub(crate) pipelines: Vec<PipelineSettings>,
    /// Check only.
    pub(crate) check_only: bool,
    /// Folder of cursors and other state.
    pub(crate) data: PathBuf,
    /// Bytes in flight, over all pipelines.
    pub(crate) budget: usize,
    /// This host's name, when it was given.
    pub(crate) node: Option<String>,
    /// How elkhound logs.
    pub(crate) log: LogSettings,
    /// How its monitoring API is served.
    pub(crate) api: ApiSettings,
    /// How long a stop may take.
    pub(crate) grace: Duration,
    /// Who may give notice that this host goes away.
    pub(crate) notice: Option<Cloud>,
    /// How often it is looked whether pipelines have changed; never, if not given.
    pub(crate) reload: Option<Duration>,
}

/// How one pipeline is run.
#[derive(Clone, Debug)]
pub(crate) struct PipelineSettings {
    /// Its name.
    pub(crate) id: String,
    /// Where its text comes from.
    pub(crate) text: PipelineText,
    /// Worker threads.
    pub(crate) workers: usize,
    /// Events that a worker takes up at a time.
    pub(crate) batch_size: usize,
    /// How long a worker waits for as many.
    pub(crate) batch_delay: Duration,
    /// Whether each source keeps its order.
    pub(crate) order: Order,
    /// ECS mode of plugins.
    pub(crate) ecs: Ecs,
    /// Whether `\n` and the like mean something in strings.
    pub(crate) support_escapes: bool,
    /// Where documents go that are refused for good, if they are kept.
    pub(crate) dead_letters: Option<dead_letters::Settings>,
    /// Where its events are kept between inputs and workers, if not in memory.
    pub(crate) queue: Option<disk_queue::Settings>,
    /// Where outputs that spill keep theirs, each in a folder of its own.
    pub(crate) spill: disk_queue::Settings,
    /// Whether it may be loaded again.
    pub(crate) reloadable: bool,
}

/// A pipeline's text, and where that was said.
#[derive(Clone, Debug)]
pub(crate) enum PipelineText {
    /// A file, a folder or a glob.
    Files(Written),
    /// The text itself.
    Inline(Written),
}

/// How elkhound logs about itself, on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// The least level.
    pub(crate) level: String,
    /// JSON instead of text.
    pub(crate) json: bool,
}

/// Everything that was written, and what is wrong with it.
pub(crate) struct Given {
    flags: Layer,
    variables: Layer,
    file: Layer,
    /// The entries of `pipelines.yml`; nothing when there is no such file.
    entries: Option<Vec<Entry>>,
    folder: PathBuf,
    /// What is wrong or odd.
    pub(crate) mistakes: Vec<Mistake>,
}

impl Given {
    /// Reads all places where settings are written.
    pub(crate) fn collect(args: RunArgs) -> Self {
        Self::collect_from(args, &variables::setting, &variables::find)
    }

    fn collect_from(args: RunArgs, environment: &Lookup<'_>, lookup: &Lookup<'_>) -> Self {
        let mut mistakes = Vec::new();
        let flags: Layer = args.given.into_iter().map(flag).collect();
        let variables = environment_layer(environment, &mut mistakes);
        mistakes.extend(flags.iter().chain(&variables).filter_map(Written::mistake));
        let folder = folder(Layers(&[&flags, &variables]), environment, &mut mistakes);
        let mut reader = Reader { lookup, mistakes };
        let found = ["elkhound.yml", "logstash.yml"].iter().find_map(|name| reader.read(&folder.join(name)));
        let file = found.map(|file| reader.settings(&file)).unwrap_or_default();
        let entries = pipelines::read(&mut reader, &folder.join("pipelines.yml"));
        Self { flags, variables, file, entries, folder, mistakes: reader.mistakes }
    }

    /// True when nothing that is wrong keeps elkhound from running.
    pub(crate) fn is_sound(&self) -> bool {
        !self.mistakes.iter().any(Mistake::is_error)
    }

    /// What the settings mean. Defaults stand in for what is wrong, so that the pipelines can be checked all the same.
    pub(crate) fn meant(&mut self) -> Settings {
        let pipelines = self.pipelines();
        let api = self.api();
        let process = [&self.flags, &self.variables, &self.file];
        let layers = Layers(&process);
        Settings {
            pipelines,
            check_only: layers.is_on("config.test_and_exit"),
            data: layers.value("path.data").unwrap_or_default().into(),
            budget: budget(layers.value("memory.max_in_flight").and_then(table::size), cgroup::memory()),
            node: layers.value("node.name").map(str::to_owned),
            log: self.log(),
            api,
            grace: layers.value("shutdown.timeout").and_then(table::time).unwrap_or(Duration::from_secs(8)),
            notice: layers.value("spot.notice").and_then(Cloud::named),
            reload: layers.is_on("config.reload.automatic").then(|| interval(layers)),
        }
    }

    /// How the monitoring API is served.
    pub(crate) fn api(&mut self) -> ApiSettings {
        let process = [&self.flags, &self.variables, &self.file];
        api::read(Layers(&process), &mut self.mistakes)
    }

    /// How elkhound logs, whatever else may be wrong.
    pub(crate) fn log(&self) -> LogSettings {
        let process = [&self.flags, &self.variables, &self.file];
        let layers = Layers(&process);
        let level = match layers.value("log.level").unwrap_or("info") {
            "fatal" => "error",
            level if LEVELS.contains(&level) => level,
            _ => "info",
        };
        LogSettings { level: level.to_owned(), json: layers.value("log.format") == Some("json") }
    }

    /// The folder of all dead letter queues, and the pipeline whose queue is meant when none is named.
    pub(crate) fn dead_letters(&self) -> (PathBuf, String) {
        let process = [&self.flags, &self.variables, &self.file];
        let layers = Layers(&process);
        (dead_letter_folder(layers), layers.value("pipeline.id").unwrap_or_default().to_owned())
    }

    fn pipelines(&mut self) -> Vec<PipelineSettings> {
        let process = [&self.flags, &self.variables, &self.file];
        let layers = Layers(&process);
        let (files, text) = (layers.find("path.config"), layers.find("config.string"));
        let mut odd = Vec::new();
        let (meant, mistake) = match (files.or(text), &self.entries) {
            (Some(given), Some(_)) => {
                let path = self.folder.join("pipelines.yml").display().to_string();
                let message = format!("{path} is ignored, for {} gives a pipeline", given.quoted());
                (
                    vec![meant(layers, &mut odd)],
                    Some(Mistake::warning("ignored-pipelines", given.origin.clone(), message)),
                )
            }
            (Some(_), None) => (vec![meant(layers, &mut odd)], None),
            (None, Some(entries)) => {
                let mut each =
                    |entry: &Entry| meant(Layers(&[&entry.layer, process[0], process[1], process[2]]), &mut odd);
                (entries.iter().map(&mut each).collect(), None)
            }
            // Who knows what a file that can't be read would have given.
            (None, None) => (Vec::new(), self.is_sound().then(|| self.nothing_to_run())),
        };
        let both = files.zip(text).map(|(files, text)| {
            let message = format!("{} and {} exclude each other", files.quoted(), text.quoted());
            Mistake::error("bad-setting", files.origin.clone(), message)
        });
        self.mistakes.extend(mistake.into_iter().chain(both).chain(odd));
        meant.into_iter().flatten().collect()
    }

    fn nothing_to_run(&self) -> Mistake {
        let message = "no pipeline given; name a file with `-f FILE` or give its text with `-e TEXT`";
        let help = format!("or list pipelines in {}", self.folder.join("pipelines.yml").display());
        Mistake::error("no-pipeline", Origin::Nowhere, message).with_help(help)
    }

    /// Every setting that somebody gave or that has an effect: name, value, where from.
    pub(crate) fn shown(&self) -> Vec<[String; 3]> {
        let process = [&self.flags, &self.variables, &self.file];
        let mut lines: Vec<[String; 3]> = ROWS.iter().filter_map(|row| line(row, Layers(&process))).collect();
        let families = self.file.iter().filter(|written| written.row.family().is_some());
        lines.extend(families.map(|written| shown(&written.name, written)));
        for entry in self.entries.iter().flatten() {
            let name = |written: &Written| format!("[{}] {}", entry.id(), written.name);
            lines.extend(entry.layer.iter().map(|written| shown(&name(written), written)));
        }
        lines
    }
}

fn flag((row, value): (&'static Row, String)) -> Written {
    Written { name: row.name.to_owned(), row, value, origin: Origin::Flag(row.flag()) }
}

fn environment_layer(environment: &Lookup<'_>, mistakes: &mut Vec<Mistake>) -> Layer {
    let mut layer = Layer::new();
    // What takes anything has no variable: `MODULES` or `INTERACTIVE` may well be somebody else's.
    for row in ROWS.iter().filter(|row| row.kind != table::Kind::Any) {
        let name = row.variable();
        let origin = Origin::Variable(name.clone());
        match environment(&name) {
            Ok(None) => {}
            Ok(Some(value)) => layer.push(Written { name: row.name.to_owned(), row, value, origin }),
            Err(reason) => {
                let message = format!("`{name}` has no value: {reason}");
                mistakes.push(Mistake::error("unreadable-variable", origin, message));
            }
        }
    }
    layer
}

/// The folder of settings files. One that was asked for must be there.
fn folder(given: Layers<'_>, environment: &Lookup<'_>, mistakes: &mut Vec<Mistake>) -> PathBuf {
    let image = || environment("LS_SETTINGS_DIR").ok().flatten();
    let (folder, quoted, origin) = match (given.find("path.settings"), image()) {
        (Some(written), _) => (written.value.clone(), written.quoted(), written.origin.clone()),
        (None, Some(folder)) => {
            let quoted = format!("`LS_SETTINGS_DIR={folder}` in the environment");
            (folder, quoted, Origin::Variable("LS_SETTINGS_DIR".into()))
        }
        (None, None) => return given.value("path.settings").unwrap_or_default().into(),
    };
    if !Path::new(&folder).is_dir() {
        mistakes.push(Mistake::error("bad-setting", origin, format!("{quoted}: there is no such folder")));
    }
    folder.into()
}

/// What the layers mean for a pipeline; nothing when it has no text, which has been reported.
fn meant(layers: Layers<'_>, mistakes: &mut Vec<Mistake>) -> Option<PipelineSettings> {
    let files = layers.find("path.config").cloned().map(PipelineText::Files);
    let text = files.or_else(|| layers.find("config.string").cloned().map(PipelineText::Inline))?;
    let workers =
        layers.number("pipeline.workers").unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let delay = layers.number("pipeline.batch.delay").unwrap_or_default();
    Some(PipelineSettings {
        id: layers.value("pipeline.id").unwrap_or_default().to_owned(),
        text,
        workers,
        batch_size: layers.number("pipeline.batch.size").unwrap_or(1),
        batch_delay: Duration::from_millis(delay as u64),
        order: order(layers.value("pipeline.ordered").unwrap_or_default(), workers),
        ecs: Ecs::parse(layers.value("pipeline.ecs_compatibility").unwrap_or_default()).unwrap_or(Ecs::V8),
        support_escapes: layers.is_on("config.support_escapes"),
        dead_letters: layers.is_on("dead_letter_queue.enable").then(|| dead_letters(layers)),
        queue: queue::read(layers, mistakes),
        spill: queue::of_outputs(layers),
        reloadable: layers.is_on("pipeline.reloadable"),
    })
}

/// Bytes in flight: as many as were given, else what suits the memory that the process may have.
fn budget(given: Option<u64>, memory: Option<u64>) -> usize {
    let fitting = || memory.map_or(u64::MAX, |memory| memory / PART_IN_FLIGHT).min(IN_FLIGHT as u64);
    usize::try_from(given.unwrap_or_else(fitting)).unwrap_or(usize::MAX).max(LEAST_IN_FLIGHT)
}

/// The shortest interval is for tests and the impatient; looking costs a fraction of a millisecond.
fn interval(layers: Layers<'_>) -> Duration {
    let given = layers.value("config.reload.interval").and_then(table::time);
    given.unwrap_or(Duration::from_secs(3)).max(Duration::from_millis(50))
}

/// The pipeline's dead letter queue.
fn dead_letters(layers: Layers<'_>) -> dead_letters::Settings {
    let older = layers.value("dead_letter_queue.storage_policy") == Some("drop_older");
    let limits = dead_letters::Limits {
        bytes: layers.value("dead_letter_queue.max_bytes").and_then(table::size).unwrap_or(1 << 30),
        policy: if older { dead_letters::Policy::DropOlder } else { dead_letters::Policy::DropNewer },
        age: layers.value("dead_letter_queue.retain.age").and_then(table::time),
        flush: Duration::from_millis(layers.number("dead_letter_queue.flush_interval").unwrap_or(5000) as u64),
    };
    let id = layers.value("pipeline.id").unwrap_or_default();
    dead_letters::Settings { folder: dead_letter_folder(layers).join(folder_name(id)), limits }
}

/// The folder of all dead letter queues.
fn dead_letter_folder(layers: Layers<'_>) -> PathBuf {
    let of_data = || Path::new(layers.value("path.data").unwrap_or_default()).join("dead_letter_queue");
    layers.value("path.dead_letter_queue").filter(|path| !path.is_empty()).map_or_else(of_data, PathBuf::from)
}

fn order(mode: &str, workers: usize) -> Order {
    match mode {
        "true" => Order::BySource,
        "auto" if workers == 1 => Order::BySource,
        _ => Order::Free,
    }
}

fn line(row: &Row, layers: Layers<'_>) -> Option<[String; 3]> {
    match layers.find(row.name) {
        Some(written) => Some(shown(row.name, written)),
        None if row.effect == table::Effect::Works && !row.default.is_empty() => {
            Some([row.name.to_owned(), row.default.to_owned(), Origin::Nowhere.shown()])
        }
        None => None,
    }
}

fn shown(name: &str, written: &Written) -> [String; 3] {
    let secret = written.row.kind == table::Kind::Secret;
    let value = if secret { "(secret)".to_owned() } else { written.value.replace('\n', "\\n") };
    let odd = written.row.vain(&written.value).map(|odd| format!(" ({odd})")).unwrap_or_default();
    [name.to_owned(), value, format!("{}{odd}", written.origin.shown())]
}

#[cfg(test)]
mod tests;
