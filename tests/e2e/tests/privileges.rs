//! What reaches past a container: each way to it is allowed and told in `audit`, denied and told in `enforce`, and allowed where it is listed.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::{
    Event,
    event::{Action, Object},
};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer, kernel_tests,
};

kernel_tests!(machine:
    other_processes_are_traced_where_that_is_listed,
    mounts_are_made_where_that_is_listed,
    mounts_are_removed_where_that_is_listed,
    the_root_is_moved_where_that_is_listed,
    user_namespaces_are_made_where_that_is_listed,
    bpf_and_perf_are_used_where_they_are_listed,
    kernels_are_changed_where_that_is_listed,
    keys_are_used_where_that_is_listed,
    rings_are_made_where_they_are_listed,
    what_a_ring_does_is_judged_as_if_it_were_called,
    attributes_are_changed_where_they_are_listed,
    executable_memory_is_made_where_that_is_listed,
    memory_is_made_executable_where_that_is_listed,
    a_file_that_is_mapped_as_code_and_changed_needs_both,
    a_library_of_a_layer_is_made_executable_by_its_own_name,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

/// What needs no privilege and every attempt may use.
const BASE: &str = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: /secret/old, access: [create]}]\n    \
                    capabilities: [SYS_ADMIN, SYS_PTRACE, SYS_MODULE, SYS_BOOT, BPF, PERFMON, CHOWN, SETUID]\n";

const CAPABILITIES: [&str; 8] =
    ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE", "CAP_SYS_BOOT", "CAP_BPF", "CAP_PERFMON", "CAP_CHOWN", "CAP_SETUID"];

/// What an event is about, where that is a token: as a rule shows it.
fn token(event: &Event) -> String {
    if let Object::Token(token) = &event.object { token.to_string() } else { String::new() }
}

/// Attempts each with `listed` and the capabilities in the profile: allowed and told in `audit`, denied and told in `enforce`, allowed in `enforce`
/// with the rule that the event named.
fn each(vm: &Vm, name: &'static str, listed: &[&str], attempts: &[(&[&str], &str)]) -> TestResult {
    let mut case = Case::with(vm, name, BASE, |container| container.capabilities(CAPABILITIES))?;
    let file = format!("{name}.yaml");
    let rules = |privileges: &[&str]| format!("{BASE}    privileges: [{}]\n", privileges.join(", "));
    for (mode, answer, action) in [("audit", "allowed", Action::WouldBlock), ("enforce", "EPERM", Action::Blocked)] {
        // Without a privilege, `audit` is what the case began with.
        if mode != "audit" || !listed.is_empty() {
            case.enforcer.apply(&file, &profile(name, mode, &rules(listed)))?;
        }
        for (words, privilege) in attempts {
            assert_eq!(case.attempt(words)?, answer, "{words:?} in {mode}");
            let rule = format!("privileges {privilege}");
            let told = case.enforcer.wait_for_event(&format!("{words:?}, {mode}"), |event| {
                event.container.profile == name && event.action == action && token(event) == rule
            })?;
            assert_eq!(serde_json::to_value(&told)?["rule"], serde_json::json!({"privileges": [privilege]}));
        }
    }
    let all: Vec<&str> = listed.iter().copied().chain(attempts.iter().map(|(_, privilege)| *privilege)).collect();
    let distinct: std::collections::BTreeSet<&str> = all.into_iter().collect();
    case.enforcer.apply(&file, &profile(name, "enforce", &rules(&distinct.into_iter().collect::<Vec<_>>())))?;
    for (words, _) in attempts {
        assert_eq!(case.attempt(words)?, "allowed", "{words:?} where it is listed");
    }
    case.end()
}

fn other_processes_are_traced_where_that_is_listed(vm: &Vm) -> TestResult {
    each(
        vm,
        "trace",
        &[],
        &[(&["trace-me"], "ptrace"), (&["trace-child"], "ptrace"), (&["read-child"], "ptrace"), (&["take-file", "1"], "ptrace")],
    )
}

fn mounts_are_made_where_that_is_listed(vm: &Vm) -> TestResult {
    each(
        vm,
        "mount",
        &[],
        &[
            (&["mount", "/secret"], "mount"),
            (&["bind-mount", "/data", "/secret"], "mount"),
            (&["remount", "/secret"], "mount"),
            (&["reconfigure", "/proc"], "mount"),
            (&["move-mount", "/data", "/secret"], "mount"),
            (&["new-mount", "/secret"], "mount"),
        ],
    )
}

fn mounts_are_removed_where_that_is_listed(vm: &Vm) -> TestResult {
    each(vm, "umount", &["mount"], &[(&["mount-umount", "/secret"], "umount")])
}

fn the_root_is_moved_where_that_is_listed(vm: &Vm) -> TestResult {
    each(vm, "pivot", &["mount"], &[(&["pivot-root", "/secret"], "pivot-root")])
}

fn user_namespaces_are_made_where_that_is_listed(vm: &Vm) -> TestResult {
    each(vm, "userns", &[], &[(&["unshare", "user"], "user-namespace")])
}

fn bpf_and_perf_are_used_where_they_are_listed(vm: &Vm) -> TestResult {
    each(vm, "bpf", &[], &[(&["bpf"], "bpf"), (&["perf"], "perf")])
}

fn kernels_are_changed_where_that_is_listed(vm: &Vm) -> TestResult {
    each(vm, "module", &[], &[(&["module"], "module"), (&["module-file", "/lib/some.so"], "module"), (&["kexec"], "kexec")])
}

fn keys_are_used_where_that_is_listed(vm: &Vm) -> TestResult {
    each(vm, "keys", &[], &[(&["add-key"], "keyring"), (&["join-session"], "keyring"), (&["read-key"], "keyring")])
}

fn rings_are_made_where_they_are_listed(vm: &Vm) -> TestResult {
    each(vm, "ring", &[], &[(&["ring"], "io-uring")])
}

fn what_a_ring_does_is_judged_as_if_it_were_called(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: /data/file, access: [write, delete]}]\n    \
                 connect: [{cidr: 127.0.0.1/32, ports: [53/UDP]}]\n    bind: [{ports: [0/UDP]}]\n    privileges: [io-uring]\n";
    let mut case = Case::new(vm, "ringed", rules)?;
    case.enforce()?;
    for (words, answer) in [
        (["ring-write", "/data/file"], "allowed"),
        (["ring-write", "/data/other"], "EPERM"),
        (["ring-write-later", "/data/file"], "allowed"),
        (["ring-write-later", "/data/other"], "EPERM"),
        (["ring-connect", "127.0.0.1:53"], "allowed"),
        (["ring-connect", "127.0.0.1:54"], "EPERM"),
        (["ring-unlink", "/data/other"], "EPERM"),
        (["ring-unlink", "/data/file"], "allowed"),
    ] {
        assert_eq!(case.attempt(&words)?, answer, "{words:?}");
    }
    case.end()
}

fn executable_memory_is_made_where_that_is_listed(vm: &Vm) -> TestResult {
    each(vm, "exec-memory", &[], &[(&["map-memory"], "exec-memory"), (&["map-shared-memory"], "exec-memory")])
}

fn memory_is_made_executable_where_that_is_listed(vm: &Vm) -> TestResult {
    each(vm, "protect-memory", &[], &[(&["protect-memory"], "exec-memory")])
}

fn a_file_that_is_mapped_as_code_and_changed_needs_both(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: /lib/some.so, access: [map]}]\n";
    let mut case = Case::new(vm, "changed", rules)?;
    case.enforce()?;
    let answers = |case: &Case<'_>, attempts: &[(&str, &str, &str)]| -> TestResult {
        for (how, path, answer) in attempts {
            assert_eq!(case.attempt(&[how, path])?, *answer, "{how} {path}");
        }
        Ok(())
    };
    answers(
        &case,
        &[
            ("map", "/lib/some.so", "allowed"),
            ("protect", "/lib/some.so", "allowed"),
            ("map-writable", "/lib/some.so", "EPERM"),
            ("protect-changed", "/lib/some.so", "EPERM"),
        ],
    )?;
    let listed = format!("{rules}    privileges: [exec-memory]\n");
    case.enforcer.apply("changed.yaml", &profile("changed", "enforce", &listed))?;
    answers(
        &case,
        &[
            ("map-writable", "/lib/some.so", "allowed"),
            ("protect-changed", "/lib/some.so", "allowed"),
            ("map-writable", "/lib/other.so", "EPERM"),
            ("protect-changed", "/lib/other.so", "EPERM"),
        ],
    )?;
    case.end()
}

fn a_library_of_a_layer_is_made_executable_by_its_own_name(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: /lib/some.so, access: [map, write, drift]}]\n";
    let mut case = Case::layered(vm, "backed", rules)?;
    let lacks = |event: &Event| matches!(&event.object, Object::File { path, unresolved: None, .. } if path == "/lib/other.so");
    case.check(&["protect", "/lib/some.so"], &["protect", "/lib/other.so"], lacks)?;
    assert_eq!(case.attempt(&["write", "/lib/some.so"])?, "allowed", "copied up");
    assert_eq!(case.attempt(&["protect", "/lib/some.so"])?, "allowed", "in the layer above");
    case.end()
}

fn attributes_are_changed_where_they_are_listed(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    capabilities: [SYS_ADMIN]\n    xattrs: [\"trusted.a*\"]\n";
    let mut case = Case::with(vm, "attributes", rules, |container| container.capabilities(["CAP_SYS_ADMIN"]))?;
    let set = |name| ["set-attribute", "/data/file", name];
    let is = |event: &Event, rule: &str| token(event) == rule;
    case.check(&set("trusted.allowed"), &set("trusted.other"), |event| is(event, "xattrs trusted.other"))?;
    assert_eq!(case.attempt(&["remove-attribute", "/data/file", "trusted.allowed"])?, "allowed");
    assert_eq!(case.attempt(&["remove-attribute", "/data/file", "trusted.other"])?, "EPERM");
    // The file's own mode says the same, so that only the attribute is in question.
    assert_eq!(case.attempt(&["set-acl", "/data/file"])?, "EPERM");
    assert_eq!(case.attempt(&["remove-attribute", "/data/file", "system.posix_acl_access"])?, "EPERM");
    case.enforcer.wait_for_event("the list", |event| event.action == Action::Blocked && is(event, "xattrs system.posix_acl_access"))?;
    let listed = rules.replace("\"trusted.a*\"", "\"trusted.*\", system.posix_acl_access");
    case.enforcer.apply("attributes.yaml", &profile("attributes", "enforce", &listed))?;
    assert_eq!(case.attempt(&["set-acl", "/data/file"])?, "allowed");
    assert_eq!(case.attempt(&set("trusted.other"))?, "allowed");
    case.end()
}
