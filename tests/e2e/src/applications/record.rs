//! How many rules were learned of each application: what was recorded, and what a run says now.
//!
//! The figures may move a little from run to run, since not every run meets the same moment (a file that is there already, a worker that is
//! faster). One that moves by more than [`TOLERANCE_PERCENT`] is a change of what learning does, and so a decision.

use std::{collections::BTreeMap, fmt::Write as _, fs, io, path::PathBuf, sync::Mutex};

use portcullis_api::ContainerRules;
use serde::{Deserialize, Serialize};

use crate::{
    document::{self, in_repository},
    error::Error,
};

/// By how much a sum may differ from the recorded one.
pub const TOLERANCE_PERCENT: usize = 20;
/// The command that records what runs say now.
pub const UPDATE: &str = "UPDATE=1 cargo test -p portcullis-e2e --test applications";
/// The figures, relative to the repository.
pub const RECORD: &str = "tests/e2e/learning.json";
/// The document with the table of the figures, relative to the repository.
pub const DOCUMENT: &str = "docs/learning.md";

/// Tests of two kernels run at once.
static WRITING: Mutex<()> = Mutex::new(());

/// How many rules of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    exec: usize,
    files: usize,
    network: usize,
    other: usize,
}

impl Counts {
    /// Those of a container.
    #[must_use]
    pub fn of(rules: &ContainerRules) -> Self {
        Self {
            exec: rules.exec.len(),
            files: rules.files.len(),
            network: rules.connect.len() + rules.bind.len(),
            other: rules.tokens().count(),
        }
    }

    /// All together.
    #[must_use]
    pub fn sum(&self) -> usize {
        self.exec + self.files + self.network + self.other
    }
}

/// The figures by application, then by kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record(pub BTreeMap<String, BTreeMap<String, Counts>>);

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

    fn save(&self) -> Result<(), Error> {
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

    /// The figures as Markdown, a line an application and a kernel.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = "| application | Linux | exec | files | connect, bind | capabilities and the like | all |\n\
                         |---|---|---:|---:|---:|---:|---:|\n"
            .to_owned();
        for (application, kernels) in &self.0 {
            for (kernel, counts) in kernels {
                let Counts { exec, files, network, other } = counts;
                let _ = writeln!(table, "| {application} | {kernel} | {exec} | {files} | {network} | {other} | {} |", counts.sum());
            }
        }
        table
    }

    /// What is wrong with the figures that a run says now, if anything is.
    #[must_use]
    pub fn complaint(&self, application: &str, kernel: &str, now: Counts) -> Option<String> {
        let Some(recorded) = self.0.get(application).and_then(|kernels| kernels.get(kernel)) else {
            return Some(format!("{} rules were learned of {application}, and none are recorded", now.sum()));
        };
        let (now, recorded) = (now.sum(), recorded.sum());
        let differs = now.abs_diff(recorded) * 100 > recorded * TOLERANCE_PERCENT;
        differs.then(|| format!("{now} rules were learned of {application}, and {recorded} are recorded"))
    }
}

/// Compares what was learned with what is recorded; with `UPDATE` in the environment, records it instead.
///
/// # Errors
/// The difference, or what is wrong with the files.
pub fn keep_or_compare(application: &str, kernel: &str, rules: &ContainerRules) -> Result<(), Box<dyn std::error::Error>> {
    let _turn = WRITING.lock().map_err(|_| "another test failed while it wrote the record")?;
    let mut record = Record::load()?;
    let now = Counts::of(rules);
    if std::env::var_os("UPDATE").is_some() {
        record.0.entry(application.to_owned()).or_default().insert(kernel.to_owned(), now);
        return Ok(record.save()?);
    }
    record.complaint(application, kernel, now).map_or(Ok(()), |complaint| Err(format!("{complaint}\nIf this is meant: {UPDATE}").into()))
}

fn failed(action: &str, path: &str) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("{action} {}", PathBuf::from(path).display());
    move |source| Error::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let counts = Counts { exec: 1, files: 9, network: 0, other: 0 };
        Record([("a".to_owned(), [("6.1".to_owned(), counts)].into())].into())
    }

    #[test]
    fn a_sum_may_move_by_a_fifth_and_no_more() {
        let now = |files| record().complaint("a", "6.1", Counts { exec: 1, files, network: 0, other: 0 });
        assert_eq!((now(7), now(11)), (None, None));
        assert_eq!(now(12).unwrap(), "13 rules were learned of a, and 10 are recorded");
        assert!(record().complaint("a", "6.12", Counts::default()).is_some(), "of another kernel");
    }

    #[test]
    fn the_table_has_a_line_for_each_application_and_kernel() {
        assert!(record().table().ends_with("| a | 6.1 | 1 | 9 | 0 | 0 | 10 |\n"));
    }

    /// The runs' own figures are compared in `tests/applications.rs`.
    #[test]
    fn the_document_shows_what_is_recorded() {
        let record = Record::load().unwrap();
        assert!(record.documented().unwrap() == fs::read_to_string(in_repository(DOCUMENT)).unwrap(), "{DOCUMENT} is stale: run {UPDATE}");
        let all: Vec<&str> = crate::applications::ALL.iter().map(|application| application.name).collect();
        assert!(record.0.keys().all(|name| all.contains(&name.as_str())), "{:?}", record.0.keys());
    }
}
