//! One file that is watched: what is read from it, how far, and what a look at it says.
//!
//! A file is told by its inode, so it stays the same under another name; an open file is read to its end wherever it is. What leaves here is
//! events with the offset up to which they are whole: the beginning of a line, and lines that the codec still collects, lie behind it and are
//! read again after a crash.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use elkhound_pipeline::codec::Decoder;
use elkhound_pipeline::event::Event;
use flate2::read::MultiGzDecoder;

use super::ledger::FileLedger;
use super::sincedb::FileId;
use super::split::Splitter;
use crate::clock;

/// A file and how far it was read.
pub(super) struct Watched {
    /// Where it is, or was when it was last seen.
    pub(super) path: PathBuf,
    /// What tells it from others.
    pub(super) id: FileId,
    /// Tells it from other sources in the queue.
    pub(super) source: u64,
    /// When it was changed last, as far as is known; files are sorted by it.
    pub(super) modified: SystemTime,
    /// When something was read last.
    pub(super) active: Instant,
    /// Its side of the receipts.
    pub(super) ledger: Arc<FileLedger>,
    /// It was read to its end, in read mode.
    pub(super) finished: bool,
    content: Content,
    /// How far it was read.
    offset: u64,
    splitter: Splitter,
    decoder: Box<dyn Decoder>,
    /// Up to where everything has become events.
    whole: u64,
}

/// The open file.
enum Content {
    Closed,
    Plain(File),
    Archive(Box<MultiGzDecoder<File>>),
}

/// Events of one block.
pub(super) struct Batch {
    /// The events.
    pub(super) events: Vec<Event>,
    /// Bytes that they were made of.
    pub(super) bytes: usize,
    /// The offset up to which the file is safe when they are.
    pub(super) end: u64,
}

/// What a look at a file's length says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is more to read.
    Grown,
    /// Nothing new.
    Same,
    /// It is shorter than what was read: it was truncated, and begins anew.
    Truncated,
}

/// What has become of a file that was read up to `offset` and is `length` long now.
pub(super) fn change(offset: u64, length: u64) -> Change {
    match length.cmp(&offset) {
        std::cmp::Ordering::Greater => Change::Grown,
        std::cmp::Ordering::Equal => Change::Same,
        std::cmp::Ordering::Less => Change::Truncated,
    }
}

/// True for the names of files that are decompressed in read mode.
pub(super) fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "gzip")
}

impl Watched {
    /// A file that is read from `offset` on, not opened yet.
    pub(super) fn new(
        path: PathBuf,
        metadata: &Metadata,
        offset: u64,
        ledger: Arc<FileLedger>,
        splitter: Splitter,
        decoder: Box<dyn Decoder>,
    ) -> Self {
        Self {
            path,
            id: FileId::of(metadata),
            source: metadata.ino(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            active: Instant::now(),
            ledger,
            finished: false,
            content: Content::Closed,
            offset,
            splitter,
            decoder,
            whole: offset,
        }
    }

    /// True while the file is held open.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.content, Content::Closed)
    }

    /// Lets go of the file; it is opened again by its path when it has grown.
    pub(super) fn close(&mut self) {
        self.content = Content::Closed;
    }

    /// Opens the file if it is closed.
    ///
    /// # Errors
    /// When it can't be opened, or its path leads to another file now.
    pub(super) fn open(&mut self, unpack: bool) -> io::Result<()> {
        if self.is_open() {
            return Ok(());
        }
        let file = File::open(&self.path)?;
        if FileId::of(&file.metadata()?) != self.id {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.content = if unpack && is_archive(&self.path) {
            Content::Archive(Box::new(MultiGzDecoder::new(file)))
        } else {
            Content::Plain(file)
        };
        Ok(())
    }

    /// The file as it is now, by its handle while it is open. Nothing when it is closed and its path leads elsewhere.
    pub(super) fn look(&mut self) -> io::Result<Option<Metadata>> {
        let metadata = match &self.content {
            Content::Plain(file) => file.metadata()?,
            Content::Archive(archive) => archive.get_ref().metadata()?,
            Content::Closed => match fs::metadata(&self.path) {
                Ok(metadata) if FileId::of(&metadata) == self.id => metadata,
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        self.modified = metadata.modified().unwrap_or(self.modified);
        Ok(Some(metadata))
    }

    /// What has become of it, given its length now.
    pub(super) fn change(&self, length: u64) -> Change {
        match self.content {
            // The length of an archive says nothing of its content; it is read until it ends.
            Content::Archive(_) => Change::Grown,
            _ => change(self.offset, length),
        }
    }

    /// Begins anew after a truncation, with a fresh decoder: the end of what it holds will never come.
    pub(super) fn restart(&mut self, decoder: Box<dyn Decoder>) {
        self.offset = 0;
        self.whole = 0;
        self.splitter.forget();
        self.decoder = decoder;
    }

    /// Reads a block of at most `size` bytes; nothing at the end of the file.
    pub(super) fn read(&mut self, size: usize, block: &mut Vec<u8>) -> io::Result<Option<Batch>> {
        block.resize(size, 0);
        let length = match &mut self.content {
            Content::Plain(file) => file.read_at(block, self.offset)?,
            Content::Archive(archive) => archive.read(block)?,
            Content::Closed => 0,
        };
        if length == 0 {
            return Ok(None);
        }
        self.active = Instant::now();
        let mut events = Vec::new();
        let Self { splitter, decoder, whole, .. } = self;
        // Offsets of lines follow from what the splitter holds, whatever the delimiter.
        let start = self.offset - splitter.held() as u64;
        let mut line = Progress { decoder: decoder.as_mut(), events: &mut events, start, whole };
        splitter.push(&block[..length], |end, bytes| line.take(start + end as u64, bytes));
        self.offset += length as u64;
        Ok(Some(self.batch(events, length)))
    }

    /// What is left when the file has ended for good: the last line needs no delimiter.
    pub(super) fn finish(&mut self, length: u64) -> Batch {
        let mut events = Vec::new();
        let decoder = &mut self.decoder;
        self.splitter.finish(|line| decoder.decode(line, clock::now(), &mut events));
        decoder.flush(clock::now(), &mut events);
        // A plain file may have grown since its length was looked at.
        let end = if matches!(self.content, Content::Archive(_)) { length } else { self.offset };
        self.finished = true;
        self.close();
        Batch { events, bytes: 0, end }
    }

    /// What the decoder keeps back, once it wants to let go of it: nothing has come for so long.
    pub(super) fn auto_flush(&mut self) -> Option<Batch> {
        let due = self.decoder.auto_flush().is_some_and(|pause| self.active.elapsed() >= pause);
        if !due {
            return None;
        }
        let mut events = Vec::new();
        self.decoder.flush(clock::now(), &mut events);
        self.whole = self.offset - self.splitter.held() as u64;
        Some(self.batch(events, 0))
    }

    /// How far into an archive its lines are safe can't be said: it is read again from its start unless it was finished.
    fn batch(&self, events: Vec<Event>, bytes: usize) -> Batch {
        let end = if matches!(self.content, Content::Archive(_)) { 0 } else { self.whole };
        Batch { events, bytes, end }
    }
}

/// Follows up to where the lines have become events.
struct Progress<'a> {
    decoder: &'a mut dyn Decoder,
    events: &'a mut Vec<Event>,
    /// Where the next line begins.
    start: u64,
    whole: &'a mut u64,
}

impl Progress<'_> {
    fn take(&mut self, end: u64, line: &[u8]) {
        let before = self.events.len();
        self.decoder.decode(line, clock::now(), self.events);
        if self.decoder.pending() == 0 {
            *self.whole = end;
        } else if self.events.len() > before {
            // An event was complete, and this line begins the next one.
            *self.whole = self.start;
        }
        self.start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_says_what_has_become_of_a_file() {
        assert_eq!(change(10, 11), Change::Grown);
        assert_eq!(change(10, 10), Change::Same);
        assert_eq!(change(10, 9), Change::Truncated);
        assert_eq!(change(0, 0), Change::Same);
    }

    #[test]
    fn archives_are_told_by_their_name() {
        assert!(is_archive(Path::new("/a/b.gz")) && is_archive(Path::new("b.log.gzip")));
        assert!(!is_archive(Path::new("/a.gz/b")) && !is_archive(Path::new("b.log")));
    }
}
