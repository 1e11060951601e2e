//! Addresses: what is listed is an address with a port and a protocol, whatever is spoken over it.

use portcullis_e2e::{TestResult, Vm, case::Case};

/// Names go over UDP, TCP, TLS (853) and HTTPS alike, and none of them is looked into: what holds is that each reaches listed addresses only.
pub(super) fn no_transport_of_names_reaches_an_address_that_is_not_listed(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "names", rules!("    connect: [{cidr: 127.0.0.53/32, ports: [53/UDP]}]\n"))?;
    case.enforce()?;
    for (words, answer) in [
        (["udp", "127.0.0.53:53"], "allowed"),
        (["send", "127.0.0.53:53"], "allowed"),
        (["udp", "127.0.0.54:53"], "EPERM"),
        (["send", "127.0.0.54:53"], "EPERM"),
        (["tcp", "127.0.0.53:53"], "EPERM"),
        (["tcp", "127.0.0.53:853"], "EPERM"),
        (["tcp", "127.0.0.53:443"], "EPERM"),
        (["udp", "127.0.0.53:443"], "EPERM"),
        (["fast-open", "127.0.0.53:53"], "EPERM"),
    ] {
        assert_eq!(case.attempt(&words)?, answer, "{words:?}");
    }
    case.end()
}
