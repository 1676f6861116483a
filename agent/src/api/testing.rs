//! A state to ask, for tests: one pipeline `main` with an input, a filter and an output that delivers.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use elkhound_config::parser::{self, Escapes};
use elkhound_config::source::Source;
use elkhound_pipeline::flow::budget::Budget;
use elkhound_pipeline::flow::queue::Order;
use elkhound_pipeline::plan::compile;
use elkhound_pipeline::setup::{Ecs, Setup};
use http_body_util::BodyExt;
use hyper::Method;
use tokio::sync::Semaphore;

use super::node::Node;
use super::query::Query;
use super::{Asked, History, State, answer};
use crate::disk_queue::{Compression, Gauge, Limits, Settings};
use crate::line::Named;
use crate::settings::api::ApiSettings;
use crate::settings::{PipelineSettings, PipelineText, Written};
use crate::stats::dead_letters::DeadLetterMeter;
use crate::stats::{PipelineStats, Stats};

/// A state whose pipeline has done nothing yet.
pub(crate) fn state() -> State {
    state_of(None)
}

/// The same with a queue on disk.
pub(crate) fn state_with_disk() -> State {
    state_of(Some(Arc::new(disk(Path::new("/queue")))))
}

fn state_of(disk: Option<Arc<Gauge>>) -> State {
    let stats = Arc::new(Stats::new());
    stats.start(Arc::new(pipeline(&stats, disk)));
    let text = String::new;
    let node = Node {
        host: "node-1".into(),
        name: "node-1".into(),
        id: "id".into(),
        ephemeral_id: text(),
        environment: "production".into(),
        address: "127.0.0.1:9600".into(),
    };
    State {
        stats,
        node,
        history: History::default(),
        reload: None,
        again: Arc::default(),
        login: None,
        loopback: true,
        viewers: Arc::new(Semaphore::new(1)),
    }
}

fn pipeline(stats: &Stats, disk: Option<Arc<Gauge>>) -> PipelineStats {
    let text = "filter { mutate { add_tag => a } if [b] > 1 { drop { } } }";
    let source = Source::of("p.conf", text);
    let parsed = parser::parse(&source, Escapes::Kept);
    let plan = compile(&parsed.document, &source, &Setup::without_files(Ecs::V8), Box::new(|_| {}), &mut Vec::new());
    let named = |id: &str, name: &str| Named { id: id.into(), name: name.into() };
    let names = ([named("in", "docker")], [named("es", "elasticsearch")]);
    let row = crate::settings::table::find("config.string").unwrap();
    let written =
        Written { name: row.name.into(), row, value: text.into(), origin: crate::settings::WrittenAt::Nowhere };
    let settings = PipelineSettings {
        id: "main".into(),
        text: PipelineText::Inline(written),
        workers: 2,
        batch_size: 125,
        batch_delay: Duration::ZERO,
        order: Order::Free,
        ecs: Ecs::V8,
        support_escapes: false,
        dead_letters: None,
        queue: None,
        spill: self::disk(Path::new("spill")).settings,
        reloadable: true,
    };
    let letters = DeadLetterMeter::new(1 << 30, "drop_newer");
    let (plan, names) = (Arc::new(plan.plan), (&names.0[..], &names.1[..]));
    let pipeline =
        PipelineStats::new(&settings, names, &plan, Some(Arc::new(letters)), (Budget::new(1 << 20), disk), stats);
    pipeline.outputs[0].delivery.set(Arc::default()).unwrap();
    pipeline
}

/// A queue on disk that holds something.
pub(crate) fn disk(folder: &Path) -> Gauge {
    let limits = Limits { page: 10, bytes: 100, events: 5, acks: 0, writes: 0, interval: None };
    let settings = Settings { folder: folder.to_owned(), limits, compression: Compression::Speed, drain: false };
    Gauge { events: 3.into(), bytes: 42.into(), lost: 1.into(), ..Gauge::new(settings) }
}

/// The status of the answer to somebody from another host who has not logged in.
pub(crate) async fn ask_from_elsewhere(state: &State, method: Method, path: &str) -> u16 {
    let asked = Asked { trusted: false, ..asked(method, path, "") };
    answer(state, &asked, &Default::default()).await.status().as_u16()
}

/// Asks for a path; the status and the body of the answer.
pub(crate) async fn get(state: &State, path: &str, accept: &str) -> (u16, String) {
    told(state, Method::GET, path, accept).await
}

/// The status and the body of the answer to any request.
pub(crate) async fn ask(state: &State, method: Method, path: &str) -> (u16, String) {
    told(state, method, path, "").await
}

fn asked(method: Method, path: &str, accept: &str) -> Asked {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (path, query) = (path.into(), Query::parse(query));
    Asked { method, path, query, accept: accept.into(), trusted: true, opening: None }
}

async fn told(state: &State, method: Method, path: &str, accept: &str) -> (u16, String) {
    let answer = answer(state, &asked(method, path, accept), &Default::default()).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// An API on this host.
pub(crate) fn settings(ports: RangeInclusive<u16>) -> ApiSettings {
    ApiSettings { enabled: true, host: "127.0.0.1".into(), ports, environment: String::new(), login: None, tls: None }
}
