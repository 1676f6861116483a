//! `elkhound test --cases FILE...`: runs cases in the form of the conformance corpus and prints what differs.
//!
//! A case is a JSON object on a line: `id`, `config`, `events`, `flush`, `ecs`, `expect`, and where needed `files` (name → content; `@FILES@` in
//! the configuration stands for their folder). `expect` is `{"events": [...]}`, `{"error": true}` (the configuration is refused) or
//! `{"crash": true}` (Logstash's worker ends; elkhound must only go on). Events are compared as JSON objects: the order of names means nothing.

use std::fs;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use elkhound_config::parser::Escapes;
use elkhound_config::source::Source;
use elkhound_pipeline::json::{self, Numbers};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::setup::Ecs;
use elkhound_pipeline::value::Value;

use crate::difference::{as_sent, same, shown};
use crate::trial::Trial;

/// Runs the cases of all `paths`; true when all passed.
///
/// # Errors
/// A file that can't be read, a line that is no case, and a standard output that is closed.
pub(crate) fn run(paths: &[PathBuf]) -> Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    let mut out = stdout().lock();
    for path in paths {
        let text = fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let case = Case::parse(line).with_context(|| format!("{}:{} is no case", path.display(), number + 1))?;
            match case.difference() {
                None => passed += 1,
                Some(difference) => {
                    failed += 1;
                    writeln!(out, "FAIL {}\n{difference}", case.id)?;
                }
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}

struct Case {
    id: String,
    config: String,
    events: Vec<Value>,
    flush: bool,
    ecs: Ecs,
    files: Vec<(String, String)>,
    expect: Expect,
}

enum Expect {
    Events(Vec<Value>),
    Refused,
    GoesOn,
}

impl Case {
    fn parse(line: &str) -> Result<Self> {
        let Value::Map(case) = json::parse(line, Numbers::Doubles)? else { bail!("it is no JSON object") };
        let text = |name: &str| case.get(name).and_then(Value::as_text).map(ToString::to_string);
        let list = |name: &str| case.get(name).and_then(Value::as_list).map(<[Value]>::to_vec);
        let files = case.get("files").and_then(Value::as_map).map(texts).unwrap_or_default();
        Ok(Self {
            id: text("id").context("`id` is missing")?,
            config: text("config").context("`config` is missing")?,
            events: list("events").unwrap_or_default(),
            flush: case.get("flush") == Some(&Value::Bool(true)),
            ecs: Ecs::parse(&text("ecs").unwrap_or_else(|| "v8".into()))
                .context("`ecs` is none of disabled, v1, v8")?,
            files,
            expect: expect(case.get("expect").and_then(Value::as_map).context("`expect` is missing")?)?,
        })
    }

    /// What differs from what is expected; nothing when it is as expected.
    fn difference(&self) -> Option<String> {
        let folder = Folder::with(&self.files).map_err(|error| format!("  its files can't be written: {error}"));
        let folder = match folder {
            Ok(folder) => folder,
            Err(error) => return Some(error),
        };
        let config = self.config.replace("@FILES@", &folder.0.to_string_lossy());
        match (self.compiled(&config), &self.expect) {
            (Err(_), Expect::Refused) => None,
            (Err(mistakes), _) => Some(format!("  refused, but Logstash takes it:\n{mistakes}")),
            (Ok(_), Expect::Refused) => Some("  accepted, but Logstash refuses it".into()),
            (Ok(trial), Expect::GoesOn) => {
                self.outcome(&trial);
                None
            }
            (Ok(trial), Expect::Events(expected)) => compare(expected, &self.outcome(&trial)),
        }
    }

    fn compiled(&self, config: &str) -> Result<Trial, String> {
        let source = Source::of("case.conf", config);
        Trial::new(&source, self.ecs, Escapes::Kept, Box::new(|_| {}))
            .map_err(|mistakes| elkhound_config::render::all(&mistakes, &source, false))
    }

    /// What comes out of the pipeline, as JSON values.
    fn outcome(&self, trial: &Trial) -> Vec<Value> {
        let fields = |event: &Value| event.as_map().cloned();
        trial.run(self.events.iter().filter_map(fields), self.flush).iter().map(as_sent).collect()
    }
}

fn texts(map: &Map) -> Vec<(String, String)> {
    map.iter().filter_map(|(name, content)| Some((name.to_string(), content.as_text()?.to_string()))).collect()
}

fn expect(expect: &Map) -> Result<Expect> {
    if let Some(events) = expect.get("events").and_then(Value::as_list) {
        return Ok(Expect::Events(events.to_vec()));
    }
    if expect.contains("crash") {
        return Ok(Expect::GoesOn);
    }
    if expect.contains("error") {
        Ok(Expect::Refused)
    } else {
        bail!("`expect` has neither events nor error nor crash")
    }
}

fn compare(expected: &[Value], found: &[Value]) -> Option<String> {
    let mut text = String::new();
    for at in 0..expected.len().max(found.len()) {
        let (wanted, got) = (expected.get(at), found.get(at));
        if !matches!((wanted, got), (Some(wanted), Some(got)) if same(wanted, got)) {
            text.push_str(&format!("  event {}\n    - {}\n    + {}\n", at + 1, or_none(wanted), or_none(got)));
        }
    }
    (!text.is_empty()).then_some(text)
}

fn or_none(event: Option<&Value>) -> String {
    event.map_or_else(|| "(no event)".into(), shown)
}

/// A folder of the case's files, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(String, String)]) -> std::io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Self(std::env::temp_dir().join(format!("elkhound-case-{}-{number}", std::process::id())));
        if files.is_empty() {
            return Ok(folder);
        }
        fs::create_dir_all(&folder.0)?;
        for (name, content) in files {
            let path = folder.0.join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            fs::write(path, content)?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Not there when the case has no files; nothing to do about any other trouble.
        let _gone = fs::remove_dir_all(&self.0);
    }
}
