//! What operators read: commands that exist, pipelines that are no mistake, files that are there, messages that are said.
//!
//! A command of elkhound's is given to it with `--help` behind it, which ends it once all before was understood, and of other commands it is seen whether their
//! files are there. That needs no rig; where there is one, `running` runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Folder, elkhound, output_of, repository};

mod running;

/// A document for operators.
struct Page {
    path: PathBuf,
    text: String,
}

/// A block between fences.
struct Block {
    kind: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let listed = fs::read_dir(repository("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = listed.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let all: Vec<PathBuf> = docs.chain(["README.md", "deploy/kibana/README.md"].map(repository)).collect();
    assert!(all.len() >= 8, "{all:?}");
    all.into_iter().map(|path| Page { text: fs::read_to_string(&path).unwrap(), path }).collect()
}

impl Page {
    fn blocks(&self) -> Vec<Block> {
        let inner = self.text.split("\n```").skip(1).step_by(2);
        inner
            .map(|block| {
                let (kind, text) = block.split_once('\n').unwrap_or((block, ""));
                Block { kind: kind.to_owned(), text: text.to_owned() }
            })
            .collect()
    }

    /// What stands in backticks, outside of blocks.
    fn spans(&self) -> Vec<String> {
        let outside: Vec<&str> = self.text.split("\n```").step_by(2).collect();
        // The first line of what follows a block is the rest of its fence.
        let text = outside.join("\n");
        text.lines()
            .flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

/// The commands of a block or a span, without comments, pipes and redirections.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ").replace("\\|", "|");
    let bare = |line: &str| {
        let line = line.split(" #").next().unwrap_or_default();
        let line = line.split(['|', '<', '>']).next().unwrap_or_default();
        words(line)
    };
    joined.lines().map(bare).filter(|words| !words.is_empty() && !words[0].starts_with('#')).collect()
}

/// Words as a shell has them, as far as the documents quote.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            letter => word.push(letter),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// What is given to elkhound by this command, when it is one of elkhound's.
fn given(words: &[String]) -> Option<&[String]> {
    let at = words.iter().position(|word| word == "elkhound" || word.ends_with("/elkhound"))?;
    let by_docker = words[0] == "docker" && ["run", "exec"].contains(&words[1].as_str());
    (at == 0 || by_docker).then(|| &words[at + 1..])
}

#[test]
fn every_command_is_one() {
    let makefile = fs::read_to_string(repository("Makefile")).unwrap();
    let mut count = 0;
    for page in pages() {
        let of_blocks = page.blocks().into_iter().filter(|block| block.kind == "sh").map(|block| block.text);
        let of_spans =
            page.spans().into_iter().filter(|span| span.starts_with("elkhound ") || span.starts_with("make "));
        for words in of_blocks.chain(of_spans).flat_map(|text| commands(&text)) {
            count += 1;
            if let Some(given) = given(&words) {
                understood(given, &page);
            } else if words[0] == "make" {
                let target = format!("\n{}:", words[1]);
                assert!(makefile.contains(&target), "{}: {words:?}", page.shown());
            } else if words[0].starts_with("deploy/") {
                output_of(Command::new("bash").arg("-n").arg(repository(&words[0])));
            }
            files_of(&words, &page);
        }
    }
    assert!(count > 40, "only {count} commands were found");
}

/// Fails unless elkhound understands these arguments.
fn understood(given: &[String], page: &Page) {
    let mut arguments: Vec<&str> = given.iter().map(String::as_str).collect();
    if arguments.first() == Some(&"help") {
        assert!(elkhound(&arguments, "").status.success(), "{}: {given:?}", page.shown());
        return;
    }
    arguments.push("--help");
    let output = elkhound(&arguments, "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && output.stdout.starts_with(b"") && said.is_empty(),
        "{}: {given:?}: {said}",
        page.shown()
    );
    // Words that are no command would be taken for nothing: without one, only flags and their values are understood.
    let first = arguments[0];
    let usage = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(first.starts_with('-') || usage.contains(&format!("elkhound {first}")), "{}: {given:?}", page.shown());
}

/// Fails unless the files of the repository that a command names are there.
fn files_of(words: &[String], page: &Page) {
    for word in words.iter().filter(|word| word.starts_with("deploy/") || word.starts_with("docs/")) {
        assert!(repository(word).exists(), "{}: {word} is not there", page.shown());
    }
}

#[test]
fn every_pipeline_is_no_mistake() {
    let mut count = 0;
    for page in pages() {
        for block in page.blocks().into_iter().filter(|block| block.kind.is_empty()) {
            let output = elkhound(&["-t", "-e", &block.text], "");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:\n{}\n{said}", page.shown(), block.text);
            count += 1;
        }
    }
    assert!(count >= 3, "only {count} pipelines were found");
    let output = elkhound(&["-t", "-f", repository("deploy/pipelines").to_str().unwrap()], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_stack_file_and_example_is_yaml() {
    let deploy = fs::read_dir(repository("deploy")).unwrap().map(|entry| entry.unwrap().path());
    let stacks = deploy.filter(|path| path.extension().is_some_and(|extension| extension == "yml"));
    let stacks: Vec<String> = stacks.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(stacks.len() >= 5);
    let examples = pages().into_iter().flat_map(|page| page.blocks()).filter(|block| block.kind == "yaml");
    for text in stacks.into_iter().chain(examples.map(|block| block.text)) {
        // Its keys are no settings, which elkhound says; that it can't be read as YAML would be said in their place.
        let folder = Folder::of("docs-yaml", &[("elkhound.yml", &text)]);
        let output = elkhound(&["settings", "--path.settings", folder.text()], "");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains("bad-yaml"), "{text}\n{said}");
    }
}

#[test]
fn every_link_and_every_path_leads_somewhere() {
    for page in pages() {
        let folder = page.path.parent().unwrap();
        for link in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            let elsewhere = link.starts_with("http") || target.is_empty();
            assert!(elsewhere || folder.join(target).exists(), "{}: {link}", page.shown());
        }
        let top = ["agent/", "benches/", "config/", "deploy/", "docs/", "pipeline/", "tests/"];
        let paths =
            page.spans().into_iter().filter(|span| top.iter().any(|top| span.starts_with(top)) && !span.contains(' '));
        for path in paths {
            assert!(repository(&path).exists() || is_built(&path), "{}: {path} is not there", page.shown());
        }
    }
}

/// What a command makes.
fn is_built(path: &str) -> bool {
    path.starts_with("target/")
}

#[test]
fn every_message_in_troubleshooting_is_one_that_is_said() {
    let page = fs::read_to_string(repository("docs/troubleshooting.md")).unwrap();
    let sources = source(&repository("agent/src")) + &source(&repository("pipeline/src"));
    // The formatter breaks long texts nowhere, but writers do.
    let sources = sources.replace("\\\n", "");
    let sources = sources.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut count = 0;
    for line in page.lines().filter(|line| line.starts_with("- log: ") || line.starts_with("- doctor: ")) {
        let message = line.split('`').nth(1).unwrap_or_else(|| panic!("{line}: no message"));
        assert!(sources.contains(message), "nobody says: {message}");
        count += 1;
    }
    assert!(count > 15, "only {count} messages were found");
    let chapters = page.split("\n## ").skip(1);
    for chapter in chapters {
        assert!(chapter.contains("\n- Do: "), "no remedy: {}", chapter.lines().next().unwrap_or_default());
    }
}

/// All that stands in the files below a folder.
fn source(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts =
        entries.map(|path| if path.is_dir() { source(&path) } else { fs::read_to_string(&path).unwrap_or_default() });
    texts.collect()
}

#[test]
fn the_reference_holds_the_language_and_every_plugin() {
    let said = |arguments: &[&str]| String::from_utf8(elkhound(arguments, "").stdout).unwrap();
    let (all, list) = (said(&["docs", "--all"]), said(&["docs"]));
    assert!(all.starts_with("# The grammar of pipeline files\n"));
    assert!(list.lines().count() > 40, "{list}");
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let head = format!("\n# {} {}\n", words.next().unwrap(), words.next().unwrap());
        assert!(all.contains(&head), "{head}");
    }
}
