//! [`Builder`]: from rules to a table, within limits.
//!
//! The steps are `add` (into the [`trie`]), `determinise` ([`subset`]), [`minimise`] and [`pack`]. The result depends on the set of
//! rules alone: a minimal automaton is unique up to the names of its states, and [`minimise`] names them in the order in which a
//! search from the start meets them.

mod dfa;
mod ids;
mod minimise;
mod pack;
mod partition;
mod subset;
mod trie;

use crate::pattern::Pattern;
use crate::state::MAX_ACCEPT;
use crate::table::Table;

use trie::Trie;

/// What two rules that match the same path say together. It must be associative, commutative and idempotent, as `|` and `max` are,
/// and keep within 1..=[`MAX_ACCEPT`].
pub type Merge = fn(u32, u32) -> u32;

/// How much a table may take to build.
///
/// What the construction stores and what it looks at are bounded by multiples of `states`, so that a set of rules that explodes is
/// refused in bounded time and memory: with the default limits, in about two seconds and 120 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most states before they are minimised, and the most positions that the patterns have after their common prefixes are
    /// shared. At most 2³⁰.
    pub states: usize,
    /// The most slots of the table, each of 8 bytes. At most 2³⁰.
    pub slots: usize,
}

impl Limits {
    /// More than this no table can address.
    const CEILING: usize = 1 << 30;
    /// Members of states, and transitions, that may be stored for each state of the limit, on average. A set of literal paths
    /// needs one of each; rules that make more than this are about to explode.
    const PER_STATE: usize = 16;
    /// So many members and transitions are always allowed, however small the limit on states.
    const FLOOR: usize = 1 << 18;
    /// Steps of construction for each state of the limit, on average: each a few nanoseconds. A state of literal paths takes
    /// two or three, one among a dozen globs under a hundred.
    const WORK_PER_STATE: usize = 1 << 10;
    /// So many steps are always allowed.
    const WORK_FLOOR: usize = 1 << 24;

    fn states(self) -> usize {
        self.states.min(Self::CEILING)
    }

    fn slots(self) -> usize {
        self.slots.min(Self::CEILING)
    }

    fn entries(self) -> usize {
        self.states().saturating_mul(Self::PER_STATE).max(Self::FLOOR)
    }

    fn work(self) -> usize {
        self.states().saturating_mul(Self::WORK_PER_STATE).max(Self::WORK_FLOOR)
    }
}

/// A million states and 8 MiB of slots: a hundred times what a learned profile needs and more.
impl Default for Limits {
    fn default() -> Self {
        Self { states: 1 << 20, slots: 1 << 20 }
    }
}

/// What a set of rules needed too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Positions of patterns, common prefixes shared.
    Positions,
    /// States of the automaton, before it is minimised.
    States,
    /// Positions that the states stand for, all states together.
    Members,
    /// Transitions of the automaton, before it is minimised.
    Transitions,
    /// Steps of construction.
    Work,
    /// Slots of the table.
    Slots,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Positions => "positions of patterns",
            Self::States => "states",
            Self::Members => "members of states",
            Self::Transitions => "transitions",
            Self::Work => "steps of construction",
            Self::Slots => "slots",
        })
    }
}

/// Why rules could not be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A rule's value is 0, which means *no match*, or uses the top bit.
    #[error("the value {accept:#x} of the rule `{pattern}` is outside 1..={MAX_ACCEPT:#x}")]
    AcceptOutOfRange {
        /// The rule's pattern.
        pattern: String,
        /// Its value.
        accept: u32,
    },
    /// The merge of two values is not a value.
    #[error("{left:#x} and {right:#x} merge to {merged:#x}, outside 1..={MAX_ACCEPT:#x}")]
    MergeOutOfRange {
        /// One value.
        left: u32,
        /// The other value.
        right: u32,
        /// What the merge function made of them.
        merged: u32,
    },
    /// A limit was reached. Patterns with several wildcards that may each begin anywhere (`/**a*b`) multiply; rules that share no
    /// prefix add up.
    #[error(
        "the rules need at least {needed_at_least} {what}, and the limit is {limit}: \
         use fewer rules, or fewer `*` and `**` before other text"
    )]
    TooLarge {
        /// What was needed.
        what: Resource,
        /// How much of it was needed when the compiler gave up.
        needed_at_least: usize,
        /// How much of it was allowed.
        limit: usize,
    },
}

impl CompileError {
    /// Passes what is within the limit.
    const fn unless_within(what: Resource, needed_at_least: usize, limit: usize) -> Result<(), Self> {
        if needed_at_least <= limit { Ok(()) } else { Err(Self::TooLarge { what, needed_at_least, limit }) }
    }
}

/// Collects rules and compiles them.
#[derive(Clone, Debug)]
pub struct Builder {
    trie: Trie,
    merge: Merge,
    limits: Limits,
}

impl Builder {
    /// A builder without rules, which builds a table that accepts nothing.
    pub fn new(merge: Merge) -> Self {
        Self { trie: Trie::new(), merge, limits: Limits::default() }
    }

    /// Replaces the limits, of which [`Limits::default`] is in force until then.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a rule: what matches the pattern accepts with this value, merged with the values of all other rules that match it.
    ///
    /// # Errors
    /// Where the value is outside 1..=[`MAX_ACCEPT`], or does not merge with the value of an equal pattern, or the limit of states is
    /// reached. The rule is then not added, and the builder can still be used.
    pub fn add(&mut self, pattern: &Pattern, accept: u32) -> Result<&mut Self, CompileError> {
        if accept == 0 || accept > MAX_ACCEPT {
            return Err(CompileError::AcceptOutOfRange { pattern: pattern.to_string(), accept });
        }
        let limit = self.limits.states();
        let needed = self.trie.len().saturating_add(self.trie.missing(pattern.tokens()));
        CompileError::unless_within(Resource::Positions, needed, limit)?;
        self.trie.add(pattern.tokens(), accept, self.merge)?;
        Ok(self)
    }

    /// Compiles the rules. Takes time about proportional to the states and transitions before minimising, times the logarithm of
    /// their number.
    ///
    /// # Errors
    /// Where a limit is reached, or two values do not merge.
    pub fn build(&self) -> Result<Table, CompileError> {
        let dfa = subset::determinise(&self.trie.freeze(), self.merge, self.limits)?;
        let dfa = minimise::minimise(&dfa);
        Ok(Table::new(pack::pack(&dfa, self.limits.slots())?, dfa.live_states()))
    }
}

/// Merges two values, either of which may be 0 for *none*.
fn merged(merge: Merge, left: u32, right: u32) -> Result<u32, CompileError> {
    match (left, right) {
        (0, value) | (value, 0) => Ok(value),
        (left, right) => match merge(left, right) {
            merged @ 1..=MAX_ACCEPT => Ok(merged),
            merged => Err(CompileError::MergeOutOfRange { left, right, merged }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn builds_a_table_that_accepts_nothing_from_no_rules() {
        let table = Builder::new(|a, b| a | b).build().unwrap();
        assert_eq!((table.states(), table.slots().len(), table.chunks()), (1, 257, 1));
        assert_eq!((table.accept_of(b""), table.accept_of(b"/")), (0, 0));
    }

    #[test]
    fn refuses_values_that_mean_no_match_or_do_not_fit() {
        let mut builder = Builder::new(|a, b| a | b);
        for accept in [0, MAX_ACCEPT + 1, u32::MAX] {
            let error = builder.add(&pattern("/a"), accept).unwrap_err();
            assert_eq!(error, CompileError::AcceptOutOfRange { pattern: "/a".into(), accept });
        }
        builder.add(&pattern("/a"), MAX_ACCEPT).unwrap();
        assert_eq!(builder.build().unwrap().accept_of(b"/a"), MAX_ACCEPT);
    }

    #[test]
    fn refuses_values_that_merge_to_none() {
        let mut builder = Builder::new(|a, b| a & b);
        builder.add(&pattern("/a"), 1).unwrap();
        let error = CompileError::MergeOutOfRange { left: 1, right: 2, merged: 0 };
        assert_eq!(builder.add(&pattern("/a"), 2).unwrap_err(), error);
        assert_eq!(builder.build().unwrap().accept_of(b"/a"), 1, "the rule that was refused left nothing behind");
        builder.add(&pattern("/?"), 2).unwrap();
        assert!(matches!(builder.build().unwrap_err(), CompileError::MergeOutOfRange { merged: 0, .. }));
    }

    #[test]
    fn refuses_a_rule_beyond_the_limit_and_keeps_the_others() {
        let mut builder = Builder::new(|a, b| a | b).limits(Limits { states: 10, slots: 1 << 20 });
        builder.add(&pattern("/usr/bin"), 1).unwrap();
        let error = builder.add(&pattern("/usr/sbin"), 1).unwrap_err();
        assert_eq!(error, CompileError::TooLarge { what: Resource::Positions, needed_at_least: 13, limit: 10 });
        builder.add(&pattern("/usr/b"), 2).unwrap();
        let table = builder.build().unwrap();
        assert_eq!([b"/usr/bin".as_slice(), b"/usr/b", b"/usr/sbin"].map(|path| table.accept_of(path)), [1, 2, 0]);
    }

    #[test]
    fn keeps_paths_and_keys_apart_in_one_table() {
        let mut builder = Builder::new(|a, b| a | b);
        builder.add(&Pattern::from_classes(vec![crate::ByteClass::single(4), crate::ByteClass::ALL]).unwrap(), 1).unwrap();
        builder.add(&pattern("/**"), 2).unwrap();
        let table = builder.build().unwrap();
        assert_eq!([b"\x04/".as_slice(), b"\x04\0", b"/\x04", b"\x04"].map(|key| table.accept_of(key)), [1, 1, 2, 0]);
    }
}
