//! Builds the line and runs it: started from the output end, stopped from the input end.
//!
//! A stop (SIGTERM, SIGINT, or the end of all inputs) cancels the inputs; what they have handed on drains through workers
//! and outputs within [`GRACE`]. What is not safe by then is left unacknowledged and read again after the next start, so a second
//! signal, which ends at once, loses nothing either.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use elkhound_pipeline::decoration::Decoration;
use elkhound_pipeline::flow::budget::Budget;
use elkhound_pipeline::flow::queue::{Lane, Queue, queue};
use elkhound_pipeline::flow::worker::Worker;
use elkhound_pipeline::plan::Plan;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock;
use crate::input::Input;
use crate::line::Line;
use crate::output::Output;
use crate::refresh;
use crate::settings::Settings;

/// How long a stop may take: below Docker's own ten seconds before it kills.
const GRACE: Duration = Duration::from_secs(8);

/// Runs the line until its inputs end or a signal stops it.
///
/// # Errors
/// What keeps the line from starting, or an input's trouble that trying again can't heal.
pub(crate) fn run(line: Line, settings: &Settings, runtime: &Runtime) -> Result<()> {
    let Line { plan, inputs, mut outputs, give_up, warnings: _ } = line;
    let (queue, lanes) = queue(settings.workers, settings.order, Budget::new(settings.budget));
    outputs.iter_mut().for_each(|output| output.start());
    let workers = start_workers(lanes, &plan, &mut outputs, settings)?;
    // Dropped, and with it ended, when the line has run.
    let _refreshed = refresh::start(&plan, runtime.handle());
    let stop = CancellationToken::new();
    let signals = runtime.spawn(heed_signals(stop.clone(), give_up));
    let ended = runtime.block_on(read(inputs, queue, &stop));
    info!("inputs have ended; finishing what was read");
    let drained = runtime.block_on(drain(workers, outputs));
    signals.abort();
    ended.and(drained)
}

fn start_workers(
    lanes: Vec<Lane>,
    plan: &Arc<Plan>,
    outputs: &mut [Box<dyn Output>],
    settings: &Settings,
) -> Result<Vec<JoinHandle<()>>> {
    let start = |(number, lane)| {
        let writers = outputs.iter_mut().map(|output| output.writer()).collect();
        let worker =
            Worker { lane, plan: Arc::clone(plan), writers, batch_size: settings.batch_size, clock: clock::now };
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(|| worker.run())
            .context("a worker thread could not be started")
    };
    lanes.into_iter().enumerate().map(start).collect()
}

/// Runs all inputs until they end by themselves or are stopped. Trouble with one that it can't heal stops the others.
async fn read(inputs: Vec<(Box<dyn Input>, Decoration)>, queue: Queue, stop: &CancellationToken) -> Result<()> {
    let mut running = JoinSet::new();
    for (mut input, decoration) in inputs {
        let left = input.adopt(decoration);
        running.spawn(input.run(queue.clone().decorated(left), stop.clone()));
    }
    drop(queue);
    let mut result = Ok(());
    while let Some(ended) = running.join_next().await {
        if let Err(trouble) = ended.context("an input ended by a panic").and_then(|ended| ended) {
            error!(reason = format!("{trouble:#}"), "an input has stopped");
            stop.cancel();
            result = Err(trouble);
        }
    }
    result
}

/// The first signal stops the inputs and sets the deadline, the second ends the process. Inputs that end by themselves set no
/// deadline: what standard input held can't be read again.
async fn heed_signals(stop: CancellationToken, give_up: CancellationToken) {
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

/// Waits for the workers, then for the outputs.
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
