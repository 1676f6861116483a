//! The inputs that take Logstash's seat, as their peers meet them: sockets with lines, TLS and datagrams, files that are rotated and truncated, and an
//! agent that is killed in between.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{Agent, Folder, elkhound, eventually};

const LIMIT: Duration = Duration::from_secs(60);

/// Prints each event with what its input knows of its source.
const PRINT: &str = "output { stdout { codec => json_lines } }";

#[test]
fn lines_of_many_connections_all_arrive() {
    let mut agent = started("tcp", "tcp { host => '127.0.0.1' port => 0 }", "");
    let address = address(&mut agent, "the tcp input listens");
    let senders: Vec<_> = (0..10)
        .map(|sender| {
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let lines: String = (0..1000).map(|line| format!("{sender} {line}\n")).collect();
                stream.write_all(lines.as_bytes()).unwrap();
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let expected = (0..10).flat_map(|sender| (0..1000).map(move |line| format!("{sender} {line}"))).collect();
    assert_once(&mut agent, expected);
}

#[test]
fn an_event_tells_which_peer_it_is_from() {
    let with_schema = "mutate { add_field => { from => '%{[@metadata][input][tcp][source][ip]}' } }";
    let mut agent = started("tcp-ecs", "tcp { host => '127.0.0.1' port => 0 }", with_schema);
    let mut stream = TcpStream::connect(address(&mut agent, "the tcp input listens")).unwrap();
    stream.write_all(b"hello\n").unwrap();
    let event = events(&mut agent, 1).remove(0);
    assert_eq!(
        (&event["from"], &event["message"], &event["port"]),
        (&"127.0.0.1".into(), &"hello".into(), &Value::Null)
    );

    let without = "tcp { host => '127.0.0.1' port => 0 ecs_compatibility => disabled proxy_protocol => true }";
    let mut agent = started("tcp-proxy", without, "");
    let mut stream = TcpStream::connect(address(&mut agent, "the tcp input listens")).unwrap();
    stream.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 5000\r\nhello\n").unwrap();
    let event = events(&mut agent, 1).remove(0);
    let fields = ["host", "port", "proxy_host", "proxy_port"].map(|name| event[name].as_str().unwrap().to_owned());
    assert_eq!(fields, ["192.0.2.1", "1000", "192.0.2.2", "5000"]);
}

#[test]
fn lines_arrive_over_tls_from_those_who_show_a_certificate() {
    let folder = Folder::new("tls");
    let (certificate, key) = self_signed(&folder.0);
    let input = format!(
        "tcp {{ host => '127.0.0.1' port => 0 ssl_enabled => true ssl_certificate => '{0}' ssl_key => '{1}' ssl_certificate_authorities => ['{0}'] }}",
        certificate.display(),
        key.display()
    );
    let subject = "mutate { add_field => { subject => '%{[@metadata][input][tcp][tls][client][subject]}' } }";
    let mut agent = started("tls", &input, subject);
    let address = address(&mut agent, "the tcp input listens");
    let mut stranger = secure(address, &certificate, None);
    // The refusal comes after our own part of the agreement; what is written before it goes nowhere.
    let _unheard = stranger.write_all(b"from a stranger\n").and_then(|()| stranger.flush());
    assert!(stranger.read(&mut [0]).is_err());
    agent.wait_for_log("a connection was refused", LIMIT);
    let mut friend = secure(address, &certificate, Some(&key));
    friend.write_all(b"from a friend\n").unwrap();
    let event = events(&mut agent, 1).remove(0);
    assert_eq!((&event["message"], &event["subject"]), (&"from a friend".into(), &"CN=localhost".into()));
}

#[test]
fn a_peer_that_never_ends_its_line_takes_no_memory() {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 2000;
    let input = "tcp { host => '127.0.0.1' port => 0 max_line_bytes => '64 KiB' }";
    let mut agent = Agent::new("endless", &format!("input {{ {input} }} output {{ stdout {{ codec => dots }} }}"));
    agent.start();
    let mut stream = TcpStream::connect(address(&mut agent, "the tcp input listens")).unwrap();
    let piece = vec![b'x'; PIECE];
    (0..PIECES).for_each(|_| stream.write_all(&piece).unwrap());
    drop(stream);
    // A piece that is cut holds no more than a read above the limit.
    let least = PIECES * PIECE / (PIECE + (16 << 10));
    eventually("a dot for each piece", LIMIT, || {
        let dots = agent.log().bytes().filter(|byte| *byte == b'.').count();
        if dots >= least { Ok(()) } else { Err(format!("{dots} of {least}")) }
    });
    let peak = agent.peak_memory();
    assert!(peak < PIECES * PIECE, "{peak} bytes at the most, for a line of {}", PIECES * PIECE);
}

#[test]
fn a_datagram_is_an_event() {
    let mut agent = started("udp", "udp { host => '127.0.0.1' port => 0 }", "");
    let address = address(&mut agent, "the udp input listens");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"<13>one\ntwo", address).unwrap();
    let event = events(&mut agent, 1).remove(0);
    assert_eq!((&event["message"], &event["host"]["ip"]), (&"<13>one\ntwo".into(), &"127.0.0.1".into()));
}

#[test]
fn logs_of_containers_are_read_as_the_kernel_tells_of_them() {
    let folder = Folder::new("told");
    let log_of = |id: &str| folder.0.join(format!("{id}/{id}-json.log"));
    fs::create_dir(folder.0.join("a")).unwrap();
    let input = format!("docker {{ read => 'files' path => '{}/*/*-json.log' }}", folder.0.display());
    let mut agent = started("told", &input, "");
    let mut expected = Vec::new();
    let mut write = |agent: &mut Agent, id: &str| {
        let number = expected.len();
        let record =
            format!(r#"{{"log":"line {number}\n","stream":"stdout","time":"2026-11-20T08:00:00.{number:09}Z"}}"#);
        let mut log = fs::OpenOptions::new().create(true).append(true).open(log_of(id)).unwrap();
        writeln!(log, "{record}").unwrap();
        expected.push(format!("line {number}"));
        // Each line only after the one before it, so that the log is at its end in between.
        assert_once(agent, expected.clone());
    };
    (0..4).for_each(|_| write(&mut agent, "a"));
    fs::rename(log_of("a"), folder.0.join("a/a-json.log.1")).unwrap();
    (0..2).for_each(|_| write(&mut agent, "a"));
    fs::create_dir(folder.0.join("b")).unwrap();
    (0..4).for_each(|_| write(&mut agent, "b"));
    fs::remove_dir_all(folder.0.join("a")).unwrap();
    write(&mut agent, "b");
    // It looks now and then all the same, and says when it finds what it was not told of.
    assert!(!agent.log().contains("the kernel"), "{}", agent.log());
}

#[test]
fn a_log_that_the_engine_can_not_read_to_its_end_is_tried_again() {
    let input = format!("docker {{ read => 'api' host => 'tcp://{}' }}", faltering_engine());
    let mut agent = started("faltering", &input, "");
    assert_once(&mut agent, (1..=4).map(|number| format!("line {number}")).collect());
    assert!(agent.log().contains("Error grabbing logs"), "{}", agent.log());
}

/// An engine with one container that has exited. It can't read its log to the end at once: it says so behind two lines, says nothing else
/// the second time, and breaks a frame the third time.
fn faltering_engine() -> SocketAddr {
    let frame =
        |kind: u8, text: &str| [&[kind, 0, 0, 0][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
    let line = |number: u32| frame(1, &format!("2026-11-21T09:55:0{number}.000000000Z line {number}\n"));
    let sorry = || frame(3, "Error grabbing logs: unexpected EOF\n");
    let lines = |numbers: std::ops::RangeInclusive<u32>| numbers.flat_map(line).collect::<Vec<u8>>();
    let broken = [lines(1..=3), vec![9; 16]].concat();
    let mut tries = vec![[lines(1..=2), sorry()].concat(), sorry(), broken].into_iter();
    let whole = lines(1..=4);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut events = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let path = request.split([' ', '?']).nth(1).unwrap_or_default();
            let body = match path.rsplit('/').next().unwrap_or_default() {
                "logs" => tries.next().unwrap_or_else(|| whole.clone()),
                "json" if path.ends_with("/containers/json") => br#"[{"Id":"ab","State":"exited"}]"#.to_vec(),
                "json" => br#"{"Id":"ab","Name":"/web","HostConfig":{"LogConfig":{"Type":"json-file"}}}"#.to_vec(),
                "info" => br#"{"Name":"node-1"}"#.to_vec(),
                _ => Vec::new(),
            };
            let head =
                "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            if path.ends_with("/events") {
                // It goes on, without an event.
                events.push(stream);
            }
        }
    });
    address
}

#[test]
fn a_file_is_followed_through_rotation_truncation_and_a_kill() {
    let folder = Folder::new("tail");
    let (log, sincedb) = (folder.0.join("app.log"), folder.0.join("sincedb"));
    let mut agent = started("tail", &tail(&log, &sincedb), "");
    let mut written = Written::default();
    written.append(&log, 100);
    written.wait(&mut agent);
    // Rotated, with some lines that the writer still puts into the file that it holds open.
    let old = folder.0.join("app.log.1");
    fs::rename(&log, &old).unwrap();
    written.append(&old, 5);
    written.append(&log, 100);
    written.wait(&mut agent);
    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    agent.wait_for_log("a file was truncated", LIMIT);
    written.append(&log, 50);
    written.wait(&mut agent);
    wait_for_position(&sincedb, &log);
    agent.kill();
    written.append(&log, 50);
    agent.start();
    written.wait(&mut agent);
    wait_for_position(&sincedb, &log);
    assert!(agent.stop(LIMIT).success());
    written.append(&log, 10);
    agent.start();
    written.wait(&mut agent);
}

#[test]
fn a_kill_in_the_middle_loses_no_line() {
    let folder = Folder::new("middle");
    let (log, sincedb) = (folder.0.join("app.log"), folder.0.join("sincedb"));
    let mut written = Written::default();
    written.append(&log, 20_000);
    let mut agent = started("middle", &tail(&log, &sincedb), "");
    for lines in [1, 8_000] {
        let some = || if messages(&agent).len() >= lines { Ok(()) } else { Err("not yet".to_owned()) };
        eventually("some lines", LIMIT, some);
        agent.kill();
        agent.start();
    }
    // What was printed and not yet written down comes again; nothing is missing.
    eventually("every line", LIMIT, || {
        let found = messages(&agent);
        let missing = written.0.iter().filter(|line| !found.contains_key(*line)).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} are missing")) }
    });
}

#[test]
fn a_sincedb_of_logstash_is_gone_on_with() {
    let folder = Folder::new("sincedb");
    let (log, sincedb) = (folder.0.join("app.log"), folder.0.join("sincedb"));
    fs::write(&log, "old\nnew\n").unwrap();
    let metadata = fs::metadata(&log).unwrap();
    let (major, minor) = (metadata.dev() >> 24 & 0xff, metadata.dev() & 0xff_ffff);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    fs::write(&sincedb, format!("{} {major} {minor} 4 {now} {}\n", metadata.ino(), log.display())).unwrap();
    let mut agent = started("sincedb", &tail(&log, &sincedb), "");
    let event = events(&mut agent, 1).remove(0);
    assert_eq!((&event["message"], &event["log"]["file"]["path"]), (&"new".into(), &log.to_str().unwrap().into()));
    assert!(event["host"]["name"].is_string());
}

#[test]
fn complete_files_are_read_once_and_deleted_when_they_are_safe() {
    let folder = Folder::new("read");
    fs::write(folder.0.join("a.log"), "plain 1\nplain 2").unwrap();
    let mut archive = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    archive.write_all(b"packed 1\npacked 2\n").unwrap();
    fs::write(folder.0.join("b.log.gz"), archive.finish().unwrap()).unwrap();
    fs::write(folder.0.join("c.log.gz"), "no archive").unwrap();
    let done = folder.0.join("done");
    let input = format!(
        "file {{ path => '{0}/*.{{log,gz}}' mode => read exit_after_read => true check_archive_validity => true
                 file_completed_action => log_and_delete file_completed_log_path => '{1}' sincedb_path => '/dev/null' }}",
        folder.0.display(),
        done.display()
    );
    let mut agent = started("read", &input, "");
    assert!(agent.wait(LIMIT).success());
    let expected = ["packed 1", "packed 2", "plain 1", "plain 2"].map(|line| (line.to_owned(), 1));
    assert_eq!(messages(&agent), BTreeMap::from(expected));
    let left: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() == 2 && left.contains(&"c.log.gz".into()), "{left:?}");
    assert_eq!(fs::read_to_string(done).unwrap().lines().count(), 2);
}

#[test]
fn a_generator_counts_its_rounds() {
    let run = |input: &str| -> Vec<Value> {
        let output = elkhound(&["-w", "1", "-e", &format!("input {{ {input} }} {PRINT}")], "typed\n");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let told = run("generator { lines => ['a', 'b'] count => 2 }");
    let told: Vec<_> =
        told.iter().map(|e| (e["message"].as_str().unwrap(), e["event"]["sequence"].as_i64().unwrap())).collect();
    assert_eq!(told, [("a", 0), ("b", 0), ("a", 1), ("b", 1)]);
    let told = run("generator { count => 3 threads => 2 ecs_compatibility => disabled }");
    assert_eq!(told.iter().filter(|event| event["sequence"] == 2 && event["host"].is_string()).count(), 2);
    assert_eq!(told.len(), 6);
    assert_eq!(run("generator { message => stdin count => 1 }")[0]["message"], "typed\n");
}

#[test]
fn in_order_each_containers_lines_stay_in_theirs_whichever_worker_has_them() {
    assert_order("ordered", &[]);
}

#[test]
fn in_order_they_stay_on_their_way_over_a_disk_too() {
    assert_order("ordered-on-disk", &[("QUEUE_TYPE", "persisted")]);
}

fn assert_order(name: &str, environment: &[(&str, &str)]) {
    const LOGS: usize = 4;
    const LINES: usize = 3_000;
    let folder = Folder::new(name);
    let filler = "x".repeat(300);
    for log in 0..LOGS {
        let record = |line| {
            let (minute, second) = (line / 60, line % 60);
            let time = format!("2026-11-21T08:{minute:02}:{second:02}.1Z");
            format!("{{\"log\":\"line {line} {filler}\\n\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n")
        };
        let id = format!("{log:064x}");
        fs::create_dir(folder.0.join(&id)).unwrap();
        fs::write(folder.0.join(&id).join(format!("{id}-json.log")), (0..LINES).map(record).collect::<String>())
            .unwrap();
    }
    let pattern = folder.0.join("*/*-json.log");
    let input = format!("docker {{ read => files path => '{}' }}", pattern.display());
    // The first lines of each log are slow, so that out of order the next piece of a log overtakes them on another worker.
    let slow = "if [message] =~ /^line [0-9] / { grok { match => { message => '^(line|x| |[0-9])*(x+x+)+y' } timeout_millis => 30 } }";
    let short = "mutate { gsub => ['message', ' x+', ''] }";
    let agent = Agent::new(name, &format!("input {{ {input} }} filter {{ {slow} {short} }} {PRINT}"))
        .environment("PIPELINE_ORDERED", "true")
        .environment("PIPELINE_WORKERS", "4");
    let mut agent = environment.iter().fold(agent, |agent, (name, value)| agent.environment(name, value));
    agent.start();
    let mut next = BTreeMap::new();
    for event in events(&mut agent, LOGS * LINES) {
        let expected = next.entry(event["container"]["id"].to_string()).or_insert(0);
        assert_eq!(event["message"], format!("line {expected}"), "of {}", event["container"]["id"]);
        *expected += 1;
    }
    assert_eq!(next.into_values().collect::<Vec<_>>(), [LINES; LOGS]);
}

/// An agent with one input, some filters, and events on its standard output.
fn started(name: &str, input: &str, filters: &str) -> Agent {
    let mut agent = Agent::new(name, &format!("input {{ {input} }} filter {{ {filters} }} {PRINT}"));
    agent.start();
    agent
}

/// A file input that looks often.
fn tail(log: &Path, sincedb: &Path) -> String {
    format!(
        "file {{ path => '{}' start_position => beginning sincedb_path => '{}' stat_interval => '20 ms' sincedb_write_interval => '20 ms' }}",
        log.display(),
        sincedb.display()
    )
}

/// The address that an input or output says it listens on.
pub(crate) fn address(agent: &mut Agent, said: &str) -> SocketAddr {
    agent.wait_for_log(said, LIMIT);
    // That of the last start.
    let log = agent.log();
    let line = log.lines().rfind(|line| line.contains(said)).unwrap_or_default();
    let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in '{line}'"))
}

/// The events that were printed, as soon as there are so many.
fn events(agent: &mut Agent, count: usize) -> Vec<Value> {
    eventually(&format!("{count} events"), LIMIT, || {
        agent.assert_running();
        let found = printed(agent);
        if found.len() >= count { Ok(found) } else { Err(format!("{} are there", found.len())) }
    })
}

fn printed(agent: &Agent) -> Vec<Value> {
    agent
        .log()
        .lines()
        .filter(|line| line.starts_with('{'))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// How often each message was printed.
fn messages(agent: &Agent) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in printed(agent) {
        *counts.entry(event["message"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// Waits until as many events as expected are there, and compares them all.
fn assert_once(agent: &mut Agent, expected: Vec<String>) {
    events(agent, expected.len());
    let expected: BTreeMap<String, usize> = expected.into_iter().map(|line| (line, 1)).collect();
    let found = messages(agent);
    let wrong: Vec<_> = found.iter().filter(|(line, count)| expected.get(*line) != Some(count)).take(5).collect();
    assert!(found == expected, "{} of {} lines; wrong are {wrong:?}", found.len(), expected.len());
}

/// Lines that were written, each different.
#[derive(Default)]
struct Written(Vec<String>);

impl Written {
    fn append(&mut self, path: &Path, count: usize) {
        let start = self.0.len();
        self.0.extend((start..start + count).map(|number| format!("line {number}")));
        let text: String = self.0[start..].iter().map(|line| format!("{line}\n")).collect();
        fs::File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn wait(&self, agent: &mut Agent) {
        assert_once(agent, self.0.clone());
    }
}

/// Waits until the sincedb says that the whole file is safe.
fn wait_for_position(sincedb: &Path, file: &Path) {
    let metadata = fs::metadata(file).unwrap();
    eventually("the position in the sincedb", LIMIT, || {
        let text = fs::read_to_string(sincedb).unwrap_or_default();
        let mut records = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let found =
            records.any(|record| record[0] == metadata.ino().to_string() && record[3] == metadata.len().to_string());
        if found { Ok(()) } else { Err(text) }
    });
}

/// A certificate for `localhost` that has signed itself, and its key.
pub(crate) fn self_signed(folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("the program openssl makes the certificate; install it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

/// A connection that trusts the server's certificate, and shows it with `key` as its own.
fn secure(address: SocketAddr, certificate: &Path, key: Option<&Path>) -> StreamOwned<ClientConnection, TcpStream> {
    let shown = || CertificateDer::from_pem_file(certificate).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(shown()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match key {
        Some(key) => builder.with_client_auth_cert(vec![shown()], PrivateKeyDer::from_pem_file(key).unwrap()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(address).unwrap())
}
