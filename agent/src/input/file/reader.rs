//! The thread that reads: looks for files, goes round those that are there, and hands on what is new, a block at a time.
//!
//! All that is read is charged to the queue's budget first; while that is used up nothing is read. What it leaves out: pressing a line out of a file
//! that is gone. A file that was deleted, or truncated, before its end was read is not there to be read any more.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use elkhound_pipeline::codec::Codec;
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::flow::receipt::Receipt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::completed::{Completed, check_archive};
use super::discovery::{Sorting, sort};
use super::fields::Names;
use super::ledger::FileLedger;
use super::sincedb::{FileId, Sincedb};
use super::split::Splitter;
use super::watched::{Batch, Change, Watched, is_archive};
use crate::files;
use crate::input::{cost, with_receipt};

/// A deleted file is held open for so long after its last line, for whoever still writes to it.
const DELETED: Duration = Duration::from_secs(5);

/// Whether files grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Files grow and are followed.
    Tail,
    /// Files are complete: they are read once, and something is done with them then.
    Read,
}

/// What the options say.
pub(super) struct Settings {
    pub(super) paths: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) mode: Mode,
    /// Files that are there at the first look, and are unknown, are read from their end.
    pub(super) from_end: bool,
    pub(super) look: Duration,
    pub(super) discover: Duration,
    pub(super) close_older: Duration,
    pub(super) ignore_older: Option<Duration>,
    pub(super) delimiter: Vec<u8>,
    pub(super) longest: usize,
    pub(super) most_open: usize,
    pub(super) block: usize,
    pub(super) blocks: u64,
    pub(super) sorting: Sorting,
    pub(super) exit: bool,
    pub(super) check_archives: bool,
    pub(super) completed: Completed,
}

/// Reads all files of an input.
pub(super) struct Reader {
    /// What the options say.
    pub(super) settings: Settings,
    /// Makes a decoder for each file.
    pub(super) codec: Arc<dyn Codec>,
    /// What events say of their file.
    pub(super) names: Names,
    /// How far each file is safe.
    pub(super) sincedb: Arc<Sincedb>,
    /// Where events go.
    pub(super) queue: Queue,
    /// The end.
    pub(super) stop: CancellationToken,
}

/// The agent stops, or the pipeline is closed.
struct Stopped;

/// The files that are known.
#[derive(Default)]
struct Known {
    watched: Vec<Watched>,
    /// Files too old to be read, with their length when they were found.
    ignored: HashMap<FileId, u64>,
    /// Files that can't be read; said once.
    broken: HashSet<FileId>,
    discovered: Option<Instant>,
}

impl Reader {
    /// Reads until the agent stops, or all is read with `exit_after_read`. Runs on a thread of its own; `runtime` is for waiting only.
    pub(super) fn run(self, runtime: &Handle) {
        let mut known = Known::default();
        let mut block = Vec::new();
        while !self.stop.is_cancelled() {
            if known.discovered.is_none_or(|at| at.elapsed() >= self.settings.discover) {
                self.discover(&mut known);
                known.discovered = Some(Instant::now());
            }
            let Ok(more) = self.round(&mut known, &mut block, runtime) else { return };
            self.complete(&mut known);
            if self.settings.exit && known.watched.is_empty() {
                return;
            }
            if !more {
                self.wait(runtime);
            }
        }
    }

    fn wait(&self, runtime: &Handle) {
        runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(self.settings.look) => {}
            }
        });
    }

    /// Looks for files that match.
    fn discover(&self, known: &mut Known) {
        for pattern in &self.settings.paths {
            match files::matching(pattern) {
                Ok(found) => found.iter().for_each(|path| self.meet(known, path)),
                Err(error) => {
                    warn!(path = pattern, reason = %error, "files can't be listed; it is tried again");
                }
            }
        }
        sort(&mut known.watched, self.settings.sorting);
    }

    /// A file that matches: a new one, one that is known, or one that is known under another name.
    fn meet(&self, known: &mut Known, path: &Path) {
        let excluded = |name: &str| self.settings.exclude.iter().any(|pattern| files::is_named(pattern, name));
        if path.file_name().is_none_or(|name| excluded(&name.to_string_lossy())) {
            return;
        }
        let Ok(metadata) = fs::metadata(path) else { return };
        let id = FileId::of(&metadata);
        if known.broken.contains(&id) {
            return;
        }
        let Some(watched) = known.watched.iter_mut().find(|watched| watched.id == id) else {
            self.begin(known, path, &metadata);
            return;
        };
        // Two names of one file are one file; a name that leads elsewhere by now is its old one.
        let still_there = fs::metadata(&watched.path).is_ok_and(|there| FileId::of(&there) == id);
        if watched.path != path && !still_there {
            info!(from = %watched.path.display(), to = %path.display(), "a file was renamed; it is read on");
            watched.ledger.renamed(path);
            path.clone_into(&mut watched.path);
        }
    }

    fn begin(&self, known: &mut Known, path: &Path, metadata: &Metadata) {
        let Some(offset) = self.start(known, path, metadata) else { return };
        let checked = self.settings.check_archives && self.settings.mode == Mode::Read && is_archive(path);
        if let Some(Err(error)) = checked.then(|| check_archive(path)) {
            warn!(path = %path.display(), reason = %error, "a compressed file is damaged; it is left alone");
            known.broken.insert(FileId::of(metadata));
            return;
        }
        let ledger = Arc::new(FileLedger::new(FileId::of(metadata), path, offset, Arc::clone(&self.sincedb)));
        let splitter = Splitter::new(&self.settings.delimiter, self.settings.longest);
        known.watched.push(Watched::new(path.to_owned(), metadata, offset, ledger, splitter, self.codec.decoder()));
    }

    /// Where to begin; nothing for a file that is not to be read.
    fn start(&self, known: &mut Known, path: &Path, metadata: &Metadata) -> Option<u64> {
        let (id, length) = (FileId::of(metadata), metadata.len());
        let first = known.discovered.is_none();
        let reading = self.settings.mode == Mode::Read;
        if let Some(safe) = self.sincedb.of(id) {
            return match safe > length {
                true => Some(0),
                // Read to its end, by us or by Logstash, and not deleted.
                false if reading && safe == length => None,
                false => Some(safe),
            };
        }
        if let Some(length_then) = known.ignored.get(&id).copied() {
            let changed = length_then != length;
            return changed
                .then(|| known.ignored.remove(&id))
                .flatten()
                .map(|then| if then > length { 0 } else { then });
        }
        if self.is_too_old(metadata) {
            known.ignored.insert(id, length);
            return None;
        }
        if first && self.settings.from_end && !reading {
            // Written down at once: what is written while elkhound is down is behind it.
            self.sincedb.advance(id, path, length);
            return Some(length);
        }
        Some(0)
    }

    fn is_too_old(&self, metadata: &Metadata) -> bool {
        let Some(limit) = self.settings.ignore_older else { return false };
        let age = metadata.modified().ok().and_then(|then| SystemTime::now().duration_since(then).ok());
        age.is_some_and(|age| age > limit)
    }

    /// Reads what is new; true when some file has more than its turn's blocks.
    fn round(&self, known: &mut Known, block: &mut Vec<u8>, runtime: &Handle) -> Result<bool, Stopped> {
        let (mut more, mut appeared, mut at) = (false, Vec::new(), 0);
        while at < known.watched.len() {
            if !self.has_room(&mut known.watched, at) {
                more = true;
                at += 1;
                continue;
            }
            let watched = &mut known.watched[at];
            match self.turn(watched, block, runtime)? {
                Ok(Turn::More) => more = true,
                Ok(Turn::Done) => appeared.extend(self.successor(watched)),
                Ok(Turn::Gone) => {
                    appeared.extend(self.successor(watched));
                    known.watched.remove(at);
                    continue;
                }
                Err(error) => {
                    let path = known.watched.remove(at).path;
                    give_up(known, &path, &error);
                    continue;
                }
            }
            at += 1;
        }
        appeared.iter().for_each(|path| self.meet(known, path));
        Ok(more)
    }

    /// Another file under the path of one that was rotated away: it is read from its start, without waiting for the next discovery.
    fn successor(&self, watched: &Watched) -> Option<PathBuf> {
        if self.settings.mode == Mode::Read {
            return None;
        }
        let there = fs::metadata(&watched.path).ok()?;
        (FileId::of(&there) != watched.id).then(|| watched.path.clone())
    }

    /// Whether a file may be opened. When too many are open, one that grows and was silent longest is closed for it; one that is read once
    /// is not, for it is read to its end soon.
    fn has_room(&self, watched: &mut [Watched], for_whom: usize) -> bool {
        if watched.len() <= self.settings.most_open || watched[for_whom].is_open() || watched[for_whom].finished {
            return true;
        }
        let open = || watched.iter().filter(|watched| watched.is_open());
        if open().count() < self.settings.most_open {
            return true;
        }
        if self.settings.mode == Mode::Read {
            return false;
        }
        if let Some(oldest) =
            watched.iter_mut().filter(|watched| watched.is_open()).min_by_key(|watched| watched.active)
        {
            oldest.close();
        }
        true
    }

    /// One file's turn. The outer error ends all reading, the inner one this file's.
    fn turn(&self, watched: &mut Watched, block: &mut Vec<u8>, runtime: &Handle) -> Result<io::Result<Turn>, Stopped> {
        if watched.finished {
            return Ok(Ok(Turn::Done));
        }
        let metadata = match watched.look() {
            Ok(Some(metadata)) => metadata,
            Ok(None) => return Ok(Ok(Turn::Gone)),
            Err(error) => return Ok(Err(error)),
        };
        if watched.change(metadata.len()) == Change::Truncated {
            info!(path = %watched.path.display(), "a file was truncated; it is read from its start");
            watched.restart(self.codec.decoder());
        }
        if watched.change(metadata.len()) == Change::Same {
            return self.at_end(watched, &metadata, runtime).map(Ok);
        }
        if let Err(error) = watched.open(self.settings.mode == Mode::Read) {
            let gone = error.kind() == io::ErrorKind::NotFound;
            return Ok(if gone { Ok(Turn::Gone) } else { Err(error) });
        }
        for _ in 0..self.settings.blocks {
            match watched.read(self.settings.block, block) {
                Ok(Some(batch)) => self.hand_on(watched, batch, runtime)?,
                Ok(None) => return self.at_end(watched, &metadata, runtime).map(Ok),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(Turn::More))
    }

    fn at_end(&self, watched: &mut Watched, metadata: &Metadata, runtime: &Handle) -> Result<Turn, Stopped> {
        if self.settings.mode == Mode::Read {
            let last = watched.finish(metadata.len());
            self.hand_on(watched, last, runtime)?;
            return Ok(Turn::Done);
        }
        if let Some(batch) = watched.auto_flush() {
            self.hand_on(watched, batch, runtime)?;
        }
        let silent = watched.active.elapsed();
        if metadata.nlink() == 0 && silent >= DELETED {
            // Nobody can open it any more, and its inode may be another file's soon.
            watched.ledger.gone();
            return Ok(Turn::Gone);
        }
        if watched.is_open() && silent >= self.settings.close_older {
            watched.close();
        }
        Ok(Turn::Done)
    }

    fn hand_on(&self, watched: &Watched, batch: Batch, runtime: &Handle) -> Result<(), Stopped> {
        let Batch { mut events, bytes, end } = batch;
        if events.is_empty() && !watched.finished {
            return Ok(());
        }
        events.iter_mut().for_each(|event| self.names.mark(event, &watched.path));
        let charge = runtime.block_on(async {
            tokio::select! {
                biased;
                charge = self.queue.charge(cost(&events, bytes)) => Ok(charge),
                () = self.stop.cancelled() => Err(Stopped),
            }
        })?;
        let receipt = Receipt::open(Arc::clone(&watched.ledger) as _, watched.ledger.open(end), Some(charge));
        with_receipt(&mut events, receipt);
        if events.is_empty() {
            return Ok(());
        }
        self.queue.send_blocking(watched.source, Box::<Vec<Event>>::new(events)).map_err(|_| Stopped)
    }

    /// Does what is to be done with files that are read and safe.
    fn complete(&self, known: &mut Known) {
        known.watched.retain(|watched| {
            let done = watched.finished && watched.ledger.is_settled();
            if done && self.settings.completed.act(&watched.path) {
                watched.ledger.gone();
            }
            !done
        });
    }
}

fn give_up(known: &mut Known, path: &Path, error: &io::Error) {
    let shown = path.display().to_string();
    warn!(path = shown, reason = %error, "a file can't be read; the others go on; check the rights on it");
    if let Ok(metadata) = fs::metadata(path) {
        known.broken.insert(FileId::of(&metadata));
    }
}

/// What a file's turn has brought.
enum Turn {
    /// There may be more.
    More,
    /// It is read to its end.
    Done,
    /// It is gone.
    Gone,
}
