//! The containers that are there already: cgroups that have a container's name, found by walking the hierarchy.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use crate::{names::Names, pods::Whose};

/// A container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whose it is.
    pub whose: Whose,
    /// The cgroup's inode number.
    pub cgroup: u64,
    /// Its path below the root of the hierarchy.
    pub path: String,
}

/// Every container below `root`, where the hierarchy is mounted. Cgroups that go away meanwhile are left out.
///
/// # Errors
/// Where `root` itself cannot be read.
pub fn containers(root: &Path, names: &Names) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut pending: Vec<_> = children(root)?;
    while let Some(folder) = pending.pop() {
        let Ok(below) = folder.strip_prefix(root) else { continue };
        let mut path = b"/".to_vec();
        path.extend(below.as_os_str().as_bytes());
        let Some(whose) = names.whose(&path) else {
            pending.extend(children(&folder).unwrap_or_default());
            continue;
        };
        if let Ok(metadata) = fs::metadata(&folder) {
            found.push(Found { whose, cgroup: metadata.ino(), path: String::from_utf8_lossy(&path).into_owned() });
        }
    }
    Ok(found)
}

/// The path of every cgroup below `root`, from there, by its inode number.
///
/// # Errors
/// Where `root` itself cannot be read.
pub fn paths(root: &Path) -> io::Result<BTreeMap<u64, String>> {
    let mut found = BTreeMap::new();
    let mut pending = children(root)?;
    while let Some(folder) = pending.pop() {
        if let (Ok(below), Ok(metadata)) = (folder.strip_prefix(root), fs::metadata(&folder)) {
            found.insert(metadata.ino(), format!("/{}", below.display()));
        }
        pending.extend(children(&folder).unwrap_or_default());
    }
    Ok(found)
}

/// The inode numbers of all cgroups below the one at `path` (below the root of the hierarchy), itself not among them.
pub fn below(root: &Path, path: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut pending = children(&root.join(path.trim_start_matches('/'))).unwrap_or_default();
    while let Some(folder) = pending.pop() {
        if let Ok(metadata) = fs::metadata(&folder) {
            found.push(metadata.ino());
        }
        pending.extend(children(&folder).unwrap_or_default());
    }
    found
}

fn children(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(folder)?.flatten();
    Ok(entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_containers_and_what_is_below_them() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("p/shop/web/web/nested/deeper")).unwrap();
        fs::create_dir_all(root.path().join("system/a/b/c")).unwrap();
        let found = containers(root.path(), &Names::new(Some("/p/*/*/*".parse().unwrap()), None)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "/p/shop/web/web");
        assert_eq!(found[0].cgroup, fs::metadata(root.path().join("p/shop/web/web")).unwrap().ino());
        assert_eq!(below(root.path(), &found[0].path).len(), 2);
    }
}
