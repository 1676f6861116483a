//! Runs of characters of one class: how far they go, and where they may end instead.

use super::super::program::{Class, END, High, Inst, NO_MEMO, Next, Scan, Span, SpanMode};
use super::super::scratch::Frame;
use super::peek::width;
use super::{FAIL, Machine, short};

const NO_LIMIT: u32 = u32::MAX;

impl<'a> Machine<'a> {
    /// Runs the span; `pc` is the instruction behind it.
    pub(super) fn span<const MEMO: bool>(&mut self, at: u32, pc: usize, pos: usize) -> usize {
        let span = &self.program.spans[at as usize];
        if span.mode == SpanMode::Lazy {
            return self.lazy::<MEMO>(span, pc, pos);
        }
        let end = if MEMO { self.scan_marking(span, pos) } else { self.scan(span, pos) };
        if end == FAIL {
            return FAIL;
        }
        if span.scan != Scan::All || span.mode != SpanMode::Fixed {
            self.steps_left = self.steps_left.saturating_sub((end - pos) as u64 >> 4);
        }
        let low = self.after_min(span, pos, end);
        if low == FAIL || span.mode == SpanMode::Fixed {
            return if low == FAIL { FAIL } else { end };
        }
        self.settle(span, short(pc), low, end).unwrap_or(FAIL)
    }

    /// A span of bytes that is as long as can be: the commonest, and so without detours.
    #[inline(always)]
    pub(super) fn run_bytes<const MEMO: bool>(
        &mut self,
        span: u32,
        class: u32,
        least: u32,
        pc: usize,
        pos: usize,
    ) -> usize {
        if MEMO {
            return self.span::<MEMO>(span, pc, pos);
        }
        let end = run_of(&self.program.classes[class as usize].bytes, self.text, pos, self.text.len());
        self.steps_left = self.steps_left.saturating_sub((end - pos) as u64 >> 4);
        if end - pos < least as usize { FAIL } else { end }
    }

    #[inline(always)]
    pub(super) fn run_ascii<const MEMO: bool>(&mut self, span: u32, class: u32, pc: usize, pos: usize) -> usize {
        if MEMO {
            return self.span::<MEMO>(span, pc, pos);
        }
        let span = &self.program.spans[span as usize];
        let limit = self.text.len().min(pos.saturating_add(span.max as usize));
        let end = run_of(&self.program.classes[class as usize].bytes, self.text, pos, limit);
        if end - pos < span.min as usize { FAIL } else { end }
    }

    fn class(&self, span: &Span) -> &'a Class {
        &self.program.classes[span.class as usize]
    }

    /// Where the longest run ends.
    fn scan(&self, span: &Span, pos: usize) -> usize {
        let class = self.class(span);
        let text = self.text;
        let unlimited = span.max == NO_LIMIT;
        match span.scan {
            Scan::All if unlimited => text.len(),
            Scan::Except(a) if unlimited => memchr::memchr(a, &text[pos..]).map_or(text.len(), |at| pos + at),
            Scan::Except2(a, b) if unlimited => memchr::memchr2(a, b, &text[pos..]).map_or(text.len(), |at| pos + at),
            Scan::Except3([a, b, c]) if unlimited => {
                memchr::memchr3(a, b, c, &text[pos..]).map_or(text.len(), |at| pos + at)
            }
            Scan::Bytes if unlimited => run_of(&class.bytes, text, pos, text.len()),
            _ if matches!(class.high, High::None) => {
                run_of(&class.bytes, text, pos, text.len().min(pos.saturating_add(span.max as usize)))
            }
            _ => self.scan_chars(span, class, pos),
        }
    }

    fn scan_chars(&self, span: &Span, class: &Class, pos: usize) -> usize {
        let mut end = pos;
        let mut left = span.max;
        while left > 0 {
            match self.one(class, end) {
                FAIL => break,
                next => end = next,
            }
            left -= u32::from(span.max != NO_LIMIT);
        }
        end
    }

    /// Like `scan`, but stops where this span has failed before: from there on no end is any good.
    fn scan_marking(&mut self, span: &Span, pos: usize) -> usize {
        if span.memo == NO_MEMO {
            return self.scan(span, pos);
        }
        if span.max != NO_LIMIT {
            return if self.was_here(span.memo, pos) { FAIL } else { self.scan(span, pos) };
        }
        let class = self.class(span);
        let mut end = pos;
        loop {
            let next = self.one(class, end);
            let failed = next != FAIL && self.has_failed(span.memo, end);
            if failed && span.mode == SpanMode::Fixed {
                self.remember(span.memo, pos, end);
                return FAIL;
            }
            if failed || next == FAIL {
                break;
            }
            end = next;
        }
        self.expect_failure(span.memo, pos, end);
        end
    }

    /// Where the least run ends, `FAIL` when even that is longer than `end` allows.
    fn after_min(&self, span: &Span, pos: usize, end: usize) -> usize {
        match span.min {
            0 => pos,
            1 if end > pos => pos + width(self.text[pos]),
            1 => FAIL,
            min if self.chars(span, pos, end) >= min as usize => end,
            _ => FAIL,
        }
    }

    fn chars(&self, span: &Span, pos: usize, end: usize) -> usize {
        let bytes = &self.text[pos..end];
        if matches!(self.class(span).high, High::None) {
            return bytes.len();
        }
        bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
    }

    /// The longest end within the bounds behind which the rest may match; leaves a frame for the shorter ones.
    fn settle(&mut self, span: &Span, pc: u32, low: usize, high: usize) -> Option<usize> {
        let end = match span.next {
            Next::Any => self.boundary_at_most(high),
            Next::Byte(byte) => low + memchr::memrchr(byte, &self.text[low..self.text.len().min(high + 1)])?,
            Next::Table(table) => {
                let table = &self.program.nexts[table as usize];
                (low..=high).rev().find(|at| table[self.symbol(*at)])?
            }
        };
        if end > low {
            self.scratch.stack.push(Frame::Shorter { pc, low: short(low), high: short(end) });
        }
        Some(end)
    }

    fn boundary_at_most(&self, high: usize) -> usize {
        let mut end = high;
        while self.text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end -= 1;
        }
        end
    }

    pub(super) fn shorter(&mut self, pc: u32, low: usize, high: usize) -> Option<usize> {
        let end = self.settle(self.span_before(pc), pc, low, high - 1);
        self.steps_left = self.steps_left.saturating_sub((high - end.unwrap_or(low)) as u64 >> 4);
        end
    }

    fn span_before(&self, pc: u32) -> &'a Span {
        match self.program.insts[pc as usize - 1] {
            Inst::Span(span) => &self.program.spans[span as usize],
            other => unreachable!("a run's frame points behind its span, not behind {other:?}"),
        }
    }

    fn lazy<const MEMO: bool>(&mut self, span: &Span, pc: usize, pos: usize) -> usize {
        if MEMO && span.max != NO_LIMIT && self.was_here(span.memo, pos) {
            return FAIL;
        }
        let mut pos = pos;
        if span.min == 1 {
            pos = self.one(self.class(span), pos);
        }
        if pos == FAIL {
            return FAIL;
        }
        let left = if span.max == NO_LIMIT { NO_LIMIT } else { span.max - span.min };
        self.stretch::<MEMO>(span, short(pc), pos, left)
    }

    /// The next longer run of a lazy span that has ended at `pos`.
    pub(super) fn longer<const MEMO: bool>(&mut self, pc: u32, pos: usize, left: u32) -> Option<usize> {
        let span = self.span_before(pc);
        let next = self.one(self.class(span), pos);
        if next == FAIL {
            return None;
        }
        let end = self.stretch::<MEMO>(span, pc, next, fewer(left));
        (end != FAIL).then_some(end)
    }

    fn give_up<const MEMO: bool>(&mut self, span: &Span, from: usize, to: usize) {
        if MEMO && span.max == NO_LIMIT && span.memo != NO_MEMO {
            self.remember(span.memo, from, to);
        }
    }

    fn marked(&self, span: &Span, pos: usize) -> bool {
        span.max == NO_LIMIT && span.memo != NO_MEMO && self.has_failed(span.memo, pos)
    }

    /// From `pos` on, the first end behind which the rest may match; leaves a frame for the longer ones.
    fn stretch<const MEMO: bool>(&mut self, span: &Span, pc: u32, pos: usize, left: u32) -> usize {
        let (end, left) = match (span.next, span.scan) {
            (Next::Byte(byte), Scan::All) if !MEMO && left == NO_LIMIT => {
                (memchr::memchr(byte, &self.text[pos..]).map_or(FAIL, |at| pos + at), left)
            }
            _ => self.stretch_by_char::<MEMO>(span, pos, left),
        };
        if end == FAIL {
            return FAIL;
        }
        self.steps_left = self.steps_left.saturating_sub((end - pos) as u64 >> 4);
        if MEMO && span.max == NO_LIMIT && span.memo != NO_MEMO {
            self.expect_failure(span.memo, pos, end + 1);
        }
        if left > 0 && end < self.text.len() {
            self.scratch.stack.push(Frame::Longer { pc, pos: short(end), left });
        }
        end
    }

    fn stretch_by_char<const MEMO: bool>(&mut self, span: &Span, pos: usize, left: u32) -> (usize, u32) {
        let class = self.class(span);
        let (mut end, mut left) = (pos, left);
        loop {
            if MEMO && self.marked(span, end) {
                self.give_up::<MEMO>(span, pos, end);
                return (FAIL, left);
            }
            if self.may_end(span, end) {
                return (end, left);
            }
            let next = if left == 0 { FAIL } else { self.one(class, end) };
            if next == FAIL {
                self.give_up::<MEMO>(span, pos, end + 1);
                return (FAIL, left);
            }
            end = next;
            left = fewer(left);
        }
    }

    fn may_end(&self, span: &Span, at: usize) -> bool {
        match span.next {
            Next::Any => true,
            Next::Byte(byte) => self.text.get(at) == Some(&byte),
            Next::Table(table) => {
                self.program.nexts[table as usize][self.text.get(at).map_or(END, |b| usize::from(*b))]
            }
        }
    }
}

fn fewer(left: u32) -> u32 {
    if left == NO_LIMIT { left } else { left - 1 }
}

/// Where the bytes of the table end, at most at `limit`.
#[inline(always)]
fn run_of(table: &[bool; 256], text: &[u8], pos: usize, limit: usize) -> usize {
    let mut end = pos;
    while end < limit && table[usize::from(text[end])] {
        end += 1;
    }
    end
}
