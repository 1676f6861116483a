//! For tests: a codec as written, and what it makes of bytes and events.

use std::sync::Arc;

use elkhound_config::ast::{Document, Plugin, Statement};
use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_config::parser::{self, Escapes};
use elkhound_config::source::Source;

use super::{Codec, Usage, optional, read};
use crate::event::Event;
use crate::json;
use crate::setup::{Ecs, Setup};
use crate::time::Timestamp;

/// The codec that is written as `written`; ECS is off unless the codec says otherwise. Panics when it is refused.
pub(crate) fn codec(written: &str, usage: Usage) -> Arc<dyn Codec> {
    let (codec, mistakes) = made(written, usage);
    assert_eq!(mistakes, Vec::<String>::new(), "{written}");
    codec.unwrap()
}

/// What is wrong with a codec: message and help of each mistake.
pub(crate) fn mistakes(written: &str, usage: Usage) -> Vec<String> {
    made(written, usage).1
}

/// The events that come out of `reads` and, at the end, of the flush: as JSON without `@timestamp` and `@version`, one on a line.
pub(crate) fn decoded(written: &str, usage: Usage, reads: &[&[u8]]) -> String {
    let mut decoder = codec(written, usage).decoder();
    let mut events = Vec::new();
    for bytes in reads {
        decoder.decode(bytes, Timestamp::default(), &mut events);
    }
    decoder.flush(Timestamp::default(), &mut events);
    assert_eq!(decoder.pending(), 0);
    events.iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// The bytes of an event.
pub(crate) fn encoded(written: &str, event: &Event) -> String {
    let mut out = Vec::new();
    codec(written, Usage::Write).encode(event, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// An event as JSON, without `@timestamp` and `@version`.
pub(crate) fn shown(event: &Event) -> String {
    assert!(event.timestamp().is_some(), "{event:?}");
    let mut map = event.to_map();
    map.remove("@timestamp");
    map.remove("@version");
    let mut out = Vec::new();
    json::write_map(&map, &mut out);
    String::from_utf8(out).unwrap()
}

fn made(written: &str, usage: Usage) -> (Option<Arc<dyn Codec>>, Vec<String>) {
    made_with(written, usage, &Setup::without_files(Ecs::Disabled))
}

/// A codec that may ask for files, and what is wrong with it.
pub(crate) fn made_with(written: &str, usage: Usage, setup: &Setup<'_>) -> (Option<Arc<dyn Codec>>, Vec<String>) {
    const TABLE: &[OptionSpec] = &[optional("codec", OptionKind::Codec, "", "")];
    let source = Source::of("test.conf", &format!("input {{ test {{ codec => {written} }} }}"));
    let parsed = parser::parse(&source, Escapes::Kept);
    let mut diagnostics = parsed.diagnostics;
    let mut options = Options::new(only(&parsed.document), &[TABLE], &mut diagnostics);
    let codec = read(&mut options, "plain", usage, setup);
    options.finish();
    let told = diagnostics.iter().map(|mistake| match &mistake.help {
        Some(help) => format!("{}: {help}", mistake.message),
        None => mistake.message.clone(),
    });
    (codec, told.collect())
}

fn only(document: &Document) -> &Plugin {
    match &document.sections[0].body[0] {
        Statement::Plugin(plugin) => plugin,
        Statement::Branch(_) => panic!("a plugin was expected"),
    }
}
