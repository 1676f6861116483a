//! Signals: a stop while the output is blocked, a second one at once, and the one that says that the host goes away.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::harness::{Agent, Folder, binary, eventually, signal};
use crate::reload::{append, assert_once, file, versioned};

const LIMIT: Duration = Duration::from_secs(60);

/// An agent that has read lines which it can't deliver.
fn blocked(name: &str, log: &Path, grace: &str) -> Agent {
    append(log, 0..10_000);
    let pipeline =
        format!("input {{ {} }} output {{ elasticsearch {{ hosts => ['http://127.0.0.1:9'] }} }}", file(log));
    let mut agent = Agent::new(name, &pipeline).environment("SHUTDOWN_TIMEOUT", grace);
    agent.start();
    agent.wait_for_log("elasticsearch does not take documents", LIMIT);
    agent
}

fn assert_nothing_is_lost(agent: &mut Agent, log: &Path) {
    agent.set_pipeline(&versioned(log, 1));
    agent.start();
    assert_once(agent, 10_000);
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    for name in ["TERM", "INT"] {
        let folder = Folder::new(&format!("second-{name}"));
        let log = folder.0.join("log");
        let mut agent = blocked(&format!("second-{name}"), &log, "1h");
        signal(agent.id(), name);
        agent.wait_for_log("stopping; a second signal, a second from now or later, ends at once", LIMIT);
        // What comes within the first second is the same wish.
        std::thread::sleep(Duration::from_secs(1));
        signal(agent.id(), name);
        assert_eq!(agent.wait(Duration::from_secs(10)).code(), Some(130));
        assert_nothing_is_lost(&mut agent, &log);
    }
}

#[test]
fn a_stop_ends_at_its_deadline_and_loses_nothing() {
    let folder = Folder::new("deadline");
    let log = folder.0.join("log");
    let mut agent = blocked("deadline", &log, "300ms");
    let begun = Instant::now();
    assert!(agent.stop(Duration::from_secs(10)).success());
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(agent.log().contains("not everything could be delivered before the deadline"));
    assert_nothing_is_lost(&mut agent, &log);
}

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_stop_ends_though_nobody_reads_the_log_any_more() {
    let folder = Folder::new("unread");
    let mut command = Command::new(binary());
    command.args(["-e", "input { generator { } } output { null { } }", "--path.data", folder.text()]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let Ended(child) = &mut Ended(child);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("a pipeline starts") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    drop(log);
    signal(child.id(), "TERM");
    let status = eventually("the end of the agent", Duration::from_secs(20), || {
        child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned())
    });
    assert!(status.success(), "it ended with {status}");
}

#[test]
fn in_haste_no_request_waits_to_be_filled() {
    in_haste("haste", &[], |agent| signal(agent.id(), "USR1"));
}

#[test]
fn a_clouds_notice_begins_haste() {
    let (notice, given) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(AtomicBool::new(false)));
    let address = notice.local_addr().unwrap().to_string();
    let comes = Arc::clone(&given);
    std::thread::spawn(move || {
        notice.incoming().flatten().for_each(|stream| answer_as_aws(stream, comes.load(Ordering::Relaxed)));
    });
    let environment = [("SPOT_NOTICE", "aws"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address)];
    in_haste("notice", &environment, |_| given.store(true, Ordering::Relaxed));
}

/// Gives a token, and says whether the host goes away.
fn answer_as_aws(mut stream: TcpStream, goes: bool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut header) = (String::new(), String::from("-"));
    reader.read_line(&mut first).unwrap();
    while !header.trim().is_empty() {
        header.clear();
        reader.read_line(&mut header).unwrap();
    }
    let (status, text) = match (first.starts_with("PUT"), goes) {
        (true, _) => (200, "token"),
        (false, true) => (200, r#"{"action": "terminate"}"#),
        (false, false) => (404, ""),
    };
    write!(stream, "HTTP/1.1 {status} \r\ncontent-length: {}\r\n\r\n{text}", text.len()).unwrap();
}

/// What waits for a request to be filled leaves when `begin` has happened.
fn in_haste(name: &str, environment: &[(&str, &str)], begin: impl FnOnce(&Agent)) {
    let folder = Folder::new(name);
    let log = folder.0.join("log");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || answer(stream, &sender));
        }
    });
    append(&log, 0..1);
    let output = format!("elasticsearch {{ hosts => ['http://{address}'] bulk_max_delay => 3600 }}");
    let agent = Agent::new(name, &format!("input {{ {} }} output {{ {output} }}", file(&log)))
        .environment("PIPELINE_WORKERS", "1");
    let mut agent = environment.iter().fold(agent, |agent, (name, value)| agent.environment(name, value));
    agent.start();
    assert!(bodies.recv_timeout(LIMIT).unwrap().contains("line 0"), "the first leaves at once");
    append(&log, 1..2);
    assert!(bodies.recv_timeout(Duration::from_millis(1500)).is_err(), "the next request waits for an hour");
    begin(&agent);
    agent.wait_for_log("the host goes away soon", LIMIT);
    append(&log, 2..3);
    // A line that was read late may have left in a request of its own.
    let mut left = String::new();
    while !(left.contains("line 1") && left.contains("line 2")) {
        left += &bodies
            .recv_timeout(LIMIT)
            .unwrap_or_else(|_| panic!("the lines wait for more, of which there is: {left}"));
    }
    assert!(agent.stop(LIMIT).success());
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 3);
}

/// Answers as Elasticsearch would; hands on the bodies of bulk requests.
fn answer(mut stream: TcpStream, bodies: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            match header.trim().to_ascii_lowercase().strip_prefix("content-length:") {
                Some(given) => length = given.trim().parse().unwrap(),
                None if header.trim().is_empty() => break,
                None => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let text = match first.contains("_bulk") {
            true => r#"{"errors":false,"items":[]}"#,
            false => r#"{"version":{"number":"8.0.0"}}"#,
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len()).unwrap();
        if first.contains("_bulk") {
            bodies.send(String::from_utf8(body).unwrap()).unwrap();
        }
    }
}
