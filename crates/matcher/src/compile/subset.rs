//! Subset construction: the deterministic automaton whose states are the sets of trie nodes that the same prefix reaches.
//!
//! The states of literal rules are sets of one node and cost one transition each. Where wildcards are about, the 256 bytes fall
//! into few groups that all wide edges of the state treat alike; the largest becomes the default, and the bytes that have an edge of
//! their own are exceptions. So no row of 256 is ever written out for a state that does not differ on that many bytes.
//!
//! The construction can explode. States, their members and their transitions bound the memory; since a state with thousands of
//! wide edges takes long without taking much, the work is counted and bounded, too. The first three are checked after every state;
//! the work, and the targets of a single state, while they are gathered.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::class::ByteClass;

use super::dfa::{Dfa, Edge};
use super::ids::{Id, NodeId, Ragged, SetId, StateId};
use super::trie::Nfa;
use super::{CompileError, Limits, Merge, Resource, merged};

/// The deterministic automaton of the same language. From each of its states but the dead one some value can still be reached.
pub(super) fn determinise(nfa: &Nfa, merge: Merge, limits: Limits) -> Result<Dfa, CompileError> {
    let mut subsets = Subsets::new();
    subsets.intern(nfa, &mut Vec::new());
    subsets.intern(nfa, &mut vec![NodeId::ROOT]);
    let mut dfa = Dfa::new();
    let mut moves = Moves::new(limits);
    let mut edges = Vec::new();
    while dfa.len() < subsets.members.len() {
        let state = StateId::new(dfa.len());
        let members = subsets.members.row(state);
        let accept = members.iter().try_fold(0, |accept, &node| merged(merge, accept, nfa.accepts[node]))?;
        moves.gather(nfa, members)?;
        let default = moves.row(nfa, &mut subsets, &mut edges);
        dfa.push(accept, default, &mut edges);

        CompileError::unless_within(Resource::States, subsets.members.len() - 1, limits.states())?;
        CompileError::unless_within(Resource::Members, subsets.members.total(), limits.entries())?;
        CompileError::unless_within(Resource::Transitions, dfa.transitions(), limits.entries())?;
    }
    Ok(dfa)
}

/// The sets of nodes that were met, each with the state that stands for it.
struct Subsets {
    /// The nodes of each state, sorted.
    members: Ragged<StateId, NodeId>,
    states: HashTable<StateId>,
    hasher: DefaultHashBuilder,
}

impl Subsets {
    fn new() -> Self {
        Self { members: Ragged::new(), states: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }

    /// The state of these nodes and all that they reach without reading anything. Leaves the nodes sorted.
    fn intern(&mut self, nfa: &Nfa, nodes: &mut Vec<NodeId>) -> StateId {
        let mut place = 0;
        while let Some(&node) = nodes.get(place) {
            nodes.extend_from_slice(nfa.skips.row(node));
            place += 1;
        }
        nodes.sort_unstable();
        nodes.dedup();

        let Self { members, states, hasher } = self;
        let hash = hasher.hash_one(&*nodes);
        if let Some(&state) = states.find(hash, |&state| members.row(state) == nodes.as_slice()) {
            return state;
        }
        let state = members.push_row(nodes);
        states.insert_unique(hash, state, |&state| hasher.hash_one(members.row(state)));
        state
    }
}

/// Where a state's members go.
struct Moves {
    /// On one certain byte; sorted.
    bytes: Vec<(u8, NodeId)>,
    /// On a set of bytes; sorted by set.
    wides: Vec<(SetId, NodeId)>,
    /// The bytes, by which sets hold them.
    groups: Vec<Group>,
    /// How many moves, groups and targets were looked at for all states so far.
    work: usize,
    limits: Limits,
}

/// Bytes that are in the same sets.
struct Group {
    bytes: ByteClass,
    targets: Vec<NodeId>,
}

impl Moves {
    const fn new(limits: Limits) -> Self {
        Self { bytes: Vec::new(), wides: Vec::new(), groups: Vec::new(), work: 0, limits }
    }

    /// Reads off where the members go, and sorts the bytes into groups.
    fn gather(&mut self, nfa: &Nfa, members: &[NodeId]) -> Result<(), CompileError> {
        self.bytes.clear();
        self.wides.clear();
        for &node in members {
            self.bytes.extend_from_slice(nfa.bytes.row(node));
            self.wides.extend_from_slice(nfa.wides.row(node));
        }
        self.bytes.sort_unstable();
        self.wides.sort_unstable();
        self.work += members.len() + self.bytes.len() + self.wides.len();

        self.groups.clear();
        self.groups.push(Group { bytes: ByteClass::ALL, targets: Vec::new() });
        for same in self.wides.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(set, _)) = same.first() else { continue };
            split(&mut self.groups, nfa.sets[set], same);
            let targets = self.groups.iter().map(|group| group.targets.len()).sum();
            CompileError::unless_within(Resource::Members, targets, self.limits.entries())?;
            self.work += self.groups.len() * (1 + same.len());
            CompileError::unless_within(Resource::Work, self.work, self.limits.work())?;
        }
        Ok(())
    }

    /// Writes the row's transitions into `edges`, sorted, and gives its default.
    fn row(&mut self, nfa: &Nfa, subsets: &mut Subsets, edges: &mut Vec<Edge>) -> StateId {
        edges.clear();
        let named = self.bytes.iter().map(|&(byte, _)| byte).collect::<ByteClass>();
        for same in self.bytes.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(byte, _)) = same.first() else { continue };
            let group = self.groups.iter().find(|group| group.bytes.contains(byte));
            let mut nodes: Vec<NodeId> = group.map(|group| group.targets.clone()).unwrap_or_default();
            nodes.extend(same.iter().map(|&(_, node)| node));
            edges.push((byte, subsets.intern(nfa, &mut nodes)));
            self.work += self.groups.len() + nodes.len();
        }
        let unnamed = |group: &Group| group.bytes.difference(named);
        let largest = self.groups.iter().enumerate().max_by_key(|(_, group)| unnamed(group).len()).map(|(index, _)| index);
        let mut default = StateId::DEAD;
        for (index, group) in self.groups.iter_mut().enumerate() {
            let bytes = unnamed(group);
            if bytes.is_empty() {
                continue;
            }
            let target = subsets.intern(nfa, &mut group.targets);
            self.work += group.targets.len();
            if Some(index) == largest {
                default = target;
            } else {
                edges.extend(bytes.iter().map(|byte| (byte, target)));
            }
        }
        edges.sort_unstable_by_key(|&(byte, _)| byte);
        default
    }
}

/// Adds the targets of moves on a set to the groups inside it, after groups that are partly inside were split.
fn split(groups: &mut Vec<Group>, set: ByteClass, moves: &[(SetId, NodeId)]) {
    let mut outside = Vec::new();
    for group in groups.iter_mut() {
        let inside = group.bytes.intersection(set);
        if inside.is_empty() {
            continue;
        }
        if inside != group.bytes {
            outside.push(Group { bytes: group.bytes.difference(set), targets: group.targets.clone() });
        }
        group.bytes = inside;
        group.targets.extend(moves.iter().map(|&(_, node)| node));
    }
    groups.append(&mut outside);
}

#[cfg(test)]
mod tests {
    use super::super::trie::Trie;
    use super::*;
    use crate::pattern::Pattern;

    const OR: Merge = |a, b| a | b;

    fn nfa(rules: &[(&str, u32)]) -> Nfa {
        let mut trie = Trie::new();
        for (text, accept) in rules {
            trie.add(Pattern::parse(text).unwrap().tokens(), *accept, OR).unwrap();
        }
        trie.freeze()
    }

    fn accept_of(dfa: &Dfa, path: &str) -> u32 {
        let end = path.bytes().fold(StateId::START, |state, byte| dfa.row(state).target(byte));
        dfa.row(end).accept
    }

    #[test]
    fn accepts_with_the_merged_values_of_all_that_match() {
        let rules = [("/a*", 1), ("/**b", 2), ("/ab", 4), ("/[^a]b", 8)];
        let dfa = determinise(&nfa(&rules), OR, Limits::default()).unwrap();
        assert_eq!(["/ab", "/a", "/cb", "/c/b", "/b"].map(|path| accept_of(&dfa, path)), [7, 1, 10, 2, 2]);
    }

    #[test]
    fn keeps_one_transition_for_each_byte_of_a_literal() {
        let dfa = determinise(&nfa(&[("/usr/bin/env", 1)]), OR, Limits::default()).unwrap();
        assert_eq!((dfa.live_states(), dfa.transitions()), (13, 12));
    }

    #[test]
    fn gives_up_at_each_limit_with_what_was_needed() {
        let explosive = nfa(&[("/**a??????????????????????????????", 1)]);
        let limits = Limits { states: 1000, slots: 1 << 20 };
        let error = determinise(&explosive, OR, limits).unwrap_err();
        let CompileError::TooLarge { what: Resource::States, needed_at_least, limit: 1000 } = error else { panic!("{error}") };
        assert!(needed_at_least > 1000);
    }
}
