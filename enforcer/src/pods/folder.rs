//! Pods from a folder, for a node without an API server: one file a pod (`*.yaml`, `*.yml`, `*.json`), which whoever starts the pod writes
//! before, and again when a container has its ID.
//!
//! ```yaml
//! uid: 0b6e2d0c-5a1f-4c0e-9d3a-1f2e3d4c5b6a
//! namespace: shop
//! profile: deployment-web
//! containers:
//!   web: containerd://3f4b9c0d…
//!   log:                              # not known yet
//! ```
//!
//! A file that cannot be read or is not valid changes nothing: what it held before stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};
use thiserror::Error;

use super::{Change, Pod, PodSource};
use crate::cgroup::PodUid;

/// Why a pod is not what the file says.
#[derive(Debug, Error)]
pub enum PodsError {
    /// It could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file, or the folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// It is no description of a pod.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// Two files have one pod.
    #[error("{path}: pod {uid} is already in {other}: remove it from one of them")]
    Duplicate {
        /// The file that is not taken.
        path: PathBuf,
        /// The pod.
        uid: PodUid,
        /// The file that has it.
        other: PathBuf,
    },
}

/// The pods of a folder.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    files: BTreeMap<PathBuf, (String, Pod)>,
}

impl Folder {
    /// The pods of that folder, which is made where it does not exist. None is known before the first [`PodSource::changes`].
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn new(dir: &Path) -> Result<Self, PodsError> {
        fs::create_dir_all(dir).map_err(|source| PodsError::Io { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned(), files: BTreeMap::new() })
    }

    /// The file's pod where it differs from what is held.
    fn read(&self, path: &Path) -> Result<Option<(String, Pod)>, PodsError> {
        let text = fs::read_to_string(path).map_err(|source| PodsError::Io { path: path.to_owned(), source })?;
        let held = self.files.get(path);
        if held.is_some_and(|(held, _)| *held == text) {
            return Ok(None);
        }
        let pod: Pod =
            serde_saphyr::from_str(&text).map_err(|error| PodsError::Invalid { path: path.to_owned(), reason: error.to_string() })?;
        for name in [&pod.namespace, &pod.profile].into_iter().chain(pod.containers.keys()) {
            if name.is_empty() || name.contains(['/', '\0']) {
                return Err(PodsError::Invalid { path: path.to_owned(), reason: format!("`{name}` is no name of an object") });
            }
        }
        if let Some((other, _)) = self.files.iter().find(|(other, (_, held))| held.uid == pod.uid && *other != path) {
            return Err(PodsError::Duplicate { path: path.to_owned(), uid: pod.uid, other: other.clone() });
        }
        Ok(Some((text, pod)))
    }
}

impl PodSource for Folder {
    fn changes(&mut self) -> (Vec<Change>, Vec<PodsError>) {
        let paths = match paths(&self.dir) {
            Ok(paths) => paths,
            Err(source) => return (Vec::new(), vec![PodsError::Io { path: self.dir.clone(), source }]),
        };
        let (mut changes, mut errors) = (Vec::new(), Vec::new());
        let gone: Vec<PathBuf> = self.files.keys().filter(|path| !paths.contains(*path)).cloned().collect();
        for path in gone {
            changes.extend(self.files.remove(&path).map(|(_, pod)| Change::Delete(pod.uid)));
        }
        for path in paths {
            match self.read(&path) {
                Ok(None) => {}
                Ok(Some((text, pod))) => {
                    let before = self.files.insert(path, (text, pod.clone()));
                    changes.extend(before.filter(|(_, before)| before.uid != pod.uid).map(|(_, before)| Change::Delete(before.uid)));
                    changes.push(Change::Apply(pod));
                }
                Err(error) => errors.push(error),
            }
        }
        (changes, errors)
    }
}

fn paths(dir: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut paths = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known)) && path.is_file() {
            paths.insert(path);
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "uid: 0b6e2d0c-5a1f-4c0e-9d3a-1f2e3d4c5b6a\nnamespace: shop\nprofile: deployment-web\ncontainers:\n  web: containerd://abc\n  log:\n";

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(&dir.path().join("pods")).unwrap();
        (dir, folder)
    }

    fn applied(folder: &mut Folder) -> Vec<String> {
        let (changes, errors) = folder.changes();
        assert!(errors.is_empty(), "{errors:?}");
        changes
            .iter()
            .map(|change| match change {
                Change::Apply(pod) => format!("+{}", pod.uid),
                Change::Delete(uid) => format!("-{uid}"),
            })
            .collect()
    }

    #[test]
    fn a_pod_comes_changes_and_goes_with_its_file() {
        let (_dir, mut folder) = folder();
        let path = folder.dir.join("web.yaml");
        fs::write(&path, WEB).unwrap();
        let (changes, _) = folder.changes();
        let [Change::Apply(pod)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(pod.containers, [("web".to_owned(), Some("containerd://abc".to_owned())), ("log".to_owned(), None)].into());
        assert!(applied(&mut folder).is_empty(), "nothing has changed");
        fs::write(&path, WEB.replace("0b6e", "1b6e")).unwrap();
        assert_eq!(applied(&mut folder), ["-0b6e2d0c-5a1f-4c0e-9d3a-1f2e3d4c5b6a", "+1b6e2d0c-5a1f-4c0e-9d3a-1f2e3d4c5b6a"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(applied(&mut folder), ["-1b6e2d0c-5a1f-4c0e-9d3a-1f2e3d4c5b6a"]);
    }

    #[test]
    fn json_is_taken_too() {
        let (_dir, mut folder) = folder();
        let text = r#"{"uid": "6fa0f1e2d3c4b5a697887766554433ff", "namespace": "a", "profile": "b", "containers": {"c": null}}"#;
        fs::write(folder.dir.join("web.json"), text).unwrap();
        assert_eq!(applied(&mut folder), ["+6fa0f1e2d3c4b5a697887766554433ff"]);
    }

    #[test]
    fn a_file_that_breaks_leaves_its_pod_as_it_was_and_is_named() {
        let (_dir, mut folder) = folder();
        let path = folder.dir.join("web.yaml");
        fs::write(&path, WEB).unwrap();
        folder.changes();
        for bad in ["{", "uid: x\nnamespace: a\nprofile: b\n", &WEB.replace("shop", "a/b"), &format!("{WEB}colour: red\n")] {
            fs::write(&path, bad).unwrap();
            let (changes, errors) = folder.changes();
            assert!(changes.is_empty(), "{changes:?}");
            assert!(errors[0].to_string().contains("web.yaml"), "{errors:?}");
        }
    }

    #[test]
    fn a_pod_in_two_files_is_taken_from_the_first() {
        let (_dir, mut folder) = folder();
        for name in ["a.yaml", "b.yaml"] {
            fs::write(folder.dir.join(name), WEB).unwrap();
        }
        let (changes, errors) = folder.changes();
        assert_eq!(changes.len(), 1);
        assert!(matches!(errors[..], [PodsError::Duplicate { .. }]));
    }
}
