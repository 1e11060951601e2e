//! The name of what was bound in whatever mount namespace, in the task's own: a socket that a sidecar, the node or another container's
//! runtime listens on reaches a container by a bind mount of a folder or of the file itself.
//!
//! ```text
//!  Climb from the mount by which it was bound ── arrives in the task's namespace ──► that name
//!     │ elsewhere, or nowhere
//!  Search the mounts of its file system (`super_block.s_mounts`) for the next one in the task's namespace ── none left ──► unreachable
//!     └─► Climb from that mount
//! ```
//!
//! One loop does both, since a callback within a callback finds no room on the stack. The list is read without its lock: a mount that goes
//! meanwhile can end the search early, and what is not found is denied in `enforce`.

use portcullis_abi::{PATH_MAX, Resolution, fields::ABSENT};

use crate::{
    kernel::{
        DENTRY_SUPER, LIST_NEXT, MOUNT_NS, MOUNT_OF_SUPER, MOUNT_VFSMOUNT, NSPROXY_MNT, SUPER_MOUNTS, TASK_NSPROXY, current, global, probe,
        probe_member,
    },
    path::{self, Above, End},
    repeat::{CONTINUE, STOP, repeat},
    scratch::Claim,
};

/// How many steps the whole takes at most: a component, a mount that is crossed, or a mount that is looked at.
const STEPS_MAX: u32 = 1 << 15;

/// The state between two steps.
#[repr(C)]
struct Way {
    above: Above,
    /// What has no name yet.
    dentry: u64,
    /// The task's mount namespace.
    namespace: u64,
    /// The head of the list of mounts, and where in it the search is; 0 before it begins.
    head: u64,
    entry: u64,
    searching: u64,
    found: Resolution,
}

/// Writes the name of a dentry, which was reached by the mount at that address, into the scratch memory.
#[inline(always)]
pub fn resolve(scratch: Claim, dentry: u64, vfsmount: u64) -> Resolution {
    scratch.set_start(PATH_MAX);
    let namespace = current().pointer(&TASK_NSPROXY).u64(&NSPROXY_MNT);
    let above = Above { scratch, dentry, vfsmount, namespace: 0, end: End::TooLong };
    // VERIFIER(6.1): looks at a callback once, as it is called first, and removes what cannot happen then. So it must not know what is 0 here:
    // what cannot be read is 0, and unknown to it.
    let (head, searching) = (probe(0), probe(0));
    let mut way = Way { above, dentry, namespace, head, entry: 0, searching, found: Resolution::TooLong };
    repeat(STEPS_MAX, &mut way, step);
    way.found
}

extern "C" fn step(_: u64, way: *mut Way) -> i64 {
    // SAFETY: the context that `resolve` passed.
    let way = unsafe { &mut *way };
    if way.searching != 0 { search(way) } else { climb(way) }
}

/// One component, or one mount.
#[inline(always)]
fn climb(way: &mut Way) -> i64 {
    if path::climb(&mut way.above) == CONTINUE {
        return CONTINUE;
    }
    match way.above.end {
        End::TooLong => return STOP,
        End::Top if way.above.namespace == way.namespace => {
            way.found = path::arrived(way.above.scratch, way.above.namespace);
            return STOP;
        }
        End::Top | End::Unreachable => {}
    }
    way.found = Resolution::Unreachable;
    if global(&MOUNT_OF_SUPER) == ABSENT {
        return STOP;
    }
    if way.head == 0 {
        way.head = probe_member(way.dentry, &DENTRY_SUPER).wrapping_add(global(&SUPER_MOUNTS));
        way.entry = way.head;
    }
    way.searching = 1;
    CONTINUE
}

/// The next mount of the file system.
#[inline(always)]
fn search(way: &mut Way) -> i64 {
    way.entry = probe_member(way.entry, &LIST_NEXT);
    if way.entry == way.head || way.entry == 0 {
        return STOP;
    }
    let mount = way.entry.wrapping_sub(global(&MOUNT_OF_SUPER));
    if probe_member(mount, &MOUNT_NS) == way.namespace {
        way.above.scratch.set_start(PATH_MAX);
        way.above.dentry = way.dentry;
        way.above.vfsmount = mount.wrapping_add(global(&MOUNT_VFSMOUNT));
        way.above.end = End::TooLong;
        way.searching = 0;
    }
    CONTINUE
}
