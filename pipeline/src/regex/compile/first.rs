//! What can stand at the next position for a continuation to have a chance.
//!
//! The answers may be too wide, never too narrow: they decide which alternatives are skipped without being tried.

use super::super::ast::{Assert, Node};
use super::super::charset::{self, CharSet};
use super::super::program::leading_byte;
use super::bytes::ByteSet;

/// Bytes, and whether the end of the text is among the symbols.
pub(super) type Symbols = (ByteSet, bool);

/// The symbols a continuation can start with.
///
/// Bytes that never start a character are in none: a position chosen by one is a character boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct First {
    pub(super) bytes: ByteSet,
    /// It can succeed at the end of the text.
    pub(super) end: bool,
    /// It cannot fail, so there is no reason to try again with less.
    pub(super) accepts: bool,
    /// It asks for a word boundary right here.
    pub(super) boundary: bool,
}

impl First {
    pub(super) fn none() -> First {
        First { bytes: ByteSet::NONE, end: false, accepts: false, boundary: false }
    }

    pub(super) fn anything() -> First {
        let mut bytes = ByteSet::NONE;
        bytes.add(0..=0x7f);
        bytes.add(0xc0..=0xff);
        First { bytes, end: true, accepts: false, boundary: false }
    }

    pub(super) fn accepted() -> First {
        First { accepts: true, ..First::anything() }
    }

    pub(super) fn of_set(set: &CharSet) -> First {
        let mut first = First::none();
        for range in set.ranges() {
            first.add(u32::from(range.start()), u32::from(range.end()));
        }
        first
    }

    fn of_char(c: char) -> First {
        let mut first = First::none();
        first.add(u32::from(c), u32::from(c));
        first
    }

    fn add(&mut self, low: u32, high: u32) {
        // Leading bytes rise with the code point, so the range of them is exact or too wide at its gaps only.
        let (low, high) = (leading_byte(low), leading_byte(high));
        if low < 0x80 {
            self.bytes.add(low..=high.min(0x7f));
        }
        if high >= 0xc0 {
            self.bytes.add(low.max(0xc0)..=high);
        }
    }

    pub(super) fn or(mut self, other: &First) -> First {
        self.bytes = self.bytes.or(other.bytes);
        self.end |= other.end;
        self.accepts &= other.accepts;
        self.boundary &= other.boundary;
        self
    }

    fn keep_newline(mut self) -> First {
        let mut newline = ByteSet::NONE;
        newline.add(b'\n'..=b'\n');
        self.bytes = self.bytes.and(newline);
        self.accepts = false;
        self
    }

    /// Whether the continuation must fail wherever a character of `set` comes next; `between` says that another one
    /// came before.
    pub(super) fn fails_inside(&self, set: &CharSet, between: bool) -> bool {
        let apart = self.bytes.and(First::of_set(set).bytes).is_empty();
        apart || (between && self.boundary && charset::is_subset(set, charset::word()))
    }

    /// The symbols alone: what tables are made of.
    pub(super) fn symbols(&self) -> Symbols {
        (self.bytes, self.end)
    }

    pub(super) fn is_anything(&self) -> bool {
        self.end && self.bytes == First::anything().bytes
    }
}

/// What `node` and then `follow` can start with.
pub(super) fn first(node: &Node, follow: &First) -> First {
    match node {
        Node::Literal(text) => match text.chars().next() {
            Some(c) => First::of_char(c),
            None => *follow,
        },
        Node::Class(set) => First::of_set(set),
        Node::Seq(nodes) => first_of_sequence(nodes, follow),
        Node::Alt(branches) => branches
            .iter()
            .map(|branch| first(branch, follow))
            .reduce(|left, right| left.or(&right))
            .unwrap_or_else(First::none),
        Node::Repeat(repeat) if repeat.min == 0 => first(&repeat.body, follow).or(follow),
        Node::Repeat(repeat) => first(&repeat.body, follow),
        Node::Capture { body, .. } | Node::Atomic(body) => first(body, follow),
        Node::Condition { yes, no, .. } => first(yes, follow).or(&first(no, follow)),
        Node::Assert(assert) => after_assert(*assert, follow),
        Node::Look { .. } => First { accepts: false, boundary: false, ..*follow },
        Node::Backref { .. } | Node::Call(_) => First::anything(),
        Node::Empty | Node::Keep => *follow,
    }
}

/// What stands behind the first node that consumes something has no say.
fn first_of_sequence(nodes: &[Node], follow: &First) -> First {
    let end = nodes.iter().position(|node| !node.can_be_empty()).map_or(nodes.len(), |at| at + 1);
    nodes[..end].iter().rev().fold(*follow, |follow, node| first(node, &follow))
}

fn after_assert(assert: Assert, follow: &First) -> First {
    let follow = First { accepts: false, boundary: false, ..*follow };
    match assert {
        Assert::TextEnd => First { bytes: ByteSet::NONE, ..follow },
        Assert::TextEndNewline | Assert::LineEnd => follow.keep_newline(),
        Assert::Word => First { boundary: true, ..follow },
        _ => follow,
    }
}
