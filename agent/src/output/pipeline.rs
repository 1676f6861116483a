//! Sends events to other pipelines of the same elkhound, which take them with their `pipeline` input.
//!
//! ## Options
//!
//! - `send_to` (list of texts, required): the addresses. Each gets a copy of the event, with `@metadata`.
//! - `codec`: accepted; events travel as they are.
//! - `ensure_delivery` (boolean, default true): whether to wait when nobody listens on an address, or else to drop the events meant for it,
//!   which is logged and counted.
//!
//! ## Example
//!
//! ```text
//! output {
//!   if [type] == "access" {
//!     pipeline { send_to => ["access"] }
//!   } else {
//!     pipeline { send_to => ["rest", "archive"] }
//!   }
//! }
//! ```
//!
//! ## On failure
//!
//! A pipeline that takes nothing makes this output wait, and with it all of its pipeline: nothing is lost, the pressure goes back to the sources. An
//! event counts as delivered when all pipelines that it was sent to have delivered it.
//!
//! ## Differences from Logstash
//!
//! An address that nobody listens on is told by `-t`, with the name that was probably meant. An event's identity, which makes sending it
//! to Elasticsearch twice harmless, is one of its own on each way after the first, so that copies can be indexed side by side.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use elkhound_pipeline::codec::{self, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::flow::worker::Writer;
use flume::SendTimeoutError;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Kind, Output, World};
use crate::bus::{Link, Parcel};
use crate::limit::Limit;
use crate::stats::OutputStats;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "pipeline",
    options: &[
        OptionSpec {
            name: "codec",
            kind: OptionKind::Codec,
            default: "plain",
            required: false,
            help: "accepted; events travel as they are",
        },
        OptionSpec {
            name: "ensure_delivery",
            kind: OptionKind::Boolean,
            default: "true",
            required: false,
            help: "wait when nobody listens, or drop",
        },
        OptionSpec {
            name: "send_to",
            kind: OptionKind::List(&OptionKind::String),
            default: "",
            required: true,
            help: "the addresses of `pipeline` inputs",
        },
    ],
    docs: elkhound_pipeline::docs::head(include_str!("pipeline.rs")),
    build,
};

fn build(options: &mut Options<'_>, world: &World<'_>) -> Option<Box<dyn Output>> {
    codec::read(options, "plain", Usage::Write, world.setup)?;
    let addresses = options.texts("send_to");
    let span = options.span("send_to");
    let links = addresses.iter().map(|address| world.bus.link(address, world.pipeline, span)).collect();
    let nobody = if options.boolean("ensure_delivery", true) { Nobody::Wait } else { Nobody::Drop };
    let dropped = Arc::default();
    Some(Box::new(PipelineOutput { links, nobody, give_up: world.give_up.clone(), writers: 0, dropped }))
}

/// What becomes of events for an address that nobody listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nobody {
    /// They wait, and with them the pipeline.
    Wait,
    /// They are dropped, which is logged and counted.
    Drop,
}

struct PipelineOutput {
    links: Vec<Link>,
    nobody: Nobody,
    /// Ends the waiting for room.
    give_up: CancellationToken,
    writers: u64,
    /// Counts events that are dropped.
    dropped: Arc<AtomicU64>,
}

impl Output for PipelineOutput {
    fn observe(&mut self, stats: &OutputStats) {
        if self.nobody == Nobody::Drop {
            // It is shown once, before the start.
            let _once = stats.dropped.set(Arc::clone(&self.dropped));
        }
    }

    fn writer(&mut self) -> Box<dyn Writer> {
        self.writers += 1;
        Box::new(PipelineWriter {
            ways: self.links.iter().map(|link| Way { link: link.clone(), events: Vec::new() }).collect(),
            nobody: self.nobody,
            give_up: self.give_up.clone(),
            source: self.writers,
            dropped: Arc::clone(&self.dropped),
        })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // What the writers sent is the other pipelines' now; letting go of the links lets those end.
        Box::pin(ready(()))
    }
}

/// The most events of a parcel: a batch can be made of one large chunk, and a parcel that waits should not be large.
const PARCEL: usize = 500;

struct PipelineWriter {
    ways: Vec<Way>,
    nobody: Nobody,
    /// Ends the waiting for room.
    give_up: CancellationToken,
    source: u64,
    dropped: Arc<AtomicU64>,
}

/// An address, and what is to be sent to it.
struct Way {
    link: Link,
    events: Vec<Event>,
}

impl Writer for PipelineWriter {
    fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
        for way in &mut self.ways {
            way.events.push(way.link.copy(event, receipt.clone()));
        }
        receipt.take().into_iter().for_each(Receipt::acknowledge);
        if self.ways.first().is_some_and(|way| way.events.len() >= PARCEL) {
            self.finish();
        }
    }

    fn take_back(&mut self) {
        let whole = self.ways.iter().map(|way| way.events.len()).min().unwrap_or(0);
        for mut copy in self.ways.iter_mut().flat_map(|way| way.events.drain(whole..)) {
            copy.take_receipt().into_iter().for_each(Receipt::acknowledge);
        }
    }

    fn tick(&mut self, _now: Instant) -> Option<Instant> {
        self.finish();
        None
    }

    fn finish(&mut self) {
        for way in &mut self.ways {
            if way.events.is_empty() {
                continue;
            }
            let parcel = Parcel { source: self.source, events: std::mem::take(&mut way.events) };
            deliver(&way.link, parcel, (self.nobody, &self.dropped), &self.give_up);
        }
    }
}

/// How often a sender that waits looks whether it is time to give up.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for room at the address. Given up, the parcel is dropped unacknowledged, and its events are read again.
fn deliver(link: &Link, parcel: Parcel, (nobody, dropped): (Nobody, &AtomicU64), give_up: &CancellationToken) {
    static LIMIT: Limit = Limit::new();
    let address = &link.address;
    let mut parcel = parcel;
    while !give_up.is_cancelled() {
        let listening = link.listening.load(Ordering::Relaxed);
        if !listening && nobody == Nobody::Drop {
            return drop_parcel(address, parcel, dropped);
        }
        match link.sender.send_timeout(parcel, LOOK) {
            Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return,
            Err(SendTimeoutError::Timeout(unsent)) => parcel = unsent,
        }
        if !listening && let Some(suppressed) = LIMIT.pass() {
            warn!(
                suppressed,
                address, "no pipeline listens on this address; events wait, and with them the pipeline that sends them"
            );
        }
    }
}

fn drop_parcel(address: &str, parcel: Parcel, dropped: &AtomicU64) {
    static LIMIT: Limit = Limit::new();
    let count = parcel.events.len() as u64;
    let dropped = dropped.fetch_add(count, Ordering::Relaxed) + count;
    if let Some(suppressed) = LIMIT.pass() {
        warn!(suppressed, address, dropped, "no pipeline listens on this address; events were dropped");
    }
    parcel.events.into_iter().filter_map(|mut event| event.take_receipt()).for_each(Receipt::acknowledge);
}

/// Copies of ways after the first are children from this number on, which `clone` and `split` do not reach.
const FIRST_COPY: usize = 1_000_000;

impl Link {
    /// The event as it travels this way.
    fn copy(&self, event: &Event, receipt: Option<Receipt>) -> Event {
        let id = event.id().map(|id| if self.number == 0 { *id } else { id.child(FIRST_COPY + self.number) });
        let mut copy = event.duplicate(1);
        copy.set_origin(id, receipt);
        copy
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use elkhound_pipeline::event::DocumentId;
    use elkhound_pipeline::flow::receipt::Ledger;

    use super::*;
    use crate::bus::{Bus, Ways};

    /// How chunks have ended: `true` for settled.
    #[derive(Default)]
    struct Book(Mutex<Vec<bool>>);

    impl Ledger for Book {
        fn settled(&self, _chunk: u64) {
            self.0.lock().unwrap().push(true);
        }

        fn abandoned(&self, _chunk: u64) {
            self.0.lock().unwrap().push(false);
        }
    }

    struct Bench {
        ways: Ways,
        bus: Bus,
        book: Arc<Book>,
        give_up: CancellationToken,
    }

    fn bench() -> Bench {
        let ways = Ways::default();
        let bus = Bus::over(vec!["a".into(), "b".into()], &ways);
        Bench { ways, bus, book: Arc::default(), give_up: CancellationToken::new() }
    }

    impl Bench {
        fn output(&self, addresses: &[&str], nobody: Nobody) -> PipelineOutput {
            let links = addresses.iter().map(|address| self.bus.link(address, 0, Default::default())).collect();
            PipelineOutput { links, nobody, give_up: self.give_up.clone(), writers: 0, dropped: Arc::default() }
        }

        fn write(&self, writer: &mut dyn Writer) {
            let mut event = Event::default();
            event.set_field("message".into(), "m".into());
            let receipt = Receipt::open(self.book.clone(), 1, None);
            event.set_origin(Some(DocumentId::new(b"id")), None);
            writer.write(&event, &mut Some(receipt));
            writer.finish();
        }

        fn ended(&self) -> Vec<bool> {
            self.book.0.lock().unwrap().clone()
        }
    }

    #[test]
    fn an_event_is_delivered_when_every_address_has_acknowledged_it() {
        let bench = bench();
        let first = bench.bus.listen("x", 1, Default::default()).unwrap();
        let second = bench.bus.listen("y", 1, Default::default()).unwrap();
        let mut output = bench.output(&["x", "y"], Nobody::Wait);
        bench.write(&mut *output.writer());
        let mut ids = Vec::new();
        for receiver in [first, second] {
            assert!(bench.ended().is_empty());
            let Parcel { mut events, .. } = receiver.try_recv().unwrap();
            ids.push(events[0].id().map(|id| id.as_str().to_owned()).unwrap());
            events[0].take_receipt().unwrap().acknowledge();
        }
        assert_eq!((bench.ended(), ids), (vec![true], vec!["id".to_owned(), "id.1000001".to_owned()]));
    }

    #[test]
    fn what_nobody_listens_for_is_dropped_where_that_is_wanted() {
        let bench = bench();
        let mut output = bench.output(&["nowhere"], Nobody::Drop);
        bench.bus.open(&bench.ways);
        bench.write(&mut *output.writer());
        assert_eq!((bench.ended(), output.dropped.load(Ordering::Relaxed)), (vec![true], 1));
    }

    #[test]
    fn what_nobody_listens_for_waits_and_is_read_again() {
        let bench = bench();
        let mut output = bench.output(&["nowhere"], Nobody::Wait);
        bench.bus.open(&bench.ways);
        let mut writer = output.writer();
        while !writer_is_full(&output) {
            bench.write(&mut *writer);
        }
        assert!(bench.ended().is_empty());
        // The writer waits in this thread until the other one gives up.
        let give_up = bench.give_up.clone();
        let other = std::thread::spawn(move || give_up.cancel());
        bench.write(&mut *writer);
        other.join().unwrap();
        assert_eq!(bench.ended(), [false]);
    }

    fn writer_is_full(output: &PipelineOutput) -> bool {
        output.links.iter().all(|link| link.sender.is_full())
    }
}
