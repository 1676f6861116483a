//! The first stage: settings as they were written, each with the place where that was.
//!
//! A layer is what one place says: the command line, the environment, a settings file, an entry of `pipelines.yml`. Every value is held against
//! its row of the table here, so that whoever reads it in the second stage can rely on its kind.

use std::path::PathBuf;
use std::sync::Arc;

use elkhound_config::ast::Span;
use elkhound_config::diagnostic::{Diagnostic, Severity};
use elkhound_config::render;
use elkhound_config::source::Source;

use super::table::{Kind, Row};

/// A setting as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// The name in full, which for a family is more than its row's.
    pub(crate) name: String,
    /// The row of the table.
    pub(crate) row: &'static Row,
    /// The value, with its variables replaced.
    pub(crate) value: String,
    /// Where it was written.
    pub(crate) origin: Origin,
}

/// Where something was written.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// On the command line, by this flag.
    Flag(String),
    /// In the environment, in the variable of this name.
    Variable(String),
    /// In a file.
    File(Arc<Source>, Span),
    /// The file as a whole.
    Path(PathBuf),
    /// Nowhere.
    Nowhere,
}

impl Origin {
    /// In some words, for `elkhound settings`.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Flag(flag) => format!("flag {flag}"),
            Self::Variable(name) => format!("environment {name}"),
            Self::File(source, span) => source.place(span.start).to_string(),
            Self::Path(path) => path.display().to_string(),
            Self::Nowhere => "default".into(),
        }
    }
}

/// What is wrong with the settings, or odd about them.
#[derive(Clone, Debug)]
pub(crate) struct Mistake {
    /// Whether elkhound can run all the same.
    pub(crate) severity: Severity,
    /// A short name that stays the same when the sentence is reworded.
    pub(crate) code: &'static str,
    /// Where it is.
    pub(crate) origin: Origin,
    /// One sentence.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: Option<String>,
    /// Another place that explains it, with some words.
    pub(crate) label: Option<(Span, &'static str)>,
}

impl Mistake {
    /// A mistake for which the settings are refused.
    pub(crate) fn error(code: &'static str, origin: Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, origin, message: message.into(), help: None, label: None }
    }

    /// Something that is legal and seldom meant.
    pub(crate) fn warning(code: &'static str, origin: Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, origin, message) }
    }

    /// Adds the way out.
    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// True when the settings are refused.
    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// As text for people, ending with a line break. A warning is one line: an old `logstash.yml` can have many.
    pub(crate) fn shown(&self, colour: bool) -> String {
        let severity = if self.is_error() { "error" } else { "warning" };
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        match &self.origin {
            Origin::File(source, span) if self.is_error() => render::one(&self.diagnostic(*span), source, colour),
            Origin::File(..) | Origin::Path(_) => {
                format!("{}: {severity}[{}]: {}{help}\n", self.origin.shown(), self.code, self.message)
            }
            Origin::Nowhere | Origin::Flag(_) | Origin::Variable(_) if self.is_error() => {
                format!("elkhound: {}{help}\n", self.message)
            }
            _ => format!("elkhound: {severity}[{}]: {}{help}\n", self.code, self.message),
        }
    }

    fn diagnostic(&self, span: Span) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.code, span, &self.message);
        diagnostic.help = self.help.clone();
        match self.label {
            Some((place, text)) => diagnostic.with_label(place, text),
            None => diagnostic,
        }
    }
}

impl Written {
    /// The setting as people wrote it, for messages: with the value, unless it is secret or can be seen at the place itself.
    pub(crate) fn quoted(&self) -> String {
        let value = if self.row.kind == Kind::Secret { "…".into() } else { shortened(&self.value) };
        match &self.origin {
            Origin::Flag(flag) => format!("`{flag} {value}`"),
            Origin::Variable(name) => format!("`{name}={value}` in the environment"),
            _ => format!("`{}`", self.name),
        }
    }

    /// What is wrong or odd about the value.
    pub(crate) fn mistake(&self) -> Option<Mistake> {
        if let Some(reason) = self.row.refusal(&self.value) {
            return Some(self.refused(&reason));
        }
        let odd = self.row.vain(&self.value)?;
        let name = match &self.origin {
            Origin::Flag(flag) => flag,
            Origin::Variable(name) => name,
            _ => &self.name,
        };
        Some(Mistake::warning("no-effect", self.origin.clone(), format!("`{name}` is taken, but {odd}")))
    }

    /// The mistake that the value is, for this reason.
    pub(crate) fn refused(&self, reason: &str) -> Mistake {
        Mistake::error("bad-setting", self.origin.clone(), format!("{}: {reason}", self.quoted()))
    }
}

/// The value for a message: a pipeline's text can be long.
fn shortened(value: &str) -> String {
    let line = value.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(60).collect();
    if cut.len() < value.len() { format!("{cut}…") } else { cut }
}

/// What one place says. What is written twice holds as written last.
pub(crate) type Layer = Vec<Written>;

/// Layers, the strongest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layers<'a>(pub(crate) &'a [&'a Layer]);

impl<'a> Layers<'a> {
    /// The setting as it holds.
    pub(crate) fn find(self, name: &str) -> Option<&'a Written> {
        self.0.iter().find_map(|layer| layer.iter().rev().find(|written| written.name == name))
    }

    /// Its value; that of the table when nobody set it, and nothing when the table has none.
    pub(crate) fn value(self, name: &str) -> Option<&'a str> {
        let default = || super::table::find(name).map(|row| row.default).filter(|default| !default.is_empty());
        self.find(name).map(|written| written.value.as_str()).or_else(default)
    }

    /// True for a switch that is on.
    pub(crate) fn is_on(self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// A number; nothing when there is none, or when it has been reported as none.
    pub(crate) fn number(self, name: &str) -> Option<usize> {
        self.value(name)?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::table;

    fn written(name: &str, value: &str, origin: Origin) -> Written {
        let row = table::find(name).unwrap();
        Written { name: name.into(), row, value: value.into(), origin }
    }

    #[test]
    fn the_strongest_layer_holds_and_in_it_the_last_line() {
        let flag = vec![written("pipeline.workers", "2", Origin::Flag("-w".into()))];
        let file = vec![
            written("pipeline.workers", "3", Origin::Nowhere),
            written("pipeline.batch.size", "4", Origin::Nowhere),
            written("pipeline.batch.size", "5", Origin::Nowhere),
        ];
        let layers = Layers(&[&flag, &file]);
        assert_eq!((layers.number("pipeline.workers"), layers.number("pipeline.batch.size")), (Some(2), Some(5)));
        assert_eq!((layers.value("log.level"), layers.value("node.name")), (Some("info"), None));
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_a_secret_is_not() {
        let source = Arc::new(Source::of("elkhound.yml", "pipeline.workers: 0\n"));
        let told =
            |name: &str, value: &str, origin: Origin| written(name, value, origin).mistake().unwrap().shown(false);
        assert_eq!(
            told("pipeline.workers", "0", Origin::Flag("-w".into())),
            "elkhound: `-w 0`: at least 1 is needed\n"
        );
        assert_eq!(
            told("pipeline.workers", "0", Origin::Variable("PIPELINE_WORKERS".into())),
            "elkhound: `PIPELINE_WORKERS=0` in the environment: at least 1 is needed\n"
        );
        assert_eq!(
            told("pipeline.workers", "0", Origin::File(source, Span::new(18, 19))),
            "elkhound.yml:1:19: error[bad-setting]: `pipeline.workers`: at least 1 is needed\n  1 | pipeline.workers: 0\n    |                   ^\n"
        );
        let origin = Origin::Variable("API_SSL_KEYSTORE_PASSWORD".into());
        let secret = told("api.ssl.keystore.password", "hunter2", origin);
        assert_eq!(
            secret,
            "elkhound: warning[no-effect]: `API_SSL_KEYSTORE_PASSWORD` is taken, but it has no effect: elkhound reads PEM files: api.ssl.certificate and api.ssl.key\n"
        );
    }
}
