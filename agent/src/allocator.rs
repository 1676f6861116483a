//! The allocator, and how long it keeps memory that nobody uses.
//!
//! Chunks are made by the threads that read and freed by those that send. In a second, mimalloc's own delay before it gives free memory back, that
//! comes to ten and more megabytes at full load; a tenth of it costs no CPU time that could be measured (benches/README.md).
//!
//! The crate asks for every block with its alignment. Where mimalloc has no free block at hand it then takes a larger one, to have
//! room for moving its start, unless the size is a power of two. Nearly all that Rust asks for is aligned to a word at most, as every block is anyway: such a block is
//! asked for without.
#![allow(unsafe_code)] // An allocator is one by contract, and mimalloc's crate covers neither its settings nor blocks without alignment.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_long, c_void};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

struct Allocator;

/// How each of mimalloc's blocks is aligned at least, in bytes: its sizes are whole words, and so are the places where its pages begin.
const WORD: usize = size_of::<usize>();

// SAFETY: every function hands its arguments on to one of mimalloc's that keeps the contract, as the comments there say. Blocks of
// `mi_malloc` and of `mi_malloc_aligned` are freed and grown alike.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= WORD {
            return mi_malloc(layout.size()).cast();
        }
        // SAFETY: the layout is the caller's.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= WORD {
            return mi_zalloc(layout.size()).cast();
        }
        // SAFETY: the layout is the caller's.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is one of mimalloc's, and the caller has no further use for it.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= WORD {
            // SAFETY: the block is one of mimalloc's, and the caller uses only what comes back.
            return unsafe { mi_realloc(block.cast(), size) }.cast();
        }
        // SAFETY: the block is one of mimalloc's, and the layout the caller's.
        unsafe { MiMalloc.realloc(block, layout, size) }
    }
}

/// `mi_option_purge_delay` in mimalloc.h, version 3; in milliseconds.
const PURGE_DELAY: c_int = 15;

/// What that is unless somebody has set it.
const DEFAULT: c_long = 1000;

/// What it is with elkhound.
const OURS: c_long = 100;

unsafe extern "C" {
    safe fn mi_malloc(size: usize) -> *mut c_void;
    safe fn mi_zalloc(size: usize) -> *mut c_void;
    fn mi_realloc(block: *mut c_void, size: usize) -> *mut c_void;
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
    fn blocks_are_aligned_as_asked_for_and_keep_what_they_hold_as_they_grow() {
        for align in [1, 2, 4, 8, 16, 64, 4096] {
            for size in (1..40).chain([500, 1_000, 5_000, 70_000, 3_000_000]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the sizes are not 0, each block is written where it is large enough only, and freed once with its size.
                unsafe {
                    let blocks = [ALLOCATOR.alloc(layout), ALLOCATOR.alloc_zeroed(layout)];
                    assert!(std::slice::from_raw_parts(blocks[1], size).iter().all(|byte| *byte == 0));
                    for block in blocks {
                        block.write_bytes(7, size);
                        let grown = ALLOCATOR.realloc(block, layout, size * 3);
                        assert!(block.align_offset(align) == 0 && grown.align_offset(align) == 0, "{size}, {align}");
                        assert!(std::slice::from_raw_parts(grown, size).iter().all(|byte| *byte == 7));
                        ALLOCATOR.dealloc(grown, Layout::from_size_align(size * 3, align).unwrap());
                    }
                }
            }
        }
    }

    #[test]
    fn the_option_is_where_the_header_has_it() {
        // No other option of mimalloc is 1000 by itself.
        assert_eq!(mi_option_get(PURGE_DELAY), DEFAULT);
        set_up();
        assert_eq!(mi_option_get(PURGE_DELAY), OURS);
    }
}
