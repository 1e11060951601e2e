//! What reaches past a container, or past what other rules can see: [`Privilege`], one token each.
//!
//! What no hook stands for needs a capability, which [`crate::capability`] judges: `setns` and namespaces other than a user's, detached mounts
//! (`fsopen`, `open_tree`), `mount_setattr`, removing a module. A module that the kernel loads by itself (`kernel_module_request`) is not judged: it
//! follows an operation that was, and whether the node has it loaded already is no behaviour of the workload.

use aya_ebpf::{EbpfContext, macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, Privilege, token};

use crate::{
    judge::{self, defer_to_earlier},
    kernel::{QSTR_NAME, Typed, probe},
    subject::{self, Subject},
};

// `include/linux/ptrace.h`
const PTRACE_MODE_ATTACH: u32 = 2;
const PTRACE_MODE_NOAUDIT: u32 = 4;

// `enum kernel_read_file_id` (`include/linux/kernel_read_file.h`); `enum kernel_load_data_id` has the same numbers.
const MODULE: u32 = 2;
const KEXEC_IMAGE: u32 = 3;
const KEXEC_INITRAMFS: u32 = 4;

/// The name under which `io_uring/io_uring.c` makes the file of a ring.
const RING: u64 = u64::from_le_bytes(*b"[io_urin");

/// Judges the use of a privilege by the current task.
#[inline(always)]
fn used(privilege: Privilege) -> i32 {
    judge::token(Operation::Privilege, [token::PRIVILEGE, privilege as u8])
}

macro_rules! hooks {
    ($($hook:ident: $privilege:ident, $arguments:literal arguments;)+) => {
        $(
            #[lsm]
            pub fn $hook(ctx: LsmContext) -> i32 {
                defer_to_earlier!(ctx after $arguments);
                used(Privilege::$privilege)
            }
        )+
    };
}
hooks! {
    ptrace_traceme: Ptrace, 1 arguments;
    sb_mount: Mount, 5 arguments;
    sb_remount: Mount, 2 arguments;
    move_mount: Mount, 2 arguments;
    sb_umount: Umount, 2 arguments;
    sb_pivotroot: PivotRoot, 2 arguments;
    userns_create: UserNamespace, 1 arguments;
    bpf: Bpf, 3 arguments;
    key_alloc: Keyring, 3 arguments;
    key_permission: Keyring, 3 arguments;
}

/// Kernels differ in how many arguments come before an earlier verdict, so it is not read: after a denial none is asked any more.
#[lsm]
pub fn perf_event_open(_: LsmContext) -> i32 {
    used(Privilege::Perf)
}

#[lsm]
pub fn kernel_load_data(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 2);
    loaded(ctx.arg(0))
}

#[lsm]
pub fn kernel_read_file(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 3);
    loaded(ctx.arg(1))
}

/// What the kernel loads at the task's request. Firmware and keys it loads on its own account.
#[inline(always)]
fn loaded(id: u32) -> i32 {
    match id {
        MODULE => used(Privilege::Module),
        KEXEC_IMAGE | KEXEC_INITRAMFS => used(Privilege::Kexec),
        _ => 0,
    }
}

/// A file without a name, of which the rings of `io_uring` are one kind.
#[lsm]
pub fn inode_init_security_anon(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 3);
    if probe(Typed(ctx.arg(1)).u64(&QSTR_NAME)) != RING {
        return 0;
    }
    used(Privilege::IoUring)
}

/// Attaching to another process (the kernel does not ask about threads of one's own), and looking into one of another container or of the
/// node. Looking at one's own container is what `ps` does. A look without audit is the kernel's, to find out what of `/proc/PID/stat` to show.
#[lsm]
pub fn ptrace_access_check(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 2);
    let Some((subject, word)) = judge::judged() else { return 0 };
    let mode: u32 = ctx.arg(1);
    if mode & PTRACE_MODE_ATTACH == 0 && (mode & PTRACE_MODE_NOAUDIT != 0 || is_own(&subject, ctx.arg(0))) {
        return 0;
    }
    judge::judge_token(&subject, word, Operation::Privilege, [token::PRIVILEGE, Privilege::Ptrace as u8])
}

/// A signal to a process of another container, or of the node. Signal 0 only asks whether the process is there.
#[lsm]
pub fn task_kill(ctx: LsmContext) -> i32 {
    /// Where the credentials of someone else lie, for whom a driver signals (`kill_pid_usb_asyncio`, `kernel/signal.c`).
    const CREDENTIALS_AT: usize = 3 * size_of::<u64>();
    defer_to_earlier!(ctx after 4);
    let Some((subject, word)) = judge::judged() else { return 0 };
    let signal: i32 = ctx.arg(2);
    // VERIFIER(6.12): takes a hook's argument for never null, and drops a test of it. What is probed is only a number.
    let for_another = probe((ctx.as_ptr() as u64).wrapping_add(CREDENTIALS_AT as u64)) != 0;
    if signal == 0 || for_another || is_own(&subject, ctx.arg(0)) {
        return 0;
    }
    judge::judge_token(&subject, word, Operation::Privilege, [token::PRIVILEGE, Privilege::Signal as u8])
}

#[inline(always)]
fn is_own(subject: &Subject, task: *const u8) -> bool {
    subject::is_in(Typed(task), subject)
}
