//! What Docker really does to a log, and what arrives of it: through the API, from the files, and by one after the other.
//!
//! What an agent on a Docker host has to survive, and which test shows that this one does. `tidy` sees to it that they are there.
//!
//! | what happens | test | what no test shows |
//! |---|---|---|
//! | one log file of 10 KB, 5,000 lines a second, Elasticsearch stands still | `stalled::while_elasticsearch_stands_still_nothing_is_lost_that_docker_keeps_and_the_rest_is_told` | for longer than some seconds |
//! | the same with five files of 1 MB, rotated three times meanwhile | the same | |
//! | the agent is killed while it sends | `delivery::an_agent_killed_in_the_middle_goes_on_where_it_was`, `faults::whatever_goes_wrong_nothing_is_lost_and_nothing_doubled` | |
//! | an object of 100 KiB with the other stream between its pieces, last words without an end | `docker::a_long_line_is_whole_with_the_other_stream_between_its_pieces_and_the_last_words_arrive` | |
//! | a character on the edge of two pieces | `docker::a_character_on_the_edge_of_two_pieces_survives_and_a_line_beyond_the_limit_is_marked` | with json-file, which spoils it itself |
//! | times that go back from stream to stream, 1,000 lines of one time | `odd::a_thousand_lines_of_one_time_arrive_once_and_times_that_go_back_cost_no_line` | by a container, for the engine gives no two lines of a stream one time: the log is written by the test |
//! | a terminal, a line of 40 KiB, colours | `docker::a_terminals_lines_are_whole_and_without_its_carriage_returns` | |
//! | containers that live for a moment, five a second | `delivery::containers_that_remove_themselves_are_read_in_time`, `make short-lived` | |
//! | tasks of a Swarm that crash every two seconds, and are removed | `swarm::tasks_that_crash_and_are_removed_arrive_whole_and_all_tell_which_they_are` | |
//! | restart, pause, a new name | `docker::a_container_is_followed_through_restart_pause_and_a_new_name` | |
//! | the engine ends and comes back with another socket | `docker::an_engine_that_comes_back_with_a_new_socket_is_read_on` | |
//! | the drivers `local`, `journald`, `syslog` with the engine's copy and without, `none` | `drivers::` `a_line_of_more_than_a_megabyte_is_whole_with_the_driver_local`, `lines_that_the_engine_keeps_in_the_journal_are_whole_and_go_on_after_a_restart`, `the_engines_own_copy_is_read_where_the_driver_sends_lines_away`, `a_driver_that_keeps_nothing_is_said_once_with_a_remedy` | a record of `local` above 1 MB: no container can make one, for the engine cuts lines into 16 KiB |
//! | Swarm's labels, of which one is the beginning of another's name, in one index | `swarm::tasks_that_crash_and_are_removed_arrive_whole_and_all_tell_which_they_are` | |
//! | answers with 201, 409, 400, 429, 403 and 503 in one, of more than 1 MB; 413; a reset behind the commit | `sender::only_what_can_be_mended_is_sent_again_and_the_rest_is_acknowledged_at_once`, `sender::a_request_too_large_is_halved_until_it_fits`, `faults::whatever_goes_wrong_nothing_is_lost_and_nothing_doubled`, `rejection::requests_that_a_proxy_finds_too_large_are_halved_and_a_blocked_index_is_waited_for` | |
//! | a good pipeline, a broken one, a good one; a stop while Elasticsearch is away | `reload::lines_that_flow_while_a_pipeline_changes_five_times_arrive_once`, `reload::what_a_blocked_output_holds_is_read_again_by_the_new_pipeline`, `shutdown::a_stop_ends_at_its_deadline_and_loses_nothing` | both in one |
//! | `^(a+)+$` on lines of 64 KiB in a grok, the like on short ones as hints | `odd::lines_that_cost_a_pattern_too_much_delay_no_other_container` | where the queue is on disk, which is worked off as it came |
//! | `[x] > 1` on a text, a date that is none, an index without its field | `conformance` (`cond.jsonl`, `date.jsonl`), `dead_letters::what_cannot_be_made_a_document_is_listed_shown_replayed_and_removed` | |
//! | a restart over many large logs that were never rotated | `make many`; `docker::a_large_log_is_read_on_after_a_restart_and_not_once_more` | |
//! | a node is drained while it is busy, and activated again | `deploy::a_swarm_keeps_every_line_through_a_change_of_the_pipeline_and_a_drain` | |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::harness::{Container, Engine, Folder, Printed, Shipment, certificates, eventually};

mod drivers;
mod odd;
mod stalled;
mod swarm;

/// Numbered lines, every tenth of them to standard error, at a rate that leaves time to do something meanwhile.
fn numbered(lines: usize, each_tenth_of_a_second: usize) -> String {
    format!(
        "i=0; while [ $i -lt {lines} ]; do \
         awk -v a=$i -v n={each_tenth_of_a_second} -v m={lines} 'BEGIN {{ for (k = a + 1; k <= a + n && k <= m; k++) \
         if (k % 10) print \"line\", k; else print \"line\", k > \"/dev/stderr\" }}'; \
         i=$((i + {each_tenth_of_a_second})); usleep 100000; done"
    )
}

/// Numbered lines of 150 bytes, as fast as can be or so many every twentieth of a second.
fn wide(lines: usize, each_twentieth: Option<usize>) -> String {
    let (step, pause) = each_twentieth.map_or((lines, 0), |lines| (lines, 50_000));
    in_steps(lines, &step.to_string(), pause)
}

/// The same, so many microseconds between steps. `step` is the number of lines in the shell's own words, as it is when a step begins.
fn in_steps(lines: usize, step: &str, pause: u32) -> String {
    let filler = "x".repeat(130);
    format!(
        "i=0; while [ $i -lt {lines} ]; do n={step}; \
         awk -v a=$i -v n=$n -v m={lines} 'BEGIN {{ for (k = a + 1; k <= a + n && k <= m; k++) print \"line\", k, \"{filler}\" }}'; \
         i=$((i + n)); usleep {pause}; done"
    )
}

fn rotated(size: &str, files: u32) -> [String; 4] {
    ["--log-opt".into(), format!("max-size={size}"), "--log-opt".into(), format!("max-file={files}")]
}

fn run(shipment: &Shipment, options: &[String], script: &str) -> Container {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Container::run(&shipment.container(), &options, script)
}

#[test]
#[ignore = "needs the rig: make test"]
fn api_and_files_go_on_where_the_other_was() {
    for (first, second) in [("api", "files"), ("files", "api"), ("auto", "api"), ("api", "auto")] {
        let mut shipment = Shipment::start(&format!("turns-{first}-{second}"), first, "");
        let container = run(&shipment, &rotated("100k", 5), &numbered(1_500, 30));
        shipment.until_printed("line 400", Duration::from_secs(60));
        shipment.stop();
        shipment.restart(second, "");
        container.wait();
        // The last of each stream: the engine may take them up in either order.
        shipment.until_printed("line 1499", Duration::from_secs(60));
        shipment.until_printed("line 1500", Duration::from_secs(60));
        shipment.stop();
        let numbers = shipment.numbers();
        assert_eq!(numbers, (1..=1_500).collect::<Vec<u64>>(), "{first}, then {second}");
        let errors = shipment.printed().iter().filter(|line| line.stream() == "stderr").count();
        assert_eq!(errors, 150, "{first}, then {second}");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn from_files_nothing_is_missing_that_docker_keeps_at_20_000_lines_a_second() {
    every_hole_is_told("files-20k", "auto", &rotated("1m", 3), &wide(100_000, Some(1_000)), 100_000);
}

#[test]
#[ignore = "needs the rig: make test"]
fn from_files_nothing_is_missing_that_docker_keeps_of_a_container_at_full_speed() {
    every_hole_is_told("files-full", "auto", &rotated("10m", 3), &wide(300_000, None), 300_000);
}

#[test]
#[ignore = "needs the rig: make test"]
fn through_the_api_no_line_is_missing_without_a_word() {
    every_hole_is_told("api-full", "api", &rotated("1m", 3), &wide(200_000, None), 200_000);
}

#[test]
#[ignore = "needs the rig: make test"]
fn through_the_api_no_line_is_missing_without_a_word_where_much_is_kept() {
    every_hole_is_told("api-kept", "api", &rotated("10m", 3), &wide(300_000, None), 300_000);
}

#[test]
#[ignore = "needs the rig: make test"]
fn through_the_api_a_slow_log_loses_nothing_in_its_rotations() {
    let lines = 4_000;
    // As many files as it takes for an agent on a busy machine, which may be some seconds late, to find what it has not read yet.
    let holes = every_hole_is_told("api-slow", "api", &rotated("100k", 9), &wide(lines, Some(20)), lines as u64);
    assert_eq!(holes, 0);
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_log_of_one_file_loses_nothing_without_a_word() {
    for read in ["auto", "api"] {
        let mut shipment = Shipment::start(&format!("single-{read}"), read, SHORT);
        let container = run(&shipment, &rotated("100k", 1), &wide(20_000, Some(100)));
        let said = shipment.agent.wait_for_log("log settings lose lines", Duration::from_secs(30));
        assert!(said.contains(container.name()) && said.contains("max-file=3"), "{said}");
        container.wait();
        let missing = holes_are_told(&mut shipment, 20_000);
        println!("{read}: {missing} lines of a single file are missing, and all of them are told");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn compressed_logs_lose_nothing_without_a_word() {
    for read in ["auto", "api"] {
        let mut options = rotated("100k", 5).to_vec();
        options.extend(["--log-opt".into(), "compress=true".into()]);
        let missing = every_hole_is_told(&format!("gz-{read}"), read, &options, &wide(20_000, Some(100)), 20_000);
        println!("{read}: {missing} lines of a compressed log are missing");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn what_is_rotated_away_while_the_agent_is_down_is_told_and_the_rest_arrives() {
    for (number, (first, second)) in [("auto", "auto"), ("api", "api"), ("auto", "api")].into_iter().enumerate() {
        let mut shipment = Shipment::start(&format!("down-{number}"), first, SHORT);
        let container = run(&shipment, &rotated("100k", 3), &wide(6_000, Some(50)));
        shipment.until_printed("line 300", Duration::from_secs(60));
        shipment.stop();
        container.wait();
        // What the engine itself has lost must not be looked for in the agent.
        assert!(container.lines().last().is_some_and(|line| line.starts_with("line 6000 ")), "the engine lost lines");
        shipment.restart(second, "");
        let missing = holes_are_told(&mut shipment, 6_000);
        assert!(missing > 1_000, "{missing} lines are missing; what three files hold are no 5,000 lines");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_large_log_is_read_on_after_a_restart_and_not_once_more() {
    let mut shipment = Shipment::start("place", "auto", "if [message] =~ /^x/ { drop { } }");
    let own = format!("filter_name => \"{}\"", shipment.container());
    let bulk = r#"awk 'BEGIN { x = sprintf("%150s", ""); gsub(" ", "x", x); for (k = 0; k < 100000; k++) print x }'"#;
    let script = format!("{bulk}; i=0; while :; do i=$((i + 1)); echo line $i; usleep 20000; done");
    let container = run(&shipment, &[], &script);
    shipment.until_printed("line 1\"", Duration::from_secs(120));
    shipment.stop();
    let mut most = 0;
    for _ in 0..2 {
        let last = shipment.numbers().pop().expect("it was printed");
        shipment.restart("auto", &own);
        shipment.until_printed(&format!("line {}\"", last + 50), Duration::from_secs(60));
        most = most.max(shipment.agent.bytes_read());
        shipment.stop();
    }
    let (numbers, size) = (shipment.numbers(), container.log_size());
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<u64>>());
    assert!(most < 2_000_000 && size > 20_000_000, "{most} bytes were read after a restart, of {size}");
}

#[test]
#[ignore = "needs the rig: make test"]
fn an_offset_leads_to_the_line_in_its_file() {
    let mut shipment = Shipment::with_options("offset", "auto", "offset => true");
    let long = r#"awk 'BEGIN { for (i = 0; i < 40960; i++) printf "y"; print "" }'"#;
    let container = run(&shipment, &rotated("100k", 5), &format!("{}; {long}; echo end >&2", numbered(1_000, 500)));
    container.wait();
    shipment.until_events(1_002, Duration::from_secs(60));
    shipment.stop();
    let files = container.log_files();
    assert!(files.len() > 1, "the log was not rotated");
    let printed = shipment.printed();
    assert_eq!(printed.len(), 1_002);
    for event in &printed {
        let record = format!("{{\"log\":\"{}", &event.message()[..event.message().len().min(16 << 10)]);
        let is_there = |text: &String| text.get(event.offset()..).is_some_and(|rest| rest.starts_with(&record));
        assert!(files.iter().any(is_there), "{} is not at {}", &record[..30.min(record.len())], event.offset());
    }
}

/// How many characters of a timestamp are no part of a second.
const SECOND: usize = "2026-11-20T08:00:00".len();

/// Takes out what makes lines long, once it has served.
const SHORT: &str = "mutate { gsub => [\"message\", \" x+\", \"\"] }";

/// Ships a container's numbered lines; those that do not arrive must be exactly where the events of gaps say, none may arrive twice.
/// Returns how many are missing.
fn every_hole_is_told(name: &str, read: &str, options: &[String], script: &str, lines: u64) -> u64 {
    let mut shipment = Shipment::start(name, read, SHORT);
    let container = run(&shipment, options, script);
    container.wait();
    let missing = holes_are_told(&mut shipment, lines);
    let printed = shipment.printed();
    let arrived: BTreeSet<u64> = printed.iter().filter_map(Printed::number).collect();
    let kept: Vec<u64> = container.lines().iter().filter_map(|line| number_in(line)).collect();
    assert!(kept.contains(&lines), "the engine itself has lost the end");
    assert_eq!(kept.iter().find(|number| !arrived.contains(number)), None, "Docker has it still, and it is missing");
    // Where rotated files are compressed nobody can tell what stood before the first line, nor can the API.
    if read != "api" && !options.contains(&"compress=true".to_owned()) {
        let told = |event: &Printed| event.gap().is_some();
        assert!(
            arrived.first() == Some(&1) || printed.iter().any(told),
            "nobody told that the first lines are missing"
        );
    }
    println!("{name}: {missing} of {lines} lines are missing, and all of them are told");
    missing
}

/// The number in a container's own line.
fn number_in(line: &str) -> Option<u64> {
    line.strip_prefix("line ")?.split(' ').next()?.parse().ok()
}

/// Waits for the last line; what is missing before it has to be told, and nothing may be there twice. Returns how many are missing.
fn holes_are_told(shipment: &mut Shipment, lines: u64) -> u64 {
    shipment.until_printed(&format!("line {lines}\""), Duration::from_secs(120));
    shipment.stop();
    told_holes(&shipment.printed(), lines)
}

/// Fails if a line is there twice, or one is missing where no gap was told. Returns how many are missing.
fn told_holes(printed: &[Printed], lines: u64) -> u64 {
    let mut arrived: Vec<(u64, &str)> =
        printed.iter().filter_map(|line| Some((line.number()?, line.timestamp()))).collect();
    arrived.sort_unstable();
    let doubled = arrived.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
    assert_eq!(doubled, 0, "lines arrived twice");
    let gaps: Vec<(&str, &str)> = printed.iter().filter_map(Printed::gap).collect();
    let holes: Vec<_> = arrived.windows(2).filter(|pair| pair[0].0 + 1 < pair[1].0).collect();
    for hole in &holes {
        let told = gaps.iter().any(|(start, end)| *start <= hole[0].1 && *end >= hole[1].1);
        assert!(told, "nobody told what is missing between {:?} and {:?}; told was {gaps:?}", hole[0], hole[1]);
    }
    assert_eq!(arrived.last().map(|line| line.0), Some(lines));
    lines - arrived.len() as u64
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_terminals_lines_are_whole_and_without_its_carriage_returns() {
    // Colours, then a line of 40 KiB, which the engine cuts into three, then one without an end.
    let script = r#"printf '\033[1;31mred\033[0m\n'; awk 'BEGIN { for (i = 0; i < 40960; i++) printf "y"; print "" }'; printf 'no end'"#;
    let expected = |red: &str| BTreeSet::from([red.to_owned(), "y".repeat(40_960), "no end".to_owned()]);
    for (read, strip) in [("api", true), ("api", false), ("auto", true), ("auto", false)] {
        let options = if strip { "strip_ansi => true" } else { "" };
        let mut shipment = Shipment::with_options(&format!("tty-{read}-{strip}"), read, options);
        let container = run(&shipment, &["--tty".into()], script);
        container.wait();
        // Where reading begins within the long line, what is behind it comes first.
        shipment.until_events(3, Duration::from_secs(60));
        shipment.stop();
        let red = if strip { "red" } else { "\u{1b}[1;31mred\u{1b}[0m" };
        let messages = shipment.messages();
        assert_eq!(messages.len(), 3, "{read} {options}");
        assert_eq!(BTreeSet::from_iter(messages), expected(red), "{read} {options}");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_long_line_is_whole_with_the_other_stream_between_its_pieces_and_the_last_words_arrive() {
    // An object of 100 KiB whose pieces come a tenth of a second apart, lines of the other stream between them, and a death in mid-line.
    let script = r#"
        piece() { awk 'BEGIN { for (i = 0; i < 25600; i++) printf "z" }'; }
        printf '{"a":"'; piece; echo e1 >&2; usleep 100000; piece; echo e2 >&2; piece; usleep 100000; piece; printf '"}\n'
        printf 'panic: no end'; exit 1"#;
    let object = format!(r#"{{"a":"{}"}}"#, "z".repeat(102_400));
    for (read, driver) in [("api", "json-file"), ("auto", "json-file"), ("api", "local")] {
        let mut shipment = Shipment::start(&format!("long-{read}-{driver}"), read, "");
        let container = run(&shipment, &["--log-driver".into(), driver.into()], script);
        container.wait();
        shipment.until_events(4, Duration::from_secs(60));
        shipment.stop();
        let mut messages = shipment.messages();
        messages.sort();
        assert_eq!(messages, ["e1", "e2", "panic: no end", object.as_str()], "{read} {driver}");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_character_on_the_edge_of_two_pieces_survives_and_a_line_beyond_the_limit_is_marked() {
    // The second byte of the letter is the first one of the next piece. json-file puts U+FFFD there before anybody can read it.
    let script = r#"awk 'BEGIN { for (i = 0; i < 16383; i++) printf "a"; print "äb" }'; awk 'BEGIN { for (i = 0; i < 50000; i++) printf "c"; print "" }'; echo end"#;
    let mut shipment = Shipment::with_options("edge", "api", "max_line_bytes => 40000");
    let container = run(&shipment, &["--log-driver".into(), "local".into()], script);
    container.wait();
    shipment.until_events(3, Duration::from_secs(60));
    shipment.stop();
    let expected = [format!("{}äb", "a".repeat(16_383)), "c".repeat(40_000), "end".to_owned()];
    // A line whose middle was being written when following began comes with the reading after it.
    let mut printed = shipment.printed();
    printed.sort_by(|one, other| one.message().cmp(other.message()));
    assert_eq!(printed.iter().map(Printed::message).collect::<Vec<_>>(), expected);
    let flags: Vec<_> = printed.iter().map(Printed::flags).collect();
    assert_eq!(flags, [vec![], vec!["truncated".to_owned()], vec![]]);
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_container_is_followed_through_restart_pause_and_a_new_name() {
    for read in ["api", "auto", "files"] {
        let mut shipment = Shipment::start(&format!("life-{read}"), read, "");
        // Each start goes on counting where the last one was.
        let script = "while :; do i=$(($(cat /tmp/n 2>/dev/null || echo 0) + 1)); echo $i > /tmp/n; echo line $i; usleep 20000; done";
        let mut container = run(&shipment, &[], script);
        shipment.until_printed("line 20", Duration::from_secs(60));
        for verb in ["pause", "unpause", "restart"] {
            container.tell(&[verb]);
        }
        let name = format!("{}-renamed", shipment.container());
        container.rename(&name);
        shipment.until_printed(&format!("\"name\":\"{name}\""), Duration::from_secs(60));
        container.tell(&["stop", "--time", "0"]);
        let written = container.lines();
        let last = written.last().expect("it has written").clone();
        shipment.until_printed(&format!("\"{last}\""), Duration::from_secs(60));
        shipment.stop();
        assert_eq!(shipment.messages(), written, "{read}");
        let names: Vec<String> = shipment.printed().iter().map(Printed::name).collect();
        assert_eq!((names.first(), names.last()), (Some(&shipment.container()), Some(&name)));
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn an_engine_that_comes_back_with_a_new_socket_is_read_on() {
    let mut engine = Engine::start("back", Vec::new());
    for read in ["api", "auto"] {
        let mut shipment = Shipment::elsewhere(&format!("back-{read}"), read, &[("DOCKER_HOST", &engine.host())]);
        let name = shipment.container();
        // It ends when it is told to, and goes on counting when the engine starts it again.
        let script = "trap exit TERM; while :; do i=$(($(cat /tmp/n 2>/dev/null || echo 0) + 1)); echo $i > /tmp/n; echo line $i; usleep 20000; done";
        engine.run(&name, &["--restart=always"], script);
        shipment.until_printed("line 20", Duration::from_secs(60));
        engine.stop();
        shipment.agent.assert_running();
        engine.resume();
        let before = shipment.numbers().last().copied().unwrap_or_default();
        shipment.until_printed(&format!("line {}\"", before + 50), Duration::from_secs(60));
        assert!(engine.docker(&["stop", &name]).output().unwrap().status.success());
        let written = engine.lines(&name);
        let last = written.last().expect("it has written").clone();
        shipment.until_printed(&format!("\"{last}\""), Duration::from_secs(60));
        shipment.stop();
        assert_eq!(shipment.messages(), written, "{read}");
        assert!(engine.docker(&["rm", &name]).output().unwrap().status.success());
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn an_engine_behind_tls_is_read_by_whoever_has_the_keys() {
    let keys = Folder::new("engine-keys");
    certificates(&keys.0);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("tcp://127.0.0.1:{port}");
    let key = |option: &str, name: &str| format!("--{option}={}", keys.0.join(name).display());
    let options = vec![
        format!("--host={address}"),
        "--tlsverify".into(),
        key("tlscacert", "ca.pem"),
        key("tlscert", "server-cert.pem"),
        key("tlskey", "server-key.pem"),
    ];
    let engine = Engine::start("tls", options);
    let folder = keys.text();
    let environment = [("DOCKER_HOST", address.as_str()), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", folder)];
    let mut shipment = Shipment::elsewhere("tls", "api", &environment);
    engine.run(&shipment.container(), &[], "echo over tls");
    shipment.until_printed("over tls", Duration::from_secs(60));
    shipment.stop();
    assert_eq!(shipment.messages(), ["over tls"]);

    std::fs::remove_file(keys.0.join("cert.pem")).unwrap();
    let pipeline = "input { docker { read => api } } output { stdout { } }";
    let mut refused =
        environment.iter().fold(crate::harness::Agent::new("tls-refused", pipeline), |agent, (name, value)| {
            agent.environment(name, value)
        });
    refused.start();
    let said = refused.wait_for_log("can't be read; it is tried again", Duration::from_secs(30));
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("alert: "), "{said}");
    refused.kill();
}

#[test]
#[ignore = "needs the rig: make test"]
fn pipelines_for_logspout_get_what_they_got() {
    for read in ["api", "auto"] {
        let mut shipment = Shipment::with_options(&format!("logspout-{read}"), read, "format => logspout");
        let options = ["--env=LOGSTASH_TAGS=shop,prod", "--env=LOGSTASH_FIELDS=tier=web", "--hostname=web-1"];
        let script = r#"echo plain; echo '{"user":{"id":7},"stream":"x","message":"in json"}'; echo last"#;
        let container = run(&shipment, &options.map(str::to_owned), script);
        container.wait();
        shipment.until_printed("last", Duration::from_secs(60));
        shipment.stop();
        let image = std::env::var("RIG_IMAGE").unwrap();
        let name = shipment.container();
        let rest = format!(r#""docker":{{"hostname":"web-1","image":"{image}","name":"/{name}"}}"#);
        let common = r#""stream":"stdout","tags":["shop","prod"],"tier":"web""#;
        let expected = [
            format!(r#"{{"@version":"1",{rest},"message":"plain",{common}}}"#),
            format!(r#"{{"@version":"1",{rest},"message":"in json",{common},"user":{{"id":7}}}}"#),
            format!(r#"{{"@version":"1",{rest},"message":"last",{common}}}"#),
        ];
        let events: Vec<String> =
            shipment.printed().iter().map(|event| event.without(&["/@timestamp", "/docker/id"])).collect();
        assert_eq!(events, expected, "{read}");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn containers_that_nobody_wants_are_left_out() {
    let cases = [
        ("exclude_labels => [\"noisy\"]", "--label=noisy=true", "--label=noisy=false"),
        ("", "--env=LOGSPOUT=ignore", "--env=LOGSPOUT=read"),
        ("opt_in => true", "--label=any=thing", "--label=co.elastic.logs/enabled=true"),
        ("filter_labels => [\"tier:web*\"]", "--label=tier=db", "--label=tier=web-1"),
    ];
    for (number, (options, unwanted, wanted)) in cases.into_iter().enumerate() {
        for read in ["api", "auto"] {
            let mut shipment = Shipment::with_options(&format!("wanted-{number}-{read}"), read, options);
            let left_out = run(&shipment, &[unwanted.to_owned()], "echo unwanted");
            left_out.wait();
            let kept = Container::run(&format!("{}-kept", shipment.container()), &[wanted], "echo wanted");
            kept.wait();
            shipment.until_printed("wanted", Duration::from_secs(60));
            shipment.stop();
            assert_eq!(shipment.messages(), ["wanted"], "{read} {options}");
        }
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn more_containers_than_may_catch_up_at_once_are_all_read() {
    let mut shipment = Shipment::start("many", "api", "");
    let containers: Vec<Container> = (0..20)
        .map(|number| {
            let name = format!("{}-{number}", shipment.container());
            // They live on, silent, while others wait for their turn.
            Container::run(&name, &[], &format!("echo line {number}; sleep 1000"))
        })
        .collect();
    for number in 0..containers.len() {
        shipment.until_printed(&format!("line {number}\""), Duration::from_secs(60));
    }
    shipment.stop();
    assert_eq!(shipment.numbers(), (0..20).collect::<Vec<u64>>());
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_rate_limit_lets_pass_so_many_lines_and_says_how_many_others_there_were() {
    for read in ["api", "auto"] {
        let options = "rate_limit => 100 filter_sources => [\"stdout\"] sequence => true";
        let mut shipment = Shipment::with_options(&format!("rate-{read}"), read, options);
        let script = "awk 'BEGIN { for (k = 1; k <= 1000; k++) print \"line\", k }'; echo unwanted >&2";
        // It lives on: what was suppressed is told though nothing comes behind it.
        let _container = run(&shipment, &[], &format!("{script}; sleep 1000"));
        eventually(&format!("{read}: all lines printed or counted"), Duration::from_secs(60), || {
            let printed = shipment.printed();
            let mut seconds: BTreeMap<&str, u64> = BTreeMap::new();
            let numbered = printed.iter().filter(|line| line.number().is_some());
            numbered.for_each(|line| *seconds.entry(&line.timestamp()[..SECOND]).or_default() += 1);
            let lines: u64 = seconds.values().sum();
            let suppressed: u64 = printed.iter().filter_map(Printed::suppressed).sum();
            let said = format!("{seconds:?} and {suppressed} suppressed");
            // The slower the machine, the more seconds the burst takes, each with its hundred.
            let limited = seconds.values().all(|lines| *lines <= 100) && suppressed > 0;
            if limited && lines + suppressed == 1000 { Ok(()) } else { Err(said) }
        });
        shipment.stop();
        let printed = shipment.printed();
        assert!(printed.iter().all(|line| line.message() != "unwanted" && line.stream() == "stdout"));
        let places: Vec<u64> = printed.iter().filter_map(Printed::sequence).collect();
        assert!(places.len() >= 100 && places.is_sorted_by(|one, next| one < next), "{places:?}");
        assert!(shipment.agent.log().contains("more lines than rate_limit lets pass"));
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_container_at_full_speed_does_not_keep_another_one_waiting() {
    for read in ["api", "auto"] {
        let name = format!("fair-{read}");
        // Of the loud one's lines only each thousandth is printed.
        let filter = "if [message] =~ /^noise/ and [message] !~ /000$/ { drop { } }";
        let mut shipment = Shipment::start(&name, "api", filter);
        shipment.stop();
        let loud = Container::run(
            &format!("{}-loud", shipment.container()),
            &[],
            "awk 'BEGIN { for (k = 1; k <= 400000; k++) print \"noise\", k }'",
        );
        loud.wait();
        let quiet = run(&shipment, &[], "echo quiet");
        quiet.wait();
        shipment.restart(read, "");
        shipment.until_printed("noise 400000\"", Duration::from_secs(120));
        shipment.stop();
        let messages = shipment.messages();
        let at = |text: &str| messages.iter().position(|message| message == text);
        let (quiet, half) = (at("quiet").expect("the quiet one's line"), at("noise 200000").unwrap());
        assert!(quiet < half, "{read}: the quiet line came as number {quiet}, behind half of the others");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_container_asks_by_filebeats_labels_for_its_lines_to_be_joined_or_left_out_or_read_as_json() {
    for (number, (read, options)) in
        [("api", &[][..]), ("api", &rotated("1m", 2)), ("auto", &[])].into_iter().enumerate()
    {
        let mut shipment = Shipment::start(&format!("hints-{number}"), read, "");
        let labels = ["multiline.pattern=^\\s", "multiline.timeout=1s", "exclude_lines=^noise, ^more noise"];
        let labels = labels.map(|label| format!("--label=co.elastic.logs/{label}"));
        let options: Vec<String> = labels.into_iter().chain(options.to_vec()).collect();
        // It lives on: the last event is complete because nothing more comes.
        let script = "echo noise; echo 'error: one'; echo '  at a'; echo '  at b'; echo aside >&2; echo more noise; echo two; sleep 1000";
        let joined = run(&shipment, &options, script);
        shipment.until_printed("\"two\"", Duration::from_secs(60));
        shipment.until_printed("aside", Duration::from_secs(60));
        let json = ["--label=co.elastic.logs/json.message_key=msg"];
        let script = r#"echo '{"msg":"in json","level":"info"}'"#;
        let decoded = Container::run(&format!("{}-json", shipment.container()), &json, script);
        shipment.until_printed("in json", Duration::from_secs(60));
        shipment.stop();
        let of = |container: &Container| -> Vec<String> {
            let printed = shipment.printed();
            let mut messages: Vec<String> = printed
                .iter()
                .filter(|event| event.name() == container.name())
                .map(|event| event.message().to_owned())
                .collect();
            messages.sort();
            messages
        };
        assert_eq!(of(&joined), ["aside", "error: one\n  at a\n  at b", "two"], "{read}");
        assert_eq!(of(&decoded), ["in json"], "{read}");
        let flags = shipment.printed().iter().find(|event| event.message().starts_with("error")).map(Printed::flags);
        assert_eq!(flags, Some(vec!["multiline".to_owned()]), "{read}");
    }
}
