//! How many rules were learned of each application: what was recorded, and what a run says now.
//!
//! The figures may move a little from run to run, since not every run meets the same moment (a file that is there already, a worker that is
//! faster). One that moves by more than [`TOLERANCE_PERCENT`] is a change of what learning does, and so a decision.

use std::{collections::BTreeMap, fmt::Write as _, sync::Mutex};

use portcullis_api::{ContainerRules, Token};
use serde::{Deserialize, Serialize};

use crate::record::Recorded;

/// By how much a sum may differ from the recorded one.
pub const TOLERANCE_PERCENT: usize = 20;
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
            // System calls are recorded, and are no rules.
            other: rules.tokens().filter(Token::is_granted).count(),
        }
    }

    /// All together.
    #[must_use]
    pub fn sum(&self) -> usize {
        self.exec + self.files + self.network + self.other
    }
}

/// The figures by application, then by kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub BTreeMap<String, BTreeMap<String, Counts>>);

impl Recorded for Record {
    const RECORD: &str = "tests/e2e/learning.json";
    const DOCUMENT: &str = "docs/learning.md";
    const UPDATE: &str = "UPDATE=1 cargo test -p portcullis-e2e --test applications";

    /// The figures as Markdown, a line an application and a kernel.
    fn table(&self) -> String {
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
}

impl Record {
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
    record
        .complaint(application, kernel, now)
        .map_or(Ok(()), |complaint| Err(format!("{complaint}\nIf this is meant: {}", Record::UPDATE).into()))
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

    #[test]
    fn only_applications_that_are_run_are_recorded() {
        let record = Record::load().unwrap();
        let all: Vec<&str> = crate::applications::ALL.iter().map(|application| application.name).collect();
        assert!(record.0.keys().all(|name| all.contains(&name.as_str())), "{:?}", record.0.keys());
    }
}
