//! When cursors are written: every second that they have moved, for as long as anything can move them, which is long after their input has stopped.

use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use anyhow::Context;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::Cursors;

/// How often they are written, if they have moved.
const SAVE: Duration = Duration::from_secs(1);

/// Reads the cursors at `path`, and says how many were damaged.
///
/// # Errors
/// When they can't be read, or their folder can't be made.
pub(crate) fn open(path: &Path) -> anyhow::Result<Cursors> {
    let remedy =
        || format!("the cursors in {} can't be kept; make path.data a folder that can be written", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(remedy)?;
    }
    let (cursors, damaged) = Cursors::open(path).with_context(remedy)?;
    if damaged > 0 {
        let path = path.display().to_string();
        warn!(
            path,
            damaged, "some cursors were damaged; the logs of their containers are read again from the beginning"
        );
    }
    Ok(cursors)
}

/// Writes cursors for as long as anything can move them.
pub(crate) async fn keep(cursors: Weak<Cursors>) {
    let mut ticks = interval(SAVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut fails = false;
    loop {
        ticks.tick().await;
        let Some(cursors) = cursors.upgrade() else { return };
        // A join that fails means that the runtime ends.
        let Ok(saved) = spawn_blocking(move || cursors.save()).await else { return };
        match (std::mem::replace(&mut fails, saved.is_err()), saved) {
            (false, Err(error)) => {
                warn!(reason = %error, "cursors can't be written; make room in path.data, for after a crash lines are read again from where they were written last");
            }
            (true, Ok(())) => info!("cursors can be written again"),
            _ => {}
        }
    }
}
