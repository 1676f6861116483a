//! Who may move the cursors in a file: an input, and the one that takes its place when its pipeline is loaded again, both with the same cursors in memory.
//!
//! So the new input need not wait for the old one's receipts: it goes on where the old one has stopped reading, and whichever pipeline delivers
//! a chunk moves the cursor. What needs the cursors to stand still, as reading files from the safe place does, waits by itself ([`crate::claim`]).
//!
//! An input holds from the moment it is made, which is before the one that it replaces is stopped, to its end. With the last hold the cursors are let go of: they live on
//! until the last receipt is back, and are written then. Who holds them anew meanwhile waits for that.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{Cursors, keeping};
use crate::claim;

static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

struct Held {
    path: PathBuf,
    holds: usize,
    cursors: Arc<OnceCell<Arc<Cursors>>>,
}

/// The right to the cursors in a file; given back when dropped.
pub(crate) struct Hold(PathBuf);

impl Hold {
    /// Holds the cursors at `path`, and reads nothing yet.
    pub(crate) fn of(path: PathBuf) -> Self {
        let mut held = held();
        match held.iter_mut().find(|held| held.path == path) {
            Some(held) => held.holds += 1,
            None => held.push(Held { path: path.clone(), holds: 1, cursors: Arc::default() }),
        }
        Self(path)
    }

    /// The cursors: those that another holds, or else read from their file. Nothing when `stop` came first.
    ///
    /// # Errors
    /// When the file can't be read, or its folder can't be made.
    pub(crate) async fn cursors(&self, round: u64, stop: &CancellationToken) -> anyhow::Result<Option<Arc<Cursors>>> {
        let cell = held().iter().find(|held| held.path == self.0).map(|held| Arc::clone(&held.cursors));
        let Some(cell) = cell else { return Ok(None) };
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(None),
            opened = cell.get_or_try_init(|| open(&self.0, round, stop)) => opened.cloned().map(Some),
        }
    }
}

async fn open(path: &Path, round: u64, stop: &CancellationToken) -> anyhow::Result<Arc<Cursors>> {
    // One that was stopped meanwhile is heard of by who waits for this.
    let Some(claim) = claim::take(path, round, stop).await else { return std::future::pending().await };
    let place = path.to_owned();
    // The claim goes along: cursors that nobody waits for any more may still be written.
    let opened = spawn_blocking(move || keeping::open(&place).map(|cursors| cursors.claimed(claim)));
    let cursors = Arc::new(opened.await.context("the cursors could not be opened")??);
    // They move until the last receipt is back, long after the inputs have stopped: the task ends when nobody can move them.
    tokio::spawn(keeping::keep(Arc::downgrade(&cursors)));
    Ok(cursors)
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = held();
        let Some(at) = held.iter().position(|held| held.path == self.0) else { return };
        held[at].holds -= 1;
        if held[at].holds == 0 {
            let last = held.swap_remove(at);
            drop(held);
            last.cursors.get().inspect(|cursors| cursors.let_go());
        }
    }
}

fn held() -> MutexGuard<'static, Vec<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::follow::Start;
    use crate::scratch::Folder;

    #[tokio::test]
    async fn who_holds_before_the_other_lets_go_has_the_same_cursors() {
        let (folder, stop) = (Folder::new("hold"), CancellationToken::new());
        let path = folder.join("docker.cursors");
        let first = Hold::of(path.clone());
        let cursors = first.cursors(0, &stop).await.unwrap().unwrap();
        let second = Hold::of(path.clone());
        drop(first);
        let same = second.cursors(1, &stop).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&cursors, &same));
    }

    #[tokio::test]
    async fn who_comes_later_reads_what_the_last_receipt_has_written() {
        let (folder, stop) = (Folder::new("hold-later"), CancellationToken::new());
        let path = folder.join("docker.cursors");
        let first = Hold::of(path.clone());
        let cursors = first.cursors(0, &stop).await.unwrap().unwrap();
        cursors.begin("a", "local", Start::Beginning);
        let ledger = cursors.ledger_or_new("a");
        drop((first, cursors));
        let second = Hold::of(path.clone());
        let waiting = tokio::spawn(async move { second.cursors(1, &CancellationToken::new()).await.unwrap().unwrap() });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "a receipt is out, which may move a cursor");
        drop(ledger);
        assert!(waiting.await.unwrap().of("a").is_some());
    }

    #[tokio::test]
    async fn a_stop_ends_the_waiting() {
        let (folder, stop) = (Folder::new("hold-stop"), CancellationToken::new());
        let hold = Hold::of(folder.join("docker.cursors"));
        let _claim = claim::take(&folder.join("docker.cursors"), 0, &stop).await.unwrap();
        stop.cancel();
        assert!(hold.cursors(1, &stop).await.unwrap().is_none());
    }
}
