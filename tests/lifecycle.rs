//! Rollover aliases and policies on a node that reads and carries out policies with Elastic's own classes (see `rig-lifecycle` in the rig).

use serde_json::{Value, json};

use crate::harness::{Elasticsearch, elkhound};

/// An output to the secured node, with these options.
fn output(node: &Elasticsearch, options: &str) -> String {
    format!(
        "elasticsearch {{ hosts => [\"{}\"] user => rig password => \"rig-password\" ssl_certificate_authorities => \"{}\" {options} }}",
        node.url(),
        node.certificate().display()
    )
}

/// Sends so many events there.
fn ship(output: &str, count: usize) {
    let pipeline = format!("input {{ generator {{ count => {count} }} }} output {{ {output} }}");
    let ended = elkhound(&["-w", "1", "-e", &pipeline], "");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// The indices behind an alias, each with whether documents are written to it.
fn behind(node: &Elasticsearch, alias: &str) -> Vec<(String, bool)> {
    let answer = node.expect("GET", &format!("_alias/{alias}"), None);
    let indices = answer.as_object().unwrap().iter();
    let mut found: Vec<_> = indices
        .map(|(index, of)| (index.clone(), of["aliases"][alias]["is_write_index"] == Value::Bool(true)))
        .collect();
    found.sort();
    found
}

/// Has the policy of `index` do what waits for it; whether that rolled it over.
fn run_policy(node: &Elasticsearch, index: &str) -> bool {
    node.expect("POST", &format!("_rig/lifecycle/{index}"), None)["rolled_over"] == Value::Bool(true)
}

#[test]
#[ignore = "needs the rig: make test"]
fn an_alias_is_rolled_over_by_its_policy_and_documents_go_to_the_new_index() {
    let node = Elasticsearch::secured("lifecycle");
    let policy = json!({ "policy": { "phases": { "hot": { "actions": { "rollover": { "max_docs": 3 } } } } } });
    node.expect("PUT", "_ilm/policy/of-the-operator", Some(&policy));
    let web = output(&node, "ilm_rollover_alias => web ilm_policy => \"of-the-operator\"");
    ship(&web, 2);
    let first = behind(&node, "web").remove(0).0;
    assert!(first.starts_with("web-20") && first.ends_with("-000001"), "{first}");
    node.count("web");
    assert!(!run_policy(&node, &first), "two documents are too few");
    ship(&web, 1);
    node.count("web");
    assert!(run_policy(&node, &first));
    let second = first.replace("-000001", "-000002");
    assert_eq!(behind(&node, "web"), [(first.clone(), false), (second.clone(), true)]);
    ship(&web, 4);
    assert_eq!([node.count(&first), node.count(&second)], [3, 4]);
    // The template gave the policy to the new index, too.
    assert!(run_policy(&node, &second));
}

#[test]
#[ignore = "needs the rig: make test"]
fn policies_of_elkhounds_own_are_taken() {
    let node = Elasticsearch::secured("policies");
    let shop = output(&node, "ilm_rollover_alias => shop");
    ship(&shop, 1);
    let rollover = &node.expect("GET", "_ilm/policy/logstash-policy", None)["logstash-policy"]["policy"]["phases"]["hot"]
        ["actions"]["rollover"];
    assert_eq!((&rollover["max_age"], &rollover["max_size"]), (&json!("30d"), &json!("50gb")));
    let first = behind(&node, "shop").remove(0).0;
    assert!(!run_policy(&node, &first), "it is neither large nor old");

    let streams = "data_stream_dataset => web";
    for options in [streams, "ilm_rollover_alias => made ilm_policy => \"by-setup\""] {
        let pipeline = format!("output {{ {} }}", output(&node, options));
        let set_up = elkhound(&["setup", "--keep", "7d", "-e", &pipeline], "");
        let said = String::from_utf8_lossy(&set_up.stdout).into_owned();
        assert!(set_up.status.success() && said.contains("made the lifecycle policy"), "{said}");
    }
    let phases = &node.expect("GET", "_ilm/policy/by-setup", None)["by-setup"]["policy"]["phases"];
    assert!(phases["hot"]["actions"]["rollover"].is_object(), "{phases}");
    assert_eq!((&phases["delete"]["min_age"], phases["delete"]["actions"]["delete"].is_object()), (&json!("7d"), true));
    let template = node.expect("GET", "_index_template/made", None);
    let lifecycle = &template["index_templates"][0]["index_template"]["template"]["settings"]["index"]["lifecycle"];
    assert_eq!(*lifecycle, json!({ "name": "by-setup", "rollover_alias": "made" }));
    assert!(!run_policy(&node, &behind(&node, "made").remove(0).0));
}
