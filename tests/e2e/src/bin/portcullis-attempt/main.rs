//! `portcullis-attempt OPERATION ARGUMENT...`: attempts one thing, the way a program would, and says what came of it: `allowed`, or the name of
//! the error. The exit status is 0 for `allowed` and 1 otherwise.
//!
//! ```text
//!  exec PATH [ARGUMENT...]       replaces itself: says something only where that fails
//!  exec-as PATH NAME [ARGUMENT...]  the same, called by that name
//!  exec-as-everywhere PATH NAME  the same in children, with arguments that put the name everywhere in a page: how often it was denied and not
//!  read PATH | write PATH        opens it
//!  create PATH                   makes a file and opens it for writing
//!  open-or-create PATH           opens it for writing, and makes it where it is not there
//!  mkdir | rmdir | unlink | fifo PATH
//!  rename | exchange | link FROM TO, symlink TARGET PATH
//!  truncate PATH                 cuts it by its name; truncate-open: opens it, says so, and cuts it after a line of input
//!  chmod PATH, chown PATH
//!  map PATH                      maps it as executable
//!  protect PATH                  maps it for reading and then makes that executable
//!  tcp | udp ADDRESS:PORT        connects a socket; a refused connection counts as allowed
//!  send ADDRESS:PORT             sends a datagram without connecting
//!  fast-open ADDRESS:PORT        connects by sending, with TCP fast open
//!  bind PROTOCOL ADDRESS:PORT    binds a socket; `connect` and `send-by` do what they say; sockets.rs has the protocols
//!  bind-unspecified PORT         binds to 0.0.0.0 as an address of no family
//!  serve ADDRESS:PORT            binds a TCP socket and listens
//!  listen PROTOCOL ADDRESS:PORT  listens without binding; the address is for its family
//!  unix-connect KIND ADDRESS, unix-send ADDRESS, ...  UNIX sockets: unix.rs
//!  map-memory, protect-memory, ...  executable memory without a file: memory.rs
//!  exec-memory                   executes a memory file
//!  exec-at PATH                  opens it and executes what is open by `execveat` with an empty path; exec-memory-at: a memory file
//!  exec-deleted PATH             opens it, removes it, and executes what is open
//!  exec-open PATH                opens it and executes what is open
//!  in-root FOLDER OPERATION...   the same after `chroot`
//!  in-cgroup FOLDER OPERATION... the same after joining another cgroup
//!  flood FOLDER COUNT            opens so many names there for writing, and says how many were denied
//!  socket, chroot, setuid, trace-child, mount, bpf, ... what needs a capability, a privilege or a kind of socket: privilege.rs
//!  ring, ring-write PATH, ...    the same by an io_uring: ring.rs
//!  mix STOP                      allowed and forbidden operations in turn until that file is there: mix.rs
//!  loop-both LISTED UNLISTED STOP  executes both in children again and again until the file STOP is there: how often each was denied and not
//!  loop-exec PATH SECONDS        executes it in children again and again: how often it was denied and how often not
//!  attempts                      reads the words of an attempt from each line, as JSON, and makes it in a child: what that says, as JSON
//! ```

mod memory;
mod mix;
mod privilege;
mod ring;
mod sockets;
mod unix;

use rustix::{
    fs::{AtFlags, CWD, FileType, MemfdFlags, Mode, RenameFlags, chmodat, memfd_create, mknodat, renameat_with},
    io::Errno,
    mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect},
};
use std::{
    env, fmt, fs, io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::Path,
    process::{Command, ExitCode, Stdio},
    ptr, thread,
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["exec", path, ref rest @ ..] => Err(Command::new(path).args(rest).exec()),
        ["exec-as", path, name, ref rest @ ..] => Err(Command::new(path).arg0(name).args(rest).exec()),
        ["exec-as-everywhere", path, name] => {
            println!("{}", exec_as_everywhere(path, name));
            return ExitCode::SUCCESS;
        }
        ["read", path] => fs::File::open(path).map(drop),
        ["write", path] => fs::OpenOptions::new().write(true).open(path).map(drop),
        ["create", path] => fs::OpenOptions::new().write(true).create_new(true).open(path).map(drop),
        ["open-or-create", path] => fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).map(drop),
        ["mkdir", path] => fs::create_dir(path),
        ["rmdir", path] => fs::remove_dir(path),
        ["unlink", path] => fs::remove_file(path),
        ["fifo", path] => mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).map_err(io::Error::from),
        ["rename", from, to] => fs::rename(from, to),
        ["exchange", from, to] => renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE).map_err(io::Error::from),
        ["link", from, to] => fs::hard_link(from, to),
        ["symlink", target, path] => std::os::unix::fs::symlink(target, path),
        ["truncate", path] => truncate(path),
        ["truncate-open", path] => truncate_open(path),
        ["chmod", path] => chmodat(CWD, path, Mode::RWXU, AtFlags::empty()).map_err(io::Error::from),
        ["chown", path] => std::os::unix::fs::chown(path, Some(1), Some(1)),
        ["protect", path] => fs::File::open(path).and_then(|file| protect(&file)),
        ["map", path] => fs::File::open(path).and_then(|file| map(&file)),
        ["exec-memory"] => exec_memory(),
        ["exec-memory-at"] => own_memory().and_then(|file| Err(exec_at(&file))),
        ["exec-at", path] => fs::File::open(path).map(|file| exec_at(&file)).and_then(Err),
        ["exec-open", path] => fs::File::open(path).map(|file| exec_open(&file)).and_then(Err),
        ["exec-deleted", path] => fs::File::open(path).and_then(|file| fs::remove_file(path).map(|()| exec_open(&file))).and_then(Err),
        ["in-root", folder, ref rest @ ..] => std::os::unix::fs::chroot(folder)
            .and_then(|()| env::set_current_dir("/"))
            .and_then(|()| Err(Command::new("/attempt").args(rest).exec())),
        ["in-cgroup", folder, ref rest @ ..] => {
            fs::write(format!("{folder}/cgroup.procs"), "0").and_then(|()| Err(Command::new("/attempt").args(rest).exec()))
        }
        ["flood", folder, count] => {
            let names = (0..count.parse().unwrap_or(1)).map(|index: u32| format!("{folder}/{index}"));
            let denied = names.filter(|name| {
                fs::OpenOptions::new().write(true).create(true).truncate(false).open(name).is_err_and(|error| is_denial(&error))
            });
            println!("denied {}", denied.count());
            return ExitCode::SUCCESS;
        }
        ["attempts"] => {
            return make_attempts().map_or_else(|error| say(&name(&error), ExitCode::FAILURE), |()| ExitCode::SUCCESS);
        }
        ["mix", stop] => {
            mix::run_until(stop.as_ref());
            return ExitCode::SUCCESS;
        }
        ["loop-both", listed, unlisted, stop] => {
            let (mut of_listed, mut of_unlisted) = (Tries::default(), Tries::default());
            while !Path::new(stop).exists() {
                of_listed.again(listed);
                of_unlisted.again(unlisted);
                // Others need the emulated processors, too.
                thread::sleep(Duration::from_millis(20));
            }
            println!("listed: {of_listed}, unlisted: {of_unlisted}");
            return ExitCode::SUCCESS;
        }
        ["loop-exec", path, seconds] => {
            println!("{}", loop_exec(path, seconds.parse().unwrap_or(1)));
            return ExitCode::SUCCESS;
        }
        ref words
            if let Some(result) = sockets::attempt(words)
                .or_else(|| unix::attempt(words))
                .or_else(|| memory::attempt(words))
                .or_else(|| privilege::attempt(words))
                .or_else(|| ring::attempt(words)) =>
        {
            result
        }
        _ => {
            eprintln!("usage: portcullis-attempt OPERATION ARGUMENT..., not {arguments:?}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => say("allowed", ExitCode::SUCCESS),
        // Nobody listens: the connection was attempted, which is what was asked.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => say("allowed", ExitCode::SUCCESS),
        Err(error) => say(&name(&error), ExitCode::FAILURE),
    }
}

fn say(word: &str, code: ExitCode) -> ExitCode {
    println!("{word}");
    code
}

fn name(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::PERM) => "EPERM".to_owned(),
        Some(Errno::ACCESS) => "EACCES".to_owned(),
        Some(Errno::NOENT) => "ENOENT".to_owned(),
        _ => error.to_string(),
    }
}

fn make_attempts() -> io::Result<()> {
    let itself = env::args_os().next().unwrap_or_default();
    for (number, line) in (1..).zip(io::stdin().lines()) {
        let words: Vec<String> = serde_json::from_str(&line?)?;
        let output = Command::new(&itself).args(words).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let said = output.map_or_else(|error| name(&error), |output| String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        println!("{} of attempt {number}.", serde_json::Value::from(said));
    }
    Ok(())
}

fn map(file: &fs::File) -> io::Result<()> {
    // SAFETY: a new mapping at an address of the kernel's choice; nothing refers to it.
    unsafe { mmap(ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, file, 0) }?;
    Ok(())
}

fn protect(file: &fs::File) -> io::Result<()> {
    // SAFETY: a new mapping at an address of the kernel's choice; nothing refers to it.
    unsafe {
        let address = mmap(ptr::null_mut(), 4096, ProtFlags::READ, MapFlags::PRIVATE, file, 0)?;
        mprotect(address, 4096, MprotectFlags::READ | MprotectFlags::EXEC)?;
    }
    Ok(())
}

/// Executes an open file by its descriptor; returns only where that fails.
fn exec_open(file: &fs::File) -> io::Error {
    Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())).exec()
}

/// Cuts a file that is not open.
fn truncate(path: &str) -> io::Result<()> {
    let path = std::ffi::CString::new(path)?;
    // SAFETY: the text ends as the kernel expects, and lives as long as the call.
    if unsafe { libc::truncate(path.as_ptr(), 0) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Cuts a file that was opened before.
fn truncate_open(path: &str) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    println!("open");
    io::stdin().read_line(&mut String::new())?;
    file.set_len(0)
}

fn is_denial(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::PERM)
}

/// Executes an open file by its descriptor alone; returns only where that fails.
fn exec_at(file: &fs::File) -> io::Error {
    let words = [c"attempt".as_ptr(), ptr::null()];
    // SAFETY: texts and lists end as the kernel expects, and live as long as the call.
    unsafe {
        libc::syscall(libc::SYS_execveat, file.as_raw_fd(), c"".as_ptr(), words.as_ptr(), words.as_ptr().add(1), libc::AT_EMPTY_PATH)
    };
    io::Error::last_os_error()
}

fn exec_memory() -> io::Result<()> {
    own_memory().and_then(|file| Err(exec_open(&file)))
}

/// This program in a memory file.
fn own_memory() -> io::Result<fs::File> {
    let file = memfd_create("attempt", MemfdFlags::empty())?;
    fs::copy("/proc/self/exe", format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(file.into())
}

/// How often something was denied, and how often not.
#[derive(Default)]
struct Tries {
    denied: u64,
    allowed: u64,
}

impl Tries {
    /// Executes it in a child.
    fn again(&mut self, path: &str) {
        self.of(&mut Command::new(path));
    }

    fn of(&mut self, command: &mut Command) {
        match command.status() {
            Err(error) if is_denial(&error) => self.denied += 1,
            _ => self.allowed += 1,
        }
    }
}

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied {} allowed {}", self.denied, self.allowed)
    }
}

/// What lies above the name on the stack of a new program moves it through a page and over the end of one.
fn exec_as_everywhere(path: &str, name: &str) -> Tries {
    let mut tries = Tries::default();
    for length in (0..4096 + 64).step_by(31) {
        tries.of(Command::new(path).arg0(name).arg("x".repeat(length)).stdout(Stdio::piped()));
    }
    tries
}

fn loop_exec(path: &str, seconds: u64) -> Tries {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut tries = Tries::default();
    while Instant::now() < end {
        tries.again(path);
    }
    tries
}
