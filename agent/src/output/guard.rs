//! What ends a pipeline when a part of one of its outputs panics, which is a defect: what that part held can't be read again while the pipeline runs, and nobody
//! might take what comes after it.

use std::thread;

use tokio_util::sync::CancellationToken;
use tracing::error;

/// Held by a part of an output for as long as it works.
#[derive(Debug)]
pub(crate) struct Guard(CancellationToken);

impl Guard {
    /// Cancels `broken` if it is dropped by a panic.
    pub(crate) fn new(broken: &CancellationToken) -> Self {
        Self(broken.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            error!(
                "a part of an output has panicked, which is a defect of elkhound; its pipeline ends, and what it had is read again"
            );
            self.0.cancel();
        }
    }
}
