//! Carries the states of tasks over from the maps of another layout, while both objects are attached.
//!
//! User space runs this once a task, again and again, until it finds nothing to carry. Since both objects give states to children from then on,
//! no task that had one is left without.

use aya_ebpf::helpers::generated::bpf_seq_write;
use core::ffi::c_void;
use portcullis_abi::Counter;

use crate::{
    kernel::Typed,
    maps::{ARMED, OLD_TASKS, TASKS, count},
};

/// What the kernel hands to a program that iterates over tasks (`struct bpf_iter__task`, `kernel/bpf/task_iter.c`).
#[repr(C)]
struct Context {
    /// Whose first member is the file that user space reads.
    meta: *const *mut c_void,
    /// Null after the last one.
    task: *const u8,
}

/// A slot that no container has: a task of a container that is gone is judged by the profile in its state.
const NO_SLOT: u32 = u32::MAX;

/// Writes one byte for each task that it gives a state.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn carry_tasks(context: *mut c_void) -> i32 {
    let context = context.cast::<Context>();
    // SAFETY: the verifier knows the members of the context.
    let (meta, task) = unsafe { ((*context).meta, (*context).task) };
    if task.is_null() {
        return 0;
    }
    let task = Typed(task);
    let old = OLD_TASKS.get(task);
    if old.is_null() {
        return 0;
    }
    let mut new = TASKS.get(task);
    let made = new.is_null();
    if made {
        new = TASKS.get_or_insert(task, old);
    }
    if new.is_null() {
        count(Counter::StateLost);
        return 0;
    }
    // SAFETY: the verifier knows both as values of their maps. While both objects are attached, the old one has the last word on sessions.
    unsafe {
        (*new).slot = match ARMED.get((*old).cgroup) {
            Some(&slot) => slot,
            None => NO_SLOT,
        };
        (*new).session = (*old).session;
        if made {
            let byte = 1u8;
            bpf_seq_write((*meta).cast(), (&raw const byte).cast(), 1);
        }
    }
    0
}
