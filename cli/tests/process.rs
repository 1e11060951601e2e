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
fn what_is_told_the_shell_does_not_depend_on_who_reads_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.yaml");
    fs::write(&path, BAD).unwrap();
    for (arguments, status) in [(&["check"][..], 1), (&["check", "-o", "json"], 1), (&["check", "--pod-security", "privileged"], 0)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let mut child = command.args(arguments).args([&path, &path]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Nobody reads: the first write finds the pipe closed.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(status), ""), "{arguments:?}");
    }
}

#[test]
fn a_path_without_any_manifest_fails_beside_others_that_have_some() {
    let folder = tempfile::tempdir().unwrap();
    let (deploy, rendered) = (folder.path().join("deploy"), folder.path().join("rendered"));
    [&deploy, &rendered].into_iter().for_each(|path| fs::create_dir(path).unwrap());
    fs::write(deploy.join("good.yaml"), GOOD).unwrap();
    let (deploy, rendered) = (deploy.to_str().unwrap(), rendered.to_str().unwrap());
    assert_eq!(portcullis(&["check", deploy], "").status.code(), Some(0));
    let output = portcullis(&["check", deploy, rendered], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains(&format!("{rendered}: error: no manifests found")), "{}", text(&output.stdout));
}

#[test]
fn files_by_which_nothing_would_be_judged_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (path, policies) = (folder.path().join("policy.yaml"), format!("{POLICIES}/no-latest-tag/policy.yaml"));
    let converted = text(&portcullis(&["convert", &policies], "").stdout);
    let unbound = converted.split("---\n").next().unwrap();
    let parameter = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits}\n";
    for (file, expected) in [
        (unbound, "portcullis: ValidatingAdmissionPolicy no-latest-tag: not in force: no binding among the files is for it; add a"),
        (parameter, "portcullis: no policies found: the files hold no policy, or exceptions and parameters alone"),
        ("# nothing\n", "portcullis: no policies found"),
    ] {
        fs::write(&path, file).unwrap();
        let output = portcullis(&["check", "--policy", path.to_str().unwrap(), "-"], GOOD);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(text(&output.stderr).starts_with(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn explains_checks() {
    let output = portcullis(&["explain", "hostNamespaces"], "");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("spec.hostPID"));
    assert_eq!(portcullis(&["explain", "nothing"], "").status.code(), Some(2));
}

/// The folder of the policies that ship.
const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies");

#[test]
fn the_cases_of_every_policy_that_ships_are_as_expected() {
    let output = portcullis(&["test", POLICIES], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let folders = fs::read_dir(POLICIES).unwrap().count();
    assert!(text(&output.stdout).contains(&format!(" in {folders} folders, all as expected")), "{}", text(&output.stdout));
    for entry in fs::read_dir(POLICIES).unwrap() {
        assert!(entry.unwrap().path().join("README.md").exists());
    }
}

#[test]
fn cases_that_are_not_as_expected_and_cases_that_cannot_be_run_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    fs::copy(format!("{POLICIES}/no-latest-tag/policy.yaml"), folder.path().join("policy.yaml")).unwrap();
    let case = "cases:\n- name: it passes\n  object: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: x}]}}\n  expect: {}\n";
    fs::write(folder.path().join("cases.yaml"), case).unwrap();
    let output = portcullis(&["test", path], "");
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output.stdout);
    assert!(report.contains("deny: expected nothing, found tag") && report.contains("no case passes"), "{report}");
    let junit = portcullis(&["test", "-o", "junit", path], "");
    assert!(text(&junit.stdout).contains("failures=\"2\" errors=\"0\""), "{}", text(&junit.stdout));
    fs::write(folder.path().join("cases.yaml"), case.replace("expect: {}", "expects: {}")).unwrap();
    assert_eq!(portcullis(&["test", path], "").status.code(), Some(2));
    assert_eq!(portcullis(&["test", "/nonexistent"], "").status.code(), Some(2));
}

#[test]
fn checks_by_policies_alone_or_beside_a_standard_and_in_every_format() {
    let policy = format!("{POLICIES}/no-latest-tag");
    let manifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      hostPID: true\n      containers:\n      - {name: web, image: nginx}\n";
    for (format, expected) in [
        ("text", "line 9: spec.template.spec.containers[0].image is \"nginx\"; allowed: a tag other than latest, or a digest"),
        ("json", "\"policy\": \"no-latest-tag\""),
        ("sarif", "\"ruleId\": \"no-latest-tag:tag\""),
        ("junit", "no-latest-tag:tag: container &quot;web&quot; runs whatever is the latest image"),
    ] {
        let output = portcullis(&["check", "--policy", &policy, "-o", format, "-"], manifest);
        let report = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert!(report.contains(expected), "{expected}\n{report}");
        assert!(!report.contains("host namespaces"), "without --pod-security policies alone judge: {report}");
    }
    let both = portcullis(&["check", "--policy", &policy, "--pod-security", "baseline", "-"], manifest);
    assert!(text(&both.stdout).contains("host namespaces") && text(&both.stdout).contains("violates baseline:latest and 1 policy"));
    let good = portcullis(&["check", "--policy", &policy, "-"], &manifest.replace("nginx", "nginx:1.27"));
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
}

#[test]
fn a_policy_with_a_mistake_is_told_with_its_place_and_nothing_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    let policy = fs::read_to_string(format!("{POLICIES}/no-latest-tag/policy.yaml")).unwrap();
    for (from, to, expected) in [
        ("templates: enforce", "template: enforce", "spec.template: unknown field"),
        ("image.contains('@')", "image.contain('@')", "policy no-latest-tag: spec.validations[0].expression: "),
    ] {
        fs::write(&path, policy.replace(from, to)).unwrap();
        let output = portcullis(&["check", "--policy", path.to_str().unwrap(), "-"], GOOD);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn converts_what_kubernetes_can_have_and_says_what_is_lost() {
    let output = portcullis(&["convert", &format!("{POLICIES}/no-latest-tag/policy.yaml")], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("no-latest-tag: spec.templates: "), "{}", text(&output.stderr));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.yaml");
    fs::write(&path, output.stdout).unwrap();
    let bad = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: x}]}\n";
    let checked = portcullis(&["check", "--policy", path.to_str().unwrap(), "-"], bad);
    assert_eq!(checked.status.code(), Some(1), "{}{}", text(&checked.stdout), text(&checked.stderr));
    let none = portcullis(&["convert", &format!("{POLICIES}/pod-security-baseline/policy.yaml")], "");
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("spec.podSecurity: "), "{}", text(&none.stderr));
    let nothing = portcullis(&["convert", path.to_str().unwrap()], "");
    assert_eq!(nothing.status.code(), Some(2));
    let expected = format!("portcullis: no AdmissionPolicy found: there is nothing to convert in {}\n", path.display());
    assert_eq!(text(&nothing.stderr), expected);
}

#[test]
fn writes_the_definitions_of_all_resources() {
    let output = text(&portcullis(&["definitions"], "").stdout);
    for name in ["admissionpolicies.portcullis.dev", "policyexceptions.portcullis.dev", "workloadprofiles.portcullis.dev"] {
        assert!(output.contains(&format!("name: {name}\n")), "{name}\n{output:.400}");
    }
    assert_eq!(output.matches("app.kubernetes.io/part-of: portcullis\n").count(), 3, "uninstall --crds finds them by it");
    let reports = text(&portcullis(&["definitions", "--policy-reports"], "").stdout);
    for name in ["policyreports.wgpolicyk8s.io", "clusterpolicyreports.wgpolicyk8s.io"] {
        assert!(reports.contains(&format!("name: {name}\n")) && !output.contains(name), "{name}\n{reports:.400}");
    }
}

#[test]
fn a_scan_without_a_cluster_says_so_and_one_of_contradictory_namespaces_does_not_start() {
    let output = portcullis(&["scan", "--kubeconfig", "/nonexistent"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("portcullis: cannot find a cluster: "), "{}", text(&output.stderr));
    for arguments in
        [&["--namespace", "a", "--all-namespaces"][..], &["--namespace", "a", "--except-namespace", "b"], &["--exceptions-from", "a"]]
    {
        assert_eq!(portcullis(&[&["scan"], arguments].concat(), "").status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn explains_policies_and_controls() {
    let output = portcullis(&["explain", "image-registries:registry", "hostNamespaces", "no-latest-tag"], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for part in ["image-registries (policy)", "registry\n  says:", "hostNamespaces (baseline)", "no-latest-tag (policy)"] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert_eq!(portcullis(&["explain", "image-registries:nothing"], "").status.code(), Some(2));
}
