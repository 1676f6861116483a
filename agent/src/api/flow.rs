//! Rates: counters looked at from time to time, and what has come in between.
//!
//! The names are Logstash's: `input_throughput` and so on in events a second, `queue_backpressure` in seconds of waiting a second,
//! `worker_concurrency` in workers that were busy. `current` is over the last five to ten seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use elkhound_pipeline::flow::meter::read;
use serde_json::{Map, Value, json};

use super::machine::Process;
use crate::stats::{PipelineStats, Stats};

/// How often counters are looked at.
pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// So many looks are kept: a minute, and one more.
const KEPT: usize = 13;

/// What was counted at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    /// Events in.
    pub(crate) entered: u64,
    /// Events behind the filters.
    pub(crate) filtered: u64,
    /// Events out.
    pub(crate) left: u64,
    /// Nanoseconds that inputs have waited.
    pub(crate) push_nanos: u64,
    /// Nanoseconds that workers have worked.
    pub(crate) nanos: u64,
    /// Workers.
    pub(crate) workers: usize,
}

impl Counts {
    /// Those of a pipeline.
    pub(crate) fn of(pipeline: &PipelineStats) -> Self {
        Self {
            entered: pipeline.entered(),
            filtered: read(&pipeline.flow.filtered),
            left: read(&pipeline.flow.left),
            push_nanos: pipeline.push_nanos(),
            nanos: read(&pipeline.flow.nanos),
            workers: pipeline.workers,
        }
    }

    /// Those of all pipelines together.
    pub(crate) fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, next| Self {
            entered: sum.entered + next.entered,
            filtered: sum.filtered + next.filtered,
            left: sum.left + next.left,
            push_nanos: sum.push_nanos + next.push_nanos,
            nanos: sum.nanos + next.nanos,
            workers: sum.workers + next.workers,
        })
    }

    /// A second's worth of each rate between `before` and now.
    fn rates(&self, before: &Self, time: Duration) -> [(&'static str, f64); 6] {
        let seconds = time.as_secs_f64().max(1e-3);
        let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let concurrency = each(self.nanos, before.nanos) / 1e9;
        [
            ("input_throughput", each(self.entered, before.entered)),
            ("filter_throughput", each(self.filtered, before.filtered)),
            ("output_throughput", each(self.left, before.left)),
            ("queue_backpressure", each(self.push_nanos, before.push_nanos) / 1e9),
            ("worker_concurrency", concurrency),
            ("worker_utilization", concurrency * 100.0 / self.workers.max(1) as f64),
        ]
    }
}

/// A pipeline at some time.
struct Seen {
    /// When it was started; another one of the same name counts from 0.
    started: Instant,
    counts: Counts,
    /// Events that had gone into each of its filters.
    filters: Vec<u64>,
}

impl Seen {
    fn of(pipeline: &PipelineStats) -> Self {
        let filters = pipeline.plan.filters().iter().map(|filter| read(&filter.counters.entered));
        Self { started: pipeline.started, counts: Counts::of(pipeline), filters: filters.collect() }
    }
}

struct Look {
    at: Instant,
    pipelines: HashMap<String, Seen>,
    all: Counts,
    lines: HashMap<String, u64>,
    cpu_millis: u64,
}

impl Look {
    fn of(&self, pipeline: &PipelineStats) -> Option<&Seen> {
        self.pipelines.get(&pipeline.id).filter(|seen| seen.started == pipeline.started)
    }
}

/// The last looks.
#[derive(Default)]
pub(crate) struct History {
    looks: Mutex<VecDeque<Look>>,
    threads: AtomicU64,
    descriptors: AtomicU64,
}

/// The process, and what only shows over time.
pub(crate) struct Watched {
    /// As it is now.
    pub(crate) now: Process,
    /// The most threads that were seen.
    pub(crate) threads_peak: u64,
    /// The most descriptors that were seen.
    pub(crate) descriptors_peak: u64,
    /// The part of the host's processors that it has had lately, in per cent.
    pub(crate) cpu_percent: u64,
}

impl History {
    /// Looks at everything.
    pub(crate) fn look(&self, stats: &Stats) {
        let pipelines = stats.pipelines();
        let by_id: HashMap<_, _> = pipelines.iter().map(|one| (one.id.clone(), Seen::of(one))).collect();
        let containers = pipelines.iter().flat_map(|one| &one.inputs).flat_map(|input| input.containers.all());
        let lines = containers.map(|container| (container.id.clone(), container.count())).collect();
        let all = Counts::sum(by_id.values().map(|seen| seen.counts));
        let cpu_millis = self.process().now.cpu_millis;
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.truncate(KEPT - 1);
        looks.push_front(Look { at: Instant::now(), pipelines: by_id, all, lines, cpu_millis });
    }

    /// What `find` finds in a look that is at least `age` old, and how old it is.
    fn back<T>(&self, age: Duration, find: impl Fn(&Look) -> Option<T>) -> Option<(T, Duration)> {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let look = looks.iter().find(|look| look.at.elapsed() >= age)?;
        Some((find(look)?, look.at.elapsed()))
    }

    /// The process as it is now.
    pub(crate) fn process(&self) -> Watched {
        let now = Process::now();
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let lately = self.back(EVERY, |look| Some(look.cpu_millis)).map_or(0.0, |(before, time)| {
            now.cpu_millis.saturating_sub(before) as f64 / 10.0 / time.as_secs_f64().max(1e-3) / cores
        });
        Watched {
            threads_peak: self.threads.fetch_max(now.threads, Ordering::Relaxed).max(now.threads),
            descriptors_peak: self.descriptors.fetch_max(now.descriptors, Ordering::Relaxed).max(now.descriptors),
            cpu_percent: lately.round() as u64,
            now,
        }
    }

    /// The rates of one pipeline.
    pub(crate) fn of(&self, pipeline: &PipelineStats) -> Value {
        let now = Counts::of(pipeline);
        let find = |look: &Look| Some(look.of(pipeline)?.counts);
        self.flow(&now, pipeline.started, &find)
    }

    /// The rates of all pipelines together.
    pub(crate) fn of_all(&self, stats: &Stats) -> Value {
        let now = Counts::sum(stats.pipelines().iter().map(|pipeline| Counts::of(pipeline)));
        self.flow(&now, stats.started, &|look: &Look| Some(look.all))
    }

    fn flow(&self, now: &Counts, started: Instant, find: &dyn Fn(&Look) -> Option<Counts>) -> Value {
        let lifetime = now.rates(&Counts::default(), started.elapsed());
        let since = |age| self.back(age, find).map(|(before, time)| now.rates(&before, time));
        let (current, minute) = (since(EVERY), since(Duration::from_secs(60) - EVERY));
        let mut flow = Map::new();
        for (at, (name, whole)) in lifetime.into_iter().enumerate() {
            let now = current.map_or(whole, |rates| rates[at].1);
            let mut rate = json!({ "current": rounded(now), "lifetime": rounded(whole) });
            if let Some(rates) = minute {
                rate["last_1_minute"] = rounded(rates[at].1);
            }
            flow.insert(name.to_owned(), rate);
        }
        flow.into()
    }

    /// Events a second that leave a pipeline at present.
    pub(crate) fn now(&self, pipeline: &PipelineStats, name: &str) -> f64 {
        self.of(pipeline)[name]["current"].as_f64().unwrap_or_default()
    }

    /// Events a second that go into each filter of a pipeline at present.
    pub(crate) fn filters(&self, pipeline: &PipelineStats) -> Vec<f64> {
        let now = Seen::of(pipeline).filters;
        let before = self.back(EVERY, |look| Some(look.of(pipeline)?.filters.clone()));
        let (before, time) = before.unwrap_or_else(|| (vec![0; now.len()], pipeline.started.elapsed()));
        let each = now.iter().zip(before);
        each.map(|(now, before)| now.saturating_sub(before) as f64 / time.as_secs_f64().max(1e-3)).collect()
    }

    /// Lines a second that a container writes at present.
    pub(crate) fn lines(&self, container: &str, count: u64) -> f64 {
        let before = self.back(EVERY, |look| Some(look.lines.get(container).copied().unwrap_or_default()));
        before.map_or(0.0, |(before, time)| count.saturating_sub(before) as f64 / time.as_secs_f64().max(1e-3))
    }
}

/// A rate as it is shown: no digits that mean nothing.
pub(crate) fn rounded(rate: f64) -> Value {
    json!((rate * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_what_came_in_between_by_the_second() {
        let before = Counts { entered: 10, nanos: 0, workers: 2, ..Counts::default() };
        let now = Counts { entered: 30, nanos: 4_000_000_000, push_nanos: 1_000_000_000, ..before };
        let rates: HashMap<_, _> = now.rates(&before, Duration::from_secs(4)).into_iter().collect();
        assert_eq!((rates["input_throughput"], rates["output_throughput"]), (5.0, 0.0));
        assert_eq!((rates["worker_concurrency"], rates["worker_utilization"]), (1.0, 50.0));
        assert_eq!(rates["queue_backpressure"], 0.25);
    }

    #[test]
    fn the_names_are_there_before_the_first_look() {
        let flow = History::default().of_all(&Stats::new());
        let names: Vec<&str> = flow.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "filter_throughput",
            "input_throughput",
            "output_throughput",
            "queue_backpressure",
            "worker_concurrency",
            "worker_utilization",
        ];
        assert_eq!(names, expected);
        assert_eq!(flow["input_throughput"], json!({ "current": 0.0, "lifetime": 0.0 }));
    }
}
