//! The tree a pattern is parsed into, and the questions the compiler asks of it.
//!
//! Flags are resolved by the parser: a node carries its case folding and its `.` as plain sets. Positions in the
//! pattern are left out; what can be wrong with a pattern is found while it is parsed.

use std::borrow::Cow;

use super::charset::{self, CharSet};

/// One construct of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Empty,
    /// UTF-8 text, compared as it is.
    Literal(String),
    Class(CharSet),
    Seq(Vec<Node>),
    Alt(Vec<Node>),
    Repeat(Repeat),
    Capture {
        group: usize,
        body: Box<Node>,
    },
    Atomic(Box<Node>),
    Look {
        look: Look,
        body: Box<Node>,
    },
    Assert(Assert),
    /// The last of `groups` that has matched is the one compared.
    Backref {
        groups: Vec<usize>,
        ignore_case: bool,
    },
    Call(usize),
    Condition {
        groups: Vec<usize>,
        yes: Box<Node>,
        no: Box<Node>,
    },
    /// `\K`: the match is reported from here on.
    Keep,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repeat {
    pub(super) body: Box<Node>,
    pub(super) min: u32,
    /// `None` is without limit.
    pub(super) max: Option<u32>,
    pub(super) mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Greedy,
    Lazy,
    Possessive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Ahead,
    NotAhead,
    Behind,
    NotBehind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assert {
    TextStart,
    TextEnd,
    /// `\Z`: the end, or before a newline that ends the text.
    TextEndNewline,
    LineStart,
    LineEnd,
    SearchStart,
    Word,
    NotWord,
}

impl Node {
    pub(super) fn seq(mut nodes: Vec<Node>) -> Node {
        match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Seq(nodes),
        }
    }

    pub(super) fn alt(mut nodes: Vec<Node>) -> Node {
        if nodes.len() == 1 { nodes.remove(0) } else { Node::Alt(nodes) }
    }

    pub(super) fn repeat(body: Node, min: u32, max: Option<u32>, mode: Mode) -> Node {
        Node::Repeat(Repeat { body: Box::new(body), min, max, mode })
    }

    /// The set of characters, when the node always consumes exactly one.
    pub(super) fn single_char(&self) -> Option<Cow<'_, CharSet>> {
        match self {
            Node::Class(set) => Some(Cow::Borrowed(set)),
            Node::Literal(text) => lone_char(text).map(|c| Cow::Owned(charset::of_char(c))),
            _ => None,
        }
    }

    pub(super) fn is_single_char(&self) -> bool {
        match self {
            Node::Class(_) => true,
            Node::Literal(text) => lone_char(text).is_some(),
            _ => false,
        }
    }

    /// The direct children.
    pub(super) fn children(&self) -> Vec<&Node> {
        match self {
            Node::Seq(nodes) | Node::Alt(nodes) => nodes.iter().collect(),
            Node::Repeat(repeat) => vec![&repeat.body],
            Node::Capture { body, .. } | Node::Atomic(body) | Node::Look { body, .. } => vec![body],
            Node::Condition { yes, no, .. } => vec![yes, no],
            _ => Vec::new(),
        }
    }

    /// Whether `test` holds for this node or for one below it.
    pub(super) fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        test(self) || self.children().into_iter().any(|child| child.any(test))
    }

    /// Whether the node may match without consuming anything. Back-references and calls are taken to.
    pub(super) fn can_be_empty(&self) -> bool {
        match self {
            Node::Literal(text) => text.is_empty(),
            Node::Class(_) => false,
            Node::Seq(nodes) => nodes.iter().all(Node::can_be_empty),
            Node::Alt(nodes) => nodes.iter().any(Node::can_be_empty),
            Node::Repeat(repeat) => repeat.min == 0 || repeat.body.can_be_empty(),
            Node::Capture { body, .. } | Node::Atomic(body) => body.can_be_empty(),
            Node::Condition { yes, no, .. } => yes.can_be_empty() || no.can_be_empty(),
            _ => true,
        }
    }

    /// The number of characters consumed, when it is the same for every match.
    pub(super) fn fixed_length(&self) -> Option<u32> {
        match self {
            Node::Empty | Node::Look { .. } | Node::Assert(_) | Node::Keep => Some(0),
            Node::Literal(text) => u32::try_from(text.chars().count()).ok(),
            Node::Class(_) => Some(1),
            Node::Seq(nodes) => nodes.iter().try_fold(0u32, |sum, node| sum.checked_add(node.fixed_length()?)),
            Node::Alt(nodes) => same_length(nodes),
            Node::Repeat(repeat) if repeat.max == Some(repeat.min) => {
                repeat.body.fixed_length()?.checked_mul(repeat.min)
            }
            Node::Capture { body, .. } | Node::Atomic(body) => body.fixed_length(),
            _ => None,
        }
    }
}

fn lone_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

fn same_length(nodes: &[Node]) -> Option<u32> {
    let first = nodes.first()?.fixed_length()?;
    nodes.iter().all(|node| node.fixed_length() == Some(first)).then_some(first)
}
