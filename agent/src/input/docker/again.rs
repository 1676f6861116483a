//! Hands on again what a pipeline has given up that this one has replaced, where nothing else can bring it ([`super::kept`]).
//!
//! A container's lines wait until it is known whether somebody wants them: its new reader says so, or the supervisor when the container is gone. New lines wait
//! for them.

use std::path::Path;
use std::sync::Arc;

use elkhound_pipeline::flow::queue::{Closed, Queue};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::chunk::LinesChunk;
use super::cursor::Cursors;
use super::follow::{self, source_number};
use super::ledger::ContainerLedger;
use super::select::{Own, Wanted};
use super::supervisor::{Describe, LogFiles};

/// Hands on to `queue` what is given up and is for this round, until `stop`.
pub(crate) async fn hand_on(cursors: &Cursors, round: u64, queue: Queue, stop: CancellationToken) {
    let all = async {
        loop {
            let first = cursors.hand_on_again().await;
            for ledger in cursors.ledgers() {
                if one(&ledger, round, &queue).await.is_err() {
                    return;
                }
            }
            drop(first);
            cursors.something_left().await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = all => {}
    }
}

/// The same for one container.
async fn one(ledger: &Arc<ContainerLedger>, round: u64, queue: &Queue) -> Result<(), Closed> {
    let mut events = 0;
    while let Some((number, content)) = ledger.left(round) {
        let charge = queue.charge(LinesChunk::cost(&content.lines)).await;
        // It may have been left to yet another round meanwhile.
        let Some(chunk) = ledger.hand_on_again(round, number, charge) else { continue };
        events += content.events();
        queue.send(source_number(ledger.container()), Box::new(chunk)).await?;
    }
    if events > 0 {
        let container = ledger.container();
        info!(container, events, "what the earlier pipeline has given up of this container's log is handed on again");
    }
    Ok(())
}

/// What takes the place of those that have read logs: it knows which containers are wanted from now on, and what their events share.
pub(crate) struct Successor<'a> {
    /// The cursors of both.
    pub(crate) cursors: &'a Cursors,
    /// Its round.
    pub(crate) round: u64,
    /// Which containers are left out.
    pub(crate) wanted: &'a Wanted,
    /// The agent's own container.
    pub(crate) own: &'a Own,
    /// Makes what the events of a container share.
    pub(crate) describe: &'a Describe,
}

impl Successor<'_> {
    /// The log is read from its file from now on, from the safe place on, once nothing of it is on its way. What was given up is handed on again where there
    /// is no file that has it; false then.
    pub(crate) fn leave_to_file(&self, ledger: &ContainerLedger, path: &Path) -> bool {
        let is_there = LogFiles::is_there(path);
        if is_there {
            self.cursors.drop_ledger(ledger.container());
        } else {
            self.bury(ledger);
        }
        is_there
    }

    /// The container is gone, and nobody reads its log any more. What was given up of it is for this round, unless it is not wanted there.
    pub(crate) fn bury(&self, ledger: &ContainerLedger) {
        let about = ledger.about().filter(|(_, container)| self.wanted.exclusion(container, self.own).is_none());
        let Some((host, container)) = about else { return self.cursors.remove(ledger.container()) };
        if !ledger.is_read() {
            ledger.count_unread();
            follow::warn_of_unread(&container.name);
        }
        ledger.describe(&host, &container);
        ledger.inherit(self.round, (self.describe)(&host, &container));
        ledger.gone();
    }
}

#[cfg(test)]
mod tests {
    use elkhound_pipeline::event::Event;
    use elkhound_pipeline::flow::budget::Budget;
    use elkhound_pipeline::flow::queue::{Lane, Order, Sent, queue};
    use elkhound_pipeline::flow::receipt::Receipt;

    use super::*;
    use crate::input::docker::chunk::{Content, Layers};
    use crate::input::docker::filters::Filters;
    use crate::input::docker::follow::Start;
    use crate::input::docker::lines::Lines;
    use crate::input::docker::metadata::Container;
    use crate::input::docker::position::{Marks, Position, Stream};
    use crate::scratch::Folder;
    use crate::stats::containers::Containers;
    use crate::stats::tap::Tap;

    /// Cursors, and the ledger of a container of which a pipeline has given up two lines.
    fn given_up() -> (Arc<Cursors>, Arc<ContainerLedger>) {
        let cursors = Arc::new(Cursors::open(Path::new("/nowhere/elkhound.cursors")).unwrap().0);
        cursors.begin("a", "local", Start::Beginning);
        let ledger = cursors.ledger_or_new("a");
        for nanos in [1, 2] {
            let (mut lines, mut marks) = (Lines::default(), Marks::default());
            let position = Position { nanos, ordinal: 0 };
            marks.set(Stream::Stdout, position);
            lines.push(Stream::Stdout, position, false, |out| out.extend_from_slice(b"line"));
            let content = Arc::new(Content { lines: lines.seal(0), gap: None, suppressed: None });
            drop(Receipt::open(Arc::clone(&ledger) as _, ledger.open_kept(marks, content), None));
        }
        (cursors, ledger)
    }

    async fn next(lane: &Lane) -> Sent {
        loop {
            match lane.try_next() {
                Some(sent) => return sent,
                None => tokio::task::yield_now().await,
            }
        }
    }

    fn deliver(sent: Sent) {
        let mut events = Vec::new();
        sent.chunk.unpack(&mut events);
        events.iter_mut().filter_map(Event::take_receipt).for_each(Receipt::acknowledge);
    }

    #[tokio::test]
    async fn new_lines_wait_until_all_that_was_given_up_is_handed_on_again() {
        let (cursors, ledger) = given_up();
        // Room for one of the two.
        let (queue, mut lanes) = queue(1, Order::Free, Budget::new(1024));
        let (lane, stop) = (lanes.remove(0), CancellationToken::new());
        let (given_up, until) = (Arc::clone(&cursors), stop.clone());
        let handing_on = tokio::spawn(async move { hand_on(&given_up, 1, queue, until).await });
        tokio::task::yield_now().await;
        assert!(lane.try_next().is_none(), "nobody has said that it is wanted");
        ledger.is_next().await;
        ledger.inherit(1, Layers::plain());
        let first = next(&lane).await;
        tokio::select! {
            biased;
            () = ledger.is_next() => panic!("the second waits for room"),
            () = std::future::ready(()) => {}
        }
        deliver(first);
        deliver(next(&lane).await);
        ledger.is_next().await;
        assert_eq!(cursors.of("a").unwrap().reached.marks.latest(), 2);
        stop.cancel();
        handing_on.await.unwrap();
        cursors.let_go();
    }

    #[test]
    fn what_was_given_up_is_for_the_successor_that_wants_it_unless_the_files_have_it() {
        let describe: Describe = Arc::new(|_, _| Layers::plain());
        let all = Wanted::default();
        let others = Wanted::new(&["team:shop".into()], false, Filters::default());
        let folder = Folder::new("successor");
        for (wanted, path, is_kept, has_cursor) in [
            (&all, folder.join("gone/a-json.log"), true, true),
            (&others, folder.join("gone/a-json.log"), false, false),
            (&all, folder.join("a-json.log"), false, true),
        ] {
            let (cursors, ledger) = given_up();
            let containers = Arc::new(Containers::new(Arc::new(Tap::new())));
            cursors.begin_anew(Some(Arc::clone(&containers)));
            let labels = [("team".to_owned(), "shop".to_owned())].into();
            ledger.describe(&Arc::default(), &Container { id: "a".into(), labels, ..Container::default() });
            let own = Own::default();
            let successor = Successor { cursors: &cursors, round: 1, wanted, own: &own, describe: &describe };
            for _ in 0..2 {
                assert_eq!(successor.leave_to_file(&ledger, &path), path.parent().unwrap().exists());
            }
            assert_eq!(ledger.left(1).is_some(), is_kept, "{path:?}");
            assert_eq!(cursors.of("a").is_some(), has_cursor, "{path:?}");
            assert_eq!(cursors.ledger("a").is_some(), is_kept, "{path:?}");
            assert_eq!(containers.unread(), u64::from(is_kept), "lines may be missing, which is told once");
            cursors.let_go();
        }
    }
}
