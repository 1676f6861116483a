//! `pipelines.yml`: a list of pipelines, each with settings of its own above those of the process.

use std::path::Path;

use elkhound_config::ast::Span;
use elkhound_pipeline::yaml::{Content, Node};

use super::file::{File, Reader};
use super::table::Scope;
use super::written::{Layer, Mistake, Origin};

/// A pipeline's entry.
pub(crate) struct Entry {
    /// What it says.
    pub(crate) layer: Layer,
    /// Where it begins.
    pub(crate) origin: Origin,
}

/// The entries of the file at `path`; nothing when there is no such file.
pub(crate) fn read(reader: &mut Reader<'_>, path: &Path) -> Option<Vec<Entry>> {
    let file = reader.read(path)?;
    Some(entries(reader, &file))
}

fn entries(reader: &mut Reader<'_>, file: &File) -> Vec<Entry> {
    let nodes = match file.tree.as_ref().map(|tree| (&tree.content, tree.span)) {
        Some((Content::List(nodes), _)) if !nodes.is_empty() => nodes,
        Some((Content::List(_), span)) => return none(reader, file, span, "there is no pipeline in this file"),
        None => return none(reader, file, Span::default(), "there is no pipeline in this file"),
        Some((_, span)) => return none(reader, file, span, "a list of pipelines is expected here"),
    };
    let entries: Vec<Entry> = nodes.iter().map(|node| entry(reader, file, node)).collect();
    report_twins(reader, &entries);
    entries
}

fn none(reader: &mut Reader<'_>, file: &File, span: Span, message: &str) -> Vec<Entry> {
    let help = "begin each pipeline with `- pipeline.id: NAME`, and give it a `path.config`";
    reader.mistakes.push(Mistake::error("bad-pipelines", file.at(span), message).with_help(help));
    Vec::new()
}

fn entry(reader: &mut Reader<'_>, file: &File, node: &Node) -> Entry {
    let before = reader.mistakes.len();
    let layer = reader.layer(file, node, Scope::Pipeline);
    let entry = Entry { layer, origin: file.at(node.span) };
    // What is wrong already may well be the text.
    if reader.mistakes[before..].iter().all(|mistake| !mistake.is_error()) {
        reader.mistakes.extend(entry.mistake());
    }
    entry
}

impl Entry {
    /// The pipeline's name; Logstash's default when there is none.
    pub(crate) fn id(&self) -> &str {
        self.find("pipeline.id").map_or("main", |id| id.value.as_str())
    }

    fn find(&self, name: &str) -> Option<&super::written::Written> {
        self.layer.iter().rev().find(|written| written.name == name)
    }

    /// A pipeline has one text.
    fn mistake(&self) -> Option<Mistake> {
        let id = self.id();
        match (self.find("path.config"), self.find("config.string")) {
            (None, None) => {
                let message = format!("the pipeline `{id}` has neither path.config nor config.string");
                let help = format!("name its files: `path.config: \"/etc/elkhound/{id}.conf\"`");
                Some(Mistake::error("missing-setting", self.origin.clone(), message).with_help(help))
            }
            (Some(_), Some(text)) => {
                let message = format!("the pipeline `{id}` has both path.config and config.string");
                Some(Mistake::error("bad-setting", text.origin.clone(), message).with_help("leave one of them out"))
            }
            _ => None,
        }
    }

    /// Where its name stands.
    fn place(&self) -> Origin {
        self.find("pipeline.id").map_or(&self.origin, |id| &id.origin).clone()
    }
}

fn report_twins(reader: &mut Reader<'_>, entries: &[Entry]) {
    for (at, entry) in entries.iter().enumerate() {
        let Some(first) = entries[..at].iter().find(|other| other.id() == entry.id()) else { continue };
        let message = format!("there are two pipelines called `{}`", entry.id());
        let mut mistake = Mistake::error("duplicate-pipeline", entry.place(), message);
        mistake.label = match first.place() {
            Origin::File(_, span) => Some((span, "the first one")),
            _ => None,
        };
        reader.mistakes.push(mistake.with_help("give each a `pipeline.id` of its own"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, String) {
        let mut reader = Reader { lookup: &|_| Ok(None), mistakes: Vec::new() };
        let file = reader.parse("pipelines.yml", text).unwrap();
        let ids = entries(&mut reader, &file).iter().map(|entry| entry.id().to_owned()).collect();
        (ids, reader.mistakes.iter().map(|mistake| mistake.shown(false)).collect())
    }

    #[test]
    fn each_entry_is_a_pipeline() {
        let text = "- pipeline.id: a\n  path.config: /x/*.conf\n  pipeline.workers: 2\n- config.string: |\n    input { stdin {} }\n- pipeline:\n    id: c\n  path.config: c\n";
        assert_eq!(read(text), (vec!["a".into(), "main".into(), "c".into()], String::new()));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "- pipeline.id: a\n- pipeline.id: b\n  path.config: b\n- pipeline.id: b\n  path.config: b\n  config.string: b\n";
        let expected = "\
pipelines.yml:1:3: error[missing-setting]: the pipeline `a` has neither path.config nor config.string
  1 | - pipeline.id: a
    |   ^
  help: name its files: `path.config: \"/etc/elkhound/a.conf\"`
pipelines.yml:6:18: error[bad-setting]: the pipeline `b` has both path.config and config.string
  6 |   config.string: b
    |                  ^
  help: leave one of them out
pipelines.yml:4:16: error[duplicate-pipeline]: there are two pipelines called `b`
  4 | - pipeline.id: b
    |                ^
  2 | - pipeline.id: b
    |                ^ the first one
  help: give each a `pipeline.id` of its own
";
        assert_eq!(read(text).1, expected);
    }

    #[test]
    fn a_file_without_pipelines_is_a_mistake() {
        for (text, message) in [
            ("", "there is no pipeline in this file"),
            ("[]", "there is no pipeline in this file"),
            ("pipeline.id: a\n", "a list of pipelines is expected here"),
            ("- just text\n", "these are no settings"),
        ] {
            let (_, mistakes) = read(text);
            assert!(mistakes.contains(message), "{text}: {mistakes}");
        }
    }
}
