//! What can go wrong between a test and its machine. Where the guest's console can tell more, the error carries its end.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::{kernel::Kernel, process::Output};

/// Lines of the console that an error shows.
const CONSOLE_LINES: usize = 40;

/// A failure of the harness, of the machine, or of a command in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the host is not there; tests fail and do not skip, with the command that brings it.
    #[error("{} is missing: run {install}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The command.
        install: &'static str,
    },
    /// The kernel has no such module.
    #[error("Linux {kernel} has no module {module}")]
    NoModule {
        /// The module's name.
        module: String,
        /// The kernel.
        kernel: Kernel,
    },
    /// A file of the host, a pipe or a process failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// The action.
        doing: String,
        /// Its error.
        source: io::Error,
    },
    /// A program of this workspace did not build.
    #[error("cargo build of {program} failed:\n{output}")]
    Build {
        /// The binary target.
        program: String,
        /// What cargo said.
        output: String,
    },
    /// The machine did not come up in time.
    #[error("the machine was not up after {limit:?}; its console ends with\n{console}")]
    Boot {
        /// The time allowed.
        limit: Duration,
        /// The end of its console.
        console: Console,
    },
    /// The machine is gone.
    #[error("the machine {ending}; its console ends with\n{console}")]
    Gone {
        /// How it went.
        ending: Ending,
        /// The end of its console.
        console: Console,
    },
    /// The machine lives, but this was not done in time.
    #[error("{what}: not after {limit:?}{}", so_far(output))]
    TimedOut {
        /// The action.
        what: String,
        /// The time allowed.
        limit: Duration,
        /// What a command wrote until then; the command was killed.
        output: Option<Box<Output>>,
    },
    /// The guest could not do it.
    #[error("{what}: {message}")]
    Guest {
        /// The action.
        what: String,
        /// The guest's words.
        message: String,
    },
    /// A command that had to succeed did not, or ended before it said what was awaited.
    #[error("{what}: {output}")]
    Command {
        /// The command.
        what: String,
        /// How it ended and what it wrote.
        output: Box<Output>,
    },
}

fn so_far(output: &Option<Box<Output>>) -> String {
    output.as_ref().map(|output| format!("; killed: {output}")).unwrap_or_default()
}

/// How a machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Its kernel panicked, with this message.
    Panicked(String),
    /// It switched itself off, or its agent ended.
    PoweredOff,
    /// The emulator failed.
    Emulator(String),
    /// It broke the protocol.
    Protocol(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::PoweredOff => f.write_str("switched itself off"),
            Self::Emulator(how) => write!(f, "ended with its emulator: {how}"),
            Self::Protocol(error) => write!(f, "is out of step with the harness: {error}"),
        }
    }
}

/// What the guest's kernel and the emulator have written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Console(pub String);

impl Console {
    /// The message of the kernel's panic, if there was one.
    #[must_use]
    pub fn panic(&self) -> Option<&str> {
        let (_, after) = self.0.split_once("Kernel panic - not syncing: ")?;
        after.lines().next().map(str::trim)
    }
}

/// The last lines, indented.
impl fmt::Display for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self.0.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(CONSOLE_LINES)) {
            writeln!(f, "    {}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_in_the_console() {
        let console = Console("[    3.1] Kernel panic - not syncing: sysrq triggered crash\r\n[    3.2] CPU: 0\r\n".into());
        assert_eq!(console.panic(), Some("sysrq triggered crash"));
        assert_eq!(Console("all is well".into()).panic(), None);
    }

    #[test]
    fn an_error_shows_the_end_of_a_long_console() {
        let console = Console((0..100).map(|n| format!("line {n}\n")).collect());
        let shown = console.to_string();
        assert!(shown.starts_with("    line 60\n") && shown.ends_with("    line 99\n"), "{shown}");
    }
}
