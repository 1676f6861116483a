//! `when_full => spill`: an output whose events wait on disk, so that it holds nothing up while it takes nothing, and loses nothing either.
//!
//! ```text
//! worker ─▶ queue on disk, and receipts when synced ─▶ a thread with the output's own writer ─▶ the output ─▶ out of the queue
//! ```
//!
//! What it promises: what [`crate::disk_queue`] does. A receipt comes back when its event is synced, so the pipeline, its other outputs and its cursors go on, and what
//! waits here outlives a kill. A queue that is full, and a disk that takes nothing, make the workers wait, as `block` does. Memory is bounded by [`ROOM`]
//! and by the pipeline's own budget, which is charged until the sync.
//!
//! All of the output's events take this way, not only while it takes nothing: so they keep their order, and there is one path to be right.
//!
//! What it leaves out: emptying the queue at the end of its pipeline. What is not delivered [`GRACE`] after that stays on disk for the next start, or the pipeline that takes
//! this one's place; else a backlog would hold up a reload.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::meter::read;
use elkhound_pipeline::flow::queue::{Order, Queue};
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::flow::worker::Writer;
use elkhound_pipeline::plan::Plan;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Output;
use super::apart::Apart;
use super::elasticsearch::{Order as SetUpOrder, SettingUp};
use super::retry::{Retry, Trouble};
use crate::backoff::Backoff;
use crate::claim;
use crate::disk_queue::{self, DiskQueue, Ends, Gauge, Settings};
use crate::finding::Examination;
use crate::stats::OutputStats;

/// What may be in memory on either side of the disk, in bytes.
const ROOM: usize = 4 << 20;

/// So many events are handed on at once; fewer when the worker has nothing else to do.
const PARCEL: usize = 64;

/// How long the output goes on after the end of its pipeline.
const GRACE: Duration = Duration::from_secs(5);

/// What the output is made on.
pub(super) struct Ground {
    /// What the log calls it.
    pub(super) name: String,
    /// Where its queue is, and how it is kept.
    pub(super) queue: Settings,
    /// How often pipelines were loaded before.
    pub(super) round: u64,
    /// Where asynchronous work runs.
    pub(super) runtime: Handle,
    /// Cancelled when the deadline of a stop has passed.
    pub(super) give_up: CancellationToken,
    /// Cancelled to have the output itself leave the rest on disk; that it was made with.
    pub(super) leave: CancellationToken,
}

/// The output, with the disk before it.
pub(super) struct Spilling {
    name: String,
    apart: Apart,
    queue: Queue,
    gauge: Arc<Gauge>,
    /// Taken when it starts.
    waiting: Option<(DiskQueue, Ground)>,
    leave: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl Spilling {
    /// A queue on disk before `inner`, which is all that `plan` leads to; nothing is opened.
    pub(super) fn new(inner: Box<dyn Output>, plan: Plan, ground: Ground) -> Self {
        let plan = Arc::new(plan);
        let (queue, mut lanes, disk) =
            DiskQueue::new(&ground.queue, (1, Order::Free), ROOM, ground.round, Arc::clone(&plan));
        let name = ground.name.clone();
        let apart = Apart::new(name.clone(), inner, plan, lanes.remove(0));
        let (gauge, leave) = (disk.gauge(), ground.leave.clone());
        Self { name, apart, queue, gauge, waiting: Some((disk, ground)), leave, running: None }
    }
}

impl Output for Spilling {
    fn observe(&mut self, stats: &OutputStats) {
        // It is shown once, before the start.
        let _once = stats.spilled.set(Arc::clone(&self.gauge));
        self.apart.inner.observe(stats);
    }

    fn examine(&self) -> Examination<'_> {
        self.apart.inner.examine()
    }

    fn set_up<'a>(&'a self, order: &'a SetUpOrder) -> SettingUp<'a> {
        self.apart.inner.set_up(order)
    }

    fn start(&mut self) {
        self.apart.start();
        if let Some((disk, ground)) = self.waiting.take() {
            self.running = Some(ground.runtime.clone().spawn(keep(disk, ground)));
        }
    }

    fn writer(&mut self) -> Box<dyn Writer> {
        Box::new(Parcels { queue: self.queue.clone(), events: Vec::new() })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { name, apart, queue, gauge, leave, running, .. } = *self;
        drop(queue);
        Box::pin(async move {
            let all = async {
                if let Some(running) = running {
                    // A panic there was told by the queue.
                    let _ended = running.await;
                }
                apart.close().await;
            };
            tokio::pin!(all);
            if timeout(GRACE, &mut all).await.is_err() {
                leave.cancel();
                all.await;
            }
            let left = read(&gauge.events);
            if left > 0 {
                info!(
                    output = name,
                    events = left,
                    "what an output has not taken stays on disk, and is delivered after the next start"
                );
            }
        })
    }
}

/// Opens the queue, however long that takes, and works until its pipeline's workers are gone.
async fn keep(disk: DiskQueue, ground: Ground) {
    let Ground { name, queue: Settings { folder, .. }, round, give_up, leave, .. } = ground;
    // Until the output of the pipeline that was here before has left.
    let Some(_claim) = claim::take(&folder, round, &give_up).await else { return };
    let mut retry =
        Retry::new("spill", Backoff::new(Duration::from_millis(200), Duration::from_secs(10)), give_up.clone());
    while let Err(error) = disk_queue::can_open(&folder) {
        let remedy = "free the disk or mend its rights; `path.queue` puts it elsewhere";
        if !retry.failed(&Trouble::new(folder.display(), error, remedy)).await {
            return;
        }
    }
    let ends = Ends { stop: leave.clone(), leave, give_up };
    if let Err(trouble) = disk.run(ends).await {
        error!(output = name, reason = format!("{trouble:#}"), "an output has no queue on disk");
    }
}

/// One worker's end.
struct Parcels {
    queue: Queue,
    events: Vec<Event>,
}

impl Writer for Parcels {
    fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
        let mut copy = event.duplicate(1);
        copy.set_origin(event.id().copied(), receipt.take());
        self.events.push(copy);
        if self.events.len() >= PARCEL {
            self.finish();
        }
    }

    fn take_back(&mut self) {}

    fn tick(&mut self, _now: Instant) -> Option<Instant> {
        self.finish();
        None
    }

    fn finish(&mut self) {
        if !self.events.is_empty() {
            // The queue is gone when it was given up: the receipts are dropped then, and the events read again.
            let _given_up = self.queue.send_blocking(0, Box::new(std::mem::take(&mut self.events)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use elkhound_pipeline::flow::meter::add;
    use elkhound_pipeline::flow::receipt::Ledger;

    use super::super::testing::{Gate, event};
    use super::*;
    use crate::disk_queue::{Compression, Limits};
    use crate::scratch::Folder;

    #[derive(Default)]
    struct Settled {
        safe: AtomicU64,
        again: AtomicU64,
    }

    impl Ledger for Settled {
        fn settled(&self, _chunk: u64) {
            add(&self.safe, 1);
        }

        fn abandoned(&self, _chunk: u64) {
            add(&self.again, 1);
        }
    }

    /// The output with its queue in a folder, started, and what makes it give up.
    fn started(gate: &Gate, folder: &Path, bytes: u64, round: u64) -> (Spilling, CancellationToken) {
        let limits =
            Limits { page: bytes / 4, bytes, events: 0, acks: 1, writes: 1, interval: Some(Duration::from_millis(20)) };
        let (give_up, leave) = (CancellationToken::new(), gate.give_up.clone());
        let queue = Settings { folder: folder.to_owned(), limits, compression: Compression::None, drain: false };
        let name = "gate".to_owned();
        let ground = Ground { name, queue, round, runtime: Handle::current(), give_up: give_up.clone(), leave };
        let plan = Plan::passing(Arc::default(), Box::new(|_| {}), None);
        let mut output = Spilling::new(Box::new(gate.clone()), plan, ground);
        output.start();
        (output, give_up)
    }

    /// Writes these numbers from a thread, as a worker does.
    fn write(output: &mut Spilling, numbers: std::ops::Range<i64>, settled: &Arc<Settled>) -> thread::JoinHandle<()> {
        let (mut writer, settled) = (output.writer(), Arc::clone(settled));
        thread::spawn(move || {
            for number in numbers {
                writer.write(
                    &event(number, 1000),
                    &mut Some(Receipt::open(Arc::clone(&settled) as _, number as u64, None)),
                );
            }
            writer.finish();
        })
    }

    async fn until(true_at_last: impl Fn() -> bool) {
        while !true_at_last() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn join(thread: thread::JoinHandle<()>) {
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn receipts_come_back_while_the_output_takes_nothing_and_it_gets_all_later_in_order() {
        let (folder, gate, settled) = (Folder::new("spill-later"), Gate::default(), Arc::new(Settled::default()));
        let (mut output, _give_up) = started(&gate, &folder, 100 << 20, 0);
        join(write(&mut output, 0..10_000, &settled)).await;
        until(|| read(&settled.safe) == 10_000).await;
        assert!(gate.taken().is_empty() && read(&output.gauge.events) == 10_000);
        gate.opens();
        until(|| gate.taken().len() == 10_000).await;
        assert_eq!(gate.taken(), (0..10_000).collect::<Vec<_>>());
        Box::new(output).close().await;
        assert_eq!(read(&settled.again), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_not_delivered_is_there_for_the_next_start() {
        let (folder, settled) = (Folder::new("spill-next"), Arc::new(Settled::default()));
        let blocked = Gate::default();
        let (mut output, give_up) = started(&blocked, &folder, 100 << 20, 0);
        join(write(&mut output, 0..500, &settled)).await;
        until(|| read(&settled.safe) == 500).await;
        // The deadline of a stop, of which the output's own token is a child.
        give_up.cancel();
        blocked.give_up.cancel();
        Box::new(output).close().await;
        let gate = Gate::open();
        let (mut output, _give_up) = started(&gate, &folder, 100 << 20, 0);
        join(write(&mut output, 500..600, &settled)).await;
        until(|| gate.taken().len() == 600).await;
        assert_eq!((gate.taken(), blocked.taken()), ((0..600).collect(), vec![]));
        Box::new(output).close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_output_of_the_next_round_goes_on_where_a_blocked_one_has_left_off() {
        let (folder, settled) = (Folder::new("spill-round"), Arc::new(Settled::default()));
        let blocked = Gate::default();
        let (mut old, _deadline) = started(&blocked, &folder, 100 << 20, 0);
        join(write(&mut old, 0..300, &settled)).await;
        until(|| read(&settled.safe) == 300).await;
        let gate = Gate::open();
        let (mut new, _give_up) = started(&gate, &folder, 100 << 20, 1);
        let writing = write(&mut new, 300..400, &settled);
        // It can't deliver, and no deadline is set, as where inputs can't read again.
        Box::new(old).close().await;
        join(writing).await;
        until(|| gate.taken().len() == 400).await;
        assert_eq!((gate.taken(), blocked.taken()), ((0..400).collect(), vec![]));
        Box::new(new).close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_makes_the_worker_wait_and_loses_nothing() {
        let (folder, gate, settled) = (Folder::new("spill-full"), Gate::default(), Arc::new(Settled::default()));
        let (mut output, _give_up) = started(&gate, &folder, 400 << 10, 0);
        let count = 30_000;
        let writing = write(&mut output, 0..count, &settled);
        // As soon as it stands still, the rest waits with the worker.
        let mut safe = 0;
        while safe == 0 || safe != read(&settled.safe) {
            safe = read(&settled.safe);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(safe < 1_000 && !writing.is_finished(), "{safe} are safe");
        gate.opens();
        join(writing).await;
        until(|| gate.taken().len() == count as usize).await;
        assert_eq!(gate.taken(), (0..count).collect::<Vec<_>>());
        Box::new(output).close().await;
        assert_eq!((read(&settled.safe), read(&settled.again)), (count as u64, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_that_can_not_be_opened_is_tried_again() {
        let (folder, gate, settled) = (Folder::new("spill-folder"), Gate::open(), Arc::new(Settled::default()));
        let place = folder.join("queue");
        std::fs::write(&place, "in the way").unwrap();
        let (mut output, _give_up) = started(&gate, &place, 100 << 20, 0);
        join(write(&mut output, 0..10, &settled)).await;
        assert!(gate.taken().is_empty());
        std::fs::remove_file(&place).unwrap();
        until(|| gate.taken().len() == 10).await;
        Box::new(output).close().await;
    }
}
