//! Hands on again what a pipeline has given up that this one has replaced, where nothing else can bring it ([`super::kept`]).
//!
//! A container's lines wait until it is known whether somebody wants them: its new reader says so, or the supervisor when the container is gone. New lines wait
//! for them.

use std::sync::Arc;

use elkhound_pipeline::flow::queue::{Closed, Queue};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::chunk::{Layers, LinesChunk};
use super::cursor::Cursors;
use super::follow::{self, source_number};
use super::ledger::ContainerLedger;
use super::metadata::{Container, Host};

/// Hands on to `queue` what is given up and is for this round, until `stop`.
pub(crate) async fn hand_on(cursors: Arc<Cursors>, round: u64, queue: Queue, stop: CancellationToken) {
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

/// Logs are read from their files from now on, from the safe place on. Waits until all that was read of them through the API is safe or was given up; what
/// was given up is handed on again where no file `is_there` that has it.
pub(crate) async fn leave_to_files(
    cursors: &Cursors,
    round: u64,
    is_there: impl Fn(&str) -> bool,
    layers: impl Fn(&Host, &Container) -> Option<Layers>,
) {
    for ledger in cursors.ledgers() {
        ledger.rests().await;
        if is_there(ledger.container()) {
            cursors.drop_ledger(ledger.container());
        } else {
            bury(&ledger, round, cursors, &layers);
        }
    }
}

/// The container is gone, and nobody reads its log any more. What was given up of it is for this round, unless it is not wanted there.
pub(crate) fn bury(
    ledger: &ContainerLedger,
    round: u64,
    cursors: &Cursors,
    layers: impl FnOnce(&Host, &Container) -> Option<Layers>,
) {
    let Some((host, container)) = ledger.about() else { return cursors.remove(ledger.container()) };
    let Some(layers) = layers(&host, &container) else { return cursors.remove(ledger.container()) };
    if !ledger.is_read() {
        ledger.count_unread();
        follow::warn_of_unread(&container.name);
    }
    ledger.describe(&host, &container);
    ledger.inherit(round, layers);
    ledger.gone();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use elkhound_pipeline::event::{Event, Layer};
    use elkhound_pipeline::flow::budget::Budget;
    use elkhound_pipeline::flow::queue::{Lane, Order, Sent, queue};
    use elkhound_pipeline::flow::receipt::Receipt;
    use elkhound_pipeline::map::Map;

    use super::*;
    use crate::input::docker::chunk::{Content, Decode};
    use crate::input::docker::follow::Start;
    use crate::input::docker::lines::Lines;
    use crate::input::docker::position::{Marks, Position, Stream};

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

    fn layers() -> Layers {
        let by_stream = Stream::BOTH.map(|_| Arc::new(Layer::new(Map::new())));
        Layers { by_stream, decode: Decode::Nothing, sequence: false, pipeline: None }
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
        let handing_on = tokio::spawn(hand_on(Arc::clone(&cursors), 1, queue, stop.clone()));
        tokio::task::yield_now().await;
        assert!(lane.try_next().is_none(), "nobody has said that it is wanted");
        ledger.is_next().await;
        ledger.inherit(1, layers());
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
}
