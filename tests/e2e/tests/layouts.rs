//! An agent of another release, whose maps are laid out otherwise, takes over from the one before while workloads run.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm, cargo,
    case::profile,
    enforcer::{self, Enforcer, OTHER_LAYOUT, path_of},
    kernel_tests,
    runc::Container,
};

kernel_tests!(machine:
    another_layout_takes_over_while_workloads_run_and_back,
    deaths_in_the_middle_of_a_takeover_free_nothing,
    what_cannot_be_carried_over_stays_in_force,
);

fn machine(kernel: Kernel) -> Builder {
    let other = cargo::static_binary_with("portcullis-enforcer", OTHER_LAYOUT, "other-layout");
    let machine = enforcer::machine(kernel).unwrap_or_else(|error| panic!("{error}"));
    machine.binary(other.unwrap_or_else(|error| panic!("{error}")))
}

const SIGKILL: i32 = 9;
const SOON: Duration = Duration::from_secs(120);
const RULES: &str = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/sh}]\n    files: [{path: /data/*, access: [write]}]\n";

fn container<'vm>(vm: &'vm Vm, name: &str) -> Result<Container<'vm>, Box<dyn std::error::Error>> {
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let builder = Container::builder(name).cgroup(&format!("/portcullis/test/{name}/main")).file("/attempt", attempt, 0o755);
    Ok(builder.file("/data/file", "x", 0o666).run(vm)?)
}

/// The layouts that are pinned.
fn layouts(vm: &Vm) -> Result<String, Box<dyn std::error::Error>> {
    Ok(vm.command("sh").args(["-c", "ls /sys/fs/bpf/portcullis"]).check()?)
}

fn another_layout_takes_over_while_workloads_run_and_back(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("carried.yaml", &profile("carried", "enforce", RULES))?;
    let container = container(vm, "carried")?;
    // A shell of an exec session, out of the container's cgroup: only its own state says whose it is.
    assert!(vm.sh("mkdir -p /sys/fs/cgroup/elsewhere")?.success());
    let mut shell = container.exec(["/bin/sh"]).spawn()?;
    shell.write(b"echo pid $$\n")?;
    shell.wait_for_line("pid", SOON)?;
    let moved = "for pid in $(cat /sys/fs/cgroup/portcullis/test/carried/main/cgroup.procs); do \
                 [ $(cat /proc/$pid/comm) = sh ] && echo $pid >/sys/fs/cgroup/elsewhere/cgroup.procs; done; cat /sys/fs/cgroup/elsewhere/cgroup.procs";
    assert!(!vm.command("sh").args(["-c", moved]).check()?.is_empty(), "the shell was moved");
    shell.write(b"/bin/true; echo before $?\n")?;
    assert_eq!(shell.wait_for_line("before", SOON)?, "before 126");
    let session = |enforcer: &Enforcer<'_>, program: &str| -> Result<Option<u32>, Box<dyn std::error::Error>> {
        Ok(enforcer.wait_for_event(program, |event| event.container.profile == "carried" && path_of(event) == program)?.process.session)
    };
    let before = session(&enforcer, "/bin/true")?;
    assert!(before.is_some());
    let mut attempts = container.exec(["/attempt", "loop-exec", "/bin/true", "60"]).timeout(Duration::from_secs(600)).spawn()?;

    vm.kill(enforcer.pid(), SIGKILL)?;
    enforcer.process().output()?;
    let mut other = Enforcer::start_other_layout(vm)?;
    assert!(other.process().output()?.error_text().contains("\"taken_over\":true"));
    assert_eq!(layouts(vm)?, "v3-other");
    shell.write(b"/bin/head; echo after $?\n")?;
    assert_eq!(shell.wait_for_line("after", SOON)?, "after 126", "it has its state");
    assert_eq!(session(&other, "/bin/head")?, before, "and its session");
    assert_eq!(container.exec(["/attempt", "write", "/data/file"]).run()?.text(), "allowed");
    let refused = vm.command("portcullis-enforcer").arg("status").run()?;
    assert!(!refused.success() && refused.error_text().contains("layout v3-other"), "{}", refused.error_text());

    vm.kill(other.pid(), SIGKILL)?;
    other.process().output()?;
    let enforcer = Enforcer::start(vm)?;
    assert_eq!(layouts(vm)?, "v3");
    shell.write(b"/bin/tail; echo back $?\n")?;
    assert_eq!(shell.wait_for_line("back", SOON)?, "back 126");
    assert_eq!(session(&enforcer, "/bin/tail")?, before);
    let output = attempts.wait_for_line("denied", Duration::from_secs(600))?;
    assert!(output.ends_with(" allowed 0") && !output.starts_with("denied 0 "), "{output}");
    shell.end_input()?;
    container.delete()?;
    Ok(())
}

fn deaths_in_the_middle_of_a_takeover_free_nothing(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("halfway.yaml", &profile("halfway", "enforce", RULES))?;
    let container = container(vm, "halfway")?;
    vm.kill(enforcer.pid(), SIGKILL)?;
    enforcer.process().output()?;
    for milliseconds in [100, 500, 1000, 2000, 4000] {
        let mut other = Enforcer::spawn_other_layout(vm)?;
        std::thread::sleep(Duration::from_millis(milliseconds));
        other.signal(SIGKILL)?;
        other.output()?;
        assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM", "killed after {milliseconds} ms");
        assert_eq!(container.exec(["/attempt", "write", "/data/file"]).run()?.text(), "allowed", "killed after {milliseconds} ms");
    }
    let mut other = Enforcer::start_other_layout(vm)?;
    assert_eq!(layouts(vm)?, "v3-other");
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    vm.kill(other.pid(), SIGKILL)?;
    other.process().output()?;
    container.delete()?;
    Ok(())
}

fn what_cannot_be_carried_over_stays_in_force(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("stays.yaml", &profile("stays", "enforce", RULES))?;
    let container = container(vm, "stays")?;
    vm.kill(enforcer.pid(), SIGKILL)?;
    enforcer.process().output()?;
    assert!(vm.sh("cd /sys/fs/bpf/portcullis/v3 && rmdir carry-* && mkdir carry-999999")?.success());
    let other = Enforcer::spawn_other_layout(vm)?.wait(SOON)?;
    assert_eq!(other.code(), Some(1));
    assert!(other.error_text().contains("a release that this one cannot take over from"), "{}", other.error_text());
    assert_eq!(layouts(vm)?, "v3\nv3-other", "its own folder is empty");
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    // Its own release ends it.
    assert!(vm.command("portcullis-enforcer").arg("detach").check()?.contains("nothing is enforced"));
    assert_eq!(vm.command("sh").args(["-c", "ls -A /sys/fs/bpf"]).check()?, "");
    container.delete()?;
    Ok(())
}
