//! A running machine: one connection to its agent, many conversations over it.
//!
//! ```text
//! test ── Request ──► port ──► agent           one writer at a time
//! test ◄── channel of the conversation ◄── reader thread ◄── port ◄── agent
//! ```
//!
//! Every wait has a limit, and ends early when the machine does: the reader drops all channels then, and who waits on
//! one finds out from the console what happened.

use std::{
    collections::HashMap,
    io::BufReader,
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    builder::Builder,
    error::{Console, Ending, Error},
    kernel::Kernel,
    process::{Command, Output},
    protocol::{Frame, GREETING, Request, Response},
    qemu::Emulator,
};

/// For what should take the guest a moment.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// A virtual machine. Dropping it ends it.
pub struct Vm {
    kernel: Kernel,
    emulator: Mutex<Emulator>,
    port: UnixStream,
    sending: Mutex<()>,
    conversations: Arc<Conversations>,
    next: AtomicU32,
    reader: Option<JoinHandle<()>>,
}

/// Who waits for answers, by conversation; and what ended the connection, if it has ended.
#[derive(Default)]
struct Conversations {
    open: Mutex<HashMap<u32, Sender<Frame<Response>>>>,
    ended: Mutex<Option<Ended>>,
}

/// Why the reader stopped.
#[derive(Debug, Clone)]
enum Ended {
    Closed,
    Broken(String),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vm {
    /// A machine to be, with this kernel.
    #[must_use]
    pub fn builder(kernel: Kernel) -> Builder {
        Builder::new(kernel)
    }

    fn new(kernel: Kernel, emulator: Emulator, port: UnixStream, greeted: Option<Sender<Frame<Response>>>) -> Result<Self, Error> {
        let failed = |source| Error::Io { doing: "read from the guest".to_owned(), source };
        let conversations = Arc::new(Conversations::default());
        locked(&conversations.open).extend(greeted.map(|sender| (GREETING, sender)));
        let (input, shared) = (port.try_clone().map_err(failed)?, Arc::clone(&conversations));
        let reader = thread::Builder::new().name("guest reader".to_owned()).spawn(move || shared.read(input)).map_err(failed)?;
        Ok(Self {
            kernel,
            emulator: Mutex::new(emulator),
            port,
            sending: Mutex::new(()),
            conversations,
            next: AtomicU32::new(GREETING + 1),
            reader: Some(reader),
        })
    }

    /// A machine that boots: it greets.
    pub(crate) fn connect(kernel: Kernel, emulator: Emulator, port: UnixStream, limit: Duration) -> Result<Self, Error> {
        let (sender, greeting) = channel();
        let vm = Self::new(kernel, emulator, port, Some(sender))?;
        match greeting.recv_timeout(limit) {
            Ok(_) => Ok(vm),
            Err(RecvTimeoutError::Timeout) => Err(Error::Boot { limit, console: vm.console() }),
            Err(RecvTimeoutError::Disconnected) => Err(vm.gone()),
        }
    }

    /// A machine that goes on from a state in which it has greeted already.
    pub(crate) fn resume(kernel: Kernel, emulator: Emulator, port: UnixStream) -> Result<Self, Error> {
        let vm = Self::new(kernel, emulator, port, None)?;
        vm.read_file("/proc/uptime")?;
        Ok(vm)
    }

    /// The kernel it was booted with.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// What the guest's kernel and its first process have written so far.
    #[must_use]
    pub fn console(&self) -> Console {
        locked(&self.emulator).console()
    }

    /// The emulator's process id on the host.
    #[must_use]
    pub fn emulator_id(&self) -> u32 {
        locked(&self.emulator).id()
    }

    /// Has the machine ended?
    #[must_use]
    pub fn is_gone(&self) -> bool {
        locked(&self.conversations.ended).is_some()
    }

    /// A program to run: a path, or a name in `/bin`.
    pub fn command(&self, program: &str) -> Command<'_> {
        Command::new(self, program)
    }

    /// Runs a program to its end, however it ends.
    ///
    /// # Errors
    /// Where it cannot be started, or takes longer than [`Command`]'s limit.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Output, Error> {
        self.command(program).args(arguments.iter().copied()).run()
    }

    /// Runs a shell script to its end, however it ends.
    ///
    /// # Errors
    /// As [`Vm::run`].
    pub fn sh(&self, script: &str) -> Result<Output, Error> {
        self.run("sh", &["-c", script])
    }

    /// The whole of a file.
    ///
    /// # Errors
    /// [`Error::Guest`] with the guest's reason.
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>, Error> {
        let frame = self.ask(&format!("read {path}"), &Frame::new(0, Request::Read { path: path.to_owned() }), REQUEST_LIMIT)?;
        Ok(frame.body)
    }

    /// The whole of a file as text, without white space at its end; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// As [`Vm::read_file`].
    pub fn read_text(&self, path: &str) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.read_file(path)?).trim_end().to_owned())
    }

    /// Makes a file, or replaces what it holds; `mode` counts for a new one.
    ///
    /// # Errors
    /// [`Error::Guest`] with the guest's reason.
    pub fn write_file(&self, path: &str, contents: &[u8], mode: u32) -> Result<(), Error> {
        let request = Frame::new(0, Request::Write { path: path.to_owned(), mode }).with(contents.to_vec());
        self.ask(&format!("write {path}"), &request, REQUEST_LIMIT).map(drop)
    }

    /// Returns once the path exists.
    ///
    /// # Errors
    /// [`Error::Guest`] where it does not appear within `limit`.
    pub fn wait_for_file(&self, path: &str, limit: Duration) -> Result<(), Error> {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let request = Frame::new(0, Request::WaitForFile { path: path.to_owned(), limit_ms });
        self.ask(&format!("wait {limit:?} for {path}"), &request, limit + REQUEST_LIMIT).map(drop)
    }

    /// Sends a signal to a process, by its number in the guest's first namespace.
    ///
    /// # Errors
    /// [`Error::Guest`] where there is no such process.
    pub fn kill(&self, pid: u32, signal: i32) -> Result<(), Error> {
        self.ask(&format!("kill {pid}"), &Frame::new(0, Request::Kill { pid, signal }), REQUEST_LIMIT).map(drop)
    }

    /// Opens a conversation: the number for its frames, and where the answers arrive.
    pub(crate) fn open(&self) -> (u32, Receiver<Frame<Response>>) {
        let conversation = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        let mut open = locked(&self.conversations.open);
        // After the end nobody would drop the sender; without one, the receiver reports the end at once.
        if locked(&self.conversations.ended).is_none() {
            open.insert(conversation, sender);
        }
        (conversation, receiver)
    }

    pub(crate) fn close(&self, conversation: u32) {
        locked(&self.conversations.open).remove(&conversation);
    }

    pub(crate) fn send(&self, frame: &Frame<Request>) -> Result<(), Error> {
        let _turn = locked(&self.sending);
        frame.write(&self.port).map_err(|source| match source.kind() {
            std::io::ErrorKind::InvalidData => Error::Io { doing: "send to the guest".to_owned(), source },
            _ => self.gone(),
        })
    }

    /// The next answer of a conversation; `None` when the time is up.
    pub(crate) fn receive(&self, answers: &Receiver<Frame<Response>>, until: Instant) -> Result<Option<Frame<Response>>, Error> {
        match answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(frame) => Ok(Some(frame)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
        }
    }

    /// A request with one answer.
    fn ask(&self, what: &str, request: &Frame<Request>, limit: Duration) -> Result<Frame<Response>, Error> {
        let (conversation, answers) = self.open();
        let request = Frame { conversation, ..request.clone() };
        let answer = self.send(&request).and_then(|()| self.receive(&answers, Instant::now() + limit));
        self.close(conversation);
        match answer? {
            None => Err(Error::TimedOut { what: what.to_owned(), limit, output: None }),
            Some(Frame { header: Response::Failed(message), .. }) => Err(Error::Guest { what: what.to_owned(), message }),
            Some(frame) => Ok(frame),
        }
    }

    /// What became of the machine; ends what is left of it.
    fn gone(&self) -> Error {
        let mut emulator = locked(&self.emulator);
        let status = emulator.end();
        let console = emulator.console();
        let ended = locked(&self.conversations.ended).clone();
        let ending = match (console.panic(), ended) {
            (Some(message), _) => Ending::Panicked(message.to_owned()),
            (None, Some(Ended::Broken(error))) => Ending::Protocol(error),
            (None, _) if status == "exit status: 0" => Ending::PoweredOff,
            (None, _) => Ending::Emulator(status),
        };
        Error::Gone { ending, console }
    }
}

impl Drop for Vm {
    /// Fields are dropped after this: the emulator is killed and reaped there. The reader ends with its stream.
    fn drop(&mut self) {
        let _ = self.port.shutdown(Shutdown::Both); // it may have ended before
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Conversations {
    fn read(&self, input: UnixStream) {
        let mut input = BufReader::new(input);
        let ended = loop {
            match Frame::<Response>::read(&mut input) {
                Ok(Some(frame)) => {
                    if let Some(sender) = locked(&self.open).get(&frame.conversation) {
                        let _ = sender.send(frame); // a conversation that its owner has just left
                    }
                }
                Ok(None) => break Ended::Closed,
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => break Ended::Broken(error.to_string()),
                Err(_) => break Ended::Closed, // cut off within a frame: the emulator ended
            }
        };
        let mut open = locked(&self.open);
        *locked(&self.ended) = Some(ended);
        open.clear();
    }
}
