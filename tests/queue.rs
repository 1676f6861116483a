//! The queue on disk: what waits in it outlives the agent, however that ends, and arrives once.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Agent, Container, Difference, Elasticsearch, Folder, elkhound, eventually, from_rig, run, signal,
};
use crate::inputs::address;
use crate::reload::{append, assert_once, file};

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const TCP: &str = "tcp { host => '127.0.0.1' port => 0 }";

/// Prints what it gets.
const PRINT: &str = "output { stdout { codec => json_lines } }";

/// Takes nothing, for nobody is there.
const BLOCKED: &str = "output { elasticsearch { hosts => ['http://127.0.0.1:9'] } }";

/// An agent with a queue on disk in `folder`.
fn queued(name: &str, folder: &Path, pipeline: &str) -> Agent {
    let queue = folder.join("queue").display().to_string();
    Agent::new(name, pipeline)
        .environment("QUEUE_TYPE", "persisted")
        .environment("PATH_QUEUE", &queue)
        .environment("API_HTTP_PORT", "0")
        .environment("SHUTDOWN_TIMEOUT", "300ms")
}

/// What the API of the agent that was started last says of its pipeline.
pub(crate) fn pipeline_stats(agent: &Agent) -> Value {
    let log = agent.log();
    let line = log.lines().rfind(|line| line.contains("the monitoring API answers")).unwrap_or_default();
    let Some(address) = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next()) else {
        return Value::Null;
    };
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--noproxy", "*", "--max-time", "20"]);
    // The one that has just been started may not have said yet where it answers.
    let answer = run(curl.arg(format!("http://{address}/_node/stats/pipelines/main"))).stdout;
    let stats: Value = serde_json::from_slice(&answer).unwrap_or_default();
    stats["pipelines"]["main"].clone()
}

fn on_disk(agent: &Agent) -> Value {
    pipeline_stats(agent)["queue"].clone()
}

fn wait_for_events(agent: &mut Agent, events: usize) {
    wait_until(agent, &format!("{events} events on disk"), |found| found == events as u64);
}

fn wait_until(agent: &mut Agent, what: &str, enough: impl Fn(u64) -> bool) {
    eventually(what, LIMIT, || {
        agent.assert_running();
        let queue = on_disk(agent);
        if queue["events_count"].as_u64().is_some_and(&enough) { Ok(()) } else { Err(queue.to_string()) }
    });
}

pub(crate) fn send(agent: &mut Agent, lines: &str) {
    let mut stream = TcpStream::connect(address(agent, "the tcp input listens")).unwrap();
    stream.write_all(lines.as_bytes()).unwrap();
}

pub(crate) fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("line {number}\n")).collect()
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder.join("queue/main")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = found.filter(|path| path.extension().is_some_and(|it| it == "page")).collect();
    pages.sort();
    pages
}

#[test]
fn lines_that_wait_on_disk_survive_a_kill_and_a_torn_page_and_arrive_once() {
    let folder = Folder::new("queue-killed");
    let log = folder.0.join("log");
    append(&log, 0..5_000);
    let pipeline = |output: &str| format!("input {{ {TCP} {} }} {output}", file(&log));
    let mut agent = queued("queue-killed", &folder.0, &pipeline(BLOCKED));
    agent.start();
    send(&mut agent, &lines(5_000..10_000));
    wait_for_events(&mut agent, 10_000);
    let queue = on_disk(&agent);
    assert_eq!((&queue["type"], &queue["capacity"]["page_capacity_in_bytes"]), (&json!("persisted"), &json!(64 << 20)));
    assert!(queue["queue_size_in_bytes"].as_u64() > Some(100_000), "{queue}");
    // The input has its receipts, though nothing was delivered.
    let (position, size) = (log.with_extension("sincedb"), fs::metadata(&log).unwrap().len().to_string());
    eventually("the position in the sincedb", LIMIT, || {
        let text = fs::read_to_string(&position).unwrap_or_default();
        if text.split(' ').nth(3) == Some(&size) { Ok(()) } else { Err(text) }
    });
    agent.kill();
    let last = pages(&folder.0).pop().unwrap();
    fs::File::options().append(true).open(last).unwrap().write_all(&[7; 100]).unwrap();
    agent.set_pipeline(&pipeline(PRINT));
    agent.start();
    assert_once(&mut agent, 10_000);
    let said = agent.wait_for_log("the queue on disk ends with what is no whole event", LIMIT);
    assert!(said.contains("bytes=100"), "{said}");
    // A stop in good order leaves nothing to come again.
    assert!(agent.stop(LIMIT).success());
    append(&log, 10_000..10_001);
    agent.start();
    assert_once(&mut agent, 10_001);
}

#[test]
fn a_compressed_queue_survives_a_kill_and_is_read_whatever_the_setting_is_then() {
    let folder = Folder::new("queue-compressed");
    let pipeline = |output: &str| format!("input {{ {TCP} }} {output}");
    let mut agent =
        queued("queue-compressed", &folder.0, &pipeline(BLOCKED)).environment("QUEUE_COMPRESSION", "balanced");
    agent.start();
    send(&mut agent, &lines(0..5_000));
    wait_for_events(&mut agent, 5_000);
    let queue = on_disk(&agent);
    let encode = &queue["compression"]["encode"];
    assert_eq!(encode["goal"], "balanced", "{queue}");
    assert!(encode["ratio"]["lifetime"].as_f64().is_some_and(|ratio| ratio > 0.0 && ratio < 0.5), "{queue}");
    agent.kill();
    let mut agent = queued("queue-inflated", &folder.0, &pipeline(PRINT));
    agent.start();
    assert_once(&mut agent, 5_000);
    let queue = on_disk(&agent);
    assert!(queue["compression"]["decode"]["ratio"]["lifetime"].as_f64() > Some(2.0), "{queue}");
    assert_eq!(queue["compression"]["encode"], Value::Null, "{queue}");
    assert!(agent.stop(LIMIT).success());
}

#[test]
fn a_full_queue_makes_the_input_wait_and_has_room_again() {
    let folder = Folder::new("queue-full");
    let log = folder.0.join("log");
    append(&log, 0..50_000);
    let pipeline = |output: &str| format!("input {{ {} }} {output}", file(&log));
    let mut agent = queued("queue-full", &folder.0, &pipeline(BLOCKED))
        .environment("QUEUE_MAX_BYTES", "1mb")
        .environment("QUEUE_PAGE_CAPACITY", "200kb");
    agent.start();
    agent.wait_for_log("the queue on disk is full, and inputs wait", LIMIT);
    let size: u64 = pages(&folder.0).iter().map(|page| fs::metadata(page).unwrap().len()).sum();
    assert!((500 << 10..=1 << 20).contains(&size), "{size}");
    assert!(agent.stop(LIMIT).success());
    agent.set_pipeline(&pipeline(PRINT));
    agent.start();
    assert_once(&mut agent, 50_000);
    wait_for_events(&mut agent, 0);
    eventually("pages to be removed", LIMIT, || {
        let left = pages(&folder.0).len();
        if left == 1 { Ok(()) } else { Err(left.to_string()) }
    });
}

#[test]
fn a_stop_leaves_what_is_on_disk_unless_it_is_to_be_drained() {
    let folder = Folder::new("queue-drain");
    let queue = folder.0.join("queue");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let output = format!("output {{ tcp {{ host => '127.0.0.1' port => {port} codec => line }} }}");
    let pipeline = format!("input {{ {TCP} }} {output}");
    let mut agent = queued("queue-drain", &folder.0, &pipeline);
    agent.start();
    send(&mut agent, &lines(0..1_000));
    wait_for_events(&mut agent, 1_000);
    assert!(agent.stop(LIMIT).success());
    let arguments = ["-t", "--path.queue", queue.to_str().unwrap(), "-e", "input { stdin { } }"];
    let said = String::from_utf8(elkhound(&arguments, "").stderr).unwrap();
    assert!(said.contains("warning[left-queue]") && said.contains("queue/main holds "), "{said}");

    let mut agent = queued("queue-drained", &folder.0, &pipeline).environment("QUEUE_DRAIN", "true");
    agent.start();
    wait_for_events(&mut agent, 1_000);
    signal(agent.id(), "TERM");
    agent.wait_for_log("not everything could be delivered before the deadline", LIMIT);
    agent.assert_running();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let read: Vec<String> = BufReader::new(stream).lines().map_while(Result::ok).collect();
    assert!(agent.wait(LIMIT).success());
    assert_eq!(read.len(), 1_000);
    assert!(read.iter().any(|line| line.ends_with("line 999")), "{:?}", read.last());
}

#[test]
fn a_blocked_pipeline_hands_its_queue_over_to_the_next() {
    let folder = Folder::new("queue-reload");
    let pipeline = |output: &str| format!("input {{ {TCP} }} {output}");
    let mut agent = queued("queue-reload", &folder.0, &pipeline(BLOCKED));
    agent.start();
    send(&mut agent, &lines(0..3_000));
    wait_for_events(&mut agent, 3_000);
    agent.set_pipeline(&pipeline(PRINT));
    signal(agent.id(), "HUP");
    assert_once(&mut agent, 3_000);
    assert!(agent.stop(LIMIT).success());
}

#[test]
fn events_of_an_input_that_ends_are_delivered_before_the_end() {
    let data = Folder::new("queue-ends");
    let text = "input { stdin { } } output { stdout { codec => line { format => '%{message}' } } }";
    let arguments = ["-w", "1", "--path.data", data.text(), "--queue.type", "persisted", "-e", text];
    let output = elkhound(&arguments, &lines(0..2_000));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines(0..2_000));
}

#[test]
fn a_queue_that_another_elkhound_has_is_refused() {
    let folder = Folder::new("queue-twice");
    let mut agent = queued("queue-twice", &folder.0, &format!("input {{ {TCP} }} {BLOCKED}"));
    agent.start();
    wait_for_events(&mut agent, 0);
    let queue = folder.0.join("queue");
    let path = queue.to_str().unwrap();
    let arguments = ["--path.data", folder.text(), "--queue.type", "persisted", "--path.queue", path];
    let output = elkhound(&[&arguments[..], &["-e", &format!("input {{ {TCP} }} {PRINT}")]].concat(), "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = format!(
        "elkhound: pipeline `main`: the queue in {path}/main can't be opened: another elkhound has this queue; give each its own path.queue or path.data\n"
    );
    assert!(said.ends_with(&expected), "{said}");
}

#[test]
#[ignore = "needs the rig: make test"]
fn lines_of_tcp_and_containers_are_indexed_once_though_the_agent_is_killed_and_elasticsearch_frozen() {
    const LINES: usize = 5_000;
    let folder = Folder::new("queue-frozen");
    let node = Elasticsearch::own("queue-frozen", &[]);
    let name = format!("elkhound-queue-{}", std::process::id());
    let pipeline = format!(
        "input {{ {TCP} docker {{ filter_name => '{name}' }} }}\n\
         output {{ elasticsearch {{ hosts => ['{}'] index => '{name}' }} }}",
        node.url()
    );
    let mut agent = queued("queue-frozen", &folder.0, &pipeline)
        .environment("DOCKER_HOST", &from_rig("DOCKER_HOST"))
        .environment("SHUTDOWN_TIMEOUT", "8s");
    // So that what is on disk can be told to the event.
    node.pause();
    agent.start();
    let script = format!("awk 'BEGIN {{ for (k = 0; k < {LINES}; k++) print \"line\", k }}'");
    let container = Container::run(&name, &[], &script);
    send(&mut agent, &lines(0..LINES));
    wait_for_events(&mut agent, 2 * LINES);
    agent.kill();
    agent.start();
    // Lines of the container whose cursor was not written yet come into the queue a second time, under the ids that they had.
    wait_until(&mut agent, "all events again", |found| found >= 2 * LINES as u64);
    node.resume();
    // Killed again in the middle: what was indexed and not taken out comes a second time.
    eventually("some documents", LIMIT, || {
        let found = node.count(&name);
        if found > 500 { Ok(()) } else { Err(found.to_string()) }
    });
    agent.kill();
    agent.start();
    let written: Vec<(String, String)> = ["", container.name()]
        .iter()
        .flat_map(|container| (0..LINES).map(move |line| ((*container).to_owned(), format!("line {line}"))))
        .collect();
    wait_for_events(&mut agent, 0);
    assert!(agent.stop(LIMIT).success());
    let difference = Difference::new(&written, node.documents(&name));
    assert!(difference.is_none(), "{difference}");
}
