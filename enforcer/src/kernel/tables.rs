//! Which chunks a table occupies, and how a profile is switched.
//!
//! A profile's new table is written into chunks that no profile uses; then the profile's word is replaced, in one store; then, once no
//! program that saw the old word can still run (an RCU grace period: no program sleeps), the old chunks are free. Whatever fails before the
//! store leaves the profile as it was.

use portcullis_abi::{Mode, ProfileWord};
use portcullis_matcher::{CHUNK_SLOTS, Table};
use rustix::thread::{MembarrierCommand, membarrier};
use std::{collections::BTreeMap, ops::Range, time::Duration};
use thiserror::Error;

use super::maps::{Maps, MapsError};

/// Why a profile could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The table has no room.
    #[error(
        "the profile needs {needed} KiB of kernel memory in one piece and {free} KiB of {total} KiB are left: give the enforcer more \
         (--table-memory), or the profile fewer rules"
    )]
    Full {
        /// KiB that the table takes.
        needed: u64,
        /// KiB in the largest free run.
        free: u64,
        /// KiB for all tables together.
        total: u64,
    },
    /// A map could not be written.
    #[error(transparent)]
    Maps(#[from] MapsError),
}

/// KiB in a chunk.
pub const CHUNK_KIB: u64 = (CHUNK_SLOTS * 8 / 1024) as u64;

/// Which chunks are in use, by whom.
#[derive(Debug, Default)]
pub struct Tables {
    used: BTreeMap<u32, u32>,
    total: u32,
    generation: u32,
}

impl Tables {
    /// What the profiles of the kernel use now.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn read(maps: &Maps) -> Result<Self, MapsError> {
        let mut tables = Self { used: BTreeMap::new(), total: maps.chunks(), generation: 0 };
        for index in 0..maps.profiles() {
            let word = maps.profile(index)?;
            if word.count() > 0 {
                tables.used.insert(word.first(), word.count());
            }
            tables.generation = tables.generation.max(word.generation());
        }
        Ok(tables)
    }

    /// Applies a profile: its table, then its word; then frees what it had.
    ///
    /// # Errors
    /// [`ApplyError`]; the profile stays as it was.
    pub fn apply(&mut self, maps: &mut Maps, index: u32, mode: Mode, flags: u8, table: &Table) -> Result<ProfileWord, ApplyError> {
        let slots = table.slots();
        let count = u32::try_from(slots.len().div_ceil(CHUNK_SLOTS)).unwrap_or(u32::MAX);
        let full = |free: u32| ApplyError::Full {
            needed: u64::from(count) * CHUNK_KIB,
            free: u64::from(free) * CHUNK_KIB,
            total: u64::from(self.total) * CHUNK_KIB,
        };
        let first = self.place(count).map_err(full)?;
        let generation = self.generation.wrapping_add(1);
        let word = ProfileWord::new(mode, flags, first, count, generation).ok_or_else(|| full(0))?;
        let mut chunk = [0; CHUNK_SLOTS];
        for (at, part) in (first..).zip(slots.chunks(CHUNK_SLOTS)) {
            for (to, from) in chunk.iter_mut().zip(part.iter().copied().chain(std::iter::repeat(0))) {
                *to = from;
            }
            maps.write_chunk(at, &chunk)?;
        }
        let old = maps.profile(index)?;
        maps.set_profile(index, word)?;
        self.generation = generation;
        self.used.insert(first, count);
        self.release(old);
        Ok(word)
    }

    /// Makes a profile absent and frees its table.
    ///
    /// # Errors
    /// [`MapsError`]; the profile stays as it was.
    pub fn clear(&mut self, maps: &mut Maps, index: u32) -> Result<(), MapsError> {
        let old = maps.profile(index)?;
        maps.set_profile(index, ProfileWord::default())?;
        self.release(old);
        Ok(())
    }

    /// KiB in the largest free run: what the next table may take.
    pub fn largest_free_kib(&self) -> u64 {
        u64::from(self.longest()) * CHUNK_KIB
    }

    fn release(&mut self, old: ProfileWord) {
        if old.count() > 0 {
            grace_period();
            self.used.remove(&old.first());
        }
    }

    /// The first run of free chunks that is long enough; the length of the longest where none is.
    fn place(&self, count: u32) -> Result<u32, u32> {
        self.gaps().find(|gap| gap.end - gap.start >= count).map_or_else(|| Err(self.longest()), |gap| Ok(gap.start))
    }

    /// The length of the longest run of free chunks.
    fn longest(&self) -> u32 {
        self.gaps().map(|gap| gap.end - gap.start).max().unwrap_or(0)
    }

    fn gaps(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        let starts = std::iter::once(0).chain(self.used.iter().map(|(first, count)| first + count));
        let ends = self.used.keys().copied().chain(std::iter::once(self.total));
        starts.zip(ends).filter(|(start, end)| start < end).map(|(start, end)| start..end)
    }
}

/// Returns when every program that was running has ended: `MEMBARRIER_CMD_GLOBAL` waits for an RCU grace period (`kernel/sched/membarrier.c`).
pub(super) fn grace_period() {
    if membarrier(MembarrierCommand::Global).is_err() {
        // Not offered with nohz_full. A program runs for microseconds and cannot sleep.
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(used: &[(u32, u32)], total: u32) -> Tables {
        Tables { used: used.iter().copied().collect(), total, generation: 0 }
    }

    #[test]
    fn places_a_table_in_the_first_gap_that_holds_it() {
        let tables = tables(&[(0, 2), (3, 1), (8, 2)], 12);
        assert_eq!(tables.place(1), Ok(2));
        assert_eq!(tables.place(2), Ok(4));
        assert_eq!(tables.place(4), Ok(4));
    }

    #[test]
    fn says_how_long_the_longest_gap_is_when_none_holds_it() {
        assert_eq!(tables(&[(0, 2), (4, 6)], 12).place(3), Err(2));
        assert_eq!(tables(&[(0, 12)], 12).place(1), Err(0));
    }

    #[test]
    fn an_empty_store_has_all_its_room() {
        assert_eq!(tables(&[], 12).place(12), Ok(0));
        assert_eq!(tables(&[], 12).place(13), Err(12));
    }
}
