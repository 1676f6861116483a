//! What is known when a pipeline is loaded: settings that plugins depend on, and the outside world as functions passed in.

use std::io;
use std::path::Path;

use elkhound_config::options::Options;

use crate::time::Timestamp;

/// Which names and defaults plugins use: `pipeline.ecs_compatibility`, or a plugin's own `ecs_compatibility`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecs {
    /// Logstash's names from before the Elastic Common Schema.
    Disabled,
    /// Elastic Common Schema, version 1.
    V1,
    /// Elastic Common Schema, version 8; the default since Logstash 8.
    #[default]
    V8,
}

impl Ecs {
    /// The mode called `name` in settings: `disabled`, `v1` or `v8`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "disabled" => Some(Self::Disabled),
            "v1" => Some(Self::V1),
            "v8" => Some(Self::V8),
            _ => None,
        }
    }

    /// True for both versions of the schema.
    pub fn is_enabled(self) -> bool {
        self != Self::Disabled
    }
}

/// Passed to every plugin's constructor.
pub struct Setup<'a> {
    /// The pipeline's ECS mode.
    pub ecs: Ecs,
    /// The time at which the pipeline is loaded.
    pub now: Timestamp,
    /// Reads a file that a plugin's option names (dictionaries, databases, patterns): the pipeline itself opens none.
    pub read_file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Lists the files that match a glob, sorted.
    pub list_files: &'a dyn Fn(&str) -> io::Result<Vec<std::path::PathBuf>>,
}

impl Setup<'static> {
    /// For pipelines that name no files, at the epoch: those of tests, benches and fuzz targets.
    pub fn without_files(ecs: Ecs) -> Self {
        Self {
            ecs,
            now: Timestamp::default(),
            read_file: &|_| Err(io::ErrorKind::NotFound.into()),
            list_files: &|_| Ok(Vec::new()),
        }
    }
}

impl Setup<'_> {
    /// The ECS mode of a plugin: its own `ecs_compatibility`, else the pipeline's.
    pub fn ecs_of(&self, options: &Options<'_>) -> Ecs {
        options.text("ecs_compatibility").and_then(|mode| Ecs::parse(&mode)).unwrap_or(self.ecs)
    }
}
