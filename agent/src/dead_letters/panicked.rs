//! Events on which a filter, a condition, an output or the queue on disk has panicked: the pipeline's dead letter queue keeps them as they were then. What a filter has changed by then stays so, for
//! nobody has a copy of what they were before.

use std::sync::Arc;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::worker::survives;
use elkhound_pipeline::plan::{Culprit, Fate, SetAside};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::DeadLetters;
use super::entry::{FIELD, Refusal};
use crate::clock;

/// What brings them there.
pub(crate) fn set_aside(queue: Arc<DeadLetters>, runtime: Handle, give_up: CancellationToken) -> SetAside {
    Box::new(move |culprit, event| {
        // What comes from a dead letter queue is in there still.
        if event.metadata().contains(FIELD) {
            return Fate::GoesOn;
        }
        queue.start(&runtime);
        kept(|| refusal(culprit, event).entry_of(event), |entry| queue.keep_until(entry, &give_up))
    })
}

/// What an output could not encode, perhaps nobody can: then there is no entry to keep.
fn kept(encode: impl FnOnce() -> Vec<u8>, keep: impl FnOnce(Vec<u8>) -> bool) -> Fate {
    let mut entry = Vec::new();
    if !survives(|| entry = encode()) {
        return Fate::GoesOn;
    }
    if keep(entry) { Fate::Kept } else { Fate::ReadAgain }
}

fn refusal(culprit: Culprit<'_>, event: &Event) -> Refusal {
    Refusal {
        time: clock::now(),
        plugin: culprit.name.to_owned(),
        plugin_id: culprit.id.to_owned(),
        document_id: event.id().map(|id| id.as_str().to_owned()).unwrap_or_default(),
        error: format!("elkhound_{}_panic", culprit.kind),
        reason: format!(
            "{} panicked on this event, which is a defect of elkhound: report it with the event; the log has where it panicked",
            named(culprit)
        ),
        ..Refusal::default()
    }
}

fn named(Culprit { kind, place, .. }: Culprit<'_>) -> String {
    if place.is_empty() { format!("a {kind}") } else { format!("the {kind} at {place}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use elkhound_config::parser::{self, Escapes};
    use elkhound_config::source::Source;
    use elkhound_pipeline::path::Path;
    use elkhound_pipeline::plan::{Plan, compile};
    use elkhound_pipeline::setup::Ecs;

    use super::*;
    use crate::dead_letters::entry::Entry;
    use crate::dead_letters::{Limits, Policy, Settings};
    use crate::line;
    use crate::scratch::Folder;

    fn plan() -> Plan {
        let source = Source::of("a.conf", "filter { mutate { id => spoils } }");
        let parsed = parser::parse(&source, Escapes::Kept);
        compile(&parsed.document, &source, &line::setup(Ecs::V8), Box::new(|_| {}), &mut Vec::new()).plan
    }

    fn queue(folder: &std::path::Path) -> Arc<DeadLetters> {
        let limits = Limits { bytes: 1 << 20, policy: Policy::DropNewer, age: None, flush: Duration::from_secs(60) };
        Arc::new(DeadLetters::new(Settings { folder: folder.to_owned(), limits }))
    }

    fn event() -> Event {
        let mut event = Event::default();
        event.set_field("message".into(), "odd".into());
        event.set(&Path::parse("[@metadata][m]").unwrap(), 1.into()).unwrap();
        event
    }

    #[tokio::test]
    async fn an_event_is_kept_with_its_metadata_and_the_filter_is_named() {
        let folder = Folder::new("panicked");
        let keep = set_aside(queue(&folder), Handle::current(), CancellationToken::new());
        let plan = plan();
        assert_eq!(keep((&plan.filters()[0]).into(), &event()), Fate::Kept);
        let text = std::fs::read_to_string(folder.join("1.ndjson")).unwrap();
        let Refusal { plugin, plugin_id, error, reason, .. } = Entry::parse(text.trim().as_bytes()).unwrap().refusal;
        assert_eq!(
            (plugin.as_str(), plugin_id.as_str(), error.as_str()),
            ("mutate", "spoils", "elkhound_filter_panic")
        );
        assert!(reason.contains("the filter at a.conf:1:10 panicked"), "{reason}");
        let again = Entry::parse(text.trim().as_bytes()).unwrap().into_event();
        assert_eq!(again.get(&Path::parse("[@metadata][m]").unwrap()), Some(&1.into()));
        assert_eq!(again.field("message"), Some(&"odd".into()));
        assert_eq!(keep((&plan.filters()[0]).into(), &again), Fate::GoesOn, "it is in the queue already");
    }

    #[test]
    fn an_event_that_panics_here_too_is_not_kept_and_ends_nothing() {
        let encode = || panic!("as the test wants it");
        assert_eq!(kept(encode, |_| unreachable!("there is no entry")), Fate::GoesOn);
    }

    #[tokio::test]
    async fn an_event_that_no_disk_takes_is_read_again() {
        let folder = Folder::new("panicked-full");
        let place = folder.join("queue");
        std::fs::write(&place, "in the way").unwrap();
        let give_up = CancellationToken::new();
        give_up.cancel();
        let keep = set_aside(queue(&place), Handle::current(), give_up);
        assert_eq!(keep((&plan().filters()[0]).into(), &event()), Fate::ReadAgain);
    }
}
