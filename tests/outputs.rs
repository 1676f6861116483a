//! The outputs beside Elasticsearch, as their other ends meet them: files on a disk that is full, servers that are restarted in the middle of a
//! stream or read nothing, clients that come and go, TLS in both directions, datagrams.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Agent, Folder, elkhound, eventually};
use crate::inputs::{address, self_signed};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn events_go_to_the_files_that_they_name_and_to_no_other() {
    let folder = Folder::new("named");
    let output = format!(
        "file {{ path => '{}/in/%{{[app]}}/%{{+YYYY-MM-dd}}.log' codec => line {{ format => '%{{n}}' }} file_mode => 0640 }}",
        folder.0.display()
    );
    let date = |day| format!(r#""@timestamp":"2026-01-{day}T08:00:00Z""#);
    let lines = [
        format!(r#"{{"app":"shop","n":1,{}}}"#, date("15")),
        format!(r#"{{"app":"mail","n":2,{}}}"#, date("15")),
        format!(r#"{{"app":"shop","n":3,{}}}"#, date("16")),
        format!(r#"{{"app":"shop","n":4,{}}}"#, date("15")),
        format!(r#"{{"app":"../..","n":5,{}}}"#, date("15")),
        format!(r#"{{"n":6,{}}}"#, date("15")),
    ];
    let pipeline = format!("input {{ stdin {{ codec => json_lines }} }} output {{ {output} }}");
    let ran = elkhound(&["-w", "1", "-e", &pipeline], &(lines.join("\n") + "\n"));
    let log = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success(), "{log}");
    let found: BTreeMap<String, String> = texts(&folder.0).into_iter().collect();
    let expected = [
        ("in/%{[app]}/2026-01-15.log", "6\n"),
        ("in/_filepath_failures", "5\n"),
        ("in/mail/2026-01-15.log", "2\n"),
        ("in/shop/2026-01-15.log", "1\n4\n"),
        ("in/shop/2026-01-16.log", "3\n"),
    ];
    assert_eq!(found, BTreeMap::from(expected.map(|(name, text)| (name.to_owned(), text.to_owned()))));
    assert!(log.contains("it leads out of the fixed folder of `path`"), "{log}");
}

#[test]
fn on_a_full_disk_events_wait_and_are_written_once_when_there_is_room() {
    let folder = Folder::new("full");
    let (log, copy) = (folder.0.join("app.log"), folder.0.join("copy"));
    let lines: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    fs::write(&log, &lines).unwrap();
    let pipeline = |path: &str| {
        format!(
            "input {{ file {{ path => '{}' start_position => beginning sincedb_path => '{}' stat_interval => '20 ms' }} }}
             output {{ file {{ path => '{path}' codec => line {{ format => '%{{message}}' }} flush_interval => 0 }} }}",
            log.display(),
            folder.0.join("sincedb").display()
        )
    };
    let mut agent = Agent::new("full", &pipeline("/dev/full")).environment("SHUTDOWN_TIMEOUT", "1s");
    agent.start();
    let said = agent.wait_for_log("events wait; it is tried again", LIMIT);
    for part in ["place=\"/dev/full\"", "No space left on device", "free some space on the disk of this file"] {
        assert!(said.contains(part), "{said}");
    }
    let begun = Instant::now();
    assert!(agent.stop(LIMIT).success());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // Nothing was acknowledged: all of it comes again.
    agent.set_pipeline(&pipeline(copy.to_str().unwrap()));
    agent.start();
    eventually("the whole copy", LIMIT, || {
        let text = fs::read_to_string(&copy).unwrap_or_default();
        if text == lines { Ok(()) } else { Err(format!("{} of {} bytes", text.len(), lines.len())) }
    });
}

#[test]
fn a_kill_loses_no_line_of_a_file() {
    let folder = Folder::new("killed");
    let (log, copy) = (folder.0.join("app.log"), folder.0.join("copy.gz"));
    let lines: Vec<String> = (0..20_000).map(|number| format!("line {number}")).collect();
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    let pipeline = format!(
        "input {{ file {{ path => '{}' start_position => beginning sincedb_path => '{}' stat_interval => '20 ms' }} }}
         output {{ file {{ path => '{}' codec => line {{ format => '%{{message}}' }} gzip => true flush_interval => 0.05 }} }}",
        log.display(),
        folder.0.join("sincedb").display(),
        copy.display()
    );
    let mut agent = Agent::new("killed", &pipeline);
    agent.start();
    eventually("some lines", LIMIT, || if unpacked(&copy).is_empty() { Err("none".into()) } else { Ok(()) });
    agent.kill();
    agent.start();
    eventually("every line", LIMIT, || {
        let found = unpacked(&copy);
        let missing = lines.iter().filter(|line| !found.contains(*line)).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} are missing")) }
    });
}

#[test]
fn a_server_that_is_restarted_in_the_middle_misses_nothing() {
    const EVENTS: usize = 200_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pipeline = format!(
        "input {{ generator {{ count => {EVENTS} }} }}
         output {{ tcp {{ host => '127.0.0.1' port => {} reconnect_interval => 0.2
                          codec => line {{ format => '%{{[event][sequence]}} {}' }} }} }}",
        address.port(),
        "x".repeat(80)
    );
    let mut agent = Agent::new("restarted", &pipeline);
    agent.start();
    let mut seen = BTreeSet::new();
    let mut server = Some(listener);
    for stop in [1, 30_000, 60_000, 61_000] {
        let listener = server.take().unwrap_or_else(|| TcpListener::bind(address).unwrap());
        let (stream, _) = listener.accept().unwrap();
        read_lines(stream, &mut seen, stop);
        drop(listener);
        let tries = agent.log().matches("start what listens there").count();
        eventually("a try that finds nobody", LIMIT, || {
            let now = agent.log().matches("start what listens there").count();
            if now > tries { Ok(()) } else { Err(format!("{now} tries")) }
        });
    }
    let listener = TcpListener::bind(address).unwrap();
    let (stream, _) = listener.accept().unwrap();
    read_lines(stream, &mut seen, usize::MAX);
    assert!(agent.wait(LIMIT).success());
    let missing: Vec<_> = (0..EVENTS).filter(|number| !seen.contains(number)).take(5).collect();
    assert!(seen.len() == EVENTS, "{} of {EVENTS}; missing are {missing:?}", seen.len());
}

#[test]
fn a_server_that_reads_nothing_stops_the_pipeline_and_not_the_end_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let pipeline = format!(
        "input {{ generator {{ message => '{}' }} }} output {{ tcp {{ host => '127.0.0.1' port => {} }} }}",
        "x".repeat(1000),
        listener.local_addr().unwrap().port()
    );
    let mut agent = Agent::new("stalled", &pipeline).environment("SHUTDOWN_TIMEOUT", "1s");
    agent.start();
    let (mut stream, _) = listener.accept().unwrap();
    agent.wait_for_log("the server takes nothing; events wait", LIMIT);
    // What it holds is bounded, though the generator never ends.
    let peak = agent.peak_memory();
    assert!(peak < 400 << 20, "{peak} bytes");
    let mut some = vec![0; 1 << 20];
    stream.read_exact(&mut some).unwrap();
    let begun = Instant::now();
    agent.stop(LIMIT);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn an_output_that_may_drop_holds_up_no_other() {
    const EVENTS: usize = 20_000;
    let folder = Folder::new("drops");
    let copy = folder.0.join("copy");
    // Taken and given back, so that nobody is there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pipeline = format!(
        "input {{ generator {{ count => {EVENTS} }} }}
         output {{
           tcp {{ id => dead host => '127.0.0.1' port => {port} when_full => drop_newest }}
           file {{ path => '{}' codec => line {{ format => '%{{message}}' }} }}
         }}",
        copy.display()
    );
    let mut agent = Agent::new("drops", &pipeline).environment("SHUTDOWN_TIMEOUT", "1s");
    agent.start();
    eventually("all events in the file", LIMIT, || {
        let lines = fs::read_to_string(&copy).unwrap_or_default().lines().count();
        if lines == EVENTS { Ok(()) } else { Err(format!("{lines} lines\n{}", agent.end_of_log(1_000))) }
    });
    let said = agent.wait_for_log("`when_full => drop_newest` has new ones dropped", LIMIT);
    assert!(said.contains("output=\"dead\""), "{said}");
    assert!(agent.stop(LIMIT).success());
    let end = agent.end_of_log(2_000);
    assert!(end.contains("was not rid of all its events before the end"), "{end}");
}

#[test]
fn clients_that_connect_get_what_comes_from_then_on() {
    let folder = Folder::new("clients");
    let log = folder.0.join("app.log");
    let pipeline = format!(
        "input {{ file {{ path => '{}' start_position => beginning sincedb_path => '/dev/null' stat_interval => '20 ms' }} }}
         output {{ tcp {{ mode => server host => '127.0.0.1' port => 0 codec => line {{ format => '%{{message}}' }} }} }}",
        log.display()
    );
    fs::write(&log, "one\n").unwrap();
    let mut agent = Agent::new("clients", &pipeline);
    agent.start();
    let address = address(&mut agent, "the tcp output listens");
    agent.wait_for_log("no client is connected to the tcp output; events wait", LIMIT);
    let mut first = lines_of(address);
    assert_eq!(first.next().unwrap().unwrap(), "one");
    let mut second = lines_of(address);
    eventually("two clients", LIMIT, || {
        let log = agent.log();
        if log.matches("a client of the tcp output is connected").count() == 2 { Ok(()) } else { Err(log) }
    });
    fs::File::options().append(true).open(&log).unwrap().write_all(b"two\n").unwrap();
    for client in [&mut first, &mut second] {
        assert_eq!(client.next().unwrap().unwrap(), "two");
    }
    drop(first);
    agent.wait_for_log("a client of the tcp output has gone", LIMIT);
    fs::File::options().append(true).open(&log).unwrap().write_all(b"three\n").unwrap();
    assert_eq!(second.next().unwrap().unwrap(), "three");
    assert!(agent.stop(LIMIT).success());
    assert!(second.next().is_none());
}

#[test]
fn events_travel_over_tls_in_both_directions() {
    let folder = Folder::new("tls-output");
    let (certificate, key) = self_signed(&folder.0);
    let identity = format!("ssl_certificate => '{}' ssl_key => '{}'", certificate.display(), key.display());
    let trust = format!("ssl_enabled => true ssl_certificate_authorities => ['{}']", certificate.display());
    let print = "output { stdout { codec => line { format => 'got %{message}' } } }";

    let mut server = Agent::new(
        "tls-in",
        &format!("input {{ tcp {{ host => '127.0.0.1' port => 0 {trust} {identity} }} }} {print}"),
    );
    server.start();
    let port = address(&mut server, "the tcp input listens").port();
    let send = |more: &str| {
        let output = format!("tcp {{ host => 'localhost' port => {port} codec => line {more} }}");
        let pipeline = format!("input {{ stdin {{}} }} output {{ {output} }}");
        elkhound(&["-e", &pipeline], "over tls\n")
    };
    assert!(send(&format!("{trust} {identity}")).status.success());
    server.wait_for_log("over tls", LIMIT);

    let sealed = format!("ssl_certificate => '{}' {}", certificate.display(), sealed(&key));
    let output = format!(
        "tcp {{ mode => server host => '127.0.0.1' port => 0 codec => line {trust} {sealed} ssl_client_authentication => required }}"
    );
    let generator = "generator { count => 3 message => 'from a server' }";
    let mut sender = Agent::new("tls-out", &format!("input {{ {generator} }} output {{ {output} }}"));
    sender.start();
    let port = address(&mut sender, "the tcp output listens").port();
    // Who does not speak TLS gets nothing, and holds up nobody.
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(b"hello\n").unwrap();
    sender.wait_for_log("a client was refused", LIMIT);
    let input = format!("tcp {{ mode => client host => 'localhost' port => {port} {trust} {identity} }}");
    let mut client = Agent::new("tls-client", &format!("input {{ {input} }} {print}"));
    client.start();
    eventually("three events", LIMIT, || {
        let log = client.log();
        if log.matches("from a server").count() == 3 { Ok(()) } else { Err(log) }
    });
    assert!(sender.wait(LIMIT).success());
}

#[test]
fn a_certificate_of_an_unknown_authority_is_told_with_its_remedy() {
    let folder = Folder::new("stranger");
    let (certificate, key) = self_signed(&folder.0);
    let input = format!(
        "tcp {{ host => '127.0.0.1' port => 0 ssl_enabled => true ssl_client_authentication => none ssl_certificate => '{}' ssl_key => '{}' }}",
        certificate.display(),
        key.display()
    );
    let mut server = Agent::new("stranger-in", &format!("input {{ {input} }} output {{ null {{}} }}"));
    server.start();
    let port = address(&mut server, "the tcp input listens").port();
    let output = format!("tcp {{ host => 'localhost' port => {port} ssl_enabled => true }}");
    let mut agent =
        Agent::new("stranger-out", &format!("input {{ generator {{ count => 1 }} }} output {{ {output} }}"));
    agent.start();
    let said = agent.wait_for_log("events wait; it is tried again", LIMIT);
    assert!(said.contains("UnknownIssuer") && said.contains("in `ssl_certificate_authorities`"), "{said}");
}

#[test]
fn an_event_is_a_datagram() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let output = "udp { host => '127.0.0.1' port => '%{[to]}' codec => line { format => '<%{n}>' } }";
    let pipeline = format!("input {{ stdin {{ codec => json_lines }} }} output {{ {output} }}");
    let port = socket.local_addr().unwrap().port();
    let lines: String = (0..3).map(|n| format!("{{\"n\":{n},\"to\":{port}}}\n")).collect();
    let ran = elkhound(&["-w", "1", "-e", &pipeline], &(lines + "{\"n\":3}\n"));
    let log = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && log.contains("its `port` is no port"), "{log}");
    let mut buffer = [0; 64];
    for n in 0..3 {
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer[..length]), format!("<{n}>\n"));
    }
}

/// The options for this key, encrypted.
fn sealed(key: &Path) -> String {
    let sealed = key.with_extension("sealed");
    let mut command = std::process::Command::new("openssl");
    command.args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:open sesame", "-in"]);
    let made = command.arg(key).arg("-out").arg(&sealed).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    format!("ssl_key => '{}' ssl_key_passphrase => 'open sesame'", sealed.display())
}

/// The files below a folder, by name, with their content.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

/// The lines of a compressed file, as far as it is written.
fn unpacked(path: &Path) -> BTreeSet<String> {
    let Ok(file) = fs::File::open(path) else { return BTreeSet::new() };
    BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines().map_while(Result::ok).collect()
}

/// Reads lines that begin with a number until so many different ones are there, or to the end; the rest stays unread.
fn read_lines(stream: TcpStream, seen: &mut BTreeSet<usize>, count: usize) {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while seen.len() < count {
        line.clear();
        if reader.read_line(&mut line).unwrap() == 0 {
            return;
        }
        assert!(line.ends_with("x\n"), "a broken line: {line}");
        seen.insert(line.split(' ').next().unwrap().parse().unwrap());
    }
}

fn lines_of(address: SocketAddr) -> std::io::Lines<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    BufReader::new(stream).lines()
}
