//! The command line: Logstash's everyday flags under Logstash's names, and a few commands of elkhound's own.
//!
//! This is the first of two stages: what was written. What it means is worked out in [`crate::settings`].

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

/// Ships the logs of every container of a Docker host through Logstash-language pipelines into Elasticsearch.
#[derive(Debug, Parser)]
#[command(name = "elkhound", version, disable_version_flag = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// What to do instead of running pipelines.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// How to run.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Logstash's flags.
#[derive(Args, Debug, Default)]
pub(crate) struct RunArgs {
    /// Pipeline file, directory or glob; several files are joined in name order
    #[arg(short = 'f', long = "path.config", value_name = "PATH")]
    pub(crate) path_config: Option<String>,
    /// Pipeline text
    #[arg(short = 'e', long = "config.string", value_name = "TEXT", conflicts_with = "path_config")]
    pub(crate) config_string: Option<String>,
    /// Check the pipeline, print all mistakes, and exit: 0 when there are none, else 1
    #[arg(short = 't', long = "config.test_and_exit")]
    pub(crate) test_and_exit: bool,
    /// Worker threads that run filters [default: number of cores]
    #[arg(short = 'w', long = "pipeline.workers", value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// The most events that a worker takes up at a time [default: 125]
    #[arg(short = 'b', long = "pipeline.batch.size", value_name = "N")]
    pub(crate) batch_size: Option<usize>,
    /// Keep the order of each source: auto (with one worker), true, false [default: auto]
    #[arg(long = "pipeline.ordered", value_name = "MODE")]
    pub(crate) ordered: Option<String>,
    /// Names and defaults of plugins: disabled, v1, v8 [default: v8]
    #[arg(long = "pipeline.ecs_compatibility", value_name = "MODE")]
    pub(crate) ecs_compatibility: Option<String>,
    /// Folder for cursors and other state [default: /var/lib/elkhound]
    #[arg(long = "path.data", value_name = "DIR")]
    pub(crate) path_data: Option<PathBuf>,
    /// Folder with elkhound.yml or logstash.yml
    #[arg(long = "path.settings", value_name = "DIR", env = "LS_SETTINGS_DIR")]
    pub(crate) path_settings: Option<PathBuf>,
    /// Interpret \n, \t, \" and the like in quoted strings
    #[arg(long = "config.support_escapes")]
    pub(crate) support_escapes: bool,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long = "log.level", value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// plain or json [default: plain]
    #[arg(long = "log.format", value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// Print the version and exit
    #[arg(short = 'V', long = "version", action = ArgAction::Version)]
    pub(crate) version: Option<bool>,
}

/// What elkhound does beside running pipelines.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the cases kept beside pipeline files: events in, events expected
    #[command(after_help = crate::test::FORMAT)]
    Test(TestArgs),
    /// Shows what becomes of an event, filter by filter
    Trace(TraceArgs),
    /// Prints a plugin's documentation, or the list of plugins
    Docs {
        /// The plugin, for example `grok`
        plugin: Option<String>,
    },
}

/// Flags of `elkhound test`.
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// Case files, or folders below which every NAME.test.yml, .yaml and .json is one
    #[arg(value_name = "DIR", required_unless_present = "cases")]
    pub(crate) paths: Vec<PathBuf>,
    /// Write the outcome as JUnit's XML, too
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Files with one case a line, in the form of the conformance corpus
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with_all = ["paths", "junit"])]
    pub(crate) cases: Vec<PathBuf>,
}

/// Flags of `elkhound trace`.
#[derive(Args, Debug)]
pub(crate) struct TraceArgs {
    /// Pipeline file, directory or glob
    #[arg(short = 'f', long = "path.config", value_name = "PATH", required_unless_present = "config_string")]
    pub(crate) path_config: Option<String>,
    /// Pipeline text
    #[arg(short = 'e', long = "config.string", value_name = "TEXT", conflicts_with = "path_config")]
    pub(crate) config_string: Option<String>,
    /// The event, may be given several times; without it each line of standard input is one
    #[arg(long = "event", value_name = "TEXT")]
    pub(crate) events: Vec<String>,
    /// What an event is given as: its fields as a JSON object, or its message; auto takes objects for fields
    #[arg(long = "as", value_name = "FORM", default_value = "auto", value_parser = ["auto", "json", "line"])]
    pub(crate) form: String,
    /// text for people, json for programs: an object on a line for each event
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub(crate) format: String,
    /// Names and defaults of plugins: disabled, v1, v8
    #[arg(long = "pipeline.ecs_compatibility", value_name = "MODE", default_value = "v8")]
    pub(crate) ecs_compatibility: String,
    /// Interpret \n, \t, \" and the like in quoted strings
    #[arg(long = "config.support_escapes")]
    pub(crate) support_escapes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn takes_logstashs_flags() {
        let cli = Cli::parse_from(["elkhound", "-f", "a.conf", "-w", "2", "-b", "500", "--path.data", "/tmp/x", "-t"]);
        assert_eq!(cli.run.path_config.as_deref(), Some("a.conf"));
        assert_eq!((cli.run.workers, cli.run.batch_size, cli.run.test_and_exit), (Some(2), Some(500), true));
    }
}
