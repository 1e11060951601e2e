//! What is copied from the maps of another layout, and what is undone of it.

use portcullis_abi::{Container, ContainerLife, Counter, ProfileWord};

use super::{Maps, MapsError, absent_is_fine, failed};

impl Maps {
    /// Gives back the slot of a container whose cgroup is gone.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn give_slot(&mut self, slot: u32, cgroup: u64) -> Result<(), MapsError> {
        self.disarm(cgroup)?;
        self.containers.set(slot, Container::new(0, 0).to_bytes(), 0).map_err(failed("write", "CONTAINERS"))?;
        self.free.push(slot, 0).map_err(failed("give a slot back to", "FREE"))
    }

    /// Forgets a cgroup that is gone.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn disarm(&mut self, cgroup: u64) -> Result<(), MapsError> {
        absent_is_fine(self.armed.remove(&cgroup)).map_err(failed("write", "ARMED"))
    }

    /// Every cgroup that is a container or lies below one, with the container's slot.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn cgroups(&self) -> Result<Vec<(u64, u32)>, MapsError> {
        self.armed.iter().collect::<Result<_, _>>().map_err(failed("read", "ARMED"))
    }

    /// The container in that slot.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn container(&self, slot: u32) -> Result<Container, MapsError> {
        self.containers.get(&slot, 0).map(Container::from_bytes).map_err(failed("read", "CONTAINERS"))
    }

    /// How far the life of the container in that slot has come.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn life(&self, slot: u32) -> Result<ContainerLife, MapsError> {
        self.lives.get(&slot, 0).map(ContainerLife::from_bytes).map_err(failed("read", "LIVES"))
    }

    /// Copies profiles, with their tables, names and pods, and the counters, into maps that no program uses yet.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn copy_profiles(&mut self, from: &Self) -> Result<(), MapsError> {
        for index in 0..from.profiles() {
            let word = from.profile(index)?;
            for chunk in word.first()..word.first() + word.count() {
                let slots = from.tables.get(&chunk, 0).map_err(failed("read", "TABLES"))?;
                self.write_chunk(chunk, &slots)?;
            }
            if word != ProfileWord::default() {
                self.set_profile(index, word)?;
            }
        }
        for entry in from.names.iter() {
            let (index, name) = entry.map_err(failed("read", "NAMES"))?;
            self.names.insert(index, name, 0).map_err(failed("write", "NAMES"))?;
        }
        for (tail, index) in from.pods()? {
            self.set_pod(&tail, index)?;
        }
        for counter in Counter::ALL {
            let counts = from.counters.get(&(counter as u32), 0).map_err(failed("read", "COUNTERS"))?;
            self.counters.set(counter as u32, counts, 0).map_err(failed("write", "COUNTERS"))?;
        }
        Ok(())
    }
}
