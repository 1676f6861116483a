//! The agent alone, as somebody meets it on a terminal: flags, files, readable events. Neither Docker nor Elasticsearch is needed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::harness::{Agent, Folder, binary, elkhound, output_of, pipe};

/// An event whose every field is given, so that nothing of the machine is in the output.
const EVENT: &str = "{\"@timestamp\":\"2026-11-21T09:43:24.000Z\",\"@version\":\"1\",\"host\":\"h\",\"message\":\"a\",\"n\":1.5,\"list\":[1,\"b\"]}\n";

#[test]
fn version_is_one_line() {
    let output = elkhound(&["-V"], "");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), concat!("elkhound ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_reader_that_has_read_enough_is_nobodys_trouble() {
    for arguments in [&["docs"][..], &["docs", "grok"], &["settings"], &["-t", "-e", "input { stdin {} }"]] {
        let mut command = std::process::Command::new(binary());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.args(arguments).stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.is_empty(), "{arguments:?}: {}: {said}", output.status);
    }
}

#[test]
fn the_log_has_the_form_and_the_level_that_are_asked_for() {
    let said = |flags: &[&str]| {
        let pipeline = ["-e", "input { generator { count => 1 } } output { null { } }"];
        let output = elkhound(&[&pipeline, flags].concat(), "");
        assert!(output.status.success(), "{flags:?}: {}", output.status);
        String::from_utf8(output.stderr).unwrap()
    };
    let plain = said(&[]);
    assert!(plain.contains(" INFO elkhound has stopped\n"), "{plain}");
    let json = said(&["--log.format", "json"]);
    let entries: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = entries.last().unwrap();
    assert_eq!((&last["level"], &last["message"]), (&"INFO".into(), &"elkhound has stopped".into()));
    assert_eq!(said(&["--log.level", "error"]), "");
}

#[test]
fn the_shell_completes_commands_and_flags() {
    let completed = |words: &[&str]| {
        let script = format!(
            "source <({} completions bash); COMP_WORDS=({}); COMP_CWORD={}; _elkhound elkhound '{}' elkhound; echo \"${{COMPREPLY[*]}}\"",
            binary().display(),
            words.join(" "),
            words.len() - 1,
            words[words.len() - 1]
        );
        output_of(std::process::Command::new("bash").args(["-c", &script]))
    };
    assert_eq!(completed(&["elkhound", "se"]), "settings setup");
    assert_eq!(completed(&["elkhound", "setup", "--ki"]), "--kibana");
    assert_eq!(completed(&["elkhound", "--pipeline.wo"]), "--pipeline.workers");
    for (shell, first) in [("zsh", "#compdef elkhound\n"), ("fish", "# ")] {
        let output = elkhound(&["completions", shell], "");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(first) && text.contains("pipeline.workers"), "{shell}: {text}");
    }
}

#[test]
fn top_prints_what_an_agent_does_where_nobody_watches_and_says_when_there_is_none() {
    let pipeline = "input { file { path => \"/nowhere/*.log\" } } output { null { id => \"nowhere\" } }";
    let mut agent = Agent::new("top", pipeline).environment("API_HTTP_PORT", "9790-9799");
    agent.start();
    let line = agent.wait_for_log("the monitoring API answers", Duration::from_secs(30));
    let url = line.split([' ', '=']).find(|word| word.starts_with("http://") || word.starts_with("127.")).unwrap();
    let url = format!("http://{}", url.trim_start_matches("http://").trim_end_matches('/'));
    let output = elkhound(&["top", "--url", &url], "");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.starts_with("elkhound "), "{said}");
    assert!(said.contains("\npipeline main   in ") && said.contains("\nnowhere "), "{said}");
    drop(agent);
    let output = elkhound(&["top", "--url", &url], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.starts_with("elkhound: elkhound does not answer: "), "{said}");
}

#[test]
fn manual_pages_tell_every_flag_that_help_does() {
    for (command, title) in [(&[][..], "elkhound"), (&["setup"], "elkhound-setup"), (&["dlq"], "elkhound-dlq")] {
        let said = |arguments: &[&str]| String::from_utf8(elkhound(arguments, "").stdout).unwrap();
        let (help, page) = (said(&[command, &["--help"]].concat()), said(&[&["man"], command].concat()));
        assert!(page.contains(&format!(".TH {title} 1 ")), "{page}");
        // A hyphen of the page has a backslash before it, and so do the dots in some places.
        let plain = page.replace('\\', "");
        let flags: Vec<&str> = help.split([' ', '=', '[', '\n']).filter(|word| word.starts_with("--")).collect();
        assert!(!flags.is_empty() || title == "elkhound-dlq", "{help}");
        for flag in flags {
            assert!(plain.contains(flag), "{title}: {flag}");
        }
    }
    let output = elkhound(&["man", "setp"], "");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "elkhound: there is no command `setp`; did you mean `setup`?\n"
    );
}

#[test]
fn an_unknown_flag_is_named() {
    let output = elkhound(&["--path.confg", "x"], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("'--path.confg'") && said.contains("--path.config"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = elkhound(&["-t", "-f", "/nowhere/at-all.conf"], "");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("/nowhere/at-all.conf"), "{said}");
}

#[test]
fn what_another_program_writes_is_checked() {
    let output = elkhound(&["-t", "-f", "/dev/stdin"], "input { stdin { } } output { stdout { } }");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Configuration OK\n");
    let output = elkhound(&["-t", "-f", "/dev/stdin"], "input { stdin { } } output { stdot { } }");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/dev/stdin:1:30"), "{output:?}");
}

#[test]
fn events_are_printed_for_people() {
    let out = pipe("input { stdin { codec => json_lines } } output { stdout { } }", EVENT);
    let expected = "{\n    \"@timestamp\" => 2026-11-21T09:43:24.000Z,\n      \"@version\" => \"1\",\n          \"host\" => \"h\",\n       \"message\" => \"a\",\n             \"n\" => 1.5,\n          \"list\" => [\n        [0] 1,\n        [1] \"b\"\n    ]\n}\n";
    assert_eq!(out, expected);
}

#[test]
fn the_current_time_can_be_put_into_an_event() {
    let filters = "mutate { add_field => { now => '%{{TIME_NOW}}' } } date { match => [now, 'ISO8601'] }";
    let pipeline = format!(
        "input {{ stdin {{ codec => json_lines }} }} filter {{ {filters} }} output {{ stdout {{ codec => line {{ format => '%{{+%s}}' }} }} }}"
    );
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = seconds();
    let now: u64 = pipe(&pipeline, EVENT).trim().parse().unwrap();
    assert!((before..=seconds()).contains(&now), "{now}");
}

#[test]
fn events_are_printed_for_programs() {
    let out = pipe("input { stdin { codec => json_lines } } output { stdout { codec => json_lines } }", EVENT);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&out).unwrap(),
        serde_json::from_str::<serde_json::Value>(EVENT).unwrap()
    );
}

/// What comes out of a pipeline, one event on a line, for `read` on standard input.
fn piped(input: &str, output: &str, read: &str) -> String {
    pipe(&format!("input {{ stdin {{ {input} }} }} output {{ stdout {{ codec => {output} }} }}"), read)
}

#[test]
fn codecs_read_and_write() {
    let format = "line { format => '%{[host][hostname]}|%{message}|%{[event][original]}|%{tags}' }";
    let out = piped("codec => line { delimiter => ';' } tags => ['t']", format, "one;two\n");
    let messages: Vec<String> =
        out.split_terminator("t\n").map(|line| line[line.find('|').unwrap()..].into()).collect();
    assert_eq!(messages, ["|one|one|", "|two\n|two\n|"]);
    assert_eq!(piped("", "dots", "a\nb\nc"), "...");
}

#[test]
fn every_input_heeds_the_common_options() {
    let options = "type => app tags => ['a', '%{n}'] add_field => { '[x][y]' => 'n=%{n}' }";
    let format = "line { format => '%{type} %{tags} %{[x][y]}' }";
    assert_eq!(
        piped(&format!("codec => json {options}"), format, "{\"n\":1}\n{\"n\":2,\"type\":\"own\"}\n"),
        "app a,1 n=1\nown a,2 n=2\n"
    );
    let generator = format!(
        "input {{ generator {{ count => 1 message => 'm' {options} }} }} output {{ stdout {{ codec => {format} }} }}"
    );
    assert_eq!(pipe(&generator, ""), "app a,%{n} n=%{n}\n");
}

#[test]
fn an_output_may_do_nothing() {
    assert_eq!(pipe("input { generator { count => 3 } } output { null { } }", ""), "");
}

#[test]
fn documentation_of_codecs_is_printed() {
    let said = String::from_utf8(elkhound(&["docs", "json_lines"], "").stdout).unwrap();
    assert!(said.starts_with("# codec json_lines\n") && said.contains("`decode_size_limit_bytes`"), "{said}");
}

#[test]
fn files_of_a_folder_are_joined_in_name_order() {
    let parts = [
        ("30-out.conf", "output { stdout { codec => json_lines } }"),
        ("20-b.conf", "filter { grok { match => { \"[a]\" => \"(?<b>.)\" } } }"),
        ("20-a.conf", "filter { grok { match => { \"message\" => \"(?<a>.)\" } } }"),
        ("10-in.conf", "input { stdin { codec => json_lines } }"),
    ];
    let folder = Folder::of("joined", &parts);
    let output = elkhound(&["-w", "1", "-f", folder.text()], EVENT);
    let event: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&event["a"], &event["b"]), (&"a".into(), &"a".into()));
}

#[test]
fn an_elasticsearch_that_cannot_be_reached_is_named_and_holds_up_no_end() {
    let pipeline = "input { generator { count => 10 } } output { elasticsearch { hosts => [\"http://127.0.0.1:9\"] } }";
    let mut agent = Agent::new("no-node", pipeline);
    agent.start();
    agent.wait_for_log("127.0.0.1:9", Duration::from_secs(20));
    let begun = Instant::now();
    agent.stop(Duration::from_secs(15));
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
}
#[test]
fn an_engine_that_cannot_be_reached_is_named_and_waited_for() {
    let mut agent = Agent::new("no-engine", "input { docker { } } output { stdout { } }")
        .environment("DOCKER_HOST", "unix:///nowhere/docker.sock");
    agent.start();
    agent.wait_for_log("/nowhere/docker.sock", Duration::from_secs(20));
    assert!(agent.stop(Duration::from_secs(10)).success());
}
