//! One pipeline as it runs: started from the output end, stopped from the input end.
//!
//! A worker that panics where no single event is to blame ends its pipeline, with an error: its events were not acknowledged and are read again
//! after the next start. Going on with one worker less would leave their cursors where they are.
//!
//! It ends when its inputs have ended and everything that they handed on is delivered, or given up. Its [`Switch`] does what ends it early.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
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
    /// Cancelled when a part of an output has panicked.
    broken: CancellationToken,
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
    let Line { plan, mut inputs, mut outputs, names, dead_letters, give_up, broken, round } = line;
    let Ways { queue, lanes, disk, budget } = Ways::new(pipeline, &plan, budget, round);
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
        broken,
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
    fn new(pipeline: &PipelineSettings, plan: &Arc<Plan>, bytes: usize, round: u64) -> Self {
        let (workers, order) = (pipeline.workers, pipeline.order);
        let Some(settings) = &pipeline.queue else {
            let budget = Budget::new(bytes);
            let (queue, lanes) = queue(workers, order, budget.clone());
            return Self { queue, lanes, disk: None, budget };
        };
        let (queue, lanes, disk) = DiskQueue::new(settings, (workers, order), bytes, round, Arc::clone(plan));
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
        let Self { id, inputs, queue, disk, broken, workers, outputs, refreshed: _refreshed, switch, stats } = self;
        let kept = tokio::spawn(keep(id.clone(), disk, switch.clone()));
        let reading = read(&id, inputs, queue, &switch, &stats);
        tokio::pin!(reading);
        let ended = tokio::select! {
            ended = &mut reading => ended,
            () = broken.cancelled() => {
                switch.leave();
                reading.await.and(Err(anyhow!("a part of an output has panicked, which is a defect of elkhound")))
            }
        };
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
    use std::path::Path;
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    use elkhound_config::parser::Escapes;
    use elkhound_config::source::Source;
    use elkhound_pipeline::event::Event;
    use elkhound_pipeline::flow::queue::Chunk;
    use elkhound_pipeline::flow::receipt::Receipt;
    use elkhound_pipeline::flow::worker::Writer;
    use elkhound_pipeline::plan::compile;
    use elkhound_pipeline::setup::Ecs;
    use elkhound_pipeline::value::Value;

    use super::*;
    use crate::cli::RunArgs;
    use crate::dead_letters::entry::Entry;
    use crate::dead_letters::{self, DeadLetters, Limits, Policy};
    use crate::scratch::Folder;
    use crate::settings::{Given, table};

    /// A chunk of which no events can be made.
    struct Broken(Receipt);

    impl Chunk for Broken {
        fn events(&self) -> usize {
            1
        }

        fn unpack(self: Box<Self>, _events: &mut Vec<Event>) {
            panic!("as a test asks");
        }

        fn receipt(&self) -> Option<Receipt> {
            Some(self.0.clone())
        }
    }

    /// Sends chunks, and reads until it is stopped.
    struct Once(Vec<Box<dyn Chunk>>);

    impl Input for Once {
        fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> crate::input::Running {
            Box::pin(async move {
                for chunk in self.0 {
                    queue.send(0, chunk).await.map_err(|_| anyhow::anyhow!("closed"))?;
                }
                stop.cancelled().await;
                Ok(())
            })
        }
    }

    /// Writes down the events that it gets, but for an odd one, which it does not survive, and stops the pipeline on the last one.
    #[derive(Clone, Default)]
    struct Delicate {
        written: Arc<Mutex<Vec<String>>>,
        last: CancellationToken,
        tick_panics: bool,
    }

    impl Output for Delicate {
        fn writer(&mut self) -> Box<dyn Writer> {
            Box::new(self.clone())
        }

        fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::ready(()))
        }
    }

    impl Writer for Delicate {
        fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
            let message = event.field("message").and_then(Value::as_text).map(ToString::to_string).unwrap_or_default();
            assert_ne!(message, "odd", "as a test asks");
            if message == "last" {
                self.last.cancel();
            }
            self.written.lock().unwrap().push(message);
            receipt.take().into_iter().for_each(Receipt::acknowledge);
        }

        fn take_back(&mut self) {}

        fn tick(&mut self, _now: Instant) -> Option<Instant> {
            assert!(!self.tick_panics, "as a test asks");
            None
        }

        fn finish(&mut self) {}
    }

    /// A pipeline of some chunks and an output, with a dead letter queue in `folder`.
    fn line(chunks: Vec<Box<dyn Chunk>>, output: Delicate, folder: &Path) -> (Line, PipelineSettings) {
        let text = "output { stdout { id => delicate } }";
        let flag = |name: &str, value: &str| (table::find(name).unwrap(), value.to_owned());
        let given = vec![flag("config.string", text), flag("pipeline.workers", "2")];
        let mut settings = Given::collect(RunArgs { given }).meant();
        let source = Source::of("text", text);
        let (document, mut diagnostics) = crate::line::parse(&source, Escapes::Kept);
        let setup = crate::line::setup(Ecs::V8);
        let mut plan = compile(&document, &source, &setup, Box::new(|_| {}), &mut diagnostics).plan;
        let limits = Limits { bytes: 1 << 20, policy: Policy::DropNewer, age: None, flush: Duration::from_secs(60) };
        let letters = DeadLetters::new(dead_letters::Settings { folder: folder.to_owned(), limits });
        plan.set_aside(dead_letters::set_aside(Arc::new(letters), Handle::current(), CancellationToken::new()));
        let named = |id: &str| vec![crate::line::Named { id: id.into(), name: id.into() }];
        let line = Line {
            plan: Arc::new(plan),
            inputs: vec![(Box::new(Once(chunks)), Decoration::default())],
            outputs: vec![Box::new(output)],
            names: (named("once"), named("delicate")),
            dead_letters: None,
            give_up: CancellationToken::new(),
            broken: CancellationToken::new(),
            round: 0,
        };
        (line, settings.pipelines.remove(0))
    }

    #[tokio::test]
    async fn a_worker_that_panics_ends_its_pipeline_though_others_are_left() {
        let folder = Folder::new("worker-panics");
        let output = Delicate { tick_panics: true, ..Delicate::default() };
        let (line, pipeline) = line(vec![Box::new(vec![Event::default()])], output, &folder);
        let (stop, stats) = (CancellationToken::new(), Stats::new());
        let (running, switch) = start(line, &pipeline, 1 << 20, &stop, &Handle::current(), &stats).unwrap();
        let ended = running.run().await;
        assert!(format!("{:#}", ended.unwrap_err()).contains("a worker ended by a panic"));
        assert!(switch.ended.is_cancelled() && !stop.is_cancelled());
        assert_eq!(stats.pipelines()[0].state(), State::Failed);
    }

    #[tokio::test]
    async fn an_output_of_which_a_part_panics_ends_its_pipeline() {
        let folder = Folder::new("part-panics");
        let (line, pipeline) = line(Vec::new(), Delicate::default(), &folder);
        let (stop, stats, broken) = (CancellationToken::new(), Stats::new(), line.broken.clone());
        let (running, switch) = start(line, &pipeline, 1 << 20, &stop, &Handle::current(), &stats).unwrap();
        broken.cancel();
        let ended = running.run().await;
        assert!(format!("{:#}", ended.unwrap_err()).contains("a part of an output has panicked"));
        assert!(switch.ended.is_cancelled() && !stop.is_cancelled());
        assert_eq!(stats.pipelines()[0].state(), State::Failed);
    }

    fn event(message: &str) -> Event {
        let mut event = Event::default();
        event.set_field("message".into(), message.into());
        event
    }

    #[tokio::test]
    async fn a_chunk_that_panics_is_lost_alone_and_counted() {
        let folder = Folder::new("chunk-panics");
        let (output, stats) = (Delicate::default(), Stats::new());
        let broken = Broken(Receipt::open(Arc::new(crate::input::NoLedger), 0, None));
        let chunks: Vec<Box<dyn Chunk>> = vec![Box::new(broken), Box::new(vec![event("last")])];
        let (line, pipeline) = line(chunks, output.clone(), &folder);
        let (running, _switch) = start(line, &pipeline, 1 << 20, &output.last, &Handle::current(), &stats).unwrap();
        running.run().await.unwrap();
        assert_eq!(*output.written.lock().unwrap(), ["last"]);
        let pipeline = &stats.pipelines()[0];
        assert_eq!(pipeline.flow.lost.load(std::sync::atomic::Ordering::Relaxed), 1);
        assert_eq!(pipeline.waiting(), 0, "what is lost does not wait for ever");
    }

    #[tokio::test]
    async fn an_event_on_which_an_output_panics_costs_no_other() {
        let folder = Folder::new("output-panics");
        let (output, stats) = (Delicate::default(), Stats::new());
        let events: Vec<Event> = ["first", "odd", "third", "last"].map(event).into();
        let (line, pipeline) = line(vec![Box::new(events)], output.clone(), &folder);
        let (running, _switch) = start(line, &pipeline, 1 << 20, &output.last, &Handle::current(), &stats).unwrap();
        running.run().await.unwrap();
        assert_eq!(*output.written.lock().unwrap(), ["first", "third", "last"]);
        assert_eq!(stats.pipelines()[0].output_failures(0), 1);
        let text = std::fs::read_to_string(folder.join("1.ndjson")).unwrap();
        let entry = Entry::parse(text.trim().as_bytes()).unwrap();
        let told = (entry.refusal.plugin_id.as_str(), entry.refusal.error.as_str(), entry.fields.get("message"));
        assert_eq!(told, ("delicate", "elkhound_output_panic", Some(&"odd".into())));
        assert!(entry.refusal.reason.starts_with("the output at text:1:10 panicked"), "{}", entry.refusal.reason);
    }
}
