//! An allocator that counts: mimalloc, with the bytes in use and their peak.
//!
//! A training step frees and asks for the same large buffers again and again. mimalloc keeps them in the
//! process where the system's allocator gives them back, so that their pages aren't faulted in and cleared
//! anew at each step; [`keep_freed_pages`] makes that last for ever.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use mimalloc::MiMalloc;

use crate::parallel::Apart;

// Apart from what other threads spin on: every allocation writes these.
static CURRENT: Apart<AtomicUsize> = Apart(AtomicUsize::new(0));
static PEAK: Apart<AtomicUsize> = Apart(AtomicUsize::new(0));
// The bytes of all requests so far in the lower 40 bits, their number above.
static ASKED: Apart<AtomicU64> = Apart(AtomicU64::new(0));

/// The counting allocator; a program takes it by `#[global_allocator]`.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: latent_kernels::memory::Counting = latent_kernels::memory::Counting;
/// let before = latent_kernels::memory::current();
/// let values = vec![0u8; 1 << 20];
/// assert!(latent_kernels::memory::current() >= before + values.len());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// Bytes that the program has asked for and not given back.
#[must_use]
pub fn current() -> usize {
    CURRENT.0.load(Relaxed)
}

/// The greatest [`current`] since the start or the last [`reset_peak`].
#[must_use]
pub fn peak() -> usize {
    PEAK.0.load(Relaxed)
}

/// Starts a new peak from what is in use now.
pub fn reset_peak() {
    PEAK.0.store(current(), Relaxed);
}

/// A moment from which requests for memory are counted.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

impl Mark {
    /// Now.
    #[must_use]
    pub fn now() -> Mark {
        Mark(ASKED.0.load(Relaxed))
    }

    /// How many requests there have been since, and for how many bytes together (less than a terabyte).
    #[must_use]
    pub fn since(self) -> (u64, u64) {
        let asked = ASKED.0.load(Relaxed).wrapping_sub(self.0);
        (asked >> 40, asked & ((1 << 40) - 1))
    }
}

/// Keeps freed pages in the process for reuse instead of handing them back to the system.
pub fn keep_freed_pages() {
    unsafe extern "C" {
        fn mi_option_set(option: std::ffi::c_int, value: std::ffi::c_long);
    }
    /// `mi_option_purge_delay`; −1 means never.
    const PURGE_DELAY: std::ffi::c_int = 15;
    // SAFETY: mimalloc is linked in, the option exists in its versions 2 and 3 under this number, and any
    // value of an option is valid at any time.
    unsafe { mi_option_set(PURGE_DELAY, -1) };
}

fn grown(size: usize) {
    ASKED.0.fetch_add(1 << 40 | size as u64, Relaxed);
    let now = CURRENT.0.fetch_add(size, Relaxed) + size;
    if now > PEAK.0.load(Relaxed) {
        PEAK.0.fetch_max(now, Relaxed);
    }
}

fn shrunk(size: usize) {
    CURRENT.0.fetch_sub(size, Relaxed);
}

// SAFETY: every call goes to mimalloc unchanged; counting touches no memory but the counters.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let place = unsafe { MiMalloc.alloc(layout) };
        if !place.is_null() {
            grown(layout.size());
        }
        place
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let place = unsafe { MiMalloc.alloc_zeroed(layout) };
        if !place.is_null() {
            grown(layout.size());
        }
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.dealloc(place, layout) };
        shrunk(layout.size());
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let moved = unsafe { MiMalloc.realloc(place, layout, size) };
        if !moved.is_null() {
            shrunk(layout.size());
            grown(size);
        }
        moved
    }
}
