//! What `connect` and `bind` rules are made of: address ranges and ports, each with one way to be written.

mod cidr;
mod ports;

pub use cidr::Cidr;
pub use ports::{Ports, Protocol};
