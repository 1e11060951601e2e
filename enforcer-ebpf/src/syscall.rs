//! Which system calls a container makes, while its profile is being learned: for a seccomp profile, not for the table. The tracepoint costs every
//! system call of the node something, so the agent attaches this only while something is being learned.
//!
//! A bit says that a call was told. It is one of an edition of the profile: what is told under another one is told again.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use core::ptr::{read_volatile, write_volatile};
use portcullis_abi::{Action, Mode, Operation, PATH_MAX, Resolution, access, token};

use crate::{
    judge,
    kernel::{TASK_THREAD_INFO, THREAD_INFO_STATUS, current},
    maps::SYSCALLS,
    report, scratch,
};

/// `arch/x86/include/asm/thread_info.h`: the call came by the entry for 32-bit programs.
const TS_COMPAT: u32 = 2;

#[btf_tracepoint(function = "sys_enter")]
pub fn sys_enter(ctx: BtfTracePointContext) -> i32 {
    let number: u64 = ctx.arg(1);
    if number >= u64::from(token::SYSCALLS_MAX) {
        return 0;
    }
    let Some((subject, word)) = judge::judged() else { return 0 };
    if word.mode() != Mode::Learn {
        return 0;
    }
    let compat = current().member(&TASK_THREAD_INFO).u32(&THREAD_INFO_STATUS) & TS_COMPAT != 0;
    let abi = if compat { token::I386 } else { token::X86_64 };
    let Some(told) = SYSCALLS.get_ptr_mut(subject.slot) else { return 0 };
    let index = number as usize / 64 + if compat { token::SYSCALLS_MAX as usize / 64 } else { 0 };
    // SAFETY: an entry of the map, and the index is below its length. Two processors that tell at once may tell twice.
    let word_of_bits = unsafe { (&raw mut (*told).bits).cast::<u64>().add(index & (2 * token::SYSCALLS_MAX as usize / 64 - 1)) };
    let bit = 1u64 << (number & 63);
    // SAFETY: as above.
    unsafe {
        if read_volatile(&raw const (*told).edition) != word.raw() {
            (*told).bits = [0; 2 * token::SYSCALLS_MAX as usize / 64];
            write_volatile(&raw mut (*told).edition, word.raw());
        } else if read_volatile(word_of_bits) & bit != 0 {
            return 0;
        }
    }
    scratch::with(
        |scratch| {
            const START: usize = PATH_MAX - 4;
            scratch.set_start(START);
            // SAFETY: four bytes at a constant within the buffer, and a word of the map.
            unsafe {
                *scratch.bytes().add(START).cast::<[u8; 4]>() = [token::SYSCALL, abi, number as u8, (number >> 8) as u8];
                let told = report::Told {
                    operation: Operation::Syscall,
                    action: Action::Observed,
                    resolution: Resolution::Named,
                    asked: access::USE,
                    missing: access::USE,
                };
                if report::tell(&subject, word, scratch, told, |_| {}) {
                    write_volatile(word_of_bits, read_volatile(word_of_bits) | bit);
                }
            }
            0
        },
        || 0,
    )
}
