//! What the elasticsearch output asks of a real node: data streams, changes of documents, and their end.

use serde_json::{Value, json};

use crate::harness::{Elasticsearch, elkhound};

/// Runs `output` over `events`, which must succeed.
fn ship(output: &str, events: &[Value]) {
    let pipeline = format!("input {{ stdin {{ codec => json_lines }} }}\noutput {{ elasticsearch {{ {output} }} }}\n");
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let output = elkhound(&["-w", "1", "-e", &pipeline], &lines);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs the rig: make test"]
fn events_go_to_a_data_stream_where_no_setting_speaks_for_an_index() {
    let node = Elasticsearch::own("streams", &[]);
    let template = json!({ "index_patterns": ["logs-*"], "data_stream": {}, "template": { "settings": { "number_of_replicas": 0 } } });
    node.expect("PUT", "_index_template/logs-of-a-test", Some(&template));
    let url = node.url();
    ship(
        &format!("hosts => [\"{url}\"]"),
        &[json!({ "n": 1 }), json!({ "n": 2, "data_stream": { "dataset": "web" } })],
    );
    ship(
        &format!("hosts => [\"{url}\"] data_stream_namespace => prod data_stream_auto_routing => false"),
        &[json!({ "n": 3 })],
    );

    let mut found: Vec<(u64, String, Value)> = node
        .sources("logs-*")
        .iter()
        .map(|hit| {
            let (source, index) = (&hit["_source"], hit["_index"].as_str().unwrap());
            // The index behind a stream is called `.ds-STREAM-DATE-NUMBER`.
            let stream = index.trim_start_matches(".ds-").split("-20").next().unwrap().to_owned();
            (source["n"].as_u64().unwrap(), stream, source["data_stream"].clone())
        })
        .collect();
    found.sort_by_key(|(n, ..)| *n);
    let fields = |dataset: &str, namespace: &str| json!({ "type": "logs", "dataset": dataset, "namespace": namespace });
    let expected = [
        (1, "logs-generic-default".to_owned(), fields("generic", "default")),
        (2, "logs-web-default".to_owned(), fields("web", "default")),
        (3, "logs-generic-prod".to_owned(), fields("generic", "prod")),
    ];
    assert_eq!(found, expected);
}

#[test]
#[ignore = "needs the rig: make test"]
fn documents_are_changed_and_removed_as_their_events_say() {
    let index = format!("elkhound-actions-{}", std::process::id());
    let node = Elasticsearch::shared();
    let output = format!(
        "hosts => [\"{}\"] index => \"{index}\" document_id => \"%{{id}}\" action => \"%{{[do]}}\" doc_as_upsert => true",
        node.url()
    );
    let events = [("index", 1, "a"), ("update", 1, "b"), ("update", 2, "c"), ("create", 3, "d"), ("delete", 3, "")];
    for (action, id, text) in events {
        ship(&output, &[json!({ "do": action, "id": id, "text": text })]);
    }
    let mut found: Vec<(u64, String)> = node
        .sources(&index)
        .iter()
        .map(|hit| (hit["_source"]["id"].as_u64().unwrap(), hit["_source"]["text"].as_str().unwrap().to_owned()))
        .collect();
    found.sort_unstable();
    node.remove(&index);
    assert_eq!(found, [(1, "b".to_owned()), (2, "c".to_owned())]);
}
