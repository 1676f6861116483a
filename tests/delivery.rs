//! Every line exactly once, on a real engine and a real node, while the agent and Elasticsearch come and go.

use std::time::Duration;

use crate::harness::{Elasticsearch, Scenario};

#[test]
#[ignore = "needs the rig: make test"]
fn a_hundred_thousand_lines_of_ten_containers_arrive_exactly_once() {
    let run = Scenario::new("steady").containers(10).lines(100_000).start(Elasticsearch::shared());
    run.assert_exactly_once();
}

#[test]
#[ignore = "needs the rig: make test"]
fn an_agent_killed_in_the_middle_goes_on_where_it_was() {
    let mut run = Scenario::new("killed").containers(5).lines(50_000).rate(5_000).start(Elasticsearch::shared());
    for documents in [10_000, 25_000] {
        run.until_indexed(documents);
        run.agent.kill();
        run.agent.start();
    }
    run.assert_exactly_once();
}

#[test]
#[ignore = "needs the rig: make test"]
fn lines_written_while_the_agent_is_down_arrive_when_it_is_back() {
    let mut run = Scenario::new("down").containers(2).lines(20_000).rate(5_000).start(Elasticsearch::shared());
    run.until_indexed(2_000);
    assert!(run.agent.stop(Duration::from_secs(10)).success());
    run.wait_for_containers();
    run.agent.start();
    run.assert_exactly_once();
}

#[test]
#[ignore = "needs the rig: make test"]
fn elasticsearch_stopped_in_the_middle_loses_and_doubles_nothing() {
    let mut run =
        Scenario::new("outage").containers(4).lines(80_000).rate(5_000).start(Elasticsearch::own("outage", &[]));
    run.until_indexed(15_000);
    run.elasticsearch.stop();
    run.elasticsearch.start(&[]);
    run.until_indexed(30_000);
    run.elasticsearch.kill();
    run.elasticsearch.start(&[]);
    run.assert_exactly_once();
}

#[test]
#[ignore = "needs the rig: make test"]
fn elasticsearch_frozen_in_the_middle_loses_and_doubles_nothing() {
    let mut run =
        Scenario::new("frozen").containers(2).lines(40_000).rate(5_000).start(Elasticsearch::own("frozen", &[]));
    run.until_indexed(10_000);
    run.elasticsearch.pause();
    run.wait_for_containers();
    run.elasticsearch.resume();
    run.assert_exactly_once();
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_full_disk_costs_no_line_also_where_the_agent_starts_on_one() {
    let mut run =
        Scenario::new("disk").containers(2).lines(60_000).rate(5_000).disk(256 << 10).start(Elasticsearch::shared());
    run.until_indexed(2_000);
    run.disk.as_ref().unwrap().fill();
    run.agent.wait_for_log("cursors can't be written", Duration::from_secs(30));
    run.until_indexed(10_000);
    run.agent.kill();
    run.agent.start();
    run.until_indexed(20_000);
    run.disk.as_ref().unwrap().clear();
    run.agent.wait_for_log("cursors can be written again", Duration::from_secs(30));
    run.assert_exactly_once();
}

#[test]
#[ignore = "needs the rig: make test"]
fn containers_that_remove_themselves_are_read_in_time() {
    let run = Scenario::new("removed").containers(10).lines(30).option("--rm").start(Elasticsearch::shared());
    run.assert_exactly_once();
}
