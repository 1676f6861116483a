//! Tree to program.
//!
//! Every construct is compiled knowing what can follow it, and so the program skips alternatives that cannot match
//! on the next byte, and keeps no way back where going back cannot help. Repeats of groups are written out while they
//! stay small, so that memoisation covers them; larger ones count at run time.

mod between;
mod bytes;
mod first;
mod jumps;
mod recursion;
mod repeat;
mod table;

use std::collections::HashMap;

use super::RegexError;
use super::ast::{Look, Mode, Node, Repeat};
use super::charset::{self, CharSet};
use super::program::{Backref, Class, High, Inst, NO_MEMO, Program, Scan, Switch};
use first::{First, Symbols, first};

/// Programs beyond this are refused; a byte table counts for many instructions.
const MAX_PROGRAM: usize = 1 << 19;
const TABLE_WEIGHT: usize = 64;

type Result<T> = std::result::Result<T, RegexError>;

/// Compiles the whole pattern of `groups` capturing groups, group 0 not counted.
pub(super) fn compile(node: &Node, groups: usize) -> Result<Program> {
    let called = recursion::called_groups(node, groups)?;
    let mut compiler = Compiler::new(called, groups);
    if compiler.called[0] {
        compiler.emit_callable(0, node)?;
    } else {
        compiler.emit(node, &First::accepted())?;
    }
    compiler.push(Inst::Match);
    compiler.link_calls();
    jumps::thread(&mut compiler.program);
    between::fuse(&mut compiler.program);
    Ok(compiler.program)
}

/// The bytes a match can start with, or `None` when it may be empty or is not known.
pub(super) fn start_bytes(node: &Node) -> Option<[bool; 256]> {
    let first = first(node, &First::accepted());
    (!first.end).then(|| std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(|byte| first.bytes.has(byte))))
}

struct Compiler {
    program: Program,
    called: Vec<bool>,
    entries: Vec<Option<u32>>,
    calls: Vec<(usize, usize)>,
    /// The sets that the program's classes were made of, and how runs of each end.
    sets: Vec<(CharSet, Scan)>,
    tables: HashMap<(Symbols, Symbols), u32>,
    nexts: HashMap<Symbols, u32>,
    marks: u32,
    in_counter: bool,
}

impl Compiler {
    fn new(called: Vec<bool>, groups: usize) -> Compiler {
        let program = Program { slots: 2 * (groups + 1), memoisable: true, linear: true, ..Program::default() };
        Compiler {
            program,
            entries: vec![None; groups + 1],
            called,
            calls: Vec::new(),
            sets: Vec::new(),
            tables: HashMap::new(),
            nexts: HashMap::new(),
            marks: 0,
            in_counter: false,
        }
    }

    fn push(&mut self, inst: Inst) -> usize {
        self.program.insts.push(inst);
        self.program.insts.len() - 1
    }

    fn here(&self) -> u32 {
        index(self.program.insts.len())
    }

    fn check_size(&self) -> Result<()> {
        let tables = self.program.switches.len() + self.program.tables.len() + self.program.nexts.len();
        if self.program.insts.len() + tables * TABLE_WEIGHT <= MAX_PROGRAM {
            return Ok(());
        }
        Err(RegexError { offset: 0, message: "pattern compiles to too large a program, shorten its repeats".into() })
    }

    fn reg(&mut self) -> u32 {
        self.program.regs += 1;
        index(self.program.regs - 1)
    }

    fn mark(&mut self) -> u32 {
        self.marks += 1;
        self.marks - 1
    }

    /// A point whose visits are remembered when memoisation is on.
    fn memo(&mut self) -> u32 {
        if self.in_counter {
            return NO_MEMO;
        }
        self.program.memos += 1;
        index(self.program.memos - 1)
    }

    fn class(&mut self, set: &CharSet) -> u32 {
        if let Some(at) = self.sets.iter().position(|(known, _)| known.ranges() == set.ranges()) {
            return index(at);
        }
        let class = Class::new(set);
        self.sets.push((set.clone(), class.scan()));
        self.program.classes.push(class);
        index(self.program.classes.len() - 1)
    }

    fn emit_class(&mut self, set: &CharSet) {
        let class = self.class(set);
        let ascii = matches!(self.program.classes[class as usize].high, High::None);
        self.push(if ascii { Inst::Ascii(class) } else { Inst::Class(class) });
    }

    fn not_linear(&mut self) {
        self.program.memoisable = false;
        self.program.linear = false;
    }

    fn emit(&mut self, node: &Node, follow: &First) -> Result<()> {
        self.check_size()?;
        match node {
            Node::Empty => {}
            Node::Literal(text) => self.emit_literal(text.as_bytes()),
            Node::Class(set) => self.emit_class(set),
            Node::Seq(nodes) => return self.emit_sequence(nodes, follow),
            Node::Alt(branches) => return self.emit_alternation(branches, follow),
            Node::Repeat(repeat) => return self.emit_repeat(repeat, follow),
            Node::Capture { group, body } => return self.emit_capture(*group, body, follow),
            Node::Atomic(body) => return self.emit_atomic(body),
            Node::Look { look, body } => return self.emit_look(*look, body),
            Node::Assert(assert) => {
                self.push(Inst::Assert(*assert));
            }
            Node::Backref { groups, ignore_case } => self.emit_backref(groups, *ignore_case),
            Node::Call(group) => self.emit_call(*group),
            Node::Condition { groups, yes, no } => return self.emit_condition(groups, yes, no, follow),
            Node::Keep => {
                self.push(Inst::Save(0));
            }
        }
        Ok(())
    }

    fn emit_literal(&mut self, bytes: &[u8]) {
        match bytes {
            [] => {}
            [byte] => {
                self.push(Inst::Byte(*byte));
            }
            _ => {
                let at = index(self.program.literals.len());
                self.program.literals.extend_from_slice(bytes);
                self.push(Inst::Literal { at, len: index(bytes.len()) });
            }
        }
    }

    fn emit_sequence(&mut self, nodes: &[Node], follow: &First) -> Result<()> {
        let mut follows = vec![*follow];
        for node in nodes[1..].iter().rev() {
            let next = first(node, &follows[follows.len() - 1]);
            follows.push(next);
        }
        for (node, follow) in nodes.iter().zip(follows.iter().rev()) {
            self.emit(node, follow)?;
        }
        Ok(())
    }

    fn emit_capture(&mut self, group: usize, body: &Node, follow: &First) -> Result<()> {
        if self.called[group] {
            return self.emit_callable(group, body);
        }
        self.push(Inst::Save(index(2 * group)));
        self.emit(body, follow)?;
        self.push(Inst::Save(index(2 * group + 1)));
        Ok(())
    }

    /// A group that is called: its body is a routine, and its start is kept apart from that of the calls within.
    fn emit_callable(&mut self, group: usize, body: &Node) -> Result<()> {
        let call = self.push(Inst::Call(0));
        if let Some(entry) = self.entries[group] {
            self.program.insts[call] = Inst::Call(entry);
            return Ok(());
        }
        let skip = self.push(Inst::Jump(0));
        let entry = self.here();
        self.entries[group] = Some(entry);
        self.program.insts[call] = Inst::Call(entry);
        let reg = self.reg();
        self.push(Inst::Open(reg));
        self.emit(body, &First::anything())?;
        if group > 0 {
            self.push(Inst::Close { reg, group: index(group) });
        }
        self.push(Inst::Return);
        self.program.insts[skip] = Inst::Jump(self.here());
        Ok(())
    }

    fn emit_call(&mut self, group: usize) {
        self.not_linear();
        let at = self.push(Inst::Call(0));
        self.calls.push((at, group));
    }

    fn link_calls(&mut self) {
        for (at, group) in std::mem::take(&mut self.calls) {
            // A group that was optimised away (`(?<n>a){0}\g<n>`) has no code to call.
            self.program.insts[at] = self.entries[group].map_or(Inst::Fail, Inst::Call);
        }
    }

    fn emit_backref(&mut self, groups: &[usize], ignore_case: bool) {
        self.not_linear();
        self.program.backrefs.push(Backref { groups: groups.iter().map(|group| index(*group)).collect(), ignore_case });
        let at = index(self.program.backrefs.len() - 1);
        self.push(Inst::Backref(at));
    }

    fn emit_condition(&mut self, groups: &[usize], yes: &Node, no: &Node, follow: &First) -> Result<()> {
        self.not_linear();
        self.program.conditions.push(groups.iter().map(|group| index(*group)).collect());
        let groups = index(self.program.conditions.len() - 1);
        let condition = self.push(Inst::Fail);
        self.emit(yes, follow)?;
        let skip = self.push(Inst::Fail);
        self.program.insts[condition] = Inst::Condition { groups, no: self.here() };
        self.emit(no, follow)?;
        self.program.insts[skip] = Inst::Jump(self.here());
        Ok(())
    }

    /// Inside an atomic group nothing that follows can send it back, so it is compiled as if it ended the pattern.
    fn emit_atomic(&mut self, body: &Node) -> Result<()> {
        let mark = self.mark();
        let start = self.push(Inst::Mark(mark));
        self.emit(body, &First::accepted())?;
        if self.keeps_no_way_back(start + 1) {
            self.program.insts[start] = Inst::Jump(index(start + 1));
            return Ok(());
        }
        self.program.linear &= !has_endless_loop(body);
        self.push(Inst::Cut { mark, rewind: false });
        Ok(())
    }

    fn keeps_no_way_back(&self, from: usize) -> bool {
        self.program.insts[from..].iter().all(|inst| match inst {
            Inst::Byte(_)
            | Inst::Literal { .. }
            | Inst::Class(_)
            | Inst::Assert(_)
            | Inst::Peek { .. }
            | Inst::Ascii(_)
            | Inst::Run { .. }
            | Inst::RunAscii { .. }
            | Inst::Jump(_)
            | Inst::Save(_)
            | Inst::Switch(_)
            | Inst::Fail => true,
            Inst::Span(at) => self.program.spans[*at as usize].mode == super::program::SpanMode::Fixed,
            Inst::Choice(at) => {
                let table = self.program.choices[*at as usize].table;
                self.program.tables[table as usize].iter().all(|viable| *viable != table::BOTH)
            }
            _ => false,
        })
    }

    fn emit_look(&mut self, look: Look, body: &Node) -> Result<()> {
        let wanted = matches!(look, Look::Ahead | Look::Behind);
        let ahead = matches!(look, Look::Ahead | Look::NotAhead);
        if let Some(set) = body.single_char() {
            let class = self.class(&set);
            self.push(Inst::Peek { class, ahead, wanted });
            return Ok(());
        }
        self.program.linear &= !has_endless_loop(body);
        let mark = self.mark();
        let start = self.push(if wanted { Inst::Mark(mark) } else { Inst::MarkNot { after: 0 } });
        if ahead {
            self.emit(body, &First::accepted())?;
        } else {
            self.emit_behind(body)?;
        }
        if wanted {
            self.push(Inst::Cut { mark, rewind: true });
        } else {
            self.push(Inst::FailNot);
            self.program.insts[start] = Inst::MarkNot { after: self.here() };
        }
        Ok(())
    }

    /// Each alternative steps back by its own length.
    fn emit_behind(&mut self, body: &Node) -> Result<()> {
        let branches = if let Node::Alt(branches) = body { branches.as_slice() } else { std::slice::from_ref(body) };
        let mut exits = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            let last = at + 1 == branches.len();
            let split = (!last).then(|| self.push(Inst::Fail));
            // The parser has refused alternatives without a fixed length.
            let length = branch.fixed_length().unwrap_or(0);
            self.push(Inst::StepBack(length));
            self.emit(branch, &First::accepted())?;
            if let Some(split) = split {
                exits.push(self.push(Inst::Fail));
                let second = self.here();
                self.program.insts[split] = Inst::Split { first: index(split + 1), second, memo: NO_MEMO };
            }
        }
        for exit in exits {
            self.program.insts[exit] = Inst::Jump(self.here());
        }
        Ok(())
    }

    /// A switch on the next symbol, each way leading to the branches that can match on it.
    fn emit_alternation(&mut self, branches: &[Node], follow: &First) -> Result<()> {
        let firsts: Vec<First> = branches.iter().map(|branch| first(branch, follow)).collect();
        let Some(ways) = table::ways(&firsts) else { return self.emit_chain(branches, &firsts, follow) };
        let switch = self.push(Inst::Fail);
        let memo = self.memo();
        let mut starts = Vec::new();
        let mut exits = Vec::new();
        for branch in branches {
            starts.push(self.here());
            self.emit(branch, follow)?;
            exits.push(self.push(Inst::Fail));
        }
        let targets: Vec<u32> = ways.lists.iter().map(|list| self.emit_way(list, &starts)).collect();
        for exit in exits {
            self.program.insts[exit] = Inst::Jump(self.here());
        }
        let targets = Box::new(std::array::from_fn(|symbol| targets[usize::from(ways.of_symbol[symbol])]));
        self.program.switches.push(Switch { targets, memo });
        self.program.insts[switch] = Inst::Switch(index(self.program.switches.len() - 1));
        Ok(())
    }

    /// Code that tries the branches of `list` in turn.
    fn emit_way(&mut self, list: &[usize], starts: &[u32]) -> u32 {
        match list {
            [] => {
                let at = self.here();
                self.push(Inst::Fail);
                at
            }
            [only] => starts[*only],
            _ => {
                let at = self.here();
                for pair in list.windows(2) {
                    let second = if pair[1] == list[list.len() - 1] { starts[pair[1]] } else { self.here() + 1 };
                    self.push(Inst::Split { first: starts[pair[0]], second, memo: NO_MEMO });
                }
                at
            }
        }
    }

    /// The branches one after the other, each skipped where it cannot match; for very many branches.
    fn emit_chain(&mut self, branches: &[Node], firsts: &[First], follow: &First) -> Result<()> {
        let mut rests = vec![First::none()];
        for first in firsts[1..].iter().rev() {
            rests.push(rests[rests.len() - 1].or(first));
        }
        let mut exits = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            let choice = self.emit_choice(&firsts[at], &rests[branches.len() - 1 - at], false);
            self.emit(branch, follow)?;
            exits.push(self.push(Inst::Fail));
            self.end_choice(choice);
        }
        self.push(Inst::Fail);
        for exit in exits {
            self.program.insts[exit] = Inst::Jump(self.here());
        }
        Ok(())
    }
}

/// In a group that is cut off, its successes are found anew from each position: that may take quadratic time.
fn has_endless_loop(body: &Node) -> bool {
    body.any(&|node| matches!(node, Node::Repeat(repeat) if repeat.max.is_none() && !takes_the_rest(repeat)))
}

/// `.*+` over newlines too: it ends at the end of the text, wherever it begins, and that is known without reading.
fn takes_the_rest(repeat: &Repeat) -> bool {
    repeat.mode == Mode::Possessive
        && repeat.max.is_none()
        && repeat.body.single_char().is_some_and(|set| charset::is_subset(&charset::all(), &set))
}

/// Programs are limited far below what an index holds.
fn index(at: usize) -> u32 {
    u32::try_from(at).expect("the size of a program is checked while it grows")
}
