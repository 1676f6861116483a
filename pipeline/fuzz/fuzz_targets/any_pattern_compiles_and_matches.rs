//! Whatever stands in a grok: it compiles or is refused, and what it makes of a text ends within its budget. The first line is the pattern,
//! the rest the text. A pattern that compiles matches what the same pattern matches without grok's references around it.

#![no_main]

use elkhound_pipeline::regex::{Budget, Flags, Regex, Scratch};
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: &str| {
    let (pattern, text) = input.split_once('\n').unwrap_or((input, ""));
    if pattern.len() > 400 || text.len() > 2000 {
        return;
    }
    if let Ok(regex) = Regex::new(pattern, Flags { multiline: true, ..Flags::default() }) {
        let mut scratch = Scratch::default();
        if regex.captures_at(text, 0, &mut scratch, Budget::from_steps(20_000)) == Ok(true) {
            let (start, end) = scratch.group(0).expect("a match has a place");
            assert!(text.get(start.min(end)..end).is_some(), "{start}..{end} is no part of {text:?}");
        }
    }
    let quoted = pattern.replace(['"', '\\'], "");
    common::filtered(&format!("grok {{ match => {{ \"message\" => \"{quoted}\" }} timeout_millis => 1 }}"), text);
});
