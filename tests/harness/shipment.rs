//! An agent that prints what it reads of the test's containers, for tests that need an engine and no Elasticsearch.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{Agent, eventually, from_rig, output_of};

/// An agent under way, whose events are the JSON lines of its output.
pub(crate) struct Shipment {
    pub(crate) agent: Agent,
    prefix: String,
    filter: String,
}

/// An event as it was printed.
pub(crate) struct Printed(Value);

impl Shipment {
    /// Starts an agent with `read => …` and this filter. The name must be unique among the tests.
    pub(crate) fn start(name: &str, read: &str, filter: &str) -> Self {
        Self::new(name, read, "", filter, &[("DOCKER_HOST", &from_rig("DOCKER_HOST"))])
    }

    /// Starts an agent that reads another engine than the shared one, in this environment.
    pub(crate) fn elsewhere(name: &str, read: &str, environment: &[(&str, &str)]) -> Self {
        Self::new(name, read, "", "", environment)
    }

    /// Starts an agent with further options of the input.
    pub(crate) fn with_options(name: &str, read: &str, options: &str) -> Self {
        Self::new(name, read, options, "", &[("DOCKER_HOST", &from_rig("DOCKER_HOST"))])
    }

    fn new(name: &str, read: &str, options: &str, filter: &str, environment: &[(&str, &str)]) -> Self {
        let prefix = format!("elkhound-{name}-{}", std::process::id());
        let pipeline = pipeline(&prefix, read, options, filter);
        // What is printed is compared line by line, so each log keeps its order whichever worker has it.
        let agent = Agent::new(name, &pipeline).environment("PIPELINE_ORDERED", "true");
        let mut agent = environment.iter().fold(agent, |agent, (name, value)| agent.environment(name, value));
        agent.start();
        agent.wait_for_log("reading", Duration::from_secs(30));
        Self { agent, prefix, filter: filter.to_owned() }
    }

    /// The name that its container has to have; others' lines are not printed.
    pub(crate) fn container(&self) -> String {
        format!("{}-0", self.prefix)
    }

    /// Ends the agent as `docker stop` would.
    pub(crate) fn stop(&mut self) {
        let status = self.agent.stop(Duration::from_secs(30));
        assert!(status.success(), "the agent ended with {status}");
    }

    /// Starts the agent again, to read another way.
    pub(crate) fn restart(&mut self, read: &str, options: &str) {
        self.agent.set_pipeline(&pipeline(&self.prefix, read, options, &self.filter));
        self.agent.start();
    }

    /// Waits until an event with this text has been printed.
    pub(crate) fn until_printed(&mut self, text: &str, limit: Duration) {
        let mut lines = self.agent.log_lines();
        eventually(&format!("an event with {text:?}"), limit, || {
            self.agent.assert_running();
            let found = lines.any(|line| line.starts_with('{') && line.contains(text));
            if found { Ok(()) } else { Err(self.agent.end_of_log(2_000)) }
        });
    }

    /// Waits until so many events have been printed.
    pub(crate) fn until_events(&mut self, count: usize, limit: Duration) {
        eventually(&format!("{count} events"), limit, || {
            self.agent.assert_running();
            let found = self.printed().len();
            if found >= count { Ok(()) } else { Err(format!("{found}: {}", self.agent.end_of_log(2_000))) }
        });
    }

    /// All events so far, in the order in which they were printed; without one that is being printed.
    pub(crate) fn printed(&self) -> Vec<Printed> {
        let log = self.agent.log();
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| Printed(serde_json::from_str(line).unwrap()))
            .collect()
    }

    /// The messages of all events.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.printed().iter().map(|line| line.message().to_owned()).collect()
    }

    /// The numbers of all lines, sorted; fails if one came twice.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let numbers: Vec<u64> = self.printed().iter().filter_map(Printed::number).collect();
        let once: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(once.len(), numbers.len(), "some lines came twice");
        once.into_iter().collect()
    }
}

impl Printed {
    /// An event as a document has it.
    pub(crate) fn indexed(source: &Value) -> Self {
        Self(source.clone())
    }

    /// The text of a field, such as `/service/name`; empty where there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The line.
    pub(crate) fn message(&self) -> &str {
        self.text("/message")
    }

    /// All of it but these fields, which differ from run to run.
    pub(crate) fn without(&self, fields: &[&str]) -> String {
        let mut left = self.0.clone();
        for field in fields {
            let (outer, inner) = field.rsplit_once('/').unwrap_or(("", field));
            left.pointer_mut(outer).and_then(Value::as_object_mut).and_then(|map| map.remove(inner));
        }
        left.to_string()
    }

    /// `stdout` or `stderr`.
    pub(crate) fn stream(&self) -> &str {
        self.text("/stream")
    }

    /// The container's name.
    pub(crate) fn name(&self) -> String {
        self.text("/container/name").to_owned()
    }

    /// When it was written.
    pub(crate) fn timestamp(&self) -> &str {
        self.text("/@timestamp")
    }

    /// The number of a line `line N`.
    pub(crate) fn number(&self) -> Option<u64> {
        self.message().strip_prefix("line ")?.parse().ok()
    }

    /// What happened to the line on the way.
    pub(crate) fn flags(&self) -> Vec<String> {
        let flags = self.0["log"]["flags"].as_array().into_iter().flatten();
        flags.filter_map(|flag| flag.as_str().map(str::to_owned)).collect()
    }

    /// How many lines were left out because there were too many, if this event says that some were.
    pub(crate) fn suppressed(&self) -> Option<u64> {
        (self.0["event"]["action"] == "suppressed").then(|| self.0["log"]["suppressed"].as_u64())?
    }

    /// The line's place in its log.
    pub(crate) fn sequence(&self) -> Option<u64> {
        self.0["event"]["sequence"].as_u64()
    }

    /// Where the line begins in its file.
    pub(crate) fn offset(&self) -> usize {
        self.0["log"]["offset"].as_u64().and_then(|offset| usize::try_from(offset).ok()).expect("it tells its offset")
    }

    /// Between which times lines are missing, if this event says that some are.
    pub(crate) fn gap(&self) -> Option<(&str, &str)> {
        let told = &self.0["event"];
        (told["action"] == "gap").then(|| Some((told["start"].as_str()?, told["end"].as_str()?)))?
    }
}

/// Other tests' containers are on the same engine, so the pipeline keeps its own ones only.
fn pipeline(prefix: &str, read: &str, options: &str, filter: &str) -> String {
    // Without an engine the agent does not know where the engine keeps its data.
    let path =
        if read == "files" { format!("path => \"{}/containers/*/*-json.log\"", data_folder()) } else { String::new() };
    // Two readers of one compressed log would make the engine leave out files of it: others' logs are not even opened.
    let own = if read == "api" { format!("filter_name => \"{prefix}-*\"") } else { String::new() };
    format!(
        "input {{ docker {{ read => {read} {path} {own} {options} }} }}\n\
         filter {{ if [container][name] !~ /^{prefix}-/ and [docker][name] !~ /^\\/{prefix}-/ {{ drop {{ }} }} {filter} }}\n\
         output {{ stdout {{ codec => json_lines }} }}\n"
    )
}

/// Where the shared engine keeps its data.
pub(crate) fn data_folder() -> String {
    let mut docker = std::process::Command::new("docker");
    output_of(docker.args(["info", "--format", "{{.DockerRootDir}}"]).env("DOCKER_HOST", from_rig("DOCKER_HOST")))
}
