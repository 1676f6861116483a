//! The agent run once, to its end: for what needs no engine and no node.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use super::agent::binary;

/// A path below the root of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    let root = std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
    root.join(path)
}

/// What `elkhound -t -f FILE` answers: its exit code, and all it prints.
pub(crate) fn check(pipeline: &Path) -> (Option<i32>, String) {
    let output = elkhound(&["-t", "-f", &pipeline.to_string_lossy()], "");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// What comes out of a pipeline with `stdin` and `stdout` for these lines.
pub(crate) fn pipe(pipeline: &str, lines: &str) -> String {
    let output = elkhound(&["-w", "1", "-e", pipeline], lines);
    assert!(
        output.status.success(),
        "the agent ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs it with these arguments and this standard input until it ends.
pub(crate) fn elkhound(arguments: &[&str], input: &str) -> Output {
    elkhound_in(&[], arguments, input)
}

/// The same with these environment variables.
pub(crate) fn elkhound_in(environment: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary())
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().expect("it was asked for");
    let input = input.to_owned();
    // From a thread of its own: whoever writes all before he reads can wait for ever.
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    output
}
