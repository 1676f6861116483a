//! What a match needs besides the program, owned by the caller so that matching allocates nothing once warm.

use super::program::Program;

/// The working memory of matches, and the groups of the last one. One for each thread is enough: any number of
/// patterns may use it in turn.
#[derive(Default)]
pub struct Scratch {
    pub(super) stack: Vec<Frame>,
    /// Two for each group, `UNSET` where it did not take part.
    pub(super) slots: Vec<u32>,
    pub(super) regs: Vec<u32>,
    pub(super) calls: Vec<CallFrame>,
    /// The registers as they were at each call.
    pub(super) call_regs: Vec<u32>,
    /// Memo points times positions, once memoisation is on.
    pub(super) seen: Vec<u64>,
    /// Steps of all matches so far.
    pub(super) spent: u64,
}

pub(super) const UNSET: u32 = u32::MAX;

/// What to do, or to undo, when the way taken turns out wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Frame {
    Branch {
        pc: u32,
        pos: u32,
    },
    /// A greedy run that may end anywhere from `low` to before `high`.
    Shorter {
        pc: u32,
        low: u32,
        high: u32,
    },
    /// A lazy run that may take up to `left` characters more.
    Longer {
        pc: u32,
        pos: u32,
        left: u32,
    },
    Slot {
        slot: u32,
        old: u32,
    },
    Reg {
        reg: u32,
        old: u32,
    },
    Mark {
        mark: u32,
        pos: u32,
    },
    MarkNot {
        after: u32,
        pos: u32,
    },
    Call {
        current: u32,
        len: u32,
    },
    /// All ways from this memo point, at these positions, have failed.
    Failed {
        memo: u32,
        from: u32,
        to: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CallFrame {
    pub(super) back: u32,
    pub(super) parent: u32,
}

impl Scratch {
    /// An empty scratch; it grows to what the patterns used with it need.
    pub fn new() -> Self {
        Self::default()
    }

    /// The steps of all matches so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Byte range of group `i` in the last successful `captures_at`, or `None` when it did not take part.
    pub fn group(&self, i: usize) -> Option<(usize, usize)> {
        let pair = self.slots.get(2 * i..2 * i + 2)?;
        (pair[0] != UNSET && pair[1] != UNSET).then_some((pair[0] as usize, pair[1] as usize))
    }

    pub(super) fn prepare(&mut self, program: &Program) {
        self.slots.clear();
        self.slots.resize(program.slots, UNSET);
        self.regs.clear();
        self.regs.resize(program.regs, UNSET);
        self.stack.clear();
        self.calls.clear();
        self.call_regs.clear();
    }
}
