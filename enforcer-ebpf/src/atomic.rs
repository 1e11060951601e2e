//! The two atomic operations that the programs need. `core::sync::atomic` offers none for BPF, whose first instruction set had only an
//! addition without a result; the objects are built for the third (`-C target-cpu=v3`, Linux 5.12), which has these.

use core::intrinsics::{AtomicOrdering, atomic_xadd, atomic_xchg};

/// Stores `value` and gives back what was there.
///
/// # Safety
/// `at` is an aligned word of a map.
#[inline(always)]
pub unsafe fn swap(at: *mut u64, value: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xchg::<u64, { AtomicOrdering::SeqCst }>(at, value) }
}

/// Adds `value` and gives back what was there.
///
/// # Safety
/// `at` is an aligned word of a map.
#[inline(always)]
pub unsafe fn add(at: *mut u64, value: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(at, value) }
}
