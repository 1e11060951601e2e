//! What was observed and is not yet in a profile.

use portcullis_api::{ContainerRules, WorkloadProfile};
use portcullis_profile::{Full, Limits, Observation, Thresholds, generalise, merge, normalise};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use crate::key::ContainerKey;

/// How many rules are held for one container whose name is not known.
const HELD_MAX: usize = 4_000;

/// Observations, by container.
#[derive(Debug, Default)]
pub struct Learner {
    pending: BTreeMap<ContainerKey, BTreeSet<portcullis_api::Rule>>,
    /// Those of containers whose names are not known yet, by cgroup.
    held: BTreeMap<u64, BTreeSet<portcullis_api::Rule>>,
}

impl Learner {
    /// Takes an observation; whether it is new since the last [`Learner::take`].
    pub fn observe(&mut self, key: &ContainerKey, observation: &Observation) -> bool {
        self.pending.entry(key.clone()).or_default().insert(generalise(observation))
    }

    /// Takes an observation of a container whose name is not known: it is learned once it is. Whether there was room for it.
    pub fn hold(&mut self, cgroup: u64, observation: &Observation) -> bool {
        let held = self.held.entry(cgroup).or_default();
        held.len() < HELD_MAX && held.insert(generalise(observation))
    }

    /// Says whose a cgroup is. Nothing is learned of a container while its name is pending.
    pub fn name(&mut self, cgroup: u64, key: &ContainerKey) {
        if !key.is_pending()
            && let Some(held) = self.held.remove(&cgroup)
        {
            self.pending.entry(key.clone()).or_default().extend(held);
        }
    }

    /// Drops what is held of a container that has gone.
    pub fn forget(&mut self, cgroup: u64) {
        self.held.remove(&cgroup);
    }

    /// Whether anything waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Everything that waits.
    pub fn take(&mut self) -> BTreeMap<ContainerKey, BTreeSet<portcullis_api::Rule>> {
        mem::take(&mut self.pending)
    }
}

/// Merges rules into the entry of a container, which is made where there is none. Whether the profile changed, and the rules that found no
/// room.
pub fn learn<'a>(
    profile: &mut WorkloadProfile,
    container: &str,
    rules: impl IntoIterator<Item = &'a portcullis_api::Rule>,
) -> (bool, Vec<Full>) {
    let containers = &mut profile.spec.containers;
    let mut changed = false;
    let position = containers.iter().position(|rules| rules.name == container).unwrap_or_else(|| {
        changed = true;
        containers.push(ContainerRules { name: container.to_owned(), ..ContainerRules::default() });
        containers.len() - 1
    });
    let Some(entry) = containers.get_mut(position) else { return (changed, Vec::new()) };
    let mut full = Vec::new();
    for rule in rules {
        match merge(entry, rule, Limits::default()) {
            Ok(merged) => changed |= merged,
            Err(error) => full.push(error),
        }
    }
    changed |= normalise(entry, &Thresholds::default());
    (changed, full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_profile::ObservedPath;

    #[test]
    fn what_a_container_did_before_it_had_a_name_is_learned_once_it_has() {
        let mut learner = Learner::default();
        learner.hold(7, &Observation::Exec(ObservedPath::new(b"/bin/a").unwrap()));
        learner.name(7, &ContainerKey::pending("shop", "web"));
        assert!(learner.is_empty());
        let key = ContainerKey::parse("shop/web/main").unwrap();
        learner.name(7, &key);
        assert_eq!(learner.take()[&key].len(), 1);
        learner.hold(8, &Observation::Exec(ObservedPath::new(b"/bin/a").unwrap()));
        learner.forget(8);
        learner.name(8, &key);
        assert!(learner.is_empty());
    }
}
