//! The builder of a delivery scenario: so many containers write so many numbered lines, an agent ships them, and in the end
//! what was written is compared with what was indexed, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Agent, Container, Disk, Document, Elasticsearch, Engine, Names, eventually, from_rig};

/// What a scenario is made of; `start` sets it going.
pub(crate) struct Scenario {
    name: String,
    containers: usize,
    lines: usize,
    rate: Option<usize>,
    options: Vec<String>,
    through: Option<(String, String)>,
    environment: Vec<(String, String)>,
    disk: Option<usize>,
    host: Option<String>,
    names: Option<Rc<Names>>,
    limit: Duration,
}

/// A scenario under way. All it made is removed when it is dropped.
pub(crate) struct Running {
    /// What the agent's state is on, if it has a disk of its own. Before the agent, which removes the folder.
    pub(crate) disk: Option<Disk>,
    pub(crate) agent: Agent,
    pub(crate) elasticsearch: Elasticsearch,
    /// The agent's pipeline as it was at the start.
    pub(crate) pipeline: String,
    containers: Vec<Container>,
    /// Containers that are no more, and what they have written.
    removed: Vec<(String, Vec<String>)>,
    /// Whether some of their lines may be in the agent's memory only.
    pub(crate) at_risk: bool,
    /// How many lines each container writes; unless its engine is killed, which may lose some of them before they are in a log.
    lines: Option<usize>,
    prefix: String,
    limit: Duration,
}

impl Scenario {
    /// One container with three lines, until told otherwise. The name must be unique among the tests.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: format!("elkhound-{name}-{}", std::process::id()),
            containers: 1,
            lines: 3,
            rate: None,
            options: Vec::new(),
            through: None,
            environment: Vec::new(),
            disk: None,
            host: None,
            names: None,
            limit: Duration::from_secs(120),
        }
    }

    /// How many containers write at once.
    pub(crate) fn containers(mut self, containers: usize) -> Self {
        self.containers = containers;
        self
    }

    /// How many lines all containers write together.
    pub(crate) fn lines(mut self, lines: usize) -> Self {
        self.lines = lines;
        self
    }

    /// How many lines all containers write together per second; as fast as they can if not given.
    pub(crate) fn rate(mut self, lines_per_second: usize) -> Self {
        self.rate = Some(lines_per_second);
        self
    }

    /// A further option of `docker run`.
    pub(crate) fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Has the agent send to this address, a proxy's, with further options of the output.
    pub(crate) fn through(mut self, url: String, options: &str) -> Self {
        self.through = Some((url, options.to_owned()));
        self
    }

    /// An environment variable of the agent.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has the agent keep its state on a disk of so many bytes.
    pub(crate) fn disk(mut self, bytes: usize) -> Self {
        self.disk = Some(bytes);
        self
    }

    /// Has the containers run on this engine, which may be killed: what counts as written is what its logs hold in the end.
    pub(crate) fn engine(mut self, engine: &Engine) -> Self {
        self.host = Some(engine.host());
        // Networks of such an engine lead nowhere.
        self.option("--network=none")
    }

    /// Has the agent look up names there.
    pub(crate) fn names(mut self, names: &Rc<Names>) -> Self {
        self.names = Some(Rc::clone(names));
        self
    }

    /// Starts an agent and the containers, and has the documents indexed in `elasticsearch`.
    pub(crate) fn start(self, elasticsearch: Elasticsearch) -> Running {
        let pipeline = self.pipeline(&elasticsearch);
        let host = self.host.clone().unwrap_or_else(|| from_rig("DOCKER_HOST"));
        let agent = Agent::new(&self.name, &pipeline).environment("DOCKER_HOST", &host);
        let agent = self.names.iter().fold(agent, Agent::names);
        let mut agent = self.environment.iter().fold(agent, |agent, (name, value)| agent.environment(name, value));
        let disk = self.disk.map(|bytes| Disk::mount(agent.data(), bytes));
        agent.start();
        // Containers that remove themselves are gone before an agent that is slow to start has asked for them.
        agent.wait_for_log("reading containers' logs", self.limit);
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let containers = (0..self.containers)
            .map(|number| Container::run_on(host.clone(), &format!("{}-{number}", self.name), &options, &self.script()))
            .collect();
        let lines = self.host.is_none().then_some(self.lines / self.containers);
        Running {
            disk,
            agent,
            elasticsearch,
            pipeline,
            containers,
            removed: Vec::new(),
            at_risk: false,
            lines,
            prefix: self.name,
            limit: self.limit,
        }
    }

    /// Other tests' containers are on the same engine, so the pipeline keeps its own ones only.
    fn pipeline(&self, elasticsearch: &Elasticsearch) -> String {
        let name = &self.name;
        let (url, options) = self.through.clone().unwrap_or_else(|| (elasticsearch.url().to_owned(), String::new()));
        format!(
            "input {{ docker {{ }} }}\n\
             output {{ if [container][name] =~ /^{name}-/ {{\n\
               elasticsearch {{ hosts => [\"{url}\"] index => \"{name}-%{{+YYYY.MM.dd}}\" {options} }}\n\
             }} }}\n"
        )
    }

    /// Prints this container's lines, a tenth of a second's worth at a time where there is a rate.
    fn script(&self) -> String {
        let lines = self.lines / self.containers;
        let (step, pause) = self.rate.map_or((lines, 0), |rate| ((rate / self.containers / 10).max(1), 100_000));
        format!(
            "i=0; while [ $i -lt {lines} ]; do \
             awk -v a=$i -v n={step} -v m={lines} 'BEGIN {{ for (k = a + 1; k <= a + n && k <= m; k++) print \"line\", k }}'; \
             i=$((i + {step})); usleep {pause}; done"
        )
    }
}

impl Running {
    /// Waits until at least so many documents have been indexed.
    pub(crate) fn until_indexed(&mut self, documents: u64) {
        let indices = self.indices();
        eventually(&format!("{documents} documents"), self.limit, || {
            self.agent.assert_running();
            let found = self.elasticsearch.count(&indices);
            if found >= documents { Ok(()) } else { Err(format!("{found} found")) }
        });
    }

    /// Waits until the last line has been written.
    pub(crate) fn wait_for_containers(&self) {
        self.containers.iter().for_each(Container::wait);
    }

    /// Waits until all has been written and indexed, and fails if a line is missing, doubled, or from elsewhere.
    pub(crate) fn assert_exactly_once(mut self) {
        self.wait_for_containers();
        let written = self.written();
        self.until_indexed(written.len() as u64);
        // Whatever is sent twice comes behind what was sent once, so the agent is first let finish.
        let status = self.agent.stop(Duration::from_secs(30));
        assert!(status.success(), "the agent ended with {status}");
        let difference = self.difference();
        assert!(difference.is_none(), "{difference}");
    }

    /// Whether a container still writes.
    pub(crate) fn is_writing(&self) -> bool {
        self.containers.iter().any(Container::is_running)
    }

    /// Waits until all has been written and indexed, or nothing more has come for as long as a scenario may take.
    pub(crate) fn settle(&mut self) {
        self.wait_for_containers();
        let (written, indices) = (self.written().len() as u64, self.indices());
        let (mut most, mut end) = (0, Instant::now() + self.limit);
        while most < written && Instant::now() < end {
            self.agent.assert_running();
            let found = self.elasticsearch.count(&indices);
            if found > most {
                (most, end) = (found, Instant::now() + self.limit);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What was written beside what was indexed so far.
    pub(crate) fn difference(&self) -> Difference {
        Difference::new(&self.written(), self.elasticsearch.documents(&self.indices()))
    }

    /// Kills a container and removes it with its log, as soon as the agent has that log open: whoever comes later can't read it.
    pub(crate) fn remove_container(&mut self) {
        let Some(container) = self.containers.pop() else { return };
        let log = container.log_path();
        eventually("a reader of the log", Duration::from_secs(60), || {
            self.agent.assert_running();
            if self.agent.has_open(&log) { Ok(()) } else { Err(self.agent.end_of_log(2_000)) }
        });
        if container.is_running() {
            container.tell(&["kill"]);
        }
        self.removed.push((container.name().to_owned(), container.logged()));
        self.at_risk = true;
    }

    /// Waits until the lines of containers that are no more have been indexed, as an agent that ends now could not read them again.
    pub(crate) fn secure_removed(&mut self) {
        let indices = self.indices();
        for (name, lines) in &self.removed {
            eventually(&format!("all lines of {name}"), self.limit, || {
                self.agent.assert_running();
                let found = self.elasticsearch.count_of(&indices, name);
                if found >= lines.len() as u64 { Ok(()) } else { Err(format!("{found} of {}", lines.len())) }
            });
        }
        self.at_risk = false;
    }

    /// What the containers have written: one entry per line, named as the documents name it.
    fn written(&self) -> Vec<(String, String)> {
        let numbered = |lines| (1..=lines).map(|n| format!("line {n}")).collect();
        let present = self.containers.iter().map(|it| {
            let lines: Vec<String> = self.lines.map_or_else(|| it.logged(), numbered);
            (it.name().to_owned(), lines)
        });
        let all = present.chain(self.removed.iter().cloned());
        all.flat_map(|(name, lines)| lines.into_iter().map(move |line| (name.clone(), line))).collect()
    }

    fn indices(&self) -> String {
        format!("{}-*", self.prefix)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.elasticsearch.remove(&self.prefix);
    }
}

/// How what was indexed differs from what was written; whole sets are compared.
#[derive(Debug)]
pub(crate) struct Difference {
    /// How many lines were written.
    pub(crate) written: usize,
    /// Lines that were never indexed.
    pub(crate) missing: Vec<(String, String)>,
    /// Lines that stand in more than one document.
    pub(crate) doubled: Vec<(String, String)>,
    /// Documents of lines that nobody wrote.
    pub(crate) foreign: Vec<(String, String)>,
}

impl Difference {
    /// Compares what was written, by container and line, with what was indexed.
    pub(crate) fn new(written: &[(String, String)], indexed: Vec<Document>) -> Self {
        let mut surplus: BTreeMap<(String, String), isize> = BTreeMap::new();
        for document in indexed {
            *surplus.entry((document.container, document.message)).or_default() += 1;
        }
        // Two lines may be equal: what a killed engine has cut in two can leave the same end twice.
        for line in written {
            *surplus.entry(line.clone()).or_default() -= 1;
        }
        let known: BTreeSet<_> = written.iter().collect();
        let (doubled, foreign): (Vec<_>, Vec<_>) =
            surplus.iter().filter(|(_, more)| **more > 0).partition(|(line, _)| known.contains(line));
        let missing = surplus.iter().filter(|(_, more)| **more < 0).map(|(line, _)| line.clone()).collect();
        let line = |(line, _): (&(String, String), &isize)| line.clone();
        let doubled = doubled.into_iter().map(line).collect();
        let foreign = foreign.into_iter().map(line).collect();
        Self { written: written.len(), missing, doubled, foreign }
    }

    /// Whether every line is there once, and nothing else.
    pub(crate) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.doubled.is_empty() && self.foreign.is_empty()
    }
}

/// All differences counted, and a few of each kind.
impl fmt::Display for Difference {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, missing, doubled, foreign } = self;
        let some = |lines: &[(String, String)]| format!("{:?}", &lines[..lines.len().min(5)]);
        write!(
            to,
            "of {written} lines {} are missing, {} doubled, and {} were never written\nmissing: {}\ndoubled: {}\nforeign: {}",
            missing.len(),
            doubled.len(),
            foreign.len(),
            some(missing),
            some(doubled),
            some(foreign),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(message: &str, id: &str) -> Document {
        Document { container: "c".to_owned(), message: message.to_owned(), id: id.to_owned() }
    }

    fn lines(messages: &[&str]) -> Vec<(String, String)> {
        messages.iter().map(|message| ("c".to_owned(), (*message).to_owned())).collect()
    }

    fn said(written: &[&str], indexed: Vec<Document>) -> String {
        let difference = Difference::new(&lines(written), indexed);
        difference.to_string().lines().next().unwrap().to_owned()
    }

    #[test]
    fn equal_sets_pass_in_any_order() {
        let difference = Difference::new(&lines(&["a", "b"]), vec![document("b", "1"), document("a", "2")]);
        assert!(difference.is_none(), "{difference}");
    }

    #[test]
    fn every_difference_is_counted() {
        let both = || vec![document("a", "1"), document("a", "2")];
        assert_eq!(said(&["a", "b"], both()), "of 2 lines 1 are missing, 1 doubled, and 0 were never written");
        assert_eq!(said(&["a"], both()), "of 1 lines 0 are missing, 1 doubled, and 0 were never written");
        let other = vec![document("a", "1"), document("b", "2")];
        assert_eq!(said(&["a"], other), "of 1 lines 0 are missing, 0 doubled, and 1 were never written");
        assert_eq!(
            said(&["a", "b"], vec![document("a", "1")]),
            "of 2 lines 1 are missing, 0 doubled, and 0 were never written"
        );
        assert_eq!(said(&[], both()), "of 0 lines 0 are missing, 0 doubled, and 1 were never written");
        assert_eq!(said(&["a", "a"], both()), "of 2 lines 0 are missing, 0 doubled, and 0 were never written");
    }
}
