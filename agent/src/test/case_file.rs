//! A file of cases, read: YAML or JSON to [`Case`]s, or all its mistakes with their lines.

use std::path::{Path, PathBuf};

use elkhound_config::suggest;
use elkhound_pipeline::map::Map;
use elkhound_pipeline::path::Path as Field;
use elkhound_pipeline::setup::Ecs;
use elkhound_pipeline::value::Value;
use elkhound_pipeline::yaml::{self, Content, Node, Scalars};

use super::Mistake;
use crate::files;

/// What a file looks like, for `elkhound help test`.
pub(crate) const FORMAT: &str = r#"A case file stands beside a pipeline file: NAME.test.yml beside NAME.conf. It holds a list of cases, or a mapping:

  pipeline: logstash.conf        # file, folder or glob, seen from this file; default NAME.conf, else all *.conf here
  cases:
    - name: a health check is dropped
      lines: ['10.0.0.1 - - [21/Nov/2026:09:43:24 +0000] "GET /health HTTP/1.1" 200 2 "-" "-"']
      expect: []
    - name: an error keeps its level
      events:                    # events in, in place of lines, which are events with a `message` only
        - { message: "ERROR no space left", stream: stderr }
      expect:                    # events out, in order
        - log: { level: error }
          tags: null             # null: the field must not be there
    - name: nothing else is added
      match: exact               # default `subset`: fields that are not named do not matter
      ignore: ["[event][id]"]    # beside @timestamp, @version, @metadata and host, which count only where they are named
      events: [{ message: hello }]
      expect: [{ message: hello }]

`ecs_compatibility` (disabled, v1, v8) is known too. `pipeline`, `match`, `ignore` and `ecs_compatibility` may stand beside `cases`, for all of them.
`elkhound test` exits with 0 when all passed, 1 when a case failed, 2 when a case file has mistakes."#;

/// What stands beside `cases`, and may stand in each case.
const SETTINGS: [&str; 4] = ["pipeline", "ecs_compatibility", "match", "ignore"];

/// Events in, events expected.
#[derive(Debug, PartialEq)]
pub(super) struct Case {
    /// Unique in its file.
    pub(super) name: String,
    /// Where it stands.
    pub(super) line: usize,
    /// How it is run and compared.
    pub(super) settings: Settings,
    /// Events in.
    pub(super) events: Vec<Map>,
    /// Events out, in order.
    pub(super) expect: Vec<Map>,
}

/// What a case takes over from its file unless it says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Files, joined in order.
    pub(super) pipeline: Vec<PathBuf>,
    /// Names and defaults of plugins.
    pub(super) ecs: Ecs,
    /// Which fields count.
    pub(super) mode: Mode,
    /// Fields that never count, as `[outer][inner]`.
    pub(super) ignore: Vec<String>,
}

/// Which fields of the events that come out count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Those that are named.
    Subset,
    /// All.
    Exact,
}

type Entries = [(Node, Node)];

/// Reads the cases of a file.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Case>, Vec<Mistake>> {
    let mut reader = Reader { file, mistakes: Vec::new() };
    let cases = reader.file(text);
    if reader.mistakes.is_empty() { Ok(cases) } else { Err(reader.mistakes) }
}

struct Reader<'a> {
    file: &'a Path,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn mistake(&mut self, line: usize, message: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Mistake { line, message: message.into(), help: help.into() });
    }

    fn file(&mut self, text: &str) -> Vec<Case> {
        let json = self.file.extension().is_some_and(|extension| extension == "json");
        let node = match yaml::read(text, if json { Scalars::Json } else { Scalars::Ruby }) {
            Ok(Some(node)) => node,
            Ok(None) => {
                self.mistake(1, "the file is empty", "`elkhound help test` shows what a case file looks like");
                return Vec::new();
            }
            Err(error) => {
                self.mistake(error.line, error.to_string(), "texts with `: `, `#` or leading brackets need quotes");
                return Vec::new();
            }
        };
        let start = Settings { pipeline: Vec::new(), ecs: Ecs::V8, mode: Mode::Subset, ignore: Vec::new() };
        let (settings, list) = match &node.content {
            Content::List(list) => (start, list.as_slice()),
            Content::Map(entries) => {
                self.known(entries, &[&SETTINGS[..], &["cases"]].concat());
                let settings = self.settings(entries, start);
                (settings, self.list(entries, "cases", node.line).unwrap_or_default())
            }
            Content::Scalar(_) => {
                self.mistake(
                    node.line,
                    "a case file is a list of cases, or a mapping with `cases`",
                    "see `elkhound help test`",
                );
                return Vec::new();
            }
        };
        let cases: Vec<Case> = list.iter().filter_map(|node| self.case(node, &settings)).collect();
        self.no_doubles(&cases);
        cases
    }

    fn no_doubles(&mut self, cases: &[Case]) {
        for (at, case) in cases.iter().enumerate() {
            if let Some(first) = cases[..at].iter().find(|first| first.name == case.name) {
                let message = format!("`{}` is the name of the case on line {}, too", case.name, first.line);
                self.mistake(case.line, message, "give each case a name of its own");
            }
        }
    }

    fn case(&mut self, node: &Node, settings: &Settings) -> Option<Case> {
        let Content::Map(entries) = &node.content else {
            self.mistake(node.line, "a case is a mapping", "write `- name: …` with `lines` or `events`, and `expect`");
            return None;
        };
        self.known(entries, &[&SETTINGS[..], &["name", "lines", "events", "expect"]].concat());
        let mut settings = self.settings(entries, settings.clone());
        if settings.pipeline.is_empty() {
            settings.pipeline = self.beside(node.line)?;
        }
        let name = self.name(entries, node.line);
        let events = self.input(entries, node.line);
        let expect = self.list(entries, "expect", node.line).map(|list| self.maps(list, "an expected event"));
        Some(Case { name: name?, line: node.line, settings, events: events?, expect: expect? })
    }

    fn name(&mut self, entries: &Entries, line: usize) -> Option<String> {
        match find(entries, "name").map(|node| (node.line, node.value())) {
            Some((_, Value::Text(name))) if !name.is_empty() => return Some(name.to_string()),
            Some((line, _)) => self.mistake(line, "`name` is a text", "put it in quotes"),
            None => self.mistake(line, "the case has no `name`", "say in a few words what it shows, as `name: …`"),
        }
        None
    }

    fn input(&mut self, entries: &Entries, line: usize) -> Option<Vec<Map>> {
        match (find(entries, "lines"), find(entries, "events")) {
            (Some(lines), None) => self.lines(lines),
            (None, Some(_)) => {
                let list = self.list(entries, "events", line)?;
                Some(self.maps(list, "an event"))
            }
            (Some(lines), Some(_)) => {
                self.mistake(lines.line, "the case has both `lines` and `events`", "keep one of them");
                None
            }
            (None, None) => {
                self.mistake(line, "the case has neither `lines` nor `events`", "add what goes in, as `lines: ['…']`");
                None
            }
        }
    }

    /// Each line is an event with a `message`; one line may stand alone.
    fn lines(&mut self, node: &Node) -> Option<Vec<Map>> {
        let list = if let Content::List(list) = &node.content { list.as_slice() } else { std::slice::from_ref(node) };
        let mut events = Vec::new();
        for node in list {
            let Content::Scalar(text @ Value::Text(_)) = &node.content else {
                self.mistake(node.line, "a line is a text", "put it in quotes");
                return None;
            };
            events.push([("message".into(), text.clone())].into_iter().collect());
        }
        Some(events)
    }

    fn maps(&mut self, list: &[Node], what: &str) -> Vec<Map> {
        let mut maps = Vec::new();
        for node in list {
            match node.value() {
                Value::Map(map) => maps.push(*map),
                _ => self.mistake(
                    node.line,
                    format!("{what} is a mapping of field names to values"),
                    "as `{ message: hello }`",
                ),
            }
        }
        maps
    }

    fn list<'n>(&mut self, entries: &'n Entries, name: &str, line: usize) -> Option<&'n [Node]> {
        match find(entries, name) {
            Some(Node { content: Content::List(list), .. }) => return Some(list),
            Some(node) => self.mistake(
                node.line,
                format!("`{name}` is a list"),
                "begin each element with `- `; an empty list is `[]`",
            ),
            None => self.mistake(
                line,
                format!("`{name}` is missing"),
                format!("add `{name}:` with a list; an empty list is `[]`"),
            ),
        }
        None
    }

    fn known(&mut self, entries: &Entries, known: &[&'static str]) {
        for (key, _) in entries {
            let name = text_of(key);
            if known.contains(&name.as_str()) {
                continue;
            }
            let help = match suggest::near(&name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.mistake(key.line, format!("`{name}` is not known"), help);
        }
    }

    fn settings(&mut self, entries: &Entries, mut settings: Settings) -> Settings {
        if let Some(node) = find(entries, "pipeline") {
            settings.pipeline = self.pipeline(node);
        }
        if let Some(node) = find(entries, "ecs_compatibility") {
            match Ecs::parse(&text_of(node)) {
                Some(ecs) => settings.ecs = ecs,
                None => self.mistake(
                    node.line,
                    format!("`ecs_compatibility: {}`", text_of(node)),
                    "it is disabled, v1 or v8",
                ),
            }
        }
        if let Some(node) = find(entries, "match") {
            match text_of(node).as_str() {
                "subset" => settings.mode = Mode::Subset,
                "exact" => settings.mode = Mode::Exact,
                other => self.mistake(node.line, format!("`match: {other}`"), "it is subset or exact"),
            }
        }
        if find(entries, "ignore").is_some() {
            let list = self.list(entries, "ignore", 0).unwrap_or_default();
            settings.ignore.extend(list.iter().filter_map(|node| self.field(node)));
        }
        settings
    }

    /// A field reference as differences are told: with brackets around each name.
    fn field(&mut self, node: &Node) -> Option<String> {
        let written = text_of(node);
        if let Err(error) = Field::parse(&written) {
            self.mistake(node.line, error.to_string(), "in YAML a reference with brackets needs quotes");
            return None;
        }
        Some(if written.starts_with('[') { written } else { format!("[{written}]") })
    }

    fn pipeline(&mut self, node: &Node) -> Vec<PathBuf> {
        let path = self.folder().join(text_of(node));
        let found = files::pipeline(&path.to_string_lossy()).unwrap_or_default();
        if found.is_empty() {
            let message = format!("`pipeline: {}` matches no file ({})", text_of(node), path.display());
            self.mistake(node.line, message, "name it as seen from the case file");
        }
        found
    }

    /// The pipeline of a file that names none.
    fn beside(&mut self, line: usize) -> Option<Vec<PathBuf>> {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let own = self.folder().join(format!("{}.conf", name.split(".test.").next().unwrap_or_default()));
        if own.is_file() {
            return Some(vec![own]);
        }
        let all = files::matching(&format!("{}/*.conf", self.folder().display())).unwrap_or_default();
        if all.is_empty() {
            let message = format!("there is neither {} nor another *.conf beside it", own.display());
            if !self.mistakes.iter().any(|mistake| mistake.message == message) {
                self.mistake(line, message, "name the pipeline: `pipeline: FILE`, as seen from the case file");
            }
            return None;
        }
        Some(all)
    }

    fn folder(&self) -> &Path {
        self.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

fn find<'n>(entries: &'n Entries, name: &str) -> Option<&'n Node> {
    entries.iter().find(|(key, _)| text_of(key) == name).map(|(_, value)| value)
}

fn text_of(node: &Node) -> String {
    elkhound_pipeline::print::ruby_text(&node.value()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Case>, Vec<String>> {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/pipelines/logstash.test.yml"));
        parse(file, text).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_the_help_shows_is_a_case_file() {
        let example = FORMAT.split("\n\n").nth(1).unwrap();
        let cases = read(example).unwrap();
        let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["a health check is dropped", "an error keeps its level", "nothing else is added"]);
        assert_eq!(cases[2].settings.ignore, ["[event][id]"]);
        assert_eq!((cases[0].settings.mode, cases[2].settings.mode), (Mode::Subset, Mode::Exact));
        assert!(cases[0].settings.pipeline[0].ends_with("logstash.conf"));
    }

    #[test]
    fn a_list_of_cases_in_json_will_do() {
        let cases = read(r#"[{"name": "n", "lines": "a", "expect": [{"message": "a"}]}]"#).unwrap();
        assert_eq!(cases[0].events, cases[0].expect);
    }

    #[test]
    fn all_mistakes_are_told_with_line_and_remedy() {
        let text = "match: some\ncases:\n  - name: a\n    line: x\n    expect: 5\n  - name: a\n    lines: [1]\n    expect: [x]\n  - {}\n";
        let expected = [
            "1: `match: some`\n  help: it is subset or exact",
            "4: `line` is not known\n  help: did you mean `lines`?",
            "3: the case has neither `lines` nor `events`\n  help: add what goes in, as `lines: ['…']`",
            "5: `expect` is a list\n  help: begin each element with `- `; an empty list is `[]`",
            "7: a line is a text\n  help: put it in quotes",
            "8: an expected event is a mapping of field names to values\n  help: as `{ message: hello }`",
            "9: the case has no `name`\n  help: say in a few words what it shows, as `name: …`",
            "9: the case has neither `lines` nor `events`\n  help: add what goes in, as `lines: ['…']`",
            "9: `expect` is missing\n  help: add `expect:` with a list; an empty list is `[]`",
        ];
        assert_eq!(read(text).unwrap_err(), expected);
    }

    #[test]
    fn names_are_unique_and_pipelines_there() {
        let case = "  - { name: a, lines: [x], expect: [] }\n";
        let twice = read(&format!("cases:\n{case}{case}")).unwrap_err();
        assert_eq!(twice, ["3: `a` is the name of the case on line 2, too\n  help: give each case a name of its own"]);
        let missing = read(&format!("pipeline: nowhere.conf\ncases:\n{case}")).unwrap_err();
        assert!(missing[0].starts_with("1: `pipeline: nowhere.conf` matches no file"), "{missing:?}");
        assert!(read("cases: [").is_err());
        assert!(read("").unwrap_err()[0].starts_with("1: the file is empty"));
    }
}
