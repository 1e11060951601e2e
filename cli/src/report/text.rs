//! For people: what is wrong, where, and what to change.
//!
//! Names come from whoever wrote the manifest, so control characters are shown as `?`: they must not reach a terminal.

use std::io::{self, Write};

use super::count;
use crate::findings::{CheckError, Findings, Judged, Origin};

/// SGR sequences, or nothing.
struct Style {
    bad: &'static str,
    good: &'static str,
    strong: &'static str,
    faint: &'static str,
    end: &'static str,
}

const PLAIN: Style = Style { bad: "", good: "", strong: "", faint: "", end: "" };
const COLOURED: Style = Style { bad: "\x1b[31;1m", good: "\x1b[32m", strong: "\x1b[1m", faint: "\x1b[2m", end: "\x1b[0m" };

/// Writes the report.
///
/// # Errors
/// It cannot be written.
pub fn write(findings: &Findings, coloured: bool, output: &mut impl Write) -> io::Result<()> {
    let style = if coloured { &COLOURED } else { &PLAIN };
    for judged in findings.workloads.iter().filter(|judged| !judged.violations.is_empty() || !judged.policies.is_empty()) {
        write_judged(findings, judged, style, output)?;
    }
    for error in &findings.errors {
        write_error(error, style, output)?;
    }
    write_summary(findings, style, output)
}

/// What a terminal may be given.
fn printable(text: &impl ToString) -> String {
    text.to_string().replace(char::is_control, "?")
}

fn place(source: &str, line: Option<u64>) -> String {
    match line {
        Some(line) => format!("{}:{line}", printable(&source)),
        None => printable(&source),
    }
}

fn write_judged(findings: &Findings, judged: &Judged, style: &Style, output: &mut impl Write) -> io::Result<()> {
    let Style { bad, strong, faint, end, .. } = style;
    // The path at an API server says nothing that the object's name does not.
    let place = match findings.origin {
        Origin::Files => format!("{}: ", place(&judged.source, judged.line)),
        Origin::Cluster => String::new(),
    };
    // What is only warned of or noted does not make the command fail.
    let verdict = if judged.violates() { format!("{bad}violates{end}") } else { "is warned of by".to_owned() };
    write!(output, "{place}{strong}{}{end} {verdict} {}", printable(&judged.identity), findings.judged_by)?;
    match judged.standard.filter(|_| findings.standard.is_none()) {
        Some(standard) => writeln!(output, " ({standard})")?,
        None => writeln!(output)?,
    }
    for located in &judged.violations {
        writeln!(output, "  {strong}{}{end}: {}", located.violation.check, printable(&located.violation))?;
        for (finding, line) in located.violation.findings.iter().zip(&located.lines) {
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            writeln!(output, "    {faint}{line}{end}{}", printable(finding))?;
        }
    }
    for located in &judged.policies {
        let said = printable(&located.violation.message);
        writeln!(output, "  {strong}{}{end} ({}): {said}", printable(&located.id()), located.effect())?;
        for (finding, line) in located.violation.findings.iter().zip(&located.lines) {
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            writeln!(output, "    {faint}{line}{end}{}", printable(finding))?;
        }
        if located.violation.more_findings > 0 {
            writeln!(output, "    and {} more fields", located.violation.more_findings)?;
        }
    }
    writeln!(output)
}

fn write_error(error: &CheckError, style: &Style, output: &mut impl Write) -> io::Result<()> {
    let Style { bad, end, .. } = style;
    let place = place(&error.source, error.line);
    let separator = if place.is_empty() { "" } else { ": " };
    writeln!(output, "{place}{separator}{bad}error{end}: {}", printable(&error.message))
}

/// What a policy is for may be no workload.
fn kind_of(findings: &Findings) -> &'static str {
    if findings.standard.is_some() { "workload" } else { "object" }
}

fn write_summary(findings: &Findings, style: &Style, output: &mut impl Write) -> io::Result<()> {
    let violating = findings.violating();
    let of = count(findings.workloads.len(), kind_of(findings), &format!("{}s", kind_of(findings)));
    let verdict = match violating {
        0 => format!("{}{of}{} judged by {}, none violates it", style.good, style.end, findings.judged_by),
        1 => format!("{}1{} of {of} violates {}", style.bad, style.end, findings.judged_by),
        _ => format!("{}{violating}{} of {of} violate {}", style.bad, style.end, findings.judged_by),
    };
    write!(output, "{verdict}")?;
    let waivers: usize = findings.workloads.iter().map(|judged| judged.waivers.len()).sum();
    if waivers > 0 {
        write!(output, "; {}", count(waivers, "exception used", "exceptions used"))?;
    }
    if findings.others > 0 {
        write!(
            output,
            "; {} {}",
            count(findings.others, "object", "objects"),
            if findings.standard.is_some() { "without a pod" } else { "not judged" }
        )?;
    }
    if !findings.errors.is_empty() {
        write!(output, "; {}", count(findings.errors.len(), "error", "errors"))?;
    }
    writeln!(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::report::example;
    use crate::source::Source;

    fn text(coloured: bool) -> String {
        let mut output = Vec::new();
        write(&example::findings(), coloured, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn names_each_field_its_line_and_the_change_that_would_pass() {
        assert_eq!(
            text(false),
            "\
web.yaml:1: Deployment shop/web violates baseline:v1.30
  hostNamespaces: host namespaces (hostPID=true)
    line 9: spec.template.spec.hostPID is true; allowed: unset or false; remove spec.template.spec.hostPID
  privileged: privileged (container \"a<b>\" must not set securityContext.privileged=true)
    line 13: spec.template.spec.containers[0].securityContext.privileged is true; allowed: unset or false; set spec.template.spec.containers[0].securityContext.privileged to false

web.yaml:22: error: cannot judge Pod broken: spec.hostPID: must be a boolean, is a string
1 of 2 workloads violates baseline:v1.30; 1 object without a pod; 1 error
"
        );
    }

    #[test]
    fn keeps_control_characters_from_the_terminal() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: \"a\\eb\"}\nspec: {containers: [{name: \"\\e]0;x\\a\", securityContext: {privileged: true}}]}\n";
        let source = Source { name: "x\u{1b}.yaml".to_owned(), named: true, text: text.to_owned() };
        let mut output = Vec::new();
        write(&check("baseline".parse().unwrap(), vec![Ok(source)]), false, &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert!(text.contains("x?.yaml:1: Pod a?b violates") && text.contains("\"?]0;x?\""), "{text}");
    }

    #[test]
    fn colours_change_nothing_else() {
        let coloured = text(true);
        let plain = [COLOURED.bad, COLOURED.good, COLOURED.strong, COLOURED.faint, COLOURED.end]
            .iter()
            .fold(coloured.clone(), |text, style| text.replace(style, ""));
        assert_ne!(coloured, plain);
        assert_eq!(plain, text(false));
    }
}
