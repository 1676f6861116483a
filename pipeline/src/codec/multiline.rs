//! Joins lines that belong together, as those of a stack trace, into one event. It only reads.
//!
//! A line that matches `pattern` (with `negate`, one that does not) belongs to the line before it or to the next one, as `what` says.
//! An event of several lines has a line feed between them and the tag `multiline`.
//!
//! ## Options
//!
//! - `pattern` (required): the expression; grok's patterns can be used in it.
//! - `what` (`previous` or `next`, required): which line a line that matches belongs to.
//! - `negate` (default false): lines that do not match are those that belong.
//! - `auto_flush_interval` (seconds): how long the last lines wait for more; without it, until a line comes that does not belong to them, or
//!   the end.
//! - `max_lines` (number, default 500), `max_bytes` (size, default `10 MiB`): an event that grows beyond is handed on as it is, with the tag
//!   `multiline_codec_max_lines_reached` or `multiline_codec_max_bytes_reached`.
//! - `multiline_tag` (default `multiline`): the tag of an event of several lines; an empty one is left out.
//! - `patterns_dir` (list of folders or files): files with patterns of your own, a name and an expression on each line.
//! - `charset` (default `UTF-8`), `delimiter` (default a line feed): as with `line`.
//! - `ecs_compatibility` (default: the pipeline's): unless `disabled`, `[event][original]` is the text, too.
//! - `streaming_input` (default false): what an input hands on in whole messages (`udp`) brings its own delimiters; without it the end of a
//!   message ends a line, even an empty one. Streams (`stdin`, `tcp`) are always read as such.
//!
//! ## Example
//!
//! ```text
//! input {
//!   tcp {
//!     port => 5000
//!     codec => multiline { pattern => "^%{TIMESTAMP_ISO8601} " negate => true what => "previous" auto_flush_interval => 2 }
//!   }
//! }
//! ```
//!
//! ## On failure
//!
//! An expression that needs more work on a line than a second's worth counts as not matching. A single line longer than `max_bytes` comes in
//! pieces with the tag `_linetoolong`.
//!
//! ## Differences from Logstash
//!
//! Each connection and each file has lines of its own, and a line that comes in two reads is one line: in Logstash only with
//! `streaming_input => true`.

use std::sync::Arc;
use std::time::Duration;

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::charset::{self, Charset};
use super::lines::{Block, Lines};
use super::{Codec, Decoder, Kind, Usage, line, message, optional};
use crate::event::Event;
use crate::filter::grok;
use crate::regex::{Budget, Regex, Scratch};
use crate::setup::Setup;
use crate::text::Text;
use crate::time::Timestamp;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "multiline",
    options: &[
        optional("auto_flush_interval", OptionKind::Number, "", "seconds that the last lines wait for more"),
        charset::OPTION,
        line::DELIMITER,
        super::ECS,
        optional("max_bytes", OptionKind::Bytes, "10 MiB", "the longest event"),
        optional("max_lines", OptionKind::Number, "500", "the most lines of an event"),
        optional("multiline_tag", OptionKind::String, "multiline", "the tag of an event of several lines"),
        optional("negate", OptionKind::Boolean, "false", "lines that don't match belong to others"),
        OptionSpec {
            name: "pattern",
            kind: OptionKind::String,
            default: "",
            required: true,
            help: "what a line that belongs to another one matches",
        },
        optional("patterns_dir", OptionKind::Array, "[]", "folders with pattern files, or such files"),
        optional("streaming_input", OptionKind::Boolean, "false", "whether messages have delimiters of their own"),
        OptionSpec {
            name: "what",
            kind: OptionKind::OneOf(&["previous", "next"]),
            default: "",
            required: true,
            help: "the line that a line belongs to: `previous` or `next`",
        },
    ],
    reads: true,
    writes: false,
    docs: crate::docs::head(include_str!("multiline.rs")),
    build,
};

/// What one match may cost.
const BUDGET: Budget = Budget::from_millis(1000);

/// An event is never longer, whatever `max_bytes` says: texts have 32-bit lengths.
const LONGEST: u64 = 1 << 30;

fn build(options: &mut Options<'_>, setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    let written = options.text("pattern")?;
    let pattern = grok::expression(&written, "pattern", options, setup)?;
    let charset = Charset::read(options)?;
    let seconds = options.was_set("auto_flush_interval").then(|| options.number("auto_flush_interval", 0.0));
    Some(Arc::new(Multiline(Arc::new(Settings {
        pattern,
        previous: options.text("what")? == "previous",
        negate: options.boolean("negate", false),
        max_lines: usize::try_from(options.integer("max_lines", 500)).unwrap_or(0),
        max_bytes: options.bytes("max_bytes", 10 << 20).clamp(1, LONGEST) as usize,
        tag: options.text_or("multiline_tag", "multiline"),
        charset,
        delimiter: options.text_or("delimiter", "\n"),
        original: setup.ecs_of(options).is_enabled(),
        auto_flush: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        ends: match usage {
            Usage::Messages if options.boolean("streaming_input", false) => Ends::Rest,
            Usage::Messages => Ends::Line,
            _ => Ends::Nothing,
        },
    }))))
}

struct Settings {
    pattern: Arc<Regex>,
    previous: bool,
    negate: bool,
    max_lines: usize,
    max_bytes: usize,
    tag: String,
    charset: Charset,
    delimiter: String,
    original: bool,
    auto_flush: Option<Duration>,
    ends: Ends,
}

/// What the end of a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// Nothing: the stream goes on.
    Nothing,
    /// The end of a line, as a delimiter would be.
    Line,
    /// The end of what has no delimiter behind it, if there is any.
    Rest,
}

struct Multiline(Arc<Settings>);

impl Codec for Multiline {
    fn decoder(&self) -> Box<dyn Decoder> {
        let settings = Arc::clone(&self.0);
        let lines = Lines::new(&settings.delimiter, settings.charset, settings.max_bytes);
        Box::new(MultilineDecoder { settings, lines, scratch: Scratch::default(), kept: Kept::default() })
    }

    fn encode(&self, _event: &Event, _out: &mut Vec<u8>) {}
}

/// Lines that wait for others that belong to them.
#[derive(Default)]
struct Kept {
    text: String,
    lines: usize,
    bytes: usize,
    cut: bool,
}

struct MultilineDecoder {
    settings: Arc<Settings>,
    lines: Lines,
    scratch: Scratch,
    kept: Kept,
}

impl Decoder for MultilineDecoder {
    fn decode(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Event>) {
        let block = self.lines.feed(bytes);
        self.take_all(block, now, out);
        let block = match self.settings.ends {
            Ends::Nothing => return,
            Ends::Line => self.lines.feed(&self.settings.charset.bytes(&self.settings.delimiter)),
            Ends::Rest => self.lines.rest(),
        };
        self.take_all(block, now, out);
    }

    fn flush(&mut self, now: Timestamp, out: &mut Vec<Event>) {
        let block = self.lines.rest();
        self.take_all(block, now, out);
        self.hand_on(now, out);
    }

    fn auto_flush(&self) -> Option<Duration> {
        self.settings.auto_flush.filter(|_| self.kept.lines > 0 || self.lines.pending() > 0)
    }

    fn pending(&self) -> usize {
        // A line that is kept is something even when it is empty.
        self.lines.pending() + self.kept.bytes + self.kept.lines
    }
}

impl MultilineDecoder {
    fn take_all(&mut self, block: Block, now: Timestamp, out: &mut Vec<Event>) {
        let charset = self.settings.charset;
        block.texts(charset, |text, cut| self.take(&text, cut, now, out));
    }

    fn take(&mut self, line: &Text, cut: bool, now: Timestamp, out: &mut Vec<Event>) {
        let settings = Arc::clone(&self.settings);
        let found = settings.pattern.is_match(line, &mut self.scratch, BUDGET).unwrap_or(false);
        let belongs = found != settings.negate;
        if settings.previous {
            if !belongs || self.is_full() {
                self.hand_on(now, out);
            }
            self.keep(line, cut);
        } else {
            self.keep(line, cut);
            if !belongs || self.is_full() {
                self.hand_on(now, out);
            }
        }
    }

    fn keep(&mut self, line: &str, cut: bool) {
        let kept = &mut self.kept;
        if kept.lines > 0 {
            kept.text.push('\n');
        }
        kept.text.push_str(line);
        kept.lines += 1;
        kept.bytes += line.len();
        kept.cut |= cut;
    }

    fn is_full(&self) -> bool {
        self.kept.lines > self.settings.max_lines || self.kept.bytes >= self.settings.max_bytes
    }

    fn hand_on(&mut self, now: Timestamp, out: &mut Vec<Event>) {
        if self.kept.lines == 0 {
            return;
        }
        let kept = std::mem::take(&mut self.kept);
        let mut event = message::event(kept.text.into(), self.settings.original, now);
        let tags = [
            (kept.lines > 1 && !self.settings.tag.is_empty(), self.settings.tag.as_str()),
            (kept.bytes >= self.settings.max_bytes, "multiline_codec_max_bytes_reached"),
            (kept.lines > self.settings.max_lines, "multiline_codec_max_lines_reached"),
            (kept.cut, message::CUT),
        ];
        tags.iter().filter(|(is_set, _)| *is_set).for_each(|(_, tag)| event.tag(tag));
        out.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{codec, decoded, made_with, mistakes, shown};

    const TRACE: &[u8] = b"one\n  at a\n  at b\ntwo\n";

    #[test]
    fn lines_belong_to_the_one_before() {
        let events = decoded("multiline { pattern => '^\\s' what => previous }", Usage::Stream, &[TRACE]);
        let expected = "{\"message\":\"one\\n  at a\\n  at b\",\"tags\":[\"multiline\"]}\n{\"message\":\"two\"}";
        assert_eq!(events, expected);
        let bytes: Vec<&[u8]> = TRACE.chunks(1).collect();
        assert_eq!(decoded("multiline { pattern => '^\\s' what => previous }", Usage::Stream, &bytes), expected);
        let lines: Vec<&[u8]> = TRACE[..TRACE.len() - 1].split(|byte| *byte == b'\n').collect();
        assert_eq!(decoded("multiline { pattern => '^\\s' what => previous }", Usage::Messages, &lines), expected);
    }

    #[test]
    fn lines_belong_to_the_next_one() {
        let written = "multiline { pattern => '\\\\$' what => next multiline_tag => '' }";
        let events = decoded(written, Usage::Stream, &[b"a\\\nb\\\nc\nd\n"]);
        assert_eq!(events, "{\"message\":\"a\\\\\\nb\\\\\\nc\"}\n{\"message\":\"d\"}");
    }

    #[test]
    fn patterns_of_grok_can_be_used_and_negated() {
        let written =
            "multiline { pattern => '^%{TIMESTAMP_ISO8601} ' negate => true what => previous ecs_compatibility => v8 }";
        let events = decoded(written, Usage::Stream, &[b"2026-11-21T09:00:00Z a\nb\n\n2026-11-21T09:00:01Z c"]);
        let (first, second) = events.split_once('\n').unwrap();
        assert!(first.contains("\"message\":\"2026-11-21T09:00:00Z a\\nb\\n\"") && first.contains("\"original\""));
        assert!(second.contains("\"message\":\"2026-11-21T09:00:01Z c\""));
        assert!(mistakes("multiline { pattern => '%{NOPE}' what => next }", Usage::Stream)[0].contains("NOPE"));
        assert_eq!(mistakes("multiline { }", Usage::Stream).len(), 2);
    }

    #[test]
    fn patterns_come_from_folders_and_from_files() {
        let list_files = |names: &str| match names {
            "/own/*" | "/own/shop" => Ok(vec!["/own/shop".into()]),
            _ => Ok(Vec::new()),
        };
        let read_file = |path: &std::path::Path| match path.to_str() {
            Some("/own/shop") => Ok(b"ORDER order \\d+".to_vec()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let setup = Setup {
            list_files: &list_files,
            read_file: &read_file,
            ..Setup::without_files(crate::setup::Ecs::Disabled)
        };
        let written = |place: &str| {
            format!(
                "multiline {{ pattern => '^%{{ORDER}}' negate => true what => previous patterns_dir => ['{place}'] }}"
            )
        };
        for place in ["/own", "/own/", "/own/shop"] {
            let (codec, mistakes) = made_with(&written(place), Usage::Stream, &setup);
            assert_eq!(mistakes, Vec::<String>::new(), "{place}");
            let mut events = Vec::new();
            codec.unwrap().decoder().decode(b"order 1\n x\norder 2\n", Timestamp::default(), &mut events);
            assert_eq!(
                events.iter().map(shown).collect::<Vec<_>>(),
                ["{\"message\":\"order 1\\n x\",\"tags\":[\"multiline\"]}"]
            );
        }
        assert!(made_with(&written("/other"), Usage::Stream, &setup).1[0].contains("ORDER"));
    }

    #[test]
    fn an_event_that_grows_without_end_is_handed_on() {
        let read = |options: &str, bytes: &[u8]| {
            decoded(&format!("multiline {{ pattern => '.' what => previous {options} }}"), Usage::Stream, &[bytes])
        };
        let lines = read("max_lines => 2", b"a\nb\nc\nd\n");
        let full = "\"tags\":[\"multiline\",\"multiline_codec_max_lines_reached\"]";
        assert_eq!(lines, format!("{{\"message\":\"a\\nb\\nc\",{full}}}\n{{\"message\":\"d\"}}"));
        let bytes = read("max_bytes => 4", b"ab\ncd\ne\n");
        let full = "\"tags\":[\"multiline\",\"multiline_codec_max_bytes_reached\"]";
        assert_eq!(bytes, format!("{{\"message\":\"ab\\ncd\",{full}}}\n{{\"message\":\"e\"}}"));
    }

    #[test]
    fn the_end_of_a_message_ends_a_line_unless_messages_are_streams() {
        let read = |options: &str, messages: &[&[u8]]| {
            decoded(&format!("multiline {{ pattern => '^ ' what => previous {options} }}"), Usage::Messages, messages)
        };
        assert_eq!(
            read("", &[b"a", b"", b" b"]),
            "{\"message\":\"a\"}\n{\"message\":\"\\n b\",\"tags\":[\"multiline\"]}"
        );
        let message = "{\"message\":\"a\\n b\",\"tags\":[\"multiline\"]}";
        assert_eq!(read("streaming_input => true", &[b"a\n b\n"]), message);
        assert_eq!(read("streaming_input => true", &[b"a\n", b" b"]), message);
        assert_eq!(read("", &[b"a\n b\n"]), format!("{message}\n{{\"message\":\"\"}}"));
    }

    #[test]
    fn what_waits_is_due_after_the_interval() {
        let made = codec("multiline { pattern => '^ ' what => previous auto_flush_interval => 1.5 }", Usage::Stream);
        let mut decoder = made.decoder();
        let mut events = Vec::new();
        assert_eq!(decoder.auto_flush(), None);
        decoder.decode(b"a\n", Timestamp::default(), &mut events);
        assert_eq!((events.len(), decoder.auto_flush()), (0, Some(Duration::from_millis(1500))));
        decoder.flush(Timestamp::default(), &mut events);
        assert_eq!((events.len(), decoder.auto_flush(), decoder.pending()), (1, None, 0));
    }
}
