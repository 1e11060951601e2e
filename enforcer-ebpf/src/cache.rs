//! What the rules grant of a file, kept with its inode, so that opening it again costs neither a walk nor a table.
//!
//! A grant depends on the file's name and not on the file, so it is kept under everything that the name depends on: the edition of the
//! profile, the dentry, its parent and its name, the mount, and the kernel's own counters of renames and mounts (`rename_lock` in
//! `fs/dcache.c`, `mount_lock` in `fs/namespace.c`), which every move of a directory and every mount anywhere raises. They are read before
//! the walk: what moves meanwhile makes the entry stale at once. A file with more than one link is never kept, nor one that was deleted.
//!
//! All of that is one keyed hash. An entry is two words, of which the first is the hash mixed with the second, so that a reader who meets
//! half of one entry and half of another finds neither.

use aya_ebpf::{btf_maps::InodeStorage, macros::btf_map};
use core::ptr::{read_volatile, write_volatile};
use portcullis_abi::{ProfileWord, access::Access};

use crate::kernel::{
    DENTRY_NAME, DENTRY_PARENT, FACTOR, FILE_INODE, FILE_PATH, HASH_SEED, INODE_NLINK, PATH_DENTRY, QSTR_HASH, QSTR_LEN, Typed, global,
    probe, probe_pair,
};

/// Address of the kernel's `rename_lock`, set by the loader; 0 where it is not known: nothing is kept.
#[unsafe(no_mangle)]
pub static RENAME_LOCK: u64 = 0;
/// Address of the kernel's `mount_lock`, likewise.
#[unsafe(no_mangle)]
pub static MOUNT_LOCK: u64 = 0;

/// An entry.
#[repr(C)]
pub struct Grant {
    tag: u64,
    granted: u64,
}

/// What was granted of a file when it was last opened in a container. Gone with the inode; overwritten by the next container that opens it.
#[btf_map]
pub static GRANTS: InodeStorage<Grant> = InodeStorage::new();

/// Where a grant is kept, as of now.
#[derive(Clone, Copy)]
pub struct Place {
    inode: Typed,
    hash: u64,
}

/// The place of what `word` grants of `file`; `None` where it may not be kept.
#[inline(always)]
pub fn place(word: ProfileWord, file: Typed) -> Option<Place> {
    let (renames, mounts) = (global(&RENAME_LOCK), global(&MOUNT_LOCK));
    if renames == 0 || mounts == 0 {
        return None;
    }
    let inode = file.pointer(&FILE_INODE);
    if inode.u32(&INODE_NLINK) != 1 {
        return None;
    }
    let (renames, mounts) = (probe(renames) as u32, probe(mounts) as u32);
    // Odd: a change is under way.
    if (renames | mounts) & 1 != 0 {
        return None;
    }
    let path = file.member(&FILE_PATH);
    let dentry = path.pointer(&PATH_DENTRY);
    let name = dentry.member(&DENTRY_NAME);
    // Pointers are read as numbers: the verifier lets nobody calculate with those whose type it knows.
    let [mount, entry] = probe_pair(path.address());
    let words = [
        word.raw(),
        mount,
        entry,
        probe(dentry.member(&DENTRY_PARENT).address()),
        u64::from(name.u32(&QSTR_HASH)) << 32 | u64::from(name.u32(&QSTR_LEN)),
        u64::from(renames) << 32 | u64::from(mounts),
    ];
    let mut hash = global(&HASH_SEED);
    for word in words {
        hash = (hash ^ word).wrapping_mul(FACTOR);
        hash ^= hash >> 29;
    }
    Some(Place { inode, hash })
}

/// What is kept there.
#[inline(always)]
pub fn kept(place: Place) -> Option<Access> {
    // SAFETY: the verifier demands an inode.
    let grant = unsafe { GRANTS.get_ptr_mut(place.inode.0.cast_mut().cast()) };
    if grant.is_null() {
        return None;
    }
    // SAFETY: two aligned words, each read once.
    let (tag, granted) = unsafe { (read_volatile(&raw const (*grant).tag), read_volatile(&raw const (*grant).granted)) };
    (tag == mixed(place, granted)).then_some(granted as Access)
}

/// Keeps it there. Where there is no memory for it, it is found out again.
#[inline(always)]
pub fn keep(place: Place, granted: Access) {
    // SAFETY: the verifier demands an inode.
    let grant = unsafe { GRANTS.get_or_insert_ptr_mut(place.inode.0.cast_mut().cast(), None) };
    if !grant.is_null() {
        let granted = u64::from(granted);
        // SAFETY: two aligned words, each written once.
        unsafe {
            write_volatile(&raw mut (*grant).tag, mixed(place, granted));
            write_volatile(&raw mut (*grant).granted, granted);
        }
    }
}

#[inline(always)]
fn mixed(place: Place, granted: u64) -> u64 {
    place.hash ^ granted.wrapping_add(1).wrapping_mul(FACTOR)
}
