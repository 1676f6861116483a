//! Settings as meant: the command line and its defaults, checked, with everything that needs the machine (cores, files) looked up.

use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result, bail};
use elkhound_pipeline::flow::queue::Order;
use elkhound_pipeline::setup::Ecs;

use crate::cli::RunArgs;

/// Where state is kept unless told otherwise.
const DATA: &str = "/var/lib/elkhound";

/// The byte budget of everything in flight. Encoded documents are a few times larger than their lines, and the inputs charge for that.
const IN_FLIGHT: usize = 24 << 20;

/// What to run and how.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where the pipeline's text comes from.
    pub(crate) pipeline: PipelineText,
    /// Check only.
    pub(crate) check_only: bool,
    /// Worker threads.
    pub(crate) workers: usize,
    /// Events that a worker takes up at a time.
    pub(crate) batch_size: usize,
    /// Whether each source keeps its order.
    pub(crate) order: Order,
    /// ECS mode of plugins.
    pub(crate) ecs: Ecs,
    /// Folder of cursors and other state.
    pub(crate) data: PathBuf,
    /// Bytes in flight.
    pub(crate) budget: usize,
    /// Whether `\n` and the like mean something in strings.
    pub(crate) support_escapes: bool,
    /// How elkhound logs.
    pub(crate) log: LogSettings,
}

/// The pipeline's text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PipelineText {
    /// A file, a folder or a glob.
    Files(String),
    /// Given on the command line.
    Inline(String),
}

/// How elkhound logs about itself, on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// The least level.
    pub(crate) level: String,
    /// JSON instead of text.
    pub(crate) json: bool,
}

impl Settings {
    /// Works out what the arguments mean.
    ///
    /// # Errors
    /// A sentence that names the flag, the value and what is allowed.
    pub(crate) fn from_args(args: RunArgs) -> Result<Self> {
        let workers = positive("-w", args.workers, thread::available_parallelism().map_or(1, usize::from))?;
        Ok(Self {
            pipeline: pipeline_text(args.path_config, args.config_string)?,
            check_only: args.test_and_exit,
            workers,
            batch_size: positive("-b", args.batch_size, 125)?,
            order: order(args.ordered.as_deref().unwrap_or("auto"), workers)?,
            ecs: ecs(args.ecs_compatibility.as_deref().unwrap_or("v8"))?,
            data: args.path_data.unwrap_or_else(|| DATA.into()),
            budget: IN_FLIGHT,
            support_escapes: args.support_escapes,
            log: LogSettings {
                level: level(args.log_level.as_deref().unwrap_or("info"))?.to_owned(),
                json: json(args.log_format.as_deref().unwrap_or("plain"))?,
            },
        })
    }
}

/// Where a pipeline's text comes from.
///
/// # Errors
/// Neither is given.
pub(crate) fn pipeline_text(path: Option<String>, text: Option<String>) -> Result<PipelineText> {
    match (path, text) {
        (Some(path), _) => Ok(PipelineText::Files(path)),
        (None, Some(text)) => Ok(PipelineText::Inline(text)),
        (None, None) => bail!("no pipeline given; name a file with `-f FILE` or give its text with `-e TEXT`"),
    }
}

fn positive(flag: &str, given: Option<usize>, default: usize) -> Result<usize> {
    match given {
        Some(0) => bail!("`{flag} 0`: at least 1 is needed"),
        Some(number) => Ok(number),
        None => Ok(default),
    }
}

fn order(mode: &str, workers: usize) -> Result<Order> {
    match mode {
        "true" => Ok(Order::BySource),
        "false" => Ok(Order::Free),
        "auto" => Ok(if workers == 1 { Order::BySource } else { Order::Free }),
        _ => bail!("`--pipeline.ordered {mode}`: it takes auto, true or false"),
    }
}

/// The ECS mode called `mode`.
///
/// # Errors
/// There is none of that name.
pub(crate) fn ecs(mode: &str) -> Result<Ecs> {
    Ecs::parse(mode).with_context(|| format!("`--pipeline.ecs_compatibility {mode}`: it takes disabled, v1 or v8"))
}

fn level(level: &str) -> Result<&str> {
    match level {
        "fatal" => Ok("error"),
        "error" | "warn" | "info" | "debug" | "trace" => Ok(level),
        _ => bail!("`--log.level {level}`: it takes error, warn, info, debug or trace"),
    }
}

fn json(format: &str) -> Result<bool> {
    match format {
        "plain" => Ok(false),
        "json" => Ok(true),
        _ => bail!("`--log.format {format}`: it takes plain or json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> RunArgs {
        RunArgs { config_string: Some("input {}".into()), ..RunArgs::default() }
    }

    #[test]
    fn order_follows_the_number_of_workers() {
        let with = |workers| Settings::from_args(RunArgs { workers: Some(workers), ..args() }).unwrap().order;
        assert_eq!((with(1), with(2)), (Order::BySource, Order::Free));
    }

    #[test]
    fn mistakes_name_the_flag_and_the_remedy() {
        let error = Settings::from_args(RunArgs { workers: Some(0), ..args() }).unwrap_err();
        assert_eq!(error.to_string(), "`-w 0`: at least 1 is needed");
        let error = Settings::from_args(RunArgs::default()).unwrap_err();
        assert_eq!(error.to_string(), "no pipeline given; name a file with `-f FILE` or give its text with `-e TEXT`");
        let error = Settings::from_args(RunArgs { log_level: Some("loud".into()), ..args() }).unwrap_err();
        assert_eq!(error.to_string(), "`--log.level loud`: it takes error, warn, info, debug or trace");
    }
}
