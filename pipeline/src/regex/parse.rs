//! Pattern text to tree, in the syntax that Ruby's Onigmo reads.
//!
//! A pattern in which the groups and their names decide something (a plain group does not capture beside named ones, a
//! reference leads to one) is read twice: the first reading finds them. Left out, and refused with a clear message:
//! the absent operator with anything but texts of fixed lengths, references to a recursion level, `\M-x`, Unicode blocks.

mod absent;
mod class;
mod escape;
mod group;

use super::RegexError;
use super::ast::{Assert, Look, Mode, Node};
use super::charset;

/// Nesting beyond this is refused, so that no pattern can exhaust the stack.
const MAX_DEPTH: usize = 200;
/// Quantifiers on one item, as in `a+*?`; each nests the tree once more.
const MAX_STACKED: usize = 8;
/// Onigmo's own limit on `{n}`.
const MAX_REPEAT: u32 = 100_000;

type Result<T> = std::result::Result<T, RegexError>;

/// What a pattern says.
pub(super) struct Parsed {
    pub(super) node: Node,
    /// Capturing groups, without group 0.
    pub(super) groups: usize,
    pub(super) names: Vec<(String, Vec<usize>)>,
}

/// Reads `pattern` with `flags` in force from its start.
pub(super) fn parse(pattern: &str, flags: super::Flags) -> Result<Parsed> {
    let (node, scouted) = read(pattern, flags, Known::default())?;
    let named = !scouted.names.is_empty();
    let groups = if named { scouted.named } else { scouted.plain };
    let decided = scouted.refers || (named && scouted.plain > 0);
    if !decided {
        return Ok(Parsed { node, groups, names: scouted.names });
    }
    let known = Known { groups, names: scouted.names, complete: true };
    let (node, found) = read(pattern, flags, known)?;
    Ok(Parsed { node, groups, names: found.names })
}

/// The groups of the whole pattern, as the first reading found them.
#[derive(Default)]
struct Known {
    groups: usize,
    names: Vec<(String, Vec<usize>)>,
    complete: bool,
}

/// The groups met so far.
#[derive(Default)]
struct Found {
    plain: usize,
    named: usize,
    names: Vec<(String, Vec<usize>)>,
    /// There are references, calls or conditions.
    refers: bool,
}

#[derive(Clone, Copy)]
struct Modes {
    ignore_case: bool,
    dot_all: bool,
    extended: bool,
    /// `(?a)`: POSIX brackets know ASCII only.
    ascii: bool,
    /// `(?u)`: `\w`, `\d`, `\s` know Unicode.
    unicode: bool,
}

struct Parser<'a> {
    pattern: &'a str,
    at: usize,
    modes: Modes,
    depth: usize,
    /// Inside a look-behind, where `ß` must keep its length.
    in_behind: bool,
    known: Known,
    found: Found,
}

fn read(pattern: &str, flags: super::Flags, known: Known) -> Result<(Node, Found)> {
    let modes = Modes {
        ignore_case: flags.ignore_case,
        dot_all: flags.multiline,
        extended: flags.extended,
        ascii: false,
        unicode: false,
    };
    let mut parser = Parser { pattern, at: 0, modes, depth: 0, in_behind: false, known, found: Found::default() };
    let node = parser.alternation()?;
    if parser.at < pattern.len() {
        return Err(parser.error("unmatched close parenthesis"));
    }
    Ok((node, parser.found))
}

impl Parser<'_> {
    fn error(&self, message: impl Into<String>) -> RegexError {
        self.error_at(self.at, message)
    }

    fn error_at(&self, offset: usize, message: impl Into<String>) -> RegexError {
        RegexError { offset: offset.min(self.pattern.len()), message: message.into() }
    }

    fn rest(&self) -> &str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn alternation(&mut self) -> Result<Node> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH} levels, split the pattern")));
        }
        self.depth += 1;
        let mut branches = vec![self.sequence()?];
        while self.accept("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(Node::alt(branches))
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        // A plain `s` just before may turn out to be half of what `ß` folds to.
        let mut after_s = false;
        loop {
            self.skip_trivia()?;
            match self.peek() {
                None | Some('|' | ')') => return Ok(Node::seq(nodes)),
                Some(c) => {
                    let start = self.at;
                    let node = self.item()?;
                    let is_s = matches!(c, 's' | 'S') && self.at == start + 1 && self.folds_to_several();
                    push_folded(&mut nodes, node, after_s && is_s);
                    after_s = is_s && !after_s;
                }
            }
        }
    }

    fn folds_to_several(&self) -> bool {
        self.modes.ignore_case && !self.in_behind
    }

    /// White space and comments of extended mode, and `(?#...)` in any.
    fn skip_trivia(&mut self) -> Result<()> {
        loop {
            let start = self.at;
            if self.accept("(?#") {
                self.skip_comment(start)?;
            }
            if self.modes.extended {
                self.skip_extended();
            }
            if self.at == start {
                return Ok(());
            }
        }
    }

    fn skip_comment(&mut self, start: usize) -> Result<()> {
        while let Some(c) = self.next() {
            match c {
                ')' => return Ok(()),
                '\\' => drop(self.next()),
                _ => {}
            }
        }
        Err(self.error_at(start, "comment group has no end, add `)`"))
    }

    fn skip_extended(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t'..='\r' => self.at += 1,
                '#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                _ => return,
            }
        }
    }

    /// One atom with its quantifiers.
    fn item(&mut self) -> Result<Node> {
        let mut node = self.atom()?;
        for _ in 0..MAX_STACKED {
            self.skip_trivia()?;
            let Some((min, max, mode)) = self.quantifier()? else { return Ok(node) };
            node = Node::repeat(node, min, max, mode);
        }
        Err(self.error(format!("more than {MAX_STACKED} quantifiers on one item")))
    }

    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>, Mode)>> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.interval(),
            _ => return Ok(None),
        };
        self.at += 1;
        let mode = match self.peek() {
            Some('?') => Mode::Lazy,
            Some('+') => Mode::Possessive,
            _ => return Ok(Some((min, max, Mode::Greedy))),
        };
        self.at += 1;
        Ok(Some((min, max, mode)))
    }

    /// `{n}`, `{n,}`, `{,m}`, `{n,m}`; anything else in braces is literal text.
    ///
    /// A `+` behind an interval repeats it once more, and `{n}?` makes it optional: neither is a mode in Ruby.
    fn interval(&mut self) -> Result<Option<(u32, Option<u32>, Mode)>> {
        let Some(inner) = self.rest()[1..].split_once('}').map(|(inner, _)| inner.to_owned()) else { return Ok(None) };
        let (low, high) = inner.split_once(',').map_or((inner.as_str(), None), |(low, high)| (low, Some(high)));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(low) || !digits(high.unwrap_or("")) || (low.is_empty() && high.unwrap_or("").is_empty()) {
            return Ok(None);
        }
        let min = if low.is_empty() { 0 } else { self.count(low)? };
        let max = match high {
            None => Some(min),
            Some("") => None,
            Some(high) => Some(self.count(high)?),
        };
        if max.is_some_and(|max| max < min) {
            return Err(self.error(format!("repeat range {{{inner}}} ends below its start")));
        }
        self.at += inner.len() + 2;
        let lazy = high.is_some() && self.accept("?");
        Ok(Some((min, max, if lazy { Mode::Lazy } else { Mode::Greedy })))
    }

    fn count(&self, digits: &str) -> Result<u32> {
        let count = digits.parse().ok().filter(|count| *count <= MAX_REPEAT);
        count.ok_or_else(|| self.error(format!("repeat count {digits} is above {MAX_REPEAT}")))
    }

    fn atom(&mut self) -> Result<Node> {
        let start = self.at;
        // A brace that starts an interval here has nothing to repeat; otherwise it is a literal brace.
        if self.quantifier()?.is_some() {
            return Err(self.error_at(start, "target of repeat operator is not specified"));
        }
        match self.next().expect("the caller has peeked at a character") {
            '.' if self.modes.dot_all => Ok(Node::Class(charset::all())),
            '.' => Ok(Node::Class(charset::not(charset::of_char('\n')))),
            '^' => Ok(Node::Assert(Assert::LineStart)),
            '$' => Ok(Node::Assert(Assert::LineEnd)),
            '[' => Ok(Node::Class(self.class(start)?)),
            '(' => self.group(start),
            '\\' => self.escape(start),
            c => Ok(self.literal(c)),
        }
    }

    fn literal(&self, c: char) -> Node {
        if !self.modes.ignore_case {
            return Node::Literal(c.to_string());
        }
        let folded = charset::fold(charset::of_char(c));
        if folded.ranges().len() == 1 && folded == charset::of_char(c) {
            return Node::Literal(c.to_string());
        }
        if matches!(c, 'ß' | 'ẞ') && self.folds_to_several() {
            return sharp_s();
        }
        Node::Class(folded)
    }

    /// A look-behind must know how far to step back: each alternative at its top has one length.
    fn check_behind(&self, start: usize, look: Look, body: &Node) -> Result<()> {
        let branches = if let Node::Alt(branches) = body { branches.as_slice() } else { std::slice::from_ref(body) };
        let fixed = branches.iter().all(|branch| branch.fixed_length().is_some());
        let foreign = body.any(&|node| match node {
            Node::Look { look, .. } => matches!(look, Look::Ahead | Look::NotAhead),
            Node::Capture { .. } => look == Look::NotBehind,
            _ => false,
        });
        if fixed && !foreign {
            return Ok(());
        }
        Err(self.error_at(start, "invalid pattern in look-behind, each alternative needs one fixed length"))
    }
}

fn push_folded(nodes: &mut Vec<Node>, node: Node, second_s: bool) {
    match (nodes.last_mut(), node) {
        (Some(last), node) if second_s && *last == node => *last = sharp_s(),
        (Some(Node::Literal(text)), Node::Literal(more)) => text.push_str(&more),
        (_, node) => nodes.push(node),
    }
}

/// What `ß` and `ss` match when case is ignored.
fn sharp_s() -> Node {
    let s = Node::Class(charset::fold(charset::of_char('s')));
    Node::Alt(vec![Node::Seq(vec![s.clone(), s]), Node::Class(charset::of_ranges(&[('ß', 'ß'), ('ẞ', 'ẞ')]))])
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, Regex};

    fn refusal(pattern: &str) -> String {
        let error = Regex::new(pattern, Flags::default()).err().unwrap_or_else(|| panic!("{pattern} is accepted"));
        format!("{}: {}", error.offset, error.message)
    }

    #[test]
    fn refusals_name_the_place_and_the_reason() {
        let cases = [
            ("a)", "1: unmatched close parenthesis"),
            ("(a", "0: group has no end, add `)`"),
            ("*a", "0: target of repeat operator is not specified"),
            ("{2}a", "0: target of repeat operator is not specified"),
            ("a{3,1}", "1: repeat range {3,1} ends below its start"),
            ("a{100001}", "1: repeat count 100001 is above 100000"),
            ("[a", "0: character class has no end, add `]`"),
            ("[]", "0: character class is empty"),
            ("[z-a]", "1: range z-a in the character class is empty"),
            ("\\", "0: pattern ends in the middle of an escape"),
            ("\\x{e9}", "0: `\\x` needs one or two hex digits, write \\u{...} for a code point"),
            ("\\xe9", "0: \\xE9 is not a whole UTF-8 character, write \\u{...} for a code point"),
            ("\\u12", "0: `\\u` needs four hex digits or \\u{...}"),
            ("(a)\\2", "3: reference to group 2, which does not exist"),
            ("(?<n>a)\\1", "7: numbered reference beside named groups, use \\k<name>"),
            ("\\k<n>", "0: reference to group `n`, which does not exist"),
            ("(?<n>a)\\k<n+0>", "7: references to a recursion level, as `n+0`, are not supported"),
            (
                "(?~a+b)",
                "0: the absent operator `(?~X)` takes texts of fixed lengths only; write `(?:(?!X).)*`, which ends where X begins",
            ),
            ("(?<=a+)b", "0: invalid pattern in look-behind, each alternative needs one fixed length"),
            ("(?<a>\\g<a>)", "0: group 1 calls itself without end"),
            ("\\p{Klingon}", "0: unknown character property `Klingon`"),
            ("[[:letters:]]", "1: unknown POSIX bracket `letters`"),
            ("(?<>a)", "0: group name is empty"),
            ("(?<1>a)", "0: group name `1` starts with a digit or `-`"),
            ("(?y)", "0: unknown group option `y`"),
        ];
        for (pattern, message) in cases {
            assert_eq!(refusal(pattern), message, "{pattern}");
        }
    }

    #[test]
    fn nesting_is_limited() {
        for open in ["(", "(?:", "(?i)", "[", "(?=", "(?>"] {
            assert!(Regex::new(&open.repeat(100_000), Flags::default()).is_err(), "{open}");
        }
        assert!(Regex::new(&format!("{}a{}", "(?:".repeat(150), ")".repeat(150)), Flags::default()).is_ok());
        assert!(Regex::new(&format!("a{}", "+*".repeat(1000)), Flags::default()).is_err());
        for (open, close) in
            [("(?:", ")+*?*+*"), ("(?:b|", "c|d)*{2}"), ("(?=", "x)*"), ("(", "|)*+"), ("(?>b|", ")?x")]
        {
            for depth in [100, 190, 199] {
                let nested = format!("{}a{}", open.repeat(depth), close.repeat(depth));
                if let Ok(regex) = Regex::new(&nested, Flags::default()) {
                    let budget = super::super::Budget::from_steps(1000);
                    let _ = regex.is_match("aaaaaaaaaab", &mut super::super::Scratch::new(), budget);
                }
            }
        }
    }
}
