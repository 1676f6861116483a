//! A file of cursors as it is written: a line for each container, its fields between tabs, a checksum behind them.
//!
//! ```text
//! container ⇥ mark of stdout ⇥ mark of stderr ⇥ driver ⇥ file ⇥ checksum
//! ```
//!
//! A mark is `NANOSECONDS.ORDINAL`, or stands for having none.

use std::collections::HashMap;

use crate::input::docker::position::{Marks, Position, Stream};

/// What is known about one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last safe line of each stream.
    pub(crate) marks: Marks,
    /// The log driver under which the lines were stamped; journald's stamps differ from the others'.
    pub(crate) driver: String,
    /// The log file and the place in it, as the reader of files wrote it down; empty when the API was read.
    pub(crate) file: String,
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
        let mark =
            |stream| cursor.marks.of(stream).map_or(none.to_owned(), |at| format!("{}.{}", at.nanos, at.ordinal));
        let (out, err) = (mark(Stream::Stdout), mark(Stream::Stderr));
        let fields = [container, &out, &err, &cursor.driver, &cursor.file].map(|field| escape(field)).join("\t");
        text.push_str(&format!("{fields}\t{:016x}\n", checksum(&fields)));
    }
    text
}

fn decode(line: &str) -> Option<(String, Cursor)> {
    let (fields, sum) = line.rsplit_once('\t')?;
    if sum != format!("{:016x}", checksum(fields)) {
        return None;
    }
    let fields: Vec<&str> = fields.split('\t').collect();
    let [container, out, err, driver, file] = fields[..] else { return None };
    let mut marks = Marks::default();
    for (stream, text) in [(Stream::Stdout, out), (Stream::Stderr, err)] {
        if text != NOTHING && text != BEGINNING {
            let (nanos, ordinal) = text.split_once('.')?;
            marks.set(stream, Position { nanos: nanos.parse().ok()?, ordinal: ordinal.parse().ok()? });
        }
    }
    let begins = out == BEGINNING || err == BEGINNING;
    Some((container.to_owned(), Cursor { marks, driver: driver.to_owned(), file: file.to_owned(), begins }))
}

/// Fields hold no tabs and no ends of lines: driver names and paths come from outside.
fn escape(field: &str) -> String {
    field.replace(['\t', '\n', '\r'], " ")
}

/// FNV-1a: a checksum against damage, not against anybody.
pub(crate) fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_anywhere_costs_one_container_at_most() {
        let cursors: HashMap<_, _> = ["a", "b", "c"]
            .map(|name| {
                (name.to_owned(), Cursor { marks: marks(1), driver: "local".into(), file: "x y".into(), begins: false })
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

    fn marks(nanos: i64) -> Marks {
        let mut marks = Marks::default();
        marks.set(Stream::Stderr, Position { nanos, ordinal: 3 });
        marks
    }
}
