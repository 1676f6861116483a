//! Tasks of a Swarm: those that crash and are removed while others are read, and what events tell of which task they are.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::harness::{Agent, Elasticsearch, Node, Printed, Shipment, eventually};

/// How long the Swarm may take with all that is asked of it here.
const SETTLED: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs the rig: make test"]
fn tasks_that_crash_and_are_removed_arrive_whole_and_all_tell_which_they_are() {
    let node = Node::start("tasks");
    let keep_one = ["swarm", "update", "--task-history-limit", "1"];
    assert!(node.engine.docker(&keep_one).status().unwrap().success());
    crashing_tasks_arrive_whole(&node);
    tasks_tell_which_they_are(&node);
}

fn crashing_tasks_arrive_whole(node: &Node) {
    let host = node.engine.host();
    let environment = [("DOCKER_HOST", host.as_str())];
    let mut shipments = ["api", "auto"].map(|read| Shipment::elsewhere(&format!("crash-{read}"), read, &environment));
    for shipment in &shipments {
        let script = "echo first; echo second >&2; printf 'panic: no end'; exit 7";
        node.serve(&shipment.container(), &["--restart-delay=2s"], script);
    }
    for shipment in &mut shipments {
        let service = shipment.container();
        eventually("three tasks that the Swarm has removed", SETTLED, || {
            let removed = node.happened(&service, "destroy").len();
            if removed >= 3 { Ok(()) } else { Err(format!("{removed} were removed")) }
        });
        assert!(node.engine.docker(&["service", "rm", &service]).status().unwrap().success());
        // Whoever ended by itself has said all of it.
        let crashed = node.happened(&service, "die");
        let whole = ["first", "panic: no end", "second"].map(str::to_owned).to_vec();
        let expected: BTreeMap<String, Vec<String>> =
            crashed.into_iter().filter(|(_, code)| code == "7").map(|(task, _)| (task, whole.clone())).collect();
        eventually(&format!("all lines of {} tasks", expected.len()), SETTLED, || {
            let mut said = by_container(&shipment.printed());
            said.retain(|task, _| expected.contains_key(task));
            if said == expected { Ok(()) } else { Err(format!("{said:#?} of {expected:#?}")) }
        });
        shipment.stop();
    }
}

/// What each container has said, sorted.
fn by_container(printed: &[Printed]) -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    printed.iter().for_each(|line| said.entry(line.name()).or_default().push(line.message().to_owned()));
    said.values_mut().for_each(|lines| lines.sort());
    said
}

/// An application's global service beside a replicated one, all in one index: Swarm's label `com.docker.swarm.task` is the beginning of another's name.
fn tasks_tell_which_they_are(node: &Node) {
    let elasticsearch = Elasticsearch::shared();
    let index = format!("elkhound-tasks-{}", std::process::id());
    let url = elasticsearch.url();
    let pipeline = format!(
        "input {{ docker {{ }} }} filter {{ if [message] !~ /^here/ {{ drop {{ }} }} }}\n\
         output {{ elasticsearch {{ hosts => ['{url}'] index => '{index}' }} }}"
    );
    let mut agent = Agent::new("tasks", &pipeline).environment("DOCKER_HOST", &node.engine.host());
    agent.start();
    let script = "echo here; sleep 1000";
    node.serve("everywhere", &["--mode=global"], script);
    node.serve("web", &["--replicas=2"], script);
    eventually("a document of each task", SETTLED, || {
        agent.assert_running();
        let found = elasticsearch.count(&index);
        if found == 3 { Ok(()) } else { Err(format!("{found} documents")) }
    });
    assert!(agent.stop(Duration::from_secs(30)).success());
    let hits = elasticsearch.sources(&index);
    elasticsearch.remove(&index);
    let told: Vec<Printed> = hits.iter().map(|hit| Printed::indexed(&hit["_source"])).collect();
    let id = node.id();
    let mut slots: Vec<&str> = told.iter().map(|event| event.text("/service/node/name")).collect();
    slots.sort_unstable();
    assert_eq!(slots, [&format!("everywhere.{id}"), "web.1", "web.2"], "a global service's slot is its node");
    for event in &told {
        let (slot, task) = (event.text("/service/node/name"), event.text("/orchestrator/resource/id"));
        assert_eq!(event.text("/orchestrator/resource/name"), format!("{slot}.{task}"));
        assert_eq!(event.text("/container/name"), format!("{slot}.{task}"));
        assert_eq!(event.text("/service/name"), slot.split('.').next().unwrap());
        assert_eq!(event.text("/container/labels/com_docker_swarm_task_id"), task);
        assert_eq!(event.text("/container/labels/com_docker_swarm_node_id"), id);
    }
    let empty = hits.iter().filter(|hit| hit["_source"]["container"]["labels"]["com_docker_swarm_task"] == "").count();
    assert_eq!(empty, 3, "the label that is the beginning of another's name is there too");
    assert!(!agent.log().contains("refuses a document"), "{}", agent.log());
}
