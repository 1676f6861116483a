//! Drops events: nothing of them reaches the filters behind or an output.
//!
//! Nearly always it stands in an `if`. A dropped event counts as dealt with, so its line is not read again.
//!
//! ## Options
//!
//! - `percentage` (default 100): how many of a hundred events are dropped, picked at random.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   if [level] == "debug" { drop { } }
//! }
//! ```
//!
//! ```json
//! {"level":"debug"}
//! {"level":"info"}
//! =>
//! {"level":"info"}
//! ```
//!
//! ## On failure
//!
//! It can't fail. The common options have nothing to work on, as in Logstash.

use std::sync::atomic::{AtomicU64, Ordering};

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::{Context, Filter, Kind, Outcome};
use crate::event::Event;
use crate::setup::Setup;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "drop", options: OPTIONS, docs: crate::docs::head(include_str!("drop.rs")), build };

const OPTIONS: &[OptionSpec] = &[OptionSpec {
    name: "percentage",
    kind: OptionKind::Number,
    default: "100",
    required: false,
    help: "how many of a hundred events are dropped",
}];

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let percentage = options.number("percentage", 100.0);
    Some(Box::new(Drop { percentage, dice: AtomicU64::new(setup.now.as_nanos().unwrap_or_default().cast_unsigned()) }))
}

struct Drop {
    percentage: f64,
    /// The state of a Weyl sequence: good enough to pick some of many events, and no lock is needed.
    dice: AtomicU64,
}

impl Filter for Drop {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        if self.percentage == 100.0 || self.roll() < self.percentage / 100.0 {
            event.cancel();
        }
        Outcome::Passed
    }
}

impl Drop {
    /// From 0 up to, but not including, 1 (the mixing is SplitMix64's).
    fn roll(&self) -> f64 {
        let mut state = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((state ^ (state >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(percentage: f64) -> usize {
        let filter = Drop { percentage, dice: AtomicU64::new(7) };
        let cancelled = || {
            let mut event = Event::default();
            assert_eq!(filter.filter(&mut event, &mut Context::default()), Outcome::Passed);
            event.is_cancelled()
        };
        (0..10_000).filter(|_| cancelled()).count()
    }

    #[test]
    fn drops_as_many_as_asked_for() {
        assert_eq!([dropped(100.0), dropped(0.0), dropped(150.0), dropped(-5.0)], [10_000, 0, 10_000, 0]);
        assert!((2_800..3_200).contains(&dropped(30.0)), "{}", dropped(30.0));
    }
}
