//! Jumps that lead to jumps, led straight to where they end.

use super::super::program::{Inst, Program};

/// Rewrites every target. A jump to what does not fall through becomes that itself.
pub(super) fn thread(program: &mut Program) {
    let insts = program.insts.clone();
    let end = |target: &mut u32| *target = destination(&insts, *target);
    for inst in &mut program.insts {
        retarget(inst, &end);
        if let Inst::Jump(to) = *inst
            && matches!(insts[to as usize], Inst::Match | Inst::Fail | Inst::Switch(_))
        {
            *inst = insts[to as usize];
        }
    }
    for choice in &mut program.choices {
        end(&mut choice.body);
        end(&mut choice.exit);
    }
    for switch in &mut program.switches {
        thread_all(switch.targets.as_mut_slice(), &end);
    }
    for counter in &mut program.counters {
        end(&mut counter.body);
    }
}

/// Neighbouring symbols nearly always lead to the same place, which is looked up once for all of them.
fn thread_all(targets: &mut [u32], end: &dyn Fn(&mut u32)) {
    for alike in targets.chunk_by_mut(|one, other| one == other) {
        let mut target = alike[0];
        end(&mut target);
        alike.fill(target);
    }
}

fn retarget(inst: &mut Inst, end: &dyn Fn(&mut u32)) {
    match inst {
        Inst::Jump(to)
        | Inst::Call(to)
        | Inst::MarkNot { after: to }
        | Inst::EmptyEnd { exit: to, .. }
        | Inst::Condition { no: to, .. } => end(to),
        Inst::Split { first, second, .. } => {
            end(first);
            end(second);
        }
        _ => {}
    }
}

fn destination(insts: &[Inst], from: u32) -> u32 {
    let mut at = from;
    // A loop of jumps alone would never end; there is none, but the bound costs nothing.
    for _ in 0..insts.len() {
        match insts[at as usize] {
            Inst::Jump(to) => at = to,
            _ => break,
        }
    }
    at
}
