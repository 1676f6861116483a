//! `elkhound setup` on real nodes, and what it says where there are none.

use std::time::Duration;

use serde_json::{Value, json};

use crate::dashboards;
use crate::harness::{Agent, Container, Elasticsearch, elkhound, eventually, from_rig};

/// Runs it for this output; what it said, and whether it was content.
fn set_up(output: &str, more: &[&str]) -> (String, bool) {
    let pipeline = format!("output {{ elasticsearch {{ {output} }} }}");
    let arguments = [&["setup", "-e", &pipeline], more].concat();
    let output = elkhound(&arguments, "");
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

/// A document for each thing that a dashboard shows.
fn events() -> String {
    let line = |level: &str, more: Value| {
        let container = json!({ "id": "c1", "name": "shop_web.1", "labels": { "a": "b", "a_b": "c" } });
        let mut event = json!({ "message": "a line", "host": { "name": "node1" }, "container": container,
            "service": { "name": "shop_web" }, "log": { "level": level }, "stream": "stdout" });
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        format!("{event}\n")
    };
    [
        line("info", json!({})),
        line("error", json!({})),
        line("info", json!({ "http": { "response": { "status_code": 502 } } })),
        line("info", json!({ "event": { "action": "gap" } })),
        line("info", json!({ "event": { "action": "suppressed" }, "log": { "suppressed": 7 } })),
        line("info", json!({ "tags": ["_grokparsefailure"] })),
        line("info", json!({ "log": { "flags": ["truncated"] } })),
    ]
    .concat()
}

/// Sets up a node for an index, ships a document of each kind there, and has the dashboards find them.
pub(crate) fn works_on(node: &Elasticsearch, version: &str, name: &str) {
    let output = format!("hosts => [\"{}\"] index => \"{name}-%{{+YYYY.MM.dd}}\"", node.url());
    let (said, content) = set_up(&output, &[]);
    assert!(content && said.contains(&format!("made the index template elkhound-{name}")), "{version}: {said}");
    let (said, content) = set_up(&output, &[]);
    assert!(
        content && said.contains(&format!("kept the index template elkhound-{name}, which is as it should be")),
        "{version}: {said}"
    );

    let pipeline = format!("input {{ stdin {{ codec => json_lines }} }} output {{ elasticsearch {{ {output} }} }}");
    let shipped = elkhound(&["-w", "1", "-e", &pipeline], &events());
    assert!(shipped.status.success(), "{version}: {}", String::from_utf8_lossy(&shipped.stderr));
    assert_eq!(node.count(&format!("{name}-*")), 7, "{version}");
    dashboards::find_data(node, &format!("{name}-*"), version);
}

#[test]
fn what_cannot_be_reached_is_told_with_a_remedy() {
    let (said, content) = set_up("hosts => [\"http://127.0.0.1:1\"] index => \"i\"", &[]);
    assert!(!content && said.starts_with("bad      http://127.0.0.1:1/ can't be reached: "), "{said}");
    assert!(said.contains("help: see that it runs"), "{said}");
    let (said, content) = set_up("hosts => [\"http://127.0.0.1:1\"] index => \"i\"", &["--keep", "2 weeks"]);
    assert_eq!(
        (said.as_str(), content),
        (
            "bad      --keep: `2 weeks` is no age\n           help: write a number of days or hours, as 30d or 12h\n",
            false
        )
    );
}

#[test]
fn indices_of_any_name_get_no_template_and_no_data_view() {
    let output = "hosts => [\"http://127.0.0.1:1\"] index => \"%{[index]}\"";
    let (said, content) = set_up(output, &["--kibana", "http://127.0.0.1:1"]);
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    let expected = [
        "warning  there is no index template for `%{[index]}`: its names have no common beginning",
        "warning  nothing is imported into Kibana: a data view needs indices whose names have a common beginning",
    ];
    assert_eq!((lines.as_slice(), content), (&expected[..], true));
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_template_is_made_once_replaced_with_its_own_kind_and_lines_of_containers_have_its_mapping() {
    let name = format!("elkhound-setup-{}", std::process::id());
    let node = Elasticsearch::shared();
    let output = format!("hosts => [\"{}\"] index => \"{name}-%{{+YYYY.MM.dd}}\"", node.url());
    let (said, content) = set_up(&output, &["--dry-run"]);
    assert!(content && said.contains(&format!("would be made:\nPUT /_index_template/elkhound-{name}\n{{")), "{said}");
    // Nothing was made by that, or it would be kept here.
    works_on(&node, "8", &name);

    let container = Container::run(
        &format!("{name}-web"),
        &["--label=com.docker.compose.service=shop", "--label=com.docker.compose.project=demo"],
        // Trouble well before the rest, or the limit might leave it out.
        "echo trouble >&2; usleep 300000; for n in 1 2 3 4 5 6 7 8; do echo line $n; done",
    );
    let pipeline = format!(
        "input {{ docker {{ filter_name => \"{name}-web\" rate_limit => 5 }} }} output {{ elasticsearch {{ {output} }} }}"
    );
    let mut agent = Agent::new("setup", &pipeline).environment("DOCKER_HOST", &from_rig("DOCKER_HOST"));
    agent.start();
    let of_it = json!({ "query": { "term": { "service.name": "shop" } }, "sort": ["@timestamp"], "size": 20 });
    let hits = eventually("its lines", Duration::from_secs(60), || {
        agent.assert_running();
        node.count(&format!("{name}-*"));
        let answer = node.expect("POST", &format!("{name}-*/_search"), Some(&of_it));
        let hits = answer["hits"]["hits"].as_array().unwrap().clone();
        let complete = hits.iter().any(|hit| hit["_source"]["message"] == "trouble") && hits.len() >= 6;
        if complete { Ok(hits) } else { Err(answer.to_string()) }
    });
    assert!(hits.iter().all(|hit| hit["_source"]["container"]["labels"]["com_docker_compose_project"] == "demo"));
    assert!(agent.stop(Duration::from_secs(30)).success());
    drop(container);
    dashboards::find_data(&node, &format!("{name}-*"), "8");

    let index = hits[0]["_index"].as_str().unwrap();
    let mapping = node.expect("GET", &format!("{index}/_mapping"), None);
    let fields = &mapping[index]["mappings"]["properties"];
    let kinds =
        ["/@timestamp/type", "/container/properties/labels/type", "/message/type", "/service/properties/name/type"];
    let kinds = kinds.map(|path| fields.pointer(path).and_then(Value::as_str).unwrap_or_default());
    assert_eq!(kinds, ["date_nanos", "flattened", "text", "keyword"]);
    node.remove(&name);
    node.expect("DELETE", &format!("_index_template/elkhound-{name}"), None);
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_template_of_somebody_else_is_kept_until_it_may_be_overwritten() {
    let name = format!("elkhound-theirs-{}", std::process::id());
    let node = Elasticsearch::shared();
    let path = format!("_index_template/elkhound-{name}");
    node.expect("PUT", &path, Some(&json!({ "index_patterns": ["nothing-at-all"], "priority": 1 })));
    let output = format!("hosts => [\"{}\"] index => \"{name}-%{{+YYYY}}\"", node.url());
    let (said, content) = set_up(&output, &[]);
    assert!(content && said.contains("which is another than elkhound's; --overwrite replaces it"), "{said}");
    let (said, content) = set_up(&output, &["--overwrite"]);
    assert!(content && said.contains(&format!("replaced the index template elkhound-{name}")), "{said}");
    let patterns = &node.expect("GET", &path, None)["index_templates"][0]["index_template"]["index_patterns"];
    assert_eq!(patterns, &json!([format!("{name}-*")]));
    node.expect("DELETE", &path, None);
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_data_stream_has_a_template_and_what_the_node_lacks_is_told() {
    let name = format!("setup{}", std::process::id());
    let node = Elasticsearch::shared();
    let output = format!("hosts => [\"{}\"] data_stream_dataset => \"{name}\"", node.url());
    let (said, content) = set_up(&output, &[]);
    assert!(content, "{said}");
    // The node of the rig has neither policies nor a way to make a stream without a document.
    for text in [
        format!(
            "warning  the lifecycle policy elkhound-logs-{name}-default can't be made: this node has no lifecycle policies\n"
        ),
        format!("made the index template elkhound-logs-{name}-default"),
        format!("the data stream logs-{name}-default is made with its first document"),
    ] {
        assert!(said.contains(&text), "{text}: {said}");
    }
    let template = node.expect("GET", &format!("_index_template/elkhound-logs-{name}-default"), None);
    let template = &template["index_templates"][0]["index_template"];
    assert!(template["data_stream"].is_object() && template["template"]["settings"]["index"]["lifecycle"].is_null());
    node.expect("DELETE", &format!("_index_template/elkhound-logs-{name}-default"), None);
}
