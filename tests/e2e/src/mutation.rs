//! Whether each hook is needed: what fails where it is not attached.
//!
//! A *mutant* is the enforcer with one program detached. Nothing of the enforcer knows of it: root on the node unlinks the program's pin, which is
//! its only reference, once the agent says that it enforces ([`crate::enforcer::Enforcer::start`], by the variable [`LEAVE_OUT`] of the test's own
//! environment). A folder takes the pin's name, so that an agent that starts next takes the rest over as it is.
//!
//! ```text
//!  for each program:  PORTCULLIS_LEAVE_OUT=program  cargo test --test FILE -- --exact TEST::on_v6_12 …   each must fail
//! ```
//!
//! Which tests are to fail is [`CLAIMS`]. What came of the last run is [`Record`], and a table of it in [`Recorded::DOCUMENT`]. `make test` does not run the
//! mutants, which takes half an hour, but holds that every program has a claim, that every test named exists, and that the table says what the
//! record does.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use crate::record::Recorded;

mod claims;

pub use claims::{CLAIMS, Claim};

/// The variable that names the program to leave out.
pub const LEAVE_OUT: &str = "PORTCULLIS_LEAVE_OUT";
/// What the harness says once the program is detached; without it, a test that fails shows nothing.
pub const LEFT_OUT: &str = "left out:";

/// For each program, the tests that failed without it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub BTreeMap<String, Vec<String>>);

impl Recorded for Record {
    const RECORD: &str = "tests/e2e/mutation.json";
    const DOCUMENT: &str = "docs/evasions.md";
    const UPDATE: &str = "make mutation";

    /// The record as Markdown, a line a program.
    fn table(&self) -> String {
        let mut table = "| without | fails |\n|---|---|\n".to_owned();
        for (program, tests) in &self.0 {
            let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
            let _ = writeln!(table, "| `{program}` | {} |", tests.join(", "));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::in_repository;
    use std::{collections::BTreeSet, fs};

    /// The programs that the enforcer attaches, from its source: it is no library of this package's.
    fn programs() -> BTreeSet<String> {
        let source = fs::read_to_string(in_repository("enforcer/src/kernel/load.rs")).unwrap();
        let (_, list) = source.split_once("pub const PROGRAMS").unwrap();
        let (list, _) = list.split_once("];").unwrap();
        let names = list.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split_once('"'));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn every_program_has_a_claim() {
        let claimed: BTreeSet<String> = CLAIMS.iter().map(|claim| claim.program.to_owned()).collect();
        assert!(programs().len() > 40, "the list of programs is written otherwise than this test reads it");
        assert_eq!(claimed, programs(), "the claims (left) are not those of the programs (right)");
    }

    #[test]
    fn every_test_that_is_claimed_exists() {
        for Claim { program, tests } in CLAIMS {
            assert!(!tests.is_empty(), "{program}");
            for test in *tests {
                assert!(exists(test), "{test}");
            }
        }
    }

    /// Whether a test `FILE::TEST` is made for every kernel.
    fn exists(test: &str) -> bool {
        let Some((file, name)) = test.split_once("::") else { return false };
        let sources = ["tests/e2e/tests/{}.rs", "tests/e2e/tests/{}/main.rs"].map(|path| in_repository(&path.replace("{}", file)));
        sources.iter().filter_map(|path| fs::read_to_string(path).ok()).any(|source| source.contains(&format!("    {name},\n")))
    }

    #[test]
    fn every_test_that_the_document_names_exists() {
        let document = fs::read_to_string(in_repository(Record::DOCUMENT)).unwrap();
        let named: Vec<&str> = document.split('`').filter(|code| code.contains("::") && !code.starts_with("file::")).collect();
        assert!(named.len() > 30, "{named:?}");
        for test in named {
            assert!(exists(test), "{test}");
        }
    }

    #[test]
    fn what_is_recorded_was_claimed() {
        for (program, tests) in Record::load().unwrap().0 {
            let claim = CLAIMS.iter().find(|claim| claim.program == program);
            assert!(claim.is_some_and(|claim| tests.iter().all(|test| claim.tests.contains(&test.as_str()))), "{program}: {tests:?}");
            assert!(!tests.is_empty(), "nothing failed without {program}");
        }
    }
}
