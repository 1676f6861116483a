//! The shape of the source that ARCHITECTURE.md promises, as far as a program can see it.
//!
//! It reads text, not syntax: the formatter has laid the code out, so a closing brace stands under the line that it closes. What clippy and the
//! compiler can see is theirs (`make lint`).

use std::fs;
use std::path::{Path, PathBuf};

/// Above this a file holds more than one thing.
const LONGEST_FILE: usize = 600;
/// Above this nobody reads a function in one go.
const LONGEST_FUNCTION: usize = 100;
/// What opens a socket, a file or a process, waits, or asks for the time of day.
// Of std::net the addresses are plain data.
const WORLD: [&str; 11] = [
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::process",
    "std::env",
    "tokio::net",
    "tokio::fs",
    "tokio::process",
    "SystemTime::now",
    "thread::sleep",
];

/// One file of the repository, its path as seen from the root.
struct Source {
    path: String,
    text: String,
}

#[test]
fn every_module_says_what_it_is() {
    let silent = rust().into_iter().filter(|file| !file.text.starts_with("//!"));
    none(silent.map(|file| file.path), "begin with a '//!' that says what they are, promise and leave out");
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let files = rust().into_iter().filter(|file| production(file).lines().count() > LONGEST_FILE);
    none(files.map(|file| file.path), &format!("hold more than {LONGEST_FILE} production lines"));
    let functions = rust().into_iter().flat_map(|file| long_functions(&file));
    none(functions, &format!("are longer than {LONGEST_FUNCTION} lines"));
}

#[test]
fn the_pipeline_touches_nothing_outside_it() {
    let sources = below("pipeline/src").into_iter().chain(below("config/src")).filter(is_rust);
    let touching = sources.flat_map(|file| {
        let found = WORLD.iter().filter(|word| code(production(&file)).contains(*word)).copied();
        found.map(|word| format!("{}: {word}", file.path)).collect::<Vec<_>>()
    });
    none(touching, "reach out of packages that must not");
}

#[test]
fn the_language_depends_on_nothing() {
    let manifest = fs::read_to_string(root().join("config/Cargo.toml")).unwrap();
    let listed = manifest.split("\n[").find(|part| part.starts_with("dependencies]")).unwrap_or_default();
    let entries = listed.lines().skip(1).filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    none(entries.map(str::to_owned), "are dependencies of config, which has none");
}

#[test]
fn what_is_left_to_do_names_its_issue() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let loose = lines_where(|line| words.iter().any(|word| line.contains(word)) && !line.contains("issue"));
    none(loose, "leave something to do without naming an issue");
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    let names = [
        "/work/".to_owned(),
        "/root/".to_owned(),
        ["elastic", ".co/"].concat(),
        ["ghcr", ".io"].concat(),
        ["quay", ".io"].concat(),
    ];
    // Documentation on the web may be linked; an image may not be named with its registry.
    let named = lines_where(|line| names.iter().any(|name| line.contains(name)) && !line.contains("https://www."));
    none(
        named.into_iter().filter(|line| !line.starts_with("tests/tidy.rs")),
        "name a developer's machine or a registry",
    );
}

#[test]
fn the_tests_that_the_table_of_docker_names_are_there() {
    let table = fs::read_to_string(root().join("tests/docker.rs")).unwrap();
    let rows: String = table.lines().filter(|line| line.starts_with("//! |")).collect();
    let spans = rows.split('`').skip(1).step_by(2).map(|span| span.rsplit("::").next().unwrap_or(span));
    // A test's name is a sentence.
    let names: Vec<&str> = spans.filter(|name| name.matches('_').count() > 2).collect();
    assert!(names.len() > 20, "{names:?}");
    let sources = rust();
    let is_there = |name: &str| sources.iter().any(|file| file.text.contains(&format!("fn {name}()")));
    none(names.into_iter().filter(|name| !is_there(name)).map(str::to_owned), "are tests that nobody has written");
}

/// Fails with the list of those that break a rule.
fn none(offenders: impl IntoIterator<Item = String>, what: &str) {
    let offenders: Vec<String> = offenders.into_iter().collect();
    assert!(offenders.is_empty(), "these {what}:\n  {}", offenders.join("\n  "));
}

fn lines_where(rule: impl Fn(&str) -> bool) -> Vec<String> {
    let places = |file: Source| {
        let found = file.text.lines().enumerate().filter(|(_, line)| rule(line));
        found.map(|(number, line)| format!("{}:{}: {}", file.path, number + 1, line.trim())).collect::<Vec<_>>()
    };
    below("").into_iter().flat_map(places).collect()
}

/// The part of a file before its own tests; nothing of a file that holds tests only.
fn production(file: &Source) -> &str {
    if file.path.ends_with("/tests.rs") { "" } else { before_tests(&file.text) }
}

fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// The text without comments, which may well name what the code must not.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn long_functions(file: &Source) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| is_function(line));
    let long = starts.filter(|(start, line)| length(&lines[*start..], line) > LONGEST_FUNCTION);
    long.map(|(start, line)| format!("{}:{}: {}", file.path, start + 1, line.trim())).collect()
}

fn is_function(line: &str) -> bool {
    let words = line.trim_start();
    !words.starts_with("//")
        && (words.starts_with("fn ") || words.split('"').next().is_some_and(|head| head.contains(" fn ")))
}

/// Lines from a function's head to the brace that closes it: the first one that stands as far in as the head.
fn length(lines: &[&str], head: &str) -> usize {
    let closing = format!("{}}}", " ".repeat(head.len() - head.trim_start().len()));
    if head.ends_with(';') || head.ends_with('}') {
        return 1;
    }
    lines.iter().position(|line| *line == closing).map_or(1, |end| end + 1)
}

fn rust() -> Vec<Source> {
    below("").into_iter().filter(is_rust).collect()
}

fn is_rust(file: &Source) -> bool {
    file.path.ends_with(".rs")
}

/// Every text file below a folder of the repository, but for what is built and what is data.
fn below(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if !is_ours(&path) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push(Source { path: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with(".git") && !["target", "data", "conformance", "corpus", "artifacts"].contains(&name.as_ref())
}

fn root() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_measured_from_its_head_to_its_brace() {
        let text = "    pub fn a(&self) {\n        if b {\n        }\n    }\n    fn c();\n";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((length(&lines, lines[0]), length(&lines[4..], lines[4])), (4, 1));
        assert!(is_function(lines[0]) && !is_function("    // a fn in words") && !is_function("let f = \"a fn b\";"));
    }

    #[test]
    fn comments_and_tests_are_no_production_code() {
        let text = "use a; // std::fs\n/// std::env\n#[cfg(test)]\nmod tests {\n    use std::net;\n}\n";
        assert_eq!(code(before_tests(text)), "use a; \n");
    }
}
