//! Connections, and messages sent without one: `socket_connect` and `socket_sendmsg` for IPv4 and IPv6. The address is the kernel's own copy
//! of what the task passed.

use aya_ebpf::{helpers::generated::bpf_probe_read_kernel, macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, PATH_MAX, ProfileWord, Resolution, access, netkey};

use crate::{
    cache,
    judge::{self, defer_to_earlier},
    kernel::{MESSAGE_FLAGS, MESSAGE_NAME, MESSAGE_NAME_LEN, SOCK_COMMON, SOCK_FAMILY, SOCK_PROTOCOL, SOCKET_SOCK, SOCKET_TYPE, Typed},
    scratch,
    subject::Subject,
};

// `include/linux/socket.h`
const AF_UNSPEC: u16 = 0;
pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;

/// `struct sockaddr_in6` (`include/uapi/linux/in6.h`), whose first four bytes are those of `struct sockaddr_in`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SocketAddress {
    pub family: u16,
    pub port: [u8; 2],
    pub v4: [u8; 4],
    pub v6: [u8; 16],
}

impl SocketAddress {
    /// Address and port of which nothing is said.
    #[inline(always)]
    pub fn unspecified(family: u16) -> Self {
        Self { family, port: [0; 2], v4: [0; 4], v6: [0; 16] }
    }

    /// What the kernel copied for a system call.
    #[inline(always)]
    pub fn read(from: u64) -> Self {
        let mut address = Self::unspecified(AF_UNSPEC);
        // SAFETY: reads no more than the local holds, from the kernel's copy, which is as long as `struct sockaddr_storage` whatever was passed.
        unsafe { bpf_probe_read_kernel((&raw mut address).cast(), size_of::<Self>() as u32, from as *const _) };
        address
    }

    /// Whether it is shorter than its family needs, or of no family that has ports: then the protocol answers EINVAL or EAFNOSUPPORT, and what
    /// lies behind `length` is of an earlier call.
    #[inline(always)]
    pub fn is_short(&self, length: i32) -> bool {
        match self.family {
            AF_INET => length < 8,
            AF_INET6 => length < 24,
            _ => true,
        }
    }
}

// `include/uapi/linux/in.h`
const IPPROTO_TCP: u8 = 6;
// `include/linux/net.h`
const SOCK_STREAM: u16 = 1;
// `include/linux/socket.h`: data with the first packet, which connects.
const MSG_FASTOPEN: u32 = 0x2000_0000;

#[lsm]
pub fn socket_connect(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 3);
    let Some((subject, word)) = judge::judged() else { return 0 };
    let length: i32 = ctx.arg(2);
    judge_address(&subject, word, Operation::Connect, Typed(ctx.arg(0)), ctx.arg(1), length)
}

/// A message with an address: a datagram, TCP fast open, or SCTP, which connects by it. On other TCP sockets the kernel does not look at it.
#[lsm]
pub fn socket_sendmsg(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 3);
    let message = Typed(ctx.arg(1));
    let name = message.u64(&MESSAGE_NAME);
    if name == 0 {
        return 0;
    }
    let Some((subject, word)) = judge::judged() else { return 0 };
    let socket = Typed(ctx.arg(0));
    // VERIFIER(6.12): as in `judge_address`.
    let sock = socket.pointer(&SOCKET_SOCK);
    if sock.0.is_null() {
        return 0;
    }
    // The low byte of MPTCP's number is TCP's.
    let tcp = socket.u16(&SOCKET_TYPE) == SOCK_STREAM && sock.u16(&SOCK_PROTOCOL) as u8 == IPPROTO_TCP;
    if tcp && message.u32(&MESSAGE_FLAGS) & MSG_FASTOPEN == 0 {
        return 0;
    }
    judge_address(&subject, word, Operation::Send, socket, name, message.u32(&MESSAGE_NAME_LEN) as i32)
}

#[inline(always)]
fn judge_address(subject: &Subject, word: ProfileWord, operation: Operation, socket: Typed, from: u64, length: i32) -> i32 {
    // VERIFIER(6.12): a socket's `sk` may be null for all it knows.
    let sock = socket.pointer(&SOCKET_SOCK);
    if sock.0.is_null() {
        return 0;
    }
    let mut address = SocketAddress::read(from);
    // A message to "no family" goes to the IPv4 address behind it (`udp_sendmsg`, `net/ipv4/udp.c`); a connect to it disconnects.
    if address.family == AF_UNSPEC && matches!(operation, Operation::Send) {
        address.family = sock.member(&SOCK_COMMON).u16(&SOCK_FAMILY);
    }
    if address.is_short(length) {
        return 0;
    }
    let protocol = sock.u16(&SOCK_PROTOCOL) as u8;
    judge_key(subject, word, operation, protocol, &address)
}

/// The key of `portcullis_abi::netkey`.
#[inline(always)]
fn key_of(operation: u8, protocol: u8, address: &SocketAddress) -> [u8; netkey::LEN] {
    let mut key = [0; netkey::LEN];
    key[0] = operation;
    key[netkey::PROTOCOL_AT] = protocol;
    // SAFETY: every index is a constant within the key.
    unsafe {
        let to = key.as_mut_ptr().add(netkey::ADDRESS_AT);
        if address.family == AF_INET {
            *to.cast::<[u8; 12]>() = netkey::MAPPED;
            *to.add(12).cast::<[u8; 4]>() = address.v4;
        } else {
            *to.cast::<[u8; 16]>() = address.v6;
        }
        *key.as_mut_ptr().add(netkey::PORT_AT).cast::<[u8; 2]>() = address.port;
    }
    key
}

/// Judges binding to an address, or what else is done with it. What is granted of it is kept: asking again costs neither working memory nor the table.
#[inline(always)]
pub fn judge_key(subject: &Subject, word: ProfileWord, operation: Operation, protocol: u8, address: &SocketAddress) -> i32 {
    let (kind, asked) = match operation {
        Operation::Bind => (netkey::BIND, access::BIND),
        _ => (netkey::CONNECT, access::CONNECT),
    };
    const START: usize = PATH_MAX - netkey::LEN;
    let key = key_of(kind, protocol, address);
    let place = cache::address(word, &key);
    if let Some(granted) = place.kept()
        && access::missing(asked, granted) == 0
    {
        return 0;
    }
    scratch::with(
        |scratch| {
            scratch.set_start(START);
            // SAFETY: so many bytes at a constant within the buffer.
            unsafe { *scratch.bytes().add(START).cast::<[u8; netkey::LEN]>() = key };
            let granted = judge::granted(word, scratch, Resolution::Named);
            place.keep(granted);
            judge::conclude(subject, word, scratch, operation, asked, Resolution::Named, granted)
        },
        || judge::busy(word, asked),
    )
}
