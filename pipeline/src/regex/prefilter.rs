//! Where a match can start at all, found without running the program.

use memchr::memmem;

use super::ast::{Assert, Mode, Node};
use super::compile::start_bytes;
use super::{charset, program::Program};

/// A table that lets through more bytes than this saves too little.
const MAX_START_BYTES: usize = 200;

/// What is known about every match of a pattern.
pub(super) struct Prefilter {
    start: Start,
    /// Text that every match contains.
    required: Option<memmem::Finder<'static>>,
    last_required: Option<memmem::FinderRev<'static>>,
}

enum Start {
    Anywhere,
    /// `\A`.
    Text,
    /// `\G`, or a leading `.*` that would have found any later start too.
    Search,
    /// `^`.
    Line,
    Bytes(Vec<u8>),
    Table(Box<[bool; 256]>),
    Literal(Box<memmem::Finder<'static>>),
}

impl Prefilter {
    pub(super) fn new(node: &Node, program: &Program) -> Prefilter {
        let required = required(node);
        Prefilter {
            start: start(node, program),
            last_required: required.map(|text| memmem::FinderRev::new(text).into_owned()),
            required: required.map(|text| memmem::Finder::new(text).into_owned()),
        }
    }

    /// The first position from `at` on where a match can start, in a search that began at `from`.
    pub(super) fn next(&self, text: &[u8], at: usize, from: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        match &self.start {
            Start::Anywhere => Some(at),
            Start::Text => (at == 0).then_some(0),
            Start::Search => (at == from).then_some(at),
            Start::Line if at == 0 || text[at - 1] == b'\n' => Some(at),
            Start::Line => memchr::memchr(b'\n', rest).map(|found| at + found + 1),
            Start::Bytes(bytes) => find_byte(bytes, rest).map(|found| at + found),
            Start::Table(table) => rest.iter().position(|byte| table[usize::from(*byte)]).map(|found| at + found),
            Start::Literal(finder) => finder.find(rest).map(|found| at + found),
        }
    }

    /// The last start that can still contain the required text, after an attempt at `at` has failed.
    pub(super) fn last_start(&self, text: &[u8], at: usize) -> Option<usize> {
        let Some(finder) = &self.required else { return Some(text.len()) };
        finder.find(&text[at..])?;
        let last = self.last_required.as_ref()?.rfind(&text[at..])?;
        Some(at + last)
    }
}

fn find_byte(bytes: &[u8], text: &[u8]) -> Option<usize> {
    match *bytes {
        [a] => memchr::memchr(a, text),
        [a, b] => memchr::memchr2(a, b, text),
        [a, b, c] => memchr::memchr3(a, b, c, text),
        _ => None,
    }
}

fn start(node: &Node, program: &Program) -> Start {
    if program.memoisable && runs_to_the_end(node) {
        return Start::Search;
    }
    match head(node) {
        Node::Assert(Assert::TextStart) => return Start::Text,
        Node::Assert(Assert::SearchStart) => return Start::Search,
        Node::Assert(Assert::LineStart) => return Start::Line,
        Node::Literal(text) if text.len() > 1 => {
            return Start::Literal(Box::new(memmem::Finder::new(text).into_owned()));
        }
        _ => {}
    }
    let Some(table) = start_bytes(node) else { return Start::Anywhere };
    let bytes: Vec<u8> = (0..=255u8).filter(|byte| table[usize::from(*byte)]).collect();
    match bytes.len() {
        1..=3 => Start::Bytes(bytes),
        count if count > MAX_START_BYTES => Start::Anywhere,
        _ => Start::Table(Box::new(table)),
    }
}

/// Whether the pattern begins with `.*` over everything, free to give back: what a later start finds, it finds too.
fn runs_to_the_end(node: &Node) -> bool {
    match node {
        Node::Seq(nodes) => nodes.first().is_some_and(runs_to_the_end),
        Node::Capture { body, .. } => runs_to_the_end(body),
        Node::Repeat(repeat) => {
            let free = repeat.mode != Mode::Possessive && repeat.max.is_none();
            free && repeat.body.single_char().is_some_and(|set| *set == charset::all())
        }
        _ => false,
    }
}

/// What every match begins with.
fn head(node: &Node) -> &Node {
    match node {
        Node::Seq(nodes) => nodes.first().map_or(node, head),
        Node::Capture { body, .. } | Node::Atomic(body) => head(body),
        other => other,
    }
}

/// The longest literal that every match goes through.
fn required(node: &Node) -> Option<&str> {
    match node {
        Node::Literal(text) => Some(text),
        Node::Seq(nodes) => nodes.iter().filter_map(required).max_by_key(|text| text.len()),
        Node::Capture { body, .. } | Node::Atomic(body) => required(body),
        Node::Repeat(repeat) if repeat.min > 0 => required(&repeat.body),
        _ => None,
    }
}
