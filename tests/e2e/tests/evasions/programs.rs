//! What runs: overwritten, interpreted, loaded, deleted, and without a path.

use portcullis_api::event::{Action, Operation};
use portcullis_e2e::{TestResult, Vm, case::Case, enforcer::path_of};

pub(super) fn a_program_that_may_run_may_not_be_overwritten(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/program}]\n    files: [{path: \"/data/**\", access: [create, write, delete]}]\n";
    let mut case = Case::new(vm, "overwrite", rules)?;
    // Not one of busybox's names: that runs, as `sleep`, and the kernel lets nobody write what runs.
    vm.write_file(&format!("{}/bin/program", case.container.rootfs()), b"#!/bin/sleep\n", 0o777)?;
    case.enforce()?;
    assert_eq!(case.attempt(&["write", "/bin/program"])?, "EPERM");
    assert_eq!(case.attempt(&["rename", "/data/file", "/bin/program"])?, "EPERM");
    assert_eq!(case.attempt(&["unlink", "/bin/program"])?, "EPERM");
    assert_eq!(case.attempt(&["link", "/data/file", "/bin/further"])?, "EPERM");
    // And what may be written may not run, nor by a further name.
    assert!(vm.sh(&format!("chmod 755 {}/data/file", case.container.rootfs()))?.success());
    assert_eq!(case.attempt(&["exec", "/data/file"])?, "EPERM");
    assert_eq!(case.attempt(&["link", "/bin/echo", "/data/echo"])?, "EPERM");
    case.end()
}

pub(super) fn a_script_needs_its_interpreter_too(vm: &Vm) -> TestResult {
    let mut case =
        Case::new(vm, "script", "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /script}, {path: /good}, {path: /bin/ash}]\n")?;
    let root = case.container.rootfs();
    vm.write_file(&format!("{root}/script"), b"#!/bin/sh\necho ran\n", 0o755)?;
    vm.write_file(&format!("{root}/good"), b"#!/bin/ash\necho ran\n", 0o755)?;
    vm.write_file(&format!("{root}/unlisted"), b"#!/bin/ash\necho ran\n", 0o755)?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", "/script"])?, "EPERM", "the interpreter is not granted");
    assert_eq!(case.attempt(&["exec", "/unlisted"])?, "EPERM", "the script is not granted");
    assert_eq!(case.attempt(&["exec", "/good"])?, "ran");
    case.end()
}

pub(super) fn the_dynamic_loader_does_not_run_what_may_not_run(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /lib/granted-loader}]\n";
    let mut case = Case::new(vm, "loader", rules)?;
    let root = case.container.rootfs();
    // A shared object that the loader can map: itself.
    assert!(
        vm.sh(&format!("for f in lib/loader lib/granted-loader data/evil; do cp /ld.so {root}/$f && chmod 755 {root}/$f; done"))?.success()
    );
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", "/lib/loader", "/data/evil"])?, "EPERM");
    let output = case.container.exec(["/attempt", "exec", "/lib/granted-loader", "/data/evil"]).run()?;
    assert!(!output.success());
    case.enforcer.wait_for_event("the mapping", |event| {
        event.action == Action::Blocked && event.operation == Operation::Map && path_of(event) == "/data/evil"
    })?;
    case.end()
}

pub(super) fn a_deleted_program_does_not_run(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "deleted", "    exec: [{path: /**}]\n    files: [{path: /**, access: [create, write, delete, map]}]\n")?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec-deleted", "/bin/true"])?, "EPERM");
    let event = case.enforcer.wait_for_event("deleted", |event| event.container.profile == "deleted")?;
    assert_eq!(serde_json::to_value(&event)?["object"]["unresolved"], "deleted");
    case.end()
}

pub(super) fn a_script_given_to_its_interpreter_needs_the_interpreter_and_its_children_are_judged(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/ash}, {path: /bin/awk}]\n";
    let mut case = Case::new(vm, "given", rules)?;
    vm.write_file(&format!("{}/script", case.container.rootfs()), b"#!/bin/ash\necho ran; /bin/echo child\n", 0o755)?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", "/script"])?, "EPERM", "as a program");
    assert_eq!(case.attempt(&["exec", "/bin/sh", "/script"])?, "EPERM", "by an interpreter that is not listed");
    // By one that is listed it is data that is read, as is a program on the command line: whoever lists an interpreter lists what it can do.
    // What it starts is judged as ever.
    let refused = |words: &[&str], said: &str| -> TestResult {
        let output = case.container.exec(["/attempt", "exec"].iter().chain(words).copied()).run()?;
        assert!(
            output.text() == said && output.error_text().contains("ermission denied") || output.error_text().contains("not permitted"),
            "{output}"
        );
        Ok(())
    };
    refused(&["/bin/ash", "/script"], "ran")?;
    refused(&["/bin/ash", "-c", "echo ran; /bin/echo child"], "ran")?;
    case.attempt(&["exec", "/bin/awk", "BEGIN { system(\"/bin/echo child\") }"])?;
    case.enforcer.wait_for_event("the shell of awk", |event| event.process.executable == "/bin/awk" && path_of(event) == "/bin/sh")?;
    case.enforcer.wait_for_event("the child", |event| event.process.executable == "/bin/ash" && path_of(event) == "/bin/echo")?;
    case.end()
}

pub(super) fn a_descriptor_without_a_path_is_judged_by_the_name_of_its_file(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "descriptor", "    exec: [{path: /**}]\n")?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec-at", "/bin/true"])?, "", "by execveat with an empty path");
    assert_eq!(case.attempt(&["exec-memory-at"])?, "EPERM", "a memory file has no name, whatever the rules");
    case.enforcer.apply("descriptor.yaml", &portcullis_e2e::case::profile("descriptor", "enforce", rules!("")))?;
    assert_eq!(case.attempt(&["exec-at", "/bin/true"])?, "");
    assert_eq!(case.attempt(&["exec-at", "/bin/echo"])?, "EPERM");
    case.enforcer.wait_for_event("its name", |event| event.container.profile == "descriptor" && path_of(event) == "/bin/echo")?;
    case.end()
}
