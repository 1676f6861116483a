//! Settings files: YAML, names flat or nested, `${NAME:default}` in values; every mistake with its place.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use elkhound_config::ast::Span;
use elkhound_config::env::{self, Lookup};
use elkhound_config::source::Source;
use elkhound_pipeline::print;
use elkhound_pipeline::yaml::{self, Content, Node, Scalars};

use super::table::{self, Kind, Row, Scope};
use super::written::{Layer, Mistake, Origin, Written};

/// Reads files of settings and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    /// Where variables are looked up.
    pub(crate) lookup: &'a Lookup<'a>,
    /// What is wrong or odd so far.
    pub(crate) mistakes: Vec<Mistake>,
}

/// A file that was read: its text, for places, and its tree.
pub(crate) struct File {
    source: Arc<Source>,
    /// Nothing for a file that is empty or all comments.
    pub(crate) tree: Option<Node>,
}

impl File {
    /// A place in it.
    pub(crate) fn at(&self, span: Span) -> Origin {
        Origin::File(Arc::clone(&self.source), span)
    }
}

impl Reader<'_> {
    /// The file at `path`; nothing when there is none, or when it can't be read, which is reported.
    pub(crate) fn read(&mut self, path: &Path) -> Option<File> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                let message = format!("it can't be read: {error}");
                self.mistakes.push(Mistake::error("unreadable-file", Origin::Path(path.to_owned()), message));
                return None;
            }
        };
        self.parse(&path.display().to_string(), &text)
    }

    /// The tree of a text.
    pub(crate) fn parse(&mut self, name: &str, text: &str) -> Option<File> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let source = Arc::new(Source::of(name, text));
        match yaml::read(text, Scalars::Ruby) {
            Ok(tree) => Some(File { source, tree }),
            Err(error) => {
                let origin = Origin::File(source, error.span);
                self.mistakes.push(Mistake::error(
                    "bad-yaml",
                    origin,
                    format!("it can't be read as YAML: {}", error.reason()),
                ));
                None
            }
        }
    }

    /// The settings of `elkhound.yml`.
    pub(crate) fn settings(&mut self, file: &File) -> Layer {
        match &file.tree {
            None => Layer::new(),
            Some(tree) => self.layer(file, tree, Scope::Process),
        }
    }

    /// The settings of a mapping, of the whole process or of one pipeline.
    pub(crate) fn layer(&mut self, file: &File, node: &Node, scope: Scope) -> Layer {
        let Content::Map(entries) = &node.content else {
            let help = "write a setting on each line, such as `pipeline.workers: 2`";
            let mistake = Mistake::error("bad-setting", file.at(node.span), "these are no settings");
            self.mistakes.push(mistake.with_help(help));
            return Layer::new();
        };
        let mut layer = Layer::new();
        self.entries(file, entries, "", scope, &mut layer);
        layer
    }

    /// Entries below a common beginning of their names.
    fn entries(&mut self, file: &File, entries: &[(Node, Node)], above: &str, scope: Scope, layer: &mut Layer) {
        for (key, value) in entries {
            let Content::Scalar(name) = &key.content else {
                self.mistakes.push(Mistake::error("bad-setting", file.at(key.span), "a setting's name is a text"));
                continue;
            };
            let name = format!("{above}{}", print::ruby_text(name));
            match (&value.content, table::find(&name)) {
                (Content::Map(below), None) => self.entries(file, below, &format!("{name}."), scope, layer),
                (_, None) => self.unknown(file, key.span, &name),
                (_, Some(row)) if scope == Scope::Pipeline && row.scope == Scope::Process => {
                    let message = format!("`{name}` is a setting of elkhound, not of a pipeline");
                    let mistake = Mistake::error("not-of-a-pipeline", file.at(key.span), message);
                    self.mistakes.push(mistake.with_help("write it in elkhound.yml"));
                }
                (_, Some(row)) => self.setting(file, name, row, value, layer),
            }
        }
    }

    fn unknown(&mut self, file: &File, span: Span, name: &str) {
        let mistake = Mistake::error("unknown-setting", file.at(span), format!("there is no setting called `{name}`"));
        self.mistakes.push(match table::near(name) {
            Some(near) => mistake.with_help(format!("did you mean `{near}`?")),
            None => mistake.with_help("`elkhound settings` lists all of them"),
        });
    }

    fn setting(&mut self, file: &File, name: String, row: &'static Row, node: &Node, layer: &mut Layer) {
        let origin = file.at(node.span);
        let value = match &node.content {
            Content::Scalar(value) => print::ruby_text(value).to_string(),
            _ if row.kind == Kind::Any => "…".into(),
            _ => {
                let message = format!("`{name}` takes one value");
                self.mistakes.push(Mistake::error("bad-setting", origin, message));
                return;
            }
        };
        if value.is_empty() {
            return;
        }
        match env::expand(&value, self.lookup) {
            Ok(value) => {
                let written = Written { name, row, value, origin };
                self.mistakes.extend(written.mistake());
                layer.push(written);
            }
            Err(missing) => {
                let mistake = Mistake::error(missing.code(), origin, missing.to_string());
                self.mistakes.push(mistake.with_help(missing.help()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Result<Option<String>, String> {
        Ok((name == "SET").then(|| "7".to_owned()))
    }

    fn read(text: &str, scope: Scope) -> (Vec<(String, String)>, String) {
        let mut reader = Reader { lookup: &lookup, mistakes: Vec::new() };
        let file = reader.parse("f.yml", text);
        let layer = file.and_then(|file| file.tree.as_ref().map(|tree| reader.layer(&file, tree, scope)));
        let values = layer.unwrap_or_default().into_iter().map(|written| (written.name, written.value)).collect();
        (values, reader.mistakes.iter().map(|mistake| mistake.shown(false)).collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_are_flat_or_nested_and_variables_are_replaced() {
        let text = "# c\npipeline.workers: ${SET}\npipeline:\n  batch:\n    size: ${NOT:250}\n  ordered: false\nlog.level: \"debug\"\nnode.name:\n";
        let expected = pairs(&[
            ("pipeline.workers", "7"),
            ("pipeline.batch.size", "250"),
            ("pipeline.ordered", "false"),
            ("log.level", "debug"),
        ]);
        assert_eq!(read(text, Scope::Process), (expected, String::new()));
        assert_eq!(read("", Scope::Process), (Vec::new(), String::new()));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "pipeline.worker: 2\npipeline:\n  batch.size: none\nlog.level: ${NOT}\nzażółć: 1\npipeline.separate_logs: true\npath.data: [a]\n";
        let expected = "\
f.yml:1:1: error[unknown-setting]: there is no setting called `pipeline.worker`
  1 | pipeline.worker: 2
    | ^^^^^^^^^^^^^^^
  help: did you mean `pipeline.workers`?
f.yml:3:15: error[bad-setting]: `pipeline.batch.size`: it takes a whole number
  3 |   batch.size: none
    |               ^^^^
f.yml:4:12: error[unset-variable]: the variable `NOT` is not set and has no default
  4 | log.level: ${NOT}
    |            ^^^^^^
  help: set it, or write a default: ${NOT:default}
f.yml:5:1: error[unknown-setting]: there is no setting called `zażółć`
  5 | zażółć: 1
    | ^^^^^^
  help: `elkhound settings` lists all of them
f.yml:6:25: warning[no-effect]: `pipeline.separate_logs` is taken, but it has no effect yet
f.yml:7:12: error[bad-setting]: `path.data` takes one value
  7 | path.data: [a]
    |            ^
";
        assert_eq!(read(text, Scope::Process).1, expected);
    }

    #[test]
    fn a_pipeline_has_its_own_settings_only() {
        let (values, mistakes) = read("pipeline.id: a\nlog.level: info\n", Scope::Pipeline);
        assert_eq!(values, pairs(&[("pipeline.id", "a")]));
        assert!(mistakes.starts_with("f.yml:2:1: error[not-of-a-pipeline]: `log.level`"), "{mistakes}");
    }

    #[test]
    fn a_text_that_is_no_yaml_is_told_with_its_place() {
        let (_, mistakes) = read("a: b\n c: [\n", Scope::Process);
        assert!(mistakes.starts_with("f.yml:"), "{mistakes}");
        assert!(mistakes.contains("error[bad-yaml]: it can't be read as YAML: "), "{mistakes}");
    }
}
