//! How large requests are and how many are under way at once: both halve when Elasticsearch does not keep up, and grow slowly while it does.
//!
//! Slow are a 429, for the request or one of its items, and an answer that did not come in time. A 413 says more: no request may ever
//! be as large as the one that was refused. Requests that were under way together tell of the same trouble, so that only the first of them
//! counts. What a request's fate says is decided by [`State`], which is pure; [`Pace`] hands it round.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tracing::debug;

/// Requests are never made smaller than this.
const LEAST: usize = 16 << 10;
/// So many good answers in a row make for one step up.
const GOOD: u32 = 8;
/// Steps from nothing to the full size.
const STEPS: usize = 8;

/// What a request's fate says about the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// All of it was judged, and nothing had to wait.
    Good,
    /// Elasticsearch has too much to do.
    Slow,
    /// It was too large, with so many bytes.
    TooLarge(usize),
}

/// The pace of an output, shared by its writers and senders.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    bytes: AtomicUsize,
    requests: watch::Sender<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// What the settings allow.
    most: Extent,
    now: Extent,
    good: u32,
    /// Counts halvings; a request that began before the last one says nothing new.
    age: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    bytes: usize,
    requests: usize,
}

impl Pace {
    /// The pace that the settings allow, to begin with.
    pub(crate) fn new(bytes: usize, requests: usize) -> Self {
        let most = Extent { bytes, requests };
        let state = Mutex::new(State { most, now: most, good: 0, age: 0 });
        Self { state, bytes: AtomicUsize::new(bytes), requests: watch::Sender::new(requests) }
    }

    /// How large a request is to be.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits until the sender with this number, from 0, may take up a request. The first always may.
    pub(crate) async fn turn(&self, number: usize) {
        // It can't fail, for the sending half lives in here.
        let mut requests = self.requests.subscribe();
        let _open = requests.wait_for(|requests| number < *requests).await;
    }

    /// There is nothing more to send: nobody waits for his turn any longer.
    pub(crate) fn end(&self) {
        self.requests.send_replace(usize::MAX);
    }

    /// A mark to be given back with a request's fate.
    pub(crate) fn mark(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).age
    }

    /// Takes note of the fate of a request that began at `mark`.
    pub(crate) fn note(&self, sign: Sign, mark: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.now;
        *state = state.after(sign, mark);
        let now = state.now;
        drop(state);
        if now == before {
            return;
        }
        debug!(bytes = now.bytes, requests = now.requests, "requests to elasticsearch change their size");
        self.bytes.store(now.bytes, Ordering::Relaxed);
        // Once ended it stays so.
        self.requests.send_if_modified(|requests| {
            let change = *requests != usize::MAX && *requests != now.requests;
            if change {
                *requests = now.requests;
            }
            change
        });
    }
}

impl State {
    fn after(self, sign: Sign, mark: u64) -> Self {
        match sign {
            Sign::Good if self.good + 1 < GOOD => Self { good: self.good + 1, ..self },
            Sign::Good => Self { good: 0, now: self.grown(), ..self },
            Sign::Slow if mark < self.age => self,
            Sign::Slow => Self { good: 0, age: self.age + 1, now: self.halved(), ..self },
            Sign::TooLarge(bytes) => {
                let most =
                    Extent { bytes: (bytes / 4 * 3).clamp(LEAST.min(self.most.bytes), self.most.bytes), ..self.most };
                let now = Extent { bytes: self.now.bytes.min(most.bytes), ..self.now };
                Self { good: 0, most, now, ..self }
            }
        }
    }

    fn grown(self) -> Extent {
        Extent {
            bytes: (self.now.bytes + self.most.bytes.div_ceil(STEPS)).min(self.most.bytes),
            requests: (self.now.requests + 1).min(self.most.requests),
        }
    }

    fn halved(self) -> Extent {
        let least = LEAST.min(self.most.bytes);
        Extent { bytes: (self.now.bytes / 2).max(least), requests: (self.now.requests / 2).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(pace: &Pace) -> (usize, usize) {
        (pace.bytes(), *pace.requests.borrow())
    }

    #[test]
    fn it_halves_at_once_and_grows_slowly() {
        let pace = Pace::new(1 << 20, 4);
        pace.note(Sign::Slow, pace.mark());
        assert_eq!(extent(&pace), (1 << 19, 2));
        for _ in 0..GOOD - 1 {
            pace.note(Sign::Good, pace.mark());
        }
        assert_eq!(extent(&pace), (1 << 19, 2));
        pace.note(Sign::Good, pace.mark());
        assert_eq!(extent(&pace), (5 << 17, 3));
        (0..GOOD * 8).for_each(|_| pace.note(Sign::Good, pace.mark()));
        assert_eq!(extent(&pace), (1 << 20, 4));
        (0..20).for_each(|_| pace.note(Sign::Slow, pace.mark()));
        assert_eq!(extent(&pace), (LEAST, 1));
    }

    #[test]
    fn requests_that_were_under_way_together_count_once() {
        let pace = Pace::new(1 << 20, 4);
        let mark = pace.mark();
        (0..4).for_each(|_| pace.note(Sign::Slow, mark));
        assert_eq!(extent(&pace), (1 << 19, 2));
    }

    #[test]
    fn what_was_too_large_once_is_never_reached_again() {
        let pace = Pace::new(1 << 20, 2);
        pace.note(Sign::TooLarge(400_000), pace.mark());
        (0..1000).for_each(|_| pace.note(Sign::Good, pace.mark()));
        assert_eq!(extent(&pace), (300_000, 2));
        // A document that is too large by itself says nothing about the others.
        pace.note(Sign::TooLarge(50 << 20), pace.mark());
        assert_eq!(extent(&pace), (300_000, 2));
    }

    #[tokio::test]
    async fn a_sender_waits_for_its_turn_and_for_the_end() {
        let pace = std::sync::Arc::new(Pace::new(1 << 20, 2));
        pace.turn(1).await;
        pace.note(Sign::Slow, pace.mark());
        pace.turn(0).await;
        let waiting = tokio::spawn({
            let pace = std::sync::Arc::clone(&pace);
            async move { pace.turn(1).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        pace.end();
        pace.note(Sign::Slow, pace.mark());
        waiting.await.unwrap();
        pace.turn(7).await;
    }
}
