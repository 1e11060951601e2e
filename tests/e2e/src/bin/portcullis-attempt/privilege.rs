//! What needs a capability, a privilege or a kind of socket: system calls as the kernel has them, since the point is the kernel's answer.

use std::{
    ffi::{CString, c_long, c_void},
    io, ptr,
};

/// Attempts what the words say; `None` where they say nothing of this.
pub(crate) fn attempt(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["socket", family, kind, protocol] => socket(number(family), number(kind), number(protocol)),
        ["chroot", folder] => call(libc::SYS_chroot, &[&path(folder)], &[]),
        ["setuid", id] => raw(libc::SYS_setuid, [number(id), 0, 0, 0, 0, 0]),
        ["setgid", id] => raw(libc::SYS_setgid, [number(id), 0, 0, 0, 0, 0]),
        ["setgroups"] => raw(libc::SYS_setgroups, [0; 6]),
        ["hostname", name] => call(libc::SYS_sethostname, &[&path(name)], &[name.len() as c_long]),
        ["device", name] => call(libc::SYS_mknod, &[&path(name)], &[c_long::from(libc::S_IFCHR | 0o600), 0x103]),
        ["unshare", kind] => raw(libc::SYS_unshare, [namespace(kind), 0, 0, 0, 0, 0]),
        ["setns", file, kind] => open(file).and_then(|fd| raw(libc::SYS_setns, [fd, namespace(kind), 0, 0, 0, 0])),
        ["trace-me"] => raw(libc::SYS_ptrace, [0; 6]),
        ["trace-child"] => with_child(|child| raw(libc::SYS_ptrace, [PTRACE_SEIZE, child, 0, 0, 0, 0])),
        ["trace", pid] => raw(libc::SYS_ptrace, [PTRACE_SEIZE, number(pid), 0, 0, 0, 0]),
        ["read-child"] => with_child(read_memory),
        ["read-memory", pid] => read_memory(number(pid)),
        ["take-file", pid] => take_file(number(pid)),
        ["kill", pid, signal] => raw(libc::SYS_kill, [number(pid), number(signal), 0, 0, 0, 0]),
        ["kill-child"] => with_child(|child| raw(libc::SYS_kill, [child, c_long::from(libc::SIGTERM), 0, 0, 0, 0])),
        ["mount", target] => mount("none", target, "tmpfs", 0),
        ["bind-mount", source, target] => mount(source, target, "", libc::MS_BIND),
        ["remount", target] => mount("none", target, "", libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY),
        ["reconfigure", target] => reconfigure(target),
        ["umount", target] => call(libc::SYS_umount2, &[&path(target)], &[0]),
        ["mount-umount", target] => mount("none", target, "tmpfs", 0).and_then(|()| call(libc::SYS_umount2, &[&path(target)], &[0])),
        ["move-mount", source, target] => detached_copy(source).and_then(|copy| move_mount(copy, target)),
        ["open-tree", source] => detached_copy(source).map(drop),
        ["new-mount", target] => new_mount().and_then(|mount| move_mount(mount, target)),
        ["pivot-root", folder] => pivot_root(folder),
        ["bpf"] => bpf_map(),
        ["bpf-open", pin] => bpf_open(pin),
        ["perf"] => perf(),
        ["module"] => module(),
        ["module-file", file] => module_file(file),
        // No segments: what was loaded before is unloaded, which is nothing.
        ["kexec"] => raw(libc::SYS_kexec_load, [0; 6]),
        ["add-key"] => call(libc::SYS_add_key, &[&path("user"), &path("attempt"), &path("x")], &[1, KEY_SPEC_PROCESS_KEYRING]),
        ["join-session"] => raw(libc::SYS_keyctl, [KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0, 0]),
        ["read-key"] => raw(libc::SYS_keyctl, [KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, 0, 0, 0, 0]),
        ["set-attribute", file, name] => call(libc::SYS_setxattr, &[&path(file), &path(name), &path("x")], &[1, 0]),
        ["remove-attribute", file, name] => call(libc::SYS_removexattr, &[&path(file), &path(name)], &[]),
        ["set-acl", file] => set_acl(file),
        _ => return None,
    })
}

const PTRACE_SEIZE: c_long = 0x4206;
// `include/uapi/linux/keyctl.h`
const KEY_SPEC_PROCESS_KEYRING: c_long = -2;
const KEY_SPEC_SESSION_KEYRING: c_long = -3;
const KEYCTL_JOIN_SESSION_KEYRING: c_long = 1;
const KEYCTL_DESCRIBE: c_long = 6;

fn number(text: &str) -> c_long {
    text.parse().unwrap_or(-1)
}

fn path(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

fn namespace(kind: &str) -> c_long {
    c_long::from(match kind {
        "mnt" => libc::CLONE_NEWNS,
        "net" => libc::CLONE_NEWNET,
        "pid" => libc::CLONE_NEWPID,
        "ipc" => libc::CLONE_NEWIPC,
        "uts" => libc::CLONE_NEWUTS,
        "cgroup" => libc::CLONE_NEWCGROUP,
        "user" => libc::CLONE_NEWUSER,
        _ => 0,
    })
}

fn raw(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> io::Result<()> {
    answer(number, [a, b, c, d, e, f]).map(drop)
}

fn answer(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> io::Result<c_long> {
    // SAFETY: pointers among the arguments are to values that the caller keeps.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A call whose first arguments are texts.
fn call(number: c_long, texts: &[&CString], rest: &[c_long]) -> io::Result<()> {
    let mut arguments = [0; 6];
    let all = texts.iter().map(|text| text.as_ptr() as c_long).chain(rest.iter().copied());
    for (argument, value) in arguments.iter_mut().zip(all) {
        *argument = value;
    }
    raw(number, arguments)
}

fn address<T>(value: &mut T) -> c_long {
    ptr::from_mut(value).cast::<c_void>() as c_long
}

fn open(file: &str) -> io::Result<c_long> {
    answer(libc::SYS_open, [path(file).as_ptr() as c_long, c_long::from(libc::O_RDONLY), 0, 0, 0, 0])
}

fn socket(family: c_long, kind: c_long, protocol: c_long) -> io::Result<()> {
    match raw(libc::SYS_socket, [family, kind, protocol, 0, 0, 0]) {
        // The kernel asked, and then found no such family or protocol.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT)) => Ok(()),
        other => other,
    }
}

/// What comes of `work` on a child that waits to be killed.
fn with_child(work: impl FnOnce(c_long) -> io::Result<()>) -> io::Result<()> {
    // SAFETY: this process has one thread, and the child only waits.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => loop {
            // SAFETY: no preconditions.
            unsafe { libc::pause() };
        },
        child => {
            let result = work(child.into());
            // SAFETY: the child is this process's own.
            unsafe {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, ptr::null_mut(), 0);
            }
            result
        }
    }
}

/// Reads a byte of another process, at an address that is mapped in every process of this program: it is not placed at random.
fn read_memory(pid: c_long) -> io::Result<()> {
    let mut byte = 0u8;
    let mut here = libc::iovec { iov_base: ptr::from_mut(&mut byte).cast(), iov_len: 1 };
    let mut there = libc::iovec { iov_base: ptr::from_mut(&mut byte).cast(), iov_len: 1 };
    match raw(libc::SYS_process_vm_readv, [pid, address(&mut here), 1, address(&mut there), 1, 0]) {
        // The kernel asked, and then found nothing there.
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        other => other,
    }
}

fn take_file(pid: c_long) -> io::Result<()> {
    let process = answer(libc::SYS_pidfd_open, [pid, 0, 0, 0, 0, 0])?;
    match raw(libc::SYS_pidfd_getfd, [process, 0, 0, 0, 0, 0]) {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(()),
        other => other,
    }
}

fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong) -> io::Result<()> {
    call(libc::SYS_mount, &[&path(source), &path(target), &path(kind)], &[flags.cast_signed()])
}

// `include/uapi/linux/mount.h`, `include/uapi/linux/fcntl.h`
const OPEN_TREE_CLONE: c_long = 1;
const MOVE_MOUNT_F_EMPTY_PATH: c_long = 4;
const FSCONFIG_CMD_CREATE: c_long = 6;
const FSCONFIG_CMD_RECONFIGURE: c_long = 7;
const AT_FDCWD: c_long = libc::AT_FDCWD as c_long;

fn detached_copy(source: &str) -> io::Result<c_long> {
    answer(libc::SYS_open_tree, [AT_FDCWD, path(source).as_ptr() as c_long, OPEN_TREE_CLONE, 0, 0, 0])
}

fn new_mount() -> io::Result<c_long> {
    let context = answer(libc::SYS_fsopen, [path("tmpfs").as_ptr() as c_long, 0, 0, 0, 0, 0])?;
    raw(libc::SYS_fsconfig, [context, FSCONFIG_CMD_CREATE, 0, 0, 0, 0])?;
    answer(libc::SYS_fsmount, [context, 0, 0, 0, 0, 0])
}

/// Mounts the file system of a mount again, as it is: the one way on which the kernel asks about nothing else.
fn reconfigure(target: &str) -> io::Result<()> {
    let context = answer(libc::SYS_fspick, [AT_FDCWD, path(target).as_ptr() as c_long, 0, 0, 0, 0])?;
    raw(libc::SYS_fsconfig, [context, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0, 0])
}

fn move_mount(from: c_long, target: &str) -> io::Result<()> {
    let (empty, target) = (path(""), path(target));
    raw(libc::SYS_move_mount, [from, empty.as_ptr() as c_long, AT_FDCWD, target.as_ptr() as c_long, MOVE_MOUNT_F_EMPTY_PATH, 0])
}

fn pivot_root(folder: &str) -> io::Result<()> {
    raw(libc::SYS_unshare, [namespace("mnt"), 0, 0, 0, 0, 0])?;
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE)?;
    mount("none", folder, "tmpfs", 0)?;
    std::fs::create_dir(format!("{folder}/old"))?;
    call(libc::SYS_pivot_root, &[&path(folder), &path(&format!("{folder}/old"))], &[])
}

/// `BPF_MAP_CREATE` of an array with one entry.
fn bpf_map() -> io::Result<()> {
    // Kind, key, value, entries.
    let mut attributes = [2u32, 4, 4, 1, 0, 0, 0, 0];
    raw(libc::SYS_bpf, [0, address(&mut attributes), size_of_val(&attributes) as c_long, 0, 0, 0])
}

/// `BPF_OBJ_GET`.
fn bpf_open(pin: &str) -> io::Result<()> {
    let pin = path(pin);
    let mut attributes = [pin.as_ptr() as u64, 0];
    raw(libc::SYS_bpf, [7, address(&mut attributes), size_of_val(&attributes) as c_long, 0, 0, 0])
}

/// A counter of this process's own time.
fn perf() -> io::Result<()> {
    // Kind: software. Size: the first version of the structure. Excluded: the kernel, the hypervisor.
    let mut attributes = [1u64 | 64 << 32, 0, 0, 0, 0, 1 << 5 | 1 << 6, 0, 0];
    raw(libc::SYS_perf_event_open, [address(&mut attributes), 0, -1, -1, 0, 0])
}

fn module() -> io::Result<()> {
    let mut image = [0u8; 64];
    let parameters = path("");
    match raw(libc::SYS_init_module, [address(&mut image), 64, parameters.as_ptr() as c_long, 0, 0, 0]) {
        // The kernel asked, and then found that it is no module.
        Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => Ok(()),
        other => other,
    }
}

/// The same from a file.
fn module_file(file: &str) -> io::Result<()> {
    let parameters = path("");
    match open(file).and_then(|fd| raw(libc::SYS_finit_module, [fd, parameters.as_ptr() as c_long, 0, 0, 0, 0])) {
        Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => Ok(()),
        other => other,
    }
}

/// An access control list that says what the mode says.
fn set_acl(file: &str) -> io::Result<()> {
    // `include/uapi/linux/posix_acl_xattr.h`: version, then tag, permissions and id of owner, group and others.
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, permissions) in [(1u16, 6u16), (4, 6), (0x20, 6)] {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(u32::MAX.to_le_bytes());
    }
    let (file, name) = (path(file), path("system.posix_acl_access"));
    let arguments = [file.as_ptr() as c_long, name.as_ptr() as c_long, list.as_ptr() as c_long, list.len() as c_long, 0, 0];
    raw(libc::SYS_setxattr, arguments)
}
