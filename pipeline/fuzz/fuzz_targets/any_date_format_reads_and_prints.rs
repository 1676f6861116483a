//! Whatever the format, the first line: it is refused, or it reads any text and prints any time.

#![no_main]

use elkhound_pipeline::time::{DateTimeFormat, JodaFormat, Locale, Timestamp, Zone};
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: (i64, &str)| {
    let (nanos, input) = input;
    let (pattern, text) = input.split_once('\n').unwrap_or((input, ""));
    if pattern.len() > 200 || text.len() > 500 {
        return;
    }
    let time = Timestamp::from_nanos(nanos);
    if let Ok(format) = JodaFormat::new(pattern) {
        let mut printed = String::new();
        format.format(time, &Zone::UTC, &mut printed);
        let _ = format.parse(&printed, &Zone::UTC, Locale::english(), time);
        let _ = format.parse(text, &Zone::UTC, Locale::english(), time);
    }
    if let Ok(format) = DateTimeFormat::new(pattern) {
        format.format(time, &Zone::UTC, &mut String::new());
    }
    let mut written = String::new();
    time.write_str(&mut written);
    assert_eq!(Timestamp::parse(&written), Some(time), "{written}");
    let quoted = pattern.replace(['"', '\\'], "");
    common::filtered(&format!("date {{ match => [\"message\", \"{quoted}\", \"ISO8601\", \"UNIX_MS\"] }}"), text);
});
