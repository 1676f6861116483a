//! What writer, reader and receipts know in common: the pages there are, what is out, and up to where all is safe.
//!
//! The lock is held for moments only, never while a disk is waited for: receipts come back on threads that must not wait.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use elkhound_pipeline::flow::receipt::Ledger;
use tracing::warn;

use super::checkpoint::{Checkpoint, Place};
use super::page::PageId;
use super::recovery::{Recovered, page_name};
use super::storage::Storage;
use super::{Gauge, Limits};
use crate::claim::Claim;
use crate::input::window::Window;
use crate::limit::Limit;

/// A page that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Its place in the queue.
    pub(super) number: u64,
    /// Its name.
    pub(super) id: PageId,
    /// How many events the queue had taken before it.
    pub(super) first: u64,
    /// How much of it may be read.
    pub(super) bytes: u64,
}

/// What a reader finds behind its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behind {
    /// Its page goes on up to here.
    More { end: u64 },
    /// Another page follows.
    Page(Page),
    /// Nothing, and nothing will come.
    Nothing,
}

struct State {
    /// Oldest first; the last one is being written.
    pages: VecDeque<Page>,
    /// What the reader has handed out.
    window: Window<Place>,
    /// Everything before it is safe at the outputs.
    safe: Place,
    /// The same as it is on disk.
    saved: Place,
    /// Events that the queue has taken, since it was made.
    written: u64,
    /// Nothing will be written any more.
    closed: bool,
    /// Nothing will be handed out any more.
    ended: bool,
    given_up: bool,
}

/// The common knowledge. It lives until the last receipt is back, and writes the last checkpoint then.
pub(super) struct Book {
    state: Mutex<State>,
    /// Told to the reader: something was written, or nothing will be.
    grown: Condvar,
    /// Told to who waits for room, and to the keeper of the checkpoint.
    settled: Condvar,
    pub(super) limits: Limits,
    gauge: Arc<Gauge>,
    checkpoint: Mutex<Checkpoint>,
    pub(super) storage: Arc<dyn Storage>,
    /// Given back last: whoever opens the folder next finds all that this one knew.
    _claim: Option<Claim>,
}

impl Book {
    /// What is known of a queue that was just opened.
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        limits: Limits,
        recovered: Recovered,
        gauge: Arc<Gauge>,
        claim: Option<Claim>,
    ) -> Self {
        let Recovered { pages, safe, written, checkpoint, .. } = recovered;
        let state = State {
            pages: pages.into(),
            window: Window::after(safe),
            safe,
            saved: safe,
            written,
            closed: false,
            ended: false,
            given_up: false,
        };
        state.show(&gauge);
        Self {
            state: Mutex::new(state),
            grown: Condvar::new(),
            settled: Condvar::new(),
            limits,
            gauge,
            checkpoint: Mutex::new(checkpoint),
            storage,
            _claim: claim,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where all is safe.
    pub(super) fn safe(&self) -> Place {
        self.state().safe
    }

    /// How many events the queue has taken.
    pub(super) fn written(&self) -> u64 {
        self.state().written
    }

    /// What is shown of the queue, and its settings.
    pub(super) fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// Where the queue is, for messages.
    pub(super) fn place(&self) -> String {
        self.gauge.settings.folder.display().to_string()
    }

    /// Counts events that can't be read.
    pub(super) fn lost(&self, events: u64) {
        self.gauge.lost.fetch_add(events, Ordering::Relaxed);
    }

    /// How many were lost.
    #[cfg(test)]
    pub(super) fn all_lost(&self) -> u64 {
        self.gauge.lost.load(Ordering::Relaxed)
    }

    /// Whether so many bytes and events more are within the limits. What is larger than the limits passes alone.
    pub(super) fn has_room(&self, bytes: u64, events: u64) -> bool {
        let state = self.state();
        let waiting = state.written - state.safe.events;
        let alone = waiting == 0 && state.pages.len() == 1;
        let Limits { bytes: most_bytes, events: most_events, .. } = self.limits;
        let fits = state.bytes() + bytes <= most_bytes || alone;
        fits && (most_events == 0 || waiting + events <= most_events || waiting == 0)
    }

    /// Waits until there may be room, the queue is given up, or a second has passed; true when it is given up.
    pub(super) fn pause(&self) -> bool {
        let state = self.state();
        if state.given_up {
            return true;
        }
        let waited = self.settled.wait_timeout(state, Duration::from_secs(1));
        waited.unwrap_or_else(PoisonError::into_inner).0.given_up
    }

    /// A page follows the others.
    pub(super) fn begin(&self, page: Page) {
        let mut state = self.state();
        state.pages.push_back(page);
        state.show(&self.gauge);
        // The one before may be passed already, and can be removed now.
        self.settled.notify_all();
    }

    /// The last page has grown.
    pub(super) fn grew(&self, bytes: u64, events: u64) {
        let mut state = self.state();
        state.written += events;
        if let Some(last) = state.pages.back_mut() {
            last.bytes += bytes;
        }
        state.show(&self.gauge);
        self.grown.notify_all();
    }

    /// Nothing will be written any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.grown.notify_all();
        self.settled.notify_all();
    }

    /// Nothing will be handed out any more.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.settled.notify_all();
    }

    /// Nobody waits any more.
    pub(super) fn give_up(&self) {
        self.state().given_up = true;
        self.grown.notify_all();
        self.settled.notify_all();
    }

    /// Whether nothing will be written any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Whether the queue is given up.
    pub(super) fn is_given_up(&self) -> bool {
        self.state().given_up
    }

    /// What stands behind a place, waited for where `wait` says so.
    pub(super) fn behind(&self, place: Place, wait: bool) -> Behind {
        let mut state = self.state();
        loop {
            if let Some(found) = state.behind(place) {
                return found;
            }
            if state.closed || state.given_up || !wait {
                return Behind::Nothing;
            }
            state = self.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The page of this number.
    pub(super) fn page(&self, number: u64) -> Option<Page> {
        self.state().pages.iter().find(|page| page.number == number).copied()
    }

    /// The end of a page, as far as it is written.
    pub(super) fn end_of(&self, number: u64) -> Option<Place> {
        let state = self.state();
        let offset = state.pages.iter().find(|page| page.number == number)?.bytes;
        let next = state.pages.iter().find(|page| page.number > number);
        Some(Place { page: number, offset, events: next.map_or(state.written, |page| page.first) })
    }

    /// Notes what is handed out, up to `end`; returns its number for the receipt.
    pub(super) fn hand_out(&self, end: Place) -> u64 {
        self.state().window.open(end)
    }

    /// Waits until the checkpoint is due; false when nothing will be handed out any more.
    pub(super) fn wait_until_due(&self) -> bool {
        let Limits { acks, interval, .. } = self.limits;
        let early = |state: &mut State| !(state.ended || state.is_due(acks));
        let state = self.state();
        let state = match interval {
            Some(interval) => {
                let waited = self.settled.wait_timeout_while(state, interval, early);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.settled.wait_while(state, early).unwrap_or_else(PoisonError::into_inner),
        };
        !state.ended
    }

    /// Writes the checkpoint where it has moved, and removes pages that it has passed.
    ///
    /// # Errors
    /// When the disk does not take it, which is no harm: it is tried again, and after a crash more events come again.
    pub(super) fn save(&self) -> io::Result<()> {
        let mut checkpoint = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let (safe, saved, passed) = {
            let state = self.state();
            (state.safe, state.saved, state.passed())
        };
        if safe != saved {
            checkpoint.write(safe)?;
        }
        for number in &passed {
            self.storage.remove(&page_name(*number))?;
        }
        let mut state = self.state();
        state.saved = safe;
        state.pages.retain(|page| !passed.contains(&page.number));
        state.show(&self.gauge);
        drop(state);
        if !passed.is_empty() {
            self.settled.notify_all();
        }
        Ok(())
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.pages.iter().map(|page| page.bytes).sum()
    }

    /// Pages that hold nothing that is not safe; never the last.
    fn passed(&self) -> Vec<u64> {
        let older = self.pages.iter().take(self.pages.len().saturating_sub(1));
        let is_passed = |page: &&Page| {
            page.number < self.safe.page || (page.number == self.safe.page && self.safe.offset >= page.bytes)
        };
        older.take_while(is_passed).map(|page| page.number).collect()
    }

    fn is_due(&self, acks: u64) -> bool {
        (acks > 0 && self.safe.events - self.saved.events >= acks) || !self.passed().is_empty()
    }

    fn behind(&self, place: Place) -> Option<Behind> {
        let page = self.pages.iter().find(|page| page.number >= place.page)?;
        if page.number > place.page {
            return Some(Behind::Page(*page));
        }
        if place.offset < page.bytes {
            return Some(Behind::More { end: page.bytes });
        }
        self.pages.iter().find(|page| page.number > place.page).map(|page| Behind::Page(*page))
    }

    fn show(&self, gauge: &Gauge) {
        gauge.events.store(self.written.saturating_sub(self.safe.events), Ordering::Relaxed);
        gauge.bytes.store(self.bytes(), Ordering::Relaxed);
    }
}

impl Ledger for Book {
    fn settled(&self, chunk: u64) {
        let mut state = self.state();
        let Some(safe) = state.window.settle(chunk) else { return };
        state.safe = safe;
        state.show(&self.gauge);
        let full = self.limits.events > 0;
        let due = state.is_due(self.limits.acks);
        drop(state);
        if full || due {
            self.settled.notify_all();
        }
    }

    /// It stays open in the window, so everything from it on comes again after the next start.
    fn abandoned(&self, _chunk: u64) {}
}

impl Drop for Book {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            tell_unsaved(&error);
        }
    }
}

/// For the log, that a checkpoint could not be written.
pub(super) fn tell_unsaved(error: &io::Error) {
    static LIMIT: Limit = Limit::new();
    if let Some(suppressed) = LIMIT.pass() {
        warn!(
            reason = %error,
            suppressed,
            "the checkpoint of a queue on disk can't be written; after a crash, events come again from the one before"
        );
    }
}
