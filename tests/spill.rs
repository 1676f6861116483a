//! `when_full => spill`: an output that takes nothing holds up no other, and gets all of it later, once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Agent, Container, Difference, Elasticsearch, Folder, elkhound, eventually, from_rig, signal};
use crate::queue::{TCP, lines, pipeline_stats, send};
use crate::reload::assert_once;

const LIMIT: Duration = Duration::from_secs(60);

/// Writes each message to a file.
fn copy(folder: &Path) -> String {
    format!("file {{ path => '{}' codec => line {{ format => '%{{message}}' }} }}", folder.join("copy").display())
}

/// Waits until the copy has so many lines.
fn wait_for_copies(agent: &mut Agent, folder: &Path, count: usize) {
    eventually(&format!("{count} lines in the copy"), LIMIT, || {
        agent.assert_running();
        let found = fs::read_to_string(folder.join("copy")).unwrap_or_default().lines().count();
        if found == count { Ok(()) } else { Err(found.to_string()) }
    });
}

/// Waits until so many events wait for the second output.
fn wait_for_spilled(agent: &mut Agent, count: u64) {
    eventually(&format!("{count} events on disk"), LIMIT, || {
        agent.assert_running();
        let queue = pipeline_stats(agent)["plugins"]["outputs"][1]["queue"].clone();
        if queue["events_count"].as_u64() == Some(count) { Ok(()) } else { Err(queue.to_string()) }
    });
}

fn spilling(name: &str, pipeline: &str) -> Agent {
    Agent::new(name, pipeline).environment("API_HTTP_PORT", "0").environment("SHUTDOWN_TIMEOUT", "300ms")
}

#[test]
fn an_output_that_spills_holds_up_no_other_and_gets_all_after_a_reload_a_kill_and_a_stop() {
    let folder = Folder::new("spill");
    let pipeline = |output: &str| format!("input {{ {TCP} }} output {{ {} {output} }}", copy(&folder.0));
    let blocked = pipeline("elasticsearch { id => later when_full => spill hosts => ['http://127.0.0.1:9'] }");
    let mut agent = spilling("spill", &blocked);
    agent.start();
    send(&mut agent, &lines(0..20_000));
    wait_for_copies(&mut agent, &folder.0, 20_000);
    wait_for_spilled(&mut agent, 20_000);
    // Each start has another port; one that was just asked for may not be there yet.
    let starts = |agent: &mut Agent, count: usize| {
        eventually("the start", LIMIT, || {
            agent.assert_running();
            let listens = agent.log().matches("the tcp input listens").count();
            if listens == count { Ok(()) } else { Err(listens.to_string()) }
        });
    };
    // The new pipeline takes the queue over from the old one, whose output is blocked and whose input can't read again.
    signal(agent.id(), "HUP");
    starts(&mut agent, 2);
    send(&mut agent, &lines(20_000..30_000));
    wait_for_copies(&mut agent, &folder.0, 30_000);
    wait_for_spilled(&mut agent, 30_000);
    agent.kill();
    agent.start();
    starts(&mut agent, 3);
    send(&mut agent, &lines(30_000..30_100));
    wait_for_spilled(&mut agent, 30_100);
    assert!(agent.stop(LIMIT).success());
    assert!(agent.log().contains("an output has not taken stays on disk"));

    let left = pipeline("stdout { id => later }");
    let said = elkhound(&["-t", "--path.data", agent.data().to_str().unwrap(), "-e", &left], "").stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("main.outputs/later holds "), "{said}");
    agent.set_pipeline(&pipeline("stdout { id => later when_full => spill codec => json_lines }"));
    agent.start();
    assert_once(&mut agent, 30_100);
    assert!(agent.stop(LIMIT).success());
}

#[test]
#[ignore = "needs the rig: make test"]
fn lines_that_spill_while_elasticsearch_is_frozen_are_indexed_once_though_the_agent_is_killed() {
    const LINES: usize = 10_000;
    let folder = Folder::new("spill-frozen");
    let node = Elasticsearch::own("spill-frozen", &[]);
    let name = format!("elkhound-spill-{}", std::process::id());
    let pipeline = format!(
        "input {{ docker {{ filter_name => '{name}' }} }}\n\
         output {{ {} elasticsearch {{ id => es when_full => spill hosts => ['{}'] index => '{name}' }} }}",
        copy(&folder.0),
        node.url()
    );
    let mut agent = spilling("spill-frozen", &pipeline).environment("DOCKER_HOST", &from_rig("DOCKER_HOST"));
    node.pause();
    agent.start();
    let script = format!("awk 'BEGIN {{ for (k = 0; k < {LINES}; k++) print \"line\", k }}'");
    let container = Container::run(&name, &[], &script);
    wait_for_copies(&mut agent, &folder.0, LINES);
    wait_for_spilled(&mut agent, LINES as u64);
    agent.kill();
    agent.start();
    node.resume();
    // Killed again in the middle: what was indexed and not taken out comes a second time, under the id that it had.
    eventually("some documents", LIMIT, || {
        let found = node.count(&name);
        if found > 500 { Ok(()) } else { Err(found.to_string()) }
    });
    agent.kill();
    agent.start();
    let written: Vec<(String, String)> =
        (0..LINES).map(|line| (container.name().to_owned(), format!("line {line}"))).collect();
    eventually("all documents", LIMIT, || {
        agent.assert_running();
        let found = node.count(&name);
        if found >= LINES as u64 { Ok(()) } else { Err(found.to_string()) }
    });
    assert!(agent.stop(LIMIT).success());
    let difference = Difference::new(&written, node.documents(&name));
    assert!(difference.is_none(), "{difference}");
}
