//! Making the kernel's state what profiles, pods and containers demand: tables before profiles before selectors and pods before bindings, and
//! what is removed in the reverse order.

use anyhow::Context as _;
use portcullis_abi::{Container, FIRST, Mode, ProfileName, ProfileWord, SELECTORS, UNKNOWN, UNKNOWN_POD};
use portcullis_api::ContainerRules;
use portcullis_profile::{compile, entries, pending};
use std::collections::{BTreeMap, BTreeSet};

use super::{Agent, Applied};
use crate::{
    inventory::{self, Found},
    key::ContainerKey,
    pods::Whose,
    report,
    store::name_of,
};

impl Agent {
    /// Makes the kernel's state what the profiles, the pods and the containers that run demand.
    ///
    /// # Errors
    /// Where the kernel's state cannot be read or written.
    pub fn reconcile(&mut self) -> anyhow::Result<()> {
        self.unknown.clear();
        self.find_containers()?;
        let wanted = self.wanted()?;
        let changed = self.apply_profiles(&wanted);
        self.apply_selectors()?;
        self.apply_pods()?;
        // Once more: what was made before the selectors were switched was named by the old ones.
        self.find_containers()?;
        self.bind_containers()?;
        self.remove_unused(&wanted)?;
        self.record_syscalls();
        if changed {
            tracing::info!(profiles = self.applied.len(), "profiles in force");
        }
        Ok(())
    }

    /// Notes every container that runs, and arms those that the kernel does not know.
    pub(super) fn find_containers(&mut self) -> anyhow::Result<()> {
        let root = self.ends.cgroup_root.clone();
        let found =
            inventory::containers(&root, &self.ends.names).with_context(|| format!("cannot list the cgroups below {}", root.display()))?;
        // After the list: what is made meanwhile is armed by the kernel before it can be listed, and must not be taken for older than that.
        let bound: BTreeMap<u64, Container> =
            self.maps.containers()?.into_iter().map(|(_, container)| (container.cgroup, container)).collect();
        self.containers.clear();
        self.strangers.retain(|cgroup| bound.contains_key(cgroup));
        for found in found {
            let bound = bound.get(&found.cgroup);
            if let Whose::Container(key) = &found.whose {
                self.containers.insert(found.cgroup, key.clone());
                self.learner.name(found.cgroup, key);
                if let Some(container) = bound.filter(|container| container.profile >= FIRST) {
                    self.indices.entry(key.clone()).or_insert(container.profile);
                }
            } else if bound.is_none_or(|container| container.profile < FIRST) {
                self.tell_of_stranger(found.cgroup, &found.path);
            }
            if bound.is_none() && self.maps.armed(found.cgroup).is_none() {
                self.arm(&found)?;
            }
        }
        Ok(())
    }

    /// Arms a container that was there before the programs were.
    fn arm(&mut self, found: &Found) -> anyhow::Result<()> {
        let index = match &found.whose {
            Whose::Container(key) => self.indices.get(key).copied().unwrap_or(UNKNOWN),
            Whose::Unknown(_) => UNKNOWN_POD,
        };
        match self.maps.arm(Container::new(found.cgroup, index), report::boot_time())? {
            Some(slot) => {
                for cgroup in inventory::below(&self.ends.cgroup_root, &found.path) {
                    self.maps.arm_below(cgroup, slot)?;
                }
            }
            None => tracing::error!(cgroup = found.path, "no slot is free: the container runs unjudged"),
        }
        Ok(())
    }

    /// Logs, once, that nobody has told of the pod of that container.
    pub(super) fn tell_of_stranger(&mut self, cgroup: u64, path: &str) {
        if self.strangers.insert(cgroup) {
            tracing::warn!(path, cgroup, "a container of a pod that nobody has told of: it is watched and nothing is denied");
        }
    }

    /// What should be applied: the rules of every profile, none for a container of a profile that does not list it, what is pending for pods,
    /// and a new profile for a container that has none.
    fn wanted(&mut self) -> anyhow::Result<BTreeMap<ContainerKey, Applied>> {
        let mut wanted = BTreeMap::new();
        for profile in self.ends.store.profiles() {
            let (namespace, name) = name_of(profile);
            for rules in &profile.spec.containers {
                let key = ContainerKey { namespace: namespace.clone(), profile: name.clone(), container: rules.name.clone() };
                wanted.insert(key, Applied { mode: profile.spec.mode.into(), rules: rules.clone() });
            }
        }
        let known: BTreeSet<ContainerKey> = self.containers.values().cloned().chain(self.ends.names.keys()).collect();
        for key in known {
            if wanted.contains_key(&key) {
                continue;
            }
            let name = (key.namespace.clone(), key.profile.clone());
            if self.ends.store.get(&name).is_none()
                && let Err(error) = self.ends.store.update(&name, |_| false)
            {
                tracing::error!(%error, container = %key, "the profile of a new workload cannot be written");
            }
            let profile = self.ends.store.get(&name);
            let mode = profile.map_or(Mode::Learn, |profile| profile.spec.mode.into());
            let rules = if key.is_pending() {
                pending(profile.iter().flat_map(|profile| &profile.spec.containers))?
            } else {
                ContainerRules { name: key.container.clone(), ..ContainerRules::default() }
            };
            wanted.insert(key, Applied { mode, rules });
        }
        Ok(wanted)
    }

    /// Applies the profiles that differ from what is in force; whether any was applied.
    fn apply_profiles(&mut self, wanted: &BTreeMap<ContainerKey, Applied>) -> bool {
        let mut changed = false;
        self.refused.keep(wanted);
        for (key, wanted) in wanted {
            if self.applied.get(key) == Some(wanted) || self.refused.stands(key, wanted, self.tables.largest_free_kib()) {
                continue;
            }
            match self.apply(key, wanted) {
                Ok(()) => changed = true,
                // One profile that does not fit, or cannot be compiled, affects no other and stays as it was.
                Err(error) => {
                    tracing::error!(container = %key, error = format!("{error:#}"), "a profile was not applied; what was in force stays");
                    self.refused.note(key, wanted, &error);
                }
            }
        }
        changed
    }

    fn apply(&mut self, key: &ContainerKey, wanted: &Applied) -> anyhow::Result<()> {
        let compiled = compile(&wanted.rules)?;
        let index = self.index(key)?;
        let flags = if compiled.guards { ProfileWord::GUARDS } else { 0 };
        let unjudged = self.ends.missing.needed_by(&wanted.rules);
        for rule in unjudged.rules() {
            tracing::warn!(container = %key, rule, "this kernel has no hook that judges it: the rule changes nothing");
        }
        let rules = u32::try_from(entries(&wanted.rules)).unwrap_or(u32::MAX);
        let word = self.tables.apply(&mut self.maps, index, wanted.mode, flags, &compiled.table)?;
        self.maps.set_name(index, ProfileName { rules, unjudged: unjudged.bits(), text: &key.to_string() })?;
        self.present.insert(index);
        self.indices.insert(key.clone(), index);
        self.applied.insert(key.clone(), wanted.clone());
        tracing::info!(container = %key, mode = ?wanted.mode, generation = word.generation(), chunks = word.count(), "profile applied");
        Ok(())
    }

    /// The profile's index, or one that neither a profile nor a container uses.
    fn index(&self, key: &ContainerKey) -> anyhow::Result<u32> {
        if let Some(index) = self.indices.get(key) {
            return Ok(*index);
        }
        let mut used: BTreeSet<u32> = self.indices.values().copied().collect();
        used.extend(self.maps.containers()?.into_iter().map(|(_, container)| container.profile));
        for index in FIRST..self.maps.profiles() {
            if !used.contains(&index) && !self.present.contains(&index) {
                return Ok(index);
            }
        }
        anyhow::bail!("all {} profiles of the node are in use", self.maps.profiles())
    }

    fn apply_selectors(&mut self) -> anyhow::Result<()> {
        if self.selected.as_ref() != Some(&self.indices) {
            let table = self.ends.names.table(&self.indices)?;
            self.tables.apply(&mut self.maps, SELECTORS, Mode::Enforce, 0, &table)?;
            self.selected = Some(self.indices.clone());
        }
        Ok(())
    }

    /// Tells the kernel which pods there are.
    fn apply_pods(&mut self) -> anyhow::Result<()> {
        let wanted = self.ends.names.tails(&self.indices);
        if wanted == self.armed_pods {
            return Ok(());
        }
        for (tail, index) in &wanted {
            if self.armed_pods.get(tail) != Some(index) {
                self.maps.set_pod(tail, *index)?;
            }
        }
        for tail in self.armed_pods.keys().filter(|tail| !wanted.contains_key(*tail)) {
            self.maps.remove_pod(tail)?;
        }
        self.armed_pods = wanted;
        tracing::info!(pods = self.ends.names.pods(), "pods armed");
        Ok(())
    }

    fn bind_containers(&mut self) -> anyhow::Result<()> {
        for (slot, container) in self.maps.containers()? {
            let Some(key) = self.containers.get(&container.cgroup) else { continue };
            let Some(index) = self.indices.get(key) else { continue };
            if container.profile != *index {
                self.maps.bind(slot, Container::new(container.cgroup, *index))?;
                tracing::info!(container = %key, cgroup = container.cgroup, profile = index, "container bound");
            }
        }
        Ok(())
    }

    /// Frees the profiles that neither a file nor a container has any more.
    fn remove_unused(&mut self, wanted: &BTreeMap<ContainerKey, Applied>) -> anyhow::Result<()> {
        let unused: Vec<ContainerKey> = self.indices.keys().filter(|key| !wanted.contains_key(key)).cloned().collect();
        if !unused.is_empty() {
            for key in &unused {
                self.indices.remove(key);
                self.applied.remove(key);
            }
            self.apply_selectors()?;
        }
        let mut used: BTreeSet<u32> = self.indices.values().copied().collect();
        used.extend(self.maps.containers()?.into_iter().map(|(_, container)| container.profile));
        for index in self.present.difference(&used).copied().collect::<Vec<u32>>() {
            self.tables.clear(&mut self.maps, index)?;
            self.maps.remove_name(index)?;
            self.present.remove(&index);
        }
        Ok(())
    }
}
