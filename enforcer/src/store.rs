//! Profiles in a folder: read, watched by the caller, and written while a workload is learned.
//!
//! One file holds any number of profiles. A file that cannot be read or is not valid changes nothing: what it held before stays in force. So
//! that this is true of an agent that has just begun, too, the last good text of each file is kept in a second folder.

use portcullis_api::{LoadError, Mode, WorkloadProfile, WorkloadProfileSpec, WorkloadReference, load, to_yaml};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The namespace and name of a profile.
pub type ProfileName = (String, String);

/// Why a file's profiles are not what the file says.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// It is not valid: file, line, column and reason of each problem.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// Two files hold one profile.
    #[error("{path}: profile {namespace}/{name} is already in {other}: remove it from one of them", namespace = .profile.0, name = .profile.1)]
    Duplicate {
        /// The file that is not taken.
        path: PathBuf,
        /// The profile.
        profile: ProfileName,
        /// The file that has it.
        other: PathBuf,
    },
    /// A profile could not be written as YAML.
    #[error("cannot write profile {0}/{1} as YAML: {2}")]
    Write(String, String, String),
}

/// The profiles of a folder.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    last_good: PathBuf,
    files: BTreeMap<PathBuf, File>,
}

#[derive(Debug)]
struct File {
    text: String,
    profiles: Vec<WorkloadProfile>,
}

impl Store {
    /// An empty store over the folder, which is made where it does not exist. `last_good` keeps the last good text of each file.
    ///
    /// # Errors
    /// Where a folder cannot be made.
    pub fn new(dir: &Path, last_good: &Path) -> Result<Self, StoreError> {
        for folder in [dir, last_good] {
            fs::create_dir_all(folder).map_err(failed("make", folder))?;
        }
        Ok(Self { dir: dir.to_owned(), last_good: last_good.to_owned(), files: BTreeMap::new() })
    }

    /// Reads what has changed. Whether any profile may have changed, and what is wrong with each file that was not taken: what such a file
    /// held before stays.
    pub fn reload(&mut self) -> (bool, Vec<StoreError>) {
        let mut errors = Vec::new();
        let names = match yaml_files(&self.dir) {
            Ok(names) => names,
            Err(error) => return (false, vec![error]),
        };
        let mut changed = false;
        let gone: Vec<PathBuf> = self.files.keys().filter(|path| !names.contains(path)).cloned().collect();
        for path in gone {
            self.files.remove(&path);
            let _ = fs::remove_file(self.last_good_of(&path));
            changed = true;
        }
        for path in names {
            match self.read(&path) {
                Ok(None) => {}
                Ok(Some(file)) => {
                    self.files.insert(path, file);
                    changed = true;
                }
                Err(error) => {
                    errors.push(error);
                    changed |= self.fall_back(&path);
                }
            }
        }
        (changed, errors)
    }

    /// The file's profiles where they differ from what is held.
    fn read(&self, path: &Path) -> Result<Option<File>, StoreError> {
        let text = fs::read_to_string(path).map_err(failed("read", path))?;
        if self.files.get(path).is_some_and(|held| held.text == text) {
            return Ok(None);
        }
        let profiles = load(&path.display().to_string(), &text)?;
        for profile in &profiles {
            let name = name_of(profile);
            if let Some((other, _)) = self.find(&name).filter(|(other, _)| *other != path) {
                return Err(StoreError::Duplicate { path: path.to_owned(), profile: name, other: other.to_owned() });
            }
        }
        let copy = self.last_good_of(path);
        write_whole(&copy, &text)?;
        Ok(Some(File { text, profiles }))
    }

    /// Takes the last good text of a file of which nothing is held; whether there was one.
    fn fall_back(&mut self, path: &Path) -> bool {
        if self.files.contains_key(path) {
            return false;
        }
        let Ok(text) = fs::read_to_string(self.last_good_of(path)) else { return false };
        let Ok(profiles) = load(&path.display().to_string(), &text) else { return false };
        self.files.insert(path.to_owned(), File { text, profiles });
        true
    }

    /// Every profile.
    pub fn profiles(&self) -> impl Iterator<Item = &WorkloadProfile> {
        self.files.values().flat_map(|file| &file.profiles)
    }

    /// The profile of that name.
    #[must_use]
    pub fn get(&self, name: &ProfileName) -> Option<&WorkloadProfile> {
        self.find(name).map(|(_, profile)| profile)
    }

    fn find(&self, name: &ProfileName) -> Option<(&Path, &WorkloadProfile)> {
        self.files.iter().find_map(|(path, file)| {
            file.profiles.iter().find(|profile| name_of(profile) == *name).map(|profile| (path.as_path(), profile))
        })
    }

    /// Changes one profile and writes its file; the profile is made, in mode `learn`, where there is none. What `change` answers, false for
    /// nothing, decides whether the file is written. The file is read again first, so that what a person has just written is kept.
    ///
    /// # Errors
    /// [`StoreError`]; the profile is then as it was.
    pub fn update(&mut self, name: &ProfileName, change: impl FnOnce(&mut WorkloadProfile) -> bool) -> Result<bool, StoreError> {
        let path = match self.find(name) {
            Some((path, _)) => path.to_owned(),
            None => self.dir.join(format!("{}.{}.yaml", name.0, name.1)),
        };
        if path.exists()
            && let Some(file) = self.read(&path)?
        {
            self.files.insert(path.clone(), file);
        }
        let mut profiles = self.files.get(&path).map(|file| file.profiles.clone()).unwrap_or_default();
        let position = profiles.iter().position(|profile| name_of(profile) == *name).unwrap_or_else(|| {
            profiles.push(learning(name));
            profiles.len() - 1
        });
        let Some(profile) = profiles.get_mut(position) else { return Ok(false) };
        let made = self.get(name).is_none();
        if !change(profile) && !made {
            return Ok(false);
        }
        let text = profiles.iter().map(to_yaml).collect::<Result<Vec<_>, _>>();
        let text = text.map_err(|error| StoreError::Write(name.0.clone(), name.1.clone(), error.to_string()))?.join("---\n");
        write_whole(&path, &text)?;
        write_whole(&self.last_good_of(&path), &text)?;
        self.files.insert(path, File { text, profiles });
        Ok(true)
    }

    fn last_good_of(&self, path: &Path) -> PathBuf {
        self.last_good.join(path.file_name().unwrap_or_default())
    }
}

/// The namespace and name of the profile.
#[must_use]
pub fn name_of(profile: &WorkloadProfile) -> ProfileName {
    (profile.metadata.namespace.clone().unwrap_or_default(), profile.metadata.name.clone().unwrap_or_default())
}

/// A profile without rules of the workload that the name tells: `deployment-web` is the Deployment `web`.
fn learning(name: &ProfileName) -> WorkloadProfile {
    const KINDS: &[(&str, &str, &str)] = &[
        ("deployment-", "apps/v1", "Deployment"),
        ("statefulset-", "apps/v1", "StatefulSet"),
        ("daemonset-", "apps/v1", "DaemonSet"),
        ("cronjob-", "batch/v1", "CronJob"),
        ("job-", "batch/v1", "Job"),
    ];
    let of_kind = KINDS.iter().find_map(|(prefix, version, kind)| Some((*version, *kind, name.1.strip_prefix(prefix)?)));
    let (api_version, kind, workload) = of_kind.unwrap_or(("v1", "Pod", &name.1));
    let workload = WorkloadReference { api_version: api_version.to_owned(), kind: kind.to_owned(), name: workload.to_owned() };
    let mut profile = WorkloadProfile::new(&name.1, WorkloadProfileSpec { workload, mode: Mode::Learn, containers: Vec::new() });
    profile.metadata.namespace = Some(name.0.clone());
    profile
}

fn yaml_files(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(failed("list", dir))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") && path.is_file());
    paths.sort();
    Ok(paths)
}

/// Writes a file so that a reader sees the old text or the new, never half of one.
fn write_whole(path: &Path, text: &str) -> Result<(), StoreError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    fs::write(&aside, text).map_err(failed("write", &aside))?;
    fs::rename(&aside, path).map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "apiVersion: portcullis.dev/v1alpha1\nkind: WorkloadProfile\nmetadata: {namespace: shop, name: deployment-web}\n\
                       spec:\n  workload: {apiVersion: apps/v1, kind: Deployment, name: web}\n  mode: enforce\n";

    fn store() -> (tempfile::TempDir, Store) {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(&root.path().join("profiles"), &root.path().join("good")).unwrap();
        (root, store)
    }

    fn web() -> ProfileName {
        ("shop".into(), "deployment-web".into())
    }

    #[test]
    fn a_file_that_breaks_leaves_its_profiles_in_force_and_is_named() {
        let (_root, mut store) = store();
        let path = store.dir.join("web.yaml");
        fs::write(&path, WEB).unwrap();
        assert!(store.reload().0);
        fs::write(&path, WEB.replace("enforce", "enforcing")).unwrap();
        let (changed, errors) = store.reload();
        assert!(!changed);
        assert!(errors[0].to_string().contains("web.yaml:6"), "{}", errors[0]);
        assert_eq!(store.get(&web()).unwrap().spec.mode, Mode::Enforce);
    }

    #[test]
    fn an_agent_that_begins_with_a_broken_file_takes_its_last_good_text() {
        let (root, mut store) = store();
        let path = store.dir.join("web.yaml");
        fs::write(&path, WEB).unwrap();
        store.reload();
        fs::write(&path, "nonsense").unwrap();
        let mut next = Store::new(&root.path().join("profiles"), &root.path().join("good")).unwrap();
        let (changed, errors) = next.reload();
        assert!(changed);
        assert_eq!(errors.len(), 1);
        assert_eq!(next.get(&web()).unwrap().spec.mode, Mode::Enforce);
    }

    #[test]
    fn a_broken_file_affects_no_other() {
        let (_root, mut store) = store();
        fs::write(store.dir.join("a.yaml"), "nonsense").unwrap();
        fs::write(store.dir.join("web.yaml"), WEB).unwrap();
        let (changed, errors) = store.reload();
        assert!(changed && errors.len() == 1);
        assert!(store.get(&web()).is_some());
    }

    #[test]
    fn a_profile_in_two_files_is_taken_from_the_first() {
        let (_root, mut store) = store();
        fs::write(store.dir.join("a.yaml"), WEB).unwrap();
        fs::write(store.dir.join("b.yaml"), WEB.replace("enforce", "audit")).unwrap();
        let (_, errors) = store.reload();
        assert!(matches!(errors[..], [StoreError::Duplicate { .. }]));
        assert_eq!(store.get(&web()).unwrap().spec.mode, Mode::Enforce);
    }

    #[test]
    fn a_file_that_is_removed_takes_its_profiles_with_it() {
        let (_root, mut store) = store();
        let path = store.dir.join("web.yaml");
        fs::write(&path, WEB).unwrap();
        store.reload();
        fs::remove_file(&path).unwrap();
        assert!(store.reload().0);
        assert!(store.get(&web()).is_none());
    }

    #[test]
    fn an_update_keeps_what_a_person_has_written_meanwhile() {
        let (_root, mut store) = store();
        assert!(store.update(&web(), |_| false).unwrap(), "a new profile is written");
        let path = store.dir.join("shop.deployment-web.yaml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("learn", "audit")).unwrap();
        store.update(&web(), |profile| profile.spec.mode == Mode::Learn).unwrap();
        assert_eq!(store.get(&web()).unwrap().spec.mode, Mode::Audit);
    }

    #[test]
    fn the_workload_is_read_from_the_profiles_name() {
        let kind = |name: &str| learning(&("shop".into(), name.into())).spec.workload;
        assert_eq!((kind("deployment-web").kind.as_str(), kind("deployment-web").name.as_str()), ("Deployment", "web"));
        assert_eq!((kind("web").kind.as_str(), kind("web").name.as_str()), ("Pod", "web"));
    }
}
