//! The steps of a line's way, one by one: events per second, over the fixed records in `data/`.
//!
//! `steps` goes through the table that the guard counts, too. The other groups hold a step beside a yardstick: what a plain crate
//! needs for the same bytes. Figures are for finding out, on a quiet machine; no test looks at them.

mod agent;
mod hot;

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::json::{self, Numbers};
use elkhound_pipeline::template::Template;
use elkhound_pipeline::text::Text;

#[cfg(test)]
use agent::scratch;
use agent::{disk_queue, input, output};
use hot::data::{JSON, NGINX, PLAIN, event, layer, messages};
use hot::filters::ROWS;
use hot::{RECORDS, STEPS};

criterion_group!(benches, steps, filters, parse, encode, render);
criterion_main!(benches);

/// Every row of the table of hot steps.
fn steps(criterion: &mut Criterion) {
    let mut group = per_event(criterion, "steps", RECORDS);
    for step in STEPS {
        let mut pass = (step.make)();
        group.bench_function(step.name, |bencher| bencher.iter(&mut pass));
    }
    group.finish();
}

/// Every filter beside its lower bound; the step `events` is in the filter's share.
fn filters(criterion: &mut Criterion) {
    for row in ROWS {
        let mut group = per_event(criterion, &format!("filters/{}", row.name), RECORDS);
        let (mut filter, mut bound) = (row.filter(), row.bound());
        group.bench_function("filter", |bencher| bencher.iter(&mut filter));
        group.bench_function("bound", |bencher| bencher.iter(&mut bound));
        group.finish();
    }
}

/// JSON objects of eleven members to values, sharing the line's buffer.
fn parse(criterion: &mut Criterion) {
    let lines = messages(JSON);
    let mut group = per_event(criterion, "json/parse", lines.len());
    group.bench_function("elkhound", |bencher| {
        bencher.iter(|| {
            for line in &lines {
                black_box(json::parse_text(line, Numbers::Doubles).expect("the data is JSON"));
            }
        });
    });
    group.bench_function("serde_json", |bencher| {
        bencher.iter(|| {
            for line in &lines {
                black_box(serde_json::from_str::<serde_json::Value>(line).expect("the data is JSON"));
            }
        });
    });
    group.finish();
}

/// Events with a line and their container's shared fields to a document's bytes; the yardstick writes the line alone.
fn encode(criterion: &mut Criterion) {
    for (name, data) in [("event/encode/plain", PLAIN), ("event/encode/nginx", NGINX)] {
        let lines = messages(data);
        let events = events(&lines);
        let mut out = Vec::with_capacity(1 << 20);
        let mut group = per_event(criterion, name, events.len());
        group.bench_function("elkhound", |bencher| {
            bencher.iter(|| {
                out.clear();
                events.iter().for_each(|event| json::write_event(event, &mut out));
                black_box(&out);
            });
        });
        group.bench_function("serde_json, the message only", |bencher| {
            bencher.iter(|| {
                out.clear();
                for line in &lines {
                    serde_json::to_writer(&mut out, line.as_str()).expect("memory takes every byte");
                }
                black_box(&out);
            });
        });
        group.finish();
    }
}

/// An index name out of a shared field.
fn render(criterion: &mut Criterion) {
    let events = events(&messages(PLAIN));
    let template = Template::parse("logs-%{[container][name]}");
    let mut group = per_event(criterion, "template/render", events.len());
    let mut out = String::new();
    group.bench_function("elkhound", |bencher| {
        bencher.iter(|| {
            for event in &events {
                out.clear();
                template.render_into(event, &mut out).expect("the field is a text");
                black_box(&out);
            }
        });
    });
    group.finish();
}

fn per_event<'a>(criterion: &'a mut Criterion, name: &str, events: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(events as u64));
    group
}

fn events(lines: &[Text]) -> Vec<Event> {
    let layer = layer();
    lines.iter().map(|line| event(line, &layer)).collect()
}
