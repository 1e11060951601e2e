//! How a profile is applied, in one word, so that one store switches it and no operation meets half of it.

/// The mode of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// There is no profile here: nothing is judged.
    Absent = 0,
    /// Everything is allowed, and what the rules do not hold yet is told.
    Learn = 1,
    /// Everything is allowed, and what `enforce` would deny is told.
    Audit = 2,
    /// What the rules do not grant is denied and told.
    Enforce = 3,
}

impl Mode {
    /// The mode in the two low bits of `raw`.
    #[inline(always)]
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        match raw & 3 {
            0 => Self::Absent,
            1 => Self::Learn,
            2 => Self::Audit,
            _ => Self::Enforce,
        }
    }
}

/// A profile as the kernel sees it: where its table lies, its mode, its flags and which edition of the profile it is.
///
/// ```text
///  63        44 43        28 27     22 21 20 19          0
/// | generation | chunk count | flags  | mode | first chunk |
/// ```
///
/// The zero word is [`Mode::Absent`]: an array that nobody wrote judges nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct ProfileWord(u64);

const FIRST_BITS: u32 = 20;
const MODE_AT: u32 = 20;
const FLAGS_AT: u32 = 22;
const COUNT_AT: u32 = 28;
const GENERATION_AT: u32 = 44;

#[expect(clippy::cast_possible_truncation, reason = "each field is masked to its width")]
impl ProfileWord {
    /// Flag: some rule guards a tree, so opens for reading must be judged.
    pub const GUARDS: u8 = 1;

    /// The first chunk above which a table cannot begin.
    pub const CHUNKS_MAX: u32 = 1 << FIRST_BITS;
    /// The longest run of chunks that one table can have.
    pub const RUN_MAX: u32 = (1 << (GENERATION_AT - COUNT_AT)) - 1;

    /// The word of a profile whose table is the `count` chunks from `first` on. `None` where a number does not fit.
    /// `generation` is taken modulo 2^20: it tells neighbouring editions apart.
    #[must_use]
    pub const fn new(mode: Mode, flags: u8, first: u32, count: u32, generation: u32) -> Option<Self> {
        if first >= Self::CHUNKS_MAX || count > Self::RUN_MAX || flags >= 1 << (COUNT_AT - FLAGS_AT) {
            return None;
        }
        Some(Self(
            first as u64
                | (mode as u64) << MODE_AT
                | (flags as u64) << FLAGS_AT
                | (count as u64) << COUNT_AT
                | (generation as u64) << GENERATION_AT,
        ))
    }

    /// The word from its number, as it lies in the map.
    #[inline(always)]
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
    /// The number that lies in the map.
    #[inline(always)]
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }
    /// The first chunk of the table.
    #[inline(always)]
    #[must_use]
    pub const fn first(self) -> u32 {
        (self.0 & (Self::CHUNKS_MAX as u64 - 1)) as u32
    }
    /// How many chunks the table has.
    #[inline(always)]
    #[must_use]
    pub const fn count(self) -> u32 {
        (self.0 >> COUNT_AT) as u32 & Self::RUN_MAX
    }
    /// How the profile is applied.
    #[inline(always)]
    #[must_use]
    pub const fn mode(self) -> Mode {
        Mode::from_raw(self.0 >> MODE_AT)
    }
    /// Whether opens for reading must be judged.
    #[inline(always)]
    #[must_use]
    pub const fn guards(self) -> bool {
        self.0 >> FLAGS_AT & Self::GUARDS as u64 != 0
    }
    /// The edition of the profile, modulo 2^20.
    #[inline(always)]
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> GENERATION_AT) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_gives_back_what_it_was_made_of(
            mode in 0u64..4, guards: bool, first in 0..ProfileWord::CHUNKS_MAX, count in 0..=ProfileWord::RUN_MAX, generation in 0u32..1 << 20,
        ) {
            let mode = Mode::from_raw(mode);
            let word = ProfileWord::new(mode, u8::from(guards), first, count, generation).unwrap();
            prop_assert_eq!(
                (word.mode(), word.guards(), word.first(), word.count(), word.generation()),
                (mode, guards, first, count, generation)
            );
            prop_assert_eq!(ProfileWord::from_raw(word.raw()), word);
        }
    }

    #[test]
    fn an_unwritten_word_judges_nothing() {
        assert_eq!(ProfileWord::default().mode(), Mode::Absent);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert_eq!(ProfileWord::new(Mode::Learn, 0, ProfileWord::CHUNKS_MAX, 1, 0), None);
        assert_eq!(ProfileWord::new(Mode::Learn, 0, 0, ProfileWord::RUN_MAX + 1, 0), None);
        assert_eq!(ProfileWord::new(Mode::Learn, 64, 0, 1, 0), None);
    }
}
