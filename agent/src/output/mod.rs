//! Outputs: the trait they implement and the table that lists them.
//!
//! An output has two halves. Its writers, one for each worker, encode events on the worker's thread and close batches by size
//! or age ([`Writer`]). The output itself lives on the runtime, takes closed batches over a bounded channel, and
//! acknowledges receipts. When it can't take more, the channel is full, the writer blocks, and with it the worker; `when_full` can put
//! a room before it that drops instead.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_pipeline::flow::worker::Writer;
use elkhound_pipeline::plan::{Plan, SetAside};
use elkhound_pipeline::setup::Setup;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::dropping::Dropping;
use self::elasticsearch::{Order, SettingUp};
use crate::bus::Bus;
use crate::dead_letters::{self, DeadLetters};
use crate::finding::Examination;
use crate::option::{option, required};
use crate::stats::OutputStats;

mod batches;
mod dropping;
pub(crate) mod elasticsearch;
mod file;
mod null;
pub(crate) mod pipeline;
mod retry;
pub(crate) mod stdout;
mod tcp;
mod udp;

/// An output, made from its place in the pipeline file. Making it opens and starts nothing, for `-t` makes all of them.
pub(crate) trait Output: Send {
    /// Shows what it counts beside its events, before it is started.
    fn observe(&mut self, stats: &OutputStats) {
        let _ = stats;
    }

    /// Looks at what it writes to, for `elkhound doctor`; nothing where there is nothing that could be wrong.
    fn examine(&self) -> Examination<'_> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Has what it writes to hold what documents need there, for `elkhound setup`; nothing where nothing is needed.
    fn set_up<'a>(&'a self, order: &'a Order) -> SettingUp<'a> {
        let _ = order;
        Box::pin(std::future::ready(None))
    }

    /// Starts what works behind the writers; called once, before the first of them is asked for.
    fn start(&mut self) {}

    /// The half that one worker writes to.
    fn writer(&mut self) -> Box<dyn Writer>;

    /// Waits until everything that the writers handed on is acknowledged; called after the last writer has finished.
    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// What an output's constructor is given beside its options.
#[derive(Clone)]
pub(crate) struct World<'a> {
    /// ECS mode, files and time.
    pub(crate) setup: &'a Setup<'a>,
    /// Where asynchronous work runs.
    pub(crate) runtime: Handle,
    /// Cancelled when the deadline of a stop has passed: give up and leave receipts unacknowledged.
    pub(crate) give_up: CancellationToken,
    /// The addresses between pipelines.
    pub(crate) bus: Arc<Bus>,
    /// The pipeline's number on the bus.
    pub(crate) pipeline: usize,
    /// The output's number in the pipeline.
    pub(crate) number: usize,
    /// The indices that the pipeline's elasticsearch outputs write to.
    pub(crate) claims: Arc<elasticsearch::Claims>,
    /// Where events go that are refused for good, when the settings say so.
    pub(crate) dead_letters: Option<Arc<DeadLetters>>,
}

impl World<'_> {
    /// What brings events on which something panics to the pipeline's dead letter queue, where there is one.
    pub(crate) fn set_aside(&self) -> Option<SetAside> {
        let queue = Arc::clone(self.dead_letters.as_ref()?);
        Some(dead_letters::set_aside(queue, self.runtime.clone(), self.give_up.clone()))
    }
}

/// A row of the table.
pub(crate) struct Kind {
    /// The name in pipeline files; also the file's name.
    pub(crate) name: &'static str,
    /// Its options, sorted by name.
    pub(crate) options: &'static [OptionSpec],
    /// Its documentation.
    pub(crate) docs: &'static str,
    /// Reads the options and makes the output; what is wrong is reported through the cursor.
    pub(crate) build: fn(&mut Options<'_>, &World<'_>) -> Option<Box<dyn Output>>,
}

/// All outputs, sorted by name.
pub(crate) const KINDS: &[&Kind] =
    &[&elasticsearch::KIND, &file::KIND, &null::KIND, &pipeline::KIND, &stdout::KIND, &tcp::KIND, &udp::KIND];

/// The option that says what happens while an output takes nothing.
pub(crate) const WHEN_FULL: OptionSpec = option(
    "when_full",
    OptionKind::OneOf(&["block", "drop_newest", "spill"]),
    "block",
    "while the output takes nothing: all of the pipeline waits, or its new events are dropped",
);

/// Puts what `when_full` asks for before an output that the log calls `name`; `plan` makes one that leads to that output alone.
pub(crate) fn when_full(
    options: &mut Options<'_>,
    name: &str,
    plan: impl FnOnce() -> Plan,
    output: Box<dyn Output>,
) -> Box<dyn Output> {
    match options.text_or("when_full", "block").as_str() {
        "drop_newest" => Box::new(Dropping::new(name.to_owned(), output, plan())),
        "spill" => {
            let remedy = "put the output in a pipeline of its own with `queue.type: persisted`, and `pipeline { send_to => … }` in its place here; or write `drop_newest`";
            options.fail("when_full", "an output has no disk of its own to spill to", remedy);
            output
        }
        _ => output,
    }
}

/// The output called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).copied()
}
