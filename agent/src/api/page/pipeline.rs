//! A pipeline: the way of its events with what waits where, and its filters in their conditions with what each does and takes.

use elkhound_pipeline::flow::meter::read;
use elkhound_pipeline::plan::{Outline, PlacedFilter};

use super::super::State;
use super::table::{Column, Table};
use super::{escaped, marked, section};
use crate::amounts::{lasting, number, size};
use crate::stats::{PipelineStats, State as Doing};

const FILTERS: &[Column] = &[
    ("filter", "name"),
    ("place", "dim"),
    ("events/s", "n"),
    ("in", "n"),
    ("out", "n"),
    ("failed", "n"),
    ("an event", "n"),
    ("time in all", "n share"),
];

pub(super) fn shown(state: &State, pipeline: &PipelineStats) -> String {
    let doing = match pipeline.state() {
        Doing::Running => "",
        Doing::Finished => " <span class=\"yellow\">has ended</span>",
        Doing::Failed => " <span class=\"red\">has failed</span>",
    };
    let heading = format!("Pipeline {}{doing}", escaped(&pipeline.id));
    section(&heading, &format!("{}{}", way(state, pipeline), filters(state, pipeline)))
}

/// A step of the way.
struct Step {
    name: &'static str,
    figure: String,
    what: String,
    /// How full or busy it is.
    share: Option<f64>,
}

fn way(state: &State, pipeline: &PipelineStats) -> String {
    let rate = |name| format!("{} events/s", number(state.history.now(pipeline, name)));
    let ids = |ids: Vec<String>| ids.join(", ");
    let (average, full) = (pipeline.average_batch(), pipeline.batch_size);
    let inputs = Step {
        name: "inputs",
        figure: rate("input_throughput"),
        what: ids(pipeline.inputs.iter().map(|input| escaped(&input.id)).collect()),
        share: None,
    };
    let filters = Step {
        name: "filters",
        figure: rate("filter_throughput"),
        what: format!("{} filters, {} workers", pipeline.plan.filters().len(), pipeline.workers),
        share: Some(state.history.now(pipeline, "worker_utilization") / 100.0),
    };
    let batch = Step {
        name: "batch",
        figure: format!("{} events", number(average)),
        what: format!("on average, of {full}"),
        share: Some(average / full.max(1) as f64),
    };
    let outputs = Step {
        name: "outputs",
        figure: rate("output_throughput"),
        what: ids(pipeline.outputs.iter().map(|output| escaped(&output.id)).collect()),
        share: None,
    };
    let steps = [Some(inputs), Some(in_flight(pipeline)), on_disk(pipeline), Some(filters), Some(batch), Some(outputs)];
    format!("<ol class=\"way\">{}</ol>", steps.into_iter().flatten().map(|step| step.html()).collect::<String>())
}

fn in_flight(pipeline: &PipelineStats) -> Step {
    let (bytes, most) = (pipeline.bytes(), pipeline.budget.bytes());
    Step {
        name: "in flight",
        figure: format!("{} of {}", size(bytes), size(most)),
        what: if pipeline.disk.is_some() { String::new() } else { format!("{} events wait", pipeline.waiting()) },
        share: Some(bytes as f64 / most.max(1) as f64),
    }
}

fn on_disk(pipeline: &PipelineStats) -> Option<Step> {
    let disk = pipeline.disk.as_ref()?;
    let (bytes, most) = (read(&disk.bytes) as usize, disk.settings.limits.bytes as usize);
    Some(Step {
        name: "on disk",
        figure: format!("{} of {}", size(bytes), size(most)),
        what: format!("{} events", read(&disk.events)),
        share: Some(bytes as f64 / most.max(1) as f64),
    })
}

impl Step {
    fn html(&self) -> String {
        let Self { name, figure, what, share } = self;
        let bar = share.map_or_else(String::new, bar);
        format!("<li><span class=\"dim\">{name}</span><b>{figure}</b><span>{what}</span>{bar}</li>")
    }
}

fn bar(share: f64) -> String {
    format!("<progress value=\"{:.2}\"></progress>", share.clamp(0.0, 1.0))
}

fn filters(state: &State, pipeline: &PipelineStats) -> String {
    let outline = pipeline.plan.outline();
    if outline.is_empty() {
        return String::new();
    }
    let rates = state.history.filters(pipeline);
    let all: u64 = pipeline.plan.filters().iter().map(|filter| filter.counters.nanos()).sum();
    let mut table = Table::new(FILTERS);
    for line in outline {
        // Deeper ones stand no further in; nobody reads a table's first column over half the page.
        let depth = line.depth.min(6);
        match line.what {
            Outline::Condition(word, written) => {
                table.line(&format!("<span class=\"in{depth} dim\">{word} <code>{}</code></span>", escaped(&written)));
            }
            Outline::Filter(at, filter) => table.row(filter_row(filter, rates[at], depth, all)),
        }
    }
    table.html()
}

fn filter_row(filter: &PlacedFilter, rate: f64, depth: usize, all: u64) -> [String; 8] {
    let counters = &filter.counters;
    let (entered, nanos) = (read(&counters.entered), counters.nanos());
    let share = nanos as f64 / all.max(1) as f64;
    [
        format!("<span class=\"in{depth}\">{}</span>", escaped(&filter.id)),
        escaped(&filter.place),
        number(rate),
        entered.to_string(),
        read(&counters.left).to_string(),
        marked(read(&counters.failed), "red"),
        if entered == 0 { String::new() } else { format!("{} µs", number(nanos as f64 / 1e3 / entered as f64)) },
        format!("{}{}", lasting(nanos as f64 / 1e9), bar(share)),
    ]
}
