//! What an object is called: the path from the root of the task's mount namespace, by a walk of our own.
//!
//! The kernel's own helper (`bpf_d_path`) stops at the task's root, so a `chroot` renames files under it, and it may be called from few
//! hooks. This walk goes from the dentry up to the root of its mount, from there to where that is mounted, and so on to a mount that is its
//! own parent, writing the name from its end. It then asks which mount namespace it has arrived in.
//!
//! Each component and the folder that it is in are read under the dentry's sequence counter (`d_seq`, `fs/dcache.c`), so that a rename in
//! between is noticed and both are read again: half of one name and half of another never match a rule, nor a new name in an old folder.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use portcullis_abi::{Counter, PATH_MAX, Resolution};

use crate::{
    kernel::{
        DENTRY_HASH, DENTRY_NAME, DENTRY_PARENT, DENTRY_SEQ, FILE_INODE, FILE_PATH, HASH_PPREV, INODE_NLINK, MOUNT_NS, MOUNT_PARENT,
        MOUNT_POINT, MOUNT_VFSMOUNT, NSPROXY_MNT, PATH_DENTRY, PATH_MNT, QSTR_LEN, QSTR_NAME, TASK_NSPROXY, Typed, VFSMOUNT_ROOT, current,
        global, probe_member,
    },
    maps::count,
    repeat::{CONTINUE, STOP, repeat},
    scratch::{Claim, masked},
};

/// How many steps are taken in each part of the walk: a step writes a component, of two bytes at least, crosses a mount, or reads again.
const STEPS_MAX: u32 = 4096;

/// What the kernel puts in place of the mount namespace of its internal mounts: `MNT_NS_INTERNAL`, `ERR_PTR(-EINVAL)` (`fs/mount.h`).
const NAMESPACE_INTERNAL: u64 = -22i64 as u64;

/// Writes the name of an open file into the scratch memory.
#[inline(always)]
pub fn resolve_file(scratch: Claim, file: Typed) -> Resolution {
    let path = file.member(&FILE_PATH);
    let dentry = path.pointer(&PATH_DENTRY);
    match resolve_entry(scratch, path, dentry) {
        Resolution::Named if file.pointer(&FILE_INODE).u32(&INODE_NLINK) == 0 || unhashed(dentry) => {
            count(Counter::Unresolved);
            Resolution::Deleted
        }
        resolution => resolution,
    }
}

/// Writes the name of a `struct path` into the scratch memory.
#[inline(always)]
pub fn resolve_path(scratch: Claim, path: Typed) -> Resolution {
    resolve_entry(scratch, path, path.pointer(&PATH_DENTRY))
}

/// Writes the name of an entry into the scratch memory: a dentry, which may not have a file yet, in the mount of a `struct path`.
#[inline(always)]
pub fn resolve_entry(scratch: Claim, path: Typed, dentry: Typed) -> Resolution {
    scratch.set_start(PATH_MAX);
    let resolution = resolve(scratch, dentry, path.pointer(&PATH_MNT));
    if !matches!(resolution, Resolution::Named | Resolution::Anonymous) {
        count(Counter::Unresolved);
    }
    resolution
}

/// Whether the dentry is no longer reachable by its name (`d_unlinked`, `include/linux/dcache.h`).
#[inline(always)]
fn unhashed(dentry: Typed) -> bool {
    dentry.member(&DENTRY_HASH).u64(&HASH_PPREV) == 0 && dentry != dentry.pointer(&DENTRY_PARENT)
}

/// The same as [`unhashed`] of a dentry of which only the address is known.
#[inline(always)]
pub fn unhashed_address(dentry: u64) -> bool {
    probe_member(dentry.wrapping_add(global(&DENTRY_HASH)), &HASH_PPREV) == 0 && dentry != probe_member(dentry, &DENTRY_PARENT)
}

/// The part of the walk within the object's own mount.
#[repr(C)]
struct Inside {
    scratch: Claim,
    dentry: Typed,
    root: Typed,
    arrived: bool,
}

/// Writes the name of `dentry` in `mount` in front of what the scratch memory holds.
#[inline(always)]
fn resolve(scratch: Claim, dentry: Typed, mount: Typed) -> Resolution {
    let mut inside = Inside { scratch, dentry, root: mount.pointer(&VFSMOUNT_ROOT), arrived: false };
    repeat(STEPS_MAX, &mut inside, step_inside);
    if !inside.arrived {
        return Resolution::TooLong;
    }
    resolve_address(scratch, inside.dentry.address(), mount.address())
}

/// Writes the name of a dentry in a mount, of both of which only the address is known, in front of what the scratch memory holds.
#[inline(always)]
pub fn resolve_address(scratch: Claim, dentry: u64, vfsmount: u64) -> Resolution {
    let mut above = Above { scratch, dentry, vfsmount, namespace: 0, end: End::TooLong };
    repeat(STEPS_MAX, &mut above, step_above);
    match above.end {
        End::TooLong => Resolution::TooLong,
        End::Unreachable if above.namespace == NAMESPACE_INTERNAL => Resolution::Anonymous,
        End::Unreachable => Resolution::Unreachable,
        End::Top => arrived(scratch, above.namespace),
    }
}

/// Writes `/` and the last component of the name of `dentry` in `folder` in front of what is there, and gives back where it starts; `None` where
/// it changes, is in another folder by now, or does not fit.
#[inline(always)]
pub fn component(scratch: Claim, folder: Typed, dentry: Typed) -> Option<usize> {
    let sequence = dentry.u32(&DENTRY_SEQ);
    if dentry.pointer(&DENTRY_PARENT) != folder {
        return None;
    }
    let name = dentry.member(&DENTRY_NAME);
    let start = prepend(scratch, name.u32(&QSTR_LEN), name.u64(&QSTR_NAME))?;
    (sequence & 1 == 0 && dentry.u32(&DENTRY_SEQ) == sequence).then_some(start)
}

/// One component, through pointers whose types are known: no helper calls but for the name's bytes.
extern "C" fn step_inside(_: u64, inside: *mut Inside) -> i64 {
    // SAFETY: the context that `resolve` passed.
    let inside = unsafe { &mut *inside };
    let dentry = inside.dentry;
    let sequence = dentry.u32(&DENTRY_SEQ);
    let parent = dentry.pointer(&DENTRY_PARENT);
    if dentry == inside.root || dentry == parent {
        inside.arrived = true;
        return STOP;
    }
    let name = dentry.member(&DENTRY_NAME);
    let Some(start) = prepend(inside.scratch, name.u32(&QSTR_LEN), name.u64(&QSTR_NAME)) else { return STOP };
    if sequence & 1 == 0 && dentry.u32(&DENTRY_SEQ) == sequence {
        inside.scratch.set_start(start);
        inside.dentry = parent;
    }
    CONTINUE
}

/// The part of the walk from the root of a mount to where it is mounted, up to the root of all. `struct mount` is reached by subtraction
/// from the `vfsmount` within it, which takes the type away, so everything is probed.
#[repr(C)]
pub struct Above {
    pub scratch: Claim,
    pub dentry: u64,
    pub vfsmount: u64,
    pub namespace: u64,
    pub end: End,
}

/// How that part ended.
#[derive(Clone, Copy)]
pub enum End {
    TooLong,
    Unreachable,
    Top,
}

/// One component, or one mount.
extern "C" fn step_above(_: u64, above: *mut Above) -> i64 {
    // SAFETY: the context that `resolve_address` passed.
    climb(unsafe { &mut *above })
}

/// The work of [`step_above`].
#[inline(always)]
pub fn climb(above: &mut Above) -> i64 {
    let dentry = above.dentry;
    if dentry == probe_member(above.vfsmount, &VFSMOUNT_ROOT) {
        let mount = above.vfsmount.wrapping_sub(global(&MOUNT_VFSMOUNT));
        let parent = probe_member(mount, &MOUNT_PARENT);
        if parent == mount {
            above.namespace = probe_member(mount, &MOUNT_NS);
            above.end = End::Top;
            return STOP;
        }
        above.dentry = probe_member(mount, &MOUNT_POINT);
        above.vfsmount = parent.wrapping_add(global(&MOUNT_VFSMOUNT));
        return CONTINUE;
    }
    let sequence = probe_member(dentry, &DENTRY_SEQ) as u32;
    let parent = probe_member(dentry, &DENTRY_PARENT);
    let name = dentry.wrapping_add(global(&DENTRY_NAME));
    let length = probe_member(name, &QSTR_LEN) as u32;
    let Some(start) = prepend(above.scratch, length, probe_member(name, &QSTR_NAME)) else { return STOP };
    if dentry == parent {
        // A root that is not its mount's: a memory file, or a directory that was moved out of a bind mount.
        above.scratch.set_start(start);
        above.namespace = probe_member(above.vfsmount.wrapping_sub(global(&MOUNT_VFSMOUNT)), &MOUNT_NS);
        above.end = End::Unreachable;
        return STOP;
    }
    if sequence & 1 == 0 && probe_member(dentry, &DENTRY_SEQ) as u32 == sequence {
        above.scratch.set_start(start);
        above.dentry = parent;
    }
    CONTINUE
}

/// At the top: is this the task's own mount namespace?
#[inline(always)]
pub fn arrived(scratch: Claim, namespace: u64) -> Resolution {
    if namespace == NAMESPACE_INTERNAL {
        return Resolution::Anonymous;
    }
    if namespace != current().pointer(&TASK_NSPROXY).u64(&NSPROXY_MNT) {
        return Resolution::Unreachable;
    }
    if scratch.start() == PATH_MAX {
        // The root itself has no component.
        scratch.set_start(PATH_MAX - 1);
        // SAFETY: the index is a constant within the buffer.
        unsafe { *scratch.bytes().add(PATH_MAX - 1) = b'/' };
    }
    Resolution::Named
}

/// Writes `/` and the component in front of what is there and gives back where it starts; `None` when it does not fit.
#[inline(always)]
fn prepend(scratch: Claim, length: u32, name: u64) -> Option<usize> {
    let length = length as usize & 255;
    let end = scratch.start();
    if length + 1 >= end {
        return None;
    }
    let at = (end - length - 1) & (PATH_MAX - 1);
    // SAFETY: `at` is below PATH_MAX and the component at most 255 bytes, for which there is room after PATH_MAX.
    unsafe {
        *scratch.bytes().add(at) = b'/';
        // VERIFIER(6.12): loses the bound of a length that was compared before, so it is masked once more.
        bpf_probe_read_kernel(scratch.bytes().add(at + 1).cast(), masked(length, 255) as u32, name as *const _);
    }
    Some(at)
}
