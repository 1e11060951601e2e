//! Programs and libraries that were written since the container's image was made, on a root of layers (overlayfs).
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::{
    Event,
    event::{Action, Operation},
};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer::{self, PROFILES, path_of},
    kernel_tests,
};

kernel_tests!(machine:
    a_program_that_was_written_does_not_run,
    a_library_that_was_written_is_not_mapped,
    what_is_on_a_volume_is_no_drift,
    drift_that_was_learned_is_then_allowed,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

macro_rules! rules {
    ($rules:literal) => {
        concat!("    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/cp}, {path: \"/opt/*\"}, {path: /bin/true}]\n", $rules)
    };
}

/// An event that names drift and the rule that grants it.
fn is_drift(event: &Event, operation: Operation, path: &str) -> bool {
    event.operation == operation
        && path_of(event) == path
        && serde_json::json!(event)["access"] == serde_json::json!(["drift"])
        && serde_json::json!(event)["rule"] == serde_json::json!({"files": [{"path": path, "access": ["drift"]}]})
}

/// Copies a program of the image within the container; nothing is said.
fn copy(case: &Case<'_>, from: &str, to: &str) -> TestResult {
    Ok(case.container.exec(["/bin/cp", from, to]).check().map(drop)?)
}

fn a_program_that_was_written_does_not_run(vm: &Vm) -> TestResult {
    let rules = rules!(
        "    files: [{path: \"/opt/*\", access: [create, write, attributes]}, {path: /opt/plugin, access: [drift]}, {path: /bin/true, access: [write]}]\n"
    );
    let mut case = Case::layered(vm, "written", rules)?;
    vm.command("mkdir").args(["-p", &format!("{}/opt", case.container.rootfs())]).check()?;
    for name in ["plugin", "program"] {
        copy(&case, "/bin/true", &format!("/opt/{name}"))?;
    }
    assert_eq!(case.attempt(&["exec", "/opt/program"])?, "", "in audit");
    case.enforcer
        .wait_for_event("audit", |event| event.action == Action::WouldBlock && is_drift(event, Operation::Exec, "/opt/program"))?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", "/opt/program"])?, "EPERM");
    case.enforcer.wait_for_event("enforce", |event| event.action == Action::Blocked && is_drift(event, Operation::Exec, "/opt/program"))?;
    assert_eq!(case.attempt(&["exec", "/opt/plugin"])?, "", "where that is listed");
    // A file of the image is none until it is opened for writing, and is one from then on.
    assert_eq!(case.attempt(&["exec", "/bin/true"])?, "");
    assert_eq!(case.attempt(&["write", "/bin/true"])?, "allowed");
    assert_eq!(case.attempt(&["exec", "/bin/true"])?, "EPERM");
    case.end()
}

fn a_library_that_was_written_is_not_mapped(vm: &Vm) -> TestResult {
    let rules = rules!("    files: [{path: \"/lib/*.so\", access: [map, write]}]\n");
    let mut case = Case::layered(vm, "library", rules)?;
    case.enforce()?;
    for mapping in ["map", "protect"] {
        assert_eq!(case.attempt(&[mapping, "/lib/some.so"])?, "allowed", "{mapping}, in the image");
    }
    assert_eq!(case.attempt(&["write", "/lib/some.so"])?, "allowed");
    for mapping in ["map", "protect"] {
        assert_eq!(case.attempt(&[mapping, "/lib/some.so"])?, "EPERM", "{mapping}, written");
        assert_eq!(case.attempt(&[mapping, "/lib/other.so"])?, "allowed", "{mapping}, another");
    }
    case.enforcer.wait_for_event("map", |event| event.action == Action::Blocked && is_drift(event, Operation::Map, "/lib/some.so"))?;
    case.end()
}

fn what_is_on_a_volume_is_no_drift(vm: &Vm) -> TestResult {
    let rules = rules!("    files: [{path: \"/opt/*\", access: [create, write, attributes]}]\n");
    vm.command("mkdir").args(["-p", "/run/volume"]).check()?;
    let mut case = Case::layered_with(vm, "volume", rules, |container| container.bind("/run/volume", "/opt"))?;
    case.enforce()?;
    copy(&case, "/bin/true", "/opt/program")?;
    assert_eq!(case.attempt(&["exec", "/opt/program"])?, "");
    case.end()
}

fn drift_that_was_learned_is_then_allowed(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n";
    let mut case = Case::layered(vm, "drift-learned", rules)?;
    case.enforcer.apply("drift-learned.yaml", &profile("drift-learned", "learn", rules))?;
    vm.command("mkdir").args(["-p", &format!("{}/opt", case.container.rootfs())]).check()?;
    for name in ["one", "two"] {
        copy(&case, "/bin/true", &format!("/opt/{name}"))?;
    }
    assert_eq!(case.attempt(&["exec", "/opt/one"])?, "");
    let file = format!("{PROFILES}/drift-learned.yaml");
    let is_learned = |text: &str| {
        text.contains("- path: /opt/one\n")
            && text.lines().any(|line| line.contains("path: /opt/one, access: [") && line.contains("drift]"))
            && !text.lines().any(|line| line.contains("/opt/two") && line.contains("drift"))
    };
    let text = case.enforcer.wait_for_file(&file, is_learned)?;
    case.enforcer.apply("drift-learned.yaml", &text.replace("mode: learn", "mode: enforce"))?;
    assert_eq!(case.attempt(&["exec", "/opt/one"])?, "");
    assert_eq!(case.attempt(&["exec", "/opt/two"])?, "EPERM");
    case.end()
}
