//! What has become of documents on their way to Elasticsearch, for the monitoring API: counted for each request, not for each event.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use elkhound_pipeline::time::Timestamp;

use super::locked;
use crate::clock;

/// So many rejected documents are remembered, the last ones.
const REJECTED: usize = 20;
/// The most of a document or a reason that is shown, in characters.
pub(crate) const SHOWN: usize = 1000;

/// What an output has delivered so far.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Documents that Elasticsearch has.
    pub(crate) indexed: AtomicU64,
    /// Documents that it will never take.
    pub(crate) refused: AtomicU64,
    /// Items that were sent again.
    pub(crate) again: AtomicU64,
    /// Requests that were answered and whose items were all taken.
    pub(crate) whole: AtomicU64,
    /// Requests that were answered, some of whose items were not taken.
    pub(crate) with_errors: AtomicU64,
    /// Requests without a usable answer, or that were refused as a whole.
    pub(crate) failed: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    statuses: BTreeMap<u16, u64>,
    items: BTreeMap<u16, u64>,
    rejected: VecDeque<Rejected>,
    trouble: Option<Trouble>,
}

/// A document that Elasticsearch will never take.
#[derive(Clone, Debug)]
pub(crate) struct Rejected {
    /// When it said so.
    pub(crate) at: Timestamp,
    /// The item's status.
    pub(crate) status: u16,
    /// The type of the error.
    pub(crate) kind: String,
    /// Its reason.
    pub(crate) reason: String,
    /// The beginning of the document.
    pub(crate) document: String,
}

/// Why documents are not taken at present.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// Since when.
    pub(crate) since: Timestamp,
    /// The last reason.
    pub(crate) reason: String,
}

impl Delivery {
    /// A request was answered with this HTTP status.
    pub(crate) fn answered(&self, status: u16) {
        *locked(&self.state).statuses.entry(status).or_default() += 1;
    }

    /// Items were answered with these statuses, other than the usual ones.
    pub(crate) fn items(&self, statuses: impl Iterator<Item = u16>) {
        let mut state = locked(&self.state);
        for status in statuses {
            *state.items.entry(status).or_default() += 1;
        }
    }

    /// A document is given up.
    pub(crate) fn reject(&self, status: u16, kind: &str, reason: &str, document: &str) {
        let cut = |text: &str| crate::secret::mask(&text.chars().take(SHOWN).collect::<String>()).into_owned();
        let (reason, document) = (cut(reason), cut(document));
        let rejected = Rejected { at: clock::now(), status, kind: kind.to_owned(), reason, document };
        let rejections = &mut locked(&self.state).rejected;
        rejections.truncate(REJECTED - 1);
        rejections.push_front(rejected);
    }

    /// Documents are not taken, and tried again.
    pub(crate) fn fails(&self, reason: &str) {
        let mut state = locked(&self.state);
        let since = state.trouble.as_ref().map_or_else(clock::now, |trouble| trouble.since);
        state.trouble = Some(Trouble { since, reason: crate::secret::mask(reason).into_owned() });
    }

    /// Documents are taken.
    pub(crate) fn recovers(&self) {
        locked(&self.state).trouble = None;
    }

    /// Why documents are not taken, if they are not.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        locked(&self.state).trouble.clone()
    }

    /// Requests by HTTP status.
    pub(crate) fn statuses(&self) -> BTreeMap<u16, u64> {
        locked(&self.state).statuses.clone()
    }

    /// Items that were not simply taken, by status.
    pub(crate) fn item_statuses(&self) -> BTreeMap<u16, u64> {
        locked(&self.state).items.clone()
    }

    /// The last rejected documents, newest first.
    pub(crate) fn rejected(&self) -> Vec<Rejected> {
        locked(&self.state).rejected.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rejected_documents_are_remembered_and_cut() {
        let delivery = Delivery::default();
        for number in 0..30 {
            delivery.reject(400, "kind", &format!("reason {number}"), &"x".repeat(5000));
        }
        let rejected = delivery.rejected();
        assert_eq!((rejected.len(), rejected[0].reason.as_str(), rejected[0].document.len()), (20, "reason 29", 1000));
    }

    #[test]
    fn trouble_lasts_since_its_first_failure_until_documents_are_taken() {
        let delivery = Delivery::default();
        delivery.fails("one");
        let since = delivery.trouble().unwrap().since;
        delivery.fails("two");
        let trouble = delivery.trouble().unwrap();
        assert_eq!((trouble.since, trouble.reason.as_str()), (since, "two"));
        delivery.recovers();
        assert!(delivery.trouble().is_none());
    }
}
