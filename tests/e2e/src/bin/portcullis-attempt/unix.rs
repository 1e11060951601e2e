//! What is attempted with UNIX sockets. An address is a path, `@NAME` for an abstract name, or `@` for one that the kernel chooses; a kind is
//! `stream`, `packets` (a sequence of packets) or `datagram`.

use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, send, sendto, socket_with, socketpair,
};
use std::{fs, io, os::fd::OwnedFd};

/// What came of it; `None` where the words are not about such sockets.
pub(crate) fn attempt(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["unix-listen", kind, address] => listener(kind, address).and_then(wait),
        ["unix-bind", kind, address] => bound(kind, address).map(drop),
        ["unix-connect", kind, address] => plain(kind).and_then(|own| reach(&own, address)),
        ["unix-send", address] => plain("datagram").and_then(|own| sent(sendto(&own, b"x", SendFlags::empty(), &name(address)?))),
        ["unix-send-connected", address] => send_connected(address),
        ["unix-send-both", connected, address] => send_both(connected, address),
        // Both ends in one process.
        ["unix-reach", kind, address] => listener(kind, address).and_then(|_other| plain(kind).and_then(|own| reach(&own, address))),
        ["unix-pair"] => pair(),
        _ => return None,
    })
}

fn name(address: &str) -> io::Result<SocketAddrUnix> {
    Ok(match address.strip_prefix('@') {
        Some("") => SocketAddrUnix::new_unnamed(),
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        None => SocketAddrUnix::new(address)?,
    })
}

fn plain(kind: &str) -> io::Result<OwnedFd> {
    let kind = match kind {
        "stream" => SocketType::STREAM,
        "packets" => SocketType::SEQPACKET,
        "datagram" => SocketType::DGRAM,
        other => return Err(io::Error::other(format!("no kind {other}"))),
    };
    Ok(socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

fn bound(kind: &str, address: &str) -> io::Result<OwnedFd> {
    if !address.starts_with('@') {
        let _ = fs::remove_file(address); // of an earlier attempt
    }
    let socket = plain(kind)?;
    bind(&socket, &name(address)?)?;
    Ok(socket)
}

fn listener(kind: &str, address: &str) -> io::Result<OwnedFd> {
    let socket = bound(kind, address)?;
    if kind != "datagram" {
        listen(&socket, 1)?;
    }
    Ok(socket)
}

/// Keeps the socket until a line of input, or its end.
fn wait(_socket: OwnedFd) -> io::Result<()> {
    println!("listening");
    io::stdin().read_line(&mut String::new()).map(drop)
}

fn reach(own: &OwnedFd, address: &str) -> io::Result<()> {
    Ok(connect(own, &name(address)?)?)
}

fn sent(result: rustix::io::Result<usize>) -> io::Result<()> {
    Ok(result.map(drop)?)
}

/// Two datagrams over one connection.
fn send_connected(address: &str) -> io::Result<()> {
    let own = plain("datagram")?;
    reach(&own, address)?;
    sent(send(&own, b"x", SendFlags::empty()))?;
    sent(send(&own, b"x", SendFlags::empty()))
}

/// Connects to one socket and sends to another.
fn send_both(connected: &str, address: &str) -> io::Result<()> {
    let own = plain("datagram")?;
    reach(&own, connected)?;
    sent(sendto(&own, b"x", SendFlags::empty(), &name(address)?))
}

fn pair() -> io::Result<()> {
    for kind in [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET] {
        let (one, other) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        sent(send(&one, b"x", SendFlags::empty()))?;
        sent(send(&other, b"x", SendFlags::empty()))?;
    }
    Ok(())
}
