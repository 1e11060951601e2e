//! What is attempted with IPv4 and IPv6 sockets. None is bound unless that is what is attempted.
//!
//! A protocol is `tcp`, `udp`, `mptcp`, `sctp`, `sctp-many` (one socket with many associations) or `raw` (ICMP).

use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, addr, bind, connect, ipproto, listen, sendto, socket_with, sockopt,
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener},
    os::fd::OwnedFd,
};

/// `include/linux/socket.h`
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// What came of it; `None` where the words are not about such sockets.
pub(crate) fn attempt(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["tcp", address] => on(address, "tcp", |socket, address| Ok(connect(socket, address)?)),
        ["udp", address] => on(address, "udp", |socket, address| Ok(connect(socket, address)?)),
        ["connect", protocol, address] => on(address, protocol, |socket, address| Ok(connect(socket, address)?)),
        ["send", address] => on(address, "udp", |socket, address| send(socket, SendFlags::empty(), address)),
        ["send-by", protocol, address] => on(address, protocol, |socket, address| send(socket, SendFlags::empty(), address)),
        ["fast-open", address] => on(address, "tcp", |socket, address| send(socket, SendFlags::from_bits_retain(MSG_FASTOPEN), address)),
        ["bind", protocol, address] => on(address, protocol, |socket, address| Ok(bind(socket, address)?)),
        ["bind-unspecified", port] => bind_unspecified(port),
        ["serve", address] => TcpListener::bind(address).map(drop),
        ["listen", protocol, address] => on(address, protocol, |socket, _| Ok(listen(socket, 1)?)),
        _ => return None,
    })
}

/// Makes a socket of the protocol and of the address's family, and goes on with both.
fn on(address: &str, protocol: &str, attempt: impl FnOnce(&OwnedFd, &SocketAddr) -> io::Result<()>) -> io::Result<()> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let (kind, protocol) = kind(protocol)?;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?;
    if kind != SocketType::RAW {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    attempt(&socket, &address)
}

fn kind(protocol: &str) -> io::Result<(SocketType, Protocol)> {
    Ok(match protocol {
        "tcp" => (SocketType::STREAM, ipproto::TCP),
        "udp" => (SocketType::DGRAM, ipproto::UDP),
        "mptcp" => (SocketType::STREAM, ipproto::MPTCP),
        "sctp" => (SocketType::STREAM, ipproto::SCTP),
        "sctp-many" => (SocketType::SEQPACKET, ipproto::SCTP),
        "raw" => (SocketType::RAW, ipproto::ICMP),
        other => return Err(io::Error::other(format!("no protocol {other}"))),
    })
}

fn send(socket: &OwnedFd, flags: SendFlags, address: &SocketAddr) -> io::Result<()> {
    sendto(socket, b"\x08\0\xf7\xff\0\0\0\0", flags, address)?;
    Ok(())
}

/// An address of no family, which IPv4 sockets take for one of their own where it is 0.0.0.0 (`__inet_bind`, `net/ipv4/af_inet.c`).
struct Unspecified(SocketAddrV4);

// SAFETY: the closure is called with the bytes of a whole `struct sockaddr_in`.
unsafe impl addr::SocketAddrArg for Unspecified {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const addr::SocketAddrOpaque, addr::SocketAddrLen) -> R) -> R {
        let mut bytes = [0u8; 16];
        bytes[2..4].copy_from_slice(&self.0.port().to_be_bytes());
        bytes[4..8].copy_from_slice(&self.0.ip().octets());
        f(bytes.as_ptr().cast(), 16)
    }
}

fn bind_unspecified(port: &str) -> io::Result<()> {
    let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port.parse().map_err(io::Error::other)?);
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    Ok(bind(&socket, &Unspecified(address))?)
}
