//! A dot for each event, to see or to measure that they flow. It only writes.
//!
//! ## Example
//!
//! ```text
//! output { stdout { codec => dots } }
//! ```

use std::sync::Arc;

use elkhound_config::options::Options;

use super::{Codec, Deaf, Decoder, Kind, Usage};
use crate::event::Event;
use crate::setup::Setup;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "dots",
    options: &[],
    reads: false,
    writes: true,
    docs: crate::docs::head(include_str!("dots.rs")),
    build,
};

fn build(_options: &mut Options<'_>, _setup: &Setup<'_>, _usage: Usage) -> Option<Arc<dyn Codec>> {
    Some(Arc::new(Dots))
}

struct Dots;

impl Codec for Dots {
    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Deaf)
    }

    fn encode(&self, _event: &Event, out: &mut Vec<u8>) {
        out.push(b'.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::encoded;

    #[test]
    fn an_event_is_a_dot() {
        assert_eq!(encoded("dots", &Event::default()), ".");
    }
}
