//! Regular expressions as Ruby's Onigmo understands them, for grok, gsub and `=~`.
//!
//! Promises: what a pattern matches, and with which groups, is what Onigmo finds (leftmost, alternatives in order);
//! matching allocates nothing once its [`Scratch`] is warm; time is proportional to program times text unless
//! [`Regex::is_linear`] says no, and even then ends with the [`Budget`]. Texts of 4 GiB and more are not searched.
//!
//! Left out: the absent operator for texts of no fixed length, references to a recursion level, Unicode blocks, characters that
//! fold to several (`ß` apart), encodings but UTF-8.
//!
//! A pattern goes `parse` → `ast` → `simplify` → `compile` → `program`, which `exec` runs at the positions that
//! `prefilter` lets through.

mod ast;
mod charset;
mod compile;
mod exec;
mod parse;
mod prefilter;
mod program;
mod replacement;
mod scratch;
mod shared;
mod simplify;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use exec::{Machine, Outcome};
use prefilter::Prefilter;
use program::Program;
pub use replacement::Replacement;
pub use scratch::Scratch;

/// The flags in force at the start of a pattern, all off by default; `(?imx-imx)` changes them inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `i`: letters match in either case.
    pub ignore_case: bool,
    /// `m` in Ruby's sense: `.` matches newlines. grok sets it.
    pub multiline: bool,
    /// `x`: white space and `#` comments in the pattern mean nothing.
    pub extended: bool,
}

/// A compiled pattern.
pub struct Regex {
    pattern: String,
    program: Program,
    prefilter: Prefilter,
    names: Vec<(String, Vec<usize>)>,
    groups: usize,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexError {
    /// Where in the pattern, in bytes.
    pub offset: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {} of the pattern)", self.message, self.offset)
    }
}

impl std::error::Error for RegexError {}

/// A match was given up: its budget was used up before there was an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("matching took too long and was given up")
    }
}

impl std::error::Error for Overrun {}

/// How much work one match may cost, in steps: ways back taken, and sixteenths of the bytes run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    steps: u64,
}

impl Budget {
    /// Measured on `^(a+)+\1$` (45 000 to 65 000) and `(?:a|aa)*(c)?\1!` (25 000 to 33 000) on a machine with more
    /// work than cores; an idle one does about twice as many.
    const STEPS_PER_MILLI: u64 = 50_000;

    /// Steps for each byte that a linear pattern hardly ever needs.
    const STEPS_PER_BYTE: u64 = 300;

    /// No limit: for patterns that are linear, and for tests.
    pub const UNLIMITED: Budget = Budget { steps: u64::MAX };

    /// So many steps.
    pub const fn from_steps(steps: u64) -> Budget {
        Budget { steps }
    }

    /// How many steps.
    pub const fn steps(self) -> u64 {
        self.steps
    }

    /// About so many milliseconds; the clock is not read, so a loaded machine takes longer.
    pub const fn from_millis(millis: u64) -> Budget {
        Budget { steps: millis.saturating_mul(Self::STEPS_PER_MILLI) }
    }

    /// About a second, and what a linear pattern needs on a text of so many bytes: where no option says how long a match may take.
    pub const fn for_text(bytes: usize) -> Budget {
        let second = Self::from_millis(1000).steps;
        Budget { steps: second.saturating_add((bytes as u64).saturating_mul(Self::STEPS_PER_BYTE)) }
    }

    /// The budget for several matches together, from now on, all with this scratch.
    pub fn start(self, scratch: &Scratch) -> Allowance {
        Allowance { end: scratch.spent.saturating_add(self.steps) }
    }
}

/// What is left of a budget that several matches share.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    end: u64,
}

impl Allowance {
    /// The budget of the next match.
    pub fn left(self, scratch: &Scratch) -> Budget {
        if self.end == u64::MAX { Budget::UNLIMITED } else { Budget { steps: self.end.saturating_sub(scratch.spent) } }
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.pattern)
    }
}

impl Regex {
    /// Compiles `pattern`, which may be as long as its program stays of a sane size.
    pub fn new(pattern: &str, flags: Flags) -> Result<Regex, RegexError> {
        let parsed = parse::parse(pattern, flags)?;
        let node = simplify::simplify(parsed.node);
        let program = compile::compile(&node, parsed.groups)?;
        let prefilter = Prefilter::new(&node, &program);
        Ok(Regex { pattern: pattern.to_owned(), program, prefilter, names: parsed.names, groups: parsed.groups + 1 })
    }

    /// The same, shared with everybody who uses that pattern: long ones, as of grok, take memory and time to compile.
    pub fn shared(pattern: &str, flags: Flags) -> Result<Arc<Regex>, RegexError> {
        shared::get(pattern, flags)
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The number of groups, group 0 (the whole match) included.
    pub fn group_count(&self) -> usize {
        self.groups
    }

    /// Named groups in the order in which they first appear, each with the numbers of its groups.
    pub fn names(&self) -> &[(String, Vec<usize>)] {
        &self.names
    }

    /// Whether no text can take worse than linear time: no references, calls, conditions, large counted groups, and
    /// no loops without limit in look-arounds or in atomic groups that have ways to give back, `.*+` apart.
    pub fn is_linear(&self) -> bool {
        self.program.linear
    }

    /// Whether the pattern matches anywhere in `text`.
    pub fn is_match(&self, text: &str, scratch: &mut Scratch, budget: Budget) -> Result<bool, Overrun> {
        self.captures_at(text, 0, scratch, budget)
    }

    /// The byte range of the first match that starts at `start` or later.
    pub fn find_at(
        &self,
        text: &str,
        start: usize,
        scratch: &mut Scratch,
        budget: Budget,
    ) -> Result<Option<(usize, usize)>, Overrun> {
        Ok(if self.captures_at(text, start, scratch, budget)? { scratch.group(0) } else { None })
    }

    /// Searches from byte `start`, a character boundary; on success `scratch` holds the groups.
    pub fn captures_at(
        &self,
        text: &str,
        start: usize,
        scratch: &mut Scratch,
        budget: Budget,
    ) -> Result<bool, Overrun> {
        let bytes = text.as_bytes();
        if u32::try_from(bytes.len()).is_err() {
            return Err(Overrun);
        }
        let mut machine = Machine::new(&self.program, bytes, start, scratch, budget.steps);
        let found = self.search(&mut machine, text, start);
        let left = machine.left();
        scratch.spent = scratch.spent.saturating_add(budget.steps - left);
        found
    }

    fn search(&self, machine: &mut Machine<'_>, text: &str, start: usize) -> Result<bool, Overrun> {
        let bytes = text.as_bytes();
        let mut at = start;
        let mut last_start = None;
        while let Some(candidate) = self.prefilter.next(bytes, at, start) {
            match machine.attempt(candidate) {
                Outcome::Matched => return Ok(true),
                Outcome::Overrun => return Err(Overrun),
                Outcome::Failed => {}
            }
            // Most texts match at once, so what every match needs is looked for only now.
            let last = match last_start {
                Some(last) => last,
                None => match self.prefilter.last_start(bytes, candidate) {
                    Some(last) => *last_start.insert(last),
                    None => return Ok(false),
                },
            };
            at = after(text, candidate);
            if at > last {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// `text` with every match replaced, as `String#gsub`; `None` when nothing matched. The budget is for all matches together.
    pub fn replace_all(
        &self,
        text: &str,
        replacement: &Replacement,
        scratch: &mut Scratch,
        budget: Budget,
    ) -> Result<Option<String>, Overrun> {
        let mut out = String::new();
        let allowance = budget.start(scratch);
        let (mut copied, mut at, mut matched) = (0, 0, false);
        while at <= text.len() && self.captures_at(text, at, scratch, allowance.left(scratch))? {
            let Some((start, end)) = scratch.group(0) else { break };
            matched = true;
            out.push_str(&text[copied..start]);
            replacement.expand(self, text, scratch, &mut out);
            copied = end;
            // Behind an empty match the search moves on by a character, which is copied with what follows.
            at = if end == start { after(text, end) } else { end };
        }
        out.push_str(&text[copied..]);
        Ok(matched.then_some(out))
    }

    /// `text` as a pattern that matches just it.
    pub fn escape(text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\x0c' => out.push_str("\\f"),
                '\x0b' => out.push_str("\\v"),
                '.' | '*' | '?' | '+' | '^' | '$' | '|' | '\\' | '(' | ')' | '[' | ']' | '{' | '}' | '-' | '#'
                | ' ' => {
                    out.push('\\');
                    out.push(c);
                }
                _ => out.push(c),
            }
        }
        out
    }
}

/// The position behind the character at `at`, or behind the end.
fn after(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}
