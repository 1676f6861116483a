//! `elkhound test` and `elkhound trace`, as an operator meets them.

use std::fs;

use crate::harness::{Folder, elkhound, repository};

/// Exit code and standard output of `elkhound test FOLDER …`, the folder's path left out.
fn test(folder: &Folder, more: &[&str]) -> (i32, String) {
    let output = elkhound(&[&["test", folder.text()], more].concat(), "");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said.replace(&format!("{}/", folder.text()), ""))
}

const PIPELINE: &str = "input { tcp { port => 5000 } }\nfilter {\n  grok { match => { \"message\" => \"%{WORD:verb} %{INT:n:int}\" } }\n}\noutput { elasticsearch { } }\n";

#[test]
fn the_pipeline_that_operators_start_from_has_cases_and_they_pass() {
    let output = elkhound(&["test", &repository("deploy").to_string_lossy()], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.ends_with(" passed, 0 failed\n"), "{said}");
    assert!(!said.starts_with("0 passed"), "no case was run");
}

#[test]
fn pipelines_as_operators_have_them_do_what_their_cases_say() {
    let output = elkhound(&["test", &repository("tests/cases").to_string_lossy()], "");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let passed = said.strip_suffix(" passed, 0 failed\n").and_then(|count| count.parse::<usize>().ok());
    assert!(output.status.success() && passed.is_some_and(|passed| passed >= 46), "{said}");
}

#[test]
fn a_failing_case_is_told_field_by_field() {
    let cases = "- name: right\n  lines: [add 5]\n  expect: [{ verb: add, n: 5 }]\n- name: wrong\n  lines: [add 5]\n  expect: [{ verb: sub, n: 5, more: true }]\n";
    let folder = Folder::of("failing", &[("a.conf", PIPELINE), ("a.test.yml", cases)]);
    let expected = "FAIL a.test.yml:4: wrong\n  event 1\n    [more]\n      - true\n      + not there\n    [verb]\n      - \"sub\"\n      + \"add\"\n1 passed, 1 failed\n";
    assert_eq!(test(&folder, &[]), (1, expected.to_owned()));
}

#[test]
fn the_outcome_is_written_for_a_ci() {
    let cases = r#"{"match": "exact", "cases": [{"name": "one", "events": [{"message": "add 5"}], "expect": [{"message": "add 5", "verb": "add", "n": 5}]}]}"#;
    let folder = Folder::of("junit", &[("a.conf", PIPELINE), ("a.test.json", cases)]);
    let report = folder.0.join("report.xml");
    assert_eq!(test(&folder, &["--junit", report.to_str().unwrap()]), (0, "1 passed, 0 failed\n".to_owned()));
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("tests=\"1\" failures=\"0\"") && report.contains("<testcase name=\"one\""), "{report}");
}

#[test]
fn mistakes_in_case_files_have_place_and_remedy() {
    let cases = "- nam: a\n  lines: [x]\n  expect: []\n";
    let folder = Folder::of("mistake", &[("a.conf", PIPELINE), ("a.test.yml", cases)]);
    let expected = "MISTAKE a.test.yml:1: `nam` is not known\n  help: did you mean `name`?\nMISTAKE a.test.yml:1: the case has no `name`\n  help: say in a few words what it shows, as `name: …`\n0 passed, 0 failed\n";
    assert_eq!(test(&folder, &[]), (2, expected.to_owned()));
}

#[test]
fn a_refused_pipeline_fails_its_cases_and_is_explained_once() {
    let cases = "- { name: a, lines: [x], expect: [] }\n- { name: b, lines: [x], expect: [] }\n";
    let folder = Folder::of("refused", &[("a.conf", "filter { grk { } }"), ("a.test.yml", cases)]);
    let (code, said) = test(&folder, &[]);
    assert_eq!(code, 1);
    assert_eq!(said.matches("there is no filter called `grk`").count(), 1, "{said}");
    assert!(
        said.ends_with("FAIL a.test.yml:2: b\n  its pipeline is refused, see above\n0 passed, 2 failed\n"),
        "{said}"
    );
}

#[test]
fn a_folder_without_cases_is_no_success() {
    let folder = Folder::of("none", &[("a.conf", PIPELINE)]);
    let (code, said) = test(&folder, &[]);
    assert_eq!(code, 1);
    assert!(said.contains("holds no case files; they are called NAME.test.yml"), "{said}");
}

#[test]
fn an_event_is_traced_from_standard_input() {
    let folder = Folder::of("trace", &[("a.conf", PIPELINE)]);
    let path = folder.0.join("a.conf");
    let output = elkhound(&["trace", "-f", path.to_str().unwrap()], "add 5\n");
    let said = String::from_utf8(output.stdout).unwrap().replace(&format!("{}/", folder.0.display()), "");
    // How far in lines stand depends on the length of the path.
    let lines: Vec<String> = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let begin = [
        "event 1 {\"message\":\"add 5\"}",
        "a.conf:3:3 grok",
        "+ [n] 5",
        "+ [verb] \"add\"",
        "event 1 comes out and goes to elasticsearch (a.conf:5:10)",
    ];
    assert!(output.status.success() && lines.starts_with(&begin.map(str::to_owned)), "{said}");
}

#[test]
fn a_trace_for_programs_is_a_line_for_each_event() {
    let text = "filter { if [n] in [1, 2] { drop { } } }";
    let arguments = ["trace", "-e", text, "--format", "json", "--event", "{\"n\":1}", "--event", "{\"n\":3}"];
    let output = elkhound(&arguments, "");
    let lines: Vec<serde_json::Value> =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["steps"][1]["dropped"], &lines[0]["results"]), (&true.into(), &serde_json::json!([])));
    assert_eq!((&lines[1]["steps"][0]["taken"], &lines[1]["results"][0]["event"]["n"]), (&false.into(), &3.into()));
}
