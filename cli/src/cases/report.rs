//! What became of cases, in each format.

use std::io::{self, Write};

use serde_json::json;

use super::Ran;
use crate::report::{count, junit::escape};

pub(super) fn text(ran: &[Ran], output: &mut impl Write) -> io::Result<()> {
    let (mut cases, mut wrong, mut errors) = (0_usize, 0_usize, 0_usize);
    for suite in ran {
        let failed: Vec<_> = suite.cases.iter().filter(|(_, differences)| !differences.is_empty()).collect();
        cases = cases.saturating_add(suite.cases.len());
        wrong = wrong.saturating_add(failed.len());
        errors = errors.saturating_add(suite.errors.len());
        for (name, differences) in failed {
            writeln!(output, "{}: {name}", suite.folder)?;
            differences.iter().try_for_each(|difference| writeln!(output, "  {difference}"))?;
        }
        for error in &suite.errors {
            writeln!(output, "{}: error: {error}", suite.folder)?;
        }
    }
    write!(output, "{} in {}", count(cases, "case", "cases"), count(ran.len(), "folder", "folders"))?;
    match (wrong, errors) {
        (0, 0) => writeln!(output, ", all as expected"),
        _ => writeln!(output, "; {wrong} not as expected; {}", count(errors, "error", "errors")),
    }
}

pub(super) fn json(ran: &[Ran], output: &mut impl Write) -> io::Result<()> {
    let suites: Vec<_> = ran
        .iter()
        .map(|suite| {
            let cases: Vec<_> = suite
                .cases
                .iter()
                .map(|(name, differences)| json!({"name": name, "passed": differences.is_empty(), "differences": differences}))
                .collect();
            json!({"folder": suite.folder, "cases": cases, "errors": suite.errors})
        })
        .collect();
    serde_json::to_writer_pretty(&mut *output, &json!({ "suites": suites }))?;
    writeln!(output)
}

pub(super) fn junit(ran: &[Ran], output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"portcullis test\">")?;
    for suite in ran {
        let folder = escape(&suite.folder);
        let tests = suite.cases.len().saturating_add(suite.errors.len());
        let failures = suite.cases.iter().filter(|(_, differences)| !differences.is_empty()).count();
        let errors = suite.errors.len();
        writeln!(output, r#"  <testsuite name="{folder}" tests="{tests}" failures="{failures}" errors="{errors}">"#)?;
        for (name, differences) in &suite.cases {
            let name = escape(name);
            if differences.is_empty() {
                writeln!(output, r#"    <testcase name="{name}" classname="{folder}"/>"#)?;
            } else {
                let message = escape(&differences.join("\n"));
                writeln!(
                    output,
                    r#"    <testcase name="{name}" classname="{folder}"><failure type="difference" message="{message}"/></testcase>"#
                )?;
            }
        }
        for error in &suite.errors {
            let error = escape(error);
            writeln!(output, r#"    <testcase name="{folder}" classname="{folder}"><error type="error" message="{error}"/></testcase>"#)?;
        }
        writeln!(output, "  </testsuite>")?;
    }
    writeln!(output, "</testsuites>")
}
