//! Who this elkhound is, in the shapes of Logstash's node info API: `/`, `/_node`, `/_node/plugins`.
//!
//! `version` is that of the Logstash whose API this is, for pollers choose by it what they ask for; elkhound's own is `elkhound`.
//! What is Java's in these answers is the process's: `jvm.mem.heap_*` is the memory that it has and may have.

use std::path::Path;
use std::process;

use elkhound_pipeline::random::Random;
use serde_json::{Map, Value, json};

use super::State;
use super::health;
use super::machine::{self, Process};
use crate::settings::Settings;
use crate::stats::PipelineStats;
use crate::{files, input, output};

/// The Logstash whose answers these are.
const LOGSTASH: &str = "9.5.2";

/// What does not change while elkhound runs.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The name of this host.
    pub(crate) host: String,
    /// What it calls itself.
    pub(crate) name: String,
    /// Its id, which is kept in `path.data`.
    pub(crate) id: String,
    /// The id of this run.
    pub(crate) ephemeral_id: String,
    /// `api.environment`.
    pub(crate) environment: String,
    /// Where it answers.
    pub(crate) address: String,
}

impl Node {
    /// This one, which answers at `address`.
    pub(crate) fn new(settings: &Settings, address: String) -> Self {
        let host = crate::host::name(settings.node.as_deref());
        let mut random = Random::default();
        Self {
            name: settings.node.clone().unwrap_or_else(|| host.clone()),
            host,
            id: kept_id(&settings.data, &mut random),
            ephemeral_id: random.uuid(),
            environment: settings.api.environment.clone(),
            address,
        }
    }
}

/// The id that is kept in the file `uuid`, as in Logstash. Without a folder that can be written it is a new one each time.
fn kept_id(data: &Path, random: &mut Random) -> String {
    let path = data.join("uuid");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let kept = kept.trim();
    if kept.len() == 36 && kept.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return kept.to_owned();
    }
    let id = random.uuid();
    // The id only tells figures of one node from another's; nothing depends on its being kept.
    let _not_kept = std::fs::create_dir_all(data).and_then(|()| files::replace(&path, id.as_bytes()));
    id
}

/// What every answer begins with.
pub(crate) fn metadata(state: &State) -> Map<String, Value> {
    let Node { host, name, id, ephemeral_id, address, .. } = &state.node;
    let first = state.stats.pipelines().first().cloned();
    let pipeline = first.map_or_else(
        || json!({}),
        |one| json!({ "workers": one.workers, "batch_size": one.batch_size, "batch_delay": one.batch_delay.as_millis() as u64 }),
    );
    let all = json!({
        "host": host,
        "version": LOGSTASH,
        "elkhound": env!("CARGO_PKG_VERSION"),
        "http_address": address,
        "id": id,
        "name": name,
        "ephemeral_id": ephemeral_id,
        "snapshot": false,
        "status": health::judge(state).status.name(),
        "pipeline": pipeline,
    });
    match all {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// `GET /`.
pub(crate) fn root(state: &State) -> Value {
    json!({ "build_snapshot": false, "environment": state.node.environment })
}

/// One of the parts of `GET /_node`.
pub(crate) fn part(state: &State, name: &str) -> Option<Value> {
    match name {
        "pipelines" => Some(pipelines(state)),
        "os" => Some(os()),
        "jvm" => Some(jvm(state)),
        _ => None,
    }
}

fn pipelines(state: &State) -> Value {
    let one = |pipeline: &std::sync::Arc<PipelineStats>| (pipeline.id.clone(), pipeline_info(state, pipeline));
    state.stats.pipelines().iter().map(one).collect::<Map<_, _>>().into()
}

/// What is set for a pipeline.
pub(crate) fn pipeline_info(state: &State, pipeline: &PipelineStats) -> Value {
    json!({
        "ephemeral_id": state.node.ephemeral_id,
        "workers": pipeline.workers,
        "batch_size": pipeline.batch_size,
        "batch_delay": pipeline.batch_delay.as_millis() as u64,
        "config_reload_automatic": state.reload.is_some(),
        "config_reload_interval": state.reload.map(|every| every.as_nanos() as u64),
        "dead_letter_queue_enabled": pipeline.dead_letters.is_some(),
    })
}

fn os() -> Value {
    json!({
        "name": "Linux",
        "arch": std::env::consts::ARCH,
        "version": machine::kernel(),
        "available_processors": std::thread::available_parallelism().map_or(1, usize::from),
    })
}

fn jvm(state: &State) -> Value {
    let limit = Process::now().memory_limit;
    json!({
        "pid": process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "vm_version": env!("CARGO_PKG_VERSION"),
        "vm_vendor": "elkhound",
        "vm_name": "elkhound, which has no Java",
        "start_time_in_millis": state.stats.started_at.millis(),
        "mem": { "heap_init_in_bytes": 0, "heap_max_in_bytes": limit, "non_heap_init_in_bytes": 0, "non_heap_max_in_bytes": 0 },
        "gc_collectors": [],
    })
}

/// `GET /_node/plugins`: all that this elkhound has.
pub(crate) fn plugins() -> Value {
    let mut names: Vec<String> = Vec::new();
    names.extend(elkhound_pipeline::codec::KINDS.iter().map(|kind| format!("logstash-codec-{}", kind.name)));
    names.extend(elkhound_pipeline::filter::KINDS.iter().map(|kind| format!("logstash-filter-{}", kind.name)));
    names.extend(input::KINDS.iter().map(|kind| format!("logstash-input-{}", kind.name)));
    names.extend(output::KINDS.iter().map(|kind| format!("logstash-output-{}", kind.name)));
    let plugins: Vec<Value> =
        names.iter().map(|name| json!({ "name": name, "version": env!("CARGO_PKG_VERSION") })).collect();
    json!({ "total": plugins.len(), "plugins": plugins })
}
