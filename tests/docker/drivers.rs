//! Every log driver that the engine has here, and what is said of those that keep nothing.

use std::time::Duration;

use super::{numbered, run};
use crate::harness::{Container, Engine, Journal, Shipment, eventually};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs the rig: make test"]
fn a_driver_that_keeps_nothing_is_said_once_with_a_remedy() {
    let mut shipment = Shipment::start("none", "auto", "");
    let options = ["--log-driver".into(), "none".into()];
    let container = run(&shipment, &options, "echo lost");
    container.wait();
    let readable = run_second(&shipment, "echo kept");
    readable.wait();
    shipment.until_printed("kept", LIMIT);
    let said = shipment.agent.wait_for_log("can't be read, its log driver keeps none", Duration::from_secs(30));
    assert!(said.contains(container.name()) && said.contains("json-file or local"), "{said}");
    shipment.stop();
    let warnings =
        shipment.agent.log().lines().filter(|line| line.contains(container.name()) && line.contains("WARN")).count();
    assert_eq!(warnings, 1, "{}", shipment.agent.log());
}

fn run_second(shipment: &Shipment, script: &str) -> Container {
    Container::run(&format!("{}-second", shipment.container()), &[], script)
}

#[test]
#[ignore = "needs the rig: make test"]
fn an_engine_is_read_over_plain_tcp_with_the_log_driver_local() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("tcp://127.0.0.1:{port}");
    let engine = Engine::start("plain", vec![format!("--host={address}"), "--tls=false".into()]);
    // `auto` finds no files of this driver, and reads through the API what the engine has compressed and rotated.
    let mut shipment = Shipment::elsewhere("plain", "auto", &[("DOCKER_HOST", &address)]);
    let script = r#"echo first; awk 'BEGIN { for (i = 0; i < 40960; i++) printf "y"; print "" }'; echo last"#;
    engine.run(&shipment.container(), &["--log-driver=local"], script);
    // Where reading begins within the long line, what is behind it comes first.
    let messages = eventually("three lines", LIMIT, || {
        let mut messages = shipment.messages();
        messages.sort();
        if messages.len() > 2 { Ok(messages) } else { Err(format!("{} lines", messages.len())) }
    });
    shipment.stop();
    assert_eq!(messages, ["first", "last", &"y".repeat(40_960)]);
    assert_eq!(shipment.messages().len(), 3);
}

#[test]
#[ignore = "needs the rig: make test"]
fn lines_that_the_engine_keeps_in_the_journal_are_whole_and_go_on_after_a_restart() {
    let _journal = Journal::start();
    let mut shipment = Shipment::start("journald", "auto", "");
    // In one go: the journal's pieces have stamps of their own, and belong together when they are close.
    let long = r#"awk 'BEGIN { line = sprintf("%40000s", ""); gsub(" ", "y", line); print line }'"#;
    let script = format!("{long}; {}", numbered(600, 20));
    let container = run(&shipment, &["--log-driver=journald".into()], &script);
    shipment.until_printed("line 200", LIMIT);
    shipment.stop();
    shipment.restart("auto", "");
    container.wait();
    // The last of each stream.
    shipment.until_printed("line 599", LIMIT);
    shipment.until_printed("line 600", LIMIT);
    shipment.stop();
    assert_eq!(shipment.numbers(), (1..=600).collect::<Vec<u64>>());
    let printed = shipment.printed();
    assert_eq!(printed.iter().filter(|line| line.stream() == "stderr").count(), 60);
    let long = printed.iter().filter(|line| line.number().is_none());
    let long: Vec<(usize, &str)> = long.map(|line| (line.message().len(), line.timestamp())).collect();
    assert!(matches!(long[..], [(40_000, _)]), "{long:?}");
}

#[test]
#[ignore = "needs the rig: make test"]
fn the_engines_own_copy_is_read_where_the_driver_sends_lines_away() {
    // Nobody listens there, and nobody has to.
    let syslog = ["--log-driver=syslog", "--log-opt=syslog-address=udp://127.0.0.1:9"];
    let long = "y".repeat(40_000);
    let script = r#"echo one; echo two >&2; awk 'BEGIN { line = sprintf("%40000s", ""); gsub(" ", "y", line); print line }'; printf 'no end'"#;
    for read in ["api", "auto"] {
        let mut shipment = Shipment::start(&format!("syslog-{read}"), read, "");
        let container = run(&shipment, &syslog.map(str::to_owned), script);
        let lost = Container::run(
            &format!("{}-lost", shipment.container()),
            &[&syslog[..], &["--log-opt=cache-disabled=true"]].concat(),
            "echo lost",
        );
        container.wait();
        shipment.until_events(4, LIMIT);
        let said = shipment.agent.wait_for_log("can't be read, its log driver keeps none", LIMIT);
        assert!(said.contains(lost.name()) && said.contains("or drop cache-disabled"), "{said}");
        shipment.stop();
        let mut messages = shipment.messages();
        messages.sort();
        assert_eq!(messages, ["no end", "one", "two", &long], "{read}");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_line_of_more_than_a_megabyte_is_whole_with_the_driver_local() {
    // The driver takes no record of more than 1 MB; the engine cuts lines into pieces long before.
    let script = r#"awk 'BEGIN { part = sprintf("%1000s", ""); gsub(" ", "y", part); for (i = 0; i < 1500; i++) printf "%s", part; print "" }'; echo end"#;
    let mut shipment = Shipment::with_options("megabyte", "auto", "max_line_bytes => '2 MiB'");
    let container = run(&shipment, &["--log-driver=local".into()], script);
    container.wait();
    // Where reading begins within the line, what is behind it comes first.
    let lengths = eventually("both lines", LIMIT, || {
        let mut lengths: Vec<usize> = shipment.messages().iter().map(String::len).collect();
        lengths.sort_unstable();
        if lengths.len() > 1 { Ok(lengths) } else { Err(format!("{lengths:?}")) }
    });
    shipment.stop();
    assert_eq!(lengths, [3, 1_500_000]);
}
