//! What becomes of events that are refused for good: they are told and counted, and where there is a dead letter queue they go there.
//!
//! A receipt is acknowledged only after the queue has the entry. Without a queue the log line is all that is left, and the receipt is
//! acknowledged at once, so that one bad document holds nothing up. Conflicts (409) and what `drop_error_types` names are never kept, as in
//! Logstash; nor is what came from a dead letter queue, which has it still.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::json::{self, Numbers};
use elkhound_pipeline::value::Value;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::action::Unencodable;
use super::answer::Item;
use super::attached::{Aside, Attached};
use super::sender::Quiet;
use super::verdict;
use crate::backoff::Backoff;
use crate::clock;
use crate::dead_letters::entry::{FIELD, Refusal};
use crate::dead_letters::{DeadLetters, REMEDY};
use crate::limit::Limit;
use crate::output::retry::{Retry, Trouble};
use crate::stats::delivery::SHOWN;

/// An event that Elasticsearch will never take.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What Elasticsearch said.
    pub(crate) item: Item,
    /// The lines that were sent.
    pub(crate) lines: Vec<u8>,
    /// Receipt and what the lines don't say.
    pub(crate) attached: Attached,
}

/// The way to a pipeline's dead letter queue, for one output.
#[derive(Clone, Debug)]
pub(crate) struct Letterbox {
    /// The queue.
    pub(crate) queue: Arc<DeadLetters>,
    /// The output's `id`.
    pub(crate) plugin_id: String,
    /// What the output puts behind ids; left out in the queue, so that a replay through all outputs has each make its own again.
    pub(crate) suffix: String,
    /// Cancelled when it is time to give up.
    pub(crate) give_up: CancellationToken,
}

/// Tells of what was refused, and keeps it where there is a queue. False when the deadline of a stop came first: then the receipts are left
/// unacknowledged.
pub(crate) async fn settle(refused: Vec<Refused>, quiet: &Quiet, letters: Option<&Letterbox>) -> bool {
    let (mut lines, mut receipts) = (VecDeque::new(), Vec::new());
    for Refused { item, lines: sent, attached } in refused {
        let again = attached.aside.as_ref().is_some_and(|aside| was_dead(&aside.metadata));
        let kept = letters.filter(|_| item.status != 409 && !quiet.drops(&item) && !again);
        if !quiet.silences(&item) {
            report(&item, &sent, kept.is_some());
        }
        if let Some(letters) = kept {
            lines.push_back(letters.entry(&item, &sent, attached.aside.as_deref()));
        }
        receipts.extend(attached.receipt);
    }
    if let Some(letters) = letters.filter(|_| !lines.is_empty())
        && !letters.keep(lines).await
    {
        return false;
    }
    receipts.into_iter().for_each(Receipt::acknowledge);
    true
}

impl Letterbox {
    fn entry(&self, item: &Item, sent: &[u8], aside: Option<&Aside>) -> Vec<u8> {
        let (action, document) = action_and_document(sent);
        let mut refusal = self.refusal(item);
        refusal.read_action(action);
        if let Some(id) = refusal.document_id.strip_suffix(&self.suffix) {
            refusal.document_id = id.to_owned();
        }
        let fields = aside.and_then(|aside| aside.fields.as_deref()).unwrap_or(document);
        refusal.entry(fields, aside.map_or(&[], |aside| &aside.metadata))
    }

    fn refusal(&self, item: &Item) -> Refusal {
        let (error, reason) = item.told();
        Refusal {
            time: clock::now(),
            plugin: super::KIND.name.into(),
            plugin_id: self.plugin_id.clone(),
            index: item.index.clone(),
            status: item.status,
            error: error.to_owned(),
            reason: reason.to_owned(),
            ..Refusal::default()
        }
    }

    /// Has the queue write these entries, for as long as it takes; false when it is time to give up.
    async fn keep(&self, mut lines: VecDeque<Vec<u8>>) -> bool {
        let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut retry = Retry::new("dead letter queue", backoff, self.give_up.clone());
        loop {
            let queue = Arc::clone(&self.queue);
            let written = tokio::task::spawn_blocking(move || {
                let result = queue.keep(&mut lines);
                (lines, result)
            });
            // A join that fails means that the runtime ends.
            let Ok((left, result)) = written.await else { return false };
            lines = left;
            let Err(error) = result else { return true };
            if !retry.failed(&trouble(&self.queue, &error)).await {
                return false;
            }
        }
    }
}

impl Refusal {
    /// Reads from an action line what was asked for, with which id, and where when Elasticsearch did not say.
    fn read_action(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let Ok(Value::Map(action)) = json::parse(&text, Numbers::Doubles) else { return };
        let Some((name, Value::Map(fields))) = action.iter().next() else { return };
        self.action = name.to_string();
        let text = |name: &str| fields.get(name).and_then(Value::as_text).map(ToString::to_string).unwrap_or_default();
        self.document_id = text("_id");
        if self.index.is_empty() {
            self.index = text("_index");
        }
    }
}

fn trouble(queue: &DeadLetters, error: &std::io::Error) -> Trouble {
    Trouble::new(queue.place(), error, REMEDY)
}

/// Settles an event that can't be made a document: told, kept where there is a queue and `keeps` allows, acknowledged.
pub(crate) fn settle_unencodable(
    event: &Event,
    receipt: Option<Receipt>,
    broken: &Unencodable,
    letters: Option<&Letterbox>,
) {
    static LIMIT: Limit = Limit::new();
    if let Some(suppressed) = LIMIT.pass() {
        let fate = if letters.is_some() { "goes to the dead letter queue" } else { "is given up" };
        error!(
            suppressed,
            "an event could not be made a document and {fate}: {broken}; correct the elasticsearch output"
        );
    }
    if let Some(letters) = letters.filter(|_| !event.metadata().contains(FIELD)) {
        let refusal = Refusal {
            document_id: event.id().map(|id| id.as_str().to_owned()).unwrap_or_default(),
            error: "elkhound_unencodable".into(),
            reason: broken.to_string(),
            ..letters.refusal(&Item::default())
        };
        if !letters.queue.keep_until(refusal.entry_of(event), &letters.give_up) {
            return;
        }
    }
    receipt.into_iter().for_each(Receipt::acknowledge);
}

/// The document of an item that was sent, as text.
pub(crate) fn document(sent: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(action_and_document(sent).1)
}

/// The lines of an item that was sent; a deletion has no document.
fn action_and_document(sent: &[u8]) -> (&[u8], &[u8]) {
    let mut lines = sent.split(|byte| *byte == b'\n');
    (lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
}

/// Whether `@metadata` says that the event was read from a dead letter queue.
fn was_dead(metadata: &[u8]) -> bool {
    let text = String::from_utf8_lossy(metadata);
    json::parse(&text, Numbers::Doubles).is_ok_and(|value| value.as_map().is_some_and(|map| map.contains(FIELD)))
}

fn report(item: &Item, lines: &[u8], kept: bool) {
    static LIMIT: Limit = Limit::new();
    let Some(suppressed) = LIMIT.pass() else { return };
    let (kind, reason) = item.told();
    let remedy = verdict::remedy(item.status, kind);
    if kept {
        let index = &item.index;
        warn!(
            suppressed,
            index,
            status = item.status,
            kind,
            reason,
            "elasticsearch refuses a document for good, and the dead letter queue keeps it; {remedy}"
        );
        return;
    }
    let document: String = document(lines).chars().take(SHOWN).collect();
    error!(
        suppressed,
        index = item.index,
        status = item.status,
        kind,
        reason,
        document,
        "elasticsearch refuses a document for good; {remedy}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::entry::Entry;
    use crate::dead_letters::{Limits, Policy, Settings};
    use crate::output::elasticsearch::answer::ItemError;
    use crate::scratch::Folder;

    fn letterbox(folder: &std::path::Path) -> Letterbox {
        let limits = Limits { bytes: 1 << 20, policy: Policy::DropNewer, age: None, flush: Duration::from_secs(60) };
        let queue = Arc::new(DeadLetters::new(Settings { folder: folder.to_owned(), limits }));
        Letterbox { queue, plugin_id: "out".into(), suffix: ".o2".into(), give_up: CancellationToken::new() }
    }

    fn item(status: u16) -> Item {
        let error = Some(ItemError { kind: "k".into(), reason: "r".into() });
        Item { status, error, index: "i".into(), ..Item::default() }
    }

    fn refused(status: u16, aside: Option<Aside>) -> Refused {
        let lines = b"{\"create\":{\"_index\":\"i\",\"_id\":\"7.o2\"}}\n{\"n\":1}\n".to_vec();
        Refused { item: item(status), lines, attached: Attached { receipt: None, aside: aside.map(Box::new) } }
    }

    #[tokio::test]
    async fn only_what_can_be_of_use_again_is_kept() {
        let folder = Folder::new("refused");
        let letters = letterbox(&folder);
        let again = Aside { metadata: b"{\"dead_letter_queue\":{}}".to_vec(), ..Aside::default() };
        let metadata = Aside { metadata: b"{\"m\":2}".to_vec(), ..Aside::default() };
        let all = vec![refused(400, None), refused(409, None), refused(404, Some(metadata)), refused(400, Some(again))];
        assert!(settle(all, &Quiet::default(), Some(&letters)).await);
        let dropped = Quiet { silenced: Vec::new(), dropped: vec!["k".into()] };
        assert!(settle(vec![refused(400, None)], &dropped, Some(&letters)).await);
        let text = std::fs::read_to_string(folder.join("1.ndjson")).unwrap();
        let entries: Vec<Entry> = text.lines().map(|line| Entry::parse(line.as_bytes()).unwrap()).collect();
        assert_eq!(entries.iter().map(|entry| entry.refusal.status).collect::<Vec<_>>(), [400, 404]);
        let first = &entries[0].refusal;
        assert_eq!((first.action.as_str(), first.document_id.as_str(), first.index.as_str()), ("create", "7", "i"));
        assert_eq!(entries[0].fields.get("n"), Some(&1.into()));
        assert!(entries[1].fields.contains("@metadata"));
    }

    #[tokio::test]
    async fn what_the_queue_could_not_write_is_not_acknowledged() {
        let folder = std::env::temp_dir().join(format!("elkhound-refused-file-{}", std::process::id()));
        std::fs::write(&folder, "in the way").unwrap();
        let letters = letterbox(&folder);
        letters.give_up.cancel();
        assert!(!settle(vec![refused(400, None)], &Quiet::default(), Some(&letters)).await);
        std::fs::remove_file(folder).unwrap();
    }
}
