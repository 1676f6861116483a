//! Lines that can't be had any more: Docker rotated them away before they were read. Each gap is a warning in the log, and an event of its
//! own in its container's place, so that whoever reads the lines in Elasticsearch sees that some are missing there.
//!
//! What it promises: the same gap has the same identity however often it is met, and no line has that identity.
//! What it leaves out: how many lines are missing, and with a single log file even whether any is; neither the engine nor its files know that.

use std::sync::Arc;

use elkhound_pipeline::event::{Event, Layer};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::time::Timestamp;
use elkhound_pipeline::value::Value;
use tracing::warn;

use super::position::{Gap, Position};

impl Gap {
    /// Where the gap's event stands: with the first line behind it, under an ordinal that no line reaches.
    pub(crate) fn position(&self) -> Position {
        Position { nanos: self.to.nanos, ordinal: u32::MAX }
    }

    /// The gap's event, in the fields of the Elastic Common Schema.
    pub(crate) fn event(&self, layer: &Arc<Layer>) -> Event {
        let (start, end) = (Timestamp::from_nanos(self.from), Timestamp::from_nanos(self.to.nanos));
        let mut told = Map::with_capacity(4);
        told.push("action".into(), "gap".into());
        told.push("end".into(), Value::Timestamp(end));
        told.push("kind".into(), "event".into());
        told.push("start".into(), Value::Timestamp(start));
        let mut fields = Map::with_capacity(12);
        fields.push("@timestamp".into(), Value::Timestamp(end));
        let message = format!("lines may be missing: rotated away before they were read, between {start} and {end}");
        fields.push("message".into(), message.into());
        fields.push("event".into(), told.into());
        Event::layered(fields, Arc::clone(layer))
    }

    /// Says in the log that lines of `container` are missing, and what to do about it; `gaps` have been met there so far.
    pub(crate) fn report(&self, container: &str, gaps: u64) {
        let (from, to) =
            (Timestamp::from_nanos(self.from).to_string(), Timestamp::from_nanos(self.to.nanos).to_string());
        warn!(
            container,
            from,
            to,
            lines = "unknown",
            gaps,
            "lines may be missing that were rotated away before they were read; give the container more or larger log files (max-file, max-size), or read => files"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::position::Stream;

    #[test]
    fn a_gap_is_an_event_between_two_lines() {
        let mut shared = Map::new();
        shared.push("stream".into(), "stdout".into());
        let gap =
            Gap { from: 1_000_000_000, to: Position { nanos: 3_500_000_000, ordinal: 0 }, stream: Stream::Stdout };
        let event = gap.event(&Arc::new(Layer::new(shared)));
        let mut out = String::new();
        for (name, value) in event.fields() {
            out.push_str(&format!("{name:?}: {value:?}\n"));
        }
        assert_eq!(event.timestamp(), Some(Timestamp::from_nanos(3_500_000_000)));
        assert_eq!(event.field("stream"), Some(&"stdout".into()));
        let told = event.field("event").and_then(Value::as_map).unwrap();
        assert_eq!(told.get("action"), Some(&"gap".into()), "{out}");
        assert_eq!(told.get("start"), Some(&Value::Timestamp(Timestamp::from_nanos(1_000_000_000))), "{out}");
        assert_ne!(gap.position(), gap.to);
    }
}
