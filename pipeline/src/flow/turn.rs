//! A worker's turn: for how long it works on what it has taken up before it looks who else waits.
//!
//! Usually a batch is done long before. One that is not gives way between two events, and the rest of it waits for its source's next turn: a container
//! whose lines cost a pattern seconds delays others by one turn for each worker.

use std::time::{Duration, Instant};

/// How long a turn lasts. Its last event may take longer.
pub(crate) const TURN: Duration = Duration::from_millis(50);

/// The clock is read behind so many events...
const EVENTS: u32 = 8;

/// ...and behind one on which patterns have spent so many steps, which is about a millisecond.
const STEPS: u64 = 50_000;

/// When a turn is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turn {
    end: Option<Instant>,
    events: u32,
    spent: u64,
}

impl Turn {
    /// One that begins at `now`; `spent` are the steps of all patterns so far.
    pub(crate) fn begin(now: Instant, spent: u64) -> Self {
        Self { end: Some(now + TURN), events: 0, spent }
    }

    /// Whether it is over; asked behind each event. The default is never over.
    #[inline]
    pub(crate) fn is_over(&mut self, spent: u64) -> bool {
        self.events += 1;
        if self.events < EVENTS && spent.saturating_sub(self.spent) < STEPS {
            return false;
        }
        (self.events, self.spent) = (0, spent);
        self.end.is_some_and(|end| end <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_behind_some_events_or_a_costly_one() {
        let mut over = Turn { end: Some(Instant::now()), ..Turn::default() };
        let asked: Vec<bool> = (0..2 * EVENTS).map(|_| over.is_over(0)).collect();
        let expected: Vec<bool> = (1..=2 * EVENTS).map(|asked| asked % EVENTS == 0).collect();
        assert_eq!(asked, expected);
        assert!(over.is_over(STEPS));
        assert!(!over.is_over(2 * STEPS - 1));
        let mut endless = Turn::default();
        assert!(!endless.is_over(u64::MAX));
    }
}
