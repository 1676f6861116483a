//! A queue's segments as readers see them: which there are, and the lines of one from some place on.
//!
//! Nothing is locked: a segment only ever grows, or goes away as a whole, and the reader of one that has gone finds nothing more in it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use elkhound_pipeline::time::Timestamp;

/// The ending of a segment's name.
const ENDING: &str = ".ndjson";

/// A file of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its place in the queue, from 1.
    pub(crate) number: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was written to last.
    pub(crate) last: Timestamp,
}

/// The path of a segment.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}{ENDING}"))
}

/// Removes a segment; one that has gone already is no trouble.
///
/// # Errors
/// When it is there and can't be removed.
pub(crate) fn remove(folder: &Path, number: u64) -> io::Result<()> {
    match fs::remove_file(path(folder, number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The segments of a queue, oldest first; none when there is no such folder.
///
/// # Errors
/// When the folder can't be read.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(ENDING)?.parse().ok());
        let Some(number) = number else { continue };
        // Gone between the two looks: a reader has consumed it.
        let Ok(metadata) = entry.metadata() else { continue };
        let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let last = Timestamp::new(since.as_secs() as i64, since.subsec_nanos());
        found.push(Segment { number, bytes: metadata.len(), last });
    }
    found.sort_by_key(|segment| segment.number);
    Ok(found)
}

/// How many segments in Logstash's own form are there. They are not read.
pub(crate) fn foreign(folder: &Path) -> usize {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_str().is_some_and(|name| name.ends_with(".log"))).count()
}

/// The whole lines of a segment, from an offset on.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<File>,
    /// Where the next line begins.
    pub(crate) offset: u64,
}

impl Lines {
    /// Opens a segment; nothing when it has gone.
    ///
    /// # Errors
    /// When it is there and can't be read.
    pub(crate) fn open(folder: &Path, number: u64, offset: u64) -> io::Result<Option<Self>> {
        let mut file = match File::open(path(folder, number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        file.seek(SeekFrom::Start(offset))?;
        Ok(Some(Self { reader: BufReader::with_capacity(64 << 10, file), offset }))
    }

    /// Reads the next line, without its end, into `line`; false when there is none yet. A line without its end is none: it is being written, or
    /// a crash has torn it.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let read = self.reader.read_until(b'\n', line)?;
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            self.reader.seek(SeekFrom::Start(self.offset))?;
            return Ok(false);
        }
        self.offset += read as u64;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::scratch::Folder;

    #[test]
    fn lines_are_read_when_they_are_whole() {
        let folder = Folder::new("lines");
        let mut file = File::create(path(&folder.0, 7)).unwrap();
        file.write_all(b"one\ntw").unwrap();
        let mut lines = Lines::open(&folder.0, 7, 0).unwrap().unwrap();
        let mut line = Vec::new();
        assert!(lines.next(&mut line).unwrap() && line == b"one");
        assert!(!lines.next(&mut line).unwrap() && lines.offset == 4);
        file.write_all(b"o\n").unwrap();
        assert!(lines.next(&mut line).unwrap() && line == b"two");
        assert_eq!(lines.offset, 8);
        assert!(Lines::open(&folder.0, 8, 0).unwrap().is_none());
    }

    #[test]
    fn segments_are_sorted_by_number_and_other_files_are_none() {
        let folder = Folder::new("sorted");
        for name in ["10.ndjson", "9.ndjson", "x.ndjson", "1.log", ".lock"] {
            fs::write(folder.0.join(name), "abc").unwrap();
        }
        let found: Vec<(u64, u64)> = list(&folder.0).unwrap().iter().map(|one| (one.number, one.bytes)).collect();
        assert_eq!((found, foreign(&folder.0)), (vec![(9, 3), (10, 3)], 1));
        assert_eq!(list(&folder.0.join("nothing")).unwrap(), []);
    }
}
