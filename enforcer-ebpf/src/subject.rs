//! Who acts.
//!
//! ```text
//!  the task has a state ──────────────────────────────► workload: of the container in its state, wherever the task is now
//!  none, and its cgroup is in no container ───────────► outside
//!  none, and its cgroup is in a container
//!     it began before the container was first seen ───► workload: adopted
//!     else ───────────────────────────────────────────► set-up: the runtime on its way in, judged from its exec on
//! ```
//!
//! A state is given at the first exec in a container's own mount namespace and at every fork from then on, so only a task that came from
//! outside is without one. What sets a container up cannot be of the container.

use portcullis_abi::{Counter, TaskState, fields::ABSENT};

use crate::{
    kernel::{
        CGROUP_NODE, CSS_SET_CGROUP, FACTOR, HOST_MOUNT_NAMESPACE, MNT_NS_COMMON, NODE_ID, NS_INUM, NSPROXY_MNT, TASK_CGROUPS, TASK_FLAGS,
        TASK_IO_URING, TASK_LEADER, TASK_NSPROXY, TASK_REAL_CRED, TASK_START, TASK_STORAGE, Typed, current, global,
    },
    maps::{ARMED, CONTAINERS, EPOCH, LIVES, OUTSIDE, OUTSIDE_ENTRIES, TASKS, count},
    scratch,
};

/// A task of a container's workload, or one on its way in.
#[derive(Clone, Copy)]
pub struct Subject {
    /// The container's slot.
    pub slot: u32,
    /// The profile that judges it.
    pub profile: u32,
    /// The container's cgroup.
    pub cgroup: u64,
    /// The exec session, or 0.
    pub session: u32,
    /// The task's state, null for one on its way in.
    pub state: *mut TaskState,
}

/// What [`find`] finds.
pub enum Found {
    /// A task of no container.
    Outside,
    /// The runtime, inside a container's cgroup, before its exec.
    SetUp(Subject),
    /// A task of a container's workload.
    Workload(Subject),
}

/// Who the current task is.
#[inline(always)]
pub fn find() -> Found {
    let task = current();
    if task.u64(&TASK_STORAGE) != 0 {
        let state = TASKS.get(task);
        if !state.is_null() {
            return Found::Workload(of_state(state));
        }
    }
    let cgroup = cgroup_of(task);
    let epoch = epoch();
    let mark = cgroup ^ epoch;
    let Some(outside) = OUTSIDE.get_ptr_mut(cgroup as u32 & (OUTSIDE_ENTRIES - 1)) else { return Found::Outside };
    // SAFETY: one aligned word; whoever writes it writes a truth.
    if unsafe { *outside } == mark {
        return Found::Outside;
    }
    // SAFETY: entries are words that are written once.
    let Some(&slot) = (unsafe { ARMED.get(cgroup) }) else {
        // SAFETY: as above.
        unsafe { *outside = mark };
        return Found::Outside;
    };
    let Some(container) = CONTAINERS.get(slot) else { return Found::Outside };
    let Some(life) = LIVES.get(slot) else { return Found::Outside };
    let subject = Subject { slot, profile: container.profile, cgroup: container.cgroup, session: 0, state: core::ptr::null_mut() };
    if task.pointer(&TASK_LEADER).u64(&TASK_START) < life.adopt_before {
        let state = give_state(&subject);
        if !state.is_null() {
            return Found::Workload(of_state(state));
        }
        // No memory for the state: judged all the same, this once.
        return Found::Workload(subject);
    }
    Found::SetUp(subject)
}

/// The current task's state, made for the subject where it has none; null where it cannot be kept.
#[inline(always)]
pub fn give_state(subject: &Subject) -> *mut TaskState {
    let mut made = core::ptr::null_mut();
    scratch::with(
        |scratch| {
            // SAFETY: the memory is ours while it is claimed.
            unsafe {
                let state = &raw mut (*scratch.0).state;
                (*state).cgroup = subject.cgroup;
                (*state).slot = subject.slot;
                (*state).session = subject.session;
                (*state).profile = subject.profile;
                (*state).executable_len = 0;
                made = TASKS.get_or_insert(current(), state);
            }
            0
        },
        || 0,
    );
    if made.is_null() {
        count(Counter::StateLost);
    }
    made
}

#[inline(always)]
fn of_state(state: *mut TaskState) -> Subject {
    // SAFETY: the verifier knows `state` as a value of the map.
    let (slot, cgroup, session, mut profile) = unsafe { ((*state).slot, (*state).cgroup, (*state).session, (*state).profile) };
    if let Some(container) = CONTAINERS.get(slot)
        && container.cgroup == cgroup
    {
        profile = container.profile;
    }
    Subject { slot, profile, cgroup, session, state }
}

/// The identity of the task's cgroup in the unified hierarchy.
#[inline(always)]
fn cgroup_of(task: Typed) -> u64 {
    task.pointer(&TASK_CGROUPS).pointer(&CSS_SET_CGROUP).pointer(&CGROUP_NODE).u64(&NODE_ID)
}

/// The epoch of [`OUTSIDE`], spread over the word, so that two cgroups of two epochs do not meet.
#[inline(always)]
fn epoch() -> u64 {
    match EPOCH.get_ptr(0) {
        // SAFETY: one aligned word, which user space raises.
        Some(epoch) => (unsafe { core::ptr::read_volatile(epoch) } + 1).wrapping_mul(FACTOR),
        None => 0,
    }
}

/// Whether another task is one of the subject's container: of its workload, or of an exec session in it. The runtime on its way in is none.
#[inline(always)]
pub fn is_in(task: Typed, subject: &Subject) -> bool {
    let state = TASKS.get(task);
    if !state.is_null() {
        // SAFETY: the verifier knows `state` as a value of the map.
        return unsafe { (*state).cgroup } == subject.cgroup;
    }
    // Adopted, and not seen since.
    // SAFETY: entries are words that are written once.
    let slot = unsafe { ARMED.get(cgroup_of(task)) };
    slot == Some(&subject.slot)
        && LIVES.get(subject.slot).is_some_and(|life| task.pointer(&TASK_LEADER).u64(&TASK_START) < life.adopt_before)
}

/// `include/linux/sched.h`: a thread that works for an `io_uring`.
const PF_IO_WORKER: u32 = 0x10;

/// Whether the current task acts for itself when it acts with these credentials. The kernel borrows those of others for work of its own, as
/// overlayfs when it copies a file up, which is none of the workload's. By an `io_uring` a task can borrow its own earlier ones, so that a task
/// that has used one always acts for itself.
#[inline(always)]
pub fn acts_for_itself(credentials: Typed) -> bool {
    let task = current();
    credentials == task.pointer(&TASK_REAL_CRED)
        || task.u32(&TASK_FLAGS) & PF_IO_WORKER != 0
        || global(&TASK_IO_URING) != ABSENT && task.u64(&TASK_IO_URING) != 0
}

/// Whether the current task is still in the host's mount namespace.
#[inline(always)]
pub fn in_host_mount_namespace() -> bool {
    let namespace = current().pointer(&TASK_NSPROXY).pointer(&NSPROXY_MNT);
    u64::from(namespace.member(&MNT_NS_COMMON).u32(&NS_INUM)) == global(&HOST_MOUNT_NAMESPACE)
}
