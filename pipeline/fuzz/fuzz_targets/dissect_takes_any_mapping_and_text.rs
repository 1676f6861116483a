//! dissect with any mapping, the first line, over any text.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: &str| {
    let (mapping, text) = input.split_once('\n').unwrap_or((input, ""));
    if mapping.len() > 300 || text.len() > 2000 {
        return;
    }
    let mapping = mapping.replace(['"', '\\'], "");
    common::filtered(
        &format!(
            "dissect {{ mapping => {{ \"message\" => \"{mapping}\" }} convert_datatype => {{ \"aa\" => \"int\" }} }}"
        ),
        text,
    );
});
