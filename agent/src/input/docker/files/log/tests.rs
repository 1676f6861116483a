//! A log on a real file system, moved about as dockerd does it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::input::docker::cursor::Cursors;
use crate::input::docker::position::{Gap, Position, Stream};
use crate::scratch;
use crate::stats::containers::Containers;
use crate::stats::tap::Tap;

/// A folder with one log.
struct Folder(scratch::Folder);

impl Folder {
    fn new(name: &str) -> Self {
        Self(scratch::Folder::new(name))
    }

    fn log(&self) -> PathBuf {
        self.0.join("abc-json.log")
    }

    fn write(&self, seconds: std::ops::Range<u32>) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        seconds.for_each(|second| file.write_all(record(second).as_bytes()).unwrap());
    }

    fn open(&self, read: Marks, from_end: bool) -> Log {
        self.reading(Reading { from_end, reached: Reached { marks: read, place: None }, ..plain() })
    }

    fn reading(&self, reading: Reading) -> Log {
        self.counted(reading, None)
    }

    fn counted(&self, reading: Reading, containers: Option<Arc<Containers>>) -> Log {
        let (cursors, _) = Cursors::open(&self.0.join("cursors")).unwrap();
        cursors.begin_anew(containers);
        let ledger = Arc::new(ContainerLedger::new("abc", Arc::new(cursors)));
        Log::new(&self.log(), Layers::plain(), ledger, reading)
    }

    /// Moves the files as dockerd does, keeping `kept` of them.
    fn rotate(&self, kept: usize) {
        let named = |number: usize, end: &str| match number {
            0 => self.log(),
            _ => self.0.join(format!("abc-json.log.{number}{end}")),
        };
        for number in (0..kept - 1).rev() {
            let _ = fs::rename(named(number, ""), named(number + 1, ""));
            let _ = fs::rename(named(number, ".gz"), named(number + 1, ".gz"));
        }
        fs::write(self.log(), "").unwrap();
    }

    /// Compresses the file that was rotated last, as dockerd does in the background.
    fn compress(&self) {
        let plain = self.0.join("abc-json.log.1");
        let file = fs::File::create(self.0.join("abc-json.log.1.gz")).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::remove_file(plain).unwrap();
    }
}

/// A log of which nothing was read yet.
fn plain() -> Reading {
    let reached = Reached::default();
    Reading {
        limit: 1 << 20,
        strip_ansi: false,
        tty: false,
        from_end: false,
        reached,
        files: None,
        rule: None,
        offsets: false,
    }
}

fn record(second: u32) -> String {
    format!("{{\"log\":\"line {second}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-21T09:55:{second:02}Z\"}}\n")
}

/// Everything that can be read now.
fn drain(log: &mut Log) -> Vec<String> {
    positioned(log).into_iter().map(|(_, _, text)| text).collect()
}

/// The same, with streams and positions.
fn positioned(log: &mut Log) -> Vec<(Stream, Position, String)> {
    let mut block = Vec::new();
    while matches!(log.advance(&mut block).unwrap(), Step::Read) {}
    let sealed = log.lines.seal(usize::MAX);
    log.read.advance(&sealed.marks);
    sealed.lines.iter().map(|line| (line.stream, line.position, sealed.text[line.range()].to_owned())).collect()
}

fn lines(seconds: std::ops::Range<u32>) -> Vec<String> {
    seconds.map(|second| format!("line {second}")).collect()
}

#[test]
fn a_log_is_followed_through_its_rotation() {
    let folder = Folder::new("rotation");
    folder.write(0..3);
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(drain(&mut log), lines(0..3));
    folder.write(3..5);
    fs::rename(folder.log(), folder.0.join("abc-json.log.1")).unwrap();
    folder.write(5..7);
    assert_eq!(drain(&mut log), lines(3..7));
}

#[test]
fn a_truncated_log_is_read_from_its_start() {
    let folder = Folder::new("truncation");
    folder.write(0..5);
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(drain(&mut log), lines(0..5));
    fs::OpenOptions::new().write(true).open(folder.log()).unwrap().set_len(0).unwrap();
    folder.write(5..6);
    assert_eq!(drain(&mut log), lines(5..6));
    assert_eq!(log.joiner.take_gap(), Some(Gap { from: at(4).nanos, to: at(5), stream: Stream::Stdout }));
}

#[test]
fn a_truncated_log_that_has_grown_beyond_what_it_was_is_read_from_its_start() {
    let folder = Folder::new("truncation-grown");
    folder.write(0..5);
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(drain(&mut log), lines(0..5));
    fs::OpenOptions::new().write(true).open(folder.log()).unwrap().set_len(0).unwrap();
    folder.write(10..20);
    assert_eq!(drain(&mut log), lines(10..20));
    assert_eq!(log.joiner.take_gap(), Some(Gap { from: at(4).nanos, to: at(10), stream: Stream::Stdout }));
    folder.write(20..22);
    assert_eq!(drain(&mut log), lines(20..22));
}

#[test]
fn a_record_that_is_written_bit_by_bit_is_read_once_it_is_whole() {
    let folder = Folder::new("bits");
    fs::write(folder.log(), "").unwrap();
    let mut log = folder.open(Marks::default(), false);
    let mut file = fs::OpenOptions::new().append(true).open(folder.log()).unwrap();
    let text = record(1);
    for byte in text.as_bytes() {
        assert!(drain(&mut log).is_empty());
        file.write_all(&[*byte]).unwrap();
    }
    assert_eq!(drain(&mut log), lines(1..2));
}

#[test]
fn what_is_damaged_is_passed_over_and_counted() {
    let folder = Folder::new("damaged");
    folder.write(0..60);
    folder.rotate(3);
    folder.compress();
    let packed = folder.0.join("abc-json.log.1.gz");
    let bytes = fs::read(&packed).unwrap();
    fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
    fs::write(folder.log(), "\0\0\0\0\n{\"log\":\"cut o\n").unwrap();
    folder.write(1..3);
    let containers = Arc::new(Containers::new(Arc::new(Tap::new())));
    let mut log = folder.counted(plain(), Some(Arc::clone(&containers)));
    let read = drain(&mut log);
    assert!(read.len() < 62 && read.ends_with(&lines(1..3)), "{read:?}");
    let container = containers.take_up("abc");
    let (_, trouble) = container.trouble().expect("it was noted");
    assert_eq!(container.unreadable.load(Ordering::Relaxed), 3, "a file and two records");
    assert!(trouble.contains("can't be read; they are passed over"), "{trouble}");
}

#[test]
fn reading_goes_on_behind_the_cursor_or_at_the_end() {
    let folder = Folder::new("resume");
    folder.write(0..6);
    let mut log = folder.open(behind(2), false);
    assert_eq!(drain(&mut log), lines(3..6));
    let mut log = folder.open(Marks::default(), true);
    assert!(drain(&mut log).is_empty());
    folder.write(6..7);
    assert_eq!(drain(&mut log), lines(6..7));
}

#[test]
fn a_log_whose_folder_is_gone_is_read_to_its_end() {
    let folder = Folder::new("gone");
    folder.write(0..2);
    let mut log = folder.open(Marks::default(), false);
    assert!(drain(&mut log).len() == 2);
    folder.write(2..3);
    drop(folder);
    let mut block = Vec::new();
    assert!(matches!(log.advance(&mut block).unwrap(), Step::Read));
    assert!(matches!(log.advance(&mut block).unwrap(), Step::Gone));
    assert_eq!(log.lines.seal(usize::MAX).lines.len(), 1);
}

fn at(second: i64) -> Position {
    Position { nanos: (1_795_254_900 + second) * 1_000_000_000, ordinal: 0 }
}

/// Everything up to the line of this second is safe.
fn behind(second: i64) -> Marks {
    let mut marks = Marks::default();
    marks.set(Stream::Stdout, at(second));
    marks
}

#[test]
fn every_file_that_is_kept_is_read_from_the_oldest_on() {
    let folder = Folder::new("kept");
    for first in [0, 2, 4] {
        folder.write(first..first + 2);
        folder.rotate(3);
        folder.compress();
    }
    folder.write(6..8);
    let mut log = folder.open(behind(4), false);
    assert_eq!(drain(&mut log), lines(5..8));
    assert_eq!(log.joiner.take_gap(), None);
}

#[test]
fn files_that_came_while_nobody_looked_are_read_in_order() {
    let folder = Folder::new("several");
    folder.write(0..2);
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(drain(&mut log), lines(0..2));
    folder.write(2..3);
    for second in 3..5 {
        folder.rotate(3);
        folder.write(second..second + 1);
    }
    assert_eq!(drain(&mut log), lines(2..5));
    assert_eq!(log.joiner.take_gap(), None);
}

#[test]
fn a_file_that_was_opened_is_read_although_dockerd_has_removed_it() {
    let folder = Folder::new("removed");
    folder.write(0..2);
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(log.advance(&mut Vec::new()).unwrap(), Step::Read);
    folder.write(2..4);
    folder.rotate(2);
    fs::remove_file(folder.0.join("abc-json.log.1")).unwrap();
    folder.write(4..5);
    assert_eq!(drain(&mut log), lines(0..5));
}

#[test]
fn a_compressed_copy_of_what_was_read_is_not_read_twice() {
    let folder = Folder::new("copy");
    folder.write(0..3);
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(drain(&mut log), lines(0..3));
    folder.rotate(3);
    folder.compress();
    folder.write(3..5);
    assert_eq!(drain(&mut log), lines(3..5));
    assert_eq!(log.joiner.take_gap(), None);
}

#[test]
fn lines_that_were_rotated_away_unread_are_told() {
    let folder = Folder::new("gap");
    folder.write(0..2);
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(drain(&mut log), lines(0..2));
    for second in 2..9 {
        folder.rotate(3);
        folder.write(second..second + 1);
    }
    assert_eq!(drain(&mut log), lines(6..9));
    let gap = Gap { from: at(1).nanos, to: at(6), stream: Stream::Stdout };
    assert_eq!(log.joiner.take_gap(), Some(gap));
}

#[test]
fn first_lines_that_were_rotated_away_are_told_where_the_oldest_file_was_made_by_a_rotation() {
    // The files are made now: lines of this year are older than their files, as behind a rotation, those of 2090 younger, as in a first file.
    for (files, year, told) in [(3, "2026", true), (3, "2090", false), (4, "2026", false)] {
        let folder = Folder::new(&format!("late-{files}-{year}"));
        for second in 1..4 {
            folder.rotate(3);
            fs::write(folder.log(), record(second).replace("2026", year)).unwrap();
        }
        let reading = Reading { files: Some(files), ..plain() };
        let mut log = folder.reading(reading);
        assert_eq!(drain(&mut log), lines(1..4));
        let gap = log.joiner.take_gap();
        assert_eq!(gap.map(|gap| gap.to), told.then(|| at(1)), "{files} files, lines of {year}");
    }
}

#[test]
fn a_terminals_lines_end_without_its_carriage_return() {
    let folder = Folder::new("terminal");
    fs::write(folder.log(), record(1).replace("\\n", "\\r\\n")).unwrap();
    let mut log = folder.reading(Reading { tty: true, ..plain() });
    assert_eq!(drain(&mut log), lines(1..2));
}

#[test]
fn what_is_left_is_what_its_files_hold_and_was_not_read() {
    let folder = Folder::new("left");
    folder.write(0..10);
    let each = record(10).len() as u64;
    folder.rotate(3);
    folder.write(10..14);
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(log.left(), 0);
    let mut block = Vec::new();
    assert_eq!(log.advance(&mut block).unwrap(), Step::Read);
    assert_eq!(log.left(), 4 * each);
    while log.advance(&mut block).unwrap() == Step::Read {}
    assert_eq!(log.left(), 0);
    folder.write(14..17);
    assert_eq!(log.left(), 3 * each);
}

#[test]
fn a_line_tells_where_it_begins_in_its_file() {
    let folder = Folder::new("offsets");
    let piece = "x".repeat(16 << 10);
    let record = |stream: &str, text: &str| {
        format!("{{\"log\":\"{text}\",\"stream\":\"{stream}\",\"time\":\"2026-11-21T09:55:00Z\"}}\n")
    };
    let (out, err) = (|text: &str| record("stdout", text), |text: &str| record("stderr", text));
    // A half-written record, a line in pieces with another one between them, one without an end, and lines of a second file.
    let first = ["{\"log\":\"ha", &out("a\\n"), &out(&piece), &err("b\\n"), &out("end\\n"), &out("c\\n"), &err(&piece)]
        .concat();
    let second = [err("d\\n"), out("e\\n")].concat();
    fs::write(folder.log(), &first).unwrap();
    let mut log = folder.reading(Reading { offsets: true, ..plain() });
    let mut block = Vec::new();
    while matches!(log.advance(&mut block).unwrap(), Step::Read) {}
    let mut sealed = log.lines.seal(usize::MAX);
    sealed.retain(|line| line.stream == Stream::Stdout);
    let found = |file: &str, text: &str| file.find(text).unwrap() as u64;
    let expected = [found(&first, &out("a\\n")), found(&first, &out(&piece)), found(&first, &out("c\\n"))];
    assert_eq!((sealed.lines.len(), &sealed.offsets[..]), (3, &expected[..]));
    folder.rotate(3);
    fs::write(folder.log(), &second).unwrap();
    while matches!(log.advance(&mut block).unwrap(), Step::Read) {}
    let sealed = log.lines.seal(usize::MAX);
    // The line that was cut by the rotation begins in the file before.
    assert_eq!(sealed.offsets, [found(&first, &err(&piece)), found(&second, &out("e\\n"))]);
}

#[test]
fn of_lines_that_are_joined_the_first_one_tells_where_it_begins() {
    let folder = Folder::new("offsets-joined");
    let indented = |second: u32| record(second).replace("line", "  at");
    let records = [record(0), indented(1), record(2), record(3), indented(4)];
    fs::write(folder.log(), records.concat()).unwrap();
    let mut log = folder.reading(Reading { offsets: true, rule: Some(restart::rule()), ..plain() });
    while matches!(log.advance(&mut Vec::new()).unwrap(), Step::Read) {}
    log.lines.finish();
    let sealed = log.lines.seal(usize::MAX);
    let at = |number: usize| records[..number].concat().len() as u64;
    assert_eq!(sealed.offsets, [at(0), at(2), at(3)]);
}

mod restart;

#[test]
fn a_log_is_handed_over_by_the_files_that_hold_lines_which_are_not_safe() {
    let folder = Folder::new("handed-over");
    let mut old = folder.open(Marks::default(), false);
    let mut numbers = Vec::new();
    for round in 0..3 {
        folder.write(round * 10..round * 10 + 10);
        assert_eq!(drain(&mut old), lines(round * 10..round * 10 + 10));
        numbers.push(old.open_chunk());
        folder.rotate(2);
    }
    folder.write(30..35);
    assert_eq!(drain(&mut old), lines(30..35));
    // Only lines from 10 on are not safe, and of their files two have no name any more.
    old.ledger.settled(numbers[0]);
    let reached = old.ledger.safe();
    let files = old.into_files();
    assert_eq!(files.len(), 4);
    fs::remove_dir_all(&*folder.0).unwrap();
    let mut new = folder.reading(Reading { reached, ..plain() });
    new.go_on_in(files).unwrap();
    assert_eq!(drain(&mut new), lines(10..35));
    assert_eq!(new.joiner.take_gap(), None);
    let mut block = Vec::new();
    assert_eq!(new.advance(&mut block).unwrap(), Step::Gone);
}

#[test]
fn files_are_held_only_while_their_lines_are_not_safe() {
    let folder = Folder::new("held");
    let mut log = folder.open(Marks::default(), false);
    let mut numbers = Vec::new();
    for second in 0..3 {
        folder.write(second..second + 1);
        drain(&mut log);
        numbers.push(log.open_chunk());
        folder.rotate(2);
        drain(&mut log);
    }
    let mut held = Vec::new();
    for number in numbers {
        log.ledger.settled(number);
        drain(&mut log);
        held.push(log.held.len());
    }
    assert_eq!(held, [3, 2, 0]);
}

#[test]
fn a_compressed_file_is_handed_over_too() {
    let folder = Folder::new("handed-over-compressed");
    folder.write(0..5);
    folder.rotate(3);
    folder.compress();
    folder.write(5..8);
    let mut old = folder.open(Marks::default(), false);
    assert_eq!(drain(&mut old), lines(0..8));
    old.open_chunk();
    let files = old.into_files();
    fs::remove_dir_all(&*folder.0).unwrap();
    let mut new = folder.open(Marks::default(), false);
    new.go_on_in(files).unwrap();
    assert_eq!(drain(&mut new), lines(0..8));
}

#[test]
fn a_log_that_is_handed_over_behind_a_file_that_is_all_safe_has_no_gap() {
    let folder = Folder::new("handed-over-safe");
    let mut old = folder.open(Marks::default(), false);
    folder.write(0..3);
    assert_eq!(drain(&mut old), lines(0..3));
    let number = old.open_chunk();
    folder.rotate(2);
    drain(&mut old);
    old.ledger.settled(number);
    drain(&mut old);
    folder.write(3..6);
    let reached = old.ledger.safe();
    let files = old.into_files();
    assert_eq!(files.len(), 1);
    let mut new = folder.reading(Reading { reached, ..plain() });
    new.go_on_in(files).unwrap();
    assert_eq!(drain(&mut new), lines(3..6));
    assert_eq!(new.joiner.take_gap(), None);
}
