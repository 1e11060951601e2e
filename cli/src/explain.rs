//! `portcullis explain`: what a check or a policy forbids and why, from its own definition.

use std::io::{self, Write};

use portcullis_admission::{CHECKS, Check, Revision};

use crate::Status;
use crate::args::ExplainArgs;

mod controls;

/// Writes what was asked for.
///
/// # Errors
/// It cannot be written.
pub fn run(args: &ExplainArgs, output: &mut impl Write) -> io::Result<Status> {
    if args.markdown {
        write_reference(output)?;
        return Ok(Status::Passed);
    }
    let known = match controls::known(&args.policy) {
        Ok(known) => known,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("portcullis: {problem}"));
            return Ok(Status::Failed);
        }
    };
    if args.policies_markdown {
        controls::write_reference(&known, output)?;
        return Ok(Status::Passed);
    }
    if args.checks.is_empty() {
        write_list(output)?;
        controls::write_list(&known, output)?;
    }
    for (index, id) in args.checks.iter().enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        if let Some(check) = CHECKS.iter().find(|check| check.id.eq_ignore_ascii_case(id)) {
            write_check(check, output)?;
        } else if !controls::write(&known, id, output)? {
            eprintln!(
                "portcullis: there is no check {id:?} and no such policy; run `portcullis explain` for a list, or name its file by --policy"
            );
            return Ok(Status::Failed);
        }
    }
    Ok(Status::Passed)
}

fn write_list(output: &mut impl Write) -> io::Result<()> {
    for check in CHECKS {
        writeln!(output, "{:<27} {:<11} {}", check.id, check.level, check.why)?;
    }
    Ok(())
}

fn write_check(check: &Check, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "{} ({})\n\n{}\n\nFields:", check.id, check.level, check.why)?;
    for field in check.fields {
        writeln!(output, "  {field}")?;
    }
    writeln!(output, "\nAllowed:")?;
    for allowed in check.allowed {
        writeln!(output, "  {allowed}")?;
    }
    writeln!(output, "\nVersions:")?;
    for revision in check.revisions {
        writeln!(output, "  {}", describe(revision))?;
    }
    Ok(())
}

fn describe(revision: &Revision) -> String {
    let mut text = format!("since v1.{}", revision.since);
    if !revision.change.is_empty() {
        text.push_str(&format!(": {}", revision.change));
    }
    if !revision.overrides.is_empty() {
        text.push_str(&format!(" (in place of {})", revision.overrides.join(", ")));
    }
    text
}

/// The reference of all checks, as it is in the documentation.
fn write_reference(output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "| check | level | fields | allowed | versions |\n|---|---|---|---|---|")?;
    for check in CHECKS {
        let code = |texts: &[&str]| texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join("<br>");
        let versions = check.revisions.iter().map(describe).collect::<Vec<_>>().join("<br>");
        writeln!(output, "| `{}` | {} | {} | {} | {versions} |", check.id, check.level, code(check.fields), check.allowed.join("<br>"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(check: Option<&str>, markdown: bool) -> (Status, String) {
        let mut output = Vec::new();
        let status = run(
            &ExplainArgs { checks: check.into_iter().map(str::to_owned).collect(), policy: Vec::new(), markdown, policies_markdown: false },
            &mut output,
        )
        .unwrap();
        (status, String::from_utf8(output).unwrap())
    }

    #[test]
    fn explains_a_check_by_its_id_in_any_case() {
        let (status, text) = explain(Some("procmount"), false);
        assert_eq!(status, Status::Passed);
        assert!(text.starts_with("procMount (baseline)\n"), "{text}");
        assert!(text.ends_with("Versions:\n  since v1.0\n  since v1.35: anything is allowed where spec.hostUsers is false\n"), "{text}");
    }

    #[test]
    fn lists_every_check() {
        for markdown in [false, true] {
            let (_, text) = explain(None, markdown);
            assert!(CHECKS.iter().all(|check| text.contains(check.id)), "{text}");
        }
    }

    #[test]
    fn fails_for_a_check_that_there_is_not() {
        assert_eq!(explain(Some("nothing"), false).0, Status::Failed);
    }
}
