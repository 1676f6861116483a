//! Colours for what is printed to people, where a terminal shows them.

use std::io::{IsTerminal, stdout};

/// Paints, or leaves texts as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output: colours on a terminal, unless `NO_COLOR` is set.
    pub(crate) fn of_stdout() -> Self {
        Self { on: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// No colours.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { on: false }
    }

    /// What went in or is right.
    pub(crate) fn green(self, text: &str) -> String {
        self.apply("32", text)
    }

    /// What is gone or wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.apply("31", text)
    }

    /// What has changed.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.apply("33", text)
    }

    /// What a reader looks for first.
    pub(crate) fn bold(self, text: &str) -> String {
        self.apply("1", text)
    }

    /// What he may skip.
    pub(crate) fn dim(self, text: &str) -> String {
        self.apply("2", text)
    }

    fn apply(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
