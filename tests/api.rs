//! The monitoring API of the running agent, asked as pollers, people and Docker's health checks ask it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Agent, Container, Folder, WebSocket, certificates, elkhound_in, eventually, from_rig};

/// Makes 2,000 events, drops half of them, and stays.
const BUSY: &str = "input { generator { count => 2000 id => made } tcp { port => 0 host => \"127.0.0.1\" } } \
    filter { mutate { id => marks add_field => { note => \"it passed\" } } if [event][sequence] >= 1000 { drop { } } } \
    output { null { id => nothing } }";

/// An agent whose API has taken any free port, and where that is.
pub(crate) fn started(name: &str, pipeline: &str, environment: &[(&str, &str)]) -> (Agent, String) {
    let mut agent = Agent::new(name, pipeline).environment("API_HTTP_PORT", "0").environment("NO_COLOR", "1");
    for (name, value) in environment {
        agent = agent.environment(name, value);
    }
    agent.start();
    let line = agent.wait_for_log("the monitoring API answers", Duration::from_secs(30));
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    (agent, address)
}

/// Asks by curl; the status and the body.
fn ask(arguments: &[&str]) -> (u16, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

pub(crate) fn document(url: &str) -> Value {
    let (status, body) = ask(&[url]);
    assert_eq!(status, 200, "{url}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{url}: {error}: {body}"))
}

/// Asks whether the elkhound at `url` is well: the exit code, and the sentence.
fn healthcheck(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = elkhound_in(environment, &[&["healthcheck"], arguments].concat(), "");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn what_goes_through_a_pipeline_is_counted_everywhere() {
    let (agent, address) = started("api-counts", BUSY, &[]);
    let stats = eventually("all events", Duration::from_secs(30), || {
        let stats = document(&format!("http://{address}/_node/stats?pretty"));
        let dropped = &stats["pipelines"]["main"]["plugins"]["filters"][1]["events"]["in"];
        // An input counts what it has handed on, by when a worker may be done with it.
        let entered =
            [&stats["events"]["in"], &stats["pipelines"]["main"]["events"]["in"]].iter().all(|it| **it == 2000);
        let all = entered && dropped == 1000 && stats["events"]["out"] == 1000;
        if all { Ok(stats) } else { Err(stats.to_string()) }
    });
    let main = &stats["pipelines"]["main"];
    assert_eq!((&main["queue"]["events_count"], &main["events"]["filtered"]), (&0.into(), &1000.into()));
    let plugins = &main["plugins"];
    assert_eq!((&plugins["inputs"][0]["id"], &plugins["inputs"][0]["events"]["out"]), (&"made".into(), &2000.into()));
    assert_eq!(
        (&plugins["filters"][0]["id"], &plugins["filters"][0]["events"]["out"]),
        (&"marks".into(), &2000.into())
    );
    assert_eq!(plugins["filters"][1]["events"]["out"], 0);
    assert_eq!(
        (&plugins["outputs"][0]["id"], &plugins["outputs"][0]["events"]["out"]),
        (&"nothing".into(), &1000.into())
    );
    assert_eq!((&stats["status"], &stats["pipeline"]["batch_size"]), (&"green".into(), &125.into()));
    let (_, metrics) = ask(&[&format!("http://{address}/metrics")]);
    let sample = r#"elkhound_input_events_total{pipeline="main",id="made",plugin="generator"} 2000"#;
    assert!(metrics.lines().any(|line| line == sample), "{metrics}");
    let (status, page) = ask(&["--header", "accept: text/html", &format!("http://{address}/")]);
    assert!(status == 200 && page.contains("Pipeline main") && page.contains(">marks</span>"), "{page}");
    assert_eq!(ask(&["--header", "host: evil.example", &format!("http://{address}/")]).0, 403);
    drop(agent);
}

#[test]
fn what_is_logged_can_be_changed_and_put_back() {
    let (agent, address) = started("api-logging", BUSY, &[]);
    let url = format!("http://{address}/_node/logging");
    let level = || document(&url)["loggers"]["elkhound.api"].clone();
    let put = |url: &str, body: &str| ask(&["--request", "PUT", "--data", body, url]);
    assert_eq!(put(&url, r#"{"logger.elkhound.api":"DEBUG"}"#), (200, r#"{"acknowledged":true}"#.to_owned()));
    assert_eq!(level(), "DEBUG");
    assert_eq!(put(&url, r#"{"logger.elkhound.api":"LOUD"}"#).0, 400);
    assert_eq!(put(&format!("{url}/reset"), "").0, 200);
    assert_eq!(level(), Value::Null);
    assert_eq!(put(&url, &" ".repeat(100_000)).0, 413);
    drop(agent);
}

#[test]
fn pipelines_are_loaded_again_when_they_are_asked_to_be() {
    let (mut agent, address) = started("api-reload", BUSY, &[]);
    let (status, _) = ask(&["--request", "PUT", &format!("http://{address}/_node/reload")]);
    assert_eq!(status, 202);
    agent.wait_for_log("the pipeline was loaded", Duration::from_secs(30));
    agent.assert_running();
}

#[test]
fn an_elasticsearch_that_is_away_is_not_ready_and_yet_alive() {
    let pipeline = "input { generator { count => 1 } tcp { port => 0 host => \"127.0.0.1\" } } \
        output { elasticsearch { hosts => [\"http://127.0.0.1:9\"] index => \"a\" } }";
    let (agent, address) = started("api-away", pipeline, &[]);
    let url = format!("http://{address}");
    let said = eventually("that it is not ready", Duration::from_secs(30), || {
        let (status, said) = ask(&[&format!("{url}/ready")]);
        if status == 503 { Ok(said) } else { Err(said) }
    });
    assert!(said.contains("output `elasticsearch-1` can't deliver since") && said.contains("127.0.0.1:9"), "{said}");
    assert_eq!(ask(&[&format!("{url}/live")]), (200, "elkhound is alive\n".to_owned()));
    assert_eq!(document(&format!("{url}/_health_report"))["status"], "yellow");
    assert_eq!(healthcheck(&["--url", &url], &[]), (Some(0), "elkhound is alive\n".to_owned()));
    let (code, said) = healthcheck(&["--ready", "--url", &url], &[]);
    assert!(code == Some(1) && said.starts_with("elkhound is not ready: pipeline `main`"), "{said}");
    drop(agent);
    let (code, said) = healthcheck(&["--url", &url], &[]);
    assert!(
        code == Some(1) && said.starts_with(&format!("elkhound does not answer: {url}/live: nobody listens")),
        "{said}"
    );
}

#[test]
fn a_login_keeps_others_out() {
    let login = [
        ("API_AUTH_TYPE", "basic"),
        ("API_AUTH_BASIC_USERNAME", "poller"),
        ("API_AUTH_BASIC_PASSWORD", "open-sesame-9"),
    ];
    let (agent, address) = started("api-login", BUSY, &login);
    let url = format!("http://{address}/_node/stats");
    assert_eq!(ask(&[&url]).0, 401);
    assert_eq!(ask(&["--user", "poller:wrong", &url]).0, 401);
    assert_eq!(ask(&["--user", "poller:open-sesame-9", &url]).0, 200);
    assert_eq!(healthcheck(&["--url", &format!("http://{address}")], &login).0, Some(0));
    assert!(!agent.log().contains("open-sesame-9"));
}

#[test]
fn it_speaks_tls_with_pem_files() {
    let folder = Folder::new("api-keys");
    certificates(&folder.0);
    let path = |name: &str| folder.0.join(name).display().to_string();
    let (certificate, key, authority) = (path("server-cert.pem"), path("server-key.pem"), path("ca.pem"));
    let tls = [("API_SSL_ENABLED", "true"), ("API_SSL_CERTIFICATE", &*certificate), ("API_SSL_KEY", &*key)];
    let (agent, address) = started("api-tls", BUSY, &tls);
    let url = format!("https://{address}/");
    assert_eq!(ask(&["--cacert", &authority, &url]).0, 200);
    assert_eq!(ask(&[&format!("http://{address}/")]).0, 0);
    let here = format!("https://{address}");
    assert_eq!(healthcheck(&["--url", &here], &tls).0, Some(0));
    let other = [tls[0], ("API_SSL_CERTIFICATE", &*authority), tls[2]];
    let (code, said) = healthcheck(&["--url", &here], &other);
    assert!(code == Some(1) && said.contains("another certificate"), "{said}");
    assert_eq!(healthcheck(&["--url", &here], &[]).0, Some(1));
    drop((agent, folder));
    let output = elkhound_in(&tls, &["-e", "input { generator { count => 1 } } output { null { } }"], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("correct api.ssl.certificate and api.ssl.key"), "{said}");
    assert!(said.contains("server-cert.pem"), "{said}");
}

#[test]
fn the_health_check_finds_the_port_by_the_settings() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let first = taken.local_addr().unwrap().port();
    let range = format!("{first}-{}", first.saturating_add(20));
    let mut agent = Agent::new("api-range", BUSY).environment("API_HTTP_PORT", &range);
    agent.start();
    agent.wait_for_log("the monitoring API answers", Duration::from_secs(30));
    // Nobody speaks HTTP on the first port; what is taken there must answer nothing, or be left.
    drop(taken);
    let said = healthcheck(&[], &[("API_HTTP_PORT", &range)]);
    assert_eq!(said, (Some(0), "elkhound is alive\n".to_owned()));
}

#[test]
fn a_port_that_is_taken_is_told_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let pipeline = "input { generator { count => 1 } } output { null { } }";
    let output = elkhound_in(&[("API_HTTP_PORT", &port)], &["-e", pipeline], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("the monitoring API can't listen on 127.0.0.1:{port}: ")), "{said}");
    assert!(said.contains("give api.http.port another port or several such as 9600-9700"), "{said}");
    let output = elkhound_in(&[("API_ENABLED", "false"), ("API_HTTP_PORT", &port)], &["-e", pipeline], "");
    assert!(output.status.success());
}

/// A viewer of lines; gone when dropped.
struct Viewer(Child);

impl Viewer {
    fn look(url: &str, accept: &str) -> (Self, BufReader<std::process::ChildStdout>) {
        let mut child = Command::new("curl")
            .args(["--silent", "--no-buffer", "--noproxy", "*", "--header", &format!("accept: {accept}"), url])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        (Self(child), lines)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn containers_are_counted_and_their_lines_can_be_looked_at() {
    let ours = format!("api-lines-{}", std::process::id());
    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); echo line $i; echo odd $i >&2; usleep 100000; done";
    let container = Container::run(&ours, &[], script);
    for read in ["files", "api"] {
        let host = from_rig("DOCKER_HOST");
        let option = if read == "files" { "auto" } else { "api" };
        let pipeline = format!(
            "input {{ docker {{ read => {option} host => \"{host}\" filter_name => \"{ours}\" }} }} output {{ null {{ }} }}"
        );
        let (agent, address) = started(&format!("api-docker-{read}"), &pipeline, &[]);
        let seen = eventually("the container's lines", Duration::from_secs(60), || {
            let stats = document(&format!("http://{address}/_node/stats/pipelines/main"));
            let seen = stats["pipelines"]["main"]["plugins"]["inputs"][0]["containers"][0].clone();
            if seen["lines"].as_u64() > Some(10) { Ok(seen) } else { Err(stats.to_string()) }
        });
        assert_eq!((&seen["name"], &seen["source"], &seen["gaps"]), (&ours.clone().into(), &read.into(), &0.into()));
        assert!(seen["bytes"].as_u64() > Some(70) && seen["lag_in_millis"].as_u64() < Some(60_000), "{seen}");
        let url = format!("http://{address}/logs/name:{ours}?source=stdout");
        let (_viewer, lines) = Viewer::look(&url, "text/plain");
        let shown: Vec<String> = lines.lines().take(3).map(Result::unwrap).collect();
        assert!(shown.iter().all(|line| line.starts_with(&format!("{ours}|line "))), "{shown:?}");
        let (_viewer, mut events) = Viewer::look(&format!("http://{address}/logs"), "text/event-stream");
        let mut event = String::new();
        events.read_line(&mut event).unwrap();
        let event: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(event["container"]["name"], *container.name());
        let mut socket = WebSocket::open(&address, &format!("/logs/name:{ours}?source=stderr"));
        let [first, second] = [socket.message(), socket.message()].map(|message| {
            let number = message.strip_prefix(&format!("{ours}|odd ")).unwrap_or_else(|| panic!("{message}"));
            number.parse::<u64>().unwrap()
        });
        assert_eq!(second, first + 1, "each line is a message");
        let (_, page) = ask(&["--header", "accept: text/html", &format!("http://{address}/")]);
        assert!(page.contains(&format!(">{ours}</td>")), "{page}");
        drop(agent);
    }
}

#[test]
fn viewers_that_do_not_read_hold_nothing_up_and_are_told_what_they_missed() {
    const LOGS: usize = 600;
    const LINES: usize = 200;
    let folder = Folder::new("api-slow-viewers");
    let containers = folder.0.join("containers");
    fs::create_dir(&containers).unwrap();
    let pipeline = format!(
        "input {{ docker {{ read => files path => \"{}/*/*-json.log\" }} }} output {{ null {{ }} }}",
        containers.display()
    );
    let (_agent, address) = started("api-slow-viewers", &pipeline, &[]);
    let mut plain = TcpStream::connect(&address).unwrap();
    write!(plain, "GET /logs HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut plain = BufReader::new(plain);
    plain.read_line(&mut String::new()).unwrap();
    let mut socket = WebSocket::open(&address, "/logs");

    let record = format!(
        "{{\"log\":\"{}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-21T09:55:00.123456789Z\"}}\n",
        "x".repeat(200)
    );
    for number in 0..LOGS {
        let id = format!("{number:064x}");
        let prepared = folder.0.join(&id);
        fs::create_dir(&prepared).unwrap();
        fs::write(prepared.join(format!("{id}-json.log")), record.repeat(LINES)).unwrap();
        fs::rename(&prepared, containers.join(&id)).unwrap();
    }
    eventually("all lines", Duration::from_secs(60), || {
        let stats = document(&format!("http://{address}/_node/stats/events"));
        if stats["events"]["out"] == LOGS * LINES { Ok(()) } else { Err(stats.to_string()) }
    });

    let told = "lines were left out here";
    assert!(plain.lines().any(|line| line.unwrap().contains(told)));
    while !socket.message().contains(told) {}
}
