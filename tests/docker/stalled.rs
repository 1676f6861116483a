//! Logs that Docker rotates while Elasticsearch answers nothing, longer than what is in flight can bridge.

use std::time::Duration;

use super::{SHORT, in_steps, rotated, told_holes};
use crate::harness::{Agent, Container, Elasticsearch, Printed, eventually, from_rig};

const LIMIT: Duration = Duration::from_secs(120);
const LINES: u64 = 20_000;

/// What one agent ships to an index of its own.
struct Stalled {
    agent: Agent,
    index: String,
}

impl Stalled {
    /// An agent that reads this way and holds so little that it soon stands still.
    fn start(elasticsearch: &Elasticsearch, read: &str, containers: &str) -> Self {
        let index = format!("stalled-{read}");
        let url = elasticsearch.url();
        let pipeline = format!(
            "input {{ docker {{ read => {read} filter_name => '{containers}-*' }} }} filter {{ {SHORT} }}\n\
             output {{ elasticsearch {{ hosts => ['{url}'] index => '{index}' timeout => 5 }} }}"
        );
        let agent = Agent::new(&index, &pipeline).environment("DOCKER_HOST", &from_rig("DOCKER_HOST"));
        let mut agent = agent.environment("MEMORY_MAX_IN_FLIGHT", "1mb");
        agent.start();
        Self { agent, index }
    }

    fn until_indexed(&mut self, elasticsearch: &Elasticsearch, container: &str, documents: u64) {
        eventually(&format!("{documents} documents of {container}"), LIMIT, || {
            self.agent.assert_running();
            let found = elasticsearch.count_of(&self.index, container);
            if found >= documents { Ok(()) } else { Err(format!("{found} found")) }
        });
    }

    /// The events of one container, once its last line is there.
    fn events(&mut self, elasticsearch: &Elasticsearch, container: &str) -> Vec<Printed> {
        let last = format!("line {LINES}");
        eventually(&format!("{last} of {container}"), LIMIT, || {
            self.agent.assert_running();
            let hits = elasticsearch.sources(&self.index);
            let events: Vec<Printed> = hits.iter().map(|hit| Printed::indexed(&hit["_source"])).collect();
            let events: Vec<Printed> = events.into_iter().filter(|event| event.name() == container).collect();
            let is_there = events.iter().any(|event| event.message() == last);
            if is_there { Ok(events) } else { Err(format!("{} events", events.len())) }
        })
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn while_elasticsearch_stands_still_nothing_is_lost_that_docker_keeps_and_the_rest_is_told() {
    let elasticsearch = Elasticsearch::own("stalled", &[]);
    let ours = format!("elkhound-stalled-{}", std::process::id());
    let mut agents = ["auto", "api"].map(|read| Stalled::start(&elasticsearch, read, &ours));
    // Of the first Docker keeps one file of some fifty lines, of the second all, in five.
    let [short, kept] = [(0, rotated("10k", 1)), (1, rotated("1m", 5))].map(|(number, options)| {
        let options = options.each_ref().map(String::as_str);
        // Slow until it is told that nobody reads any more.
        let script = format!("step=5; trap step=250 USR1; {}", in_steps(LINES as usize, "$step", 50_000));
        Container::run(&format!("{ours}-{number}"), &options, &script)
    });
    for stalled in &mut agents {
        for container in [&short, &kept] {
            stalled.until_indexed(&elasticsearch, container.name(), 100);
        }
    }
    elasticsearch.pause();
    [&short, &kept].into_iter().for_each(|container| container.tell(&["kill", "--signal=USR1"]));
    [&short, &kept].into_iter().for_each(Container::wait);
    let rotations = kept.log_files().len() - 1;
    assert!(rotations >= 3, "the log that is kept was rotated {rotations} times");
    elasticsearch.resume();
    for mut stalled in agents {
        let index = stalled.index.clone();
        assert_eq!(told_holes(&stalled.events(&elasticsearch, kept.name()), LINES), 0, "{index}");
        let missing = told_holes(&stalled.events(&elasticsearch, short.name()), LINES);
        assert!(missing > 1_000, "{index}: only {missing} lines are missing, what is in flight has bridged the rest");
        println!("{index}: {missing} of {LINES} lines are missing, and all of them are told");
        assert!(stalled.agent.stop(LIMIT).success());
    }
}
