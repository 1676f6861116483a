//! Codecs: the traits they implement, the table that lists them, and how an input or output reads its option `codec`.
//!
//! A codec is one file with five parts in the same order (documentation, [`Kind`], options, the type and its [`Codec`] impl,
//! tests) and one row in [`KINDS`]. It is compiled once and shared; what is kept between two reads of one stream (the beginning of a line, the
//! lines of a stack trace) is that stream's [`Decoder`], one for each connection, file or other source. What a decoder keeps is
//! bounded, whatever the other side sends.
//!
//! Bytes that can't be decoded become an event with a tag, never an error and never nothing.

use std::sync::Arc;
use std::time::Duration;

use elkhound_config::ast::Plugin;
use elkhound_config::options::{OptionKind, OptionSpec, Options};

use crate::event::Event;
use crate::plan::unknown;
use crate::setup::Setup;
use crate::time::Timestamp;

mod charset;
mod csv;
mod dots;
mod es_bulk;
mod json;
mod json_lines;
mod line;
mod lines;
mod message;
mod msgpack;
mod multiline;
mod objects;
mod plain;
mod rubydebug;

/// A compiled codec.
pub trait Codec: Send + Sync {
    /// What decodes one stream.
    fn decoder(&self) -> Box<dyn Decoder>;

    /// Appends the event as bytes, with whatever ends it.
    fn encode(&self, event: &Event, out: &mut Vec<u8>);
}

/// Makes events of the bytes of one stream. The events have `@timestamp` and `@version`; what the input knows (its host, its common
/// options) the input adds.
pub trait Decoder: Send {
    /// Takes the next bytes as they come, and appends the events that are complete by then. With [`Usage::Messages`] the bytes are
    /// one whole line or datagram.
    fn decode(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Event>);

    /// Appends what is kept back: at the end of the stream, and when [`Decoder::auto_flush`] says so.
    fn flush(&mut self, now: Timestamp, out: &mut Vec<Event>);

    /// How long after the last bytes [`Decoder::flush`] is to be called though the stream goes on; nothing when nothing is kept back
    /// or it may stay there. Ask again after each [`Decoder::decode`].
    fn auto_flush(&self) -> Option<Duration> {
        None
    }

    /// Bytes that are kept back. An input whose source can be read again must not take them for delivered.
    fn pending(&self) -> usize {
        0
    }
}

/// What a codec is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Reads a stream whose reads say nothing about where an event ends (tcp, stdin): `plain` is `line` there, and `json` is
    /// `json_lines`.
    Stream,
    /// Reads whole messages: a line, a datagram.
    Messages,
    /// Writes for programs.
    Write,
    /// Writes for a person: in colours.
    Terminal,
}

impl Usage {
    fn reads(self) -> bool {
        matches!(self, Self::Stream | Self::Messages)
    }
}

/// A row of the table: how a codec is called, what it takes, what it can do, and how it is made.
pub struct Kind {
    /// The name in pipeline files; also the file's name.
    pub name: &'static str,
    /// Its options beside the common ones, sorted by name.
    pub options: &'static [OptionSpec],
    /// Whether inputs can use it.
    pub reads: bool,
    /// Whether outputs can use it.
    pub writes: bool,
    /// Its documentation: the `//!` lines at the head of its file.
    pub docs: &'static str,
    /// Reads the options and makes the codec; what is wrong is reported through the cursor, and then nothing is returned.
    pub build: fn(&mut Options<'_>, &Setup<'_>, Usage) -> Option<Arc<dyn Codec>>,
}

/// All codecs, sorted by name.
pub const KINDS: &[&Kind] = &[
    &csv::KIND,
    &dots::KIND,
    &es_bulk::KIND,
    &json::KIND,
    &json_lines::KIND,
    &line::KIND,
    &msgpack::KIND,
    &multiline::KIND,
    &plain::KIND,
    &rubydebug::KIND,
];

/// The options that every codec has.
pub const OPTIONS: &[OptionSpec] = &[
    optional("enable_metric", OptionKind::Boolean, "true", "accepted"),
    optional("id", OptionKind::String, "", "the codec's name in the monitoring API"),
];

/// The codec called `name`.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.binary_search_by(|kind| kind.name.cmp(name)).ok().map(|at| KINDS[at])
}

/// Makes the codec that the option `codec` of an input or output names, or `default`. Mistakes are reported at the codec's place.
pub fn read(options: &mut Options<'_>, default: &str, usage: Usage, setup: &Setup<'_>) -> Option<Arc<dyn Codec>> {
    let plugin = match options.codec("codec") {
        Some(plugin) => plugin.clone(),
        None if options.has_failed() && options.span("codec") != options.plugin().name_span => return None,
        None => {
            let place = options.plugin().name_span;
            Plugin { name: default.into(), name_span: place, settings: Vec::new(), span: place }
        }
    };
    let kind = usable(options, &plugin, usage)?;
    options.nested(&plugin, &[kind.options, OPTIONS], |options| (kind.build)(options, setup, usage))
}

/// The row of a codec that can do what is wanted of it.
fn usable(options: &mut Options<'_>, plugin: &Plugin, usage: Usage) -> Option<&'static Kind> {
    let fits = |kind: &&&Kind| if usage.reads() { kind.reads } else { kind.writes };
    let Some(kind) = find(&plugin.name) else {
        let known = KINDS.iter().filter(fits).map(|kind| kind.name);
        unknown("codec", plugin, known).into_iter().for_each(|mistake| options.report(mistake));
        return None;
    };
    if !fits(&&kind) {
        let can = if usage.reads() { "read" } else { "write" };
        let message = format!("{} can't {can} with the codec `{}`", options.plugin().name, plugin.name);
        let fitting: Vec<&str> = KINDS.iter().filter(fits).map(|kind| kind.name).collect();
        options.fail_at(plugin.span, &message, &format!("use one of {}", fitting.join(", ")));
        return None;
    }
    Some(match (usage, kind.name) {
        (Usage::Stream, "plain") => &line::OF_PLAIN,
        (Usage::Stream, "json") => &json_lines::OF_JSON,
        _ => kind,
    })
}

/// A row of a codec's table for an option that may be left out.
const fn optional(name: &'static str, kind: OptionKind, default: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, help }
}

/// `ecs_compatibility`, of the codecs that heed it.
const ECS: OptionSpec = optional(
    "ecs_compatibility",
    OptionKind::OneOf(&["disabled", "v1", "v8"]),
    "the pipeline's",
    "whether `[event][original]` is set",
);

/// The decoder of a codec that only writes, which [`read`] gives to no input.
struct Deaf;

impl Decoder for Deaf {
    fn decode(&mut self, _bytes: &[u8], _now: Timestamp, _out: &mut Vec<Event>) {}

    fn flush(&mut self, _now: Timestamp, _out: &mut Vec<Event>) {}
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::testing::mistakes;
    use super::*;

    #[test]
    fn the_table_is_sorted_and_documented() {
        assert!(KINDS.is_sorted_by(|a, b| a.name < b.name));
        for kind in KINDS {
            assert!(kind.options.is_sorted_by(|a, b| a.name < b.name), "{}", kind.name);
            assert!(kind.reads || kind.writes, "{}", kind.name);
            let docs = crate::docs::markdown(kind.docs);
            for option in kind.options {
                assert!(docs.contains(&format!("`{}`", option.name)), "{} does not explain {}", kind.name, option.name);
            }
            assert!(docs.contains("## Example") && docs.contains(&format!("codec => {}", kind.name)), "{}", kind.name);
        }
    }

    #[test]
    fn what_a_codec_can_t_do_is_said_at_its_place() {
        assert_eq!(
            mistakes("dots", Usage::Stream),
            [
                "test can't read with the codec `dots`: use one of csv, es_bulk, json, json_lines, line, msgpack, multiline, plain"
            ]
        );
        assert_eq!(mistakes("avro", Usage::Write)[0].split(" is ").next(), Some("Logstash's codec `avro`"),);
        assert_eq!(mistakes("lin", Usage::Stream), ["there is no codec called `lin`: did you mean `line`?"]);
    }

    #[test]
    fn options_of_a_codec_are_held_against_its_table() {
        assert_eq!(
            mistakes("line { delimeter => ';' }", Usage::Stream),
            ["line has no option `delimeter`: did you mean `delimiter`?"]
        );
        assert_eq!(mistakes("json { target => '[a' }", Usage::Messages).len(), 1);
        assert_eq!(mistakes("json { charset => 'UTF-8' target => '[a]' }", Usage::Stream), Vec::<String>::new());
    }
}
