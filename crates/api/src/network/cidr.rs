//! Address ranges.

use crate::{InvalidValue, text_form::text_form};
use ipnet::{IpNet, Ipv6Net};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// A range of addresses, `10.96.0.10/32` or `2001:db8::/32` (RFC 4632, RFC 4291 section 2.3), with no bits set behind its prefix.
///
/// IPv4 and IPv4-mapped IPv6 addresses are one object, as they are to the kernel, and are written as IPv4. An IPv6 range that holds
/// `::ffff:0:0/96` (only those up to `::/80`, `::/0` among them) therefore holds all of IPv4 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(IpNet);

impl Cidr {
    pub(crate) const SCHEMA_NAME: &str = "Cidr";

    /// Every address, IPv4 ones too: `::/0`.
    pub const ALL: Self = Self(IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)));

    /// The range of that one address; an IPv4-mapped one becomes IPv4.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }

    /// The range.
    #[must_use]
    pub fn net(self) -> IpNet {
        self.0
    }

    /// The range as IPv6, IPv4 as IPv4-mapped: its first address and the number of leading bits that count.
    #[must_use]
    pub fn mapped(self) -> ([u8; 16], u8) {
        match self.0 {
            IpNet::V4(net) => (net.network().to_ipv6_mapped().octets(), 96 + net.prefix_len()),
            IpNet::V6(net) => (net.network().octets(), net.prefix_len()),
        }
    }

    /// Whether every address of `other` is in this range.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        let ((own, bits), (theirs, their_bits)) = (self.mapped(), other.mapped());
        let differing = u128::from_be_bytes(own) ^ u128::from_be_bytes(theirs);
        bits <= their_bits && differing.leading_zeros() >= u32::from(bits)
    }
}

impl FromStr for Cidr {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Err(InvalidValue::whole(format!("an address without a prefix length: write `{}` for this one", Self::host(address))));
        }
        let net: IpNet = text.parse().map_err(|_| {
            InvalidValue::whole(format!(
                "`{text}` is no address range: write an address and a prefix length, as `10.0.0.0/8` or `2001:db8::/32`"
            ))
        })?;
        if net != net.trunc() {
            return Err(InvalidValue::whole(format!(
                "bits are set behind the first {}: write `{}` for the range or `{}` for the address",
                net.prefix_len(),
                net.trunc(),
                Self::host(net.addr())
            )));
        }
        if let IpNet::V6(v6) = net
            && v6.prefix_len() >= 96
            && let Some(address) = v6.addr().to_ipv4_mapped()
        {
            return Err(InvalidValue::whole(format!("an IPv4-mapped range: write it as IPv4, `{address}/{}`", v6.prefix_len() - 96)));
        }
        if net.to_string() != text {
            return Err(InvalidValue::whole(format!("not the shortest way to write this range: write `{net}`")));
        }
        Ok(Self(net))
    }
}

text_form!(Cidr);

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Cidr {
    fn schema_name() -> Cow<'static, str> {
        Self::SCHEMA_NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A range of addresses, as `10.0.0.0/8` or `2001:db8::/32`; no bits set behind the prefix, in the shortest way to write it.",
            "type": "string",
            "pattern": "^[0-9a-f.:]+/[0-9]{1,3}$",
            "maxLength": 43,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refuses(text: &str, help: &str) {
        let error = text.parse::<Cidr>().unwrap_err();
        assert!(error.message.contains(help), "{text}: {error}");
    }

    #[test]
    fn every_refusal_says_what_to_write_instead() {
        refuses("10.0.0.7", "10.0.0.7/32");
        refuses("2001:db8::1", "2001:db8::1/128");
        refuses("10.0.0.7/8", "10.0.0.0/8");
        refuses("10.0.0.7/8", "10.0.0.7/32");
        refuses("10.0.0.0/33", "prefix length");
        refuses("::ffff:10.0.0.0/104", "10.0.0.0/8");
        refuses("2001:DB8:0::/32", "2001:db8::/32");
        refuses("db", "prefix length");
    }

    #[test]
    fn a_wide_ipv6_range_contains_ipv4() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        assert!(cidr("::/0").contains(cidr("10.0.0.0/8")));
        assert!(cidr("::/80").contains(cidr("0.0.0.0/0")));
        assert!(!cidr("2001:db8::/32").contains(cidr("10.0.0.0/8")));
        assert!(!cidr("0.0.0.0/0").contains(cidr("::/0")));
    }

    proptest! {
        #[test]
        fn the_text_of_a_range_reads_back(address: u128, bits in 0u8..=128) {
            let net = Ipv6Net::new(address.into(), bits).unwrap().trunc();
            prop_assume!(bits < 96 || net.addr().to_ipv4_mapped().is_none());
            let cidr = Cidr(net.into());
            prop_assert_eq!(cidr.to_string().parse::<Cidr>(), Ok(cidr));
        }

        #[test]
        fn the_text_of_an_ipv4_range_reads_back(address: u32, bits in 0u8..=32) {
            let cidr = Cidr(ipnet::Ipv4Net::new(address.into(), bits).unwrap().trunc().into());
            prop_assert_eq!(cidr.to_string().parse::<Cidr>(), Ok(cidr));
        }
    }
}
