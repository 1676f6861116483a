//! Takes events from other pipelines of the same elkhound, which send them with their `pipeline` output.
//!
//! ## Options
//!
//! - `address` (text, required): the name that `send_to` of the outputs has. One input listens on an address, over all pipelines.
//!
//! ## Example
//!
//! ```text
//! input { pipeline { address => "archive" } }
//! output { elasticsearch { hosts => ["http://elasticsearch:9200"] } }
//! ```
//!
//! takes what another pipeline sends with `output { pipeline { send_to => ["archive"] } }`. The pipelines are listed in `pipelines.yml`.
//!
//! ## On failure
//!
//! When this pipeline can't go on, its senders wait, and with them their sources. The source of an event counts it as delivered only when the
//! outputs of this pipeline have it.
//!
//! ## Differences from Logstash
//!
//! A `pipeline` input ends when everybody who sends to it has ended: on a stop pipelines are emptied one after the other, those that
//! send first. Pipelines that send to each other in a circle are refused by `-t`.

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_pipeline::flow::queue::Queue;
use flume::Receiver;
use tokio_util::sync::CancellationToken;

use super::{Input, Kind, Running, World};
use crate::bus::Parcel;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "pipeline",
    options: &[OptionSpec {
        name: "address",
        kind: OptionKind::String,
        default: "",
        required: true,
        help: "the name that senders have in `send_to`",
    }],
    docs: elkhound_pipeline::docs::head(include_str!("pipeline.rs")),
    build,
};

fn build(options: &mut Options<'_>, world: &World<'_>) -> Option<Box<dyn Input>> {
    let address = options.text("address")?;
    match world.bus.listen(&address, world.pipeline, options.span("address")) {
        Ok(parcels) => Some(Box::new(PipelineInput { parcels })),
        Err(other) => {
            let message = format!("the pipeline `{other}` listens on the address `{address}` already");
            options.fail("address", &message, "give each `pipeline` input an address of its own");
            None
        }
    }
}

struct PipelineInput {
    parcels: Receiver<Parcel>,
}

impl Input for PipelineInput {
    /// The events keep the receipts and the bytes that they were charged with.
    fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running {
        Box::pin(async move {
            loop {
                let parcel = tokio::select! {
                    parcel = self.parcels.recv_async() => parcel,
                    // What an ended address still holds is nobody else's.
                    () = stop.cancelled(), if !self.parcels.is_disconnected() => break,
                };
                let Ok(Parcel { source, events }) = parcel else { break };
                if queue.send(source, Box::new(events)).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn ends_with_its_senders(&self) -> bool {
        true
    }
}
