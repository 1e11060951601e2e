//! Entries of directories and attributes of files: each operation has what a profile grants and what it does not.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::event::{Action, Operation};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::Case,
    enforcer::{self, path_of},
    kernel_tests,
};
use std::time::Duration;

kernel_tests!(machine:
    making_entries_needs_create,
    opening_what_is_there_needs_no_create,
    removing_entries_needs_delete,
    renaming_needs_delete_of_the_old_and_create_of_the_new_name,
    a_further_name_gives_no_more_than_the_first,
    cutting_a_file_needs_write,
    changing_attributes_needs_attributes,
    a_mapping_that_becomes_executable_later_needs_map,
    a_message_without_a_connection_needs_connect,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

macro_rules! rules {
    ($rules:literal) => {
        concat!("    exec: [{path: /attempt}, {path: /bin/sleep}, {path: \"/app/*\"}]\n", $rules)
    };
}

/// Each attempt with the answer it must get.
fn answers(case: &Case<'_>, attempts: &[(&[&str], &str)]) -> TestResult {
    for (words, answer) in attempts {
        assert_eq!(case.attempt(words)?, *answer, "{words:?}");
    }
    Ok(())
}

fn making_entries_needs_create(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "create", rules!("    files: [{path: \"/data/new*\", access: [create, write]}]\n"))?;
    answers(&case, &[(&["create", "/data/audited"], "allowed")])?;
    case.enforcer.wait_for_event("create", |event| {
        event.action == Action::WouldBlock && event.operation == Operation::Create && path_of(event) == "/data/audited"
    })?;
    case.enforce()?;
    for how in ["create", "mkdir", "fifo"] {
        answers(&case, &[(&[how, &format!("/data/new-{how}")], "allowed"), (&[how, &format!("/data/old-{how}")], "EPERM")])?;
    }
    answers(&case, &[(&["symlink", "/x", "/data/new-symlink"], "allowed"), (&["symlink", "/x", "/data/old-symlink"], "EPERM")])?;
    assert!(!vm.sh(&format!("ls {}/data/old-*", case.container.rootfs()))?.success(), "what was denied left nothing behind");
    case.end()
}

/// The kernel asks whether a file may be made before it looks whether there is one, unless a cache has its name.
fn opening_what_is_there_needs_no_create(vm: &Vm) -> TestResult {
    let mut case = Case::layered(vm, "there", rules!("    files: [{path: \"/data/*\", access: [write]}]\n"))?;
    for (mode, answer, action) in [("audit", "allowed", Action::WouldBlock), ("enforce", "EPERM", Action::Blocked)] {
        if mode == "enforce" {
            case.enforce()?;
        }
        let open = |path: &str| -> Result<String, Box<dyn std::error::Error>> {
            assert!(vm.sh("echo 2 >/proc/sys/vm/drop_caches")?.success());
            case.attempt(&["open-or-create", path])
        };
        let denied = case.enforcer.status()?["counters"]["denied"].as_u64().unwrap_or_default();
        let path = format!("/data/{mode}");
        assert_eq!(open("/data/file")?, "allowed");
        assert_eq!(open("/data/file")?, "allowed");
        assert_eq!(open(&path)?, answer);
        assert!(vm.sh(&format!("rm -f {root}/data/{mode}", root = case.container.rootfs()))?.success());
        let is_create = |event: &portcullis_api::Event| {
            event.container.profile == "there" && event.action == action && event.operation == Operation::Create
        };
        case.enforcer.wait_for_event(&path, |event| is_create(event) && path_of(event) == path)?;
        assert_eq!(case.enforcer.status()?["counters"]["denied"].as_u64().unwrap_or_default() - denied, u64::from(mode == "enforce"));
        let told = case.enforcer.wait_for_event("any", is_create)?;
        assert_eq!(path_of(&told), path, "the first that is told");
    }
    case.end()
}

/// By its name, and by a descriptor from before: when it was opened, nothing was enforced.
fn cutting_a_file_needs_write(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "cut", rules!("    files: [{path: /data/file, access: [write]}]\n"))?;
    let mut open = case.container.exec(["/attempt", "truncate-open", "/data/other"]).spawn()?;
    open.wait_for_line("open", Duration::from_secs(30))?;
    case.enforce()?;
    answers(&case, &[(&["truncate", "/data/file"], "allowed"), (&["truncate", "/data/other"], "EPERM")])?;
    open.write(b"\n")?;
    assert_eq!(open.wait(Duration::from_secs(30))?.text(), "open\nEPERM");
    case.end()
}

fn removing_entries_needs_delete(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "delete", rules!("    files: [{path: \"/data/gone*\", access: [create, write, delete]}]\n"))?;
    answers(
        &case,
        &[(&["create", "/data/gone"], "allowed"), (&["mkdir", "/data/gone-dir"], "allowed"), (&["mkdir", "/data/stays"], "allowed")],
    )?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["unlink", "/data/gone"], "allowed"),
            (&["unlink", "/data/file"], "EPERM"),
            (&["rmdir", "/data/gone-dir"], "allowed"),
            (&["rmdir", "/data/stays"], "EPERM"),
        ],
    )?;
    case.end()
}

fn renaming_needs_delete_of_the_old_and_create_of_the_new_name(vm: &Vm) -> TestResult {
    let rules =
        rules!("    files:\n    - {path: /data/file, access: [delete, create]}\n    - {path: /data/renamed, access: [delete, create]}\n");
    let mut case = Case::new(vm, "rename", rules)?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["rename", "/data/other", "/data/renamed"], "EPERM"),
            (&["rename", "/data/file", "/data/elsewhere"], "EPERM"),
            (&["rename", "/data/file", "/bin/program"], "EPERM"),
            (&["rename", "/data/file", "/data/renamed"], "allowed"),
            (&["exchange", "/data/renamed", "/data/other"], "EPERM"),
        ],
    )?;
    for old in ["/data/other", "/data/elsewhere"] {
        case.enforcer.wait_for_event(old, |event| event.operation == Operation::Rename && path_of(event) == old)?;
    }
    case.end()
}

fn a_further_name_gives_no_more_than_the_first(vm: &Vm) -> TestResult {
    let rules = rules!(
        "    files: [{path: \"/data/link*\", access: [create, write]}, {path: /data/file, access: [write]}]\n    guard: [/secret/**]\n"
    );
    let mut case = Case::new(vm, "link", rules)?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["link", "/data/file", "/data/link-1"], "allowed"),
            (&["link", "/data/file", "/data/other-name"], "EPERM"),
            // Writable under the new name, and not under the old one.
            (&["link", "/data/other", "/data/link-2"], "EPERM"),
            // Readable under the new name, and guarded under the old one.
            (&["link", "/secret/token", "/data/link-3"], "EPERM"),
            (&["read", "/secret/token"], "EPERM"),
        ],
    )?;
    case.enforcer.wait_for_event("the token", |event| event.operation == Operation::Link && path_of(event) == "/secret/token")?;
    case.end()
}

fn changing_attributes_needs_attributes(vm: &Vm) -> TestResult {
    let mut case =
        Case::new(vm, "attributes", rules!("    files: [{path: /data/file, access: [attributes]}]\n    capabilities: [CHOWN]\n"))?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["chmod", "/data/file"], "allowed"),
            (&["chmod", "/data/other"], "EPERM"),
            (&["chown", "/data/file"], "allowed"),
            (&["chown", "/data/other"], "EPERM"),
        ],
    )?;
    case.end()
}

fn a_mapping_that_becomes_executable_later_needs_map(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "protect", rules!("    files: [{path: /lib/some.so, access: [map]}]\n"))?;
    case.enforce()?;
    answers(&case, &[(&["protect", "/lib/some.so"], "allowed"), (&["protect", "/lib/other.so"], "EPERM")])?;
    case.end()
}

fn a_message_without_a_connection_needs_connect(vm: &Vm) -> TestResult {
    let mut case =
        Case::new(vm, "send", rules!("    connect: [{cidr: 127.0.0.1/32, ports: [53/UDP]}, {cidr: \"::1/128\", ports: [53/UDP]}]\n"))?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["send", "127.0.0.1:53"], "allowed"),
            (&["send", "127.0.0.1:54"], "EPERM"),
            (&["send", "[::1]:53"], "allowed"),
            (&["send", "[::1]:54"], "EPERM"),
        ],
    )?;
    case.enforcer.wait_for_event("send", |event| event.operation == Operation::Send)?;
    case.end()
}
