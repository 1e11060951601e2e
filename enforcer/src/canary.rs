//! Loaded is not enforcing: before the agent says that it enforces, a process in a container of its own must have been denied each kind of
//! operation that the programs judge.
//!
//! The agent makes a cgroup, arms it with a profile that grants little more than this executable, and starts itself there. That process
//! leaves the host's mount namespace, joins the cgroup and executes itself once more: the first exec of a container, which is allowed. Then it
//! attempts what is not, and tells what came of it.

use anyhow::{Context as _, bail};
use portcullis_abi::{CANARY, Container, Mode, ProfileWord};
use portcullis_api::{ContainerRules, ExecRule, FileAccess, FileRule};
use portcullis_profile::compile;
use rustix::{
    fs::{MemfdFlags, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, mmap_anonymous},
    net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, socket},
};
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    fs, io,
    net::{Ipv4Addr, SocketAddrV4},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::MetadataExt, process::CommandExt},
    },
    path::Path,
    process::Command,
    ptr,
};

use crate::{
    kernel::{maps::Maps, tables::Tables},
    key::path,
};

/// The name of the canary's cgroup, before a number.
const CGROUP: &str = "portcullis-canary-";

/// What came of one attempt.
#[derive(Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// What was attempted.
    pub operation: String,
    /// Whether it failed with `EPERM`.
    pub denied: bool,
    /// What it answered.
    pub answer: String,
}

/// Proves that the programs deny.
///
/// # Errors
/// Where the canary could not be started, or was allowed what it must be denied.
pub fn prove(maps: &mut Maps, tables: &mut Tables, cgroup_root: &Path) -> anyhow::Result<Vec<Attempt>> {
    remove_stale(cgroup_root);
    let executable = std::env::current_exe().context("cannot find the enforcer's own executable")?;
    let rules = rules(&executable)?;
    let compiled = compile(&rules)?;
    tables.apply(maps, CANARY, Mode::Enforce, ProfileWord::GUARDS, &compiled.table)?;

    let cgroup = cgroup_root.join(format!("{CGROUP}{}", std::process::id()));
    fs::create_dir(&cgroup).with_context(|| format!("cannot make the canary's cgroup {}", cgroup.display()))?;
    let attempts = attempt_within(maps, &cgroup, &executable);
    let removed = fs::remove_dir(&cgroup);
    let attempts = attempts?;
    removed.with_context(|| format!("cannot remove the canary's cgroup {}", cgroup.display()))?;

    for attempt in &attempts {
        if !attempt.denied {
            bail!("the kernel programs are attached, but the canary's {} was not denied: {}", attempt.operation, attempt.answer);
        }
    }
    Ok(attempts)
}

fn attempt_within(maps: &mut Maps, cgroup: &Path, executable: &Path) -> anyhow::Result<Vec<Attempt>> {
    let id = fs::metadata(cgroup)?.ino();
    if maps.arm(Container::new(id, CANARY), 0)?.is_none() {
        bail!("no slot is free for the canary");
    }
    let output = Command::new(executable).arg("canary").arg(cgroup).output().context("cannot start the canary")?;
    let attempts: Vec<Attempt> = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the canary did not report ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))?;
    if attempts.len() != OPERATIONS.len() {
        bail!("the canary reported {} attempts instead of {}", attempts.len(), OPERATIONS.len());
    }
    Ok(attempts)
}

/// What the canary needs to run at all.
fn rules(executable: &Path) -> anyhow::Result<ContainerRules> {
    use std::os::unix::ffi::OsStrExt as _;
    let own = portcullis_api::PathPattern::literal(executable.as_os_str().as_bytes())?;
    Ok(ContainerRules {
        name: "canary".to_owned(),
        exec: vec![ExecRule::any(own)],
        // The libraries that it is linked with, wherever they are.
        files: vec![FileRule { path: path("/**")?, access: [FileAccess::Map].into() }],
        guard: Some(vec![path("/proc/*/environ")?]),
        ..ContainerRules::default()
    })
}

/// Cgroups of agents that were killed while their canary ran.
fn remove_stale(cgroup_root: &Path) {
    for entry in fs::read_dir(cgroup_root).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(CGROUP)) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The first half of the canary: goes into the cgroup and executes the second half there. Returns only where it cannot.
///
/// # Errors
/// What stood in the way.
pub fn enter(cgroup: &Path) -> anyhow::Result<Infallible> {
    // SAFETY: this process has one thread, and no file descriptors or mounts that another part of it relies on.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.context("cannot leave the host's mount namespace")?;
    fs::write(cgroup.join("cgroup.procs"), "0").with_context(|| format!("cannot join {}", cgroup.display()))?;
    let executable = std::env::current_exe()?;
    Err(Command::new(&executable).arg("canary").exec()).context("cannot execute the canary inside its container")
}

type Try = fn() -> io::Result<()>;

/// Each kind of operation that the programs judge, on an object that no rule of the canary grants.
const OPERATIONS: &[(&str, Try)] = &[
    ("exec", || {
        let file = memfd_create("canary", MemfdFlags::empty())?;
        let error = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())).exec();
        Err(error)
    }),
    ("open for writing", || fs::OpenOptions::new().write(true).open("/dev/null").map(drop)),
    ("open for reading", || fs::File::open("/proc/self/environ").map(drop)),
    ("executable mapping", || {
        let file = memfd_create("canary", MemfdFlags::empty())?;
        rustix::fs::ftruncate(&file, 4096)?;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing refers to it.
        unsafe { mmap(ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, &file, 0) }?;
        Ok(())
    }),
    ("connect", || Ok(connect(&datagram_socket()?, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9))?)),
    // To a port that the kernel chooses: nothing can be in the way.
    ("bind", || Ok(bind(&datagram_socket()?, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?)),
    ("bind to an abstract name", || {
        let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
        Ok(bind(&socket, &SocketAddrUnix::new_abstract_name(b"portcullis-canary")?)?)
    }),
    ("executable memory", || {
        // SAFETY: a new mapping at an address of the kernel's choice; nothing refers to it.
        unsafe { mmap_anonymous(ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE) }?;
        Ok(())
    }),
    ("change of root, by its capability", || Ok(rustix::process::chroot("/")?)),
    ("netlink socket", || {
        use rustix::net::{AddressFamily, SocketType, netlink, socket};
        Ok(socket(AddressFamily::NETLINK, SocketType::RAW, Some(netlink::AUDIT)).map(drop)?)
    }),
    // One that does nothing to who gets it.
    ("signal to the node", || Ok(rustix::process::kill_process(rustix::process::Pid::INIT, rustix::process::Signal::CONT)?)),
    ("extended attribute", || {
        let file = memfd_create("canary", MemfdFlags::empty())?;
        Ok(rustix::fs::fsetxattr(&file, "user.canary", b"x", rustix::fs::XattrFlags::empty())?)
    }),
];

fn datagram_socket() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::INET, SocketType::DGRAM, None)?)
}

/// The second half of the canary: attempts everything and tells what came of it, as JSON on standard output.
///
/// # Errors
/// Where that cannot be written.
pub fn attempt() -> anyhow::Result<()> {
    let attempts: Vec<Attempt> = OPERATIONS
        .iter()
        .map(|(operation, attempt)| {
            let result = attempt();
            let denied = result.as_ref().is_err_and(|error| error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()));
            let answer = result.map_or_else(|error| error.to_string(), |()| "allowed".to_owned());
            Attempt { operation: (*operation).to_owned(), denied, answer }
        })
        .collect();
    serde_json::to_writer(io::stdout(), &attempts)?;
    Ok(())
}
