//! The process and its host as the kernel shows them below `/proc`: memory, descriptors, processor time, threads.
//!
//! What can't be read is 0: a figure that is missing must not keep the others from being seen.

use std::fs;
use std::time::Duration;

use tokio::time::sleep;

use crate::cgroup;

/// Ticks of processor time a second, as the kernel tells them to programs on every machine that Linux runs on today.
const TICKS: u64 = 100;
/// How long threads are watched to see which are busy.
const WATCHED: Duration = Duration::from_millis(200);

/// The process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Process {
    /// Memory that it has at present, and at most had, in bytes.
    pub(crate) resident: u64,
    /// The most that it has had.
    pub(crate) resident_peak: u64,
    /// Addresses that it has taken.
    pub(crate) virtual_size: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Open descriptors.
    pub(crate) descriptors: u64,
    /// How many descriptors it may have.
    pub(crate) descriptors_limit: u64,
    /// Processor time, in milliseconds.
    pub(crate) cpu_millis: u64,
    /// The memory that it may have: its control group's limit, else the host's memory.
    pub(crate) memory_limit: u64,
}

impl Process {
    /// As it is now.
    pub(crate) fn now() -> Self {
        let status = read("/proc/self/status");
        let kib = |name| number_after(&status, name) * 1024;
        let limits = read("/proc/self/limits");
        let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
        Self {
            resident: kib("VmRSS:"),
            resident_peak: kib("VmHWM:"),
            virtual_size: kib("VmSize:"),
            threads: number_after(&status, "Threads:"),
            descriptors: fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
            descriptors_limit: first_number(limit),
            cpu_millis: ticks(&read("/proc/self/stat")) * 1000 / TICKS,
            memory_limit: memory_limit(),
        }
    }
}

/// How much work waits for the host's processors: over one, five and fifteen minutes.
pub(crate) fn load_average() -> [f64; 3] {
    let text = read("/proc/loadavg");
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or_default());
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

/// The kernel's version.
pub(crate) fn kernel() -> String {
    read("/proc/sys/kernel/osrelease").trim().to_owned()
}

/// A thread and how busy it was.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thread {
    /// Its number.
    pub(crate) id: u64,
    /// Its name.
    pub(crate) name: String,
    /// `runnable`, `timed_waiting` and the like.
    pub(crate) state: &'static str,
    /// The part of one processor's time that it had while it was watched, in per cent.
    pub(crate) percent: f64,
}

/// The threads, busiest first, watched for a moment.
pub(crate) async fn threads() -> Vec<Thread> {
    let before = tasks();
    sleep(WATCHED).await;
    let window = TICKS as f64 * WATCHED.as_secs_f64();
    let mut threads: Vec<Thread> = tasks().into_iter().map(|task| task.thread(&before, window)).collect();
    threads.sort_by(|a, b| b.percent.total_cmp(&a.percent).then(a.id.cmp(&b.id)));
    threads
}

struct Task {
    id: u64,
    stat: String,
}

impl Task {
    fn thread(self, before: &[Self], window: f64) -> Thread {
        let then = before.iter().find(|task| task.id == self.id).map_or(0, |task| ticks(&task.stat));
        let percent = ticks(&self.stat).saturating_sub(then) as f64 * 100.0 / window;
        let (head, tail) = self.stat.rsplit_once(')').unwrap_or_default();
        let name = head.split_once('(').map_or(head, |(_, name)| name).to_owned();
        let state = match tail.trim_start().as_bytes().first() {
            Some(b'R') => "runnable",
            Some(b'D') => "blocked",
            Some(b'S') => "timed_waiting",
            _ => "waiting",
        };
        Thread { id: self.id, name, state, percent }
    }
}

fn tasks() -> Vec<Task> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let task = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        Some(Task { id, stat: fs::read_to_string(entry.path().join("stat")).ok()? })
    };
    entries.filter_map(task).collect()
}

/// Processor time in ticks, of a `stat` file: the 14th and 15th field, counted behind the name, which may hold anything.
fn ticks(stat: &str) -> u64 {
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    behind.split_whitespace().skip(11).take(2).map(|word| word.parse::<u64>().unwrap_or_default()).sum()
}

fn memory_limit() -> u64 {
    let host = number_after(&read("/proc/meminfo"), "MemTotal:") * 1024;
    cgroup::memory().map_or(host, |limit| limit.min(host))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number behind `name` at the start of a line.
fn number_after(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)).map_or(0, first_number)
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_shows_itself() {
        let process = Process::now();
        assert!(process.resident > 1 << 20 && process.resident_peak >= process.resident, "{process:?}");
        assert!(process.threads >= 1 && process.descriptors >= 3 && process.descriptors_limit >= 16, "{process:?}");
        assert!(process.memory_limit > process.resident, "{process:?}");
    }

    #[test]
    fn a_threads_name_may_hold_anything() {
        let stat = "7 (a) b (c)) R 1 2 3 4 5 6 7 8 9 10 30 12 0 0";
        assert_eq!(ticks(stat), 42);
        let thread = Task { id: 7, stat: stat.into() }.thread(&[], 20.0);
        assert_eq!((thread.name.as_str(), thread.state, thread.percent), ("a) b (c)", "runnable", 210.0));
    }

    #[tokio::test]
    async fn a_busy_thread_is_seen() {
        let all = threads().await;
        assert!(!all.is_empty() && all.is_sorted_by(|a, b| a.percent >= b.percent));
    }
}
