//! The walk: [`State`], [`Slots`], [`step`] and [`accept`], the part that the kernel programs share.
//!
//! # The table
//!
//! A table is an array of `u64` slots. The low half of a slot is its `check`, the high half its `next`; an empty slot is 0.
//!
//! ```text
//!   state s = base << 1 | has_info          low 32: check          high 32: next
//!
//!   slot[base + b]    b in 0..=255      s.raw()                the target on byte b
//!   slot[base + 256]  if has_info       0x8000_0000 | accept   the target on every other byte (0: dead)
//! ```
//!
//! Rows of different states lie over each other like the teeth of combs: whose slot it is, its `check` says. A state's number is
//! under 2³¹, so that an information slot, whose `check` has the top bit set, is never taken for a transition.
//!
//! A step costs one load where the byte has a transition of its own, two where it takes the default, and one where the state
//! has no information slot and the walk dies.
//!
//! # What the kernel needs
//!
//! Nothing here allocates, panics, divides or indexes; arithmetic wraps. The verifier sees shifts, masks, one comparison, and
//! whatever bound [`Slots::slot`] puts on the index that it is given.

/// Slots in a chunk, the unit in which the kernel stores tables: 16 KiB.
pub const CHUNK_SLOTS: usize = 2048;

/// The largest value that a state can accept with. The bit above marks an information slot.
pub const MAX_ACCEPT: u32 = 0x7fff_ffff;

/// Where a state's information slot lies, counted from its base: behind the 256 slots that its bytes could take.
pub const INFO_OFFSET: u32 = 256;

/// Marks the `check` of an information slot. No state's number has this bit.
#[cfg(feature = "compile")]
pub(crate) const INFO_MARK: u32 = 1 << 31;

/// A state of the automaton: `base << 1 | has_info`, where `base` is an index into the slots.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State(u32);

impl State {
    /// No pattern matches, whatever follows. Once here, a walk stays here; a caller should stop.
    pub const DEAD: Self = Self(0);

    /// Where a walk begins: base 0, always with an information slot.
    pub const START: Self = Self(1);

    /// The state with this number, as a slot or a map holds it. Any number is safe: one that no table holds leads to
    /// [`State::DEAD`].
    #[inline(always)]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The state's number.
    #[inline(always)]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The index of the slot that byte 0 would take.
    #[inline(always)]
    pub(crate) const fn base(self) -> u32 {
        self.0 >> 1
    }

    /// Whether an information slot belongs to the state: it accepts, or has a default transition, or is the start.
    #[inline(always)]
    pub(crate) const fn has_info(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Where slots come from: a slice on the host, chunks of an array map in the kernel.
pub trait Slots {
    /// The slot at `index`, or 0 (an empty slot) where there is none.
    fn slot(&self, index: u32) -> u64;
}

impl Slots for [u64] {
    #[inline(always)]
    fn slot(&self, index: u32) -> u64 {
        match self.get(index as usize) {
            Some(slot) => *slot,
            None => 0,
        }
    }
}

/// The state after `byte`.
#[inline(always)]
pub fn step(slots: &(impl Slots + ?Sized), state: State, byte: u8) -> State {
    let slot = slots.slot(state.base().wrapping_add(byte as u32));
    if check(slot) == state.raw() {
        State::from_raw(next(slot))
    } else if state.has_info() {
        State::from_raw(next(slots.slot(info_index(state))))
    } else {
        State::DEAD
    }
}

/// What the state accepts with, or 0 where no pattern ends here. At most [`MAX_ACCEPT`].
#[inline(always)]
pub fn accept(slots: &(impl Slots + ?Sized), state: State) -> u32 {
    if state.has_info() { check(slots.slot(info_index(state))) & MAX_ACCEPT } else { 0 }
}

/// Whose slot it is.
#[inline(always)]
pub(crate) const fn check(slot: u64) -> u32 {
    (slot & 0xffff_ffff) as u32
}

/// Where the slot leads.
#[inline(always)]
pub(crate) const fn next(slot: u64) -> u32 {
    (slot >> 32) as u32
}

/// The index of a state's information slot. A base is under 2³¹, so that this does not wrap.
#[inline(always)]
pub(crate) const fn info_index(state: State) -> u32 {
    state.base().wrapping_add(INFO_OFFSET)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn slot(check: u32, next: u32) -> u64 {
        (next as u64) << 32 | check as u64
    }

    /// START on `a` goes to a state at base 300 without information, on all else to one at base 400 that accepts with 7.
    fn table() -> Vec<u64> {
        let mut slots = vec![0; 700];
        slots[usize::from(b'a')] = slot(1, 300 << 1);
        slots[256] = slot(0x8000_0000, 400 << 1 | 1);
        slots[300 + usize::from(b'b')] = slot(300 << 1, 400 << 1 | 1);
        slots[656] = slot(0x8000_0007, 0);
        slots
    }

    #[test]
    fn takes_the_transition_whose_check_is_the_state() {
        let slots = table();
        let a = step(slots.as_slice(), State::START, b'a');
        assert_eq!(a, State::from_raw(600));
        assert_eq!(accept(slots.as_slice(), a), 0);
        assert_eq!(accept(slots.as_slice(), step(slots.as_slice(), a, b'b')), 7);
    }

    #[test]
    fn takes_the_default_only_where_the_state_has_information() {
        let slots = table();
        assert_eq!(step(slots.as_slice(), State::START, b'z'), State::from_raw(801));
        assert_eq!(step(slots.as_slice(), State::from_raw(600), b'z'), State::DEAD);
        assert_eq!(step(slots.as_slice(), State::from_raw(801), b'z'), State::DEAD);
    }

    #[test]
    fn stays_dead_on_every_byte() {
        let slots = table();
        assert!((0..=255).all(|byte| step(slots.as_slice(), State::DEAD, byte) == State::DEAD));
        assert_eq!(accept(slots.as_slice(), State::DEAD), 0);
    }

    #[test]
    fn dies_quietly_outside_the_table() {
        let far = State::from_raw(u32::MAX);
        assert_eq!(step(table().as_slice(), far, 255), State::DEAD);
        assert_eq!(accept(table().as_slice(), far), 0);
        let empty: &[u64] = &[];
        assert_eq!(step(empty, State::START, b'/'), State::DEAD);
        assert_eq!(accept(empty, State::START), 0);
    }
}
