//! What elkhound has done, in the shapes of Logstash's node stats API. Containers, which Logstash has not, are `containers` of their input.
//!
//! `jvm.mem` is the process's memory (`heap_used_in_bytes` what it has, `heap_max_in_bytes` what it may have), so that pollers made for
//! Logstash, such as Metricbeat's, find what they read; there are no collectors and no pools.

use std::sync::Arc;

use elkhound_pipeline::flow::meter::read;
use elkhound_pipeline::plan::PlacedFilter;
use elkhound_pipeline::time::Timestamp;
use serde_json::{Map, Value, json};

use super::State;
use super::flow::{Counts, Watched, rounded};
use super::machine;
use crate::clock;
use crate::disk_queue::{Gauge, Meter, Settings};
use crate::stats::containers::{Backlog, ContainerStats};
use crate::stats::dead_letters::DeadLetterMeter;
use crate::stats::delivery::Delivery;
use crate::stats::{InputStats, OutputStats, PipelineStats, Reloads};
use crate::volume;

/// The parts of `GET /_node/stats`, which may each be asked for.
pub(crate) const PARTS: [&str; 8] = ["events", "flow", "jvm", "os", "pipelines", "process", "queue", "reloads"];

/// One part.
pub(crate) fn part(state: &State, name: &str) -> Option<Value> {
    match name {
        "events" => Some(events(state)),
        "flow" => Some(state.history.of_all(&state.stats)),
        "jvm" => Some(jvm(state)),
        "os" => Some(os()),
        "pipelines" => Some(pipelines(state)),
        "process" => Some(process(state)),
        "queue" => {
            let waiting: u64 = state.stats.pipelines().iter().map(|pipeline| pipeline.waiting()).sum();
            Some(json!({ "events_count": waiting }))
        }
        "reloads" => {
            let reloads = &state.stats.reloads;
            Some(json!({ "successes": read(&reloads.successes), "failures": read(&reloads.failures) }))
        }
        _ => None,
    }
}

fn events(state: &State) -> Value {
    let all = Counts::sum(state.stats.pipelines().iter().map(|pipeline| Counts::of(pipeline)));
    counted(&all)
}

fn counted(counts: &Counts) -> Value {
    json!({
        "in": counts.entered,
        "filtered": counts.filtered,
        "out": counts.left,
        "duration_in_millis": millis(counts.nanos),
        "queue_push_duration_in_millis": millis(counts.push_nanos),
    })
}

fn jvm(state: &State) -> Value {
    let Watched { now: process, threads_peak, .. } = state.history.process();
    let percent = (process.resident * 100).checked_div(process.memory_limit).unwrap_or_default();
    let none = json!({ "collection_count": 0, "collection_time_in_millis": 0 });
    json!({
        "threads": { "count": process.threads, "peak_count": threads_peak },
        "mem": {
            "heap_used_in_bytes": process.resident,
            "heap_used_percent": percent,
            "heap_committed_in_bytes": process.resident,
            "heap_max_in_bytes": process.memory_limit,
            "non_heap_used_in_bytes": 0,
            "non_heap_committed_in_bytes": 0,
            "pools": {},
        },
        "gc": { "collectors": { "old": none.clone(), "young": none } },
        "uptime_in_millis": state.stats.started.elapsed().as_millis() as u64,
    })
}

fn load() -> Value {
    let [one, five, fifteen] = machine::load_average();
    json!({ "1m": one, "5m": five, "15m": fifteen })
}

fn os() -> Value {
    json!({ "cpu": { "load_average": load() } })
}

fn process(state: &State) -> Value {
    let Watched { now: process, descriptors_peak, cpu_percent, .. } = state.history.process();
    json!({
        "open_file_descriptors": process.descriptors,
        "peak_open_file_descriptors": descriptors_peak,
        "max_file_descriptors": process.descriptors_limit,
        "mem": { "total_virtual_in_bytes": process.virtual_size, "resident_in_bytes": process.resident },
        "cpu": { "total_in_millis": process.cpu_millis, "percent": cpu_percent, "load_average": load() },
    })
}

fn pipelines(state: &State) -> Value {
    let one = |pipeline: &Arc<PipelineStats>| (pipeline.id.clone(), pipeline_stats(state, pipeline));
    state.stats.pipelines().iter().map(one).collect::<Map<_, _>>().into()
}

/// One pipeline.
pub(crate) fn pipeline_stats(state: &State, pipeline: &PipelineStats) -> Value {
    let outputs = pipeline.outputs.iter().enumerate();
    let mut shown = json!({
        "events": counted(&Counts::of(pipeline)),
        "flow": state.history.of(pipeline),
        "plugins": {
            "inputs": pipeline.inputs.iter().map(|one| input(one)).collect::<Vec<_>>(),
            "codecs": [],
            "filters": pipeline.plan.filters().iter().map(|one| filter(pipeline, one)).collect::<Vec<_>>(),
            "outputs": outputs.map(|(at, one)| output(pipeline, at, one)).collect::<Vec<_>>(),
        },
        "reloads": reloads(&pipeline.reloads),
        "queue": pipeline.disk.as_ref().map_or_else(|| queue(pipeline), |disk| disk_queue(disk)),
        "batch": { "count": read(&pipeline.flow.batches), "event_count": { "average": average(pipeline) } },
        "pipeline": super::node::pipeline_info(state, pipeline),
        "ephemeral_id": state.node.ephemeral_id,
        "hash": pipeline.id,
    });
    if let Some(letters) = &pipeline.dead_letters {
        shown["dead_letter_queue"] = dead_letters(letters);
    }
    shown
}

fn dead_letters(queue: &DeadLetterMeter) -> Value {
    json!({
        "queue_size_in_bytes": queue.bytes(),
        "max_queue_size_in_bytes": queue.max_bytes,
        "storage_policy": queue.policy,
        "kept_events": read(&queue.kept),
        "dropped_events": read(&queue.dropped),
        "expired_events": read(&queue.expired),
        "last_error": queue.trouble().unwrap_or_else(|| "no errors".into()),
    })
}

fn queue(pipeline: &PipelineStats) -> Value {
    json!({
        "type": "memory",
        "events": pipeline.waiting(),
        "events_count": pipeline.waiting(),
        "queue_size_in_bytes": pipeline.bytes(),
        "max_queue_size_in_bytes": pipeline.budget.bytes(),
    })
}

fn disk_queue(disk: &Gauge) -> Value {
    let Settings { folder, limits, .. } = &disk.settings;
    let (events, bytes) = (read(&disk.events), read(&disk.bytes));
    json!({
        "type": "persisted",
        "capacity": {
            "page_capacity_in_bytes": limits.page,
            "max_queue_size_in_bytes": limits.bytes,
            "max_unread_events": limits.events,
            "queue_size_in_bytes": bytes,
        },
        "data": {
            "path": folder.display().to_string(),
            "free_space_in_bytes": volume::free(folder),
            "storage_type": volume::kind(folder),
        },
        "events": events,
        "events_count": events,
        "queue_size_in_bytes": bytes,
        "max_queue_size_in_bytes": limits.bytes,
        "lost_events": read(&disk.lost),
        "compression": compression(disk),
    })
}

/// What compressing brings and costs, as Logstash shows it: bytes that came out for each that went in, and seconds of work for each second.
fn compression(disk: &Gauge) -> Value {
    let (goal, lived) = (disk.settings.compression, disk.since.elapsed().as_secs_f64());
    let direction = |meter: &Meter| {
        let spend = meter.time().as_secs_f64() / lived.max(1e-9);
        json!({ "ratio": { "lifetime": meter.ratio().map(four_digits) }, "spend": { "lifetime": four_digits(spend) } })
    };
    let mut shown = json!({ "decode": direction(&disk.decoded) });
    if goal.is_on() {
        shown["encode"] = direction(&disk.encoded);
        shown["encode"]["goal"] = goal.name().into();
    }
    shown
}

/// A number to its fourth digit that is not a leading zero.
fn four_digits(number: f64) -> f64 {
    format!("{number:.3e}").parse().unwrap_or(number)
}

/// Events of a batch.
pub(crate) fn average(pipeline: &PipelineStats) -> Value {
    json!({ "lifetime": rounded(pipeline.average_batch()) })
}

fn reloads(reloads: &Reloads) -> Value {
    let last = reloads.last();
    json!({
        "successes": read(&reloads.successes),
        "failures": read(&reloads.failures),
        "last_success_timestamp": last.success.map(|at| at.to_string()),
        "last_failure_timestamp": last.failure.map(|at| at.to_string()),
        "last_error": last.error.map(|message| json!({ "message": message, "backtrace": [] })),
    })
}

fn input(input: &InputStats) -> Value {
    let (events, nanos) = (read(&input.meter.events), read(&input.meter.push_nanos));
    let mut shown = json!({
        "id": input.id,
        "name": input.name,
        "events": { "out": events, "queue_push_duration_in_millis": millis(nanos) },
    });
    if let Some(dropped) = input.dropped.get() {
        shown["events"]["dropped"] = read(dropped).into();
    }
    let containers = input.containers.all();
    if input.containers.unread() > 0 {
        shown["containers_unread"] = input.containers.unread().into();
    }
    if let Some(Backlog { bytes, behind, time_left }) = input.containers.backlog(&containers) {
        let now = clock::now();
        shown["backlog"] = json!({ "bytes": bytes, "containers": behind, "time_left_in_millis": time_left });
        shown["containers"] = containers.iter().map(|one| container(one, now)).collect();
    }
    shown
}

fn container(container: &ContainerStats, now: Timestamp) -> Value {
    let about = container.about();
    let mut shown = json!({
        "id": container.id,
        "name": about.name,
        "image": about.image,
        "service": about.service,
        "source": about.source,
        "lines": container.count(),
        "bytes": read(&container.bytes),
        "gaps": read(&container.gaps),
        "suppressed_lines": read(&container.suppressed),
        "truncated_lines": read(&container.truncated),
        "unreadable_records": read(&container.unreadable),
        "bytes_left": read(&container.left),
        "last_line": container.last().map(|at| at.to_string()),
        "lag_in_millis": container.lag() / 1_000_000,
        "cursor_age_in_millis": container.cursor_age(now) / 1_000_000,
    });
    if let Some((at, reason)) = container.trouble() {
        shown["last_error"] = json!({ "message": reason, "timestamp": at.to_string() });
    }
    shown
}

fn filter(pipeline: &PipelineStats, filter: &PlacedFilter) -> Value {
    let counters = &filter.counters;
    let (entered, nanos) = (read(&counters.entered), counters.nanos());
    json!({
        "id": filter.id,
        "name": filter.name,
        "place": filter.place,
        "events": { "in": entered, "out": read(&counters.left), "duration_in_millis": millis(nanos) },
        "failures": read(&counters.failed),
        "flow": plugin_flow(pipeline, entered, nanos),
    })
}

fn output(pipeline: &PipelineStats, at: usize, output: &OutputStats) -> Value {
    let events = pipeline.flow.outputs.get(at).map_or(0, |meter| read(&meter.events));
    let nanos = pipeline.flow.output_nanos(at);
    let mut shown = json!({
        "id": output.id,
        "name": output.name,
        "events": { "in": events, "out": events, "duration_in_millis": millis(nanos) },
        "failures": pipeline.output_failures(at),
        "flow": plugin_flow(pipeline, events, nanos),
    });
    if let Some(dropped) = output.dropped.get() {
        shown["events"]["dropped"] = read(dropped).into();
    }
    if let Some(disk) = output.spilled.get() {
        shown["queue"] = disk_queue(disk);
    }
    if let Some(delivery) = output.delivery.get() {
        shown["documents"] = documents(delivery);
        shown["bulk_requests"] = requests(delivery);
    }
    shown
}

fn documents(delivery: &Delivery) -> Value {
    json!({
        "successes": read(&delivery.indexed),
        "retryable_failures": read(&delivery.again),
        "non_retryable_failures": read(&delivery.refused),
    })
}

fn requests(delivery: &Delivery) -> Value {
    let responses: Map<String, Value> =
        delivery.statuses().into_iter().map(|(status, count)| (status.to_string(), count.into())).collect();
    json!({
        "successes": read(&delivery.whole),
        "with_errors": read(&delivery.with_errors),
        "failures": read(&delivery.failed),
        "responses": responses,
    })
}

fn plugin_flow(pipeline: &PipelineStats, events: u64, nanos: u64) -> Value {
    let lived = pipeline.started.elapsed().as_nanos() as f64 * pipeline.workers.max(1) as f64;
    let each = nanos as f64 / 1e6 / events.max(1) as f64;
    json!({
        "worker_utilization": { "lifetime": rounded(nanos as f64 * 100.0 / lived.max(1.0)) },
        "worker_millis_per_event": { "lifetime": (each * 1e6).round() / 1e6 },
    })
}

fn millis(nanos: u64) -> u64 {
    nanos / 1_000_000
}

#[cfg(test)]
mod tests {
    use elkhound_pipeline::flow::meter::add;

    use super::super::testing::state;
    use super::*;
    use crate::disk_queue::Compression;

    /// The names of an object's members, sorted.
    fn names(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn every_part_is_there() {
        let state = state();
        assert!(PARTS.iter().all(|name| part(&state, name).is_some()));
        assert_eq!(part(&state, "nothing"), None);
        let jvm = part(&state, "jvm").unwrap();
        assert!(
            jvm["mem"]["heap_used_in_bytes"].as_u64() > Some(0) && jvm["mem"]["heap_max_in_bytes"].as_u64() > Some(0)
        );
        assert_eq!(jvm["gc"]["collectors"]["young"]["collection_count"], 0);
    }

    #[test]
    fn a_queue_on_disk_has_logstashs_shape() {
        let folder = crate::scratch::Folder::new("queue-shape");
        let gauge = super::super::testing::disk(&folder);
        let shown = disk_queue(&gauge);
        let expected = [
            "capacity",
            "compression",
            "data",
            "events",
            "events_count",
            "lost_events",
            "max_queue_size_in_bytes",
            "queue_size_in_bytes",
            "type",
        ];
        assert_eq!(names(&shown), expected);
        let capacity = json!({ "page_capacity_in_bytes": 10, "max_queue_size_in_bytes": 100, "max_unread_events": 5, "queue_size_in_bytes": 42 });
        assert_eq!(
            (&shown["type"], &shown["capacity"], &shown["events_count"]),
            (&json!("persisted"), &capacity, &json!(3))
        );
        assert_eq!(names(&shown["data"]), ["free_space_in_bytes", "path", "storage_type"]);
        assert!(shown["data"]["free_space_in_bytes"].as_u64() > Some(0), "{shown}");
        assert!(shown["data"]["storage_type"].as_str().is_some_and(|kind| !kind.is_empty()), "{shown}");
    }

    #[test]
    fn compression_is_shown_as_logstash_does() {
        let mut gauge = super::super::testing::disk(std::path::Path::new("/queue"));
        let lifetime = |shown: &Value, ratio: Option<f64>| {
            assert_eq!(shown["ratio"], json!({ "lifetime": ratio }));
            assert!(shown["spend"]["lifetime"].as_f64().is_some_and(|spend| spend >= 0.0), "{shown}");
        };
        let shown = disk_queue(&gauge)["compression"].take();
        assert_eq!((names(&shown), &shown["encode"]["goal"]), (vec!["decode", "encode"], &json!("speed")));
        lifetime(&shown["encode"], None);
        lifetime(&shown["decode"], None);
        gauge.encoded.add(3000, 1000, std::time::Duration::from_secs(60));
        let shown = compression(&gauge);
        lifetime(&shown["encode"], Some(0.3333));
        assert!(shown["encode"]["spend"]["lifetime"].as_f64() > Some(0.0), "{shown}");
        gauge.settings.compression = Compression::None;
        assert_eq!(names(&compression(&gauge)), ["decode"]);
    }

    #[test]
    fn digits_are_counted_from_the_first_that_is_not_zero() {
        assert_eq!([0.0, 1.0 / 3.0, 2.0 / 300_000.0, 1234.56].map(four_digits), [0.0, 0.3333, 0.000_006_667, 1235.0]);
    }

    #[test]
    fn an_input_says_how_far_it_is_behind() {
        let state = state();
        let pipeline = state.stats.pipelines().remove(0);
        assert_eq!(input(&pipeline.inputs[0])["backlog"], Value::Null);
        add(&pipeline.inputs[0].containers.take_up("ab").left, 3 << 20);
        let shown = input(&pipeline.inputs[0]);
        assert_eq!(shown["backlog"], json!({ "bytes": 3 << 20, "containers": 1, "time_left_in_millis": null }));
        assert_eq!(shown["containers"][0]["bytes_left"], 3 << 20);
    }

    #[test]
    fn a_pipeline_has_logstashs_shape() {
        let state = state();
        let pipeline = state.stats.pipelines().remove(0);
        add(&pipeline.inputs[0].meter.events, 7);
        add(&pipeline.flow.entered, 5);
        add(&pipeline.flow.left, 4);
        add(&pipeline.flow.outputs[0].events, 4);
        pipeline.outputs[0].delivery.get().unwrap().answered(429);
        pipeline.outputs[0].dropped.set(Arc::new(3.into())).unwrap();
        pipeline.inputs[0].dropped.set(Arc::new(2.into())).unwrap();
        let shown = pipeline_stats(&state, &pipeline);
        let expected = [
            "batch",
            "dead_letter_queue",
            "ephemeral_id",
            "events",
            "flow",
            "hash",
            "pipeline",
            "plugins",
            "queue",
            "reloads",
        ];
        assert_eq!(names(&shown), expected);
        let letters = &shown["dead_letter_queue"];
        assert_eq!((&letters["storage_policy"], &letters["last_error"]), (&json!("drop_newer"), &json!("no errors")));
        assert_eq!((shown["events"]["in"].as_u64(), shown["events"]["out"].as_u64()), (Some(7), Some(4)));
        assert_eq!(shown["queue"]["events_count"], 2);
        let plugins = &shown["plugins"];
        assert_eq!(names(plugins), ["codecs", "filters", "inputs", "outputs"]);
        let input = &plugins["inputs"][0];
        let told = (&input["id"], &input["events"]["out"], &input["events"]["dropped"]);
        assert_eq!(told, (&json!("in"), &json!(7), &json!(2)));
        assert_eq!(
            (&plugins["filters"][0]["id"], &plugins["filters"][0]["name"]),
            (&json!("mutate-1"), &json!("mutate"))
        );
        let output = &plugins["outputs"][0];
        assert_eq!(names(output), ["bulk_requests", "documents", "events", "failures", "flow", "id", "name"]);
        assert_eq!(output["bulk_requests"]["responses"], json!({ "429": 1 }));
        assert_eq!((&output["events"]["out"], &output["events"]["dropped"]), (&json!(4), &json!(3)));
        let reloads = json!({ "successes": 0, "failures": 0, "last_success_timestamp": null, "last_failure_timestamp": null, "last_error": null });
        assert_eq!(shown["reloads"], reloads);
    }
}
