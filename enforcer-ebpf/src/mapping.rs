//! Executable memory: `mmap_file` and `file_mprotect`, of a file, and of memory that holds no file's bytes.
//!
//! ```text
//!                                    map of the file    exec-memory
//!  a file, only read                       x
//!  a file, privately, writable too         x                 x        its bytes can be changed, and are still executed
//!  a file, privately, written before       x                 x        the same, later
//!  no file                                                   x        a compiler at run time, and code that was injected
//! ```
//!
//! Memory that is shared without a file (`MAP_SHARED | MAP_ANONYMOUS`) has none when it is mapped, and one without a name from then on.

use aya_ebpf::{EbpfContext, macros::lsm, programs::LsmContext};
use portcullis_abi::{Access, Counter, Operation, PATH_MAX, Privilege, ProfileWord, Resolution, access, fields::ABSENT, token};

use crate::{
    cache, drift, grant,
    judge::{self, defer_to_earlier},
    kernel::{
        BACKING_USER_PATH, FILE_INODE, FILE_MODE, FILE_PATH, INODE_NLINK, PATH_DENTRY, Typed, VMA_ANONYMOUS, VMA_FILE, VMA_FLAGS, global,
        probe, probe_pair,
    },
    maps::count,
    path,
    scratch::{self, Claim},
    subject::Subject,
};

// `include/uapi/asm-generic/mman-common.h`
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;
/// `include/uapi/linux/mman.h`: set in every way to map something shared.
const MAP_SHARED: u64 = 1;
/// `include/linux/mm.h`
const VM_SHARED: u64 = 8;

/// The mode (`FMODE_BACKING`, `include/linux/fs.h`) of a file of a layer that stands in for one of overlayfs; set by the loader, since its bit
/// has moved.
#[unsafe(no_mangle)]
pub static BACKING_MODE: u64 = 0;

#[lsm(hook = "mmap_file")]
pub fn mmap_file(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 4);
    let (protection, flags): (u64, u64) = (ctx.arg(2), ctx.arg(3));
    if protection & PROT_EXEC == 0 {
        return 0;
    }
    let file = Typed(ctx.arg(0));
    // VERIFIER(6.12): takes a hook's argument for never null, also where it was stored and read back, and removes the test of it: a kernel
    // that then reads through it dies. What is probed is only a number.
    let address = probe(ctx.as_ptr() as u64);
    if address == 0 || protection & PROT_WRITE != 0 && flags & MAP_SHARED == 0 {
        let code = of_memory();
        if address == 0 || code != 0 {
            return code;
        }
    }
    of_file(file)
}

/// Memory that is made executable later: a library that was mapped for reading first, or memory that was written.
#[lsm]
pub fn file_mprotect(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 3);
    let protection: u64 = ctx.arg(2);
    if protection & PROT_EXEC == 0 {
        return 0;
    }
    let area = Typed(ctx.arg(0));
    let file = area.pointer(&VMA_FILE);
    let is_private = area.u64(&VMA_FLAGS) & VM_SHARED == 0;
    if file.0.is_null() || is_private && (protection & PROT_WRITE != 0 || area.u64(&VMA_ANONYMOUS) != 0) {
        let code = of_memory();
        if file.0.is_null() || code != 0 {
            return code;
        }
    }
    of_file(file)
}

/// Judges executable memory that holds other bytes than a file does.
#[inline(always)]
fn of_memory() -> i32 {
    judge::token(Operation::Privilege, [token::PRIVILEGE, Privilege::ExecMemory as u8])
}

/// Judges mapping a file as executable.
#[inline(always)]
fn of_file(file: Typed) -> i32 {
    let Some((subject, word)) = judge::judged() else { return 0 };
    if stands_in(file) {
        return of_layer(&subject, word, file);
    }
    let dentry = file.member(&FILE_PATH).pointer(&PATH_DENTRY);
    let at = cache::file(word, file);
    let kept = grant::kept(at, access::MAP);
    if kept != 0 && (kept & access::DRIFT != 0 || !drift::is_drift(dentry)) {
        return 0;
    }
    scratch::with(
        |scratch| {
            let (resolution, granted) = grant::by_walk(word, scratch, file, at, 0);
            conclude(&subject, word, scratch, resolution, granted, || drift::is_drift(dentry))
        },
        || judge::busy(word, access::MAP),
    )
}

/// What is to be said of a file whose name is in the scratch memory.
#[inline(always)]
fn conclude(
    subject: &Subject,
    word: ProfileWord,
    scratch: Claim,
    resolution: Resolution,
    granted: Access,
    is_drift: impl FnOnce() -> bool,
) -> i32 {
    let code = judge::conclude(subject, word, scratch, Operation::Map, access::MAP, resolution, granted);
    if code != 0 || granted & access::DRIFT != 0 || !matches!(resolution, Resolution::Named) || !is_drift() {
        return code;
    }
    judge::conclude(subject, word, scratch, Operation::Map, access::DRIFT, resolution, granted)
}

/// Whether what is mapped of overlayfs is shown as a file of one of its layers, in a mount of the kernel's own.
#[inline(always)]
fn stands_in(file: Typed) -> bool {
    global(&BACKING_USER_PATH) != ABSENT && u64::from(file.u32(&FILE_MODE)) & global(&BACKING_MODE) != 0
}

/// Judges mapping such a file as executable: its name is that of the file for which it stands in.
#[inline(always)]
fn of_layer(subject: &Subject, word: ProfileWord, file: Typed) -> i32 {
    scratch::with(
        |scratch| {
            let [vfsmount, dentry] = probe_pair(file.address().wrapping_add(global(&BACKING_USER_PATH)));
            scratch.set_start(PATH_MAX);
            let resolution = match path::resolve_address(scratch, dentry, vfsmount) {
                Resolution::Named if file.pointer(&FILE_INODE).u32(&INODE_NLINK) == 0 || path::unhashed_address(dentry) => {
                    Resolution::Deleted
                }
                resolution => resolution,
            };
            if !matches!(resolution, Resolution::Named) {
                count(Counter::Unresolved);
            }
            let granted = judge::granted(word, scratch, resolution);
            conclude(subject, word, scratch, resolution, granted, || drift::is_drift_at(dentry))
        },
        || judge::busy(word, access::MAP),
    )
}
