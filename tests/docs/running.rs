//! The commands of the documents, run as they stand there, one after the other: by a shell on the manager of a Swarm of one node, where an agent runs.
//!
//! The images of Elasticsearch and Kibana, for which there is no registry here, are stood in for: the first by a way to the test's real node.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::{Page, pages};
use crate::deploy::Swarm;
use crate::harness::{Agent, Folder, binary, eventually, output_of, repository, run};

/// What is not run, and why. A star stands for whatever follows.
const NOT_RUN: &[(&str, &str)] = &[
    ("docker compose", "a name in a sentence"),
    ("docker info", "a name in a sentence"),
    ("docker logs", "a name in a sentence"),
    ("docker node update --availability drain*", "ends what the commands after it need; the test of the Swarm drains"),
    ("docker service rm log_docker", "the proxy's, which is tested with the Swarm"),
    ("docker service logs*", "does not end; the test of the Swarm reads logs"),
    ("docker stack deploy", "a name in a sentence"),
    ("docker stop*", "a name in a sentence, and Logspout, which is not here"),
    ("elkhound -t", "a name in a sentence"),
    ("elkhound doctor", "a name in a sentence"),
    ("elkhound setup", "a name in a sentence"),
    ("elkhound setup --kibana URL", "a name in a sentence"),
    ("make build", "a release build takes minutes, and CI builds"),
    ("make compare", "measures for ten minutes and needs a machine of its own"),
    ("make deb", "a release build; its script is run by the test of the package"),
    ("make image", "a release build; its script is run by the tests of the Swarm"),
    ("make queue", "measures, and builds the benches for it"),
    ("make scale", "measures for minutes"),
    ("make small", "measures for minutes"),
    ("make soak", "runs for an hour"),
    ("make test", "is what runs this"),
    ("make try", "a release build"),
];

/// What stands in the documents for something that is another on each host.
const FILLED_IN: &[(&str, &str)] = &[
    ("CONTAINER", "elkhound"),
    ("NODE", "$(docker node ls --format '{{.ID}}')"),
    ("--path.settings DIR", "--path.settings settings"),
    ("{ … }", "{ mutate { } }"),
    ("./target/release/elkhound -f my.conf --path.data", "elkhound -f my.conf --path.data"),
    // It goes on until it is told to end; the shell must not stand between.
    ("elkhound -f my.conf --path.data /var/lib/elkhound", "exec elkhound -f my.conf --path.data other"),
    ("127.0.0.1:9600", "127.0.0.1:$PORT"),
    // No Kibana can be run here; the import is tested by itself.
    (" --kibana http://kibana:5601", ""),
    // Not every machine has a reader of manual pages.
    ("| man -l -", ">page.1"),
];

/// So many seconds a command may take; one that would go on is told to end then, and ends well.
const LONG: &str = "60";

#[test]
#[ignore = "needs the rig: make test"]
fn every_command_does_what_it_is_for() {
    let swarm = Swarm::start("docs");
    stand_in(&swarm);
    let desk = Desk::new(&swarm);
    let mut done = Vec::new();
    let mut failed = Vec::new();
    for page in in_order() {
        for command in commands(&page).into_iter().filter(|command| is_run(command)) {
            if done.contains(&command) {
                continue;
            }
            let shell = FILLED_IN.iter().fold(command.clone(), |command, (from, to)| command.replace(from, to));
            let output = run(&mut desk.shell(&swarm, &shell));
            if !output.status.success() {
                let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                failed.push(format!("{}: {command}: {}\n{said}", page.shown(), output.status));
            }
            if command.ends_with("deploy/es.yml es") {
                until_elasticsearch_answers(&swarm);
            }
            done.push(command);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(done.len() > 35, "only {} commands were run: {done:?}", done.len());
    for (name, _) in NOT_RUN {
        let there = pages().iter().any(|page| commands(page).iter().any(|command| fits(name, command)));
        assert!(there, "no document has `{name}`");
    }
}

/// All pages, first the one that deploys what others ask.
fn in_order() -> Vec<Page> {
    let mut all = pages();
    all.sort_by_key(|page| !page.path.ends_with("docs/swarm.md"));
    all
}

/// Every command of a page, in its order: those of blocks, then those of sentences.
fn commands(page: &Page) -> Vec<String> {
    let blocks = page.blocks().into_iter().filter(|block| block.kind == "sh");
    let lines: Vec<String> = blocks
        .flat_map(|block| block.text.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let starts = ["elkhound ", "make ", "docker ", "deploy/log.sh ", "source ", "curl "];
    let spans = page.spans().into_iter().filter(|span| starts.iter().any(|start| span.starts_with(start)));
    // `docker { … }` is an input.
    let spans = spans.filter(|span| !span.starts_with("docker {"));
    let bare = |line: &String| line.split(" #").next().unwrap_or_default().trim().replace("\\|", "|");
    lines.iter().map(bare).chain(spans.map(|span| bare(&span))).filter(|line| !line.is_empty()).collect()
}

fn is_run(command: &str) -> bool {
    !NOT_RUN.iter().any(|(name, _)| fits(name, command))
}

fn fits(name: &str, command: &str) -> bool {
    name.strip_suffix('*').map_or(command == name, |start| command.starts_with(start))
}

/// Images under the names that the stacks have.
fn stand_in(swarm: &Swarm) {
    let url = swarm.elasticsearch.url();
    let port = url.rsplit(':').next().unwrap();
    // The stack's health check asks by curl, which the rig's image has not.
    let script = format!(
        "echo '#!/bin/sh' >/bin/curl; chmod +x /bin/curl; exec nc -ll -p 9200 -e nc {} {port}",
        swarm.gateway()
    );
    let docker = |arguments: &[&str]| swarm.node.engine.docker(arguments);
    crate::deploy::stand_in(&docker, "elasticsearch:8.19.4", &["sh", "-c", &script]);
    crate::deploy::stand_in(&docker, "kibana:8.19.4", &["sleep", "100000"]);
    output_of(&mut swarm.node.engine.docker(&["tag", "elkhound:test", "elkhound:latest"]));
}

fn until_elasticsearch_answers(swarm: &Swarm) {
    let image = crate::harness::from_rig("RIG_IMAGE");
    eventually("the stack's Elasticsearch", Duration::from_secs(120), || {
        let arguments = ["run", "--rm", "--network=elk_net", &image, "wget", "-q", "-O-", "http://elasticsearch:9200"];
        let asked = run(&mut swarm.node.engine.docker(&arguments));
        if asked.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&asked.stderr).into_owned()) }
    });
}

/// The folder that commands are run in, with the files that the documents name; and the agent that they ask.
struct Desk {
    folder: Folder,
    port: u16,
    _agent: Agent,
}

/// Ends with a document that Elasticsearch has refused.
const REFUSED: &str = "input { generator { count => 1 message => refused } } filter { mutate { add_field => { \"n\" => \"no number\" } } } \
    output { elasticsearch { hosts => [\"${ELASTICSEARCH_URL}\"] index => \"docs-refusing\" } }";

impl Desk {
    fn new(swarm: &Swarm) -> Self {
        let pipeline = fs::read_to_string(repository("deploy/pipelines/logstash.conf")).unwrap();
        let own = pipeline.replace("docker { }", "docker { read => auto }");
        let log = "a line\n{\"level\":\"INFO\"}\n";
        let folder = Folder::of("docs-run", &[("my.conf", &own), ("logstash.conf", &pipeline), ("some.log", log)]);
        for name in ["bin", "settings", "data", "other"] {
            fs::create_dir_all(folder.0.join(name)).unwrap();
        }
        fs::write(folder.0.join("settings/elkhound.yml"), "pipeline.workers: 1\n").unwrap();
        std::os::unix::fs::symlink(binary(), folder.0.join("bin/elkhound")).unwrap();
        std::os::unix::fs::symlink(repository("deploy"), folder.0.join("deploy")).unwrap();
        let mut agent =
            Agent::new("docs-agent", &pipeline).environment("NO_COLOR", "1").environment("API_HTTP_PORT", "0");
        for (name, value) in swarm.environment() {
            agent = agent.environment(name, &value);
        }
        agent.start();
        let line = agent.wait_for_log("the monitoring API answers", Duration::from_secs(30));
        let port = line.rsplit(':').next().unwrap().trim().parse().unwrap();
        let desk = Self { folder, port, _agent: agent };
        swarm.elasticsearch.create_index("docs-refusing", &json!({ "n": { "type": "long" } }));
        let refused = format!("elkhound --dead_letter_queue.enable=true -e '{REFUSED}'");
        output_of(&mut desk.shell(swarm, &refused));
        desk
    }

    fn shell(&self, swarm: &Swarm, command: &str) -> Command {
        let path = format!("{}:{}", self.folder.0.join("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("timeout");
        let long = if command.starts_with("exec ") { "5" } else { LONG };
        shell.args(["--signal=TERM", "--preserve-status", long, "bash", "-c", &format!("set -o pipefail; {command}")]);
        shell.current_dir(&self.folder.0).envs(swarm.environment()).env("PATH", path).env("NO_COLOR", "1");
        // The agent's port first, for those that ask it; what runs itself takes another.
        let ports = format!("{0}-{1}", self.port, self.port + 50);
        shell.env("API_HTTP_PORT", ports).env("PORT", self.port.to_string()).env("no_proxy", "*");
        shell.env("PATH_DATA", self.folder.0.join("data"));
        shell
    }
}
