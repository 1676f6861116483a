//! Outputs: the trait they implement and the table that lists them.
//!
//! An output has two halves. Its writers, one for each worker, encode events on the worker's thread and close batches by size
//! or age ([`Writer`]). The output itself lives on the runtime, takes closed batches over a bounded channel, and
//! acknowledges receipts. When it can't take more, the channel is full, the writer blocks, and with it the worker; `when_full` can put
//! a room before it that drops instead, or a disk.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_pipeline::flow::worker::Writer;
use elkhound_pipeline::plan::{PlacedOutput, Plan, SetAside};
use elkhound_pipeline::setup::Setup;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::dropping::Dropping;
use self::elasticsearch::{Order, SettingUp};
use self::spilling::{Ground, Spilling};
use crate::bus::Bus;
use crate::dead_letters::{self, DeadLetters};
use crate::disk_queue;
use crate::finding::Examination;
use crate::line::folder_name;
use crate::option::{option, required};
use crate::stats::OutputStats;

mod apart;
mod batches;
mod dropping;
pub(crate) mod elasticsearch;
mod file;
mod guard;
mod null;
pub(crate) mod pipeline;
mod retry;
mod spilling;
pub(crate) mod stdout;
mod tcp;
#[cfg(test)]
mod testing;
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
    /// Cancelled by an output of which a part has panicked: its pipeline ends.
    pub(crate) broken: CancellationToken,
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
    /// Where outputs that spill keep their events, each in a folder of its own.
    pub(crate) spill: &'a disk_queue::Settings,
    /// How often pipelines were loaded before.
    pub(crate) round: u64,
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
    "while the output takes nothing: all of the pipeline waits, or its new events are dropped, or its events wait on disk",
);

/// Puts what `when_full` asks for before the output at `placed`. `plan` makes one that leads to that output alone; the output was made to give up on `leave`, which is
/// cancelled with that of `world` at the latest.
pub(crate) fn when_full(
    options: &mut Options<'_>,
    placed: &PlacedOutput,
    plan: impl FnOnce() -> Plan,
    (output, leave): (Box<dyn Output>, CancellationToken),
    world: &World<'_>,
) -> Box<dyn Output> {
    let queue =
        disk_queue::Settings { folder: world.spill.folder.join(folder_name(&placed.id)), ..world.spill.clone() };
    let name = placed.id.clone();
    match options.text_or("when_full", "block").as_str() {
        "drop_newest" => Box::new(Dropping::new(name, output, plan())),
        "spill" if !options.was_set("id") => {
            let help = "give it an `id`, by which its events are found again after a restart, also when outputs have come or gone";
            options.fail("when_full", "an output without a name has no place on disk", help);
            output
        }
        "spill" => {
            let (runtime, give_up) = (world.runtime.clone(), world.give_up.clone());
            let ground = Ground { name, queue, round: world.round, runtime, give_up, leave };
            Box::new(Spilling::new(output, plan(), ground))
        }
        _ => {
            warn_of_left(options, &queue.folder);
            output
        }
    }
}

/// Events that wait on disk for an output that does not spill any more.
fn warn_of_left(options: &mut Options<'_>, folder: &Path) {
    let bytes = if options.was_set("id") { disk_queue::left_in(folder) } else { 0 };
    if bytes > 0 {
        let message = format!("{} holds {bytes} bytes of events for this output, which stay there", folder.display());
        options.warn("id", &message, "write `when_full => spill` to have them delivered, or remove the folder");
    }
}

/// The output called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).copied()
}
