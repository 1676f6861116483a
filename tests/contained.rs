//! The agent as operators run it: a container among those that it reads.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Container, binary, data_folder, eventually, from_rig};

/// The agent in a container of its own, whose output are the events that it reads. Its folder is removed when dropped.
struct Contained {
    container: Container,
    folder: PathBuf,
}

impl Contained {
    /// Starts it. The rig's image holds a shell and nothing else, so the host lends its libraries beside the binary.
    fn start(ours: &str, read: &str) -> Self {
        let name = format!("{ours}-agent");
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir_all(&folder).unwrap();
        // Others' tests have containers on this engine, too. The agent's own has a name of ours.
        let others = format!("if [container][name] !~ /^{ours}/ {{ drop {{ }} }}");
        let pipeline = format!(
            "input {{ docker {{ read => {read} }} }} filter {{ {others} }} output {{ stdout {{ codec => json_lines }} }}"
        );
        fs::write(folder.join("pipeline.conf"), pipeline).unwrap();
        let socket = from_rig("DOCKER_HOST").replace("unix://", "");
        let mounts = [
            format!("{}:/elkhound:ro", binary().display()),
            format!("{}:/agent", folder.display()),
            format!("{socket}:/var/run/docker.sock"),
            format!("{0}/containers:{0}/containers:ro", data_folder()),
            "/lib:/lib:ro".to_owned(),
            "/usr/lib:/usr/lib:ro".to_owned(),
            "/lib64:/lib64:ro".to_owned(),
        ];
        let options: Vec<&str> = mounts.iter().flat_map(|mount| ["--volume", mount]).collect();
        let container =
            Container::run(&name, &options, "exec /elkhound -f /agent/pipeline.conf --path.data /agent/data");
        Self { container, folder }
    }

    /// The events that it has printed so far: what Docker has of its output, without its own log.
    fn events(&self) -> Vec<Value> {
        self.container.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the event of a line.
    fn until_read(&self, line: &str) {
        eventually(&format!("an event of {line:?}"), Duration::from_secs(60), || {
            let events = self.events();
            if events.iter().any(|event| event["message"] == line) { Ok(()) } else { Err(format!("{events:#?}")) }
        });
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.container.tell(&["stop"]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn an_agent_reads_every_container_but_its_own() {
    for read in ["api", "auto"] {
        let unique = format!("elkhound-contained-{read}-{}", std::process::id());
        let agent = Contained::start(&unique, read);
        // What it prints of the first container is in its own log by the time that the second one speaks, and would be read before it.
        for number in [1, 2] {
            let line = format!("{unique} says {number}");
            let _other = Container::run(&format!("{unique}-{number}"), &[], &format!("echo {line}"));
            agent.until_read(&line);
        }
        let own: Vec<Value> =
            agent.events().into_iter().filter(|event| event["container"]["name"] == agent.container.name()).collect();
        assert!(own.is_empty(), "read => {read}: it has read what it wrote itself: {own:#?}");
    }
}
