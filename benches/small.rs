//! `bench-small ELKHOUND [SECONDS]`: what the agent costs a host where little is logged. Prints start, idle and latency as a table.
//!
//! - start: from starting the process to its first document at the sink;
//! - idle: resident memory and CPU time with 20 containers' logs that say nothing, over SECONDS (30);
//! - latency: from writing a line to its arrival at the sink, at 100 lines a second over SECONDS, with defaults and with
//!   `bulk_max_delay => 0.05`.
//!
//! The sink is a thread here. Log files are json-file logs in a temporary folder, read with `read => "files"`, so no engine is needed.

#[expect(dead_code, reason = "the comparison's sink looks at more of a request")]
#[path = "compare/sink/http.rs"]
mod http;

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

const CONTAINERS: usize = 20;
const LINES_PER_SECOND: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECTION: &str = r#"{"name":"sink","cluster_name":"sink","cluster_uuid":"AAAAAAAAAAAAAAAAAAAAAA","version":{"number":"8.19.0"},"tagline":"You Know, for Search"}"#;

type Arrivals = Receiver<(u64, Instant)>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(program) = arguments.next() else { return complain("write `bench-small ELKHOUND [SECONDS]`") };
    let seconds = arguments.next().map_or(Ok(30), |text| text.parse());
    let Ok(seconds) = seconds else { return complain("SECONDS is a whole number") };
    match measure(Path::new(&program), seconds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string()),
    }
}

#[expect(clippy::print_stderr, reason = "a program for the terminal")]
fn complain(text: &str) -> ExitCode {
    eprintln!("bench-small: {text}");
    ExitCode::FAILURE
}

fn measure(program: &Path, seconds: u32) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{:<44} {:>12}", "what", "measured")?;
    let mut host = Host::new("")?;
    let begin = Instant::now();
    host.write(0)?;
    host.start(program)?;
    let (_, first) = host.arrival()?;
    writeln!(out, "{:<44} {:>9.0} ms", "start to the first document", millis(first - begin))?;
    let (memory, share) = host.idle(seconds)?;
    writeln!(out, "{:<44} {memory:>8.1} MiB", format!("idle, {CONTAINERS} containers: resident"))?;
    writeln!(out, "{:<44} {share:>9.3} %", "the same: of one core")?;
    latency(&mut host, "latency, defaults", seconds)?;
    drop(host);
    let mut host = Host::new("bulk_max_delay => 0.05")?;
    host.write(0)?;
    host.start(program)?;
    host.arrival()?;
    latency(&mut host, "latency, bulk_max_delay => 0.05", seconds)
}

fn latency(host: &mut Host, what: &str, seconds: u32) -> io::Result<()> {
    let count = seconds * LINES_PER_SECOND;
    let begin = Instant::now();
    let mut written = Vec::new();
    for nth in 0..count {
        // The pace of the load, not a wait for anything.
        thread::sleep(
            (begin + Duration::from_secs(1) / LINES_PER_SECOND * nth).saturating_duration_since(Instant::now()),
        );
        written.push(Instant::now());
        host.write(u64::from(nth))?;
    }
    let mut times = Vec::new();
    for _ in 0..count {
        let (number, at) = host.arrival()?;
        let sent =
            written.get(number as usize).ok_or_else(|| io::Error::other("a line arrived that was not written"))?;
        times.push(millis(at - *sent));
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let figures = format!("{:.0} / {:.0} / {:.0} ms", at(0.5), at(0.99), at(1.0));
    writeln!(io::stdout(), "{:<44} {figures:>12}", format!("{what}: median, 99 %, longest"))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The containers' logs, the sink and the agent; all gone when dropped.
struct Host {
    folder: PathBuf,
    logs: Vec<File>,
    config: String,
    arrivals: Arrivals,
    agent: Option<Child>,
}

impl Host {
    fn new(options: &str) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("elkhound-small-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let mut logs = Vec::new();
        for nth in 0..CONTAINERS {
            let id = format!("{nth:064x}");
            fs::create_dir_all(folder.join("containers").join(&id))?;
            logs.push(File::create(folder.join(format!("containers/{id}/{id}-json.log")))?);
        }
        let (port, arrivals) = sink()?;
        let path = folder.join("containers/*/*-json.log");
        let config = format!(
            "input {{ docker {{ read => \"files\" path => \"{}\" }} }}\n\
             output {{ elasticsearch {{ hosts => [\"http://127.0.0.1:{port}\"] index => \"logs\" {options} }} }}\n",
            path.display()
        );
        Ok(Self { folder, logs, config, arrivals, agent: None })
    }

    fn start(&mut self, program: &Path) -> io::Result<()> {
        let log = File::create(self.folder.join("agent.log"))?;
        let mut command = Command::new(program);
        command.args(["-e", &self.config, "--log.level", "warn", "--path.data"]).arg(self.folder.join("state"));
        self.agent = Some(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    /// Writes the line `number` to one of the logs.
    fn write(&mut self, number: u64) -> io::Result<()> {
        let log = &mut self.logs[number as usize % CONTAINERS];
        log.write_all(
            format!(
                "{{\"log\":\"line={number};\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-20T08:00:00.000000001Z\"}}\n"
            )
            .as_bytes(),
        )
    }

    fn arrival(&self) -> io::Result<(u64, Instant)> {
        self.arrivals.recv_timeout(PATIENCE).map_err(|_| {
            let said = fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default();
            io::Error::other(format!("a line did not arrive within {} s; the agent says:\n{said}", PATIENCE.as_secs()))
        })
    }

    /// Resident MiB, and the share of a core in per cent.
    fn idle(&self, seconds: u32) -> io::Result<(f64, f64)> {
        let pid = self.agent.as_ref().map_or(0, Child::id);
        // What starting leaves behind (the first cursors, idle connections) is over by then.
        thread::sleep(Duration::from_secs(3));
        let before = cpu_nanos(pid)?;
        thread::sleep(Duration::from_secs(u64::from(seconds)));
        let used = cpu_nanos(pid)? - before;
        Ok((resident(pid)?, used as f64 / 1e9 / f64::from(seconds) * 100.0))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// CPU time of all threads, which the scheduler counts in nanoseconds where `stat` has steps of 10 ms.
fn cpu_nanos(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

fn resident(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| io::Error::other("no VmRSS of the agent"))
}

/// Starts the sink: its port, and each line's number with the time at which its request was whole.
fn sink() -> io::Result<(u16, Arrivals)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (sender, arrivals) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            // A connection that breaks is the agent's affair.
            thread::spawn(move || converse(stream, &sender));
        }
    });
    Ok((port, arrivals))
}

fn converse(stream: std::net::TcpStream, sender: &Sender<(u64, Instant)>) -> io::Result<()> {
    let mut connection = http::Connection::new(stream)?;
    let mut body = Vec::new();
    while let Some(request) = connection.receive(&mut body)? {
        if !request.path.ends_with("/_bulk") {
            connection.send(200, &request, &[CONNECTION.as_bytes()])?;
            continue;
        }
        let now = Instant::now();
        let text = String::from_utf8_lossy(&body);
        let numbers: Vec<u64> =
            text.split("line=").skip(1).filter_map(|rest| rest.split(';').next()?.parse().ok()).collect();
        let items = vec![r#"{"create":{"status":201}}"#; numbers.len()].join(",");
        connection.send(200, &request, &[format!(r#"{{"took":1,"errors":false,"items":[{items}]}}"#).as_bytes()])?;
        // Nobody listens when the measurement is over.
        for number in numbers {
            let _over = sender.send((number, now));
        }
    }
    Ok(())
}
