//! Pipelines that are loaded again while lines flow: nothing lost, nothing doubled, whatever the change and whatever the output does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::api::{document, started};
use crate::harness::{Agent, Container, Elasticsearch, Folder, Scenario, eventually, from_rig, signal};
use crate::inputs::address;

const LIMIT: Duration = Duration::from_secs(60);

/// An agent that looks for changes often.
fn reloading(name: &str, pipeline: &str) -> Agent {
    let mut agent = Agent::new(name, pipeline)
        .environment("CONFIG_RELOAD_AUTOMATIC", "true")
        .environment("CONFIG_RELOAD_INTERVAL", "50ms");
    agent.start();
    agent
}

/// The same of the rig's engine, with so much in flight at the most, and where its monitoring API answers.
fn reading_containers(name: &str, pipeline: &str, in_flight: &str) -> (Agent, String) {
    let environment = [
        ("DOCKER_HOST", &*from_rig("DOCKER_HOST")),
        ("CONFIG_RELOAD_AUTOMATIC", "true"),
        ("CONFIG_RELOAD_INTERVAL", "50ms"),
        ("MEMORY_MAX_IN_FLIGHT", in_flight),
    ];
    started(name, pipeline, &environment)
}

/// Reads a file and prints its lines with a version.
pub(crate) fn versioned(log: &Path, version: usize) -> String {
    let input = file(log);
    format!(
        "input {{ {input} }} filter {{ mutate {{ add_field => {{ version => {version} }} }} }} output {{ stdout {{ codec => json_lines }} }}"
    )
}

pub(crate) fn file(log: &Path) -> String {
    let (log, sincedb) = (log.display(), log.with_extension("sincedb").display().to_string());
    format!(
        "file {{ path => '{log}' start_position => beginning sincedb_path => '{sincedb}' stat_interval => '20 ms' sincedb_write_interval => '20 ms' }}"
    )
}

pub(crate) fn append(log: &Path, numbers: std::ops::Range<usize>) {
    let text: String = numbers.map(|number| format!("line {number}\n")).collect();
    fs::File::options().create(true).append(true).open(log).unwrap().write_all(text.as_bytes()).unwrap();
}

fn printed(agent: &Agent) -> Vec<Value> {
    let log = agent.log();
    log.lines().filter(|line| line.starts_with('{')).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits for an event with this text; returns it.
fn until_printed(agent: &mut Agent, message: &str) -> Value {
    eventually(&format!("the event {message:?}"), LIMIT, || {
        agent.assert_running();
        let found = printed(agent).into_iter().find(|event| event["message"] == message);
        found.ok_or_else(|| agent.end_of_log(2000))
    })
}

/// Waits until all lines are printed, and fails when one came twice.
pub(crate) fn assert_once(agent: &mut Agent, lines: usize) {
    eventually(&format!("{lines} lines"), LIMIT, || {
        agent.assert_running();
        let found = printed(agent).len();
        if found >= lines { Ok(()) } else { Err(format!("{found} are there")) }
    });
    let mut counts = BTreeMap::new();
    for event in printed(agent) {
        *counts.entry(event["message"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let expected: BTreeMap<String, usize> = (0..lines).map(|number| (format!("line {number}"), 1)).collect();
    let wrong: Vec<_> = counts.iter().filter(|(line, count)| expected.get(*line) != Some(count)).take(5).collect();
    assert!(counts == expected, "{} of {lines} lines; wrong are {wrong:?}", counts.len());
}

fn count(agent: &Agent, text: &str) -> usize {
    agent.log().matches(text).count()
}

#[test]
fn lines_that_flow_while_a_pipeline_changes_five_times_arrive_once() {
    let folder = Folder::new("flow");
    let log = folder.0.join("log");
    let mut agent = reloading("reload-flow", &versioned(&log, 0));
    let mut written = 0;
    let mut write = |lines: usize| {
        append(&log, written..written + lines);
        written += lines;
        format!("line {}", written - 1)
    };
    let last = write(1000);
    assert_eq!(until_printed(&mut agent, &last)["version"], "0");
    for version in 1..=5 {
        write(5000);
        if version == 3 {
            agent.set_pipeline("input { file { pth => '/x' } } filter { mutat { } }");
            agent.wait_for_log("the changed pipeline can't be used; the old one goes on", LIMIT);
            write(1000);
        }
        agent.set_pipeline(&versioned(&log, version));
        write(5000);
        let expected = version.to_string();
        eventually("the new version", LIMIT, || {
            agent.assert_running();
            let last = write(1);
            let now = until_printed(&mut agent, &last)["version"].clone();
            if now.as_str() == Some(&*expected) { Ok(()) } else { Err(now.to_string()) }
        });
    }
    assert_once(&mut agent, written);
    let said = agent.log();
    for part in ["pipeline.conf:1:16: error[unknown-option]", "pipeline.conf:1:41: error[unknown-plugin]"] {
        assert_eq!(said.matches(part).count(), 1, "{part}: {said}");
    }
}

#[test]
fn what_a_blocked_output_holds_is_read_again_by_the_new_pipeline() {
    let folder = Folder::new("blocked");
    let log = folder.0.join("log");
    append(&log, 0..30_000);
    let nowhere =
        format!("input {{ {} }} output {{ elasticsearch {{ hosts => ['http://127.0.0.1:9'] }} }}", file(&log));
    let mut agent = reloading("reload-blocked", &nowhere);
    agent.wait_for_log("elasticsearch does not take documents", LIMIT);
    agent.set_pipeline(&versioned(&log, 1));
    agent.wait_for_log("the rest is read again by the new one", LIMIT);
    append(&log, 30_000..31_000);
    assert_once(&mut agent, 31_000);
}

/// A container's log as the engine keeps it, half of its lines rotated away.
fn rotated_log(container: &Path, numbers: std::ops::Range<usize>) {
    let records = |numbers: std::ops::Range<usize>| -> String {
        let record = |number| {
            format!(
                "{{\"log\":\"line {number}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-26T20:00:00.{number:09}Z\"}}\n"
            )
        };
        numbers.map(record).collect()
    };
    let middle = usize::midpoint(numbers.start, numbers.end);
    let name = container.file_name().unwrap().to_str().unwrap();
    fs::create_dir(container).unwrap();
    fs::write(container.join(format!("{name}-json.log.1")), records(numbers.start..middle)).unwrap();
    fs::write(container.join(format!("{name}-json.log")), records(middle..numbers.end)).unwrap();
}

#[test]
fn lines_of_containers_that_are_removed_while_an_output_is_blocked_are_read_again_by_the_new_pipeline() {
    let folder = Folder::new("removed");
    let [before, after] = ["a", "b"].map(|digit| folder.0.join(digit.repeat(64)));
    rotated_log(&before, 0..40_000);
    rotated_log(&after, 40_000..80_000);
    let input = format!("docker {{ read => files path => '{}/*/*-json.log' }}", folder.0.display());
    let nowhere = format!("input {{ {input} }} output {{ elasticsearch {{ hosts => ['http://127.0.0.1:9'] }} }}");
    let mut agent = Agent::new("reload-removed", &nowhere)
        .environment("CONFIG_RELOAD_AUTOMATIC", "true")
        .environment("CONFIG_RELOAD_INTERVAL", "50ms")
        // Less than the logs are: some of each is on its way, and some was not read yet.
        .environment("MEMORY_MAX_IN_FLIGHT", "10mb");
    agent.start();
    agent.wait_for_log("elasticsearch does not take documents", LIMIT);
    fs::remove_dir_all(before).unwrap();
    agent.set_pipeline(&format!("input {{ {input} }} output {{ stdout {{ codec => json_lines }} }}"));
    agent.wait_for_log("inputs have ended", LIMIT);
    fs::remove_dir_all(after).unwrap();
    agent.wait_for_log("the rest is read again by the new one", LIMIT);
    assert_once(&mut agent, 80_000);
}

/// A container that prints lines of these numbers and one more when it is stopped, with what `docker run` is told.
fn counting(name: &str, numbers: std::ops::Range<usize>, options: &[&str], then: &str) -> Container {
    let (first, last) = (numbers.start, numbers.end - 1);
    Container::run(name, options, &format!("for i in $(seq {first} {last}); do echo line $i; done; {then}"))
}

/// How many lines of a container the pipeline's first input has handed on.
fn read(address: &str, container: &Container) -> u64 {
    let stats = document(&format!("http://{address}/_node/stats/pipelines/main"));
    let containers = stats["pipelines"]["main"]["plugins"]["inputs"][0]["containers"].as_array().cloned();
    let found = containers.unwrap_or_default().into_iter().find(|it| it["name"] == container.name());
    found.and_then(|found| found["lines"].as_u64()).unwrap_or_default()
}

/// Waits until so many are.
fn until_read(address: &str, container: &Container, lines: u64) {
    eventually("the lines of a container", LIMIT, || {
        let found = read(address, container);
        if found >= lines { Ok(()) } else { Err(format!("{found} of {}", container.name())) }
    });
}

#[test]
#[ignore = "needs the rig: make test"]
fn through_the_api_lines_of_removed_containers_are_handed_on_again_and_new_ones_read_while_the_output_is_blocked() {
    let ours = format!("reload-api-{}", std::process::id());
    let input = format!("docker {{ read => api filter_name => '{ours}-*' }}");
    let nowhere = format!("input {{ {input} }} output {{ elasticsearch {{ hosts => ['http://127.0.0.1:9'] }} }}");
    let (mut agent, api) = reading_containers("reload-api", &nowhere, "24mb");
    let before = counting(&format!("{ours}-before"), 0..3_000, &[], "sleep 100000");
    let last_words = "trap 'echo line 6000; exit' TERM; while usleep 20000; do :; done";
    let between = counting(&format!("{ours}-between"), 3_000..6_000, &[], last_words);
    let stays = counting(&format!("{ours}-stays"), 6_001..9_000, &[], "sleep 100000");
    for container in [&before, &between, &stays] {
        until_read(&api, container, 2_999);
    }
    before.tell(&["rm", "--force"]);
    agent.set_pipeline(&format!("input {{ {input} }} output {{ stdout {{ codec => json_lines }} }}"));
    agent.wait_for_log("the pipeline was loaded", LIMIT);
    // What the old pipeline has is still on its way to nowhere.
    between.tell(&["stop"]);
    until_printed(&mut agent, "line 6000");
    between.tell(&["rm"]);
    let _brief = counting(&format!("{ours}-brief"), 9_000..9_100, &["--rm"], "");
    until_printed(&mut agent, "line 9099");
    agent.wait_for_log("the rest is read again by the new one", LIMIT);
    assert_once(&mut agent, 9_100);
    agent.stop(LIMIT);
    let cursors = fs::read_to_string(agent.data().join("docker-0.cursors")).unwrap();
    assert_eq!(
        cursors.lines().filter(|line| !line.starts_with("elkhound")).count(),
        1,
        "of those that are there: {cursors}"
    );
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_log_that_can_be_rotated_and_waits_for_room_when_its_pipeline_is_loaded_again_is_read_once() {
    for driver in ["json-file", "local"] {
        let ours = format!("reload-room-{driver}-{}", std::process::id());
        let input = format!("docker {{ read => api filter_name => '{ours}' }}");
        let nowhere = format!("input {{ {input} }} output {{ elasticsearch {{ hosts => ['http://127.0.0.1:9'] }} }}");
        let (mut agent, api) = reading_containers(&ours, &nowhere, "1mb");
        let script = "i=0; while [ $i -lt 6000 ]; do echo line $i; i=$((i + 1)); [ $((i % 10)) -gt 0 ] || usleep 5000; done; sleep 100000";
        let driver = format!("--log-driver={driver}");
        let container = Container::run(&ours, &[&driver, "--log-opt=max-size=5m", "--log-opt=max-file=3"], script);
        let mut looks = (0, 0);
        eventually("a reader that waits for room", LIMIT, || {
            let lines = read(&api, &container);
            looks = if looks.0 == lines { (lines, looks.1 + 1) } else { (lines, 0) };
            if lines > 500 && looks.1 == 5 { Ok(()) } else { Err(format!("{lines} at {} looks", looks.1)) }
        });
        agent.set_pipeline(&format!("input {{ {input} }} output {{ stdout {{ codec => json_lines }} }}"));
        assert_once(&mut agent, 6_000);
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn whether_logs_are_read_from_files_or_through_the_api_can_change_while_they_grow() {
    let ours = format!("reload-way-{}", std::process::id());
    let pipeline = |read: &str| {
        format!(
            "input {{ docker {{ read => {read} filter_name => '{ours}' }} }} output {{ stdout {{ codec => json_lines }} }}"
        )
    };
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); [ $((i % 20)) -gt 0 ] || usleep 10000; done; sleep 100000";
    let _container = Container::run(&ours, &[], script);
    let (mut agent, _) = reading_containers("reload-way", &pipeline("auto"), "24mb");
    for (lines, read) in [(1_000, "api"), (5_000, "auto"), (9_000, "api"), (13_000, "auto")] {
        until_printed(&mut agent, &format!("line {lines}"));
        agent.set_pipeline(&pipeline(read));
    }
    assert_once(&mut agent, 20_000);
    assert_eq!(count(&agent, "the pipeline was loaded"), 4);
}

#[test]
fn what_can_not_be_read_again_is_delivered_beside_the_new_pipeline() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = free.port();
    let input = "tcp { host => '127.0.0.1' port => 0 }";
    let blocked =
        format!("input {{ {input} }} output {{ tcp {{ host => '127.0.0.1' port => {port} codec => json_lines }} }}");
    let mut agent = reloading("reload-beside", &blocked);
    send(address(&mut agent, "the tcp input listens"), "before");
    agent.wait_for_log("events wait; it is tried again", LIMIT);
    agent.set_pipeline(&format!("input {{ {input} }} output {{ stdout {{ codec => json_lines }} }}"));
    eventually("the new input's port", LIMIT, || {
        let listen = count(&agent, "the tcp input listens");
        if listen == 2 { Ok(()) } else { Err(agent.end_of_log(2000)) }
    });
    let line = agent.log().lines().rfind(|line| line.contains("the tcp input listens")).unwrap().to_owned();
    let again: SocketAddr = line.split("address=").nth(1).unwrap().trim().parse().unwrap();
    send(again, "after");
    until_printed(&mut agent, "after");
    // Only now somebody takes what the old pipeline has.
    let listener = TcpListener::bind(free).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut first = String::new();
    BufReader::new(stream).read_line(&mut first).unwrap();
    assert!(first.contains("\"before\""), "{first}");
    assert_eq!(printed(&agent).len(), 1);
}

fn send(address: SocketAddr, line: &str) {
    TcpStream::connect(address).unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn only_what_has_changed_in_pipelines_yml_is_touched() {
    let folder = Folder::new("several");
    let logs = ["a", "b", "c"].map(|name| folder.0.join(name));
    for log in &logs {
        append(log, 0..100);
    }
    let entry = |id: &str, log: &Path, version: usize| {
        format!("- pipeline.id: {id}\n  config.string: |\n    {}\n", versioned(log, version))
    };
    let write = |entries: &[String]| {
        // As editors and Docker do it: another file under the name.
        fs::write(folder.0.join("new"), entries.concat()).unwrap();
        fs::rename(folder.0.join("new"), folder.0.join("pipelines.yml")).unwrap();
    };
    write(&[entry("a", &logs[0], 0), entry("b", &logs[1], 0)]);
    let mut agent = Agent::new("reload-several", "")
        .environment("CONFIG_RELOAD_AUTOMATIC", "true")
        .environment("CONFIG_RELOAD_INTERVAL", "50ms")
        .settings(&folder.0);
    agent.start();
    let started = |agent: &Agent, id: &str| count(agent, &format!("a pipeline starts pipeline=\"{id}\""));
    agent.wait_for_log("a pipeline starts pipeline=\"b\"", LIMIT);

    write(&[entry("a", &logs[0], 0), entry("b", &logs[1], 1), entry("c", &logs[2], 0)]);
    agent.wait_for_log("the pipeline was loaded pipeline=\"c\"", LIMIT);
    assert_eq!(["a", "b", "c"].map(|id| started(&agent, id)), [1, 2, 1]);

    write(&["- pipeline.id: a\n  pipeline.workers: none\n".into()]);
    agent.wait_for_log("the settings are broken; all pipelines go on as they were", LIMIT);
    write(&[entry("a", &logs[0], 0), entry("c", &logs[2], 0)]);
    eventually("the end of both of b", LIMIT, || {
        let ended = count(&agent, "a pipeline has ended pipeline=\"b\"");
        if ended == 2 { Ok(()) } else { Err(format!("{ended} have")) }
    });
    for log in &logs {
        append(log, 100..200);
    }
    let printed_of = |agent: &Agent, log: &Path| {
        printed(agent).iter().filter(|event| event["log"]["file"]["path"] == log.to_str().unwrap()).count()
    };
    eventually("the lines of those that run", LIMIT, || {
        let counts = [0, 2].map(|at| printed_of(&agent, &logs[at]));
        if counts == [200, 200] { Ok(()) } else { Err(format!("{counts:?}")) }
    });
    assert_eq!(printed_of(&agent, &logs[1]), 100, "a pipeline that was taken out reads nothing more");
    assert_eq!(["a", "b", "c"].map(|id| started(&agent, id)), [1, 2, 1]);
    assert!(agent.stop(LIMIT).success());
}

#[test]
fn a_pipeline_that_others_send_to_changes_without_their_notice() {
    let folder = Folder::new("between");
    let log = folder.0.join("log");
    let print = |version: usize| {
        format!(
            "input {{ pipeline {{ address => print }} }} filter {{ mutate {{ add_field => {{ version => {version} }} }} }} output {{ stdout {{ codec => json_lines }} }}"
        )
    };
    let write = |version: usize| {
        let intake = format!("input {{ {} }} output {{ pipeline {{ send_to => [print] }} }}", file(&log));
        let entries = [("intake", intake), ("print", print(version))]
            .map(|(id, text)| format!("- pipeline.id: {id}\n  config.string: |\n    {text}\n"));
        fs::write(folder.0.join("pipelines.yml"), entries.concat()).unwrap();
    };
    write(0);
    append(&log, 0..20_000);
    let mut agent = Agent::new("reload-between", "")
        .environment("CONFIG_RELOAD_AUTOMATIC", "true")
        .environment("CONFIG_RELOAD_INTERVAL", "50ms")
        .settings(&folder.0);
    agent.start();
    let mut written = 20_000;
    for version in 1..=3 {
        write(version);
        append(&log, written..written + 10_000);
        written += 10_000;
        let expected = version.to_string();
        eventually("the new version", LIMIT, || {
            append(&log, written..written + 1);
            written += 1;
            let now = until_printed(&mut agent, &format!("line {}", written - 1))["version"].clone();
            if now.as_str() == Some(&*expected) { Ok(()) } else { Err(now.to_string()) }
        });
    }
    assert_once(&mut agent, written);
    assert_eq!(count(&agent, "a pipeline starts pipeline=\"intake\""), 1);
    assert!(agent.stop(LIMIT).success());
}

#[test]
fn the_signal_loads_again_and_standard_input_can_not_be() {
    let folder = Folder::new("signal");
    let log = folder.0.join("log");
    append(&log, 0..10);
    let mut agent = Agent::new("reload-signal", &versioned(&log, 0));
    agent.start();
    until_printed(&mut agent, "line 9");
    agent.set_pipeline(&versioned(&log, 1));
    signal(agent.id(), "HUP");
    agent.wait_for_log("the pipeline was loaded", LIMIT);
    append(&log, 10..11);
    assert_eq!(until_printed(&mut agent, "line 10")["version"], "1");
    agent.set_pipeline("input { stdin { } } output { stdout { } }");
    signal(agent.id(), "HUP");
    agent.wait_for_log("an input that can't be loaded again, such as stdin; restart elkhound", LIMIT);
    append(&log, 11..12);
    assert_eq!(until_printed(&mut agent, "line 11")["version"], "1");
    assert_once(&mut agent, 12);
}

#[test]
#[ignore = "needs the rig: make test"]
fn five_changes_while_containers_write_lose_and_double_nothing() {
    let mut run = Scenario::new("reload")
        .containers(4)
        .lines(100_000)
        .rate(4_000)
        .environment("CONFIG_RELOAD_AUTOMATIC", "true")
        .environment("CONFIG_RELOAD_INTERVAL", "100ms")
        .start(Elasticsearch::own("reload", &[]));
    let sound = run.pipeline.clone();
    let loaded = |run: &mut crate::harness::Running, version: usize| {
        let filter = format!("filter {{ mutate {{ add_field => {{ version => {version} }} }} }}\n");
        let before = count(&run.agent, "the pipeline was loaded");
        run.agent.set_pipeline(&(filter + &sound));
        eventually("the new pipeline", LIMIT, || {
            run.agent.assert_running();
            let now = count(&run.agent, "the pipeline was loaded");
            if now > before { Ok(()) } else { Err(run.agent.end_of_log(2000)) }
        });
    };
    run.until_indexed(5_000);
    loaded(&mut run, 1);
    run.until_indexed(15_000);
    run.agent.set_pipeline(&sound.replace("hosts", "hots"));
    run.agent.wait_for_log("the old one goes on", LIMIT);
    run.until_indexed(25_000);
    loaded(&mut run, 2);
    run.elasticsearch.pause();
    loaded(&mut run, 3);
    run.agent.wait_for_log("the rest is read again by the new one", LIMIT);
    run.elasticsearch.resume();
    run.until_indexed(40_000);
    loaded(&mut run, 4);
    run.assert_exactly_once();
}
