//! Who keeps state in a file: the inputs of one round, a round being the pipelines as they were loaded at one time.
//!
//! When a pipeline is loaded again, its old inputs have stopped but their receipts may still be out, and each of them moves a position in the file.
//! So the new inputs wait here until the last receipt of the old ones is back and the file is written: then they begin where the old
//! ones are safe, and no line is read twice or passed over. Inputs of the same round may share a file, as they always could.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());
static FREED: Notify = Notify::const_new();

struct Held {
    path: PathBuf,
    round: u64,
    claims: usize,
}

/// The right to keep state in a file; given back when dropped.
#[derive(Debug)]
pub(crate) struct Claim(PathBuf);

/// Waits until no earlier or later round keeps state in `path`. Nothing when `stop` came first.
pub(crate) async fn take(path: &Path, round: u64, stop: &CancellationToken) -> Option<Claim> {
    tokio::select! {
        () = until(|| enter(path, round)) => Some(Claim(path.to_owned())),
        () = stop.cancelled() => None,
    }
}

/// Waits until no round but this one keeps state in `path`.
pub(crate) async fn left_to(path: &Path, round: u64) {
    until(|| is_left_to(path, round)).await;
}

/// Waits until this round keeps no state in `path` any more.
pub(crate) async fn given_back(path: &Path, round: u64) {
    until(|| !held().iter().any(|held| held.path == path && held.round == round)).await;
}

/// Whether no round but this one keeps state in `path`.
pub(crate) fn is_left_to(path: &Path, round: u64) -> bool {
    !held().iter().any(|held| held.path == path && held.round != round)
}

async fn until(is_so: impl Fn() -> bool) {
    loop {
        // Asked to be woken before the look, so that no waking is missed between them.
        let freed = FREED.notified();
        if is_so() {
            return;
        }
        freed.await;
    }
}

fn enter(path: &Path, round: u64) -> bool {
    let mut held = held();
    match held.iter_mut().find(|held| held.path == path) {
        Some(held) if held.round != round => false,
        Some(held) => {
            held.claims += 1;
            true
        }
        None => {
            held.push(Held { path: path.to_owned(), round, claims: 1 });
            true
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = held();
        if let Some(at) = held.iter().position(|held| held.path == self.0) {
            held[at].claims -= 1;
            if held[at].claims == 0 {
                held.swap_remove(at);
                FREED.notify_waiters();
            }
        }
    }
}

fn held() -> MutexGuard<'static, Vec<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_waits_for_the_one_before_and_shares_with_its_own() {
        let (path, stop) = (Path::new("/a-test-of-claims/shared"), CancellationToken::new());
        let first = take(path, 1, &stop).await.unwrap();
        let second = take(path, 1, &stop).await.unwrap();
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { take(path, 2, &stop).await.is_some() }
        });
        let gone = tokio::spawn(given_back(path, 1));
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !gone.is_finished());
        assert!(is_left_to(path, 1) && !is_left_to(path, 2));
        drop(second);
        assert!(waiting.await.unwrap());
        gone.await.unwrap();
        left_to(path, 2).await;
        assert!(held().iter().all(|held| held.path != path));
    }

    #[tokio::test]
    async fn a_stop_ends_the_waiting() {
        let (path, stop) = (Path::new("/a-test-of-claims/stopped"), CancellationToken::new());
        let _held = take(path, 1, &stop).await.unwrap();
        stop.cancel();
        assert!(take(path, 2, &stop).await.is_none());
    }
}
