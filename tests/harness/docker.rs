//! Containers on the real engine, through Docker's own client.

use std::process::Command;

use super::{from_rig, output_of, run};

/// One container of the rig's image, removed when dropped.
pub(crate) struct Container {
    name: String,
}

impl Container {
    /// Starts a container that runs a shell script; `options` go to `docker run`, such as `--rm` or `--tty`.
    pub(crate) fn run(name: &str, options: &[&str], script: &str) -> Self {
        let label = format!("--label={}", from_rig("RIG_LABEL"));
        let image = from_rig("RIG_IMAGE");
        output_of(docker(&["run", "--detach", "--name", name, &label]).args(options).args([
            image.as_str(),
            "sh",
            "-c",
            script,
        ]));
        Self { name: name.to_owned() }
    }

    /// Its name, without Docker's leading slash.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `docker VERB [option...] CONTAINER`.
    pub(crate) fn tell(&self, verb: &[&str]) {
        output_of(docker(verb).arg(&self.name));
    }

    /// Gives it another name.
    pub(crate) fn rename(&mut self, name: &str) {
        output_of(&mut docker(&["rename", &self.name, name]));
        name.clone_into(&mut self.name);
    }

    /// What Docker itself has of its standard output, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        output_of(&mut docker(&["logs", &self.name])).lines().map(str::to_owned).collect()
    }

    /// Whether its main process runs.
    pub(crate) fn is_running(&self) -> bool {
        run(docker(&["inspect", "--format", "{{.State.Running}}"]).arg(&self.name)).stdout.starts_with(b"true")
    }

    /// Waits for its end; for one with `--rm` that may be over already.
    pub(crate) fn wait(&self) {
        run(&mut docker(&["wait", &self.name]));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        run(&mut docker(&["rm", "--force", &self.name]));
    }
}

fn docker(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments).env("DOCKER_HOST", from_rig("DOCKER_HOST"));
    command
}
