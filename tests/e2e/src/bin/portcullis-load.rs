//! `portcullis-load OPERATION COUNT ARGUMENT...`: repeats one operation and says how long each round of it took.
//!
//! ```text
//!  count COUNT                        iterates a loop of two instructions: shows what the clock counts
//!  make COUNT FOLDER                  makes the files that `first` opens, anew where they exist
//!  first COUNT read|write FOLDER      opens and closes files of the folder, none of them twice
//!  open COUNT read|write PATH         opens and closes one file again and again
//!  exec COUNT PROGRAM ARGUMENT...     starts a program, as `posix_spawn` does, and waits for its end
//!  connect COUNT ADDRESS:PORT         makes a datagram socket, connects and closes it
//! ```
//!
//! There is one round that is not told, so that caches are warm, and then [`ROUNDS`] that are: a line each, in nanoseconds of
//! `CLOCK_MONOTONIC`. An operation that fails ends the program with its error.

use portcullis_e2e::cost::ROUNDS;
use rustix::{
    fs::{Mode, OFlags},
    net::{AddressFamily, SocketType},
};
use std::{
    env,
    error::Error,
    ffi::CString,
    fs, io,
    net::SocketAddrV4,
    path::Path,
    process::{Command, ExitCode},
    time::Instant,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match load(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-load {}: {error}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn load(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let [operation, count, ref rest @ ..] = *words else { return Err("usage: portcullis-load OPERATION COUNT ARGUMENT...".into()) };
    let count: u32 = count.parse()?;
    match (operation, rest) {
        ("count", []) => rounds(|_| {
            turn(count);
            Ok(())
        }),
        ("make", [folder]) => {
            let names: Vec<CString> = (0..=ROUNDS).flat_map(|round| names(folder, round, count)).collect::<Result<_, _>>()?;
            make(Path::new(folder), &names)?;
            Ok(())
        }
        ("first", [mode, folder]) => {
            let flags = flags(mode)?;
            let rounds_of_names = (0..=ROUNDS).map(|round| names(folder, round, count).collect()).collect::<Result<Vec<Vec<_>>, _>>()?;
            let mut left = rounds_of_names.iter();
            rounds(|_| left.next().into_iter().flatten().try_for_each(|name| open(name, flags)))
        }
        ("open", [mode, path]) => {
            let (flags, path) = (flags(mode)?, CString::new(*path)?);
            rounds(|_| (0..count).try_for_each(|_| open(&path, flags)))
        }
        ("exec", [program, arguments @ ..]) => {
            let mut command = Command::new(program);
            command.args(arguments);
            rounds(|_| (0..count).try_for_each(|_| exec(&mut command)))
        }
        ("connect", [address]) => {
            let address: SocketAddrV4 = address.parse()?;
            rounds(|_| (0..count).try_for_each(|_| connect(&address)))
        }
        _ => Err("no such operation; the source lists them".into()),
    }
}

/// One round unmeasured, then the others, each told.
fn rounds(mut round: impl FnMut(u32) -> io::Result<()>) -> Result<(), Box<dyn Error>> {
    round(0)?;
    let mut told = Vec::new();
    for index in 1..=ROUNDS {
        let start = Instant::now();
        round(index)?;
        told.push(start.elapsed().as_nanos());
    }
    // Afterwards, so that nobody who reads them runs in between.
    for nanoseconds in told {
        println!("{nanoseconds}");
    }
    Ok(())
}

/// `count` times two instructions.
fn turn(count: u32) {
    if count > 0 {
        // SAFETY: the loop ends when the register is 0, which it is not at first; it touches no memory.
        unsafe { std::arch::asm!("2:", "dec {0:e}", "jnz 2b", inout(reg) count => _, options(nomem, nostack)) };
    }
}

/// The files of a round, all names of one length.
fn names(folder: &str, round: u32, count: u32) -> impl Iterator<Item = Result<CString, std::ffi::NulError>> {
    (round * count..(round + 1) * count).map(move |index| CString::new(format!("{folder}/{index:06}")))
}

fn make(folder: &Path, names: &[CString]) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(folder)?,
    }
    names.iter().try_for_each(|name| open(name, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY))
}

fn flags(mode: &str) -> Result<OFlags, String> {
    match mode {
        "read" => Ok(OFlags::RDONLY | OFlags::CLOEXEC),
        "write" => Ok(OFlags::WRONLY | OFlags::CLOEXEC),
        other => Err(format!("read or write, not {other}")),
    }
}

fn open(path: &CString, flags: OFlags) -> io::Result<()> {
    drop(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    Ok(())
}

fn exec(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

fn connect(address: &SocketAddrV4) -> io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(rustix::net::connect(&socket, address)?)
}
