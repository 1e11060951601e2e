//! Programs in the guest: what to run, how it ended, and one that still runs.

use std::{
    fmt,
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

pub use crate::protocol::Status;
use crate::{
    error::Error,
    protocol::{Frame, Request, Response, Spawn, Stream},
    vm::Vm,
};

/// For a command of a test, emulated and beside other machines.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// A killed program's last words.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// More output than any test means to read, in bytes: a program that writes on and on must not take the host's memory.
const OUTPUT_MAX: usize = 64 << 20;

const SIGKILL: i32 = 9;

/// Characters of an output that an error shows.
const SHOWN: usize = 4000;

/// A program to run.
#[must_use]
pub struct Command<'vm> {
    vm: &'vm Vm,
    spawn: Spawn,
    input: Vec<u8>,
    limit: Duration,
}

/// How a program ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its end; `None` while it runs.
    pub status: Option<Status>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    fn new() -> Self {
        Self { status: None, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Did it end with exit status 0?
    #[must_use]
    pub fn success(&self) -> bool {
        self.status == Some(Status::Code(0))
    }

    /// The exit status, where it ended by itself.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self.status {
            Some(Status::Code(code)) => Some(code),
            _ => None,
        }
    }

    /// Standard output as text, without white space at its end.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Standard error as text, without white space at its end.
    #[must_use]
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }
}

/// The end, and the last of both outputs.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("running")?,
        }
        for (name, text) in [("stdout", self.text()), ("stderr", self.error_text())] {
            if !text.is_empty() {
                let skip = text.chars().count().saturating_sub(SHOWN);
                write!(f, "\n--- {name}\n{}", text.chars().skip(skip).collect::<String>())?;
            }
        }
        Ok(())
    }
}

impl<'vm> Command<'vm> {
    pub(crate) fn new(vm: &'vm Vm, program: &str) -> Self {
        let spawn = Spawn {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: "/".to_owned(),
            user: None,
            cgroup: None,
        };
        Self { vm, spawn, input: Vec::new(), limit: COMMAND_LIMIT }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.spawn.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.spawn.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.spawn.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The working directory; `/` if not given.
    pub fn directory(mut self, path: &str) -> Self {
        path.clone_into(&mut self.spawn.directory);
        self
    }

    /// Runs as this user, and the group of the same number, and no other groups.
    pub fn user(mut self, id: u32) -> Self {
        self.spawn.user = Some(id);
        self
    }

    /// What the program reads; nothing if not given.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Starts the program inside a cgroup, which must exist. What the kernel sees there is one exec, that of the program.
    /// One that cannot be executed ends with status 126, or 127 if it does not exist, as in a shell.
    pub fn in_cgroup(mut self, folder: &str) -> Self {
        self.spawn.cgroup = Some(folder.to_owned());
        self
    }

    /// How long it may run; 60 s if not given. After that its process group is killed.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program to its end, however it ends.
    ///
    /// # Errors
    /// [`Error::Guest`] where it cannot be started, [`Error::TimedOut`] where it does not end in time, [`Error::Gone`].
    pub fn run(mut self) -> Result<Output, Error> {
        let (limit, input) = (self.limit, std::mem::take(&mut self.input));
        let process = self.spawn()?;
        if !input.is_empty() {
            process.write(&input)?;
        }
        process.end_input()?;
        process.wait(limit)
    }

    /// Runs the program to its end, which must be exit status 0, and returns its standard output as text.
    ///
    /// # Errors
    /// As [`Command::run`], and [`Error::Command`] for any other end.
    pub fn check(self) -> Result<String, Error> {
        let what = self.line();
        let output = self.run()?;
        if output.success() { Ok(output.text()) } else { Err(Error::Command { what, output: Box::new(output) }) }
    }

    /// Starts the program and returns while it runs.
    ///
    /// # Errors
    /// [`Error::Guest`] where it cannot be started, [`Error::Gone`].
    pub fn spawn(self) -> Result<Process<'vm>, Error> {
        let what = self.line();
        let (conversation, answers) = self.vm.open();
        let mut process = Process { vm: self.vm, what, conversation, answers, pid: 0, output: Output::new(), detached: false };
        self.vm.send(&Frame::new(conversation, Request::Spawn(self.spawn)))?;
        if !self.input.is_empty() {
            process.write(&self.input)?;
        }
        let until = Instant::now() + COMMAND_LIMIT;
        while process.pid == 0 {
            if !process.advance(until)? {
                return Err(process.timed_out(COMMAND_LIMIT));
            }
        }
        Ok(process)
    }

    fn line(&self) -> String {
        let mut line = self.spawn.program.clone();
        for argument in &self.spawn.arguments {
            line.push(' ');
            line.push_str(argument);
        }
        line
    }
}

/// A running program. Dropping it kills its process group.
pub struct Process<'vm> {
    vm: &'vm Vm,
    what: String,
    conversation: u32,
    answers: Receiver<Frame<Response>>,
    pid: u32,
    output: Output,
    detached: bool,
}

impl Process<'_> {
    /// Its process id in the guest's first namespace, which is also its process group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What is known of it so far, without waiting.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn output(&mut self) -> Result<&Output, Error> {
        while self.output.status.is_none() && self.advance(Instant::now())? {}
        Ok(&self.output)
    }

    /// Gives the program something to read.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.vm.send(&Frame::new(self.conversation, Request::Input).with(bytes.to_vec()))
    }

    /// Ends the program's input.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn end_input(&self) -> Result<(), Error> {
        self.vm.send(&Frame::new(self.conversation, Request::Input))
    }

    /// Sends a signal to the program's process group; nothing happens where it has ended.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        self.vm.send(&Frame::new(self.conversation, Request::Signal(signal)))
    }

    /// Waits for the end. Like the standard library's, this is after all that has the outputs open has closed them.
    ///
    /// # Errors
    /// [`Error::TimedOut`] with what it wrote until then, after it was killed; [`Error::Gone`].
    pub fn wait(mut self, limit: Duration) -> Result<Output, Error> {
        let until = Instant::now() + limit;
        while self.output.status.is_none() {
            if !self.advance(until)? {
                return Err(self.timed_out(limit));
            }
        }
        Ok(std::mem::replace(&mut self.output, Output::new()))
    }

    /// Waits until a line of either output contains `part`, and returns the line. Lines that were there before count.
    ///
    /// # Errors
    /// [`Error::Command`] where the program ends first, [`Error::TimedOut`] (the program goes on), [`Error::Gone`].
    pub fn wait_for_line(&mut self, part: &str, limit: Duration) -> Result<String, Error> {
        let until = Instant::now() + limit;
        loop {
            if let Some(line) = find_line(&self.output, part) {
                return Ok(line);
            }
            let what = format!("{}: no line with {part:?}", self.what);
            if self.output.status.is_some() {
                return Err(Error::Command { what, output: Box::new(self.output.clone()) });
            }
            if !self.advance(until)? {
                return Err(Error::TimedOut { what, limit, output: None });
            }
        }
    }

    /// Lets the program run on when this value goes.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Takes in one answer; false when the time is up.
    fn advance(&mut self, until: Instant) -> Result<bool, Error> {
        let Some(frame) = self.vm.receive(&self.answers, until)? else { return Ok(false) };
        match frame.header {
            Response::Started { pid } => self.pid = pid,
            Response::Output(Stream::Stdout) => self.output.stdout.extend_from_slice(&frame.body),
            Response::Output(Stream::Stderr) => self.output.stderr.extend_from_slice(&frame.body),
            Response::Exited(status) => self.output.status = Some(status),
            Response::Failed(message) => return Err(Error::Guest { what: self.what.clone(), message }),
            Response::Ready | Response::Contents | Response::Done => {
                let message = format!("answered {:?} to a command", frame.header);
                return Err(Error::Guest { what: self.what.clone(), message });
            }
        }
        if self.output.stdout.len() + self.output.stderr.len() > OUTPUT_MAX {
            self.signal(SIGKILL)?;
            let message = format!("wrote more than {OUTPUT_MAX} bytes");
            return Err(Error::Guest { what: self.what.clone(), message });
        }
        Ok(true)
    }

    /// Kills the program and gathers what it wrote.
    fn timed_out(&mut self, limit: Duration) -> Error {
        let until = Instant::now() + KILL_LIMIT;
        let mut killed = self.signal(SIGKILL);
        while killed.is_ok() && self.output.status.is_none() {
            match self.advance(until) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => killed = Err(error),
            }
        }
        match killed {
            Ok(()) => Error::TimedOut { what: self.what.clone(), limit, output: Some(Box::new(self.output.clone())) },
            Err(gone) => gone,
        }
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        if !self.detached && self.output.status.is_none() && !self.vm.is_gone() {
            let _ = self.signal(SIGKILL); // the machine may end at this very moment
        }
        self.vm.close(self.conversation);
    }
}

/// Only whole lines: the part may not have come yet.
fn find_line(output: &Output, part: &str) -> Option<String> {
    let lines = |bytes: &[u8]| -> Option<String> {
        let text = String::from_utf8_lossy(bytes);
        text.split_inclusive('\n').find(|line| line.ends_with('\n') && line.contains(part)).map(|line| line.trim_end().to_owned())
    };
    lines(&output.stdout).or_else(|| lines(&output.stderr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_once_it_is_whole() {
        let mut output = Output::new();
        output.stdout = b"first\nrea".to_vec();
        assert_eq!(find_line(&output, "rea"), None);
        output.stdout.extend_from_slice(b"dy\n");
        assert_eq!(find_line(&output, "rea"), Some("ready".to_owned()));
        output.stderr = b"warned\n".to_vec();
        assert_eq!(find_line(&output, "warn"), Some("warned".to_owned()));
    }
}
