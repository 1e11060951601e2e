//! What rules grant whole: capabilities, kinds of sockets, privileges, extended attributes and abstract names of UNIX sockets, each by its name.
//!
//! To the kernel each is a short key ([`portcullis_abi::token`]); this is where keys have names.

mod abstract_name;
mod named;
mod syscall;
mod xattr;

use crate::InvalidValue;
use portcullis_abi::{Operation, token};
use serde::{Deserialize, Serialize};
use std::fmt;

pub use abstract_name::AbstractName;
pub use named::{Capability, Privilege, SocketKind};
pub use syscall::Syscall;
pub use xattr::XattrPattern;

/// One of them. Its JSON is what events show of it: `{"capability":"NET_ADMIN"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Token {
    /// A capability.
    Capability(Capability),
    /// A kind of socket.
    Socket(SocketKind),
    /// A privilege.
    Privilege(Privilege),
    /// An extended attribute, or all whose names begin alike.
    Xattr(XattrPattern),
    /// An abstract name to connect or send to, or all that begin alike.
    UnixConnect(AbstractName),
    /// An abstract name to bind a UNIX socket to, likewise.
    UnixBind(AbstractName),
    /// A system call, which is recorded and not granted.
    Syscall(Syscall),
}

impl Token {
    /// Whether it grants something: system calls are recorded, and the kernel never asks about them.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        !matches!(self, Self::Syscall(_))
    }

    /// The key that the kernel asks about; where the token is [open](Token::is_open), what all its keys begin with.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        match self {
            Self::Capability(capability) => vec![token::CAPABILITY, capability.number()],
            Self::Socket(kind) => vec![token::SOCKET, kind.number()],
            Self::Privilege(privilege) => vec![token::PRIVILEGE, privilege.number()],
            Self::Xattr(pattern) => [&[token::XATTR], pattern.name()].concat(),
            Self::UnixConnect(name) => [&[token::UNIX_CONNECT], name.name()].concat(),
            Self::UnixBind(name) => [&[token::UNIX_BIND], name.name()].concat(),
            Self::Syscall(call) => [&[token::SYSCALL][..], &call.key()].concat(),
        }
    }

    /// Whether it stands for every key that begins with its own.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Xattr(pattern) => pattern.is_open(),
            Self::UnixConnect(name) | Self::UnixBind(name) => name.is_open(),
            Self::Capability(_) | Self::Socket(_) | Self::Privilege(_) | Self::Syscall(_) => false,
        }
    }

    /// Whether it grants all that the other one does.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Xattr(own), Self::Xattr(theirs)) => own.covers(theirs),
            (Self::UnixConnect(own), Self::UnixConnect(theirs)) | (Self::UnixBind(own), Self::UnixBind(theirs)) => own.covers(theirs),
            _ => self == other,
        }
    }

    /// The token whose key this is.
    ///
    /// # Errors
    /// Where it is the key of none.
    pub fn from_key(key: &[u8]) -> Result<Self, InvalidValue> {
        let found = match *key {
            [token::CAPABILITY, number] => Capability::from_number(number).map(Self::Capability),
            [token::SOCKET, number] => SocketKind::from_number(number).map(Self::Socket),
            [token::PRIVILEGE, number] => Privilege::from_number(number).map(Self::Privilege),
            [token::SYSCALL, abi, low, high] => Syscall::from_key([abi, low, high]).map(Self::Syscall),
            [token::XATTR, ref name @ ..] => return XattrPattern::literal(name).map(Self::Xattr),
            [token::UNIX_CONNECT, ref name @ ..] => return AbstractName::literal(name).map(Self::UnixConnect),
            [token::UNIX_BIND, ref name @ ..] => return AbstractName::literal(name).map(Self::UnixBind),
            _ => None,
        };
        found.ok_or_else(|| {
            InvalidValue::whole(format!("no capability, socket, privilege, attribute, abstract name or system call has the key {key:?}"))
        })
    }

    /// The operation that asks for it.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Capability(_) => Operation::Capability,
            Self::Socket(_) => Operation::Socket,
            Self::Privilege(_) => Operation::Privilege,
            Self::Xattr(_) => Operation::Xattr,
            Self::UnixConnect(_) => Operation::UnixConnect,
            Self::UnixBind(_) => Operation::UnixBind,
            Self::Syscall(_) => Operation::Syscall,
        }
    }
}

/// As a rule shows it: the list of a container that it belongs to, and its name there.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability(capability) => write!(f, "capabilities {capability}"),
            Self::Socket(kind) => write!(f, "sockets {kind}"),
            Self::Privilege(privilege) => write!(f, "privileges {privilege}"),
            Self::Xattr(pattern) => write!(f, "xattrs {pattern}"),
            Self::UnixConnect(name) => write!(f, "unix connect {name}"),
            Self::UnixBind(name) => write!(f, "unix bind {name}"),
            Self::Syscall(call) => write!(f, "syscalls {call}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn the_key_of_a_token_gives_it_back(key in prop_oneof![
            (3u8..6, any::<u8>()).prop_map(|(marker, number)| vec![marker, number]),
            vec(1u8.., 0..300).prop_map(|name| [&[token::XATTR], &name[..]].concat()),
            (0u8..3, any::<u8>(), 0u8..3).prop_map(|(abi, low, high)| vec![token::SYSCALL, abi, low, high]),
            (7u8..9, vec(any::<u8>(), 0..120)).prop_map(|(marker, name)| [&[marker], &name[..]].concat()),
            vec(any::<u8>(), 0..4),
        ]) {
            if let Ok(token) = Token::from_key(&key) {
                prop_assert_eq!(token.key(), key);
                prop_assert!(!token.is_open());
                let json = serde_json::to_string(&token).unwrap();
                prop_assert_eq!(serde_json::from_str::<Token>(&json).unwrap(), token);
            }
        }
    }

    #[test]
    fn events_show_a_token_by_its_kind_and_name() {
        for (key, json, text) in [
            (&[4, 12][..], r#"{"capability":"NET_ADMIN"}"#, "capabilities NET_ADMIN"),
            (&[3, 0], r#"{"socket":"raw"}"#, "sockets raw"),
            (&[5, 1], r#"{"privilege":"ptrace"}"#, "privileges ptrace"),
            (b"\x06user.a*", r#"{"xattr":"user.a\\*"}"#, r"xattrs user.a\*"),
            (b"\x07x\0", r#"{"unixConnect":"@x\\x00"}"#, r"unix connect @x\x00"),
            (b"\x08", r#"{"unixBind":"@"}"#, "unix bind @"),
            (&[9, 0, 0, 0], r#"{"syscall":"read"}"#, "syscalls read"),
            (&[9, 1, 102, 0], r#"{"syscall":"i386:socketcall"}"#, "syscalls i386:socketcall"),
        ] {
            let token = Token::from_key(key).unwrap();
            assert_eq!(serde_json::to_string(&token).unwrap(), json);
            assert_eq!(token.to_string(), text);
        }
    }

    #[test]
    fn every_privilege_of_the_kernel_has_a_name() {
        for privilege in portcullis_abi::Privilege::ALL {
            assert!(Privilege::from_number(privilege as u8).is_some(), "{privilege:?}");
        }
    }
}
