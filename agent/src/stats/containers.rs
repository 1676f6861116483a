//! What is known of each container whose log is read: how much, how late, and what is missing. For the monitoring API and its page.
//!
//! Counted for each chunk of lines. A container is forgotten with its cursor: when it is gone and its last line is safe.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elkhound_pipeline::flow::meter::{add, read};
use elkhound_pipeline::time::Timestamp;

use super::locked;
use super::tap::{Shown, Tap};
use crate::clock;

/// From here on, in bytes, reading is told to be behind: what was written in the last moment is always there.
pub(crate) const BEHIND: u64 = 1 << 20;

/// The containers of one input.
pub(crate) struct Containers {
    by_id: Mutex<BTreeMap<String, Arc<ContainerStats>>>,
    /// How long it takes to read what waits, in milliseconds; the greatest number where that can't be told.
    time_left: AtomicU64,
    /// Containers that were removed before their logs had been read to the end.
    unread: AtomicU64,
    tap: Arc<Tap>,
}

impl std::fmt::Debug for Containers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(locked(&self.by_id).keys()).finish()
    }
}

impl Containers {
    /// None yet; whose lines can be looked at through `tap`.
    pub(crate) fn new(tap: Arc<Tap>) -> Self {
        Self { by_id: Mutex::default(), time_left: AtomicU64::new(u64::MAX), unread: AtomicU64::new(0), tap }
    }

    /// The container with this id, which is taken up if it is new.
    pub(crate) fn take_up(&self, id: &str) -> Arc<ContainerStats> {
        let mut by_id = locked(&self.by_id);
        Arc::clone(by_id.entry(id.to_owned()).or_insert_with(|| Arc::new(ContainerStats::new(id, &self.tap))))
    }

    /// Notes how long it takes to read what waits.
    pub(crate) fn are_behind(&self, time_left: Option<Duration>) {
        let millis = time_left.map_or(u64::MAX, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.time_left.store(millis, Ordering::Relaxed);
    }

    fn time_left(&self) -> Option<u64> {
        Some(read(&self.time_left)).filter(|millis| *millis != u64::MAX)
    }

    /// Counts a container that was removed before its log had been read to the end.
    pub(crate) fn count_unread(&self) {
        add(&self.unread, 1);
    }

    /// How many containers were removed before their logs had been read to the end.
    pub(crate) fn unread(&self) -> u64 {
        read(&self.unread)
    }

    /// How far reading is behind, of [`Containers::all`]; nothing where no container is read.
    pub(crate) fn backlog(&self, all: &[Arc<ContainerStats>]) -> Option<Backlog> {
        let left = all.iter().map(|container| read(&container.left));
        let (bytes, behind) =
            left.fold((0, 0), |(bytes, behind), left| (bytes + left, behind + usize::from(left >= BEHIND)));
        (!all.is_empty()).then(|| Backlog { bytes, behind, time_left: self.time_left() })
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, id: &str) {
        locked(&self.by_id).remove(id);
    }

    /// All of them, by id.
    pub(crate) fn all(&self) -> Vec<Arc<ContainerStats>> {
        locked(&self.by_id).values().cloned().collect()
    }
}

/// What waits in the files of an input's containers, as of the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Containers that catch up.
    pub(crate) behind: usize,
    /// How long reading them takes, in milliseconds, where that can be told.
    pub(crate) time_left: Option<u64>,
}

/// One container.
pub(crate) struct ContainerStats {
    /// Its id.
    pub(crate) id: String,
    /// Lines that were handed on.
    pub(crate) lines: AtomicU64,
    /// Their bytes.
    pub(crate) bytes: AtomicU64,
    /// Places in its log where lines may be missing that were rotated away.
    pub(crate) gaps: AtomicU64,
    /// Lines that were left out because there were too many.
    pub(crate) suppressed: AtomicU64,
    /// Lines that were cut, for they were longer than `max_line_bytes`; they are among those that were handed on.
    pub(crate) truncated: AtomicU64,
    /// Records of its log that could not be read; the rest of a broken compressed file counts as one.
    pub(crate) unreadable: AtomicU64,
    /// Bytes of its log's files that were not read yet, as of the last look.
    pub(crate) left: AtomicU64,
    last: AtomicI64,
    read: AtomicI64,
    safe: AtomicI64,
    about: Mutex<Arc<About>>,
    trouble: Mutex<Option<(Timestamp, String)>>,
    tap: Arc<Tap>,
}

/// Who a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its image.
    pub(crate) image: String,
    /// Its service, of Swarm or of Compose.
    pub(crate) service: String,
    /// How its log is read: `files` or `api`.
    pub(crate) source: &'static str,
}

/// Lines that are handed on.
pub(crate) struct Batch<'a> {
    /// How many.
    pub(crate) lines: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
    /// The time of the last one, in nanoseconds.
    pub(crate) last: Option<i64>,
    /// Whether lines may be missing before the first.
    pub(crate) gap: bool,
    /// Lines that were left out.
    pub(crate) suppressed: u64,
    /// How many of those that are handed on were cut.
    pub(crate) truncated: u64,
    /// Shows them to whoever looks.
    pub(crate) show: &'a dyn Fn() -> Vec<Shown>,
}

impl ContainerStats {
    fn new(id: &str, tap: &Arc<Tap>) -> Self {
        let about = About { id: id.to_owned(), ..About::default() };
        Self {
            id: id.to_owned(),
            lines: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
            truncated: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            left: AtomicU64::new(0),
            last: AtomicI64::new(0),
            read: AtomicI64::new(0),
            safe: AtomicI64::new(0),
            about: Mutex::new(Arc::new(about)),
            trouble: Mutex::default(),
            tap: Arc::clone(tap),
        }
    }

    /// Counts lines that are handed on, and shows them to whoever looks.
    pub(crate) fn hand_on(&self, batch: &Batch<'_>) {
        add(&self.lines, batch.lines as u64);
        add(&self.bytes, batch.bytes as u64);
        if let Some(last) = batch.last {
            self.last.store(last, Ordering::Relaxed);
            self.read.store(nanos(clock::now()), Ordering::Relaxed);
        }
        if batch.gap {
            add(&self.gaps, 1);
        }
        if batch.suppressed > 0 {
            add(&self.suppressed, batch.suppressed);
        }
        if batch.truncated > 0 {
            add(&self.truncated, batch.truncated);
        }
        if self.tap.is_watched() {
            self.tap.show(&self.about(), (batch.show)());
        }
    }

    /// All up to a line of this time is safe.
    pub(crate) fn safe(&self, nanos: i64) {
        self.safe.store(nanos, Ordering::Relaxed);
    }

    /// Who it is.
    pub(crate) fn about(&self) -> Arc<About> {
        Arc::clone(&locked(&self.about))
    }

    /// Notes who it is.
    pub(crate) fn describe(&self, about: About) {
        *locked(&self.about) = Arc::new(about);
    }

    /// Its log can't be read, or not all of it, for this reason.
    pub(crate) fn fails(&self, reason: &str) {
        *locked(&self.trouble) = Some((clock::now(), reason.to_owned()));
    }

    /// The last trouble with its log.
    pub(crate) fn trouble(&self) -> Option<(Timestamp, String)> {
        locked(&self.trouble).clone()
    }

    /// The time of the last line that was handed on.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        time(&self.last)
    }

    /// How late the last lines were read, in nanoseconds.
    pub(crate) fn lag(&self) -> i64 {
        let read = self.read.load(Ordering::Relaxed);
        (read - self.last.load(Ordering::Relaxed)).max(0)
    }

    /// How old the oldest line is at `now` that was handed on and is not safe yet, about: the age of the cursor. 0 when all is safe.
    pub(crate) fn cursor_age(&self, now: Timestamp) -> i64 {
        let (last, safe) = (self.last.load(Ordering::Relaxed), self.safe.load(Ordering::Relaxed));
        let from = if safe == 0 { self.read.load(Ordering::Relaxed) } else { safe };
        if last > safe { (nanos(now) - from).max(0) } else { 0 }
    }

    /// Lines so far.
    pub(crate) fn count(&self) -> u64 {
        read(&self.lines)
    }
}

/// Nanoseconds since 1970; times beyond what they reach are none that a line has.
fn nanos(time: Timestamp) -> i64 {
    time.as_nanos().unwrap_or_default()
}

fn time(nanos: &AtomicI64) -> Option<Timestamp> {
    let nanos = nanos.load(Ordering::Relaxed);
    (nanos != 0).then(|| Timestamp::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(last: i64) -> Batch<'static> {
        Batch { lines: 2, bytes: 10, last: Some(last), gap: false, suppressed: 3, truncated: 1, show: &Vec::new }
    }

    #[test]
    fn a_container_is_late_until_its_lines_are_safe() {
        let containers = Containers::new(Arc::new(Tap::new()));
        let container = containers.take_up("ab");
        let now = clock::now();
        let line = nanos(now) - 5_000_000_000;
        container.hand_on(&batch(line));
        assert!(container.lag() >= 5_000_000_000);
        container.safe(line - 1_000_000_000);
        assert_eq!(container.cursor_age(now), 6_000_000_000);
        container.safe(line);
        assert_eq!((container.cursor_age(now), container.count()), (0, 2));
        assert_eq!((read(&container.suppressed), read(&container.truncated)), (3, 1));
        containers.remove("ab");
        assert!(containers.all().is_empty());
    }

    #[test]
    fn who_has_more_to_read_than_a_moment_writes_catches_up() {
        let containers = Containers::new(Arc::new(Tap::new()));
        let backlog_now = || containers.backlog(&containers.all());
        assert_eq!(backlog_now(), None);
        containers.take_up("ab").left.store(BEHIND - 1, Ordering::Relaxed);
        containers.take_up("cd").left.store(BEHIND, Ordering::Relaxed);
        let backlog = Backlog { bytes: 2 * BEHIND - 1, behind: 1, time_left: None };
        assert_eq!(backlog_now(), Some(backlog));
        containers.are_behind(Some(Duration::from_secs(2)));
        assert_eq!(backlog_now(), Some(Backlog { time_left: Some(2000), ..backlog }));
    }
}
