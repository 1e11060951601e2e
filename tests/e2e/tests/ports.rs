//! Sockets that can be reached: bind and listen, and what the other end of a connection or message must be, for each protocol.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::event::{Action, Operation};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer::{self, PROFILES},
    kernel_tests,
};

kernel_tests!(machine:
    a_port_needs_bind_whatever_the_address,
    a_port_that_the_kernel_chooses_is_port_0,
    each_listener_passes_one_check,
    a_client_needs_no_bind,
    every_protocol_has_ports_of_its_own,
    what_connects_by_sending_needs_connect,
    the_ports_that_were_learned_are_those_that_are_then_allowed,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

macro_rules! rules {
    ($rules:expr) => {
        concat!("    exec: [{path: /attempt}, {path: /bin/sleep}]\n", $rules)
    };
}

/// What a raw socket needs before it has an address.
macro_rules! raw {
    ($rules:literal) => {
        rules!(concat!("    capabilities: [NET_RAW]\n    sockets: [raw]\n", $rules))
    };
}

/// Each attempt with the answer it must get.
fn answers(case: &Case<'_>, attempts: &[(&[&str], &str)]) -> TestResult {
    for (words, answer) in attempts {
        assert_eq!(case.attempt(words)?, *answer, "{words:?}");
    }
    Ok(())
}

fn a_port_needs_bind_whatever_the_address(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "bind", rules!("    bind: [{ports: [8080-8089/TCP, 5353/UDP]}]\n"))?;
    case.check(&["bind", "tcp", "127.0.0.1:8080"], &["bind", "tcp", "127.0.0.1:4444"], |event| {
        event.operation == Operation::Bind
            && serde_json::json!(event.object) == serde_json::json!({"address": "127.0.0.1", "port": 4444, "protocol": "TCP"})
            && serde_json::json!(event)["rule"] == serde_json::json!({"bind": [{"ports": ["4444/TCP"]}]})
    })?;
    answers(
        &case,
        &[
            (&["bind", "tcp", "0.0.0.0:8081"], "allowed"),
            (&["bind", "tcp", "0.0.0.0:4444"], "EPERM"),
            (&["bind", "tcp", "[::]:8082"], "allowed"),
            (&["bind", "tcp", "[::1]:8082"], "allowed"),
            (&["bind", "tcp", "[::]:4444"], "EPERM"),
            (&["bind", "tcp", "[::ffff:127.0.0.1]:8083"], "allowed"),
            (&["bind", "tcp", "[::ffff:127.0.0.1]:4444"], "EPERM"),
            (&["bind", "udp", "0.0.0.0:5353"], "allowed"),
            (&["bind", "udp", "[::1]:5353"], "allowed"),
            (&["bind", "udp", "0.0.0.0:8080"], "EPERM"),
            (&["bind", "tcp", "0.0.0.0:5353"], "EPERM"),
            // An address of no family is 0.0.0.0.
            (&["bind-unspecified", "8084"], "allowed"),
            (&["bind-unspecified", "4444"], "EPERM"),
        ],
    )?;
    case.end()
}

fn a_port_that_the_kernel_chooses_is_port_0(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "any-port", rules!("    bind: [{ports: [0/TCP]}]\n"))?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["bind", "tcp", "127.0.0.1:0"], "allowed"),
            (&["bind", "tcp", "127.0.0.1:40000"], "EPERM"),
            (&["bind", "udp", "127.0.0.1:0"], "EPERM"),
            (&["serve", "127.0.0.1:0"], "allowed"),
        ],
    )?;
    case.end()
}

fn each_listener_passes_one_check(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "listen", rules!("    bind: [{ports: [8080/TCP]}]\n"))?;
    case.enforce()?;
    answers(
        &case,
        &[
            // Port 0 is not granted: to listen after a bind asks for nothing more.
            (&["serve", "127.0.0.1:8080"], "allowed"),
            (&["listen", "tcp", "0.0.0.0:0"], "EPERM"),
            (&["listen", "tcp", "[::]:0"], "EPERM"),
            (&["listen", "mptcp", "0.0.0.0:0"], "EPERM"),
            (&["listen", "sctp", "0.0.0.0:0"], "EPERM"),
        ],
    )?;
    case.enforcer.wait_for_event("listen", |event| {
        event.action == Action::Blocked
            && event.operation == Operation::Bind
            && serde_json::json!(event.object) == serde_json::json!({"address": "::", "port": 0, "protocol": "TCP"})
    })?;
    case.end()?;
    let mut case = Case::new(vm, "listen-any", rules!("    bind: [{ports: [0/TCP]}]\n"))?;
    case.enforce()?;
    answers(&case, &[(&["listen", "tcp", "0.0.0.0:0"], "allowed"), (&["listen", "tcp", "[::]:0"], "allowed")])?;
    case.end()
}

fn a_client_needs_no_bind(vm: &Vm) -> TestResult {
    let rules = rules!("    connect: [{cidr: 127.0.0.1/32, ports: [\"*/ANY\"]}]\n");
    let mut case = Case::new(vm, "client", rules)?;
    case.enforce()?;
    for attempt in [&["tcp", "127.0.0.1:80"], &["udp", "127.0.0.1:53"], &["send", "127.0.0.1:53"]] {
        answers(&case, &[(attempt, "allowed")])?;
    }
    case.end()
}

fn every_protocol_has_ports_of_its_own(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "protocols", raw!("    bind: [{ports: [8080/SCTP, 0/ICMP]}]\n"))?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["bind", "sctp", "127.0.0.1:8080"], "allowed"),
            (&["bind", "sctp-many", "[::1]:8080"], "allowed"),
            (&["bind", "sctp", "127.0.0.1:8081"], "EPERM"),
            (&["bind", "raw", "127.0.0.1:0"], "allowed"),
            (&["bind", "tcp", "127.0.0.1:8080"], "EPERM"),
            // Multipath TCP is TCP.
            (&["bind", "mptcp", "127.0.0.1:8080"], "EPERM"),
        ],
    )?;
    case.end()?;
    let mut case = Case::new(vm, "multipath", raw!("    bind: [{ports: [8080/TCP]}]\n"))?;
    case.enforce()?;
    answers(&case, &[(&["bind", "mptcp", "127.0.0.1:8080"], "allowed"), (&["bind", "raw", "127.0.0.1:0"], "EPERM")])?;
    case.end()
}

fn what_connects_by_sending_needs_connect(vm: &Vm) -> TestResult {
    let rules = raw!("    connect: [{cidr: 127.0.0.1/32, ports: [80/TCP, 80/SCTP, 0/ICMP, 53/UDP]}]\n");
    let mut case = Case::new(vm, "sending", rules)?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["fast-open", "127.0.0.1:80"], "allowed"),
            (&["fast-open", "127.0.0.1:81"], "EPERM"),
            (&["connect", "mptcp", "127.0.0.1:80"], "allowed"),
            (&["connect", "mptcp", "127.0.0.1:81"], "EPERM"),
            (&["connect", "sctp", "127.0.0.1:80"], "allowed"),
            (&["connect", "sctp", "127.0.0.1:81"], "EPERM"),
            (&["send-by", "sctp-many", "127.0.0.1:80"], "allowed"),
            (&["send-by", "sctp-many", "127.0.0.1:81"], "EPERM"),
            (&["send-by", "raw", "127.0.0.1:0"], "allowed"),
            (&["send-by", "raw", "127.0.0.2:0"], "EPERM"),
            (&["send", "[::ffff:127.0.0.1]:53"], "allowed"),
            (&["send", "[::ffff:127.0.0.1]:54"], "EPERM"),
            (&["send", "[::ffff:127.0.0.2]:53"], "EPERM"),
        ],
    )?;
    case.enforcer
        .wait_for_event("fast open", |event| event.operation == Operation::Send && serde_json::json!(event.object)["protocol"] == "TCP")?;
    case.end()
}

fn the_ports_that_were_learned_are_those_that_are_then_allowed(vm: &Vm) -> TestResult {
    let rules = rules!("");
    let mut case = Case::new(vm, "learned", rules)?;
    case.enforcer.apply("learned.yaml", &profile("learned", "learn", rules))?;
    let learned: [&[&str]; 4] =
        [&["serve", "0.0.0.0:8080"], &["serve", "[::]:8081"], &["bind", "udp", "0.0.0.0:0"], &["bind", "sctp", "127.0.0.1:9"]];
    for attempt in learned {
        answers(&case, &[(attempt, "allowed")])?;
    }
    let file = format!("{PROFILES}/learned.yaml");
    let rule = "    bind:\n    - {ports: [8080-8081/TCP, 0/UDP, 9/SCTP]}";
    let text = case.enforcer.wait_for_file(&file, |text| text.contains(rule))?;
    case.enforcer.apply("learned.yaml", &text.replace("mode: learn", "mode: enforce"))?;
    for attempt in learned {
        answers(&case, &[(attempt, "allowed")])?;
    }
    for attempt in
        [["serve", "0.0.0.0:8082", ""], ["listen", "tcp", "0.0.0.0:0"], ["bind", "udp", "0.0.0.0:8080"], ["bind", "sctp", "127.0.0.1:10"]]
    {
        let words: Vec<&str> = attempt.into_iter().filter(|word| !word.is_empty()).collect();
        answers(&case, &[(&words, "EPERM")])?;
    }
    case.end()
}
