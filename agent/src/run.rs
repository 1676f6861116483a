//! Builds the lines and runs them: started from the output end, stopped from the input end.
//!
//! A stop (SIGTERM, SIGINT, or the end of all inputs) cancels the inputs; what they have handed on drains through workers
//! and outputs within [`GRACE`]. What is not safe by then is left unacknowledged and read again after the next start, so a second
//! signal, which ends at once, loses nothing either.
//!
//! Several pipelines are run side by side. One that sends to another ends before it, for a `pipeline` input ends with its senders. An
//! input's trouble that it can't heal ends its own pipeline only; elkhound ends, with an error, when all have ended.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use elkhound_pipeline::decoration::Decoration;
use elkhound_pipeline::flow::budget::Budget;
use elkhound_pipeline::flow::queue::{Lane, Queue, queue};
use elkhound_pipeline::flow::worker::Worker;
use elkhound_pipeline::plan::Plan;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock;
use crate::input::Input;
use crate::line::{Line, Made};
use crate::output::Output;
use crate::refresh;
use crate::settings::{PipelineSettings, Settings};
use crate::stats::{PipelineStats, State, Stats};

/// How long a stop may take: below Docker's own ten seconds before it kills.
const GRACE: Duration = Duration::from_secs(8);

/// Runs the lines until their inputs end or a signal stops them.
///
/// # Errors
/// What keeps a line from starting, or an input's trouble that trying again can't heal.
pub(crate) fn run(made: Made, settings: &Settings, runtime: &Runtime, stats: &Arc<Stats>) -> Result<()> {
    let Made { lines, give_up, diagnostics: _ } = made;
    let share = share(settings.budget, &lines);
    let started: Result<Vec<Running>> = lines
        .into_iter()
        .zip(&settings.pipelines)
        .map(|(line, pipeline)| start(line, pipeline, share, runtime.handle(), stats))
        .collect();
    let started = started?;
    let stop = CancellationToken::new();
    let signals = runtime.spawn(heed_signals(stop.clone(), give_up, Arc::clone(stats)));
    let mut running = JoinSet::new();
    for line in started {
        running.spawn_on(line.run(stop.clone()), runtime.handle());
    }
    let ended = runtime.block_on(running.join_all());
    signals.abort();
    ended.into_iter().collect()
}

/// The bytes in flight that each pipeline with a source of its own may have: an even share, so that one whose output stalls stops its own
/// inputs only, and all together stay within the budget. What comes from another pipeline is charged there.
fn share(budget: usize, lines: &[Line]) -> usize {
    let reads = |line: &&Line| line.inputs.iter().any(|(input, _)| !input.ends_with_its_senders());
    budget / lines.iter().filter(reads).count().max(1)
}

/// A pipeline whose outputs and workers are there already.
struct Running {
    id: String,
    inputs: Vec<(Box<dyn Input>, Decoration)>,
    queue: Queue,
    workers: Vec<JoinHandle<()>>,
    outputs: Vec<Box<dyn Output>>,
    /// Reads the files again that filters watch; it ends with the pipeline.
    refreshed: JoinSet<()>,
    stats: Arc<PipelineStats>,
}

fn start(line: Line, pipeline: &PipelineSettings, budget: usize, runtime: &Handle, stats: &Stats) -> Result<Running> {
    let Line { plan, mut inputs, mut outputs, names } = line;
    let budget = Budget::new(budget);
    let (queue, lanes) = queue(pipeline.workers, pipeline.order, budget.clone());
    let counted = Arc::new(PipelineStats::new(pipeline, (&names.0, &names.1), &plan, budget, stats));
    inputs.iter_mut().zip(&counted.inputs).for_each(|((input, _), stats)| input.observe(stats));
    outputs.iter_mut().zip(&counted.outputs).for_each(|(output, stats)| output.observe(stats));
    stats.start(Arc::clone(&counted));
    outputs.iter_mut().for_each(|output| output.start());
    let workers = start_workers(lanes, &plan, &mut outputs, pipeline, &counted)?;
    info!(pipeline = pipeline.id, workers = pipeline.workers, batch_size = pipeline.batch_size, "a pipeline starts");
    let refreshed = refresh::start(&plan, runtime);
    Ok(Running { id: pipeline.id.clone(), inputs, queue, workers, outputs, refreshed, stats: counted })
}

fn start_workers(
    lanes: Vec<Lane>,
    plan: &Arc<Plan>,
    outputs: &mut [Box<dyn Output>],
    pipeline: &PipelineSettings,
    stats: &PipelineStats,
) -> Result<Vec<JoinHandle<()>>> {
    let start = |(number, lane)| {
        let worker = Worker {
            lane,
            plan: Arc::clone(plan),
            writers: outputs.iter_mut().map(|output| output.writer()).collect(),
            batch_size: pipeline.batch_size,
            batch_delay: pipeline.batch_delay,
            clock: clock::now,
            meter: Arc::clone(&stats.flow),
        };
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(|| worker.run())
            .context("a worker thread could not be started")
    };
    lanes.into_iter().enumerate().map(start).collect()
}

impl Running {
    async fn run(self, stop: CancellationToken) -> Result<()> {
        let Self { id, inputs, queue, workers, outputs, refreshed: _refreshed, stats } = self;
        let ended = read(&id, inputs, queue, &stop, &stats).await;
        stats.ended(if ended.is_ok() { State::Finished } else { State::Failed });
        info!(pipeline = id, "inputs have ended; finishing what was read");
        let drained = drain(workers, outputs).await;
        info!(pipeline = id, "a pipeline has ended");
        ended.and(drained).with_context(|| format!("pipeline `{id}`"))
    }
}

/// Runs all inputs of a pipeline until they end by themselves or are stopped. Trouble with one that it can't heal stops the others.
async fn read(
    id: &str,
    inputs: Vec<(Box<dyn Input>, Decoration)>,
    queue: Queue,
    stop: &CancellationToken,
    stats: &PipelineStats,
) -> Result<()> {
    let failed = CancellationToken::new();
    let stop = stop.child_token();
    let mut running = JoinSet::new();
    for ((mut input, decoration), stats) in inputs.into_iter().zip(&stats.inputs) {
        let left = input.adopt(decoration);
        let until = if input.ends_with_its_senders() { &failed } else { &stop };
        running.spawn(input.run(queue.clone().decorated(left).metered(Arc::clone(&stats.meter)), until.clone()));
    }
    drop(queue);
    let mut result = Ok(());
    while let Some(ended) = running.join_next().await {
        if let Err(trouble) = ended.context("an input ended by a panic").and_then(|ended| ended) {
            error!(pipeline = id, reason = format!("{trouble:#}"), "an input has stopped, and its pipeline ends");
            stop.cancel();
            failed.cancel();
            result = Err(trouble);
        }
    }
    result
}

/// The first signal stops the inputs and sets the deadline, the second ends the process. Inputs that end by themselves set no
/// deadline: what standard input held can't be read again.
async fn heed_signals(stop: CancellationToken, give_up: CancellationToken, stats: Arc<Stats>) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return };
    let mut next = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    next().await;
    info!("stopping; a second signal ends at once");
    stats.stop();
    stop.cancel();
    if timeout(GRACE, next()).await.is_err() {
        warn!(
            seconds = GRACE.as_secs(),
            "not everything could be delivered before the deadline; it is read again after the next start"
        );
        give_up.cancel();
        next().await;
    }
    warn!("ended by a second signal; what was not safe is read again after the next start");
    std::process::exit(130);
}

/// Waits for a pipeline's workers, then for its outputs.
async fn drain(workers: Vec<JoinHandle<()>>, outputs: Vec<Box<dyn Output>>) -> Result<()> {
    tokio::task::spawn_blocking(move || workers.into_iter().try_for_each(JoinHandle::join))
        .await
        .context("the workers could not be joined")?
        .map_err(|_| anyhow::anyhow!("a worker ended by a panic, which is a defect of elkhound"))?;
    for output in outputs {
        output.close().await;
    }
    Ok(())
}
