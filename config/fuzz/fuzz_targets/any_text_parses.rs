//! Whatever the text: lexer and parser end without a panic, every mistake stands inside the text, and it can be shown.

#![no_main]

use elkhound_config::parser::Escapes;
use elkhound_config::source::Source;
use elkhound_config::{env, parse, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = Source::of("fuzz.conf", text);
    for escapes in [Escapes::Kept, Escapes::Processed] {
        let mut parsed = parse(&source, escapes);
        env::substitute(&mut parsed.document, &|name| Ok(Some(name.to_lowercase())), &mut parsed.diagnostics);
        for mistake in &parsed.diagnostics {
            assert!(mistake.span.start <= mistake.span.end && mistake.span.end as usize <= text.len(), "{mistake:?}");
        }
        render::all(&parsed.diagnostics, &source, true);
    }
});
