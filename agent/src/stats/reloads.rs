//! How often pipelines were loaded again, and how that went: told by whoever reloads, read by the monitoring API.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use elkhound_pipeline::flow::meter::add;
use elkhound_pipeline::time::Timestamp;

use super::locked;
use crate::clock;

/// Reloads of one pipeline, or of all.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    /// Those that went well.
    pub(crate) successes: AtomicU64,
    /// Those that were refused; the old pipeline went on.
    pub(crate) failures: AtomicU64,
    last: Mutex<Last>,
}

/// The last reloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Last {
    /// When one went well.
    pub(crate) success: Option<Timestamp>,
    /// When one was refused.
    pub(crate) failure: Option<Timestamp>,
    /// Why.
    pub(crate) error: Option<String>,
}

impl Reloads {
    /// The new pipeline runs.
    pub(crate) fn succeeded(&self) {
        add(&self.successes, 1);
        locked(&self.last).success = Some(clock::now());
    }

    /// The new pipeline was refused for this reason.
    pub(crate) fn failed(&self, reason: &str) {
        add(&self.failures, 1);
        let mut last = locked(&self.last);
        (last.failure, last.error) = (Some(clock::now()), Some(reason.to_owned()));
    }

    /// The last ones.
    pub(crate) fn last(&self) -> Last {
        locked(&self.last).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_remembered_beside_the_success_before_it() {
        let reloads = Reloads::default();
        reloads.succeeded();
        reloads.failed("p.conf:3:1 expected `{`");
        let last = reloads.last();
        assert!(last.success.is_some() && last.failure >= last.success);
        assert_eq!(last.error.as_deref(), Some("p.conf:3:1 expected `{`"));
        assert_eq!((reloads.successes.into_inner(), reloads.failures.into_inner()), (1, 1));
    }
}
