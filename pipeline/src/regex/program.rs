//! What a pattern is compiled to: instructions and the tables they point into.

use super::ast::Assert;
use super::charset::CharSet;

/// A table over what may stand at a position: the 256 bytes, then the end of the text.
pub(super) const SYMBOLS: usize = 257;
/// The symbol for the end of the text.
pub(super) const END: usize = 256;
/// No memo point: the instruction's outcome depends on more than its position.
pub(super) const NO_MEMO: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Inst {
    Match,
    Fail,
    Jump(u32),
    Byte(u8),
    Literal {
        at: u32,
        len: u32,
    },
    Class(u32),
    /// A class without members beyond ASCII.
    Ascii(u32),
    Span(u32),
    /// A span that is never given back, decided by each byte: without limit, or in ASCII.
    Run {
        span: u32,
        class: u32,
        least: u32,
    },
    RunAscii {
        span: u32,
        class: u32,
    },
    Choice(u32),
    /// Jumps by the next symbol, to an instruction that can match there.
    Switch(u32),
    Split {
        first: u32,
        second: u32,
        memo: u32,
    },
    Save(u32),
    /// `Save`, `Literal`, `Save`, and on behind the two instructions that follow.
    Between(u32),
    Assert(Assert),
    /// One character before or after this position, without consuming it.
    Peek {
        class: u32,
        ahead: bool,
        wanted: bool,
    },
    /// Goes back so many characters, for a look-behind.
    StepBack(u32),
    Mark(u32),
    /// Forgets the alternatives since the mark; `rewind` also returns to where the mark was set.
    Cut {
        mark: u32,
        rewind: bool,
    },
    MarkNot {
        after: u32,
    },
    FailNot,
    EmptyStart(u32),
    /// Leaves the loop when its body has consumed nothing.
    EmptyEnd {
        reg: u32,
        exit: u32,
    },
    CountStart(u32),
    Count(u32),
    Call(u32),
    Return,
    Open(u32),
    Close {
        reg: u32,
        group: u32,
    },
    Backref(u32),
    Condition {
        groups: u32,
        no: u32,
    },
}

#[derive(Default)]
pub(super) struct Program {
    pub(super) insts: Vec<Inst>,
    pub(super) literals: Vec<u8>,
    pub(super) classes: Vec<Class>,
    pub(super) spans: Vec<Span>,
    pub(super) choices: Vec<Choice>,
    /// For choices: bit 0, the body can match on this symbol; bit 1, what follows can.
    pub(super) tables: Vec<[u8; SYMBOLS]>,
    pub(super) switches: Vec<Switch>,
    pub(super) betweens: Vec<Between>,
    pub(super) counters: Vec<Counter>,
    pub(super) backrefs: Vec<Backref>,
    pub(super) conditions: Vec<Vec<u32>>,
    /// Which symbols a span's continuation can start with.
    pub(super) nexts: Vec<[bool; SYMBOLS]>,
    pub(super) slots: usize,
    pub(super) regs: usize,
    /// How many memo points there are.
    pub(super) memos: usize,
    /// Memoisation keeps it linear: no references, calls, conditions.
    pub(super) memoisable: bool,
    /// No construct is worse than linear.
    pub(super) linear: bool,
}

/// A set of characters, prepared for matching on UTF-8.
pub(super) struct Class {
    /// Bytes that a member can start with. For ASCII this is membership.
    pub(super) bytes: [bool; 256],
    pub(super) high: High,
}

/// The members of a class beyond ASCII.
pub(super) enum High {
    None,
    All,
    Ranges(Vec<(u32, u32)>),
}

/// A run of characters of one class.
pub(super) struct Span {
    pub(super) class: u32,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) mode: SpanMode,
    pub(super) scan: Scan,
    pub(super) next: Next,
    pub(super) memo: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanMode {
    Greedy,
    Lazy,
    /// As long as can be, and never shorter.
    Fixed,
}

/// How the end of a run is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Every character: the run ends with the text.
    All,
    /// Every character but this ASCII one, or these.
    Except(u8),
    Except2(u8, u8),
    Except3([u8; 3]),
    /// Membership is decided by each byte.
    Bytes,
    /// Characters beyond ASCII are decoded.
    Chars,
}

/// What must come after a run for it to be worth going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Any,
    Byte(u8),
    /// Index into `nexts`.
    Table(u32),
}

pub(super) struct Choice {
    pub(super) table: u32,
    pub(super) body: u32,
    pub(super) exit: u32,
    pub(super) lazy: bool,
    pub(super) memo: u32,
}

pub(super) struct Switch {
    pub(super) targets: Box<[u32; SYMBOLS]>,
    pub(super) memo: u32,
}

/// The end of a group, the text behind it, and the start of the next.
pub(super) struct Between {
    pub(super) close: u32,
    pub(super) literal: u32,
    pub(super) len: u32,
    pub(super) open: u32,
}

pub(super) struct Counter {
    pub(super) reg: u32,
    /// Holds where the current round began, to end rounds that consume nothing.
    pub(super) at: u32,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) lazy: bool,
    pub(super) body: u32,
}

pub(super) struct Backref {
    pub(super) groups: Vec<u32>,
    pub(super) ignore_case: bool,
}

impl Class {
    pub(super) fn new(set: &CharSet) -> Class {
        let mut bytes = [false; 256];
        let mut high = Vec::new();
        for range in set.ranges() {
            let (low, end) = (u32::from(range.start()), u32::from(range.end()));
            (low..=end.min(0x7f)).for_each(|c| bytes[c as usize] = true);
            if end >= 0x80 {
                high.push((low.max(0x80), end));
                let first = leading_byte(low.max(0x80));
                (first..=leading_byte(end)).for_each(|b| bytes[usize::from(b)] = true);
            }
        }
        let high = match high[..] {
            [] => High::None,
            [(0x80, 0x10_ffff)] => High::All,
            _ if covers_high(&high) => High::All,
            _ => High::Ranges(high),
        };
        if matches!(high, High::All) {
            bytes[0x80..].fill(true);
        }
        Class { bytes, high }
    }

    pub(super) fn scan(&self) -> Scan {
        if matches!(self.high, High::Ranges(_)) {
            return Scan::Chars;
        }
        let out: Vec<u8> = (0..=255u8).filter(|b| !self.bytes[usize::from(*b)]).collect();
        match out[..] {
            [] => Scan::All,
            [a] => Scan::Except(a),
            [a, b] => Scan::Except2(a, b),
            [a, b, c] => Scan::Except3([a, b, c]),
            _ => Scan::Bytes,
        }
    }

    pub(super) fn has(&self, c: char) -> bool {
        if c.is_ascii() {
            return self.bytes[c as usize];
        }
        match &self.high {
            High::None => false,
            High::All => true,
            High::Ranges(ranges) => in_ranges(ranges, u32::from(c)),
        }
    }
}

fn in_ranges(ranges: &[(u32, u32)], c: u32) -> bool {
    let at = ranges.partition_point(|&(_, high)| high < c);
    ranges.get(at).is_some_and(|&(low, _)| low <= c)
}

/// Whether the ranges hold every character from 0x80 on; the surrogates are no characters.
fn covers_high(ranges: &[(u32, u32)]) -> bool {
    matches!(ranges, [(0x80, 0xd7ff), (0xe000, 0x10_ffff)])
}

/// The first byte of the character's UTF-8 form.
pub(super) fn leading_byte(c: u32) -> u8 {
    let shifted = |bits: u32, mark: u32| u8::try_from((c >> bits) | mark).expect("a code point is below 0x110000");
    match c {
        0..=0x7f => shifted(0, 0),
        0x80..=0x7ff => shifted(6, 0xc0),
        0x800..=0xffff => shifted(12, 0xe0),
        _ => shifted(18, 0xf0),
    }
}
