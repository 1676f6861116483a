//! How many connections there may be: a fixed number of seats. When all are taken, whoever has been silent longest gives his up, if he has
//! been silent for long; otherwise the newcomer is turned away. So peers that hold connections and send nothing keep no one out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Silence after which a seat may be taken away.
const SILENT: Duration = Duration::from_secs(60);

/// The seats of one input.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    taken: HashMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    heard: Instant,
    leave: CancellationToken,
}

/// A connection's seat, free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    seats: Arc<Seats>,
    /// Cancelled when the seat is needed for somebody else.
    pub(super) leave: CancellationToken,
}

impl Seats {
    /// So many seats, all free.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default() })
    }

    /// A seat for a connection that came at `now`; nothing when all are taken by connections that are in use.
    pub(super) fn take(self: &Arc<Self>, now: Instant) -> Option<Seat> {
        let mut state = self.state();
        if state.taken.len() >= self.most {
            let longest = state.taken.iter().min_by_key(|(_, taken)| taken.heard).map(|(number, _)| *number)?;
            let silent = now.saturating_duration_since(state.taken[&longest].heard) >= SILENT;
            // Whoever is sent away leaves a moment later; his seat counts as free at once.
            let taken = silent.then(|| state.taken.remove(&longest))??;
            taken.leave.cancel();
        }
        let number = state.next;
        state.next += 1;
        let leave = CancellationToken::new();
        state.taken.insert(number, Taken { heard: now, leave: leave.clone() });
        Some(Seat { number, seats: Arc::clone(self), leave })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The connection has sent something.
    pub(super) fn heard(&self, now: Instant) {
        if let Some(taken) = self.seats.state().taken.get_mut(&self.number) {
            taken.heard = now;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.state().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_is_left_is_free() {
        let (seats, now) = (Seats::new(1), Instant::now());
        let first = seats.take(now).unwrap();
        assert!(seats.take(now).is_none());
        drop(first);
        assert!(seats.take(now).is_some());
    }

    #[test]
    fn the_one_who_was_silent_longest_makes_room() {
        let (seats, start) = (Seats::new(2), Instant::now());
        let (first, second) = (seats.take(start).unwrap(), seats.take(start).unwrap());
        first.heard(start + SILENT / 2);
        let third = seats.take(start + SILENT).unwrap();
        assert!(second.leave.is_cancelled() && !first.leave.is_cancelled());
        assert!(seats.take(start + SILENT).is_none());
        // The one who was sent away takes nobody's seat along when he goes.
        drop(second);
        assert!(seats.take(start + SILENT).is_none());
        drop(third);
        assert!(seats.take(start + SILENT).is_some());
    }
}
