//! What a reader of logs leaves to the one that takes its place when a pipeline is loaded again: its open files.
//!
//! The new reader begins where the old one is safe ([`super::super::cursor`]), which may be before what the old one has read. A container that is removed
//! meanwhile takes its log along, but an open file can be read to its end whatever becomes of its name. So a log is handed over by its files, all from
//! the one that holds the safe place, and who looks for them by their names finds nothing that these don't say.
//!
//! Only for a moment: what nobody has taken [`UNWANTED`] after the old reader's last receipt was back is closed, for it keeps space on the disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::super::metadata::{Container, Host};
use super::segments::Segment;
use crate::claim;

/// How long open files wait for a reader: one that follows has its pipeline made already, and only waits for the cursors.
const UNWANTED: Duration = Duration::from_secs(10);

static LEFT: Mutex<Vec<Left>> = Mutex::new(Vec::new());

/// The logs of one reader.
struct Left {
    /// Where its cursors are, which names the input.
    cursors: PathBuf,
    round: u64,
    logs: Vec<OpenLog>,
}

/// A log that somebody was reading.
pub(super) struct OpenLog {
    /// Where it stands, or stood.
    pub(super) path: PathBuf,
    /// Whose it is.
    pub(super) container: Box<Container>,
    /// Where that runs, or ran.
    pub(super) host: Arc<Host>,
    /// Its files, the oldest first.
    pub(super) files: Vec<Segment>,
}

/// Leaves what the reader of this `round` had open.
pub(super) fn leave(cursors: &Path, round: u64, logs: Vec<OpenLog>) {
    if !logs.is_empty() {
        left().push(Left { cursors: cursors.to_owned(), round, logs });
    }
}

/// What earlier rounds have left, and nobody else gets then.
pub(super) fn take(cursors: &Path) -> Vec<OpenLog> {
    left().extract_if(.., |left| left.cursors == cursors).flat_map(|left| left.logs).collect()
}

/// Closes what the reader of this `round` leaves and nobody takes after its last receipt is back, when it gives its claim to `files` back.
pub(super) async fn close_unwanted(cursors: PathBuf, files: PathBuf, round: u64) {
    claim::given_back(&files, round).await;
    sleep(UNWANTED).await;
    close(&cursors, round);
}

/// Closes what the reader of this `round` has left.
fn close(cursors: &Path, round: u64) {
    left().retain(|left| left.cursors != cursors || left.round != round);
}

fn left() -> MutexGuard<'static, Vec<Left>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &str) -> OpenLog {
        OpenLog { path: path.into(), container: Box::default(), host: Arc::default(), files: Vec::new() }
    }

    #[test]
    fn what_is_left_is_taken_once_and_by_its_heir_only() {
        let (own, other) = (Path::new("/a-test-of-handing-over/own"), Path::new("/a-test-of-handing-over/other"));
        leave(own, 1, vec![open("a"), open("b")]);
        leave(other, 1, vec![open("c")]);
        let paths = |cursors| take(cursors).into_iter().map(|log| log.path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(paths(own), ["a", "b"]);
        assert!(paths(own).is_empty());
        assert_eq!(paths(other), ["c"]);
    }

    #[test]
    fn what_nobody_wants_is_closed_and_what_a_later_round_leaves_is_not() {
        let cursors = Path::new("/a-test-of-handing-over/unwanted");
        leave(cursors, 1, vec![open("a")]);
        leave(cursors, 2, vec![open("b")]);
        close(cursors, 1);
        assert_eq!(take(cursors).len(), 1);
    }
}
