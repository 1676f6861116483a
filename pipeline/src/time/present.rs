//! The current time, for `%{{TIME_NOW}}`: texts with references are rendered wherever plugins have texts, and this is the one reference
//! that no event answers. The process says once how its clock is read; everything else that depends on the time has it passed in.

use std::sync::OnceLock;

use super::Timestamp;

static CLOCK: OnceLock<fn() -> Timestamp> = OnceLock::new();

/// Has `clock` tell the time from here on; only the first call counts.
pub fn set_clock(clock: fn() -> Timestamp) {
    CLOCK.get_or_init(|| clock);
}

/// The time that the clock tells; without one, the beginning of 1970.
pub(crate) fn now() -> Timestamp {
    CLOCK.get().map_or_else(Timestamp::default, |clock| clock())
}
