//! Writes events to files, whose names may depend on the event.
//!
//! Events are gathered for up to `flush_interval` seconds and then written, each file in one go. An event is acknowledged when it is written; whether
//! the system has put it on the disk by then is the system's affair, as in Logstash.
//!
//! ## Options
//!
//! - `path` (text with `%{}`, required): the file, `/var/log/shop/%{[host][name]}/%{+YYYY-MM-dd}.log`. Folders are made. The first folder must be a
//!   fixed one: an event writes to no file outside of the folders that stand before the first `%{}`.
//! - `codec` (default `json_lines`): how an event is written.
//! - `write_behavior` (`append` or `overwrite`, default `append`): with `overwrite` a file holds the latest event only.
//! - `flush_interval` (seconds, default 2): how long written events may wait to be written together; 0 writes every batch at once.
//! - `gzip` (default `false`): compress. What is written in one go is a member of its own, so that the file can be read at any moment.
//! - `create_if_deleted` (default `true`): make files that are not there. With `false`, events for such a file go to `filename_failure`.
//! - `filename_failure` (text, default `_filepath_failures`): the file for events that have no other, in the fixed folder of `path`.
//! - `dir_mode`, `file_mode` (numbers, default -1, which leaves it to the system): the rights of folders and files that are made, such as `0750`.
//! - `stale_cleanup_interval` (seconds, default 10): files that were not written to for so long are closed.
//!
//! ## Example
//!
//! ```text
//! output {
//!   file {
//!     path => "/var/log/elkhound/%{[host][name]}/%{+YYYY-MM-dd}.log"
//!     codec => line { format => "%{message}" }
//!   }
//! }
//! ```
//!
//! ## On failure
//!
//! A file that can't be written (a full disk, no permission) is tried again for as long as it takes, while the other files are written; events wait,
//! and the pipeline with them. What got into the file of a write that failed is taken back before, so no line is broken. After a kill the last
//! events may be written a second time.
//!
//! An event whose path leads out of the fixed folder, or can't be a file (its name is too long, there is a folder of that name), goes to
//! `filename_failure`, and the log says so.
//!
//! ## Differences from Logstash
//!
//! Events of a path that can't be a file end Logstash's pipeline. A file that was moved away and made anew, as by logrotate, is noticed before each
//! write; Logstash goes on with the old one. `dir_mode` and `file_mode` are exactly what is written, whatever the umask.

use std::path::{Path, PathBuf};
use std::time::Duration;

use elkhound_config::options::{OptionKind, Options as Cursor};
use elkhound_pipeline::codec::{self, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::template::Template;
use elkhound_pipeline::text::Text;
use flume::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::batches::{Batch, Batches, Receipts};
use super::retry::{Retry, seconds};
use super::{Kind, Output, World, option, required};
use crate::backoff::Backoff;
use crate::limit::Limit;

mod disk;
mod files;

use files::{Behavior, Files, Rules, Stray};

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "file",
    options: &[
        option("codec", OptionKind::Codec, "json_lines", "how an event is written"),
        option("create_if_deleted", OptionKind::Boolean, "true", "make files that are not there"),
        option("dir_mode", OptionKind::Number, "-1", "rights of folders that are made, the system's by default"),
        option("file_mode", OptionKind::Number, "-1", "rights of files that are made, the system's by default"),
        option("filename_failure", OptionKind::String, "_filepath_failures", "the file for events that have no other"),
        option("flush_interval", OptionKind::Number, "2", "seconds for which events may wait to be written together"),
        option("gzip", OptionKind::Boolean, "false", "compress"),
        required("path", OptionKind::String, "the file; may have %{} in it"),
        option("stale_cleanup_interval", OptionKind::Number, "10", "seconds after which an unused file is closed"),
        option(
            "write_behavior",
            OptionKind::OneOf(&["overwrite", "append"]),
            "append",
            "whether a file holds all events or the latest",
        ),
    ],
    docs: elkhound_pipeline::docs::head(include_str!("file.rs")),
    build,
};

/// What is gathered at the most before it is written, in bytes and in events.
const GATHERED: (usize, usize) = (256 << 10, 2_000);

/// The pauses between tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

fn build(options: &mut Cursor<'_>, world: &World<'_>) -> Option<Box<dyn Output>> {
    let codec = codec::read(options, "json_lines", Usage::Write, world.setup);
    let rules = rules(options);
    let interval = seconds(options.number("flush_interval", 2.0));
    let written = options.text("path")?;
    let path = Template::parse(&absolute(&written).to_string_lossy());
    if options.has_failed() {
        return None;
    }
    // A path that can't be rendered is none, and its events go where those go that have none.
    let about = move |event: &Event| path.render(event).unwrap_or_default();
    let retry = Retry::new("file", Backoff::new(PAUSES.0, PAUSES.1), world.give_up.clone());
    let task = Task { files: Files::new(rules?), retry, interval, receipts: Receipts::default(), events: 0, due: None };
    Some(Box::new(Batches::new(codec?, about, world, |batches| task.run(batches))))
}

fn rules(options: &mut Cursor<'_>) -> Option<Rules> {
    let (folder_mode, file_mode) = (mode(options, "dir_mode"), mode(options, "file_mode"));
    let written = options.text("path")?;
    let path = absolute(&written);
    let Some(root) = files::root(&path) else {
        let message = format!("the path `{written}` begins with a reference, so that an event could write anywhere");
        options.fail(
            "path",
            &message,
            "begin it with a folder without %{}, as in /var/log/elkhound/%{[host][name]}.log",
        );
        return None;
    };
    let stale = options.number("stale_cleanup_interval", 10.0);
    let overwrite = options.text_or("write_behavior", "append") == "overwrite";
    Some(Rules {
        failure: root.join(options.text_or("filename_failure", "_filepath_failures")),
        root: files::has_reference(&path).then_some(root),
        behavior: if overwrite { Behavior::Overwrite } else { Behavior::Append },
        gzip: options.boolean("gzip", false),
        create: options.boolean("create_if_deleted", true),
        folder_mode,
        file_mode,
        stale: seconds(stale),
    })
}

/// The path as seen from the root, so that it means the same for as long as elkhound runs.
fn absolute(path: &str) -> PathBuf {
    // Without a working folder a relative path is what it was, and its files can't be made either.
    files::normal(&std::path::absolute(path).unwrap_or_else(|_| Path::new(path).to_owned()))
}

fn mode(options: &mut Cursor<'_>, name: &str) -> Option<u32> {
    let mode = options.integer(name, -1);
    if !(-1..=0o7777).contains(&mode) {
        let message = format!("{name} can't be {mode}");
        options.fail(name, &message, "use an octal number that begins with 0, as 0640, or -1 for the system's");
    }
    u32::try_from(mode).ok()
}

/// What writes: gathers batches until it is time to write them, and acknowledges them.
struct Task {
    files: Files,
    retry: Retry,
    interval: Duration,
    /// Of the events that are gathered.
    receipts: Receipts,
    /// How many those are.
    events: usize,
    /// When they are to be written.
    due: Option<Instant>,
}

impl Task {
    async fn run(mut self, batches: Receiver<Batch<Text>>) {
        loop {
            let next = timeout_at(self.next_due(), batches.recv_async()).await;
            let closed = matches!(next, Ok(Err(_)));
            if let Ok(Ok(batch)) = next {
                self.gather(batch);
            }
            if (closed || self.is_due()) && !self.flush().await {
                return;
            }
            if closed {
                return;
            }
            self.files.close_unused();
        }
    }

    fn next_due(&self) -> Instant {
        let idle = Instant::now() + self.files.next_unused().unwrap_or(Duration::from_secs(3600));
        self.due.map_or(idle, |due| due.min(idle))
    }

    fn gather(&mut self, batch: Batch<Text>) {
        self.due.get_or_insert_with(|| Instant::now() + self.interval);
        self.events += batch.events.len();
        self.files.add(&batch);
        self.receipts.append(batch.receipts);
    }

    fn is_due(&self) -> bool {
        let full = self.files.gathered() >= GATHERED.0 || self.events >= GATHERED.1;
        full || self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Writes what is gathered, and tries until it is written; false when it is time to give up.
    async fn flush(&mut self) -> bool {
        let give_up = self.retry.give_up();
        loop {
            let mut files = std::mem::replace(&mut self.files, Files::new(Rules::default()));
            let writing = spawn_blocking(move || {
                let written = files.flush();
                (files, written)
            });
            let written = tokio::select! {
                done = writing => done,
                () = give_up.cancelled() => return false,
            };
            // A panic in there has been told already; nothing is acknowledged.
            let Ok((files, written)) = written else { return false };
            self.files = files;
            report(self.files.take_stray());
            match written {
                Ok(()) => break,
                Err(trouble) if !self.retry.failed(&trouble).await => return false,
                Err(_) => {}
            }
        }
        self.retry.succeeded();
        self.receipts.acknowledge();
        (self.events, self.due) = (0, None);
        true
    }
}

/// Says that events went to the file for failures; of many the first.
fn report(stray: Option<Stray>) {
    static LIMIT: Limit = Limit::new();
    let Some(Stray { path, reason, failure }) = stray else { return };
    if let Some(suppressed) = LIMIT.pass() {
        let failure = failure.display().to_string();
        warn!(suppressed, path, reason, failure, "events go to the file for failures; correct the fields in `path`");
    }
}
