//! Sets of characters: set algebra, Unicode properties, POSIX brackets, case folding.
//!
//! The Unicode tables are those of `regex-syntax`; this module maps Ruby's names and rules onto them. It leaves out
//! Unicode blocks (`\p{InBasicLatin}`) and characters that fold to several, of which the parser knows `ß` alone.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

pub(super) type CharSet = ClassUnicode;

pub(super) fn of_ranges(ranges: &[(char, char)]) -> CharSet {
    ClassUnicode::new(ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)))
}

pub(super) fn of_char(c: char) -> CharSet {
    of_ranges(&[(c, c)])
}

pub(super) fn all() -> CharSet {
    of_ranges(&[('\0', char::MAX)])
}

pub(super) fn not(mut set: CharSet) -> CharSet {
    set.negate();
    set
}

pub(super) fn or(mut set: CharSet, other: &CharSet) -> CharSet {
    set.union(other);
    set
}

pub(super) fn and(mut set: CharSet, other: &CharSet) -> CharSet {
    set.intersect(other);
    set
}

pub(super) fn is_disjoint(set: &CharSet, other: &CharSet) -> bool {
    and(set.clone(), other).ranges().is_empty()
}

pub(super) fn is_subset(set: &CharSet, of: &CharSet) -> bool {
    and(set.clone(), of) == *set
}

/// The set with every character's simple case variants.
pub(super) fn fold(mut set: CharSet) -> CharSet {
    // Folding fails only where the tables are not built in; they are, by the features of the dependency.
    let _ = set.try_case_fold_simple();
    set
}

/// `\w`, `\d`, `\s`, `\h` in ASCII or, after `(?u)`, in Unicode.
pub(super) fn shorthand(letter: char, unicode: bool) -> CharSet {
    match (letter, unicode) {
        ('w', true) => word().clone(),
        ('d', true) => property_or_empty("Nd"),
        ('s', true) => property_or_empty("White_Space"),
        ('w', false) => of_ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        ('d', false) => of_ranges(&[('0', '9')]),
        ('s', false) => of_ranges(&[('\t', '\r'), (' ', ' ')]),
        _ => of_ranges(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
    }
}

/// What `\b` and `[[:word:]]` take for a word.
pub(super) fn word() -> &'static CharSet {
    static WORD: LazyLock<CharSet> = LazyLock::new(|| union_of(&["Alphabetic", "M", "Nd", "Pc"]));
    &WORD
}

/// The set of a POSIX bracket name (`alpha`, `punct`, ...), or `None` when there is no such name.
pub(super) fn posix(name: &str, ascii: bool) -> Option<CharSet> {
    let set = match name {
        "alnum" => union_of(&["Alphabetic", "Nd"]),
        "alpha" => property_or_empty("Alphabetic"),
        "ascii" => of_ranges(&[('\0', '\x7f')]),
        "blank" => or(property_or_empty("Zs"), &of_char('\t')),
        "cntrl" => property_or_empty("Cc"),
        "digit" => property_or_empty("Nd"),
        "graph" => graph(),
        "lower" => property_or_empty("Lowercase"),
        "print" => or(graph(), &property_or_empty("Zs")),
        "punct" => punct(),
        "space" => property_or_empty("White_Space"),
        "upper" => property_or_empty("Uppercase"),
        "word" => word().clone(),
        "xdigit" => shorthand('h', false),
        _ => return None,
    };
    Some(if ascii { and(set, &of_ranges(&[('\0', '\x7f')])) } else { set })
}

/// The set of `\p{name}`: a POSIX name, a general category, a script or a binary property.
pub(super) fn property(name: &str) -> Option<CharSet> {
    let plain: String = name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect::<String>().to_lowercase();
    match plain.as_str() {
        "any" => return Some(all()),
        "assigned" => return Some(not(property_or_empty("Cn"))),
        _ => {}
    }
    if let Some(set) = posix(&plain, false) {
        return Some(set);
    }
    let safe = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-'));
    if safe { unicode(name) } else { None }
}

/// Whether text may show a class of graphemes; see `\X` in the parser.
pub(super) fn grapheme_break(value: &str) -> CharSet {
    property_or_empty(&format!("gcb={value}"))
}

fn graph() -> CharSet {
    not(union_of(&["White_Space", "Cc", "Cs", "Cn"]))
}

/// Ruby counts the ASCII symbols as punctuation, though Unicode does not.
fn punct() -> CharSet {
    let symbols = ['$', '+', '<', '=', '>', '^', '`', '|', '~'].map(|c| (c, c));
    or(property_or_empty("P"), &of_ranges(&symbols))
}

fn union_of(names: &[&str]) -> CharSet {
    names.iter().fold(of_ranges(&[]), |set, name| or(set, &property_or_empty(name)))
}

fn property_or_empty(name: &str) -> CharSet {
    unicode(name).unwrap_or_else(|| of_ranges(&[]))
}

fn unicode(name: &str) -> Option<CharSet> {
    let parsed = regex_syntax::Parser::new().parse(&format!("\\p{{{name}}}")).ok()?;
    match parsed.into_kind() {
        HirKind::Class(Class::Unicode(set)) => Some(set),
        HirKind::Literal(literal) => {
            let c = str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(of_char(c))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(set: &CharSet, c: char) -> bool {
        set.ranges().iter().any(|range| range.start() <= c && c <= range.end())
    }

    #[test]
    fn every_posix_name_is_filled() {
        let names = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";
        for name in names.split(' ') {
            assert!(!posix(name, false).unwrap().ranges().is_empty(), "{name}");
        }
        assert!(posix("letters", false).is_none());
    }

    #[test]
    fn properties_are_found_by_category_script_and_posix_name() {
        assert!(has(&property("Greek").unwrap(), 'α'));
        assert!(has(&property("Lu").unwrap(), 'Ż'));
        assert!(has(&property("punct").unwrap(), '¿'));
        assert!(has(&property("Any").unwrap(), '\u{10ffff}'));
        assert!(property("Klingon}|").is_none());
        assert!(has(&grapheme_break("Extend"), '\u{301}'));
    }

    #[test]
    fn the_kelvin_sign_folds_to_k() {
        assert!(has(&fold(of_char('k')), '\u{212a}'));
    }
}
