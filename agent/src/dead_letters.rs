//! The dead letter queue: events that Elasticsearch refused for good, and those on which a filter panicked ([`panicked`]), kept on disk with the reason, to be looked at and sent again.
//!
//! A queue is a folder, `path.dead_letter_queue/PIPELINE-ID/`, of segments `1.ndjson`, `2.ndjson` and so on. A segment is JSON, one entry a
//! line ([`entry`]), so that `grep` and `jq` read it. It is closed when it is large enough or nothing has been written for
//! `dead_letter_queue.flush_interval`; a closed one is never written to again, and every start begins a new one, so that a line that
//! a crash has torn stays the last of its segment. Readers pass it over.
//!
//! What it promises: an event's receipt is acknowledged only after its entry is written and synced (`fdatasync`, once for all entries of one
//! answer); all segments together are never larger than `dead_letter_queue.max_bytes`; what is refused or removed for want of room, or
//! removed by age, is counted and told. A disk that takes nothing is back-pressure: it is tried again until the stop's deadline.
//!
//! What it leaves out: an event that was read from a dead letter queue is not put into one again, or the two would turn in a circle. It is told and
//! stays where it was read from.

pub(crate) mod command;
pub(crate) mod entry;
mod panicked;
pub(crate) mod segments;
mod show;
mod store;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use elkhound_pipeline::flow::meter::add;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use self::panicked::set_aside;
use self::store::Store;
pub(crate) use self::store::{Limits, Policy};
use crate::clock;
use crate::limit::Limit;
use crate::stats::dead_letters::DeadLetterMeter;

/// What to do about a folder that can't be written to.
pub(crate) const REMEDY: &str = "see that the folder can be written to and has room";

/// Where a pipeline's queue is, and how much it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// How much it may hold, and for how long.
    pub(crate) limits: Limits,
}

/// The writing side of a pipeline's queue, shared by its outputs. It opens nothing before it is started.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    settings: Settings,
    store: Mutex<Option<Store>>,
    started: AtomicBool,
    full: Limit,
    meter: Arc<DeadLetterMeter>,
}

impl DeadLetters {
    /// The queue that these settings are of.
    pub(crate) fn new(settings: Settings) -> Self {
        let Limits { bytes, policy, .. } = settings.limits;
        let meter = DeadLetterMeter::new(bytes, policy.name());
        let (store, started) = (Mutex::new(None), AtomicBool::new(false));
        Self { settings, store, started, full: Limit::new(), meter: Arc::new(meter) }
    }

    /// Opens the folder, and from then on closes and removes segments when it is time to. Further calls do nothing.
    pub(crate) fn start(self: &Arc<Self>, runtime: &Handle) {
        if self.started.swap(true, Ordering::Relaxed) {
            return;
        }
        info!(folder = %self.settings.folder.display(), "what is refused for good goes to the dead letter queue");
        let every = self.settings.limits.flush.clamp(Duration::from_millis(200), Duration::from_secs(60));
        runtime.spawn(tend(Arc::downgrade(self), every));
    }

    /// Writes lines, each an entry with its line break, and takes away those that are safe, or were refused because the queue is full. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// When the disk does not take them; what is left in `lines` is to be tried again.
    pub(crate) fn keep(&self, lines: &mut VecDeque<Vec<u8>>) -> io::Result<()> {
        let (mut told, given) = (store::Told::default(), lines.len());
        let result = self.with_store(|store| store.append(lines, clock::now(), &mut told));
        add(&self.meter.kept, (given - lines.len() - told.refused) as u64);
        self.tell(&told);
        result
    }

    /// The same for one line, for as long as that takes; false when it is time to give up first.
    pub(crate) fn keep_until(&self, line: Vec<u8>, give_up: &CancellationToken) -> bool {
        static LIMIT: Limit = Limit::new();
        let mut lines = VecDeque::from([line]);
        while let Err(reason) = self.keep(&mut lines) {
            if give_up.is_cancelled() {
                return false;
            }
            if let Some(suppressed) = LIMIT.pass() {
                let place = self.place();
                warn!(place, %reason, remedy = REMEDY, suppressed, "the dead letter queue takes nothing; it is tried again");
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        true
    }

    /// Where it is counted what becomes of it.
    pub(crate) fn meter(&self) -> Arc<DeadLetterMeter> {
        Arc::clone(&self.meter)
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        self.settings.folder.display().to_string()
    }

    fn tend(&self) -> io::Result<()> {
        let mut told = store::Told::default();
        let result = self.with_store(|store| store.tend(clock::now(), &mut told));
        self.tell(&told);
        result
    }

    fn with_store(&self, act: impl FnOnce(&mut Store) -> io::Result<()>) -> io::Result<()> {
        let mut guard = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.opened(&mut guard).and_then(|store| {
            let result = act(store);
            self.meter.holds(store.bytes());
            result
        });
        self.meter.ended(result.as_ref().err().map(ToString::to_string));
        result
    }

    fn opened<'a>(&self, store: &'a mut Option<Store>) -> io::Result<&'a mut Store> {
        Ok(match store {
            Some(store) => store,
            none => none.insert(Store::open(&self.settings.folder, self.settings.limits)?),
        })
    }

    fn tell(&self, told: &store::Told) {
        let &store::Told { refused, removed, expired } = told;
        let folder = self.settings.folder.display();
        add(&self.meter.dropped, (refused + removed) as u64);
        add(&self.meter.expired, expired as u64);
        if expired > 0 {
            info!(%folder, entries = expired, "entries of the dead letter queue have reached dead_letter_queue.retain.age and are gone");
        }
        if refused + removed == 0 {
            return;
        }
        if let Some(suppressed) = self.full.pass() {
            warn!(
                %folder,
                refused,
                removed,
                suppressed,
                "the dead letter queue is full, and entries are lost; raise dead_letter_queue.max_bytes, or replay its entries and remove the segments"
            );
        }
    }
}

/// Looks after the segments as long as somebody can write to them.
async fn tend(queue: Weak<DeadLetters>, every: Duration) {
    static LIMIT: Limit = Limit::new();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(queue) = queue.upgrade() else { return };
        let place = queue.place();
        // A join that fails means that the runtime ends.
        let Ok(result) = tokio::task::spawn_blocking(move || queue.tend()).await else { return };
        if let Err(error) = result
            && let Some(suppressed) = LIMIT.pass()
        {
            warn!(folder = place, reason = %error, suppressed, "the dead letter queue can't be opened; see that its folder can be written to");
        }
    }
}

#[cfg(test)]
mod tests {
    use elkhound_pipeline::flow::meter::read;

    use super::store::testing::limits;
    use super::*;
    use crate::scratch::Folder;

    #[test]
    fn what_is_kept_and_what_is_lost_is_counted() {
        let folder = Folder::new("letters-counted");
        let settings = Settings { folder: folder.to_path_buf(), limits: limits(25, Policy::DropNewer) };
        let queue = DeadLetters::new(settings);
        let mut lines: VecDeque<Vec<u8>> = (0..3).map(|number| format!("{number:09}\n").into_bytes()).collect();
        queue.keep(&mut lines).unwrap();
        let meter = queue.meter();
        assert_eq!((read(&meter.kept), read(&meter.dropped), meter.bytes()), (2, 1, 20));
        assert_eq!((meter.policy, meter.max_bytes, meter.trouble()), ("drop_newer", 25, None));
    }

    #[test]
    fn a_folder_that_takes_nothing_is_told_until_it_does() {
        let folder = Folder::new("letters-trouble");
        let place = folder.join("queue");
        std::fs::write(&place, "in the way").unwrap();
        let queue = DeadLetters::new(Settings { folder: place.clone(), limits: limits(100, Policy::DropNewer) });
        let mut lines = VecDeque::from([b"1\n".to_vec()]);
        assert!(queue.keep(&mut lines).is_err());
        assert_eq!((lines.len(), read(&queue.meter().kept)), (1, 0));
        assert!(queue.meter().trouble().is_some());
        std::fs::remove_file(&place).unwrap();
        queue.keep(&mut lines).unwrap();
        assert_eq!((read(&queue.meter().kept), queue.meter().trouble()), (1, None));
    }
}
