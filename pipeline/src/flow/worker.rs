//! A worker: takes chunks, runs the plan over their events, and hands each event to the writers of its outputs.
//!
//! A batch that takes longer than a [`Turn`] is cut between two events, and what is left of it goes back to the lane, where its sources have their turns again.
//!
//! Each worker is one thread with a context and writers of its own, so that nothing on the way of an event is locked. A panic
//! caused by one event is caught: in a filter or a condition by the plan, in a writer by `handing.rs`; `plan/panicked.rs` says what becomes of the event. One in a chunk that is
//! unpacked costs that chunk: `queue.rs`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handing::Handing;
use super::meter::{self, FlowMeter, Written};
use super::queue::{Lane, Next, Sent, unpack};
use super::receipt::Receipt;
use super::turn::Turn;
use crate::event::Event;
use crate::filter::Context;
use crate::plan::Plan;
use crate::time::Timestamp;

/// Holds an output's batch of one worker: encodes events into it and hands it on when it is large or old enough.
pub trait Writer: Send {
    /// Adds an event. Blocks while the output can't take more: that is the back-pressure. The receipt is taken when the event is in the
    /// batch, and acknowledged when the far end has it.
    fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>);

    /// `write` has panicked: takes back what it has written of that event, so that the batch is as it was before.
    fn take_back(&mut self);

    /// Hands the batch on if it is too old at `now`; returns when to ask again, if anything is waiting.
    fn tick(&mut self, now: Instant) -> Option<Instant>;

    /// Hands on whatever is there.
    fn finish(&mut self);
}

/// One worker's thread.
pub struct Worker {
    /// Where chunks come from.
    pub lane: Lane,
    /// What happens to their events.
    pub plan: Arc<Plan>,
    /// One writer for each output of the plan, in its order.
    pub writers: Vec<Box<dyn Writer>>,
    /// The most events that are worked on at a time (`pipeline.batch.size`).
    pub batch_size: usize,
    /// How long to wait for that many (`pipeline.batch.delay`). Zero takes what is there: outputs gather their requests by bytes and age
    /// themselves, so that waiting here seldom buys more than latency.
    pub batch_delay: Duration,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// Counts what goes through; shared with the other workers of the pipeline.
    pub meter: Arc<FlowMeter>,
}

/// What a worker has taken up.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    /// The sources, with the number of the first event of each chunk.
    chunks: Vec<(u64, usize)>,
    /// How many events could not be unpacked.
    lost: usize,
}

impl Batch {
    fn add(&mut self, Sent { source, chunk }: Sent) {
        self.chunks.push((source, self.events.len()));
        self.lost += unpack(chunk, &mut self.events);
    }

    /// Gives what is left, from event number `done` on, back to its sources; the last chunk first, so that they stand in their order again.
    fn give_back(&mut self, mut left: Vec<Event>, done: usize, lane: &Lane) {
        for (source, first) in self.chunks.drain(..).rev() {
            let events = left.split_off(first.saturating_sub(done).min(left.len()));
            if !events.is_empty() {
                lane.give_back(Sent { source, chunk: Box::new(events) });
            }
        }
    }
}

impl Worker {
    /// Works until all inputs are gone and the queue is empty, then finishes the writers.
    pub fn run(mut self) {
        let mut cx = Context::default();
        let mut batch = Batch::default();
        let mut deadline = None;
        let mut written = Written::new(self.writers.len());
        loop {
            match self.lane.next(deadline) {
                Next::Chunk(sent) => {
                    batch.add(sent);
                    self.fill(&mut batch, deadline);
                    self.work(&mut batch, &mut written, &mut cx);
                }
                Next::Nothing => {}
                Next::Closed => break,
            }
            deadline = self.tick();
        }
        let mut events = batch.events;
        self.plan.finish(&mut events, &mut cx);
        self.deliver(&mut events, &mut written, &mut cx);
        self.plan.account(&mut cx);
        self.writers.iter_mut().for_each(|writer| writer.finish());
    }

    /// Adds what is waiting already, up to the batch size, and what comes within the batch's delay. A writer whose batch is due at
    /// `due` is not made to wait.
    fn fill(&self, batch: &mut Batch, due: Option<Instant>) {
        while batch.events.len() < self.batch_size {
            let Some(sent) = self.lane.try_next() else { break };
            batch.add(sent);
        }
        if self.batch_delay.is_zero() || batch.events.len() >= self.batch_size {
            return;
        }
        let end = Instant::now() + self.batch_delay;
        let end = due.map_or(end, |due| due.min(end));
        while batch.events.len() < self.batch_size {
            // A lane that is closed is found closed again by whoever called.
            let Next::Chunk(sent) = self.lane.next(Some(end)) else { return };
            batch.add(sent);
        }
    }

    fn work(&mut self, batch: &mut Batch, written: &mut Written, cx: &mut Context) {
        self.account_lost(std::mem::take(&mut batch.lost));
        let began = Instant::now();
        cx.now = (self.clock)();
        cx.turn = Turn::begin(began, cx.scratch.spent());
        let taken = batch.events.len();
        let plan = Arc::clone(&self.plan);
        let left = plan.filter(&mut batch.events, cx);
        let done = taken - left.len();
        batch.give_back(left, done, &self.lane);
        meter::add(&self.meter.entered, done as u64);
        meter::add(&self.meter.batches, 1);
        self.deliver(&mut batch.events, written, cx);
        plan.account(cx);
        meter::add(&self.meter.nanos, meter::since(began));
    }

    fn deliver(&mut self, events: &mut Vec<Event>, written: &mut Written, cx: &mut Context) {
        let (began, count) = (Instant::now(), events.len() as u64);
        meter::add(&self.meter.filtered, count);
        Handing { plan: &self.plan, writers: &mut self.writers, written, cx }.hand_out(events.drain(..));
        written.account(&self.meter);
        meter::add(&self.meter.left, count);
        meter::add(&self.meter.writing_nanos, meter::since(began));
    }

    fn account_lost(&self, events: usize) {
        if events > 0 {
            meter::add(&self.meter.lost, events as u64);
            self.plan.lost(events);
        }
    }

    fn tick(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.writers.iter_mut().filter_map(|writer| writer.tick(now)).min()
    }
}

/// Runs `work`, turning a panic into `false`. What `work` changes must bear to be left half changed.
pub fn survives(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use super::*;
    use crate::filter::testing;
    use crate::flow::budget::Budget;
    use crate::flow::queue::{Order, Queue, queue};

    /// Writes down how many events each batch has.
    #[derive(Default)]
    struct Recorder {
        events: usize,
        batches: Arc<Mutex<Vec<usize>>>,
    }

    impl Writer for Recorder {
        fn write(&mut self, _event: &Event, receipt: &mut Option<Receipt>) {
            self.events += 1;
            drop(receipt.take());
        }

        fn take_back(&mut self) {}

        fn tick(&mut self, _now: Instant) -> Option<Instant> {
            self.finish();
            None
        }

        fn finish(&mut self) {
            if self.events > 0 {
                self.batches.lock().unwrap().push(std::mem::take(&mut self.events));
            }
        }
    }

    /// The batches of two events, the second sent when `ready` says so.
    fn batches(delay: Duration, ready: fn(&Queue, &[usize]) -> bool) -> Vec<usize> {
        let (queue, mut lanes) = queue(1, Order::Free, Budget::new(1 << 20));
        let recorder = Recorder::default();
        let batches = Arc::clone(&recorder.batches);
        let worker = Worker {
            lane: lanes.remove(0),
            plan: Arc::new(testing::plan("output { stdout { } }")),
            writers: vec![Box::new(recorder)],
            batch_size: 2,
            batch_delay: delay,
            clock: Timestamp::default,
            meter: Arc::new(FlowMeter::new(1)),
        };
        let running = thread::spawn(|| worker.run());
        queue.send_blocking(0, Box::new(vec![Event::default()])).unwrap();
        while !ready(&queue, &batches.lock().unwrap()) {
            thread::yield_now();
        }
        queue.send_blocking(0, Box::new(vec![Event::default()])).unwrap();
        drop(queue);
        running.join().unwrap();
        batches.lock().unwrap().clone()
    }

    fn numbered(numbers: std::ops::Range<i64>) -> Vec<Event> {
        let event = |number: i64| {
            let mut event = Event::default();
            event.set_field("n".into(), number.into());
            event
        };
        numbers.map(event).collect()
    }

    fn numbers(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| format!("{:?}", event.field("n").unwrap())).collect()
    }

    #[test]
    fn what_a_turn_was_too_short_for_goes_back_to_its_sources_in_order() {
        let (queue, lanes) = queue(1, Order::Free, Budget::new(1 << 20));
        for done in 0..=20 {
            let mut batch = Batch::default();
            for (source, events) in [(7, 0..5), (8, 5..12), (7, 12..20)] {
                batch.add(Sent { source, chunk: Box::new(numbered(events)) });
            }
            queue.send_blocking(7, Box::new(numbered(20..22))).unwrap();
            let left = batch.events.split_off(done);
            batch.give_back(left, done, &lanes[0]);
            let mut again: Vec<(u64, Vec<Event>)> = vec![(7, Vec::new()), (8, Vec::new())];
            while let Some(Sent { source, chunk }) = lanes[0].try_next() {
                let of_source = again.iter_mut().find(|again| again.0 == source).unwrap();
                chunk.unpack(&mut of_source.1);
            }
            let left = |from: i64, to: i64| from.max(done as i64)..to.max(done as i64);
            let first = [left(0, 5), left(12, 20), 20..22].into_iter().flat_map(numbered).collect::<Vec<Event>>();
            assert_eq!(numbers(&again[0].1), numbers(&first), "{done} were done");
            assert_eq!(numbers(&again[1].1), numbers(&numbered(left(5, 12))), "{done} were done");
        }
    }

    #[test]
    fn a_worker_waits_for_its_batch_only_when_told_to() {
        assert_eq!(batches(Duration::ZERO, |_, batches| !batches.is_empty()), [1, 1]);
        assert_eq!(batches(Duration::from_secs(600), |queue, _| queue.waiting() == 0), [2]);
    }
}
