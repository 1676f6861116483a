//! elkhound's own logs, on standard error: readable text, or JSON with one object a line; never a secret.
//!
//! What is logged can be changed while elkhound runs ([`Levels`]): for one module after the other, and back to what the settings say.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

use crate::secret::MaskedError;
use crate::settings::LogSettings;

/// The levels in force; there is one log, so there is one of these. Nothing before [`start`].
static LEVELS: OnceLock<Levels> = OnceLock::new();

/// What is logged, by module.
pub(crate) struct Levels {
    /// As the settings say.
    first: BTreeMap<String, String>,
    now: Mutex<BTreeMap<String, String>>,
    apply: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

/// Starts logging. Libraries stay quiet below `warn`, unless everything was asked for.
pub(crate) fn start(settings: &LogSettings) {
    let libraries = if settings.level == "trace" { "trace" } else { "warn" };
    let level = settings.level.as_str();
    let first: BTreeMap<String, String> = [("", libraries), ("elkhound", level), ("elkhound_pipeline", level)]
        .map(|(module, level)| (module.to_owned(), level.to_owned()))
        .into();
    let builder = tracing_subscriber::fmt().with_writer(MaskedError::new).with_target(false);
    // It would tell standard error that standard error can't be written to, which panics: whoever has something to say would end.
    let builder = builder.log_internal_errors(false);
    // A filter that can't be put in place any more has nobody to filter for.
    let apply: Box<dyn Fn(EnvFilter) + Send + Sync> = if settings.json {
        let builder = builder.json().flatten_event(true).with_env_filter(filter(&first)).with_filter_reloading();
        let handle = builder.reload_handle();
        builder.init();
        Box::new(move |filter| drop(handle.reload(filter)))
    } else {
        let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let builder = builder.with_ansi(colours).with_env_filter(filter(&first)).with_filter_reloading();
        let handle = builder.reload_handle();
        builder.init();
        Box::new(move |filter| drop(handle.reload(filter)))
    };
    let now = Mutex::new(first.clone());
    LEVELS.get_or_init(|| Levels { first, now, apply });
}

/// The levels, once logging has started.
pub(crate) fn levels() -> Option<&'static Levels> {
    LEVELS.get()
}

impl Levels {
    /// By module, the libraries under the empty name.
    pub(crate) fn shown(&self) -> BTreeMap<String, String> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs these modules at these levels.
    pub(crate) fn set(&self, changes: BTreeMap<String, String>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.extend(changes);
        (self.apply)(filter(&now));
    }

    /// Logs as the settings say.
    pub(crate) fn reset(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone_from(&self.first);
        (self.apply)(filter(&now));
    }
}

fn filter(levels: &BTreeMap<String, String>) -> EnvFilter {
    let directive = |(module, level): (&String, &String)| {
        if module.is_empty() { level.clone() } else { format!("{module}={level}") }
    };
    EnvFilter::new(levels.iter().map(directive).collect::<Vec<_>>().join(","))
}
