//! What the agent knows and does: it keeps the kernel's tables as the profiles say, names the containers that the kernel tells of, and learns.
//!
//! ```text
//!  Store (files) ─┐
//!  Names (pods) ──┼─ reconcile ─► tables, then profiles, then selectors and pods, then bindings      (removed in the reverse order)
//!  containers ────┘
//!  event ─► attribute ─► report, and while learning: Learner ─ flush ─► Store ─► reconcile
//! ```
//!
//! State in the kernel is read back and never assumed: an agent that takes over finds which profile each container has, and goes on from there.

mod doubts;
mod events;
mod reconcile;
mod refused;

pub(crate) use doubts::HOLD;

use anyhow::Context as _;
use portcullis_abi::{FIRST, Mode, UNKNOWN, UNKNOWN_POD, pod::Tail};
use portcullis_api::ContainerRules;
use portcullis_matcher::Builder;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use doubts::Doubts;
use refused::Refused;

use crate::{
    kernel::{features::Missing, load::Recorder, maps::Maps, tables::Tables},
    key::ContainerKey,
    learner::{self, Learner},
    names::Names,
    report::Sink,
    store::Store,
};

/// What is applied under an index.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    mode: Mode,
    rules: ContainerRules,
}

/// Where the agent gets what it knows, and where it tells it.
pub struct Ends {
    /// Where cgroup v2 is mounted.
    pub cgroup_root: PathBuf,
    /// Which cgroups are whose.
    pub names: Names,
    /// The profiles.
    pub store: Store,
    /// Where events go.
    pub sink: Sink,
    /// What the kernel lacks.
    pub missing: Missing,
}

/// The agent.
pub struct Agent {
    maps: Maps,
    tables: Tables,
    recorder: Recorder,
    ends: Ends,
    learner: Learner,
    /// Containers that run, by cgroup.
    containers: BTreeMap<u64, ContainerKey>,
    /// Which profile each container has.
    indices: BTreeMap<ContainerKey, u32>,
    /// What this agent has applied.
    applied: BTreeMap<ContainerKey, Applied>,
    /// What it could not apply.
    refused: Refused,
    /// The indices of profiles that are not absent in the kernel.
    present: BTreeSet<u32>,
    /// Cgroups of which events came and that are no container that runs: looked for once.
    unknown: BTreeSet<u64>,
    /// Containers of pods that nobody has told of, by cgroup: each is logged once.
    strangers: BTreeSet<u64>,
    /// What the table that names containers holds.
    selected: Option<BTreeMap<ContainerKey, u32>>,
    /// What the kernel's map of pods holds.
    armed_pods: BTreeMap<Tail, u32>,
    /// Events that may be taken back.
    doubts: Doubts,
    /// Events that could not be decoded.
    undecodable: u64,
}

impl Agent {
    /// An agent over maps that are pinned, which may be in use already.
    ///
    /// # Errors
    /// Where the maps cannot be read or written.
    pub fn new(maps: Maps, recorder: Recorder, ends: Ends) -> anyhow::Result<Self> {
        let tables = Tables::read(&maps)?;
        let armed_pods = maps.pods()?;
        let mut agent = Self {
            maps,
            tables,
            recorder,
            ends,
            learner: Learner::default(),
            containers: BTreeMap::new(),
            indices: BTreeMap::new(),
            applied: BTreeMap::new(),
            refused: Refused::default(),
            present: BTreeSet::new(),
            unknown: BTreeSet::new(),
            strangers: BTreeSet::new(),
            selected: None,
            armed_pods,
            doubts: Doubts::default(),
            undecodable: 0,
        };
        for index in FIRST..agent.maps.profiles() {
            if agent.maps.profile(index)?.mode() == Mode::Absent {
                continue;
            }
            agent.present.insert(index);
            if let Some(key) = agent.maps.name(index)?.and_then(|name| ContainerKey::parse(&name.text)) {
                agent.indices.insert(key, index);
            }
        }
        for index in [UNKNOWN, UNKNOWN_POD] {
            if agent.maps.profile(index)?.mode() == Mode::Absent {
                let nothing = Builder::new(|left, right| left | right).build()?;
                agent.tables.apply(&mut agent.maps, index, Mode::Learn, 0, &nothing)?;
            }
        }
        Ok(agent)
    }

    /// Has system calls recorded while a profile is learned, or a container runs that has none yet: of that, what it called before this agent
    /// heard of it is found when it starts again.
    fn record_syscalls(&mut self) {
        let is_learned = |key: &ContainerKey| self.applied.get(key).is_none_or(|applied| applied.mode == Mode::Learn);
        let wanted = self.applied.values().any(|applied| applied.mode == Mode::Learn) || self.containers.values().any(is_learned);
        if let Err(error) = self.recorder.record(wanted) {
            tracing::error!(%error, "system calls are not recorded");
        }
    }

    /// The maps and tables, for the canary.
    pub fn kernel(&mut self) -> (&mut Maps, &mut Tables) {
        (&mut self.maps, &mut self.tables)
    }

    /// Reads the profiles and pods that have changed and makes the kernel's state so. What is wrong with a file is logged; what it held stays.
    ///
    /// # Errors
    /// Where the kernel's state cannot be read or written.
    pub fn reload(&mut self) -> anyhow::Result<()> {
        let (_, errors) = self.ends.store.reload();
        for error in errors {
            tracing::error!(%error, "a profile file was not taken; what it held stays in force");
        }
        for error in self.ends.names.reload() {
            tracing::error!(%error, "a pod was not taken; what its file held stays");
        }
        self.reconcile()
    }

    /// Hands over the events that were written.
    ///
    /// # Errors
    /// Where the sink cannot be written.
    pub fn flush_events(&mut self) -> anyhow::Result<()> {
        self.ends.sink.flush().context("cannot write events")
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
            let updated = self.ends.store.update(&(key.namespace.clone(), key.profile.clone()), |profile| {
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
