//! The agent under test: the built binary with a pipeline file and a data folder of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::rc::Rc;
use std::time::Duration;

use super::{Names, eventually, signal};

/// One agent that can be ended and started again on the same `--path.data`. Ended and cleaned up when dropped.
pub(crate) struct Agent {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    /// What names its pipelines.
    pipelines: [PathBuf; 2],
    names: Option<Rc<Names>>,
    child: Option<Child>,
}

impl Agent {
    /// An agent with this pipeline, not yet started. `name` must be unique among the tests.
    pub(crate) fn new(name: &str, pipeline: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("elkhound-test-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("data")).unwrap();
        fs::write(folder.join("pipeline.conf"), pipeline).unwrap();
        let pipelines = ["-f".into(), folder.join("pipeline.conf")];
        Self { folder, environment: Vec::new(), pipelines, names: None, child: None }
    }

    /// Adds an environment variable to every start.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the pipelines of a folder of settings, and not its own.
    pub(crate) fn settings(mut self, folder: &Path) -> Self {
        self.pipelines = ["--path.settings".into(), folder.to_owned()];
        self
    }

    /// Has it look up names there.
    pub(crate) fn names(mut self, names: &Rc<Names>) -> Self {
        self.names = Some(Rc::clone(names));
        self
    }

    /// Where it keeps its state.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("the agent was started").id()
    }

    /// Has the next start use another pipeline, or the next look when it looks for changes.
    pub(crate) fn set_pipeline(&self, pipeline: &str) {
        fs::write(self.folder.join("pipeline.conf"), pipeline).unwrap();
    }

    /// Starts it; its log is appended to that of the starts before.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "the agent runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.names.as_ref().map_or_else(|| Command::new(binary()), |names| names.command(binary()));
        let child = command
            .args(&self.pipelines)
            .arg("--path.data")
            .arg(self.data())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Ends it with SIGKILL, as the kernel's OOM killer or a power cut would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the agent was started");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end with SIGTERM, as `docker stop` does, and waits for that.
    pub(crate) fn stop(&mut self, limit: Duration) -> ExitStatus {
        signal(self.child.as_ref().expect("the agent was started").id(), "TERM");
        self.wait(limit)
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let status = eventually("the end of the agent", limit, || {
            let child = self.child.as_mut().expect("the agent was started");
            child.try_wait().unwrap().ok_or_else(|| tail(&self.log()))
        });
        self.child = None;
        status
    }

    /// Waits for a line of its log that contains `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str, limit: Duration) -> String {
        eventually(&format!("a log line with '{text}'"), limit, || {
            self.assert_running();
            self.log().lines().find(|line| line.contains(text)).map(str::to_owned).ok_or_else(|| tail(&self.log()))
        })
    }

    /// Fails the test, with the end of the log, if it has ended by itself.
    pub(crate) fn assert_running(&mut self) {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
        assert!(ended.is_none(), "the agent ended with {ended:?}:\n{}", tail(&self.log()));
    }

    /// All it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Its log from the first line on, to be read while it grows.
    pub(crate) fn log_lines(&self) -> LogLines {
        LogLines::of(&self.log_path())
    }

    /// The last so many bytes of its log, or a few more.
    pub(crate) fn end_of_log(&self, bytes: u64) -> String {
        let Ok(mut file) = File::open(self.log_path()) else { return String::new() };
        let start = file.metadata().unwrap().len().saturating_sub(bytes);
        file.seek(SeekFrom::Start(start)).unwrap();
        let mut end = Vec::new();
        file.read_to_end(&mut end).unwrap();
        String::from_utf8_lossy(&end).into_owned()
    }

    /// The most memory that it has held so far, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let pid = self.child.as_ref().expect("the agent was started").id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    /// Whether it has this file open.
    pub(crate) fn has_open(&self, path: &Path) -> bool {
        let open = fs::read_dir(format!("/proc/{}/fd", self.id()));
        open.into_iter().flatten().flatten().any(|file| fs::read_link(file.path()).is_ok_and(|leads| leads == path))
    }

    /// How many bytes it has read since its start, of files and sockets.
    pub(crate) fn bytes_read(&self) -> u64 {
        let counters = fs::read_to_string(format!("/proc/{}/io", self.id())).unwrap();
        let read = counters.lines().find_map(|line| line.strip_prefix("rchar:")).unwrap();
        read.trim().parse().unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("agent.log")
    }
}

/// The lines of a log, each once, however many come between two looks. Nothing means that there is no more yet.
pub(crate) struct LogLines {
    log: BufReader<File>,
    /// What there is of a line whose end was not written yet.
    line: Vec<u8>,
}

impl LogLines {
    fn of(log: &Path) -> Self {
        Self { log: BufReader::new(File::open(log).unwrap()), line: Vec::new() }
    }
}

impl Iterator for LogLines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.log.read_until(b'\n', &mut self.line).unwrap();
        let line = std::mem::take(self.line.ends_with(b"\n").then_some(&mut self.line)?);
        Some(String::from_utf8_lossy(&line).into_owned())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            println!("the end of the agent's log:\n{}", tail(&self.log()));
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `ELKHOUND_BIN` puts another binary under test, such as the one of a release.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("ELKHOUND_BIN").map_or_else(|| Path::new(env!("CARGO_BIN_EXE_elkhound")).to_owned(), PathBuf::from)
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::harness::Folder;

    #[test]
    fn each_line_is_told_once_and_when_it_is_whole() {
        let folder = Folder::new("log-lines");
        let path = folder.0.join("log");
        let mut log = File::create(&path).unwrap();
        let mut lines = LogLines::of(&path);
        for (written, told) in [("one\ntw", vec!["one\n"]), ("", vec![]), ("o\nthree\n", vec!["two\n", "three\n"])] {
            log.write_all(written.as_bytes()).unwrap();
            assert_eq!(lines.by_ref().collect::<Vec<_>>(), told);
        }
    }
}
