//! Which chunks of a source are safe up to where: chunks are acknowledged in any order, the cursor moves in the source's order only.
//!
//! What it promises: the mark never passes a chunk that is not settled. A chunk that was abandoned stays in the window and stops the mark
//! for good; after the next start everything behind it is read again.

use std::collections::VecDeque;

/// A place in a source: the last lines of a container's streams, an offset in a file.
pub(crate) trait Mark: Copy {
    /// Moves on to `end`, the end of the chunk that follows in the source.
    fn advance(&mut self, end: &Self);
}

/// The chunks of one source that are in flight.
#[derive(Debug, Default)]
pub(crate) struct Window<M> {
    /// The number of the oldest chunk in `open`.
    first: u64,
    open: VecDeque<Entry<M>>,
    safe: M,
}

#[derive(Debug)]
struct Entry<M> {
    end: M,
    settled: bool,
}

impl<M: Mark> Window<M> {
    /// A window behind `safe`.
    pub(crate) fn after(safe: M) -> Self {
        Self { safe, first: 0, open: VecDeque::new() }
    }

    /// Notes a chunk that ends at `end`, the last to have been read; returns its number.
    pub(crate) fn open(&mut self, end: M) -> u64 {
        self.open.push_back(Entry { end, settled: false });
        self.first + self.open.len() as u64 - 1
    }

    /// Notes that chunk `number` is safe; returns the new mark when it has moved. Unknown numbers are passed over.
    pub(crate) fn settle(&mut self, number: u64) -> Option<M> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.open.get_mut(at)?.settled = true;
        let before = self.first;
        while self.open.front().is_some_and(|oldest| oldest.settled) {
            let oldest = self.open.pop_front().expect("the loop has just seen it");
            self.safe.advance(&oldest.end);
            self.first += 1;
        }
        (self.first > before).then_some(self.safe)
    }

    /// Up to where all is safe.
    pub(crate) fn safe(&self) -> M {
        self.safe
    }

    /// Up to where chunks were opened, safe or not.
    pub(crate) fn ahead(&self) -> M {
        let mut ahead = self.safe;
        self.open.iter().for_each(|entry| ahead.advance(&entry.end));
        ahead
    }

    /// The number of chunks that are not safe, or stand behind one that is not.
    pub(crate) fn in_flight(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::position::{Marks, Position, Stream};

    fn marks(out: Option<i64>, err: Option<i64>) -> Marks {
        let mut marks = Marks::default();
        for (stream, nanos) in [(Stream::Stdout, out), (Stream::Stderr, err)] {
            if let Some(nanos) = nanos {
                marks.set(stream, Position { nanos, ordinal: 0 });
            }
        }
        marks
    }

    /// What the window has to say, computed the slow way: fold the ends of the settled prefix.
    fn model(ends: &[Marks], settled: &[bool]) -> Marks {
        let mut safe = Marks::default();
        ends.iter().zip(settled).take_while(|(_, settled)| **settled).for_each(|(end, _)| safe.advance(end));
        safe
    }

    fn permutations(count: u64) -> Vec<Vec<u64>> {
        if count == 0 {
            return vec![vec![]];
        }
        let shorter = permutations(count - 1);
        let insert = |order: &Vec<u64>, at: usize| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        };
        shorter.iter().flat_map(|order| (0..=order.len()).map(move |at| insert(order, at))).collect()
    }

    #[test]
    fn agrees_with_the_model_in_every_order_of_receipts() {
        let ends: Vec<Marks> =
            (0..6).map(|n| marks((n % 3 != 1).then_some(n), (n % 3 != 0).then_some(n + 10))).collect();
        for order in permutations(6) {
            let mut window = Window::default();
            let numbers: Vec<u64> = ends.iter().map(|end| window.open(*end)).collect();
            let mut settled = [false; 6];
            for &number in &order {
                let before = window.safe();
                settled[number as usize] = true;
                let told = window.settle(numbers[number as usize]);
                assert_eq!(window.safe(), model(&ends, &settled), "{order:?}");
                assert_eq!(told.unwrap_or(before), window.safe());
            }
            assert_eq!(window.in_flight(), 0);
        }
    }

    #[test]
    fn opening_and_settling_in_turns_agrees_with_the_model() {
        let (mut window, mut seed) = (Window::default(), 7u64);
        let (mut ends, mut settled) = (Vec::new(), Vec::new());
        for step in 0..2000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if seed >> 62 < 2 || ends.is_empty() {
                let end = marks(Some(step), None);
                assert_eq!(window.open(end), ends.len() as u64);
                ends.push(end);
                settled.push(false);
            } else {
                let number = (seed >> 33) as usize % ends.len();
                settled[number] = true;
                window.settle(number as u64);
            }
            assert_eq!(window.safe(), model(&ends, &settled));
            assert_eq!(window.ahead(), model(&ends, &vec![true; ends.len()]));
        }
    }

    #[test]
    fn an_abandoned_chunk_holds_the_marks() {
        let mut window = Window::after(marks(Some(1), None));
        let (abandoned, later) = (window.open(marks(Some(2), None)), window.open(marks(Some(3), None)));
        assert_eq!(window.settle(later), None);
        assert_eq!(window.settle(99), None);
        assert_eq!((window.safe(), window.in_flight(), abandoned), (marks(Some(1), None), 2, 0));
    }
}
