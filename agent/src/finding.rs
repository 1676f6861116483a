//! What an examination has found: something that is well, or is not, and what to do about it.

use std::fmt;
use std::pin::Pin;

/// An examination that is under way.
pub(crate) type Examination<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + Send + 'a>>;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// As it should be.
    Good,
    /// Works, but loses lines or costs more than it must.
    Warning,
    /// Does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// How bad it is.
    pub(crate) grade: Grade,
    /// What was found, with the place.
    pub(crate) text: String,
    /// What to do about it; empty where all is well.
    pub(crate) remedy: String,
}

impl Finding {
    /// Something that is as it should be.
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self { grade: Grade::Good, text: text.into(), remedy: String::new() }
    }

    /// Something that works badly.
    pub(crate) fn warning(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Warning, text: text.into(), remedy: remedy.into() }
    }

    /// Something that does not work.
    pub(crate) fn bad(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, text: text.into(), remedy: remedy.into() }
    }
}

/// A line, and one with the remedy.
impl fmt::Display for Finding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Good => "ok",
            Grade::Warning => "warning",
            Grade::Bad => "bad",
        };
        write!(to, "{grade:<9}{}", self.text)?;
        if !self.remedy.is_empty() {
            write!(to, "\n{:9}  help: {}", "", self.remedy)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_remedy_another() {
        assert_eq!(Finding::good("all well").to_string(), "ok       all well");
        let shown = Finding::bad("no socket", "mount it").to_string();
        assert_eq!(shown, "bad      no socket\n           help: mount it");
    }
}
