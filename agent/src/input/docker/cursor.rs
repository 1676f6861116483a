//! Cursors on disk: for each container, up to where its log is safe.
//!
//! All cursors of an input are in one small text file, a line for each container, written whole beside the old one and renamed over it.
//! One file for each container would cost a thousand `fsync`s a second on a busy host, a journal would need compaction; 500 containers are 100 KiB,
//! one `fsync`, at most once a second.
//!
//! What it promises: after a crash the file is the old one or the new one, never a mixture. Each line has its own checksum, so a damaged
//! line costs that container's cursor and no other. A cursor is never ahead of what was acknowledged; being up to a second behind only
//! means that lines are read again, under the identities they had.
//!
//! What it leaves out: when to write; [`keeping`] calls [`Cursors::save`], and so does the end of [`Cursors`] itself.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::follow::Start;
use super::ledger::ContainerLedger;
use super::metadata::Container;
use super::place::Reached;
use crate::claim::Claim;
use crate::files;
use crate::stats::containers::{About, ContainerStats, Containers};

pub(crate) mod hold;
pub(crate) mod keeping;
mod written;

use written::Cursor;
pub(crate) use written::checksum;

/// The cursors of one input.
pub(crate) struct Cursors {
    path: PathBuf,
    state: Mutex<State>,
    /// Held while the file is written, so that two writers can't overtake each other.
    writing: Mutex<()>,
    /// Something was given up that another pipeline may deliver.
    left: Notify,
    /// Held while that is handed on, for which new lines wait.
    handing_on_again: tokio::sync::Mutex<()>,
    /// Given back after the last writing: whoever reads the file next finds all that this one knew.
    claim: Option<Claim>,
}

#[derive(Default)]
struct State {
    cursors: HashMap<String, Cursor>,
    /// Those of them that have a reader, which tells when its container is gone.
    begun: HashSet<String>,
    /// Those of the logs that are read through the API.
    ledgers: HashMap<String, Arc<ContainerLedger>>,
    /// What is known of the containers, for the monitoring API.
    containers: Option<Arc<Containers>>,
    changed: bool,
}

impl Cursors {
    /// Reads the cursors at `path`; a missing file means none. Returns the number of lines that were damaged, too.
    ///
    /// # Errors
    /// When the file is there but can't be read.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, usize)> {
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let (cursors, damaged) = written::read(&text);
        let state = Mutex::new(State { cursors, changed: damaged > 0, ..State::default() });
        let (writing, left, handing_on_again) = (Mutex::new(()), Notify::new(), tokio::sync::Mutex::default());
        Ok((Self { path: path.to_owned(), state, writing, left, handing_on_again, claim: None }, damaged))
    }

    /// Keeps the claim to the file for as long as the cursors can move.
    pub(crate) fn claimed(mut self, claim: Claim) -> Self {
        self.claim = Some(claim);
        self
    }

    /// An input begins to read, whose containers are counted in `containers`. No container has a reader yet.
    pub(crate) fn begin_anew(&self, containers: Option<Arc<Containers>>) {
        let mut state = self.state();
        state.begun.clear();
        state.containers = containers;
    }

    /// Counts a container that was removed before its log had been read to the end.
    pub(crate) fn count_unread(&self) {
        if let Some(containers) = self.containers() {
            containers.count_unread();
        }
    }

    /// Where what is read of `container` is counted.
    pub(crate) fn stats_of(&self, container: &str) -> Option<Arc<ContainerStats>> {
        Some(self.containers()?.take_up(container))
    }

    /// Notes how long it takes to read what waits in log files, where that can be told.
    pub(crate) fn are_behind(&self, time_left: Option<Duration>) {
        if let Some(containers) = self.containers() {
            containers.are_behind(time_left);
        }
    }

    fn containers(&self) -> Option<Arc<Containers>> {
        self.state().containers.clone()
    }

    /// The ledger of a container whose log is, or was, read through the API.
    pub(crate) fn ledger(&self, container: &str) -> Option<Arc<ContainerLedger>> {
        self.state().ledgers.get(container).cloned()
    }

    /// The same, made if there is none.
    pub(crate) fn ledger_or_new(self: &Arc<Self>, container: &str) -> Arc<ContainerLedger> {
        if let Some(ledger) = self.ledger(container) {
            return ledger;
        }
        let ledger = Arc::new(ContainerLedger::new(container, Arc::clone(self)));
        Arc::clone(self.state().ledgers.entry(container.to_owned()).or_insert(ledger))
    }

    /// All of them.
    pub(crate) fn ledgers(&self) -> Vec<Arc<ContainerLedger>> {
        self.state().ledgers.values().cloned().collect()
    }

    /// What was given up of this container's log is not wanted, or is read again.
    pub(crate) fn drop_ledger(&self, container: &str) {
        let ledger = self.state().ledgers.remove(container);
        drop(ledger);
    }

    /// Something was given up, or somebody wants it now.
    pub(crate) fn leave(&self) {
        self.left.notify_one();
    }

    /// Waits for that. Once for whatever has happened since it was waited for last.
    pub(crate) async fn something_left(&self) {
        self.left.notified().await;
    }

    /// What was given up is handed on again for as long as the answer is kept.
    pub(crate) async fn hand_on_again(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.handing_on_again.lock().await
    }

    /// Waits until what was given up is handed on again. So what is kept stays bounded, however often pipelines are loaded again while nothing can be
    /// delivered: the text of what was given up, beside what is in flight.
    pub(crate) async fn after_what_was_given_up(&self) {
        drop(self.handing_on_again.lock().await);
    }

    /// No input comes any more that could want what is given up.
    pub(crate) fn let_go(&self) {
        let ledgers = std::mem::take(&mut self.state().ledgers);
        drop(ledgers);
    }

    /// Notes who a container is, and how its log is read: `files` or `api`.
    pub(crate) fn describe(&self, container: &Container, source: &'static str) {
        let Some(stats) = self.stats_of(&container.id) else { return };
        let (id, name, image) = (container.id.clone(), container.name.clone(), container.image.clone());
        stats.describe(About { id, name, image, service: container.service_name().to_owned(), source });
    }

    /// Where they are written.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The cursor of `container`.
    pub(crate) fn of(&self, container: &str) -> Option<Cursor> {
        self.state().cursors.get(container).cloned()
    }

    /// All containers whose cursors were left from earlier, and have no reader.
    pub(crate) fn without_reader(&self) -> Vec<String> {
        let state = self.state();
        state.cursors.keys().filter(|id| !state.begun.contains(*id)).cloned().collect()
    }

    /// The reader of `container` has ended, and can't tell when that is gone.
    pub(crate) fn lose_reader(&self, container: &str) {
        self.state().begun.remove(container);
    }

    /// Moves the cursor of `container`.
    pub(crate) fn advance(&self, container: &str, reached: Reached) {
        let mut state = self.state();
        if let Some(cursor) = state.cursors.get_mut(container) {
            cursor.reached = reached;
            state.changed = true;
        }
    }

    /// Starts a cursor for `container`, or notes that its log driver is another one now. Returns where to begin without a mark: where `start` says, but
    /// a container that was begun with its first line is not begun with another one after a restart.
    pub(crate) fn begin(&self, container: &str, driver: &str, start: Start) -> Start {
        let mut state = self.state();
        state.begun.insert(container.to_owned());
        let new = || Cursor { begins: start == Start::Beginning, ..Cursor::default() };
        let cursor = state.cursors.entry(container.to_owned()).or_insert_with(new);
        let start = if cursor.begins { Start::Beginning } else { start };
        if cursor.driver != driver {
            driver.clone_into(&mut cursor.driver);
            state.changed = true;
        }
        start
    }

    /// Forgets `container`: it is destroyed and all its lines are safe.
    pub(crate) fn remove(&self, container: &str) {
        let mut state = self.state();
        state.begun.remove(container);
        state.changed |= state.cursors.remove(container).is_some();
        if let Some(containers) = &state.containers {
            containers.remove(container);
        }
        let ledger = state.ledgers.remove(container);
        drop((state, ledger));
    }

    /// Writes the file if anything has changed since it was written last. Blocks on the disk.
    ///
    /// # Errors
    /// When the file can't be written; the change is kept for the next call.
    pub(crate) fn save(&self) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(text) = self.take_change() else { return Ok(()) };
        let result = files::replace(&self.path, text.as_bytes());
        self.state().changed |= result.is_err();
        result
    }

    fn take_change(&self) -> Option<String> {
        let mut state = self.state();
        std::mem::take(&mut state.changed).then(|| written::write(&state.cursors))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last receipt may come back after everything else has ended.
impl Drop for Cursors {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            tracing::warn!(reason = %error, "cursors can't be written; lines are read again from where they were written last");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::position::{Marks, Position, Stream};
    use crate::scratch;

    /// A folder with cursors.
    struct Folder(scratch::Folder);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(scratch::Folder::new(name))
        }

        fn file(&self) -> PathBuf {
            self.0.join("docker.cursors")
        }
    }

    fn reached(nanos: i64) -> Reached {
        let mut marks = Marks::default();
        marks.set(Stream::Stderr, Position { nanos, ordinal: 3 });
        Reached { marks, place: None }
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let folder = Folder::new("again");
        let (cursors, damaged) = Cursors::open(&folder.file()).unwrap();
        assert_eq!(damaged, 0);
        for container in ["a", "b", "c"] {
            cursors.begin(container, "json-file", Start::End);
        }
        cursors.advance("a", reached(-5));
        cursors.advance("unknown", reached(1));
        cursors.remove("b");
        cursors.save().unwrap();
        let (again, damaged) = Cursors::open(&folder.file()).unwrap();
        assert_eq!(damaged, 0);
        assert_eq!(
            again.of("a"),
            Some(Cursor { reached: reached(-5), driver: "json-file".into(), ..Cursor::default() })
        );
        let mut containers = again.without_reader();
        containers.sort();
        assert_eq!(containers, ["a", "c"]);
        assert_eq!(fs::read_dir(&*folder.0).unwrap().count(), 1, "nothing is left beside the file");
    }

    #[test]
    fn what_is_begun_with_its_first_line_is_so_after_a_restart_too() {
        let folder = Folder::new("begins");
        let begin = |start| {
            let (cursors, damaged) = Cursors::open(&folder.file()).unwrap();
            assert_eq!(damaged, 0);
            // One was created while the input ran, the other was there before it.
            let found = (cursors.begin("new", "local", start), cursors.begin("old", "local", Start::End));
            cursors.save().unwrap();
            found
        };
        assert_eq!(begin(Start::Beginning), (Start::Beginning, Start::End));
        assert_eq!(begin(Start::End), (Start::Beginning, Start::End));
    }

    #[test]
    fn nothing_is_written_without_a_change() {
        let folder = Folder::new("change");
        let (cursors, _) = Cursors::open(&folder.file()).unwrap();
        cursors.save().unwrap();
        assert!(!folder.file().exists());
        cursors.begin("a", "local", Start::End);
        cursors.save().unwrap();
        fs::remove_file(folder.file()).unwrap();
        cursors.begin("a", "local", Start::End);
        cursors.save().unwrap();
        assert!(!folder.file().exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_tried_again() {
        let folder = Folder::new("retry");
        let path = folder.0.join("missing").join("docker.cursors");
        let (cursors, _) = Cursors::open(&path).unwrap();
        cursors.begin("a", "local", Start::End);
        assert!(cursors.save().is_err());
        fs::create_dir(folder.0.join("missing")).unwrap();
        cursors.save().unwrap();
        assert!(path.exists());
    }
}
