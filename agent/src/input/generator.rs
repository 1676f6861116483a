//! Makes events by itself: for trying a pipeline and for measuring.
//!
//! Each event says which round it was made in: `[event][sequence]`, without ECS `sequence`; and on which host: `[host][name]`, without ECS `host`.
//!
//! ## Options
//!
//! - `message` (text, default `Hello world!`): the message of each event. `stdin` reads it from standard input, one line with its end.
//! - `lines` (list of texts): messages that are taken in turn, in place of `message`.
//! - `count` (number, default 0): how many rounds; 0 goes on for ever.
//! - `threads` (number, default 1): how many generators run at a time, each of which makes all rounds.
//! - `codec` (default `plain`): how a message becomes events.
//! - `ecs_compatibility` (`disabled`, `v1` or `v8`, default as the pipeline's).
//!
//! ## Example
//!
//! ```text
//! input { generator { lines => ["one", "two"] count => 2 } }
//! ```
//!
//! makes four events: one, two, one, two.

use std::sync::Arc;

use anyhow::Context;
use elkhound_config::options::{OptionKind, Options};
use elkhound_pipeline::codec::{self, Codec, Decoder, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::path::Path;
use elkhound_pipeline::setup::Ecs;
use elkhound_pipeline::text::Text;
use elkhound_pipeline::value::Value;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Input, Kind, Running, World, cost, fill, hand_on, known, option};
use crate::clock;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "generator",
    options: &[
        option("codec", OptionKind::Codec, "plain", "how a message becomes events"),
        option("count", OptionKind::Number, "0", "how many rounds; 0 goes on for ever"),
        option("ecs_compatibility", super::ECS_MODES, "", "default as the pipeline's"),
        option("lines", OptionKind::Array, "", "messages that are taken in turn"),
        option("message", OptionKind::String, "Hello world!", "the message"),
        option("threads", OptionKind::Number, "1", "how many generators run at a time"),
    ],
    docs: elkhound_pipeline::docs::head(include_str!("generator.rs")),
    build,
};

fn build(options: &mut Options<'_>, world: &World<'_>) -> Option<Box<dyn Input>> {
    let lines = if options.was_set("lines") {
        options.texts("lines")
    } else {
        vec![options.text_or("message", "Hello world!")]
    };
    let from_stdin = !options.was_set("lines") && lines == ["stdin"];
    let count = options.integer("count", 0);
    let rounds = if count > 0 { count as u64 } else { u64::MAX };
    let threads = options.integer("threads", 1);
    if !(1..=256).contains(&threads) {
        options.fail("threads", &format!("threads can't be {threads}"), "use a number from 1 to 256");
    }
    let names = Names::new(world.setup.ecs_of(options), world.host);
    let codec = codec::read(options, "plain", Usage::Messages, world.setup)?;
    let maker = Arc::new(Maker { names, codec, rounds });
    (!options.has_failed()).then(|| Box::new(Generator { lines, from_stdin, threads, maker }) as Box<dyn Input>)
}

struct Generator {
    lines: Vec<String>,
    from_stdin: bool,
    threads: i64,
    maker: Arc<Maker>,
}

impl Input for Generator {
    fn is_reloadable(&self) -> bool {
        !self.from_stdin
    }

    fn run(mut self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running {
        Box::pin(async move {
            if self.from_stdin {
                let mut line = String::new();
                let read = BufReader::new(stdin()).read_line(&mut line).await;
                read.context("the generator can't read its message from standard input")?;
                self.lines = vec![line];
            }
            let lines: Arc<[String]> = self.lines.into();
            let mut running = JoinSet::new();
            for number in 0..self.threads.unsigned_abs() {
                let (maker, lines) = (Arc::clone(&self.maker), Arc::clone(&lines));
                let (queue, stop) = (queue.clone(), stop.clone());
                running.spawn(async move { maker.run(&lines, number, &queue, &stop).await });
            }
            while running.join_next().await.is_some() {}
            Ok(())
        })
    }
}

/// The names of the fields, and the host's own.
struct Names {
    host: Path,
    sequence: Path,
    host_name: Value,
}

impl Names {
    fn new(ecs: Ecs, host: &str) -> Self {
        let (name, sequence) =
            if ecs.is_enabled() { ("[host][name]", "[event][sequence]") } else { ("host", "sequence") };
        Self { host: known(name), sequence: known(sequence), host_name: Value::Text(Text::new(host)) }
    }

    fn mark(&self, event: &mut Event, round: Option<u64>) {
        fill(event, &self.host, &self.host_name);
        if let Some(round) = round {
            // An event whose `event` is no map has no place for it, in Logstash neither.
            let _no_room = event.set(&self.sequence, Value::Integer(round as i64));
        }
    }
}

/// Makes the events of one generator.
struct Maker {
    names: Names,
    codec: Arc<dyn Codec>,
    rounds: u64,
}

/// Events that are made in one go.
const CHUNK: usize = 500;

impl Maker {
    async fn run(&self, lines: &[String], number: u64, queue: &Queue, stop: &CancellationToken) {
        let mut decoder = self.codec.decoder();
        let mut round = 0;
        while round < self.rounds && !stop.is_cancelled() {
            let mut events = Vec::with_capacity(CHUNK + lines.len());
            let mut bytes = 0;
            // A codec that holds its events back must not hold up the end.
            for _ in 0..CHUNK.div_ceil(lines.len().max(1)) {
                if round < self.rounds {
                    bytes += self.make(lines, round, decoder.as_mut(), &mut events);
                    round += 1;
                }
            }
            let cost = cost(&events, bytes);
            tokio::select! {
                open = hand_on(queue, number, events, cost) => if !open { return },
                () = stop.cancelled() => return,
            }
        }
        let mut rest = Vec::new();
        decoder.flush(clock::now(), &mut rest);
        rest.iter_mut().for_each(|event| self.names.mark(event, None));
        let cost = cost(&rest, 0);
        hand_on(queue, number, rest, cost).await;
    }

    /// Makes the events of one round; returns how many bytes they were made of.
    fn make(&self, lines: &[String], round: u64, decoder: &mut dyn Decoder, events: &mut Vec<Event>) -> usize {
        for line in lines {
            let start = events.len();
            decoder.decode(line.as_bytes(), clock::now(), events);
            events[start..].iter_mut().for_each(|event| self.names.mark(event, Some(round)));
        }
        lines.iter().map(String::len).sum()
    }
}
