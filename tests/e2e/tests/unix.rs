//! UNIX sockets: by the path that the other end is bound to, and by abstract names.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::event::{Action, Operation};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer::{self, PROFILES, path_of},
    kernel_tests,
    process::Process,
};
use std::time::Duration;

kernel_tests!(machine:
    a_socket_of_a_path_needs_connect,
    a_socket_is_judged_by_the_name_that_it_was_bound_to,
    a_socket_that_was_bound_outside_has_the_name_of_its_mount,
    a_socket_on_a_layer_has_its_own_name,
    a_datagram_needs_connect_once,
    a_pair_needs_nothing,
    an_abstract_name_needs_to_be_listed,
    the_names_that_were_learned_are_those_that_are_then_allowed,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

macro_rules! rules {
    ($rules:literal) => {
        concat!("    exec: [{path: /attempt}, {path: /bin/sleep}]\n", $rules)
    };
}

/// Each attempt with the answer it must get.
fn answers(case: &Case<'_>, attempts: &[(&[&str], &str)]) -> TestResult {
    for (words, answer) in attempts {
        assert_eq!(case.attempt(words)?, *answer, "{words:?}");
    }
    Ok(())
}

/// A socket that listens on the node, outside of every container, for as long as the process runs.
fn outside<'vm>(vm: &'vm Vm, kind: &str, address: &str) -> Result<Process<'vm>, Box<dyn std::error::Error>> {
    let mut process = vm.command("portcullis-attempt").args(["unix-listen", kind, address]).spawn()?;
    process.wait_for_line("listening", Duration::from_secs(30))?;
    Ok(process)
}

fn a_socket_of_a_path_needs_connect(vm: &Vm) -> TestResult {
    let rules = rules!(
        "    files:\n    - {path: \"/data/listed*\", access: [create, delete, connect]}\n    \
         - {path: \"/data/other*\", access: [create, delete, write]}\n"
    );
    let mut case = Case::new(vm, "unix", rules)?;
    case.check(&["unix-reach", "stream", "/data/listed"], &["unix-reach", "stream", "/data/other-1"], |event| {
        event.operation == Operation::Connect
            && path_of(event) == "/data/other-1"
            && serde_json::json!(event)["access"] == serde_json::json!(["connect"])
            && serde_json::json!(event)["rule"] == serde_json::json!({"files": [{"path": "/data/other-1", "access": ["connect"]}]})
    })?;
    answers(
        &case,
        &[
            (&["unix-reach", "packets", "/data/listed"], "allowed"),
            (&["unix-reach", "packets", "/data/other-2"], "EPERM"),
            // To bind makes an entry.
            (&["unix-bind", "stream", "/data/listed-too"], "allowed"),
            (&["unix-bind", "stream", "/secret/x"], "EPERM"),
        ],
    )?;
    case.end()
}

fn a_socket_is_judged_by_the_name_that_it_was_bound_to(vm: &Vm) -> TestResult {
    let rules =
        rules!("    files: [{path: \"/data/listed*\", access: [create, write, delete, connect]}, {path: /data/bound, access: [create]}]\n");
    let mut case = Case::new(vm, "bound", rules)?;
    let mut server = case.container.exec(["/attempt", "unix-listen", "stream", "/data/bound"]).spawn()?;
    server.wait_for_line("listening", Duration::from_secs(30))?;
    for how in ["symlink", "link"] {
        answers(&case, &[(&[how, "/data/bound", &format!("/data/listed-{how}")], "allowed")])?;
    }
    case.enforce()?;
    for how in ["symlink", "link"] {
        answers(&case, &[(&["unix-connect", "stream", &format!("/data/listed-{how}")], "EPERM")])?;
    }
    case.enforcer.wait_for_event("the bound name", |event| event.action == Action::Blocked && path_of(event) == "/data/bound")?;
    server.write(b"\n")?;
    case.end()
}

fn a_socket_that_was_bound_outside_has_the_name_of_its_mount(vm: &Vm) -> TestResult {
    vm.command("mkdir").args(["-p", "/run/outside/listed", "/run/outside/other"]).check()?;
    let mut servers = Vec::new();
    for folder in ["listed", "other"] {
        for (kind, name) in [("stream", "stream"), ("datagram", "datagram")] {
            servers.push(outside(vm, kind, &format!("/run/outside/{folder}/{name}"))?);
        }
    }
    let rules = rules!("    files: [{path: \"/mnt/listed/*\", access: [connect]}]\n");
    let mut case = Case::with(vm, "mounted", rules, |container| {
        container
            .bind("/run/outside/listed", "/mnt/listed")
            .bind("/run/outside/other", "/mnt/other")
            .bind("/run/outside/other/stream", "/alone/denied")
    })?;
    case.check(&["unix-connect", "stream", "/mnt/listed/stream"], &["unix-connect", "stream", "/mnt/other/stream"], |event| {
        // Its file has two names here: that of the folder, or its own.
        ["/mnt/other/stream", "/alone/denied"].contains(&path_of(event)) && serde_json::json!(event)["rule"] != serde_json::Value::Null
    })?;
    answers(
        &case,
        &[
            (&["unix-connect", "stream", "/alone/denied"], "EPERM"),
            (&["unix-send", "/mnt/listed/datagram"], "allowed"),
            (&["unix-send", "/mnt/other/datagram"], "EPERM"),
            (&["unix-connect", "datagram", "/mnt/other/datagram"], "EPERM"),
        ],
    )?;
    case.end()?;
    for server in servers {
        server.write(b"\n")?;
    }
    Ok(())
}

fn a_socket_on_a_layer_has_its_own_name(vm: &Vm) -> TestResult {
    let rules =
        rules!("    files: [{path: /data/listed, access: [create, delete, connect]}, {path: /data/unlisted, access: [create, delete]}]\n");
    let mut case = Case::layered(vm, "unix-layer", rules)?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["unix-reach", "stream", "/data/listed"], "allowed"),
            (&["unix-reach", "datagram", "/data/listed"], "allowed"),
            (&["unix-reach", "stream", "/data/unlisted"], "EPERM"),
        ],
    )?;
    case.enforcer.wait_for_event("its name", |event| event.action == Action::Blocked && path_of(event) == "/data/unlisted")?;
    case.end()
}

fn a_datagram_needs_connect_once(vm: &Vm) -> TestResult {
    let rules = rules!("    files: [{path: /mnt/listed, access: [connect]}]\n    unix: {connect: [\"@listed\"]}\n");
    vm.command("mkdir").args(["-p", "/run/datagrams"]).check()?;
    let servers = ["/run/datagrams/listed", "/run/datagrams/other", "@listed", "@other"].map(|name| outside(vm, "datagram", name));
    let mut case = Case::with(vm, "datagram", rules, |container| container.bind("/run/datagrams", "/mnt"))?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["unix-send", "/mnt/listed"], "allowed"),
            (&["unix-send", "/mnt/other"], "EPERM"),
            (&["unix-send-connected", "/mnt/listed"], "allowed"),
            (&["unix-send-connected", "/mnt/other"], "EPERM"),
            (&["unix-send", "@listed"], "allowed"),
            (&["unix-send", "@other"], "EPERM"),
            // A connection to one frees no message to another.
            (&["unix-send-both", "/mnt/listed", "/mnt/other"], "EPERM"),
            (&["unix-send-both", "@listed", "@other"], "EPERM"),
            (&["unix-send-both", "@listed", "/mnt/listed"], "allowed"),
        ],
    )?;
    case.enforcer.wait_for_event("send", |event| event.operation == Operation::Send && path_of(event) == "/mnt/other")?;
    case.enforcer.wait_for_event("send by name", |event| {
        event.operation == Operation::Send && serde_json::json!(event.object) == serde_json::json!({"unixConnect": "@other"})
    })?;
    case.end()?;
    for server in servers {
        server?.write(b"\n")?;
    }
    Ok(())
}

fn a_pair_needs_nothing(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "pair", rules!(""))?;
    case.enforce()?;
    answers(&case, &[(&["unix-pair"], "allowed")])?;
    case.end()
}

fn an_abstract_name_needs_to_be_listed(vm: &Vm) -> TestResult {
    let rules = rules!("    unix:\n      connect: [\"@listed*\", \"@bound\"]\n      bind: [\"@listed*\", \"@reached\"]\n");
    let mut case = Case::new(vm, "abstract", rules)?;
    case.check(&["unix-reach", "stream", "@listed-1"], &["unix-bind", "stream", "@other"], |event| {
        event.operation == Operation::Bind
            && serde_json::json!(event.object) == serde_json::json!({"unixBind": "@other"})
            && serde_json::json!(event)["rule"] == serde_json::json!({"unix": {"bind": ["@other"]}})
    })?;
    answers(
        &case,
        &[
            (&["unix-reach", "packets", "@listed-2"], "allowed"),
            (&["unix-reach", "datagram", "@listed-3"], "allowed"),
            // What may be bound may not be reached, and the other way round.
            (&["unix-reach", "stream", "@reached"], "EPERM"),
            (&["unix-bind", "stream", "@bound"], "EPERM"),
            // One that the kernel chooses.
            (&["unix-bind", "stream", "@"], "EPERM"),
            (&["unix-bind", "datagram", "@other"], "EPERM"),
        ],
    )?;
    case.enforcer.wait_for_event("connect", |event| {
        event.operation == Operation::Connect && serde_json::json!(event)["rule"] == serde_json::json!({"unix": {"connect": ["@reached"]}})
    })?;
    case.enforcer.apply("abstract.yaml", &profile("abstract", "enforce", rules!("    unix: {bind: [\"@\"]}\n")))?;
    answers(&case, &[(&["unix-bind", "stream", "@"], "allowed"), (&["unix-bind", "stream", "@listed"], "EPERM")])?;
    case.end()
}

fn the_names_that_were_learned_are_those_that_are_then_allowed(vm: &Vm) -> TestResult {
    let rules = rules!("");
    let mut case = Case::new(vm, "unix-learned", rules)?;
    case.enforcer.apply("unix-learned.yaml", &profile("unix-learned", "learn", rules))?;
    let learned: [&[&str]; 4] = [
        &["unix-reach", "stream", "/data/socket"],
        &["unix-reach", "datagram", "@bus-4711"],
        &["unix-bind", "datagram", "@"],
        &["map-memory"],
    ];
    for attempt in learned {
        answers(&case, &[(attempt, "allowed")])?;
    }
    let file = format!("{PROFILES}/unix-learned.yaml");
    let text = case.enforcer.wait_for_file(&file, |text| {
        ["{path: /data/socket, access: [create, connect]}", "connect:\n      - \"@bus-*\"", "- \"@\"\n", "- exec-memory"]
            .iter()
            .all(|rule| text.contains(rule))
    })?;
    // An attempt removes what an earlier one has left.
    let text = text.replace("mode: learn", "mode: enforce").replace("[create, connect]", "[create, delete, connect]");
    case.enforcer.apply("unix-learned.yaml", &text)?;
    for attempt in learned {
        answers(&case, &[(attempt, "allowed")])?;
    }
    answers(&case, &[(&["unix-reach", "datagram", "@bus-1"], "allowed"), (&["unix-bind", "datagram", "@bus"], "EPERM")])?;
    case.end()
}
