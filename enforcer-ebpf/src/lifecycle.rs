//! Containers and tasks that come and go.
//!
//! A new cgroup is given its container at `cgroup_mkdir`, before a process can be in it and whether or not the agent runs: its parent's, or,
//! where the parent has none, the one that the table of profile 0 names by the cgroup's path. Of a pod's container that table says only that
//! it is one; its profile is found by the end of the pod's path.

use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str},
    macros::{btf_tracepoint, lsm},
    programs::{BtfTracePointContext, LsmContext},
};
use portcullis_abi::{
    Container, ContainerLife, Counter, Losses, Mode, NO_CONTAINER, Operation, SELECTORS, Share, UNKNOWN_POD,
    counter::LOST_KINDS,
    pod::{TAIL, Tail},
};

use crate::{
    judge::{self, defer_to_earlier},
    kernel::{CGROUP_NODE, CGROUP_ROOT, CGROUP_ROOT_HIERARCHY, NODE_ID, NODE_NAME, NODE_PARENT, Typed},
    maps::{ARMED, CONTAINERS, FREE, LIVES, LOST, PODS, SHARES, TASKS, count},
    report,
    scratch::{self, Claim, masked},
    subject::{self, Found, Subject},
};

/// How long a cgroup's path can be: the length of the kernel's buffer (`TRACE_CGROUP_PATH_LEN`, `kernel/cgroup/cgroup-internal.h`).
const CGROUP_PATH_MAX: u32 = 1024;
/// How long the name of a cgroup can be, its NUL included (`NAME_MAX`, `include/uapi/linux/limits.h`).
const NAME_MAX: u32 = 256;
/// The child's state could not be kept.
const ENOMEM: i32 = 12;

#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Typed(ctx.arg(0));
    let path: u64 = ctx.arg(1);
    // 0 is the unified hierarchy.
    if cgroup.pointer(&CGROUP_ROOT).u32(&CGROUP_ROOT_HIERARCHY) != 0 {
        return 0;
    }
    let node = cgroup.pointer(&CGROUP_NODE);
    let id = node.u64(&NODE_ID);
    // SAFETY: entries are words that are written once.
    if let Some(&slot) = unsafe { ARMED.get(node.pointer(&NODE_PARENT).u64(&NODE_ID)) } {
        arm(id, slot);
        return 0;
    }
    scratch::with(
        |scratch| {
            // SAFETY: writes at most so many bytes, which the scratch memory has.
            let length = unsafe { bpf_probe_read_kernel_str(scratch.bytes().cast(), CGROUP_PATH_MAX, path as *const _) };
            // The terminating NUL is counted.
            if length > 1 && length <= i64::from(CGROUP_PATH_MAX) {
                made(scratch, id, node, length as usize - 1);
            }
            0
        },
        || 0,
    )
}

/// Gives the new cgroup a container where its path is one's.
#[inline(always)]
fn made(scratch: Claim, id: u64, node: Typed, length: usize) {
    let word = judge::profile(SELECTORS);
    if word.mode() == Mode::Absent {
        return;
    }
    let mut profile = judge::accepted(word, scratch, 0, length);
    if profile == 0 || profile >= NO_CONTAINER {
        return;
    }
    if profile == UNKNOWN_POD {
        profile = profile_of_pod(scratch, node, length);
    }
    let Ok(Some(slot)) = FREE.pop() else {
        count(Counter::SlotsExhausted);
        return;
    };
    if let Some(container) = CONTAINERS.get_ptr_mut(slot)
        && let Some(life) = LIVES.get_ptr_mut(slot)
        && let Some(lost) = LOST.get_ptr_mut(slot)
        && let Some(share) = SHARES.get_ptr_mut(slot)
    {
        // SAFETY: the slot is ours since it was popped, and no task can look it up before it is armed.
        unsafe {
            *life = ContainerLife { adopt_before: 0, entries: 0 };
            *lost = Losses { of: [0; LOST_KINDS] };
            *share = Share { mark: 0, before: 0, since: 0 };
            *container = Container::new(id, profile);
        }
        arm(id, slot);
        let subject = Subject { slot, profile, cgroup: id, session: 0, state: core::ptr::null_mut() };
        report::tell_life(&subject, scratch, Operation::ContainerMade, length, 0);
    }
}

/// The profile of containers of the pod in whose cgroup this one is made. The path in the scratch memory is the pod's, a slash and the
/// cgroup's own name.
#[inline(always)]
fn profile_of_pod(scratch: Claim, node: Typed, length: usize) -> u32 {
    let mut tail: Tail = [0; TAIL];
    // SAFETY: the name is written behind the path, into memory that is ours; what is read lies before it, under a visible mask.
    let found = unsafe {
        let name = scratch.bytes().add(CGROUP_PATH_MAX as usize).cast();
        let own = bpf_probe_read_kernel_str(name, NAME_MAX, node.pointer(&NODE_NAME).0.cast());
        // The name's NUL is counted, and stands for the slash before it.
        let before = length.wrapping_sub(own as usize).wrapping_sub(TAIL);
        let at = masked(before, CGROUP_PATH_MAX as usize - 1);
        at == before && bpf_probe_read_kernel(tail.as_mut_ptr().cast(), TAIL as u32, scratch.bytes().add(at).cast()) == 0
    };
    // SAFETY: entries are words that user space writes whole.
    if found && let Some(&profile) = unsafe { PODS.get(&tail) } {
        return profile;
    }
    count(Counter::UnknownPod);
    UNKNOWN_POD
}

#[inline(always)]
fn arm(id: u64, slot: u32) {
    if ARMED.insert(id, slot, 0).is_err() {
        count(Counter::ArmedFull);
    }
}

#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Typed(ctx.arg(0));
    if cgroup.pointer(&CGROUP_ROOT).u32(&CGROUP_ROOT_HIERARCHY) != 0 {
        return 0;
    }
    let id = cgroup.pointer(&CGROUP_NODE).u64(&NODE_ID);
    // SAFETY: entries are words that are written once.
    let Some(&slot) = (unsafe { ARMED.get(id) }) else { return 0 };
    let _ = ARMED.remove(id);
    let Some(container) = CONTAINERS.get_ptr_mut(slot) else { return 0 };
    // SAFETY: an entry of the map; a container's own cgroup is removed once.
    unsafe {
        if (*container).cgroup != id {
            return 0;
        }
        let profile = (*container).profile;
        *container = Container::new(0, 0);
        scratch::with(
            |scratch| {
                let subject = Subject { slot, profile, cgroup: id, session: 0, state: core::ptr::null_mut() };
                report::tell_life(&subject, scratch, Operation::ContainerGone, 0, 0);
                0
            },
            || 0,
        );
    }
    // The queue holds every slot there is.
    let _ = FREE.push(slot, 0);
    0
}

/// A child of a workload's task is a task of that workload.
#[lsm(hook = "task_alloc")]
pub fn task_alloc(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 2);
    let Found::Workload(subject) = subject::find() else { return 0 };
    // A child without a state would be taken for the runtime on its way in: fail-closed.
    if subject.state.is_null() || TASKS.get_or_insert(Typed(ctx.arg(0)), subject.state).is_null() {
        count(Counter::StateLost);
        return -ENOMEM;
    }
    0
}
