//! The byte budget: one number that bounds everything in flight, from the read buffer to the request that carries it.
//!
//! An input charges the budget before it hands a chunk on, and waits when there is not enough left: that is the back-pressure.
//! The charge travels with the chunk's receipts and is given back with the last of them. Waiters are served in the order in
//! which they came, so a noisy container can't starve a quiet one.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit in which bytes are counted: small enough not to matter, large enough that a budget of 1 TiB fits 32 bits.
const UNIT: usize = 1024;

/// How often somebody who waits looks whether it is over.
const LOOK: Duration = Duration::from_millis(100);

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
    _permit: OwnedSemaphorePermit,
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
        Charge { _permit: permit.expect("the semaphore is never closed") }
    }

    /// The same without waiting; nothing when they are not free.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let wanted = units(bytes).min(self.units);
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(wanted).ok()?;
        Some(Charge { _permit: permit })
    }

    /// The same for a thread that is not part of a runtime; blocks it.
    pub fn charge_blocking(&self, bytes: usize) -> Charge {
        block_on(self.charge(bytes), None, || false).expect("it waits for ever")
    }

    /// The same until `is_over`, which is looked at every [`LOOK`]; nothing then.
    pub fn charge_until(&self, bytes: usize, is_over: impl Fn() -> bool) -> Option<Charge> {
        block_on(self.charge(bytes), Some(LOOK), is_over)
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT))
        .unwrap_or(u32::MAX)
        .clamp(1, (Semaphore::MAX_PERMITS as u64).min(u64::from(u32::MAX)) as u32)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until there is something, or `is_over`, which is asked at every `look`.
pub(super) fn block_on<F: Future>(future: F, look: Option<Duration>, is_over: impl Fn() -> bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if is_over() => return None,
            Poll::Pending => look.map_or_else(thread::park, thread::park_timeout),
        }
    }
}

#[cfg(test)]
mod tests {
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
