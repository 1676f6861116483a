//! Inputs: the trait they implement, the table that lists them, and what surrounds every one of them.
//!
//! An input reads its source, opens a receipt for each chunk, and hands chunks to the queue. It stops reading when the queue is
//! full and when it is told to; what it has handed on by then still goes through.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_pipeline::decoration::Decoration;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::budget::EVENT;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use elkhound_pipeline::path::Path;
use elkhound_pipeline::setup::Setup;
use elkhound_pipeline::value::Value;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::finding::Examination;
pub(crate) use crate::option::{Port, option, port};
use crate::stats::InputStats;

pub(crate) mod dead_letter_queue;
pub(crate) mod docker;
pub(crate) mod file;
pub(crate) mod generator;
pub(crate) mod pipeline;
pub(crate) mod stdin;
pub(crate) mod tcp;
pub(crate) mod udp;
pub(crate) mod window;

/// An input, made from its place in the pipeline file.
pub(crate) trait Input: Send {
    /// Reads until the source ends or `stop` is cancelled. An error is trouble that the input can't heal by trying again.
    fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running;

    /// Takes over what of the common options it can do to all its events at once, and gives back what is left to be done to each.
    fn adopt(&mut self, decoration: Decoration) -> Decoration {
        decoration
    }

    /// Takes what it is to count in beside its events, before it runs.
    fn observe(&mut self, stats: &Arc<InputStats>) {
        let _ = stats;
    }

    /// True when the input can read again what was handed on and not acknowledged.
    fn reads_again(&self) -> bool {
        false
    }

    /// False for an input that another one can't go on for in the same process.
    fn is_reloadable(&self) -> bool {
        true
    }

    /// Looks at what it reads from, for `elkhound doctor`; nothing where there is nothing that could be wrong.
    fn examine(&self) -> Examination<'_> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// True for an input that a stop does not end, since those who send to it end first, and it after them.
    fn ends_with_its_senders(&self) -> bool {
        false
    }
}

/// A running input.
pub(crate) type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// What an input's constructor is given beside its options.
pub(crate) struct World<'a> {
    /// ECS mode, files and time.
    pub(crate) setup: &'a Setup<'a>,
    /// Folder for state (`--path.data`).
    pub(crate) data: &'a std::path::Path,
    /// The name of this host.
    pub(crate) host: &'a str,
    /// The input's number among those of its kind in the pipeline, which names its state.
    pub(crate) number: usize,
    /// How often pipelines were loaded before this one.
    pub(crate) round: u64,
    /// The addresses between pipelines.
    pub(crate) bus: &'a Bus,
    /// The pipeline's number on the bus.
    pub(crate) pipeline: usize,
}

/// A row of the table.
pub(crate) struct Kind {
    /// The name in pipeline files; also the file's name.
    pub(crate) name: &'static str,
    /// Its options beside the common ones, sorted by name.
    pub(crate) options: &'static [OptionSpec],
    /// Its documentation.
    pub(crate) docs: &'static str,
    /// Reads the options and makes the input; what is wrong is reported through the cursor.
    pub(crate) build: fn(&mut Options<'_>, &World<'_>) -> Option<Box<dyn Input>>,
}

/// What `ecs_compatibility` may be.
pub(crate) const ECS_MODES: OptionKind = OptionKind::OneOf(&["disabled", "v1", "v8"]);

/// All inputs, sorted by name.
pub(crate) const KINDS: &[&Kind] = &[
    &dead_letter_queue::KIND,
    &docker::KIND,
    &file::KIND,
    &generator::KIND,
    &pipeline::KIND,
    &stdin::KIND,
    &tcp::KIND,
    &udp::KIND,
];

/// The input called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).copied()
}

/// The ledger of a source that can't be read again: there is nothing to advance.
pub(crate) struct NoLedger;

impl Ledger for NoLedger {
    fn settled(&self, _chunk: u64) {}

    fn abandoned(&self, _chunk: u64) {}
}

/// Charges the budget for `events` of about `bytes` and hands them on with receipts that nobody waits for; false when the pipeline is closed.
pub(crate) async fn hand_on(queue: &Queue, source: u64, mut events: Vec<Event>, bytes: usize) -> bool {
    if events.is_empty() {
        return true;
    }
    let charge = queue.charge(bytes).await;
    with_receipt(&mut events, Receipt::open(Arc::new(NoLedger), 0, Some(charge)));
    queue.send(source, Box::new(events)).await.is_ok()
}

/// Gives each event a receipt of the chunk that `receipt` is of.
pub(crate) fn with_receipt(events: &mut [Event], receipt: Receipt) {
    for event in events {
        let id = event.id().copied();
        event.set_origin(id, Some(receipt.clone()));
    }
    receipt.acknowledge();
}

/// What events that were decoded from so many bytes take from the budget.
pub(crate) fn cost(events: &[Event], bytes: usize) -> usize {
    bytes + events.len() * EVENT
}

/// Sets a field unless the event has brought it along.
pub(crate) fn fill(event: &mut Event, name: &Path, value: &Value) {
    if event.get(name).is_none_or(|there| matches!(there, Value::Null | Value::Bool(false))) {
        // Below a plain value, as [host][ip] where `host` is a text, there is no room, in Logstash neither.
        let _no_room = event.set(name, value.clone());
    }
}

/// A field whose name stands in this program.
pub(crate) fn known(name: &str) -> Path {
    Path::parse(name).expect("names of fields that stand in the program are field references")
}
