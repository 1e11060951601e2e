//! Numbers of the kernel with names: capabilities, kinds of sockets, privileges.

use crate::{InvalidValue, text_form::text_form};
use portcullis_abi::{Privilege as Number, token};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// Defines a type of numbers that are shown by their names. `$other`: how any other number up to a limit is written, where it can be.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $what:literal, other $other:expr, $names:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(u8);

        impl $type {
            pub(crate) const SCHEMA_NAME: &str = stringify!($type);

            const OTHER: Option<(&str, u8)> = $other;

            /// The one with that number, where there can be one.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                let named = $names.iter().any(|(known, _)| *known == number);
                (named || Self::OTHER.is_some_and(|(_, last)| number <= last)).then_some(Self(number))
            }

            /// Its number in the kernel's key.
            #[must_use]
            pub const fn number(self) -> u8 {
                self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match ($names.iter().find(|(number, _)| *number == self.0), Self::OTHER) {
                    (Some((_, name)), _) => f.write_str(name),
                    (None, other) => write!(f, "{}{}", other.map_or("", |(prefix, _)| prefix), self.0),
                }
            }
        }

        impl FromStr for $type {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                if let Some((number, _)) = $names.iter().find(|(_, name)| *name == text) {
                    return Ok(Self(*number));
                }
                let number = Self::OTHER.and_then(|(prefix, _)| text.strip_prefix(prefix)?.parse().ok());
                match number.and_then(Self::from_number) {
                    Some(other) if other.to_string() == text => Ok(other),
                    Some(named) => Err(InvalidValue::whole(format!("`{text}` has a name: write `{named}`"))),
                    None => Err(unknown(text, $what, $names)),
                }
            }
        }

        text_form!($type);

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                Self::SCHEMA_NAME.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let names: Vec<_> = $names.iter().map(|(_, name)| *name).collect();
                json_schema!({
                    "description": format!("One of {}.", names.join(", ")),
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 63,
                })
            }
        }
    };
}

named! {
    /// A capability, as Kubernetes names it: the kernel's name without `CAP_`. One that this release has no name for is
    /// `capability-` and its number.
    Capability, "capability", other Some(("capability-", 63)), CAPABILITIES
}

named! {
    /// A kind of socket: `raw` (of IPv4 or IPv6), `packet`, `netlink` (but for routing, which is not judged), or another address family.
    /// A family that this release has no name for is `family-` and its number. Plain sockets of IPv4 and IPv6, and UNIX sockets, are none.
    SocketKind, "kind of socket", other Some(("family-", 254)), SOCKETS
}

named! {
    /// Something that reaches past a container, or past what other rules can see.
    Privilege, "privilege", other None, PRIVILEGES
}

/// Why the text is none, with the name that was likely meant, or all there are.
fn unknown(text: &str, what: &str, names: &[(u8, &str)]) -> InvalidValue {
    let plain = text.to_ascii_lowercase().replace('_', "-");
    let plain = plain.strip_prefix("cap-").or_else(|| plain.strip_prefix("af-")).unwrap_or(&plain);
    let meant = names.iter().find(|(_, name)| name.to_ascii_lowercase().replace('_', "-") == plain);
    let way_out = match meant {
        Some((_, name)) => format!("`{name}`"),
        None => names.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", "),
    };
    InvalidValue::whole(format!("`{text}` is no {what}: write {way_out}"))
}

/// `include/uapi/linux/capability.h`.
const CAPABILITIES: &[(u8, &str)] = &[
    (0, "CHOWN"),
    (1, "DAC_OVERRIDE"),
    (2, "DAC_READ_SEARCH"),
    (3, "FOWNER"),
    (4, "FSETID"),
    (5, "KILL"),
    (6, "SETGID"),
    (7, "SETUID"),
    (8, "SETPCAP"),
    (9, "LINUX_IMMUTABLE"),
    (10, "NET_BIND_SERVICE"),
    (11, "NET_BROADCAST"),
    (12, "NET_ADMIN"),
    (13, "NET_RAW"),
    (14, "IPC_LOCK"),
    (15, "IPC_OWNER"),
    (16, "SYS_MODULE"),
    (17, "SYS_RAWIO"),
    (18, "SYS_CHROOT"),
    (19, "SYS_PTRACE"),
    (20, "SYS_PACCT"),
    (21, "SYS_ADMIN"),
    (22, "SYS_BOOT"),
    (23, "SYS_NICE"),
    (24, "SYS_RESOURCE"),
    (25, "SYS_TIME"),
    (26, "SYS_TTY_CONFIG"),
    (27, "MKNOD"),
    (28, "LEASE"),
    (29, "AUDIT_WRITE"),
    (30, "AUDIT_CONTROL"),
    (31, "SETFCAP"),
    (32, "MAC_OVERRIDE"),
    (33, "MAC_ADMIN"),
    (34, "SYSLOG"),
    (35, "WAKE_ALARM"),
    (36, "BLOCK_SUSPEND"),
    (37, "AUDIT_READ"),
    (38, "PERFMON"),
    (39, "BPF"),
    (40, "CHECKPOINT_RESTORE"),
];

/// `include/linux/socket.h`, without 0, 1, 2 and 10, which are not judged as families.
const SOCKETS: &[(u8, &str)] = &[
    (token::RAW, "raw"),
    (3, "ax25"),
    (4, "ipx"),
    (5, "appletalk"),
    (6, "netrom"),
    (7, "bridge"),
    (8, "atmpvc"),
    (9, "x25"),
    (11, "rose"),
    (12, "decnet"),
    (13, "netbeui"),
    (14, "security"),
    (15, "key"),
    (16, "netlink"),
    (17, "packet"),
    (18, "ash"),
    (19, "econet"),
    (20, "atmsvc"),
    (21, "rds"),
    (22, "sna"),
    (23, "irda"),
    (24, "pppox"),
    (25, "wanpipe"),
    (26, "llc"),
    (27, "ib"),
    (28, "mpls"),
    (29, "can"),
    (30, "tipc"),
    (31, "bluetooth"),
    (32, "iucv"),
    (33, "rxrpc"),
    (34, "isdn"),
    (35, "phonet"),
    (36, "ieee802154"),
    (37, "caif"),
    (38, "alg"),
    (39, "nfc"),
    (40, "vsock"),
    (41, "kcm"),
    (42, "qipcrtr"),
    (43, "smc"),
    (44, "xdp"),
    (45, "mctp"),
];

const PRIVILEGES: &[(u8, &str)] = &[
    (Number::Ptrace as u8, "ptrace"),
    (Number::Mount as u8, "mount"),
    (Number::Umount as u8, "umount"),
    (Number::PivotRoot as u8, "pivot-root"),
    (Number::UserNamespace as u8, "user-namespace"),
    (Number::Bpf as u8, "bpf"),
    (Number::Perf as u8, "perf"),
    (Number::Module as u8, "module"),
    (Number::Kexec as u8, "kexec"),
    (Number::Keyring as u8, "keyring"),
    (Number::IoUring as u8, "io-uring"),
    (Number::Signal as u8, "signal"),
    (Number::ExecMemory as u8, "exec-memory"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_one_to_one() {
        for names in [CAPABILITIES, SOCKETS, PRIVILEGES] {
            for (index, (number, name)) in names.iter().enumerate() {
                assert!(names[..index].iter().all(|(other, text)| other < number && text != name), "{name}");
            }
        }
    }

    #[test]
    fn a_name_that_is_close_gets_the_right_one_and_any_other_the_list() {
        let error = |text: &str| text.parse::<Capability>().unwrap_err().message;
        assert_eq!(error("CAP_NET_ADMIN"), "`CAP_NET_ADMIN` is no capability: write `NET_ADMIN`");
        assert_eq!(error("net_admin"), "`net_admin` is no capability: write `NET_ADMIN`");
        assert!(error("ALL").starts_with("`ALL` is no capability: write CHOWN, DAC_OVERRIDE, "));
        assert_eq!("io_uring".parse::<Privilege>().unwrap_err().message, "`io_uring` is no privilege: write `io-uring`");
        assert_eq!("AF_PACKET".parse::<SocketKind>().unwrap_err().message, "`AF_PACKET` is no kind of socket: write `packet`");
    }

    #[test]
    fn a_number_without_a_name_is_written_as_one() {
        assert_eq!(Capability::from_number(41).unwrap().to_string(), "capability-41");
        assert_eq!("family-46".parse::<SocketKind>().unwrap().number(), 46);
        assert_eq!("family-17".parse::<SocketKind>().unwrap_err().message, "`family-17` has a name: write `packet`");
        assert_eq!(Capability::from_number(64), None);
        assert_eq!(Privilege::from_number(99), None);
        assert!("family-046".parse::<SocketKind>().is_err());
    }
}
