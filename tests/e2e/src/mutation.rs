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
//! Which tests are to fail is [`CLAIMS`]. What came of the last run is [`RECORD`], and a table of it in [`DOCUMENT`]. `make test` does not run the
//! mutants, which takes half an hour, but holds that every program has a claim, that every test named exists, and that the table says what the
//! record does.

use std::{collections::BTreeMap, fmt::Write as _, fs, io};

use crate::{
    document::{self, in_repository},
    error::Error,
};

mod claims;

pub use claims::{CLAIMS, Claim};

/// The variable that names the program to leave out.
pub const LEAVE_OUT: &str = "PORTCULLIS_LEAVE_OUT";
/// What the harness says once the program is detached; without it, a test that fails shows nothing.
pub const LEFT_OUT: &str = "left out:";
/// The command that runs the mutants and records what came of it.
pub const UPDATE: &str = "make mutation";
/// The tests that failed, by program; relative to the repository.
pub const RECORD: &str = "tests/e2e/mutation.json";
/// The document with the table, relative to the repository.
pub const DOCUMENT: &str = "docs/evasions.md";

/// For each program, the tests that failed without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record(pub BTreeMap<String, Vec<String>>);

impl Record {
    /// What is recorded in the repository; nothing where there is no record.
    ///
    /// # Errors
    /// Where the file cannot be read or is no record.
    pub fn load() -> Result<Self, Error> {
        let text = match fs::read_to_string(in_repository(RECORD)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => "{}".to_owned(),
            text => text.map_err(failed("read", RECORD))?,
        };
        serde_json::from_str(&text).map(Self).map_err(|error| failed("understand", RECORD)(io::Error::other(error)))
    }

    /// Records, and puts the table into the document.
    ///
    /// # Errors
    /// Where a file cannot be written, or the document has no place for the table.
    pub fn save(&self) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(&self.0).unwrap_or_default();
        text.push('\n');
        fs::write(in_repository(RECORD), text).map_err(failed("write", RECORD))?;
        fs::write(in_repository(DOCUMENT), self.documented()?).map_err(failed("write", DOCUMENT))
    }

    /// The document as it should be.
    ///
    /// # Errors
    /// Where it cannot be read, or has no place for the table.
    pub fn documented(&self) -> Result<String, Error> {
        let document = fs::read_to_string(in_repository(DOCUMENT)).map_err(failed("read", DOCUMENT))?;
        document::with_part(&document, UPDATE, &self.table()).map_err(|error| failed("change", DOCUMENT)(io::Error::other(error)))
    }

    /// The record as Markdown, a line a program.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = "| without | fails |\n|---|---|\n".to_owned();
        for (program, tests) in &self.0 {
            let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
            let _ = writeln!(table, "| `{program}` | {} |", tests.join(", "));
        }
        table
    }
}

fn failed(action: &str, path: &str) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("{action} {path}");
    move |source| Error::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
        let document = fs::read_to_string(in_repository(DOCUMENT)).unwrap();
        let named: Vec<&str> = document.split('`').filter(|code| code.contains("::") && !code.starts_with("file::")).collect();
        assert!(named.len() > 30, "{named:?}");
        for test in named {
            assert!(exists(test), "{test}");
        }
    }

    #[test]
    fn the_document_shows_what_is_recorded() {
        let record = Record::load().unwrap();
        assert!(record.documented().unwrap() == fs::read_to_string(in_repository(DOCUMENT)).unwrap(), "{DOCUMENT} is stale: run {UPDATE}");
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
