//! One container's log, read through its files from the oldest that is kept to the one that is written.
//!
//! With every block it is looked whether the log was rotated; files that have come meanwhile are opened at once, and an open file can be read
//! after dockerd has removed it. So a line is missed only when the log was rotated through all its files between two blocks.
//! The place in the log is found again by the cursor, and lines that are missing there are told as a gap.
//!
//! Where the file with the place is gone, compressed or removed, the marked line itself is looked for in all that is there before anything is new. It may have been rotated
//! away; then all of the log is new, behind a gap, whatever its times say. A file that is there, but not as it was, was truncated or lost its end in a power cut: what is safe in it is told
//! by its times, so that lines which were written there since the clock was set back are passed over until it is where it had been.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use elkhound_pipeline::flow::receipt::Ledger;
use memchr::memchr;
use tracing::warn;

use super::super::chunk::Layers;
use super::super::ledger::ContainerLedger;
use super::super::lines::Lines;
use super::super::multiline::Rule;
use super::super::partial::{Joiner, Stamps};
use super::super::place::{Place, Reached, RecordEnd};
use super::super::position::{Gap, Marks, Stream};
use super::super::records::{self, Record};
use super::held::Held;
use super::segments::{self, Segment};

/// How much is read from a log in one go.
pub(super) const BLOCK: usize = 256 << 10;

/// The longest record: a piece of 16 KiB with every byte escaped, and its attributes. Longer ones are passed over.
const RECORD: usize = 1 << 20;

/// How long the beginning of a line waits for its end when nothing more is written.
const UNFINISHED: Duration = Duration::from_secs(5);

/// How coarse a file system's clock is.
const TICK: Duration = Duration::from_millis(10);

/// How many files of a log are open at most to be read: those that dockerd has removed keep their space on the disk until then.
const OPEN: usize = 8;

/// What a look at a log has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A block was read.
    Read,
    /// There is nothing new.
    End,
    /// The log is gone, and was read to its end.
    Gone,
}

/// One container's log.
pub(super) struct Log {
    path: PathBuf,
    /// The files that are open, the one that is being read first.
    segments: VecDeque<Segment>,
    /// Those that were read before them.
    held: Held,
    /// Those in which the marked line was looked for, and not found: they have to be read again if it is nowhere.
    searched: Vec<Segment>,
    /// The beginning of a record whose end was not there yet.
    carry: Vec<u8>,
    pub(super) joiner: Joiner,
    pub(super) lines: Lines,
    pub(super) layers: Layers,
    pub(super) ledger: Arc<ContainerLedger>,
    /// Up to where lines were handed on.
    pub(super) read: Marks,
    /// Where a restart can go on, once all lines so far are safe.
    pub(super) place: Option<Place>,
    /// The place that was noted last.
    noted: Option<Place>,
    /// One further on, for when the lines are complete that wait there for others; and how many lines had come by there.
    next_place: Option<(Place, u64)>,
    /// The end of the last record, where a restart can find it.
    end: Option<RecordEnd>,
    limit: usize,
    tty: bool,
    from_end: bool,
    /// Lines that are missing, told by a joiner that another one has followed since.
    gap: Option<Gap>,
    /// How many files dockerd keeps, if it rotates them.
    files: Option<usize>,
    /// When the log's oldest file was made, until its first line is read; nothing where the log can't have lost its beginning.
    oldest: Option<SystemTime>,
    /// When the log was at its end first, with a line unfinished.
    idle: Option<Instant>,
    corrupt: usize,
}

/// What is read of a log, and how.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The longest line, in bytes.
    pub(super) limit: usize,
    /// Leaves out terminal control sequences.
    pub(super) strip_ansi: bool,
    /// The container has a terminal, whose lines end in `\r\n`.
    pub(super) tty: bool,
    /// What is there already is passed over.
    pub(super) from_end: bool,
    /// Up to where it is safe.
    pub(super) reached: Reached,
    /// How many files dockerd keeps of it, if it rotates them.
    pub(super) files: Option<usize>,
    /// How its lines are joined, if they are.
    pub(super) rule: Option<Arc<Rule>>,
    /// It is told where lines begin in their file.
    pub(super) offsets: bool,
}

impl Log {
    /// The log at `path`, which need not be there yet.
    pub(super) fn new(path: &Path, layers: Layers, ledger: Arc<ContainerLedger>, reading: Reading) -> Self {
        let Reading { limit, strip_ansi, tty, from_end, reached, files, rule, offsets } = reading;
        let Reached { marks: read, place } = reached;
        let lines = Lines::new(strip_ansi, rule);
        Self {
            path: path.to_owned(),
            segments: VecDeque::new(),
            held: Held::default(),
            searched: Vec::new(),
            carry: Vec::new(),
            joiner: Joiner::new(limit, Stamps::Shared, read),
            lines: if offsets { lines.with_offsets() } else { lines },
            layers,
            ledger,
            read,
            place,
            noted: place,
            next_place: None,
            end: None,
            limit,
            tty,
            from_end,
            gap: None,
            files,
            oldest: None,
            idle: None,
            corrupt: 0,
        }
    }

    /// Reads a block and makes lines of it.
    ///
    /// # Errors
    /// A file that can't be opened or read.
    pub(super) fn advance(&mut self, block: &mut Vec<u8>) -> io::Result<Step> {
        self.let_go();
        let there = self.look()?;
        let Some(segment) = self.segments.front_mut() else {
            return Ok(if there || self.has_folder() { Step::End } else { Step::Gone });
        };
        block.clear();
        block.append(&mut self.carry);
        let start = block.len();
        block.resize(start + BLOCK, 0);
        let read = segment.read(&mut block[start..]);
        block.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                self.carry.extend_from_slice(block);
                self.at_end(there)
            }
            Ok(_) => {
                self.idle = None;
                self.take(block);
                Ok(Step::Read)
            }
            Err(error) if segment.is_compressed() => {
                warn!(path = %self.path.display(), reason = %error, "a compressed log file can't be read to its end; the next one is read");
                self.ledger.misses(1, &format!("a compressed log file can't be read to its end: {error}"));
                self.next_segment();
                Ok(Step::Read)
            }
            Err(error) => Err(error),
        }
    }

    /// How many bytes of its files were not read yet.
    pub(super) fn left(&self) -> u64 {
        self.segments.iter().map(Segment::left).sum()
    }

    /// Goes on in files that another reader had open. Where to begin in them is told by the place; a log that was to be read from its end, and of which nothing
    /// was safe, is opened by its name.
    ///
    /// # Errors
    /// A file that can't be read from its start.
    pub(super) fn go_on_in(&mut self, files: Vec<Segment>) -> io::Result<()> {
        let mut files = files.into_iter().map(Segment::again).collect::<io::Result<Vec<_>>>()?;
        if !self.goes_on(&mut files)? {
            if self.from_end {
                return Ok(());
            }
            // The file with the place was let go of because all in it was safe: nothing is missing before the first of these.
            self.joiner.adjoins();
        }
        self.from_end = false;
        self.segments.extend(files);
        Ok(())
    }

    /// All files in which another reader might have to begin.
    pub(super) fn into_files(mut self) -> Vec<Segment> {
        self.let_go();
        self.held.take().into_iter().chain(self.searched).chain(self.segments).collect()
    }

    /// Whether all lines that were handed on are safe.
    pub(super) fn is_safe(&self) -> bool {
        self.ledger.in_flight() == 0
    }

    /// Closes files whose lines are safe by now.
    fn let_go(&mut self) {
        if self.held.is_empty() {
            return;
        }
        // Lines that are still to be handed on are in no chunk yet.
        let handed_on = self.lines.is_empty() && !self.lines.wait_for_others() && self.joiner.resting().is_some();
        self.held.let_go(self.ledger.safe().place, handed_on && self.is_safe(), self.segments.iter());
    }

    /// Opens the files that are new; returns whether there is a file under the log's own name.
    fn look(&mut self) -> io::Result<bool> {
        let there = match fs::metadata(&self.path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.from_end = false;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let open = self.segments.len();
        match self.segments.back_mut() {
            None => self.open_first()?,
            Some(newest) if newest.inode == there.ino() => {
                // Where nobody could read for long, a truncated file may be larger again than it was.
                let is_other = |end: RecordEnd| end.inode == newest.inode && !newest.holds(&end);
                if there.len() < newest.offset || self.end.is_some_and(is_other) {
                    // Truncated, as dockerd does it with max-file=1 and logrotate with copytruncate: what was written just before is gone.
                    newest.restart()?;
                    self.carry.clear();
                    self.find_again();
                }
            }
            Some(_) if open >= OPEN => {}
            Some(newest) => {
                let inode = newest.inode;
                self.open_newer(inode)?;
            }
        }
        Ok(true)
    }

    fn open_first(&mut self) -> io::Result<()> {
        let mut found = segments::all(&self.path)?;
        let from_end = std::mem::take(&mut self.from_end);
        if self.goes_on(&mut found)? {
            // The files before the place are safe.
        } else if self.has_lost_file(&found) {
            let _place_is_known = self.joiner.seek();
        } else if from_end {
            found.drain(..found.len().saturating_sub(1));
            found.iter_mut().try_for_each(Segment::pass_over)?;
        } else if self.read.is_empty() && self.files.is_some_and(|files| files > 1 && found.len() >= files) {
            self.oldest = found.first().and_then(Segment::made);
        }
        self.segments.extend(found);
        Ok(())
    }

    /// Goes on where the log was read up to before, if the file that was read is still there as it was; under whatever name, but not compressed.
    fn goes_on(&mut self, found: &mut Vec<Segment>) -> io::Result<bool> {
        let Some(Place { end, last }) = self.place else { return Ok(false) };
        let Some(at) = found.iter().position(|segment| segment.holds(&end)) else { return Ok(false) };
        found.drain(..at);
        found[0].go_to(&end)?;
        self.end = Some(end);
        self.joiner = Joiner::behind(self.limit, Stamps::Shared, self.read, last);
        Ok(true)
    }

    /// Whether the file that was read last is not there any more, at least not as the plain file that it was.
    fn has_lost_file(&self, found: &[Segment]) -> bool {
        let is_read = |segment: &Segment, place: Place| segment.inode == place.end.inode && !segment.is_compressed();
        self.place.is_some_and(|place| !found.iter().any(|segment| is_read(segment, place)))
    }

    /// The log has none of the marked lines any more: all of it is read again, and is new.
    fn begin_anew(&mut self) -> io::Result<()> {
        let files = std::mem::take(&mut self.searched).into_iter().chain(std::mem::take(&mut self.segments));
        self.segments = files.map(Segment::again).collect::<io::Result<_>>()?;
        self.carry.clear();
        self.joiner = Joiner::new(self.limit, Stamps::Shared, Marks::default());
        self.joiner.begins_late(self.read.latest());
        (self.idle, self.end, self.next_place) = (None, None, None);
        Ok(())
    }

    /// The log was rotated since the file with this `inode` was opened as its newest.
    fn open_newer(&mut self, inode: u64) -> io::Result<()> {
        let mut found = segments::all(&self.path)?;
        match found.iter().position(|segment| segment.inode == inode) {
            Some(at) => drop(found.drain(..=at)),
            // It was removed or compressed: whether others were between it and these only their lines can tell.
            None => found.iter_mut().take(1).for_each(|segment| segment.after_break = true),
        }
        self.segments.extend(found);
        Ok(())
    }

    /// Whether lines are missing before the log's first one. dockerd makes the first file before the container runs, and every other one
    /// for a line that it has already: so an oldest file that is no older than its first line has lost those before it.
    fn look_for_beginning(&mut self, block: &[u8]) {
        let Some(oldest) = self.oldest else { return };
        let mut first = None;
        let length = memchr(b'\n', block).map_or(0, |length| length + 1);
        records::decode(&block[..length], |record| first = Some(record.nanos));
        let Some(first) = first else { return };
        self.oldest = None;
        let begun = self.path.parent().and_then(|folder| fs::metadata(folder).ok()?.created().ok());
        if first < nanos(oldest) + nanos_of(TICK) {
            self.joiner.begins_late(begun.map_or(first, nanos).min(first));
        }
    }

    fn take(&mut self, block: &[u8]) {
        self.look_for_beginning(block);
        let start = self.segments.front().map_or(0, |segment| segment.offset - block.len() as u64);
        let Self { joiner, lines, tty, .. } = self;
        let decoded = if lines.tell_offsets() {
            records::decode_with_offsets(block, |at, record| {
                lines.take_record(start + at as u64);
                if *tty {
                    terminal(joiner, record, lines);
                } else {
                    joiner.record(record.stream, record.nanos, record.log, lines);
                }
            })
        } else if *tty {
            records::decode(block, |record| terminal(joiner, record, lines))
        } else {
            records::decode(block, |record| joiner.record(record.stream, record.nanos, record.log, lines))
        };
        self.complain(decoded.corrupt);
        let (records, rest) = block.split_at(decoded.consumed);
        self.note_end(records, rest.len());
        if rest.len() <= RECORD {
            self.carry.extend_from_slice(rest);
        }
    }

    /// Takes note of where the last of `records` ends, `rest` bytes before the end of what was read.
    fn note_end(&mut self, records: &[u8], rest: usize) {
        let Some(segment) = self.segments.front().filter(|_| !records.is_empty()) else { return };
        self.end = if segment.is_compressed() {
            None
        } else {
            RecordEnd::of(segment.inode, segment.offset - rest as u64, records)
        };
        self.look_for_place();
    }

    /// Moves the place where a restart can go on: behind the last record, if no line is unfinished and none waits for others there, or
    /// to where that would have been so without those that are complete by now.
    fn look_for_place(&mut self) {
        let (taken, before_waiting) = self.lines.taken();
        let here = self.end.zip(self.joiner.resting()).map(|(end, last)| (Place { end, last }, taken));
        let passed = |(_, taken): &(Place, u64)| *taken <= before_waiting;
        if let Some((place, _)) = here.filter(passed) {
            (self.place, self.next_place) = (Some(place), None);
        } else if let Some((place, _)) = self.next_place.filter(passed) {
            (self.place, self.next_place) = (Some(place), here);
        } else {
            self.next_place = self.next_place.or(here);
        }
    }

    /// The lines that are missing before those that are handed on next; each told once.
    pub(super) fn take_gap(&mut self) -> Option<Gap> {
        self.gap.take().or_else(|| self.joiner.take_gap())
    }

    /// Notes a chunk that ends with the lines that were handed on last; returns its number.
    pub(super) fn open_chunk(&mut self) -> u64 {
        self.noted = self.place;
        self.ledger.open(self.read, self.place)
    }

    /// Notes the place that was reached, where there are no lines whose receipts would do that.
    pub(super) fn note_place(&mut self) {
        if self.lines.is_empty() && self.noted != self.place {
            let number = self.open_chunk();
            self.ledger.settled(number);
        }
    }

    fn complain(&mut self, records: usize) {
        if records > 0 {
            self.corrupt += records;
            let (path, all) = (self.path.display(), self.corrupt);
            let trouble = "a log holds records that can't be read; they are passed over";
            warn!(%path, records, all, "{trouble}");
            self.ledger.misses(records, trouble);
        }
    }

    /// At the end of the file that is being read: whether the log goes on in another one.
    fn at_end(&mut self, there: bool) -> io::Result<Step> {
        // The next one was known before this one was read to its end, and nothing is written to it once there is a next one.
        if self.segments.len() > 1 {
            self.next_segment();
            return Ok(Step::Read);
        }
        let is_gone = !there && !self.has_folder();
        if is_gone || self.idle.get_or_insert_with(Instant::now).elapsed() >= UNFINISHED {
            self.joiner.flush(&mut self.lines);
        }
        // A line without its end may be the marked one.
        if self.joiner.is_seeking() && self.joiner.torn().is_empty() {
            self.begin_anew()?;
            return Ok(Step::Read);
        }
        if is_gone {
            self.lines.finish();
            return Ok(Step::Gone);
        }
        self.lines.finish_overdue();
        self.look_for_place();
        Ok(Step::End)
    }

    fn next_segment(&mut self) {
        if let Some(read) = self.segments.pop_front() {
            if self.joiner.is_seeking() {
                self.searched.push(read);
            } else {
                self.searched.clear();
                self.held.hold(read);
            }
        }
        let half = usize::from(!self.carry.is_empty());
        self.carry.clear();
        self.complain(half);
        if self.segments.front().is_some_and(|segment| segment.after_break) {
            self.find_again();
            let _place_is_known = self.joiner.seek();
        }
    }

    /// Files may be missing here: the place in the log is looked for as after a restart.
    fn find_again(&mut self) {
        // A line without its end goes on in a compressed copy of what was just read, if at all.
        if !self.segments.iter().any(Segment::is_compressed) {
            self.joiner.flush(&mut self.lines);
        }
        Stream::BOTH.into_iter().for_each(|stream| self.lines.leave_out(stream));
        // What waits for others was read, and must not be read again.
        self.lines.finish();
        let mut read = self.read;
        read.advance(&self.lines.marks());
        self.gap = self.take_gap();
        self.joiner = Joiner::new(self.limit, Stamps::Shared, read);
        (self.end, self.next_place) = (None, None);
    }

    fn has_folder(&self) -> bool {
        self.path.parent().is_some_and(Path::exists)
    }
}

/// Nanoseconds since 1970.
fn nanos(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos_of)
}

fn nanos_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A record of a container with a terminal.
fn terminal(joiner: &mut Joiner, record: Record<'_>, lines: &mut Lines) {
    let mut message = Vec::with_capacity(record.log.raw().len());
    records::unescape(record.log.raw(), &mut message);
    let text = message.strip_suffix(b"\r\n").unwrap_or(&message);
    joiner.message(record.stream, record.nanos, text, lines);
}

#[cfg(test)]
mod tests;
