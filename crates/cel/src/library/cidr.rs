//! Networks: an address with the length of its prefix.

use super::{Call, Evaluated, Overload, Ty, fault, global, ip, member, shortened};
use crate::{Cidr, Opaque, OpaqueValue, Value};
use std::net::IpAddr;

const CIDR: Ty = Ty::Opaque(Opaque::Cidr);
const IP: Ty = Ty::Opaque(Opaque::Ip);

pub(super) const OVERLOADS: &[Overload] = &[
    global(30, "cidr", &[Ty::String], CIDR, cidr),
    global(30, "isCIDR", &[Ty::String], Ty::Bool, |call| Ok(Value::Bool(parse(&call.text(0)).is_some()))),
    member(30, "containsIP", &[CIDR, IP], Ty::Bool, contains_ip),
    member(30, "containsIP", &[CIDR, Ty::String], Ty::Bool, contains_ip),
    member(30, "containsCIDR", &[CIDR, CIDR], Ty::Bool, contains_cidr),
    member(30, "containsCIDR", &[CIDR, Ty::String], Ty::Bool, contains_cidr),
    member(30, "ip", &[CIDR], IP, |call| of(call, |cidr| Value::opaque(OpaqueValue::Ip(cidr.address)))),
    member(30, "masked", &[CIDR], CIDR, |call| of(call, |cidr| Value::opaque(OpaqueValue::Cidr(masked(cidr))))),
    member(30, "prefixLength", &[CIDR], Ty::Int, |call| of(call, |cidr| Value::Int(cidr.length.into()))),
];

fn parse(text: &str) -> Option<Cidr> {
    let (address, length) = text.rsplit_once('/')?;
    let address = ip::parse(address)?;
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (length.len() > 1 && length.starts_with('0')) {
        return None;
    }
    let length: u8 = length.parse().ok()?;
    (length <= bits(address)).then_some(Cidr { address, length })
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The bits that name the network, in the lower bits.
fn prefix(address: IpAddr, length: u8) -> u128 {
    let value = match address {
        IpAddr::V4(four) => u128::from(four.to_bits()),
        IpAddr::V6(six) => six.to_bits(),
    };
    value.checked_shr(u32::from(bits(address).saturating_sub(length))).unwrap_or(0)
}

fn masked(cidr: Cidr) -> Cidr {
    let shift = u32::from(bits(cidr.address).saturating_sub(cidr.length));
    let value = prefix(cidr.address, cidr.length).checked_shl(shift).unwrap_or(0);
    let address = match cidr.address {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(value).unwrap_or_default())),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::from_bits(value)),
    };
    Cidr { address, length: cidr.length }
}

fn holds(cidr: Cidr, address: IpAddr) -> bool {
    cidr.address.is_ipv4() == address.is_ipv4() && prefix(cidr.address, cidr.length) == prefix(address, cidr.length)
}

fn wrong<'a>(text: &str) -> Evaluated<'a> {
    fault(format!("network address parse error during conversion from string: {:?} is not a CIDR like '10.0.0.0/8'", shortened(text)))
}

fn cidr<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    parse(&text).map_or_else(|| wrong(&text), |cidr| Ok(Value::opaque(OpaqueValue::Cidr(cidr))))
}

fn of<'a>(call: &mut Call<'_, 'a>, answer: impl Fn(Cidr) -> Value<'a>) -> Evaluated<'a> {
    match call.argument(0) {
        Value::Opaque(value) => match *value {
            OpaqueValue::Cidr(cidr) => Ok(answer(cidr)),
            _ => fault("no such overload"),
        },
        _ => fault("no such overload"),
    }
}

fn contains_ip<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let address = match call.argument(1) {
        Value::String(text) => match ip::parse(&text) {
            Some(address) => address,
            None => return ip::wrong(&text),
        },
        Value::Opaque(value) => match *value {
            OpaqueValue::Ip(address) => address,
            _ => return fault("no such overload"),
        },
        _ => return fault("no such overload"),
    };
    of(call, |cidr| Value::Bool(holds(cidr, address)))
}

fn contains_cidr<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let inner = match call.argument(1) {
        Value::String(text) => match parse(&text) {
            Some(cidr) => cidr,
            None => return wrong(&text),
        },
        Value::Opaque(value) => match *value {
            OpaqueValue::Cidr(cidr) => cidr,
            _ => return fault("no such overload"),
        },
        _ => return fault("no such overload"),
    };
    of(call, |cidr| Value::Bool(cidr.length <= inner.length && holds(cidr, inner.address)))
}
