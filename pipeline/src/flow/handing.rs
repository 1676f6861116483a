//! A worker's last step: each event of a batch is written to its outputs. A panic on the way costs one output one event, which is set aside.
//!
//! Panics are caught around the whole batch, so that an event costs nothing for it. What is needed to go on after one is kept outside: the event, which of its outputs
//! have it, and the receipt that the next one was about to take.

use std::vec::Drain;

use super::meter::Written;
use super::receipt::Receipt;
use super::worker::{Writer, survives};
use crate::event::Event;
use crate::filter::Context;
use crate::plan::{Fate, Plan, Route};

/// What is needed to hand out events.
pub(super) struct Handing<'a> {
    /// Says which outputs an event goes to.
    pub(super) plan: &'a Plan,
    /// One for each output of the plan, in its order.
    pub(super) writers: &'a mut [Box<dyn Writer>],
    /// Counts what each of them got.
    pub(super) written: &'a mut Written,
    /// The worker's.
    pub(super) cx: &'a mut Context,
}

/// An event on its way to its outputs.
struct Handed {
    event: Event,
    /// The event's own, until its last output.
    receipt: Option<Receipt>,
    /// The share of the output that is written to, until that has taken it.
    share: Option<Receipt>,
    /// Where it goes, once that is known.
    route: Option<Route>,
    /// How many of those outputs are done.
    done: usize,
    timed: bool,
}

impl Handing<'_> {
    /// Writes each event to its outputs, each with a receipt; without an output it is acknowledged here.
    pub(super) fn hand_out(&mut self, mut events: Drain<'_, Event>) {
        let mut handed = None;
        while !survives(|| self.go_on(&mut handed, &mut events)) {
            if let Some(handed) = &mut handed {
                self.panicked(handed);
            }
        }
    }

    /// Goes on with the event that was begun, if there is one, then with the others.
    fn go_on(&mut self, handed: &mut Option<Handed>, events: &mut Drain<'_, Event>) {
        loop {
            if let Some(begun) = handed {
                self.give(begun);
                *handed = None;
            }
            let Some(mut event) = events.next() else { return };
            let (receipt, timed) = (event.take_receipt(), self.cx.written.picks());
            *handed = Some(Handed { event, receipt, share: None, route: None, done: 0, timed });
        }
    }

    #[inline]
    fn give(&mut self, handed: &mut Handed) {
        let Handed { event, receipt, share, route, done, timed } = handed;
        let route = route.get_or_insert_with(|| self.plan.route(event, self.cx));
        while let Some((at, is_last)) = route.output(*done, self.writers.len()) {
            *share = if is_last { receipt.take() } else { receipt.clone() };
            self.written.time(at, *timed, || self.writers[at].write(event, share));
            *done += 1;
        }
        receipt.take().into_iter().for_each(Receipt::acknowledge);
    }

    #[cold]
    fn panicked(&mut self, handed: &mut Handed) {
        let output = handed.route.as_ref().and_then(|route| route.output(handed.done, self.writers.len()));
        let fate = self.plan.output_panicked(output.map(|(at, _)| at), &handed.event);
        let share = match output {
            Some((at, _)) => {
                self.writers[at].take_back();
                handed.done += 1;
                handed.share.take()
            }
            // Where it goes is not to be found out.
            None => {
                handed.route = Some(Route::Some(Vec::new()));
                handed.receipt.take()
            }
        };
        if fate != Fate::ReadAgain {
            share.into_iter().for_each(Receipt::acknowledge);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Instant;

    use super::*;
    use crate::flow::receipt::testing::Book;
    use crate::plan::panicked::testing::touchy;
    use crate::value::Value;

    /// Writes each event's `n` in two steps, and panics between them on one that it can't bear.
    struct Half {
        cannot_bear: i64,
        written: Arc<Mutex<Vec<i64>>>,
        whole: usize,
    }

    impl Writer for Half {
        fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.push(-1);
            let Some(Value::Integer(number)) = event.field("n") else { panic!("as the test wants it") };
            assert_ne!(*number, self.cannot_bear, "as the test wants it");
            written[self.whole] = *number;
            self.whole += 1;
            receipt.take().into_iter().for_each(Receipt::acknowledge);
        }

        fn take_back(&mut self) {
            self.written.lock().unwrap_or_else(PoisonError::into_inner).truncate(self.whole);
        }

        fn tick(&mut self, _now: Instant) -> Option<Instant> {
            None
        }

        fn finish(&mut self) {}
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Outcome {
        /// What each output has written.
        written: [Vec<i64>; 2],
        /// How receipts came back.
        back: Vec<(u64, bool)>,
        /// How often each output has failed.
        failed: [u64; 2],
    }

    /// Hands out events, each `n` the number of its receipt, to two outputs of which the first can't bear 1 and the second not 2; a negative `n` is a text.
    fn handed_out(outputs: &str, fate: Option<Fate>, numbers: &[i64]) -> Outcome {
        let (plan, book) = (touchy(outputs, fate), Arc::new(Book::default()));
        let event = |number: &i64| {
            let mut event = Event::default();
            event.set_field("n".into(), if *number < 0 { "odd".into() } else { (*number).into() });
            event.set_origin(None, Some(Receipt::open(book.clone(), number.unsigned_abs(), None)));
            event
        };
        let mut events: Vec<Event> = numbers.iter().map(event).collect();
        let written: [Arc<Mutex<Vec<i64>>>; 2] = Default::default();
        let half = |cannot_bear, written: &Arc<Mutex<Vec<i64>>>| -> Box<dyn Writer> {
            Box::new(Half { cannot_bear, written: Arc::clone(written), whole: 0 })
        };
        let mut writers = vec![half(1, &written[0]), half(2, &written[1])];
        let (mut counts, mut cx) = (Written::new(2), Context::default());
        Handing { plan: &plan, writers: &mut writers, written: &mut counts, cx: &mut cx }.hand_out(events.drain(..));
        let written = written.map(|written| written.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let failed = [0, 1].map(|at| plan.outputs()[at].failed.load(Ordering::Relaxed));
        let back = book.0.lock().unwrap().clone();
        Outcome { written, back, failed }
    }

    const TWO: &str = "output { stdout { } stdout { } }";

    #[test]
    fn a_panic_costs_one_output_one_event_and_those_behind_it_arrive() {
        let Outcome { written, failed, .. } = handed_out(TWO, Some(Fate::Kept), &[0, 1, 2, 3, 4]);
        assert_eq!(written, [vec![0, 2, 3, 4], vec![0, 1, 3, 4]]);
        assert_eq!(failed, [1, 1]);
    }

    #[test]
    fn the_receipt_comes_back_unless_the_event_could_not_be_kept() {
        let back = |fate| handed_out(TWO, fate, &[0, 1, 3]).back;
        assert_eq!(back(Some(Fate::Kept)), [(0, true), (1, true), (3, true)]);
        assert_eq!(back(None), [(0, true), (1, true), (3, true)]);
        assert_eq!(back(Some(Fate::ReadAgain)), [(0, true), (1, false), (3, true)]);
    }

    #[test]
    fn where_the_way_to_the_outputs_panics_none_of_them_gets_the_event() {
        let outputs = "output { stdout { } if [n] > 2 { stdout { } } }";
        let handed = |fate| handed_out(outputs, Some(fate), &[0, -7, 3]);
        let back = vec![(0, true), (7, true), (3, true)];
        assert_eq!(handed(Fate::Kept), Outcome { written: [vec![0, 3], vec![3]], back, failed: [0, 0] });
        assert_eq!(handed(Fate::ReadAgain).back, [(0, true), (7, false), (3, true)]);
    }
}
