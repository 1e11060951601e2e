//! UNIX sockets: `unix_stream_connect`, `unix_may_send`, and binds to an abstract name, which [`crate::bind`] hands over.
//!
//! What counts is the socket at the other end, not the name that the task passed: its path is that of the file that it was bound to, found in
//! the task's own mount namespace ([`crate::elsewhere`]), whatever link led there. An abstract name (`unix(7)`) is of the network namespace and
//! has no file: it is a token. A socket without a name can be reached only from its pair, so it is free. Binding to a path makes an entry,
//! which `path_mknod` judges.

use aya_ebpf::{helpers::generated::bpf_probe_read_kernel, macros::lsm, programs::LsmContext};
use portcullis_abi::{
    Counter, Operation, PATH_MAX, ProfileWord, Resolution, access,
    token::{UNIX_BIND, UNIX_CONNECT, UNIX_NAME_MAX},
};

use crate::{
    elsewhere,
    judge::{self, defer_to_earlier},
    kernel::{
        SOCKET_SOCK, Typed, UNIX_ADDRESS, UNIX_ADDRESS_LEN, UNIX_ADDRESS_NAME, UNIX_PATH, UNIX_PEER, global, probe, probe_member,
        probe_pair,
    },
    maps::count,
    path,
    scratch::{self, Claim, masked},
    subject::Subject,
};

/// Where the path begins in a `struct sockaddr_un`, behind its family (`include/uapi/linux/un.h`).
const SUN_PATH: usize = 2;
/// Where an abstract name begins, behind the NUL that says so.
const SUN_NAME: usize = SUN_PATH + 1;

/// A connection to a socket that listens: for streams and for sequences of packets.
#[lsm]
pub fn unix_stream_connect(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 3);
    judge_other(Operation::UnixConnect, Typed(ctx.arg(1)))
}

/// A datagram, or a connection for datagrams. Asked again for each datagram to the socket that is connected, which was judged when it was
/// connected.
#[lsm]
pub fn unix_may_send(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 2);
    let own = Typed(ctx.arg::<*const u8>(0)).pointer(&SOCKET_SOCK);
    let other = Typed(ctx.arg::<*const u8>(1)).pointer(&SOCKET_SOCK);
    // VERIFIER(6.12): a socket's `sk` may be null for all it knows.
    if own.0.is_null() || other.0.is_null() || probe_member(own.address(), &UNIX_PEER) == other.address() {
        return 0;
    }
    judge_other(Operation::UnixSend, other)
}

/// Judges reaching a socket. Its members are those of `struct unix_sock`, of which the kernel's `struct sock` is the beginning.
#[inline(always)]
fn judge_other(operation: Operation, other: Typed) -> i32 {
    let Some((subject, word)) = judge::judged() else { return 0 };
    let other = other.address();
    let name = probe_member(other, &UNIX_ADDRESS);
    if name == 0 {
        return 0;
    }
    let [vfsmount, dentry] = probe_pair(other.wrapping_add(global(&UNIX_PATH)));
    let asked = if dentry == 0 { access::USE } else { access::CONNECT };
    scratch::with(
        |scratch| {
            let resolution = if dentry == 0 {
                let length = probe_member(name, &UNIX_ADDRESS_LEN) as u32 as usize;
                write_key(scratch, UNIX_CONNECT, name.wrapping_add(global(&UNIX_ADDRESS_NAME)), length)
            } else {
                bound_to(scratch, dentry, vfsmount)
            };
            judge::judge(&subject, word, scratch, operation, asked, resolution)
        },
        || judge::busy(word, asked),
    )
}

/// Writes the path that a socket is bound to.
#[inline(always)]
fn bound_to(scratch: Claim, dentry: u64, vfsmount: u64) -> Resolution {
    let resolution = match elsewhere::resolve(scratch, dentry, vfsmount) {
        Resolution::Named if path::unhashed_address(dentry) => Resolution::Deleted,
        resolution => resolution,
    };
    if !matches!(resolution, Resolution::Named) {
        count(Counter::Unresolved);
    }
    resolution
}

/// Judges a bind: the kernel's copy of the address, and its length. A path is not judged here.
#[inline(always)]
pub fn judge_bind(subject: &Subject, word: ProfileWord, address: u64, length: i32) -> i32 {
    let length = length as usize;
    // What is shorter or longer the kernel refuses; nothing behind the family lets it choose.
    if length < SUN_PATH
        || length > SUN_NAME + UNIX_NAME_MAX
        || length > SUN_PATH && probe(address.wrapping_add(SUN_PATH as u64)) as u8 != 0
    {
        return 0;
    }
    judge::judge_object(subject, word, Operation::UnixBind, access::USE, |scratch| write_key(scratch, UNIX_BIND, address, length))
}

/// Writes the key of `portcullis_abi::token` of the abstract name in an address of that length, which may have none.
#[inline(always)]
fn write_key(scratch: Claim, marker: u8, address: u64, length: usize) -> Resolution {
    let length = if length > SUN_NAME { length - SUN_NAME } else { 0 };
    let length = masked(length, UNIX_NAME_MAX.next_power_of_two() - 1);
    let start = PATH_MAX - 1 - length;
    scratch.set_start(start);
    let bytes = scratch.bytes();
    // SAFETY: both offsets are masked to the path, behind which there is room for a name.
    unsafe {
        *bytes.add(start & (PATH_MAX - 1)) = marker;
        let to = bytes.add((start + 1) & (PATH_MAX - 1));
        bpf_probe_read_kernel(to.cast(), length as u32, address.wrapping_add(SUN_NAME as u64) as *const _);
    }
    Resolution::Named
}
