//! Settings and the pipelines' texts, read in one go; and what tells whether a pipeline is another one than before.
//!
//! Change is told by content: what the files hold, what the settings say, and the values of `${NAME}`. Dates of files and inodes play no part, so
//! it is all the same whether an editor writes in place or renames, and whether Docker puts another config or secret there.

use std::hash::{DefaultHasher, Hash, Hasher};

use elkhound_config::source::Source;

use crate::cli::RunArgs;
use crate::line;
use crate::settings::{Given, Mistake, PipelineSettings, Settings};

/// What was read.
pub(crate) struct Loaded {
    /// What was written, and what is wrong with it.
    pub(crate) given: Given,
    /// What it means.
    pub(crate) settings: Settings,
    /// The texts of the pipelines, in the order of the settings, or why one can't be read.
    pub(crate) texts: Vec<Result<Source, Box<Mistake>>>,
}

/// What was read, as far as a difference matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The pipelines, each by its name and its print.
    pub(crate) pipelines: Vec<(String, u64)>,
    /// What is wrong or odd about the settings.
    mistakes: Vec<String>,
}

impl Loaded {
    /// Reads everything.
    pub(crate) fn read(args: RunArgs) -> Self {
        let mut given = Given::collect(args);
        let settings = given.meant();
        let texts = settings.pipelines.iter().map(line::read_source).collect();
        Self { given, settings, texts }
    }

    /// The texts, with an empty one in place of each that can't be read.
    pub(crate) fn sources(&self) -> Vec<Source> {
        self.texts.iter().map(|text| text.as_ref().cloned().unwrap_or_default()).collect()
    }

    /// Has the texts changed before they are run. They are not what the files hold then, and are not loaded again.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&Settings, &mut Vec<Source>)) {
        let mut sources = self.sources();
        change(&self.settings, &mut sources);
        let readable = self.texts.iter_mut().zip(sources).filter(|(text, _)| text.is_ok());
        readable.for_each(|(text, source)| *text = Ok(source));
    }

    /// All that is wrong or odd about the settings, texts that can't be read among it.
    pub(crate) fn mistakes(&self) -> impl Iterator<Item = &Mistake> {
        let unreadable = self.texts.iter().filter_map(|text| text.as_ref().err()).map(|mistake| &**mistake);
        self.given.mistakes.iter().chain(unreadable)
    }

    /// True when nothing about the settings keeps elkhound from running.
    pub(crate) fn is_sound(&self) -> bool {
        !self.mistakes().any(Mistake::is_error)
    }

    /// What matters of it.
    pub(crate) fn look(&self) -> Look {
        let pipelines = self.settings.pipelines.iter().zip(&self.texts);
        Look {
            pipelines: pipelines.map(|(pipeline, text)| (pipeline.id.clone(), print(pipeline, text))).collect(),
            mistakes: self.given.mistakes.iter().map(|mistake| mistake.shown(false)).collect(),
        }
    }
}

/// A number that is another one when anything about the pipeline is.
fn print(pipeline: &PipelineSettings, text: &Result<Source, Box<Mistake>>) -> u64 {
    // Named one by one, so that a new setting is not forgotten here.
    let PipelineSettings {
        id,
        text: _,
        workers,
        batch_size,
        batch_delay,
        order,
        ecs,
        support_escapes,
        dead_letters,
        queue,
        spill,
        reloadable,
    } = pipeline;
    let mut hasher = DefaultHasher::new();
    let settings = (id, workers, batch_size, batch_delay, order, ecs, support_escapes, reloadable);
    format!("{settings:?}{dead_letters:?}{queue:?}{spill:?}").hash(&mut hasher);
    match text {
        Ok(source) => {
            source.text().hash(&mut hasher);
            if source.text().contains("${") {
                let (document, diagnostics) = line::parse(source, line::escapes(pipeline));
                format!("{document:?}{diagnostics:?}").hash(&mut hasher);
            }
        }
        Err(mistake) => mistake.shown(false).hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scratch;
    use crate::settings::table;

    /// A folder with pipelines.
    struct Folder(scratch::Folder);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(scratch::Folder::new(name))
        }

        fn write(&self, name: &str, text: &str) {
            self.0.write(name, text);
        }

        fn look(&self, path: &str) -> Look {
            let given = vec![(table::find("path.config").unwrap(), self.0.join(path).display().to_string())];
            Loaded::read(RunArgs { given }).look()
        }
    }

    #[test]
    fn a_change_is_told_by_what_files_hold() {
        let folder = Folder::new("content");
        folder.write("a.conf", "input { stdin { } }");
        let first = folder.look("a.conf");
        folder.write("b.conf", "input { stdin { } }");
        fs::rename(folder.0.join("b.conf"), folder.0.join("a.conf")).unwrap();
        assert_eq!(folder.look("a.conf"), first, "another file with the same text");
        folder.write("a.conf", "input { stdin { } } ");
        assert_ne!(folder.look("a.conf"), first);
        fs::remove_file(folder.0.join("a.conf")).unwrap();
        let gone = folder.look("a.conf");
        assert_ne!(gone, first);
        assert_eq!(folder.look("a.conf"), gone);
    }

    #[test]
    fn a_file_that_comes_or_goes_changes_its_folder_and_its_glob() {
        let folder = Folder::new("folder");
        folder.write("a.conf", "input { stdin { } }");
        let first = ["", "*.conf"].map(|path| folder.look(path));
        folder.write("b.conf", "output { stdout { } }");
        let second = ["", "*.conf"].map(|path| folder.look(path));
        assert!(first[0] != second[0] && first[1] != second[1]);
        fs::remove_file(folder.0.join("b.conf")).unwrap();
        assert_eq!(["", "*.conf"].map(|path| folder.look(path)), first);
    }
}
