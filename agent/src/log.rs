//! elkhound's own logs, on standard error: readable text, or JSON with one object a line; never a secret.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::secret::MaskedError;
use crate::settings::LogSettings;

/// Starts logging. Libraries stay quiet below `warn`, unless everything was asked for.
pub(crate) fn start(settings: &LogSettings) {
    let libraries = if settings.level == "trace" { "trace" } else { "warn" };
    let filter =
        EnvFilter::new(format!("{libraries},elkhound={level},elkhound_pipeline={level}", level = settings.level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(MaskedError::new).with_target(false);
    if settings.json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).init();
    }
}
