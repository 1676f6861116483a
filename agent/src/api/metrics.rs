//! `/metrics` for Prometheus. Every metric is a row of [`METRICS`]; what dashboards and alerts in `deploy/` name is held against it.
//!
//! Series of a container end with it, so their number follows the containers that are there.

use std::fmt::Write;

use elkhound_pipeline::flow::meter::read;
use elkhound_pipeline::time::Timestamp;

use super::State;
use super::flow::Counts;
use super::health;
use super::machine::Process;
use crate::clock;
use crate::stats::containers::{Backlog, ContainerStats};
use crate::stats::dead_letters::DeadLetterMeter;
use crate::stats::{InputStats, OutputStats, PipelineStats, State as Doing};

/// What `/metrics` is.
pub(crate) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Counter,
    Gauge,
}

use Type::{Counter, Gauge};

/// A row: name, type, help.
type Row = (&'static str, Type, &'static str);

/// All metrics, sorted by name.
const METRICS: &[Row] = &[
    ("elkhound_condition_trouble_total", Counter, "Events on which a condition could not compare, or took too long."),
    ("elkhound_container_backlog_bytes", Gauge, "Bytes of a container's log files that were not read yet."),
    ("elkhound_container_bytes_total", Counter, "Bytes of a container's lines."),
    ("elkhound_container_cursor_age_seconds", Gauge, "Age of the oldest line that was read and is not safe yet."),
    ("elkhound_container_gaps_total", Counter, "Places where lines may be missing that were rotated away."),
    ("elkhound_container_lag_seconds", Gauge, "How late the last lines of a container were read."),
    ("elkhound_container_last_line_timestamp_seconds", Gauge, "Time of a container's last line."),
    ("elkhound_container_lines_total", Counter, "Lines of a container."),
    ("elkhound_container_suppressed_lines_total", Counter, "Lines that were left out because there were too many."),
    ("elkhound_container_truncated_lines_total", Counter, "Lines that were longer than `max_line_bytes` and were cut."),
    (
        "elkhound_container_unreadable_records_total",
        Counter,
        "Records of a log file that could not be read; the rest of a broken compressed one counts as one.",
    ),
    ("elkhound_dead_letter_queue_bytes", Gauge, "Bytes of the segments of a dead letter queue."),
    ("elkhound_dead_letter_queue_entries_total", Counter, "Entries by what became of them: kept, dropped, expired."),
    ("elkhound_dead_letter_queue_max_bytes", Gauge, "The most bytes that a dead letter queue may have."),
    ("elkhound_filter_duration_seconds_total", Counter, "Time that a filter has worked, as sampled."),
    ("elkhound_filter_events_in_total", Counter, "Events that went into a filter."),
    ("elkhound_filter_events_out_total", Counter, "Events that came out of a filter."),
    ("elkhound_filter_failures_total", Counter, "Events on which a filter failed."),
    ("elkhound_info", Gauge, "Always 1; its labels say which elkhound this is."),
    ("elkhound_input_backlog_bytes", Gauge, "Bytes of all log files of an input that were not read yet."),
    ("elkhound_input_backlog_seconds", Gauge, "How long reading them takes, where that can be told."),
    ("elkhound_input_containers", Gauge, "Containers whose logs an input reads."),
    ("elkhound_input_containers_behind", Gauge, "Those that catch up, with a mebibyte or more to read."),
    (
        "elkhound_input_containers_unread_total",
        Counter,
        "Containers that were removed before their logs had been read.",
    ),
    ("elkhound_input_dropped_datagrams_total", Counter, "Datagrams that came to a udp input and found no room."),
    ("elkhound_input_events_total", Counter, "Events that an input has handed on."),
    ("elkhound_input_wait_seconds_total", Counter, "Time that an input has waited for room."),
    ("elkhound_output_blocked", Gauge, "1 while documents are not taken."),
    ("elkhound_output_disk_queue_bytes", Gauge, "Bytes of the queue on disk of an output with `when_full => spill`."),
    ("elkhound_output_disk_queue_events", Gauge, "Events that wait there."),
    ("elkhound_output_disk_queue_lost_events_total", Counter, "Events there that damage or a defect has cost."),
    ("elkhound_output_disk_queue_max_bytes", Gauge, "How large that queue may become."),
    ("elkhound_output_documents_total", Counter, "Documents by what became of them: indexed, refused, retried."),
    (
        "elkhound_output_dropped_events_total",
        Counter,
        "Events that an output dropped: with `when_full => drop_newest`, `ensure_delivery => false`, or a `retry_count`.",
    ),
    ("elkhound_output_duration_seconds_total", Counter, "Time that workers have spent with an output."),
    ("elkhound_output_events_total", Counter, "Events that went to an output."),
    ("elkhound_output_failures_total", Counter, "Events on which an output failed: it has not got them."),
    ("elkhound_output_items_total", Counter, "Items of bulk requests that were not simply taken, by status."),
    ("elkhound_output_requests_total", Counter, "Bulk requests: success, with_errors, failure."),
    ("elkhound_output_responses_total", Counter, "Answers to bulk requests, by HTTP status."),
    ("elkhound_pipeline_batches_total", Counter, "Batches that workers have taken up."),
    ("elkhound_pipeline_disk_queue_bytes", Gauge, "Bytes of the queue on disk."),
    ("elkhound_pipeline_disk_queue_events", Gauge, "Events in the queue on disk."),
    (
        "elkhound_pipeline_disk_queue_lost_events_total",
        Counter,
        "Events of the queue on disk that damage or a defect has cost.",
    ),
    ("elkhound_pipeline_disk_queue_max_bytes", Gauge, "How large the queue on disk may become."),
    ("elkhound_pipeline_duration_seconds_total", Counter, "Time that workers have worked."),
    ("elkhound_pipeline_events_filtered_total", Counter, "Events that have left the filters."),
    ("elkhound_pipeline_events_in_total", Counter, "Events that inputs have handed on."),
    ("elkhound_pipeline_events_lost_total", Counter, "Events that could not be made of what was read, for a defect."),
    ("elkhound_pipeline_events_out_total", Counter, "Events that went to the outputs."),
    ("elkhound_pipeline_queue_bytes", Gauge, "Bytes in flight."),
    ("elkhound_pipeline_queue_events", Gauge, "Events that wait for a worker or are in its hands."),
    ("elkhound_pipeline_queue_max_bytes", Gauge, "The most bytes that may be in flight."),
    ("elkhound_pipeline_reloads_total", Counter, "Reloads: success, failure."),
    ("elkhound_pipeline_up", Gauge, "1 while the pipeline runs."),
    ("elkhound_pipeline_workers", Gauge, "Worker threads."),
    ("elkhound_process_cpu_seconds_total", Counter, "Processor time of the process."),
    ("elkhound_process_max_fds", Gauge, "How many descriptors the process may have."),
    ("elkhound_process_open_fds", Gauge, "Open descriptors."),
    ("elkhound_process_resident_memory_bytes", Gauge, "Memory of the process."),
    ("elkhound_process_start_time_seconds", Gauge, "When elkhound was started."),
    ("elkhound_ready", Gauge, "1 while all pipelines run and documents are taken."),
];

/// All metrics as they are now.
pub(crate) fn written(state: &State) -> String {
    let mut samples = Samples::default();
    process(state, &mut samples);
    let now = clock::now();
    for pipeline in state.stats.pipelines() {
        let labels = Labels::default().with("pipeline", &pipeline.id);
        of_pipeline(&pipeline, &labels, &mut samples);
        pipeline.inputs.iter().for_each(|input| of_input(input, &labels, now, &mut samples));
        of_filters(&pipeline, &labels, &mut samples);
        for (at, output) in pipeline.outputs.iter().enumerate() {
            of_output(&pipeline, at, output, &labels, &mut samples);
        }
    }
    samples.written()
}

fn process(state: &State, samples: &mut Samples) {
    let (process, none) = (Process::now(), Labels::default());
    let info = none.with("version", env!("CARGO_PKG_VERSION")).with("node", &state.node.name);
    samples.add("elkhound_info", &info, 1.0);
    samples.add("elkhound_ready", &none, flag(health::ready(state).is_ok()));
    samples.add("elkhound_process_cpu_seconds_total", &none, process.cpu_millis as f64 / 1e3);
    samples.add("elkhound_process_max_fds", &none, process.descriptors_limit as f64);
    samples.add("elkhound_process_open_fds", &none, process.descriptors as f64);
    samples.add("elkhound_process_resident_memory_bytes", &none, process.resident as f64);
    samples.add("elkhound_process_start_time_seconds", &none, state.stats.started_at.millis() as f64 / 1e3);
}

fn of_pipeline(pipeline: &PipelineStats, labels: &Labels, samples: &mut Samples) {
    let counts = Counts::of(pipeline);
    samples.add("elkhound_pipeline_up", labels, flag(pipeline.state() == Doing::Running));
    samples.add("elkhound_pipeline_workers", labels, pipeline.workers as f64);
    samples.count("elkhound_pipeline_batches_total", labels, read(&pipeline.flow.batches));
    samples.count("elkhound_pipeline_events_in_total", labels, counts.entered);
    samples.count("elkhound_pipeline_events_lost_total", labels, read(&pipeline.flow.lost));
    samples.count("elkhound_pipeline_events_filtered_total", labels, counts.filtered);
    samples.count("elkhound_pipeline_events_out_total", labels, counts.left);
    samples.add("elkhound_pipeline_duration_seconds_total", labels, seconds(counts.nanos));
    samples.add("elkhound_pipeline_queue_bytes", labels, pipeline.bytes() as f64);
    samples.add("elkhound_pipeline_queue_max_bytes", labels, pipeline.budget.bytes() as f64);
    samples.count("elkhound_pipeline_queue_events", labels, pipeline.waiting());
    if let Some(disk) = &pipeline.disk {
        samples.count("elkhound_pipeline_disk_queue_bytes", labels, read(&disk.bytes));
        samples.count("elkhound_pipeline_disk_queue_events", labels, read(&disk.events));
        samples.count("elkhound_pipeline_disk_queue_lost_events_total", labels, read(&disk.lost));
        samples.count("elkhound_pipeline_disk_queue_max_bytes", labels, disk.settings.limits.bytes);
    }
    let reloads = [("success", &pipeline.reloads.successes), ("failure", &pipeline.reloads.failures)];
    for (result, count) in reloads {
        samples.count("elkhound_pipeline_reloads_total", &labels.with("result", result), read(count));
    }
    if let Some(letters) = &pipeline.dead_letters {
        of_dead_letters(letters, labels, samples);
    }
    let conditions = pipeline.plan.conditions();
    for (kind, count) in [("incomparable", &conditions.incomparable), ("given_up", &conditions.given_up)] {
        samples.count("elkhound_condition_trouble_total", &labels.with("kind", kind), read(count));
    }
}

fn of_dead_letters(queue: &DeadLetterMeter, labels: &Labels, samples: &mut Samples) {
    samples.count("elkhound_dead_letter_queue_bytes", labels, queue.bytes());
    samples.count("elkhound_dead_letter_queue_max_bytes", labels, queue.max_bytes);
    for (result, count) in [("kept", &queue.kept), ("dropped", &queue.dropped), ("expired", &queue.expired)] {
        samples.count("elkhound_dead_letter_queue_entries_total", &labels.with("result", result), read(count));
    }
}

fn of_input(input: &InputStats, labels: &Labels, now: Timestamp, samples: &mut Samples) {
    let own = labels.with("id", &input.id).with("plugin", &input.name);
    samples.count("elkhound_input_events_total", &own, read(&input.meter.events));
    samples.add("elkhound_input_wait_seconds_total", &own, seconds(read(&input.meter.push_nanos)));
    if let Some(dropped) = input.dropped.get() {
        samples.count("elkhound_input_dropped_datagrams_total", &own, read(dropped));
    }
    let containers = input.containers.all();
    if let Some(Backlog { bytes, behind, time_left }) = input.containers.backlog(&containers) {
        samples.count("elkhound_input_backlog_bytes", &own, bytes);
        samples.add("elkhound_input_containers_behind", &own, behind as f64);
        if let Some(millis) = time_left {
            samples.add("elkhound_input_backlog_seconds", &own, millis as f64 / 1e3);
        }
    }
    samples.add("elkhound_input_containers", &own, containers.len() as f64);
    samples.count("elkhound_input_containers_unread_total", &own, input.containers.unread());
    for container in containers {
        of_container(&container, labels, now, samples);
    }
}

fn of_container(container: &ContainerStats, labels: &Labels, now: Timestamp, samples: &mut Samples) {
    let about = container.about();
    let id: String = container.id.chars().take(12).collect();
    let labels = labels.with("container", &about.name).with("container_id", &id).with("service", &about.service);
    samples.count("elkhound_container_lines_total", &labels, container.count());
    samples.count("elkhound_container_bytes_total", &labels, read(&container.bytes));
    samples.count("elkhound_container_backlog_bytes", &labels, read(&container.left));
    samples.count("elkhound_container_gaps_total", &labels, read(&container.gaps));
    samples.count("elkhound_container_suppressed_lines_total", &labels, read(&container.suppressed));
    samples.count("elkhound_container_truncated_lines_total", &labels, read(&container.truncated));
    samples.count("elkhound_container_unreadable_records_total", &labels, read(&container.unreadable));
    samples.add("elkhound_container_lag_seconds", &labels, container.lag() as f64 / 1e9);
    samples.add("elkhound_container_cursor_age_seconds", &labels, container.cursor_age(now) as f64 / 1e9);
    if let Some(last) = container.last() {
        samples.add("elkhound_container_last_line_timestamp_seconds", &labels, last.millis() as f64 / 1e3);
    }
}

fn of_filters(pipeline: &PipelineStats, labels: &Labels, samples: &mut Samples) {
    for filter in pipeline.plan.filters() {
        let own = labels.with("id", &filter.id).with("plugin", &filter.name);
        samples.count("elkhound_filter_events_in_total", &own, read(&filter.counters.entered));
        samples.count("elkhound_filter_events_out_total", &own, read(&filter.counters.left));
        samples.count("elkhound_filter_failures_total", &own, read(&filter.counters.failed));
        samples.add("elkhound_filter_duration_seconds_total", &own, seconds(filter.counters.nanos()));
    }
}

fn of_output(pipeline: &PipelineStats, at: usize, output: &OutputStats, labels: &Labels, samples: &mut Samples) {
    let own = labels.with("id", &output.id).with("plugin", &output.name);
    let events = pipeline.flow.outputs.get(at).map_or(0, |meter| read(&meter.events));
    samples.count("elkhound_output_events_total", &own, events);
    samples.count("elkhound_output_failures_total", &own, pipeline.output_failures(at));
    samples.add("elkhound_output_duration_seconds_total", &own, seconds(pipeline.flow.output_nanos(at)));
    if let Some(dropped) = output.dropped.get() {
        samples.count("elkhound_output_dropped_events_total", &own, read(dropped));
    }
    if let Some(disk) = output.spilled.get() {
        samples.count("elkhound_output_disk_queue_bytes", &own, read(&disk.bytes));
        samples.count("elkhound_output_disk_queue_events", &own, read(&disk.events));
        samples.count("elkhound_output_disk_queue_lost_events_total", &own, read(&disk.lost));
        samples.count("elkhound_output_disk_queue_max_bytes", &own, disk.settings.limits.bytes);
    }
    let Some(delivery) = output.delivery.get() else { return };
    samples.add("elkhound_output_blocked", &own, flag(delivery.trouble().is_some()));
    let documents = [("indexed", &delivery.indexed), ("refused", &delivery.refused), ("retried", &delivery.again)];
    for (result, count) in documents {
        samples.count("elkhound_output_documents_total", &own.with("result", result), read(count));
    }
    let requests =
        [("success", &delivery.whole), ("with_errors", &delivery.with_errors), ("failure", &delivery.failed)];
    for (result, count) in requests {
        samples.count("elkhound_output_requests_total", &own.with("result", result), read(count));
    }
    for (status, count) in delivery.statuses() {
        samples.count("elkhound_output_responses_total", &own.with("status", &status.to_string()), count);
    }
    for (status, count) in delivery.item_statuses() {
        samples.count("elkhound_output_items_total", &own.with("status", &status.to_string()), count);
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// The labels of a series, as written.
#[derive(Clone, Debug, Default)]
struct Labels(String);

impl Labels {
    fn with(&self, name: &str, value: &str) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        Self(format!("{}{comma}{name}=\"{value}\"", self.0))
    }
}

/// Samples, by their metric's place in the table.
struct Samples(Vec<String>);

impl Default for Samples {
    fn default() -> Self {
        Self(vec![String::new(); METRICS.len()])
    }
}

impl Samples {
    fn count(&mut self, name: &str, labels: &Labels, value: u64) {
        self.add(name, labels, value as f64);
    }

    fn add(&mut self, name: &str, Labels(labels): &Labels, value: f64) {
        let Ok(at) = METRICS.binary_search_by(|row| row.0.cmp(name)) else {
            debug_assert!(false, "{name} is no row of the table");
            return;
        };
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        // Writing to a text can't fail.
        let _written = writeln!(self.0[at], "{name}{labels} {value}");
    }

    fn written(self) -> String {
        let mut out = String::new();
        for ((name, kind, help), samples) in METRICS.iter().zip(self.0) {
            if !samples.is_empty() {
                let kind = if *kind == Counter { "counter" } else { "gauge" };
                let _written = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::state_with_disk;
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_names_tell_their_types() {
        assert!(METRICS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, kind, help) in METRICS {
            assert!(name.starts_with("elkhound_") && help.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Counter, "{name}");
        }
    }

    #[test]
    fn every_metric_is_written_and_well_formed() {
        let state = state_with_disk();
        let pipeline = state.stats.pipelines().remove(0);
        let container = pipeline.inputs[0].containers.take_up("0123456789abcdef");
        container.describe(crate::stats::containers::About { name: "a\"b\\c\nd".into(), ..Default::default() });
        let batch = crate::stats::containers::Batch {
            lines: 1,
            bytes: 2,
            last: Some(1_500_000_000),
            gap: false,
            suppressed: 0,
            truncated: 7,
            show: &Vec::new,
        };
        container.hand_on(&batch);
        pipeline.inputs[0].containers.are_behind(Some(std::time::Duration::from_secs(4)));
        let delivery = pipeline.outputs[0].delivery.get().unwrap();
        delivery.answered(200);
        delivery.items([429].into_iter());
        pipeline.outputs[0].dropped.set(std::sync::Arc::new(3.into())).unwrap();
        pipeline.inputs[0].dropped.set(std::sync::Arc::new(2.into())).unwrap();
        let disk = crate::api::testing::disk(std::path::Path::new("spill"));
        assert!(pipeline.outputs[0].spilled.set(std::sync::Arc::new(disk)).is_ok());
        let text = written(&state);
        for (name, _, _) in METRICS {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name} is missing in\n{text}");
        }
        let labels = r#"{pipeline="main",container="a\"b\\c\nd",container_id="0123456789ab",service=""}"#;
        for (name, count) in [("lines", 1), ("truncated_lines", 7)] {
            let sample = format!("elkhound_container_{name}_total{labels} {count}");
            assert!(text.lines().any(|line| line == sample), "{sample} is missing in\n{text}");
        }
        assert!(text.lines().any(|line| line == "elkhound_ready 1"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok() && series.starts_with("elkhound_"), "{line}");
        }
    }

    #[test]
    fn what_is_deployed_names_metrics_that_there_are() {
        for file in [
            include_str!("../../../deploy/grafana/elkhound.json"),
            include_str!("../../../deploy/prometheus/alerts.yml"),
        ] {
            let words = file.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let names: Vec<&str> = words.filter(|word| word.starts_with("elkhound_")).collect();
            assert!(!names.is_empty());
            for name in names {
                assert!(METRICS.iter().any(|row| row.0 == name), "{name}");
            }
        }
    }

    #[test]
    fn the_dashboard_can_be_read() {
        let dashboard: serde_json::Value =
            serde_json::from_str(include_str!("../../../deploy/grafana/elkhound.json")).unwrap();
        assert!(
            dashboard["panels"]
                .as_array()
                .unwrap()
                .iter()
                .all(|panel| panel["targets"].is_array() || panel["type"] == "row")
        );
        let alerts = include_str!("../../../deploy/prometheus/alerts.yml");
        assert!(
            elkhound_pipeline::yaml::read(alerts, elkhound_pipeline::yaml::Scalars::Json)
                .is_ok_and(|read| read.is_some())
        );
    }
}
