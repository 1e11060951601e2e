//! For CI: JUnit XML, a test case for each workload.

use std::io::{self, Write};

use crate::findings::{CheckError, Findings, Judged};

/// Writes the report, one XML document.
///
/// # Errors
/// It cannot be written.
pub fn write(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    let tests = findings.workloads.len().saturating_add(findings.errors.len());
    let (failures, errors) = (findings.violating(), findings.errors.len());
    let counts = format!(r#"tests="{tests}" failures="{failures}" errors="{errors}""#);
    writeln!(output, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(output, r#"<testsuites name="portcullis {}" {counts}>"#, findings.origin.command())?;
    writeln!(output, r#"  <testsuite name="{}" {counts}>"#, escape(&findings.judged_by))?;
    for judged in &findings.workloads {
        write_judged(findings, judged, output)?;
    }
    for error in &findings.errors {
        write_error(error, output)?;
    }
    writeln!(output, "  </testsuite>\n</testsuites>")
}

fn write_judged(findings: &Findings, judged: &Judged, output: &mut impl Write) -> io::Result<()> {
    let (name, class) = (escape(&judged.identity.to_string()), escape(&judged.source));
    if !judged.violates() {
        return writeln!(output, r#"    <testcase name="{name}" classname="{class}"/>"#);
    }
    writeln!(output, r#"    <testcase name="{name}" classname="{class}">"#)?;
    let of_standard = judged.violations.iter().map(|located| located.violation.to_string());
    let of_policies = judged.policies.iter().map(|located| format!("{}: {}", located.id(), located.violation.message));
    let message = of_standard.chain(of_policies).collect::<Vec<_>>().join(", ");
    let of_standard = judged.violations.iter().flat_map(|located| &located.violation.findings).map(ToString::to_string);
    let of_policies = judged.policies.iter().flat_map(|located| &located.violation.findings).map(ToString::to_string);
    let body = of_standard.chain(of_policies).collect::<Vec<_>>().join("\n");
    let message = format!("violates {}: {message}", findings.judged_by);
    writeln!(output, r#"      <failure type="violation" message="{}">{}</failure>"#, escape(&message), escape(&body))?;
    writeln!(output, "    </testcase>")
}

fn write_error(error: &CheckError, output: &mut impl Write) -> io::Result<()> {
    let (name, message) = (escape(&error.source), escape(&error.message));
    writeln!(output, r#"    <testcase name="{name}" classname="{name}"><error type="error" message="{message}"/></testcase>"#)
}

/// Text for XML 1.0, in attributes and between tags. Characters that XML cannot have become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' | '\r' => escaped.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn has_a_case_for_every_workload_and_error() {
        let mut output = Vec::new();
        write(&example::findings(), &mut output).unwrap();
        let xml = String::from_utf8(output).unwrap();
        assert!(xml.contains(r#"<testsuite name="baseline:v1.30" tests="3" failures="1" errors="1">"#), "{xml}");
        assert!(xml.contains(r#"<testcase name="Pod good" classname="web.yaml"/>"#), "{xml}");
        assert!(xml.contains(r#"<failure type="violation" message="violates baseline:v1.30: host namespaces (hostPID=true), privileged (container &quot;a&lt;b&gt;&quot;"#), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), 3);
    }

    #[test]
    fn escapes_what_xml_cannot_have() {
        assert_eq!(escape("a&b<c>\"\n\u{1}"), "a&amp;b&lt;c&gt;&quot;&#10;\u{fffd}");
    }
}
