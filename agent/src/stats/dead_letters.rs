//! How full a dead letter queue is and what it has lost, counted at each write to it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::locked;

/// What a pipeline's dead letter queue tells of itself.
#[derive(Debug, Default)]
pub(crate) struct DeadLetterMeter {
    /// The most bytes that it may have.
    pub(crate) max_bytes: u64,
    /// `dead_letter_queue.storage_policy`.
    pub(crate) policy: &'static str,
    /// Entries that were written since the start.
    pub(crate) kept: AtomicU64,
    /// Entries that were lost because the queue was full, new ones and old ones.
    pub(crate) dropped: AtomicU64,
    /// Entries that were removed because they were old.
    pub(crate) expired: AtomicU64,
    bytes: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl DeadLetterMeter {
    /// Of a queue to which nothing was written yet.
    pub(crate) fn new(max_bytes: u64, policy: &'static str) -> Self {
        Self { max_bytes, policy, ..Self::default() }
    }

    /// Bytes of its segments, as far as its writer knows them: what a reader removes counts until the next look.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Notes how large it is now.
    pub(crate) fn holds(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Why it took nothing when it was last written to.
    pub(crate) fn trouble(&self) -> Option<String> {
        locked(&self.trouble).clone()
    }

    /// Notes how the last write to it ended.
    pub(crate) fn ended(&self, trouble: Option<String>) {
        *locked(&self.trouble) = trouble;
    }
}
