//! Typed indices, and the collections that they index.
//!
//! The compiler is graphs of numbered things: nodes, states, blocks. An id is a number that the collection itself gave out, so that a
//! look-up cannot miss unless an id of one automaton is used on another, which is a mistake of this crate and no input can cause.
//! Indexing happens here and nowhere else.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A number under 2³¹ that names one thing.
pub(super) trait Id: Copy + Eq + Ord {
    /// The id of the thing at this index.
    fn new(index: usize) -> Self;
    /// The index of the thing.
    fn index(self) -> usize;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name(u32);

        impl Id for $name {
            #[expect(clippy::cast_possible_truncation, reason = "`Limits` keeps every count under 2^31")]
            fn new(index: usize) -> Self {
                Self(index as u32)
            }

            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// A node of the trie, which is also a state of the nondeterministic automaton.
    NodeId;
    /// A set of bytes of which the trie has labels.
    SetId;
    /// A state of a deterministic automaton.
    StateId;
    /// A block of a partition of states.
    BlockId;
}

impl StateId {
    /// The state that accepts nothing ever.
    pub(super) const DEAD: Self = Self(0);
    /// The state before the first byte.
    pub(super) const START: Self = Self(1);
}

impl NodeId {
    /// The node of the empty prefix.
    pub(super) const ROOT: Self = Self(0);
}

/// One `T` for each `I`.
#[derive(Clone, Debug)]
pub(super) struct Indexed<I, T> {
    items: Vec<T>,
    ids: PhantomData<fn(I)>,
}

impl<I: Id, T> Indexed<I, T> {
    pub(super) const fn new() -> Self {
        Self { items: Vec::new(), ids: PhantomData }
    }

    pub(super) fn push(&mut self, item: T) -> I {
        let id = I::new(self.items.len());
        self.items.push(item);
        id
    }

    pub(super) const fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = I> + Clone + use<I, T> {
        (0..self.items.len()).map(I::new)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (I, &T)> + Clone {
        self.items.iter().enumerate().map(|(index, item)| (I::new(index), item))
    }
}

impl<I: Id, T: Clone> Indexed<I, T> {
    pub(super) fn filled(len: usize, item: T) -> Self {
        Self { items: vec![item; len], ids: PhantomData }
    }
}

impl<I: Id, T> FromIterator<T> for Indexed<I, T> {
    fn from_iter<S: IntoIterator<Item = T>>(items: S) -> Self {
        Self { items: items.into_iter().collect(), ids: PhantomData }
    }
}

impl<I: Id, T> Index<I> for Indexed<I, T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "the collection gave the id out: see the module's head")]
    fn index(&self, id: I) -> &T {
        &self.items[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for Indexed<I, T> {
    #[expect(clippy::indexing_slicing, reason = "the collection gave the id out: see the module's head")]
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.items[id.index()]
    }
}

/// A row of `T`s for each `I`, all rows in one allocation.
#[derive(Clone, Debug)]
pub(super) struct Ragged<I, T> {
    /// Where each row ends, and the next one begins.
    ends: Indexed<I, usize>,
    items: Vec<T>,
}

impl<I: Id, T: Copy> Ragged<I, T> {
    pub(super) const fn new() -> Self {
        Self { ends: Indexed::new(), items: Vec::new() }
    }

    pub(super) fn push_row(&mut self, row: &[T]) -> I {
        self.items.extend_from_slice(row);
        self.ends.push(self.items.len())
    }

    /// Rows from pairs in any order; within a row, the order of the pairs is kept.
    pub(super) fn from_pairs(rows: usize, pairs: impl Iterator<Item = (I, T)> + Clone) -> Self {
        let mut ends = Indexed::<I, usize>::filled(rows, 0);
        for (id, _) in pairs.clone() {
            ends[id] += 1;
        }
        let mut total = 0;
        for id in ends.ids() {
            // For now the place of the row's next item; when all are placed, that is its end.
            total += std::mem::replace(&mut ends[id], total);
        }
        let Some((_, filler)) = pairs.clone().next() else {
            return Self { ends, items: Vec::new() };
        };
        let mut items = Indexed::<ItemId, T>::filled(total, filler);
        for (id, item) in pairs {
            items[ItemId(ends[id])] = item;
            ends[id] += 1;
        }
        Self { ends, items: items.items }
    }

    /// The number of rows.
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of items in all rows.
    pub(super) const fn total(&self) -> usize {
        self.items.len()
    }

    #[expect(clippy::indexing_slicing, reason = "the collection gave the id out: see the module's head")]
    pub(super) fn row(&self, id: I) -> &[T] {
        let start = match id.index().checked_sub(1) {
            Some(previous) => self.ends[I::new(previous)],
            None => 0,
        };
        &self.items[start..self.ends[id]]
    }
}

/// A place among the items of a [`Ragged`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ItemId(usize);

impl Id for ItemId {
    fn new(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_pairs_into_rows_and_keeps_their_order() {
        let pairs = [(2, 'a'), (0, 'b'), (2, 'c'), (0, 'd')];
        let rows = Ragged::from_pairs(4, pairs.iter().map(|&(row, item)| (StateId::new(row), item)));
        let row = |index| rows.row(StateId::new(index)).iter().collect::<String>();
        assert_eq!([row(0), row(1), row(2), row(3)], ["bd", "", "ac", ""]);
        assert_eq!((rows.len(), rows.total()), (4, 4));
    }

    #[test]
    fn has_as_many_empty_rows_as_asked_for() {
        let rows = Ragged::<StateId, u8>::from_pairs(2, std::iter::empty());
        assert!(rows.row(StateId::START).is_empty());
        assert_eq!(rows.len(), 2);
    }
}
