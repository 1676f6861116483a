//! A started process and all that it started: what it has used, and its end, whatever happens.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// `/proc` counts in these whatever the kernel's own rate is (USER_HZ, see proc_pid_stat(5)).
const TICKS_PER_SECOND: u64 = 100;
/// How long an agent may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Ends its process tree when dropped.
pub(crate) struct Process {
    child: Child,
}

/// What a process tree has used so far.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// The sum of the processes' peaks, in bytes.
    pub(crate) memory: u64,
}

impl Process {
    /// Starts `command` with what it says going to the file `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        Self::spawn(command)
    }

    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = command.spawn().with_context(|| format!("cannot start {}", program.to_string_lossy()))?;
        Ok(Self { child })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Keeps it to these cores, all its threads with it.
    #[allow(dead_code, reason = "the comparison leaves it to the kernel")]
    pub(crate) fn pin(&self, cores: &str) -> Result<()> {
        let mut command = Command::new("taskset");
        command.args(["--all-tasks", "--cpu-list", "--pid", cores, &self.child.id().to_string()]);
        let status = command.stdout(Stdio::null()).status().context("taskset of util-linux can't be run")?;
        anyhow::ensure!(status.success(), "taskset can't keep a process to core {cores}: {status}");
        Ok(())
    }

    /// Living processes with the children that they have waited for.
    pub(crate) fn usage(&self) -> Usage {
        let (mut ticks, mut memory) = (0, 0);
        for pid in tree(self.child.id()) {
            ticks += stat(pid).map_or(0, |stat| stat.ticks);
            memory += peak_memory(pid).unwrap_or(0);
        }
        Usage { cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND), memory }
    }

    /// Asks the process to end, and ends what is left of its tree when it has not within `GRACE`.
    pub(crate) async fn end(mut self) {
        signal("TERM", &[self.child.id()]);
        let begin = Instant::now();
        while self.ended().is_none() && begin.elapsed() < GRACE {
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        signal("KILL", &tree(self.child.id()));
        let _ = self.child.wait();
    }
}

/// The standard library cannot send any other signal than SIGKILL.
fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    let _ = Command::new("kill").arg(format!("-{name}")).args(pids).stderr(Stdio::null()).status();
}

/// `root` and its descendants.
fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        found.extend(children.remove(&found[next]).unwrap_or_default());
        next += 1;
    }
    found
}

struct Stat {
    parent: u32,
    /// User and system time, with that of children that were waited for.
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text)
}

/// The second column is a name in parentheses that may hold anything, so columns are counted from its end.
fn parse_stat(text: &str) -> Option<Stat> {
    let columns: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    let times = columns.get(11..15)?.iter().map(|column| column.parse::<u64>().unwrap_or(0));
    Some(Stat { parent: columns.get(1)?.parse().ok()?, ticks: times.sum() })
}

/// In bytes.
fn peak_memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_columns_are_counted_behind_the_name() {
        let stat = parse_stat("7 (a) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0").unwrap();
        assert_eq!((stat.parent, stat.ticks), (3, 4330));
    }

    #[test]
    fn a_dropped_process_takes_its_children_along() {
        let child = Process::spawn(Command::new("sh").args(["-c", "sleep 600 & wait"])).unwrap();
        let pid = child.child.id();
        while tree(pid).len() < 2 {
            std::thread::yield_now();
        }
        let pids = tree(pid);
        drop(child);
        // A killed grandchild stays a zombie until init reaps it, so only its state tells.
        let runs = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        // A signal's work is done a little after it is sent.
        let begin = Instant::now();
        while pids.iter().any(runs) {
            assert!(begin.elapsed() < GRACE, "{pids:?}");
            std::thread::yield_now();
        }
    }
}
