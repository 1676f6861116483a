//! One look at the monitoring API: the figures that are shown, and rates against the look before.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

/// What was seen.
#[derive(Clone, Debug)]
pub(super) struct Look {
    at: Instant,
    pub(super) name: String,
    pub(super) version: String,
    /// `green`, `yellow`, `red`.
    pub(super) status: String,
    /// Seconds since its start.
    pub(super) uptime: f64,
    /// Bytes of memory.
    pub(super) memory: usize,
    /// Per cent of the host's processors.
    pub(super) cpu: f64,
    /// Bytes that wait in log files, and the seconds that it takes to read them, where they can be told.
    pub(super) behind: (usize, Option<f64>),
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) containers: Vec<Container>,
}

#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) id: String,
    /// Events a second into it, behind its filters, and out of it.
    pub(super) rates: [f64; 3],
    /// Bytes in flight, and how many there may be.
    pub(super) queue: [usize; 2],
    /// Events that wait.
    pub(super) waiting: u64,
    /// Events of a batch, on average, and at most.
    pub(super) batch: [f64; 2],
    /// How busy its workers are, in per cent.
    pub(super) busy: f64,
    pub(super) filters: Vec<Filter>,
    pub(super) outputs: Vec<Output>,
}

#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) id: String,
    pub(super) place: String,
    /// Events a second that go in, once it was seen twice.
    pub(super) rate: f64,
    pub(super) entered: u64,
    pub(super) left: u64,
    pub(super) failed: u64,
    /// Milliseconds in all.
    pub(super) millis: u64,
    /// Microseconds an event.
    pub(super) micros: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) id: String,
    pub(super) events: u64,
    /// Documents indexed, refused for good, sent again; nothing of other outputs than elasticsearch.
    pub(super) documents: Option<[u64; 3]>,
    /// `200 × 12, 429 × 1`.
    pub(super) answers: String,
}

#[derive(Clone, Debug)]
pub(super) struct Container {
    id: String,
    pub(super) name: String,
    pub(super) service: String,
    pub(super) source: String,
    /// Lines a second, once it was seen twice.
    pub(super) rate: f64,
    pub(super) lines: u64,
    /// Seconds between a line's writing and its reading.
    pub(super) lag: f64,
    /// Seconds since what is safe was written.
    pub(super) cursor_age: f64,
    pub(super) gaps: u64,
    pub(super) suppressed: u64,
    pub(super) error: String,
}

impl Look {
    /// Reads an answer of `/_node/stats`.
    pub(super) fn new(answer: &Value, at: Instant, before: Option<&Self>) -> Self {
        let pipelines = answer["pipelines"].as_object();
        let pipelines: Vec<(&String, &Value)> = pipelines.into_iter().flatten().collect();
        let inputs = pipelines.iter().flat_map(|(_, one)| list(&one["plugins"]["inputs"]));
        let behind = inputs.clone().map(|input| &input["backlog"]).filter(|backlog| backlog.is_object());
        let times = behind.clone().map(|backlog| backlog["time_left_in_millis"].as_f64().map(|millis| millis / 1e3));
        let time = times.reduce(|a, b| Some(a?.max(b?))).flatten();
        let containers: Vec<Container> = inputs.flat_map(|input| list(&input["containers"])).map(container).collect();
        let behind = (behind.map(|backlog| whole(&backlog["bytes"]) as usize).sum(), time);
        let pipelines = pipelines.into_iter().map(|(id, one)| pipeline(id, one)).collect();
        let mut look = Self {
            at,
            name: text(&answer["name"]),
            version: text(&answer["elkhound"]),
            status: text(&answer["status"]),
            uptime: number(&answer["jvm"]["uptime_in_millis"]) / 1e3,
            memory: number(&answer["process"]["mem"]["resident_in_bytes"]) as usize,
            cpu: number(&answer["process"]["cpu"]["percent"]),
            behind,
            pipelines,
            containers,
        };
        if let Some(before) = before {
            look.compare(before);
        }
        look
    }

    /// Tells rates from what came since the look before.
    fn compare(&mut self, before: &Self) {
        let seconds = self.at.saturating_duration_since(before.at).as_secs_f64().max(1e-3);
        let rate = |now: u64, before: Option<&u64>| now.saturating_sub(before.copied().unwrap_or(0)) as f64 / seconds;
        let lines: HashMap<&str, u64> = before.containers.iter().map(|one| (one.id.as_str(), one.lines)).collect();
        for container in &mut self.containers {
            container.rate = rate(container.lines, lines.get(container.id.as_str()));
        }
        for pipeline in &mut self.pipelines {
            let same = before.pipelines.iter().filter(|other| other.id == pipeline.id);
            let entered: HashMap<&str, u64> =
                same.flat_map(|one| &one.filters).map(|one| (one.id.as_str(), one.entered)).collect();
            for filter in &mut pipeline.filters {
                filter.rate = rate(filter.entered, entered.get(filter.id.as_str()));
            }
        }
    }
}

fn pipeline(id: &str, one: &Value) -> Pipeline {
    let rate = |name: &str| number(&one["flow"][name]["current"]);
    Pipeline {
        id: id.to_owned(),
        rates: [rate("input_throughput"), rate("filter_throughput"), rate("output_throughput")],
        queue: ["queue_size_in_bytes", "max_queue_size_in_bytes"].map(|name| number(&one["queue"][name]) as usize),
        waiting: whole(&one["queue"]["events_count"]),
        batch: [number(&one["batch"]["event_count"]["average"]["lifetime"]), number(&one["pipeline"]["batch_size"])],
        busy: rate("worker_utilization"),
        filters: list(&one["plugins"]["filters"]).iter().map(filter).collect(),
        outputs: list(&one["plugins"]["outputs"]).iter().map(output).collect(),
    }
}

fn filter(one: &Value) -> Filter {
    let events = &one["events"];
    Filter {
        id: text(&one["id"]),
        place: text(&one["place"]),
        rate: 0.0,
        entered: whole(&events["in"]),
        left: whole(&events["out"]),
        failed: whole(&one["failures"]),
        millis: whole(&events["duration_in_millis"]),
        micros: number(&one["flow"]["worker_millis_per_event"]["lifetime"]) * 1e3,
    }
}

fn output(one: &Value) -> Output {
    let documents = &one["documents"];
    let counts = ["successes", "non_retryable_failures", "retryable_failures"].map(|name| whole(&documents[name]));
    let answers = one["bulk_requests"]["responses"].as_object();
    let answers = answers.into_iter().flatten().map(|(status, count)| format!("{status} × {count}"));
    Output {
        id: text(&one["id"]),
        events: whole(&one["events"]["out"]),
        documents: documents.is_object().then_some(counts),
        answers: answers.collect::<Vec<_>>().join(", "),
    }
}

fn container(one: &Value) -> Container {
    let error = &one["last_error"];
    Container {
        id: text(&one["id"]),
        name: text(&one["name"]),
        service: text(&one["service"]),
        source: text(&one["source"]),
        rate: 0.0,
        lines: whole(&one["lines"]),
        lag: number(&one["lag_in_millis"]) / 1e3,
        cursor_age: number(&one["cursor_age_in_millis"]) / 1e3,
        gaps: whole(&one["gaps"]),
        suppressed: whole(&one["suppressed_lines"]),
        error: if error.is_null() { String::new() } else { text(&error["message"]) },
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    // Names come from outside, and a terminal obeys what it is sent.
    value.as_str().unwrap_or_default().chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod testing {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// An answer about a pipeline and its containers, which have written so many lines.
    pub(crate) fn answer(lines: [u64; 2]) -> Value {
        let container = |id: &str, lines: u64, error: Value| {
            json!({ "id": id, "name": format!("shop_{id}.1"), "service": "shop", "source": "files", "lines": lines,
                "lag_in_millis": lines, "cursor_age_in_millis": 400, "gaps": 0, "suppressed_lines": 0, "last_error": error })
        };
        let error = json!({ "message": "cut\u{1b}[2J off", "timestamp": "2026-11-26T09:00:00Z" });
        json!({
            "name": "node-1", "elkhound": "0.1.0", "status": "yellow",
            "jvm": { "uptime_in_millis": 90_000 },
            "process": { "mem": { "resident_in_bytes": 40 << 20 }, "cpu": { "percent": 12 } },
            "pipelines": { "main": {
                "flow": { "input_throughput": { "current": 1200.0 }, "filter_throughput": { "current": 1100.0 },
                    "output_throughput": { "current": 1000.0 }, "worker_utilization": { "current": 37.5 } },
                "queue": { "queue_size_in_bytes": 6 << 20, "max_queue_size_in_bytes": 24 << 20, "events_count": 42 },
                "batch": { "event_count": { "average": { "lifetime": 100.0 } } },
                "pipeline": { "batch_size": 125 },
                "plugins": {
                    "inputs": [{ "backlog": { "bytes": 3 << 20, "time_left_in_millis": 1500 }, "containers": [container("web", lines[0], Value::Null), container("db", lines[1], error)] }],
                    "filters": [{ "id": "grok-1", "place": "p.conf:3", "events": { "in": lines[0], "out": 9, "duration_in_millis": 5 },
                        "failures": 1, "flow": { "worker_millis_per_event": { "lifetime": 0.0042 } } }],
                    "outputs": [{ "id": "es", "events": { "out": 9 }, "documents": { "successes": 8, "non_retryable_failures": 1,
                        "retryable_failures": 2 }, "bulk_requests": { "responses": { "200": 7, "429": 2 } } }],
                },
            } },
        })
    }

    /// Two looks at that, two seconds apart.
    pub(crate) fn look() -> Look {
        let start = Instant::now();
        let before = Look::new(&answer([100, 10]), start, None);
        Look::new(&answer([300, 12]), start + Duration::from_secs(2), Some(&before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_came_between_two_looks() {
        let look = testing::look();
        let rates: Vec<f64> = look.containers.iter().map(|one| one.rate).collect();
        assert_eq!((rates, look.pipelines[0].filters[0].rate), (vec![100.0, 1.0], 100.0));
    }

    #[test]
    fn what_comes_from_outside_cannot_steer_the_terminal() {
        assert_eq!(testing::look().containers[1].error, "cut [2J off");
    }

    #[test]
    fn an_answer_that_lacks_everything_is_an_empty_look() {
        let look = Look::new(&Value::Null, Instant::now(), None);
        assert!(look.pipelines.is_empty() && look.containers.is_empty() && look.name.is_empty());
    }
}
