//! Which pod runs under which profile: an index, and where what is in it comes from.
//!
//! ```text
//!  PodSource ─ changes ─► PodIndex ─┬─► tails of UIDs → the pod's pending profile        (the kernel's map of pods)
//!   folder                          └─► path of a cgroup → pod, container                (attribution)
//! ```
//!
//! A pod is known by its UID before its first container exists; which cgroup is which container's only once the container has an ID. Until
//! then a container is judged by the profile that is *pending* for its pod: what any container of the pod may do.

mod folder;

use serde::Deserialize;
use std::collections::BTreeMap;

use crate::{
    cgroup::{Part, PodUid, read},
    key::ContainerKey,
};

pub use folder::{Folder, PodsError};

/// A pod of this node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pod {
    /// Its UID, as in `metadata.uid`.
    pub uid: PodUid,
    /// Its namespace.
    pub namespace: String,
    /// The name of its workload's profile.
    pub profile: String,
    /// The names of its containers, init containers among them, each with its ID once that is known, with or without `RUNTIME://`.
    #[serde(default)]
    pub containers: BTreeMap<String, Option<String>>,
}

impl Pod {
    /// The key of a container of the pod.
    fn key(&self, container: &str) -> ContainerKey {
        ContainerKey { namespace: self.namespace.clone(), profile: self.profile.clone(), container: container.to_owned() }
    }

    /// The container with that ID, where it is known.
    fn container(&self, id: &str) -> Option<&str> {
        self.containers.iter().find(|(_, known)| known.as_deref().is_some_and(|known| id_of(known) == id)).map(|(name, _)| name.as_str())
    }
}

/// The ID without the runtime's name before it, as `containerd://ID` in a container's status.
fn id_of(text: &str) -> &str {
    text.split_once("://").map_or(text, |(_, id)| id)
}

/// A pod that came or changed, or one that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Is now so.
    Apply(Pod),
    /// Is no more.
    Delete(PodUid),
}

/// Where pods come from.
pub trait PodSource {
    /// What has changed since the last call, and what is wrong with what was not taken, which stays as it was.
    fn changes(&mut self) -> (Vec<Change>, Vec<PodsError>);
}

/// The pods of this node.
#[derive(Debug, Default)]
pub struct PodIndex {
    pods: BTreeMap<PodUid, Pod>,
}

/// Whose a pod's cgroup is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A container's, or one's whose name is not known yet ([`ContainerKey::is_pending`]).
    Container(ContainerKey),
    /// A container's of a pod that nobody has told of.
    Unknown(PodUid),
}

impl PodIndex {
    /// Takes a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Apply(pod) => self.pods.insert(pod.uid.clone(), pod),
            Change::Delete(uid) => self.pods.remove(&uid),
        };
    }

    /// Whose the cgroup at that path is; `None` where it is no container's of a pod.
    #[must_use]
    pub fn whose(&self, path: &[u8]) -> Option<Whose> {
        let of = read(path)?;
        let Part::Container(_, id) = of.part else { return None };
        Some(match self.pods.get(&of.pod) {
            Some(pod) => Whose::Container(pod.container(id).map_or_else(|| pod.pending(), |name| pod.key(name))),
            None => Whose::Unknown(of.pod),
        })
    }

    /// Every pod with the key of what is pending for it.
    pub fn pending(&self) -> impl Iterator<Item = (&PodUid, ContainerKey)> {
        self.pods.iter().map(|(uid, pod)| (uid, pod.pending()))
    }

    /// The keys of all containers of all pods, and of what is pending for them.
    pub fn keys(&self) -> impl Iterator<Item = ContainerKey> {
        self.pods.values().flat_map(|pod| pod.containers.keys().map(|name| pod.key(name)).chain([pod.pending()]))
    }

    /// How many pods are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }
}

impl Pod {
    fn pending(&self) -> ContainerKey {
        ContainerKey::pending(&self.namespace, &self.profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0b6e2d0c-5a1f-4c0e-9d3a-1f2e3d4c5b6a";

    fn pod() -> Pod {
        Pod {
            uid: UID.parse().unwrap(),
            namespace: "shop".into(),
            profile: "deployment-web".into(),
            containers: [("web".to_owned(), Some("containerd://abc".to_owned())), ("log".to_owned(), None)].into(),
        }
    }

    fn index() -> PodIndex {
        let mut index = PodIndex::default();
        index.apply(Change::Apply(pod()));
        index
    }

    fn whose(index: &PodIndex, container: &str) -> Option<Whose> {
        index.whose(format!("/kubepods/pod{UID}/{container}").as_bytes())
    }

    #[test]
    fn a_container_is_named_by_its_id_and_pending_until_it_is_known() {
        let mut index = index();
        assert_eq!(whose(&index, "abc"), Some(Whose::Container(pod().key("web"))));
        assert_eq!(whose(&index, "def"), Some(Whose::Container(ContainerKey::pending("shop", "deployment-web"))));
        let mut named = pod();
        named.containers.insert("log".to_owned(), Some("def".to_owned()));
        index.apply(Change::Apply(named));
        assert_eq!(whose(&index, "def"), Some(Whose::Container(pod().key("log"))));
    }

    #[test]
    fn a_pod_that_nobody_told_of_is_unknown() {
        let mut index = index();
        index.apply(Change::Delete(UID.parse().unwrap()));
        assert!(index.is_empty());
        assert_eq!(whose(&index, "abc"), Some(Whose::Unknown(UID.parse().unwrap())));
    }

    #[test]
    fn the_pods_own_cgroup_is_no_containers() {
        assert_eq!(index().whose(format!("/kubepods/pod{UID}").as_bytes()), None);
        assert_eq!(index().whose(format!("/kubepods/pod{UID}/abc/nested").as_bytes()), None);
    }

    #[test]
    fn all_keys_are_those_of_its_containers_and_what_is_pending() {
        let keys: Vec<String> = index().keys().map(|key| key.to_string()).collect();
        assert_eq!(keys, ["shop/deployment-web/log", "shop/deployment-web/web", "shop/deployment-web/(pending)"]);
    }
}
