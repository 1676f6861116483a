//! The files of one json-file log: the one that is written, and those that were rotated away from it and are still kept, `.1` being the
//! youngest, some of them compressed.
//!
//! What it promises: a file that was opened is read to its end, whatever happens to its name; [`all`] misses no file that is kept the whole
//! time that it looks, and has them in order unless the log is rotated at each of its looks. It leaves out what the files say.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;

use super::super::place::RecordEnd;

/// One of the files, open.
pub(super) struct Segment {
    content: Content,
    /// Its number in the file system, which no other file has while this one is open.
    pub(super) inode: u64,
    /// How far it was read.
    pub(super) offset: u64,
    /// Whether files between this one and the one before it may have been missed.
    pub(super) after_break: bool,
}

enum Content {
    Plain(File),
    Compressed(Box<MultiGzDecoder<File>>),
}

impl Content {
    fn of(file: File, compressed: bool) -> Self {
        if compressed { Self::Compressed(Box::new(MultiGzDecoder::new(file))) } else { Self::Plain(file) }
    }
}

impl Segment {
    /// Nothing when there is no such file.
    fn open(path: &Path, compressed: bool) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let inode = file.metadata()?.ino();
        Ok(Some(Self { content: Content::of(file, compressed), inode, offset: 0, after_break: false }))
    }

    /// Reads on; 0 at the end of what is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = match &mut self.content {
            Content::Plain(file) => file.read(buffer)?,
            Content::Compressed(decoder) => decoder.read(buffer)?,
        };
        self.offset += length as u64;
        Ok(length)
    }

    /// How many bytes were not read yet. What a compressed file holds is known when it was read.
    pub(super) fn left(&self) -> u64 {
        match &self.content {
            Content::Plain(file) => file.metadata().map_or(0, |there| there.len().saturating_sub(self.offset)),
            Content::Compressed(_) => 0,
        }
    }

    /// When it was made, where the file system knows. What dockerd has compressed was made later than its lines, which tells nothing.
    pub(super) fn made(&self) -> Option<SystemTime> {
        match &self.content {
            Content::Plain(file) => file.metadata().ok()?.created().ok(),
            Content::Compressed(_) => None,
        }
    }

    /// Whether dockerd has compressed it.
    pub(super) fn is_compressed(&self) -> bool {
        matches!(self.content, Content::Compressed(_))
    }

    /// The same file from its start, for another reader.
    pub(super) fn again(self) -> io::Result<Self> {
        let (mut file, compressed) = match self.content {
            Content::Plain(file) => (file, false),
            Content::Compressed(decoder) => (decoder.into_inner(), true),
        };
        file.rewind()?;
        Ok(Self { content: Content::of(file, compressed), offset: 0, ..self })
    }

    /// Goes back to the start of a file that was truncated.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0))
    }

    /// Whether it is the file that was read up to `end`, and is as it was.
    pub(super) fn holds(&self, end: &RecordEnd) -> bool {
        matches!(&self.content, Content::Plain(file) if self.inode == end.inode && end.is_in(file))
    }

    /// Passes over what stands before `end`.
    pub(super) fn go_to(&mut self, end: &RecordEnd) -> io::Result<()> {
        self.seek(SeekFrom::Start(end.offset))
    }

    /// Passes over what is there.
    pub(super) fn pass_over(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::End(0))
    }

    fn seek(&mut self, to: SeekFrom) -> io::Result<()> {
        if let Content::Plain(file) = &mut self.content {
            self.offset = file.seek(to)?;
        }
        Ok(())
    }
}

/// How many numbers in a row may have no file before the search ends: during a rotation one number is free for a moment.
const HOLES: usize = 2;

/// How often files are looked for in one go while the log is rotated meanwhile.
const LOOKS: usize = 16;

/// Opens all files of the log at `path`, the oldest first.
///
/// # Errors
/// A file that is there and can't be opened.
pub(super) fn all(path: &Path) -> io::Result<Vec<Segment>> {
    all_while(path, &mut || {})
}

/// The same; `meanwhile` happens after the first file of each look.
fn all_while(path: &Path, meanwhile: &mut dyn FnMut()) -> io::Result<Vec<Segment>> {
    let mut found = look(path, meanwhile)?;
    for _ in 1..LOOKS {
        if is_newest(path, found.last()) {
            break;
        }
        found = look(path, meanwhile)?;
    }
    Ok(found)
}

/// Whether the newest file has the log's own name still. If it has not, a file may stand before one that is older: it had moved to the next name already when that was looked at.
fn is_newest(path: &Path, newest: Option<&Segment>) -> bool {
    fs::metadata(path).map_or(true, |there| newest.is_some_and(|newest| newest.inode == there.ino()))
}

/// Opens what is there while no rotation comes between.
fn look(path: &Path, meanwhile: &mut dyn FnMut()) -> io::Result<Vec<Segment>> {
    let mut found: Vec<Segment> = Segment::open(path, false)?.into_iter().collect();
    meanwhile();
    let mut seen: HashSet<u64> = found.iter().map(|segment| segment.inode).collect();
    let mut holes = 0;
    // From the youngest to the oldest, the way in which rotation moves them: one that moves meanwhile is met twice, never missed.
    for number in 1.. {
        match rotated(path, number)? {
            Some(segment) => {
                holes = 0;
                if seen.insert(segment.inode) {
                    found.push(segment);
                }
            }
            None if holes == HOLES => break,
            None => holes += 1,
        }
    }
    found.reverse();
    Ok(found)
}

/// The file that was rotated away `number` times. dockerd removes the plain one only when the compressed one is complete.
fn rotated(path: &Path, number: usize) -> io::Result<Option<Segment>> {
    let named = |end: &str| -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}{end}"));
        name.into()
    };
    match Segment::open(&named(""), false)? {
        Some(segment) => Ok(Some(segment)),
        None => Segment::open(&named(".gz"), true),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::scratch;

    fn named(folder: &Path, number: usize) -> PathBuf {
        folder.join(if number == 0 { "log".to_owned() } else { format!("log.{number}") })
    }

    /// Moves the files as dockerd does, and begins one that says how many there were before.
    fn rotate(folder: &Path, files: &mut usize) {
        for number in (0..3).rev() {
            let _none_yet = fs::rename(named(folder, number), named(folder, number + 1));
        }
        fs::write(named(folder, 0), files.to_string()).unwrap();
        *files += 1;
    }

    fn texts(found: Vec<Segment>) -> Vec<String> {
        let text = |mut segment: Segment| {
            let mut text = vec![0; 9];
            let length = segment.read(&mut text).unwrap();
            text.truncate(length);
            String::from_utf8(text).unwrap()
        };
        found.into_iter().map(text).collect()
    }

    #[test]
    fn files_are_in_order_though_the_log_is_rotated_while_they_are_looked_for() {
        for rotations in 0..4 {
            let (folder, mut files, mut looks) = (scratch::Folder::new("look"), 0, 0);
            (0..4).for_each(|_| rotate(&folder.0, &mut files));
            let found = all_while(&named(&folder.0, 0), &mut || {
                looks += 1;
                (0..if looks == 1 { rotations } else { 0 }).for_each(|_| rotate(&folder.0, &mut files));
            });
            let kept: Vec<String> = (files - 4..files).map(|file| file.to_string()).collect();
            assert_eq!(texts(found.unwrap()), kept, "{rotations} rotations");
        }
    }
}
