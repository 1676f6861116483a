//! Quantifiers: runs of one class, optional groups, loops, counted repeats.

use super::super::ast::{Mode, Node, Repeat};
use super::super::charset::CharSet;
use super::super::program::{Choice, Counter, High, Inst, NO_MEMO, Next, Scan, Span, SpanMode};
use super::first::{First, first};
use super::{Compiler, Result, index, table};

/// A repeated group is written out while this many nodes suffice.
const MAX_WRITTEN: u64 = 2000;

impl Compiler {
    pub(super) fn emit_repeat(&mut self, repeat: &Repeat, follow: &First) -> Result<()> {
        if let Some(set) = repeat.body.single_char() {
            self.emit_run(&set, repeat, follow);
            return Ok(());
        }
        if repeat.mode == Mode::Possessive {
            let greedy = Node::Repeat(Repeat { mode: Mode::Greedy, ..repeat.clone() });
            return self.emit_atomic(&greedy);
        }
        let copies = u64::from(repeat.max.unwrap_or(repeat.min).max(1));
        if copies > 1 && weight(&repeat.body).saturating_mul(copies) > MAX_WRITTEN {
            return self.emit_counted(repeat);
        }
        self.emit_written(repeat, follow)
    }

    fn emit_run(&mut self, set: &CharSet, repeat: &Repeat, follow: &First) {
        let fixed = repeat.max == Some(repeat.min);
        if !fixed && repeat.min > 1 {
            // The first characters apart, so that the loop proper is the same at each position, as memoising needs.
            let head = Repeat { min: repeat.min - 1, max: Some(repeat.min - 1), ..repeat.clone() };
            let tail = Repeat { min: 1, max: repeat.max.map(|max| max - (repeat.min - 1)), ..repeat.clone() };
            self.emit_run(set, &head, &First::anything());
            return self.emit_run(set, &tail, follow);
        }
        if fixed && repeat.min <= 4 {
            (0..repeat.min).for_each(|_| self.emit_class(set));
            return;
        }
        self.push_span(set, repeat, follow);
    }

    fn push_span(&mut self, set: &CharSet, repeat: &Repeat, follow: &First) {
        let class = self.class(set);
        let exclusive = follow.fails_inside(set, repeat.min > 0);
        let max = repeat.max.unwrap_or(u32::MAX);
        let (mode, max) = match repeat.mode {
            _ if exclusive || max == repeat.min => (SpanMode::Fixed, max),
            Mode::Possessive => (SpanMode::Fixed, max),
            Mode::Greedy if follow.accepts => (SpanMode::Fixed, max),
            Mode::Lazy if follow.accepts => (SpanMode::Fixed, repeat.min),
            Mode::Greedy => (SpanMode::Greedy, max),
            Mode::Lazy => (SpanMode::Lazy, max),
        };
        let next = if mode == SpanMode::Fixed { Next::Any } else { self.next(follow) };
        let scan = self.sets[class as usize].1;
        // Nothing is read of what is run over, so coming here again costs nothing that would be worth remembering.
        let is_jump = mode == SpanMode::Fixed && scan == Scan::All && max == u32::MAX && repeat.min <= 1;
        let memo = if is_jump { NO_MEMO } else { self.memo() };
        self.program.spans.push(Span { class, min: repeat.min, max, mode, scan, next, memo });
        let span = index(self.program.spans.len() - 1);
        let ascii = matches!(self.program.classes[class as usize].high, High::None);
        self.push(match (mode, scan, repeat.min) {
            (SpanMode::Fixed, Scan::Bytes, least @ 0..=1) if max == u32::MAX => Inst::Run { span, class, least },
            (SpanMode::Fixed, _, _) if ascii => Inst::RunAscii { span, class },
            _ => Inst::Span(span),
        });
    }

    fn next(&mut self, follow: &First) -> Next {
        match follow.bytes.first() {
            _ if follow.is_anything() => Next::Any,
            Some(byte) if follow.bytes.len() == 1 && !follow.end => Next::Byte(byte),
            _ => {
                let program = &mut self.program;
                Next::Table(*self.nexts.entry(follow.symbols()).or_insert_with(|| {
                    program.nexts.push(std::array::from_fn(|symbol| table::can(follow, symbol)));
                    index(program.nexts.len() - 1)
                }))
            }
        }
    }

    /// The body copied `min` times, then the optional rest.
    fn emit_written(&mut self, repeat: &Repeat, follow: &First) -> Result<()> {
        let body_first = first(&repeat.body, follow);
        let optional = repeat.max != Some(repeat.min);
        let last_follow = if optional { body_first.or(follow) } else { *follow };
        let loops_back = repeat.max.is_none() && repeat.min > 0 && !repeat.body.can_be_empty();
        for copy in 1..=repeat.min {
            let follow = if copy < repeat.min { &body_first } else { &last_follow };
            let start = self.here();
            self.emit(&repeat.body, follow)?;
            if loops_back && copy == repeat.min {
                self.emit_loop_back(start, &body_first, repeat, &last_follow);
                return Ok(());
            }
        }
        match repeat.max {
            None => self.emit_loop(repeat, &body_first, follow),
            Some(max) => self.emit_optional(repeat, max - repeat.min, &body_first, follow),
        }
    }

    /// `X+` as `X` and a way back to it.
    fn emit_loop_back(&mut self, start: u32, body_first: &First, repeat: &Repeat, follow: &First) {
        let choice = self.emit_choice(body_first, follow, repeat.mode == Mode::Lazy);
        self.end_choice(choice);
        self.program.choices[choice].body = start;
    }

    fn emit_loop(&mut self, repeat: &Repeat, body_first: &First, follow: &First) -> Result<()> {
        let again = body_first.or(follow);
        let start = self.here();
        let choice = self.emit_choice(body_first, follow, repeat.mode == Mode::Lazy);
        if !repeat.body.can_be_empty() {
            self.emit(&repeat.body, &again)?;
            self.push(Inst::Jump(start));
            self.end_choice(choice);
            return Ok(());
        }
        let reg = self.reg();
        self.push(Inst::EmptyStart(reg));
        self.emit(&repeat.body, &again)?;
        let check = self.push(Inst::Fail);
        self.push(Inst::Jump(start));
        self.program.insts[check] = Inst::EmptyEnd { reg, exit: self.here() };
        self.end_choice(choice);
        Ok(())
    }

    /// `(X(X(X)?)?)?`, all with one way out.
    fn emit_optional(&mut self, repeat: &Repeat, count: u32, body_first: &First, follow: &First) -> Result<()> {
        let again = body_first.or(follow);
        let mut choices = Vec::new();
        for copy in 1..=count {
            choices.push(self.emit_choice(body_first, follow, repeat.mode == Mode::Lazy));
            self.emit(&repeat.body, if copy < count { &again } else { follow })?;
        }
        choices.into_iter().for_each(|choice| self.end_choice(choice));
        Ok(())
    }

    /// A choice between what is emitted next and a way out that `end_choice` sets.
    pub(super) fn emit_choice(&mut self, body: &First, exit: &First, lazy: bool) -> usize {
        let program = &mut self.program;
        let table = *self.tables.entry((body.symbols(), exit.symbols())).or_insert_with(|| {
            program.tables.push(table::choice(body, exit));
            index(program.tables.len() - 1)
        });
        let memo = self.memo();
        let body = self.here() + 1;
        self.program.choices.push(Choice { table, body, exit: 0, lazy, memo });
        let at = self.program.choices.len() - 1;
        self.push(Inst::Choice(index(at)));
        at
    }

    pub(super) fn end_choice(&mut self, choice: usize) {
        self.program.choices[choice].exit = self.here();
    }

    /// A large repeat counts at run time; what depends on the count cannot be memoised.
    fn emit_counted(&mut self, repeat: &Repeat) -> Result<()> {
        self.program.linear = false;
        let outer = std::mem::replace(&mut self.in_counter, true);
        let (reg, at) = (self.reg(), self.reg());
        let max = repeat.max.unwrap_or(u32::MAX);
        let lazy = repeat.mode == Mode::Lazy;
        self.program.counters.push(Counter { reg, at, min: repeat.min, max, lazy, body: 0 });
        let counter = self.program.counters.len() - 1;
        self.push(Inst::CountStart(index(counter)));
        let count = self.push(Inst::Count(index(counter)));
        let skip = self.push(Inst::Fail);
        self.program.counters[counter].body = self.here();
        self.emit(&repeat.body, &First::anything())?;
        self.push(Inst::Jump(index(count)));
        self.program.insts[skip] = Inst::Jump(self.here());
        self.in_counter = outer;
        Ok(())
    }
}

/// How many instructions a node may take, roughly; a run is one, however long.
fn weight(node: &Node) -> u64 {
    let inner = node.children().into_iter().map(weight).fold(1u64, u64::saturating_add);
    match node {
        Node::Repeat(repeat) if !repeat.body.is_single_char() => {
            let copies = u64::from(repeat.max.unwrap_or(repeat.min).max(1));
            let written = inner.saturating_mul(copies);
            if written > MAX_WRITTEN { inner + 4 } else { written }
        }
        _ => inner,
    }
}
