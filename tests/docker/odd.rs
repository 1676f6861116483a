//! Logs that are odd: times that repeat and go back, and lines that cost a pattern too much.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

use super::run;
use crate::harness::{Container, Printed, Shipment, eventually};

const LIMIT: Duration = Duration::from_secs(60);

/// So many records of one stream with one time, which the engine itself gives to no two lines of a stream.
fn records(first: u64, lines: u64, stream: &str, nanos: u64) -> String {
    (first..first + lines).fold(String::new(), |mut text, number| {
        writeln!(text, r#"{{"log":"line {number}\n","stream":"{stream}","time":"2026-11-20T08:00:00.{nanos:09}Z"}}"#)
            .expect("a text takes everything");
        text
    })
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_thousand_lines_of_one_time_arrive_once_and_times_that_go_back_cost_no_line() {
    for (first, second) in [("api", "auto"), ("auto", "api")] {
        let mut shipment = Shipment::start(&format!("times-{first}"), first, "");
        // Two threads write: the lines of one stream are behind those of the other, by up to half a second.
        let both = (0..500).map(|at| {
            records(2 * at + 1, 1, "stdout", 500_000_000 + at) + &records(2 * at + 2, 1, "stderr", 1_000 * at)
        });
        let mut log: String = both.collect();
        let mut then = |shipment: &mut Shipment, container: &Container, read: &str, records: &str, last: u64| {
            log += records;
            fs::write(container.log_path(), &log).unwrap();
            shipment.restart(read, "");
            shipment.until_printed(&format!("line {last}\""), LIMIT);
            shipment.stop();
            let printed = shipment.printed();
            let gaps: Vec<_> = printed.iter().filter_map(|line| Some((line.gap()?, line.stream()))).collect();
            assert!(gaps.is_empty(), "{first}, then {second}, up to line {last}, with {read}: {gaps:?}");
        };
        shipment.stop();
        let container = run(&shipment, &[], "true");
        container.wait();
        then(&mut shipment, &container, first, &records(1_001, 500, "stdout", 700_000_000), 1_500);
        // What follows has the time of what is safe.
        then(&mut shipment, &container, second, &records(1_501, 500, "stdout", 700_000_000), 2_000);
        assert_eq!(shipment.numbers(), (1..=2_000).collect::<Vec<u64>>(), "{first}, then {second}");
        // The clock is set back, and the last line of this stream is far back. Whoever reads again may send lines once more, under the identities they had.
        then(&mut shipment, &container, second, &records(2_001, 10, "stderr", 100), 2_010);
        // The line that is marked now is stamped earlier than others before it.
        then(&mut shipment, &container, second, &records(2_011, 10, "stderr", 200), 2_020);
        let numbers: BTreeSet<u64> = shipment.printed().iter().filter_map(Printed::number).collect();
        assert!(numbers.into_iter().eq(1..=2_020), "{first}, then {second}");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn behind_a_file_that_was_rotated_away_lines_arrive_though_the_clock_was_set_back() {
    let mut shipment = Shipment::start("steps-gone", "auto", "");
    let container = run(&shipment, &[], "true");
    container.wait();
    append(&container, 1, 12);
    shipment.until_printed("line 200\"", LIMIT);
    shipment.stop();
    // As after rotations while nobody read: another file is there, with older lines.
    let log = container.log_path();
    let away = log.with_extension("away");
    fs::rename(&log, &away).unwrap();
    append(&container, 201, 8);
    fs::remove_file(away).unwrap();
    shipment.restart("auto", "");
    shipment.until_printed("line 400\"", LIMIT);
    assert_eq!(shipment.numbers(), (1..=400).collect::<Vec<u64>>());
    assert_eq!(shipment.printed().iter().filter_map(Printed::gap).count(), 1);
    shipment.stop();
}

/// Appends 200 lines of the standard output, written from that hour on, a microsecond apart, as the engine does it.
fn append(container: &Container, first: u64, hour: u32) {
    let record = |number: u64| {
        let micros = number - first;
        format!(
            "{{\"log\":\"line {number}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-20T{hour:02}:00:00.{micros:06}Z\"}}\n"
        )
    };
    let text: String = (first..first + 200).map(record).collect();
    let mut log = fs::File::options().append(true).create(true).open(container.log_path()).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_clock_that_is_set_ahead_and_back_while_lines_are_read_costs_and_doubles_none() {
    for read in ["api", "auto"] {
        let mut shipment = Shipment::start(&format!("steps-{read}"), read, "");
        let container = run(&shipment, &[], "sleep 600");
        let mut last = 0;
        // Ahead, far back, and to the very time that was before.
        for hour in [9, 12, 7, 9] {
            append(&container, last + 1, hour);
            last += 200;
            shipment.until_printed(&format!("line {last}\""), LIMIT);
        }
        assert_eq!(shipment.numbers(), (1..=last).collect::<Vec<u64>>(), "{read}");
        shipment.stop();
        // Set back while nobody reads: the new lines are older than all that is safe.
        append(&container, last + 1, 8);
        shipment.restart(read, "");
        shipment.until_printed(&format!("line {}\"", last + 200), LIMIT);
        let numbers: BTreeSet<u64> = shipment.printed().iter().filter_map(Printed::number).collect();
        assert!(numbers.into_iter().eq(1..=last + 200), "{read}");
        assert_eq!(shipment.printed().iter().filter_map(Printed::gap).count(), 0, "{read}");
        shipment.stop();
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn lines_that_cost_a_pattern_too_much_delay_no_other_container() {
    // Each line is the worst for a pattern: long ones for that of the filter, and many short ones for those of the container's own hints.
    let script = r#"awk 'BEGIN { line = sprintf("%65536s", ""); gsub(" ", "a", line); short = substr(line, 1, 60); for (k = 0; k < 2000; k++) { print line "!"; for (j = 0; j < 20; j++) print short } print "over" }'"#;
    let grok = r#"if [message] =~ /^aaa/ { grok { match => { "message" => "^(a+)+$" } } mutate { replace => { "message" => "costly" } } }"#;
    let hints = ["multiline.pattern=^(a+)+\\1!$", "exclude_lines=^(a+)+\\1\\d$"];
    for read in ["api", "auto"] {
        let mut shipment = Shipment::start(&format!("costly-{read}"), read, grok);
        let labels = hints.map(|hint| format!("--label=co.elastic.logs/{hint}"));
        let _costly = run(&shipment, &labels, script);
        shipment.until_printed("costly", LIMIT);
        let quiet = format!("{}-quiet", shipment.container());
        let _quiet =
            Container::run(&quiet, &[], "while :; do read now rest </proc/uptime; echo $now; usleep 300000; done");
        let mut delays = Vec::new();
        for _ in 0..5 {
            // Of what is written from now on: the container's first lines wait for the agent to learn of it.
            let from = uptime();
            let written = eventually("a line of the quiet container", LIMIT, || {
                let printed = shipment.printed();
                let lines = printed.iter().filter(|line| line.name() == quiet);
                let mut written = lines.map(|line| seconds(line.message()));
                written.find(|written| *written >= from).ok_or_else(|| "none".to_owned())
            });
            delays.push(uptime() - written);
        }
        // What delays one line may be the load of the machine; what delays them all is the pattern.
        let least = delays.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{read}: {delays:?} seconds");
        assert!(least < 1.0, "{read}: {delays:?} seconds");
        assert!(!shipment.messages().iter().any(|text| text == "over"), "all was over by then");
        shipment.agent.wait_for_log("patterns of this container's hints cost too much", LIMIT);
        shipment.stop();
    }
}

/// How long the machine runs, which its containers see as well.
fn uptime() -> f64 {
    seconds(&fs::read_to_string("/proc/uptime").unwrap())
}

fn seconds(text: &str) -> f64 {
    text.split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text:?} begins with no number"))
}
