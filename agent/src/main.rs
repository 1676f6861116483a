//! elkhound: arguments → settings → check → run → exit code.

mod allocator;
mod amounts;
mod api;
mod asking;
mod backoff;
mod bus;
mod cases;
mod cgroup;
mod claim;
mod cli;
mod clock;
mod dead_letters;
mod difference;
mod disk_queue;
mod docs;
mod doctor;
mod files;
mod finding;
mod haste;
mod healthcheck;
mod host;
mod http;
mod input;
mod limit;
mod line;
mod load;
mod log;
mod manual;
mod markup;
mod notice;
mod option;
mod output;
mod paint;
mod percent;
mod random;
mod refresh;
mod run;
#[cfg(test)]
mod scratch;
mod secret;
mod settings;
mod setup;
mod stats;
mod test;
mod tls;
mod top;
mod trace;
mod trial;
mod variables;
mod volume;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use elkhound_config::render;
use elkhound_config::source::Source;
use elkhound_pipeline::time::set_clock;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use tokio::runtime::{Builder, Runtime};
use tracing::info;

use crate::cli::{Cli, Command, RunArgs};
use crate::line::Made;
use crate::load::Loaded;
use crate::run::Agent;
use crate::settings::{Given, Mistake, Settings};
use crate::stats::Stats;

fn main() -> ExitCode {
    allocator::set_up();
    set_clock(clock::now);
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Test(args)) if !args.cases.is_empty() => cases::run(&args.cases).map(exit_code),
        Some(Command::Test(args)) => test::run(&args.paths, args.junit.as_deref()),
        Some(Command::Trace(args)) => trace::run(&args).map(exit_code),
        Some(Command::Healthcheck(args)) => healthcheck::run(args).map(exit_code),
        Some(Command::Top(args)) => top::run(args).map(|()| ExitCode::SUCCESS),
        Some(Command::Doctor(args)) => doctor::run(args),
        Some(Command::Setup(args)) => setup::run(args),
        Some(Command::Settings(args)) => print_settings(args),
        Some(Command::Dlq(command)) => dead_letters::command::run(command),
        Some(Command::Completions { shell }) => manual::completions(shell).map(|()| ExitCode::SUCCESS),
        Some(Command::Man { command }) => manual::page(command.as_deref()).map(|()| ExitCode::SUCCESS),
        Some(Command::Docs { all: true, .. }) => docs::print_all().map(|()| ExitCode::SUCCESS),
        Some(Command::Docs { plugin, .. }) => docs::print(plugin.as_deref()).map(|()| ExitCode::SUCCESS),
        None => run_pipelines(cli.run),
    };
    result.unwrap_or_else(|error| {
        if reader_has_gone(&error) {
            return ExitCode::SUCCESS;
        }
        tell(&format!("elkhound: {error:#}\n"));
        ExitCode::FAILURE
    })
}

/// Whoever reads what we print has read enough, as `head` does. Nobody is left to tell.
fn reader_has_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run_pipelines(args: RunArgs) -> Result<ExitCode> {
    run_changed(args, |_, _| {})
}

/// All that it takes to run pipelines, and nothing of it started.
struct Prepared {
    loaded: Loaded,
    made: Made,
    agent: Agent,
    stats: Arc<Stats>,
    runtime: Runtime,
}

/// Makes ready what these arguments ask for, after `change` has had the texts; nothing when there are mistakes, which have been told by then.
fn prepare(args: RunArgs, change: impl FnOnce(&Settings, &mut Vec<Source>)) -> Result<Option<Prepared>> {
    let mut loaded = Loaded::read(args);
    log::start(&loaded.settings.log);
    loaded.rewrite(change);
    loaded.mistakes().for_each(complain);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    let stats = Arc::new(Stats::new());
    let (agent, sources) = (Agent::new(&runtime, Arc::clone(&stats)), loaded.sources());
    let made = agent.make(&sources, &loaded.settings, 0);
    complain_of_pipelines(&made, &sources);
    let sound = loaded.is_sound() && made.is_sound();
    Ok(sound.then_some(Prepared { loaded, made, agent, stats, runtime }))
}

/// Runs the pipelines of these arguments after `change` has had their texts.
fn run_changed(args: RunArgs, change: impl FnOnce(&Settings, &mut Vec<Source>)) -> Result<ExitCode> {
    let Some(prepared) = prepare(args.clone(), change)? else { return Ok(ExitCode::FAILURE) };
    let Prepared { loaded, made, agent, stats, runtime } = prepared;
    if loaded.settings.check_only {
        writeln!(stdout(), "Configuration OK")?;
        return Ok(ExitCode::SUCCESS);
    }
    let _serving = runtime.block_on(api::start(&loaded.settings, &stats, &agent.reload))?;
    info!(version = env!("CARGO_PKG_VERSION"), data = %loaded.settings.data.display(), "elkhound starts");
    agent.run(made, loaded, args, &runtime)?;
    info!("elkhound has stopped");
    Ok(ExitCode::SUCCESS)
}

/// Prints what is in force and where it comes from; fails when something is wrong with it.
fn print_settings(args: RunArgs) -> Result<ExitCode> {
    let given = Given::collect(args);
    let lines = given.shown();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count().min(40)).max().unwrap_or(0);
    let (names, values) = (width(0), width(1));
    let mut out = stdout().lock();
    for [name, value, origin] in &lines {
        writeln!(out, "{}", secret::mask(&format!("{name:names$}  {value:values$}  {origin}")))?;
    }
    given.mistakes.iter().for_each(complain);
    Ok(exit_code(given.is_sound()))
}

fn exit_code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn complain(mistake: &Mistake) {
    let text = mistake.shown(stderr().is_terminal());
    // What has an excerpt is set off, as in pipeline files.
    let gap = if text.lines().nth(1).is_some() { "\n" } else { "" };
    tell(&format!("{text}{gap}"));
}

fn complain_of_pipelines(made: &Made, sources: &[Source]) {
    for (found, source) in made.diagnostics.iter().zip(sources).filter(|(found, _)| !found.is_empty()) {
        tell(&format!("{}\n", render::all(found, source, stderr().is_terminal())));
    }
}

/// Standard error, for people; the log has its own writer. No secret is shown.
#[expect(clippy::print_stderr, reason = "the one place that talks to a person on standard error")]
fn tell(text: &str) {
    eprint!("{}", secret::mask(text));
}
