//! Runs the pipelines until they have ended, and loads them again when they have changed.
//!
//! A stop (SIGTERM, SIGINT, or the end of all inputs) cancels the inputs; what they have handed on drains through workers
//! and outputs within `shutdown.timeout`. What is not safe by then is left unacknowledged and read again after the next start, so a second
//! signal, which ends at once, loses nothing either. Signals that come within a second of the first are the same wish, told twice.
//!
//! Several pipelines are run side by side. One that sends to another ends before it, for a `pipeline` input ends with its senders. An
//! input's trouble that it can't heal ends its own pipeline only; elkhound ends, with an error, when all have ended.
//!
//! What a reload does is told in [`reload`].

mod pipeline;
mod reload;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use elkhound_config::source::Source;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::reload::Pipelines;
use crate::bus::Ways;
use crate::cli::RunArgs;
use crate::haste;
use crate::line::{self, Ground, Made};
use crate::load::Loaded;
use crate::notice;
use crate::settings::Settings;
use crate::stats::Stats;

/// How long after the first signal to stop others are the same wish: `timeout` of the GNU coreutils signals its child and then its whole process group, and with
/// Ctrl-C a wrapper that passes the signal on does the same. On a busy machine more than a third of a second was seen between the two.
const SAME_WISH: Duration = Duration::from_secs(1);

/// What all pipelines of the process have in common.
pub(crate) struct Agent {
    runtime: Handle,
    ways: Ways,
    /// Stops all inputs.
    stop: CancellationToken,
    /// Makes all outputs give up.
    give_up: CancellationToken,
    /// Asks for all pipelines to be loaded again.
    pub(crate) reload: Arc<Notify>,
    stats: Arc<Stats>,
}

impl Agent {
    /// One that runs nothing yet.
    pub(crate) fn new(runtime: &Runtime, stats: Arc<Stats>) -> Self {
        let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
        Self { runtime: runtime.handle().clone(), ways: Ways::default(), stop, give_up, reload: Arc::default(), stats }
    }

    /// Makes the lines of all pipelines, each from the source of its number; nothing is started. `round` counts how often that was done.
    pub(crate) fn make(&self, sources: &[Source], settings: &Settings, round: u64) -> Made {
        let Self { runtime, ways, give_up, .. } = self;
        line::make(sources, settings, &Ground { runtime, give_up, ways, round })
    }

    /// Runs the pipelines until their inputs end or a signal stops them.
    ///
    /// # Errors
    /// What keeps a pipeline from starting, or an input's trouble that trying again can't heal.
    pub(crate) fn run(self, made: Made, loaded: Loaded, args: RunArgs, runtime: &Runtime) -> Result<()> {
        let signals = Signals {
            stop: self.stop.clone(),
            give_up: self.give_up.clone(),
            reload: Arc::clone(&self.reload),
            grace: loaded.settings.grace,
            stats: Arc::clone(&self.stats),
        };
        let signals = runtime.spawn(signals.heed());
        let notice = loaded.settings.notice.map(|cloud| runtime.spawn(notice::watch(cloud)));
        let ended = runtime.block_on(async { Pipelines::start(self, made, loaded, args)?.run().await });
        signals.abort();
        notice.inspect(JoinHandle::abort);
        ended
    }
}

/// What signals do.
struct Signals {
    stop: CancellationToken,
    give_up: CancellationToken,
    reload: Arc<Notify>,
    /// How long a stop may take.
    grace: Duration,
    stats: Arc<Stats>,
}

/// Signals that end elkhound, and those that don't.
struct Heard {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
    wish: Wish,
}

impl Signals {
    /// The first signal to stop cancels the inputs and sets the deadline, the second ends the process, unless it is the first one's echo. Inputs that end by
    /// themselves set no deadline: what standard input held can't be read again.
    async fn heed(self) {
        let Ok(mut heard) = Heard::new() else { return };
        heard.stop(&self.reload).await;
        info!("stopping; a second signal, a second from now or later, ends at once");
        self.stats.stop();
        self.stop.cancel();
        if timeout(self.grace, heard.stop(&self.reload)).await.is_err() {
            warn!(
                seconds = self.grace.as_secs_f32(),
                "not everything could be delivered before the deadline; it is read again after the next start"
            );
            self.give_up.cancel();
            heard.stop(&self.reload).await;
        }
        warn!("ended by a second signal; what was not safe is read again after the next start");
        std::process::exit(130);
    }
}

/// The wish to stop, as signals tell it.
#[derive(Default)]
struct Wish {
    /// When it was told first.
    since: Option<Instant>,
}

impl Wish {
    /// Whether a signal that comes `now` says something new: that it is to stop, or that it is to stop at once. Others repeat the first one.
    fn is_told(&mut self, now: Instant) -> bool {
        let first = *self.since.get_or_insert(now);
        now == first || now.duration_since(first) >= SAME_WISH
    }
}

impl Heard {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            wish: Wish::default(),
        })
    }

    /// Waits for a signal to stop that does not repeat the first one; does meanwhile what the others ask for.
    async fn stop(&mut self, reload: &Notify) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.hang_up.recv() => {
                    reload.notify_one();
                    continue;
                }
                _ = self.user.recv() => {
                    haste::begin("the signal");
                    continue;
                }
            }
            if self.wish.is_told(Instant::now()) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_comes_twice_is_one_wish_and_one_that_comes_later_is_another() {
        let (first, mut wish) = (Instant::now(), Wish::default());
        let told = [0, 1, 360, 999, 1_000, 5_000].map(|later| wish.is_told(first + Duration::from_millis(later)));
        assert_eq!(told, [true, false, false, false, true, true]);
    }
}
