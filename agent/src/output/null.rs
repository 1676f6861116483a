//! Takes events and does nothing with them: they are acknowledged at once. For measuring, and for pipelines whose filters do the work.
//!
//! ## Options
//!
//! - `codec` (default `plain`): accepted; nothing is written.
//!
//! ## Example
//!
//! ```text
//! output { null {} }
//! ```

use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Instant;

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_pipeline::codec::{self, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::flow::worker::Writer;

use super::{Kind, Output, World};

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "null",
    options: &[OptionSpec {
        name: "codec",
        kind: OptionKind::Codec,
        default: "plain",
        required: false,
        help: "accepted; nothing is written",
    }],
    docs: elkhound_pipeline::docs::head(include_str!("null.rs")),
    build,
};

fn build(options: &mut Options<'_>, world: &World<'_>) -> Option<Box<dyn Output>> {
    codec::read(options, "plain", Usage::Write, world.setup)?;
    Some(Box::new(Null))
}

struct Null;

impl Output for Null {
    fn writer(&mut self) -> Box<dyn Writer> {
        Box::new(Null)
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(ready(()))
    }
}

impl Writer for Null {
    fn write(&mut self, _event: &Event, receipt: &mut Option<Receipt>) {
        receipt.take().into_iter().for_each(Receipt::acknowledge);
    }

    fn take_back(&mut self) {}

    fn tick(&mut self, _now: Instant) -> Option<Instant> {
        None
    }

    fn finish(&mut self) {}
}
