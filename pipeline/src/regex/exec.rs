//! Runs a program on a text: backtracking over bytes, leftmost-first as Onigmo.
//!
//! A run starts plain. When it has taken more steps than a well-behaved pattern would, it goes on with memoisation:
//! a memo point that has failed at a position is not tried there again, and time becomes
//! proportional to program times text. Patterns whose state is more than a position (references, calls, counters)
//! are not memoised, and are ended by the budget.

mod back;
pub(super) mod memo;
pub(super) mod peek;
mod span;

use super::ast::Assert;
use super::program::{END, Inst, NO_MEMO, Program, SYMBOLS};
use super::scratch::{CallFrame, Frame, Scratch, UNSET};

/// In place of a position: this way does not match.
const FAIL: usize = usize::MAX;
const NO_CALL: u32 = u32::MAX;
/// Calls deeper than this end the match as if the budget were used up: they hold memory, not only time.
const MAX_CALLS: usize = 200_000;

/// How an attempt at one start position ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Matched,
    Failed,
    /// The budget is used up.
    Overrun,
}

/// A program at work on a text.
pub(super) struct Machine<'a> {
    program: &'a Program,
    text: &'a [u8],
    /// Where the search began, for `\G`.
    search_start: usize,
    scratch: &'a mut Scratch,
    /// Steps left until `patience` or the budget runs out; checked in one place.
    steps_left: u64,
    /// The budget behind `steps_left`, when memoisation comes first.
    reserve: u64,
    memoising: bool,
    call: u32,
    /// A slot was set without a frame to undo it.
    dirty: bool,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        program: &'a Program,
        text: &'a [u8],
        search_start: usize,
        scratch: &'a mut Scratch,
        budget: u64,
    ) -> Machine<'a> {
        scratch.prepare(program);
        let patience = memo::patience(program, text.len()).map_or(budget, |patience| patience.min(budget));
        Machine {
            program,
            text,
            search_start,
            scratch,
            steps_left: patience,
            reserve: budget - patience,
            memoising: false,
            call: NO_CALL,
            dirty: false,
        }
    }

    /// Steps that are left of the budget.
    pub(super) fn left(&self) -> u64 {
        self.steps_left + self.reserve
    }

    /// Tries to match at `start`. On success the slots hold the groups.
    pub(super) fn attempt(&mut self, start: usize) -> Outcome {
        if self.dirty {
            self.scratch.slots.fill(UNSET);
            self.dirty = false;
        }
        self.scratch.slots[0] = short(start);
        let outcome = if self.memoising { self.run::<true>(0, start) } else { self.run::<false>(0, start) };
        self.scratch.stack.clear();
        outcome
    }

    fn run<const MEMO: bool>(&mut self, pc: usize, pos: usize) -> Outcome {
        let program = self.program;
        let text = self.text;
        let (mut pc, mut pos) = (pc, pos);
        loop {
            let inst = &program.insts[pc];
            pc += 1;
            pos = match *inst {
                Inst::Byte(byte) if text.get(pos) == Some(&byte) => pos + 1,
                Inst::Byte(_) | Inst::Fail => FAIL,
                Inst::Ascii(class) => match text.get(pos) {
                    Some(byte) if program.classes[class as usize].bytes[usize::from(*byte)] => pos + 1,
                    _ => FAIL,
                },
                Inst::Run { span, class, least } => self.run_bytes::<MEMO>(span, class, least, pc, pos),
                Inst::RunAscii { span, class } => self.run_ascii::<MEMO>(span, class, pc, pos),
                Inst::Literal { at, len } => self.literal(pos, at as usize, len as usize),
                Inst::Class(class) => self.one(&program.classes[class as usize], pos),
                Inst::Span(span) => self.span::<MEMO>(span, pc, pos),
                Inst::Choice(choice) => self.choice::<MEMO>(choice, &mut pc, pos),
                Inst::Switch(at) => {
                    let switch = &program.switches[at as usize];
                    pc = switch.targets[self.symbol(pos)] as usize;
                    if MEMO && self.was_here(switch.memo, pos) { FAIL } else { pos }
                }
                Inst::Split { first, second, memo } => {
                    if MEMO && self.was_here(memo, pos) {
                        FAIL
                    } else {
                        self.branch(second, pos);
                        pc = first as usize;
                        pos
                    }
                }
                Inst::Jump(to) => {
                    pc = to as usize;
                    pos
                }
                Inst::Save(slot) => self.save(slot, pos),
                Inst::Between(between) => {
                    pc += 2;
                    self.between(between, pos)
                }
                Inst::Assert(assert) => {
                    if self.holds(assert, pos) {
                        pos
                    } else {
                        FAIL
                    }
                }
                Inst::Peek { class, ahead, wanted } => {
                    if self.peek(class, ahead, pos) == wanted {
                        pos
                    } else {
                        FAIL
                    }
                }
                Inst::Mark(mark) => {
                    self.scratch.stack.push(Frame::Mark { mark, pos: short(pos) });
                    pos
                }
                Inst::Match => {
                    // `\K` in a look-ahead may have put the start behind the end.
                    self.scratch.slots[0] = self.scratch.slots[0].min(short(pos));
                    self.scratch.slots[1] = short(pos);
                    return Outcome::Matched;
                }
                _ => self.rare(*inst, &mut pc, pos),
            };
            if pos == FAIL {
                match self.back::<MEMO>() {
                    Some((to, at)) => (pc, pos) = (to, at),
                    None if self.steps_left > 0 => return Outcome::Failed,
                    None => return self.run_out(),
                }
            }
        }
    }

    fn symbol(&self, pos: usize) -> usize {
        self.text.get(pos).map_or(END, |byte| usize::from(*byte))
    }

    #[inline(always)]
    fn literal(&self, pos: usize, at: usize, len: usize) -> usize {
        let wanted = &self.program.literals[at..at + len];
        let Some(found) = self.text.get(pos..pos + len) else { return FAIL };
        // Most literals are a few bytes, for which a call to compare memory costs more than the comparison.
        let same = if len <= 8 { found.iter().zip(wanted).all(|(left, right)| left == right) } else { found == wanted };
        if same { pos + len } else { FAIL }
    }

    #[inline(always)]
    fn branch(&mut self, pc: u32, pos: usize) {
        self.scratch.stack.push(Frame::Branch { pc, pos: short(pos) });
    }

    #[inline(always)]
    fn choice<const MEMO: bool>(&mut self, choice: u32, pc: &mut usize, pos: usize) -> usize {
        let choice = &self.program.choices[choice as usize];
        if MEMO && self.was_here(choice.memo, pos) {
            return FAIL;
        }
        let table: &[u8; SYMBOLS] = &self.program.tables[choice.table as usize];
        let (first, second) = if choice.lazy { (choice.exit, choice.body) } else { (choice.body, choice.exit) };
        match table[self.symbol(pos)] {
            0 => return FAIL,
            1 => *pc = choice.body as usize,
            2 => *pc = choice.exit as usize,
            _ => {
                self.branch(second, pos);
                *pc = first as usize;
            }
        }
        pos
    }

    #[inline(always)]
    fn save(&mut self, slot: u32, pos: usize) -> usize {
        let scratch = &mut *self.scratch;
        let old = std::mem::replace(&mut scratch.slots[slot as usize], short(pos));
        if scratch.stack.is_empty() {
            self.dirty = true;
        } else {
            scratch.stack.push(Frame::Slot { slot, old });
        }
        pos
    }

    #[inline(always)]
    fn between(&mut self, between: u32, pos: usize) -> usize {
        let between = &self.program.betweens[between as usize];
        let end = self.literal(pos, between.literal as usize, between.len as usize);
        if end != FAIL {
            self.save(between.close, pos);
            self.save(between.open, end);
        }
        end
    }

    fn set_reg(&mut self, reg: u32, value: u32) {
        let old = std::mem::replace(&mut self.scratch.regs[reg as usize], value);
        self.scratch.stack.push(Frame::Reg { reg, old });
    }

    /// Instructions that common patterns seldom run; apart, to keep the loop tight.
    #[inline(never)]
    fn rare(&mut self, inst: Inst, pc: &mut usize, pos: usize) -> usize {
        match inst {
            Inst::StepBack(chars) => return self.step_back(chars, pos),
            Inst::MarkNot { after } => self.scratch.stack.push(Frame::MarkNot { after, pos: short(pos) }),
            Inst::Cut { mark, rewind } => {
                let start = self.cut(mark);
                return if rewind { start } else { pos };
            }
            Inst::FailNot => {
                self.cut_not();
                return FAIL;
            }
            Inst::EmptyStart(reg) | Inst::Open(reg) => self.set_reg(reg, short(pos)),
            Inst::EmptyEnd { reg, exit } => {
                if self.scratch.regs[reg as usize] == short(pos) {
                    *pc = exit as usize;
                }
            }
            Inst::CountStart(counter) => self.count_start(counter),
            Inst::Count(counter) => return self.count(counter, pc, pos),
            Inst::Call(to) => return self.call(to, pc, pos),
            Inst::Return => self.return_from_call(pc),
            Inst::Close { reg, group } => {
                let start = self.scratch.regs[reg as usize];
                self.save(2 * group, start as usize);
                self.save(2 * group + 1, pos);
            }
            Inst::Backref(at) => return self.backref(at, pos),
            Inst::Condition { groups, no } => {
                let groups = &self.program.conditions[groups as usize];
                if !groups.iter().any(|group| self.scratch.group(*group as usize).is_some()) {
                    *pc = no as usize;
                }
            }
            _ => return FAIL,
        }
        pos
    }

    fn count_start(&mut self, counter: u32) {
        let counter = &self.program.counters[counter as usize];
        self.set_reg(counter.reg, 0);
        self.set_reg(counter.at, UNSET);
    }

    /// Before each round: behind this instruction stands the jump out, the body stands at `counter.body`.
    fn count(&mut self, counter: u32, pc: &mut usize, pos: usize) -> usize {
        let counter = &self.program.counters[counter as usize];
        let done = self.scratch.regs[counter.reg as usize];
        let empty_round = self.scratch.regs[counter.at as usize] == short(pos);
        if done >= counter.max || (empty_round && done >= counter.min) {
            return pos;
        }
        let optional = done >= counter.min;
        if optional && counter.lazy {
            // The way back enters another round, which `Count` itself must prepare; see `back`.
            self.scratch.stack.push(Frame::Longer { pc: short(*pc - 1), pos: short(pos), left: done });
            return pos;
        }
        if optional {
            self.branch(short(*pc), pos);
        }
        self.enter_round(counter.reg, counter.at, done, pos);
        *pc = counter.body as usize;
        pos
    }

    fn enter_round(&mut self, reg: u32, at: u32, done: u32, pos: usize) {
        self.set_reg(reg, done + 1);
        self.set_reg(at, short(pos));
    }

    fn call(&mut self, to: u32, pc: &mut usize, pos: usize) -> usize {
        let scratch = &mut *self.scratch;
        if scratch.calls.len() >= MAX_CALLS {
            self.steps_left = 0;
            self.reserve = 0;
            return FAIL;
        }
        scratch.stack.push(Frame::Call { current: self.call, len: short(scratch.calls.len()) });
        scratch.calls.push(CallFrame { back: short(*pc), parent: self.call });
        scratch.call_regs.extend_from_slice(&scratch.regs);
        self.call = short(scratch.calls.len() - 1);
        *pc = to as usize;
        pos
    }

    /// Goes back to the caller, whose registers come back too: a loop around the call is where it was.
    fn return_from_call(&mut self, pc: &mut usize) {
        let current = self.call as usize;
        let len = short(self.scratch.calls.len());
        self.scratch.stack.push(Frame::Call { current: self.call, len });
        let frame = self.scratch.calls[current];
        for reg in 0..self.program.regs {
            let old = self.scratch.call_regs[current * self.program.regs + reg];
            if self.scratch.regs[reg] != old {
                self.set_reg(short(reg), old);
            }
        }
        self.call = frame.parent;
        *pc = frame.back as usize;
    }

    fn holds(&self, assert: Assert, pos: usize) -> bool {
        let text = self.text;
        match assert {
            Assert::TextStart => pos == 0,
            Assert::TextEnd => pos == text.len(),
            Assert::TextEndNewline => pos == text.len() || &text[pos..] == b"\n",
            // After a newline that ends the text no further line starts.
            Assert::LineStart => pos == 0 || (text[pos - 1] == b'\n' && pos < text.len()),
            Assert::LineEnd => pos == text.len() || text[pos] == b'\n',
            Assert::SearchStart => pos == self.search_start,
            Assert::Word => peek::word_boundary(text, pos),
            Assert::NotWord => !peek::word_boundary(text, pos),
        }
    }
}

/// Positions and instruction numbers fit: longer texts are refused before a run starts.
fn short(n: usize) -> u32 {
    debug_assert!(u32::try_from(n).is_ok() && NO_MEMO == u32::MAX);
    n as u32
}
