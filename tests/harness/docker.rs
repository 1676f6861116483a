//! Containers on the real engine, through Docker's own client.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{from_rig, output_of, run};

/// One container of the rig's image, removed when dropped.
pub(crate) struct Container {
    name: String,
    /// The engine's address.
    host: String,
}

impl Container {
    /// Starts a container that runs a shell script; `options` go to `docker run`, such as `--rm` or `--tty`.
    pub(crate) fn run(name: &str, options: &[&str], script: &str) -> Self {
        Self::run_on(from_rig("DOCKER_HOST"), name, options, script)
    }

    /// The same on the engine at this address.
    pub(crate) fn run_on(host: String, name: &str, options: &[&str], script: &str) -> Self {
        let label = format!("--label={}", from_rig("RIG_LABEL"));
        let image = from_rig("RIG_IMAGE");
        output_of(docker(&host, &["run", "--detach", "--name", name, &label]).args(options).args([
            image.as_str(),
            "sh",
            "-c",
            script,
        ]));
        Self { name: name.to_owned(), host }
    }

    /// Its name, without Docker's leading slash.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `docker VERB [option...] CONTAINER`.
    pub(crate) fn tell(&self, verb: &[&str]) {
        output_of(docker(&self.host, verb).arg(&self.name));
    }

    /// Gives it another name.
    pub(crate) fn rename(&mut self, name: &str) {
        output_of(&mut docker(&self.host, &["rename", &self.name, name]));
        name.clone_into(&mut self.name);
    }

    /// What Docker itself has of its standard output, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        output_of(&mut docker(&self.host, &["logs", &self.name])).lines().map(str::to_owned).collect()
    }

    /// The file that the engine writes its log to.
    pub(crate) fn log_path(&self) -> PathBuf {
        output_of(docker(&self.host, &["inspect", "--format", "{{.LogPath}}"]).arg(&self.name)).into()
    }

    /// The lines that the engine's files hold, rotated ones among them, in no order. What a killed engine has cut through is in none of its records.
    pub(crate) fn logged(&self) -> Vec<String> {
        let texts = self.log_files();
        let records = texts.iter().flat_map(|text| text.lines());
        let line = |record: &str| {
            let record: Value = serde_json::from_str(record).ok()?;
            Some(record["log"].as_str()?.trim_end_matches('\n').to_owned())
        };
        records.filter_map(line).collect()
    }

    /// What stands in each file of its log that the engine keeps.
    pub(crate) fn log_files(&self) -> Vec<String> {
        let path = self.log_path();
        let name = path.file_name().expect("a log is a file").to_string_lossy().into_owned();
        let files = fs::read_dir(path.parent().expect("it is in a folder")).unwrap().map(|file| file.unwrap());
        let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with(&name));
        logs.map(|file| fs::read_to_string(file.path()).unwrap()).collect()
    }

    /// How large the file of its log is, in bytes.
    pub(crate) fn log_size(&self) -> u64 {
        fs::metadata(self.log_path()).unwrap().len()
    }

    /// Whether its main process runs.
    pub(crate) fn is_running(&self) -> bool {
        run(docker(&self.host, &["inspect", "--format", "{{.State.Running}}"]).arg(&self.name))
            .stdout
            .starts_with(b"true")
    }

    /// Waits for its end; for one with `--rm` that may be over already.
    pub(crate) fn wait(&self) {
        run(&mut docker(&self.host, &["wait", &self.name]));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        run(&mut docker(&self.host, &["rm", "--force", &self.name]));
    }
}

fn docker(host: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments).env("DOCKER_HOST", host);
    command
}
