//! One file's side of the receipts: chunks that are safe move its position in the sincedb.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elkhound_pipeline::flow::receipt::Ledger;

use super::sincedb::{FileId, Sincedb};
use crate::input::window::{Mark, Window};

/// An offset in a file. Behind a truncation they begin anew, so the later one counts, not the larger.
impl Mark for u64 {
    fn advance(&mut self, end: &Self) {
        *self = *end;
    }
}

/// Moves the position of one file, and forgets it when the file is gone and its lines are safe.
#[derive(Debug)]
pub(super) struct FileLedger {
    file: FileId,
    sincedb: Arc<Sincedb>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Where the file is now; the sincedb keeps it for people.
    path: PathBuf,
    window: Window<u64>,
    gone: bool,
}

impl FileLedger {
    /// A ledger of a file that is safe up to `offset`.
    pub(super) fn new(file: FileId, path: &Path, offset: u64, sincedb: Arc<Sincedb>) -> Self {
        let state = State { path: path.to_owned(), window: Window::after(offset), gone: false };
        Self { file, sincedb, state: Mutex::new(state) }
    }

    /// Notes a chunk that ends at `end`; returns its number.
    pub(super) fn open(&self, end: u64) -> u64 {
        self.state().window.open(end)
    }

    /// The file has another name now.
    pub(super) fn renamed(&self, path: &Path) {
        path.clone_into(&mut self.state().path);
    }

    /// The file exists no more: another one may get its inode, and must not get its position.
    pub(super) fn gone(&self) {
        let mut state = self.state();
        state.gone = true;
        self.forget_if_done(&state);
    }

    /// True when every chunk is safe.
    pub(super) fn is_settled(&self) -> bool {
        self.state().window.in_flight() == 0
    }

    fn forget_if_done(&self, state: &State) {
        if state.gone && state.window.in_flight() == 0 {
            self.sincedb.forget(self.file);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for FileLedger {
    fn settled(&self, chunk: u64) {
        let mut state = self.state();
        if let Some(safe) = state.window.settle(chunk) {
            self.sincedb.advance(self.file, &state.path, safe);
        }
        self.forget_if_done(&state);
    }

    /// The chunk stays open in the window, so the position stops before it, and a file that was to be deleted stays.
    fn abandoned(&self, _chunk: u64) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ledger() -> (FileLedger, Arc<Sincedb>, FileId) {
        let (sincedb, _) = Sincedb::open(Path::new("/dev/null"), Duration::from_secs(86_400)).unwrap();
        let (sincedb, file) = (Arc::new(sincedb), FileId::of(&std::fs::metadata("/").unwrap()));
        (FileLedger::new(file, Path::new("/x"), 0, Arc::clone(&sincedb)), sincedb, file)
    }

    #[test]
    fn the_position_follows_the_safe_prefix_and_falls_with_a_truncation() {
        let (ledger, sincedb, file) = ledger();
        let chunks = [500, 900, 20].map(|end| ledger.open(end));
        ledger.settled(chunks[1]);
        assert_eq!(sincedb.of(file), None);
        ledger.settled(chunks[0]);
        assert_eq!(sincedb.of(file), Some(900));
        assert!(!ledger.is_settled());
        ledger.settled(chunks[2]);
        assert_eq!((sincedb.of(file), ledger.is_settled()), (Some(20), true));
    }

    #[test]
    fn a_position_outlives_its_file_until_all_is_safe() {
        let (ledger, sincedb, file) = ledger();
        let chunks = [1, 2].map(|end| ledger.open(end));
        ledger.settled(chunks[0]);
        ledger.gone();
        assert_eq!(sincedb.of(file), Some(1));
        ledger.settled(chunks[1]);
        assert_eq!(sincedb.of(file), None);
    }
}
