//! Reads the logs of all containers of this host from the Docker engine.
//!
//! Every container is followed from the moment it is created until it is gone, also those that have exited. A line becomes an event
//! with `message`, the time at which the engine read it as `@timestamp` (nanoseconds), `stream`, and what is known about its
//! container: `[container][name]`, `[container][image][name]`, `[container][labels][…]` (dots in label names become `_`), `[service][name]`
//! and `[orchestrator][…]` for Swarm and Compose, `[host][name]`.
//!
//! Up to where a container's log is safe is kept in `path.data`, and moves only when an output has the lines. After a restart of
//! whatever, reading goes on there; a line that is sent twice for it has the same document id both times. When the pipeline is loaded again, a log that comes through the engine's API is read on
//! at once, and what the old pipeline could not deliver is handed on again, also when the container is gone. Log files are read on in the place where they
//! were read up to, also when they have been rotated meanwhile; one that was compressed or truncated is passed over line by line.
//!
//! Long lines, which the engine cuts into pieces, are whole again. The log drivers json-file, local and journald can be read, and all
//! others that keep the engine's own copy.
//!
//! ## Options
//!
//! - `exclude_labels` (list, default `EXCLUDE_LABELS` or `EXCLUDE_LABEL`, with `;` between): containers with one of these labels are left out;
//!   `name:value`, or `name` for the value `true`.
//! - `filter_id`, `filter_name` (text), `filter_labels`, `filter_sources` (lists; default: the filters in `ROUTE_URIS`): Logspout's filters. Only
//!   containers are read whose id begins so, whose name matches the glob, and whose labels do (`name:glob`, all of them); and only these
//!   streams, `stdout` or `stderr`. With `ROUTE_URIS`, as in `logstash://logstash:5000?filter.name=*_web`, one of several routes is enough.
//! - `format` (`ecs` or `logspout`, default `ecs`): the fields of an event. With `logspout` they are those that logspout-logstash sends, so
//!   that pipelines written for it run as they are: `[docker][name]` with its slash, `[docker][id]`, `[docker][image]`, `[docker][hostname]`,
//!   `[docker][labels]` where `DOCKER_LABELS` is set, `stream`, `tags` from `LOGSTASH_TAGS`, what `LOGSTASH_FIELDS` adds, and a line that is a JSON
//!   object as its fields, where `DECODE_JSON_LOGS` does not say `false`.
//! - `hints` (boolean, default `true`): heeds what containers ask for by Filebeat's labels, see below.
//! - `host` (text, default `DOCKER_HOST`, else `unix:///var/run/docker.sock`): the engine. With `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` as
//!   Docker's own client has them.
//! - `labels` (list, default all): globs of those labels that events carry in `[container][labels]`, as `["com.docker.stack.namespace", "shop.*"]`.
//! - `max_line_bytes` (size, default `1 MiB`): a longer line is cut there and gets `[log][flags]` = `truncated`. Such lines are
//!   counted: `truncated_lines` of a container in `/_node/stats`, `elkhound_container_truncated_lines_total` in `/metrics`.
//! - `offset` (boolean, default `false`): events get `[log][offset]`, the byte at which the line begins in the json-file log, counted in the file in which it
//!   stands: after a rotation it begins at 0 again, and what was compressed is counted as it was before. Of lines that are joined it is the first one's. Only where
//!   files are read: the engine's API does not tell it.
//! - `opt_in` (boolean, default `false`): reads only containers with the label `co.elastic.logs/enabled=true`.
//! - `path` (glob, default `/var/lib/docker/containers/*/*-json.log`, with `auto` below the engine's own folder): where log files are, each `*`
//!   standing for a container's id. Mount the folder `containers` read-only.
//! - `rate_limit` (number, default `0`, which is none): how many lines each container may write in a second of its lines' own times. The others are
//!   left out for good, which is a warning and an event with `[event][action]` = `suppressed`, their number in `[log][suppressed]`, and the
//!   times of the first and the last in `[event][start]` and `[event][end]`.
//! - `read` (`auto`, `api` or `files`, default `auto`): straight from the files of the log driver json-file, which costs the engine
//!   nothing and misses no line that Docker still keeps; through the engine's API; or, with `auto`, each log from its files where they can
//!   be read, else through the API. With `files` the engine is not asked at all and needs no socket; only json-file logs are read then, a container's new
//!   name is found out within five seconds, `[host][name]` is `node.name`, and the Swarm cluster's id is not known.
//!   Lines, positions and document ids are the same either way, so one goes on where the other was.
//!   Files are read when the kernel says that they have changed; where it can't (a network's file system, `fs.inotify.max_user_watches` used up), they
//!   are looked at every 50 ms, which is said once and costs about 0.03 % of a core per log.
//! - `sequence` (boolean, default `false`): events get `[event][sequence]`, a number that grows with each line of a stream. Sort by it where the
//!   milliseconds of Elasticsearch's dates are too coarse.
//! - `start_position` (`beginning` or `end`, default `beginning`): where to begin in logs that were there before elkhound's first start.
//! - `strip_ansi` (boolean, default `false`): leaves out colours and other terminal control sequences.
//!
//! ## Example
//!
//! ```text
//! input { docker { start_position => "end" tags => ["swarm"] } }
//! ```
//!
//! ## Hints
//!
//! A container can ask by Filebeat's labels, `co.elastic.logs/` before each:
//!
//! - `multiline.pattern`, `multiline.negate`, `multiline.match` (`after` or `before`), `multiline.max_lines` (500, at most 5000), `multiline.timeout` (`5s`, at
//!   most `1m`): lines that belong together are one event, for each stream by itself, with `[log][flags]` = `multiline`. A line whose time is
//!   later by more than the time-out is an event of its own. Through the API, a log that can be rotated is then read every half second, up to
//!   every ten while it is silent, and not followed.
//! - `json.keys_under_root`, `json.overwrite_keys`, `json.add_error_key`, `json.message_key`: a line that is a JSON object becomes fields, below `[json]` or, with
//!   `keys_under_root`, the event's own. Fields that tell which container it is stay as they are.
//! - `include_lines`, `exclude_lines` (patterns, with commas between; `\x2c` for a comma of a pattern's own): only lines that one of the former matches are sent, and none that
//!   one of the latter matches. Lines that are joined count as one. What is left out here is counted nowhere, for the container has asked for it.
//! - `pipeline`: the name of an ingest pipeline, up to 128 letters, digits, `-`, `_` and `.`. As from Filebeat, it stands in `[@metadata][pipeline]` in small letters.
//!   It means nothing unless the output says `pipeline => "%{[@metadata][pipeline]}"`, so that containers choose a pipeline only where the operator lets them;
//!   a document that names one which is not there is refused.
//! - `enabled`: see below.
//!
//! A container is not trusted: a pattern that costs too much does not match (nor does it leave a line out), patterns that cost more than a tenth of a core match
//! nothing until a second is over, and no label names a file, an output or code. What can't be
//! heeded, such as `module`, `processors`, groups as `1.multiline.pattern` and names that nobody knows, is said once for each container.
//!
//! ## Left out
//!
//! The container that elkhound runs in and all tasks of its Swarm service; containers with `LOGSPOUT=ignore` in their environment or one of
//! the labels `logspout.exclude=true`, `co.elastic.logs/enabled=false` and those of `exclude_labels`; and containers whose log driver
//! can't be read, which is said once.
//!
//! ## On failure
//!
//! An engine that can't be reached is tried again for ever, with a message that says why.
//!
//! Lines that Docker rotated away before they could be read are a gap: a warning in the log, and an event in the place where they are missing,
//! with `[event][action]` = `gap` and the times of the lines around it in `[event][start]` and `[event][end]`. How many lines it stands for nobody can know: neither
//! the engine nor its files number lines, and a file that is gone does not tell its size. Through the API, a log that can
//! be rotated (`max-size`) is read twice where the engine may have passed over lines, so that none is missed that Docker still has;
//! where only one file is kept (`max-file=1`) each rotation counts as a gap, for nobody can tell. Log settings that lose lines before
//! anybody can read them (`max-file=1`, `mode=non-blocking`) are a warning for each container. First lines that are rotated
//! away before a log is read for the first time are a gap too where files are read, from the container's creation on; through the API, and where
//! rotated files are compressed, nobody can tell. Bytes that are no UTF-8 become U+FFFD, with `[log][flags]` = `invalid_utf8`.
//!
//! Containers that are removed as soon as they end (`docker run --rm`) are asked for their logs before they are started, so that also those that live for a moment arrive whole through
//! the API. One that is removed before its log was read to the end, because elkhound had to wait or the host was overloaded, is a warning, and counted.
//!
//! Engines before Docker 23.0 may leave a compressed rotated file out, without a word, when others read the same log through the API at the same moment.
//! elkhound does not get into its own way there, but `docker logs` and Logspout beside it may; `elkhound doctor` names such containers (`compress=true`, and the
//! driver `local` by default). Reading the files is not concerned.
//!
//! ## Differences from Logstash
//!
//! Logstash has no such input; this one takes the place of Logspout and of `input { tcp }` or `input { syslog }` behind it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use elkhound_config::options::Options as Cursor;
use elkhound_pipeline::decoration::Decoration;
use elkhound_pipeline::event::{Event, Layer};
use elkhound_pipeline::flow::queue::Queue;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Input, Kind, Running, World};
use crate::backoff::Backoff;
use crate::claim::{self, Claim};
use crate::finding::Examination;
use crate::stats::InputStats;

mod again;
mod ansi;
mod api;
mod chunk;
mod cursor;
mod examine;
mod files;
mod filters;
mod follow;
mod frames;
mod gap;
mod hints;
mod intake;
mod kept;
mod ledger;
mod lines;
mod logspout;
mod metadata;
mod multiline;
mod object;
mod options;
mod partial;
mod patience;
mod picks;
mod place;
pub(in crate::input) mod position;
mod records;
mod screen;
mod select;
mod stamp;
mod supervisor;
mod unproved;

use again::Successor;
use api::Environment;
use chunk::{Decode, Layers};
use cursor::Cursors;
use cursor::hold::Hold;
use files::{Files, Known};
use filters::Filters;
use follow::Start;
use hints::Hints;
use logspout::Logspout;
use metadata::{Container, Host, Labels};
use options::LOGS;
use position::Stream;
use select::{Own, Wanted};
use supervisor::{Describe, LogFiles, Shared, Supervisor};

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "docker",
    options: options::OPTIONS,
    docs: elkhound_pipeline::docs::head(include_str!("docker.rs")),
    build,
};

/// Where lines are read from.
enum Source {
    Engine {
        environment: Environment,
        /// Logs whose files can be read are read there, where this pattern says, or else the engine.
        files: Option<Option<String>>,
    },
    /// Glob of the files, and the name of this host.
    Files { pattern: String, host: String },
}

struct Options {
    source: Source,
    limit: usize,
    strip_ansi: bool,
    /// Events tell where their line begins in its file.
    offsets: bool,
    /// How many lines a second a container may write; 0 for any number.
    rate_limit: u64,
    start: Start,
    wanted: Wanted,
    shape: Shape,
    cursors: Hold,
    /// Where what is known of containers is counted.
    stats: Option<Arc<InputStats>>,
    /// Which loading of the pipelines it belongs to.
    round: u64,
}

/// What an event looks like.
#[derive(Default)]
struct Shape {
    /// What the common options add to all lines alike.
    decoration: Decoration,
    /// As logspout-logstash sends it, if so.
    logspout: Option<Logspout>,
    /// Which labels it carries.
    labels: Labels,
    /// Whether it tells its place in the log.
    sequence: bool,
    /// Whether containers' hints are heeded.
    hints: bool,
}

/// A line is cut at a length between these, whatever the option says: offsets in a chunk have 32 bits.
const LIMITS: std::ops::RangeInclusive<u64> = 1..=64 << 20;

fn build(options: &mut Cursor<'_>, world: &World<'_>) -> Option<Box<dyn Input>> {
    let source = source(options, world)?;
    let limit = options.bytes("max_line_bytes", 1 << 20);
    if !LIMITS.contains(&limit) {
        options.fail("max_line_bytes", &format!("max_line_bytes can't be {limit}"), "use a size between 1 and 64 MiB");
        return None;
    }
    let start = if options.text_or("start_position", "beginning") == "end" { Start::End } else { Start::Beginning };
    let strip_ansi = options.boolean("strip_ansi", false);
    let cursors = Hold::of(world.data.join(format!("docker-{}.cursors", world.number)));
    let variable = |name: &str| std::env::var(name).ok();
    let filters = filters(options, variable)?;
    let wanted = Wanted::new(&excluded(options, variable), options.boolean("opt_in", false), filters);
    let Ok(rate_limit) = u64::try_from(options.integer("rate_limit", 0)) else {
        options.fail("rate_limit", "rate_limit can't be negative", "use a number of lines, or 0 for no limit");
        return None;
    };
    let logspout = (options.text_or("format", "ecs") == "logspout").then(|| Logspout::read(variable));
    let advice = logspout::advice(variables(), logspout.is_some());
    advice.iter().for_each(|advice| warn!(advice, "a variable of Logspout has no effect"));
    let labels = if options.was_set("labels") { Labels::only(options.texts("labels")) } else { Labels::default() };
    let sequence = options.boolean("sequence", false);
    let hints = options.boolean("hints", true);
    let shape = Shape { decoration: Decoration::default(), logspout, labels, sequence, hints };
    let (limit, round) = (limit as usize, world.round);
    let offsets = options.boolean("offset", false);
    if offsets && options.text_or("read", "auto") == "api" {
        options.fail(
            "offset",
            "the engine's API does not tell where a line begins in its file",
            "use `read => auto`, or drop `offset`",
        );
        return None;
    }
    let options =
        Options { source, limit, strip_ansi, offsets, rate_limit, start, wanted, shape, cursors, stats: None, round };
    Some(Box::new(Docker(options)))
}

fn source(options: &mut Cursor<'_>, world: &World<'_>) -> Option<Source> {
    let path = options.text("path");
    let read = options.text_or("read", "auto");
    for (option, way) in [("host", "files"), ("path", "api")] {
        if options.was_set(option) && read == way {
            let message = format!("`{option}` has no effect with `read => {way}`");
            options.warn(option, &message, "leave it out, or write `read => auto`");
        }
    }
    if read == "files" {
        return Some(Source::Files { pattern: path.unwrap_or_else(|| LOGS.to_owned()), host: world.host.to_owned() });
    }
    let environment = Environment::read(options.text("host"), |name| std::env::var(name).ok());
    if let Err(error) = environment.address() {
        options.fail("host", &error.to_string(), "");
        return None;
    }
    Some(Source::Engine { environment, files: (read == "auto").then_some(path) })
}

/// All environment variables that are text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The labels of containers that are left out: by the option, or as Logspout's users have written them.
fn excluded(options: &Cursor<'_>, variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let set = variable("EXCLUDE_LABELS").or_else(|| variable("EXCLUDE_LABEL")).unwrap_or_default();
    let default: Vec<&str> = set.split(';').collect();
    options.texts_or("exclude_labels", &default)
}

/// Logspout's filters: by options, or as they stand in its routes.
fn filters(options: &mut Cursor<'_>, variable: impl Fn(&str) -> Option<String>) -> Option<Filters> {
    let (id, name) = (options.text_or("filter_id", ""), options.text_or("filter_name", ""));
    match Filters::one(&id, &name, &options.texts("filter_labels"), &options.texts("filter_sources")) {
        Ok(filters) if !filters.is_empty() => return Some(filters),
        Ok(_) => {}
        Err((part, message, help)) => {
            options.fail(part, &message, help);
            return None;
        }
    }
    match Filters::of_routes(&variable("ROUTE_URIS").unwrap_or_default()) {
        Ok(filters) => Some(filters),
        Err((part, message, help)) => {
            let part = part.replace('_', ".");
            options.fail("filter_name", &format!("{part} in ROUTE_URIS can't be read: {message}"), help);
            None
        }
    }
}

struct Docker(Options);

impl Input for Docker {
    fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running {
        Box::pin(self.0.run(queue, stop))
    }

    fn observe(&mut self, stats: &Arc<InputStats>) {
        self.0.stats = Some(Arc::clone(stats));
    }

    fn examine(&self) -> Examination<'_> {
        Box::pin(examine::examine(&self.0.source))
    }

    fn adopt(&mut self, decoration: Decoration) -> Decoration {
        let (fixed, left) = decoration.clone().split();
        if fixed.fields() > SHARED_FIELDS {
            return decoration;
        }
        self.0.shape.decoration = fixed;
        left
    }

    fn reads_again(&self) -> bool {
        true
    }
}

/// So many fields beside the container's own fit into what its events share.
const SHARED_FIELDS: usize = 32;

impl Options {
    async fn run(self, queue: Queue, stop: CancellationToken) -> anyhow::Result<()> {
        let (round, hold) = (self.round, self.cursors);
        let Some(cursors) = hold.cursors(round, &stop).await? else { return Ok(()) };
        cursors.begin_anew(self.stats.map(|stats| Arc::clone(&stats.containers)));
        let hints = self.shape.hints;
        let Self { source, limit, strip_ansi, offsets, rate_limit, start, wanted, shape, .. } = self;
        let describe: Describe = Arc::new(move |host: &Host, container: &Container| layers(&shape, host, container));
        let has_taken_over = Arc::<AtomicBool>::default();
        let reader = |known, claim| Files {
            claim,
            has_taken_over: Arc::clone(&has_taken_over),
            known,
            describe: Arc::clone(&describe),
            limit,
            strip_ansi,
            rate_limit,
            hints,
            offsets,
            start,
            wanted: wanted.clone(),
            cursors: Arc::clone(&cursors),
            round,
            queue: queue.clone(),
            stop: stop.clone(),
        };
        let (environment, pattern) = match source {
            Source::Engine { environment, files } => (environment, files),
            Source::Files { pattern, host } => {
                let host = Arc::new(Host { name: host, ..Host::default() });
                let (wanted, own, describe) = (&wanted, &Own::default(), &describe);
                let successor = Successor { cursors: &cursors, round, wanted, own, describe };
                for ledger in cursors.ledgers() {
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = ledger.rests() => {}
                    }
                    successor.leave_to_file(&ledger, Path::new(&pattern.replace('*', ledger.container())));
                }
                let known = Known::Found(pattern, host);
                let by_files = read_files((&cursors, round, &stop), |claim| reader(known, claim));
                let again = again::hand_on(&cursors, round, queue.clone(), stop.clone());
                return tokio::join!(by_files, again).0;
            }
        };
        let (orders, told) = files::orders();
        let reads_files = pattern.is_some();
        let by_files = async {
            if reads_files {
                read_files((&cursors, round, &stop), |claim| reader(Known::Told(told), claim)).await
            } else {
                Ok(())
            }
        };
        let has_taken_over = Arc::clone(&has_taken_over);
        let files = pattern.map(|pattern| LogFiles { orders, pattern, has_taken_over });
        let again = again::hand_on(&cursors, round, queue.clone(), stop.clone());
        let shared = Shared {
            environment,
            describe: Arc::clone(&describe),
            limit,
            strip_ansi,
            rate_limit,
            hints,
            start,
            wanted: wanted.clone(),
            cursors: Arc::clone(&cursors),
            round,
            files,
            turns: follow::turns(),
            places: follow::early::places(),
            queue: queue.clone(),
            stop: stop.clone(),
        };
        let supervised = async {
            let supervised = Supervisor::new(shared).run().await;
            stop.cancel();
            supervised
        };
        let (supervised, by_files, ()) = tokio::join!(supervised, by_files, again);
        by_files?;
        Ok(supervised?)
    }
}

/// Reads log files on a thread of its own, once nobody else moves their cursors.
async fn read_files(
    (cursors, round, stop): (&Arc<Cursors>, u64, &CancellationToken),
    reader: impl FnOnce(Arc<Claim>) -> Files,
) -> anyhow::Result<()> {
    let Some(claim) = claim::take(&files::claimed(cursors.path()), round, stop).await else { return Ok(()) };
    let (files, runtime) = (reader(Arc::new(claim)), Handle::current());
    spawn_blocking(move || files.run(&runtime)).await.context("the reader of log files has panicked")
}

/// The pauses before whatever asks the engine is tried again.
fn pauses() -> Backoff {
    Backoff::new(Duration::from_millis(250), Duration::from_secs(10))
}

/// What the events of one container share, by stream.
fn layers(shape: &Shape, host: &Host, container: &Container) -> Layers {
    let fields = |stream| match &shape.logspout {
        Some(logspout) => logspout.fields(container, stream, &shape.labels),
        None => container.fields(host, stream, &shape.labels),
    };
    let by_stream = Stream::BOTH.map(|stream| {
        let mut event = Event::new(fields(stream));
        shape.decoration.apply(&mut event);
        Arc::new(Layer::new(std::mem::take(event.fields_mut())))
    });
    let hints = if shape.hints { Hints::read(&container.name, &container.labels, 0).0 } else { Hints::default() };
    let decode = match hints.json {
        Some(json) => Decode::Hinted(Arc::new(json)),
        None if shape.logspout.as_ref().is_some_and(|logspout| logspout.decodes(container)) => Decode::Fields,
        None => Decode::Nothing,
    };
    let pipeline = hints.pipeline.map(Into::into);
    Layers { by_stream, decode, sequence: shape.sequence, pipeline }
}

#[cfg(test)]
mod tests {
    use elkhound_config::ast::Statement;
    use elkhound_config::parser::Escapes;
    use elkhound_config::source::Source as Text;
    use elkhound_pipeline::decoration;
    use elkhound_pipeline::value::Value;

    use super::*;

    #[test]
    fn what_depends_on_the_line_is_left_to_be_done_for_each() {
        let mut docker = Docker(Options {
            source: Source::Files { pattern: LOGS.into(), host: "node-1".into() },
            limit: 1,
            strip_ansi: false,
            offsets: false,
            rate_limit: 0,
            start: Start::End,
            wanted: Wanted::default(),
            shape: Shape::default(),
            cursors: Hold::of("/a-test-of-the-docker-input".into()),
            stats: None,
            round: 0,
        });
        let left = docker.adopt(decoration("tags => ['a'] add_field => { 'b' => '%{message}' }"));
        assert_eq!((docker.0.shape.decoration.fields(), left.fields()), (0, 1));
        assert!(!docker.0.shape.decoration.is_empty());
    }

    /// The common options of an input, as written.
    fn decoration(written: &str) -> Decoration {
        let source = Text::of("test.conf", &format!("input {{ docker {{ {written} }} }}"));
        let parsed = elkhound_config::parse(&source, Escapes::Kept);
        let mut diagnostics = parsed.diagnostics;
        let Statement::Plugin(plugin) = &parsed.document.sections[0].body[0] else { panic!("{written}") };
        Decoration::read(&mut Cursor::new(plugin, &[decoration::OPTIONS], &mut diagnostics))
    }

    #[test]
    fn what_the_pipeline_file_adds_is_in_every_event() {
        let decoration = decoration("type => app add_field => { '[container][team]' => shop }");
        let container =
            Container { id: "ab".into(), name: "web".into(), image: "web:1".into(), ..Container::default() };
        let host = Host { name: "node-1".into(), ..Host::default() };
        let shape = Shape { decoration, ..Shape::default() };
        let [stdout, stderr] = layers(&shape, &host, &container).by_stream;
        assert_eq!(
            (stdout.get("stream", 0), stderr.get("stream", 0)),
            (Some(&"stdout".into()), Some(&"stderr".into()))
        );
        assert_eq!(stdout.get("type", 0), Some(&"app".into()));
        let team = stdout.get("container", 0).and_then(Value::as_map).and_then(|container| container.get("team"));
        assert_eq!(team, Some(&"shop".into()));
    }
}
