//! `bench-scale`: what a second worker brings, and what many logs cost. Prints a table.
//!
//! The lines are those of the comparison's workload `nginx`, split over json-file logs, and its pipeline runs over them. Cases are interleaved,
//! and the median of each is shown. With one worker the agent has one core and the sink another; with two the agent has both, and
//! the sink's CPU time, which it takes from them, is counted out of the elapsed time.

#[path = "compare/runner/data.rs"]
mod data;
#[expect(dead_code, reason = "the comparison asks an agent to end")]
#[path = "compare/runner/process.rs"]
mod process;
#[expect(dead_code, reason = "the comparison asks the sink for more")]
#[path = "compare/runner/sink.rs"]
mod sink;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use process::Process;
use sink::Sink;

#[derive(Parser)]
#[command(about = "Measures elkhound with one worker and two, and with few logs and many")]
struct Arguments {
    /// Folder for data, logs and state
    #[arg(long)]
    work: PathBuf,
    /// Folder with the built compare-gen and compare-sink
    #[arg(long)]
    tools: PathBuf,
    /// The elkhound binary
    #[arg(long)]
    elkhound: PathBuf,
    /// Lines in all logs together
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,
    /// Runs of each case
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// What is run.
struct Case {
    name: &'static str,
    logs: usize,
    workers: usize,
    /// As `taskset` takes them.
    cores: &'static str,
    ordered: bool,
}

const CASES: [Case; 5] = [
    Case { name: "1 worker on 1 core, 8 logs", logs: 8, workers: 1, cores: "0", ordered: false },
    Case { name: "2 workers on 2 cores, 8 logs", logs: 8, workers: 2, cores: "0,1", ordered: false },
    Case { name: "the same, pipeline.ordered", logs: 8, workers: 2, cores: "0,1", ordered: true },
    Case { name: "2 workers on 2 cores, 1 log", logs: 1, workers: 2, cores: "0,1", ordered: false },
    Case { name: "2 workers on 2 cores, 1,000 logs", logs: 1000, workers: 2, cores: "0,1", ordered: false },
];

/// How often the sink is asked.
const POLL: Duration = Duration::from_millis(20);
/// After which a run has failed.
const DEADLINE: Duration = Duration::from_secs(300);

/// One run's figures.
#[derive(Clone, Copy)]
struct Figures {
    /// Seconds, without the sink's share.
    seconds: f64,
    /// CPU time, in microseconds per document.
    cpu: f64,
    /// Peak memory in MiB.
    memory: f64,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench-scale: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    ensure!(cores >= 2, "two workers on two cores need two cores, and this machine has {cores}");
    data::make(&arguments.tools, &arguments.work, "nginx", arguments.lines, 7)?;
    for logs in [1, 8, 1000] {
        split(arguments, logs)?;
    }
    let mut figures: [Vec<Figures>; CASES.len()] = Default::default();
    for _ in 0..arguments.runs {
        for (case, figures) in CASES.iter().zip(&mut figures) {
            figures.push(run(arguments, case).with_context(|| case.name)?);
        }
    }
    report(&figures.map(|runs| median(&runs)), arguments.lines)
}

/// Each figure by itself.
fn median(runs: &[Figures]) -> Figures {
    let middle = |of: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Figures { seconds: middle(|f| f.seconds), cpu: middle(|f| f.cpu), memory: middle(|f| f.memory) }
}

fn report(figures: &[Figures; CASES.len()], lines: u64) -> Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{:<34} {:>16} {:>20} {:>10}", "case", "documents/s", "µs CPU per document", "peak MiB")?;
    for (case, figures) in CASES.iter().zip(figures) {
        let rate = lines as f64 / figures.seconds;
        writeln!(out, "{:<34} {rate:>16.0} {:>20.2} {:>10.0}", case.name, figures.cpu, figures.memory)?;
    }
    let [one, two, ordered, single, many] = figures;
    writeln!(
        out,
        "\ntwo workers against one: {:.2} times (in order: {:.2})",
        one.seconds / two.seconds,
        one.seconds / ordered.seconds
    )?;
    writeln!(out, "1,000 logs against one: {:+.0} % CPU per document", (many.cpu / single.cpu - 1.0) * 100.0)?;
    Ok(())
}

fn folder(arguments: &Arguments, logs: usize) -> PathBuf {
    arguments.work.join("scale").join(logs.to_string())
}

/// Deals the records out to so many logs, in pieces of neighbours.
fn split(arguments: &Arguments, logs: usize) -> Result<()> {
    let (folder, stamp) = (folder(arguments, logs), format!("{}", arguments.lines));
    if fs::read_to_string(folder.join("made")).is_ok_and(|made| made == stamp) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(&folder);
    let all = fs::read_to_string(arguments.work.join("data/nginx.log"))?;
    let mut records = all.split_inclusive('\n');
    let each = (arguments.lines as usize).div_ceil(logs);
    for nth in 0..logs {
        let id = format!("{nth:064x}");
        let log = folder.join(&id);
        fs::create_dir_all(&log)?;
        let mut file = BufWriter::new(fs::File::create(log.join(format!("{id}-json.log")))?);
        records.by_ref().take(each).try_for_each(|record| file.write_all(record.as_bytes()))?;
        file.flush()?;
    }
    Ok(fs::write(folder.join("made"), stamp)?)
}

/// The comparison's pipeline, with these logs as its input.
fn pipeline(logs: &Path, port: u16) -> String {
    const NGINX: &str = include_str!("compare/conf/elkhound/nginx.conf");
    let input = format!("input {{ docker {{ read => \"files\" path => \"{}/*/*-json.log\" }} }}", logs.display());
    let output = include_str!("compare/conf/elkhound/output.part").replace("@PORT@", &port.to_string());
    NGINX.replace("@INPUT@", &input).replace("@OUTPUT@", &output)
}

fn run(arguments: &Arguments, case: &Case) -> Result<Figures> {
    let sink = Sink::start(&arguments.tools, &arguments.work, false)?;
    if case.cores == "0" {
        sink.pin("1")?;
    }
    let state = arguments.work.join("scale/state");
    let _ = fs::remove_dir_all(&state);
    fs::create_dir_all(&state)?;
    let config = state.join("pipeline.conf");
    fs::write(&config, pipeline(&folder(arguments, case.logs), sink.port()?))?;
    let mut command = Command::new("taskset");
    command.args(["-c", case.cores]).arg(&arguments.elkhound).args([
        "--log.level",
        "warn",
        "-w",
        &case.workers.to_string(),
    ]);
    command.arg("-f").arg(&config).arg("--path.data").arg(state.join("data"));
    command.env("PIPELINE_ORDERED", case.ordered.to_string());
    let begin = Instant::now();
    let mut process = Process::start(&mut command, &arguments.work.join("scale/elkhound.log"))?;
    wait(arguments, &sink, &mut process)?;
    let (elapsed, usage, theirs) = (begin.elapsed(), process.usage(), sink.usage());
    let shared = if case.cores == "0" { 0.0 } else { theirs.cpu.as_secs_f64() / 2.0 };
    Ok(Figures {
        seconds: elapsed.as_secs_f64() - shared,
        cpu: usage.cpu.as_secs_f64() * 1e6 / arguments.lines as f64,
        memory: usage.memory as f64 / f64::from(1 << 20),
    })
}

fn wait(arguments: &Arguments, sink: &Sink, process: &mut Process) -> Result<()> {
    let begin = Instant::now();
    loop {
        let counts = sink.counts()?;
        if counts.docs >= arguments.lines {
            ensure!(
                counts.docs == arguments.lines && counts.errors == 0,
                "{} documents arrived of {} lines",
                counts.docs,
                arguments.lines
            );
            return Ok(());
        }
        if let Some(status) = process.ended() {
            bail!("elkhound ended with {status}; see elkhound.log in {}", arguments.work.join("scale").display());
        }
        ensure!(begin.elapsed() < DEADLINE, "{} of {} lines after {DEADLINE:?}", counts.docs, arguments.lines);
        std::thread::sleep(POLL);
    }
}
