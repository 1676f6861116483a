//! `elkhound docs [PLUGIN]`: prints a plugin's documentation from the plugin's own file, or the list of plugins.

use std::io::{Write, stdout};

use anyhow::{Result, bail};
use elkhound_config::options::OptionSpec;
use elkhound_config::suggest;
use elkhound_pipeline::docs::markdown;
use elkhound_pipeline::{codec, filter};

use crate::{input, output};

/// What the tables know of a plugin.
struct Entry {
    section: &'static str,
    name: &'static str,
    docs: &'static str,
    options: &'static [OptionSpec],
}

/// Prints the documentation of `plugin`, or the list of plugins.
///
/// # Errors
/// A plugin that no table has, and a standard output that is closed.
pub(crate) fn print(plugin: Option<&str>) -> Result<()> {
    let entries = entries();
    let mut out = stdout().lock();
    let Some(wanted) = plugin else {
        for entry in &entries {
            let summary = markdown(entry.docs).lines().next().unwrap_or_default().to_owned();
            writeln!(out, "{:<7} {:<15} {summary}", entry.section, entry.name)?;
        }
        return Ok(());
    };
    let found: Vec<&Entry> = entries.iter().filter(|entry| entry.name == wanted).collect();
    if found.is_empty() {
        match suggest::near(wanted, entries.iter().map(|entry| entry.name)) {
            Some(near) => bail!("there is no plugin called `{wanted}`; did you mean `{near}`?"),
            None => bail!("there is no plugin called `{wanted}`; `elkhound docs` lists them"),
        }
    }
    found.into_iter().try_for_each(|entry| entry.print(&mut out))
}

/// Prints the language and the documentation of every plugin, as one document.
///
/// # Errors
/// A standard output that is closed.
pub(crate) fn print_all() -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", include_str!("../../config/GRAMMAR.md"))?;
    entries().iter().try_for_each(|entry| {
        entry.print(&mut out)?;
        Ok(writeln!(out)?)
    })
}

impl Entry {
    fn print(&self, out: &mut impl Write) -> Result<()> {
        writeln!(out, "# {} {}\n\n{}\n", self.section, self.name, markdown(self.docs))?;
        writeln!(out, "## All options\n")?;
        for option in self.options.iter().filter(|option| !option.is_obsolete()) {
            writeln!(out, "- `{}` (default {}): {}", option.name, shown(option.default), option.help)?;
        }
        Ok(())
    }
}

fn shown(default: &str) -> String {
    if default.is_empty() { "none".into() } else { format!("`{default}`") }
}

fn entries() -> Vec<Entry> {
    let inputs = input::KINDS.iter().map(|kind| Entry {
        section: "input",
        name: kind.name,
        docs: kind.docs,
        options: kind.options,
    });
    let filters = filter::KINDS.iter().map(|kind| Entry {
        section: "filter",
        name: kind.name,
        docs: kind.docs,
        options: kind.options,
    });
    let outputs = output::KINDS.iter().map(|kind| Entry {
        section: "output",
        name: kind.name,
        docs: kind.docs,
        options: kind.options,
    });
    let codecs = codec::KINDS.iter().map(|kind| Entry {
        section: "codec",
        name: kind.name,
        docs: kind.docs,
        options: kind.options,
    });
    inputs.chain(filters).chain(outputs).chain(codecs).collect()
}

#[cfg(test)]
mod tests {
    use elkhound_config::parser::Escapes;
    use elkhound_config::render;
    use elkhound_config::source::Source;
    use elkhound_pipeline::docs::{examples, promised_options};
    use elkhound_pipeline::setup::Ecs;

    use super::*;
    use crate::trial::Trial;

    #[test]
    fn options_and_their_documentation_are_the_same() {
        for entry in entries() {
            // Where there are too many to tell, the table below the docs is referred to.
            let all = entry.docs.contains("lists all of them");
            for option in entry.options.iter().filter(|option| !option.is_obsolete()) {
                let named = all || entry.docs.contains(&format!("`{}`", option.name));
                assert!(named, "the docs of {} {} do not name its option `{}`", entry.section, entry.name, option.name);
            }
            for promised in promised_options(entry.docs) {
                let there = entry.options.iter().any(|option| option.name == promised);
                assert!(there, "the docs of {} {} promise an option `{promised}`", entry.section, entry.name);
            }
        }
    }

    /// What examples of filters make of their events is looked at in `elkhound-pipeline`.
    #[test]
    fn every_plugin_has_an_example_that_is_no_mistake() {
        for entry in entries().iter().filter(|entry| entry.section != "filter") {
            let examples = examples(entry.docs);
            assert!(!examples.is_empty(), "the docs of {} {} have no example", entry.section, entry.name);
            for example in examples {
                let source = Source::of(entry.name, &example.pipeline);
                let refused = Trial::new(&source, Ecs::V8, Escapes::Kept, Box::new(|_| {})).err();
                assert!(refused.is_none(), "{}", render::all(&refused.unwrap_or_default(), &source, false));
            }
        }
    }
}
