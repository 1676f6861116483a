//! The tap on containers' lines: whoever looks gets each chunk of lines as it is handed on.
//!
//! Nobody waits for a viewer. What a slow one has not taken in time is overwritten, and it is told how many lines it has missed. While nobody
//! looks, nothing is copied.

use std::sync::{Arc, Mutex};

use elkhound_pipeline::time::Timestamp;
use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};

use super::containers::About;
use super::locked;

/// How many chunks a viewer may be behind before it misses some.
const CHUNKS: usize = 256;

/// Where viewers come to.
pub(crate) struct Tap {
    sender: Sender<Arc<Chunk>>,
    /// Lines that were shown so far. Held while a chunk is sent, so that chunks come in the order of their numbers.
    shown: Mutex<u64>,
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
        Self { sender: channel(CHUNKS).0, shown: Mutex::new(0) }
    }

    /// Whether anybody looks.
    pub(crate) fn is_watched(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Shows lines to whoever looks.
    pub(crate) fn show(&self, about: &Arc<About>, lines: Vec<Shown>) {
        let mut shown = locked(&self.shown);
        let before = *shown;
        *shown += lines.len() as u64;
        // Without a viewer there is nobody to show them to.
        let _nobody = self.sender.send(Arc::new(Chunk { about: Arc::clone(about), lines, before }));
    }

    /// Looks from now on.
    pub(crate) fn look(&self) -> View {
        let shown = locked(&self.shown);
        View { receiver: self.sender.subscribe(), expected: *shown }
    }
}

/// One viewer's end.
pub(crate) struct View {
    receiver: Receiver<Arc<Chunk>>,
    /// How many lines were shown up to the end of the last chunk that came.
    expected: u64,
}

impl View {
    /// The next chunk, and how many lines were missed before it; nothing when elkhound ends.
    pub(crate) async fn next(&mut self) -> Option<(Arc<Chunk>, u64)> {
        loop {
            match self.receiver.recv().await {
                Ok(chunk) => {
                    let missed = chunk.before.saturating_sub(self.expected);
                    self.expected = chunk.before + chunk.lines.len() as u64;
                    return Some((chunk, missed));
                }
                // How many lines these were is known with the next chunk.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
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
        for _ in 0..CHUNKS + 5 {
            tap.show(&about, lines(2));
        }
        assert_eq!(view.next().await.map(|(_, missed)| missed), Some(10));
        assert_eq!(view.next().await.map(|(_, missed)| missed), Some(0));
    }
}
