//! The byte budget: one number that bounds everything in flight, from the read buffer to the request that carries it.
//!
//! An input charges the budget before it hands a chunk on, and waits when there is not enough left: that is the back-pressure.
//! The charge travels with the chunk's receipts and is given back with the last of them. Waiters are served in the order in
//! which they came, so a noisy container can't starve a quiet one.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::blocking::{block_on, block_until};

/// The unit in which bytes are counted: small enough not to matter, large enough that a budget of 1 TiB fits 32 bits.
const UNIT: usize = 1024;

/// What an event costs in memory beside its text, in bytes; measured generously. Inputs charge it for each event.
pub const EVENT: usize = 512;

/// A shared budget of bytes.
#[derive(Clone, Debug)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    units: u32,
}

/// Bytes taken from a budget, given back when dropped.
#[derive(Debug)]
pub struct Charge {
    permit: OwnedSemaphorePermit,
}

impl Charge {
    /// Gives back what is more than `bytes`: less is left of what was charged than was known.
    pub fn shrink(&mut self, bytes: usize) {
        let spare = self.permit.num_permits().saturating_sub(units(bytes) as usize);
        drop(self.permit.split(spare));
    }
}

impl Budget {
    /// A budget of `bytes`, counted in KiB; at least 1 KiB.
    pub fn new(bytes: usize) -> Self {
        let units = units(bytes);
        Self { semaphore: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// The whole budget in bytes.
    pub fn bytes(&self) -> usize {
        self.units as usize * UNIT
    }

    /// What is left, in bytes.
    pub fn left(&self) -> usize {
        self.semaphore.available_permits() * UNIT
    }

    /// Takes `bytes`, waiting until they are free. More than the whole budget is cut to it, so that a single large chunk
    /// passes alone instead of waiting for ever.
    pub async fn charge(&self, bytes: usize) -> Charge {
        let wanted = units(bytes).min(self.units);
        let permit = Arc::clone(&self.semaphore).acquire_many_owned(wanted).await;
        Charge { permit: permit.expect("the semaphore is never closed") }
    }

    /// The same without waiting; nothing when they are not free.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let wanted = units(bytes).min(self.units);
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(wanted).ok()?;
        Some(Charge { permit })
    }

    /// The same for a thread that is not part of a runtime; blocks it.
    pub fn charge_blocking(&self, bytes: usize) -> Charge {
        block_on(self.charge(bytes))
    }

    /// The same until `is_over`, which is looked at every tenth of a second; nothing then.
    pub fn charge_until(&self, bytes: usize, is_over: impl Fn() -> bool) -> Option<Charge> {
        block_until(self.charge(bytes), is_over)
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT))
        .unwrap_or(u32::MAX)
        .clamp(1, (Semaphore::MAX_PERMITS as u64).min(u64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_full_budget_blocks_until_a_charge_is_given_back() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.charge_blocking(8 * UNIT);
        let waiting = budget.clone();
        let other = thread::spawn(move || drop(waiting.charge_blocking(5 * UNIT)));
        drop(first);
        other.join().unwrap();
        assert_eq!(budget.left(), budget.bytes());
    }

    #[test]
    fn who_waits_may_have_enough_of_it() {
        let budget = Budget::new(10 * UNIT);
        let all = budget.charge_blocking(10 * UNIT);
        assert!(budget.charge_until(UNIT, || true).is_none());
        drop(all);
        assert!(budget.charge_until(10 * UNIT, || true).is_some(), "what is free is had at once");
        assert_eq!(budget.left(), budget.bytes());
    }

    #[test]
    fn what_is_charged_can_become_less_and_never_more() {
        let budget = Budget::new(10 * UNIT);
        let mut charge = budget.try_charge(8 * UNIT).unwrap();
        charge.shrink(9 * UNIT);
        assert_eq!(budget.left(), 2 * UNIT);
        charge.shrink(2 * UNIT + 1);
        assert_eq!(budget.left(), 7 * UNIT);
        drop(charge);
        assert_eq!(budget.left(), budget.bytes());
    }

    #[test]
    fn more_than_everything_passes_alone() {
        let budget = Budget::new(4 * UNIT);
        let all = budget.charge_blocking(100 * UNIT);
        assert_eq!(budget.left(), 0);
        assert!(budget.try_charge(1).is_none());
        drop(all);
        assert!(budget.try_charge(1).is_some());
        assert_eq!(budget.left(), 4 * UNIT);
    }
}
