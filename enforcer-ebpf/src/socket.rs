//! Sockets that are made: `socket_create`. Plain sockets of IPv4 and IPv6 are judged by their addresses, UNIX sockets by their names; every other
//! kind is a token of its own. The kernel asks before it would load a module for the family.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, token};

use crate::judge::{self, defer_to_earlier};

// `include/linux/socket.h`
const AF_UNIX: i32 = 1;
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
const AF_NETLINK: i32 = 16;
// `include/linux/net.h`
const SOCK_RAW: i32 = 3;
/// `include/uapi/linux/netlink.h`: addresses and routes, which every `getaddrinfo` reads; to change them takes a capability.
const NETLINK_ROUTE: i32 = 0;

#[lsm]
pub fn socket_create(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 4);
    let (family, kind, protocol, by_kernel): (i32, i32, i32, i32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let number = match family {
        _ if by_kernel != 0 => return 0,
        AF_UNIX => return 0,
        AF_INET | AF_INET6 if kind != SOCK_RAW => return 0,
        AF_INET | AF_INET6 => token::RAW,
        AF_NETLINK if protocol == NETLINK_ROUTE => return 0,
        // The kernel knows fewer than 256 families, and has refused other numbers before it asks.
        other => other as u8,
    };
    judge::token(Operation::Socket, [token::SOCKET, number])
}
