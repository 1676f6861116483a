//! A Swarm of one node, on an engine of the test's own.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Engine, from_rig, output_of, run};

/// The node, a manager; it leaves its Swarm when dropped.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    _alone: MutexGuard<'static, ()>,
}

/// Of one host only one engine can be a Swarm's: their ports are what they are.
static ONE: Mutex<()> = Mutex::new(());

impl Node {
    /// Waits for its turn and makes a Swarm. The name must be unique among the tests.
    pub(crate) fn start(name: &str) -> Self {
        // A test that has failed has cleaned up all the same.
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = Engine::start(name, Vec::new());
        // A port of its own, for an engine that was killed may have left its VXLAN behind, and the kernel allows one of each number and port.
        let port = format!("--data-path-port={}", 20_000 + std::process::id() % 10_000);
        output_of(&mut engine.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1", &port]));
        Self { engine, _alone: alone }
    }

    /// Makes a service whose tasks run a shell script; `options` go to `docker service create`.
    pub(crate) fn serve(&self, name: &str, options: &[&str], script: &str) {
        let mut command: Command = self.engine.docker(&["service", "create", "--detach", "--no-resolve-image"]);
        command.args(["--name", name]).args(options).arg(from_rig("RIG_IMAGE"));
        output_of(command.args(["sh", "-c", script]));
    }

    /// Its id in the Swarm.
    pub(crate) fn id(&self) -> String {
        output_of(&mut self.engine.docker(&["info", "--format", "{{.Swarm.NodeID}}"]))
    }

    /// The containers of a service to which this has happened, such as `die`, and with which exit code.
    pub(crate) fn happened(&self, service: &str, event: &str) -> Vec<(String, String)> {
        let filters = [
            "type=container".to_owned(),
            format!("event={event}"),
            format!("label=com.docker.swarm.service.name={service}"),
        ];
        let mut command = self.engine.docker(&["events", "--since=1h", "--until=0s"]);
        command.args(filters.iter().flat_map(|filter| ["--filter", filter]));
        let told = output_of(command.args(["--format", "{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}"]));
        let container = |line: &str| line.split_once(' ').map(|(name, code)| (name.to_owned(), code.to_owned()));
        told.lines().filter_map(container).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        run(&mut self.engine.docker(&["swarm", "leave", "--force"]));
        run(&mut self.engine.docker(&["network", "rm", "docker_gwbridge"]));
    }
}
