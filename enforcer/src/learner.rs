//! What was observed and is not yet in a profile.

use portcullis_api::{ContainerRules, WorkloadProfile};
use portcullis_profile::{Full, Limits, Observation, Thresholds, generalise, merge, normalise};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use crate::key::ContainerKey;

/// Observations, by container.
#[derive(Debug, Default)]
pub struct Learner {
    pending: BTreeMap<ContainerKey, BTreeSet<portcullis_api::Rule>>,
}

impl Learner {
    /// Takes an observation; whether it is new since the last [`Learner::take`].
    pub fn observe(&mut self, key: &ContainerKey, observation: &Observation) -> bool {
        self.pending.entry(key.clone()).or_default().insert(generalise(observation))
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
