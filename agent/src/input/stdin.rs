//! Reads lines from standard input: for trying a pipeline by hand, `elkhound -f my.conf < some.log`.
//!
//! An event gets the name of this host as `[host][hostname]`, or as `host` with `ecs_compatibility => disabled`, unless it has one.
//!
//! ## Options
//!
//! - `codec` (default `line`): how bytes become events; `plain` reads as `line` does, `json` as `json_lines`.
//! - `ecs_compatibility` (default: the pipeline's): what the host's field is called.
//!
//! ## Example
//!
//! ```text
//! input { stdin { codec => json_lines } }
//! ```
//!
//! ## On failure
//!
//! What the codec can't read it tags: `elkhound docs line`, `elkhound docs json_lines`.
//!
//! ## Differences from Logstash
//!
//! At the end of standard input elkhound finishes what it has read, the last line without an end as well, and exits.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_pipeline::codec::{self, Codec, Decoder, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::path::Path;
use elkhound_pipeline::value::Value;
use tokio::io::{AsyncReadExt, stdin};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Input, Kind, Running, World, hand_on};
use crate::clock;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "stdin",
    options: &[
        OptionSpec {
            name: "codec",
            kind: OptionKind::Codec,
            default: "line",
            required: false,
            help: "how bytes become events",
        },
        OptionSpec {
            name: "ecs_compatibility",
            kind: OptionKind::OneOf(&["disabled", "v1", "v8"]),
            default: "the pipeline's",
            required: false,
            help: "what the host's field is called",
        },
    ],
    docs: elkhound_pipeline::docs::head(include_str!("stdin.rs")),
    build,
};

fn build(options: &mut Options<'_>, world: &World<'_>) -> Option<Box<dyn Input>> {
    let codec = codec::read(options, "line", Usage::Stream, world.setup)?;
    let ecs = world.setup.ecs_of(options).is_enabled();
    let field = if ecs { Path::parse("[host][hostname]").ok()? } else { Path::field("host") };
    Some(Box::new(StandardInput { codec, host: (field, Value::text(world.host)) }))
}

struct StandardInput {
    codec: Arc<dyn Codec>,
    host: (Path, Value),
}

/// The most bytes that are read in one go.
const READ: usize = 64 << 10;

/// How many times its bytes an event takes, roughly, in memory.
const WEIGHT: usize = 4;

impl Input for StandardInput {
    /// What is read of standard input and not yet decoded would be lost.
    fn is_reloadable(&self) -> bool {
        false
    }

    fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let mut stream = stdin();
            let mut decoder = self.codec.decoder();
            let mut buffer = vec![0; READ];
            let mut last = Instant::now();
            loop {
                let read = tokio::select! {
                    read = stream.read(&mut buffer) => Some(read?),
                    () = due(decoder.auto_flush(), last) => None,
                    () = stop.cancelled() => Some(0),
                };
                let waiting = decoder.pending();
                let events = self.events(decoder.as_mut(), read.map(|read| &buffer[..read]));
                last = Instant::now();
                let bytes = (read.unwrap_or(0) + waiting) * WEIGHT;
                let open = events.is_empty() || hand_on(&queue, 0, events, bytes).await;
                if read == Some(0) || !open {
                    return Ok(());
                }
            }
        })
    }
}

/// Waits until what a decoder keeps back is due; for ever when it is not.
async fn due(flush: Option<Duration>, last: Instant) {
    match flush {
        Some(pause) => sleep_until(last + pause).await,
        None => pending().await,
    }
}

impl StandardInput {
    /// The events of what was read; of what the decoder keeps when that was nothing.
    fn events(&self, decoder: &mut dyn Decoder, read: Option<&[u8]>) -> Vec<Event> {
        let mut events = Vec::new();
        match read {
            None | Some([]) => decoder.flush(clock::now(), &mut events),
            Some(bytes) => decoder.decode(bytes, clock::now(), &mut events),
        }
        let (field, name) = &self.host;
        for event in &mut events {
            if !event.contains(field) {
                // A `host` that is no map stays what it is.
                let _other = event.set(field, name.clone());
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_back_is_due_after_its_pause() {
        let begun = Instant::now();
        due(Some(Duration::from_secs(2)), begun).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        tokio::select! {
            () = due(None, begun) => panic!("nothing was kept back"),
            () = sleep_until(begun + Duration::from_secs(3600)) => {}
        }
    }
}
