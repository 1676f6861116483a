//! What elkhound knows about itself: who counts what, and where the monitoring API finds it.
//!
//! Counting happens where events pass, in plain numbers or relaxed atomics, once for each chunk, batch or request; nothing here is
//! locked on the way of an event. Reading adds up. What has ended (a pipeline that was reloaded, a container that is gone) is
//! forgotten, so nothing here grows with time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use elkhound_pipeline::flow::budget::Budget;
use elkhound_pipeline::flow::meter::{FlowMeter, SourceMeter, read};
use elkhound_pipeline::plan::Plan;
use elkhound_pipeline::time::Timestamp;

use crate::clock;
use crate::disk_queue::Gauge;
use crate::line::Named;
use crate::settings::PipelineSettings;

pub(crate) mod containers;
pub(crate) mod dead_letters;
pub(crate) mod delivery;
mod reloads;
pub(crate) mod tap;

use containers::Containers;
use dead_letters::DeadLetterMeter;
use delivery::Delivery;
pub(crate) use reloads::Reloads;
use tap::Tap;

/// Everything, for the whole process.
pub(crate) struct Stats {
    /// When elkhound was started.
    pub(crate) started: Instant,
    /// The same by the wall clock.
    pub(crate) started_at: Timestamp,
    /// Reloads of all pipelines together.
    pub(crate) reloads: Reloads,
    /// Where lines can be looked at as they are read.
    pub(crate) tap: Arc<Tap>,
    pipelines: Mutex<Vec<Arc<PipelineStats>>>,
    reloads_of: Mutex<HashMap<String, Arc<Reloads>>>,
    stopping: AtomicBool,
}

impl Stats {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            started_at: clock::now(),
            reloads: Reloads::default(),
            tap: Arc::new(Tap::new()),
            pipelines: Mutex::default(),
            reloads_of: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// The pipelines that run, or have ended and were not replaced, in the order in which they were started.
    pub(crate) fn pipelines(&self) -> Vec<Arc<PipelineStats>> {
        locked(&self.pipelines).clone()
    }

    /// Takes up a pipeline that is about to be started, in the place of the one of the same name.
    pub(crate) fn start(&self, pipeline: Arc<PipelineStats>) {
        let mut pipelines = locked(&self.pipelines);
        match pipelines.iter_mut().find(|other| other.id == pipeline.id) {
            Some(other) => *other = pipeline,
            None => pipelines.push(pipeline),
        }
    }

    /// Forgets a pipeline that is not to be run any more.
    pub(crate) fn remove(&self, id: &str) {
        locked(&self.pipelines).retain(|pipeline| pipeline.id != id);
        locked(&self.reloads_of).remove(id);
    }

    /// The reloads of one pipeline, which outlive it.
    pub(crate) fn reloads_of(&self, id: &str) -> Arc<Reloads> {
        Arc::clone(locked(&self.reloads_of).entry(id.to_owned()).or_default())
    }

    /// Notes that elkhound is on its way down.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// True on the way down.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// How a pipeline is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Events go through it.
    Running,
    /// Its inputs have ended by themselves or were stopped.
    Finished,
    /// An input's trouble that it could not heal has ended it.
    Failed,
}

/// One pipeline.
pub(crate) struct PipelineStats {
    /// Its name.
    pub(crate) id: String,
    /// Worker threads.
    pub(crate) workers: usize,
    /// Events that a worker takes up at a time.
    pub(crate) batch_size: usize,
    /// How long a worker waits for as many.
    pub(crate) batch_delay: Duration,
    /// Its dead letter queue, where documents that are refused for good are kept.
    pub(crate) dead_letters: Option<Arc<DeadLetterMeter>>,
    /// When it was started.
    pub(crate) started: Instant,
    /// Its filters, with their counters.
    pub(crate) plan: Arc<Plan>,
    /// What its workers have done.
    pub(crate) flow: Arc<FlowMeter>,
    /// Its inputs, in the order of the file.
    pub(crate) inputs: Vec<Arc<InputStats>>,
    /// Its outputs, in the order of the plan.
    pub(crate) outputs: Vec<Arc<OutputStats>>,
    /// The bytes in flight.
    pub(crate) budget: Budget,
    /// What is kept on disk between inputs and workers, where something is.
    pub(crate) disk: Option<Arc<Gauge>>,
    /// How often it was reloaded.
    pub(crate) reloads: Arc<Reloads>,
    state: AtomicU8,
}

impl PipelineStats {
    /// A pipeline that has done nothing yet.
    pub(crate) fn new(
        settings: &PipelineSettings,
        (inputs, outputs): (&[Named], &[Named]),
        plan: &Arc<Plan>,
        dead_letters: Option<Arc<DeadLetterMeter>>,
        (budget, disk): (Budget, Option<Arc<Gauge>>),
        stats: &Stats,
    ) -> Self {
        Self {
            id: settings.id.clone(),
            workers: settings.workers,
            batch_size: settings.batch_size,
            batch_delay: settings.batch_delay,
            dead_letters,
            started: Instant::now(),
            plan: Arc::clone(plan),
            flow: Arc::new(FlowMeter::new(outputs.len())),
            inputs: inputs.iter().map(|named| Arc::new(InputStats::new(named, &stats.tap))).collect(),
            outputs: outputs.iter().map(|named| Arc::new(OutputStats::new(named))).collect(),
            budget,
            disk,
            reloads: stats.reloads_of(&settings.id),
            state: AtomicU8::new(State::Running as u8),
        }
    }

    /// How it is doing.
    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            0 => State::Running,
            1 => State::Finished,
            _ => State::Failed,
        }
    }

    /// Notes that it has ended.
    pub(crate) fn ended(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Events that its inputs have handed on.
    pub(crate) fn entered(&self) -> u64 {
        self.inputs.iter().map(|input| read(&input.meter.events)).sum()
    }

    /// How long its inputs have waited for room.
    pub(crate) fn push_nanos(&self) -> u64 {
        self.inputs.iter().map(|input| read(&input.meter.push_nanos)).sum()
    }

    /// Events on which the output of this number panicked.
    pub(crate) fn output_failures(&self, output: usize) -> u64 {
        self.plan.outputs().get(output).map_or(0, |placed| read(&placed.failed))
    }

    /// Events that wait for a worker or are in its hands, or wait on disk for a receipt.
    pub(crate) fn waiting(&self) -> u64 {
        if let Some(disk) = &self.disk {
            return read(&disk.events);
        }
        self.entered().saturating_sub(read(&self.flow.entered) + read(&self.flow.lost))
    }

    /// Events of a batch, on average.
    pub(crate) fn average_batch(&self) -> f64 {
        read(&self.flow.entered) as f64 / read(&self.flow.batches).max(1) as f64
    }

    /// Bytes in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.budget.bytes().saturating_sub(self.budget.left())
    }
}

/// One input.
pub(crate) struct InputStats {
    /// Its `id`, or one made from its name and number.
    pub(crate) id: String,
    /// The plugin's name.
    pub(crate) name: String,
    /// What it has handed on.
    pub(crate) meter: Arc<SourceMeter>,
    /// The containers that it reads, if it reads any.
    pub(crate) containers: Arc<Containers>,
    /// What had come and found no room, where an input can't make its senders wait.
    pub(crate) dropped: OnceLock<Arc<AtomicU64>>,
}

impl InputStats {
    fn new(named: &Named, tap: &Arc<Tap>) -> Self {
        let Named { id, name } = named.clone();
        let containers = Arc::new(Containers::new(Arc::clone(tap)));
        Self { id, name, meter: Arc::default(), containers, dropped: OnceLock::new() }
    }
}

/// One output.
pub(crate) struct OutputStats {
    /// Its `id`, or one made from its name and number.
    pub(crate) id: String,
    /// The plugin's name.
    pub(crate) name: String,
    /// What the far end has said, where an output brings documents there.
    pub(crate) delivery: OnceLock<Arc<Delivery>>,
    /// Events that it did not get, where it may drop some.
    pub(crate) dropped: OnceLock<Arc<AtomicU64>>,
    /// What waits for it on disk, where it spills.
    pub(crate) spilled: OnceLock<Arc<Gauge>>,
}

impl OutputStats {
    fn new(named: &Named) -> Self {
        let Named { id, name } = named.clone();
        Self { id, name, delivery: OnceLock::new(), dropped: OnceLock::new(), spilled: OnceLock::new() }
    }
}

/// Locks, whatever has happened to others who did: these are plain figures, which no panic can leave half done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
