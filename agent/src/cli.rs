//! The command line: Logstash's everyday flags under Logstash's names, and a few commands of elkhound's own.
//!
//! This is the first of two stages: what was written. What it means is worked out in [`crate::settings`].

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};

use crate::settings::table::{Effect, Kind, ROWS, Row};

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
    /// Print the version and exit
    #[arg(short = 'V', long = "version", action = ArgAction::Version)]
    pub(crate) version: Option<bool>,
}

/// Logstash's flags: every setting of the table is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunArgs {
    /// The settings that were given, each with its value.
    pub(crate) given: Vec<(&'static Row, String)>,
}

impl Args for RunArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(ROWS.iter().filter(|row| row.family().is_none()).map(argument))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RunArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = ROWS.iter().filter(|row| row.family().is_none());
        let given = flags.filter_map(|row| Some((row, matches.get_one::<String>(row.name)?.clone())));
        Ok(Self { given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flag of a setting. Those that elkhound does not act on are taken, and not advertised.
fn argument(row: &'static Row) -> Arg {
    let help = match row.default {
        "" | "false" => row.help.to_owned(),
        default => format!("{} [default: {default}]", row.help),
    };
    let argument = Arg::new(row.name).long(row.name).help(help).hide(row.effect != Effect::Works);
    let argument = match row.short {
        Some(letter) => argument.short(letter),
        None => argument,
    };
    match row.kind {
        Kind::Switch => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::Number(_) => argument.value_name("N"),
        Kind::Text if row.name.starts_with("path.") => argument.value_name("PATH").value_hint(ValueHint::AnyPath),
        Kind::Text | Kind::Secret | Kind::Any | Kind::Size | Kind::Time => argument.value_name("TEXT"),
        Kind::OneOf(_) => argument.value_name("WORD"),
    }
}

/// What elkhound does beside running pipelines.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the cases kept beside pipeline files: events in, events expected
    #[command(after_help = crate::test::FORMAT)]
    Test(TestArgs),
    /// Shows what becomes of an event, filter by filter
    Trace(TraceArgs),
    /// Prints the settings that are in force, and where each comes from
    Settings(RunArgs),
    /// Lists, shows, replays and removes what Elasticsearch refused for good (the dead letter queue)
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Examines what the pipelines work with (Docker, log settings, Elasticsearch, folders) and says what to do
    Doctor(RunArgs),
    /// Shows what the elkhound on this host does, as it goes: rates, lag, queue, filters, answers
    Top(TopArgs),
    /// Makes index template, lifecycle policy, data stream or alias in Elasticsearch, and dashboards in Kibana, for the pipelines' outputs
    #[command(after_help = crate::setup::CONNECTION)]
    Setup(SetupArgs),
    /// Asks the elkhound on this host whether it is well: exit 0 or 1, for Docker's HEALTHCHECK
    Healthcheck(HealthArgs),
    /// Prints the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints a manual page, for `man -l -`: elkhound's, or a command's
    Man {
        /// The command, for example `setup`
        command: Option<String>,
    },
    /// Prints a plugin's documentation, or the list of plugins
    Docs {
        /// The plugin, for example `grok`
        plugin: Option<String>,
        /// The whole reference as one document: the language, and every plugin with all its options
        #[arg(long, conflicts_with = "plugin")]
        all: bool,
    },
}

/// A shell that completes command lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    /// For /usr/share/bash-completion/completions/elkhound
    Bash,
    /// For /usr/share/zsh/vendor-completions/_elkhound
    Zsh,
    /// For /usr/share/fish/vendor_completions.d/elkhound.fish
    Fish,
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

/// What can be done with a dead letter queue.
#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// Lists queues and their segments, with counts, times and kinds of errors
    List(RunArgs),
    /// Prints entries of a pipeline's queue
    Show(DlqShow),
    /// Sends the events through a pipeline, whose inputs are left out; the entries stay
    Replay(DlqReplay),
    /// Removes segments
    Remove(DlqRemove),
}

/// Flags of `elkhound dlq show`.
#[derive(Args, Debug)]
pub(crate) struct DlqShow {
    /// Only entries whose error, reason or index has this text in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Only the last so many
    #[arg(long, value_name = "N")]
    pub(crate) last: Option<usize>,
    /// The entries as they are, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// The events alone, one a line, as `stdin { codec => json_lines }` reads them
    #[arg(long, conflicts_with = "json")]
    pub(crate) events: bool,
    /// Where the queue is.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Flags of `elkhound dlq replay`.
#[derive(Args, Debug)]
pub(crate) struct DlqReplay {
    /// Only entries whose error, reason or index has this text in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Only entries from this time on, such as 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Leave out the pipeline's filters, too: the events have been through them once
    #[arg(long)]
    pub(crate) outputs_only: bool,
    /// Where the queue is, and the pipeline.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Flags of `elkhound dlq remove`.
#[derive(Args, Debug)]
pub(crate) struct DlqRemove {
    /// The last segment to be removed
    #[arg(long, value_name = "SEGMENT")]
    pub(crate) through: u64,
    /// Where the queue is.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Flags of `elkhound healthcheck`.
#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    /// Whom to ask, such as http://127.0.0.1:9600; without it the settings say so
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Also fail while pipelines don't run or Elasticsearch takes nothing
    #[arg(long)]
    pub(crate) ready: bool,
    /// Settings as for running.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Flags of `elkhound setup`.
#[derive(Args, Debug)]
pub(crate) struct SetupArgs {
    /// Also import a data view, searches and dashboards into the Kibana or OpenSearch Dashboards at this address
    #[arg(long, value_name = "URL")]
    pub(crate) kibana: Option<String>,
    /// Have documents removed when they are so old, such as 30d; without it nothing is ever removed
    #[arg(long, value_name = "AGE")]
    pub(crate) keep: Option<String>,
    /// Replace what is there and was not made by elkhound, too
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Change nothing; show what would be sent
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The pipelines, whose outputs say where Elasticsearch is.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Flags of `elkhound top`.
#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// Whom to ask, such as http://127.0.0.1:9600; without it the settings say so
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Print it once, as text, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// How often to look, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) every: u64,
    /// Settings as for running.
    #[command(flatten)]
    pub(crate) run: RunArgs,
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
        let given: Vec<(&str, &str)> = cli.run.given.iter().map(|(row, value)| (row.name, value.as_str())).collect();
        let expected = [
            ("config.test_and_exit", "true"),
            ("path.config", "a.conf"),
            ("path.data", "/tmp/x"),
            ("pipeline.batch.size", "500"),
            ("pipeline.workers", "2"),
        ];
        assert_eq!(given, expected);
    }

    #[test]
    fn a_switch_takes_its_value_with_an_equals_sign_only() {
        let cli =
            Cli::parse_from(["elkhound", "--config.support_escapes", "-t", "-r", "-u", "50", "--queue.drain=false"]);
        let found =
            |name: &str| cli.run.given.iter().find(|(row, _)| row.name == name).map(|(_, value)| value.as_str());
        assert_eq!(found("config.support_escapes"), Some("true"));
        assert_eq!((found("queue.drain"), found("pipeline.batch.delay")), (Some("false"), Some("50")));
    }
}
