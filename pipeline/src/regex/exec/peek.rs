//! Single characters, look-arounds of one, word boundaries, back-references.

use std::sync::LazyLock;

use super::super::charset;
use super::super::program::{Class, High};
use super::{FAIL, Machine};

static WORD_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte == b'_' as usize;
        byte += 1;
    }
    table
};

static WORD: LazyLock<Class> = LazyLock::new(|| Class::new(charset::word()));

/// The character that starts at `pos`, and where it ends.
pub(super) fn char_at(text: &[u8], pos: usize) -> Option<(char, usize)> {
    let lead = *text.get(pos)?;
    if lead < 0x80 {
        return Some((char::from(lead), pos + 1));
    }
    let end = (pos + width(lead)).min(text.len());
    let c = str::from_utf8(&text[pos..end]).ok()?.chars().next()?;
    Some((c, end))
}

pub(super) fn char_before(text: &[u8], pos: usize) -> Option<(char, usize)> {
    let mut start = pos.checked_sub(1)?;
    while start > 0 && text[start] & 0xc0 == 0x80 {
        start -= 1;
    }
    char_at(text, start).map(|(c, _)| (c, start))
}

/// How many bytes the character takes that `lead` starts.
pub(super) fn width(lead: u8) -> usize {
    match lead {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    }
}

pub(in super::super) fn word_boundary(text: &[u8], pos: usize) -> bool {
    let before = pos.checked_sub(1).is_some_and(|at| match text[at] {
        byte if byte < 0x80 => is_word_byte(byte),
        _ => char_before(text, pos).is_some_and(|(c, _)| WORD.has(c)),
    });
    let after = text.get(pos).is_some_and(|byte| match *byte {
        byte if byte < 0x80 => is_word_byte(byte),
        _ => char_at(text, pos).is_some_and(|(c, _)| WORD.has(c)),
    });
    before != after
}

fn is_word_byte(byte: u8) -> bool {
    WORD_BYTES[usize::from(byte)]
}

impl Machine<'_> {
    /// Where one character of the class ends, or `FAIL`.
    #[inline(always)]
    pub(super) fn one(&self, class: &Class, pos: usize) -> usize {
        match self.text.get(pos) {
            Some(byte) if !class.bytes[usize::from(*byte)] => FAIL,
            Some(byte) if *byte < 0x80 => pos + 1,
            Some(byte) => self.one_high(class, *byte, pos),
            None => FAIL,
        }
    }

    fn one_high(&self, class: &Class, lead: u8, pos: usize) -> usize {
        if matches!(class.high, High::All) {
            return pos + width(lead);
        }
        match char_at(self.text, pos) {
            Some((c, end)) if class.has(c) => end,
            _ => FAIL,
        }
    }

    #[inline(always)]
    pub(super) fn peek(&self, class: u32, ahead: bool, pos: usize) -> bool {
        let class = &self.program.classes[class as usize];
        if ahead {
            return self.one(class, pos) != FAIL;
        }
        match pos.checked_sub(1).map(|before| self.text[before]) {
            None => false,
            Some(byte) if byte < 0x80 => class.bytes[usize::from(byte)],
            Some(_) => self.peek_behind(class, pos),
        }
    }

    fn peek_behind(&self, class: &Class, pos: usize) -> bool {
        char_before(self.text, pos).is_some_and(|(c, _)| class.has(c))
    }

    pub(super) fn step_back(&self, chars: u32, pos: usize) -> usize {
        let mut pos = pos;
        for _ in 0..chars {
            let Some((_, start)) = char_before(self.text, pos) else { return FAIL };
            pos = start;
        }
        pos
    }

    /// Of several groups of one name the later are tried first.
    pub(super) fn backref(&self, at: u32, pos: usize) -> usize {
        let backref = &self.program.backrefs[at as usize];
        for group in backref.groups.iter().rev() {
            let Some((start, end)) = self.scratch.group(*group as usize) else { continue };
            let Some(wanted) = self.text.get(start..end) else { continue };
            let found = if backref.ignore_case { self.same_folded(wanted, pos) } else { self.same(wanted, pos) };
            if found != FAIL {
                return found;
            }
        }
        FAIL
    }

    fn same(&self, wanted: &[u8], pos: usize) -> usize {
        if self.text[pos..].starts_with(wanted) { pos + wanted.len() } else { FAIL }
    }

    fn same_folded(&self, wanted: &[u8], pos: usize) -> usize {
        let (mut from, mut pos) = (0, pos);
        while let Some((left, next)) = char_at(wanted, from) {
            match char_at(self.text, pos) {
                Some((right, end)) if left == right || left.to_lowercase().eq(right.to_lowercase()) => pos = end,
                _ => return FAIL,
            }
            from = next;
        }
        pos
    }
}
