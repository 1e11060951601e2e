//! IP addresses: without zones, without leading zeros, and never IPv4 written as IPv6.

use super::{Call, Evaluated, Overload, Ty, fault, global, member, shortened};
use crate::{Opaque, OpaqueValue, Value};
use std::net::IpAddr;

const IP: Ty = Ty::Opaque(Opaque::Ip);

pub(super) const OVERLOADS: &[Overload] = &[
    global(30, "ip", &[Ty::String], IP, ip),
    global(30, "isIP", &[Ty::String], Ty::Bool, |call| Ok(Value::Bool(parse(&call.text(0)).is_some()))),
    global(30, "ip.isCanonical", &[Ty::String], Ty::Bool, is_canonical),
    member(30, "family", &[IP], Ty::Int, |call| of(call, |ip| Value::Int(if ip.is_ipv4() { 4 } else { 6 }))),
    member(30, "isUnspecified", &[IP], Ty::Bool, |call| of(call, |ip| Value::Bool(ip.is_unspecified()))),
    member(30, "isLoopback", &[IP], Ty::Bool, |call| of(call, |ip| Value::Bool(ip.is_loopback()))),
    member(30, "isLinkLocalMulticast", &[IP], Ty::Bool, |call| of(call, |ip| Value::Bool(is_link_local_multicast(ip)))),
    member(30, "isLinkLocalUnicast", &[IP], Ty::Bool, |call| of(call, |ip| Value::Bool(is_link_local_unicast(ip)))),
    member(30, "isGlobalUnicast", &[IP], Ty::Bool, |call| of(call, |ip| Value::Bool(is_global_unicast(ip)))),
];

/// The address that a text is.
pub(super) fn parse(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    match address {
        IpAddr::V6(six) if six.to_ipv4_mapped().is_some() => None,
        _ => Some(address),
    }
}

pub(super) fn wrong<'a>(text: &str) -> Evaluated<'a> {
    fault(format!("IP Address {:?} parse error during conversion from string", shortened(text)))
}

fn ip<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    parse(&text).map_or_else(|| wrong(&text), |ip| Ok(Value::opaque(OpaqueValue::Ip(ip))))
}

fn is_canonical<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    parse(&text).map_or_else(|| wrong(&text), |ip| Ok(Value::Bool(ip.to_string() == *text)))
}

fn of<'a>(call: &mut Call<'_, 'a>, answer: impl Fn(IpAddr) -> Value<'a>) -> Evaluated<'a> {
    match call.argument(0) {
        Value::Opaque(value) => match *value {
            OpaqueValue::Ip(ip) => Ok(answer(ip)),
            _ => fault("no such overload"),
        },
        _ => fault("no such overload"),
    }
}

fn is_link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(four) => matches!(four.octets(), [224, 0, 0, _]),
        IpAddr::V6(six) => matches!(six.octets(), [0xff, scope, ..] if scope & 0x0f == 0x02),
    }
}

fn is_link_local_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    }
}

/// Whether any packet could be sent to one host of this address: private ones are, too.
fn is_global_unicast(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(four) if four.is_broadcast());
    !is_broadcast && !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !is_link_local_unicast(ip)
}
