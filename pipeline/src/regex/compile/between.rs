//! One instruction in place of three where a group ends, a fixed text follows, and another group begins: nearly everything that separates the
//! fields of a line.

use super::super::program::{Between, Inst, Program};
use super::index;

/// Puts the one in the place of the first of the three. The other two stay for jumps that lead to them.
pub(super) fn fuse(program: &mut Program) {
    for at in 0..program.insts.len().saturating_sub(2) {
        let (Inst::Save(close), between, Inst::Save(open)) =
            (program.insts[at], program.insts[at + 1], program.insts[at + 2])
        else {
            continue;
        };
        let (literal, len) = match between {
            Inst::Literal { at, len } => (at, len),
            Inst::Byte(byte) => {
                program.literals.push(byte);
                (index(program.literals.len() - 1), 1)
            }
            _ => continue,
        };
        program.betweens.push(Between { close, literal, len, open });
        program.insts[at] = Inst::Between(index(program.betweens.len() - 1));
    }
}
