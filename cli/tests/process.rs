//! The program as a process: what the shell gets.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const GOOD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {containers: [{name: a, image: x}]}\n";
const BAD: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec: {template: {spec: {hostNetwork: true}}}\n";

fn portcullis(arguments: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A process that refuses its command line does not read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn exits_0_if_everything_passes_1_if_something_violates_and_2_if_something_cannot_be_judged() {
    for (stdin, status) in [(GOOD.to_owned(), 0), (format!("{GOOD}---\n{BAD}"), 1), (format!("{BAD}---\na: [\n"), 2), (String::new(), 2)] {
        let output = portcullis(&["check", "-"], &stdin);
        assert_eq!(output.status.code(), Some(status), "{stdin}: {}", text(&output.stdout));
    }
    assert_eq!(portcullis(&["check", "/nonexistent.yaml"], "").status.code(), Some(2));
    assert_eq!(portcullis(&["check"], "").status.code(), Some(2));
    assert_eq!(portcullis(&["check", "--pod-security", "strict", "-"], GOOD).status.code(), Some(2));
}

#[test]
fn judges_by_the_standard_that_is_asked_for() {
    for (standard, status) in [("privileged", 0), ("baseline", 0), ("restricted:v1.0", 1), ("restricted:latest", 1)] {
        assert_eq!(portcullis(&["check", "--pod-security", standard, "-"], GOOD).status.code(), Some(status), "{standard}");
    }
}

#[test]
fn checks_folders_and_reports_in_every_format_without_colours_when_piped() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.yaml"), GOOD).unwrap();
    fs::write(folder.path().join("bad.yml"), BAD).unwrap();
    let path = folder.path().to_str().unwrap();
    for (format, expected) in [
        ("text", "Deployment bad violates baseline:latest"),
        ("json", "\"violating\": 1"),
        ("sarif", "\"ruleId\": \"hostNamespaces\""),
        ("junit", "tests=\"2\" failures=\"1\" errors=\"0\""),
    ] {
        let output = portcullis(&["check", "-o", format, path], "");
        let report = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert!(report.contains(expected), "{report}");
        assert!(!report.contains('\u{1b}'), "{report}");
    }
    let coloured = portcullis(&["check", "--color", "always", path], "");
    assert!(text(&coloured.stdout).contains('\u{1b}'));
}

#[test]
fn explains_checks() {
    let output = portcullis(&["explain", "hostNamespaces"], "");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("spec.hostPID"));
    assert_eq!(portcullis(&["explain", "nothing"], "").status.code(), Some(2));
}
