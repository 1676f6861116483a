//! The whole way of a line but for reading and sending: a block of json-file records to the bytes of a `_bulk` body.
//!
//! It is what the `docker` input with `read => files`, a worker and the `elasticsearch` output's writer do, in one thread and without the
//! queue: records, lines, a chunk with its receipts, events, the plan, its routing, the encoder, acknowledgement.

use std::hint::black_box;
use std::sync::Arc;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::filter::Context;
use elkhound_pipeline::flow::queue::Chunk;
use elkhound_pipeline::flow::receipt::{Ledger, Receipt};
use elkhound_pipeline::plan::Plan;

use super::data::{CONTAINER, layer};
use crate::input::docker::chunk::{Content, Decode, Layers, LinesChunk};
use crate::input::docker::lines::Lines;
use crate::input::docker::partial::{Joiner, Stamps};
use crate::input::docker::position::{IdPrefix, Marks};
use crate::input::docker::records;
use crate::output::elasticsearch::bulk::{Body, Encoder};

/// One container's line.
pub(crate) struct Line {
    joiner: Joiner,
    lines: Lines,
    layers: Layers,
    prefix: IdPrefix,
    ledger: Arc<NoLedger>,
    plan: Plan,
    cx: Context,
    events: Vec<Event>,
    encoder: Encoder,
    body: Body,
}

/// Hears of every chunk and remembers none.
struct NoLedger;

impl Ledger for NoLedger {
    fn settled(&self, _: u64) {}

    fn abandoned(&self, _: u64) {}
}

impl Line {
    pub(crate) fn new(plan: Plan, encoder: Encoder) -> Self {
        let layer = layer();
        Self {
            joiner: Joiner::new(1 << 20, Stamps::Shared, Marks::default()),
            lines: Lines::default(),
            layers: Layers {
                by_stream: [Arc::clone(&layer), layer],
                decode: Decode::Nothing,
                sequence: false,
                pipeline: None,
            },
            prefix: IdPrefix::new(CONTAINER),
            ledger: Arc::new(NoLedger),
            plan,
            cx: Context::default(),
            events: Vec::new(),
            encoder,
            body: Body::default(),
        }
    }

    /// Takes a block of whole records all the way.
    pub(crate) fn pass(&mut self, block: &[u8]) {
        self.read(block);
        self.plan.filter(&mut self.events, &mut self.cx);
        self.write();
        self.plan.account(&mut self.cx);
    }

    /// The events of a block of whole records, as the input hands them on.
    pub(crate) fn events(mut self, block: &[u8]) -> Vec<Event> {
        self.read(block);
        self.events
    }

    fn read(&mut self, block: &[u8]) {
        let Self { joiner, lines, .. } = self;
        records::decode(block, |record| joiner.record(record.stream, record.nanos, record.log, lines));
        let lines = self.lines.seal(0);
        let receipt = Receipt::open(Arc::clone(&self.ledger) as _, 0, None);
        let chunk = LinesChunk {
            content: Arc::new(Content { lines, gap: None, suppressed: None }),
            layers: self.layers.clone(),
            prefix: self.prefix,
            receipt,
        };
        Box::new(chunk).unpack(&mut self.events);
    }

    fn write(&mut self) {
        for mut event in self.events.drain(..) {
            let mut receipt = event.take_receipt();
            black_box(self.plan.route(&event, &mut self.cx));
            self.encoder.encode(&event, &mut receipt, &mut self.body).expect("the index is a plain text");
        }
        black_box(&self.body.bytes);
        self.body.attached.drain(..).filter_map(|attached| attached.receipt).for_each(Receipt::acknowledge);
        let bytes = std::mem::take(&mut self.body.bytes);
        self.body.reuse(bytes);
    }
}
