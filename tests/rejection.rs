//! What Elasticsearch refuses is told, and costs nothing else.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Agent, Elasticsearch, elkhound};

#[test]
#[ignore = "needs the rig: make test"]
fn a_mapping_conflict_is_logged_and_every_other_event_arrives() {
    let index = format!("elkhound-conflict-{}", std::process::id());
    let elasticsearch = Elasticsearch::shared();
    elasticsearch.create_index(&index, &json!({ "size": { "type": "long" } }));
    let url = elasticsearch.url();
    let pipeline = format!(
        "input {{ stdin {{ codec => json_lines }} }}\n\
         output {{ elasticsearch {{ hosts => [\"{url}\"] index => \"{index}\" }} }}\n"
    );
    let output = elkhound(&["-e", &pipeline], &events(300));

    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let refusal = said
        .lines()
        .find(|line| line.contains("refuses a document"))
        .unwrap_or_else(|| panic!("nothing was said:\n{said}"));
    for named in ["parsing_exception", &index, "[size]"] {
        assert!(refusal.contains(named), "{named} is not named: {refusal}");
    }
    let mut numbers: Vec<u64> =
        elasticsearch.sources(&index).iter().map(|hit| hit["_source"]["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    elasticsearch.remove(&index);
    assert_eq!(numbers, (1..=300).filter(|n| n % 100 != 0).collect::<Vec<u64>>());
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_refused_login_is_named_and_tried_again() {
    let elasticsearch = Elasticsearch::secured("login");
    let pipeline = format!(
        "input {{ generator {{ count => 10 }} }}\n\
         output {{ elasticsearch {{ hosts => [\"{}\"] user => rig password => \"${{RIG_PASSWORD}}\"\n\
           ssl_certificate_authorities => \"{}\" index => login }} }}\n",
        elasticsearch.url(),
        elasticsearch.certificate().display(),
    );
    let mut refused = Agent::new("refused", &pipeline).environment("RIG_PASSWORD", "wrong-password");
    refused.start();
    let said = refused.wait_for_log("401", Duration::from_secs(20));
    assert!(said.contains(elasticsearch.url()) && !said.contains("wrong-password"), "{said}");
    refused.assert_running();
    refused.kill();

    let mut admitted = Agent::new("admitted", &pipeline).environment("RIG_PASSWORD", "rig-password");
    admitted.start();
    assert!(admitted.wait(Duration::from_secs(20)).success());
    assert_eq!(elasticsearch.count("login"), 10);
}

/// Numbered events, every hundredth with a text where a number belongs.
fn events(count: u64) -> String {
    let mut text = String::new();
    for n in 1..=count {
        let size = if n % 100 == 0 { json!("many") } else { json!(n) };
        writeln!(text, "{}", json!({ "n": n, "size": size })).expect("a text takes everything");
    }
    text
}
