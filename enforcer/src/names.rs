//! Which cgroups are containers, and whose: by a glob that has the names in it, by the UIDs of pods, or both.

use portcullis_abi::{UNKNOWN, pod::Tail};
use portcullis_matcher::{Builder, Table};
use std::collections::BTreeMap;

use crate::{
    cgroup,
    key::{ContainerKey, Selector},
    pods::{PodIndex, PodSource, PodsError, Whose},
};

/// The two ways of naming containers; at least one is there.
pub struct Names {
    glob: Option<Selector>,
    pods: Option<(PodIndex, Box<dyn PodSource>)>,
}

impl Names {
    /// By that glob, and by the pods of that source.
    #[must_use]
    pub fn new(glob: Option<Selector>, pods: Option<Box<dyn PodSource>>) -> Self {
        Self { glob, pods: pods.map(|source| (PodIndex::default(), source)) }
    }

    /// Takes in which pods came and went; what is wrong with what was not taken.
    pub fn reload(&mut self) -> Vec<PodsError> {
        let Some((index, source)) = &mut self.pods else { return Vec::new() };
        let (changes, errors) = source.changes();
        for change in changes {
            index.apply(change);
        }
        errors
    }

    /// Whose the cgroup at that path is; `None` where it is no container's.
    #[must_use]
    pub fn whose(&self, path: &[u8]) -> Option<Whose> {
        let by_glob = self.glob.as_ref().and_then(|glob| glob.key(path)).map(Whose::Container);
        by_glob.or_else(|| self.pods.as_ref().and_then(|(pods, _)| pods.whose(path)))
    }

    /// The keys of all containers of pods that are known, whether or not they run.
    pub fn keys(&self) -> impl Iterator<Item = ContainerKey> {
        self.pods.iter().flat_map(|(pods, _)| pods.keys())
    }

    /// How many pods are known.
    #[must_use]
    pub fn pods(&self) -> usize {
        self.pods.as_ref().map_or(0, |(pods, _)| pods.len())
    }

    /// What the kernel's map of pods should hold.
    #[must_use]
    pub fn tails(&self, indices: &BTreeMap<ContainerKey, u32>) -> BTreeMap<Tail, u32> {
        let pending = self.pods.iter().flat_map(|(pods, _)| pods.pending());
        let known = pending.filter_map(|(uid, key)| indices.get(&key).map(|index| (uid, *index)));
        known.flat_map(|(uid, index)| uid.tails().into_iter().map(move |tail| (tail, index))).collect()
    }

    /// The table that names containers by the paths of their cgroups.
    ///
    /// # Errors
    /// Where there are more containers than a table holds.
    pub fn table(&self, indices: &BTreeMap<ContainerKey, u32>) -> anyhow::Result<Table> {
        let mut builder = Builder::new(u32::max);
        if let Some(glob) = &self.glob {
            glob.add_to(&mut builder, indices, UNKNOWN)?;
        }
        if self.pods.is_some() {
            for (pattern, value) in cgroup::patterns()? {
                builder.add(&pattern, value)?;
            }
        }
        Ok(builder.build()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::Change;
    use portcullis_abi::{FIRST, UNKNOWN_POD};

    struct One(Option<Change>);
    impl PodSource for One {
        fn changes(&mut self) -> (Vec<Change>, Vec<PodsError>) {
            (self.0.take().into_iter().collect(), Vec::new())
        }
    }

    const UID: &str = "6fa0f1e2d3c4b5a697887766554433ff";

    fn names() -> Names {
        let pod = crate::pods::Pod {
            uid: UID.parse().unwrap(),
            namespace: "shop".into(),
            profile: "web".into(),
            containers: [("main".to_owned(), None)].into(),
        };
        let mut names = Names::new(Some("/p/*/*/*".parse().unwrap()), Some(Box::new(One(Some(Change::Apply(pod))))));
        names.reload();
        names
    }

    #[test]
    fn the_table_tells_pods_from_what_the_glob_names() {
        let table = names().table(&BTreeMap::new()).unwrap();
        assert_eq!(table.accept_of(b"/p/shop/web/main"), UNKNOWN);
        assert_eq!(table.accept_of(format!("/kubepods/pod{UID}/abc").as_bytes()), UNKNOWN_POD);
        assert_eq!(table.accept_of(b"/system.slice/x"), 0);
    }

    #[test]
    fn a_pod_is_armed_with_what_is_pending_once_that_is_applied() {
        let names = names();
        assert!(names.tails(&BTreeMap::new()).is_empty(), "tables before pods");
        let tails = names.tails(&[(ContainerKey::pending("shop", "web"), FIRST)].into());
        assert_eq!(tails.len(), 4);
        assert!(tails.values().all(|index| *index == FIRST));
    }

    #[test]
    fn both_ways_name_containers() {
        let names = names();
        assert_eq!(names.whose(b"/p/a/b/c"), Some(Whose::Container(ContainerKey::parse("a/b/c").unwrap())));
        let pending = names.whose(format!("/kubepods/pod{UID}/abc").as_bytes());
        assert_eq!(pending, Some(Whose::Container(ContainerKey::pending("shop", "web"))));
    }
}
