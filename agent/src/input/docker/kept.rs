//! What was handed on of a log that is read through the engine's API, kept until it is safe.
//!
//! When a pipeline is loaded again and the old one can't deliver what it has, a log that is still there could be read again. But the engine forgets the log of
//! a container that is removed, and an input can't open it beforehand as it can a file. So the text of what is in flight stays here; the events share
//! it, so that it costs memory only where an output has encoded them already, and that is within what their chunk has been charged. What was given up is charged
//! to nobody until it is on its way again, before all new lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chunk::Content;

/// The chunks of one container that are not safe.
#[derive(Default)]
pub(crate) struct Kept {
    chunks: BTreeMap<u64, Chunk>,
    /// How many of them are on their way.
    out: usize,
}

struct Chunk {
    content: Arc<Content>,
    /// It is on its way.
    is_out: bool,
}

impl Kept {
    /// Chunk `number` is handed on.
    pub(crate) fn hand_on(&mut self, number: u64, content: Arc<Content>) {
        self.out += 1;
        self.chunks.insert(number, Chunk { content, is_out: true });
    }

    /// Chunk `number` is safe.
    pub(crate) fn settle(&mut self, number: u64) {
        let chunk = self.chunks.remove(&number);
        self.out -= usize::from(chunk.is_some_and(|chunk| chunk.is_out));
    }

    /// The pipeline that had chunk `number` has given it up.
    pub(crate) fn abandon(&mut self, number: u64) {
        if let Some(chunk) = self.chunks.get_mut(&number) {
            self.out -= usize::from(std::mem::take(&mut chunk.is_out));
        }
    }

    /// The first chunk that was given up.
    pub(crate) fn left(&self) -> Option<(u64, Arc<Content>)> {
        let left = self.chunks.iter().find(|(_, chunk)| !chunk.is_out);
        left.map(|(number, chunk)| (*number, Arc::clone(&chunk.content)))
    }

    /// Whether none of it is on its way.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.out == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::lines::Lines;

    fn content() -> Arc<Content> {
        Arc::new(Content { lines: Lines::default().seal(0), gap: None, suppressed: None })
    }

    fn left(kept: &Kept) -> Option<u64> {
        kept.left().map(|(number, _)| number)
    }

    #[test]
    fn what_is_given_up_is_left_until_it_is_handed_on_again() {
        let mut kept = Kept::default();
        (0..3).for_each(|number| kept.hand_on(number, content()));
        assert_eq!((left(&kept), kept.is_at_rest()), (None, false), "all is on its way");
        kept.settle(0);
        kept.abandon(2);
        assert_eq!(left(&kept), Some(2));
        kept.hand_on(2, content());
        assert_eq!((left(&kept), kept.is_at_rest()), (None, false));
        kept.abandon(1);
        kept.abandon(2);
        assert_eq!((left(&kept), kept.is_at_rest()), (Some(1), true));
        kept.settle(1);
        assert_eq!(left(&kept), Some(2));
        kept.settle(99);
        kept.abandon(99);
    }
}
