//! A text without mistakes, printed from its tree, is read as the same tree again.

#![no_main]

use elkhound_config::parser::Escapes;
use elkhound_config::source::Source;
use elkhound_config::{parse, print};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = parse(&Source::of("fuzz.conf", text), Escapes::Kept);
    if parsed.has_errors() {
        return;
    }
    let Some(printed) = print::document(&parsed.document) else { return };
    let again = parse(&Source::of("printed.conf", &printed), Escapes::Kept);
    assert!(!again.has_errors(), "{printed}\n{:?}", again.diagnostics);
    assert_eq!(print::document(&again.document).as_deref(), Some(printed.as_str()), "{text}");
});
