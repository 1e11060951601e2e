//! What was told of the making of an entry that was there all along is taken back.
//!
//! ```text
//!  open(O_CREAT) of a name that no cache holds
//!   ├─ path_mknod      may it be made? The kernel asks before it looks, and forgets a no where there is an entry   told, in doubt
//!   ├─ the look
//!   └─ file_open       of what was there, not made                                                               taken back
//! ```
//!
//! So in `lookup_open` and `may_o_create`, `fs/namei.c`. Whether an entry was there is known once a file is opened: the dentry of which the kernel asked has
//! an inode then. What was refused opens nothing, and stays told.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use portcullis_abi::{Counter, Mode, Operation, ProfileWord};

use crate::{
    kernel::{DENTRY_INODE, DENTRY_NAME, DENTRY_PARENT, QSTR_HASH, Typed, global, probe_member},
    maps::{DOUBTS, Doubt, SEEN, SeenKey, uncount},
    report, scratch,
    subject::Subject,
};

/// Notes that an entry which may be there was told of under `key`.
#[inline(always)]
pub fn note(dentry: Typed, word: ProfileWord, key: SeenKey) {
    let address = dentry.address();
    let denied = u64::from(word.mode() == Mode::Enforce);
    let doubt = Doubt { dentry: address, parent: probe_member(address, &DENTRY_PARENT), name: name_of(address), denied, key };
    let task = bpf_get_current_pid_tgid();
    // A full map evicts: what was told stays told.
    let _ = DOUBTS.insert(task, doubt, 0);
}

/// Takes back what the current task was told of last, if it was there. `made` is whether the file that it opens now was not.
// VERIFIER(6.1): a function of its own, or its locals lie on the stack below all that `file_open` calls.
#[inline(never)]
pub fn settle(subject: &Subject, made: bool) {
    let task = bpf_get_current_pid_tgid();
    let Some(doubt) = DOUBTS.get_ptr(task) else { return };
    // SAFETY: an entry of the map, which this task alone writes.
    let Doubt { dentry, parent, name, denied, key } = unsafe { *doubt };
    let _ = DOUBTS.remove(task);
    let was_there = probe_member(dentry, &DENTRY_INODE) != 0 && probe_member(dentry, &DENTRY_PARENT) == parent && name_of(dentry) == name;
    if made || !was_there {
        return;
    }
    let _ = SEEN.remove(key);
    if denied != 0 {
        uncount(Counter::Denied);
    }
    scratch::with(
        |scratch| {
            report::tell_life(subject, scratch, Operation::Existed, 0, task as u32);
            0
        },
        || 0,
    );
}

/// The hash and the length of a dentry's name: one word.
#[inline(always)]
fn name_of(dentry: u64) -> u64 {
    probe_member(dentry.wrapping_add(global(&DENTRY_NAME)), &QSTR_HASH)
}
