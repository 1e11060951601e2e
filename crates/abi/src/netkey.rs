//! Network operations as bytes, so that the automaton that judges paths judges addresses too.
//!
//! ```text
//!  0          1          2                    18              20
//! | operation | protocol | address, 16 bytes  | port, 2 bytes |
//! ```
//!
//! Every path begins with `/`, and no operation's byte is `/`, so the two kinds of key share one table. An IPv4 address is written as the
//! IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2), which makes `1.2.3.4` and `::ffff:1.2.3.4` one object, as they are to the kernel.
//! Address and port are in network byte order, so that a prefix of the address is a prefix of the key.

/// First byte of the key of a `connect`, and of a message that is sent to an address without one.
pub const CONNECT: u8 = 1;
/// First byte of the key of a `bind`, whose address and port are the socket's own.
pub const BIND: u8 = 2;

/// Length of a key in bytes.
pub const LEN: usize = 20;
/// Where the protocol lies.
pub const PROTOCOL_AT: usize = 1;
/// Where the address begins.
pub const ADDRESS_AT: usize = 2;
/// Where the port begins.
pub const PORT_AT: usize = 18;

/// The first 12 bytes of an IPv4-mapped address.
pub const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// A network object: what a key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// IP protocol number, as in `/etc/protocols`: 6 is TCP, 17 UDP.
    pub protocol: u8,
    /// The address in network byte order, IPv4 as IPv4-mapped.
    pub address: [u8; 16],
    /// The port in host byte order; 0 for protocols that have none.
    pub port: u16,
}

impl Endpoint {
    /// An IPv4 endpoint.
    #[must_use]
    pub const fn v4(protocol: u8, address: [u8; 4], port: u16) -> Self {
        let [a, b, c, d] = address;
        Self { protocol, address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d], port }
    }

    /// The key of a `connect` to this endpoint.
    #[must_use]
    pub fn connect_key(&self) -> [u8; LEN] {
        self.key(CONNECT)
    }

    /// The key of a `bind` to this endpoint.
    #[must_use]
    pub fn bind_key(&self) -> [u8; LEN] {
        self.key(BIND)
    }

    fn key(&self, operation: u8) -> [u8; LEN] {
        let mut key = [0; LEN];
        let [high, low] = self.port.to_be_bytes();
        let bytes = [operation, self.protocol].into_iter().chain(self.address).chain([high, low]);
        for (to, from) in key.iter_mut().zip(bytes) {
            *to = from;
        }
        key
    }

    /// The endpoint that a key of a `connect` names; `None` for any other bytes.
    #[must_use]
    pub fn from_connect_key(key: &[u8]) -> Option<Self> {
        Self::from_key(CONNECT, key)
    }

    /// The endpoint that a key of a `bind` names; `None` for any other bytes.
    #[must_use]
    pub fn from_bind_key(key: &[u8]) -> Option<Self> {
        Self::from_key(BIND, key)
    }

    fn from_key(operation: u8, key: &[u8]) -> Option<Self> {
        let (head, rest) = key.split_first_chunk::<2>()?;
        let (address, port) = rest.split_first_chunk::<16>()?;
        let port: [u8; 2] = port.try_into().ok()?;
        match *head {
            [of, protocol] if of == operation => Some(Self { protocol, address: *address, port: u16::from_be_bytes(port) }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_gives_back_its_endpoint(protocol: u8, address: [u8; 16], port: u16) {
            let endpoint = Endpoint { protocol, address, port };
            prop_assert_eq!(Endpoint::from_connect_key(&endpoint.connect_key()), Some(endpoint));
            prop_assert_eq!(Endpoint::from_bind_key(&endpoint.bind_key()), Some(endpoint));
            prop_assert_eq!(Endpoint::from_bind_key(&endpoint.connect_key()), None, "of another operation");
        }

        #[test]
        fn other_bytes_are_no_endpoint(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assume!(bytes.len() != LEN || bytes[0] != CONNECT);
            prop_assert_eq!(Endpoint::from_connect_key(&bytes), None);
        }
    }

    #[test]
    fn ipv4_is_written_as_its_mapped_address() {
        let key = Endpoint::v4(6, [10, 0, 0, 7], 5432).connect_key();
        assert_eq!(key, [1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 7, 0x15, 0x38]);
    }

    #[test]
    fn no_key_can_be_taken_for_a_path() {
        assert!(![CONNECT, BIND].contains(&b'/'));
    }
}
