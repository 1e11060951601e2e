//! [`Trie`]: all patterns, common prefixes shared. Frozen, it is the nondeterministic automaton ([`Nfa`]).
//!
//! A node is a prefix of patterns; an edge is a token. The node behind a `*` or `**` is reached without reading anything (a
//! *skip*) and then reads any number of bytes in place (a loop). So `/a/**` with a thousand literal paths below `/a/` costs one node more,
//! and a thousand rules `/**/name` have one loop between them and not a thousand.

use hashbrown::HashMap;

use crate::class::ByteClass;
use crate::pattern::Token;

use super::ids::{Indexed, NodeId, Ragged, SetId};
use super::{CompileError, Merge, merged};

/// What an edge reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Label {
    Byte(u8),
    Class(SetId),
    Star,
    Globstar,
}

/// A node, but for its edges.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The node before it. The root's is itself.
    parent: NodeId,
    /// How its parent reaches it. The root's says nothing.
    label: Label,
    /// The merged value of the patterns that end here, or 0.
    accept: u32,
}

/// All patterns, common prefixes shared.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    nodes: Indexed<NodeId, Node>,
    edges: HashMap<(NodeId, Label), NodeId>,
    sets: Indexed<SetId, ByteClass>,
    set_ids: HashMap<ByteClass, SetId>,
}

impl Trie {
    pub(super) fn new() -> Self {
        let mut trie = Self { nodes: Indexed::new(), edges: HashMap::new(), sets: Indexed::new(), set_ids: HashMap::new() };
        trie.nodes.push(Node { parent: NodeId::ROOT, label: Label::Star, accept: 0 });
        trie
    }

    /// The number of nodes.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many nodes a pattern would add.
    pub(super) fn missing(&self, tokens: &[Token]) -> usize {
        let mut node = NodeId::ROOT;
        for (depth, token) in tokens.iter().enumerate() {
            match self.known_label(token).and_then(|label| self.edges.get(&(node, label))) {
                Some(&child) => node = child,
                None => return tokens.len() - depth,
            }
        }
        0
    }

    /// Adds a pattern with its value.
    pub(super) fn add(&mut self, tokens: &[Token], accept: u32, merge: Merge) -> Result<(), CompileError> {
        let mut node = NodeId::ROOT;
        for token in tokens {
            let label = self.label(token);
            let nodes = &mut self.nodes;
            node = *self.edges.entry((node, label)).or_insert_with(|| nodes.push(Node { parent: node, label, accept: 0 }));
        }
        self.nodes[node].accept = merged(merge, self.nodes[node].accept, accept)?;
        Ok(())
    }

    fn known_label(&self, token: &Token) -> Option<Label> {
        match token {
            Token::Byte(byte) => Some(Label::Byte(*byte)),
            Token::Class(class) => self.set_ids.get(class.as_ref()).copied().map(Label::Class),
            Token::Star => Some(Label::Star),
            Token::Globstar => Some(Label::Globstar),
        }
    }

    fn label(&mut self, token: &Token) -> Label {
        self.known_label(token).unwrap_or_else(|| match token {
            Token::Class(class) => Label::Class(self.set_id(**class)),
            Token::Byte(byte) => Label::Byte(*byte),
            Token::Star => Label::Star,
            Token::Globstar => Label::Globstar,
        })
    }

    fn set_id(&mut self, set: ByteClass) -> SetId {
        let sets = &mut self.sets;
        *self.set_ids.entry(set).or_insert_with(|| sets.push(set))
    }

    /// The nondeterministic automaton, each node's edges side by side.
    pub(super) fn freeze(&self) -> Nfa {
        let mut sets = self.sets.clone();
        let not_slash = sets.push(ByteClass::NOT_SLASH);
        let all = sets.push(ByteClass::ALL);
        let children = || self.nodes.iter().skip(1);

        let bytes = children().filter_map(|(id, node)| match node.label {
            Label::Byte(byte) => Some((node.parent, (byte, id))),
            _ => None,
        });
        let wides = children().map(|(id, node)| match node.label {
            Label::Byte(_) => None,
            Label::Class(set) => Some((node.parent, (set, id))),
            Label::Star => Some((id, (not_slash, id))),
            Label::Globstar => Some((id, (all, id))),
        });
        let skips = children().filter_map(|(id, node)| match node.label {
            Label::Star | Label::Globstar => Some((node.parent, id)),
            _ => None,
        });
        Nfa {
            bytes: Ragged::from_pairs(self.nodes.len(), bytes),
            wides: Ragged::from_pairs(self.nodes.len(), wides.flatten()),
            skips: Ragged::from_pairs(self.nodes.len(), skips),
            accepts: self.nodes.iter().map(|(_, node)| node.accept).collect(),
            sets,
        }
    }
}

/// The nondeterministic automaton of all patterns. Its states are the trie's nodes.
pub(super) struct Nfa {
    /// Edges that read one certain byte.
    pub(super) bytes: Ragged<NodeId, (u8, NodeId)>,
    /// Edges that read one byte of a set, loops included.
    pub(super) wides: Ragged<NodeId, (SetId, NodeId)>,
    /// Edges that read nothing.
    pub(super) skips: Ragged<NodeId, NodeId>,
    /// The merged value of the patterns that end at a node, or 0.
    pub(super) accepts: Indexed<NodeId, u32>,
    /// What the sets of `wides` hold.
    pub(super) sets: Indexed<SetId, ByteClass>,
}

#[cfg(test)]
mod tests {
    use super::super::ids::Id;
    use super::*;
    use crate::pattern::Pattern;

    fn trie(texts: &[&str]) -> Trie {
        let mut trie = Trie::new();
        for text in texts {
            trie.add(Pattern::parse(text).unwrap().tokens(), 1, |a, b| a | b).unwrap();
        }
        trie
    }

    #[test]
    fn shares_common_prefixes() {
        assert_eq!(trie(&["/ab", "/ac", "/a"]).len(), 5);
        assert_eq!(trie(&["/**/a", "/**/b"]).len(), 6);
        assert_eq!(trie(&["/[ab]x", "/[b-ba]y"]).len(), 5);
    }

    #[test]
    fn foretells_how_many_nodes_a_pattern_adds() {
        let mut trie = trie(&["/ab/[xy]*"]);
        for text in ["/ab/[xy]*", "/ab/[xyz]*", "/", "/zz/**", "/ab/[xy]"] {
            let pattern = Pattern::parse(text).unwrap();
            let (before, missing) = (trie.len(), trie.missing(pattern.tokens()));
            trie.add(pattern.tokens(), 1, |a, b| a | b).unwrap();
            assert_eq!(trie.len(), before + missing, "{text}");
        }
    }

    #[test]
    fn loops_in_place_behind_a_wildcard() {
        let nfa = trie(&["/*"]).freeze();
        let (slash, star) = (NodeId::new(1), NodeId::new(2));
        assert_eq!(nfa.skips.row(slash), [star]);
        let [(set, target)] = nfa.wides.row(star) else { panic!("the star has one loop") };
        assert_eq!((nfa.sets[*set], *target), (ByteClass::NOT_SLASH, star));
    }
}
