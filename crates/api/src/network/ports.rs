//! Ports and the protocols that they belong to.

use crate::{InvalidValue, text_form::text_form};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// An IP protocol, or all of them.
///
/// A `connect` is seen on sockets of every protocol. Those that workloads use have names; any other is written as its IANA number, so that
/// whatever was observed can be granted. A protocol without ports connects to port 0, which `*` includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Protocol {
    /// The protocol with that IANA number.
    Number(u8),
    /// Every protocol, written `ANY`.
    Any,
}

impl Protocol {
    /// Transmission Control Protocol.
    pub const TCP: Self = Self::Number(6);
    /// User Datagram Protocol.
    pub const UDP: Self = Self::Number(17);
    /// Stream Control Transmission Protocol.
    pub const SCTP: Self = Self::Number(132);
    /// Internet Control Message Protocol: `ping` over IPv4.
    pub const ICMP: Self = Self::Number(1);
    /// The same for IPv6.
    pub const ICMPV6: Self = Self::Number(58);

    const NAMED: [(Self, &str); 6] =
        [(Self::TCP, "TCP"), (Self::UDP, "UDP"), (Self::SCTP, "SCTP"), (Self::ICMP, "ICMP"), (Self::ICMPV6, "ICMPV6"), (Self::Any, "ANY")];

    /// Whether every packet of `other` is one of this protocol.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self == Self::Any || self == other
    }
}

impl FromStr for Protocol {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Some((protocol, _)) = Self::NAMED.iter().find(|(_, name)| *name == text) {
            return Ok(*protocol);
        }
        if let Some((_, name)) = Self::NAMED.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Err(InvalidValue::whole(format!("`{text}` is no protocol: write `{name}`")));
        }
        let number: u8 = decimal(text).ok_or_else(|| {
            InvalidValue::whole(format!("`{text}` is no protocol: write TCP, UDP, SCTP, ICMP, ICMPV6, ANY, or the number of another"))
        })?;
        match Self::NAMED.iter().find(|(protocol, _)| *protocol == Self::Number(number)) {
            Some((_, name)) => Err(InvalidValue::whole(format!("protocol {number} has a name: write `{name}`"))),
            None => Ok(Self::Number(number)),
        }
    }
}

text_form!(Protocol);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (Self::NAMED.iter().find(|(protocol, _)| protocol == self), self) {
            (Some((_, name)), _) => f.write_str(name),
            (None, Self::Number(number)) => number.fmt(f),
            (None, Self::Any) => f.write_str("ANY"),
        }
    }
}

/// A range of ports of one protocol: `5432/TCP`, `8000-8100/TCP`, `*/UDP`, `*/ANY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ports {
    protocol: Protocol,
    first: u16,
    last: u16,
}

impl Ports {
    pub(crate) const SCHEMA_NAME: &str = "Ports";

    /// The ports from `first` to `last`, both included; `None` where `last` is before `first`.
    #[must_use]
    pub fn new(protocol: Protocol, first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(Self { protocol, first, last })
    }

    /// That one port.
    #[must_use]
    pub fn one(protocol: Protocol, port: u16) -> Self {
        Self { protocol, first: port, last: port }
    }

    /// Whose ports they are.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        self.protocol
    }

    /// The first port.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last port.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether all of `other` is among these ports.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.protocol.contains(other.protocol) && self.first <= other.first && other.last <= self.last
    }
}

impl FromStr for Ports {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let Some((ports, protocol)) = text.split_once('/') else {
            return Err(InvalidValue::whole(format!("the protocol is missing: write `{text}/TCP` or `{text}/UDP`")));
        };
        let protocol = protocol.parse().map_err(|error: InvalidValue| InvalidValue { column: ports.chars().count() + 2, ..error })?;
        if ports == "*" {
            return Ok(Self { protocol, first: 0, last: u16::MAX });
        }
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str, column| {
            decimal(text).ok_or_else(|| InvalidValue {
                column,
                message: format!("`{text}` is no port: write a number from 0 to 65535, a range as `8000-8100`, or `*`"),
            })
        };
        let last_at = if first.len() == ports.len() { 1 } else { first.chars().count() + 2 };
        let (first, last): (u16, u16) = (port(first, 1)?, port(last, last_at)?);
        if (first, last) == (0, u16::MAX) {
            return Err(InvalidValue::whole(format!("every port: write `*/{protocol}`")));
        }
        if first == last && ports.contains('-') {
            return Err(InvalidValue::whole(format!("a range of one port: write `{first}/{protocol}`")));
        }
        Self::new(protocol, first, last)
            .ok_or_else(|| InvalidValue::whole(format!("the range ends before it begins: write `{last}-{first}/{protocol}`")))
    }
}

/// A number in decimal digits alone, without leading zeros: what `str::parse` takes, less signs and second spellings.
fn decimal<N: FromStr + ToString>(text: &str) -> Option<N> {
    text.parse().ok().filter(|number: &N| number.to_string() == text)
}

text_form!(Ports);

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (0, u16::MAX) => write!(f, "*/{}", self.protocol),
            (first, last) if first == last => write!(f, "{first}/{}", self.protocol),
            (first, last) => write!(f, "{first}-{last}/{}", self.protocol),
        }
    }
}

impl JsonSchema for Ports {
    fn schema_name() -> Cow<'static, str> {
        Self::SCHEMA_NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Ports of a protocol: `5432/TCP`, `8000-8100/TCP`, `*/UDP`. The protocol is TCP, UDP, SCTP, ICMP, ICMPV6, ANY or a number.",
            "type": "string",
            "pattern": r"^(\*|[0-9]{1,5}(-[0-9]{1,5})?)/(TCP|UDP|SCTP|ICMP|ICMPV6|ANY|[0-9]{1,3})$",
            "maxLength": 18,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refuses(text: &str, column: usize, help: &str) {
        let error = text.parse::<Ports>().unwrap_err();
        assert!(error.column == column && error.message.contains(help), "{text}: {error:?}");
    }

    #[test]
    fn every_refusal_says_where_and_what_to_write_instead() {
        refuses("5432", 1, "5432/TCP");
        refuses("5432/tcp", 6, "TCP");
        refuses("5432/HTTP", 6, "SCTP");
        refuses("5432/6", 6, "TCP");
        refuses("65536/TCP", 1, "65535");
        refuses("1-x/TCP", 3, "65535");
        refuses("053/UDP", 1, "0 to 65535");
        refuses("+53/UDP", 1, "0 to 65535");
        refuses("90-80/TCP", 1, "80-90/TCP");
        refuses("80-80/TCP", 1, "80/TCP");
        refuses("0-65535/TCP", 1, "*/TCP");
    }

    #[test]
    fn a_wildcard_contains_every_port_of_its_protocol_only() {
        let ports = |text: &str| text.parse::<Ports>().unwrap();
        assert!(ports("*/UDP").contains(ports("53/UDP")));
        assert!(!ports("*/UDP").contains(ports("53/TCP")));
        assert!(ports("*/ANY").contains(ports("0/ICMP")));
        assert!(!ports("53/TCP").contains(ports("*/ANY")));
    }

    proptest! {
        #[test]
        fn the_text_of_ports_reads_back(protocol in prop_oneof![any::<u8>().prop_map(Protocol::Number), Just(Protocol::Any)], a: u16, b: u16) {
            let ports = Ports::new(protocol, a.min(b), a.max(b)).unwrap();
            prop_assert_eq!(ports.to_string().parse::<Ports>(), Ok(ports));
        }
    }
}
