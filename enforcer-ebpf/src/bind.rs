//! Sockets that can be reached: `socket_bind`, and `socket_listen` where there was no bind, for IPv4 and IPv6. Each listener passes one check.
//!
//! A port that the kernel chooses is port 0: for a bind that asks for none, and for a listener that was not bound. The port that a connection
//! or a message takes on its way out (`inet_autobind`, `net/ipv4/af_inet.c`) is not judged: the other end is. UNIX sockets are for
//! [`crate::unix`].

use aya_ebpf::{macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, ProfileWord};

use crate::{
    judge::{self, defer_to_earlier},
    kernel::{SOCK_COMMON, SOCK_FAMILY, SOCK_PORT, SOCK_PROTOCOL, SOCKET_SOCK, Typed},
    network::{AF_INET, AF_INET6, AF_UNIX, SocketAddress, judge_key},
    subject::Subject,
    unix,
};

#[lsm]
pub fn socket_bind(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 3);
    let Some((subject, word)) = judge::judged() else { return 0 };
    let sock = Typed(ctx.arg::<*const u8>(0)).pointer(&SOCKET_SOCK);
    // VERIFIER(6.12): a socket's `sk` may be null for all it knows.
    if sock.0.is_null() {
        return 0;
    }
    let own = sock.member(&SOCK_COMMON).u16(&SOCK_FAMILY);
    if own == AF_UNIX {
        return unix::judge_bind(&subject, word, ctx.arg(1), ctx.arg(2));
    }
    let mut address = SocketAddress::read(ctx.arg(1));
    // An IPv4 socket takes AF_UNSPEC for AF_INET (`__inet_bind`), and a raw one whatever it is told (`raw_bind`, `net/ipv4/raw.c`).
    if own == AF_INET || own == AF_INET6 && address.family != AF_INET {
        address.family = own;
    }
    if address.is_short(ctx.arg(2)) {
        return 0;
    }
    judge_bind(&subject, word, sock, &address)
}

#[lsm]
pub fn socket_listen(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 2);
    let Some((subject, word)) = judge::judged() else { return 0 };
    let sock = Typed(ctx.arg::<*const u8>(0)).pointer(&SOCKET_SOCK);
    // VERIFIER(6.12): as above.
    if sock.0.is_null() {
        return 0;
    }
    let common = sock.member(&SOCK_COMMON);
    let family = common.u16(&SOCK_FAMILY);
    if family != AF_INET && family != AF_INET6 || common.u16(&SOCK_PORT) != 0 {
        return 0;
    }
    judge_bind(&subject, word, sock, &SocketAddress::unspecified(family))
}

#[inline(always)]
fn judge_bind(subject: &Subject, word: ProfileWord, sock: Typed, address: &SocketAddress) -> i32 {
    // The low byte of MPTCP's number is TCP's.
    let protocol = sock.u16(&SOCK_PROTOCOL) as u8;
    judge_key(subject, word, Operation::Bind, protocol, address)
}
