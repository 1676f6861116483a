//! `when_full => drop_newest`: an output that holds nothing up. Its events wait in memory of its own, and when that is used up new ones are dropped.
//!
//! ```text
//! worker ─▶ packs events, and its receipts are acknowledged at once ─▶ room for 4 MiB ─▶ a thread with the output's own writer ─▶ the output
//! ```
//!
//! What it promises: a worker never waits for this output, and neither the pipeline's byte budget nor its cursors do, so the other outputs get everything as if
//! this one were not there. What is dropped is counted and told, and so is what is still here when the pipeline ends. Memory is bounded: the room, a frame for each
//! worker, and what the output holds itself.
//!
//! What it leaves out: receipts. A process that is killed loses what waits here, uncounted; whoever wants it kept puts the output in a pipeline of its own,
//! with a queue on disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::{Mark, Pack, unpack};
use elkhound_pipeline::flow::budget::{Budget, EVENT};
use elkhound_pipeline::flow::meter::{add, read};
use elkhound_pipeline::flow::queue::{Chunk, Order, Queue, queue};
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use elkhound_pipeline::flow::worker::Writer;
use elkhound_pipeline::plan::Plan;
use tracing::{error, warn};

use super::Output;
use super::apart::Apart;
use super::elasticsearch::{Order as SetUpOrder, SettingUp};
use crate::finding::Examination;
use crate::limit::Limit;
use crate::stats::OutputStats;

/// What may wait, in bytes.
const ROOM: usize = 4 << 20;

/// A frame of this size is handed on whatever waits; smaller ones only when nothing does, so that many small frames don't use up the lane.
const FRAME: usize = 64 << 10;

/// How long a frame that is not full waits while another one does.
const PAUSE: Duration = Duration::from_millis(50);

/// The output, with the room before it.
pub(super) struct Dropping {
    /// What the log calls it.
    name: String,
    apart: Apart,
    queue: Queue,
    lost: Arc<Lost>,
}

/// Counts events that the output did not get.
#[derive(Debug)]
struct Lost {
    dropped: Arc<AtomicU64>,
    told: Limit,
}

impl Dropping {
    /// Room before `inner`, which the log calls `name`, and which is all that `plan` leads to.
    pub(super) fn new(name: String, inner: Box<dyn Output>, plan: Plan) -> Self {
        let (queue, mut lanes) = queue(1, Order::Free, Budget::new(ROOM));
        let apart = Apart::new(name.clone(), inner, Arc::new(plan), lanes.remove(0));
        Self { name, apart, queue, lost: Arc::new(Lost::new()) }
    }
}

impl Output for Dropping {
    fn observe(&mut self, stats: &OutputStats) {
        self.apart.inner.observe(stats);
        // Where the output drops events itself, there is one count of all.
        let dropped = Arc::clone(stats.dropped.get_or_init(Arc::default));
        self.lost = Arc::new(Lost { dropped, told: Limit::new() });
    }

    fn examine(&self) -> Examination<'_> {
        self.apart.inner.examine()
    }

    fn set_up<'a>(&'a self, order: &'a SetUpOrder) -> SettingUp<'a> {
        self.apart.inner.set_up(order)
    }

    fn start(&mut self) {
        self.apart.start();
    }

    fn writer(&mut self) -> Box<dyn Writer> {
        let (name, queue, lost) = (self.name.clone(), self.queue.clone(), Arc::clone(&self.lost));
        Box::new(Packer { name, queue, lost, pack: Pack::default(), mark: Mark::default() })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { name, apart, queue, lost } = *self;
        let before = read(&lost.dropped);
        // The thread ends when it has worked off what waits.
        drop(queue);
        Box::pin(async move {
            apart.close().await;
            let left = read(&lost.dropped) - before;
            if left > 0 {
                warn!(
                    output = name,
                    events = left,
                    "an output with `when_full => drop_newest` was not rid of all its events before the end; they are lost"
                );
            }
        })
    }
}

/// One worker's end.
struct Packer {
    name: String,
    queue: Queue,
    lost: Arc<Lost>,
    pack: Pack,
    /// Where the last event began.
    mark: Mark,
}

impl Writer for Packer {
    fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
        if self.pack.bytes() < FRAME || self.hand_on() {
            self.mark = self.pack.mark();
            self.pack.push(event);
        } else {
            self.lost.drops(&self.name);
        }
        receipt.take().into_iter().for_each(Receipt::acknowledge);
    }

    fn take_back(&mut self) {
        self.pack.take_back(self.mark);
    }

    fn tick(&mut self, now: Instant) -> Option<Instant> {
        if self.pack.events() == 0 {
            return None;
        }
        let waits = self.queue.waiting() > 0 && self.pack.bytes() < FRAME;
        if waits || !self.hand_on() { Some(now + PAUSE) } else { None }
    }

    fn finish(&mut self) {
        if self.pack.events() > 0 && !self.hand_on() {
            add(&self.lost.dropped, self.pack.events() as u64);
        }
    }
}

impl Packer {
    /// Hands the frame on, if there is room for it.
    fn hand_on(&mut self) -> bool {
        let events = self.pack.events();
        if !self.queue.has_room() {
            return false;
        }
        let Some(charge) = self.queue.budget().try_charge(self.pack.bytes() + events * EVENT) else { return false };
        let receipt = Receipt::open(Arc::clone(&self.lost) as _, events as u64, Some(charge));
        let mut packed = Vec::with_capacity(self.pack.bytes() + 10);
        self.pack.write(&mut packed);
        // When another worker has taken the last place, or the thread is gone, the receipt counts the events.
        if !self.queue.try_send(0, Box::new(Frame { packed, events, receipt })) {
            self.lost.tell(&self.name);
        }
        true
    }
}

/// Packed events on their way to the output's thread.
struct Frame {
    packed: Vec<u8>,
    events: usize,
    /// Of all of them; it holds their share of the room.
    receipt: Receipt,
}

impl Chunk for Frame {
    fn unpack(self: Box<Self>, events: &mut Vec<Event>) {
        let Self { packed, events: count, receipt } = *self;
        let start = events.len();
        if unpack(&packed, count, events).is_err() {
            events.truncate(start);
            error!(
                events = count,
                "events that waited for an output can't be read, which is a defect of elkhound; they are lost"
            );
            return;
        }
        for event in &mut events[start..] {
            let id = event.id().copied();
            event.set_origin(id, Some(receipt.clone()));
        }
        receipt.acknowledge();
    }

    fn events(&self) -> usize {
        self.events
    }
}

impl Lost {
    fn new() -> Self {
        Self { dropped: Arc::default(), told: Limit::new() }
    }

    fn drops(&self, output: &str) {
        add(&self.dropped, 1);
        self.tell(output);
    }

    fn tell(&self, output: &str) {
        if self.told.pass().is_some() {
            let dropped = read(&self.dropped);
            warn!(
                output,
                dropped,
                "an output can't take its events as they come, and `when_full => drop_newest` has new ones dropped; see what keeps it"
            );
        }
    }
}

/// A chunk's number is how many events it has: what is abandoned was not delivered, or not all of it.
impl Ledger for Lost {
    fn settled(&self, _events: u64) {}

    fn abandoned(&self, events: u64) {
        add(&self.dropped, events);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Gate, event};
    use super::*;

    #[derive(Default)]
    struct Settled(AtomicU64);

    impl Ledger for Settled {
        fn settled(&self, _chunk: u64) {
            add(&self.0, 1);
        }

        fn abandoned(&self, chunk: u64) {
            panic!("{chunk} was abandoned");
        }
    }

    fn started(gate: &Gate) -> (Dropping, Box<dyn Writer>, Arc<AtomicU64>) {
        let plan = Plan::passing(Arc::default(), Box::new(|_| {}), None);
        let mut output = Dropping::new("gate".into(), Box::new(gate.clone()), plan);
        output.start();
        let (writer, dropped) = (output.writer(), Arc::clone(&output.lost.dropped));
        (output, writer, dropped)
    }

    #[tokio::test]
    async fn an_output_that_keeps_up_gets_all_in_order() {
        let gate = Gate::open();
        let (output, mut writer, dropped) = started(&gate);
        for number in 0..1_000 {
            writer.write(&event(number, 100), &mut None);
            writer.tick(Instant::now());
        }
        while writer.tick(Instant::now()).is_some() {}
        writer.finish();
        drop(writer);
        Box::new(output).close().await;
        assert_eq!((gate.taken(), read(&dropped)), ((0..1_000).collect(), 0));
    }

    #[tokio::test]
    async fn one_that_takes_nothing_costs_new_events_only_and_holds_no_receipt() {
        let (gate, settled) = (Gate::default(), Arc::new(Settled::default()));
        let (output, mut writer, dropped) = started(&gate);
        for number in 0..2_000 {
            writer.write(&event(number, 4_000), &mut Some(Receipt::open(settled.clone(), number as u64, None)));
        }
        let lost = read(&dropped);
        assert_eq!(read(&settled.0), 2_000);
        assert!(output.queue.budget().left() < 2 * FRAME && lost > 500, "{lost} dropped");
        gate.opens();
        while writer.tick(Instant::now()).is_some() {
            tokio::task::yield_now().await;
        }
        drop(writer);
        Box::new(output).close().await;
        let taken = gate.taken();
        assert_eq!(taken, (0..taken.len() as i64).collect::<Vec<_>>(), "what came first is kept");
        assert_eq!(taken.len() as u64 + lost, 2_000);
        assert_eq!(read(&dropped), lost, "nothing more is lost by the end");
    }

    #[tokio::test]
    async fn what_the_output_gives_up_is_counted() {
        let gate = Gate::default();
        gate.give_up.cancel();
        let (output, mut writer, dropped) = started(&gate);
        (0..7).for_each(|number| writer.write(&event(number, 10), &mut None));
        writer.finish();
        drop(writer);
        Box::new(output).close().await;
        assert_eq!(read(&dropped), 7);
    }
}
