//! What the agent knows and does: it keeps the kernel's tables as the profiles say, names the containers that the kernel tells of, and learns.
//!
//! ```text
//!  Store (files) ─┐
//!                 ├─ reconcile ─► tables, then profiles, then selectors, then bindings        (removed in the reverse order)
//!  containers ────┘
//!  event ─► attribute ─► report, and while learning: Learner ─ flush ─► Store ─► reconcile
//! ```
//!
//! State in the kernel is read back and never assumed: an agent that takes over finds which profile each container has, and goes on from there.

use anyhow::Context as _;
use portcullis_abi::{
    Action, Container, Mode, Operation, ProfileWord, SELECTORS,
    event::{self, RawEvent},
};
use portcullis_api::ContainerRules;
use portcullis_matcher::Builder;
use portcullis_profile::{Observation, compile};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    inventory,
    kernel::{maps::Maps, tables::Tables},
    key::{ContainerKey, Selector},
    learner::{self, Learner},
    report::{self, Clock, Sink},
    store::{Store, name_of},
};

/// The index of the profile of containers that nobody knows yet: everything is allowed and told.
pub const UNKNOWN: u32 = 1;
/// The index of the canary's profile.
pub const CANARY: u32 = 2;
/// The first index of a workload's profile.
pub const FIRST: u32 = 3;

/// What is applied under an index.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    mode: Mode,
    rules: ContainerRules,
}

/// The agent.
pub struct Agent {
    maps: Maps,
    tables: Tables,
    cgroup_root: PathBuf,
    selector: Selector,
    store: Store,
    sink: Sink,
    learner: Learner,
    /// Containers that run, by cgroup.
    containers: BTreeMap<u64, ContainerKey>,
    /// Which profile each container has.
    indices: BTreeMap<ContainerKey, u32>,
    /// What this agent has applied.
    applied: BTreeMap<ContainerKey, Applied>,
    /// The indices of profiles that are not absent in the kernel.
    present: BTreeSet<u32>,
    /// Cgroups of which events came and that are no container that runs: looked for once.
    unknown: BTreeSet<u64>,
    /// What the table that names containers holds.
    selected: Option<BTreeMap<ContainerKey, u32>>,
    /// Events that could not be decoded.
    undecodable: u64,
}

impl Agent {
    /// An agent over maps that are pinned, which may be in use already.
    ///
    /// # Errors
    /// Where the maps cannot be read or written.
    pub fn new(maps: Maps, cgroup_root: PathBuf, selector: Selector, store: Store, sink: Sink) -> anyhow::Result<Self> {
        let tables = Tables::read(&maps)?;
        let mut agent = Self {
            maps,
            tables,
            cgroup_root,
            selector,
            store,
            sink,
            learner: Learner::default(),
            containers: BTreeMap::new(),
            indices: BTreeMap::new(),
            applied: BTreeMap::new(),
            present: BTreeSet::new(),
            unknown: BTreeSet::new(),
            selected: None,
            undecodable: 0,
        };
        for index in FIRST..agent.maps.profiles() {
            if agent.maps.profile(index)?.mode() != Mode::Absent {
                agent.present.insert(index);
            }
        }
        if agent.maps.profile(UNKNOWN)?.mode() == Mode::Absent {
            let nothing = Builder::new(|left, right| left | right).build()?;
            agent.tables.apply(&mut agent.maps, UNKNOWN, Mode::Learn, 0, &nothing)?;
        }
        Ok(agent)
    }

    /// The maps and tables, for the canary.
    pub fn kernel(&mut self) -> (&mut Maps, &mut Tables) {
        (&mut self.maps, &mut self.tables)
    }

    /// Reads the profiles that have changed and makes the kernel's state so. What is wrong with a file is logged; what it held stays.
    ///
    /// # Errors
    /// Where the kernel's state cannot be read or written.
    pub fn reload(&mut self) -> anyhow::Result<()> {
        let (_, errors) = self.store.reload();
        for error in errors {
            tracing::error!(%error, "a profile file was not taken; what it held stays in force");
        }
        self.reconcile()
    }

    /// Makes the kernel's state what the profiles and the containers that run demand.
    ///
    /// # Errors
    /// Where the kernel's state cannot be read or written.
    pub fn reconcile(&mut self) -> anyhow::Result<()> {
        self.unknown.clear();
        self.find_containers()?;
        let wanted = self.wanted();
        let changed = self.apply_profiles(&wanted);
        self.apply_selectors()?;
        // Once more: what was made before the selectors were switched was named by the old ones.
        self.find_containers()?;
        self.bind_containers()?;
        self.remove_unused(&wanted)?;
        if changed {
            tracing::info!(profiles = self.applied.len(), "profiles in force");
        }
        Ok(())
    }

    /// Notes every container that runs, and arms those that the kernel does not know.
    fn find_containers(&mut self) -> anyhow::Result<()> {
        let found = inventory::containers(&self.cgroup_root, &self.selector)
            .with_context(|| format!("cannot list the cgroups below {}", self.cgroup_root.display()))?;
        // After the list: what is made meanwhile is armed by the kernel before it can be listed, and must not be taken for older than that.
        let bound: BTreeMap<u64, Container> =
            self.maps.containers()?.into_iter().map(|(_, container)| (container.cgroup, container)).collect();
        self.containers = found.iter().map(|found| (found.cgroup, found.key.clone())).collect();
        for found in found {
            if let Some(container) = bound.get(&found.cgroup) {
                if container.profile >= FIRST {
                    self.indices.entry(found.key).or_insert(container.profile);
                }
                continue;
            }
            if self.maps.armed(found.cgroup).is_some() {
                continue;
            }
            let index = self.indices.get(&found.key).copied().unwrap_or(UNKNOWN);
            match self.maps.arm(Container::new(found.cgroup, index), report::boot_time())? {
                Some(slot) => {
                    for cgroup in inventory::below(&self.cgroup_root, &found.path) {
                        self.maps.arm_below(cgroup, slot)?;
                    }
                }
                None => tracing::error!(container = %found.key, "no slot is free: the container runs unjudged"),
            }
        }
        Ok(())
    }

    /// What should be applied: the rules of every profile, none for a container of a profile that does not list it, and a new profile for a
    /// container that has none.
    fn wanted(&mut self) -> BTreeMap<ContainerKey, Applied> {
        let mut wanted = BTreeMap::new();
        for profile in self.store.profiles() {
            let (namespace, name) = name_of(profile);
            for rules in &profile.spec.containers {
                let key = ContainerKey { namespace: namespace.clone(), profile: name.clone(), container: rules.name.clone() };
                wanted.insert(key, Applied { mode: profile.spec.mode.into(), rules: rules.clone() });
            }
        }
        let running: BTreeSet<ContainerKey> = self.containers.values().cloned().collect();
        for key in running {
            if wanted.contains_key(&key) {
                continue;
            }
            let name = (key.namespace.clone(), key.profile.clone());
            if self.store.get(&name).is_none()
                && let Err(error) = self.store.update(&name, |_| false)
            {
                tracing::error!(%error, container = %key, "the profile of a new workload cannot be written");
            }
            let mode = self.store.get(&name).map_or(Mode::Learn, |profile| profile.spec.mode.into());
            let rules = ContainerRules { name: key.container.clone(), ..ContainerRules::default() };
            wanted.insert(key, Applied { mode, rules });
        }
        wanted
    }

    /// Applies the profiles that differ from what is in force; whether any was applied.
    fn apply_profiles(&mut self, wanted: &BTreeMap<ContainerKey, Applied>) -> bool {
        let mut changed = false;
        for (key, wanted) in wanted {
            if self.applied.get(key) == Some(wanted) {
                continue;
            }
            match self.apply(key, wanted) {
                Ok(()) => changed = true,
                // One profile that does not fit, or cannot be compiled, affects no other and stays as it was.
                Err(error) => {
                    tracing::error!(container = %key, error = format!("{error:#}"), "a profile was not applied; what was in force stays")
                }
            }
        }
        changed
    }

    fn apply(&mut self, key: &ContainerKey, wanted: &Applied) -> anyhow::Result<()> {
        let compiled = compile(&wanted.rules)?;
        let index = self.index(key)?;
        let flags = if compiled.guards { ProfileWord::GUARDS } else { 0 };
        let word = self.tables.apply(&mut self.maps, index, wanted.mode, flags, &compiled.table)?;
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
            let table = self.selector.table(&self.indices, UNKNOWN)?;
            self.tables.apply(&mut self.maps, SELECTORS, Mode::Enforce, 0, &table)?;
            self.selected = Some(self.indices.clone());
        }
        Ok(())
    }

    fn bind_containers(&mut self) -> anyhow::Result<()> {
        for (slot, container) in self.maps.containers()? {
            let Some(index) = self.containers.get(&container.cgroup).and_then(|key| self.indices.get(key)) else { continue };
            if container.profile != *index {
                self.maps.bind(slot, Container::new(container.cgroup, *index))?;
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
            self.present.remove(&index);
        }
        Ok(())
    }

    /// Takes one event. Whether the containers have changed, so that [`Agent::reconcile`] is due.
    ///
    /// # Errors
    /// Where the sink cannot be written.
    pub fn event(&mut self, bytes: &[u8], clock: Clock) -> anyhow::Result<bool> {
        let raw = match event::decode(bytes) {
            Ok(raw) => raw,
            Err(error) => {
                self.undecodable += 1;
                tracing::warn!(?error, total = self.undecodable, "an event cannot be decoded");
                return Ok(false);
            }
        };
        if raw.header.profile == CANARY {
            return Ok(false);
        }
        let cgroup = raw.header.cgroup;
        let Some(action) = raw.action else {
            return Ok(match raw.operation {
                Operation::ContainerMade => self.made(cgroup, raw.object, raw.header.profile),
                Operation::ContainerGone => {
                    self.containers.remove(&cgroup);
                    false
                }
                _ => {
                    tracing::info!(container = self.containers.get(&cgroup).map(tracing::field::display), cgroup, "container started");
                    false
                }
            });
        };
        if is_told_by_its_exec(&raw, action) {
            return Ok(false);
        }
        if !self.containers.contains_key(&cgroup) && self.unknown.insert(cgroup) {
            self.find_containers()?;
        }
        let key = self.containers.get(&cgroup);
        if action == Action::Observed
            && let Some(key) = key
            && let Ok(observation) = Observation::from_event(&raw)
        {
            self.learner.observe(key, &observation);
        }
        if let Some(event) = report::event(&raw, action, key, clock) {
            self.sink.write(&event).context("cannot write an event")?;
        }
        Ok(false)
    }

    /// Notes a new container; whether it has another profile than it should: none yet, or one that was replaced while it was made.
    fn made(&mut self, cgroup: u64, path: &[u8], profile: u32) -> bool {
        let Some(key) = self.selector.key(path) else { return false };
        let stale = self.indices.get(&key) != Some(&profile);
        tracing::info!(container = %key, cgroup, profile, stale, "container made");
        self.containers.insert(cgroup, key);
        stale
    }

    /// Hands over the events that were written.
    ///
    /// # Errors
    /// Where the sink cannot be written.
    pub fn flush_events(&mut self) -> anyhow::Result<()> {
        self.sink.flush().context("cannot write events")
    }

    /// Whether observations wait to be learned.
    #[must_use]
    pub fn has_observations(&self) -> bool {
        !self.learner.is_empty()
    }

    /// Writes what was observed into the profiles that are being learned, and applies them. What was observed of a profile that has left
    /// `learn` meanwhile is dropped: its rules belong to people now.
    ///
    /// # Errors
    /// Where the kernel's state cannot be read or written.
    pub fn learn(&mut self) -> anyhow::Result<()> {
        for (key, rules) in self.learner.take() {
            let mut full = Vec::new();
            let updated = self.store.update(&(key.namespace.clone(), key.profile.clone()), |profile| {
                if profile.spec.mode != portcullis_api::Mode::Learn {
                    return false;
                }
                let (changed, left_out) = learner::learn(profile, &key.container, &rules);
                full = left_out;
                changed
            });
            match updated {
                Ok(_) => {}
                Err(error) => tracing::error!(%error, container = %key, "what was observed cannot be written into the profile"),
            }
            for error in full {
                tracing::error!(%error, "the profile is partial");
            }
        }
        self.reconcile()
    }
}

/// Whether this is the kernel mapping the program that it executes. A rule for the exec grants the mapping, and the exec was told.
fn is_told_by_its_exec(raw: &RawEvent<'_>, action: Action) -> bool {
    action != Action::Blocked && raw.operation == Operation::Map && !raw.executable.is_empty() && raw.object == raw.executable
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_abi::{EventHeader, Resolution};

    #[test]
    fn the_mapping_of_a_program_that_is_executed_is_not_told_again() {
        let raw = |operation, object| RawEvent {
            header: EventHeader::default(),
            operation,
            action: Some(Action::WouldBlock),
            resolution: Resolution::Named,
            executable: b"/bin/id",
            arguments: b"",
            object,
        };
        assert!(is_told_by_its_exec(&raw(Operation::Map, b"/bin/id"), Action::WouldBlock));
        assert!(!is_told_by_its_exec(&raw(Operation::Map, b"/lib/x.so"), Action::WouldBlock));
        assert!(!is_told_by_its_exec(&raw(Operation::Exec, b"/bin/id"), Action::WouldBlock));
        assert!(!is_told_by_its_exec(&raw(Operation::Map, b"/bin/id"), Action::Blocked), "denials are always told");
    }
}
