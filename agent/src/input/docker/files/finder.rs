//! Decides when a glob is looked at again: when the kernel says that a folder has come in which a log may be, and seldom otherwise.
//!
//! A container's log comes after its folder, some of them long after. So folders without a log are watched like the one that they are in.
//! Where the kernel doesn't tell, it is looked often while folders come and go.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::watch::{Changed, Watcher};

/// How often the glob is looked at where nothing tells that it should be.
const DISCOVER: Duration = Duration::from_secs(1);

/// How often it is looked at all the same where the kernel tells.
const SLOW: Duration = Duration::from_secs(5);

/// How often it is looked at at most, and while its folder is fresh.
const OFTEN: Duration = Duration::from_millis(50);

/// For how long a folder that has changed is fresh.
const FRESH: Duration = Duration::from_secs(10);

/// When a glob is looked at.
pub(super) struct Finder {
    /// What stands before the glob's first wildcard.
    folder: PathBuf,
    /// Folders in it that have no log yet and are watched.
    empty: HashSet<PathBuf>,
    /// How often it is looked at where the kernel tells.
    slow: Duration,
    looked: Option<Instant>,
    next: Instant,
}

impl Finder {
    /// One that is due.
    pub(super) fn new(pattern: &str) -> Self {
        let fixed = pattern.split(['*', '?', '[', '{']).next().unwrap_or_default();
        let folder = fixed.rsplit_once('/').map_or(".", |(folder, _)| folder);
        // Logs deeper than in a folder's folder come where nobody watches.
        let is_deep = pattern.contains("**") || pattern[folder.len()..].matches('/').count() > 2;
        let slow = if is_deep { DISCOVER } else { SLOW };
        Self { folder: folder.into(), empty: HashSet::new(), slow, looked: None, next: Instant::now() }
    }

    /// Whether it is time to look, and if so, whether it is for the first time.
    pub(super) fn due(&mut self, now: Instant, watcher: &mut Watcher) -> Option<bool> {
        if now < self.next {
            return None;
        }
        // Before the look, so that what comes after it is told.
        let told = watcher.arm(&self.folder);
        self.next = now + if told { self.slow } else { OFTEN };
        let due = told || is_fresh(&self.folder) || self.looked.is_none_or(|at| now - at >= DISCOVER);
        due.then(|| self.looked.replace(now).is_none())
    }

    /// Watches the folders that have none of the logs that were found.
    pub(super) fn watch<'a>(&mut self, logs: impl Iterator<Item = &'a PathBuf>, watcher: &mut Watcher) {
        let full: HashSet<&Path> = logs.filter_map(|log| log.parent()).collect();
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let folders =
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
        let empty: HashSet<PathBuf> = folders.filter(|folder| !full.contains(folder.as_path())).collect();
        self.empty.retain(|folder| empty.contains(folder));
        for folder in empty {
            if !self.empty.contains(&folder) && watcher.arm(&folder) {
                // Its log may have come before it was watched.
                self.wake_at(Instant::now());
                self.empty.insert(folder);
            }
        }
    }

    /// When it is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Makes it due when one of its folders is among those that have changed.
    pub(super) fn wake(&mut self, changed: &Changed, now: Instant) {
        let before = self.empty.len();
        self.empty.retain(|folder| !changed.has(folder));
        if self.empty.len() < before || changed.has(&self.folder) {
            self.wake_at(now);
        }
    }

    fn wake_at(&mut self, now: Instant) {
        self.next = self.next.min(self.looked.map_or(now, |at| now.max(at + OFTEN)));
    }
}

/// Whether a container was made or removed lately.
fn is_fresh(folder: &Path) -> bool {
    let changed = std::fs::metadata(folder).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age < FRESH))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scratch::Folder;

    #[tokio::test]
    async fn a_log_that_comes_long_after_its_folder_is_told_and_a_quiet_host_is_left_alone() {
        let folder = Folder::new("finder");
        fs::create_dir_all(folder.join("a")).unwrap();
        let mut watcher = Watcher::new();
        let mut finder = Finder::new(&format!("{}/*/*-json.log", folder.display()));
        assert_eq!(finder.due(Instant::now(), &mut watcher), Some(true));
        finder.watch([].iter(), &mut watcher);
        let again = finder.next();
        assert!(again <= Instant::now() + OFTEN, "a is watched only now, and is looked at once more");
        assert_eq!(finder.due(again, &mut watcher), Some(false));
        finder.watch([].iter(), &mut watcher);
        assert!(finder.next() > again + DISCOVER);

        fs::write(folder.join("a/a-json.log"), "").unwrap();
        watcher.changed().await;
        finder.wake(&watcher.take(), again + OFTEN);
        assert_eq!(finder.due(again + OFTEN, &mut watcher), Some(false));
        finder.watch([folder.join("a/a-json.log")].iter(), &mut watcher);
        assert!(finder.next() > again + DISCOVER, "nothing is without a log");
    }
}
