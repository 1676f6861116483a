//! The sincedb: for each file, up to where its lines are safe, in the format of Logstash, so that a file of Logstash's is gone on with.
//!
//! A record is a line `inode major minor offset timestamp path`; of Logstash's older format only the first four are there. A file is told by
//! its inode and device, not by its name, so that a rename changes nothing. The device's two numbers are those that Logstash
//! writes, which are not those of `ls -l`: the JVM's library takes the upper bits for the major number and 24 bits for the minor.
//!
//! What it promises: the file on disk is the old one or the new one, never a mixture; a position is never ahead of what was acknowledged.
//! What it leaves out: when to write; the input calls [`Sincedb::save`], and so does the end of [`Sincedb`] itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::claim::Claim;
use crate::{clock, files};

/// What tells a file from all others on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    inode: u64,
    major: u64,
    minor: u64,
}

impl FileId {
    /// The identity of the file that `metadata` is of.
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let device = metadata.dev();
        Self { inode: metadata.ino(), major: device >> 24 & 0xff, minor: device & 0xff_ffff }
    }
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// Everything before this byte is safe.
    pub(super) offset: u64,
    /// When the position moved last, in seconds since 1970.
    active: f64,
    /// The path under which the file was read.
    path: String,
}

/// The positions of one input.
#[derive(Debug)]
pub(super) struct Sincedb {
    path: PathBuf,
    keep: Duration,
    state: Mutex<State>,
    /// Held while the file is written, so that two writers can't overtake each other.
    writing: Mutex<()>,
    /// Given back after the last writing: whoever reads the file next finds all that this one knew.
    claim: Option<Claim>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<FileId, Record>,
    changed: bool,
}

impl Sincedb {
    /// Reads the positions at `path`; a missing file means none. Records that have not moved for `keep` are left out when it is written.
    /// Returns the number of lines that could not be read, too.
    ///
    /// # Errors
    /// When the file is there but can't be read.
    pub(super) fn open(path: &Path, keep: Duration) -> io::Result<(Self, usize)> {
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let now = seconds();
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        let records: BTreeMap<_, _> = lines().filter_map(|line| decode(line, now)).collect();
        let damaged = lines().filter(|line| decode(line, now).is_none()).count();
        let state = Mutex::new(State { records, changed: false });
        Ok((Self { path: path.to_owned(), keep, state, writing: Mutex::new(()), claim: None }, damaged))
    }

    /// Keeps the claim to the file for as long as positions can move.
    pub(super) fn claimed(self, claim: Claim) -> Self {
        let mut claimed = self;
        claimed.claim = Some(claim);
        claimed
    }

    /// Up to where the file is safe; nothing when it was never read.
    pub(super) fn of(&self, file: FileId) -> Option<u64> {
        self.state().records.get(&file).map(|record| record.offset)
    }

    /// Moves the position of a file.
    pub(super) fn advance(&self, file: FileId, path: &Path, offset: u64) {
        let mut state = self.state();
        state.records.insert(file, Record { offset, active: seconds(), path: path.display().to_string() });
        state.changed = true;
    }

    /// Forgets a file that exists no more: its inode may be another file's soon.
    pub(super) fn forget(&self, file: FileId) {
        let mut state = self.state();
        state.changed |= state.records.remove(&file).is_some();
    }

    /// Writes the file if anything has changed since it was written last. Blocks on the disk.
    ///
    /// # Errors
    /// When the file can't be written; the change is kept for the next call.
    pub(super) fn save(&self) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(text) = self.take_change() else { return Ok(()) };
        let result = write(&self.path, text.as_bytes());
        self.state().changed |= result.is_err();
        result
    }

    fn take_change(&self) -> Option<String> {
        let mut state = self.state();
        if !std::mem::take(&mut state.changed) {
            return None;
        }
        let oldest = seconds() - self.keep.as_secs_f64();
        state.records.retain(|_, record| record.active >= oldest);
        Some(encode(&state.records))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last receipt may come back after everything else has ended.
impl Drop for Sincedb {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            let path = self.path.display().to_string();
            tracing::warn!(path, reason = %error, "the sincedb can't be written; lines are read again from where it was written last");
        }
    }
}

/// `/dev/null` is what operators write who want no sincedb; whatever is no plain file is written to, and never replaced. So is a file that
/// can't be renamed over, as one that is mounted into a container by itself.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let plain = fs::metadata(path).map_or(true, |metadata| metadata.is_file());
    if !plain {
        return fs::write(path, content);
    }
    match files::replace(path, content) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => fs::write(path, content),
        result => result,
    }
}

fn seconds() -> f64 {
    let now = clock::now();
    now.seconds() as f64 + f64::from(now.nanos()) / 1e9
}

fn encode(records: &BTreeMap<FileId, Record>) -> String {
    let mut text = String::new();
    for (file, record) in records {
        let FileId { inode, major, minor } = file;
        // A path with an end of line in it would be two records.
        let path = record.path.replace(['\n', '\r'], "?");
        let _infallible = writeln!(text, "{inode} {major} {minor} {} {:.6} {path}", record.offset, record.active);
    }
    text
}

/// A record of the older format has no time; it counts from `now`.
fn decode(line: &str, now: f64) -> Option<(FileId, Record)> {
    let mut parts = line.trim_end().splitn(6, ' ');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (inode, major, minor, offset) = (number()?, number()?, number()?, number()?);
    let active = match parts.next() {
        None | Some("") => now,
        Some(text) => text.parse::<f64>().ok().filter(|seconds| seconds.is_finite())?,
    };
    let path = parts.next().unwrap_or_default().to_owned();
    Some((FileId { inode, major, minor }, Record { offset, active, path }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Folder;

    const WEEKS: Duration = Duration::from_secs(14 * 86_400);

    fn id(inode: u64) -> FileId {
        FileId { inode, major: 0, minor: 64_768 }
    }

    #[test]
    fn both_formats_of_logstash_are_read() {
        let new = "2977152 0 64768 94 1519319662.852678 /var/log/my app.log";
        let (file, record) = decode(new, 7.0).unwrap();
        assert_eq!(file, FileId { inode: 2_977_152, major: 0, minor: 64_768 });
        assert_eq!(record, Record { offset: 94, active: 1_519_319_662.852_678, path: "/var/log/my app.log".into() });
        assert_eq!(encode(&[(file, record)].into()), format!("{new}\n"));
        let (file, record) = decode("2977152 1 4 94", 7.0).unwrap();
        assert_eq!((file.minor, record.offset, record.active), (4, 94, 7.0));
        assert_eq!(decode("2977152 1 4 94 1519319662.5", 7.0).map(|(_, record)| record.path), Some(String::new()));
        for damaged in ["", "1 2 3", "a b c d", "1 2 3 -4", "1 2 3 4 soon x"] {
            assert_eq!(decode(damaged, 7.0), None, "{damaged}");
        }
    }

    #[test]
    fn what_was_saved_is_found_again_and_what_is_old_is_left_out() {
        let folder = Folder::new("again");
        let path = folder.join("sincedb");
        fs::write(&path, "1 0 64768 10 1000000000.0 /old\nnonsense\n").unwrap();
        let (sincedb, damaged) = Sincedb::open(&path, WEEKS).unwrap();
        assert_eq!((sincedb.of(id(1)), damaged), (Some(10), 1));
        sincedb.advance(id(2), Path::new("/new"), 5);
        sincedb.save().unwrap();
        drop(sincedb);
        let (sincedb, damaged) = Sincedb::open(&path, WEEKS).unwrap();
        assert_eq!((sincedb.of(id(1)), sincedb.of(id(2)), damaged), (None, Some(5), 0));
        sincedb.forget(id(2));
        drop(sincedb);
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn what_is_no_plain_file_is_never_replaced() {
        let folder = Folder::new("null");
        let link = folder.join("null");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let (sincedb, _) = Sincedb::open(&link, WEEKS).unwrap();
        sincedb.advance(id(2), Path::new("/x"), 5);
        sincedb.save().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
