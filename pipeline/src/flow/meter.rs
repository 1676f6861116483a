//! What has gone through a pipeline, counted where it passes: for the monitoring API.
//!
//! Counting must cost nothing that can be measured. Whoever works on events counts in plain numbers of its own and adds them here once
//! for each chunk or batch. Time is taken for whole batches; how it is shared among filters and outputs is sampled: one event
//! in [`SAMPLE`] is timed on each step of its way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// One event in so many is timed. A prime, so that no rhythm in the events falls in with it.
pub const SAMPLE: u32 = 61;

/// What one input has handed on.
#[derive(Debug, Default)]
pub struct SourceMeter {
    /// Events that the queue has taken.
    pub events: AtomicU64,
    /// How long the input has waited for room in the queue and in the byte budget.
    pub push_nanos: AtomicU64,
}

/// What the workers of a pipeline have done.
#[derive(Debug, Default)]
pub struct FlowMeter {
    /// Events that have gone through the filters.
    pub entered: AtomicU64,
    /// Events that could not be unpacked, for a defect.
    pub lost: AtomicU64,
    /// Events that have left the filters, with those that filters have made and without those that they dropped.
    pub filtered: AtomicU64,
    /// Events that were handed to the writers.
    pub left: AtomicU64,
    /// Batches.
    pub batches: AtomicU64,
    /// How long workers have worked on batches, waiting for outputs included.
    pub nanos: AtomicU64,
    /// That part of it in which events were handed to the writers.
    pub writing_nanos: AtomicU64,
    /// Each output's share, in the order of the plan.
    pub outputs: Vec<OutputMeter>,
}

/// What went to one output.
#[derive(Debug, Default)]
pub struct OutputMeter {
    /// Events.
    pub events: AtomicU64,
    /// How long sampled events took.
    pub sampled_nanos: AtomicU64,
}

impl FlowMeter {
    /// A meter for a plan with so many outputs.
    pub fn new(outputs: usize) -> Self {
        Self { outputs: (0..outputs).map(|_| OutputMeter::default()).collect(), ..Self::default() }
    }

    /// How long the output of this number took: its share of the time for writing, as sampled.
    pub fn output_nanos(&self, output: usize) -> u64 {
        let all: u64 = self.outputs.iter().map(|output| read(&output.sampled_nanos)).sum();
        let own = self.outputs.get(output).map_or(0, |output| read(&output.sampled_nanos));
        scaled(read(&self.writing_nanos), own, all)
    }
}

/// `whole` times `part` of `all`, and nothing of nothing.
pub fn scaled(whole: u64, part: u64, all: u64) -> u64 {
    let exact = u128::from(whole) * u128::from(part) / u128::from(all.max(1));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

/// The value of a counter.
pub fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// Nanoseconds since `began`.
pub fn since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Picks the events that are timed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sampler {
    passed: u32,
}

impl Sampler {
    /// Whether the next event is timed; the first one is.
    #[inline]
    pub fn picks(&mut self) -> bool {
        let picks = self.passed == 0;
        self.passed = if self.passed + 1 == SAMPLE { 0 } else { self.passed + 1 };
        picks
    }
}

/// What one worker hands to each output in a batch, until it is added to the pipeline's meter.
#[derive(Debug, Default)]
pub struct Written {
    by_output: Vec<(u64, u64)>,
}

impl Written {
    /// Nothing yet for so many outputs.
    pub fn new(outputs: usize) -> Self {
        Self { by_output: vec![(0, 0); outputs] }
    }

    /// One event goes to `output`; `write` is timed if `timed`.
    #[inline]
    pub fn time(&mut self, output: usize, timed: bool, write: impl FnOnce()) {
        let own = &mut self.by_output[output];
        own.0 += 1;
        if timed {
            let began = Instant::now();
            write();
            own.1 += since(began);
        } else {
            write();
        }
    }

    /// Adds all of it to `meter`.
    pub fn account(&mut self, meter: &FlowMeter) {
        for (own, output) in self.by_output.iter_mut().zip(&meter.outputs) {
            if own.0 > 0 {
                add(&output.events, own.0);
                add(&output.sampled_nanos, own.1);
                *own = (0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_in_so_many_is_timed() {
        let mut sampler = Sampler::default();
        let picked: Vec<u32> = (0..3 * SAMPLE).filter(|_| sampler.picks()).collect();
        assert_eq!(picked, [0, SAMPLE, 2 * SAMPLE]);
    }

    #[test]
    fn the_time_for_writing_is_shared_as_sampled() {
        let meter = FlowMeter::new(2);
        add(&meter.writing_nanos, 1000);
        assert_eq!((meter.output_nanos(0), meter.output_nanos(9)), (0, 0));
        add(&meter.outputs[0].sampled_nanos, 1);
        add(&meter.outputs[1].sampled_nanos, 3);
        assert_eq!((meter.output_nanos(0), meter.output_nanos(1)), (250, 750));
    }
}
