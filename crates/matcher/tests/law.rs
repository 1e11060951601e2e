//! The law: a table accepts with the merged values of exactly those patterns that the reference matcher says match.
//!
//! Sets of patterns and paths are made at random, the paths mostly out of the patterns, by filling in the wildcards and changing a byte or
//! two. `PROPTEST_CASES` sets the number of sets; a million take some minutes:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p portcullis-matcher --test law
//! ```

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use portcullis_matcher::{Builder, ByteClass, Merge, Pattern, State, Table, accept, step};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

/// Few letters, so that patterns overlap.
const LETTERS: &[u8] = b"aab.";
/// What paths are changed with.
const EDITS: &[u8] = b"/ab.c\xff\0";

/// One position of a pattern as the test writes it.
#[derive(Clone, Debug)]
enum Atom {
    Byte(u8),
    Any,
    Star,
    Globstar,
    Class(&'static str, &'static [u8]),
}

/// A pattern and how to make paths that it may match.
#[derive(Clone, Debug)]
enum Rule {
    Path(Vec<Atom>),
    Key(Vec<(u8, u8)>),
}

impl Rule {
    fn pattern(&self) -> Pattern {
        match self {
            Self::Path(atoms) => {
                let text: String = atoms.iter().map(atom_text).collect();
                Pattern::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
            }
            Self::Key(ranges) => {
                let classes = ranges.iter().map(|&(low, high)| ByteClass::range(low..=high)).collect();
                Pattern::from_classes(classes).unwrap()
            }
        }
    }

    /// A path that the pattern matches, made as `choices` say.
    fn fill(&self, choices: &[u8]) -> Vec<u8> {
        let mut choices = choices.iter().copied().cycle();
        let mut choose = |from: &[u8]| from[usize::from(choices.next().unwrap_or(0)) % from.len()];
        let mut path = Vec::new();
        match self {
            Self::Path(atoms) => {
                for atom in atoms {
                    match atom {
                        Atom::Byte(byte) => path.push(*byte),
                        Atom::Any => path.push(choose(b"abc.\xff")),
                        Atom::Class(_, members) => path.push(choose(members)),
                        Atom::Star => path.extend((0..choose(&[0, 1, 2])).map(|_| choose(b"ab.c")).collect::<Vec<_>>()),
                        Atom::Globstar => path.extend((0..choose(&[0, 1, 4])).map(|_| choose(b"/ab./")).collect::<Vec<_>>()),
                    }
                }
            }
            Self::Key(ranges) => path.extend(ranges.iter().map(|&(low, high)| choose(&[low, high, low.midpoint(high)]))),
        }
        path
    }
}

fn atom_text(atom: &Atom) -> String {
    match atom {
        Atom::Byte(byte) => char::from(*byte).to_string(),
        Atom::Any => "?".into(),
        Atom::Star => "*".into(),
        Atom::Globstar => "**".into(),
        Atom::Class(text, _) => (*text).into(),
    }
}

fn atom() -> impl Strategy<Value = Atom> {
    prop_oneof![
        8 => prop::sample::select(LETTERS).prop_map(Atom::Byte),
        1 => Just(Atom::Any),
        2 => Just(Atom::Star),
        1 => Just(Atom::Globstar),
        1 => Just(Atom::Class("[ab]", b"ab")),
        1 => Just(Atom::Class("[^a]", b"bc.\xff")),
        1 => Just(Atom::Class(r"[.-c\xff]", b".0Aabc\xff")),
    ]
}

/// A component: not empty, not dots, no two wildcards in a row.
fn component() -> impl Strategy<Value = Vec<Atom>> {
    let wild = |atom: &Atom| matches!(atom, Atom::Star | Atom::Globstar);
    prop::collection::vec(atom(), 1..5).prop_map(move |mut atoms| {
        atoms.dedup_by(|a, b| wild(a) && wild(b));
        if atoms.len() <= 2 && atoms.iter().all(|atom| matches!(atom, Atom::Byte(b'.'))) {
            atoms.push(Atom::Byte(b'a'));
        }
        atoms
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let path = prop::collection::vec(component(), 1..4).prop_map(|components| {
        let mut atoms = Vec::new();
        for component in components {
            atoms.push(Atom::Byte(b'/'));
            atoms.extend(component);
        }
        Rule::Path(atoms)
    });
    let key = prop::collection::vec((any::<u8>(), any::<u8>()), 0..4).prop_map(|ranges| {
        let ranges = ranges.into_iter().map(|(a, b)| (a.min(b), a.max(b)));
        Rule::Key(std::iter::once((0, 3)).chain(ranges).collect())
    });
    prop_oneof![9 => path, 1 => key]
}

/// How a path is made of some rule: which, with what in place of the wildcards, and what is changed then.
type Seed = (prop::sample::Index, Vec<u8>, Vec<(u8, prop::sample::Index, u8)>);

fn seed() -> impl Strategy<Value = Seed> {
    let edit = (0_u8..4, any::<prop::sample::Index>(), prop::sample::select(EDITS));
    (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..6), prop::collection::vec(edit, 0..3))
}

fn path(rules: &[(Rule, u32)], (rule, choices, edits): &Seed) -> Vec<u8> {
    let mut path = rule.get(rules).0.fill(choices);
    for (kind, place, byte) in edits {
        let place = place.index(path.len() + 1);
        match kind {
            0 => path.insert(place, *byte),
            1 if place < path.len() => path[place] = *byte,
            2 if place < path.len() => drop(path.remove(place)),
            _ => path.truncate(place),
        }
    }
    path
}

fn rules() -> impl Strategy<Value = Vec<(Rule, u32)>> {
    prop::collection::vec((rule(), 1_u32..16), 1..8)
}

fn merges() -> impl Strategy<Value = Merge> {
    prop_oneof![Just((|a, b| a | b) as Merge), Just((|a, b| a.max(b)) as Merge)]
}

fn table<'a>(rules: impl IntoIterator<Item = &'a (Rule, u32)>, merge: Merge) -> Table {
    let mut builder = Builder::new(merge);
    for (rule, accept) in rules {
        builder.add(&rule.pattern(), *accept).unwrap();
    }
    builder.build().unwrap()
}

fn cases(default: u32) -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().map_or(default, |cases| cases.parse().expect("PROPTEST_CASES is a number"));
    let seeds = FileFailurePersistence::Direct("proptest-regressions/law.txt");
    Config { cases, failure_persistence: Some(Box::new(seeds)), ..Config::default() }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn a_table_accepts_exactly_what_its_patterns_match(
        rules in rules(),
        merge in merges(),
        seeds in prop::collection::vec(seed(), 12),
    ) {
        let table = table(&rules, merge);
        let patterns: Vec<(Pattern, u32)> = rules.iter().map(|(rule, accept)| (rule.pattern(), *accept)).collect();
        for seed in &seeds {
            let path = path(&rules, seed);
            let matching = patterns.iter().filter(|(pattern, _)| pattern.matches(&path)).map(|(_, accept)| *accept);
            let expected = matching.reduce(merge).unwrap_or(0);
            prop_assert_eq!(table.accept_of(&path), expected, "path {}", path.escape_ascii());
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn the_order_and_number_of_equal_rules_leave_no_trace(
        rules in rules(),
        merge in merges(),
        shuffled in Just(()).prop_perturb(|(), rng| rng),
    ) {
        let mut rng = shuffled;
        let mut others = rules.clone();
        others.extend_from_slice(&rules[..rules.len() / 2]);
        for place in (1..others.len()).rev() {
            others.swap(place, rng.random_range(0..=place));
        }
        prop_assert_eq!(table(&rules, merge), table(&others, merge));
    }

    #[test]
    fn a_path_of_no_wildcard_is_matched_by_its_own_pattern(rules in rules(), seed in seed()) {
        let path = path(&rules, &seed);
        if let Ok(literal) = Pattern::literal(&path) {
            let mut builder = Builder::new(|a, b| a | b);
            builder.add(&literal, 1).unwrap();
            for (rule, _) in &rules {
                builder.add(&rule.pattern(), 2).unwrap();
            }
            prop_assert_eq!(builder.build().unwrap().accept_of(&path) & 1, 1);
        }
    }

    #[test]
    fn a_dead_walk_never_comes_back(rules in rules(), seed in seed(), tail in prop::collection::vec(any::<u8>(), 0..8)) {
        let table = table(&rules, |a, b| a | b);
        let mut state = State::START;
        let mut died = false;
        for byte in path(&rules, &seed).into_iter().chain(tail) {
            state = step(&table, state, byte);
            died |= state == State::DEAD;
            prop_assert!(!died || (state == State::DEAD && accept(&table, state) == 0));
        }
    }

    #[test]
    fn tables_survive_the_wire(rules in rules(), merge in merges()) {
        let table = table(&rules, merge);
        let bytes = table.to_bytes();
        prop_assert_eq!(Table::from_bytes(&bytes), Ok(table.clone()));
        prop_assert_eq!(Table::from_slots(table.slots().to_vec()), Ok(table));
    }
}
