//! Reads files: follows those that grow, or reads complete ones once. A line is an event.
//!
//! Up to where each file is safe is kept in the sincedb, in Logstash's format, and moves only when an output has the lines. A file is told by its
//! inode: one that is renamed is read on, and the new one under its old name is read from its start; one that is truncated begins anew.
//!
//! The fields tell where an event comes from: `[log][file][path]` and `[host][name]`, without ECS `path` and `host`; in either mode
//! `[@metadata][path]` and `[@metadata][host]`. A field that the event brought along is kept.
//!
//! ## Options
//!
//! - `path` (list of globs, required): the files, absolute. `*`, `?` and `[a-z]` match within a name, `**` any number of folders, `{a,b}` either.
//! - `exclude` (list of globs): names, without folders, that are left out.
//! - `mode` (`tail` or `read`, default `tail`): files grow, or are complete.
//! - `start_position` (`beginning` or `end`, default `end`): where to begin, in tail mode, in files that are there at the start and not in the sincedb.
//!   Files that appear later are read from their beginning.
//! - `codec` (default `plain`), `delimiter` (text, default a line feed): each line goes to the codec by itself.
//! - `max_line_bytes` (size, default `1 MiB`): a longer line is cut into several.
//! - `sincedb_path` (file, default `plugins/inputs/file/.sincedb_…` in `path.data`): `/dev/null` keeps nothing.
//! - `sincedb_write_interval` (default 15 seconds), `sincedb_clean_after` (default 2 weeks; a number counts days): a position that has not moved
//!   for so long is forgotten.
//! - `stat_interval` (default 1 second): how often files are looked at. `discover_interval` (number, default 15): new ones are looked for every so many
//!   of them.
//! - `close_older` (default 1 hour): a silent file is closed, and opened again when it grows. `ignore_older` (default none): a file that
//!   was changed last so long before it was found is not read until it changes.
//! - `max_open_files` (number, default 4095).
//! - `file_chunk_size` (bytes, default 32768), `file_chunk_count` (number, default no limit): what is read in one go, and how many of these before it
//!   is the next file's turn.
//! - `file_sort_by` (`last_modified` or `path`), `file_sort_direction` (`asc` or `desc`): whose turn it is first.
//! - `ecs_compatibility` (`disabled`, `v1` or `v8`, default as the pipeline's).
//!
//! In read mode:
//!
//! - `file_completed_action` (`delete`, `log` or `log_and_delete`, default `delete`), `file_completed_log_path` (file): what is done with a file when
//!   all its lines are safe.
//! - `exit_after_read` (default `false`): the input ends when all files are read and safe.
//! - `check_archive_validity` (default `false`): a compressed file, `.gz` or `.gzip`, is read through before it is used; a damaged one is left alone.
//!
//! Times are seconds, or texts such as `250 ms` and `1 hour`.
//!
//! ## Example
//!
//! ```text
//! input { file { path => ["/var/log/*.log", "/srv/**/app.log"] start_position => "beginning" } }
//! ```
//!
//! ## On failure
//!
//! A file that can't be read is left out and said; the others go on. No line that stays in its file is lost, whatever stops elkhound. After a stop
//! in good order no line comes twice; after a kill or a power cut, those come twice that were acknowledged after the sincedb was written last
//! (`sincedb_write_interval`), and of a compressed file all. What was truncated or deleted before it was read is lost, as is the last line of a
//! file that has no end of line when it is truncated.
//!
//! ## Differences from Logstash
//!
//! The position moves when an output has the lines, not when they are read; a completed file is deleted then, too. The position of a deleted file is
//! forgotten, so that another file with its inode is read from its start. A renamed file that no glob matches is read on until it is
//! silent for `close_older`. `max_line_bytes` is elkhound's own. A compressed file is cut at `delimiter`, too.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use elkhound_config::options::{OptionKind, OptionSpec, Options as Cursor};
use elkhound_pipeline::codec::{self, Codec, Usage};
use elkhound_pipeline::flow::queue::Queue;
use md5::{Digest, Md5};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Input, Kind, Running, World, option};
use crate::claim;

mod completed;
mod discovery;
mod duration;
mod fields;
mod ledger;
mod reader;
mod sincedb;
mod split;
mod watched;

use completed::Completed;
use discovery::Sorting;
use fields::Names;
use reader::{Mode, Reader, Settings};
use sincedb::Sincedb;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "file",
    options: &[
        option(
            "check_archive_validity",
            OptionKind::Boolean,
            "false",
            "read a compressed file through before it is used",
        ),
        option("close_older", OptionKind::String, "1 hour", "how long a silent file is held open"),
        option("codec", OptionKind::Codec, "plain", "how a line becomes events"),
        option("delimiter", OptionKind::String, "\\n", "what ends a line"),
        option("discover_interval", OptionKind::Number, "15", "how many stat_intervals until new files are looked for"),
        option("ecs_compatibility", super::ECS_MODES, "", "default as the pipeline's"),
        option("exclude", OptionKind::Array, "[]", "globs of names that are left out"),
        option("exit_after_read", OptionKind::Boolean, "false", "in read mode, end when all is read"),
        option("file_chunk_count", OptionKind::Number, "", "blocks until it is the next file's turn"),
        option("file_chunk_size", OptionKind::Number, "32768", "bytes that are read in one go"),
        option(
            "file_completed_action",
            OptionKind::OneOf(&["delete", "log", "log_and_delete"]),
            "delete",
            "in read mode, what is done with a file that is safe",
        ),
        option("file_completed_log_path", OptionKind::String, "", "the file that completed ones are logged to"),
        option(
            "file_sort_by",
            OptionKind::OneOf(&["last_modified", "path"]),
            "last_modified",
            "by what files are sorted",
        ),
        option("file_sort_direction", OptionKind::OneOf(&["asc", "desc"]), "asc", "which comes first"),
        option("ignore_older", OptionKind::String, "", "how old a file may be to be read"),
        option("max_line_bytes", OptionKind::Bytes, "1 MiB", "the longest line"),
        option("max_open_files", OptionKind::Number, "4095", "the most files that are open at a time"),
        option("mode", OptionKind::OneOf(&["tail", "read"]), "tail", "whether files grow or are complete"),
        OptionSpec { name: "path", kind: OptionKind::Array, default: "", required: true, help: "globs of the files" },
        option("sincedb_clean_after", OptionKind::String, "2 weeks", "how long a position is kept that does not move"),
        option("sincedb_path", OptionKind::String, "", "where positions are kept"),
        option("sincedb_write_interval", OptionKind::String, "15 seconds", "how often positions are written"),
        option("start_position", OptionKind::OneOf(&["beginning", "end"]), "end", "where to begin in unknown files"),
        option("stat_interval", OptionKind::String, "1 second", "how often files are looked at"),
    ],
    docs: elkhound_pipeline::docs::head(include_str!("file.rs")),
    build,
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

struct File {
    settings: Settings,
    codec: Arc<dyn Codec>,
    names: Names,
    sincedb: PathBuf,
    keep: Duration,
    save: Duration,
    /// Which loading of the pipelines it belongs to.
    round: u64,
}

fn build(options: &mut Cursor<'_>, world: &World<'_>) -> Option<Box<dyn Input>> {
    let settings = settings(options);
    let sincedb = sincedb_path(options, world);
    let keep = duration(options, "sincedb_clean_after", DAY, 14 * DAY);
    let save = duration(options, "sincedb_write_interval", SECOND, 15 * SECOND).max(Duration::from_millis(10));
    let codec = codec::read(options, "plain", Usage::Messages, world.setup);
    let names = Names::new(world.setup.ecs_of(options), world.host);
    if options.has_failed() {
        return None;
    }
    Some(Box::new(File { settings, codec: codec?, names, sincedb, keep, save, round: world.round }))
}

/// What is wrong is reported, and stands in the settings as its default.
fn settings(options: &mut Cursor<'_>) -> Settings {
    let mode = if options.text_or("mode", "tail") == "read" { Mode::Read } else { Mode::Tail };
    let exit = options.boolean("exit_after_read", false);
    if exit && mode == Mode::Tail {
        options.fail(
            "exit_after_read",
            "files that grow are never read to their end",
            "add `mode => read`, or leave it out",
        );
    }
    let look = duration(options, "stat_interval", SECOND, SECOND).max(Duration::from_millis(1));
    let discover = positive(options, "discover_interval", 15);
    let longest = options.bytes("max_line_bytes", 1 << 20);
    if !(1..=64 << 20).contains(&longest) {
        let message = format!("max_line_bytes can't be {longest}");
        options.fail("max_line_bytes", &message, "use a size between 1 and 64 MiB");
    }
    let block = positive(options, "file_chunk_size", 32_768);
    if block > 64 << 20 {
        options.fail("file_chunk_size", &format!("file_chunk_size can't be {block}"), "use a number up to 67108864");
    }
    let delimiter = options.text_or("delimiter", "\n");
    if delimiter.is_empty() {
        options.fail("delimiter", "a delimiter has at least one character", "leave it out for lines");
    }
    let sorting = Sorting {
        by_path: options.text_or("file_sort_by", "last_modified") == "path",
        descending: options.text_or("file_sort_direction", "asc") == "desc",
    };
    Settings {
        paths: paths(options),
        exclude: options.texts("exclude"),
        mode,
        from_end: options.text_or("start_position", "end") == "end",
        look,
        discover: look.saturating_mul(u32::try_from(discover).unwrap_or(u32::MAX)),
        close_older: duration(options, "close_older", SECOND, 3600 * SECOND),
        ignore_older: options.was_set("ignore_older").then(|| duration(options, "ignore_older", SECOND, Duration::MAX)),
        delimiter: delimiter.into_bytes(),
        longest: longest as usize,
        most_open: positive(options, "max_open_files", 4095) as usize,
        block: block as usize,
        blocks: positive(options, "file_chunk_count", i64::MAX),
        sorting,
        exit,
        check_archives: options.boolean("check_archive_validity", false),
        completed: completed(options, mode),
    }
}

fn paths(options: &mut Cursor<'_>) -> Vec<String> {
    let paths = options.list("path");
    for path in paths.iter().filter(|path| !path.text().starts_with('/')) {
        let message = format!("`{}` is relative to a folder that nobody knows", path.text());
        options.fail_at(path.span, &message, "write an absolute path");
    }
    paths.iter().map(elkhound_config::ast::Value::text).collect()
}

fn completed(options: &mut Cursor<'_>, mode: Mode) -> Completed {
    let action = options.text_or("file_completed_action", "delete");
    let log = options.text("file_completed_log_path").map(PathBuf::from);
    if mode == Mode::Read && action != "delete" && log.is_none() {
        let message = format!("`{action}` needs a file to log to");
        options.fail("file_completed_action", &message, "add `file_completed_log_path`");
    }
    Completed { log: log.filter(|_| action != "delete"), delete: action != "log" }
}

fn duration(options: &mut Cursor<'_>, name: &str, unit: Duration, default: Duration) -> Duration {
    let Some(text) = options.text(name) else { return default };
    duration::parse(&text, unit).unwrap_or_else(|| {
        options.fail(name, &format!("`{text}` is no duration"), "write a number, or as in \"250 ms\" or \"1 hour\"");
        default
    })
}

fn positive(options: &mut Cursor<'_>, name: &str, default: i64) -> u64 {
    let number = options.integer(name, default);
    if number < 1 {
        options.fail(name, &format!("{name} can't be {number}"), "use 1 or more");
    }
    number.max(1).unsigned_abs()
}

/// Logstash's own place and name, so that whoever gives elkhound Logstash's `path.data` goes on where Logstash was.
fn sincedb_path(options: &mut Cursor<'_>, world: &World<'_>) -> PathBuf {
    let Some(path) = options.text("sincedb_path").map(PathBuf::from) else {
        let hash = Md5::digest(options.texts("path").join(",").as_bytes());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        return world.data.join("plugins/inputs/file").join(format!(".sincedb_{hash}"));
    };
    if path.is_dir() {
        let message = format!("{} is a folder", path.display());
        options.fail("sincedb_path", &message, "name a file in it");
    }
    path
}

impl Input for File {
    fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let Self { settings, codec, names, sincedb: path, keep, save: every, round } = *self;
            let Some(claim) = claim::take(&path, round, &stop).await else { return Ok(()) };
            let opened =
                spawn_blocking(move || open(&path, keep)).await.context("the sincedb could not be opened")??;
            let sincedb = Arc::new(opened.claimed(claim));
            // Positions move until the last receipt is back, long after the input has stopped: the task ends when nobody can move them.
            tokio::spawn(save(Arc::downgrade(&sincedb), every));
            let reader = Reader { settings, codec, names, sincedb, queue, stop };
            let runtime = Handle::current();
            spawn_blocking(move || reader.run(&runtime)).await.context("the reader of files has panicked")
        })
    }

    fn reads_again(&self) -> bool {
        true
    }
}

fn open(path: &Path, keep: Duration) -> anyhow::Result<Sincedb> {
    let remedy =
        || format!("the sincedb {} can't be kept; make sincedb_path a file that can be written", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(remedy)?;
    }
    let (sincedb, damaged) = Sincedb::open(path, keep).with_context(remedy)?;
    if damaged > 0 {
        let path = path.display().to_string();
        warn!(path, damaged, "some records of the sincedb were damaged; their files are read as if they were new");
    }
    Ok(sincedb)
}

async fn save(sincedb: Weak<Sincedb>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(sincedb) = sincedb.upgrade() else { return };
        if let Ok(Err(error)) = spawn_blocking(move || sincedb.save()).await {
            warn!(reason = %error, "the sincedb can't be written; after a crash lines are read again from where it was written last");
        }
    }
}
