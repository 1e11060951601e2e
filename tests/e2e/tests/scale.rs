//! As many containers and profiles as a node may have, and profiles that find no room.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{fmt::Write as _, time::Duration};

use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::profile,
    enforcer::{self, Enforcer},
    kernel_tests,
};

kernel_tests!(machine:
    a_node_holds_4096_containers_under_1024_profiles,
    a_profile_that_does_not_fit_is_refused_with_its_size_and_affects_no_other,
);

const PROFILES: usize = 1024;
const CONTAINERS: usize = 4096;
/// Replicas of each container: their cgroups differ in a folder of their own.
const REPLICAS: usize = CONTAINERS / PROFILES;
const GLOB: &str = "/portcullis/*/*/*/*";
const LONG: Duration = Duration::from_secs(900);

fn machine(kernel: Kernel) -> Builder {
    enforcer::machine(kernel).unwrap_or_else(|error| panic!("{error}")).memory_mib(2048)
}

/// What a process that begins a container's workload gets for this attempt.
fn attempt(vm: &Vm, cgroup: &str, words: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let folder = format!("/sys/fs/cgroup{cgroup}");
    let output = vm.command("unshare").arg("-m").in_cgroup(&folder).arg("/bin/portcullis-attempt").args(words.iter().copied()).run()?;
    Ok(output.text())
}

fn a_node_holds_4096_containers_under_1024_profiles(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start_with(vm, ["--containers", GLOB, "--events", enforcer::EVENTS])?;
    let mut all = String::new();
    for index in 0..PROFILES {
        // Each grants a file of its own.
        let rules = format!("    exec: [{{path: /bin/portcullis-attempt}}]\n    files: [{{path: /tmp/own-{index}, access: [write]}}]\n");
        let _ = write!(all, "---\n{}", profile(&format!("app-{index}"), "enforce", &rules));
    }
    let seen = enforcer.process().output()?.stderr.len();
    vm.write_file(&format!("{}/all.yaml", enforcer::PROFILES), all.as_bytes(), 0o644)?;
    enforcer.wait_for_log_within(seen, &format!("\"profiles\":{PROFILES}"), LONG)?;
    let make = format!(
        "cd /sys/fs/cgroup && for replica in $(seq 1 {REPLICAS}); do seq 0 {last} | sed \"s|.*|portcullis/$replica/test/app-&/main|\"; done \
         | xargs mkdir -p; for file in 0 511 1023; do touch /tmp/own-$file; done",
        last = PROFILES - 1
    );
    vm.command("sh").args(["-c", &make]).timeout(LONG).check()?;
    let status = enforcer.status()?;
    assert_eq!(status["containers"].as_array().map(Vec::len), Some(CONTAINERS));
    assert_eq!(status["counters"]["slots_exhausted"].as_u64().unwrap_or_default(), 0, "{}", status["counters"]);
    for (replica, own, other) in [(1, 0, 1023), (REPLICAS, 511, 0), (2, 1023, 511)] {
        let cgroup = format!("/portcullis/{replica}/test/app-{own}/main");
        assert_eq!(attempt(vm, &cgroup, &["write", &format!("/tmp/own-{own}")])?, "allowed", "{cgroup}");
        assert_eq!(attempt(vm, &cgroup, &["write", &format!("/tmp/own-{other}")])?, "EPERM", "{cgroup}");
        assert_eq!(attempt(vm, &cgroup, &["exec", "/bin/true"])?, "EPERM", "{cgroup}");
    }
    Ok(())
}

fn a_profile_that_does_not_fit_is_refused_with_its_size_and_affects_no_other(vm: &Vm) -> TestResult {
    let clean = "find /sys/fs/cgroup/portcullis -depth -type d | xargs rmdir; rm /profiles/*; portcullis-enforcer detach";
    vm.command("sh").args(["-c", clean]).timeout(LONG).check()?;
    let mut enforcer = Enforcer::start_with(vm, ["--table-memory", "1", "--containers", GLOB, "--events", enforcer::EVENTS])?;
    let small = "    exec: [{path: /bin/portcullis-attempt}]\n";
    enforcer.apply("small.yaml", &profile("small", "enforce", small))?;
    // 10,000 long names that have nothing in common: more than the 1 MiB that there is.
    let mut rules = String::from("    exec: [{path: /bin/portcullis-attempt}]\n    files:\n");
    for index in 0..10_000u32 {
        let [a, b, c] = [0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35].map(|factor| index.wrapping_mul(factor));
        let _ = writeln!(rules, "    - {{path: /srv/{a:08x}{b:08x}{c:08x}, access: [write]}}");
    }
    let seen = enforcer.process().output()?.stderr.len();
    vm.write_file(&format!("{}/large.yaml", enforcer::PROFILES), profile("large", "enforce", &rules).as_bytes(), 0o644)?;
    enforcer.wait_for_log_within(seen, "was not applied", LONG)?;
    let log = enforcer.process().output()?.error_text();
    let refusal = log.lines().find(|line| line.contains("was not applied")).unwrap_or_default();
    assert!(refusal.contains("test/large/main") && refusal.contains("KiB"), "{refusal}");
    // Both are judged as before: the one by its profile, the other, which never had one in force, as one that is learned.
    let make = "mkdir -p /sys/fs/cgroup/portcullis/1/test/small/main; touch /tmp/more";
    vm.command("sh").args(["-c", make]).check()?;
    assert_eq!(attempt(vm, "/portcullis/1/test/small/main", &["write", "/tmp/more"])?, "EPERM");
    let seen = enforcer.process().output()?.stderr.len();
    let more = profile("small", "enforce", &format!("{small}    files: [{{path: /tmp/more, access: [write]}}]\n"));
    vm.write_file(&format!("{}/small.yaml", enforcer::PROFILES), more.as_bytes(), 0o644)?;
    enforcer.wait_for_log_within(seen, r#""profile applied","container":"test/small/main""#, LONG)?;
    assert_eq!(attempt(vm, "/portcullis/1/test/small/main", &["write", "/tmp/more"])?, "allowed");
    // What cannot be is not tried again with every container that starts and profile that changes.
    let log = enforcer.process().output()?.error_text();
    assert_eq!(log.lines().filter(|line| line.contains("was not applied")).count(), 1, "{log}");
    Ok(())
}
