//! For tests of what stands before an output.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::receipt::Receipt;
use elkhound_pipeline::flow::worker::Writer;
use elkhound_pipeline::value::Value;
use tokio_util::sync::CancellationToken;

use super::Output;

/// An output that takes what comes once it is open, and writes down each `n`; what comes after it was told to give up is left.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    open: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<i64>>>,
    /// Tells it to give up.
    pub(crate) give_up: CancellationToken,
}

impl Gate {
    /// One that is open.
    pub(crate) fn open() -> Self {
        let gate = Self::default();
        gate.opens();
        gate
    }

    /// Opens it.
    pub(crate) fn opens(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// What it has taken.
    pub(crate) fn taken(&self) -> Vec<i64> {
        self.taken.lock().unwrap().clone()
    }
}

impl Output for Gate {
    fn writer(&mut self) -> Box<dyn Writer> {
        Box::new(self.clone())
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

impl Writer for Gate {
    fn write(&mut self, event: &Event, receipt: &mut Option<Receipt>) {
        while !self.open.load(Ordering::Relaxed) {
            if self.give_up.is_cancelled() {
                return drop(receipt.take());
            }
            thread::yield_now();
        }
        let Some(Value::Integer(number)) = event.field("n") else { panic!("it was written with one") };
        self.taken.lock().unwrap().push(*number);
        receipt.take().into_iter().for_each(Receipt::acknowledge);
    }

    fn take_back(&mut self) {}

    fn tick(&mut self, _now: Instant) -> Option<Instant> {
        None
    }

    fn finish(&mut self) {}
}

/// An event with this `n` and a text of so many bytes.
pub(crate) fn event(number: i64, text: usize) -> Event {
    let mut event = Event::default();
    event.set_field("n".into(), number.into());
    event.set_field("message".into(), "x".repeat(text).into());
    event
}
