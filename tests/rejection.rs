//! What Elasticsearch refuses is told, and costs nothing else.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Agent, Elasticsearch, Folder, Nginx, Scenario, elkhound};

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
fn a_cluster_without_room_is_told_and_its_lines_wait() {
    const LOOKS_AT_DISKS: &str = "cluster.routing.allocation.disk.threshold_enabled";
    // In bytes that must be free, more than any disk has.
    let full = [
        &format!("{LOOKS_AT_DISKS}=true"),
        "cluster.routing.allocation.disk.watermark.low=100pb",
        "cluster.routing.allocation.disk.watermark.high=100pb",
        "cluster.routing.allocation.disk.watermark.flood_stage=1b",
    ];
    let node = Elasticsearch::own("room", &full);
    let url = node.url().to_owned();
    let mut run = Scenario::new("room").lines(100).through(url.clone(), "timeout => 6").start(node);
    let said = run.agent.wait_for_log("unavailable_shards_exception", Duration::from_secs(60));
    assert!(said.contains("_cluster/allocation/explain"), "{said}");

    let pipeline =
        format!("input {{ stdin {{ }} }} output {{ elasticsearch {{ hosts => \"{url}\" index => \"i\" }} }}");
    let data = Folder::new("room");
    let doctor = elkhound(&["doctor", "-e", &pipeline, "--path.data", data.text()], "");
    let found = String::from_utf8(doctor.stdout).unwrap();
    let warned = found.contains(&format!("warning  the cluster at {url}/ is red"));
    assert!(warned, "{found}{}", String::from_utf8_lossy(&doctor.stderr));

    run.elasticsearch.set(LOOKS_AT_DISKS, "false");
    run.assert_exactly_once();
}

#[test]
#[ignore = "needs the rig: make test"]
fn requests_that_a_proxy_finds_too_large_are_halved_and_a_blocked_index_is_waited_for() {
    let index = format!("elkhound-blocked-{}", std::process::id());
    let elasticsearch = Elasticsearch::shared();
    elasticsearch.create_index(&index, &json!({ "n": { "type": "long" } }));
    let block = |blocked: bool| {
        let settings = json!({ "index.blocks.write": blocked });
        elasticsearch.expect("PUT", &format!("{index}/_settings"), Some(&settings));
    };
    block(true);
    let nginx = Nginx::before(elasticsearch.url(), 40_000);
    let pipeline = format!(
        "input {{ generator {{ count => 5000 }} }}\n\
         output {{ elasticsearch {{ hosts => [\"{}\"] index => \"{index}\" retry_initial_interval => 0.1 retry_max_interval => 1 }} }}\n",
        nginx.url(),
    );
    let mut agent = Agent::new("blocked", &pipeline);
    agent.start();
    let said = agent.wait_for_log("cluster_block_exception", Duration::from_secs(60));
    assert!(said.contains("does not take documents, trying again"), "{said}");
    block(false);
    assert!(agent.wait(Duration::from_secs(60)).success());
    assert_eq!(elasticsearch.count(&index), 5_000);
    elasticsearch.remove(&index);
    assert!(nginx.answered(413) > 0, "no request was too large for it");
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_refused_login_is_named_and_tried_again_and_a_certificate_is_known_by_its_fingerprint() {
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
    let said = refused.wait_for_log("status 401", Duration::from_secs(20));
    assert!(said.contains(elasticsearch.url()) && !said.contains("wrong-password"), "{said}");
    refused.assert_running();
    refused.kill();

    let mut admitted = Agent::new("admitted", &pipeline).environment("RIG_PASSWORD", "rig-password");
    admitted.start();
    assert!(admitted.wait(Duration::from_secs(20)).success());
    assert_eq!(elasticsearch.count("login"), 10);

    // The same by the certificate's fingerprint alone; with another one it is told which it has.
    let fingerprint = fingerprint(&elasticsearch.certificate());
    let pipeline = |fingerprint: &str| {
        format!(
            "input {{ generator {{ count => 10 }} }}\n\
             output {{ elasticsearch {{ hosts => [\"{}\"] user => rig password => \"rig-password\"\n\
               ca_trusted_fingerprint => \"{fingerprint}\" index => fingerprint }} }}\n",
            elasticsearch.url(),
        )
    };
    let mut stranger = Agent::new("stranger", &pipeline(&"0".repeat(64)));
    stranger.start();
    let expected = fingerprint.replace(':', "").to_lowercase();
    stranger.wait_for_log(&expected, Duration::from_secs(20));
    stranger.kill();
    let mut known = Agent::new("known", &pipeline(&fingerprint));
    known.start();
    assert!(known.wait(Duration::from_secs(20)).success());
    assert_eq!(elasticsearch.count("fingerprint"), 10);
}

/// The SHA-256 of a certificate, as openssl prints it.
fn fingerprint(certificate: &Path) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-sha256", "-fingerprint", "-in"]).arg(certificate);
    let text = String::from_utf8(openssl.output().unwrap().stdout).unwrap();
    text.trim().split_once('=').unwrap().1.to_owned()
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
