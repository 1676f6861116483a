//! Any bytes are an answer to a bulk request or are none. One that tells of an error is never taken for one in which all went well, and has as many items
//! as were asked for: a document that was refused would else count as delivered.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

mod agent;

use agent::{input, output};
use output::elasticsearch::answer::{Answer, parse};

fuzz_target!(|bytes: &[u8]| {
    let (expected, bytes) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
    let answer = parse(bytes, expected);
    if let Ok(Answer::Items(items)) = &answer {
        assert_eq!(items.len(), expected);
    }
    // Which of two members of one name counts is nobody's promise.
    let once = bytes.windows(8).filter(|window| *window == b"\"errors\"").count() == 1;
    let told = serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value["errors"] == true);
    assert!(!(once && told) || answer != Ok(Answer::AllDone));
});
