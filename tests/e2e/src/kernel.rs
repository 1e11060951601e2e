//! The kernels that the tests run on, and where their files are.
//!
//! `hack/kernels` unpacks Debian's cloud kernels into a cache; this only reads it, and names that script where a file lacks.

use std::{
    collections::HashSet,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// What every machine needs: the port to the agent, and the file system of container images. In load order.
const ALWAYS: [&str; 3] = ["virtio_pci", "virtio_console", "overlay"];

/// A Debian 12 kernel series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// 6.1, the distribution's own: the oldest kernel that Portcullis supports.
    V6_1,
    /// 6.12, the newest long-term kernel that the distribution carries.
    V6_12,
}

impl Kernel {
    /// Every kernel, oldest first.
    pub const ALL: [Self; 2] = [Self::V6_1, Self::V6_12];

    /// The series as `hack/kernels` and `uname -r` spell it.
    #[must_use]
    pub fn series(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }

    /// The bootable image.
    pub(crate) fn image(self) -> Result<PathBuf, Error> {
        let image = self.folder()?.join("vmlinuz");
        if image.exists() { Ok(image) } else { Err(missing(image)) }
    }

    /// The module files to load for `names` and what every machine needs, each after those it depends on. Names that are
    /// built into this kernel need no file.
    pub(crate) fn modules(self, names: &[String]) -> Result<Vec<PathBuf>, Error> {
        let folder = self.folder()?.join("modules");
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => missing(path),
                _ => Error::Io { doing: format!("read {}", path.display()), source },
            })
        };
        let (dependencies, builtin) = (read("modules.dep")?, read("modules.builtin")?);
        let index = Index { dependencies: &dependencies, builtin: &builtin };
        let wanted = ALWAYS.into_iter().chain(names.iter().map(String::as_str));
        let files = index.load_order(wanted).map_err(|module| Error::NoModule { module, kernel: self })?;
        Ok(files.into_iter().map(|file| folder.join(file)).collect())
    }

    fn folder(self) -> Result<PathBuf, Error> {
        let cache = cache().ok_or_else(|| missing(PathBuf::from("$HOME")))?;
        Ok(cache.join("kernels").join(self.series()))
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.series())
    }
}

fn missing(path: PathBuf) -> Error {
    Error::Missing { path, install: "hack/kernels" }
}

/// The same folder that `hack/lib.sh` chooses.
pub(crate) fn cache() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("PORTCULLIS_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?.join("portcullis")))
}

/// What depmod and the kernel's build say about modules.
struct Index<'a> {
    /// Lines of `file: file…`, the files on the right being all that the left one needs, the last first.
    dependencies: &'a str,
    /// One file a line.
    builtin: &'a str,
}

impl<'a> Index<'a> {
    /// Files, each once, or the name that is neither a module nor built in.
    fn load_order<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<Vec<&'a str>, String> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        for name in names {
            let line = self.dependencies.lines().filter_map(|line| line.split_once(':')).find(|(file, _)| is_module(file, name));
            match line {
                Some((file, needs)) => {
                    let files = needs.split_whitespace().rev().chain([file]);
                    order.extend(files.filter(|file| seen.insert(*file)));
                }
                None if self.builtin.lines().any(|file| is_module(file, name)) => {}
                None => return Err(name.to_owned()),
            }
        }
        Ok(order)
    }
}

/// Is `file` the module `name`? The kernel takes `-` and `_` for the same.
fn is_module(file: &str, name: &str) -> bool {
    let stem = Path::new(file).file_name().and_then(|file| file.to_str()).and_then(|file| file.strip_suffix(".ko"));
    stem.is_some_and(|stem| stem.replace('-', "_") == name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: Index<'static> = Index {
        dependencies: "d/virtio_ring.ko: d/virtio.ko\nd/virtio.ko:\nd/virtio-rng.ko: d/virtio_ring.ko d/virtio.ko\n",
        builtin: "kernel/fs/ext4/ext4.ko\n",
    };

    #[test]
    fn modules_come_after_what_they_need_and_once() {
        let order = INDEX.load_order(["virtio_ring", "virtio_rng"].into_iter()).unwrap();
        assert_eq!(order, ["d/virtio.ko", "d/virtio_ring.ko", "d/virtio-rng.ko"]);
    }

    #[test]
    fn what_is_built_in_needs_no_file() {
        assert_eq!(INDEX.load_order(["ext4"].into_iter()).unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn an_unknown_module_is_named() {
        assert_eq!(INDEX.load_order(["virtio", "nonesuch"].into_iter()).unwrap_err(), "nonesuch");
    }
}
