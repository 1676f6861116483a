//! Indexes events into Elasticsearch 6 to 9 or OpenSearch with `_bulk` requests.
//!
//! Each event of the `docker` input has an identity of its own, which becomes the document's `_id`; the action is `create`, and a 409
//! counts as success. So an event that is sent twice (after a lost answer, a restart, a crash) is indexed once.
//!
//! ## Options
//!
//! - `hosts`: where Elasticsearch answers; several are taken in turn, those that fail are put aside for a while.
//! - `index`: the index, with references: `logs-%{+YYYY.MM.dd}`. The date is that of the event.
//! - `data_stream`, `data_stream_type`, `data_stream_dataset`, `data_stream_namespace`: a data stream in place of an index. That is where events go
//!   when no setting speaks for an index: to `logs-generic-default`.
//! - `user`, `password`, `api_key`, `cloud_id`, `cloud_auth`, `ssl_certificate`, `ssl_key`: where to and how to log in. A token goes into a header:
//!   `custom_headers => { "Authorization" => "Bearer ${ES_TOKEN}" }`.
//! - `ssl_certificate_authorities`, `ca_trusted_fingerprint`: which certificates to trust.
//! - `action`: `create` (default), `index`, `update` (with `doc_as_upsert`, `upsert`, `script`), `delete`, or references.
//! - `bulk_ids`: with `false` documents get no `_id` from elkhound, and Elasticsearch makes one. That saves the node an eighth of its CPU time and 4 % of the
//!   index, and an event that is sent twice, as after a lost answer or a restart, is there twice.
//! - `pipeline`: the ingest pipeline, with references. An event that lacks the fields which they name goes through none, as with
//!   `pipeline => "%{[@metadata][pipeline]}"` those of containers without the hint `co.elastic.logs/pipeline`.
//! - `template` (with `template_name`, `template_overwrite`, `template_api`, `manage_template`): an index template that is installed before the first
//!   document.
//! - `ilm_rollover_alias`, `ilm_policy`, `ilm_pattern`, `ilm_enabled`: an alias that Elasticsearch rolls over to new indices; the first one, the
//!   template's lifecycle settings and the default policy are made.
//! - `silence_errors_in_log`, `drop_error_types`: types of errors that are not logged, and on which an event is given up.
//!
//! `elkhound docs elasticsearch` lists all of them.
//!
//! ## Example
//!
//! ```text
//! output {
//!   elasticsearch {
//!     hosts => ["http://elasticsearch:9200"]
//!     index => "logs-%{+YYYY.MM.dd}"
//!   }
//! }
//! ```
//!
//! ## Latency
//!
//! A request that is not full leaves when none has left for `bulk_max_delay` seconds (default 0.5): the first event after a silence waits for
//! no other, and those that follow it wait for that long at most. While Elasticsearch has all the requests that it is allowed
//! (`bulk_requests`), the next one grows. For low latency write `bulk_max_delay => 0.05`: more and smaller requests, the same events.
//!
//! ## While it takes nothing
//!
//! `when_full`, an option of every output, says what happens then: `block` (default) has the whole pipeline wait, and nothing is lost. `drop_newest` is for an output
//! that may miss events, beside one that may not: 4 MiB of them wait for it in memory, further ones are dropped, told in the log and counted, and the other
//! outputs go on. It takes no part in receipts: what waits there when elkhound is killed is lost. `spill` loses nothing and holds nothing up: the output's events go through a
//! queue on disk of its own, where they are safe, and from there to the output. It needs an `id`, which names its folder in `path.queue`; `queue.max_bytes` and
//! `queue.checkpoint.*` hold for it (a queue that is full blocks), and what is not delivered five seconds after the end of its pipeline stays on disk until the next start.
//!
//! ## One event to several outputs
//!
//! The second `elasticsearch` output of a pipeline that may write to the same index as an earlier one puts `.o2` behind its ids, the third `.o3`: one event
//! is two documents there. Ids stay the same over restarts; when the order of such outputs changes in the file, lines that are in flight at that moment may be
//! indexed twice. What goes to several pipelines has identities of its own in each of them anyway.
//!
//! Within one index an id is there once. Behind a data stream or a rollover alias are several indices, and each looks at its own ids only: a line that is sent
//! again after a rollover, because the answer before it was lost, is there twice.
//!
//! ## Pace
//!
//! A 429 or an answer that does not come in time halves the size of requests and the number of them under way, and each eight good answers let them grow by an
//! eighth. A 413 sets a limit just below the size that was refused. A host that fails is left alone for 5 seconds, then for twice as long each time, up to a
//! minute, while others answer.
//!
//! ## On failure
//!
//! Elasticsearch away, overloaded (429), failing (5xx), or refusing the login (401, 403): tried again for as long as it takes, with growing
//! pauses; the pressure goes back to Docker's own log files. A request that is too large, or that holds a line Elasticsearch can't read, is
//! halved until the document at fault stands alone. A document that Elasticsearch will never take (a mapping conflict) is
//! logged with index, reason and remedy, counted, and acknowledged, so it holds nothing up.
//!
//! With `dead_letter_queue.enable` such an event goes to the dead letter queue, and is acknowledged when it is on disk there: what is refused with
//! 400, 404, 413 or one of `dlq_custom_codes`, and what can't be made a document, as when the index is named by a field that the event lacks
//! (`dlq_on_failed_indexname_interpolation`). `elkhound dlq` lists, shows and replays it; the `dead_letter_queue` input reads it. What came from there
//! is not put there again.
//!
//! ## Differences from Logstash
//!
//! The default action is `create`, and a conflict (409) is success. Requests are bounded by bytes and age, not by the number of events, and
//! are not compressed unless `compression_level` says so. A template for `ecs-logstash-*` is installed only where documents can go there; whoever names an
//! index of his own needs no right to install templates. Documents go to a rollover alias when `ilm_enabled` is `true` or `ilm_rollover_alias` names one,
//! not by default. OpenSearch gets alias and template; its policies (ISM) are the operator's. Where Logstash sends a reference in `pipeline` that leads to nothing as it
//! is written, and has the document refused for it, no pipeline is named.

mod action;
mod answer;
mod attached;
mod breaker;
mod bulk;
mod client;
mod conflicts;
mod connection;
mod examine;
#[cfg(test)]
mod fake;
mod fingerprint;
mod ids;
mod install;
pub(crate) mod kibana;
mod managed;
mod options;
mod outfit;
mod pace;
mod refused;
mod sender;
mod setup;
mod target;
mod verdict;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use elkhound_config::options::Options;
use elkhound_pipeline::codec::{self, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::flow::worker::Writer;
use elkhound_pipeline::plan::called;
use elkhound_pipeline::template::Template;
use flume::{Receiver, Sender as Channel};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::action::{Action, Choice, Update};
use self::bulk::{Body, Encoder, IdSource};
use self::client::{Client, Connection};
use self::examine::Indices;
pub(crate) use self::ids::Claims;
use self::install::Ready;
use self::managed::Managed;
pub(crate) use self::outfit::Order;
use self::outfit::Outfit;
use self::pace::Pace;
use self::refused::Letterbox;
use self::sender::{Quiet, Sender};
use self::target::Target;
use super::{Kind, Output, World};
use crate::backoff::Backoff;
use crate::finding::{Examination, Finding, Grade};
use crate::haste;
use crate::random;
use crate::stats::OutputStats;
use crate::stats::delivery::Delivery as Stats;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "elasticsearch",
    options: options::OPTIONS,
    docs: elkhound_pipeline::docs::head(include_str!("elasticsearch.rs")),
    build,
};

/// Ids for events without an identity of their own.
static IDS: LazyLock<IdSource> = LazyLock::new(|| IdSource::new(random::number()));

fn build(options: &mut Options<'_>, world: &World<'_>) -> Option<Box<dyn Output>> {
    codec::read(options, "plain", Usage::Write, world.setup)?;
    options::warn_of_what_has_no_effect(options);
    conflicts::find(options);
    let ecs = world.setup.ecs_of(options);
    // All is read before what is wrong with one part ends it, so that all mistakes are told.
    let (connection, target) = (connection::read(options), Target::read(options, ecs, options::of_connection));
    let never = never(options);
    let (connection, mut target) = (connection?, target?);
    if options.has_failed() {
        return None;
    }
    let client = Client::new(&connection)
        .map_err(|message| options.fail("hosts", &message, "correct the setting that is named"))
        .ok()?;
    let managed = Managed::read(options, ecs, matches!(target, Target::Index(_)), world.setup)?;
    if let Some(lifecycle) = &managed.lifecycle {
        target = Target::Index(Template::plain(&lifecycle.alias));
    }
    let outfit = Outfit::new(&target, &managed, ecs.is_enabled());
    let suffix = if options.was_set("document_id") { String::new() } else { world.claims.suffix(target.written()) };
    let letters = world.dead_letters.clone().map(|queue| Letterbox {
        queue,
        plugin_id: called(options.plugin(), world.number),
        suffix: suffix.clone(),
        give_up: world.give_up.clone(),
    });
    let never = never?;
    let (mut action, makes_ids) = (Choice::read(options)?, options.boolean("bulk_ids", true));
    if !makes_ids && matches!(target, Target::Index(_)) && !options.was_set("action") {
        // Elasticsearch 6 wants an id with `create`; data streams take nothing else.
        action = Choice::Always(Action::Index);
    }
    let encoder = Encoder {
        action,
        update: Update::read(options),
        target,
        document_id: options.text("document_id").map(|text| Template::parse(&text)),
        more: bulk::MORE.iter().filter_map(|(name, key)| Some((*key, Template::parse(&options.text(name)?)))).collect(),
        ids: makes_ids.then(|| &*IDS),
        suffix,
        keeps: letters.is_some(),
        names_fully: letters.is_some() && options.boolean("dlq_on_failed_indexname_interpolation", true),
    };
    let limits = Limits {
        bytes: options.bytes("bulk_max_bytes", 1 << 20).max(1) as usize,
        delay: seconds(options, "bulk_max_delay", 0.5),
    };
    let backoff =
        Backoff::new(seconds(options, "retry_initial_interval", 2.0), seconds(options, "retry_max_interval", 64.0));
    let quiet = Quiet {
        silenced: [options.texts("silence_errors_in_log"), options.texts("failure_type_logging_whitelist")].concat(),
        dropped: options.texts("drop_error_types"),
    };
    let requests = options.integer("bulk_requests", 2).clamp(1, 64) as usize;
    Some(Box::new(Elasticsearch::new(encoder, limits, requests, |waiting, used| {
        let (runtime, give_up, broken) = (world.runtime.clone(), world.give_up.clone(), world.broken.clone());
        Delivery {
            client,
            managed,
            connection,
            outfit,
            backoff,
            quiet,
            never,
            letters,
            runtime,
            give_up,
            broken,
            waiting,
            used,
        }
    })))
}

/// The statuses on which documents are refused for good beside those that always are.
fn never(options: &mut Options<'_>) -> Option<Arc<[u16]>> {
    let codes: Vec<i64> =
        options.texts("dlq_custom_codes").iter().filter_map(|code| code.trim().parse().ok()).collect();
    if let Some(code) = codes.iter().find(|code| !(300..600).contains(*code) || **code == 409) {
        let message = format!("`{code}` is no status of a document that is refused");
        options.fail("dlq_custom_codes", &message, "give statuses from 300 to 599; 2xx and 409 mean that it is there");
        return None;
    }
    Some(codes.into_iter().map(|code| code as u16).collect())
}

fn seconds(options: &mut Options<'_>, name: &str, default: f64) -> Duration {
    Duration::try_from_secs_f64(options.number(name, default)).unwrap_or(Duration::from_secs(60))
}

/// What [`Output::set_up`] has done.
pub(crate) struct SetUp {
    /// What became of each thing.
    pub(crate) found: Vec<Finding>,
    /// What the names of all indices match, when they have a common beginning.
    pub(crate) pattern: Option<String>,
    /// How to connect, for Kibana beside it.
    pub(crate) connection: Connection,
}

/// A [`SetUp`] that is under way; nothing of outputs of other kinds.
pub(crate) type SettingUp<'a> = Pin<Box<dyn Future<Output = Option<SetUp>> + Send + 'a>>;

/// When a request is closed.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// It is full; less while Elasticsearch does not keep up.
    bytes: usize,
    /// The least time between two requests of one writer that are not full.
    delay: Duration,
}

/// The output: writers encode, senders deliver.
struct Elasticsearch {
    encoder: Encoder,
    limits: Limits,
    pace: Arc<Pace>,
    requests: usize,
    bodies: Channel<Body>,
    /// Bodies that were sent and can be filled again.
    spare: Receiver<Body>,
    letters: Option<Letterbox>,
    /// What the senders need; taken when they start.
    delivery: Option<Delivery>,
    senders: JoinSet<()>,
    stats: Arc<Stats>,
}

/// What senders are made of.
struct Delivery {
    client: Client,
    managed: Managed,
    /// How to connect to Kibana, for `elkhound setup`...
    connection: Connection,
    /// ...and what is to be there.
    outfit: Option<Outfit>,
    backoff: Backoff,
    quiet: Quiet,
    never: Arc<[u16]>,
    letters: Option<Letterbox>,
    runtime: Handle,
    give_up: CancellationToken,
    broken: CancellationToken,
    waiting: Receiver<Body>,
    used: Channel<Body>,
}

impl Elasticsearch {
    fn new(
        encoder: Encoder,
        limits: Limits,
        requests: usize,
        delivery: impl FnOnce(Receiver<Body>, Channel<Body>) -> Delivery,
    ) -> Self {
        // A body may wait while all senders are busy: one more would only use memory.
        let (bodies, waiting) = flume::bounded(1);
        let (used, spare) = flume::bounded(requests + 1);
        let delivery = delivery(waiting, used);
        let letters = delivery.letters.clone();
        let delivery = Some(delivery);
        let (senders, stats) = (JoinSet::new(), Arc::default());
        let pace = Arc::new(Pace::new(limits.bytes, requests));
        Self { encoder, limits, pace, requests, bodies, spare, letters, delivery, senders, stats }
    }
}

impl Output for Elasticsearch {
    fn observe(&mut self, stats: &OutputStats) {
        // It is shown once, before the start.
        let _once = stats.delivery.set(Arc::clone(&self.stats));
    }

    fn examine(&self) -> Examination<'_> {
        Box::pin(async {
            let Some(Delivery { client, managed, outfit, .. }) = &self.delivery else { return Vec::new() };
            let mut found = client.examine().await;
            let answers = found.iter().any(|finding| finding.grade != Grade::Bad);
            if let Some(outfit) = outfit.as_ref().filter(|_| answers) {
                let indices = Indices { outfit, action: &self.encoder.action, managed };
                found.extend(examine::examine(client, &indices).await);
            }
            found
        })
    }

    fn set_up<'a>(&'a self, order: &'a Order) -> SettingUp<'a> {
        Box::pin(async move {
            let Delivery { client, connection, outfit, .. } = self.delivery.as_ref()?;
            let found = match outfit {
                Some(outfit) => setup::set_up(outfit, client, order).await,
                None => vec![setup::nameless(self.encoder.target.written())],
            };
            Some(SetUp { found, pattern: outfit.as_ref().map(Outfit::pattern), connection: connection.clone() })
        })
    }

    fn start(&mut self) {
        let Some(delivery) = self.delivery.take() else { return };
        let Delivery {
            client, managed, backoff, quiet, never, letters, runtime, give_up, broken, waiting, used, ..
        } = delivery;
        if let Some(letters) = &letters {
            letters.queue.start(&runtime);
        }
        let (client, stats, quiet) = (Arc::new(client), Arc::clone(&self.stats), Arc::new(quiet));
        let ready = Arc::new(Ready::new(managed));
        for number in 0..self.requests {
            let (pace, ready) = (Arc::clone(&self.pace), Arc::clone(&ready));
            let (client, stats, give_up) = (Arc::clone(&client), Arc::clone(&stats), give_up.clone());
            let (quiet, backoff, spare) = (Arc::clone(&quiet), backoff.clone(), used.clone());
            let (never, letters, broken) = (Arc::clone(&never), letters.clone(), broken.clone());
            let sender =
                Sender { number, pace, ready, client, quiet, backoff, give_up, broken, never, letters, stats, spare };
            self.senders.spawn_on(sender.run(waiting.clone()), &runtime);
        }
    }

    fn writer(&mut self) -> Box<dyn Writer> {
        Box::new(BulkWriter {
            encoder: self.encoder.clone(),
            limits: self.limits,
            pace: Arc::clone(&self.pace),
            bodies: self.bodies.clone(),
            spare: self.spare.clone(),
            letters: self.letters.clone(),
            body: Body::default(),
            left: None,
        })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { bodies, mut senders, .. } = *self;
        drop(bodies);
        Box::pin(async move { while senders.join_next().await.is_some() {} })
    }
}

/// One worker's request in the making.
struct BulkWriter {
    encoder: Encoder,
    limits: Limits,
    pace: Arc<Pace>,
    bodies: Channel<Body>,
    spare: Receiver<Body>,
    /// Where events go that can't be made documents.
    letters: Option<Letterbox>,
    body: Body,
    /// When the last request left.
    left: Option<Instant>,
}

impl Writer for BulkWriter {
    fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
        if let Err(broken) = self.encoder.encode(event, receipt, &mut self.body) {
            refused::settle_unencodable(event, receipt.take(), &broken, self.letters.as_ref());
        }
        if self.body.bytes.len() >= self.pace.bytes() {
            self.hand_on(Instant::now());
        }
    }

    fn take_back(&mut self) {
        self.body.take_back();
    }

    fn tick(&mut self, now: Instant) -> Option<Instant> {
        if self.body.is_empty() {
            return None;
        }
        let due = self.left.map_or(now, |left| left + haste::delay(self.limits.delay));
        if now < due {
            return Some(due);
        }
        if self.bodies.is_full() {
            // It could not leave anyway, and waiting here would keep it from growing.
            return Some(now + self.limits.delay);
        }
        self.hand_on(now);
        None
    }

    fn finish(&mut self) {
        if !self.body.is_empty() {
            self.hand_on(Instant::now());
        }
    }
}

impl BulkWriter {
    fn hand_on(&mut self, now: Instant) {
        self.left = Some(now);
        let body = std::mem::replace(&mut self.body, self.spare.try_recv().unwrap_or_default());
        // The senders end after the writers; were they gone, the receipts are dropped and the lines read again.
        let _gone = self.bodies.send(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_event_waits_for_no_other_and_a_request_grows_while_none_can_leave() {
        let (bodies, waiting) = flume::bounded(1);
        let limits = Limits { bytes: 1 << 20, delay: Duration::from_secs(1) };
        let encoder = bulk::testing::encoder("logs");
        let (_used, spare) = flume::bounded(1);
        let body = Body::default();
        let pace = Arc::new(Pace::new(limits.bytes, 1));
        let mut writer = BulkWriter { encoder, limits, pace, bodies, spare, letters: None, body, left: None };
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(writer.tick(start), None);
        writer.write(&Event::default(), &mut None);
        assert_eq!((writer.tick(start), waiting.len()), (None, 1));
        writer.write(&Event::default(), &mut None);
        assert_eq!(writer.tick(start), Some(after(1)));
        assert_eq!((writer.tick(after(1)), writer.body.items.len()), (Some(after(2)), 1));
        waiting.recv().unwrap();
        writer.write(&Event::default(), &mut None);
        assert_eq!(writer.tick(after(2)), None);
        assert_eq!(waiting.recv().unwrap().items.len(), 2);
    }
}
