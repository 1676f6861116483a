//! The kernel's word that something in a folder has changed, so that logs that say nothing cost nothing.
//!
//! A folder is armed for one change only: while a log is written to and read at full speed, neither the kernel nor this process has
//! work with it. What it promises: a change after [`Watcher::arm`] said true is in the next [`Watcher::take`]. File systems that are written to from
//! elsewhere (a network's, a virtual machine's) break that promise; [`Trust`] finds it out.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use tracing::warn;

/// Room for some hundred events; what does not fit is read next.
const EVENTS: usize = 16 << 10;

/// How many changes in a row may go untold; one may just be on its way.
const UNTOLD: u8 = 2;

/// The folders that are watched.
pub(super) struct Watcher {
    /// Nothing where the kernel gives none.
    inotify: Option<EventStream<Vec<u8>>>,
    armed: HashMap<WatchDescriptor, PathBuf>,
    changed: Changed,
    /// That it can't be watched has been said.
    complained: bool,
}

/// Where something has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// In these folders.
    In(HashSet<PathBuf>),
    /// The kernel has lost count.
    Anywhere,
}

impl Default for Changed {
    fn default() -> Self {
        Self::In(HashSet::new())
    }
}

impl Changed {
    /// Whether something in `folder` may have changed.
    pub(super) fn has(&self, folder: &Path) -> bool {
        match self {
            Self::In(folders) => folders.contains(folder),
            Self::Anywhere => true,
        }
    }

    /// Whether nothing has changed.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::In(folders) if folders.is_empty())
    }
}

impl Watcher {
    /// One that watches nothing yet. Has to be made within a runtime.
    pub(super) fn new() -> Self {
        let mut watcher = Self { inotify: None, armed: HashMap::new(), changed: Changed::default(), complained: false };
        match Inotify::init().and_then(|inotify| inotify.into_event_stream(vec![0; EVENTS])) {
            Ok(inotify) => watcher.inotify = Some(inotify),
            Err(error) => watcher.complain(&error, Path::new("")),
        }
        watcher
    }

    /// Has the next change in `folder` told; false when it can't be.
    pub(super) fn arm(&mut self, folder: &Path) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mask = WatchMask::MODIFY
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR
            | WatchMask::ONESHOT;
        match inotify.watches().add(folder, mask) {
            Ok(descriptor) => {
                self.armed.entry(descriptor).or_insert_with(|| folder.to_owned());
                true
            }
            // Then there is nothing to watch, and whoever looks sees that.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                self.complain(&error, folder);
                false
            }
        }
    }

    /// Says once why changes aren't told, and what helps.
    fn complain(&mut self, error: &io::Error, folder: &Path) {
        if std::mem::replace(&mut self.complained, true) {
            return;
        }
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull => "raise fs.inotify.max_user_watches",
            _ if error.raw_os_error() == Some(TOO_MANY_FILES) => "raise fs.inotify.max_user_instances",
            _ => "check the rights on it",
        };
        warn!(folder = %folder.display(), reason = %error, remedy, "the kernel can't watch a folder of logs; logs that it does not watch are looked at every 50 ms, which costs more");
    }

    /// Waits until there is something to [`Watcher::take`].
    pub(super) async fn changed(&mut self) {
        match &mut self.inotify {
            Some(inotify) => {
                let event = inotify.next().await;
                self.note(event);
            }
            None => pending().await,
        }
    }

    /// Where something has changed since the last time. These folders are no longer armed.
    pub(super) fn take(&mut self) -> Changed {
        while let Some(event) = self.inotify.as_mut().and_then(|inotify| inotify.next().now_or_never()) {
            self.note(event);
        }
        std::mem::take(&mut self.changed)
    }

    fn note(&mut self, event: Option<io::Result<EventOwned>>) {
        match event {
            Some(Ok(event)) if !event.mask.contains(EventMask::Q_OVERFLOW) => {
                if let (Changed::In(folders), Some(folder)) = (&mut self.changed, self.armed.remove(&event.wd)) {
                    folders.insert(folder);
                }
                return;
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.inotify = None;
                self.complain(&error, Path::new(""));
            }
            None => self.inotify = None,
        }
        // Watches whose event is among the lost ones are gone; the others will only be armed once more.
        self.armed.clear();
        self.changed = Changed::Anywhere;
    }
}

/// `EMFILE`, which std has no name for.
const TOO_MANY_FILES: i32 = 24;

/// Whether the kernel tells of one log's changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trust {
    untold: u8,
}

impl Trust {
    /// A change was told.
    pub(super) fn told(&mut self) {
        if self.holds() {
            self.untold = 0;
        }
    }

    /// A change was found that had not been told. True when that ends the trust.
    pub(super) fn untold(&mut self) -> bool {
        self.untold = self.untold.saturating_add(1);
        self.untold == UNTOLD
    }

    /// Whether it is worth while to wait for the kernel's word.
    pub(super) fn holds(&self) -> bool {
        self.untold < UNTOLD
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::scratch::Folder;

    async fn next(watcher: &mut Watcher) -> Changed {
        timeout(Duration::from_secs(10), watcher.changed()).await.expect("the kernel tells");
        watcher.take()
    }

    #[tokio::test]
    async fn each_kind_of_change_is_told_once() {
        let folder = Folder::new("kinds");
        let (log, rotated) = (folder.0.join("log"), folder.0.join("log.1"));
        let mut watcher = Watcher::new();
        let here = Changed::In([folder.0.clone()].into());
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(&log, "").unwrap(),
            &|| fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"line\n").unwrap(),
            &|| fs::rename(&log, &rotated).unwrap(),
            &|| fs::remove_dir_all(&folder.0).unwrap(),
        ];
        for change in changes {
            assert!(watcher.arm(&folder.0));
            change();
            assert_eq!(next(&mut watcher).await, here);
        }
        assert!(!watcher.arm(&folder.0), "there is nothing left to watch");
    }

    #[tokio::test]
    async fn a_folder_that_is_written_to_without_end_is_told_once_until_it_is_armed_again() {
        let (busy, quiet) = (Folder::new("busy"), Folder::new("quiet"));
        let mut watcher = Watcher::new();
        assert!(watcher.arm(&busy.0) && watcher.arm(&quiet.0));
        let write = |folder: &Folder, name: usize| fs::write(folder.0.join(name.to_string()), "x").unwrap();
        (0..1000).for_each(|name| write(&busy, name));
        assert_eq!(next(&mut watcher).await, Changed::In([busy.0.clone()].into()));
        (0..1000).for_each(|name| write(&busy, name));
        write(&quiet, 0);
        assert_eq!(next(&mut watcher).await, Changed::In([quiet.0.clone()].into()));
        assert!(watcher.take().is_nothing());
    }

    #[test]
    fn two_changes_in_a_row_that_nobody_told_end_the_trust() {
        let mut trust = Trust::default();
        assert!(!trust.untold());
        trust.told();
        assert!(!trust.untold());
        assert!(trust.untold());
        assert!(!trust.holds());
        trust.told();
        assert!(!trust.holds(), "it stays at that");
    }
}
