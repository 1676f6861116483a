//! The absent operator: `(?~X)` matches the longest text in which `X` is nowhere, and gives characters back like `.*`.
//!
//! Where each alternative of `X` has a length of its own, that can be said with look-behinds: a character may be taken when no `X` ends with it
//! that began within. How far back the operator began is known for its first characters only, so those are spelled out, each
//! with the alternatives that are not longer than what was taken; behind them any alternative fits in. An `X` of other kinds would have
//! to be tried at each place before one character is taken, and is refused.

use super::super::ast::{Look, Mode, Node};
use super::super::charset;

/// The longest alternative; as many characters are spelled out.
const LONGEST: u32 = 32;
/// The most alternatives, which are written down once for each of those characters.
const MOST: usize = 32;

/// What `(?~X)` is in other words; nothing when it can't be said.
pub(super) fn absent(body: Node) -> Option<Node> {
    let alternatives = match body {
        Node::Alt(alternatives) => alternatives,
        other => vec![other],
    };
    let lengths = alternatives.iter().map(length).collect::<Option<Vec<u32>>>()?;
    let longest = *lengths.iter().max()?;
    if alternatives.len() > MOST || longest > LONGEST {
        return None;
    }
    // One more character, and no alternative of up to `most` characters ends with it.
    let step = |most: u32| {
        let fitting = alternatives.iter().zip(&lengths).filter(|(_, length)| **length <= most);
        let fitting: Vec<Node> = fitting.map(|(node, _)| node.clone()).collect();
        let any = Node::Class(charset::all());
        if fitting.is_empty() {
            return vec![any];
        }
        vec![any, Node::Look { look: Look::NotBehind, body: Box::new(Node::alt(fitting)) }]
    };
    let rest = Node::repeat(Node::seq(step(longest)), 0, None, Mode::Greedy);
    Some((1..longest).rev().fold(rest, |rest, taken| {
        let mut first = step(taken);
        first.push(rest);
        Node::repeat(Node::seq(first), 0, Some(1), Mode::Greedy)
    }))
}

/// The length of an alternative that is text through and through. What is empty is everywhere, so nothing would match.
fn length(alternative: &Node) -> Option<u32> {
    let is_text =
        |node: &Node| matches!(node, Node::Literal(_) | Node::Class(_) | Node::Seq(_) | Node::Alt(_) | Node::Repeat(_));
    if alternative.any(&|node| !is_text(node)) {
        return None;
    }
    alternative.fixed_length().filter(|length| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::super::super::{Budget, Flags, Regex, Scratch};

    fn found(pattern: &str, text: &str) -> Option<String> {
        let regex = Regex::new(pattern, Flags::default()).unwrap();
        let mut scratch = Scratch::new();
        let found = regex.captures_at(text, 0, &mut scratch, Budget::UNLIMITED).unwrap();
        found.then(|| scratch.group(0)).flatten().map(|(start, end)| text[start..end].to_owned())
    }

    #[test]
    fn it_ends_before_what_is_absent_is_whole() {
        let cases = [
            ("(?~abc)", "xxabcxx", "xxab"),
            (r"/\*(?~\*/)\*/", "a /**/ b */", "/**/"),
            (r"/\*(?~\*/)\*/", "/*/ */ */", "/*/ */"),
            (r"/\*(?~\*/)\*/", "/* ä\n* */ */", "/* ä\n* */"),
            ("(?~ab|bcd)", "abcd", "a"),
            ("(?i:(?~END))", "the eNd", "the eN"),
            ("<(?~[<>])>", "<<a>>", "<a>"),
            ("(?~\\d{3})x", "12x123x", "12x"),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(found(pattern, text).as_deref(), Some(expected), "{pattern} on {text}");
        }
        assert_eq!(found(r"\A(?~ab|c)\z", "xab"), None);
    }

    /// Held against the definition: the longest beginning of the text that contains none of the words.
    #[test]
    fn it_matches_the_longest_text_without_it() {
        let texts: Vec<String> = (0..3_usize.pow(6))
            .map(|number| (0..6).map(|at| ['a', 'b', 'é'][number / 3_usize.pow(at) % 3]).collect())
            .collect();
        for words in [&["a"][..], &["ab"], &["aé", "b"], &["aab", "ba"], &["aba", "bb", "éaéa"], &["abab", "b"]] {
            let pattern = format!("(?~{})", words.join("|"));
            for text in &texts {
                let is_free = |end: &usize| !words.iter().any(|word| text[..*end].contains(word));
                let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                let longest = ends.filter(is_free).max().unwrap_or(0);
                assert_eq!(found(&pattern, text).as_deref(), Some(&text[..longest]), "{pattern} on {text}");
            }
        }
    }
}
