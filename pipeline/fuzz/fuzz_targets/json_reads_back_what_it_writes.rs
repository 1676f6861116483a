//! Any text is JSON or is not; what was read and written is read as the same again. The json filter takes it all.

#![no_main]

use elkhound_pipeline::json::{self, Numbers};
use elkhound_pipeline::value::Value;
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|text: &str| {
    if let Ok(value) = json::parse(text, Numbers::Doubles) {
        // What is too large for a double is written as the text "Infinity", so it is the written form that stays.
        let once = written(&value);
        let again = json::parse(&once, Numbers::Doubles).map(|value| written(&value));
        assert_eq!(again.as_ref(), Ok(&once), "{text}");
    }
    common::filtered("json { source => \"message\" } json_encode { source => \"message\" target => \"again\" }", text);
});

fn written(value: &Value) -> String {
    let mut bytes = Vec::new();
    json::write_value(value, &mut bytes);
    String::from_utf8(bytes).expect("JSON is UTF-8")
}
