//! [`Partition`]: states in blocks that only ever get smaller.
//!
//! All states lie in one array, each block a range of it. Splitting moves states within their block's range, so that
//! it costs time proportional to the states that move out.

use super::ids::{BlockId, Id, Indexed, StateId};

/// A place in the array of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(usize);

impl Id for Place {
    fn new(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}

/// States in disjoint blocks.
#[derive(Debug)]
pub(super) struct Partition {
    states: Indexed<Place, StateId>,
    places: Indexed<StateId, Place>,
    block_of: Indexed<StateId, BlockId>,
    /// Where each block begins, and how many states it has.
    blocks: Indexed<BlockId, (usize, usize)>,
}

impl Partition {
    /// The partition whose blocks are the states of equal key. The keys' order is the blocks'.
    pub(super) fn by_key<K: Ord>(states: impl Iterator<Item = (StateId, K)>) -> Self {
        let mut keyed: Vec<(K, StateId)> = states.map(|(state, key)| (key, state)).collect();
        keyed.sort_unstable();
        let mut places = Indexed::filled(keyed.len(), Place(0));
        let mut block_of = Indexed::filled(keyed.len(), BlockId::new(0));
        let mut blocks = Indexed::new();
        let mut start = 0;
        for same in keyed.chunk_by(|a, b| a.0 == b.0) {
            let block = blocks.push((start, same.len()));
            for (offset, &(_, state)) in same.iter().enumerate() {
                places[state] = Place(start + offset);
                block_of[state] = block;
            }
            start += same.len();
        }
        Self { states: keyed.into_iter().map(|(_, state)| state).collect(), places, block_of, blocks }
    }

    /// The number of blocks.
    pub(super) const fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = BlockId> + use<> {
        self.blocks.ids()
    }

    pub(super) fn block_of(&self, state: StateId) -> BlockId {
        self.block_of[state]
    }

    /// How many states a block has, at least one.
    pub(super) fn size(&self, block: BlockId) -> usize {
        self.blocks[block].1
    }

    /// The states of a block.
    pub(super) fn states(&self, block: BlockId) -> impl Iterator<Item = StateId> + '_ {
        let (start, len) = self.blocks[block];
        (start..start + len).map(|place| self.states[Place(place)])
    }

    /// Some state of a block.
    pub(super) fn representative(&self, block: BlockId) -> StateId {
        self.states[Place(self.blocks[block].0)]
    }

    /// Splits a block into each of `groups` and what is left of it. The groups are disjoint, not empty, and of the block.
    ///
    /// The largest part keeps the block's id, the others get new ones, of which `on_new` is told.
    pub(super) fn split(&mut self, block: BlockId, groups: &[&[StateId]], mut on_new: impl FnMut(BlockId)) {
        let (start, len) = self.blocks[block];
        let moved: usize = groups.iter().map(|group| group.len()).sum();
        let rest = len - moved;
        // The groups go to the end of the block's range, one behind the other. Whatever was placed stays where it is.
        let states = groups.iter().flat_map(|group| group.iter());
        for (offset, &state) in states.enumerate() {
            self.swap(self.places[state], Place(start + len - 1 - offset));
        }
        let mut parts = Vec::with_capacity(groups.len() + 1);
        let mut end = start + len;
        for group in groups {
            end -= group.len();
            parts.push((end, group.len()));
        }
        if rest > 0 {
            parts.push((start, rest));
        }
        let largest = parts.iter().enumerate().max_by_key(|(_, part)| part.1).map(|(index, _)| index);
        for (index, &part) in parts.iter().enumerate() {
            if Some(index) == largest {
                self.blocks[block] = part;
                continue;
            }
            let new = self.blocks.push(part);
            for place in part.0..part.0 + part.1 {
                self.block_of[self.states[Place(place)]] = new;
            }
            on_new(new);
        }
    }

    fn swap(&mut self, a: Place, b: Place) {
        let (at_a, at_b) = (self.states[a], self.states[b]);
        (self.states[a], self.states[b]) = (at_b, at_a);
        (self.places[at_a], self.places[at_b]) = (b, a);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(indices: &[usize]) -> Vec<StateId> {
        indices.iter().map(|&index| StateId::new(index)).collect()
    }

    fn sorted(partition: &Partition, block: BlockId) -> Vec<usize> {
        let mut states: Vec<usize> = partition.states(block).map(Id::index).collect();
        states.sort_unstable();
        states
    }

    #[test]
    fn leaves_the_largest_part_its_id() {
        let mut partition = Partition::by_key(ids(&[0, 1, 2, 3, 4, 5, 6]).into_iter().map(|state| (state, 0)));
        let block = partition.block_of(StateId::new(0));
        let mut new = Vec::new();
        partition.split(block, &[&ids(&[1, 6]), &ids(&[2, 4, 5])], |block| new.push(block));
        assert_eq!(sorted(&partition, block), [2, 4, 5]);
        assert_eq!(new.iter().map(|&block| sorted(&partition, block)).collect::<Vec<_>>(), [vec![1, 6], vec![0, 3]]);
        for state in (0..7).map(StateId::new) {
            assert!(partition.states(partition.block_of(state)).any(|member| member == state));
        }
        assert_eq!(partition.len(), 3);
    }

    #[test]
    fn orders_blocks_by_their_key() {
        let partition = Partition::by_key([(0, 5), (1, 3), (2, 5)].map(|(state, key)| (StateId::new(state), key)).into_iter());
        assert_eq!(partition.blocks().map(|block| sorted(&partition, block)).collect::<Vec<_>>(), [vec![1], vec![0, 2]]);
        assert_eq!(partition.size(partition.block_of(StateId::new(2))), 2);
        assert_eq!(partition.representative(partition.block_of(StateId::new(1))), StateId::new(1));
    }
}
