//! What the kernel tells: a header, then the executable's path, the arguments and the object, one after the other.
//!
//! ```text
//! | EventHeader, 96 bytes | executable | arguments (NUL between them) | object |
//! ```
//!
//! The object is a path (of an exec after the name that the program was called by and NUL, where that is known), or the key of [`crate::netkey`] for network operations, or of [`crate::token`] for what has neither. Multi-byte fields are little-endian: the kernel programs
//! are built for `bpfel`.

use crate::subject::EXECUTABLE_MAX;

/// How much of the arguments is told, in bytes.
pub const ARGUMENTS_MAX: usize = 512;
/// The longest event.
pub const EVENT_MAX: usize = EventHeader::SIZE + EXECUTABLE_MAX + ARGUMENTS_MAX + crate::PATH_MAX;

/// What was attempted, or what happened to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Operation {
    /// A program, or the interpreter of a script, was executed.
    Exec = 1,
    /// A file was opened, for what [`EventHeader::asked`] says.
    Open = 2,
    /// A file was mapped as executable.
    Map = 3,
    /// A socket was connected.
    Connect = 4,
    /// A file, directory, device or symbolic link was made.
    Create = 5,
    /// A file or directory was removed.
    Delete = 6,
    /// An entry was renamed; the object is the name that lacks something, the old or the new one.
    Rename = 7,
    /// A file was given a further name; the object is the name that lacks something, the new or the old one.
    Link = 8,
    /// A file was cut or extended.
    Truncate = 9,
    /// The mode or the owner of a file was changed.
    Attributes = 10,
    /// A message was sent to an address without a connection.
    Send = 11,
    /// A socket was bound to a port, or made to listen without one; the object is its own address.
    Bind = 12,
    /// A socket was made, of a kind that is judged.
    Socket = 14,
    /// A capability was used.
    Capability = 15,
    /// A cgroup that is a container was made; the object is its path below the cgroup root.
    ContainerMade = 16,
    /// The first program of a container was executed.
    ContainerStarted = 17,
    /// A container's cgroup was removed.
    ContainerGone = 18,
    /// A [`crate::Privilege`] was used.
    Privilege = 19,
    /// An extended attribute was set or removed.
    Xattr = 20,
    /// A UNIX socket was connected to one that listens; the object is the path, or the abstract name, that the other is bound to.
    UnixConnect = 21,
    /// A datagram was sent to a UNIX socket, or a socket for datagrams connected to it; the object as of [`Operation::UnixConnect`].
    UnixSend = 22,
    /// A UNIX socket was bound to an abstract name.
    UnixBind = 23,
    /// A system call was made, while learning.
    Syscall = 24,
    /// What the thread was told to lack last, to make an entry, it did not need: the entry was there. No action, and no object.
    Existed = 25,
}

impl Operation {
    /// Whether the object is an address and port.
    #[must_use]
    pub const fn is_network(self) -> bool {
        matches!(self, Self::Connect | Self::Send | Self::Bind)
    }

    /// Whether the object is a key of [`crate::token`], whatever it is done to.
    #[must_use]
    pub const fn is_token(self) -> bool {
        matches!(self, Self::Socket | Self::Capability | Self::Privilege | Self::Xattr | Self::UnixBind | Self::Syscall)
    }

    /// Whether the other end is a UNIX socket: its object is a path where it is bound to one, and a key of [`crate::token`] where its name is
    /// abstract.
    #[must_use]
    pub const fn is_unix(self) -> bool {
        matches!(self, Self::UnixConnect | Self::UnixSend)
    }

    /// Whether a rule for a file can grant it.
    #[must_use]
    pub const fn is_file(self) -> bool {
        self.is_unix()
            || matches!(
                self,
                Self::Open | Self::Map | Self::Create | Self::Delete | Self::Rename | Self::Link | Self::Truncate | Self::Attributes
            )
    }

    /// The value with that number, where there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Self::Exec,
            2 => Self::Open,
            3 => Self::Map,
            4 => Self::Connect,
            5 => Self::Create,
            6 => Self::Delete,
            7 => Self::Rename,
            8 => Self::Link,
            9 => Self::Truncate,
            10 => Self::Attributes,
            11 => Self::Send,
            12 => Self::Bind,
            14 => Self::Socket,
            15 => Self::Capability,
            16 => Self::ContainerMade,
            17 => Self::ContainerStarted,
            18 => Self::ContainerGone,
            19 => Self::Privilege,
            20 => Self::Xattr,
            21 => Self::UnixConnect,
            22 => Self::UnixSend,
            23 => Self::UnixBind,
            24 => Self::Syscall,
            25 => Self::Existed,
            _ => return None,
        })
    }
}

/// Takes the object of an [`Operation::Exec`] apart: the name that the program was called by, where it is told, and its path.
#[must_use]
pub fn called(object: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match object.iter().position(|byte| *byte == 0).map(|end| object.split_at(end)) {
        Some((name, [_, path @ ..])) => (Some(name), path),
        _ => (None, object),
    }
}

/// The fixed part of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct EventHeader {
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// The container's cgroup.
    pub cgroup: u64,
    /// When the process began, in nanoseconds of `CLOCK_BOOTTIME`: with the pid it names the process.
    pub process_start: u64,
    /// The container's slot.
    pub slot: u32,
    /// The profile that judged it.
    pub profile: u32,
    /// The edition of that profile.
    pub generation: u32,
    /// What was asked: bits of [`crate::access`].
    pub asked: u32,
    /// What of it the rules do not grant.
    pub missing: u32,
    /// Process (thread group) in the initial pid namespace.
    pub pid: u32,
    /// Thread in the initial pid namespace.
    pub tid: u32,
    /// The parent's thread group in the initial pid namespace.
    pub parent: u32,
    /// User in the initial user namespace.
    pub uid: u32,
    /// Group in the initial user namespace.
    pub gid: u32,
    /// The exec session, or 0.
    pub session: u32,
    /// How many like it were not told since the last one that was.
    pub repeats: u32,
    /// [`Operation`].
    pub operation: u8,
    /// [`crate::Action`], or 0 for what is told of a container's life.
    pub action: u8,
    /// [`crate::Resolution`].
    pub resolution: u8,
    #[doc(hidden)]
    pub padding: u8,
    /// Bytes of the executable's path.
    pub executable_len: u16,
    /// Bytes of the arguments.
    pub arguments_len: u16,
    /// Bytes of the object.
    pub object_len: u16,
    #[doc(hidden)]
    pub padding2: [u8; 14],
}

impl EventHeader {
    /// Its size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(EventHeader::SIZE == 96);

/// Why bytes are no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than a header.
    NoHeader,
    /// Shorter than the header says.
    Truncated,
    /// A number that this version does not know, with the name of its field.
    Unknown(&'static str, u8),
}

/// An event as it came, borrowed from the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// The fixed part.
    pub header: EventHeader,
    /// What was attempted.
    pub operation: Operation,
    /// What was done about it; `None` for a container's life.
    pub action: Option<crate::Action>,
    /// How far the object is known.
    pub resolution: crate::Resolution,
    /// The executable of the process, cut at [`EXECUTABLE_MAX`]; empty where it is not known.
    pub executable: &'a [u8],
    /// The arguments of the process, each ended by NUL, cut at [`ARGUMENTS_MAX`].
    pub arguments: &'a [u8],
    /// The object.
    pub object: &'a [u8],
}

/// Takes an event apart.
///
/// # Errors
/// [`DecodeError`] where the bytes are shorter than they say or hold a number that this version does not know.
pub fn decode(bytes: &[u8]) -> Result<RawEvent<'_>, DecodeError> {
    let mut reader = Reader { bytes };
    let header = EventHeader {
        time: reader.u64()?,
        cgroup: reader.u64()?,
        process_start: reader.u64()?,
        slot: reader.u32()?,
        profile: reader.u32()?,
        generation: reader.u32()?,
        asked: reader.u32()?,
        missing: reader.u32()?,
        pid: reader.u32()?,
        tid: reader.u32()?,
        parent: reader.u32()?,
        uid: reader.u32()?,
        gid: reader.u32()?,
        session: reader.u32()?,
        repeats: reader.u32()?,
        operation: reader.u8()?,
        action: reader.u8()?,
        resolution: reader.u8()?,
        padding: reader.u8()?,
        executable_len: reader.u16()?,
        arguments_len: reader.u16()?,
        object_len: reader.u16()?,
        padding2: reader.array()?,
    };
    let mut part = |len: u16| reader.take(usize::from(len)).ok_or(DecodeError::Truncated);
    Ok(RawEvent {
        header,
        operation: Operation::from_raw(header.operation).ok_or(DecodeError::Unknown("operation", header.operation))?,
        action: match header.action {
            0 => None,
            raw => Some(crate::Action::from_raw(raw).ok_or(DecodeError::Unknown("action", raw))?),
        },
        resolution: crate::Resolution::from_raw(header.resolution).ok_or(DecodeError::Unknown("resolution", header.resolution))?,
        executable: part(header.executable_len)?,
        arguments: part(header.arguments_len)?,
        object: part(header.object_len)?,
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(head)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N).and_then(|bytes| bytes.try_into().ok()).ok_or(DecodeError::NoHeader)
    }
    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }
    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }
    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }
    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    /// An event of an exec of `object`, laid out by hand from the drawing and not from the struct.
    fn encoded(object: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [1u64, 2, 3] {
            bytes.extend(word.to_le_bytes());
        }
        for word in 4u32..=15 {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend([1, 3, 0, 0]);
        for len in [3, 4, object.len()] {
            bytes.extend(u16::try_from(len).unwrap().to_le_bytes());
        }
        bytes.resize(96, 0);
        bytes.extend(b"/ex");
        bytes.extend(b"a\0b\0");
        bytes.extend(object);
        bytes
    }

    #[test]
    fn an_event_is_read_field_by_field() {
        let bytes = encoded(b"/bin/sh");
        let event = decode(&bytes).unwrap();
        assert_eq!((event.header.time, event.header.cgroup, event.header.process_start), (1, 2, 3));
        assert_eq!((event.header.slot, event.header.repeats), (4, 15));
        assert_eq!(event.operation, Operation::Exec);
        assert_eq!(event.action, Some(crate::Action::Blocked));
        assert_eq!((event.executable, event.arguments, event.object), (&b"/ex"[..], &b"a\0b\0"[..], &b"/bin/sh"[..]));
    }

    #[test]
    fn the_name_of_a_program_comes_before_its_path() {
        assert_eq!(called(b"ls\0/bin/busybox"), (Some(&b"ls"[..]), &b"/bin/busybox"[..]));
        assert_eq!(called(b"/bin/busybox"), (None, &b"/bin/busybox"[..]));
        assert_eq!(called(b""), (None, &b""[..]));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = encoded(b"/bin/sh");
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn an_unknown_operation_is_named() {
        let mut bytes = encoded(b"/bin/sh");
        bytes[72] = 99;
        assert_eq!(decode(&bytes), Err(DecodeError::Unknown("operation", 99)));
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in prop_oneof![proptest::collection::vec(any::<u8>(), 0..300), Just(vec![0xff; 200])]) {
            let _ = decode(&bytes);
        }
    }
}
