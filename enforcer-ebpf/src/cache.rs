//! What a table has said, kept so that asking again costs neither a walk nor the table.
//!
//! ```text
//!  kept under                                                   is
//!  profile, names, mount, file                                  what the rules grant of the file
//!  profile, names, mount, folder                                where the table has come to behind the folder's name and a slash
//!  profile, the address's key (`portcullis_abi::netkey`)        what the rules grant of the address
//!
//!  profile   its word: another edition, another table, another mode
//!  names     the kernel's count of renames (`rename_lock`, `fs/dcache.c`), and of the task's mount namespace its number and that of its last
//!            change (`seq` and `event`, `fs/mount.h`): every directory that moves and every mount that comes or goes makes another
//!  file      dentry, its parent, hash and length of its name, number and generation of its inode
//! ```
//!
//! A name is kept under what it depended on before the walk, so what moves meanwhile is found by nobody later, and nothing is kept of a walk
//! during which something was renamed or `mount_lock` was held: mounts change in two steps, of which `event` is one. A file that has no name
//! is never found: its dentry is unhashed. Memory of the kernel that holds another file later is told apart by the inode; overlayfs has no
//! generations, so that there this takes a number that was given anew, too.
//!
//! All that is one keyed hash of 64 bits, and where it leads in the map are two words: the first is the hash mixed with the second, so that a
//! reader who meets half of one entry and half of another finds neither. Entries replace each other; what is gone is found out again.

use aya_ebpf::{macros::map, maps::Array};
use core::ptr::{read_volatile, write_volatile};
use portcullis_abi::{Access, ProfileWord, fields::ABSENT, netkey};

use crate::kernel::{
    DENTRY_HASH, DENTRY_INODE, DENTRY_NAME, DENTRY_PARENT, FACTOR, FILE_INODE, FILE_PATH, HASH_PPREV, HASH_SEED, INODE_GENERATION,
    INODE_NUMBER, MNT_NS_EVENT, MNT_NS_SEQ, NSPROXY_MNT, PATH_DENTRY, PATH_MNT, QSTR_HASH, QSTR_LEN, TASK_NSPROXY, Typed, VFSMOUNT_ROOT,
    current, global, probe,
};

/// Address of the kernel's `rename_lock`, set by the loader; 0 where it is not known: nothing is kept of files.
#[unsafe(no_mangle)]
pub static RENAME_LOCK: u64 = 0;
/// Address of the kernel's `mount_lock`, likewise.
#[unsafe(no_mangle)]
pub static MOUNT_LOCK: u64 = 0;

/// How many entries there are: a power of two. 1 MiB.
const ENTRIES: u32 = 64 * 1024;

/// An entry.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Kept {
    tag: u64,
    value: u64,
}

/// What is kept. Key: the hash's high bits.
#[map]
pub static KEPT: Array<Kept> = Array::with_max_entries(ENTRIES, 0);

/// Under what something is kept: the hash.
#[derive(Clone, Copy)]
pub struct Key(u64);

impl Key {
    #[inline(always)]
    fn and(self, word: u64) -> Self {
        let hash = (self.0 ^ word).wrapping_mul(FACTOR);
        Self(hash ^ hash >> 29)
    }

    /// What is kept there.
    #[inline(always)]
    pub fn kept(self) -> Option<u32> {
        let entry = KEPT.get_ptr(self.index())?;
        // SAFETY: two aligned words, each read once.
        let (tag, value) = unsafe { (read_volatile(&raw const (*entry).tag), read_volatile(&raw const (*entry).value)) };
        (tag == self.mixed(value)).then_some(value as u32)
    }

    /// Keeps it there.
    #[inline(always)]
    pub fn keep(self, value: u32) {
        let Some(entry) = KEPT.get_ptr_mut(self.index()) else { return };
        let value = u64::from(value);
        // SAFETY: two aligned words, each written once.
        unsafe {
            write_volatile(&raw mut (*entry).tag, self.mixed(value));
            write_volatile(&raw mut (*entry).value, value);
        }
    }

    #[inline(always)]
    fn index(self) -> u32 {
        (self.0 >> 40) as u32 & (ENTRIES - 1)
    }

    #[inline(always)]
    fn mixed(self, value: u64) -> u64 {
        self.0 ^ value.wrapping_add(1).wrapping_mul(FACTOR)
    }
}

/// Under what is kept what `word` says of an address.
#[inline(always)]
pub fn address(word: ProfileWord, key: &[u8; netkey::LEN]) -> Key {
    let part = |at: usize| u32::from_le_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
    let pair = |at: usize| u64::from(part(at + 4)) << 32 | u64::from(part(at));
    Key(global(&HASH_SEED) ^ KIND_ADDRESS).and(word.raw()).and(pair(0)).and(pair(8)).and(u64::from(part(16)))
}

// One seed a kind: an address is never found as a file.
const KIND_FILE: u64 = 1;
const KIND_FOLDER: u64 = 2;
const KIND_ADDRESS: u64 = 3;

/// The open file of that name; `None` where it has none, and where nothing can be kept, now or ever.
#[inline(always)]
pub fn file(word: ProfileWord, file: Typed) -> Option<File> {
    names(word)?.file(file)
}

/// Names as they are now in the task's mount namespace, under one profile.
#[derive(Clone, Copy)]
struct Names {
    key: Key,
    renames: u32,
}

#[inline(always)]
fn names(word: ProfileWord) -> Option<Names> {
    if global(&RENAME_LOCK) == 0 || global(&MOUNT_LOCK) == 0 || global(&MNT_NS_SEQ) == ABSENT || global(&MNT_NS_EVENT) == ABSENT {
        return None;
    }
    let renames = probe(global(&RENAME_LOCK)) as u32;
    if is_changing(renames) {
        return None;
    }
    let namespace = current().pointer(&TASK_NSPROXY).pointer(&NSPROXY_MNT);
    let key = Key(global(&HASH_SEED)).and(word.raw()).and(u64::from(renames));
    Some(Names { key: key.and(namespace.u64(&MNT_NS_SEQ)).and(namespace.u64(&MNT_NS_EVENT)), renames })
}

/// Whether a change is under way, by a sequence counter (`include/linux/seqlock.h`).
#[inline(always)]
fn is_changing(sequence: u32) -> bool {
    sequence & 1 != 0
}

/// An entry of a folder, as a file.
#[derive(Clone, Copy)]
pub struct File {
    names: Names,
    /// Of its folder, and of itself.
    mount: Typed,
    dentry: Typed,
    key: Key,
}

impl Names {
    #[inline(always)]
    fn file(self, file: Typed) -> Option<File> {
        let path = file.member(&FILE_PATH);
        let (mount, dentry) = (path.pointer(&PATH_MNT), path.pointer(&PATH_DENTRY));
        if dentry.member(&DENTRY_HASH).u64(&HASH_PPREV) == 0 {
            return None;
        }
        let key = self.key(KIND_FILE, mount, dentry, file.pointer(&FILE_INODE));
        Some(File { names: self, mount, dentry, key })
    }

    #[inline(always)]
    fn key(self, kind: u64, mount: Typed, dentry: Typed, inode: Typed) -> Key {
        let numbers = inode.u64(&INODE_NUMBER) ^ u64::from(inode.u32(&INODE_GENERATION)) << 32;
        let name = dentry.member(&DENTRY_NAME);
        self.key
            .and(number(mount) ^ kind)
            .and(number(dentry))
            .and(number(dentry.pointer(&DENTRY_PARENT)))
            .and(u64::from(name.u32(&QSTR_HASH)) << 32 | u64::from(name.u32(&QSTR_LEN)))
            .and(numbers)
    }
}

impl File {
    /// What the rules grant of it, where that is kept.
    #[inline(always)]
    pub fn granted(self) -> Option<Access> {
        self.key.kept()
    }

    /// Keeps what the rules grant of it.
    #[inline(always)]
    pub fn keep(self, granted: Access) {
        self.key.keep(granted);
    }

    /// Its folder; `None` where the name is that of a mount, which is not the dentry's.
    #[inline(always)]
    pub fn folder(self) -> Option<Folder> {
        if self.dentry == self.mount.pointer(&VFSMOUNT_ROOT) {
            return None;
        }
        let dentry = self.dentry.pointer(&DENTRY_PARENT);
        Some(Folder { dentry, key: self.names.key(KIND_FOLDER, self.mount, dentry, dentry.pointer(&DENTRY_INODE)) })
    }

    /// To begin a walk from which something is to be kept; `None` where somebody is changing mounts.
    #[inline(always)]
    pub fn steady(self) -> Option<Steady> {
        let mounts = probe(global(&MOUNT_LOCK)) as u32;
        (!is_changing(mounts)).then_some(Steady { mounts, renames: self.names.renames })
    }

    /// Its last component.
    #[inline(always)]
    pub fn dentry(self) -> Typed {
        self.dentry
    }
}

/// An address as a number: the verifier lets nobody calculate with a pointer whose type it knows, but take one from another.
#[inline(always)]
fn number(pointer: Typed) -> u64 {
    (pointer.0 as u64).wrapping_sub((&raw const HASH_SEED) as u64)
}

/// A folder of which something is kept.
#[derive(Clone, Copy)]
pub struct Folder {
    /// The folder itself.
    pub dentry: Typed,
    /// Under what it is kept.
    pub key: Key,
}

/// Names that nobody changes.
#[derive(Clone, Copy)]
pub struct Steady {
    mounts: u32,
    renames: u32,
}

impl Steady {
    /// Whether nobody has changed any since.
    #[inline(always)]
    pub fn still(self) -> bool {
        probe(global(&MOUNT_LOCK)) as u32 == self.mounts && probe(global(&RENAME_LOCK)) as u32 == self.renames
    }
}
