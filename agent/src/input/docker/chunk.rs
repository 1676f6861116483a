//! Lines on their way through the queue, and the events that a worker makes of them.

use std::sync::{Arc, LazyLock};

use elkhound_pipeline::event::{DocumentId, Event, Layer};
use elkhound_pipeline::flow::budget::EVENT;
use elkhound_pipeline::flow::queue::Chunk;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::map::Map;
use elkhound_pipeline::path::Path;
use elkhound_pipeline::text::Text;
use elkhound_pipeline::time::Timestamp;
use elkhound_pipeline::value::Value;

use super::hints::Json;
use super::lines::{Line, Sealed};
use super::object;
use super::position::{Gap, ID_LIMIT, IdPrefix, Position, Stream};
use super::screen::Suppressed;

const TIMESTAMP: Text = Text::constant("@timestamp");
const MESSAGE: Text = Text::constant("message");

/// What the events of one container share.
#[derive(Clone)]
pub(crate) struct Layers {
    /// A layer for each stream.
    pub(crate) by_stream: [Arc<Layer>; 2],
    /// What becomes of lines that are JSON objects.
    pub(crate) decode: Decode,
    /// Events tell their place in the log.
    pub(crate) sequence: bool,
    /// The ingest pipeline that the container would like for its lines.
    pub(crate) pipeline: Option<Text>,
}

#[cfg(test)]
impl Layers {
    /// For tests: nothing is shared.
    pub(crate) fn plain() -> Self {
        let by_stream = Stream::BOTH.map(|_| Arc::new(Layer::new(Map::new())));
        Self { by_stream, decode: Decode::Nothing, sequence: false, pipeline: None }
    }
}

/// What becomes of lines that are JSON objects.
#[derive(Clone, Debug)]
pub(crate) enum Decode {
    /// Nothing.
    Nothing,
    /// They become their fields, as logspout-logstash has it.
    Fields,
    /// What the container asks for.
    Hinted(Arc<Json>),
}

/// What a chunk holds of one container's log.
pub(crate) struct Content {
    /// The lines.
    pub(crate) lines: Sealed,
    /// Lines that are missing before the first of them.
    pub(crate) gap: Option<Gap>,
    /// Lines that were left out so far because there were too many.
    pub(crate) suppressed: Option<Suppressed>,
}

impl Content {
    /// How many events it becomes.
    pub(crate) fn events(&self) -> usize {
        self.lines.lines.len() + usize::from(self.gap.is_some()) + usize::from(self.suppressed.is_some())
    }
}

/// Lines of one container.
pub(crate) struct LinesChunk {
    /// Shared with the ledger, where nothing else can bring them again.
    pub(crate) content: Arc<Content>,
    /// What the events share, by stream.
    pub(crate) layers: Layers,
    /// The container's part of their identities.
    pub(crate) prefix: IdPrefix,
    /// The chunk's receipt.
    pub(crate) receipt: Receipt,
}

impl LinesChunk {
    /// What a chunk of so many lines and bytes takes from the budget.
    pub(crate) fn cost(lines: &Sealed) -> usize {
        lines.text.len() + lines.lines.len() * EVENT
    }

    #[inline]
    fn event(&self, line: &Line, offset: Option<u64>) -> Event {
        // Room for what filters usually add, as much as the allocator's block for it holds (13 entries of 48 bytes, of 640).
        let mut fields = Map::with_capacity(13);
        fields.push(TIMESTAMP, Value::Timestamp(Timestamp::from_nanos(line.position.nanos)));
        fields.push(MESSAGE, Value::Text(Text::slice_of(&self.content.lines.text, line.range())));
        if line.truncated || line.repaired || line.joined || offset.is_some() {
            fields.push("log".into(), log(line, offset));
        }
        if self.layers.sequence {
            fields.push("event".into(), sequence(line.position));
        }
        let layer = &self.layers.by_stream[line.stream.index()];
        let text = || Text::slice_of(&self.content.lines.text, line.range());
        let taken = |name: &str| layer.get(name, 0).is_some();
        match &self.layers.decode {
            Decode::Nothing => {}
            Decode::Fields => object::decode(&text(), &mut fields, taken),
            Decode::Hinted(json) => object::decode_as_hinted(&text(), &mut fields, json, taken),
        }
        let event = Event::layered(fields, Arc::clone(layer));
        self.originate(event, line.stream, line.position)
    }

    #[inline]
    fn originate(&self, mut event: Event, stream: Stream, position: Position) -> Event {
        let mut id = [0; ID_LIMIT];
        let id = DocumentId::plain(self.prefix.identity(stream, position, &mut id));
        event.set_origin(Some(id), Some(self.receipt.clone()));
        event
    }

    fn gap(&self) -> Option<Event> {
        let gap = self.content.gap?;
        let event = gap.event(&self.layers.by_stream[gap.stream.index()]);
        Some(self.originate(event, gap.stream, gap.position()))
    }

    fn suppressed(&self) -> Option<Event> {
        let suppressed = self.content.suppressed?;
        let event = suppressed.event(&self.layers.by_stream[suppressed.stream.index()]);
        Some(self.originate(event, suppressed.stream, suppressed.position()))
    }
}

impl Chunk for LinesChunk {
    fn unpack(self: Box<Self>, events: &mut Vec<Event>) {
        events.extend(self.gap());
        let first = events.len();
        let Sealed { lines, offsets, .. } = &self.content.lines;
        let lines = lines.iter();
        if offsets.is_empty() {
            events.extend(lines.map(|line| self.event(line, None)));
        } else {
            let lines = lines.zip(offsets);
            events.extend(lines.map(|(line, offset)| self.event(line, Some(*offset))));
        }
        if let Some(pipeline) = &self.layers.pipeline {
            events[first..].iter_mut().for_each(|event| direct(event, pipeline));
        }
        events.extend(self.suppressed());
        self.receipt.acknowledge();
    }

    fn events(&self) -> usize {
        self.content.events()
    }

    fn receipt(&self) -> Option<Receipt> {
        Some(self.receipt.clone())
    }
}

/// Names the ingest pipeline where outputs may look for it, as Beats do.
fn direct(event: &mut Event, pipeline: &Text) {
    static PIPELINE: LazyLock<Path> = LazyLock::new(|| Path::parse("[@metadata][pipeline]").expect("it is a path"));
    // A new event's metadata is empty, and takes any name.
    let _ = event.set(&PIPELINE, pipeline.clone().into());
}

/// `event.sequence`: a number that grows with each line of a stream, also among those of one nanosecond.
fn sequence(position: Position) -> Value {
    let mut event = Map::with_capacity(1);
    event.push("sequence".into(), Value::Integer(position.nanos.saturating_add(position.ordinal.into())));
    event.into()
}

/// `log.flags`, as Filebeat calls what happened to a line on the way, and `log.offset`.
fn log(line: &Line, offset: Option<u64>) -> Value {
    let flags = [(line.truncated, "truncated"), (line.repaired, "invalid_utf8"), (line.joined, "multiline")];
    let flags: Vec<Value> = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.into()).collect();
    let mut log = Map::with_capacity(2);
    if !flags.is_empty() {
        log.push("flags".into(), Value::list(flags));
    }
    if let Some(offset) = offset {
        log.push("offset".into(), Value::Integer(i64::try_from(offset).unwrap_or(i64::MAX)));
    }
    log.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use elkhound_pipeline::flow::receipt::Ledger;

    use super::*;
    use crate::input::docker::lines::Lines;

    #[derive(Default)]
    struct Book(Mutex<Vec<u64>>);

    impl Ledger for Book {
        fn settled(&self, chunk: u64) {
            self.0.lock().unwrap().push(chunk);
        }

        fn abandoned(&self, _chunk: u64) {}
    }

    fn layer(stream: Stream) -> Arc<Layer> {
        let mut fields = Map::new();
        fields.push("stream".into(), stream.name().into());
        Arc::new(Layer::new(fields))
    }

    #[test]
    fn a_line_becomes_an_event_with_identity_and_receipt() {
        let mut lines = Lines::default();
        let at = |nanos| Position { nanos, ordinal: 0 };
        lines.push(Stream::Stdout, at(1_500_000_000), false, |out| out.extend_from_slice(b"one"));
        lines.push(Stream::Stderr, at(2), true, |out| out.extend_from_slice(b"tw\xff"));
        let book = Arc::new(Book::default());
        let chunk = LinesChunk {
            content: Arc::new(Content { lines: lines.seal(usize::MAX), gap: None, suppressed: None }),
            layers: Layers {
                by_stream: Stream::BOTH.map(layer),
                decode: Decode::Nothing,
                sequence: true,
                pipeline: Some("web".into()),
            },
            prefix: IdPrefix::new("00"),
            receipt: Receipt::open(book.clone(), 9, None),
        };
        let mut events = Vec::new();
        Box::new(chunk).unpack(&mut events);
        let ids: Vec<_> = events.iter().map(|event| event.id().unwrap().as_str().to_owned()).collect();
        assert_eq!(ids, ["AAAAAAAAAAAAAAAAALLQXgA", "AAAAAAAAAAAAAAAAAAAAAAU"].map(str::to_owned));
        assert_eq!(events[0].timestamp(), Some(Timestamp::from_nanos(1_500_000_000)));
        assert_eq!((events[0].field("message"), events[0].field("log")), (Some(&"one".into()), None));
        assert_eq!(events[1].field("message"), Some(&"tw\u{fffd}".into()));
        assert_eq!(events[1].field("stream"), Some(&"stderr".into()));
        let told = events[0].field("event").and_then(Value::as_map).and_then(|event| event.get("sequence"));
        assert_eq!(told, Some(&Value::Integer(1_500_000_000)));
        let pipeline = events.iter().map(|event| event.metadata().get("pipeline").cloned());
        assert!(pipeline.eq([Some("web".into()), Some("web".into())]));
        let flags = events[1].field("log").and_then(Value::as_map).and_then(|log| log.get("flags"));
        assert_eq!(flags, Some(&Value::list(vec!["truncated".into(), "invalid_utf8".into()])));
        for mut event in events {
            assert!(book.0.lock().unwrap().is_empty());
            event.take_receipt().unwrap().acknowledge();
        }
        assert_eq!(*book.0.lock().unwrap(), [9]);
    }
}
