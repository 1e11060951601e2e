//! *Drift*: what lies on the layer of overlayfs that the container writes, and so was made or changed since its image was. The inode of
//! overlayfs knows the entry of that layer that stands behind it, from the moment at which a file of the image is first opened for writing or
//! changed.
//!
//! The layout of that inode is the module's own. Where the loader did not find it, nothing is taken for drift, and the agent says so. What is
//! on a volume, or on a root of another kind, is no drift.

use portcullis_abi::fields::ABSENT;

use crate::kernel::{DENTRY_INODE, DENTRY_SUPER, OVL_INODE_UPPER, OVL_INODE_VFS, SUPER_MAGIC, Typed, global, probe_member};

/// `include/uapi/linux/magic.h`
const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;

/// Whether the file of the dentry is drift.
#[inline(always)]
pub fn is_drift(dentry: Typed) -> bool {
    if is_unknown() || dentry.pointer(&DENTRY_SUPER).u64(&SUPER_MAGIC) != OVERLAYFS_SUPER_MAGIC {
        return false;
    }
    is_written(dentry.u64(&DENTRY_INODE))
}

/// The same of a dentry of which only the address is known.
#[inline(always)]
pub fn is_drift_at(dentry: u64) -> bool {
    if is_unknown() || probe_member(probe_member(dentry, &DENTRY_SUPER), &SUPER_MAGIC) != OVERLAYFS_SUPER_MAGIC {
        return false;
    }
    is_written(probe_member(dentry, &DENTRY_INODE))
}

#[inline(always)]
fn is_unknown() -> bool {
    global(&OVL_INODE_UPPER) == ABSENT || global(&OVL_INODE_VFS) == ABSENT
}

/// Whether something on the written layer stands behind that inode of overlayfs.
#[inline(always)]
fn is_written(inode: u64) -> bool {
    inode != 0 && probe_member(inode.wrapping_sub(global(&OVL_INODE_VFS)), &OVL_INODE_UPPER) != 0
}
