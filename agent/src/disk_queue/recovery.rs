//! Opening a queue: what is there after whatever has happened to it.
//!
//! Pages are synced before the next one is begun, so a crash tears the last one only. That one is read and cut at the first frame that is none. What is
//! damaged in an older page, which a crash does not do, is found when it is read. Every opening begins a page of its own: nothing is written
//! behind an end that was cut.

use std::fs;
use std::io;
use std::path::Path;

use super::book::Page;
use super::checkpoint::{self, Checkpoint, Place};
use super::deflate::Compression;
use super::page::{Frames, HEADER, Header, Next, NoHeader, PageId};
use super::storage::{Medium, Storage};

/// A queue as it was found, with a new page behind the others.
pub(super) struct Recovered {
    /// All pages, the new one last.
    pub(super) pages: Vec<Page>,
    /// Up to where all is safe.
    pub(super) safe: Place,
    /// Events that the queue has taken, since it was made.
    pub(super) written: u64,
    /// The checkpoint, to be written on.
    pub(super) checkpoint: Checkpoint,
    /// Bytes that were cut off, for they were no whole frames.
    pub(super) cut: u64,
    /// Pages of Logstash's own queue, which are not read.
    pub(super) foreign: usize,
}

/// The name of a page.
pub(super) fn page_name(number: u64) -> String {
    format!("{number}.page")
}

/// The number of a page.
fn page_number(name: &str) -> Option<u64> {
    name.strip_suffix(".page")?.parse().ok()
}

/// Opens the queue and begins a page for what is to be compressed so, under a name that nobody ever had. The file is that of the page.
///
/// # Errors
/// When the disk does not let us, or a page is of another version.
pub(super) fn open(
    storage: &dyn Storage,
    id: PageId,
    compression: Compression,
) -> io::Result<(Recovered, Box<dyn Medium>)> {
    let (checkpoint, saved) = Checkpoint::open(storage)?;
    let saved = saved.unwrap_or_default();
    let names = storage.names()?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| page_number(name)).collect();
    numbers.sort_unstable();
    let next = numbers.last().copied().unwrap_or_default().max(saved.page) + 1;
    let mut found = Found { storage, pages: Vec::new(), cut: 0 };
    for number in numbers {
        if number < saved.page {
            storage.remove(&page_name(number))?;
        } else {
            found.look(number)?;
        }
    }
    let Found { mut pages, mut cut, .. } = found;
    // Where all pages are gone, what the checkpoint says is all that there ever was.
    let mut written = saved.events;
    if let Some(last) = pages.last_mut() {
        let (events, end) = count(storage, last)?;
        written = written.max(last.first + events);
        cut += last.bytes - end;
        last.bytes = end;
    }
    let (page, tail) = begin(storage, next, Header { id, first: written, deflatable: compression.is_on() })?;
    pages.push(page);
    let safe = safe(saved, &pages);
    let foreign = names.iter().filter(|name| name.starts_with("page.")).count();
    Ok((Recovered { pages, safe, written, checkpoint, cut, foreign }, tail))
}

/// Begins a page; it is safe when this returns.
///
/// # Errors
/// When the disk does not take it. What may be there of it is written over by the next attempt, or removed when the queue is opened next.
pub(super) fn begin(storage: &dyn Storage, number: u64, header: Header) -> io::Result<(Page, Box<dyn Medium>)> {
    let medium = storage.create(&page_name(number))?;
    medium.write_at(0, &header.encode())?;
    medium.sync()?;
    Ok((Page { number, id: header.id, first: header.first, bytes: HEADER }, medium))
}

/// The bytes of frames behind the checkpoint of a queue in a folder, which is only looked at.
///
/// # Errors
/// When there is no queue, or it can't be read.
pub(super) fn left_in(folder: &Path) -> io::Result<u64> {
    let safe = match fs::File::open(folder.join(checkpoint::NAME)) {
        Ok(file) => checkpoint::last(&file)?.map(|(_, place)| place).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Place::default(),
        Err(error) => return Err(error),
    };
    let mut left = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let bytes = entry.metadata()?.len();
        left += match entry.file_name().to_str().and_then(page_number) {
            Some(number) if number == safe.page => bytes.saturating_sub(safe.offset.max(HEADER)),
            Some(number) if number > safe.page => bytes.saturating_sub(HEADER),
            _ => 0,
        };
    }
    Ok(left)
}

struct Found<'a> {
    storage: &'a dyn Storage,
    pages: Vec<Page>,
    cut: u64,
}

impl Found<'_> {
    fn look(&mut self, number: u64) -> io::Result<()> {
        let name = page_name(number);
        let medium = self.storage.open(&name)?;
        let mut header = [0; HEADER as usize];
        let read = medium.read_at(0, &mut header)?;
        let bytes = medium.length()?;
        match Header::decode(&header[..read]) {
            Ok(Header { id, first, .. }) => self.pages.push(Page { number, id, first, bytes }),
            Err(NoHeader::Version(version)) => {
                let message = format!(
                    "{name} is of version {version} of the format, and this elkhound reads versions 1 and 2; start the one that has written it"
                );
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
            // A crash came before it was begun; or else its place has no way in.
            Err(NoHeader::Damaged) => {
                self.cut += bytes;
                self.storage.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// How many events the last page has, and where the last whole frame ends. What stands behind is cut off, the rest is safe from here on.
fn count(storage: &dyn Storage, page: &Page) -> io::Result<(u64, u64)> {
    let mut frames = Frames::new(storage.open(&page_name(page.number))?, HEADER);
    let mut events = 0;
    // The sum is right or not: nothing is inflated for it.
    while let Next::Frame(frame) = frames.next(page.bytes)? {
        events += frame.events as u64;
    }
    let end = frames.offset();
    let medium = frames.into_medium();
    if end < page.bytes {
        medium.cut(end)?;
    }
    // After the death of a process, the kernel may have more than the disk.
    medium.sync()?;
    Ok((events, end))
}

/// The checkpoint, if its place is there; else the first that is.
fn safe(saved: Place, pages: &[Page]) -> Place {
    let Some(at) = pages.iter().position(|page| page.number >= saved.page) else { return saved };
    let page = pages[at];
    if page.number > saved.page {
        return Place { page: page.number, offset: HEADER, events: page.first };
    }
    if saved.offset <= page.bytes {
        return saved;
    }
    // Events that were delivered before they were synced, and lost.
    let events = pages.get(at + 1).map_or(saved.events, |next| next.first);
    Place { page: page.number, offset: page.bytes, events }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_queue::page::write_frame;
    use crate::disk_queue::simulated::Simulated;

    const ID: PageId = PageId([7; 12]);

    /// A disk with one page of three frames of one event.
    fn disk() -> Simulated {
        let disk = Simulated::default();
        let mut bytes = Vec::new();
        (0..3).for_each(|source| write_frame(source, 1, &mut bytes, |out| out.extend_from_slice(b"event")));
        let (_, tail) = open(&disk, ID, Compression::None).unwrap();
        tail.write_at(HEADER, &bytes).unwrap();
        disk
    }

    #[test]
    fn a_new_queue_has_one_page_with_nothing_in_it() {
        let (recovered, _) = open(&Simulated::default(), ID, Compression::None).unwrap();
        assert_eq!((recovered.pages.len(), recovered.written, recovered.cut), (1, 0, 0));
        assert_eq!(recovered.safe, Place { page: 1, offset: HEADER, events: 0 });
    }

    #[test]
    fn every_opening_begins_a_page_and_counts_what_is_there() {
        let disk = disk();
        for pages in 2..4 {
            let (recovered, _) = open(&disk, ID, Compression::None).unwrap();
            assert_eq!((recovered.pages.len(), recovered.written, recovered.cut), (pages, 3, 0));
            assert_eq!(recovered.safe, Place { page: 1, offset: HEADER, events: 0 });
        }
    }

    #[test]
    fn a_torn_end_is_cut_off_and_told() {
        for torn in 1..25 {
            let disk = disk();
            let page = disk.file("1.page");
            disk.open("1.page").unwrap().cut(page.len() as u64 - torn).unwrap();
            let (recovered, _) = open(&disk, ID, Compression::None).unwrap();
            let frame = (page.len() as u64 - HEADER) / 3;
            assert_eq!((recovered.written, recovered.cut), (2, frame - torn));
            assert_eq!(disk.file("1.page").len() as u64, HEADER + 2 * frame);
        }
    }

    #[test]
    fn a_page_that_was_not_begun_is_removed_and_one_of_another_version_is_not() {
        let disk = disk();
        disk.create("2.page").unwrap().write_at(0, b"EHQP\x01").unwrap();
        let (recovered, _) = open(&disk, ID, Compression::None).unwrap();
        assert_eq!(
            (recovered.cut, recovered.pages.iter().map(|page| page.number).collect::<Vec<_>>()),
            (5, vec![1, 3])
        );
        let mut newer = Header { id: ID, first: 0, deflatable: true }.encode();
        newer[4] = 3;
        disk.create("9.page").unwrap().write_at(0, &newer).unwrap();
        let refused = open(&disk, ID, Compression::None).map(|_| ()).unwrap_err();
        assert!(refused.to_string().starts_with("9.page is of version 3 of the format"), "{refused}");
        assert_eq!(disk.file("9.page").len(), 32);
    }

    #[test]
    fn pages_before_the_checkpoint_are_gone_and_numbers_go_on() {
        let disk = disk();
        let mut checkpoint = Checkpoint::open(&disk).unwrap().0;
        checkpoint.write(Place { page: 8, offset: 40, events: 77 }).unwrap();
        let (recovered, _) = open(&disk, ID, Compression::None).unwrap();
        assert_eq!(recovered.pages.iter().map(|page| page.number).collect::<Vec<_>>(), [9]);
        assert_eq!((recovered.written, recovered.safe), (77, Place { page: 9, offset: HEADER, events: 77 }));
    }

    #[test]
    fn what_is_left_behind_the_checkpoint_is_counted_without_opening_the_queue() {
        let folder = crate::scratch::Folder::new("queue-left");
        assert!(left_in(&folder.join("none")).is_err());
        let storage = crate::disk_queue::storage::Folder::open(&folder).unwrap();
        let (mut recovered, tail) = open(&storage, ID, Compression::None).unwrap();
        assert_eq!(left_in(&folder).unwrap(), 0);
        tail.write_at(HEADER, &[1; 100]).unwrap();
        begin(&storage, 2, Header { id: ID, first: 1, deflatable: false })
            .unwrap()
            .1
            .write_at(HEADER, &[1; 10])
            .unwrap();
        assert_eq!(left_in(&folder).unwrap(), 110);
        recovered.checkpoint.write(Place { page: 1, offset: HEADER + 60, events: 1 }).unwrap();
        assert_eq!(left_in(&folder).unwrap(), 50);
        recovered.checkpoint.write(Place { page: 2, offset: HEADER + 10, events: 2 }).unwrap();
        assert_eq!(left_in(&folder).unwrap(), 0);
    }

    #[test]
    fn pages_of_logstash_are_told() {
        let disk = disk();
        disk.create("page.0").unwrap();
        disk.create("checkpoint.head").unwrap();
        assert_eq!(open(&disk, ID, Compression::None).unwrap().0.foreign, 1);
    }
}
