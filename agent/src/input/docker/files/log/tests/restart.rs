//! What a restart reads of a log whose place is known: what is not safe, once, and little else.

use elkhound_pipeline::regex::{Flags, Regex};

use super::*;

/// How far a log is safe when all that was read is.
fn reached(log: &Log) -> Reached {
    Reached { marks: log.read, place: log.place }
}

fn again(folder: &Folder, reached: Reached) -> Log {
    folder.reading(Reading { reached, ..plain() })
}

/// Reads what is there, and says how far that was.
fn read_once(folder: &Folder) -> Reached {
    let mut log = folder.open(Marks::default(), false);
    drain(&mut log);
    reached(&log)
}

/// Makes the first records of a file unreadable, so that whoever reads them again is found out.
fn spoil(path: &std::path::Path) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[b'#'; 60], 0).unwrap();
}

#[test]
fn what_is_safe_is_not_read_again() {
    let folder = Folder::new("place");
    folder.write(0..10);
    let reached = read_once(&folder);
    spoil(&folder.log());
    folder.write(10..12);
    let mut log = again(&folder, reached);
    assert_eq!((drain(&mut log), log.corrupt), (lines(10..12), 0));
    assert_eq!(log.joiner.take_gap(), None);
}

#[test]
fn a_file_that_was_rotated_away_is_read_on_under_its_new_name() {
    let folder = Folder::new("place-rotated");
    folder.write(0..10);
    let reached = read_once(&folder);
    spoil(&folder.log());
    folder.write(10..12);
    for second in 12..14 {
        folder.rotate(4);
        folder.write(second..second + 1);
    }
    let mut log = again(&folder, reached);
    assert_eq!((drain(&mut log), log.corrupt), (lines(10..14), 0));
    assert_eq!(log.joiner.take_gap(), None);
}

#[test]
fn files_older_than_the_place_are_not_read() {
    let folder = Folder::new("place-older");
    folder.write(0..10);
    folder.rotate(3);
    folder.write(10..12);
    let reached = read_once(&folder);
    spoil(&folder.0.join("abc-json.log.1"));
    folder.write(12..13);
    let mut log = again(&folder, reached);
    assert_eq!((drain(&mut log), log.corrupt), (lines(12..13), 0));
}

#[test]
fn a_file_that_was_compressed_meanwhile_is_read_from_its_start_and_nothing_comes_twice() {
    let folder = Folder::new("place-compressed");
    folder.write(0..10);
    let reached = read_once(&folder);
    folder.write(10..12);
    folder.rotate(3);
    folder.compress();
    folder.write(12..14);
    let mut log = again(&folder, reached);
    assert_eq!(drain(&mut log), lines(10..14));
    assert_eq!(log.joiner.take_gap(), None);
}

#[test]
fn no_place_is_taken_in_a_compressed_file() {
    let folder = Folder::new("place-within");
    folder.write(0..10);
    folder.rotate(3);
    folder.compress();
    let mut log = folder.open(Marks::default(), false);
    assert_eq!(drain(&mut log), lines(0..10));
    assert_eq!(log.place, None);
    folder.write(10..12);
    assert_eq!(drain(&mut log), lines(10..12));
    let reached = reached(&log);
    folder.write(12..13);
    assert_eq!(drain(&mut again(&folder, reached)), lines(12..13));
}

#[test]
fn a_file_that_was_truncated_is_not_taken_for_what_it_was() {
    // Grown again to less, to just as much, and to more than was read.
    for written in [5, 10, 15] {
        let folder = Folder::new(&format!("place-truncated-{written}"));
        folder.write(10..20);
        let reached = read_once(&folder);
        fs::OpenOptions::new().write(true).open(folder.log()).unwrap().set_len(0).unwrap();
        folder.write(20..20 + written);
        let mut log = again(&folder, reached);
        assert_eq!(drain(&mut log), lines(20..20 + written));
        assert_eq!(log.joiner.take_gap().map(|gap| gap.to), Some(at(20)));
    }
}

#[test]
fn a_file_without_its_last_bytes_after_a_power_cut_is_read_from_its_start() {
    let folder = Folder::new("place-cut");
    folder.write(0..10);
    let reached = read_once(&folder);
    let file = fs::OpenOptions::new().write(true).open(folder.log()).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length - 20).unwrap();
    file.set_len(length).unwrap();
    folder.write(10..12);
    let mut log = again(&folder, reached);
    // The first record stands behind the zero bytes that the file system has left.
    assert_eq!(drain(&mut log), lines(10..12));
}

#[test]
fn a_quiet_log_that_had_no_place_gets_one_without_a_line() {
    let folder = Folder::new("place-quiet");
    folder.write(0..10);
    let mut log = folder.open(behind(9), false);
    assert!(drain(&mut log).is_empty() && log.noted.is_none());
    log.note_place();
    assert!(log.noted.is_some() && log.noted == log.place);
    let reached = reached(&log);
    spoil(&folder.log());
    let mut log = again(&folder, reached);
    assert_eq!((drain(&mut log).len(), log.corrupt), (0, 0));
}

#[test]
fn a_place_behind_which_the_clock_goes_back_loses_nothing() {
    let folder = Folder::new("place-clock");
    folder.write(10..20);
    let reached = read_once(&folder);
    folder.write(5..8);
    let mut log = again(&folder, reached);
    assert_eq!(drain(&mut log), lines(5..8));
}

#[test]
fn behind_a_place_that_was_rotated_away_all_is_new_whatever_its_time_is() {
    for seconds in [5..9, 25..29] {
        let folder = Folder::new("place-gone");
        folder.write(10..20);
        let reached = read_once(&folder);
        let keep = fs::File::open(folder.log()).unwrap();
        for second in seconds.clone() {
            folder.rotate(2);
            folder.write(second..second + 1);
        }
        drop(keep);
        let mut log = again(&folder, reached);
        // Two files are kept.
        let first = seconds.end - 2;
        assert_eq!(drain(&mut log), lines(first..seconds.end), "{seconds:?}");
        let gap = Gap { from: at(19).nanos, to: at(first.into()), stream: Stream::Stdout };
        assert_eq!(log.joiner.take_gap(), Some(gap), "{seconds:?}");
        assert!(log.place.is_some_and(|place| Some(place) != reached.place), "a restart goes on behind them");
        folder.write(30..31);
        assert_eq!(drain(&mut log), lines(30..31));
    }
}

#[test]
fn a_marked_line_in_a_compressed_file_is_found_though_lines_before_it_are_later() {
    let folder = Folder::new("place-clock-compressed");
    folder.write(20..25);
    folder.write(10..15);
    let reached = read_once(&folder);
    folder.write(15..17);
    folder.rotate(3);
    folder.compress();
    folder.write(8..10);
    let mut log = again(&folder, reached);
    assert_eq!(drain(&mut log), ["line 15", "line 16", "line 8", "line 9"]);
    assert_eq!(log.joiner.take_gap(), None);
}

#[test]
fn after_a_restart_at_any_record_exactly_the_rest_comes_with_the_positions_that_it_had() {
    for joined in [false, true] {
        for rotate in [false, true] {
            let name = format!("place-any-{joined}-{rotate}");
            // Where the clock was set back, lines that wait may make safe ones come once more, as they do when a log is read from its start.
            let records: Vec<String> =
                mixed().into_iter().filter(|record| !(joined && record.contains("back"))).collect();
            for cut in 0..=records.len() {
                let [first, second, all] = interrupted(&name, &records, cut, joined, rotate);
                assert_eq!(short(&[first, second].concat()), short(&all), "{name}, after {cut} records");
            }
        }
    }
}

#[test]
fn a_place_follows_lines_that_always_wait_for_others() {
    let folder = Folder::new("place-busy");
    let mut log = folder.reading(Reading { rule: Some(rule()), ..plain() });
    for (at, record) in mixed().iter().filter(|record| !record.contains("xxx")).enumerate() {
        append(&folder, record);
        positioned(&mut log);
        assert!(log.lines.wait_for_others(), "record {at}");
    }
    let length = fs::metadata(folder.log()).unwrap().len();
    let end = log.place.unwrap().end.offset;
    assert!(length / 2 < end && end < length, "the place is at {end} of {length}");
}

#[test]
fn each_of_two_gaps_is_told_though_the_line_behind_the_first_still_waits_for_others() {
    let folder = Folder::new("place-gaps");
    folder.write(5..6);
    let reached = Reached { marks: behind(1), place: None };
    let patient = Rule { timeout: Duration::from_secs(1 << 30), ..(*rule()).clone() };
    let mut log = folder.reading(Reading { rule: Some(Arc::new(patient)), reached, ..plain() });
    assert_eq!(drain(&mut log), [""; 0]);
    fs::File::options().write(true).open(folder.log()).unwrap().set_len(0).unwrap();
    assert_eq!(drain(&mut log), lines(5..6));
    folder.write(9..10);
    assert_eq!(drain(&mut log), [""; 0]);
    let gap = |from: i64, to: i64| Some(Gap { from: at(from).nanos, to: at(to), stream: Stream::Stdout });
    assert_eq!([log.take_gap(), log.take_gap(), log.take_gap()], [gap(1, 5), gap(5, 9), None]);
}

/// What one run has handed on of so many records, what the next one has of the rest, and what one that was never interrupted has.
fn interrupted(
    name: &str,
    records: &[String],
    cut: usize,
    joined: bool,
    rotate: bool,
) -> [Vec<(Stream, Position, String)>; 3] {
    let folder = Folder::new(name);
    let reading = || Reading { rule: joined.then(rule), ..plain() };
    fs::write(folder.log(), "").unwrap();
    let mut log = folder.reading(reading());
    let mut first = Vec::new();
    for record in &records[..cut] {
        append(&folder, record);
        first.extend(positioned(&mut log));
    }
    let reached = reached(&log);
    if rotate {
        folder.rotate(3);
    }
    records[cut..].iter().for_each(|record| append(&folder, record));
    let mut log = folder.reading(Reading { reached, ..reading() });
    let second = positioned(&mut log);
    assert_eq!(log.joiner.take_gap(), None);
    [first, second, positioned(&mut folder.reading(reading()))]
}

/// The lines with their lengths in place of their ends, so that a difference can be read.
fn short(lines: &[(Stream, Position, String)]) -> Vec<String> {
    lines.iter().map(|(stream, at, text)| format!("{stream:?} {at:?} {}: {text:.20}", text.len())).collect()
}

fn append(folder: &Folder, record: &str) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(folder.log()).unwrap();
    file.write_all(record.as_bytes()).unwrap();
}

/// Lines that begin with a space belong to the one before.
pub(super) fn rule() -> Arc<Rule> {
    let pattern = Arc::new(Regex::new("^ ", Flags::default()).unwrap());
    let (max_lines, max_bytes, timeout) = (3, 1 << 20, Duration::from_secs(600));
    Arc::new(Rule { pattern, negate: false, before: false, max_lines, max_bytes, timeout, container: "".into() })
}

/// Records of both streams: several of one time, times that go back, lines in pieces with the other stream between, lines that belong together.
/// All of a time that has not come yet, so that none waits too long for others.
fn mixed() -> Vec<String> {
    let piece = "xxx".repeat(16 << 10)[..16 << 10].to_owned();
    let out = |time: u32, text: &str| mixed_record("stdout", time, text);
    let err = |time: u32, text: &str| mixed_record("stderr", time, text);
    vec![
        out(1, "a\\n"),
        out(1, "b\\n"),
        err(1, "e\\n"),
        out(1, " b more\\n"),
        out(2, &piece),
        err(1, " e more\\n"),
        out(2, &piece),
        err(2, &piece),
        out(2, "end\\n"),
        err(2, "end\\n"),
        out(2, "c\\n"),
        out(5, " c more\\n"),
        out(5, " c still\\n"),
        out(5, " of the same, but too many\\n"),
        out(4, "back\\n"),
        out(4, "back again\\n"),
        err(9, "f\\n"),
        out(6, " back more\\n"),
        out(6, "d\\n"),
        out(7, "g\\n"),
        err(9, "h\\n"),
        out(8, "i\\n"),
        err(9, "j\\n"),
    ]
}

fn mixed_record(stream: &str, nanos: u32, text: &str) -> String {
    format!("{{\"log\":\"{text}\",\"stream\":\"{stream}\",\"time\":\"2090-11-21T09:55:00.{nanos:09}Z\"}}\n")
}
