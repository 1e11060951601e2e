//! Whether one pattern matches all that another does: exact, so that *covers* is transitive and merging does not depend on an order.

use portcullis_api::PathPattern;
use portcullis_matcher::{Builder, Limits, State, Table, accept, step};
use std::{cmp::Ordering, collections::BTreeSet};

/// Two patterns whose common automaton is larger than this are taken to cover nothing of each other, and both rules stay.
const LIMITS: Limits = Limits { states: 1 << 14, slots: 1 << 17 };

const COVERING: u32 = 1;
const COVERED: u32 = 2;

/// Whether every path that `covered` matches is one that `covering` matches.
pub(crate) fn covers(covering: &PathPattern, covered: &PathPattern) -> bool {
    if covering == covered {
        return true;
    }
    if !heads_agree(covering, covered) {
        return false;
    }
    match (covering.pattern().is_literal(), covered.exact()) {
        (_, Some(path)) => covering.pattern().matches(&path),
        (true, None) => false,
        (false, None) => table_of(covering, covered).is_some_and(|table| includes(&table)),
    }
}

/// Whether `covering` makes `covered` superfluous: as [`covers`], and of two that match the same paths, only the lesser text.
pub(crate) fn supersedes(covering: &PathPattern, covered: &PathPattern) -> bool {
    match covering.cmp(covered) {
        Ordering::Equal => true,
        Ordering::Less => covers(covering, covered),
        Ordering::Greater => covers(covering, covered) && !covers(covered, covering),
    }
}

/// Whether the texts up to their first special characters allow one to cover the other. Cheap, and no for most pairs of a profile.
fn heads_agree(covering: &PathPattern, covered: &PathPattern) -> bool {
    let head = |path: &PathPattern| path.as_str().split(['*', '?', '[', '\\']).next().unwrap_or_default().len();
    let common = head(covering).min(head(covered));
    covering.as_str().as_bytes().get(..common) == covered.as_str().as_bytes().get(..common)
}

fn table_of(covering: &PathPattern, covered: &PathPattern) -> Option<Table> {
    let mut builder = Builder::new(|a, b| a | b).limits(LIMITS);
    builder.add(covering.pattern(), COVERING).ok()?;
    builder.add(covered.pattern(), COVERED).ok()?;
    builder.build().ok()
}

/// Whether no path reaches a state that only the covered pattern accepts.
fn includes(table: &Table) -> bool {
    let mut seen = BTreeSet::from([State::START.raw()]);
    let mut open = vec![State::START];
    while let Some(state) = open.pop() {
        if accept(table, state) == COVERED {
            return false;
        }
        for byte in 0..=u8::MAX {
            let next = step(table, state, byte);
            if next != State::DEAD && seen.insert(next.raw()) {
                open.push(next);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PathPattern {
        text.parse().unwrap()
    }

    #[test]
    fn covering_is_inclusion_of_what_matches() {
        for (covering, covered) in [
            ("/tmp/**", "/tmp/a"),
            ("/tmp/**", "/tmp/*"),
            ("/tmp/*", "/tmp/tmp????????"),
            ("/proc/[0-9]*/environ", "/proc/[0-9][0-9]/environ"),
            ("/a[bc]", "/ab"),
            (r"/\x61*", "/ab"),
            ("/**", "/x/[a-z]/?"),
        ] {
            assert!(covers(&path(covering), &path(covered)), "{covering} {covered}");
            assert!(!covers(&path(covered), &path(covering)), "{covered} {covering}");
        }
    }

    #[test]
    fn patterns_that_overlap_do_not_cover() {
        for (one, other) in [("/a*", "/*a"), ("/tmp/a?", "/tmp/?a"), ("/x/**", "/x*"), ("/a", "/b")] {
            assert!(!covers(&path(one), &path(other)) && !covers(&path(other), &path(one)), "{one} {other}");
        }
    }

    #[test]
    fn of_two_spellings_the_lesser_supersedes() {
        let (lesser, greater) = (path("/[ab]"), path("/[ba]"));
        assert!(covers(&lesser, &greater) && covers(&greater, &lesser));
        assert!(supersedes(&lesser, &greater) && !supersedes(&greater, &lesser));
    }
}
