//! What a client has sent lately and is yet to send: batches in the order in which they came, and how far they are written.
//!
//! TCP tells nobody what a peer has read. So what it may not have read is kept, and sent again when its connection is lost. How much that is, is
//! bounded by what fits into the buffers of both kernels.

use std::collections::VecDeque;

use crate::output::batches::{Batch, Receipts};

/// What is kept of what was written: the largest send and receive buffers that Linux gives a connection by itself, and some more.
const KEPT: usize = 12 << 20;

/// Small batches are put together up to this size, so that keeping many of them costs little more than their bytes.
const TOGETHER: usize = 64 << 10;

/// Batches on their way. Their receipts are gone once they are written.
struct Piece {
    bytes: Vec<u8>,
    /// Where its events end.
    ends: Vec<usize>,
    receipts: Receipts,
}

/// The batches; see the module.
pub(super) struct Window {
    pieces: VecDeque<Piece>,
    /// The bytes of written pieces that are kept, and one piece more.
    kept: usize,
    /// The size of pieces that are put together.
    together: usize,
    /// How many bytes of all pieces are written.
    written: usize,
    /// The piece that is being written, and how many of its bytes are written.
    piece: usize,
    offset: usize,
}

impl Window {
    /// Nothing was sent.
    pub(super) fn new() -> Self {
        Self { pieces: VecDeque::new(), kept: KEPT, together: TOGETHER, written: 0, piece: 0, offset: 0 }
    }

    /// Adds a batch that is to be sent.
    pub(super) fn push(&mut self, batch: Batch<()>) {
        let Batch { bytes, events, receipts } = batch;
        let (all_written, number) = (self.piece == self.pieces.len(), self.pieces.len());
        let Some(last) = self.pieces.back_mut().filter(|last| last.bytes.len() + bytes.len() <= self.together) else {
            let ends = events.into_iter().map(|((), end)| end).collect();
            self.pieces.push_back(Piece { bytes, ends, receipts });
            return;
        };
        let start = last.bytes.len();
        last.bytes.extend_from_slice(&bytes);
        last.ends.extend(events.into_iter().map(|((), end)| start + end));
        last.receipts.append(receipts);
        if all_written {
            (self.piece, self.offset) = (number - 1, start);
        }
    }

    /// What is to be written next.
    pub(super) fn unsent(&self) -> Option<&[u8]> {
        self.pieces.get(self.piece).map(|piece| &piece.bytes[self.offset..])
    }

    /// So many bytes of what is to be written next are.
    pub(super) fn advance(&mut self, count: usize) {
        self.offset += count;
        self.written += count;
        if self.pieces.get(self.piece).is_some_and(|piece| self.offset >= piece.bytes.len()) {
            self.piece += 1;
            self.offset = 0;
        }
    }

    /// What is written has been handed to the kernel: its receipts are due, and what no buffer can hold any more is forgotten.
    pub(super) fn settle(&mut self) {
        for piece in self.pieces.iter_mut().take(self.piece) {
            piece.receipts.acknowledge();
        }
        while self.piece > 0 {
            let Some(first) = self.pieces.front() else { return };
            if self.written - first.bytes.len() < self.kept {
                return;
            }
            self.written -= first.bytes.len();
            self.piece -= 1;
            self.pieces.pop_front();
        }
    }

    /// Goes back to the beginning of the event that holds the first of the last `unread` bytes that were written, or to the beginning of all that is
    /// kept. Gives the number of events that are sent again.
    pub(super) fn rewind(&mut self, unread: Option<usize>) -> usize {
        let target = unread.map_or(0, |unread| self.written.saturating_sub(unread));
        let (before, from) = (self.complete(), self.place(target));
        self.written = self.pieces.iter().take(from.0).map(|piece| piece.bytes.len()).sum::<usize>() + from.1;
        (self.piece, self.offset) = from;
        before - self.complete()
    }

    /// The piece and the beginning of the event at this byte.
    fn place(&self, mut byte: usize) -> (usize, usize) {
        for (number, piece) in self.pieces.iter().enumerate() {
            if byte < piece.bytes.len() {
                let events = piece.ends.partition_point(|end| *end <= byte);
                return (number, if events == 0 { 0 } else { piece.ends[events - 1] });
            }
            byte -= piece.bytes.len();
        }
        (self.pieces.len(), 0)
    }

    /// How many events are written as a whole.
    fn complete(&self) -> usize {
        let whole: usize = self.pieces.iter().take(self.piece).map(|piece| piece.ends.len()).sum();
        let begun =
            self.pieces.get(self.piece).map_or(0, |piece| piece.ends.partition_point(|end| *end <= self.offset));
        whole + begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(together: usize, batches: &[&[&str]]) -> Window {
        let mut window = Window { together, ..Window::new() };
        for batch in batches {
            window.push(Batch::of(batch.iter().map(|text| ((), *text))));
        }
        window
    }

    /// Everything that is to be written, as it would be in pieces of three bytes.
    fn drain(window: &mut Window) -> String {
        let mut sent = String::new();
        while let Some(bytes) = window.unsent() {
            let part = &bytes[..bytes.len().min(3)];
            sent += std::str::from_utf8(part).unwrap();
            let count = part.len();
            window.advance(count);
        }
        sent
    }

    #[test]
    fn what_may_not_have_been_read_is_sent_again_from_the_beginning_of_an_event() {
        for (unread, events, again) in [
            (Some(0), 0, ""),
            (Some(1), 1, "five\n"),
            (Some(5), 1, "five\n"),
            (Some(6), 2, "four\nfive\n"),
            (Some(12), 3, "three\nfour\nfive\n"),
            (Some(1000), 5, "one\ntwo\nthree\nfour\nfive\n"),
            (None, 5, "one\ntwo\nthree\nfour\nfive\n"),
        ] {
            for together in [0, TOGETHER] {
                let mut window = window(together, &[&["one\n", "two\n"], &["three\n", "four\n", "five\n"]]);
                assert_eq!(drain(&mut window), "one\ntwo\nthree\nfour\nfive\n");
                window.settle();
                assert_eq!((window.rewind(unread), drain(&mut window)), (events, again.to_owned()), "{unread:?}");
            }
        }
    }

    #[test]
    fn an_event_that_was_cut_is_sent_again_as_a_whole() {
        let mut window = window(0, &[&["one\n", "two\n"]]);
        window.advance(6);
        window.settle();
        assert_eq!(window.rewind(Some(0)), 0);
        assert_eq!(drain(&mut window), "two\n");
    }

    #[test]
    fn what_no_buffer_holds_is_forgotten() {
        let mut window = window(0, &[&["one\n"], &["two\n"], &["three\n"]]);
        window.kept = 6;
        drain(&mut window);
        window.settle();
        assert_eq!((window.pieces.len(), window.written), (1, 6));
        window.push(Batch::of([((), "four\n")]));
        window.rewind(None);
        assert_eq!(drain(&mut window), "three\nfour\n");
    }

    #[test]
    fn events_without_bytes_are_passed_over() {
        let mut window = window(0, &[&["", "one", ""], &[""], &["two"]]);
        assert_eq!(drain(&mut window), "onetwo");
        window.settle();
        window.rewind(Some(3));
        assert_eq!(drain(&mut window), "two");
    }

    #[test]
    fn small_batches_are_put_together_and_settled_each_in_its_turn() {
        let mut window = window(8, &[&["one\n"], &["two\n"], &["three\n"]]);
        assert_eq!(window.pieces.len(), 2);
        assert_eq!(drain(&mut window), "one\ntwo\nthree\n");
        window.settle();
        window.push(Batch::of([((), "4\n")]));
        assert_eq!((window.pieces.len(), drain(&mut window)), (2, "4\n".to_owned()));
        assert_eq!((window.rewind(Some(3)), drain(&mut window)), (2, "three\n4\n".to_owned()));
    }
}
