//! Ways round an allow-list of names that have worked against others, and do not here.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::event::{Action, Operation};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer::{self, Enforcer, path_of},
    kernel_tests,
    runc::Container,
};

kernel_tests!(machine:
    a_long_and_deep_path_is_judged_whole,
    a_chroot_does_not_rename_files,
    a_symbolic_link_is_judged_by_its_target,
    a_program_that_may_run_may_not_be_overwritten,
    a_script_needs_its_interpreter_too,
    the_dynamic_loader_does_not_run_what_may_not_run,
    a_deleted_program_does_not_run,
    an_open_file_is_judged_by_its_name,
    namespaces_of_its_own_do_not_free_a_task,
    another_cgroup_does_not_free_a_task,
    a_container_in_the_hosts_process_namespace_is_judged,
    a_flood_of_denials_hides_none_and_frees_nothing,
    what_was_granted_before_is_not_granted_under_another_name,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::machine(kernel).unwrap_or_else(|error| panic!("{error}")).file("/lib64/ld-linux-x86-64.so.2", "/ld.so")
}

/// What every profile here grants.
macro_rules! rules {
    ($rules:literal) => {
        concat!("    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/true}]\n", $rules)
    };
}

fn a_long_and_deep_path_is_judged_whole(vm: &Vm) -> TestResult {
    // 300 components, 3,300 bytes: past every buffer and step count of those who cut paths.
    let folder = "/data".to_owned() + &"/0123456789".repeat(300);
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: \"/**/granted\"}]\n";
    let mut case = Case::new(vm, "long", rules)?;
    let script = format!(
        "mkdir -p {root}{folder} && cp /bin/busybox {root}{folder}/granted && cp /bin/busybox {root}{folder}/other",
        root = case.container.rootfs()
    );
    assert!(vm.sh(&script)?.success());
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", &format!("{folder}/other"), "true"])?, "EPERM");
    // busybox does not know an applet of that name, and says so: it ran.
    assert!(case.attempt(&["exec", &format!("{folder}/granted"), "true"])?.is_empty());
    let event = case.enforcer.wait_for_event("other", |event| path_of(event).ends_with("/other"))?;
    assert_eq!(path_of(&event), format!("{folder}/other"));
    case.end()
}

fn a_chroot_does_not_rename_files(vm: &Vm) -> TestResult {
    let mut case = Case::new(
        vm,
        "chroot",
        "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/true}, {path: /jail/attempt}]\n    capabilities: [SYS_CHROOT]\n",
    )?;
    let root = case.container.rootfs();
    assert!(
        vm.sh(&format!("mkdir -p {root}/jail/bin && cp {root}/attempt {root}/jail/attempt && cp /bin/busybox {root}/jail/bin/true"))?
            .success()
    );
    case.enforce()?;
    assert_eq!(case.attempt(&["in-root", "/jail", "exec", "/bin/true"])?, "EPERM");
    case.enforcer.wait_for_event("the name from outside", |event| path_of(event) == "/jail/bin/true")?;
    case.end()
}

fn a_symbolic_link_is_judged_by_its_target(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "symlink", rules!("    files: [{path: \"/data/to-*\", access: [create]}]\n"))?;
    case.enforce()?;
    assert_eq!(case.attempt(&["symlink", "/bin/echo", "/data/to-echo"])?, "allowed");
    assert_eq!(case.attempt(&["exec", "/data/to-echo", "x"])?, "EPERM");
    assert_eq!(case.attempt(&["symlink", "/bin/true", "/data/to-true"])?, "allowed");
    assert_eq!(case.attempt(&["exec", "/data/to-true"])?, "");
    case.end()
}

fn a_program_that_may_run_may_not_be_overwritten(vm: &Vm) -> TestResult {
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

fn a_script_needs_its_interpreter_too(vm: &Vm) -> TestResult {
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

fn the_dynamic_loader_does_not_run_what_may_not_run(vm: &Vm) -> TestResult {
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

fn a_deleted_program_does_not_run(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "deleted", "    exec: [{path: /**}]\n    files: [{path: /**, access: [create, write, delete, map]}]\n")?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec-deleted", "/bin/true"])?, "EPERM");
    let event = case.enforcer.wait_for_event("deleted", |event| event.container.profile == "deleted")?;
    assert_eq!(serde_json::to_value(&event)?["object"]["unresolved"], "deleted");
    case.end()
}

fn an_open_file_is_judged_by_its_name(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "open", rules!("    guard: []\n"))?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec-open", "/bin/echo"])?, "EPERM");
    case.enforcer.wait_for_event("its name", |event| path_of(event) == "/bin/echo")?;
    assert_eq!(case.attempt(&["exec", "/proc/self/exe", "read", "/"])?, "allowed", "its own name is granted");
    case.end()
}

fn namespaces_of_its_own_do_not_free_a_task(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/unshare}]\n    capabilities: [SYS_ADMIN, SYS_CHROOT]\n    privileges: [mount, user-namespace]\n";
    enforcer.apply("unshare.yaml", &profile("unshare", "enforce", rules))?;
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let container = Container::builder("unshare")
        .cgroup("/portcullis/test/unshare/main")
        .file("/attempt", attempt, 0o755)
        .capabilities(["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"])
        .run(vm)?;
    for flags in ["-m", "-mp", "-U"] {
        let output = container.exec(["unshare", flags, "/attempt", "exec", "/bin/true"]).run()?;
        assert_eq!(output.text(), "EPERM", "unshare {flags}: {}", output.error_text());
    }
    container.delete()?;
    Ok(())
}

fn another_cgroup_does_not_free_a_task(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: \"/host-cgroup/**\", access: [write]}]\n";
    enforcer.apply("moves.yaml", &profile("moves", "enforce", rules))?;
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    assert!(vm.sh("mkdir -p /sys/fs/cgroup/elsewhere")?.success());
    let container = Container::builder("moves")
        .cgroup("/portcullis/test/moves/main")
        .file("/attempt", attempt, 0o755)
        .bind("/sys/fs/cgroup", "/host-cgroup")
        .run(vm)?;
    let output = container.exec(["/attempt", "in-cgroup", "/host-cgroup/elsewhere", "exec", "/bin/true"]).run()?;
    assert_eq!(output.text(), "EPERM", "{}", output.error_text());
    let event = enforcer.wait_for_event("true", |event| event.container.profile == "moves" && path_of(event) == "/bin/true")?;
    assert_eq!(event.container.name, "main");
    container.delete()?;
    Ok(())
}

fn a_container_in_the_hosts_process_namespace_is_judged(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("hostpid.yaml", &profile("hostpid", "enforce", "    exec: [{path: /attempt}, {path: /bin/sleep}]\n"))?;
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let container =
        Container::builder("hostpid").cgroup("/portcullis/test/hostpid/main").file("/attempt", attempt, 0o755).host_pid().run(vm)?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    assert_eq!(container.exec(["/attempt", "read", "/proc/1/environ"]).run()?.text(), "EPERM", "guarded by default");
    container.delete()?;
    Ok(())
}

fn a_flood_of_denials_hides_none_and_frees_nothing(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "flood", rules!(""))?;
    case.enforce()?;
    let denied = || -> Result<u64, Box<dyn std::error::Error>> {
        let status = vm.command("portcullis-enforcer").args(["status", "-o", "json"]).check()?;
        let status: serde_json::Value = serde_json::from_str(&status)?;
        Ok(status["counters"]["denied"].as_u64().unwrap_or_default())
    };
    let before = denied()?;
    assert_eq!(case.attempt(&["flood", "/data", "5000"])?, "denied 5000");
    assert_eq!(case.attempt(&["exec", "/bin/echo", "x"])?, "EPERM");
    assert!(denied()? >= before + 5001, "every denial is counted, told or not");
    case.enforcer.wait_for_event("what followed the flood", |event| event.container.profile == "flood" && path_of(event) == "/bin/echo")?;
    case.end()
}

/// Opens the file for writing, twice: what the first time leaves behind must be right, too.
fn writes(case: &Case<'_>, path: &str, answer: &str, why: &str) -> TestResult {
    for _ in 0..2 {
        assert_eq!(case.attempt(&["write", path])?, answer, "{why}");
    }
    Ok(())
}

/// Grants are kept with the file; none may outlive what it was granted for.
fn what_was_granted_before_is_not_granted_under_another_name(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: \"/data/dir/**\", access: [write]}]\n";
    let mut case = Case::new(vm, "kept", rules)?;
    let root = case.container.rootfs();
    assert!(
        vm.sh(&format!(
            "mkdir -p {root}/data/dir/deep {root}/mnt && echo x >{root}/data/dir/deep/file && chmod 666 {root}/data/dir/deep/file"
        ))?
        .success()
    );
    case.enforce()?;
    writes(&case, "/data/dir/deep/file", "allowed", "granted")?;
    assert!(vm.sh(&format!("mv {root}/data/dir {root}/data/moved"))?.success());
    writes(&case, "/data/moved/deep/file", "EPERM", "a directory above it was moved")?;
    assert!(vm.sh(&format!("mv {root}/data/moved {root}/data/dir"))?.success());
    writes(&case, "/data/dir/deep/file", "allowed", "and moved back")?;
    assert!(vm.sh(&format!("ln {root}/data/dir/deep/file {root}/data/second"))?.success());
    writes(&case, "/data/second", "EPERM", "a second name")?;
    writes(&case, "/data/dir/deep/file", "allowed", "the first name")?;
    assert!(vm.sh(&format!("rm {root}/data/dir/deep/file"))?.success());
    writes(&case, "/data/second", "EPERM", "the second name, alone")?;
    assert!(vm.sh(&format!("mv {root}/data/second {root}/data/dir/third"))?.success());
    writes(&case, "/data/dir/third", "allowed", "renamed to where it is granted")?;
    let rules = rules.replace("/data/dir/**", "/data/other");
    case.enforcer.apply("kept.yaml", &profile("kept", "enforce", &rules))?;
    writes(&case, "/data/dir/third", "EPERM", "the profile has changed")?;
    case.end()
}
