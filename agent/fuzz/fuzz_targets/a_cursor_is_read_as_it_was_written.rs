//! Any text is a file of cursors, some of its lines damaged; what was read and written stays as it is written, and nothing of it is damaged.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod agent;

use agent::{disk_queue, input, output};
use input::docker::cursor::written::{checksum, read, write};

fuzz_target!(|text: &str| {
    // Half of the lines get the checksum that they need to be looked at.
    let summed = text.lines().enumerate().map(|(at, line)| match line.rsplit_once('\t') {
        Some((fields, _)) if at % 2 == 0 => format!("{fields}\t{:016x}\n", checksum(fields)),
        _ => format!("{line}\n"),
    });
    let (cursors, _) = read(&summed.collect::<String>());
    // Ends of lines that stand in a field become spaces.
    let once = write(&cursors);
    let (again, damaged) = read(&once);
    assert_eq!((write(&again), damaged, again.len()), (once, 0, cursors.len()));
});
