//! Answers for user agents that were seen lately; a thousand patterns take a while, and most lines of a log repeat a few agents.
//!
//! Two generations stand in for a least-recently-used list: what is asked for moves to the young one, and when that is full, the old one is
//! forgotten. Workers share the cache in shards, so that they seldom wait for each other.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::patterns::Agent;
use crate::regex::Overrun;
use crate::text::Text;

const SHARDS: usize = 16;

/// What is known of a user agent. That its patterns took too long is remembered as well, so that it costs that once and not with each line.
type Answer = Arc<Result<Agent, Overrun>>;

/// Texts longer than this, in bytes, are answered anew each time, which bounds the cache's memory.
const LONGEST: usize = 1024;

pub(super) struct Cache {
    shards: Vec<Mutex<Generations>>,
    hasher: RandomState,
    /// The most entries of a generation.
    capacity: usize,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Text, Answer>,
    old: HashMap<Text, Answer>,
}

impl Cache {
    /// A cache for about `entries` answers.
    pub(super) fn new(entries: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), capacity: (entries / SHARDS / 2).max(1) }
    }

    /// The answer for `text`, made by `make` when it is not known. The lock is not held meanwhile.
    pub(super) fn get_or(&self, text: &Text, make: impl FnOnce() -> Result<Agent, Overrun>) -> Answer {
        if text.len() > LONGEST {
            return Arc::new(make());
        }
        let known = self.shard(text).find(text, self.capacity);
        known.unwrap_or_else(|| {
            let agent = Arc::new(make());
            // A copy of the text, which else would keep the whole chunk of its line alive.
            self.shard(text).keep(Text::new(text), Arc::clone(&agent), self.capacity);
            agent
        })
    }

    fn shard(&self, text: &Text) -> MutexGuard<'_, Generations> {
        let shard = &self.shards[self.hasher.hash_one(text) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn find(&mut self, text: &Text, capacity: usize) -> Option<Answer> {
        if let Some(agent) = self.young.get(text) {
            return Some(Arc::clone(agent));
        }
        let (text, agent) = self.old.remove_entry(text)?;
        self.keep(text, Arc::clone(&agent), capacity);
        Some(agent)
    }

    fn keep(&mut self, text: Text, agent: Answer, capacity: usize) {
        if self.young.len() >= capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text, agent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_made_once_and_forgotten_when_others_come() {
        let cache = Cache::new(SHARDS * 2);
        let mut made = 0;
        let mut ask = |text: &str| {
            cache.get_or(&Text::new(text), || {
                made += 1;
                Ok(Agent::default())
            });
            made
        };
        assert_eq!((ask("a"), ask("a")), (1, 1));
        for n in 0..200 {
            ask(&format!("other {n}"));
        }
        assert_eq!(ask("a"), 202);
    }
}
