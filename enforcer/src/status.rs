//! `status` and `detach`: what is pinned, shown and removed, whether or not an agent runs.

use anyhow::Context as _;
use portcullis_abi::Mode;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, path::Path};

use crate::{
    agent::FIRST,
    kernel::{
        load,
        maps::Maps,
        pins::{self, Pins},
        tables::CHUNK_KIB,
    },
};

/// What is pinned.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The programs that are attached; none where nothing is enforced.
    pub programs: Vec<String>,
    /// Whether they are those of this very release.
    pub current: bool,
    /// How many containers the kernel knows.
    pub containers: usize,
    /// How many profiles of workloads are in each mode.
    pub profiles: BTreeMap<&'static str, usize>,
    /// Kernel memory of all tables that are in use, in KiB.
    pub table_memory_kib: u64,
    /// Kernel memory for tables, in KiB.
    pub table_capacity_kib: u64,
    /// Events that were lost, by the cgroup of the container; those of which none was are not listed.
    pub events_lost: BTreeMap<u64, u64>,
    /// What was lost or could not be decided, by kind.
    pub counters: BTreeMap<&'static str, u64>,
}

/// Reads what is pinned below `bpffs`; `None` where nothing is.
///
/// # Errors
/// Where the maps cannot be read.
pub fn read(bpffs: &Path) -> anyhow::Result<Option<Status>> {
    let Some((hash, programs)) = pins::attached(bpffs) else { return Ok(None) };
    let maps = Maps::open(&pins::maps_below(bpffs)).context("cannot read the pinned maps")?;
    let mut profiles = BTreeMap::new();
    let mut chunks = 0;
    for index in 0..maps.profiles() {
        let word = maps.profile(index)?;
        chunks += u64::from(word.count());
        if index < FIRST {
            continue;
        }
        let mode = match word.mode() {
            Mode::Absent => continue,
            Mode::Learn => "learn",
            Mode::Audit => "audit",
            Mode::Enforce => "enforce",
        };
        *profiles.entry(mode).or_insert(0) += 1;
    }
    let containers = maps.containers()?;
    let mut events_lost = BTreeMap::new();
    for (slot, container) in &containers {
        let lost = maps.lost(*slot)?;
        if lost > 0 {
            events_lost.insert(container.cgroup, lost);
        }
    }
    Ok(Some(Status {
        programs,
        current: hash == load::object_hash(),
        containers: containers.len(),
        profiles,
        events_lost,
        table_memory_kib: chunks * CHUNK_KIB,
        table_capacity_kib: u64::from(maps.chunks()) * CHUNK_KIB,
        counters: maps.counters()?.into_iter().map(|(counter, value)| (counter.name(), value)).collect(),
    }))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let release = if self.current { "of this release" } else { "of another release" };
        writeln!(f, "programs    {} attached, {release}: {}", self.programs.len(), self.programs.join(", "))?;
        writeln!(f, "containers  {}", self.containers)?;
        let profiles: Vec<String> = self.profiles.iter().map(|(mode, count)| format!("{count} {mode}")).collect();
        writeln!(f, "profiles    {}", profiles.join(", "))?;
        for (cgroup, lost) in &self.events_lost {
            writeln!(f, "lost        {lost} events of the container with cgroup {cgroup}")?;
        }
        writeln!(f, "tables      {} KiB of {} KiB", self.table_memory_kib, self.table_capacity_kib)?;
        let counters: Vec<String> = self.counters.iter().map(|(name, value)| format!("{name} {value}")).collect();
        write!(f, "counters    {}", counters.join(", "))
    }
}

/// Detaches every program and removes every map; whether there was anything.
///
/// # Errors
/// Where an agent runs, or something cannot be removed.
pub fn detach(bpffs: &Path) -> anyhow::Result<bool> {
    if pins::attached(bpffs).is_none() && !pins::maps_below(bpffs).exists() {
        return Ok(false);
    }
    Pins::open(bpffs)?.remove_all()?;
    Ok(true)
}
