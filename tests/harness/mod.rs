//! What the end-to-end tests stand on: the agent under test, containers on a real engine, a real Elasticsearch node, and a builder
//! that ties them together.
//!
//! It promises that whatever a test starts is gone when the test ends, also by a panic, and that nothing is slept for where a
//! condition can be waited for. It leaves out the setting up: `tests/rig/with-rig` does that and passes the addresses on.

mod agent;
mod browser;
mod dice;
mod disk;
mod docker;
mod elasticsearch;
mod engine;
mod folder;
mod journal;
mod nginx;
mod once;
mod proxy;
mod scenario;
mod shipment;
mod swarm;
mod websocket;
mod world;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) use agent::{Agent, binary};
pub(crate) use browser::Browser;
pub(crate) use dice::Dice;
pub(crate) use disk::Disk;
pub(crate) use docker::Container;
pub(crate) use elasticsearch::{Document, Elasticsearch};
pub(crate) use engine::{Engine, certificates};
pub(crate) use folder::Folder;
pub(crate) use journal::Journal;
pub(crate) use nginx::Nginx;
pub(crate) use once::{check, elkhound, elkhound_in, pipe, repository};
pub(crate) use proxy::Proxy;
pub(crate) use scenario::{Difference, Running, Scenario};
pub(crate) use shipment::{Printed, Shipment, data_folder};
pub(crate) use swarm::Node;
pub(crate) use websocket::WebSocket;
pub(crate) use world::{Clock, Names};

/// A setting that `with-rig` passes on.
pub(crate) fn from_rig(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: end-to-end tests are run by 'make test'"))
}

/// A file below `tests/rig`.
pub(crate) fn rig_path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/rig")).join(name)
}

/// Waits for `probe` to answer, and fails with the last thing it said when it has not within `limit`.
pub(crate) fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + limit;
    loop {
        match probe() {
            Ok(found) => return found,
            Err(now) if Instant::now() > end => panic!("{what}: not within {limit:?}: {now}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Runs a program to its end and returns what it wrote to its standard output; any failure fails the test.
pub(crate) fn output_of(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Runs a program to its end, whatever that is.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Sends a signal by its name, such as `TERM`.
pub(crate) fn signal(pid: u32, name: &str) {
    output_of(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()));
}
