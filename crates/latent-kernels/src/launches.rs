//! How often the functions of this crate ran fused, and how often plain: a test that counts them sees a function that
//! has silently fallen back to its plain body.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::parallel::Apart;

static FUSED: Apart<AtomicU64> = Apart(AtomicU64::new(0));
static PLAIN: Apart<AtomicU64> = Apart(AtomicU64::new(0));

/// Calls of this crate's functions since the start of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launches {
    /// By their fused bodies.
    pub fused: u64,
    /// By their plain bodies.
    pub plain: u64,
}

/// The calls so far.
#[must_use]
pub fn launches() -> Launches {
    Launches { fused: FUSED.0.load(Relaxed), plain: PLAIN.0.load(Relaxed) }
}

/// Counts a call that can be fused or not.
pub(crate) fn counted(fused: bool) -> bool {
    if fused { &FUSED } else { &PLAIN }.0.fetch_add(1, Relaxed);
    fused
}
