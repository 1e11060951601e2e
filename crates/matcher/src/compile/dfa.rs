//! [`Dfa`]: a deterministic automaton with sparse rows.
//!
//! A row is a default target and the transitions that differ from it, sorted by byte. The default is the target that
//! most of the 256 bytes lead to, so that equal functions have equal rows and a row has as few transitions as it can.

use super::ids::{Indexed, Ragged, StateId};

/// A transition on one byte.
pub(super) type Edge = (u8, StateId);

/// What a state does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    /// The value that the state accepts with, or 0.
    pub(super) accept: u32,
    /// The target on every byte without a transition of its own.
    pub(super) default: StateId,
    /// The transitions that do not lead to `default`, sorted by byte.
    pub(super) edges: &'a [Edge],
}

impl Row<'_> {
    /// The target on a byte.
    #[cfg(test)]
    pub(super) fn target(&self, byte: u8) -> StateId {
        match self.edges.binary_search_by_key(&byte, |&(byte, _)| byte) {
            Ok(place) => self.edges[place].1,
            Err(_) => self.default,
        }
    }

    /// Whether the packed state needs a slot for its value and default.
    pub(super) fn has_info(&self) -> bool {
        self.accept != 0 || self.default != StateId::DEAD
    }
}

/// A deterministic automaton. State 0 is dead, state 1 the start.
#[derive(Clone, Debug)]
pub(super) struct Dfa {
    accepts: Indexed<StateId, u32>,
    defaults: Indexed<StateId, StateId>,
    edges: Ragged<StateId, Edge>,
}

impl Dfa {
    /// An automaton of the dead state only.
    pub(super) fn new() -> Self {
        let mut dfa = Self { accepts: Indexed::new(), defaults: Indexed::new(), edges: Ragged::new() };
        dfa.push(0, StateId::DEAD, &mut Vec::new());
        dfa
    }

    /// Adds the next state. The edges are sorted by byte, one for a byte; they are left as the row stores them.
    pub(super) fn push(&mut self, accept: u32, default: StateId, edges: &mut Vec<Edge>) -> StateId {
        let default = normalise(default, edges);
        self.accepts.push(accept);
        self.defaults.push(default);
        self.edges.push_row(edges)
    }

    pub(super) fn row(&self, state: StateId) -> Row<'_> {
        Row { accept: self.accepts[state], default: self.defaults[state], edges: self.edges.row(state) }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (StateId, Row<'_>)> + Clone {
        self.accepts.ids().map(|state| (state, self.row(state)))
    }

    /// The number of states, the dead one included.
    pub(super) const fn len(&self) -> usize {
        self.accepts.len()
    }

    /// The number of states, the dead one not included.
    pub(super) const fn live_states(&self) -> usize {
        self.accepts.len().saturating_sub(1)
    }

    /// The number of transitions that are stored.
    pub(super) const fn transitions(&self) -> usize {
        self.edges.total()
    }
}

/// Makes the most common target of a row its default, and gives the default back.
///
/// Where several are equally common it is the dead state, or else the target of the lowest byte, so that the choice does not depend
/// on how states are numbered.
pub(super) fn normalise(default: StateId, edges: &mut Vec<Edge>) -> StateId {
    edges.retain(|&(_, target)| target != default);
    if edges.len() < 128 {
        return default;
    }
    let mut targets = dense(default, edges);
    targets.sort_by_key(|&(_, target)| target);
    let (_, _, _, best) = targets
        .chunk_by(|a, b| a.1 == b.1)
        .filter_map(|same| same.first().map(|&(byte, target)| (same.len(), target == StateId::DEAD, u8::MAX - byte, target)))
        .max()
        .unwrap_or((0, false, 0, default));
    if best != default {
        *edges = dense(default, edges);
        edges.retain(|&(_, target)| target != best);
    }
    best
}

/// The target on each of the 256 bytes.
fn dense(default: StateId, edges: &[Edge]) -> Vec<Edge> {
    let mut edges = edges.iter().peekable();
    (0..=u8::MAX).map(|byte| edges.next_if(|edge| edge.0 == byte).copied().unwrap_or((byte, default))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ids::Id;
    use super::*;

    fn normalised(default: usize, targets: impl Fn(u8) -> usize) -> (usize, usize) {
        let mut edges: Vec<Edge> = (0..=255).map(|byte| (byte, StateId::new(targets(byte)))).collect();
        let default = normalise(StateId::new(default), &mut edges);
        for byte in 0..=255 {
            let row = Row { accept: 0, default, edges: &edges };
            assert_eq!(row.target(byte), StateId::new(targets(byte)));
        }
        (default.index(), edges.len())
    }

    #[test]
    fn takes_the_most_common_target_as_the_default() {
        assert_eq!(normalised(9, |_| 3), (3, 0));
        assert_eq!(normalised(0, |byte| if byte == b'/' { 0 } else { 5 }), (5, 1));
        assert_eq!(normalised(7, |byte| usize::from(byte % 3)), (0, 170));
    }

    #[test]
    fn breaks_ties_by_what_does_not_depend_on_numbering() {
        assert_eq!(normalised(4, |byte| if byte < 128 { 4 } else { 0 }), (0, 128));
        assert_eq!(normalised(4, |byte| if byte < 128 { 8 } else { 4 }), (8, 128));
        assert_eq!(normalised(8, |byte| if byte < 128 { 8 } else { 4 }), (8, 128));
    }
}
