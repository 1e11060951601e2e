//! The maps, typed. What each is for stands beside its definition in the kernel programs (`enforcer-ebpf/src/maps.rs`).

mod copy;
mod names;

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, Queue, RingBuf};
use portcullis_abi::{CONTAINERS_MAX, Container, ContainerLife, Counter, Losses, ProfileWord, Share, name::NAME_SIZE, pod::Tail};
use portcullis_matcher::CHUNK_SLOTS;
use std::path::{Path, PathBuf};
use thiserror::Error;

pub use names::Name;

/// The name of every map, which is the name of its pin.
pub const NAMES: &[&str] = &[
    "TABLES",
    "PROFILES",
    "CONTAINERS",
    "LIVES",
    "FREE",
    "ARMED",
    "OUTSIDE",
    "EPOCH",
    "SEEN",
    "DOUBTS",
    "COUNTERS",
    "LOST",
    "SHARES",
    "SYSCALLS",
    "PODS",
    "NAMES",
    "SCRATCH",
    "EVENTS",
    "TASKS",
    "KEPT",
];

/// Why a map could not be used.
#[derive(Debug, Error)]
#[error("cannot {action} map {name}: {source}")]
pub struct MapsError {
    /// What was attempted.
    pub action: &'static str,
    /// Which map.
    pub name: &'static str,
    /// What the kernel answered.
    pub source: MapError,
}

type Bytes<const N: usize> = [u8; N];

/// The maps that the agent reads and writes.
pub struct Maps {
    tables: Array<MapData, [u64; CHUNK_SLOTS]>,
    profiles: Array<MapData, u64>,
    containers: Array<MapData, Bytes<{ Container::SIZE }>>,
    lives: Array<MapData, Bytes<{ ContainerLife::SIZE }>>,
    free: Queue<MapData, u32>,
    armed: HashMap<MapData, u64, u32>,
    epoch: Array<MapData, u64>,
    counters: PerCpuArray<MapData, u64>,
    lost: Array<MapData, Bytes<{ Losses::SIZE }>>,
    shares: Array<MapData, [u64; size_of::<Share>() / 8]>,
    pods: HashMap<MapData, Tail, u32>,
    names: HashMap<MapData, u32, Bytes<NAME_SIZE>>,
}

impl Maps {
    /// Opens the pinned maps.
    ///
    /// # Errors
    /// [`MapsError`] with the map that is missing or of another kind.
    pub fn open(dir: &Path) -> Result<Self, MapsError> {
        Ok(Self {
            tables: open(dir, "TABLES")?,
            profiles: open(dir, "PROFILES")?,
            containers: open(dir, "CONTAINERS")?,
            lives: open(dir, "LIVES")?,
            free: open(dir, "FREE")?,
            armed: open(dir, "ARMED")?,
            epoch: open(dir, "EPOCH")?,
            counters: open(dir, "COUNTERS")?,
            lost: open(dir, "LOST")?,
            shares: open(dir, "SHARES")?,
            pods: open(dir, "PODS")?,
            names: open(dir, "NAMES")?,
        })
    }

    /// How many chunks there are for all tables together.
    #[must_use]
    pub fn chunks(&self) -> u32 {
        self.tables.len()
    }

    /// Writes one chunk of a table.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn write_chunk(&mut self, chunk: u32, slots: &[u64; CHUNK_SLOTS]) -> Result<(), MapsError> {
        self.tables.set(chunk, slots, 0).map_err(failed("write", "TABLES"))
    }

    /// How a profile is applied.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn profile(&self, index: u32) -> Result<ProfileWord, MapsError> {
        self.profiles.get(&index, 0).map(ProfileWord::from_raw).map_err(failed("read", "PROFILES"))
    }

    /// Switches a profile, in one store.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn set_profile(&mut self, index: u32, word: ProfileWord) -> Result<(), MapsError> {
        self.profiles.set(index, word.raw(), 0).map_err(failed("write", "PROFILES"))
    }

    /// How many profiles there can be.
    #[must_use]
    pub fn profiles(&self) -> u32 {
        self.profiles.len()
    }

    /// Every container, with its slot.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn containers(&self) -> Result<Vec<(u32, Container)>, MapsError> {
        // Through the cgroups that are armed, of which there are few beside the slots.
        let mut found = Vec::new();
        for entry in self.armed.iter() {
            let (cgroup, slot) = entry.map_err(failed("read", "ARMED"))?;
            let container = self.container(slot)?;
            if container.cgroup == cgroup {
                found.push((slot, container));
            }
        }
        Ok(found)
    }

    /// Binds the container in that slot to a profile. A container that has gone meanwhile leaves a slot that no task can reach.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn bind(&mut self, slot: u32, container: Container) -> Result<(), MapsError> {
        self.containers.set(slot, container.to_bytes(), 0).map_err(failed("write", "CONTAINERS"))
    }

    /// The slot of a container's cgroup, or of one below it.
    #[must_use]
    pub fn armed(&self, cgroup: u64) -> Option<u32> {
        self.armed.get(&cgroup, 0).ok()
    }

    /// Makes a container of a cgroup that exists already: tasks that began before `adopt_before` are its workload.
    /// `None` where every slot is taken.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn arm(&mut self, container: Container, adopt_before: u64) -> Result<Option<u32>, MapsError> {
        let life = ContainerLife { adopt_before, entries: u64::from(adopt_before != 0) };
        self.take_slot(container, life, Losses::default())
    }

    /// Makes a container of a cgroup, with a life and losses that it had before. `None` where every slot is taken.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn take_slot(&mut self, container: Container, life: ContainerLife, lost: Losses) -> Result<Option<u32>, MapsError> {
        let slot = match self.free.pop(0) {
            Ok(slot) => slot,
            Err(MapError::ElementNotFound) => return Ok(None),
            Err(source) => return Err(failed("take a slot from", "FREE")(source)),
        };
        self.lives.set(slot, life.to_bytes(), 0).map_err(failed("write", "LIVES"))?;
        self.lost.set(slot, lost.to_bytes(), 0).map_err(failed("write", "LOST"))?;
        self.shares.set(slot, [0; 3], 0).map_err(failed("write", "SHARES"))?;
        self.containers.set(slot, container.to_bytes(), 0).map_err(failed("write", "CONTAINERS"))?;
        self.arm_below(container.cgroup, slot)?;
        Ok(Some(slot))
    }

    /// Counts a cgroup that exists already to the container in that slot, and makes the programs forget that it was outside.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn arm_below(&mut self, cgroup: u64, slot: u32) -> Result<(), MapsError> {
        self.armed.insert(cgroup, slot, 0).map_err(failed("write", "ARMED"))?;
        let epoch = self.epoch.get(&0, 0).map_err(failed("read", "EPOCH"))?;
        self.epoch.set(0, epoch.wrapping_add(1), 0).map_err(failed("write", "EPOCH"))
    }

    /// Each counter, over all processors: what one of them took back of another's makes it less than 0, so the sum wraps.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn counters(&self) -> Result<Vec<(Counter, u64)>, MapsError> {
        Counter::ALL
            .into_iter()
            .map(|counter| {
                let values = self.counters.get(&(counter as u32), 0).map_err(failed("read", "COUNTERS"))?;
                Ok((counter, values.iter().fold(0, |sum, value| u64::wrapping_add(sum, *value))))
            })
            .collect()
    }

    /// Events that were lost of the container in that slot.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn lost(&self, slot: u32) -> Result<Losses, MapsError> {
        self.lost.get(&slot, 0).map(|bytes| Losses::from_bytes(&bytes)).map_err(failed("read", "LOST"))
    }
}

fn absent_is_fine(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        removed => removed,
    }
}

/// Opens the stream of events.
///
/// # Errors
/// [`MapsError`].
pub fn events(dir: &Path) -> Result<RingBuf<MapData>, MapsError> {
    open(dir, "EVENTS")
}

/// Fills maps that were just made: every slot is free.
///
/// # Errors
/// [`MapsError`].
pub fn initialise(dir: &Path) -> Result<(), MapsError> {
    let mut free: Queue<MapData, u32> = open(dir, "FREE")?;
    (0..CONTAINERS_MAX).try_for_each(|slot| free.push(slot, 0)).map_err(failed("fill", "FREE"))
}

fn open<T: TryFrom<Map, Error = MapError>>(dir: &Path, name: &'static str) -> Result<T, MapsError> {
    let path: PathBuf = dir.join(name);
    MapData::from_pin(&path).and_then(Map::from_map_data).and_then(T::try_from).map_err(failed("open", name))
}

fn failed(action: &'static str, name: &'static str) -> impl Fn(MapError) -> MapsError {
    move |source| MapsError { action, name, source }
}
