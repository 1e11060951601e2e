//! Working memory: a path and an event do not fit on a program's stack of 512 bytes.
//!
//! A program can be preempted by another one on the same processor where the kernel is fully preemptible, so each claims its memory first.
//! Where all is claimed the object counts as unresolved ([`portcullis_abi::Resolution::Busy`]): fail-closed in `enforce`.

use core::ptr::{read_volatile, write_volatile};
use portcullis_abi::{Counter, EventHeader, PATH_MAX, TaskState, event::EVENT_MAX};
use portcullis_matcher::State;

use crate::{
    atomic,
    maps::{SCRATCH, SCRATCHES, count},
};

/// Room for a component that is written at the end of a path.
const NAME_ROOM: usize = 256;

/// The memory of one judgement.
#[repr(C)]
pub struct Scratch {
    /// The object's name, from `start` to [`PATH_MAX`].
    pub bytes: [u8; PATH_MAX + NAME_ROOM],
    /// Where the name starts. It lives here and not in a register: what is read back from a map is unknown to the verifier, so the states of
    /// successive steps are alike and it does not count every combination of depth and length.
    start: u64,
    /// Where a walk through a table has come to; here for the same reason.
    state_at: u64,
    /// 1 while claimed.
    claimed: u64,
    /// A state to be given to a task.
    pub state: TaskState,
    /// An event on its way out.
    pub event: Event,
}

/// An event and room to copy its parts with fixed bounds.
#[repr(C)]
pub struct Event {
    /// The fixed part.
    pub header: EventHeader,
    /// The executable, the arguments and the object.
    pub parts: [u8; EVENT_MAX - EventHeader::SIZE + NAME_ROOM],
}

/// `value & mask`, where the compiler must not see that the value is bounded already and leave the mask out: the verifier wants to see it.
#[inline(always)]
pub fn masked(value: usize, mask: usize) -> usize {
    // SAFETY: a local.
    unsafe { read_volatile(&raw const value) & mask }
}

/// Claimed memory. Not released by itself: [`with`] does.
#[derive(Clone, Copy)]
pub struct Claim(pub *mut Scratch);

impl Claim {
    /// Where the name starts: 1 to [`PATH_MAX`], since a path of `PATH_MAX` bytes has no room for its terminating NUL.
    #[inline(always)]
    pub fn start(self) -> usize {
        // SAFETY: the memory is ours while it is claimed.
        unsafe { read_volatile(&raw const (*self.0).start) as usize & (2 * PATH_MAX - 1) }
    }
    /// Sets where the name starts.
    #[inline(always)]
    pub fn set_start(self, start: usize) {
        // SAFETY: as above.
        unsafe { write_volatile(&raw mut (*self.0).start, start as u64) };
    }
    /// Where a walk through a table has come to.
    #[inline(always)]
    pub fn state(self) -> State {
        // SAFETY: as above.
        State::from_raw(unsafe { read_volatile(&raw const (*self.0).state_at) } as u32)
    }
    /// Sets where a walk through a table has come to.
    #[inline(always)]
    pub fn set_state(self, state: State) {
        // SAFETY: as above.
        unsafe { write_volatile(&raw mut (*self.0).state_at, u64::from(state.raw())) };
    }
    /// The bytes, to be indexed under a visible mask only.
    #[inline(always)]
    pub fn bytes(self) -> *mut u8 {
        self.0.cast()
    }
}

/// Runs `work` with memory of its own; `busy` where there is none.
#[inline(always)]
pub fn with(work: impl FnOnce(Claim) -> i32, busy: impl FnOnce() -> i32) -> i32 {
    let mut index = 0;
    while index < SCRATCHES {
        let Some(scratch) = SCRATCH.get_ptr_mut(index) else { break };
        // SAFETY: the entry lives as long as the map.
        let claimed = unsafe { &raw mut (*scratch).claimed };
        // SAFETY: a word of the map, used atomically only.
        if unsafe { atomic::swap(claimed, 1) } == 0 {
            let code = work(Claim(scratch));
            // SAFETY: as above.
            unsafe { write_volatile(claimed, 0) };
            return code;
        }
        index += 1;
    }
    count(Counter::ScratchBusy);
    busy()
}
