//! [`Table`]: slots that were compiled or checked, ready to be walked, compared, and copied to the kernel.

use std::fmt;

use crate::state::{self, CHUNK_SLOTS, INFO_MARK, INFO_OFFSET, Slots, State};

/// A compiled automaton: slots, laid out as [`crate::step`] walks them.
///
/// Every table holds what the kernel relies on: each state that is named exists, and all 257 slots that a state may look at lie
/// inside the table. A table stored at the front of a run of chunks is therefore never left, whatever lies behind it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Table {
    slots: Vec<u64>,
    states: usize,
}

impl Table {
    /// What the compiler packed.
    pub(crate) fn new(slots: Vec<u64>, states: usize) -> Self {
        debug_assert_eq!(count_states(&slots), Ok(states), "the compiler packs what the check accepts");
        Self { slots, states }
    }

    /// A table of slots from outside.
    ///
    /// # Errors
    /// Where the slots are none that a walk could not leave.
    pub fn from_slots(slots: Vec<u64>) -> Result<Self, StructureError> {
        let states = count_states(&slots)?;
        Ok(Self { slots, states })
    }

    /// The slots, at least 257, without padding to whole chunks.
    pub fn slots(&self) -> &[u64] {
        &self.slots
    }

    /// The number of states, the dead one not counted.
    pub const fn states(&self) -> usize {
        self.states
    }

    /// The number of chunks that hold the slots.
    pub const fn chunks(&self) -> usize {
        self.slots.len().div_ceil(CHUNK_SLOTS)
    }

    /// The value that a path or key accepts with: the merged values of all rules that match it, or 0 where none does.
    pub fn accept_of(&self, path: &[u8]) -> u32 {
        let mut state = State::START;
        for &byte in path {
            state = state::step(self, state, byte);
            if state == State::DEAD {
                return 0;
            }
        }
        state::accept(self, state)
    }
}

/// How large the table is, and not its slots, of which there may be millions.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("states", &self.states).field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

impl Slots for Table {
    #[inline(always)]
    fn slot(&self, index: u32) -> u64 {
        self.slots.as_slice().slot(index)
    }
}

/// Why slots are no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StructureError {
    /// More slots than states can address.
    #[error("{slots} slots are more than a table can have")]
    TooLong {
        /// How many there are.
        slots: usize,
    },
    /// There is no information slot where the start has its own.
    #[error("the start has no information slot")]
    NoStart,
    /// A slot's `check` names a state to whose row it cannot belong.
    #[error("slot {index} belongs to no state that could have it")]
    Stray {
        /// The slot's index.
        index: usize,
    },
    /// A slot leads to a state that does not exist.
    #[error("slot {index} leads to the state {target:#x}, which does not exist")]
    Dangling {
        /// The slot's index.
        index: usize,
        /// The state's number.
        target: u32,
    },
}

/// What a slot that is not empty says.
enum Entry {
    /// It is a transition of this state.
    Transition(State),
    /// It is the information slot of the state.
    Info(State),
}

/// Checks the slots and counts the states.
fn count_states(slots: &[u64]) -> Result<usize, StructureError> {
    // A state's number is twice its index and under 2^31.
    if slots.len() > 1 << 30 {
        return Err(StructureError::TooLong { slots: slots.len() });
    }
    if state::check(slots.slot(INFO_OFFSET)) & INFO_MARK == 0 {
        return Err(StructureError::NoStart);
    }
    let mut states = Vec::new();
    for (index, &slot) in slots.iter().enumerate().filter(|(_, slot)| **slot != 0) {
        let (Entry::Transition(state) | Entry::Info(state)) = entry(index, slot).ok_or(StructureError::Stray { index })?;
        states.push(state.raw());
    }
    states.sort_unstable();
    states.dedup();

    let exists = |state: State| states.binary_search(&state.raw()).is_ok() && fits(slots, state);
    for (index, &slot) in slots.iter().enumerate().filter(|(_, slot)| **slot != 0) {
        if let Some(Entry::Transition(state)) = entry(index, slot)
            && !exists(state)
        {
            return Err(StructureError::Stray { index });
        }
        let target = State::from_raw(state::next(slot));
        if target != State::DEAD && !exists(target) {
            return Err(StructureError::Dangling { index, target: target.raw() });
        }
    }
    Ok(states.len())
}

/// Reads a slot, if it can stand at this index.
fn entry(index: usize, slot: u64) -> Option<Entry> {
    let index = u32::try_from(index).ok()?;
    let check = state::check(slot);
    if check & INFO_MARK != 0 {
        let base = index.checked_sub(INFO_OFFSET)?;
        return Some(Entry::Info(State::from_raw(base << 1 | 1)));
    }
    let state = State::from_raw(check);
    let offset = index.checked_sub(state.base())?;
    (state != State::DEAD && offset < INFO_OFFSET).then_some(Entry::Transition(state))
}

/// Whether all slots that the state may look at lie inside the table, and its information slot is one if it has any.
fn fits(slots: &[u64], state: State) -> bool {
    let index = state::info_index(state);
    let inside = (index as usize) < slots.len();
    inside && (!state.has_info() || state::check(slots.slot(index)) & INFO_MARK != 0)
}
