//! What compressing the queue on disk brings and costs: `bench-queue`, as `make queue` runs it.
//!
//! The events of the fixed records go into frames in memory and out of them, so there is no disk in the figures, which are this thread's CPU time as the kernel counts it:
//! packing, deflating and summing for a write, summing, inflating and unpacking for a read. What a row needs more than that of `none` is the compression.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

mod agent;
#[allow(dead_code, reason = "the steps of lines are other benches' matter")]
mod hot;

use agent::{disk_queue, input, output};
use disk_queue::deflate::Compression;
use hot::RECORDS;
use hot::data::{JSON, NGINX, PLAIN};
use hot::queue::Way;
use rustix::time::{ClockId, clock_gettime};

const WORKLOADS: [(&str, &str); 3] = [("plain", PLAIN), ("nginx", NGINX), ("json", JSON)];

/// As an input hands on a block of lines, and a few that came together. A frame of one line stays raw.
const AT_ONCE: [usize; 2] = [RECORDS, 10];

const LEVELS: [Compression; 4] = [Compression::None, Compression::Speed, Compression::Balanced, Compression::Size];

/// How often each row goes over the records before the clock is read, and how often it does that; the least is shown, for what else the machine does only adds to it.
const PASSES: usize = 100;
const ROUNDS: usize = 15;

fn main() {
    println!(
        "| workload | events a frame | compression | bytes an event | smaller, times | write, CPU s a million | read, CPU s a million |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, data) in WORKLOADS {
        for at_once in AT_ONCE {
            let raw = Way::of(data, at_once, Compression::None).write().len();
            LEVELS.iter().for_each(|level| row(name, Way::of(data, at_once, *level), at_once, *level, raw));
        }
    }
}

fn row(name: &str, mut way: Way, at_once: usize, level: Compression, raw: usize) {
    let (mut write, mut read, mut bytes) = (f64::MAX, f64::MAX, 0);
    for _ in 0..ROUNDS {
        let start = cpu_seconds();
        let pages: Vec<Vec<u8>> = (0..PASSES).map(|_| way.write()).collect();
        let written = cpu_seconds();
        bytes = pages[0].len();
        pages.into_iter().for_each(|page| way.read(page));
        write = write.min(written - start);
        read = read.min(cpu_seconds() - written);
    }
    let [write, read] = [write, read].map(|seconds| seconds * 1e6 / (PASSES * RECORDS) as f64);
    let (each, smaller) = (bytes as f64 / RECORDS as f64, raw as f64 / bytes as f64);
    println!("| {name} | {at_once} | {} | {each:.0} | {smaller:.2} | {write:.2} | {read:.2} |", level.name());
}

/// What this thread has had of a processor.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
