//! elkhound: arguments → settings → check → run → exit code.

mod backoff;
mod cases;
mod cli;
mod clock;
mod difference;
mod docs;
mod files;
mod host;
mod input;
mod limit;
mod line;
mod log;
mod output;
mod paint;
mod random;
mod refresh;
mod run;
mod settings;
mod test;
mod tls;
mod trace;
mod trial;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use elkhound_config::render;
use std::io::{IsTerminal, stderr};
use tokio::runtime::Builder;
use tracing::info;

use crate::cli::{Cli, Command, RunArgs};
use crate::settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Test(args)) if !args.cases.is_empty() => cases::run(&args.cases).map(exit_code),
        Some(Command::Test(args)) => test::run(&args.paths, args.junit.as_deref()),
        Some(Command::Trace(args)) => trace::run(&args).map(exit_code),
        Some(Command::Docs { plugin }) => docs::print(plugin.as_deref()).map(|()| ExitCode::SUCCESS),
        None => run_pipelines(cli.run),
    };
    result.unwrap_or_else(|error| {
        complain(&format!("elkhound: {error:#}"));
        ExitCode::FAILURE
    })
}

fn run_pipelines(args: RunArgs) -> Result<ExitCode> {
    let settings = Settings::from_args(args)?;
    log::start(&settings.log);
    let source = line::read_source(&settings.pipeline)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    let line = match line::make(&source, &settings, runtime.handle()) {
        Ok(line) => line,
        Err(mistakes) => {
            complain(&render::all(&mistakes, &source, stderr().is_terminal()));
            return Ok(ExitCode::FAILURE);
        }
    };
    if !line.warnings.is_empty() {
        complain(&render::all(&line.warnings, &source, stderr().is_terminal()));
    }
    if settings.check_only {
        println!("Configuration OK");
        return Ok(ExitCode::SUCCESS);
    }
    info!(version = env!("CARGO_PKG_VERSION"), workers = settings.workers, data = %settings.data.display(), "elkhound starts");
    run::run(line, &settings, &runtime)?;
    info!("elkhound has stopped");
    Ok(ExitCode::SUCCESS)
}

fn exit_code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Standard error, for people; the log has its own writer.
#[expect(clippy::print_stderr, reason = "the one place that talks to a person on standard error")]
fn complain(text: &str) {
    eprintln!("{text}");
}
