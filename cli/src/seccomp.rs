//! `portcullis seccomp`: the system calls that a profile recorded, as a seccomp profile in the form that container runtimes read
//! (`LinuxSeccomp` of the OCI runtime specification; Docker's is the same).
//!
//! A filter knows no files and no addresses, so this is the second line behind the workload's own profile, and the first where the kernel has no
//! BPF-LSM. It is put in force by the runtime, not by Portcullis.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};

use portcullis_api::{ContainerRules, Syscall, WorkloadProfile};
use serde::Serialize;

use crate::Status;
use crate::args::SeccompArgs;

/// What runc itself calls between putting the filter in force and executing the container's program; without `allowPrivilegeEscalation: false`,
/// that is all of dropping capabilities and taking on the user. None of it is recorded: it is not the workload's.
const RUNTIME: &[&str] = &[
    "brk",
    "capget",
    "capset",
    "chdir",
    "clone",
    "clone3",
    "close",
    "close_range",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "eventfd2",
    "execve",
    "exit",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fchdir",
    "fchown",
    "fcntl",
    "fstat",
    "fstatfs",
    "futex",
    "getcwd",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpid",
    "getppid",
    "getrandom",
    "gettid",
    "getuid",
    "ioctl",
    "lseek",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "nanosleep",
    "newfstatat",
    "openat",
    "openat2",
    "pipe2",
    "prctl",
    "pread64",
    "read",
    "readlinkat",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "seccomp",
    "setgid",
    "setgroups",
    "setresgid",
    "setresuid",
    "setuid",
    "sigaltstack",
    "statfs",
    "statx",
    "tgkill",
    "umask",
    "uname",
    "write",
];

/// A seccomp profile.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u32>,
    architectures: Vec<&'static str>,
    syscalls: Vec<Allowed>,
}

#[derive(Debug, Serialize)]
struct Allowed {
    names: BTreeSet<&'static str>,
    action: &'static str,
}

/// Writes the seccomp profile of a container.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &SeccompArgs, output: &mut impl Write) -> io::Result<Status> {
    let written = read(args).and_then(|profiles| Ok(profile(chosen(&profiles, args.container.as_deref())?, args.log)));
    let (profile, unnamed) = match written {
        Ok(written) => written,
        Err(reason) => {
            eprintln!("portcullis: {reason}");
            return Ok(Status::Failed);
        }
    };
    for call in unnamed {
        eprintln!("portcullis: {call} is left out: seccomp profiles know system calls by their names");
    }
    serde_json::to_writer_pretty(&mut *output, &profile)?;
    writeln!(output)?;
    Ok(Status::Passed)
}

fn read(args: &SeccompArgs) -> Result<Vec<WorkloadProfile>, String> {
    let name = args.profile.display().to_string();
    let text = fs::read_to_string(&args.profile).map_err(|error| format!("cannot read {name}: {error}"))?;
    portcullis_api::load(&name, &text).map_err(|error| error.to_string())
}

/// The container of that name, or the only one.
fn chosen<'p>(profiles: &'p [WorkloadProfile], name: Option<&str>) -> Result<&'p ContainerRules, String> {
    let containers: Vec<&ContainerRules> = profiles.iter().flat_map(|profile| &profile.spec.containers).collect();
    let listed = || containers.iter().map(|rules| rules.name.as_str()).collect::<Vec<_>>().join(", ");
    let rules = match (name, containers.as_slice()) {
        (_, []) => return Err("the profile lists no container yet".to_owned()),
        (None, [only]) => only,
        (None, _) => return Err(format!("the profile has several containers: choose one by --container: {}", listed())),
        (Some(name), _) => containers
            .iter()
            .find(|rules| rules.name == name)
            .ok_or_else(|| format!("the profile has no container {name}; it has {}", listed()))?,
    };
    if rules.syscalls.is_empty() {
        return Err(format!("no system calls are recorded of container {}: they are while its profile is in mode learn", rules.name));
    }
    Ok(rules)
}

/// The profile, and the calls that it cannot name.
fn profile(rules: &ContainerRules, log: bool) -> (Profile, Vec<Syscall>) {
    let mut architectures = vec!["SCMP_ARCH_X86_64"];
    if rules.syscalls.iter().any(|call| call.is_i386()) {
        // One list is for all architectures: what either table has by that name is allowed in both.
        architectures.push("SCMP_ARCH_X86");
    }
    let names = rules.syscalls.iter().filter_map(|call| call.name()).chain(RUNTIME.iter().copied()).collect();
    let unnamed = rules.syscalls.iter().copied().filter(|call| call.name().is_none()).collect();
    let (default_action, default_errno_ret) = if log { ("SCMP_ACT_LOG", None) } else { ("SCMP_ACT_ERRNO", Some(EPERM)) };
    (Profile { default_action, default_errno_ret, architectures, syscalls: vec![Allowed { names, action: "SCMP_ACT_ALLOW" }] }, unnamed)
}

const EPERM: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> ContainerRules {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_was_recorded_is_allowed_and_what_the_runtime_needs() {
        let (profile, unnamed) = profile(&rules(r#"{"name":"a","syscalls":["sendfile","i386:socketcall","syscall-511"]}"#), false);
        let json = serde_json::to_value(&profile).unwrap();
        assert_eq!(json["defaultAction"], "SCMP_ACT_ERRNO");
        assert_eq!(json["defaultErrnoRet"], 1);
        assert_eq!(json["architectures"], serde_json::json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]));
        let names: Vec<_> = json["syscalls"][0]["names"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
        for name in ["sendfile", "socketcall", "execve"] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(!names.contains(&"ptrace"));
        assert_eq!(unnamed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["syscall-511"]);
    }

    #[test]
    fn one_that_only_logs_denies_nothing() {
        let (profile, _) = profile(&rules(r#"{"name":"a","syscalls":["read"]}"#), true);
        let json = serde_json::to_value(&profile).unwrap();
        assert_eq!(json["defaultAction"], "SCMP_ACT_LOG");
        assert!(json.get("defaultErrnoRet").is_none());
    }

    #[test]
    fn every_call_of_the_runtime_is_one() {
        for name in RUNTIME {
            assert_eq!(name.parse::<Syscall>().unwrap().name(), Some(*name));
        }
    }

    #[test]
    fn the_container_is_named_where_there_are_several() {
        let text = "apiVersion: portcullis.dev/v1alpha1\nkind: WorkloadProfile\nmetadata: {namespace: a, name: b}\nspec:\n  \
                    workload: {apiVersion: v1, kind: Pod, name: b}\n  mode: learn\n  containers:\n  - {name: one, syscalls: [read]}\n  - {name: two}\n";
        let profiles = portcullis_api::load("f", text).unwrap();
        assert_eq!(chosen(&profiles, Some("one")).unwrap().name, "one");
        assert_eq!(chosen(&profiles, None).unwrap_err(), "the profile has several containers: choose one by --container: one, two");
        assert_eq!(chosen(&profiles, Some("three")).unwrap_err(), "the profile has no container three; it has one, two");
        assert!(chosen(&profiles, Some("two")).unwrap_err().starts_with("no system calls are recorded of container two"));
        assert_eq!(chosen(&[], None).unwrap_err(), "the profile lists no container yet");
    }
}
