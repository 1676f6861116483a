//! Filters: the trait they implement, the table that lists them, and what surrounds every one of them.
//!
//! A filter is one file with five parts in the same order (documentation, [`Kind`], options, the type and its [`Filter`] impl,
//! tests) and one row in [`KINDS`]. It is compiled once and shared by all workers, so it is immutable; what it needs for
//! its work on one event (regex scratch, a text buffer) is the worker's [`Context`].
//!
//! Trouble with one event is a tag on that event, never a panic and never a stop.

use std::path::PathBuf;
use std::time::Duration;

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use crate::event::Event;
use crate::flow::meter::Sampler;
use crate::flow::turn::Turn;
use crate::random::Random;
use crate::regex::Scratch;
use crate::setup::Setup;
use crate::time::{LastDate, Timestamp};

mod cidr;
mod clone;
pub mod common;
pub(crate) mod csv;
mod date;
mod de_dot;
mod dissect;
mod drop;
#[cfg(test)]
mod examples;
mod fingerprint;
mod geoip;
pub(crate) mod grok;
#[cfg(test)]
mod heeded;
mod json;
mod json_encode;
mod kv;
mod mutate;
mod prune;
pub(crate) mod reference;
mod split;
mod syslog_pri;
#[cfg(test)]
pub(crate) mod testing;
mod translate;
mod truncate;
mod urldecode;
mod useragent;
mod uuid;

/// What a filter did with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work: the common options (`add_field`, `add_tag`, `remove_field`, `remove_tag`) follow.
    Matched,
    /// It left the event as it was, or tagged a failure: the common options are skipped.
    Passed,
    /// Something that would have ended Logstash's worker. The event is tagged, counted, logged with its place, and goes on.
    Failed(String),
}

/// A compiled filter.
pub trait Filter: Send + Sync {
    /// Works on one event. New events (as `split` and `clone` make them) are handed to [`Context::emit`].
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome;

    /// The tags of an event on which the common options fail, for filters whose own error handling covers them, too. For all
    /// others such an error would end Logstash's worker.
    fn rescue_tags(&self) -> Option<&[String]> {
        None
    }

    /// The file that the filter wants read again from time to time. The agent does that, since the pipeline opens no file.
    fn watched(&self) -> Option<&Watched> {
        None
    }

    /// Takes what the watched file holds now.
    ///
    /// # Errors
    /// Why that is of no use; the filter then goes on with what it had.
    fn refresh(&self, bytes: &[u8]) -> Result<(), String> {
        let _ = bytes;
        Ok(())
    }

    /// Called every five seconds and, with `last` set, at the end of the pipeline; filters that hold events back emit them.
    fn flush(&self, last: bool, cx: &mut Context) {
        let _ = (last, cx);
    }
}

/// A file that a filter reads again when it has changed.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Which one.
    pub path: PathBuf,
    /// How often to look whether it has.
    pub every: Duration,
}

impl Watched {
    /// A look at `path` every so many seconds; nothing when that is not above 0, which asks for none.
    fn every(path: String, seconds: i64) -> Option<Self> {
        let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
        Some(Self { path: path.into(), every: Duration::from_secs(seconds) })
    }
}

/// A row of the table: how a filter is called, what it takes, and how it is made.
pub struct Kind {
    /// The name in pipeline files; also the file's name.
    pub name: &'static str,
    /// Its options beside the common ones, sorted by name.
    pub options: &'static [OptionSpec],
    /// Its documentation: the `//!` lines at the head of its file.
    pub docs: &'static str,
    /// Reads the options and compiles the filter; what is wrong is reported through the cursor, and then nothing is returned.
    pub build: fn(&mut Options<'_>, &Setup<'_>) -> Option<Box<dyn Filter>>,
}

/// All filters, sorted by name.
pub const KINDS: &[&Kind] = &[
    &cidr::KIND,
    &clone::KIND,
    &csv::KIND,
    &date::KIND,
    &de_dot::KIND,
    &dissect::KIND,
    &drop::KIND,
    &fingerprint::KIND,
    &geoip::KIND,
    &grok::KIND,
    &json::KIND,
    &json_encode::KIND,
    &kv::KIND,
    &mutate::KIND,
    &prune::KIND,
    &split::KIND,
    &syslog_pri::KIND,
    &translate::KIND,
    &truncate::KIND,
    &urldecode::KIND,
    &useragent::KIND,
    &uuid::KIND,
];

/// A row of a filter's table for an option that may be left out.
const fn optional(name: &'static str, kind: OptionKind, default: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, help }
}

/// Reads a file that an option names. One that can't be read keeps the pipeline from starting, as in Logstash, whose `-t` looks for such files, too.
fn read_named_file(
    option: &str,
    path: &str,
    remedy: &str,
    options: &mut Options<'_>,
    setup: &Setup<'_>,
) -> Option<Vec<u8>> {
    match (setup.read_file)(std::path::Path::new(path)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            options.fail(option, &format!("`{path}` can't be read: {error}"), remedy);
            None
        }
    }
}

/// The filter called `name`.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.binary_search_by(|kind| kind.name.cmp(name)).ok().map(|at| KINDS[at])
}

/// What a worker lends to the filters: memory to work in, the time, and a place for new events.
#[derive(Default)]
pub struct Context {
    /// For [`crate::regex`]; its groups hold the last captures.
    pub scratch: Scratch,
    /// A text buffer, empty at the start of each use by convention of the user.
    pub text: String,
    /// Random numbers and UUIDs.
    pub random: Random,
    /// The time at which the current batch was taken up.
    pub now: Timestamp,
    /// The time that the `date` filter read last.
    pub(crate) last_date: LastDate,
    /// What the filters of the plan did in the current batch, by their number.
    pub counts: Vec<Count>,
    /// How long the filters may work on the current batch.
    pub(crate) turn: Turn,
    /// A pattern of a condition was given up; [`crate::plan::Plan`] tells, and forgets it.
    pub given_up: bool,
    /// Picks the events whose way through the filters is timed.
    pub(crate) filtered: Sampler,
    /// The event at hand is one of them.
    pub(crate) timed: bool,
    /// Picks the events whose way to the outputs is timed.
    pub(crate) written: Sampler,
    made: Vec<Made>,
}

/// One filter's share of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Events that went in.
    pub entered: u64,
    /// Events that came out.
    pub left: u64,
    /// Events that were timed.
    pub sampled: u64,
    /// How long these took.
    pub sampled_nanos: u64,
}

/// An event that a filter has made.
#[derive(Debug)]
pub struct Made {
    /// The event.
    pub event: Event,
    /// Whether the common options are applied to it.
    pub outcome: Outcome,
}

impl Context {
    /// Adds a new event behind the one that is being filtered.
    pub fn emit(&mut self, event: Event, outcome: Outcome) {
        self.made.push(Made { event, outcome });
    }

    /// True when filters have made events that nobody has taken yet.
    #[inline]
    pub fn has_made(&self) -> bool {
        !self.made.is_empty()
    }

    /// Takes the new events.
    pub fn take_made(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.made)
    }
}
