//! What the elasticsearch output asks of a real node: data streams, changes of documents, and their end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Agent, Container, Elasticsearch, elkhound, eventually, from_rig};

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
fn elasticsearch_makes_the_ids_where_elkhound_is_not_to() {
    let node = Elasticsearch::own("ids", &[]);
    let template = json!({ "index_patterns": ["logs-*"], "data_stream": {}, "template": { "settings": { "number_of_replicas": 0 } } });
    node.expect("PUT", "_index_template/logs-of-a-test", Some(&template));
    let events = [json!({ "n": 1 }), json!({ "n": 2 })];
    for (target, indices) in [("index => plain", "plain"), ("data_stream => true", "logs-*")] {
        ship(&format!("hosts => [\"{}\"] bulk_ids => false {target}", node.url()), &events);
        let ids: Vec<String> =
            node.sources(indices).iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect();
        // Elasticsearch's own have twenty characters, and elkhound's a hyphen before their number.
        assert!(ids.len() == 2 && ids.iter().all(|id| id.len() == 20), "{target}: {ids:?}");
    }
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

/// Runs elkhound with a pipeline that reads this dead letter queue.
fn ship_letters(folder: &std::path::Path, outputs: &str) {
    let pipeline = format!(
        "input {{ dead_letter_queue {{ path => \"{}\" commit_offsets => false exit_after_read => true }} }}\n\
         output {{ {outputs} }}",
        folder.display()
    );
    let output = elkhound(&["-w", "1", "-e", &pipeline], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs the rig: make test"]
fn two_outputs_to_one_index_have_a_document_each_however_often_an_event_is_sent() {
    let index = format!("elkhound-twins-{}", std::process::id());
    let folder = std::env::temp_dir().join(&index);
    std::fs::create_dir_all(folder.join("main")).unwrap();
    // Entries of a dead letter queue have an identity, as lines of containers have.
    let entry = |n: u64| {
        format!(
            "{}\n",
            json!({ "time": "2026-11-21T08:00:00Z", "document_id": format!("id-{n}"), "event": { "n": n } })
        )
    };
    std::fs::write(folder.join("main/1.ndjson"), (1..=3).map(entry).collect::<String>()).unwrap();
    let node = Elasticsearch::shared();
    let output = |index: &str| format!("elasticsearch {{ hosts => [\"{}\"] index => \"{index}\" }}", node.url());
    let outputs = format!("{} {}", output(&index), output(&index));
    for _ in 0..2 {
        ship_letters(&folder, &outputs);
    }
    let mut ids: Vec<String> = node.sources(&index).iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    node.remove(&index);
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(ids, ["id-1", "id-1.o2", "id-2", "id-2.o2", "id-3", "id-3.o2"]);
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_template_is_installed_before_the_first_document_and_replaced_only_when_told() {
    let node = Elasticsearch::shared();
    let name = format!("elkhound-template-{}", std::process::id());
    let file = std::env::temp_dir().join(format!("{name}.json"));
    let write = |kind: &str| {
        let mappings = json!({ "properties": { "code": { "type": kind } } });
        let settings = json!({ "number_of_replicas": 0 });
        let body = json!({ "index_patterns": [format!("{name}-*")], "template": { "settings": settings, "mappings": mappings } });
        std::fs::write(&file, body.to_string()).unwrap();
    };
    let send = |index: &str, more: &str| {
        let output = format!(
            "hosts => [\"{}\"] index => \"{name}-{index}\" template => \"{}\" template_name => \"{name}\" template_api => composable {more}",
            node.url(),
            file.display()
        );
        ship(&output, &[json!({ "code": "7" })]);
        let mapping = node.expect("GET", &format!("{name}-{index}/_mapping"), None);
        mapping[format!("{name}-{index}")]["mappings"]["properties"]["code"]["type"].as_str().unwrap().to_owned()
    };
    write("keyword");
    assert_eq!(send("a", ""), "keyword");
    write("long");
    assert_eq!(send("b", ""), "keyword");
    assert_eq!(send("c", "template_overwrite => true"), "long");
    node.remove(&name);
    node.expect("DELETE", &format!("_index_template/{name}"), None);
    std::fs::remove_file(file).unwrap();
}

#[test]
#[ignore = "needs the rig: make test"]
fn documents_of_no_index_go_to_logstashs_and_have_its_template() {
    let node = Elasticsearch::own("default", &[]);
    let output = format!("hosts => [\"{}\"] data_stream => false", node.url());
    ship(&output, &[json!({ "message": "a b", "code": "x", "@timestamp": "2026-11-21T08:00:00Z" })]);
    let mapping = node.expect("GET", "ecs-logstash-2026.11.21/_mapping", None);
    let properties = &mapping["ecs-logstash-2026.11.21"]["mappings"]["properties"];
    assert_eq!((&properties["message"]["type"], &properties["code"]["type"]), (&json!("text"), &json!("keyword")));
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_container_chooses_an_ingest_pipeline_where_the_output_lets_it() {
    let elasticsearch = Elasticsearch::shared();
    let name = format!("elkhound-ingest-{}", std::process::id());
    let pipeline = format!("_ingest/pipeline/{name}");
    // The node has no processors, which are modules: that a pipeline was asked for shows where there is none.
    elasticsearch.expect("PUT", &pipeline, Some(&json!({ "processors": [] })));
    let url = elasticsearch.url();
    let output =
        |index: &str, option: &str| format!("elasticsearch {{ hosts => ['{url}'] index => '{index}' {option} }}");
    let (obeying, own) = (format!("{name}-obeying"), format!("{name}-own"));
    let outputs = output(&obeying, "pipeline => '%{[@metadata][pipeline]}'") + &output(&own, "");
    let input = format!("input {{ docker {{ filter_name => '{name}*' }} }}");
    let mut agent = Agent::new(&name, &format!("{input} output {{ {outputs} }}"))
        .environment("DOCKER_HOST", &from_rig("DOCKER_HOST"));
    agent.start();
    let hint = |pipeline: &str| format!("--label=co.elastic.logs/pipeline={pipeline}");
    let hints = [("there", hint(&name.to_uppercase())), ("missing", hint("no-such-pipeline")), ("none", hint("_none"))];
    let _containers =
        hints.map(|(end, hint)| Container::run(&format!("{name}-{end}"), &[&hint], &format!("echo {end}")));
    let said = agent.wait_for_log("pipeline with id [no-such-pipeline] does not exist", Duration::from_secs(60));
    assert!(said.contains(&obeying), "{said}");
    agent.wait_for_log("co.elastic.logs/pipeline is no plain name", Duration::from_secs(30));
    let messages = |index: &str| -> Vec<String> {
        let mut messages: Vec<String> = elasticsearch.documents(index).into_iter().map(|it| it.message).collect();
        messages.sort();
        messages
    };
    eventually("the documents of both indices", Duration::from_secs(60), || {
        let found = [&obeying, &own].map(|index| messages(index));
        if found == [vec!["none", "there"], vec!["missing", "none", "there"]] {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
    [&obeying, &own].into_iter().for_each(|index| elasticsearch.remove(index));
    elasticsearch.expect("DELETE", &pipeline, None);
}
