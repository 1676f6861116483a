//! One pipeline as it runs: started from the output end, stopped from the input end.
//!
//! A worker that panics where no single event is to blame ends its pipeline, with an error: its events were not acknowledged and are read again
//! after the next start. Going on with one worker less would leave their cursors where they are.
//!
//! It ends when its inputs have ended and everything that they handed on is delivered, or given up. Its [`Switch`] does what ends it early.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use elkhound_pipeline::decoration::Decoration;
use elkhound_pipeline::flow::budget::Budget;
use elkhound_pipeline::flow::queue::{Lane, Queue, queue};
use elkhound_pipeline::flow::worker::Worker;
use elkhound_pipeline::plan::Plan;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock;
use crate::disk_queue::{DiskQueue, Ends};
use crate::input::Input;
use crate::line::Line;
use crate::output::Output;
use crate::refresh;
use crate::settings::PipelineSettings;
use crate::stats::{PipelineStats, State, Stats};

/// A pipeline whose outputs and workers are there already.
pub(super) struct Running {
    id: String,
    inputs: Vec<(Box<dyn Input>, Decoration)>,
    queue: Queue,
    /// What keeps events on disk between the inputs and the workers, where something does.
    disk: Option<DiskQueue>,
    workers: Vec<JoinHandle<()>>,
    outputs: Vec<Box<dyn Output>>,
    /// Reads the files again that filters watch; it ends with the pipeline.
    refreshed: JoinSet<()>,
    switch: Switch,
    stats: Arc<PipelineStats>,
}

/// What ends a pipeline, and tells how far it has ended.
#[derive(Clone)]
pub(super) struct Switch {
    /// Stops the inputs, but those that end with their senders.
    stop: CancellationToken,
    /// Stops the latter, for another pipeline takes their place.
    leave: CancellationToken,
    /// Makes the outputs give up.
    give_up: CancellationToken,
    /// The inputs have ended.
    pub(super) read: CancellationToken,
    /// All has ended.
    pub(super) ended: CancellationToken,
}

impl Switch {
    /// Stops all inputs: the pipeline is taken out, or another one takes its place.
    pub(super) fn leave(&self) {
        self.leave.cancel();
        self.stop.cancel();
    }

    /// Has the outputs leave what they can't deliver.
    pub(super) fn give_up(&self) {
        self.give_up.cancel();
    }
}

/// Starts everything but the inputs. `stop` is that of all pipelines.
pub(super) fn start(
    line: Line,
    pipeline: &PipelineSettings,
    budget: usize,
    stop: &CancellationToken,
    runtime: &Handle,
    stats: &Stats,
) -> Result<(Running, Switch)> {
    let Line { plan, mut inputs, mut outputs, names, dead_letters, give_up, round } = line;
    let Ways { queue, lanes, disk, budget } = Ways::new(pipeline, budget, round);
    let gauge = disk.as_ref().map(DiskQueue::gauge);
    let counted =
        Arc::new(PipelineStats::new(pipeline, (&names.0, &names.1), &plan, dead_letters, (budget, gauge), stats));
    inputs.iter_mut().zip(&counted.inputs).for_each(|((input, _), stats)| input.observe(stats));
    outputs.iter_mut().zip(&counted.outputs).for_each(|(output, stats)| output.observe(stats));
    stats.start(Arc::clone(&counted));
    outputs.iter_mut().for_each(|output| output.start());
    let token = CancellationToken::new;
    let switch = Switch { stop: stop.child_token(), leave: token(), give_up, read: token(), ended: token() };
    let workers = start_workers(lanes, &plan, &mut outputs, pipeline, (&switch, &counted))?;
    info!(pipeline = pipeline.id, workers = pipeline.workers, batch_size = pipeline.batch_size, "a pipeline starts");
    let refreshed = refresh::start(&plan, runtime);
    let running = Running {
        id: pipeline.id.clone(),
        inputs,
        queue,
        disk,
        workers,
        outputs,
        refreshed,
        switch: switch.clone(),
        stats: counted,
    };
    Ok((running, switch))
}

/// From the inputs to the workers: straight, or over a disk.
struct Ways {
    queue: Queue,
    lanes: Vec<Lane>,
    disk: Option<DiskQueue>,
    budget: Budget,
}

impl Ways {
    fn new(pipeline: &PipelineSettings, bytes: usize, round: u64) -> Self {
        let (workers, order) = (pipeline.workers, pipeline.order);
        let Some(settings) = &pipeline.queue else {
            let budget = Budget::new(bytes);
            let (queue, lanes) = queue(workers, order, budget.clone());
            return Self { queue, lanes, disk: None, budget };
        };
        let (queue, lanes, disk) = DiskQueue::new(settings, (workers, order), bytes, round);
        let budget = disk.budget().clone();
        Self { queue, lanes, disk: Some(disk), budget }
    }
}

fn start_workers(
    lanes: Vec<Lane>,
    plan: &Arc<Plan>,
    outputs: &mut [Box<dyn Output>],
    pipeline: &PipelineSettings,
    (switch, stats): (&Switch, &PipelineStats),
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
            .spawn({
                let guard = Guard(switch.clone());
                move || {
                    worker.run();
                    drop(guard);
                }
            })
            .context("a worker thread could not be started")
    };
    lanes.into_iter().enumerate().map(start).collect()
}

/// Ends the pipeline of a worker that panics.
struct Guard(Switch);

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            error!(
                "a worker has panicked, which is a defect of elkhound; its pipeline ends, and what it had is read again"
            );
            self.0.leave();
        }
    }
}

impl Running {
    /// Runs the inputs until they end by themselves or are stopped, and what they have handed on to its end.
    pub(super) async fn run(self) -> Result<()> {
        let Self { id, inputs, queue, disk, workers, outputs, refreshed: _refreshed, switch, stats } = self;
        let kept = tokio::spawn(keep(id.clone(), disk, switch.clone()));
        let ended = read(&id, inputs, queue, &switch, &stats).await;
        stats.ended(if ended.is_ok() { State::Finished } else { State::Failed });
        switch.read.cancel();
        info!(pipeline = id, "inputs have ended; finishing what was read");
        let kept = kept.await.context("the queue on disk ended by a panic").and_then(|kept| kept);
        let drained = drain(workers, outputs).await;
        info!(pipeline = id, "a pipeline has ended");
        if kept.is_err() || drained.is_err() {
            stats.ended(State::Failed);
        }
        switch.ended.cancel();
        kept.and(ended).and(drained).with_context(|| format!("pipeline `{id}`"))
    }
}

/// Keeps a pipeline's events on disk between its inputs and its workers, where that is wanted. A queue that can't be opened ends its pipeline.
async fn keep(id: String, disk: Option<DiskQueue>, switch: Switch) -> Result<()> {
    let Some(disk) = disk else { return Ok(()) };
    let Switch { stop, leave, give_up, .. } = switch.clone();
    let result = disk.run(Ends { stop, leave, give_up }).await;
    if let Err(trouble) = &result {
        error!(pipeline = id, reason = format!("{trouble:#}"), "there is no queue, and the pipeline ends");
        switch.leave();
    }
    result
}

/// Runs all inputs of a pipeline until they end by themselves or are stopped. Trouble with one that it can't heal stops the others.
async fn read(
    id: &str,
    inputs: Vec<(Box<dyn Input>, Decoration)>,
    queue: Queue,
    Switch { stop, leave, .. }: &Switch,
    stats: &PipelineStats,
) -> Result<()> {
    let mut running = JoinSet::new();
    for ((mut input, decoration), stats) in inputs.into_iter().zip(&stats.inputs) {
        let left = input.adopt(decoration);
        let until = if input.ends_with_its_senders() { leave } else { stop };
        running.spawn(input.run(queue.clone().decorated(left).metered(Arc::clone(&stats.meter)), until.clone()));
    }
    drop(queue);
    let mut result = Ok(());
    while let Some(ended) = running.join_next().await {
        if let Err(trouble) = ended.context("an input ended by a panic").and_then(|ended| ended) {
            error!(pipeline = id, reason = format!("{trouble:#}"), "an input has stopped, and its pipeline ends");
            stop.cancel();
            leave.cancel();
            result = Err(trouble);
        }
    }
    result
}

/// Waits for a pipeline's workers, then for its outputs.
async fn drain(workers: Vec<JoinHandle<()>>, outputs: Vec<Box<dyn Output>>) -> Result<()> {
    let all = move || workers.into_iter().map(JoinHandle::join).filter(Result::is_err).count();
    let panicked = tokio::task::spawn_blocking(all).await.context("the workers could not be joined")?;
    for output in outputs {
        output.close().await;
    }
    anyhow::ensure!(panicked == 0, "a worker ended by a panic, which is a defect of elkhound");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::time::Instant;

    use elkhound_config::parser::Escapes;
    use elkhound_config::source::Source;
    use elkhound_pipeline::event::Event;
    use elkhound_pipeline::flow::queue::Chunk;
    use elkhound_pipeline::flow::receipt::Receipt;
    use elkhound_pipeline::flow::worker::Writer;
    use elkhound_pipeline::plan::compile;
    use elkhound_pipeline::setup::Ecs;

    use super::*;
    use crate::cli::RunArgs;
    use crate::settings::{Given, table};

    /// A chunk that no worker survives.
    struct Broken;

    impl Chunk for Broken {
        fn events(&self) -> usize {
            1
        }

        fn unpack(self: Box<Self>, _events: &mut Vec<Event>) {
            panic!("as a test asks");
        }
    }

    /// Sends a broken chunk, and reads until it is stopped.
    struct Once;

    impl Input for Once {
        fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> crate::input::Running {
            Box::pin(async move {
                queue.send(0, Box::new(Broken)).await.map_err(|_| anyhow::anyhow!("closed"))?;
                stop.cancelled().await;
                Ok(())
            })
        }
    }

    struct Nowhere;

    impl Output for Nowhere {
        fn writer(&mut self) -> Box<dyn Writer> {
            Box::new(Self)
        }

        fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::ready(()))
        }
    }

    impl Writer for Nowhere {
        fn write(&mut self, _event: &Event, _receipt: Option<Receipt>) {}

        fn tick(&mut self, _now: Instant) -> Option<Instant> {
            None
        }

        fn finish(&mut self) {}
    }

    #[tokio::test]
    async fn a_worker_that_panics_ends_its_pipeline_though_others_are_left() {
        let text = "output { stdout { } }";
        let flag = |name: &str, value: &str| (table::find(name).unwrap(), value.to_owned());
        let given = vec![flag("config.string", text), flag("pipeline.workers", "2")];
        let settings = Given::collect(RunArgs { given }).meant();
        let source = Source::of("text", text);
        let (document, mut diagnostics) = crate::line::parse(&source, Escapes::Kept);
        let setup = crate::line::setup(Ecs::V8);
        let plan = compile(&document, &source, &setup, Box::new(|_| {}), &mut diagnostics).plan;
        let inputs: Vec<(Box<dyn Input>, Decoration)> = vec![(Box::new(Once), Decoration::default())];
        let give_up = CancellationToken::new();
        let named = |id: &str| vec![crate::line::Named { id: id.into(), name: id.into() }];
        let names = (named("once"), named("nowhere"));
        let line = Line {
            plan: Arc::new(plan),
            inputs,
            outputs: vec![Box::new(Nowhere)],
            names,
            dead_letters: None,
            give_up,
            round: 0,
        };
        let (stop, stats) = (CancellationToken::new(), Stats::new());
        let pipeline = &settings.pipelines[0];
        let (running, switch) = start(line, pipeline, 1 << 20, &stop, &Handle::current(), &stats).unwrap();
        let ended = running.run().await;
        assert!(format!("{:#}", ended.unwrap_err()).contains("a worker ended by a panic"));
        assert!(switch.ended.is_cancelled() && !stop.is_cancelled());
        assert_eq!(stats.pipelines()[0].state(), State::Failed);
    }
}
