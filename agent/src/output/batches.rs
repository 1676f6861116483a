//! What the outputs `file`, `tcp` and `udp` have in common: a worker's writer encodes events and keeps them with their receipts, a task on the
//! runtime brings batches of them to their place and acknowledges.
//!
//! The channel between them holds one batch. While the task tries again and again to be rid of one, the channel is full, writers block, and
//! with them the workers: nothing is dropped, and nothing is acknowledged before it is where it belongs. A task that gives up ends; what the
//! writers still bring is then abandoned unacknowledged, and read again after the next start.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use elkhound_pipeline::codec::Codec;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::flow::worker::Writer;
use flume::{Receiver, Sender};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::guard::Guard;
use super::{Output, World};
use crate::stats::OutputStats;

/// Receipts of events that are on their way. Dropped, they leave their events to be read again.
#[derive(Debug, Default)]
pub(crate) struct Receipts(Vec<Receipt>);

impl Receipts {
    /// Takes over the receipts of others.
    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// The events are safe.
    pub(crate) fn acknowledge(&mut self) {
        self.0.drain(..).for_each(Receipt::acknowledge);
    }
}

/// Encoded events, with what the output wants to know of each.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    /// The bytes of all events.
    pub(crate) bytes: Vec<u8>,
    /// What is known of each event, and where its bytes end; they begin where those of the one before end.
    pub(crate) events: Vec<(T, usize)>,
    /// Their receipts.
    pub(crate) receipts: Receipts,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { bytes: Vec::new(), events: Vec::new(), receipts: Receipts::default() }
    }
}

impl<T> Batch<T> {
    /// Each event: what is known of it, and its bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&T, &[u8])> {
        let mut start = 0;
        self.events.iter().map(move |(about, end)| {
            let bytes = &self.bytes[start..*end];
            start = *end;
            (about, bytes)
        })
    }
}

#[cfg(test)]
impl<T> Batch<T> {
    /// A batch without receipts.
    pub(crate) fn of<'a>(events: impl IntoIterator<Item = (T, &'a str)>) -> Self {
        let mut batch = Self::default();
        for (about, text) in events {
            batch.bytes.extend_from_slice(text.as_bytes());
            batch.events.push((about, batch.bytes.len()));
        }
        batch
    }
}

/// Says what the output wants to know of an event.
type About<T> = Arc<dyn Fn(&Event) -> T + Send + Sync>;

/// The output: makes writers, runs the task, and waits for it.
pub(crate) struct Batches<T> {
    codec: Arc<dyn Codec>,
    about: About<T>,
    sender: Sender<Batch<T>>,
    runtime: Handle,
    /// Taken when it starts.
    task: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    running: Option<JoinHandle<()>>,
    /// Counts events that are dropped, where some may be.
    dropped: Option<Arc<AtomicU64>>,
}

impl<T: Send + 'static> Batches<T> {
    /// An output whose events are encoded with `codec` and handed to what `task` makes, once it is started.
    pub(crate) fn new<F>(
        codec: Arc<dyn Codec>,
        about: impl Fn(&Event) -> T + Send + Sync + 'static,
        world: &World<'_>,
        task: impl FnOnce(Receiver<Batch<T>>) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, batches) = flume::bounded(1);
        let (about, runtime) = (Arc::new(about), world.runtime.clone());
        let (guard, task) = (Guard::new(&world.broken), task(batches));
        let guarded = async move {
            let _guard = guard;
            task.await;
        };
        Self { codec, about, sender, runtime, task: Some(Box::pin(guarded)), running: None, dropped: None }
    }

    /// The same, which shows how many events it has dropped.
    pub(crate) fn that_drops(self, dropped: Arc<AtomicU64>) -> Self {
        Self { dropped: Some(dropped), ..self }
    }
}

impl<T: Send + 'static> Output for Batches<T> {
    fn observe(&mut self, stats: &OutputStats) {
        if let Some(dropped) = &self.dropped {
            // It is shown once, before the start.
            let _once = stats.dropped.set(Arc::clone(dropped));
        }
    }

    fn start(&mut self) {
        self.running = self.task.take().map(|task| self.runtime.spawn(task));
    }

    fn writer(&mut self) -> Box<dyn Writer> {
        let (codec, about, sender) = (Arc::clone(&self.codec), Arc::clone(&self.about), self.sender.clone());
        Box::new(BatchWriter { codec, about, sender, batch: Batch::default() })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { sender, running, .. } = *self;
        drop(sender);
        Box::pin(async move {
            if let Some(running) = running {
                // A panic was told by its guard.
                let _ended = running.await;
            }
        })
    }
}

/// A batch of this size is handed on at once, others when the worker has nothing else to do.
const BYTES: usize = 256 << 10;

struct BatchWriter<T> {
    codec: Arc<dyn Codec>,
    about: About<T>,
    sender: Sender<Batch<T>>,
    batch: Batch<T>,
}

impl<T: Send> Writer for BatchWriter<T> {
    fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
        self.codec.encode(event, &mut self.batch.bytes);
        self.batch.events.push(((self.about)(event), self.batch.bytes.len()));
        self.batch.receipts.0.extend(receipt.take());
        if self.batch.bytes.len() >= BYTES {
            self.finish();
        }
    }

    fn take_back(&mut self) {
        self.batch.bytes.truncate(self.batch.events.last().map_or(0, |(_, end)| *end));
    }

    fn tick(&mut self, _now: Instant) -> Option<Instant> {
        self.finish();
        None
    }

    fn finish(&mut self) {
        if !self.batch.events.is_empty() {
            // An error means that the task has given up: the receipts are dropped with the batch, as they have to be.
            let _given_up = self.sender.send(std::mem::take(&mut self.batch));
        }
    }
}
