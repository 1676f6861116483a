//! Several pipelines in one agent, and the ways between them. Neither Docker nor Elasticsearch is needed.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use crate::harness::{binary, elkhound, elkhound_in, eventually, signal};

/// A folder of settings with a `pipelines.yml` and a data folder, and the agent that runs on it. Ended and removed when dropped.
struct Several {
    folder: PathBuf,
    child: Option<Child>,
}

impl Several {
    /// Pipelines by name, with further settings after the text, each as `name: value`.
    fn new(name: &str, pipelines: &[(&str, &str, &[&str])]) -> Self {
        let folder = std::env::temp_dir().join(format!("elkhound-test-several-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("data")).unwrap();
        let entry = |(id, text, settings): &(&str, &str, &[&str])| {
            let settings: String = settings.iter().map(|setting| format!("  {setting}\n")).collect();
            format!("- pipeline.id: {id}\n  config.string: |\n    {text}\n  pipeline.workers: 1\n{settings}")
        };
        fs::write(folder.join("pipelines.yml"), pipelines.iter().map(entry).collect::<String>()).unwrap();
        Self { folder, child: None }
    }

    fn settings(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    fn data(&self) -> String {
        self.folder.join("data").to_string_lossy().into_owned()
    }

    /// Runs it to its end.
    fn pipe(&self, lines: &str) -> Output {
        elkhound(&["--path.settings", &self.settings(), "--path.data", &self.data()], lines)
    }

    /// What it prints for these lines, a JSON object a line, sorted.
    fn events(&self, lines: &str) -> Vec<serde_json::Value> {
        let output = self.pipe(lines);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts it with a standard input that is held open.
    fn start(&mut self, data: &str) {
        let child = Command::new(binary())
            .args(["--path.settings", &self.settings(), "--path.data", data])
            .stdin(Stdio::piped())
            .stdout(File::create(self.folder.join("out")).unwrap())
            .stderr(File::create(self.folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was started")
    }

    /// Waits until one of its files, `out` or `log`, has a text.
    fn wait_for(&self, file: &str, text: &str) {
        eventually(&format!("`{text}` in {file}"), Duration::from_secs(30), || {
            let found = fs::read_to_string(self.folder.join(file)).unwrap();
            if found.contains(text) { Ok(()) } else { Err(found.chars().take(2000).collect()) }
        });
    }

    fn wait(&mut self) -> ExitStatus {
        eventually("the end of the agent", Duration::from_secs(30), || {
            self.child().try_wait().unwrap().ok_or_else(|| "it runs".to_owned())
        })
    }
}

impl Drop for Several {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const INTAKE: &str =
    "input { stdin { codec => json_lines } } filter { mutate { add_field => { \"[@metadata][way]\" => \"far\" } } }";
const PRINT: &str = "output { stdout { codec => json_lines } }";

fn event(name: &str) -> String {
    format!(
        "{{\"@timestamp\":\"2026-11-21T09:43:24.123456789Z\",\"@version\":\"1\",\"host\":\"h\",\"message\":\"{name}\"}}\n"
    )
}

#[test]
fn events_travel_with_their_metadata_and_all_ends_with_the_source() {
    let intake = format!("{INTAKE} output {{ pipeline {{ send_to => [\"print\"] }} }}");
    let print = format!(
        "input {{ pipeline {{ address => \"print\" }} }} filter {{ mutate {{ add_field => {{ \"way\" => \"%{{[@metadata][way]}}\" }} }} }} {PRINT}"
    );
    let several = Several::new("chain", &[("print", &print, &[]), ("intake", &intake, &[])]);
    let events = several.events(&(event("one") + &event("two")));
    let expected = |name: &str| {
        let mut expected: serde_json::Value = serde_json::from_str(&event(name)).unwrap();
        expected["way"] = "far".into();
        expected
    };
    assert_eq!(events, [expected("one"), expected("two")]);
}

#[test]
fn a_fork_copies_and_a_condition_chooses() {
    let intake = format!(
        "{INTAKE} output {{ if [message] == \"both\" {{ pipeline {{ send_to => [\"a\", \"b\"] }} }} else {{ pipeline {{ send_to => \"b\" }} }} }}"
    );
    let tagging = |name: &str| {
        format!(
            "input {{ pipeline {{ address => \"{name}\" }} }} filter {{ mutate {{ replace => {{ \"host\" => \"{name}\" }} }} }} output {{ pipeline {{ send_to => \"print\" }} }}"
        )
    };
    let print = format!("input {{ pipeline {{ address => \"print\" }} }} {PRINT}");
    let pipelines: [(&str, &str, &[&str]); 4] =
        [("intake", &intake, &[]), ("a", &tagging("a"), &[]), ("b", &tagging("b"), &[]), ("print", &print, &[])];
    let several = Several::new("fork", &pipelines);
    let events = several.events(&(event("both") + &event("one")));
    let mut seen: Vec<String> = events
        .iter()
        .map(|event| format!("{} {}", event["message"].as_str().unwrap(), event["host"].as_str().unwrap()))
        .collect();
    seen.sort();
    assert_eq!(seen, ["both a", "both b", "one b"]);
}

#[test]
fn many_events_all_arrive_over_small_batches() {
    let intake = "input { generator { count => 20000 } } output { pipeline { send_to => [\"print\"] } }";
    let print = "input { pipeline { address => \"print\" } } output { stdout { codec => dots } }";
    let several = Several::new(
        "many",
        &[("intake", intake, &["pipeline.batch.size: 7"]), ("print", print, &["pipeline.batch.delay: 1"])],
    );
    let output = several.pipe("");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.len(), 20_000);
}

#[test]
fn a_stop_ends_all_of_them_though_the_source_never_does() {
    let intake = "input { generator { } } output { pipeline { send_to => [\"next\"] } }";
    let next = "input { pipeline { address => \"next\" } } filter { drop { } } output { stdout { } }";
    let mut several = Several::new("stop", &[("intake", intake, &[]), ("next", next, &[])]);
    let data = several.data();
    several.start(&data);
    several.wait_for("log", "elkhound starts");
    signal(several.child().id(), "TERM");
    assert!(several.wait().success());
    let log = fs::read_to_string(several.folder.join("log")).unwrap();
    let ended = |id: &str| log.lines().position(|line| line.contains("has ended") && line.contains(id)).unwrap();
    assert!(ended("intake") < ended("next"), "{log}");
}

#[test]
fn a_pipeline_that_fails_does_not_end_the_others() {
    let broken = "input { docker { } } output { stdout { } }";
    let sound = format!("input {{ stdin {{ codec => json_lines }} }} {PRINT}");
    let mut several = Several::new("fails", &[("broken", broken, &[]), ("sound", &sound, &[])]);
    // A folder below a file can't be made, so the cursors can't be kept.
    several.start(&several.folder.join("pipelines.yml").to_string_lossy());
    several.wait_for("log", "its pipeline ends");
    several.child().stdin.as_mut().unwrap().write_all(event("after").as_bytes()).unwrap();
    several.wait_for("out", "\"after\"");
    drop(several.child().stdin.take());
    assert_eq!(several.wait().code(), Some(1));
}

#[test]
fn pipelines_given_by_flag_go_before_the_file() {
    let several = Several::new("flag", &[("print", &format!("input {{ stdin {{ }} }} {PRINT}"), &[])]);
    let pipeline = "input { stdin { } } output { stdout { codec => dots } }";
    let output = elkhound(&["--path.settings", &several.settings(), "-e", pipeline], "a\nb\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "..");
    assert!(said.contains("pipelines.yml is ignored, for `-e"), "{said}");
}

#[test]
fn a_secret_from_a_file_is_used_and_never_shown() {
    let several = Several::new("secret", &[]);
    let path = several.folder.join("password");
    fs::write(&path, "swordfish-7\n").unwrap();
    let path = path.to_string_lossy();
    let pipeline = "input { generator { count => 1 message => \"${WORD}\" } } output { stdout { codec => line } elasticsearch { hosts => [\"http://u:${WORD}@:x:\"] } }";
    let output = elkhound_in(&[("WORD_FILE", &path)], &["-t", "-e", pipeline], "");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("`http://u:${WORD}@:x:` is no address"), "{said}");
    assert!(!said.contains("swordfish"), "{said}");

    let pipeline =
        "input { generator { count => 1 message => \"it is ${WORD}\" } } output { stdout { codec => line } }";
    let output = elkhound_in(&[("WORD_FILE", &path)], &["-e", pipeline], "");
    assert!(String::from_utf8(output.stdout).unwrap().ends_with(" it is swordfish-7\n"));

    let output = elkhound_in(&[("WORD_FILE", "/nowhere/word")], &["-t", "-e", pipeline], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("error[unreadable-variable]: the variable `WORD` has no value: /nowhere/word can't be read"),
        "{said}"
    );
}
