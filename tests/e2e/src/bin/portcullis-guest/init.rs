//! Process 1: from the kernel's initramfs to a system in which a container runtime works.
//!
//! The root file system becomes a tmpfs: `pivot_root`, which runc uses, refuses the initramfs, and on a real node nothing
//! runs from it either. Every step that fails ends the boot with its name on the console; nothing is skipped.

use std::{ffi::CStr, fs, io, os::unix::fs::symlink, path::Path, process::Command};

use portcullis_e2e::guest::{BOOT_SCRIPT, CGROUPS_V1_ARGUMENT, MODULES_FOLDER, MODULES_ORDER};
use rustix::{
    mount::{MountFlags, mount, mount_move},
    process::{WaitOptions, chroot, wait},
    system::{RebootCommand, finit_module, reboot},
};

use crate::serve;

/// Where the new root is put together.
const NEW_ROOT: &str = "/new";

/// File systems of the running system: what, where, options.
const MOUNTS: [(&str, &str, Option<&CStr>); 11] = [
    ("proc", "/proc", None),
    ("sysfs", "/sys", None),
    ("devtmpfs", "/dev", None),
    ("devpts", "/dev/pts", Some(c"gid=5,mode=620,ptmxmode=666")),
    ("tmpfs", "/dev/shm", Some(c"mode=1777")),
    ("tmpfs", "/run", Some(c"mode=755")),
    ("tmpfs", "/tmp", Some(c"mode=1777")),
    ("securityfs", "/sys/kernel/security", None),
    ("bpf", "/sys/fs/bpf", Some(c"mode=700")),
    ("debugfs", "/sys/kernel/debug", None),
    ("tracefs", "/sys/kernel/tracing", None),
];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Makes the system, starts the server, and reaps until that one ends.
pub(crate) fn run() -> Result<()> {
    load_modules()?;
    switch_root()?;
    for (kind, target, options) in MOUNTS {
        attach(kind, target, options)?;
    }
    mount_cgroups()?;
    program("/bin/busybox", &["ifconfig", "lo", "127.0.0.1", "up"])?;
    if Path::new(BOOT_SCRIPT).exists() {
        program("/bin/busybox", &["sh", BOOT_SCRIPT])?;
    }
    let server = Command::new("/init").arg(serve::ROLE).spawn().map_err(|error| format!("start the server: {error}"))?;
    reap_until(server.id());
    power_off();
    Ok(())
}

/// Switches the machine off. Nothing is to be synced: all is in memory.
pub(crate) fn power_off() {
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        eprintln!("portcullis-guest: power off: {error}");
    }
}

fn load_modules() -> Result<()> {
    let order = fs::read_to_string(MODULES_ORDER).map_err(|error| format!("read {MODULES_ORDER}: {error}"))?;
    for name in order.lines() {
        let file = fs::File::open(Path::new(MODULES_FOLDER).join(name)).map_err(|error| format!("open module {name}: {error}"))?;
        finit_module(&file, c"", 0).map_err(|error| format!("load module {name}: {error}"))?;
    }
    fs::remove_dir_all(MODULES_FOLDER)?;
    Ok(())
}

/// Moves everything from the initramfs to a tmpfs and makes that the root.
fn switch_root() -> Result<()> {
    attach("tmpfs", NEW_ROOT, Some(c"mode=755"))?;
    for entry in fs::read_dir("/")? {
        let path = entry?.path();
        // The kernel made /dev/console; devtmpfs brings its own.
        if path != Path::new(NEW_ROOT) && path != Path::new("/dev") {
            let name = path.strip_prefix("/")?;
            move_tree(&path, &Path::new(NEW_ROOT).join(name)).map_err(|error| format!("move {}: {error}", path.display()))?;
        }
    }
    std::env::set_current_dir(NEW_ROOT)?;
    mount_move(".", "/").map_err(|error| format!("move the new root over the old: {error}"))?;
    chroot(".")?;
    std::env::set_current_dir("/")?;
    Ok(())
}

/// Copies and deletes file by file, so that the memory is not needed twice.
fn move_tree(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?;
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        fs::remove_file(from)
    } else if kind.is_dir() {
        fs::create_dir(to)?;
        fs::set_permissions(to, kind.permissions())?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            move_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
        fs::remove_dir(from)
    } else {
        fs::copy(from, to)?;
        fs::remove_file(from)
    }
}

fn attach(kind: &str, target: &str, options: Option<&CStr>) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| format!("mount {kind} at {target}: {error}");
    fs::create_dir_all(target).map_err(|error| failed(&error))?;
    mount(kind, target, kind, MountFlags::empty(), options).map_err(|error| failed(&error))?;
    Ok(())
}

/// Version 2 at its usual place; or, where the command line asks for it, every controller in a version 1 hierarchy of its own.
fn mount_cgroups() -> Result<()> {
    if !fs::read_to_string("/proc/cmdline")?.split_whitespace().any(|word| word == CGROUPS_V1_ARGUMENT) {
        return attach("cgroup2", "/sys/fs/cgroup", None);
    }
    attach("tmpfs", "/sys/fs/cgroup", Some(c"mode=755"))?;
    let controllers = fs::read_to_string("/proc/cgroups")?;
    for name in controllers.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next()) {
        let target = format!("/sys/fs/cgroup/{name}");
        let option = std::ffi::CString::new(name)?;
        attach("cgroup", &target, Some(&option))?;
    }
    Ok(())
}

fn program(path: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(path).args(arguments).env("PATH", portcullis_e2e::guest::PATH).status()?;
    if status.success() { Ok(()) } else { Err(format!("{path} {}: {status}", arguments.join(" ")).into()) }
}

/// Takes every child that ends, orphans included, until the server does.
fn reap_until(server: u32) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, _))) if u32::try_from(pid.as_raw_nonzero().get()) == Ok(server) => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                eprintln!("portcullis-guest: wait: {error}");
                return;
            }
        }
    }
}
