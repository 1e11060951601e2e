//! Connections: `socket_connect` for IPv4 and IPv6. The address is the kernel's own copy of what the task passed.

use aya_ebpf::{helpers::generated::bpf_probe_read_kernel, macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, PATH_MAX, Resolution, access, netkey};

use crate::{
    judge,
    kernel::{SOCK_PROTOCOL, SOCKET_SOCK, Typed},
    scratch::Claim,
    subject::{self, Found},
};

// `include/linux/socket.h`
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// `struct sockaddr_in6` (`include/uapi/linux/in6.h`), whose first four bytes are those of `struct sockaddr_in`.
#[derive(Clone, Copy)]
#[repr(C)]
struct SocketAddress {
    family: u16,
    port: [u8; 2],
    v4: [u8; 4],
    v6: [u8; 16],
}

#[lsm(hook = "socket_connect")]
pub fn socket_connect(ctx: LsmContext) -> i32 {
    let earlier: i32 = ctx.arg(3);
    if earlier != 0 {
        return earlier;
    }
    let Found::Workload(subject) = subject::find() else { return 0 };
    let socket = Typed(ctx.arg(0));
    let from: *const u8 = ctx.arg(1);
    let length: i32 = ctx.arg(2);
    let mut address = SocketAddress { family: 0, port: [0; 2], v4: [0; 4], v6: [0; 16] };
    // SAFETY: reads no more than the local holds, from the kernel's copy, which is as long as `struct sockaddr_storage` whatever was passed.
    unsafe { bpf_probe_read_kernel((&raw mut address).cast(), size_of::<SocketAddress>() as u32, from.cast()) };
    // Shorter than its family needs: the protocol answers EINVAL, and what lies behind is of an earlier call.
    let needed = match address.family {
        AF_INET => 8,
        AF_INET6 => 24,
        _ => return 0,
    };
    if length < needed {
        return 0;
    }
    let Some(word) = judge::profile_of(&subject) else { return 0 };
    // VERIFIER(6.12): a socket's `sk` may be null for all it knows.
    let sock = socket.pointer(&SOCKET_SOCK);
    if sock.0.is_null() {
        return 0;
    }
    let protocol = sock.u16(&SOCK_PROTOCOL) as u8;
    judge::judge_object(&subject, word, Operation::Connect, access::CONNECT, |scratch| write_key(scratch, protocol, &address))
}

/// Writes the key of `portcullis_abi::netkey` where a path would be.
#[inline(always)]
fn write_key(scratch: Claim, protocol: u8, address: &SocketAddress) -> Resolution {
    const START: usize = PATH_MAX - netkey::LEN;
    scratch.set_start(START);
    let bytes = scratch.bytes();
    // SAFETY: every index is a constant between START and PATH_MAX.
    unsafe {
        *bytes.add(START) = netkey::CONNECT;
        *bytes.add(START + netkey::PROTOCOL_AT) = protocol;
        let to = bytes.add(START + netkey::ADDRESS_AT);
        if address.family == AF_INET {
            *to.cast::<[u8; 12]>() = netkey::MAPPED;
            *to.add(12).cast::<[u8; 4]>() = address.v4;
        } else {
            *to.cast::<[u8; 16]>() = address.v6;
        }
        *bytes.add(START + netkey::PORT_AT).cast::<[u8; 2]>() = address.port;
    }
    Resolution::Named
}
