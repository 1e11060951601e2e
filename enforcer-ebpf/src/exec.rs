//! Execution: `bprm_check_security`, called for a script and again for each interpreter (`search_binary_handler`, `fs/exec.c`).

use aya_ebpf::{helpers::generated::bpf_probe_read_kernel, macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, PATH_MAX, ProfileWord, Resolution, TaskState, access, access::Access, subject::EXECUTABLE_MAX};

use crate::{
    atomic, cache, called, drift, grant,
    judge::{self, defer_to_earlier},
    kernel::{BPRM_FILE, FILE_PATH, PATH_DENTRY, Typed},
    maps::LIVES,
    report,
    scratch::{self, Claim, masked},
    subject::{self, Found, Subject},
};

/// The state of a task that runs its container's first program could not be kept.
const ENOMEM: i32 = 12;

#[lsm(hook = "bprm_check_security")]
pub fn bprm_check_security(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 1);
    let bprm = Typed(ctx.arg(0));
    let mut subject = match subject::find() {
        Found::Outside => return 0,
        Found::Workload(subject) => subject,
        // The runtime executes itself on its way in; a container's own program lives in the container's mount namespace.
        Found::SetUp(_) if subject::in_host_mount_namespace() => return 0,
        Found::SetUp(subject) => Subject { session: next_session(&subject), ..subject },
    };
    let word = judge::profile(subject.profile);
    let enters = subject.state.is_null();
    scratch::with(
        |scratch| {
            let file = bprm.pointer(&BPRM_FILE);
            let at = cache::file(word, file);
            let (resolution, granted) = grant::by_walk(word, scratch, file, at, grant::kept(at, access::EXEC));
            let path = scratch.start();
            let (asked, granted) = judge_name(word, scratch, bprm, resolution, granted);
            let code = judge::conclude(&subject, word, scratch, Operation::Exec, asked, resolution, granted);
            if code != 0 {
                return code;
            }
            scratch.set_start(path);
            let code = judge_drift(&subject, word, scratch, bprm, resolution, granted);
            if code != 0 {
                return code;
            }
            if enters {
                subject.state = subject::give_state(&subject);
                if subject.state.is_null() {
                    return -ENOMEM;
                }
                if subject.session == 0 {
                    report::tell_life(&subject, scratch, Operation::ContainerStarted, 0, 0);
                }
            }
            remember(subject.state, scratch, resolution);
            0
        },
        // A task without a state would stay set-up, and unjudged.
        || if enters { -ENOMEM } else { judge::busy(word, access::EXEC) },
    )
}

/// What is asked and what the rules grant of the program whose path is in the scratch memory, and is granted `of_path`. The name that it is called by is looked at only
/// where the path alone does not grant it; where that does not either, it is put before the path, to be told.
#[inline(always)]
fn judge_name(word: ProfileWord, scratch: Claim, bprm: Typed, resolution: Resolution, of_path: Access) -> (Access, Access) {
    let (mut asked, mut granted) = (access::EXEC, of_path);
    if !matches!(resolution, Resolution::Named) || granted & access::EXEC != 0 {
        return (asked, granted);
    }
    let called = called::read(word, scratch, bprm);
    if granted & access::CALLED != 0 {
        asked |= access::CALLED;
        granted &= !access::CALLED;
    }
    match called {
        Some(called) if asked & access::CALLED != 0 && called.is_granted() => granted |= access::EXEC | access::CALLED,
        Some(called) => called.prepend(scratch),
        None => {}
    }
    (asked, granted)
}

/// Judges a program that may run by its name, but was written since the image was made.
#[inline(always)]
fn judge_drift(subject: &Subject, word: ProfileWord, scratch: Claim, bprm: Typed, resolution: Resolution, granted: Access) -> i32 {
    let dentry = bprm.pointer(&BPRM_FILE).member(&FILE_PATH).pointer(&PATH_DENTRY);
    if granted & access::DRIFT != 0 || !matches!(resolution, Resolution::Named) || !drift::is_drift(dentry) {
        return 0;
    }
    judge::conclude(subject, word, scratch, Operation::Exec, access::DRIFT, resolution, granted)
}

/// Keeps the name of the executable with the task.
#[inline(always)]
fn remember(state: *mut TaskState, scratch: Claim, resolution: Resolution) {
    let start = scratch.start();
    let whole = PATH_MAX.wrapping_sub(start);
    let mut length = masked(if whole < EXECUTABLE_MAX { whole } else { EXECUTABLE_MAX - 1 }, EXECUTABLE_MAX - 1);
    if !matches!(resolution, Resolution::Named | Resolution::Deleted) {
        length = 0;
    }
    // SAFETY: `length` is below the size of the field, and the source lies in the scratch memory.
    unsafe {
        bpf_probe_read_kernel((&raw mut (*state).executable).cast(), length as u32, scratch.bytes().add(start & (PATH_MAX - 1)).cast());
        (*state).executable_len = length as u32;
    }
}

/// 0 for the program that starts the container, the number of the exec session for one that joins it later.
#[inline(always)]
fn next_session(subject: &Subject) -> u32 {
    let Some(life) = LIVES.get_ptr_mut(subject.slot) else { return 0 };
    // SAFETY: an aligned word of the map.
    unsafe { atomic::add(&raw mut (*life).entries, 1) as u32 }
}
