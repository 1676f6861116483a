//! The writing of segments: one at a time, within the limits.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use elkhound_pipeline::time::Timestamp;

use super::segments::{self, Segment};

/// A segment is closed at this size; of a small queue at a tenth of it, so that room is made in small pieces.
const SEGMENT: u64 = 10 << 20;

/// How much a queue may hold, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// All segments together.
    pub(crate) bytes: u64,
    /// What to do when there is no room.
    pub(crate) policy: Policy,
    /// How old an entry may become.
    pub(crate) age: Option<Duration>,
    /// How long a segment is open to which nothing is written.
    pub(crate) flush: Duration,
}

/// What to do when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The new entry is lost.
    DropNewer,
    /// The oldest segment is.
    DropOlder,
}

impl Policy {
    /// As `dead_letter_queue.storage_policy` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DropNewer => "drop_newer",
            Self::DropOlder => "drop_older",
        }
    }
}

/// What was lost, in entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// New ones for which there was no room.
    pub(crate) refused: usize,
    /// Old ones that made room.
    pub(crate) removed: usize,
    /// Those that were too old.
    pub(crate) expired: usize,
}

/// The writer of a queue; there is one for each folder.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    limits: Limits,
    /// All segments, oldest first; the one that is open is the last.
    segments: VecDeque<Segment>,
    open: Option<File>,
    /// The number that the next segment gets.
    next: u64,
    /// Held as long as this lives, for two writers would write into one segment. It holds the last number, so that numbers go on when all
    /// segments have been removed; readers count on that.
    lock: File,
}

impl Store {
    /// Opens the queue in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// When the folder can't be written to, or another writer has it.
    pub(crate) fn open(folder: &Path, limits: Limits) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut lock =
            File::options().read(true).write(true).create(true).truncate(false).open(folder.join(".lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "another elkhound, or the pipeline before its reload, still writes to it";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let segments: VecDeque<Segment> = segments::list(folder)?.into();
        // After a torn line nothing more may be written to its segment.
        let next = segments.back().map_or(0, |last| last.number).max(last_number(&mut lock)) + 1;
        Ok(Self { folder: folder.to_owned(), limits, segments, open: None, next, lock })
    }

    /// Writes `lines` and syncs them; taken away are those that are safe and those that were refused.
    ///
    /// # Errors
    /// When the disk does not take them; what is left in `lines` was not written.
    pub(crate) fn append(&mut self, lines: &mut VecDeque<Vec<u8>>, now: Timestamp, told: &mut Told) -> io::Result<()> {
        self.tend(now, told)?;
        let mut looked = false;
        while let Some(first) = lines.front() {
            let length = first.len() as u64;
            let room = self.limits.bytes.saturating_sub(self.bytes());
            if length <= room {
                self.write_some(lines, room, now)?;
            } else if !looked {
                // Readers may have removed segments.
                looked = true;
                self.look()?;
            } else if self.limits.policy == Policy::DropNewer || length > self.limits.bytes {
                told.refused += 1;
                lines.pop_front();
            } else {
                told.removed += self.remove_oldest()?;
            }
        }
        Ok(())
    }

    /// Closes a segment that was not written to for a while, and removes what is too old.
    ///
    /// # Errors
    /// When a segment can't be removed.
    pub(crate) fn tend(&mut self, now: Timestamp, told: &mut Told) -> io::Result<()> {
        let quiet = |segment: &Segment, limit: Duration| since(segment.last, now) >= limit;
        if self.open.is_some() && self.segments.back().is_some_and(|last| quiet(last, self.limits.flush)) {
            self.open = None;
        }
        let Some(age) = self.limits.age else { return Ok(()) };
        while self.segments.front().is_some_and(|oldest| quiet(oldest, age)) {
            told.expired += self.remove_oldest()?;
        }
        Ok(())
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn segment_limit(&self) -> u64 {
        SEGMENT.min(self.limits.bytes / 10).max(1)
    }

    /// Writes as many lines as have room in one segment, at least the first.
    fn write_some(&mut self, lines: &mut VecDeque<Vec<u8>>, room: u64, now: Timestamp) -> io::Result<()> {
        let first = lines.front().map_or(0, |line| line.len() as u64);
        let limit = self.segment_limit();
        let used = self.open.as_ref().and(self.segments.back()).map_or(0, |last| last.bytes);
        let used = if used > 0 && used + first > limit { self.close() } else { used };
        let room = room.min(limit.saturating_sub(used)).max(first);
        let (mut bytes, mut count) = (Vec::new(), 0);
        for line in lines.iter() {
            if (bytes.len() + line.len()) as u64 > room {
                break;
            }
            bytes.extend_from_slice(line);
            count += 1;
        }
        self.write(&bytes, now)?;
        lines.drain(..count);
        Ok(())
    }

    /// Closes the open segment; a new one has no bytes.
    fn close(&mut self) -> u64 {
        self.open = None;
        0
    }

    fn write(&mut self, bytes: &[u8], now: Timestamp) -> io::Result<()> {
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.begin(now)?,
        };
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_data()) {
            // Half a line may be there. Where it can't be cut off the segment is left as it is, and its last line is a torn one.
            if file.set_len(segment.bytes).is_ok() {
                self.open = Some(file);
            }
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        segment.last = now;
        self.open = Some(file);
        Ok(())
    }

    fn begin(&mut self, now: Timestamp) -> io::Result<File> {
        let number = self.next;
        let path = segments::path(&self.folder, number);
        let file = File::options().append(true).create_new(true).open(path)?;
        self.next += 1;
        // Should this be lost, a number may come again, but only after all segments are gone.
        let _kept = self.lock.rewind().and_then(|()| writeln!(self.lock, "{number}"));
        self.segments.push_back(Segment { number, bytes: 0, last: now });
        File::open(&self.folder)?.sync_all()?;
        Ok(file)
    }

    /// Removes the oldest segment, also when it is the open one; returns how many entries it had.
    fn remove_oldest(&mut self) -> io::Result<usize> {
        if self.segments.len() == 1 {
            self.open = None;
        }
        let Some(oldest) = self.segments.front() else { return Ok(0) };
        let path = segments::path(&self.folder, oldest.number);
        let entries = match fs::read(&path) {
            Ok(bytes) => memchr::memchr_iter(b'\n', &bytes).count(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        segments::remove(&self.folder, oldest.number)?;
        self.segments.pop_front();
        Ok(entries)
    }

    fn look(&mut self) -> io::Result<()> {
        self.segments = segments::list(&self.folder)?.into();
        if self.segments.back().is_none_or(|last| last.number + 1 != self.next) {
            self.open = None;
        }
        Ok(())
    }
}

/// The number of the last segment that there ever was.
fn last_number(lock: &mut File) -> u64 {
    let mut text = String::new();
    let _unreadable = lock.read_to_string(&mut text);
    text.lines().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// How long `earlier` is ago; nothing when the clock was set back.
fn since(earlier: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(now.millis().saturating_sub(earlier.millis()).max(0).unsigned_abs())
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Limits in which nothing happens by itself.
    pub(crate) fn limits(bytes: u64, policy: Policy) -> Limits {
        Limits { bytes, policy, age: None, flush: Duration::from_secs(3600) }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::limits;
    use super::*;
    use crate::scratch::Folder;

    const NOW: Timestamp = Timestamp::new(2_000_000_000, 0);

    fn after(seconds: i64) -> Timestamp {
        Timestamp::new(NOW.seconds() + seconds, 0)
    }

    /// Appends lines of ten bytes with these numbers.
    fn append(store: &mut Store, numbers: std::ops::Range<u32>, now: Timestamp) -> Told {
        let mut lines: VecDeque<Vec<u8>> = numbers.map(|number| format!("{number:09}\n").into_bytes()).collect();
        let mut told = Told::default();
        store.append(&mut lines, now, &mut told).unwrap();
        assert!(lines.is_empty());
        told
    }

    /// The numbers in each segment.
    fn kept(folder: &Path) -> Vec<Vec<u32>> {
        let read = |segment: &Segment| {
            let text = fs::read_to_string(segments::path(folder, segment.number)).unwrap();
            text.lines().map(|line| line.parse().unwrap()).collect()
        };
        segments::list(folder).unwrap().iter().map(read).collect()
    }

    #[test]
    fn a_full_queue_refuses_what_is_new() {
        let folder = Folder::new("newer");
        let mut store = Store::open(&folder.0, limits(200, Policy::DropNewer)).unwrap();
        let told = append(&mut store, 0..25, NOW);
        assert_eq!(told, Told { refused: 5, ..Told::default() });
        let kept = kept(&folder.0);
        assert_eq!(kept.concat(), (0..20).collect::<Vec<_>>());
        assert!(kept.iter().all(|segment| segment.len() == 2), "{kept:?}");
    }

    #[test]
    fn a_full_queue_gives_up_its_oldest_segments() {
        let folder = Folder::new("older");
        let mut store = Store::open(&folder.0, limits(200, Policy::DropOlder)).unwrap();
        let told = append(&mut store, 0..25, NOW);
        assert_eq!(told, Told { removed: 6, ..Told::default() });
        assert_eq!(kept(&folder.0).concat(), (6..25).collect::<Vec<_>>());
        let mut too_large = VecDeque::from([vec![b'x'; 201]]);
        let mut told = Told::default();
        store.append(&mut too_large, NOW, &mut told).unwrap();
        assert_eq!((told.refused, kept(&folder.0).concat().len()), (1, 19));
    }

    #[test]
    fn what_a_reader_has_removed_is_room() {
        let folder = Folder::new("room");
        let mut store = Store::open(&folder.0, limits(200, Policy::DropNewer)).unwrap();
        append(&mut store, 0..20, NOW);
        fs::remove_file(segments::path(&folder.0, 1)).unwrap();
        assert_eq!(append(&mut store, 20..23, NOW), Told { refused: 1, ..Told::default() });
        assert_eq!(kept(&folder.0).concat(), (2..22).collect::<Vec<_>>());
    }

    #[test]
    fn every_start_begins_a_segment_behind_a_torn_line() {
        let folder = Folder::new("torn");
        fs::write(segments::path(&folder.0, 3), "000000001\n0000").unwrap();
        let mut store = Store::open(&folder.0, limits(1 << 30, Policy::DropNewer)).unwrap();
        append(&mut store, 2..3, NOW);
        assert_eq!(fs::read_to_string(segments::path(&folder.0, 3)).unwrap(), "000000001\n0000");
        assert_eq!(fs::read_to_string(segments::path(&folder.0, 4)).unwrap(), "000000002\n");
        drop(store);
        for number in [3, 4] {
            fs::remove_file(segments::path(&folder.0, number)).unwrap();
        }
        let mut store = Store::open(&folder.0, limits(1 << 30, Policy::DropNewer)).unwrap();
        append(&mut store, 3..4, NOW);
        assert_eq!(fs::read_to_string(segments::path(&folder.0, 5)).unwrap(), "000000003\n");
    }

    #[test]
    fn a_segment_is_closed_when_nothing_was_written_for_a_while_and_removed_when_it_is_old() {
        let folder = Folder::new("quiet");
        let (flush, age) = (Duration::from_secs(5), Some(Duration::from_secs(60)));
        let mut store = Store::open(&folder.0, Limits { flush, age, ..limits(1 << 30, Policy::DropNewer) }).unwrap();
        append(&mut store, 0..1, NOW);
        append(&mut store, 1..2, after(4));
        append(&mut store, 2..3, after(10));
        assert_eq!(kept(&folder.0), [vec![0, 1], vec![2]]);
        let mut told = Told::default();
        store.tend(after(64), &mut told).unwrap();
        assert_eq!((told.expired, kept(&folder.0)), (2, vec![vec![2]]));
        assert_eq!(append(&mut store, 3..4, after(70)), Told { expired: 1, ..Told::default() });
        assert_eq!(kept(&folder.0), [vec![3]]);
    }

    #[test]
    fn two_writers_never_have_the_same_folder() {
        let folder = Folder::new("lock");
        let first = Store::open(&folder.0, limits(200, Policy::DropNewer)).unwrap();
        let second = Store::open(&folder.0, limits(200, Policy::DropNewer)).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
        drop(first);
        Store::open(&folder.0, limits(200, Policy::DropNewer)).unwrap();
    }

    #[test]
    fn a_disk_that_takes_nothing_leaves_the_lines_to_be_tried_again() {
        let folder = Folder::new("gone");
        let mut store = Store::open(&folder.0, limits(1 << 30, Policy::DropNewer)).unwrap();
        fs::remove_dir_all(&folder.0).unwrap();
        let mut lines = VecDeque::from([b"000000000\n".to_vec()]);
        assert!(store.append(&mut lines, NOW, &mut Told::default()).is_err());
        assert_eq!(lines.len(), 1);
        fs::create_dir_all(&folder.0).unwrap();
        store.append(&mut lines, NOW, &mut Told::default()).unwrap();
        assert_eq!((lines.len(), kept(&folder.0)), (0, vec![vec![0]]));
    }
}
