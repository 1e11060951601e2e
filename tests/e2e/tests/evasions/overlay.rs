//! A root as container runtimes make it: layers that are only read, under one that is written (overlayfs).

use portcullis_e2e::{TestResult, Vm, case::Case};

/// Whether the container's own layer has the file.
fn is_copied_up(vm: &Vm, name: &str, path: &str) -> Result<bool, portcullis_e2e::Error> {
    Ok(vm.run("test", &["-e", &format!("/run/bundles/{name}/upper{path}")])?.success())
}

pub(super) fn a_listed_program_may_not_be_overwritten_on_overlayfs(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/true}, {path: /bin/program}]\n    \
                 files: [{path: \"/data/**\", access: [create, write, delete]}]\n";
    let mut case = Case::layered(vm, "layered", rules)?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", "/bin/true"])?, "");
    for words in
        [&["write", "/bin/program"][..], &["rename", "/data/file", "/bin/program"], &["unlink", "/bin/program"], &["chmod", "/bin/program"]]
    {
        assert_eq!(case.attempt(words)?, "EPERM", "{words:?}");
    }
    assert!(!is_copied_up(vm, "layered", "/bin/program")?, "it is the image's file still");
    // Nor does a name that may be written come to a program of the image.
    assert_eq!(case.attempt(&["link", "/bin/echo", "/data/echo"])?, "EPERM");
    assert_eq!(case.attempt(&["exec", "/bin/echo", "x"])?, "EPERM");
    case.end()
}

pub(super) fn what_is_copied_up_keeps_its_name(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/true}]\n    \
                 files: [{path: /lib/some.so, access: [write, map, drift]}]\n    guard: [\"/secret/**\"]\n";
    let mut case = Case::layered(vm, "copied", rules)?;
    case.enforce()?;
    for mapping in ["map", "protect"] {
        assert_eq!(case.attempt(&[mapping, "/lib/some.so"])?, "allowed", "{mapping}, in the layer below");
        assert_eq!(case.attempt(&[mapping, "/lib/other.so"])?, "EPERM", "{mapping}");
    }
    assert_eq!(case.attempt(&["write", "/lib/some.so"])?, "allowed", "copied up");
    for mapping in ["map", "protect"] {
        assert_eq!(case.attempt(&[mapping, "/lib/some.so"])?, "allowed", "{mapping}, in the layer above");
    }
    assert_eq!(case.attempt(&["write", "/lib/some.so"])?, "allowed", "once more");
    assert_eq!(case.attempt(&["write", "/lib/other.so"])?, "EPERM");
    assert_eq!(case.attempt(&["read", "/secret/token"])?, "EPERM");
    case.end()
}
