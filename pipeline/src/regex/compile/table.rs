//! Which branches can match on which symbol.

use super::super::program::{END, SYMBOLS};
use super::bytes::ByteSet;
use super::first::First;

/// In a choice's table: neither, the body, what follows, or both can match.
pub(super) const BODY: u8 = 1;
pub(super) const EXIT: u8 = 2;
pub(super) const BOTH: u8 = BODY | EXIT;

/// Beyond these a switch costs more memory than it saves time.
const MAX_BRANCHES: usize = 1000;
const MAX_LISTED: usize = 4000;

/// The lists of branches worth trying, and which of them goes with a symbol.
pub(super) struct Ways {
    pub(super) lists: Vec<Vec<usize>>,
    pub(super) of_symbol: [u16; SYMBOLS],
}

pub(super) fn can(first: &First, symbol: usize) -> bool {
    u8::try_from(symbol).map_or(first.end, |byte| first.bytes.has(byte))
}

/// `None` when there are too many branches for the tables to pay.
pub(super) fn ways(firsts: &[First]) -> Option<Ways> {
    if firsts.len() > MAX_BRANCHES {
        return None;
    }
    let alike = alike(firsts);
    let listed: usize = alike.iter().map(|symbols| symbols.branches.len()).sum();
    if listed > MAX_LISTED + 4 * firsts.len() {
        return None;
    }
    let mut of_symbol = [0; SYMBOLS];
    for (way, symbols) in (0..).zip(&alike) {
        symbols.bytes.iter().for_each(|byte| of_symbol[usize::from(byte)] = way);
        if symbols.end {
            of_symbol[END] = way;
        }
    }
    Some(Ways { lists: alike.into_iter().map(|symbols| symbols.branches).collect(), of_symbol })
}

/// Symbols on which the same branches can match.
struct Alike {
    bytes: ByteSet,
    end: bool,
    branches: Vec<usize>,
}

/// The symbols parted by the branches that can match on them, those with the lowest byte first. Each branch parts what those before it left together.
fn alike(firsts: &[First]) -> Vec<Alike> {
    let mut all = ByteSet::NONE;
    all.add(0..=255);
    let mut parts = vec![Alike { bytes: all, end: true, branches: Vec::new() }];
    for (branch, first) in firsts.iter().enumerate() {
        for at in 0..parts.len() {
            let part = &mut parts[at];
            let (inside, outside) = (part.bytes.and(first.bytes), part.bytes.without(first.bytes));
            let (end_inside, end_outside) = (part.end && first.end, part.end && !first.end);
            if inside.is_empty() && !end_inside {
                continue;
            }
            let others = part.branches.clone();
            part.branches.push(branch);
            if outside.is_empty() && !end_outside {
                continue;
            }
            (part.bytes, part.end) = (inside, end_inside);
            parts.push(Alike { bytes: outside, end: end_outside, branches: others });
        }
    }
    parts.sort_by_key(|part| part.bytes.first().map_or(END, usize::from));
    parts
}

/// The table of a choice between `body` and `exit`.
pub(super) fn choice(body: &First, exit: &First) -> [u8; SYMBOLS] {
    std::array::from_fn(|symbol| u8::from(can(body, symbol)) * BODY + u8::from(can(exit, symbol)) * EXIT)
}
