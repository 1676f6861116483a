//! Writes each event to standard output: for trying a pipeline by hand.
//!
//! ## Options
//!
//! - `codec` (default `rubydebug`): how an event is written. `rubydebug` is coloured on a terminal; `json` writes nothing between two events,
//!   `json_lines` a line feed.
//!
//! ## Example
//!
//! ```text
//! output { stdout { codec => json_lines } }
//! ```
//!
//! ## On failure
//!
//! When standard output is closed, as by `| head`, events are still acknowledged and elkhound goes on.
//!
//! ## Differences from Logstash
//!
//! Colours follow the terminal and the `NO_COLOR` variable.

use std::future::{Future, ready};
use std::io::{self, IsTerminal, Stdout, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_pipeline::codec::{self, Codec, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::flow::worker::Writer;

use super::{Kind, Output, World};

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "stdout",
    options: &[OptionSpec {
        name: "codec",
        kind: OptionKind::Codec,
        default: "rubydebug",
        required: false,
        help: "how an event is written",
    }],
    docs: elkhound_pipeline::docs::head(include_str!("stdout.rs")),
    build,
};

fn build(options: &mut Options<'_>, world: &World<'_>) -> Option<Box<dyn Output>> {
    let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let usage = if coloured { Usage::Terminal } else { Usage::Write };
    let codec = codec::read(options, "rubydebug", usage, world.setup)?;
    Some(Box::new(StdoutOutput { codec }))
}

/// The output: all workers write to the same stream, an event at a time.
struct StdoutOutput {
    codec: Arc<dyn Codec>,
}

impl Output for StdoutOutput {
    fn writer(&mut self) -> Box<dyn Writer> {
        let codec = Arc::clone(&self.codec);
        Box::new(StdoutWriter { codec, stream: io::stdout(), text: Vec::new(), whole: 0, receipts: Vec::new() })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(ready(()))
    }
}

/// Text that is flushed at the end of a batch or above this size.
const FLUSH_BYTES: usize = 64 << 10;

struct StdoutWriter {
    codec: Arc<dyn Codec>,
    stream: Stdout,
    text: Vec<u8>,
    /// Where the last event's text ends.
    whole: usize,
    receipts: Vec<Receipt>,
}

impl Writer for StdoutWriter {
    fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
        self.codec.encode(event, &mut self.text);
        self.whole = self.text.len();
        self.receipts.extend(receipt.take());
        if self.text.len() >= FLUSH_BYTES {
            self.finish();
        }
    }

    fn take_back(&mut self) {
        self.text.truncate(self.whole);
    }

    fn tick(&mut self, _now: Instant) -> Option<Instant> {
        self.finish();
        None
    }

    fn finish(&mut self) {
        // A closed standard output is the reader's choice; there is nobody left to tell.
        let _closed = self.stream.write_all(&self.text).and_then(|()| self.stream.flush());
        self.text.clear();
        self.whole = 0;
        self.receipts.drain(..).for_each(Receipt::acknowledge);
    }
}
