//! Haste: the host goes away soon, as a Spot instance does two minutes after its notice, so what was read has to be delivered now.
//!
//! SIGUSR1 or a cloud's notice ([`crate::notice`]) begins it, and nothing ends it but the end of the process. From then on no request waits to be filled and no pause between tries is
//! longer than [`PAUSE`]. It costs more requests, and loses nothing when the host stays after all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::info;

static BEGUN: AtomicBool = AtomicBool::new(false);

/// The longest pause between two tries in haste.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes haste from now on, as `who` says; told when that is news.
pub(crate) fn begin(who: &str) {
    if !BEGUN.swap(true, Ordering::Relaxed) {
        info!("the host goes away soon, as {who} says; everything is delivered at once from now on");
    }
}

/// How long something may wait to grow.
pub(crate) fn delay(usual: Duration) -> Duration {
    hurried(usual, BEGUN.load(Ordering::Relaxed), Duration::ZERO)
}

/// How long to wait before the next try.
pub(crate) fn pause(usual: Duration) -> Duration {
    hurried(usual, BEGUN.load(Ordering::Relaxed), PAUSE)
}

fn hurried(usual: Duration, begun: bool, most: Duration) -> Duration {
    if begun { usual.min(most) } else { usual }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haste_shortens_and_never_lengthens() {
        let (short, long) = (Duration::from_millis(10), Duration::from_secs(64));
        assert_eq!(hurried(long, false, PAUSE), long);
        assert_eq!(hurried(long, true, PAUSE), PAUSE);
        assert_eq!(hurried(short, true, PAUSE), short);
        assert_eq!(hurried(short, true, Duration::ZERO), Duration::ZERO);
    }
}
