//! The folders of layouts, another's than this agent's among them.

use std::path::{Path, PathBuf};

use super::{CARRY, PinError, file_name, read, remove};

/// The folder of another layout.
#[derive(Debug)]
pub struct Other {
    pub(super) root: PathBuf,
}

impl Other {
    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where its maps are.
    #[must_use]
    pub fn maps(&self) -> PathBuf {
        self.root.join("maps")
    }

    /// Whether its programs are in force: what was being made when an agent was killed is not.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        is_complete(&self.root)
    }

    /// The version of what can be carried over from its maps; `None` where it says none.
    #[must_use]
    pub fn carry(&self) -> Option<u32> {
        read(&self.root).ok()?.iter().find_map(|path| file_name(path).strip_prefix(CARRY)?.parse().ok())
    }
}

pub(super) fn is_complete(root: &Path) -> bool {
    root.join("maps").exists() && read(root).is_ok_and(|entries| entries.iter().any(|path| file_name(path).starts_with("links-")))
}

/// Removes the folder of a layout: the links first, so that no program meets a missing map.
pub(super) fn remove_layout(root: &Path) -> Result<(), PinError> {
    let (links, others): (Vec<_>, Vec<_>) = read(root)?.into_iter().partition(|path| file_name(path).contains("links"));
    links.into_iter().chain(others).try_for_each(|path| remove(&path))?;
    remove(root)
}
