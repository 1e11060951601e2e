//! Enforcement does not depend on the agent: killed, started again, or replaced, nothing that is denied succeeds meanwhile.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use portcullis_api::event::Action;
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    enforcer::{self, Enforcer, path_of},
    kernel_tests,
    runc::Container,
};

kernel_tests!(machine:
    enforcement_survives_the_agents_death_and_return,
    a_container_made_while_no_agent_runs_is_judged_from_its_first_exec,
    a_container_that_was_there_before_the_agent_is_judged,
    detach_leaves_nothing,
    a_second_agent_is_refused,
    a_profile_that_breaks_stays_in_force_and_the_others_are_unaffected,
    a_workload_without_a_profile_is_learned_and_then_enforced,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

const SIGKILL: i32 = 9;

/// A profile of the container `main` that grants the execution of `attempt` and of `exec`.
fn profile(name: &str, exec: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: WorkloadProfile\nmetadata: {{namespace: test, name: {name}}}\nspec:\n  \
         workload: {{apiVersion: v1, kind: Pod, name: {name}}}\n  mode: enforce\n  containers:\n  - name: main\n    \
         exec: [{{path: /attempt}}, {{path: {exec}}}]\n"
    )
}

fn container<'vm>(vm: &'vm Vm, name: &str) -> Result<Container<'vm>, Box<dyn std::error::Error>> {
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let builder = Container::builder(name).cgroup(&format!("/portcullis/test/{name}/main")).file("/attempt", attempt, 0o755);
    Ok(builder.args(["/bin/sleep", "1000"]).run(vm)?)
}

fn enforcement_survives_the_agents_death_and_return(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("survives.yaml", &profile("survives", "/bin/sleep"))?;
    let container = container(vm, "survives")?;
    // The loop goes on while the agent is killed and comes back, several times.
    let mut attempts = container.exec(["/attempt", "loop-exec", "/bin/true", "12"]).timeout(Duration::from_secs(60)).spawn()?;
    for _ in 0..3 {
        vm.kill(enforcer.pid(), SIGKILL)?;
        enforcer.process().output()?;
        enforcer = Enforcer::start(vm)?;
        assert!(enforcer.process().output()?.error_text().contains("\"taken_over\":true"));
    }
    let output = attempts.wait_for_line("denied", Duration::from_secs(60))?;
    assert!(output.ends_with(" allowed 0") && !output.starts_with("denied 0 "), "{output}");
    container.delete()?;
    Ok(())
}

fn a_container_made_while_no_agent_runs_is_judged_from_its_first_exec(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("orphan.yaml", &profile("orphan", "/bin/sleep"))?;
    vm.kill(enforcer.pid(), SIGKILL)?;
    let container = container(vm, "orphan")?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    assert!(!container.exec(["/bin/echo", "x"]).run()?.success(), "an exec session's first program is judged too");
    // What was denied meanwhile is told when an agent is there again.
    let enforcer = Enforcer::start(vm)?;
    enforcer.wait_for_event("true", |event| event.container.profile == "orphan" && path_of(event) == "/bin/true")?;
    container.delete()?;
    Ok(())
}

fn a_container_that_was_there_before_the_agent_is_judged(vm: &Vm) -> TestResult {
    vm.command("portcullis-enforcer").arg("detach").check()?;
    let container = container(vm, "earlier")?;
    let mut shell = container.exec(["/bin/sh"]).spawn()?;
    shell.write(b"echo ready\n")?;
    shell.wait_for_line("ready", Duration::from_secs(60))?;
    vm.write_file("/profiles/earlier.yaml", profile("earlier", "/bin/sleep").as_bytes(), 0o644)?;
    let enforcer = Enforcer::start(vm)?;
    shell.write(b"/bin/true; echo status $?\n")?;
    let said = shell.wait_for_line("status", Duration::from_secs(60))?;
    assert_eq!(said, "status 126", "the shell was in the container before the agent");
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    enforcer.wait_for_event("true", |event| event.container.profile == "earlier" && event.process.session.is_none())?;
    shell.end_input()?;
    container.delete()?;
    Ok(())
}

fn detach_leaves_nothing(vm: &Vm) -> TestResult {
    let enforcer = Enforcer::start(vm)?;
    let refused = vm.command("portcullis-enforcer").arg("detach").run()?;
    assert!(!refused.success() && refused.error_text().contains("another enforcer is running"), "{}", refused.error_text());
    vm.kill(enforcer.pid(), SIGKILL)?;
    let text = vm.command("sh").args(["-c", "until portcullis-enforcer detach 2>/dev/null; do usleep 10000; done"]).check()?;
    assert!(text.contains("nothing is enforced"), "{text}");
    assert_eq!(vm.command("sh").args(["-c", "ls -A /sys/fs/bpf"]).check()?, "");
    let status = vm.command("portcullis-enforcer").args(["status", "-o", "json"]).check()?;
    assert_eq!(status, "null");
    Ok(())
}

fn a_second_agent_is_refused(vm: &Vm) -> TestResult {
    let _enforcer = Enforcer::start(vm)?;
    let second = Enforcer::spawn(vm)?.wait(Duration::from_secs(60))?;
    assert_eq!(second.code(), Some(1));
    assert!(second.error_text().contains("another enforcer is running"), "{}", second.error_text());
    Ok(())
}

fn a_profile_that_breaks_stays_in_force_and_the_others_are_unaffected(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("breaks.yaml", &profile("breaks", "/bin/sleep"))?;
    let container = container(vm, "breaks")?;
    let good = profile("breaks", "/bin/sleep");
    for (what, bad, reason) in [
        ("a bad pattern", good.replace("/bin/sleep", "\"/bin/[sleep\""), "breaks.yaml:9:"),
        ("an unknown field", good.replace("mode: enforce", "mode: enforce\n  colour: red"), "colour"),
        ("two containers of one name", format!("{good}  - name: main\n"), "main"),
        ("no YAML", "{".to_owned(), "breaks.yaml"),
    ] {
        let seen = enforcer.process().output()?.stderr.len();
        vm.write_file("/profiles/breaks.yaml", bad.as_bytes(), 0o644)?;
        enforcer.wait_for_log(seen, "a profile file was not taken")?;
        let log = enforcer.process().output()?.error_text();
        assert!(log.get(seen..).is_some_and(|log| log.contains(reason)), "{what}: {log}");
        assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM", "{what}");
    }
    // Another file is taken while this one is broken.
    enforcer.apply("unaffected.yaml", &profile("unaffected", "/bin/true"))?;
    // And an agent that begins with the broken file has what was in force.
    vm.kill(enforcer.pid(), SIGKILL)?;
    let mut enforcer = Enforcer::start(vm)?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    enforcer.apply("breaks.yaml", &profile("breaks", "/bin/true"))?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "");
    container.delete()?;
    Ok(())
}

fn a_workload_without_a_profile_is_learned_and_then_enforced(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let container = container(vm, "pod-new")?;
    container.exec(["/attempt", "exec", "/bin/true"]).check()?;
    container.exec(["/attempt", "write", "/dev/null"]).check()?;
    enforcer.wait_for_event("the write", |event| event.action == Action::Observed && path_of(event) == "/dev/null")?;
    let file = "/profiles/test.pod-new.yaml";
    vm.command("sh")
        .args(["-c", &format!("until grep -q /dev/null {file}; do usleep 50000; done")])
        .timeout(Duration::from_secs(60))
        .check()?;
    let learned = vm.read_text(file)?;
    for path in ["/attempt", "/bin/true", "/bin/sleep", "/dev/null"] {
        assert!(learned.contains(path), "{learned}");
    }
    let seen = enforcer.process().output()?.stderr.len();
    vm.write_file(file, learned.replace("mode: learn", "mode: enforce").as_bytes(), 0o644)?;
    enforcer.wait_for_log(seen, enforcer::IN_FORCE)?;
    container.exec(["/attempt", "exec", "/bin/true"]).check()?;
    container.exec(["/attempt", "write", "/dev/null"]).check()?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/echo"]).run()?.text(), "EPERM");
    assert_eq!(container.exec(["/attempt", "write", "/dev/full"]).run()?.text(), "EPERM");
    container.delete()?;
    Ok(())
}
