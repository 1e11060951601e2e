//! What a profile grants is allowed and what it does not is denied, for each operation, in `audit` and in `enforce`.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use portcullis_api::event::Action;
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer::{self, Enforcer, path_of},
    kernel_tests,
    runc::Container,
};

kernel_tests!(machine:
    allows_and_denies_exec,
    allows_and_denies_opening_for_writing,
    allows_and_denies_reading_in_guarded_trees,
    allows_and_denies_executable_mappings,
    allows_and_denies_connecting,
    denies_what_has_no_name,
    denies_what_no_mount_of_its_own_namespace_holds,
    judges_the_first_exec_of_a_container,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

fn allows_and_denies_exec(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "exec", "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/true}]\n")?;
    // What replaces `attempt` says nothing: /bin/echo would.
    assert_eq!(case.attempt(&["exec", "/bin/true"])?, "");
    assert_eq!(case.attempt(&["exec", "/bin/echo", "allowed"])?, "allowed", "in audit");
    case.enforcer.wait_for_event("echo", |event| event.action == Action::WouldBlock && path_of(event) == "/bin/echo")?;
    case.enforcer.apply("exec.yaml", &profile("exec", "enforce", case.rules))?;
    assert_eq!(case.attempt(&["exec", "/bin/true"])?, "");
    assert_eq!(case.attempt(&["exec", "/bin/echo", "allowed"])?, "EPERM");
    let event = case.enforcer.wait_for_event("echo", |event| event.action == Action::Blocked && path_of(event) == "/bin/echo")?;
    assert_eq!(serde_json::to_value(&event)?["rule"], serde_json::json!({"exec": [{"path": "/bin/echo"}]}));
    case.end()
}

fn allows_and_denies_opening_for_writing(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: /data/file, access: [write]}]\n";
    let mut case = Case::new(vm, "write", rules)?;
    case.check(&["write", "/data/file"], &["write", "/data/other"], |event| path_of(event) == "/data/other")?;
    assert_eq!(case.attempt(&["read", "/data/other"])?, "allowed", "reading is free outside guarded trees");
    case.end()
}

fn allows_and_denies_reading_in_guarded_trees(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: /secret/token, access: [read]}]\n    guard: [/secret/**, /data/other]\n";
    let mut case = Case::new(vm, "read", rules)?;
    case.check(&["read", "/secret/token"], &["read", "/data/other"], |event| path_of(event) == "/data/other")?;
    case.end()
}

fn allows_and_denies_executable_mappings(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: /lib/some.so, access: [map]}]\n";
    let mut case = Case::new(vm, "map", rules)?;
    case.check(&["map", "/lib/some.so"], &["map", "/lib/other.so"], |event| path_of(event) == "/lib/other.so")?;
    case.end()
}

fn allows_and_denies_connecting(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    connect:\n    - {cidr: 127.0.0.0/8, ports: [80/TCP]}\n    - {cidr: \"::1/128\", ports: [53/UDP]}\n";
    let mut case = Case::new(vm, "connect", rules)?;
    case.check(&["tcp", "127.0.0.1:80"], &["tcp", "127.0.0.1:81"], |event| serde_json::json!(event.object)["port"] == 81)?;
    assert_eq!(case.attempt(&["udp", "[::1]:53"])?, "allowed");
    assert_eq!(case.attempt(&["udp", "[::1]:54"])?, "EPERM");
    assert_eq!(case.attempt(&["udp", "127.0.0.1:80"])?, "EPERM", "the protocol is part of the rule");
    // The mapped form of an address that is granted is that address.
    assert_eq!(case.attempt(&["tcp", "[::ffff:127.0.0.1]:80"])?, "allowed");
    assert_eq!(case.attempt(&["tcp", "[::ffff:127.0.0.1]:81"])?, "EPERM");
    case.end()
}

fn denies_what_has_no_name(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "memory", "    exec: [{path: /**}]\n    files: [{path: /**, access: [read, write, map]}]\n")?;
    case.enforcer.apply("memory.yaml", &profile("memory", "enforce", case.rules))?;
    assert_eq!(case.attempt(&["exec-memory"])?, "EPERM");
    let event =
        case.enforcer.wait_for_event("memory file", |event| event.container.profile == "memory" && event.action == Action::Blocked)?;
    let event = serde_json::to_value(&event)?;
    assert_eq!(event["object"]["unresolved"], "anonymous", "{event}");
    assert_eq!(event["rule"], serde_json::Value::Null);
    case.end()
}

fn denies_what_no_mount_of_its_own_namespace_holds(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /**}]\n    files: [{path: /**, access: [read, write, create, delete, connect, map]}]\n    \
                 capabilities: [SYS_ADMIN]\n    privileges: [mount, umount]\n";
    let mut case = Case::with(vm, "elsewhere", rules, |container| container.capabilities(["CAP_SYS_ADMIN"]))?;
    case.enforce()?;
    // A container's /dev is a file system of its own, and nobody else has it mounted.
    assert_eq!(case.attempt(&["create", "/dev/file"])?, "allowed");
    let mut server = case.container.exec(["/attempt", "unix-listen", "stream", "/dev/socket"]).spawn()?;
    server.wait_for_line("listening", Duration::from_secs(30))?;
    for (operation, name, access) in [("write", "file", "write"), ("unix-connect stream", "socket", "connect")] {
        let inside: Vec<&str> = operation.split(' ').collect();
        let path = format!("/dev/{name}");
        assert_eq!(case.attempt(&[&inside[..], &[&path]].concat())?, "allowed", "{operation}");
        // In a mount namespace without it, it is reached through a process of the other one.
        let script = format!("umount -l /dev && exec /attempt {operation} /proc/1/root/dev/{name}");
        let output = case.container.exec(["unshare", "-m", "/bin/sh", "-c", &script]).run()?;
        assert_eq!(output.text(), "EPERM", "{operation}: {}", output.error_text());
        case.enforcer.wait_for_event(access, |event| {
            let event = serde_json::json!(event);
            event["action"] == "blocked" && event["object"]["unresolved"] == "unreachable" && event["access"] == serde_json::json!([access])
        })?;
    }
    server.write(b"\n")?;
    case.end()
}

fn judges_the_first_exec_of_a_container(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("first.yaml", &profile("first", "enforce", "    exec: [{path: /bin/true}]\n"))?;
    let builder = |program: &str| Container::builder("first").cgroup("/portcullis/test/first/main").args([program, "1"]);
    // runc hands the container over before it executes its program.
    let container = builder("/bin/sleep").run(vm)?;
    container.wait_until_stopped(Duration::from_secs(60))?;
    assert!(container.output()?.contains("operation not permitted"), "{}", container.output()?);
    enforcer.wait_for_event("sleep", |event| event.container.profile == "first" && path_of(event) == "/bin/sleep")?;
    container.delete()?;
    let container = builder("/bin/true").run(vm)?;
    container.wait_until_stopped(Duration::from_secs(60))?;
    assert!(!container.output()?.contains("operation not permitted"), "{}", container.output()?);
    container.delete()?;
    Ok(())
}
