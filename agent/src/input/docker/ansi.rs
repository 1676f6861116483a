//! Takes terminal control sequences out of a text: colours, cursor movements, window titles (ECMA-48, sections 5.3 to 5.6).
//!
//! What it promises: everything that is no sequence stays as it is. A sequence that a text ends within is taken out as far as it goes.

use memchr::memchr;

/// What every sequence begins with.
pub(crate) const ESCAPE: u8 = 0x1b;

/// Appends `text` without its sequences to `out`.
pub(crate) fn strip(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr(ESCAPE, rest.as_bytes()) {
        out.push_str(&rest[..at]);
        // A sequence is ASCII but for the text of a command, which ends at one; so the place behind it is between two characters.
        rest = rest.get(at + length(&rest.as_bytes()[at..])..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// How long the sequence is that `bytes` begin with.
fn length(bytes: &[u8]) -> usize {
    let count = |from: usize, range: std::ops::RangeInclusive<u8>| {
        bytes.get(from..).unwrap_or_default().iter().take_while(|byte| range.contains(byte)).count()
    };
    // A final byte that is none, as a character of another alphabet, is not part of the sequence.
    let ended = |at: usize, range: std::ops::RangeInclusive<u8>| {
        at + usize::from(bytes.get(at).is_some_and(|byte| range.contains(byte)))
    };
    match bytes.get(1) {
        Some(b'[') => ended(2 + count(2, b' '..=b'?'), b'@'..=b'~'),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => command(bytes),
        _ => ended(1 + count(1, b' '..=b'/'), b'0'..=b'~'),
    }
}

/// A command with a text goes on to a bell or to the sequence `ESC \`.
fn command(bytes: &[u8]) -> usize {
    let end = bytes.iter().skip(2).position(|byte| matches!(*byte, 0x07 | ESCAPE)).map(|at| at + 2);
    match end {
        Some(at) if bytes[at] == 0x07 => at + 1,
        Some(at) if bytes.get(at + 1) == Some(&b'\\') => at + 2,
        Some(at) => at,
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_out_sequences_and_nothing_else() {
        let cases = [
            ("plain [31m", "plain [31m"),
            ("\u{1b}[1;31mred\u{1b}[0m end", "red end"),
            ("\u{1b}[2K\u{1b}[1Gline", "line"),
            ("\u{1b}]0;title ä\u{7}after", "after"),
            ("\u{1b}]8;;url\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Bx\u{1b}=y\u{1b}cz", "xyz"),
            ("zwölf\u{1b}[38;5;200mä\u{1b}", "zwölfä"),
            ("cut\u{1b}[1;3", "cut"),
            ("\u{1b}[ä", "ä"),
            ("\u{1b}ä", "ä"),
        ];
        for (text, expected) in cases {
            let mut out = String::new();
            strip(text, &mut out);
            assert_eq!(out, expected, "{text:?}");
        }
    }
}
