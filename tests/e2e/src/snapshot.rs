//! Machines that go on from where another one was after the same preparation: the emulator's state, kept in a file.
//!
//! ```text
//! first boot     boot ── prepare ── save ── tests                  minutes where the verifier has to read every program
//! from then on   resume ── tests                                   a second
//! ```
//!
//! A state is good for the very files, kernel and command line that it was made with, whose hash lies beside it; a machine that is made of
//! others takes its place. So there is one a kind of machine, however often its programs are built. Where resuming fails, the machine boots.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufRead, BufReader, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{cargo, error::Error, kernel::Kernel};

/// How long saving may take: some hundred MiB on a busy host.
const SAVE_LIMIT: Duration = Duration::from_secs(120);

/// The place of the state of one kind of machine, which nobody else reads or writes meanwhile.
pub(crate) struct Snapshot {
    state: PathBuf,
    hash_file: PathBuf,
    hash: String,
    _lock: File,
}

fn failed(doing: &str) -> impl Fn(io::Error) -> Error {
    let doing = format!("{doing} the state of a machine");
    move |source| Error::Io { doing: doing.clone(), source }
}

impl Snapshot {
    /// The place for machines that are alike in `kind`. Their state depends on the kernel's file and the archive, too.
    pub(crate) fn of(kernel: Kernel, kind: &impl Hash, archive: &File) -> Result<Self, Error> {
        let folder = cargo::target().join("machines");
        fs::create_dir_all(&folder).map_err(failed("keep"))?;
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        let name = format!("{kernel}-{:016x}", hasher.finish());
        let lock = File::create(folder.join(format!("{name}.lock"))).map_err(failed("lock"))?;
        lock.lock().map_err(failed("lock"))?;
        // A newer release of the kernel takes the link's place.
        let image = kernel.image()?.canonicalize().map_err(failed("name the kernel of"))?;
        let hash = format!("{} {}", hash_of(archive)?, image.display());
        Ok(Self { state: folder.join(format!("{name}.state")), hash_file: folder.join(format!("{name}.made-of")), hash, _lock: lock })
    }

    /// The state, where there is one that was made of the same.
    pub(crate) fn saved(&self) -> Option<File> {
        let made_of = fs::read_to_string(&self.hash_file).ok()?;
        (made_of == self.hash).then(|| File::open(&self.state).ok()).flatten()
    }

    /// Saves the state of a running machine, which goes on afterwards.
    pub(crate) fn save(&self, monitor: &Path) -> Result<(), Error> {
        // A state without its hash is nobody's.
        match fs::remove_file(&self.hash_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("replace")(error)),
            _ => {}
        }
        let file = File::create(&self.state).map_err(failed("make a file for"))?;
        let mut monitor = Monitor::connect(monitor).map_err(failed("save"))?;
        monitor.save(&file).and_then(|()| monitor.tell("cont", "{}").map(drop)).map_err(failed("save"))?;
        fs::write(&self.hash_file, &self.hash).map_err(failed("keep"))
    }
}

/// By a program of the host's: in a build for tests ours takes a second for every ten MiB.
fn hash_of(archive: &File) -> Result<String, Error> {
    let file = File::open(format!("/proc/self/fd/{}", archive.as_raw_fd())).map_err(failed("hash what makes"))?;
    let output = Command::new("sha256sum").stdin(file).stderr(Stdio::inherit()).output().map_err(failed("hash what makes"))?;
    if !output.status.success() {
        return Err(failed("hash what makes")(io::Error::other(output.status.to_string())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).chars().take(64).collect())
}

/// A connection to the emulator's monitor, which speaks QMP.
struct Monitor {
    answers: BufReader<UnixStream>,
}

impl Monitor {
    fn connect(path: &Path) -> io::Result<Self> {
        let mut monitor = Self { answers: BufReader::new(UnixStream::connect(path)?) };
        monitor.next()?; // its greeting
        monitor.tell("qmp_capabilities", "{}")?;
        Ok(monitor)
    }

    /// Writes the state into the file. The machine stops by itself in the end: one that is stopped before would still be when it is resumed.
    fn save(&mut self, file: &File) -> io::Result<()> {
        self.tell("migrate-set-parameters", r#"{"max-bandwidth": 10737418240}"#)?;
        self.tell("migrate", &format!(r#"{{"uri": "exec:cat > /proc/{}/fd/{}"}}"#, std::process::id(), file.as_raw_fd()))?;
        let deadline = Instant::now() + SAVE_LIMIT;
        loop {
            let answer = self.tell("query-migrate", "{}")?;
            match answer.get("status").and_then(|status| status.as_str()) {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => return Err(io::Error::other(answer.to_string())),
                _ if Instant::now() > deadline => return Err(io::ErrorKind::TimedOut.into()),
                _ => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// What the emulator returns for the command.
    fn tell(&mut self, command: &str, arguments: &str) -> io::Result<serde_json::Value> {
        writeln!(self.answers.get_mut(), r#"{{"execute": "{command}", "arguments": {arguments}}}"#)?;
        loop {
            let mut answer = self.next()?;
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(format!("{command}: {error}")));
            }
            if let Some(returned) = answer.get_mut("return") {
                return Ok(returned.take());
            }
            // An event.
        }
    }

    fn next(&mut self) -> io::Result<serde_json::Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}
