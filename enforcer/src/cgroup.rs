//! What the path of a cgroup says: of which pod it is, and which container's, made by which runtime.
//!
//! The kubelet makes a cgroup for each pod, named after the pod's UID, below one for its class of service; the runtime makes the containers'
//! in it. How they are written depends on the *driver*:
//!
//! ```text
//!  systemd    /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0b6e2d0c_…_9f.slice/cri-containerd-ID.scope
//!  cgroupfs   /kubepods/burstable/pod0b6e2d0c-…-9f/ID
//! ```
//!
//! Pods of the class *guaranteed* lie in `kubepods` itself. All of it may lie below another cgroup (`--cgroup-root`, `/kubelet.slice` in
//! kind), whose name systemd then puts before each slice's. A static pod's UID is a hash without dashes.
//!
//! What is made in a pod's cgroup is a container, whatever its name is, but for what CRI-O's monitor (`crio-conmon-ID`) runs in. The first pod
//! on the way down is the one: what lies below a container is that container's, and a workload may name it as it likes.

use portcullis_abi::{
    NO_CONTAINER, UNKNOWN_POD,
    pod::{Tail, tail},
};
use portcullis_matcher::{Pattern, PatternError};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// A pod's UID: 32 hexadecimal digits, with dashes as UUIDs have them, or without, as the kubelet makes them for static pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PodUid(String);

/// Why a text is no UID.
#[derive(Debug, Error)]
#[error("`{0}` is no UID of a pod: write it as `metadata.uid` has it, 32 hexadecimal digits in lower case, with dashes or without")]
pub struct NoUid(String);

/// Where a UUID has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl FromStr for PodUid {
    type Err = NoUid;

    fn from_str(text: &str) -> Result<Self, NoUid> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let plain = text.len() == 32 && text.bytes().all(is_hex);
        let dashed =
            text.len() == 36 && text.bytes().enumerate().all(|(at, byte)| if DASHES.contains(&at) { byte == b'-' } else { is_hex(byte) });
        if plain || dashed { Ok(Self(text.to_owned())) } else { Err(NoUid(text.to_owned())) }
    }
}

impl TryFrom<String> for PodUid {
    type Error = NoUid;

    fn try_from(text: String) -> Result<Self, NoUid> {
        text.parse()
    }
}

impl From<PodUid> for String {
    fn from(uid: PodUid) -> Self {
        uid.0
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PodUid {
    /// The ends of every path that a cgroup of this pod may have, as the kernel looks them up.
    #[must_use]
    pub fn tails(&self) -> Vec<Tail> {
        let mut paths = vec![format!("/kubepods-pod{}.slice", self.0.replace('-', "_"))];
        paths.extend(CLASSES.map(|class| format!("/kubepods{}/pod{}", class.replace('-', "/"), self.0)));
        paths.iter().filter_map(|path| tail(path.as_bytes())).collect()
    }
}

/// The classes of service, as systemd's slices have them in their names.
const CLASSES: [&str; 3] = ["", "-burstable", "-besteffort"];

/// Who made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// containerd, with systemd's driver.
    Containerd,
    /// CRI-O.
    CriO,
    /// Docker, by cri-dockerd, with systemd's driver.
    Docker,
    /// The name does not say: containerd's and Docker's with the driver cgroupfs are IDs alone.
    Unnamed,
}

/// What a cgroup is of its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The pod's own.
    Pod,
    /// The container with that ID.
    Container(Runtime, &'a str),
    /// The one in which CRI-O's monitor of the container with that ID runs: not the pod's workload.
    Monitor(&'a str),
    /// One below the container with that ID.
    Below(Runtime, &'a str),
}

/// A cgroup of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfPod<'a> {
    /// The pod.
    pub pod: PodUid,
    /// What the cgroup is of it.
    pub part: Part<'a>,
}

/// Reads the path of a cgroup, from the root of the hierarchy; `None` where it is no pod's.
#[must_use]
pub fn read(path: &[u8]) -> Option<OfPod<'_>> {
    let path = str::from_utf8(path).ok()?.strip_prefix('/')?;
    let mut names = path.split('/');
    let (mut above, mut parent) = ("", "");
    loop {
        let name = names.next()?;
        let Some(pod) = systemd_pod(parent, name).or_else(|| cgroupfs_pod(above, parent, name)) else {
            (above, parent) = (parent, name);
            continue;
        };
        let part = match (names.next(), names.next()) {
            (None, _) => Part::Pod,
            (Some(name), below) => match (container(name), below) {
                (Part::Container(runtime, id), Some(_)) => Part::Below(runtime, id),
                (part, _) => part,
            },
        };
        return Some(OfPod { pod, part });
    }
}

/// `PARENT-podUID.slice` in `PARENT.slice`, whose last names are `kubepods` and the class.
fn systemd_pod(parent: &str, name: &str) -> Option<PodUid> {
    let parent = parent.strip_suffix(".slice")?;
    let uid = name.strip_prefix(parent)?.strip_prefix("-pod")?.strip_suffix(".slice")?;
    let kubepods = ["-burstable", "-besteffort"].iter().find_map(|class| parent.strip_suffix(class)).unwrap_or(parent);
    if kubepods != "kubepods" && !kubepods.ends_with("-kubepods") {
        return None;
    }
    // A name of a slice has its dashes for the slices above it.
    if uid.contains('-') { None } else { uid.replace('_', "-").parse().ok() }
}

/// `podUID` in `kubepods`, or in a class in `kubepods`.
fn cgroupfs_pod(above: &str, parent: &str, name: &str) -> Option<PodUid> {
    let is_class = matches!(parent, "burstable" | "besteffort") && above == "kubepods";
    if parent != "kubepods" && !is_class {
        return None;
    }
    name.strip_prefix("pod")?.parse().ok()
}

fn container(name: &str) -> Part<'_> {
    let scope = name.strip_suffix(".scope");
    let id = scope.unwrap_or(name);
    if let Some(id) = id.strip_prefix("crio-conmon-") {
        return Part::Monitor(id);
    }
    if let Some(id) = id.strip_prefix("crio-") {
        return Part::Container(Runtime::CriO, id);
    }
    match scope {
        Some(id) if let Some(id) = id.strip_prefix("cri-containerd-") => Part::Container(Runtime::Containerd, id),
        Some(id) if let Some(id) = id.strip_prefix("docker-") => Part::Container(Runtime::Docker, id),
        _ => Part::Container(Runtime::Unnamed, name),
    }
}

/// What the table that names containers by their paths says of pods: each pattern with its value. It agrees with [`read`] on every path that
/// a kubelet makes, and takes some more for a pod's: the class in a slice's name and the UID are not looked at.
///
/// # Errors
/// Never: they are patterns.
pub fn patterns() -> Result<Vec<(Pattern, u32)>, PatternError> {
    let mut pods = vec!["/**kubepods*-pod*.slice".to_owned()];
    for class in CLASSES.map(|class| class.replace('-', "/")) {
        pods.extend(["", "/**"].map(|above| format!("{above}/kubepods{class}/pod*")));
    }
    let mut patterns = Vec::new();
    for pod in pods {
        patterns.push((Pattern::parse(&format!("{pod}/*"))?, UNKNOWN_POD));
        patterns.push((Pattern::parse(&format!("{pod}/crio-conmon-*"))?, NO_CONTAINER));
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests;
