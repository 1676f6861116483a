//! kv goes over any text with any characters to split at, recursively too.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: &str| {
    let (splits, text) = input.split_once('\n').unwrap_or(("&", input));
    if splits.len() > 20 || text.len() > 2000 {
        return;
    }
    common::filtered("kv { recursive => true trim_value => '\"' allow_empty_values => true }", text);
    let splits = splits.replace(['"', '\\'], "");
    common::filtered(
        &format!("kv {{ field_split => \"{splits}\" value_split => \":=\" whitespace => strict target => \"kv\" }}"),
        text,
    );
});
