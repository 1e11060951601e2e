//! What is granted whole and lies under no path and no address, as bytes, so that the automaton that judges paths judges it too.
//!
//! ```text
//!  | SOCKET, family |   | CAPABILITY, number |   | PRIVILEGE, number |   | XATTR, name… |   | UNIX_CONNECT, name… |   | UNIX_BIND, name… |
//!  | SYSCALL, X86_64 or I386, number, 2 bytes |      is recorded, and never asked for
//! ```
//!
//! Every path begins with `/`, and none of these bytes is `/` or begins a key of [`crate::netkey`].

/// First byte of the key of a socket that is made; the second is the address family, or [`RAW`].
pub const SOCKET: u8 = 3;
/// First byte of the key of a capability that is used; the second is its number.
pub const CAPABILITY: u8 = 4;
/// First byte of the key of a [`Privilege`]; the second is its number.
pub const PRIVILEGE: u8 = 5;
/// First byte of the key of an extended attribute that is set or removed; its name follows.
pub const XATTR: u8 = 6;
/// First byte of the key of a UNIX socket that is connected or sent to by its abstract name, which follows without its leading NUL.
pub const UNIX_CONNECT: u8 = 7;
/// First byte of the key of an abstract name that a UNIX socket is bound to; the name follows, nothing where the kernel chooses one.
pub const UNIX_BIND: u8 = 8;

/// First byte of the key of a system call; by which of the kernel's tables, and its number there, follow.
pub const SYSCALL: u8 = 9;
/// The table of programs of 64 bits.
pub const X86_64: u8 = 0;
/// The table of programs of 32 bits.
pub const I386: u8 = 1;
/// Above every number of a system call that is recorded, in either table: those of Linux 6.12 end at 467.
pub const SYSCALLS_MAX: u16 = 512;

/// In place of a family: a raw socket of IPv4 or IPv6. No socket can be made of family 0, `AF_UNSPEC`.
pub const RAW: u8 = 0;

/// The longest name of an extended attribute, in bytes: `XATTR_NAME_MAX` (`include/uapi/linux/limits.h`).
pub const XATTR_NAME_MAX: usize = 255;

/// The longest abstract name of a UNIX socket, in bytes, without its leading NUL: `sun_path` holds 108 (`include/uapi/linux/un.h`).
pub const UNIX_NAME_MAX: usize = 107;

/// What reaches past a container, or past what other rules can see, whatever object it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Privilege {
    /// Attach to another process, or look into one of another container or of the node: `ptrace`, `process_vm_readv`, `/proc/PID/mem`,
    /// `pidfd_getfd`.
    Ptrace = 1,
    /// Mount, remount, or move a mount.
    Mount = 2,
    /// Unmount.
    Umount = 3,
    /// `pivot_root`.
    PivotRoot = 4,
    /// Make a user namespace.
    UserNamespace = 5,
    /// The `bpf` system call.
    Bpf = 6,
    /// `perf_event_open`.
    Perf = 7,
    /// Load a kernel module.
    Module = 8,
    /// Load a kernel to boot next.
    Kexec = 9,
    /// Make or use a key of the kernel's.
    Keyring = 10,
    /// Make an `io_uring`.
    IoUring = 11,
    /// Signal a process of another container or of the node.
    Signal = 12,
    /// Have executable memory that holds no file's bytes, or other bytes than its file: what a compiler at run time makes.
    ExecMemory = 13,
}

impl Privilege {
    /// Every one.
    pub const ALL: [Self; 13] = [
        Self::Ptrace,
        Self::Mount,
        Self::Umount,
        Self::PivotRoot,
        Self::UserNamespace,
        Self::Bpf,
        Self::Perf,
        Self::Module,
        Self::Kexec,
        Self::Keyring,
        Self::IoUring,
        Self::Signal,
        Self::ExecMemory,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_can_be_taken_for_another_kind_or_a_path() {
        let markers =
            [SOCKET, CAPABILITY, PRIVILEGE, XATTR, UNIX_CONNECT, UNIX_BIND, SYSCALL, crate::netkey::CONNECT, crate::netkey::BIND, b'/'];
        for (index, marker) in markers.iter().enumerate() {
            assert!(!markers[index + 1..].contains(marker), "{marker}");
        }
    }

    #[test]
    fn all_lists_each_privilege_by_its_number() {
        for (index, privilege) in Privilege::ALL.into_iter().enumerate() {
            assert_eq!(privilege as usize, index + 1);
        }
    }
}
