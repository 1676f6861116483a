//! The allocator, and how long it keeps memory that nobody uses.
//!
//! Chunks are made by the threads that read and freed by those that send. In a second, mimalloc's own delay before it gives free memory back, that
//! comes to ten and more megabytes at full load; a tenth of it costs no CPU time that could be measured (benches/README.md).
#![allow(unsafe_code)] // mimalloc is set up through functions in C, and its crate covers none of them.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` in mimalloc.h, version 3; in milliseconds.
const PURGE_DELAY: c_int = 15;

/// What that is unless somebody has set it.
const DEFAULT: c_long = 1000;

/// What it is with elkhound.
const OURS: c_long = 100;

unsafe extern "C" {
    safe fn mi_option_get(option: c_int) -> c_long;
    safe fn mi_option_set(option: c_int, value: c_long);
}

/// Shortens the delay, unless the environment (`MIMALLOC_PURGE_DELAY`) or another version of mimalloc has something else there.
pub(crate) fn set_up() {
    if mi_option_get(PURGE_DELAY) == DEFAULT {
        mi_option_set(PURGE_DELAY, OURS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_where_the_header_has_it() {
        // No other option of mimalloc is 1000 by itself.
        assert_eq!(mi_option_get(PURGE_DELAY), DEFAULT);
        set_up();
        assert_eq!(mi_option_get(PURGE_DELAY), OURS);
    }
}
