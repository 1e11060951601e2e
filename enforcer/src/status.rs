//! `status` and `detach`: what is pinned, shown and removed, whether or not an agent runs.

mod show;

use anyhow::Context as _;
use portcullis_abi::{Counter, FIRST, Mode, UNKNOWN_POD};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

use crate::{
    inventory,
    kernel::{
        features::Missing,
        live, load,
        maps::Maps,
        pins::{self, Pins},
        preflight::Host,
        tables::CHUNK_KIB,
    },
};

/// What is pinned.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether the programs are those of this very release.
    pub current: bool,
    /// Every hook that this release knows.
    pub hooks: Vec<Hook>,
    /// The hooks that the kernel lacks, each with the rule that this turns off, in every profile.
    pub unjudged: BTreeMap<&'static str, String>,
    /// The profiles of workloads.
    pub profiles: Vec<Profile>,
    /// The containers that run.
    pub containers: Vec<Container>,
    /// Kernel memory of all tables that are in use, in bytes.
    pub table_bytes: u64,
    /// Kernel memory for tables, in bytes.
    pub table_capacity_bytes: u64,
    /// What was lost or could not be decided, by kind, since the maps were made.
    pub counters: BTreeMap<&'static str, u64>,
}

/// A hook.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// Whether a program judges there.
    pub state: HookState,
    /// What is wrong, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What is at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HookState {
    /// A program of ours is attached, by a link that is pinned.
    Live,
    /// The kernel has no such hook.
    Absent,
    /// The kernel has it and no program of ours is attached to it: nothing judges there.
    Dead,
}

/// A profile in force.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// `NAMESPACE/PROFILE/CONTAINER`.
    pub name: String,
    /// How it is applied.
    pub mode: &'static str,
    /// How many containers have it.
    pub containers: usize,
    /// How many rules it has.
    pub rules: u32,
    /// Kernel memory of its table, in bytes.
    pub bytes: u64,
    /// Rules of its that change nothing, since the kernel lacks what judges them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unjudged: Vec<String>,
}

/// A container that runs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The path of its cgroup; empty where it has just gone.
    pub path: String,
    /// Its cgroup's identity.
    pub cgroup: u64,
    /// The profile that judges it; none where it is watched only.
    pub profile: Option<String>,
    /// Whether it is a pod's that nobody has told of.
    pub stranger: bool,
    /// Events of it that were lost, by kind; those of which none was are not listed.
    pub lost: BTreeMap<&'static str, u64>,
}

/// Reads what is pinned; `None` where nothing is.
///
/// # Errors
/// Where the maps cannot be read.
pub fn read(host: &Host) -> anyhow::Result<Option<Status>> {
    let Some((hash, _)) = pins::attached(&host.bpffs) else {
        let layouts = pins::layouts_in_force(&host.bpffs);
        anyhow::ensure!(layouts.is_empty(), "what is attached is of another release (layout {}): ask its own `status`", layouts.join(", "));
        return Ok(None);
    };
    let maps = Maps::open(&pins::maps_below(&host.bpffs)).context("cannot read the pinned maps")?;
    let types = btf_rs::Btf::from_file(&host.btf).context("cannot read the kernel's type information")?;
    let containers = containers(&maps, &host.cgroup_root)?;
    let profiles = profiles(&maps)?;
    let mut chunks = 0;
    for index in 0..maps.profiles() {
        chunks += u64::from(maps.profile(index)?.count());
    }
    Ok(Some(Status {
        current: hash == load::object_hash(),
        hooks: hooks(&types, &pins::links_below(&host.bpffs, &hash)),
        unjudged: Missing::of(&types).hooks().collect(),
        profiles,
        containers,
        table_bytes: chunks * CHUNK_KIB * 1024,
        table_capacity_bytes: u64::from(maps.chunks()) * CHUNK_KIB * 1024,
        counters: maps.counters()?.into_iter().map(|(counter, value)| (counter.name(), value)).collect(),
    }))
}

fn hooks(types: &btf_rs::Btf, links: &Path) -> Vec<Hook> {
    let hooks = load::PROGRAMS.iter().map(|&(name, hook)| {
        let (state, problem) = match live::attached(&links.join(name), name) {
            Ok(()) => (HookState::Live, None),
            Err(_) if hook.is_optional() && !load::is_there(types, name) => (HookState::Absent, None),
            Err(problem) => (HookState::Dead, Some(format!("{problem:#}"))),
        };
        Hook { name: name.to_owned(), state, problem }
    });
    hooks.collect()
}

fn profiles(maps: &Maps) -> anyhow::Result<Vec<Profile>> {
    let mut containers: BTreeMap<u32, usize> = BTreeMap::new();
    for (_, container) in maps.containers()? {
        *containers.entry(container.profile).or_default() += 1;
    }
    let mut profiles = Vec::new();
    for index in FIRST..maps.profiles() {
        let word = maps.profile(index)?;
        let mode = match word.mode() {
            Mode::Absent => continue,
            Mode::Learn => "learn",
            Mode::Audit => "audit",
            Mode::Enforce => "enforce",
        };
        let name = maps.name(index)?;
        profiles.push(Profile {
            rules: name.as_ref().map_or(0, |name| name.rules),
            unjudged: Missing::from_bits(name.as_ref().map_or(0, |name| name.unjudged)).rules().collect(),
            name: name.map_or_else(|| format!("(profile {index})"), |name| name.text),
            mode,
            containers: containers.get(&index).copied().unwrap_or_default(),
            bytes: u64::from(word.count()) * CHUNK_KIB * 1024,
        });
    }
    profiles.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(profiles)
}

fn containers(maps: &Maps, cgroup_root: &Path) -> anyhow::Result<Vec<Container>> {
    let paths = inventory::paths(cgroup_root).with_context(|| format!("cannot list the cgroups below {}", cgroup_root.display()))?;
    let mut containers = Vec::new();
    for (slot, container) in maps.containers()? {
        let profile = if container.profile < FIRST { None } else { maps.name(container.profile)?.map(|name| name.text) };
        let lost = Counter::LOST.into_iter().zip(maps.lost(slot)?.of).filter(|(_, count)| *count > 0);
        containers.push(Container {
            path: paths.get(&container.cgroup).cloned().unwrap_or_default(),
            cgroup: container.cgroup,
            profile,
            stranger: container.profile == UNKNOWN_POD,
            lost: lost.map(|(kind, count)| (kind.name(), count)).collect(),
        });
    }
    containers.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(containers)
}

/// Detaches every program and removes every map; whether there was anything.
///
/// # Errors
/// Where an agent runs, or something cannot be removed.
pub fn detach(bpffs: &Path) -> anyhow::Result<bool> {
    if !pins::is_anything(bpffs) {
        return Ok(false);
    }
    Pins::open(bpffs)?.remove_all()?;
    Ok(true)
}
