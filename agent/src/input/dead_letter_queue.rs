//! Reads the events of a dead letter queue, to be mended and sent again.
//!
//! Why an event is there stands below `[@metadata][dead_letter_queue]`: `reason`, `plugin_type`, `plugin_id` and `entry_time` as in
//! Logstash, and `error`, `status`, `index` and `action`. The event keeps its own `@metadata` and the identity that it had, so that one that
//! is sent twice is indexed once.
//!
//! ## Options
//!
//! - `path` (text, required): the folder of all queues, as in the setting `path.dead_letter_queue`.
//! - `pipeline_id` (text, default `main`): whose queue.
//! - `commit_offsets` (boolean, default true): go on after a restart where events were safe. Without it every start begins anew.
//! - `sincedb_path` (text, default in `--path.data`): the file that holds the position.
//! - `reason` (text; Logstash has no such option): only entries whose error, reason or index has this text in it.
//! - `start_timestamp` (text): entries from before this time are passed over.
//! - `clean_consumed` (boolean, default false): remove each segment whose events are all safe; the newest stays until there is a newer one.
//! - `exit_after_read` (boolean, default false; Logstash has no such option): end when everything has been read, instead of waiting for more.
//!
//! ## Example
//!
//! ```text
//! input { dead_letter_queue { path => "/var/lib/elkhound/dead_letter_queue" } }
//! filter {
//!   if [@metadata][dead_letter_queue][error] =~ /parsing_exception$/ { mutate { remove_field => [size] } }
//! }
//! output { elasticsearch { hosts => ["http://elasticsearch:9200"] index => "mended" } }
//! ```
//!
//! ## On failure
//!
//! A line that is no entry, such as the last one that a crash has torn, is passed over, counted and logged. An event that is refused again is
//! logged and not kept a second time; without `clean_consumed` its entry is still where it was.
//!
//! ## Differences from Logstash
//!
//! The queue's form is elkhound's own (JSON, one entry a line): segments that Logstash wrote are not read, which is said. Entries can be read as
//! soon as they are written. `@timestamp` is a time again; other fields that were times are texts.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use elkhound_config::options::{OptionKind, Options};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use elkhound_pipeline::time::Timestamp;
use md5::{Digest, Md5};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::window::{Mark, Window};
use super::{Input, Kind, Running, World, cost, option, with_receipt};
use crate::dead_letters::entry::Entry;
use crate::dead_letters::segments::{self, Lines};
use crate::files;
use crate::line::folder_name;
use crate::option::required;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "dead_letter_queue",
    options: &[
        option("clean_consumed", OptionKind::Boolean, "false", "remove segments whose events are all safe"),
        option("commit_offsets", OptionKind::Boolean, "true", "go on after a restart where events were safe"),
        option("exit_after_read", OptionKind::Boolean, "false", "end when everything has been read"),
        required("path", OptionKind::String, "the folder of all dead letter queues"),
        option("pipeline_id", OptionKind::String, "main", "whose queue"),
        option("reason", OptionKind::String, "", "only entries whose error, reason or index has this text in it"),
        option("sincedb_path", OptionKind::String, "", "the file that holds the position"),
        option("start_timestamp", OptionKind::String, "", "entries from before this time are passed over"),
    ],
    docs: elkhound_pipeline::docs::head(include_str!("dead_letter_queue.rs")),
    build,
};

fn build(options: &mut Options<'_>, world: &World<'_>) -> Option<Box<dyn Input>> {
    let (root, pipeline) = (options.text_or("path", ""), options.text_or("pipeline_id", "main"));
    let commits = options.boolean("commit_offsets", true);
    let cleans = options.boolean("clean_consumed", false);
    if cleans && !commits {
        let message = "`clean_consumed` needs to know what is safe, and `commit_offsets` is off";
        options.fail("clean_consumed", message, "leave out `commit_offsets => false`");
    }
    let start = options.text("start_timestamp").filter(|text| !text.is_empty());
    let start = start.map(|text| (Timestamp::parse(&text), text));
    if let Some((None, text)) = &start {
        options.fail("start_timestamp", &format!("`{text}` is no time"), "write it as in 2026-11-21T08:00:00Z");
    }
    if options.has_failed() {
        return None;
    }
    let sincedb = options.text("sincedb_path").map_or_else(|| default_sincedb(world, &root, &pipeline), PathBuf::from);
    Some(Box::new(DeadLetterQueue {
        folder: Path::new(&root).join(folder_name(&pipeline)),
        sincedb: commits.then_some(sincedb),
        wanted: Wanted { start: start.and_then(|(time, _)| time), reason: options.text("reason") },
        cleans,
        exit: options.boolean("exit_after_read", false),
    }))
}

/// Where Logstash keeps it.
fn default_sincedb(world: &World<'_>, root: &str, pipeline: &str) -> PathBuf {
    let hash: String = Md5::digest(root.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = world.data.join("plugins/inputs/dead_letter_queue").join(folder_name(pipeline));
    folder.join(format!(".sincedb_{hash}"))
}

struct DeadLetterQueue {
    folder: PathBuf,
    sincedb: Option<PathBuf>,
    wanted: Wanted,
    cleans: bool,
    exit: bool,
}

/// Which entries are read.
#[derive(Clone, Debug, Default)]
struct Wanted {
    start: Option<Timestamp>,
    reason: Option<String>,
}

impl Wanted {
    fn has(&self, entry: &Entry) -> bool {
        self.start.is_none_or(|start| entry.refusal.time >= start)
            && self.reason.as_ref().is_none_or(|text| entry.refusal.mentions(text))
    }
}

/// How often the folder is looked at when there was nothing more.
const LOOK: Duration = Duration::from_secs(1);

impl Input for DeadLetterQueue {
    fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let Self { folder, sincedb, wanted, cleans, exit } = *self;
            let place = sincedb.as_deref().map(read_place).transpose()?.unwrap_or_default();
            info!(folder = %folder.display(), segment = place.segment, offset = place.offset, "reading a dead letter queue");
            say_what_is_not_read(&folder);
            let position = Arc::new(Position::new(place, sincedb, cleans.then(|| folder.clone())));
            tokio::spawn(save(Arc::downgrade(&position)));
            let mut reader = Reader { folder, place, wanted, lines: None };
            let mut events = 0;
            while !stop.is_cancelled() {
                let read = spawn_blocking(move || (reader.read(), reader)).await;
                let (chunk, back) = read.context("the reader of the dead letter queue has panicked")?;
                reader = back;
                let chunk = chunk.with_context(|| {
                    format!("the dead letter queue {} can't be read; see to its rights", reader.folder.display())
                })?;
                if chunk.damaged > 0 {
                    let folder = reader.folder.display().to_string();
                    warn!(
                        folder,
                        lines = chunk.damaged,
                        "lines of the dead letter queue are no entries and are passed over"
                    );
                }
                let ended = chunk.is_empty();
                events += chunk.events.len();
                if !position.hand_on(&queue, chunk).await {
                    return Ok(());
                }
                if ended && exit {
                    info!(folder = %reader.folder.display(), events, "the dead letter queue has been read to its end");
                    return Ok(());
                }
                if ended {
                    tokio::select! {
                        () = sleep(LOOK) => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
            Ok(())
        })
    }
}

fn say_what_is_not_read(folder: &Path) {
    let foreign = segments::foreign(folder);
    if foreign > 0 {
        let folder = folder.display().to_string();
        warn!(
            folder,
            segments = foreign,
            "segments that Logstash wrote are not read; let Logstash empty its dead letter queue first"
        );
    }
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    segment: u64,
    offset: u64,
}

impl Mark for Place {
    fn advance(&mut self, end: &Self) {
        *self = *end;
    }
}

fn read_place(path: &Path) -> anyhow::Result<Place> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::default()),
        text => text.with_context(|| format!("the sincedb {} can't be read", path.display()))?,
    };
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(segment)), Some(Ok(offset))) => Ok(Place { segment, offset }),
        _ => {
            warn!(path = %path.display(), "the sincedb is damaged; the dead letter queue is read from its beginning");
            Ok(Place::default())
        }
    }
}

/// Reads entries, on a thread that may block.
#[derive(Debug)]
struct Reader {
    folder: PathBuf,
    place: Place,
    wanted: Wanted,
    lines: Option<Lines>,
}

/// What was read in one go.
#[derive(Debug, Default)]
struct Chunk {
    events: Vec<Event>,
    bytes: usize,
    /// Lines that are no entries.
    damaged: u64,
    /// Lines that were passed over as they should be.
    skipped: u64,
    end: Place,
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.damaged + self.skipped == 0
    }
}

/// Events and bytes that are read in one go.
const EVENTS: usize = 500;
const BYTES: usize = 1 << 20;

impl Reader {
    /// Reads some entries; an empty chunk when there are no more for now.
    fn read(&mut self) -> io::Result<Chunk> {
        let (mut chunk, mut line) = (Chunk::default(), Vec::new());
        while chunk.events.len() < EVENTS && chunk.bytes < BYTES {
            let Some(lines) = &mut self.lines else {
                if self.open()? {
                    continue;
                }
                break;
            };
            if lines.next(&mut line)? {
                self.place.offset = lines.offset;
                self.take(&line, &mut chunk);
            } else if !self.turn_over(&mut chunk)? {
                break;
            }
        }
        chunk.end = self.place;
        Ok(chunk)
    }

    fn take(&self, line: &[u8], chunk: &mut Chunk) {
        chunk.bytes += line.len();
        match Entry::parse(line) {
            Some(entry) if !self.wanted.has(&entry) => chunk.skipped += 1,
            Some(entry) => chunk.events.push(entry.into_event()),
            None => chunk.damaged += 1,
        }
    }

    /// Opens the segment of the position, or the first behind it. False when there is none.
    fn open(&mut self) -> io::Result<bool> {
        let all = segments::list(&self.folder)?;
        if all.last().is_some_and(|newest| newest.number < self.place.segment) {
            // The folder was emptied by hand, and numbers have begun anew.
            self.place = Place::default();
        }
        let Some(segment) = all.iter().find(|segment| segment.number >= self.place.segment) else { return Ok(false) };
        if segment.number > self.place.segment {
            self.place = Place { segment: segment.number, offset: 0 };
        }
        self.lines = Lines::open(&self.folder, self.place.segment, self.place.offset)?;
        Ok(self.lines.is_some())
    }

    /// Goes on to the next segment, if there is one and this one is at its end. False when there is nothing more for now.
    fn turn_over(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        let all = segments::list(&self.folder)?;
        let Some(next) = all.iter().find(|segment| segment.number > self.place.segment) else { return Ok(false) };
        // Nothing is written to a segment behind which there is another; what was written meanwhile is read before it is left.
        let own = all.iter().find(|segment| segment.number == self.place.segment);
        let rest = own.map_or(0, |own| own.bytes.saturating_sub(self.place.offset));
        let mut line = Vec::new();
        if let Some(lines) = &mut self.lines
            && lines.next(&mut line)?
        {
            self.place.offset = lines.offset;
            self.take(&line, chunk);
            return Ok(true);
        }
        chunk.damaged += u64::from(rest > 0);
        self.place = Place { segment: next.number, offset: 0 };
        self.lines = None;
        Ok(true)
    }
}

/// The ledger: up to where events are safe.
#[derive(Debug)]
struct Position {
    sincedb: Option<PathBuf>,
    /// The folder in which consumed segments are removed.
    cleaned: Option<PathBuf>,
    state: Mutex<State>,
    /// Held while the file is written, so that two writers can't overtake each other.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct State {
    window: Window<Place>,
    /// What is to be written down.
    moved: Option<Place>,
}

impl Position {
    fn new(place: Place, sincedb: Option<PathBuf>, cleaned: Option<PathBuf>) -> Self {
        let state = State { window: Window::after(place), moved: None };
        Self { sincedb, cleaned, state: Mutex::new(state), writing: Mutex::new(()) }
    }

    /// Hands a chunk on with receipts of this ledger; false when the pipeline is closed.
    async fn hand_on(self: &Arc<Self>, queue: &Queue, chunk: Chunk) -> bool {
        if chunk.is_empty() {
            return true;
        }
        let Chunk { mut events, bytes, end, .. } = chunk;
        let charge = queue.charge(cost(&events, bytes)).await;
        let number = self.state().window.open(end);
        let receipt = Receipt::open(Arc::clone(self) as Arc<dyn Ledger>, number, Some(charge));
        with_receipt(&mut events, receipt);
        events.is_empty() || queue.send(0, Box::new(events)).await.is_ok()
    }

    /// Writes the position down if it has moved, and removes what is consumed. Blocks on the disk.
    fn save(&self) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = self.state().moved.take();
        let Some(place) = moved else { return Ok(()) };
        let result = self.write(place);
        if result.is_err() {
            self.state().moved.get_or_insert(place);
        }
        result
    }

    fn write(&self, place: Place) -> io::Result<()> {
        if let Some(path) = &self.sincedb {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            files::replace(path, format!("{} {}\n", place.segment, place.offset).as_bytes())?;
        }
        let Some(folder) = &self.cleaned else { return Ok(()) };
        for consumed in segments::list(folder)?.iter().filter(|segment| segment.number < place.segment) {
            segments::remove(folder, consumed.number)?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Position {
    fn settled(&self, chunk: u64) {
        let mut state = self.state();
        if let Some(safe) = state.window.settle(chunk) {
            state.moved = Some(safe);
        }
    }

    /// The chunk stays open in the window, so that the position stops before it.
    fn abandoned(&self, _chunk: u64) {}
}

/// The last receipt may come back after everything else has ended.
impl Drop for Position {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            complain(&error);
        }
    }
}

fn complain(error: &io::Error) {
    warn!(reason = %error, "the position in the dead letter queue can't be kept; events may be read again");
}

async fn save(position: Weak<Position>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(position) = position.upgrade() else { return };
        if let Ok(Err(error)) = spawn_blocking(move || position.save()).await {
            complain(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::entry::Refusal;
    use crate::scratch;
    use std::fs;

    struct Folder(scratch::Folder);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(scratch::Folder::new(name))
        }

        /// Adds entries with these numbers, written at so many seconds, and `tail` behind them.
        fn write(&self, segment: u64, numbers: std::ops::Range<i64>, tail: &str) {
            let path = segments::path(&self.0, segment);
            let mut text = fs::read_to_string(&path).unwrap_or_default();
            for number in numbers {
                let refusal = Refusal { time: Timestamp::new(number, 0), ..Refusal::default() };
                text += std::str::from_utf8(&refusal.entry(format!("{{\"n\":{number}}}").as_bytes(), b"")).unwrap();
            }
            fs::write(path, text + tail).unwrap();
        }

        fn reader(&self, place: Place) -> Reader {
            Reader { folder: self.0.to_path_buf(), place, wanted: Wanted::default(), lines: None }
        }
    }

    fn numbers(chunk: &Chunk) -> Vec<String> {
        chunk.events.iter().map(|event| format!("{:?}", event.field("n").unwrap())).collect()
    }

    fn expected(numbers: std::ops::Range<i64>) -> Vec<String> {
        numbers.map(|number| format!("Integer({number})")).collect()
    }

    #[test]
    fn segments_are_read_in_their_order_and_torn_lines_are_counted() {
        let folder = Folder::new("order");
        let mut reader = folder.reader(Place::default());
        assert!(reader.read().unwrap().is_empty());
        folder.write(9, 0..3, "{\"time\":");
        assert_eq!(numbers(&reader.read().unwrap()), expected(0..3));
        // The line may still become whole.
        assert!(reader.read().unwrap().is_empty());
        folder.write(10, 3..5, "garbage\n");
        let chunk = reader.read().unwrap();
        assert_eq!((numbers(&chunk), chunk.damaged), (expected(3..5), 2));
        assert_eq!(chunk.end.segment, 10);
        folder.write(10, 5..6, "");
        assert_eq!(numbers(&reader.read().unwrap()), expected(5..6));
        let mut again = folder.reader(chunk.end);
        assert_eq!(numbers(&again.read().unwrap()), expected(5..6));
    }

    #[test]
    fn reading_begins_where_it_is_told_to() {
        let folder = Folder::new("start");
        folder.write(4, 0..6, "");
        let wanted = Wanted { start: Some(Timestamp::new(4, 0)), reason: None };
        let mut late = Reader { wanted, ..folder.reader(Place::default()) };
        let chunk = late.read().unwrap();
        assert_eq!((numbers(&chunk), chunk.skipped), (expected(4..6), 4));
        // A segment that has gone is passed over, and numbers that begin anew are noticed.
        assert_eq!(numbers(&folder.reader(Place { segment: 2, offset: 99 }).read().unwrap()), expected(0..6));
        assert_eq!(numbers(&folder.reader(Place { segment: 7, offset: 99 }).read().unwrap()), expected(0..6));
    }

    #[test]
    fn the_position_is_kept_and_what_is_behind_it_is_removed() {
        let folder = Folder::new("position");
        for segment in 1..4 {
            folder.write(segment, 0..1, "");
        }
        let sincedb = folder.0.join("state/sincedb");
        let position = Position::new(Place::default(), Some(sincedb.clone()), Some(folder.0.to_path_buf()));
        let chunks = [1, 2, 3].map(|segment| position.state().window.open(Place { segment, offset: 5 }));
        position.settled(chunks[1]);
        position.save().unwrap();
        assert_eq!(read_place(&sincedb).unwrap(), Place::default());
        position.settled(chunks[0]);
        position.save().unwrap();
        assert_eq!(read_place(&sincedb).unwrap(), Place { segment: 2, offset: 5 });
        let left: Vec<u64> = segments::list(&folder.0).unwrap().iter().map(|segment| segment.number).collect();
        assert_eq!(left, [2, 3]);
        position.settled(chunks[2]);
        drop(position);
        assert_eq!(read_place(&sincedb).unwrap(), Place { segment: 3, offset: 5 });
    }
}
