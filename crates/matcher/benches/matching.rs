//! What compiling costs, and what a path costs, by the number of rules, beside what else could answer the question:
//!
//! * *table*: the walk that the kernel does too, a step a byte;
//! * *hash*: one look-up in a hash set, the least that any answer costs; it knows no wildcards;
//! * *one by one*: every pattern in turn, as a list of rules is matched without an automaton. It asks the reference matcher, which is written to be
//!   plain and not fast: what it shows is the growth.
//!
//! The table should stay level and near the hash, and the list grow with the rules.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::{Bencher, black_box, counter::ItemsCount};
use portcullis_matcher::{Builder, Limits, Pattern, Table};
use std::collections::HashSet;

/// A learned profile's size, and far more.
const RULES: [u32; 3] = [500, 10_000, 100_000];

/// Rules to which a list is put: a hundred thousand would take milliseconds for each path.
const FEW: [u32; 2] = [500, 10_000];

/// What generalising leaves in a learned profile.
const GLOBS: [&str; 4] = ["/proc/*/status", "/tmp/tmp????????", "/var/log/nginx/**", "/usr/local/share/*.so.[0-9]*"];

/// Paths that are asked for.
const ASKED: usize = 256;

fn main() {
    divan::main();
}

/// Literal paths of the kinds that containers use, no two equal.
fn paths(rules: u32) -> Vec<String> {
    let path = |index: u32| {
        // An odd factor visits every number of 24 bits once.
        let name = index.wrapping_mul(0x9e_3779) & 0xff_ffff;
        match index % 4 {
            0 => format!("/usr/lib/x86_64-linux-gnu/lib{name:06x}.so.1.2"),
            1 => format!("/usr/local/lib/python3.12/site-packages/app/{name:06x}.py"),
            2 => format!("/usr/bin/tool-{name:06x}"),
            _ => format!("/var/lib/postgresql/data/base/{name}"),
        }
    };
    (0..rules).map(path).collect()
}

/// The patterns of a profile.
fn patterns(rules: u32) -> Vec<Pattern> {
    let literal = paths(rules).into_iter().map(|path| Pattern::literal(path.as_bytes()).unwrap());
    literal.chain(GLOBS.map(|glob| Pattern::parse(glob).unwrap())).collect()
}

fn compiled(patterns: &[Pattern]) -> Table {
    let mut builder = Builder::new(|a, b| a | b).limits(Limits { states: 1 << 22, slots: 1 << 22 });
    for pattern in patterns {
        builder.add(pattern, 1).unwrap();
    }
    builder.build().unwrap()
}

/// Paths spread over the rules: every other one is in none.
fn asked(rules: u32) -> Vec<String> {
    // An odd step meets every kind of path equally often.
    let step = (rules as usize / ASKED).saturating_sub(1) | 1;
    let spread = paths(rules).into_iter().step_by(step).take(ASKED);
    spread.enumerate().map(|(index, path)| if index % 2 == 0 { path } else { path + "~" }).collect()
}

#[divan::bench(args = RULES, max_time = 5)]
fn compile(bencher: Bencher<'_, '_>, rules: u32) {
    let patterns = patterns(rules);
    bencher.counter(ItemsCount::new(rules)).bench(|| compiled(black_box(&patterns)));
}

/// Each figure is of [`ASKED`] paths; the throughput is in paths.
mod ask {
    use super::{Bencher, FEW, HashSet, ItemsCount, RULES, asked, black_box, compiled, paths, patterns};

    fn count(bencher: Bencher<'_, '_>, rules: u32, grants: impl Fn(&[u8]) -> bool + Sync) {
        let asked = asked(rules);
        let granted = || asked.iter().filter(|path| grants(black_box(path.as_bytes()))).count();
        assert_eq!(granted(), asked.len() / 2, "half of the paths are granted");
        bencher.counter(ItemsCount::new(asked.len())).bench(granted);
    }

    #[divan::bench(args = RULES)]
    fn table(bencher: Bencher<'_, '_>, rules: u32) {
        let table = compiled(&patterns(rules));
        count(bencher, rules, |path| table.accept_of(path) != 0);
    }

    #[divan::bench(args = RULES)]
    fn hash(bencher: Bencher<'_, '_>, rules: u32) {
        let set: HashSet<Vec<u8>> = paths(rules).into_iter().map(String::into_bytes).collect();
        count(bencher, rules, |path| set.contains(path));
    }

    #[divan::bench(args = FEW, max_time = 2)]
    fn one_by_one(bencher: Bencher<'_, '_>, rules: u32) {
        let patterns = patterns(rules);
        count(bencher, rules, |path| patterns.iter().any(|pattern| pattern.matches(path)));
    }
}
