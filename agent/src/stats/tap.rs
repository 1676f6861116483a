//! The tap on containers' lines: whoever looks gets each chunk of lines as it is handed on.
//!
//! Nobody waits for a viewer. Of what a slow one has not taken, the oldest is let go beyond a number of bytes, whoever else looks, and it is told how many
//! lines it has missed. While nobody looks, nothing is copied and nothing held.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Arc, Mutex};

use elkhound_pipeline::time::Timestamp;
use tokio::sync::watch::{Receiver, Sender};

use super::containers::About;
use super::locked;

/// How many bytes of lines are held for viewers that are behind: a bound of bytes, for chunks are of one line or of thousands.
const HELD: usize = 8 << 20;

/// Where viewers come to.
pub(crate) struct Tap {
    held: Arc<Mutex<Held>>,
    /// How many chunks were shown so far; viewers wait for it to change.
    chunks: Sender<u64>,
}

/// The chunks that viewers can still take, the oldest first.
#[derive(Debug, Default)]
struct Held {
    chunks: VecDeque<Arc<Chunk>>,
    /// How many chunks were let go before these.
    gone: u64,
    bytes: usize,
    /// Lines that were shown so far.
    shown: u64,
    viewers: usize,
}

/// Lines of one container.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Whose.
    pub(crate) about: Arc<About>,
    /// The lines.
    pub(crate) lines: Vec<Shown>,
    /// How many lines were shown before these, to anybody.
    before: u64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// When the engine read it.
    pub(crate) time: Timestamp,
    /// `stdout` or `stderr`.
    pub(crate) stream: &'static str,
    /// Its text.
    pub(crate) text: String,
}

impl Tap {
    /// A tap that nobody looks at yet.
    pub(crate) fn new() -> Self {
        Self { held: Arc::default(), chunks: Sender::new(0) }
    }

    /// Whether anybody looks.
    pub(crate) fn is_watched(&self) -> bool {
        self.chunks.receiver_count() > 0
    }

    /// Shows lines to whoever looks.
    pub(crate) fn show(&self, about: &Arc<About>, lines: Vec<Shown>) {
        let mut held = locked(&self.held);
        held.add(Arc::clone(about), lines);
        self.chunks.send_replace(held.end());
    }

    /// Looks from now on.
    pub(crate) fn look(&self) -> View {
        let mut held = locked(&self.held);
        held.viewers += 1;
        let (next, expected) = (held.end(), held.shown);
        View { held: Arc::clone(&self.held), chunks: self.chunks.subscribe(), next, expected }
    }
}

impl Held {
    fn add(&mut self, about: Arc<About>, lines: Vec<Shown>) {
        let before = self.shown;
        self.shown += lines.len() as u64;
        let chunk = Chunk { about, lines, before };
        self.bytes += chunk.bytes();
        self.chunks.push_back(Arc::new(chunk));
        while self.bytes > HELD && self.chunks.len() > 1 {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        if let Some(oldest) = self.chunks.pop_front() {
            self.bytes -= oldest.bytes();
            self.gone += 1;
        }
    }

    fn end(&self) -> u64 {
        self.gone + self.chunks.len() as u64
    }
}

impl Chunk {
    fn bytes(&self) -> usize {
        self.lines.iter().map(|line| size_of::<Shown>() + line.text.len()).sum()
    }
}

/// One viewer's end.
pub(crate) struct View {
    held: Arc<Mutex<Held>>,
    chunks: Receiver<u64>,
    /// The number of the chunk that it has not taken yet.
    next: u64,
    /// How many lines were shown up to the end of the last chunk that came.
    expected: u64,
}

impl View {
    /// The next chunk, and how many lines were missed before it; nothing when elkhound ends.
    pub(crate) async fn next(&mut self) -> Option<(Arc<Chunk>, u64)> {
        loop {
            if let Some(chunk) = self.take() {
                let missed = chunk.before.saturating_sub(self.expected);
                self.expected = chunk.before + chunk.lines.len() as u64;
                return Some((chunk, missed));
            }
            self.chunks.changed().await.ok()?;
        }
    }

    fn take(&mut self) -> Option<Arc<Chunk>> {
        let held = locked(&self.held);
        let next = self.next.max(held.gone);
        let chunk = held.chunks.get(usize::try_from(next - held.gone).ok()?)?;
        self.next = next + 1;
        Some(Arc::clone(chunk))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let mut held = locked(&self.held);
        held.viewers -= 1;
        while held.viewers == 0 && !held.chunks.is_empty() {
            held.let_go();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Vec<Shown> {
        vec![Shown { time: Timestamp::default(), stream: "stdout", text: "x".into() }; count]
    }

    #[tokio::test]
    async fn a_slow_viewer_is_told_how_many_lines_it_has_missed() {
        let (tap, about) = (Tap::new(), Arc::default());
        assert!(!tap.is_watched());
        let mut view = tap.look();
        assert!(tap.is_watched());
        tap.show(&about, lines(3));
        assert_eq!(view.next().await.map(|(chunk, missed)| (chunk.lines.len(), missed)), Some((3, 0)));
        let line = Shown { text: "x".repeat(1 << 20), ..lines(1).remove(0) };
        let fit = HELD / (line.text.len() + size_of::<Shown>());
        for _ in 0..fit + 5 {
            tap.show(&about, vec![line.clone()]);
        }
        assert_eq!(view.next().await.map(|(_, missed)| missed), Some(5));
        assert_eq!(view.next().await.map(|(_, missed)| missed), Some(0));
        assert_eq!(locked(&tap.held).chunks.len(), fit);
        drop(view);
        assert!(!tap.is_watched() && locked(&tap.held).chunks.is_empty(), "nothing is held without a viewer");
    }

    #[tokio::test]
    async fn a_viewer_that_keeps_up_misses_nothing_however_many_chunks_come_at_once() {
        let (tap, about) = (Tap::new(), Arc::default());
        let mut view = tap.look();
        (0..2_000).for_each(|_| tap.show(&about, lines(1)));
        for _ in 0..2_000 {
            assert_eq!(view.next().await.map(|(chunk, missed)| (chunk.lines.len(), missed)), Some((1, 0)));
        }
        drop(tap);
        assert!(view.next().await.is_none());
    }
}
