//! Answers the harness: one thread reads requests, each program has threads of its own for input, output and end.
//!
//! Output goes to the host as it comes. A program has *exited* when it was waited for and both its outputs have reached
//! their end, as with `std`'s `Command::output`: a child that keeps them open keeps the conversation open.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::{
        fs::OpenOptionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use portcullis_e2e::{
    guest,
    protocol::{Frame, GREETING, PORT, Request, Response, Spawn, Status, Stream},
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::enter;

/// The first argument of the agent in this role.
pub(crate) const ROLE: &str = "serve";

/// The pseudo file systems (cgroup, proc, bpf) tell inotify nothing of what the kernel makes, so files are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long the port may take to appear after its driver was loaded.
const PORT_LIMIT: Duration = Duration::from_secs(20);

/// Bytes of output in a frame.
const CHUNK: usize = 64 << 10;

/// Serves until the host closes the port.
pub(crate) fn run() -> Result<(), Box<dyn std::error::Error>> {
    let port = open_port()?;
    let server = Server { port: Arc::new(Mutex::new(port.try_clone()?)), programs: Arc::default() };
    server.send(&Frame::new(GREETING, Response::Ready));
    let mut input = io::BufReader::new(port);
    while let Some(frame) = Frame::read(&mut input)? {
        server.handle(frame);
    }
    Ok(())
}

fn open_port() -> Result<File, String> {
    let device = wait_for(PORT_LIMIT, || {
        let ports = fs::read_dir("/sys/class/virtio-ports").ok()?;
        let named = |path: &PathBuf| fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim() == PORT);
        let port = ports.flatten().map(|entry| entry.path()).find(named)?;
        Some(Path::new("/dev").join(port.file_name()?)).filter(|device| device.exists())
    });
    let device = device.ok_or("no virtio-serial port of the harness")?;
    File::options().read(true).write(true).open(&device).map_err(|error| format!("open {}: {error}", device.display()))
}

fn wait_for<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Some(found) => return Some(found),
            None if Instant::now() >= end => return None,
            None => thread::sleep(LOOK_EVERY),
        }
    }
}

/// A running program: its process group, and the way to its input.
struct Program {
    group: Pid,
    input: Sender<Vec<u8>>,
}

#[derive(Clone)]
struct Server {
    port: Arc<Mutex<File>>,
    programs: Arc<Mutex<HashMap<u32, Program>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// A frame that cannot be sent has nobody to read it: the reading side sees the same end and ends the machine.
    fn send(&self, frame: &Frame<Response>) {
        if let Err(error) = frame.write(&mut *locked(&self.port)) {
            eprintln!("portcullis-guest: answer the host: {error}");
        }
    }

    fn answer(&self, conversation: u32, result: Result<Response, String>) {
        self.send(&Frame::new(conversation, result.unwrap_or_else(Response::Failed)));
    }

    fn handle(&self, frame: Frame<Request>) {
        let Frame { conversation, header, body } = frame;
        match header {
            Request::Spawn(spawn) => match self.start(conversation, &spawn) {
                Ok(()) => {}
                Err(error) => self.answer(conversation, Err(format!("{}: {error}", spawn.program))),
            },
            Request::Input => {
                // A program that has ended takes no more input; its end tells the host.
                if let Some(program) = locked(&self.programs).get(&conversation) {
                    let _ = program.input.send(body);
                }
            }
            Request::Signal(signal) => {
                let group = locked(&self.programs).get(&conversation).map(|program| program.group);
                if let (Some(group), Some(signal)) = (group, Signal::from_named_raw(signal)) {
                    let _ = kill_process_group(group, signal); // ESRCH: it ended meanwhile
                }
            }
            Request::Kill { pid, signal } => self.answer(conversation, kill(pid, signal)),
            Request::Read { path } => match fs::read(&path) {
                Ok(contents) => self.send(&Frame::new(conversation, Response::Contents).with(contents)),
                Err(error) => self.answer(conversation, Err(error.to_string())),
            },
            Request::Write { path, mode } => {
                let result = write_file(&path, mode, &body);
                self.answer(conversation, result.map(|()| Response::Done).map_err(|error| error.to_string()));
            }
            Request::WaitForFile { path, limit_ms } => {
                let server = self.clone();
                thread::spawn(move || {
                    let found = wait_for(Duration::from_millis(limit_ms), || fs::symlink_metadata(&path).ok());
                    server.answer(conversation, found.map(|_| Response::Done).ok_or("it did not appear".to_owned()));
                });
            }
        }
    }

    fn start(&self, conversation: u32, spawn: &Spawn) -> io::Result<()> {
        let mut command = match &spawn.cgroup {
            Some(folder) => enter::command(folder, spawn.user, &spawn.program),
            None => Command::new(&spawn.program),
        };
        command
            .args(&spawn.arguments)
            .env_clear()
            .envs([("PATH", guest::PATH), ("HOME", "/")])
            .envs(spawn.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&spawn.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let (None, Some(id)) = (&spawn.cgroup, spawn.user) {
            command.uid(id).gid(id);
        }
        let mut child = command.spawn()?;
        let pid = child.id();
        let group = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let (sender, receiver) = channel();
        let input = child.stdin.take();
        thread::spawn(move || feed(input, &receiver));
        locked(&self.programs).insert(conversation, Program { group, input: sender });
        self.send(&Frame::new(conversation, Response::Started { pid }));
        let server = self.clone();
        thread::spawn(move || server.follow(conversation, child));
        Ok(())
    }

    /// Sends what the program writes and, last, how it ended.
    fn follow(&self, conversation: u32, mut child: Child) {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let status = thread::scope(|scope| {
            scope.spawn(|| self.copy(conversation, Stream::Stdout, stdout));
            scope.spawn(|| self.copy(conversation, Stream::Stderr, stderr));
            child.wait()
        });
        locked(&self.programs).remove(&conversation);
        let ended = status.map_err(|error| format!("wait: {error}")).map(|status| {
            let code = status.code().map(Status::Code);
            Response::Exited(code.unwrap_or_else(|| Status::Signal(status.signal().unwrap_or_default())))
        });
        self.answer(conversation, ended);
    }

    fn copy(&self, conversation: u32, stream: Stream, from: Option<impl Read>) {
        let Some(mut from) = from else { return };
        let mut chunk = vec![0; CHUNK];
        loop {
            match from.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => {
                    let bytes = chunk.iter().take(length).copied().collect();
                    self.send(&Frame::new(conversation, Response::Output(stream)).with(bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return eprintln!("portcullis-guest: read output: {error}"),
            }
        }
    }
}

/// Hands input to the program until there is no more of it, or the program does not want it.
fn feed(input: Option<ChildStdin>, chunks: &Receiver<Vec<u8>>) {
    let Some(mut input) = input else { return };
    while let Ok(chunk) = chunks.recv() {
        if chunk.is_empty() || input.write_all(&chunk).is_err() {
            return;
        }
    }
}

fn kill(pid: u32, signal: i32) -> Result<Response, String> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no such process id")?;
    let signal = Signal::from_named_raw(signal).ok_or("no such signal")?;
    kill_process(pid, signal).map(|()| Response::Done).map_err(|error| error.to_string())
}

fn write_file(path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(contents)
}
