//! The enforcer, other containers and the node, against root in a container that shares the node's process numbers, has every capability, and sees
//! the node's bpffs and control groups.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::{
    Event,
    event::{Action, Object},
};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer, kernel_tests,
    runc::{ALL_CAPABILITIES, Container, ContainerBuilder},
};

kernel_tests!(machine:
    nothing_reaches_the_enforcer_from_a_container,
    signals_stay_within_the_container,
    looking_into_other_containers_needs_ptrace,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

const RULES: &str = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/ps}]\n    guard: []\n";

/// As a privileged pod with `hostPID` and the node's folders.
fn privileged(container: ContainerBuilder) -> ContainerBuilder {
    container.capabilities(ALL_CAPABILITIES).host_pid().bind("/sys/fs/bpf", "/pins").bind("/sys/fs/cgroup", "/groups")
}

fn token(event: &Event) -> String {
    if let Object::Token(token) = &event.object { token.to_string() } else { String::new() }
}

fn nothing_reaches_the_enforcer_from_a_container(vm: &Vm) -> TestResult {
    let mut case = Case::with(vm, "intruder", RULES, privileged)?;
    let agent = case.enforcer.pid().to_string();
    let (memory, namespace) = (format!("/proc/{agent}/mem"), format!("/proc/{agent}/ns/mnt"));
    let pin = |name: &str| -> Result<String, Box<dyn std::error::Error>> {
        Ok(vm.sh(&format!("ls -d /sys/fs/bpf/portcullis/*/{name}"))?.text().replace("/sys/fs/bpf", "/pins"))
    };
    let (map, link) = (pin("maps/PROFILES")?, pin("links-*/capable")?);
    let (map, link) = (map.as_str(), link.as_str());
    // In audit, so that what follows is not denied for some other reason. What would end the enforcer is left out.
    for words in [&["bpf-open", map][..], &["read-memory", &agent], &["read", &memory], &["setns", &namespace, "mnt"], &["kill", "1", "18"]]
    {
        assert_eq!(case.attempt(words)?, "allowed", "{words:?} in audit");
    }
    case.enforce()?;
    let attempts: [&[&str]; 16] = [
        &["kill", &agent, "9"],
        &["kill", &agent, "19"],
        &["kill", "1", "18"],
        &["trace", &agent],
        &["read-memory", &agent],
        &["take-file", &agent],
        &["setns", &namespace, "mnt"],
        &["bpf-open", map],
        &["bpf-open", link],
        &["bpf"],
        &["unlink", link],
        &["unlink", map],
        &["umount", "/pins"],
        &["mount", "/pins"],
        &["in-cgroup", "/groups", "exec", "/attempt"],
        &["write", &memory],
    ];
    for words in attempts {
        let answer = case.attempt(words)?;
        assert!(matches!(answer.as_str(), "EPERM" | "EACCES"), "{words:?}: {answer}");
    }
    for rule in ["privileges signal", "privileges ptrace", "privileges bpf"] {
        case.enforcer.wait_for_event(rule, |event| event.action == Action::Blocked && token(event) == rule)?;
    }
    // It is there, and does what it is told.
    case.enforcer
        .apply("intruder.yaml", &profile("intruder", "enforce", &format!("{RULES}    privileges: [bpf]\n    capabilities: [BPF]\n")))?;
    assert_eq!(case.attempt(&["bpf"])?, "allowed");
    case.end()
}

fn signals_stay_within_the_container(vm: &Vm) -> TestResult {
    let other = Container::builder("signalled").run(vm)?;
    let theirs = other.pid()?.to_string();
    let mut case = Case::with(vm, "signals", RULES, |container| container.host_pid())?;
    let own = case.container.pid()?.to_string();
    assert_eq!(case.attempt(&["kill", &theirs, "18"])?, "allowed", "in audit");
    case.enforcer.wait_for_event("a signal", |event| event.action == Action::WouldBlock && token(event) == "privileges signal")?;
    case.enforce()?;
    assert_eq!(case.attempt(&["kill", &theirs, "9"])?, "EPERM");
    assert_eq!(case.attempt(&["kill", &theirs, "0"])?, "allowed", "whether it is there is no secret");
    assert_eq!(case.attempt(&["kill", &own, "18"])?, "allowed");
    assert_eq!(case.attempt(&["kill-child"])?, "allowed");
    assert_eq!(other.status()?, "running");
    case.enforcer
        .apply("signals.yaml", &profile("signals", "enforce", &format!("{RULES}    privileges: [signal]\n    capabilities: [KILL]\n")))?;
    assert_eq!(case.attempt(&["kill", &theirs, "18"])?, "allowed");
    case.end()?;
    other.delete()?;
    Ok(())
}

fn looking_into_other_containers_needs_ptrace(vm: &Vm) -> TestResult {
    let other = Container::builder("looked-at").run(vm)?;
    let environment = format!("/proc/{}/environ", other.pid()?);
    let mut case = Case::with(vm, "looking", RULES, privileged)?;
    let own = format!("/proc/{}/environ", case.container.pid()?);
    assert_eq!(case.attempt(&["read", &environment])?, "allowed", "in audit");
    case.enforcer.wait_for_event("a look", |event| event.action == Action::WouldBlock && token(event) == "privileges ptrace")?;
    case.enforce()?;
    assert!(matches!(case.attempt(&["read", &environment])?.as_str(), "EPERM" | "EACCES"));
    assert_eq!(case.attempt(&["read", &own])?, "allowed");
    let before = case.enforcer.events()?.len();
    assert!(case.container.exec(["/bin/ps"]).check()?.contains("sleep"));
    // For a process that may not be traced by its own user, as runc is, the kernel asks for the capability, which is another rule's.
    let since: Vec<String> =
        case.enforcer.events()?.iter().skip(before).map(token).filter(|rule| rule != "capabilities SYS_PTRACE").collect();
    assert_eq!(since, [""; 0], "a list of processes is no look into them");
    case.end()?;
    other.delete()?;
    Ok(())
}
