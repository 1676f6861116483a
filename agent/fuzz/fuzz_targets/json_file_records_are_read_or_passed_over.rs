//! Any bytes are the log file of a container. Read in two pieces, what the first leaves before the second, it has the records that it has at once; no text has
//! an end that it should not have, and bytes that are no record cost only themselves.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod agent;

use agent::input;
use input::docker::records::{Record, decode, unescape};

fuzz_target!(|bytes: &[u8]| {
    let (cut, bytes) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    let decoded = decode(bytes, |record| whole.push(shown(record)));
    assert!(decoded.consumed <= bytes.len());
    assert!(!bytes[decoded.consumed..].contains(&b'\n'));

    let first = &bytes[..cut.min(bytes.len())];
    let before = decode(first, |record| pieces.push(shown(record)));
    let after = decode(&bytes[before.consumed..], |record| pieces.push(shown(record)));
    assert_eq!(before.consumed + after.consumed, decoded.consumed);
    assert_eq!(before.corrupt + after.corrupt, decoded.corrupt);
    assert_eq!(pieces, whole);

    let good = b"{\"log\":\"a\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-15T08:30:00.000000001Z\"}\n";
    let mut last = None;
    let text = [bytes, b"\n", good].concat();
    decode(&text, |record| last = Some(shown(record)));
    assert!(last.is_some_and(|(text, nanos)| text == b"a\n" && nanos % 1000 == 1), "the record behind is read");
});

fn shown(record: Record<'_>) -> (Vec<u8>, i64) {
    let mut text = Vec::new();
    unescape(record.log.raw(), &mut text);
    (text, record.nanos)
}
