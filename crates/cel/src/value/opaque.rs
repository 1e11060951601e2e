//! Values of Kubernetes' libraries.

use crate::{
    Opaque,
    library::{formats::Format, quantity::Quantity, url::Url},
};
use std::{fmt, net::IpAddr};

/// A value of a type that a library of Kubernetes brings.
#[derive(Clone, Debug, PartialEq)]
pub enum OpaqueValue {
    /// `quantity(…)`.
    Quantity(Quantity),
    /// `ip(…)`.
    Ip(IpAddr),
    /// `cidr(…)`.
    Cidr(Cidr),
    /// `url(…)`.
    Url(Url),
    /// `semver(…)`.
    Semver(semver::Version),
    /// `format.NAME()`.
    Format(Format),
}

/// An address with the length of a prefix; bits after the prefix are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// Any address of the network.
    pub address: IpAddr,
    /// Bits that name the network.
    pub length: u8,
}

impl OpaqueValue {
    pub(crate) fn kind(&self) -> Opaque {
        match self {
            Self::Quantity(_) => Opaque::Quantity,
            Self::Ip(_) => Opaque::Ip,
            Self::Cidr(_) => Opaque::Cidr,
            Self::Url(_) => Opaque::Url,
            Self::Semver(_) => Opaque::Semver,
            Self::Format(_) => Opaque::Format,
        }
    }

    /// Equality as expressions see it.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Quantity(a), Self::Quantity(b)) => a.cmp(b).is_eq(),
            (Self::Semver(a), Self::Semver(b)) => a.cmp_precedence(b).is_eq(),
            _ => self == other,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}
