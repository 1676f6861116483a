//! A file of cursors as it is written: a line for each container, its fields between tabs, a checksum behind them.
//!
//! ```text
//! container ⇥ mark of stdout ⇥ mark of stderr ⇥ driver ⇥ place ⇥ checksum
//! ```
//!
//! A mark is `NANOSECONDS.ORDINAL`, with a `+` before the ordinal of the one that is known to stand later in the log, or stands for having none. The place, `INODE OFFSET COMPARED CHECKSUM MARK MARK` (see `place`), is empty where there
//! is none; one that can't be understood, as another version has written it, is none.

use std::collections::HashMap;

use crate::input::docker::place::{Place, Reached, RecordEnd};
use crate::input::docker::position::{Marks, Position, Stream};

/// What is known about one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// How far its log is safe.
    pub(crate) reached: Reached,
    /// The log driver under which the lines were stamped; journald's stamps differ from the others'.
    pub(crate) driver: String,
    /// Nothing is safe yet, and its first line is wanted, whatever `start_position` says: it was created while the input ran.
    pub(crate) begins: bool,
}

/// In place of a mark: there is none.
const NOTHING: &str = "-";

/// The same, and the log is to be read from its beginning.
const BEGINNING: &str = "^";

/// The first line of the file.
const HEADER: &str = "elkhound cursors 1";

/// Reads a file of cursors; the number of lines that were damaged, too.
pub(crate) fn read(text: &str) -> (HashMap<String, Cursor>, usize) {
    let (mut cursors, mut damaged) = (HashMap::new(), 0);
    for line in text.lines().filter(|line| *line != HEADER) {
        match decode(line) {
            Some((container, cursor)) => {
                cursors.insert(container, cursor);
            }
            None => damaged += 1,
        }
    }
    (cursors, damaged)
}

/// Writes all cursors, in the order of their containers.
pub(crate) fn write(cursors: &HashMap<String, Cursor>) -> String {
    let mut text = format!("{HEADER}\n");
    let mut sorted: Vec<_> = cursors.iter().collect();
    sorted.sort_by_key(|(container, _)| *container);
    for (container, cursor) in sorted {
        let none = if cursor.begins { BEGINNING } else { NOTHING };
        let [out, err] = Stream::BOTH.map(|stream| mark(&cursor.reached.marks, stream, none));
        let place = cursor.reached.place.as_ref().map(place).unwrap_or_default();
        let fields = [container, &out, &err, &cursor.driver, &place].map(|field| escape(field)).join("\t");
        text.push_str(&format!("{fields}\t{:016x}\n", checksum(fields.as_bytes())));
    }
    text
}

fn decode(line: &str) -> Option<(String, Cursor)> {
    let (fields, sum) = line.rsplit_once('\t')?;
    if sum != format!("{:016x}", checksum(fields.as_bytes())) {
        return None;
    }
    let fields: Vec<&str> = fields.split('\t').collect();
    let [container, out, err, driver, place] = fields[..] else { return None };
    let reached = Reached { marks: decode_marks([out, err])?, place: decode_place(place) };
    let begins = out == BEGINNING || err == BEGINNING;
    Some((container.to_owned(), Cursor { reached, driver: driver.to_owned(), begins }))
}

fn mark(marks: &Marks, stream: Stream, none: &str) -> String {
    let later = if marks.later() == Some(stream) { "+" } else { "" };
    marks.of(stream).map_or(none.to_owned(), |at| format!("{}.{later}{}", at.nanos, at.ordinal))
}

fn decode_marks(texts: [&str; 2]) -> Option<Marks> {
    let mut marks = Marks::default();
    for (stream, text) in Stream::BOTH.into_iter().zip(texts) {
        if text != NOTHING && text != BEGINNING {
            let (nanos, ordinal) = text.split_once('.')?;
            if ordinal.starts_with('+') {
                marks = marks.with_later(Some(stream));
            }
            // The sign is read as part of the number, also by versions that do not know what it means.
            marks.set(stream, Position { nanos: nanos.parse().ok()?, ordinal: ordinal.parse().ok()? });
        }
    }
    Some(marks)
}

fn place(place: &Place) -> String {
    let RecordEnd { inode, offset, compared, checksum } = place.end;
    let [out, err] = Stream::BOTH.map(|stream| mark(&place.last, stream, NOTHING));
    format!("{inode} {offset} {compared} {checksum:016x} {out} {err}")
}

fn decode_place(text: &str) -> Option<Place> {
    let fields: Vec<&str> = text.split(' ').collect();
    let [inode, offset, compared, checksum, out, err] = fields[..] else { return None };
    let end = RecordEnd {
        inode: inode.parse().ok()?,
        offset: offset.parse().ok()?,
        compared: compared.parse().ok()?,
        checksum: u64::from_str_radix(checksum, 16).ok()?,
    };
    Some(Place { end, last: decode_marks([out, err])? })
}

/// Fields hold no tabs and no ends of lines: driver names and paths come from outside.
fn escape(field: &str) -> String {
    field.replace(['\t', '\n', '\r'], " ")
}

/// FNV-1a: a checksum against damage, not against anybody.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_anywhere_costs_one_container_at_most() {
        let cursors: HashMap<_, _> = ["a", "b", "c"]
            .map(|name| {
                let reached = Reached { marks: marks(1).with_later(Some(Stream::Stderr)), place: Some(somewhere()) };
                (name.to_owned(), Cursor { reached, driver: "local".into(), begins: false })
            })
            .into();
        let text = write(&cursors);
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            let damaged = String::from_utf8(damaged).unwrap();
            let (left, _) = read(&damaged);
            assert!(left.len() >= 2 || text.as_bytes()[at] == b'\n', "byte {at}: {left:?}");
            assert!(left.iter().all(|(name, cursor)| cursors.get(name) == Some(cursor)), "byte {at}: {left:?}");
        }
    }

    #[test]
    fn a_place_is_read_again_and_what_another_version_wrote_there_is_none() {
        let line = |place: &str| {
            let fields = format!("a\t1.0\t-\tjson-file\t{place}");
            format!("{fields}\t{:016x}\n", checksum(fields.as_bytes()))
        };
        for (text, expected) in
            [(place(&somewhere()), Some(somewhere())), (String::new(), None), ("/var/log/a 17".to_owned(), None)]
        {
            let (cursors, damaged) = read(&line(&text));
            assert_eq!((cursors["a"].reached.place, damaged), (expected, 0), "{text}");
        }
    }

    fn somewhere() -> Place {
        let end = RecordEnd { inode: 7, offset: 1 << 40, compared: 256, checksum: 0xfe };
        Place { end, last: marks(-9) }
    }

    fn marks(nanos: i64) -> Marks {
        let mut marks = Marks::default();
        marks.set(Stream::Stderr, Position { nanos, ordinal: 3 });
        marks
    }
}
