//! Minimisation: the smallest automaton of the same language, its states numbered by their distance from the start.
//!
//! Hopcroft's partition refinement, which needs no acyclic automaton (every `**` is a cycle). States begin in blocks by
//! their value. A block that still has to be looked at, the splitter, tells states apart by *on which bytes* they lead into
//! it; blocks whose members differ are split, and all parts but the largest will be splitters too. Each state is in a splitter at
//! most log₂(states) times.
//!
//! Rows are sparse, so "on which bytes" is computed sparsely: the set of a state is all bytes without a transition of their own if
//! its default leads into the splitter, or else none, and those whose transition does. Two rows that write the same
//! function differently have the same set.

use std::collections::VecDeque;

use crate::class::ByteClass;

use super::dfa::{Dfa, Edge, normalise};
use super::ids::{BlockId, Id, Indexed, Ragged, StateId};
use super::partition::Partition;

/// The minimal automaton. The given one must reach a value from each of its states but the dead one.
pub(super) fn minimise(dfa: &Dfa) -> Dfa {
    number(dfa, &refine(dfa))
}

/// The coarsest partition whose blocks are states of the same language.
fn refine(dfa: &Dfa) -> Partition {
    // Nothing else is dead: the dead state has a block of its own from the beginning.
    let mut partition = Partition::by_key(dfa.rows().map(|(state, row)| (state, (state != StateId::DEAD, row.accept))));
    let sources = Sources::new(dfa);
    // All initial blocks but one are splitters: what leads into no other leads into that one.
    let largest = partition.blocks().max_by_key(|&block| partition.size(block));
    let mut splitters: VecDeque<BlockId> = partition.blocks().filter(|&block| Some(block) != largest).collect();
    let mut touched = Touched::new(dfa.len());
    while let Some(splitter) = splitters.pop_front() {
        for target in partition.states(splitter) {
            for &source in sources.defaults.row(target) {
                touched.on_default(dfa, source);
            }
            for &(byte, source) in sources.edges.row(target) {
                touched.on_byte(source, byte);
            }
        }
        touched.split(&mut partition, &mut splitters);
    }
    partition
}

/// Where transitions come from.
struct Sources {
    /// The states whose default leads to a state.
    defaults: Ragged<StateId, StateId>,
    /// The other transitions to a state: the byte, and the state it comes from.
    edges: Ragged<StateId, Edge>,
}

impl Sources {
    fn new(dfa: &Dfa) -> Self {
        let defaults = dfa.rows().map(|(state, row)| (row.default, state));
        let edges = dfa.rows().flat_map(|(state, row)| row.edges.iter().map(move |&(byte, target)| (target, (byte, state))));
        Self { defaults: Ragged::from_pairs(dfa.len(), defaults), edges: Ragged::from_pairs(dfa.len(), edges) }
    }
}

/// The states that lead into the splitter, each with the bytes on which it does.
struct Touched {
    states: Vec<StateId>,
    /// No byte for every state that is not among `states`.
    bytes_of: Indexed<StateId, ByteClass>,
}

impl Touched {
    fn new(states: usize) -> Self {
        Self { states: Vec::new(), bytes_of: Indexed::filled(states, ByteClass::EMPTY) }
    }

    /// The state's default leads into the splitter.
    fn on_default(&mut self, dfa: &Dfa, state: StateId) {
        let named = dfa.row(state).edges.iter().map(|&(byte, _)| byte).collect::<ByteClass>();
        self.on_bytes(state, named.complement());
    }

    /// The state's own transition on this byte leads into the splitter.
    fn on_byte(&mut self, state: StateId, byte: u8) {
        self.on_bytes(state, ByteClass::single(byte));
    }

    fn on_bytes(&mut self, state: StateId, bytes: ByteClass) {
        let known = self.bytes_of[state];
        self.bytes_of[state] = known.union(bytes);
        if known.is_empty() && !bytes.is_empty() {
            self.states.push(state);
        }
    }

    /// Splits every block that has states of different sets of bytes, and forgets all states.
    fn split(&mut self, partition: &mut Partition, splitters: &mut VecDeque<BlockId>) {
        let Self { states, bytes_of } = self;
        states.sort_unstable_by_key(|&state| (partition.block_of(state), bytes_of[state], state));
        let by_block: Vec<&[StateId]> = states.chunk_by(|&a, &b| partition.block_of(a) == partition.block_of(b)).collect();
        for touched in by_block {
            let Some(&first) = touched.first() else { continue };
            let block = partition.block_of(first);
            let groups: Vec<&[StateId]> = touched.chunk_by(|&a, &b| bytes_of[a] == bytes_of[b]).collect();
            if groups.len() > 1 || touched.len() < partition.size(block) {
                // The largest part keeps the block's id. If that is a splitter still, all parts are, as they must;
                // if not, all but the largest are, which is enough.
                partition.split(block, &groups, |new| splitters.push_back(new));
            }
        }
        for state in states.drain(..) {
            bytes_of[state] = ByteClass::EMPTY;
        }
    }
}

/// The automaton of the blocks, numbered in the order in which a search in breadth, default first and then byte by byte, meets them.
fn number(dfa: &Dfa, partition: &Partition) -> Dfa {
    let mut names: Indexed<BlockId, Option<StateId>> = Indexed::filled(partition.len(), None);
    let mut met = VecDeque::new();
    let mut count = 0;
    let mut name = |block: BlockId, met: &mut VecDeque<BlockId>| {
        *names[block].get_or_insert_with(|| {
            met.push_back(block);
            count += 1;
            StateId::new(count - 1)
        })
    };
    // The dead state's block came first and has no other state, so that its number among the blocks is the dead state's, too.
    name(partition.block_of(StateId::DEAD), &mut met);
    met.clear();
    name(partition.block_of(StateId::START), &mut met);

    let mut minimal = Dfa::new();
    let mut edges = Vec::new();
    let as_state = |state| StateId::new(partition.block_of(state).index());
    let as_block = |state: StateId| BlockId::new(state.index());
    while let Some(block) = met.pop_front() {
        let row = dfa.row(partition.representative(block));
        edges.clear();
        edges.extend(row.edges.iter().map(|&(byte, target)| (byte, as_state(target))));
        let default = name(as_block(normalise(as_state(row.default), &mut edges)), &mut met);
        for (_, target) in &mut edges {
            *target = name(as_block(*target), &mut met);
        }
        minimal.push(row.accept, default, &mut edges);
    }
    minimal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An automaton of few states over three bytes that matter, each state able to reach one that accepts.
    fn small() -> impl Strategy<Value = Dfa> {
        let state = (0_u32..3, 0_usize..9, prop::collection::vec(0_usize..9, 3));
        prop::collection::vec(state, 2..9).prop_map(|states| live(&states))
    }

    fn live(states: &[(u32, usize, Vec<usize>)]) -> Dfa {
        // Makes the last state accept and each state lead to the next on `c`, so that all are live.
        let len = states.len() + 1;
        let mut dfa = Dfa::new();
        for (index, (accept, default, targets)) in states.iter().enumerate() {
            let last = index + 1 == states.len();
            let id = |target: usize| StateId::new(target % len);
            let mut edges: Vec<Edge> = (b'a'..=b'c').zip(targets.iter().map(|&target| id(target))).collect();
            if !last {
                edges[2].1 = StateId::new(index + 2);
            }
            dfa.push(if last { 1 } else { *accept }, id(*default), &mut edges);
        }
        dfa
    }

    /// For every pair of states, whether they have the same language: the textbook's table, filled until nothing changes.
    fn equivalent(dfa: &Dfa) -> Vec<Vec<bool>> {
        let ids = || (0..dfa.len()).map(StateId::new);
        let mut same: Vec<Vec<bool>> = ids().map(|a| ids().map(|b| dfa.row(a).accept == dfa.row(b).accept).collect()).collect();
        loop {
            let refined: Vec<Vec<bool>> = ids()
                .map(|a| {
                    ids()
                        .map(|b| {
                            same[a.index()][b.index()]
                                && (0..=255).all(|byte| same[dfa.row(a).target(byte).index()][dfa.row(b).target(byte).index()])
                        })
                        .collect()
                })
                .collect();
            if refined == same {
                return same;
            }
            same = refined;
        }
    }

    /// How many languages the states have that the start can reach, the dead state's among them.
    fn languages(dfa: &Dfa) -> usize {
        let same = equivalent(dfa);
        let mut reached = vec![StateId::DEAD, StateId::START];
        let mut place = 0;
        while place < reached.len() {
            for byte in 0..=255 {
                let target = dfa.row(reached[place]).target(byte);
                if !reached.contains(&target) {
                    reached.push(target);
                }
            }
            place += 1;
        }
        let mut kinds: Vec<StateId> = Vec::new();
        for state in reached {
            if !kinds.iter().any(|kind| same[kind.index()][state.index()]) {
                kinds.push(state);
            }
        }
        kinds.len()
    }

    fn run(dfa: &Dfa, word: &[u8]) -> u32 {
        dfa.row(word.iter().fold(StateId::START, |state, &byte| dfa.row(state).target(byte))).accept
    }

    proptest! {
        #[test]
        fn keeps_the_language_and_no_two_states_of_one(
            dfa in small(),
            words in prop::collection::vec(prop::collection::vec(b'a'..=b'd', 0..12), 20),
        ) {
            let minimal = minimise(&dfa);
            prop_assert_eq!(minimal.len(), languages(&dfa));
            for word in words {
                prop_assert_eq!(run(&minimal, &word), run(&dfa, &word));
            }
        }

        #[test]
        fn changes_nothing_the_second_time(dfa in small()) {
            let once = minimise(&dfa);
            let twice = minimise(&once);
            prop_assert_eq!(once.len(), twice.len());
            for ((_, once), (_, twice)) in once.rows().zip(twice.rows()) {
                prop_assert_eq!(once, twice);
            }
        }
    }

    #[test]
    fn keeps_a_start_that_nothing_follows() {
        let mut dfa = Dfa::new();
        dfa.push(0, StateId::DEAD, &mut Vec::new());
        assert_eq!(minimise(&dfa).live_states(), 1);
    }
}
