//! Writes the archive format that Linux unpacks as its first root file system: cpio "newc", as the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst` describes it.
//!
//! Everything belongs to root and is dated 1970, so that equal inputs make equal archives. No compression: under software
//! emulation the guest would spend more time to unpack than the host saves. No hard links; no file of 4 GiB or more.

use std::io::{self, Write};

const MAGIC: &str = "070701";
const HEADER_BYTES: u64 = 110;
const TRAILER: &str = "TRAILER!!!";
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// An archive that is being written. Directories must be added before what is in them: the kernel does not make parents.
pub(crate) struct Archive<W> {
    out: W,
    written: u64,
    inode: u32,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, written: 0, inode: 0 }
    }

    /// Adds a directory; `path` is relative to the root, as every path here.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.entry(path, DIRECTORY | mode, &[])
    }

    pub(crate) fn file(&mut self, path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        self.entry(path, REGULAR | mode, contents)
    }

    pub(crate) fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, SYMLINK | 0o777, target.as_bytes())
    }

    /// Ends the archive. Without this the kernel takes it for a truncated one.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.entry(TRAILER, 0, &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        let too_large = |_| io::Error::new(io::ErrorKind::FileTooLarge, format!("{path} does not fit into a cpio archive"));
        let size = u32::try_from(contents.len()).map_err(too_large)?;
        let name_bytes = u32::try_from(path.len() + 1).map_err(too_large)?;
        self.inode += 1;
        write!(self.out, "{MAGIC}{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}", self.inode, 0, 0, 1, 0)?;
        write!(self.out, "{:08x}{:08x}{:08x}{:08x}{name_bytes:08x}{:08x}{path}\0", 0, 0, 0, 0, 0)?;
        self.written += HEADER_BYTES + u64::from(name_bytes);
        self.align()?;
        self.out.write_all(contents)?;
        self.written += u64::from(size);
        self.align()
    }

    fn align(&mut self) -> io::Result<()> {
        while !self.written.is_multiple_of(4) {
            self.out.write_all(&[0])?;
            self.written += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_starts_on_a_multiple_of_four() {
        let mut archive = Archive::new(Vec::new());
        archive.directory("a", 0o755).unwrap();
        archive.file("a/odd", 0o644, b"12345").unwrap();
        archive.symlink("l", "a/odd").unwrap();
        let bytes = archive.finish().unwrap();
        let starts: Vec<usize> = bytes.windows(6).enumerate().filter(|(_, w)| *w == MAGIC.as_bytes()).map(|(at, _)| at).collect();
        assert_eq!(starts.len(), 4, "three entries and the trailer");
        assert!(starts.iter().all(|at| at % 4 == 0), "{starts:?}");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn header_has_the_length_that_the_format_fixes() {
        let mut archive = Archive::new(Vec::new());
        archive.file("f", 0o600, b"").unwrap();
        let header = String::from_utf8(archive.out.clone()).unwrap();
        assert_eq!(header.find("f\0"), Some(110));
        assert_eq!(&header[14..22], "00008180", "a regular file, 0600");
    }
}
