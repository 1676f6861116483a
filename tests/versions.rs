//! The same small shipment on each kind of node: a template, every event once, and a node that is killed on the way; then `elkhound setup` and the
//! queries of its dashboards.
//!
//! `make versions` runs it on all kinds that the rig can build and prints a table; `make test` on one.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Agent, Elasticsearch, eventually};

/// How many events are sent to each.
const EVENTS: u64 = 50_000;

#[test]
#[ignore = "needs the rig: make test, make versions"]
fn a_node_of_each_kind_has_its_template_and_every_event_once_though_it_is_killed() {
    let versions = std::env::var("VERSIONS").unwrap_or_else(|_| "8".to_owned());
    println!(
        "{:<8} {:>10} {:>10} {:>8} {:>9} {:>7}",
        "version", "start (s)", "ship (s)", "events", "documents", "again"
    );
    for version in versions.split_whitespace() {
        let begun = Instant::now();
        let mut node = Elasticsearch::of_version(&format!("versions-{version}"), version);
        let started = begun.elapsed();
        let (shipped, again) = ship(&mut node, version);
        let documents = node.count("ecs-logstash-*");
        let (started, shipped) = (started.as_secs_f32(), shipped.as_secs_f32());
        println!("{version:<8} {started:>10.1} {shipped:>10.1} {EVENTS:>8} {documents:>9} {again:>7}");
        assert_eq!(documents, EVENTS, "{version}");
        assert_eq!(kinds(&node), ["keyword", "text"], "{version}");
        crate::setup::works_on(&node, version, "setup");
    }
}

/// Ships all events, and kills the node when it has the first of them; how long it took, and how often it was said that they are sent again.
fn ship(node: &mut Elasticsearch, version: &str) -> (Duration, usize) {
    let pipeline = format!(
        "input {{ generator {{ count => {EVENTS} message => \"a b\" add_field => {{ code => \"x\" }} }} }}\n\
         output {{ elasticsearch {{ hosts => [\"{}\"] data_stream => false bulk_max_bytes => 20000\n\
           retry_initial_interval => 0.2 retry_max_interval => 1 }} }}\n",
        node.url()
    );
    let begun = Instant::now();
    let mut agent = Agent::new(&format!("versions-{version}"), &pipeline);
    agent.start();
    eventually("the first documents", Duration::from_secs(120), || {
        agent.assert_running();
        match node.count("ecs-logstash-*") {
            0 => Err("none yet".to_owned()),
            count => Ok(count),
        }
    });
    node.kill();
    agent.wait_for_log("trying again", Duration::from_secs(60));
    node.start(&[]);
    assert!(agent.wait(Duration::from_secs(300)).success(), "{version}");
    let again = agent.log().lines().filter(|line| line.contains("trying again")).count();
    (begun.elapsed(), again)
}

/// How the template has `code` and `message` indexed.
fn kinds(node: &Elasticsearch) -> [String; 2] {
    let mapping = node.expect("GET", "ecs-logstash-*/_mapping", None);
    let index = mapping.as_object().and_then(|indices| indices.values().next()).cloned().unwrap_or_default();
    let mappings = &index["mappings"];
    // Before Elasticsearch 7 fields stand below a type.
    let properties = if mappings["doc"].is_object() { &mappings["doc"]["properties"] } else { &mappings["properties"] };
    let kind = |field: &str| properties[field]["type"].as_str().unwrap_or(&Value::Null.to_string()).to_owned();
    [kind("code"), kind("message")]
}
