//! The kernel half of Portcullis: BPF-LSM programs that judge what a container's tasks do, in the kernel, before it happens.
//!
//! ```text
//!  hook (exec, file, mapping, entry, network, unix, capability, socket, privilege, xattr)
//!   │                      what is attempted, on which object
//!   ├─ subject::find      which container's task is this?     none: return 0 at once
//!   ├─ path::resolve      what is the object called?          its name, or why it has none
//!   ├─ judge::judge       what does the profile say?          one table step a byte, then `portcullis_abi::decide`
//!   └─ report::tell       what must user space know?          at most once a window for like events
//!  syscall.rs             which system calls are made, while learning
//!  carry.rs               what tasks have from an object of another layout
//!  lifecycle.rs           cgroups and tasks that come and go: containers are armed before a process can be in them
//! ```
//!
//! The programs hold mechanism; what is allowed is data, in maps, and decisions are functions of `portcullis-abi` and `portcullis-matcher`,
//! which the host tests. Every program defers to an earlier denial, and returns only 0, `-EPERM`, `-ENOMEM` (a state that could not be kept)
//! or that earlier verdict.
//!
//! No program sleeps, so an RCU grace period is a bound on how long any of them can still use what user space has replaced.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "atomic operations, see atomic.rs")]

mod atomic;
mod bind;
mod cache;
mod called;
mod capability;
mod carry;
mod doubt;
mod drift;
mod elsewhere;
mod entry;
mod exec;
mod file;
mod grant;
mod judge;
mod kernel;
mod lifecycle;
mod mapping;
mod maps;
mod network;
mod path;
mod privilege;
mod repeat;
mod report;
mod scratch;
mod socket;
mod subject;
mod syscall;
mod unix;
mod xattr;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Never reached: nothing here can panic, and an object in which something could would not load.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
