//! Packing: rows of transitions laid over each other, like combs, in one array of slots. [`crate::state`] has the layout.
//!
//! A row goes to the first base at which none of its slots is taken. Rows with many transitions go first, while there is
//! room to be choosy; rows with one, which are most, fill the holes. 64 bases are tried at once: of a bitmap of the
//! taken slots, the words that begin at each of the row's offsets are joined, and a bit that stays clear is a base that fits.
//!
//! A search does not begin at the front every time. Rows with about as many transitions share a cursor, which stays at most
//! [`PATIENCE`] words behind the last place that fitted: so a row costs a bounded number of tries plus its share of
//! the way, and a million states are packed in seconds.

use std::cmp::Reverse;

use crate::state::{INFO_MARK, INFO_OFFSET, State};

use super::dfa::{Dfa, Row};
use super::ids::{Id, Indexed, StateId};
use super::{CompileError, Resource};

/// How many words of 64 bases a search goes back behind the last one that fitted.
const PATIENCE: usize = 256;

/// The slots of the automaton, or an error where they are more than the limit.
pub(super) fn pack(dfa: &Dfa, limit: usize) -> Result<Vec<u64>, CompileError> {
    let states = place(dfa, limit)?;
    let last = dfa.rows().skip(1).map(|(id, _)| states[id].base()).max().unwrap_or(0);
    // Not only the slots in use: all 257 of every state, so that no step looks past the end.
    let len = last as usize + INFO_OFFSET as usize + 1;
    CompileError::unless_within(Resource::Slots, len, limit)?;
    let mut slots = Indexed::<Slot, u64>::filled(len, 0);
    for (id, row) in dfa.rows().skip(1) {
        let state = states[id];
        for &(byte, target) in row.edges {
            slots[Slot::of(state, u32::from(byte))] = slot(state.raw(), states[target]);
        }
        if state.has_info() {
            slots[Slot::of(state, INFO_OFFSET)] = slot(INFO_MARK | row.accept, states[row.default]);
        }
    }
    Ok(slots.iter().map(|(_, &slot)| slot).collect())
}

fn slot(check: u32, next: State) -> u64 {
    u64::from(next.raw()) << 32 | u64::from(check)
}

/// The index of a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot(usize);

impl Slot {
    fn of(state: State, offset: u32) -> Self {
        Self(state.base() as usize + offset as usize)
    }
}

impl Id for Slot {
    fn new(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}

/// A base for each state. The start's is 0.
fn place(dfa: &Dfa, limit: usize) -> Result<Indexed<StateId, State>, CompileError> {
    let mut states = Indexed::filled(dfa.len(), State::DEAD);
    let mut room = Room::default();
    let mut offsets = Vec::new();
    let mut order: Vec<StateId> = dfa.rows().skip(1).map(|(id, _)| id).collect();
    order.sort_by_key(|&id| (id != StateId::START, Reverse(dfa.row(id).edges.len()), id));
    for id in order {
        let row = dfa.row(id);
        let is_start = id == StateId::START;
        let has_info = is_start || row.has_info();
        write_offsets(&row, has_info, &mut offsets);
        let base = if is_start { 0 } else { room.find(&offsets) };
        CompileError::unless_within(Resource::Slots, base + INFO_OFFSET as usize + 1, limit)?;
        room.take(base, &offsets);
        states[id] = u32::try_from(base).map_or(State::DEAD, |base| State::from_raw(base << 1 | u32::from(has_info)));
    }
    Ok(states)
}

/// The slots that a state takes, as seen from its base.
fn write_offsets(row: &Row<'_>, has_info: bool, offsets: &mut Vec<usize>) {
    offsets.clear();
    offsets.extend(row.edges.iter().map(|&(byte, _)| usize::from(byte)));
    if has_info {
        offsets.push(INFO_OFFSET as usize);
    }
}

/// What is taken, and where to go on.
#[derive(Default)]
struct Room {
    slots: Bits,
    bases: Bits,
    /// For rows of at least 2^i and under 2^(i+1) slots, the word of bases to begin at.
    cursors: [usize; 9],
}

impl Room {
    /// The first base, from the row's cursor on, that no other state has and at which all offsets are free.
    fn find(&mut self, offsets: &[usize]) -> usize {
        let size_class = offsets.len().max(1).ilog2() as usize;
        let mut fallback = 0;
        let cursor = self.cursors.get_mut(size_class).unwrap_or(&mut fallback);
        let mut word = *cursor;
        loop {
            let mut taken = self.bases.window(word * 64);
            for offset in offsets {
                if taken == u64::MAX {
                    break;
                }
                taken |= self.slots.window(word * 64 + offset);
            }
            if taken != u64::MAX {
                *cursor = (*cursor).max(word.saturating_sub(PATIENCE));
                return word * 64 + taken.trailing_ones() as usize;
            }
            word += 1;
        }
    }

    fn take(&mut self, base: usize, offsets: &[usize]) {
        self.bases.set(base);
        for offset in offsets {
            self.slots.set(base + offset);
        }
    }
}

/// A bitmap that grows. What lies past its end is clear.
#[derive(Default)]
struct Bits {
    words: Vec<u64>,
}

impl Bits {
    fn set(&mut self, bit: usize) {
        let word = bit / 64;
        if word >= self.words.len() {
            self.words.resize((word + 1).max(self.words.len() * 2), 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= 1 << (bit % 64);
        }
    }

    /// 64 bits, the first of them at this place.
    fn window(&self, bit: usize) -> u64 {
        let (word, shift) = (bit / 64, bit % 64);
        let low = self.words.get(word).copied().unwrap_or(0) >> shift;
        // In two steps, since a shift by 64 is none.
        let high = self.words.get(word + 1).copied().unwrap_or(0) << 1 << (63 - shift);
        low | high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_window_of_bits_at_any_place() {
        let mut bits = Bits::default();
        for bit in [0, 63, 64, 130] {
            bits.set(bit);
        }
        assert_eq!(bits.window(0), 1 << 63 | 1);
        assert_eq!(bits.window(63), 0b11);
        assert_eq!(bits.window(67), 1 << 63);
        assert_eq!(bits.window(131), 0);
        assert_eq!(bits.window(1 << 20), 0);
    }

    #[test]
    fn fills_holes_between_the_teeth_of_wider_rows() {
        let mut room = Room::default();
        room.take(0, &[0, 2, 256]);
        let base = room.find(&[0, 2]);
        assert_eq!(base, 1, "slots 1 and 3 are free");
        room.take(base, &[0, 2]);
        assert_eq!(room.find(&[2]), 2, "bases 0 and 1 have states already");
    }

    #[test]
    fn stops_at_the_limit_of_slots() {
        let mut dfa = Dfa::new();
        for next in 2..2000 {
            dfa.push(0, StateId::DEAD, &mut vec![(b'a', StateId::new(next))]);
        }
        dfa.push(1, StateId::DEAD, &mut Vec::new());
        let slots = pack(&dfa, 4096).unwrap();
        let error = pack(&dfa, slots.len() - 1).unwrap_err();
        assert_eq!(error, CompileError::TooLarge { what: Resource::Slots, needed_at_least: slots.len(), limit: slots.len() - 1 });
    }
}
