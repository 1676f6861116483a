//! Receipts: how a source learns that its events are safe. The only thing that travels against the flow.
//!
//! An input reads a chunk of lines and opens one [`Ledger`] entry for it; every event of the chunk carries a [`Receipt`] of
//! that entry. Whoever is done with an event acknowledges its receipt: an output when the far end has the event (or has
//! refused it for good and it was accounted for), a filter that drops it. When the last receipt of a chunk is gone, the
//! ledger is told: settled when all were acknowledged, abandoned when one was merely dropped, as happens on the
//! way down. An abandoned chunk is read again after the next start; that is what makes stopping at any moment safe.
//!
//! The chunk's share of the byte budget is freed with its last receipt, so that one budget bounds everything in flight.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::budget::Charge;

/// The source's side: told once for each chunk how it ended.
pub trait Ledger: Send + Sync {
    /// All events of the chunk are safe.
    fn settled(&self, chunk: u64);

    /// At least one event of the chunk was dropped without being acknowledged; it must be read again.
    fn abandoned(&self, chunk: u64);
}

/// One event's acknowledgement. A clone is a further event that must be acknowledged as well.
#[derive(Clone)]
pub struct Receipt(Option<Arc<Chunk>>);

struct Chunk {
    ledger: Arc<dyn Ledger>,
    number: u64,
    abandoned: AtomicBool,
    /// Held for its `Drop`: it gives the bytes back to the budget.
    _charge: Option<Charge>,
}

impl Receipt {
    /// The first receipt of chunk `number` of `ledger`; clone it for each event of the chunk and acknowledge the first itself
    /// when all of them have one.
    pub fn open(ledger: Arc<dyn Ledger>, number: u64, charge: Option<Charge>) -> Self {
        Self(Some(Arc::new(Chunk { ledger, number, abandoned: AtomicBool::new(false), _charge: charge })))
    }

    /// The event is safe, or was dropped on purpose.
    #[inline]
    pub fn acknowledge(mut self) {
        self.0 = None;
    }

    /// The whole chunk is given up: acknowledges this one, and those that were dropped before with it. For who holds the last one, when to read the chunk again
    /// would end in the same way.
    pub fn give_up(self) {
        if let Some(chunk) = &self.0 {
            chunk.abandoned.store(false, Ordering::Relaxed);
        }
        self.acknowledge();
    }
}

impl Drop for Receipt {
    #[inline]
    fn drop(&mut self) {
        if let Some(chunk) = &self.0 {
            // Relaxed is enough: the reference count that follows orders it before `Chunk::drop`.
            chunk.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.abandoned.load(Ordering::Relaxed) {
            self.ledger.abandoned(self.number);
        } else {
            self.ledger.settled(self.number);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({:?})", self.0.as_ref().map(|chunk| chunk.number))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! For tests: a ledger that writes down how chunks come back.

    use std::sync::Mutex;

    use super::Ledger;

    /// The numbers of chunks, in the order in which they came back, each with whether it was settled.
    #[derive(Default)]
    pub(crate) struct Book(pub(crate) Mutex<Vec<(u64, bool)>>);

    impl Ledger for Book {
        fn settled(&self, chunk: u64) {
            self.0.lock().unwrap().push((chunk, true));
        }

        fn abandoned(&self, chunk: u64) {
            self.0.lock().unwrap().push((chunk, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Book;
    use super::*;

    #[test]
    fn settles_with_the_last_receipt() {
        let book = Arc::new(Book::default());
        let first = Receipt::open(book.clone(), 7, None);
        let second = first.clone();
        first.acknowledge();
        assert!(book.0.lock().unwrap().is_empty());
        second.acknowledge();
        assert_eq!(*book.0.lock().unwrap(), [(7, true)]);
    }

    #[test]
    fn a_chunk_that_is_given_up_is_settled() {
        let book = Arc::new(Book::default());
        let first = Receipt::open(book.clone(), 3, None);
        drop(first.clone());
        first.give_up();
        assert_eq!(*book.0.lock().unwrap(), [(3, true)]);
    }

    #[test]
    fn one_lost_receipt_abandons_the_chunk() {
        let book = Arc::new(Book::default());
        let first = Receipt::open(book.clone(), 1, None);
        drop(first.clone());
        first.acknowledge();
        assert_eq!(*book.0.lock().unwrap(), [(1, false)]);
    }
}
