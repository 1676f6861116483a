//! Settings files as an operator has them. Each folder of `settings/` is one for `--path.settings`; its `told.txt` is what `elkhound -t` prints
//! about it, word for word. `UPDATE=1 cargo test -p elkhound --test main settings` writes them anew, for a person to read.
//!
//! `${CASE}` is the folder itself, and `${SECRET}` comes from its file `secret`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{elkhound, elkhound_in, repository};

#[test]
fn every_folder_is_told_about_as_its_file_says() {
    let wrong: Vec<String> = cases().iter().filter_map(|case| difference(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_in_force_is_printed_with_where_it_comes_from() {
    let folder = repository("tests/settings/sound");
    let folder = folder.to_string_lossy();
    let environment = [("PIPELINE_BATCH_SIZE", "77"), ("CASE", &*folder), ("SECRET_FILE", &format!("{folder}/secret"))];
    let output = elkhound_in(&environment, &["settings", "--path.settings", &folder, "-w", "3"], "");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let line = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{said}"));
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ").replace(&*folder, "")
    };
    assert_eq!(line("pipeline.workers"), "3 flag -w");
    assert_eq!(line("pipeline.batch.size"), "77 environment PIPELINE_BATCH_SIZE");
    assert_eq!(line("pipeline.batch.delay"), "5 /logstash.yml:4:12");
    assert_eq!(line("pipeline.ordered"), "auto default");
    assert_eq!(line("api.auth.basic.password"), "(secret) /logstash.yml:6:26");
    assert_eq!(line("node.name"), "${SECRET}-node /logstash.yml:7:12");
    assert!(said.contains("[out] pipeline.workers"), "{said}");
}

#[test]
fn a_bad_value_in_the_environment_is_named_with_its_variable() {
    let output = elkhound_in(&[("PIPELINE_WORKERS", "many")], &["-t", "-e", "input { stdin {} }"], "");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(said, "elkhound: `PIPELINE_WORKERS=many` in the environment: it takes a whole number\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let output = elkhound(&["-t", "--path.settings", "/nowhere/at-all", "-e", "input { stdin {} }"], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "elkhound: `--path.settings /nowhere/at-all`: there is no such folder\n");
}

/// What is printed for a case, where that is not what its file says.
fn difference(case: &Path) -> Option<String> {
    let folder = case.to_string_lossy();
    let environment = [("CASE", &*folder), ("SECRET_FILE", &format!("{folder}/secret"))];
    let output = elkhound_in(&environment, &["-t", "--path.settings", &folder], "");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap().replace(&format!("{folder}/"), "");
    let golden = case.join("told.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&golden, &said).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    let refused = expected.contains(": error[");
    (said != expected || output.status.code() != Some(i32::from(refused)))
        .then(|| format!("{folder}: {}, printed:\n{said}expected:\n{expected}", output.status))
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> =
        fs::read_dir(repository("tests/settings")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 5, "the cases have gone");
    cases
}
