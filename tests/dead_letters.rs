//! What Elasticsearch refuses for good is kept, can be looked at, and arrives once the cause is mended.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Elasticsearch, Folder, elkhound};

/// Runs elkhound, which must succeed; what it printed and what it said.
fn run(arguments: &[&str], input: &str) -> (String, String) {
    let output = elkhound(arguments, input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

/// Writes a queue as an agent does whose events can't be made documents, which needs no Elasticsearch.
fn unencodable(data: &Path, pipeline: &str, id: &str, lines: &str) {
    let text = &format!(
        "input {{ stdin {{ codec => json_lines }} }} \
         output {{ null {{ }} elasticsearch {{ hosts => [\"127.0.0.1:9\"] index => \"logs-%{{app}}\" {id} }} }}"
    );
    let data = data.to_str().unwrap();
    let arguments =
        ["--path.data", data, "--dead_letter_queue.enable=true", "--pipeline.id", pipeline, "-w", "1", "-e", text];
    run(&arguments, lines);
}

#[test]
fn what_cannot_be_made_a_document_is_listed_shown_replayed_and_removed() {
    let data = Folder::new("letters-shown");
    unencodable(&data.0, "one/two", "id => out", "{\"n\":1}\n{\"n\":2,\"@metadata\":{\"m\":\"x\"}}\n");
    let queue = ["--path.data", data.text(), "--pipeline.id", "one/two"];
    let dlq = |arguments: &[&str]| run(&[&["dlq"], arguments, &queue].concat(), "").0;

    let listed = dlq(&["list"]);
    assert!(listed.starts_with("one%2ftwo: 2 entries in 1 segments, "), "{listed}");
    assert!(listed.contains("2 x elkhound_unencodable"), "{listed}");
    let entry: Value = serde_json::from_str(&dlq(&["show", "--json", "--last", "1"])).unwrap();
    assert_eq!((&entry["plugin"]["id"], &entry["status"]), (&json!("out"), &json!(0)));
    assert_eq!(entry["reason"], "the index is called `logs-%{app}`, for the event lacks the field");
    assert_eq!((&entry["event"]["n"], &entry["event"]["@metadata"]["m"]), (&json!(2), &json!("x")));
    let events: Vec<Value> =
        dlq(&["show", "--events"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().map(|event| event["n"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(dlq(&["show", "--reason", "timeout"]), "");

    let pipeline = "input { generator { count => 5 } } filter { mutate { add_field => { app => \"%{[@metadata][m]}\" } } }\n\
                    output { stdout { codec => line { format => \"%{n} %{app} %{[@metadata][dead_letter_queue][error]}\" } } }";
    let replayed = dlq(&["replay", "-w", "1", "--config.string", pipeline]);
    assert_eq!(replayed, "1 %{[@metadata][m]} elkhound_unencodable\n2 x elkhound_unencodable\n");
    let replayed = dlq(&["replay", "-w", "1", "--outputs-only", "--config.string", pipeline]);
    assert_eq!(replayed, "1 %{app} elkhound_unencodable\n2 %{app} elkhound_unencodable\n");

    assert_eq!(dlq(&["remove", "--through", "1"]), "removed 1 of 1 segments\n");
    assert!(dlq(&["list"]).starts_with("one%2ftwo: 0 entries in 0 segments"));
}

#[test]
fn an_output_without_an_id_is_called_what_it_is_called_elsewhere() {
    let data = Folder::new("letters-called");
    unencodable(&data.0, "main", "", "{\"n\":1}\n");
    let shown = run(&["dlq", "show", "--json", "--path.data", data.text()], "").0;
    let entry: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(entry["plugin"]["id"], "elasticsearch-2");
}

#[test]
fn a_queue_that_is_not_there_is_named() {
    let data = Folder::new("letters-none");
    let output = elkhound(&["dlq", "show", "--path.data", data.text()], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("no dead letter queue of the pipeline `main`") && said.contains(data.text()), "{said}");
}

#[test]
fn the_input_goes_on_where_events_were_safe_and_removes_what_it_has_consumed() {
    let data = Folder::new("letters-input");
    unencodable(&data.0, "main", "id => out", "{\"n\":1}\n{\"n\":2}\n");
    let path = data.0.join("dead_letter_queue");
    let text = format!(
        "input {{ dead_letter_queue {{ path => \"{}\" clean_consumed => true exit_after_read => true }} }}\n\
         output {{ stdout {{ codec => line {{ format => \"%{{n}}\" }} }} }}",
        path.display()
    );
    let read = || run(&["-w", "1", "--path.data", data.text(), "-e", &text], "").0;
    assert_eq!(read(), "1\n2\n");
    assert_eq!(read(), "");
    unencodable(&data.0, "main", "id => out", "{\"n\":3}\n");
    assert_eq!(read(), "3\n");
    let segments: Vec<String> = std::fs::read_dir(path.join("main"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".ndjson"))
        .collect();
    assert_eq!(segments, ["2.ndjson"]);
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_refused_document_is_found_after_its_mapping_is_mended_and_its_entry_replayed() {
    let (data, node) = (Folder::new("letters-mended"), Elasticsearch::shared());
    let index = format!("elkhound-letters-{}", std::process::id());
    node.create_index(&index, &json!({ "size": { "type": "long" } }));
    let output = format!("output {{ elasticsearch {{ hosts => [\"{}\"] index => \"{index}\" }} }}\n", node.url());
    let pipeline = format!("input {{ stdin {{ codec => json_lines }} }}\n{output}");
    let lines: String = (1..=300)
        .map(|n| format!("{}\n", json!({ "n": n, "size": if n % 100 == 0 { json!("many") } else { json!(n) } })))
        .collect();
    let numbers = || {
        let mut found: Vec<u64> =
            node.sources(&index).iter().map(|hit| hit["_source"]["n"].as_u64().unwrap()).collect();
        found.sort_unstable();
        found
    };
    let (_, said) = run(&["--path.data", data.text(), "--dead_letter_queue.enable=true", "-e", &pipeline], &lines);
    assert!(said.contains("the dead letter queue keeps it"), "{said}");
    assert_eq!(numbers(), (1..=300).filter(|n| n % 100 != 0).collect::<Vec<u64>>());

    let (shown, _) = run(&["dlq", "show", "--json", "--path.data", data.text()], "");
    let entries: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), 3);
    for entry in &entries {
        assert_eq!(
            (&entry["status"], &entry["index"], &entry["action"]),
            (&json!(400), &json!(index), &json!("create"))
        );
        assert!(entry["error"].as_str().unwrap().ends_with("parsing_exception"), "{entry}");
        assert!(entry["reason"].as_str().unwrap().contains("[size]"), "{entry}");
    }

    // Before the cause is mended a replay changes nothing, and costs nothing.
    let file = data.0.join("replay.conf");
    std::fs::write(&file, &pipeline).unwrap();
    let replay = ["dlq", "replay", "-f", file.to_str().unwrap(), "--path.data", data.text()];
    let (_, said) = run(&replay, "");
    assert!(said.contains("refuses a document for good"), "{said}");

    node.remove(&index);
    node.create_index(&index, &json!({ "size": { "type": "keyword" } }));
    run(&replay, "");
    run(&replay, "");
    assert_eq!(numbers(), [100, 200, 300]);
    node.remove(&index);
}
