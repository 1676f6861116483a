//! The hot steps of a line's way, for the benches and for the guard: one table, so that both speak of the same work.
//!
//! Every step goes over 200 fixed records, and `check` over the 200 filters of a pipeline file. Steps of filters make the events that they work on; `events` is that share alone.

pub(crate) mod data;
pub(crate) mod filters;
mod line;
pub(crate) mod queue;

use std::hint::black_box;
use std::io;
use std::path::Path;

use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::parser::{self, Escapes};
use elkhound_config::source::Source;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::filter::Context;
use elkhound_pipeline::plan::{Plan, compile};
use elkhound_pipeline::regex::{Budget, Flags, Regex, Scratch};
use elkhound_pipeline::setup::{Ecs, Setup};
use elkhound_pipeline::template::Template;
use elkhound_pipeline::text::Text;

use crate::disk_queue::deflate::Compression;
use crate::input::docker::frames::Decoder;
use crate::input::docker::intake::{Intake, Reach};
use crate::input::docker::partial::Stamps;
use crate::input::docker::position::Marks;
use crate::input::docker::records;
use crate::output::elasticsearch::action::{Action, Choice, Update};
use crate::output::elasticsearch::bulk::{Body, Encoder, IdSource};
use crate::output::elasticsearch::target::Target;
use data::{JSON, NGINX, PLAIN, event, frames, layer, messages, times};
use line::Line;

/// A row of the table.
pub(crate) struct Step {
    /// What benches and guard call it.
    pub(crate) name: &'static str,
    /// Makes everything that is not measured; what it returns goes over all records once.
    pub(crate) make: fn() -> Box<dyn FnMut()>,
}

/// How many records a pass goes over.
pub(crate) const RECORDS: usize = 200;

/// All steps: what comes before the first line, then the order of a line's way.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "check", make: check },
    Step { name: "docker/frames", make: decode_frames },
    Step { name: "docker/intake", make: take_in },
    Step { name: "docker/records", make: decode_records },
    Step { name: "queue/plain", make: || queue::through_a_page(PLAIN, Compression::None) },
    Step { name: "queue/speed", make: || queue::through_a_page(PLAIN, Compression::Speed) },
    Step { name: "events", make: || filter("", messages(PLAIN)) },
    Step { name: "regex/combined", make: match_combined },
    Step { name: "grok/written", make: || filter(WRITTEN, messages(NGINX)) },
    Step { name: "grok/ours", make: || filter(&grok(OURS), messages(NGINX)) },
    Step { name: "grok/combinedapachelog", make: || filter(&grok("%{COMBINEDAPACHELOG}"), messages(NGINX)) },
    Step { name: "date", make: || filter(DATE, times()) },
    Step { name: "mutate", make: || filter(MUTATE, messages(PLAIN)) },
    Step { name: "json", make: || filter(PARSE, messages(JSON)) },
    Step { name: "bulk/plain", make: || encode("", PLAIN) },
    Step { name: "bulk/nginx", make: || encode(&grok(OURS), NGINX) },
    Step { name: "line/plain", make: || whole("", PLAIN) },
    Step { name: "line/nginx", make: || whole(ACCESS, NGINX) },
    Step { name: "line/json", make: || whole(PARSE, JSON) },
];

/// A combined line in an expression of its own, without grok's patterns.
const WRITTEN: &str = r#"grok { match => { "message" => '^(?<client>\S+) (?<ident>\S+) (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>\w+) (?<path>\S+) (?<protocol>[^"]*)" (?<status>\d+) (?<size>\d+) "(?<referrer>[^"]*)" "(?<agent>[^"]*)"' } }"#;

/// The same in grok's patterns, as `compare/conf/elkhound/nginx.conf` has it.
const OURS: &str = r#"%{IPORHOST:client} %{NOTSPACE:ident} %{NOTSPACE:user} \[%{HTTPDATE:time}\] "%{WORD:method} %{NOTSPACE:path} %{DATA:protocol}" %{INT:status:int} %{INT:size:int} "%{DATA:referrer}" "%{DATA:agent}""#;

const DATE: &str = r#"date { match => ["message", "dd/MMM/yyyy:HH:mm:ss Z"] }"#;

const MUTATE: &str = r#"mutate {
  add_field => { "level" => "info" }
  gsub => ["message", "session", "s"]
  uppercase => ["level"]
  rename => { "level" => "[log][level]" }
}"#;

const PARSE: &str = r#"json { source => "message" target => "app" remove_field => ["message"] }"#;

/// The filters of `compare/conf/elkhound/nginx.conf`.
const ACCESS: &str = include_str!("../compare/conf/elkhound/nginx.conf");

/// A pipeline file of 560 lines and 200 filters, of which 45 are groks.
const CHECK: &str = include_str!("../data/check.conf");

/// What a section of one grok holds between its apostrophes.
fn expression(section: &'static str) -> &'static str {
    section.split('\'').nth(1).expect("the expression is in apostrophes")
}

fn grok(expression: &str) -> String {
    format!("grok {{ match => {{ \"message\" => '{expression}' }} }}")
}

/// From the text of a file to a pipeline that could run: what `-t` does, and every start and reload.
fn check() -> Box<dyn FnMut()> {
    Box::new(|| {
        let plan = plan(CHECK);
        assert_eq!(plan.filters().len(), RECORDS, "a pass is divided by the number of records");
        black_box(plan);
    })
}

fn decode_frames() -> Box<dyn FnMut()> {
    let stream = frames(PLAIN);
    let mut decoder = Decoder::new(false);
    Box::new(move || {
        let whole = decoder.decode(&stream, &mut |kind, message| {
            black_box((kind, message));
        });
        whole.expect("the frames are made well");
    })
}

fn take_in() -> Box<dyn FnMut()> {
    let stream = frames(PLAIN);
    let mut intake = Intake::new(false, Stamps::Shared, 1 << 20, Marks::default(), Reach::Whole);
    Box::new(move || {
        intake.decode(&stream).expect("the frames are made well");
        black_box(intake.lines.seal(0));
    })
}

fn decode_records() -> Box<dyn FnMut()> {
    Box::new(|| {
        let decoded = records::decode(PLAIN.as_bytes(), |record| {
            black_box(record);
        });
        assert_eq!((decoded.consumed, decoded.corrupt), (PLAIN.len(), 0), "the records are whole");
    })
}

fn match_combined() -> Box<dyn FnMut()> {
    let regex = Regex::new(expression(WRITTEN), Flags::default()).expect("the expression is right");
    let mut scratch = Scratch::default();
    let lines = messages(NGINX);
    Box::new(move || {
        for line in &lines {
            let found = regex.captures_at(line, 0, &mut scratch, Budget::UNLIMITED);
            assert_eq!(found, Ok(true), "every line of the data is a combined one");
            black_box(&scratch);
        }
    })
}

/// Events of `texts` through a filter section.
fn filter(section: &str, texts: Vec<Text>) -> Box<dyn FnMut()> {
    let plan = plan(section);
    let layer = layer();
    let (mut cx, mut events) = (Context::default(), Vec::with_capacity(RECORDS));
    Box::new(move || {
        events.clear();
        events.extend(texts.iter().map(|text| event(text, &layer)));
        plan.filter(&mut events, &mut cx);
        black_box(&events);
    })
}

/// Events as they come out of a filter section to a `_bulk` body.
fn encode(section: &str, data: &str) -> Box<dyn FnMut()> {
    let layer = layer();
    let mut events: Vec<Event> = messages(data).iter().map(|text| event(text, &layer)).collect();
    plan(section).filter(&mut events, &mut Context::default());
    let (encoder, mut body) = (encoder(), Body::default());
    Box::new(move || {
        let bytes = std::mem::take(&mut body.bytes);
        body.reuse(bytes);
        for event in &events {
            encoder.encode(event, &mut None, &mut body).expect("the index is a plain text");
        }
        black_box(&body.bytes);
    })
}

/// A block of json-file records to a `_bulk` body, which nobody gets.
fn whole(section: &str, data: &'static str) -> Box<dyn FnMut()> {
    let mut line = Line::new(plan(section), encoder());
    Box::new(move || {
        line.pass(data.as_bytes());
    })
}

/// The events of a block of json-file records, each with the time and the identity of its line.
fn events_of(data: &str) -> Vec<Event> {
    Line::new(plan(""), encoder()).events(data.as_bytes())
}

fn encoder() -> Encoder {
    static IDS: IdSource = IdSource::new(0);
    let index = Template::parse("logs");
    Encoder {
        action: Choice::Always(Action::Create),
        update: Update::default(),
        target: Target::Index(index),
        document_id: None,
        more: Vec::new(),
        ids: Some(&IDS),
        suffix: String::new(),
        keeps: false,
        names_fully: false,
    }
}

/// A filter section as written, or a whole file, of which only the filters are taken.
fn plan(section: &str) -> Plan {
    let text = if section.contains("filter {") { filters_of(section) } else { format!("filter {{ {section} }}") };
    let source = Source::of("bench.conf", &text);
    let parsed = parser::parse(&source, Escapes::Kept);
    let database: &dyn Fn(&Path) -> io::Result<Vec<u8>> = &|_| Ok(data::CITY.to_vec());
    let setup = Setup { read_file: database, ..Setup::without_files(Ecs::V8) };
    let mut mistakes = parsed.diagnostics;
    let compiled = compile(&parsed.document, &source, &setup, Box::new(|_| {}), &mut mistakes);
    assert!(!mistakes.iter().any(Diagnostic::is_error), "the benches' pipelines are right: {mistakes:?}");
    compiled.plan
}

/// Without the lines that the comparison's runner replaces.
fn filters_of(file: &str) -> String {
    file.lines().filter(|line| !line.starts_with('@')).collect::<Vec<_>>().join("\n")
}
