//! `connect` and `bind` rules as patterns of the keys of [`portcullis_abi::netkey`].
//!
//! ```text
//!  10.0.0.0/12, 8000-8100/TCP
//!  | CONNECT | 6 | 0 ×10, 255, 255, 10, 0–15, any, any | 31, 64–164 |
//! ```
//!
//! A range of addresses is one class a byte: those that the prefix fills have one value, the one in which it ends a range, the rest all. A
//! range of ports is no product of two classes, but at most three of them together. IPv4 is written as IPv4-mapped, so an IPv6 range that
//! holds `::ffff:0:0/96` (`::/0`) grants IPv4 as well. A `bind` rule holds every address.

use portcullis_abi::netkey;
use portcullis_api::{BindRule, Cidr, ConnectRule, Ports, Protocol};
use portcullis_matcher::{ByteClass, Pattern, PatternError};
use std::collections::BTreeSet;

/// The patterns of the keys that the rule grants.
pub(super) fn connect(rule: &ConnectRule) -> Result<Vec<Pattern>, PatternError> {
    patterns(netkey::CONNECT, rule.cidr, &rule.ports)
}

/// The patterns of the keys that the rule grants.
pub(super) fn bind(rule: &BindRule) -> Result<Vec<Pattern>, PatternError> {
    patterns(netkey::BIND, Cidr::ALL, &rule.ports)
}

fn patterns(operation: u8, cidr: Cidr, ports: &BTreeSet<Ports>) -> Result<Vec<Pattern>, PatternError> {
    let address = address(cidr);
    let keys = ports.iter().flat_map(|ports| port_classes(*ports).into_iter().map(move |classes| (protocol(*ports), classes)));
    keys.map(|(protocol, port)| {
        let operation = ByteClass::single(operation);
        Pattern::from_classes([operation, protocol].into_iter().chain(address).chain(port).collect())
    })
    .collect()
}

fn protocol(ports: Ports) -> ByteClass {
    match ports.protocol() {
        Protocol::Number(number) => ByteClass::single(number),
        Protocol::Any => ByteClass::ALL,
    }
}

fn address(cidr: Cidr) -> [ByteClass; 16] {
    let (bytes, bits) = cidr.mapped();
    let mut left = u32::from(bits);
    bytes.map(|byte| {
        let fixed = left.min(8);
        left -= fixed;
        let free = u8::MAX.checked_shr(fixed).unwrap_or(0);
        ByteClass::range(byte & !free..=byte | free)
    })
}

/// Pairs of classes, high byte and low byte, that together are the range.
fn port_classes(ports: Ports) -> Vec<[ByteClass; 2]> {
    let ([first_high, first_low], [last_high, last_low]) = (ports.first().to_be_bytes(), ports.last().to_be_bytes());
    let pair = |high: std::ops::RangeInclusive<u8>, low| (!high.is_empty()).then(|| [ByteClass::range(high), ByteClass::range(low)]);
    if first_high == last_high {
        return pair(first_high..=first_high, first_low..=last_low).into_iter().collect();
    }
    let head = (first_low > 0).then(|| pair(first_high..=first_high, first_low..=u8::MAX)).flatten();
    let tail = (last_low < u8::MAX).then(|| pair(last_high..=last_high, 0..=last_low)).flatten();
    // Neither end overflows: there is a head only where first_high < last_high, and a tail likewise.
    let middle = pair(first_high + u8::from(head.is_some())..=last_high - u8::from(tail.is_some()), 0..=u8::MAX);
    head.into_iter().chain(middle).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_abi::netkey::Endpoint;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    fn rule(cidr: &str, ports: Ports) -> ConnectRule {
        ConnectRule { cidr: cidr.parse().unwrap(), ports: [ports].into() }
    }

    fn grants(rule: &ConnectRule, endpoint: Endpoint) -> bool {
        connect(rule).unwrap().iter().any(|pattern| pattern.matches(&endpoint.connect_key()))
    }

    proptest! {
        #[test]
        fn a_range_of_ports_is_its_ports_in_three_patterns_at_most(a: u16, b: u16, port: u16, near in -2i32..3) {
            let ports = Ports::new(Protocol::TCP, a.min(b), a.max(b)).unwrap();
            let rule = rule("10.0.0.0/8", ports);
            prop_assert!((1..=3).contains(&connect(&rule).unwrap().len()));
            let near_end = u16::try_from((i32::from(b) + near).clamp(0, 65_535)).unwrap();
            for port in [a, b, port, near_end] {
                let inside = ports.first() <= port && port <= ports.last();
                prop_assert_eq!(grants(&rule, Endpoint::v4(6, [10, 1, 2, 3], port)), inside, "{}", port);
            }
            prop_assert!(!grants(&rule, Endpoint::v4(17, [10, 1, 2, 3], a)));
        }

        #[test]
        fn a_range_of_ipv6_addresses_is_its_addresses(base: u128, bits in 0u8..=128, other: u128, flipped in 0u32..128) {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            let cidr = format!("{}/{bits}", Ipv6Addr::from(base & mask));
            prop_assume!(bits < 96 || (base & mask) >> 32 != 0xffff);
            let rule = rule(&cidr, Ports::one(Protocol::TCP, 443));
            for address in [base, other, base ^ 1 << flipped] {
                let endpoint = Endpoint { protocol: 6, address: address.to_be_bytes(), port: 443 };
                prop_assert_eq!(grants(&rule, endpoint), address & mask == base & mask);
            }
        }

        #[test]
        fn a_range_of_ipv4_addresses_is_its_addresses(base: u32, bits in 0u32..=32, other: u32, flipped in 0u32..32) {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let rule = rule(&format!("{}/{bits}", std::net::Ipv4Addr::from(base & mask)), Ports::one(Protocol::UDP, 53));
            for address in [base, other, base ^ 1 << flipped] {
                prop_assert_eq!(grants(&rule, Endpoint::v4(17, address.to_be_bytes(), 53)), address & mask == base & mask);
            }
            let compatible = Endpoint { protocol: 17, address: u128::from(base).to_be_bytes(), port: 53 };
            prop_assert!(!grants(&rule, compatible));
        }
    }

    #[test]
    fn every_address_includes_ipv4_only_in_ipv6_ranges_that_hold_the_mapped_ones() {
        let all = Ports::new(Protocol::Any, 0, u16::MAX).unwrap();
        let v4 = Endpoint::v4(6, [169, 254, 169, 254], 80);
        assert!(grants(&rule("::/0", all), v4));
        assert!(grants(&rule("::/80", all), v4));
        assert!(!grants(&rule("2000::/3", all), v4));
        assert!(grants(&rule("0.0.0.0/0", all), v4));
    }

    #[test]
    fn a_bind_is_granted_by_its_port_whatever_the_address_and_grants_no_connection() {
        let rule = BindRule { ports: [Ports::one(Protocol::TCP, 8080)].into() };
        let granted = |key: &[u8]| bind(&rule).unwrap().iter().any(|pattern| pattern.matches(key));
        for address in [[0; 16], Endpoint::v4(6, [127, 0, 0, 1], 0).address, Ipv6Addr::LOCALHOST.octets(), [0xff; 16]] {
            let endpoint = |protocol, port| Endpoint { protocol, address, port };
            assert!(granted(&endpoint(6, 8080).bind_key()));
            assert!(!granted(&endpoint(6, 8081).bind_key()) && !granted(&endpoint(6, 0).bind_key()));
            assert!(!granted(&endpoint(17, 8080).bind_key()));
            assert!(!granted(&endpoint(6, 8080).connect_key()));
        }
    }

    #[test]
    fn any_protocol_is_each_of_them() {
        let rule = rule("0.0.0.0/0", Ports::one(Protocol::Any, 7));
        assert!((0..=u8::MAX).all(|protocol| grants(&rule, Endpoint::v4(protocol, [1, 2, 3, 4], 7))));
    }
}
