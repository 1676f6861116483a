//! Waiting for a future on a thread that is not part of a runtime, as workers and readers of files are.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often somebody who may have enough of waiting looks whether it is over.
const LOOK: Duration = Duration::from_millis(100);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until there is something.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let for_ever = || {
        thread::park();
        true
    };
    block(future, for_ever).expect("it waits for ever")
}

/// Waits until there is something, or `is_over`, which is looked at every [`LOOK`]; nothing then.
pub(super) fn block_until<F: Future>(future: F, is_over: impl Fn() -> bool) -> Option<F::Output> {
    block(future, || {
        let goes_on = !is_over();
        if goes_on {
            thread::park_timeout(LOOK);
        }
        goes_on
    })
}

/// Polls, and between two times `rest`s, which says whether to go on.
fn block<F: Future>(future: F, rest: impl Fn() -> bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        if !rest() {
            return None;
        }
    }
}
