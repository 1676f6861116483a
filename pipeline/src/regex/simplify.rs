//! Rewrites a tree into one that matches the same and runs faster.
//!
//! Literals are joined, alternatives of single characters become a class, and alternatives that begin alike are
//! factored: `hex{1,4}:a|hex{1,4}:b` tries its beginning once. Only beginnings that match in one way are shared, so
//! the order in which alternatives are tried stays what it was.

use std::borrow::Cow;

use super::ast::{Mode, Node, Repeat};
use super::charset::{self, CharSet};

/// Factoring nests the tree; beyond this depth it is not worth the stack.
const MAX_FACTORING: usize = 24;

pub(super) fn simplify(node: Node) -> Node {
    match node {
        Node::Seq(nodes) => sequence(nodes.into_iter().map(simplify)),
        Node::Alt(branches) => alternation(branches.into_iter().map(simplify), 0),
        Node::Repeat(repeat) => repeated(repeat),
        Node::Capture { group, body } => Node::Capture { group, body: Box::new(simplify(*body)) },
        Node::Atomic(body) => atomic(simplify(loosen(*body))),
        Node::Look { look, body } => Node::Look { look, body: Box::new(look_body(*body)) },
        Node::Condition { groups, yes, no } => {
            Node::Condition { groups, yes: Box::new(simplify(*yes)), no: Box::new(simplify(*no)) }
        }
        Node::Class(set) => lone_char(&set).map_or(Node::Class(set), |c| Node::Literal(c.into())),
        other => other,
    }
}

/// Alternatives of several lengths stay apart: a look-behind steps back for each by its own.
fn look_body(body: Node) -> Node {
    match body {
        Node::Alt(branches) if Node::Alt(branches.clone()).fixed_length().is_none() => {
            Node::Alt(branches.into_iter().map(simplify).collect())
        }
        other => simplify(other),
    }
}

fn lone_char(set: &CharSet) -> Option<char> {
    match set.ranges() {
        [range] if range.start() == range.end() => Some(range.start()),
        _ => None,
    }
}

/// What ends an atomic group need not be atomic itself: the outer group cuts off the same ways back.
fn loosen(node: Node) -> Node {
    match node {
        Node::Atomic(body) => loosen(*body),
        Node::Alt(branches) => Node::Alt(branches.into_iter().map(loosen).collect()),
        Node::Seq(mut nodes) => {
            let last = nodes.pop().map(loosen);
            nodes.extend(last);
            Node::Seq(nodes)
        }
        Node::Repeat(repeat) if repeat.mode == Mode::Possessive => {
            Node::Repeat(Repeat { mode: Mode::Greedy, ..repeat })
        }
        other => other,
    }
}

fn atomic(body: Node) -> Node {
    if matches!(body, Node::Empty | Node::Literal(_) | Node::Class(_) | Node::Atomic(_)) {
        return body;
    }
    Node::Atomic(Box::new(body))
}

fn sequence(nodes: impl IntoIterator<Item = Node>) -> Node {
    let mut flat = Vec::new();
    for node in nodes {
        append(&mut flat, node);
    }
    Node::seq(flat)
}

fn append(flat: &mut Vec<Node>, node: Node) {
    match (flat.last_mut(), node) {
        (_, Node::Empty) => {}
        (_, Node::Seq(nodes)) => nodes.into_iter().for_each(|node| append(flat, node)),
        (Some(Node::Literal(text)), Node::Literal(more)) => text.push_str(&more),
        (_, node) => flat.push(node),
    }
}

fn repeated(repeat: Repeat) -> Node {
    let Repeat { body, min, max, mode } = repeat;
    let body = simplify(*body);
    match (min, max) {
        (_, Some(0)) => return Node::Empty,
        (1, Some(1)) if mode != Mode::Possessive => return body,
        _ => {}
    }
    match body {
        Node::Empty => Node::Empty,
        Node::Repeat(inner) if is_simple_loop(&inner) && mode == Mode::Greedy && max.is_none() && min <= 1 => {
            Node::Repeat(Repeat { min: min * inner.min, ..inner })
        }
        body => Node::repeat(body, min, max, mode),
    }
}

/// `a*` or `a+` of one character: `(?:a+)*` around it is `a*`.
fn is_simple_loop(repeat: &Repeat) -> bool {
    repeat.mode == Mode::Greedy && repeat.max.is_none() && repeat.min <= 1 && repeat.body.is_single_char()
}

fn alternation(branches: impl IntoIterator<Item = Node>, depth: usize) -> Node {
    let mut flat = Vec::new();
    for branch in branches {
        match branch {
            Node::Alt(inner) => inner.into_iter().for_each(|node| append_branch(&mut flat, node)),
            other => append_branch(&mut flat, other),
        }
    }
    if depth < MAX_FACTORING {
        flat = factor(flat, depth);
    }
    Node::alt(flat)
}

fn append_branch(flat: &mut Vec<Node>, branch: Node) {
    let both = flat.last().and_then(Node::single_char).zip(branch.single_char());
    if let Some((last, set)) = both {
        let joined = Node::Class(charset::or(last.into_owned(), &set));
        flat.pop();
        flat.push(joined);
        return;
    }
    flat.push(branch);
}

fn factor(branches: Vec<Node>, depth: usize) -> Vec<Node> {
    let mut factored = Vec::new();
    let mut rest = branches.into_iter().peekable();
    while let Some(branch) = rest.next() {
        let mut alike = vec![branch];
        while let Some(next) = rest.next_if(|next| may_share(&alike[0], next) && unit(next) == unit(&alike[0])) {
            alike.push(next);
        }
        match split_several(&alike) {
            Some((unit, tails)) => factored.push(shared(unit, tails, depth)),
            None => factored.append(&mut alike),
        }
    }
    factored
}

/// Whether two branches can begin with the same unit at all, told by their first characters: most differ there, and units are made of copies.
fn may_share(one: &Node, other: &Node) -> bool {
    match (head(one), head(other)) {
        (Node::Literal(one), Node::Literal(other)) => one.chars().next() == other.chars().next(),
        (Node::Class(one), Node::Class(other)) => one == other,
        (Node::Repeat(_), Node::Repeat(_)) => true,
        // The first round of a repeat is a unit, too.
        (Node::Repeat(repeat), node) | (node, Node::Repeat(repeat)) => may_share(&repeat.body, node),
        _ => false,
    }
}

fn head(node: &Node) -> &Node {
    match node {
        Node::Seq(nodes) => nodes.first().map_or(node, head),
        other => other,
    }
}

/// The first part of `split_unit`, without a copy of the rest.
fn unit(node: &Node) -> Option<Node> {
    match node {
        Node::Literal(text) => text.chars().next().map(|first| Node::Literal(first.into())),
        Node::Class(_) => Some(node.clone()),
        Node::Seq(nodes) => unit_of_sequence(nodes),
        Node::Repeat(repeat) => repeats_a_unit(repeat).then(|| unit(&repeat.body))?,
        _ => None,
    }
}

fn unit_of_sequence(nodes: &[Node]) -> Option<Node> {
    let (first, rest) = nodes.split_first()?;
    let Some(set) = run(first).filter(|_| !rest.is_empty()) else { return unit(first) };
    let stop = if let [only] = rest { unit(only)? } else { unit_of_sequence(rest)? };
    let exclusive = charset::is_disjoint(&set, &*stop.single_char()?);
    exclusive.then(|| Node::Seq(vec![first.clone(), stop]))
}

/// The characters of a run.
fn run(node: &Node) -> Option<Cow<'_, CharSet>> {
    match node {
        Node::Repeat(repeat) => repeat.body.single_char(),
        _ => None,
    }
}

fn repeats_a_unit(repeat: &Repeat) -> bool {
    repeat.min > 0 && repeat.mode == Mode::Greedy && !repeat.body.is_single_char()
}

/// The unit that all of several begin with, and what is left of each.
fn split_several(branches: &[Node]) -> Option<(Node, Vec<Node>)> {
    if branches.len() == 1 {
        return None;
    }
    let split: Vec<(Node, Node)> = branches.iter().map(split_unit).collect::<Option<_>>()?;
    let (units, tails): (Vec<Node>, Vec<Node>) = split.into_iter().unzip();
    Some((units.into_iter().next()?, tails))
}

/// `unit` and whatever more the tails begin with alike, then the rest as alternatives.
fn shared(unit: Node, mut tails: Vec<Node>, depth: usize) -> Node {
    let mut head = vec![unit];
    while let Some(split) = tails.iter().map(split_unit).collect::<Option<Vec<_>>>()
        && split.iter().all(|(unit, _)| *unit == split[0].0)
    {
        head.push(split[0].0.clone());
        tails = split.into_iter().map(|(_, tail)| tail).collect();
    }
    head.push(alternation(tails, depth + 1));
    sequence(head)
}

/// Parts `node` into a beginning that matches in at most one way, and the rest.
fn split_unit(node: &Node) -> Option<(Node, Node)> {
    match node {
        Node::Literal(text) => {
            let first = text.chars().next()?;
            let rest = &text[first.len_utf8()..];
            let rest = if rest.is_empty() { Node::Empty } else { Node::Literal(rest.into()) };
            Some((Node::Literal(first.into()), rest))
        }
        Node::Class(_) => Some((node.clone(), Node::Empty)),
        Node::Seq(nodes) => split_sequence(nodes),
        Node::Repeat(repeat) => split_repeat(repeat),
        _ => None,
    }
}

fn split_sequence(nodes: &[Node]) -> Option<(Node, Node)> {
    let (first, rest) = nodes.split_first()?;
    let rest = Node::seq(rest.to_vec());
    let Some(set) = run(first) else {
        let (unit, tail) = split_unit(first)?;
        return Some((unit, sequence([tail, rest])));
    };
    let (stop, tail) = split_unit(&rest)?;
    let exclusive = charset::is_disjoint(&set, &*stop.single_char()?);
    exclusive.then(|| (Node::Seq(vec![first.clone(), stop]), tail))
}

/// The first round of a loop that has at least one.
fn split_repeat(repeat: &Repeat) -> Option<(Node, Node)> {
    if !repeats_a_unit(repeat) {
        return None;
    }
    let (unit, tail) = split_unit(&repeat.body)?;
    let more = Repeat { min: repeat.min - 1, max: repeat.max.map(|max| max - 1), ..repeat.clone() };
    let more = match (more.min, more.max) {
        (_, Some(0)) => Node::Empty,
        (1, Some(1)) => *more.body,
        _ => Node::Repeat(more),
    };
    Some((unit, sequence([tail, more])))
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, parse};
    use super::*;

    fn simple(pattern: &str) -> Node {
        simplify(parse::parse(pattern, Flags::default()).unwrap().node)
    }

    #[test]
    fn equal_beginnings_are_tried_once() {
        assert_eq!(simple("abc|abd|x"), simple("ab[cd]|x"));
        assert_eq!(simple("[0-9]+:a|[0-9]+:bb"), simple("[0-9]+:(?:a|bb)"));
        assert_eq!(simple("(?:ab){2}c|(?:ab){1}d"), simple("ab(?:abc|d)"));
    }

    #[test]
    fn beginnings_that_match_in_several_ways_stay() {
        assert!(matches!(simple("[0-9]+1a|[0-9]+1b"), Node::Alt(branches) if branches.len() == 2));
    }

    #[test]
    fn a_loop_of_a_loop_is_one() {
        assert_eq!(simple("(?:a+)*"), simple("a*"));
        assert_eq!(simple("(?:a+)+"), simple("a+"));
    }
}
