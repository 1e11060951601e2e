//! The emulator's process: software emulation only, no network, no disk but one that is only read.
//!
//! It must not outlive the test. Dropping [`Emulator`] kills and reaps it. Where nothing is dropped, because the test process
//! was killed or keeps the machine in a `static`, two more things end it: `setpriv --pdeathsig` has the kernel kill it with
//! its parent, and the agent switches the guest off when its port closes. A parent-death signal comes when the
//! *thread* that made the child ends, and tests run in threads of their own; so each emulator has a thread for its life.
//!
//! Nothing has a name on the host: the archive and the console are anonymous files, which the emulator opens through
//! `/proc`; the agent's port is the emulator's standard input and output, one end of a socket pair.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::FileExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{
    error::{Console, Error},
    protocol::PORT,
};

const PROGRAM: &str = "qemu-system-x86_64";

/// How long a killed emulator may take to end, and one whose guest is gone to tell how.
const END_LIMIT: Duration = Duration::from_secs(10);

/// What the emulator is to be started with.
pub(crate) struct Options {
    pub(crate) kernel: PathBuf,
    pub(crate) archive: Arc<File>,
    pub(crate) command_line: String,
    pub(crate) memory_mib: u32,
    /// A disk that the guest may only read.
    pub(crate) disk: Option<PathBuf>,
    /// The guest's clock counts instructions: one processor, and time stands still while nothing runs.
    pub(crate) icount: bool,
    /// Where its monitor is to listen, if it is to.
    pub(crate) monitor: Option<PathBuf>,
    /// The state to go on from, instead of booting.
    pub(crate) resume: Option<File>,
}

/// A running emulator.
pub(crate) struct Emulator {
    console: File,
    /// Refers to this very process, so that a signal can never meet another one that got its number.
    process: OwnedFd,
    id: u32,
    ended: Receiver<io::Result<ExitStatus>>,
    status: Option<String>,
    keeper: Option<JoinHandle<()>>,
    /// The emulator reads it at its start, and again when it restarts the guest.
    _archive: Arc<File>,
    _resume: Option<File>,
}

impl Emulator {
    /// Starts the emulator; the stream is the host's end of the agent's port.
    pub(crate) fn start(options: Options) -> Result<(Self, UnixStream), Error> {
        let failed = |doing: &str| {
            let doing = doing.to_owned();
            move |source| Error::Io { doing, source }
        };
        if !std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).exists())) {
            return Err(Error::Missing { path: PathBuf::from(PROGRAM), install: "hack/prerequisites" });
        }
        let console = console_file().map_err(failed("make a file for the console"))?;
        let (ours, theirs) = UnixStream::pair().map_err(failed("make a socket pair"))?;
        let command = command(&options, &console, theirs).map_err(failed("prepare the emulator"))?;
        let (started, start) = channel();
        let (end, ended) = channel();
        let keeper = thread::Builder::new().name("emulator".to_owned()).spawn(move || {
            let mut command = command;
            let child = command.spawn();
            drop(command); // and with it our copies of the guest's end, or its closing would go unseen
            match child {
                Ok(mut child) => {
                    let _ = started.send(process(&child)); // the starter waits for it
                    let _ = end.send(child.wait()); // nobody listens once the machine was dropped
                }
                Err(error) => drop(started.send(Err(error))),
            }
        });
        let keeper = keeper.map_err(failed("start a thread"))?;
        let (id, process) = start.recv().map_err(io::Error::other).flatten().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing { path: PathBuf::from("setpriv"), install: "hack/prerequisites" },
            _ => Error::Io { doing: format!("start {PROGRAM}"), source },
        })?;
        let emulator =
            Self { console, process, id, ended, status: None, keeper: Some(keeper), _archive: options.archive, _resume: options.resume };
        Ok((emulator, ours))
    }

    /// All that the guest's kernel and the emulator have written.
    pub(crate) fn console(&self) -> Console {
        let length = self.console.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        match self.console.read_exact_at(&mut bytes, 0) {
            Ok(()) => Console(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => Console(format!("(the console cannot be read: {error})")),
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// How the emulator ended; kills it where it does not end by itself.
    pub(crate) fn end(&mut self) -> String {
        if let Some(status) = &self.status {
            return status.clone();
        }
        let status = match self.ended.recv_timeout(END_LIMIT) {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                self.kill();
                "killed, since it did not end with its guest".to_owned()
            }
        };
        self.status.insert(status).clone()
    }

    fn kill(&self) {
        // ESRCH: it has ended by itself.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join(); // its panic, if any, was reported where it happened
        }
    }
}

fn process(child: &Child) -> io::Result<(u32, OwnedFd)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    Ok((child.id(), pidfd_open(pid, PidfdFlags::empty())?))
}

/// Two write to it, the guest's serial line and the emulator itself, so both must append.
fn console_file() -> io::Result<File> {
    let (file, path) = tempfile::Builder::new().append(true).tempfile()?.into_parts();
    path.close()?;
    Ok(file)
}

/// Two processors take turns on one thread. With a thread for each (`thread=multi`) QEMU 7.2 may go on executing a breakpoint
/// that the guest's kernel has already patched away on the other one: an `int3` oops, every few boots, wherever a static branch
/// or a trampoline changes, and both do when BPF programs are attached.
fn command(options: &Options, console: &File, port: UnixStream) -> io::Result<Command> {
    let accelerator: &[&str] = if options.icount {
        &["-accel", "tcg", "-smp", "1", "-icount", "shift=0,sleep=off"]
    } else {
        &["-accel", "tcg,thread=single", "-smp", "2"]
    };
    let port_out = OwnedFd::from(port.try_clone()?);
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", PROGRAM, "-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-M", "q35", "-cpu", "max", "-display", "none", "-m", &options.memory_mib.to_string()])
        .args(accelerator)
        .arg("-kernel")
        .arg(&options.kernel)
        .args(["-initrd", &format!("/proc/{}/fd/{}", std::process::id(), options.archive.as_raw_fd())])
        .args(["-append", &options.command_line])
        .args(["-chardev", "file,id=console,path=/dev/stderr,append=on", "-serial", "chardev:console"])
        .args(["-chardev", "stdio,id=agent,signal=off", "-device", "virtio-serial-pci"])
        .args(["-device", &format!("virtserialport,chardev=agent,name={PORT}")]);
    // In an option, a comma is written twice.
    let escaped = |path: &Path| path.display().to_string().replace(',', ",,");
    if let Some(monitor) = &options.monitor {
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", escaped(monitor))]);
    }
    if let Some(state) = &options.resume {
        command.args(["-incoming", &format!("exec:cat /proc/{}/fd/{}", std::process::id(), state.as_raw_fd())]);
    }
    if let Some(disk) = &options.disk {
        let file = escaped(disk);
        command
            .args(["-drive", &format!("file={file},format=raw,if=none,id=disk,readonly=on")])
            .args(["-device", "virtio-blk-pci,drive=disk"]);
    }
    command.stdin(Stdio::from(OwnedFd::from(port))).stdout(Stdio::from(port_out)).stderr(Stdio::from(console.try_clone()?));
    Ok(command)
}
