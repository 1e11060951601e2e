//! System calls are recorded while a profile is learned, and what is recorded makes a seccomp profile under which the workload works.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use portcullis_cli::{Status, args::SeccompArgs, seccomp};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::profile,
    enforcer::{self, Enforcer, PROFILES},
    kernel_tests,
    runc::Container,
};

kernel_tests!(machine:
    what_was_recorded_is_enough_and_no_more_than_was_called,
    nothing_is_recorded_once_nothing_is_learned,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

const SOON: Duration = Duration::from_secs(120);
/// What the container does, and says when it is done.
const WORK: &str = "/bin/sleep 0; /bin/touch /tmp/made; /bin/mv /tmp/made /tmp/moved; echo done; exec /bin/sleep 100000";

/// What the profile of that name records of its container.
fn recorded(profile: &str) -> BTreeSet<String> {
    let profiles = portcullis_api::load("learned", profile).unwrap_or_else(|error| panic!("{error}"));
    profiles[0].spec.containers.iter().flat_map(|rules| &rules.syscalls).map(ToString::to_string).collect()
}

fn container(name: &str, script: &str) -> portcullis_e2e::runc::ContainerBuilder {
    Container::builder(name).cgroup(&format!("/portcullis/test/{name}/main")).args(["/bin/sh", "-c", script])
}

/// The seccomp profile that `portcullis seccomp` writes of it.
fn exported(profile: &str) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let mut file = tempfile::NamedTempFile::new()?;
    std::io::Write::write_all(&mut file, profile.as_bytes())?;
    let (mut json, args) = (Vec::new(), SeccompArgs { container: None, log: false, profile: PathBuf::from(file.path()) });
    assert_eq!(seccomp::run(&args, &mut json)?, Status::Passed);
    Ok(serde_json::from_slice(&json)?)
}

fn says(container: &Container<'_>, wanted: &str) -> Result<String, Box<dyn std::error::Error>> {
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let output = container.output()?;
        if output.contains(wanted) || std::time::Instant::now() > deadline {
            return Ok(output);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn what_was_recorded_is_enough_and_no_more_than_was_called(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("calls.yaml", &profile("calls", "learn", "    exec: [{path: /bin/sh}]\n"))?;
    let learned = container("calls", WORK).run(vm)?;
    assert!(says(&learned, "done")?.contains("done"));
    // The last call of all: what came before it was told before it.
    let calls = |text: &str| ["execve", "rename", "wait4"].iter().all(|call| recorded(text).contains(*call));
    let text = enforcer.wait_for_file(&format!("{PROFILES}/calls.yaml"), calls)?;
    let names = recorded(&text);
    assert!(names.contains("utimensat"), "of touch: {names:?}");
    assert!(
        !names.contains("pivot_root") && !names.contains("mount"),
        "what the runtime does to set the container up is none of it: {names:?}"
    );
    assert!(!names.contains("mkdir"), "{names:?}");
    let told = enforcer.events()?;
    assert!(told.iter().all(|event| !serde_json::to_string(event).unwrap_or_default().contains("syscall")), "no event tells of one");
    learned.delete()?;

    let seccomp = exported(&text)?;
    for (name, no_new_privileges) in [("filtered", false), ("confined", true)] {
        // The workload as it was, and a call that it never made.
        let script = WORK.replace("echo done", "/bin/mkdir /tmp/folder; echo done");
        let mut builder = container(name, &script).seccomp(seccomp.clone());
        if no_new_privileges {
            builder = builder.no_new_privileges();
        }
        let filtered = builder.run(vm)?;
        let output = says(&filtered, "done")?;
        assert!(output.contains("done"), "{name}: {output}");
        assert!(output.contains("mkdir: can't create directory '/tmp/folder': Operation not permitted"), "{name}: {output}");
        assert_eq!(output.lines().count(), 2, "{name}: nothing else fails: {output}");
        filtered.delete()?;
    }
    Ok(())
}

/// How many programs the process itself keeps attached; those that are pinned are not among them.
fn links(vm: &Vm, pid: u32) -> Result<usize, Box<dyn std::error::Error>> {
    let script = format!("cat /proc/{pid}/fdinfo/* | grep -c link_type; true");
    Ok(vm.command("sh").args(["-c", &script]).check()?.trim().parse()?)
}

fn nothing_is_recorded_once_nothing_is_learned(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    // Whatever other tests left is of this mode too.
    for file in vm.command("ls").arg(PROFILES).check()?.lines() {
        let path = format!("{PROFILES}/{file}");
        let text = vm.read_text(&path)?;
        if text.contains("mode: learn") {
            vm.write_file(&path, text.replace("mode: learn", "mode: audit").as_bytes(), 0o644)?;
        }
    }
    enforcer.apply("quiet.yaml", &profile("quiet", "learn", "    exec: [{path: /bin/sh}]\n"))?;
    assert_eq!(links(vm, enforcer.pid())?, 1, "attached while it learns");
    let seen = enforcer.process().output()?.stderr.len();
    enforcer.apply("quiet.yaml", &profile("quiet", "audit", "    exec: [{path: /bin/sh}]\n"))?;
    enforcer.wait_for_log(seen, "\"recording\":false")?;
    assert_eq!(links(vm, enforcer.pid())?, 0, "and no longer");
    let container = container("quiet", WORK).run(vm)?;
    assert!(says(&container, "done")?.contains("done"));
    assert!(recorded(&vm.read_text(&format!("{PROFILES}/quiet.yaml"))?).is_empty());
    container.delete()?;
    Ok(())
}
