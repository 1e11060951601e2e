//! Allowed and forbidden operations in turn, again and again, and what came of them: `mix STOP` goes on until the file `STOP` is there.
//!
//! Of each kind (exec, write, connect, capability) one is granted by the profile that the test applies and one is not. What is counted is what the
//! kernel answered: an allowed operation that failed and a forbidden one that did not fail with `EPERM` are told at once, each with its answer.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    net::UdpSocket,
    path::Path,
    process::{Command, Stdio},
};

use crate::{is_denial, privilege};

/// An operation, by its kind.
struct Operation {
    kind: &'static str,
    attempt: fn() -> io::Result<()>,
}

const ALLOWED: [Operation; 4] = [
    Operation { kind: "exec", attempt: || run("/bin/true") },
    Operation { kind: "write", attempt: || write("/data/file") },
    Operation { kind: "connect", attempt: || connect(53) },
    Operation { kind: "capability", attempt: || attempt(&["chroot", "/"]) },
];

const FORBIDDEN: [Operation; 4] = [
    Operation { kind: "exec", attempt: || run("/bin/echo") },
    Operation { kind: "write", attempt: || write("/data/other") },
    Operation { kind: "connect", attempt: || connect(54) },
    Operation { kind: "capability", attempt: || attempt(&["setgroups"]) },
];

/// Goes on until `stop` is there, then tells how often each kind was attempted.
pub(crate) fn run_until(stop: &Path) {
    let mut rounds = 0u64;
    println!("mixing");
    while !stop.exists() {
        for (allowed, forbidden) in ALLOWED.iter().zip(&FORBIDDEN) {
            if let Err(error) = (allowed.attempt)() {
                tell(&format!("allowed {} failed in round {rounds}: {error}", allowed.kind));
            }
            match (forbidden.attempt)() {
                Err(error) if is_denial(&error) => {}
                answer => tell(&format!("forbidden {} in round {rounds}: {answer:?}", forbidden.kind)),
            }
        }
        rounds += 1;
    }
    tell(&format!("rounds {rounds}"));
}

fn tell(line: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush()); // whoever reads it may be gone
}

fn run(program: &str) -> io::Result<()> {
    let status = Command::new(program).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

fn write(path: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path).map(drop)
}

fn connect(port: u16) -> io::Result<()> {
    UdpSocket::bind("127.0.0.1:0")?.connect(("127.0.0.1", port))
}

fn attempt(words: &[&str]) -> io::Result<()> {
    privilege::attempt(words).unwrap_or_else(|| Err(io::Error::other("no such operation")))
}
