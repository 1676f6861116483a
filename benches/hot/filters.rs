//! Every filter once, beside a lower bound: plain code that does the least that can be done with the same text.
//!
//! The guard does not list these rows, for thirty callgrind runs more would double its time; `bench-guard NAME PASSES` runs one all the same. A filter's
//! pass makes its events, as in the table of hot steps; a bound makes none.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex};

use elkhound_pipeline::text::Text;
use md5::{Digest, Md5};
use regex::bytes::{CaptureLocations, Regex};

use super::data::{JSON, NGINX, PLAIN, messages, times};
use super::filter;

/// A filter and its bound.
pub(crate) struct Row {
    /// The filter's name, for a second row with what sets it apart; what is measured is called `filter/NAME` and `bound/NAME`.
    pub(crate) name: &'static str,
    section: &'static str,
    texts: fn() -> Vec<Text>,
    bound: fn(&str),
}

impl Row {
    /// A pass of the filter over all records.
    pub(crate) fn filter(&self) -> Box<dyn FnMut()> {
        filter(self.section, (self.texts)())
    }

    /// A pass of the bound over the same texts.
    pub(crate) fn bound(&self) -> Box<dyn FnMut()> {
        let (texts, bound) = ((self.texts)(), self.bound);
        Box::new(move || texts.iter().for_each(|text| bound(text)))
    }
}

/// All filters by name, `drop` and `uuid` with the little that they do.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "cidr",
        section: r#"cidr { address => ["%{message}"] network => ["10.0.0.0/8", "192.168.0.0/16", "fc00::/7"] add_tag => ["internal"] }"#,
        texts: addresses,
        bound: |text| seen(text.parse::<IpAddr>()),
    },
    Row { name: "clone", section: r#"clone { clones => ["copy"] }"#, texts: plain, bound: copied },
    Row { name: "csv", section: "csv { }", texts: rows, bound: |text| each(text.split(',')) },
    Row { name: "date", section: super::DATE, texts: times, bound: |text| each(text.split(['/', ':', ' '])) },
    Row { name: "de_dot", section: "de_dot { }", texts: plain, bound: |text| seen(text.contains('.')) },
    Row {
        name: "dissect",
        section: r#"dissect { mapping => { "message" => '%{client} %{ident} %{user} [%{time}] "%{request}" %{status} %{size} "%{referrer}" "%{agent}"' } }"#,
        texts: access,
        bound: |text| each(text.split([' ', '"'])),
    },
    Row { name: "drop", section: "drop { }", texts: plain, bound: |text| seen(text.len()) },
    Row {
        name: "fingerprint",
        section: r#"fingerprint { source => "message" method => "MD5" }"#,
        texts: plain,
        bound: |text| seen(Md5::digest(text)),
    },
    Row {
        name: "geoip",
        section: r#"geoip { source => "message" target => "source" database => "city.mmdb" }"#,
        texts: inner_addresses,
        bound: |text| seen(text.parse::<IpAddr>()),
    },
    Row { name: "grok", section: super::WRITTEN, texts: access, bound: |text| WRITTEN.seek(text) },
    Row {
        name: "grok/combinedapachelog",
        section: r#"grok { match => { "message" => "%{COMBINEDAPACHELOG}" } }"#,
        texts: access,
        bound: |text| EXPANDED.seek(text),
    },
    Row {
        name: "json",
        section: super::PARSE,
        texts: || messages(JSON),
        bound: |text| seen(serde_json::from_str::<serde_json::Value>(text)),
    },
    Row {
        name: "json_encode",
        section: r#"json_encode { source => "message" target => "json" }"#,
        texts: plain,
        bound: |text| seen(serde_json::to_string(text)),
    },
    Row {
        name: "kv",
        section: "kv { }",
        texts: pairs,
        bound: |text| each(text.split(' ').filter_map(|pair| pair.split_once('='))),
    },
    Row { name: "mutate", section: super::MUTATE, texts: plain, bound: |text| seen(text.replace("session", "s")) },
    Row {
        name: "prune",
        section: r#"prune { whitelist_names => ["^@timestamp$", "^message$", "^container$"] }"#,
        texts: plain,
        bound: |text| seen(text.starts_with('%')),
    },
    Row {
        name: "split",
        section: r#"split { terminator => "/" }"#,
        texts: paths,
        bound: |text| text.split('/').for_each(copied),
    },
    Row {
        name: "syslog_pri",
        section: r#"syslog_pri { syslog_pri_field_name => "message" }"#,
        texts: statuses,
        bound: |text| seen(text.parse::<u32>()),
    },
    Row {
        name: "translate",
        section: r#"translate { source => "message" target => "reason" dictionary => { "200" => "OK" "304" => "Not Modified" "404" => "Not Found" "500" => "Error" } fallback => "other" }"#,
        texts: statuses,
        bound: |text| seen(REASONS.get(text)),
    },
    Row {
        name: "truncate",
        section: r#"truncate { fields => ["message"] length_bytes => 40 }"#,
        texts: plain,
        bound: |text| seen(text.is_char_boundary(40)),
    },
    Row { name: "urldecode", section: "urldecode { }", texts: paths, bound: |text| seen(text.replace('%', " ")) },
    Row {
        name: "useragent",
        section: r#"useragent { source => "message" }"#,
        texts: agents,
        bound: |text| seen(REASONS.get(text)),
    },
    Row {
        name: "uuid",
        section: r#"uuid { target => "id" }"#,
        texts: plain,
        bound: |text| seen(format!("{:032x}", text.len())),
    },
];

/// The bare match of what grok's rows ask for, with captures, by the crate `regex`.
struct Bare {
    regex: Regex,
    locations: Mutex<CaptureLocations>,
}

static WRITTEN: LazyLock<Bare> = LazyLock::new(|| Bare::new(&super::expression(super::WRITTEN).replace("(?<", "(?P<")));

/// What the pattern expands to, but for look-around and possessive repeats, which the crate does not have and these lines do not need, and for
/// letters beyond ASCII, without which the crate is faster.
static EXPANDED: LazyLock<Bare> =
    LazyLock::new(|| Bare::new(include_str!("../data/combinedapachelog.regex").trim_end()));

impl Bare {
    fn new(expression: &str) -> Self {
        let regex = Regex::new(expression).expect("the expression is right");
        let locations = Mutex::new(regex.capture_locations());
        Self { regex, locations }
    }

    fn seek(&self, text: &str) {
        let mut locations = self.locations.lock().expect("nothing panics with it");
        let found = self.regex.captures_read(&mut locations, text.as_bytes());
        assert!(found.is_some(), "every line of the data is a combined one");
        black_box(&locations);
    }
}

static REASONS: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| [("200", "OK"), ("304", "Not Modified"), ("404", "Not Found"), ("500", "Error")].into());

/// Keeps the compiler from leaving out what nobody uses.
fn seen<T>(value: T) {
    let _ = black_box(value);
}

fn copied(text: &str) {
    seen(text.to_owned());
}

fn each<T>(parts: impl Iterator<Item = T>) {
    parts.for_each(seen);
}

fn plain() -> Vec<Text> {
    messages(PLAIN)
}

fn access() -> Vec<Text> {
    messages(NGINX)
}

/// Texts made of access lines.
fn made(make: impl Fn(&str) -> String) -> Vec<Text> {
    access().iter().map(|line| make(line)).map(|text| Text::slice_of(&Arc::new(text.clone()), 0..text.len())).collect()
}

/// A part of an access line, by its number among those that blanks separate.
fn part(line: &str, number: usize) -> String {
    line.split(' ').nth(number).expect("an access line has that many parts").to_owned()
}

fn addresses() -> Vec<Text> {
    made(|line| part(line, 0))
}

/// Addresses that are in the database of the benches, which is for 10.0.0.0/8.
fn inner_addresses() -> Vec<Text> {
    made(|line| format!("10.{}", part(line, 0).split_once('.').map_or("0.0.1", |(_, rest)| rest)))
}

fn paths() -> Vec<Text> {
    made(|line| part(line, 6))
}

fn statuses() -> Vec<Text> {
    made(|line| part(line, 8))
}

fn agents() -> Vec<Text> {
    made(|line| line.rsplit('"').nth(1).expect("an access line ends with the user agent").to_owned())
}

fn rows() -> Vec<Text> {
    made(|line| line.split(' ').take(10).collect::<Vec<_>>().join(",").replace(['"', '[', ']'], ""))
}

fn pairs() -> Vec<Text> {
    made(|line| {
        format!(
            "client={} path={} status={} bytes={} agent=\"curl 8\"",
            part(line, 0),
            part(line, 6),
            part(line, 8),
            part(line, 9)
        )
    })
}
