//! The guest's files: gathered in memory, written as one archive into a file without a name, so that nothing is left on
//! the host's disk however the test ends.
//!
//! `/bin` holds busybox with a link for each applet, runc, and what a test adds; libraries lie where the host's dynamic
//! linker finds them. There is a user beside root.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{cpio::Archive, error::Error, guest};

/// Programs of the host that every guest has.
const BUSYBOX: &str = "/bin/busybox";
const RUNC: &str = "/usr/sbin/runc";
const INSTALL: &str = "hack/prerequisites";

enum Entry {
    Directory,
    File { source: Source, mode: u32 },
    Symlink(String),
}

enum Source {
    Host(PathBuf),
    Bytes(Vec<u8>),
}

/// The file tree of a guest.
pub(crate) struct Image {
    /// By path relative to the root; parents sort before what is in them.
    entries: BTreeMap<String, Entry>,
}

impl Image {
    /// The tree that every guest has; `agent` becomes its first process.
    pub(crate) fn new(agent: &Path) -> Result<Self, Error> {
        let mut image = Self { entries: BTreeMap::new() };
        for folder in ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "new"] {
            image.entries.insert(folder.to_owned(), Entry::Directory);
        }
        image.file(agent, "/init", Some(0o755));
        for applet in applets()? {
            image.insert(&format!("/bin/{applet}"), Entry::Symlink(BUSYBOX.to_owned()));
        }
        image.binary(Path::new(BUSYBOX), BUSYBOX)?;
        image.binary(Path::new(RUNC), "/bin/runc")?;
        let (user, id) = guest::USER;
        image.bytes("/etc/passwd", format!("root:x:0:0:root:/root:/bin/sh\n{user}:x:{id}:{id}::/:/bin/sh\n").into_bytes(), 0o644);
        image.bytes("/etc/group", format!("root:x:0:\ntty:x:5:\n{user}:x:{id}:\n").into_bytes(), 0o644);
        image.bytes("/etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n".to_vec(), 0o644);
        Ok(image)
    }

    /// A file with these contents.
    pub(crate) fn bytes(&mut self, path: &str, contents: Vec<u8>, mode: u32) {
        self.insert(path, Entry::File { source: Source::Bytes(contents), mode });
    }

    /// A copy of a host's file, read when the archive is written; with its own mode if none is given.
    pub(crate) fn file(&mut self, host: &Path, path: &str, mode: Option<u32>) {
        let own = || fs::metadata(host).map_or(0o644, |metadata| metadata.permissions().mode() & 0o7777);
        let mode = mode.unwrap_or_else(own);
        self.insert(path, Entry::File { source: Source::Host(host.to_owned()), mode });
    }

    /// A copy of a host's program together with the shared libraries that it needs.
    pub(crate) fn binary(&mut self, host: &Path, path: &str) -> Result<(), Error> {
        if !host.exists() {
            return Err(Error::Missing { path: host.to_owned(), install: INSTALL });
        }
        for library in libraries(host)? {
            self.file(Path::new(&library), &library, Some(0o755));
        }
        self.file(host, path, Some(0o755));
        Ok(())
    }

    /// Modules to load at boot, in this order.
    pub(crate) fn modules(&mut self, files: &[PathBuf]) {
        let mut order = String::new();
        for file in files {
            let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
            order.push_str(name);
            order.push('\n');
            self.file(file, &format!("{}/{name}", guest::MODULES_FOLDER), Some(0o644));
        }
        self.bytes(guest::MODULES_ORDER, order.into_bytes(), 0o644);
    }

    /// Writes the archive into an anonymous file.
    pub(crate) fn write(&self) -> Result<File, Error> {
        let failed = |source| Error::Io { doing: "write the guest's files".to_owned(), source };
        let file = tempfile::tempfile().map_err(failed)?;
        let mut archive = Archive::new(BufWriter::new(file));
        for (path, entry) in &self.entries {
            match entry {
                Entry::Directory => archive.directory(path, 0o755),
                Entry::Symlink(target) => archive.symlink(path, target),
                Entry::File { source: Source::Bytes(bytes), mode } => archive.file(path, *mode, bytes),
                Entry::File { source: Source::Host(host), mode } => {
                    let contents = fs::read(host).map_err(|source| Error::Io { doing: format!("read {}", host.display()), source })?;
                    archive.file(path, *mode, &contents)
                }
            }
            .map_err(failed)?;
        }
        archive.finish().and_then(|buffer| buffer.into_inner().map_err(io::IntoInnerError::into_error)).map_err(failed)
    }

    fn insert(&mut self, path: &str, entry: Entry) {
        let path = path.trim_matches('/');
        for (at, _) in path.match_indices('/') {
            if let Some(parent) = path.get(..at) {
                self.entries.entry(parent.to_owned()).or_insert(Entry::Directory);
            }
        }
        self.entries.insert(path.to_owned(), entry);
    }
}

fn applets() -> Result<Vec<String>, Error> {
    let listed = run(BUSYBOX, &["--list"])?;
    Ok(listed.lines().filter(|applet| *applet != "busybox").map(str::to_owned).collect())
}

/// The shared libraries of a program, by the host's own dynamic linker; none for a static one.
fn libraries(program: &Path) -> Result<Vec<String>, Error> {
    let bytes = fs::read(program).map_err(|source| Error::Io { doing: format!("read {}", program.display()), source })?;
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(Vec::new());
    }
    let output = Command::new("ldd").arg(program).output().map_err(|source| Error::Io { doing: "run ldd".to_owned(), source })?;
    let (listed, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if let Some(line) = listed.lines().find(|line| line.contains("not found")) {
        let source = io::Error::new(io::ErrorKind::NotFound, line.trim().to_owned());
        return Err(Error::Io { doing: format!("find the libraries of {}", program.display()), source });
    }
    if !output.status.success() && !complaint.contains("not a dynamic executable") {
        let source = io::Error::other(complaint.trim().to_owned());
        return Err(Error::Io { doing: format!("list the libraries of {}", program.display()), source });
    }
    Ok(parse_libraries(&listed))
}

/// The paths in the answer of ldd: `name => path (address)`, or `path (address)` for the dynamic linker itself.
fn parse_libraries(listed: &str) -> Vec<String> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned);
    listed.lines().filter_map(path).collect()
}

fn run(program: &str, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new(program).args(arguments).output().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { path: PathBuf::from(program), install: INSTALL },
        _ => Error::Io { doing: format!("run {program}"), source },
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_every_form_of_line() {
        let listed =
            "\tlinux-vdso.so.1 (0x7ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        assert_eq!(parse_libraries(listed), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(parse_libraries("\tstatically linked\n"), Vec::<String>::new());
    }

    #[test]
    fn a_file_brings_its_folders_before_itself() {
        let mut image = Image { entries: BTreeMap::new() };
        image.bytes("/usr/share/x/file", Vec::new(), 0o644);
        let paths: Vec<&str> = image.entries.keys().map(String::as_str).collect();
        assert_eq!(paths, ["usr", "usr/share", "usr/share/x", "usr/share/x/file"]);
    }

    #[test]
    fn a_program_takes_the_place_of_the_applet_of_its_name() {
        let mut image = Image { entries: BTreeMap::new() };
        image.insert("/bin/true", Entry::Symlink(BUSYBOX.to_owned()));
        image.binary(Path::new("/bin/true"), "/bin/true").unwrap();
        assert!(matches!(image.entries.get("bin/true"), Some(Entry::File { .. })));
        assert!(image.entries.keys().any(|path| path.ends_with("libc.so.6")));
    }
}
