//! The folder below bpffs that holds what outlives the agent.
//!
//! ```text
//!  /sys/fs/bpf/portcullis/v3/            one folder a layout: an agent never opens maps that it does not know
//!      maps/NAME                         made aside, renamed when it is complete
//!      carry-N/                          what an agent of another layout must know to carry over what is in the maps
//!      links-HASH/PROGRAM                HASH names the object, so that an agent sees whether its own programs are attached
//!
//! What is being made is in `next-maps` and `next-links`. bpffs reserves names with a dot.
//! ```

mod other;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};
use thiserror::Error;

pub use other::Other;
use other::{is_complete, remove_layout};

/// Why the folder cannot be used.
#[derive(Debug, Error)]
pub enum PinError {
    /// It could not be made, read or changed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// Another agent holds it.
    #[error("another enforcer is running on this node (it holds {0}): stop it first")]
    Busy(PathBuf),
}

/// The folder, held by this agent alone.
#[derive(Debug)]
pub struct Pins {
    root: PathBuf,
    _locks: Vec<OwnedFd>,
}

/// The folder whose name says what can be carried over, before its version.
const CARRY: &str = "carry-";

impl Pins {
    /// Opens or makes the folder of this agent's layout below `bpffs` and locks it.
    ///
    /// # Errors
    /// [`PinError`] where it cannot be made, or where another agent holds it.
    pub fn open(bpffs: &Path) -> Result<Self, PinError> {
        let root = root_below(bpffs);
        // Nobody else's: whoever can open the folder can hold its lock.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(io_error("make", &root))?;
        // An agent of any layout holds the folder above them all.
        let above = bpffs.join("portcullis");
        let mut locks = vec![lock(&above)?];
        for layout in read(&above)? {
            locks.push(lock(&layout)?);
        }
        Ok(Self { root, _locks: locks })
    }

    /// The folders of other layouts.
    ///
    /// # Errors
    /// [`PinError::Io`].
    pub fn others(&self) -> Result<Vec<Other>, PinError> {
        let Some(above) = self.root.parent() else { return Ok(Vec::new()) };
        Ok(read(above)?.into_iter().filter(|path| *path != self.root).map(|root| Other { root }).collect())
    }

    /// Detaches the programs of other layouts, then removes their maps.
    ///
    /// # Errors
    /// [`PinError::Io`].
    pub fn remove(&self, others: Vec<Other>) -> Result<(), PinError> {
        others.into_iter().try_for_each(|other| remove_layout(&other.root))
    }

    /// Whether this layout's maps and some object's links are in place.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        is_complete(&self.root)
    }

    /// Detaches and removes what was being made.
    ///
    /// # Errors
    /// [`PinError::Io`].
    pub fn abandon(&self) -> Result<(), PinError> {
        remove(&self.root.join("next-links"))?;
        remove(&self.root.join("next-maps"))
    }

    /// Where the maps are, once they are complete.
    #[must_use]
    pub fn maps(&self) -> PathBuf {
        self.root.join("maps")
    }

    /// Where maps are made; what a crash has left there is removed.
    ///
    /// # Errors
    /// [`PinError::Io`].
    pub fn new_maps(&self) -> Result<PathBuf, PinError> {
        let path = self.root.join("next-maps");
        remove(&path)?;
        fs::create_dir(&path).map_err(io_error("make", &path))?;
        Ok(path)
    }

    /// Puts the maps that were made in their place.
    ///
    /// # Errors
    /// [`PinError::Io`].
    pub fn complete_maps(&self) -> Result<(), PinError> {
        let carry = self.root.join(format!("{CARRY}{}", portcullis_abi::CARRY));
        fs::DirBuilder::new().recursive(true).create(&carry).map_err(io_error("make", &carry))?;
        let from = self.root.join("next-maps");
        // What is there was never used: nothing was attached over it, or another layout has been since.
        remove(&self.maps())?;
        fs::rename(&from, self.maps()).map_err(io_error("rename", &from))
    }

    /// Where the links of the object with that hash are, whether or not they exist.
    #[must_use]
    pub fn links(&self, hash: &str) -> PathBuf {
        self.root.join(format!("links-{hash}"))
    }

    /// Makes a folder for links, empty; what a crash has left there is removed.
    ///
    /// # Errors
    /// [`PinError::Io`].
    pub fn new_links(&self) -> Result<PathBuf, PinError> {
        let path = self.root.join("next-links");
        remove(&path)?;
        fs::create_dir(&path).map_err(io_error("make", &path))?;
        Ok(path)
    }

    /// Puts the links that were made in their place, and detaches all others: those of earlier objects.
    ///
    /// # Errors
    /// [`PinError::Io`].
    pub fn complete_links(&self, hash: &str) -> Result<(), PinError> {
        let from = self.root.join("next-links");
        let to = self.links(hash);
        remove(&to)?;
        fs::rename(&from, &to).map_err(io_error("rename", &from))?;
        for entry in read(&self.root)? {
            if entry != to && file_name(&entry).starts_with("links-") {
                remove(&entry)?;
            }
        }
        Ok(())
    }

    /// Detaches every program and removes every map: the links first, so that no program meets a missing map.
    ///
    /// # Errors
    /// [`PinError::Io`].
    pub fn remove_all(self) -> Result<(), PinError> {
        self.remove(self.others()?)?;
        remove_layout(&self.root)?;
        self.root.parent().map_or(Ok(()), remove)
    }
}

fn lock(folder: &Path) -> Result<OwnedFd, PinError> {
    let lock = open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| io_error("open", folder)(errno.into()))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(PinError::Busy(folder.to_owned())),
        Err(errno) => Err(io_error("lock", folder)(errno.into())),
    }
}

/// The hash that `links-HASH` carries, where links of some object are pinned below `bpffs`.
#[must_use]
pub fn attached(bpffs: &Path) -> Option<(String, Vec<String>)> {
    let root = root_below(bpffs);
    let links = read(&root).ok()?.into_iter().find(|path| file_name(path).starts_with("links-"))?;
    let hash = file_name(&links).strip_prefix("links-")?.to_owned();
    let mut programs: Vec<String> = read(&links).ok()?.iter().map(|path| file_name(path).to_owned()).collect();
    programs.sort();
    Some((hash, programs))
}

/// Where maps are pinned below `bpffs`, whether or not they exist.
#[must_use]
pub fn maps_below(bpffs: &Path) -> PathBuf {
    root_below(bpffs).join("maps")
}

/// Where the links of the object with that hash are pinned below `bpffs`.
#[must_use]
pub fn links_below(bpffs: &Path, hash: &str) -> PathBuf {
    root_below(bpffs).join(format!("links-{hash}"))
}

/// The layouts whose programs are in force below `bpffs`.
#[must_use]
pub fn layouts_in_force(bpffs: &Path) -> Vec<String> {
    let layouts = read(&bpffs.join("portcullis")).unwrap_or_default();
    layouts.iter().filter(|root| is_complete(root)).map(|root| file_name(root).to_owned()).collect()
}

/// Whether anything of ours is pinned below `bpffs`.
#[must_use]
pub fn is_anything(bpffs: &Path) -> bool {
    bpffs.join("portcullis").exists()
}

fn root_below(bpffs: &Path) -> PathBuf {
    bpffs.join("portcullis").join(portcullis_abi::LAYOUT)
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<PathBuf>, PinError> {
    fs::read_dir(path).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect()).map_err(io_error("list", path))
}

/// Removes a folder of pins and what is in it; nothing where there is none. bpffs has no deeper folders.
fn remove(path: &Path) -> Result<(), PinError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(source)),
        _ => Ok(()),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PinError + use<> {
    let path = path.to_owned();
    move |source| PinError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Pins::open(dir.path()).unwrap();
        assert!(matches!(Pins::open(dir.path()), Err(PinError::Busy(_))));
    }

    #[test]
    fn completing_links_removes_those_of_earlier_objects() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::open(dir.path()).unwrap();
        for hash in ["old", "new"] {
            let links = pins.new_links().unwrap();
            fs::write(links.join("file_open"), "").unwrap();
            pins.complete_links(hash).unwrap();
        }
        assert_eq!(attached(dir.path()), Some(("new".to_owned(), vec!["file_open".to_owned()])));
        assert!(!pins.links("old").exists());
    }

    #[test]
    fn maps_appear_only_when_they_are_complete() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::open(dir.path()).unwrap();
        fs::write(pins.new_maps().unwrap().join("half"), "").unwrap();
        assert!(!pins.maps().exists());
        // A crash here leaves `next-maps`; the next agent begins anew.
        fs::write(pins.new_maps().unwrap().join("whole"), "").unwrap();
        pins.complete_maps().unwrap();
        assert!(pins.maps().join("whole").exists() && !pins.maps().join("half").exists());
    }

    #[test]
    fn an_agent_of_another_layout_is_refused_too() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("portcullis/v0");
        fs::create_dir_all(&other).unwrap();
        let _held = lock(&other).unwrap();
        assert!(matches!(Pins::open(dir.path()), Err(PinError::Busy(_))));
    }

    #[test]
    fn another_layout_is_found_where_it_is_in_force_and_removed_with_its_links() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["v0/maps", "v0/links-abc", "v0/carry-7", "v9/next-maps"] {
            fs::create_dir_all(dir.path().join("portcullis").join(name)).unwrap();
        }
        let pins = Pins::open(dir.path()).unwrap();
        let mut others = pins.others().unwrap();
        others.sort_by(|left, right| left.root.cmp(&right.root));
        assert_eq!(others.iter().map(|other| (other.is_complete(), other.carry())).collect::<Vec<_>>(), [(true, Some(7)), (false, None)]);
        pins.remove(others).unwrap();
        assert!(pins.others().unwrap().is_empty());
    }

    #[test]
    fn removing_all_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::open(dir.path()).unwrap();
        pins.new_links().unwrap();
        pins.complete_links("a").unwrap();
        pins.new_maps().unwrap();
        pins.complete_maps().unwrap();
        pins.remove_all().unwrap();
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    }
}
