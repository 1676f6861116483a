//! Any text is a file of cursors, some of its lines damaged; what was read and written stays as it is written, and nothing of it is damaged.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod agent;

use agent::input;
use input::docker::cursor::written::{checksum, read, write};

fuzz_target!(|text: &str| {
    // Half of the lines get the checksum that they need to be looked at.
    let summed = text.lines().enumerate().map(|(at, line)| match line.rsplit_once('\t') {
        Some((fields, _)) if at % 2 == 0 => format!("{fields}\t{:016x}\n", checksum(fields.as_bytes())),
        _ => format!("{line}\n"),
    });
    let (cursors, _) = read(&summed.collect::<String>());
    // Carriage returns that stand in a field become spaces, which can change the order, and make one container's name another's.
    let once = write(&cursors);
    let (again, damaged) = read(&once);
    assert!(damaged == 0 && (again.len() == cursors.len() || text.contains('\r')));
    assert_eq!(read(&write(&again)), (again, 0));
});
