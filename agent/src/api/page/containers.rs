//! The containers: how much, how late, and what is wrong.

use std::sync::Arc;

use elkhound_pipeline::flow::meter::read;
use elkhound_pipeline::time::Timestamp;

use super::super::State;
use super::table::{Column, Table};
use super::{ago, escaped, marked, section};
use crate::amounts::{lasting, number, size};
use crate::clock;
use crate::stats::containers::{BEHIND, Backlog, ContainerStats};

const COLUMNS: &[Column] = &[
    ("container", "name"),
    ("service", ""),
    ("from", "dim"),
    ("lines/s", "n"),
    ("lines", "n"),
    ("bytes", "n"),
    ("last line", "n"),
    ("lag", "n"),
    ("cursor age", "n"),
    ("to read", "n"),
    ("gaps", "n"),
    ("left out", "n"),
    ("last error", "wide"),
];

pub(super) fn shown(state: &State) -> Option<String> {
    let pipelines = state.stats.pipelines();
    let inputs: Vec<_> = pipelines.iter().flat_map(|pipeline| &pipeline.inputs).collect();
    let (mut all, mut backlogs): (Vec<Arc<ContainerStats>>, Vec<Backlog>) = Default::default();
    for input in inputs {
        let containers = input.containers.all();
        backlogs.extend(input.containers.backlog(&containers));
        all.extend(containers);
    }
    if all.is_empty() {
        return None;
    }
    all.sort_by_key(|container| container.about().name.clone());
    let (mut table, now) = (Table::new(COLUMNS), clock::now());
    for container in &all {
        table.row(row(state, container, now));
    }
    let behind = behind(backlogs.into_iter());
    Some(section(&format!("Containers ({}){behind}", all.len()), &table.html()))
}

/// What is told of inputs that catch up; they do so side by side.
fn behind(backlogs: impl Iterator<Item = Backlog>) -> String {
    let (bytes, time) = backlogs.fold((0, Some(0)), |(bytes, time), next| {
        (bytes + next.bytes, time.zip(next.time_left).map(|(one, other): (u64, u64)| one.max(other)))
    });
    let time = time.map_or_else(String::new, |millis| format!(", {}", lasting(millis as f64 / 1e3)));
    if bytes < BEHIND { String::new() } else { format!(" <small>{} to read{time}</small>", size(bytes as usize)) }
}

fn row(state: &State, container: &ContainerStats, now: Timestamp) -> [String; 13] {
    let about = container.about();
    let error = container.trouble().map(|(at, reason)| {
        format!("<span class=\"red\">{}</span> <span class=\"dim\">{}</span>", escaped(&reason), ago(at))
    });
    let left = read(&container.left);
    [
        escaped(&about.name),
        escaped(&about.service),
        about.source.to_owned(),
        number(state.history.lines(&container.id, container.count())),
        container.count().to_string(),
        size(read(&container.bytes) as usize),
        container.last().map(ago).unwrap_or_default(),
        lasting(container.lag() as f64 / 1e9),
        lasting(container.cursor_age(now) as f64 / 1e9),
        if left < BEHIND { String::new() } else { size(left as usize) },
        marked(read(&container.gaps), "red"),
        marked(read(&container.suppressed), "yellow"),
        error.unwrap_or_default(),
    ]
}
