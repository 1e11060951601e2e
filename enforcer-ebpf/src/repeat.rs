//! Loops that the verifier looks at once (`bpf_loop`, Linux 5.17): a plain loop over 4,096 bytes or a thousand components is explored
//! iteration by iteration, and every branch in it is kept for later, of which the verifier allows 8,192.

use aya_ebpf::helpers::generated::bpf_loop;
use core::ptr;

/// One iteration; the first argument is its number, the second the context. Gives back [`CONTINUE`] or [`STOP`].
pub type Step<C> = extern "C" fn(u64, *mut C) -> i64;

/// Go on.
pub const CONTINUE: i64 = 0;
/// That was the last iteration.
pub const STOP: i64 = 1;

/// Calls `step` with `context` until it says [`STOP`], at most `times` times.
#[inline(always)]
pub fn repeat<C>(times: u32, context: &mut C, step: Step<C>) {
    // SAFETY: the verifier checks the callback with this context.
    unsafe { bpf_loop(times, step as *mut _, ptr::from_mut(context).cast(), 0) };
}
