//! Who acts: in other namespaces, cgroups and containers, in the first moment and in a flood.

use portcullis_api::{Event, event::Action};
use portcullis_e2e::{
    TestResult, Vm,
    case::{Case, profile},
    enforcer::{Enforcer, path_of},
    runc::{ALL_CAPABILITIES, Container},
};
use std::{collections::BTreeSet, time::Duration};

pub(super) fn namespaces_of_its_own_do_not_free_a_task(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/unshare}]\n    capabilities: [SYS_ADMIN, SYS_CHROOT]\n    privileges: [mount, user-namespace]\n";
    enforcer.apply("unshare.yaml", &profile("unshare", "enforce", rules))?;
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let container = Container::builder("unshare")
        .cgroup("/portcullis/test/unshare/main")
        .file("/attempt", attempt, 0o755)
        .capabilities(["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"])
        .run(vm)?;
    for flags in ["-m", "-mp", "-U"] {
        let output = container.exec(["unshare", flags, "/attempt", "exec", "/bin/true"]).run()?;
        assert_eq!(output.text(), "EPERM", "unshare {flags}: {}", output.error_text());
    }
    container.delete()?;
    Ok(())
}

pub(super) fn another_cgroup_does_not_free_a_task(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: \"/host-cgroup/**\", access: [write]}]\n";
    enforcer.apply("moves.yaml", &profile("moves", "enforce", rules))?;
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    assert!(vm.sh("mkdir -p /sys/fs/cgroup/another")?.success());
    let container = Container::builder("moves")
        .cgroup("/portcullis/test/moves/main")
        .file("/attempt", attempt, 0o755)
        .bind("/sys/fs/cgroup", "/host-cgroup")
        .run(vm)?;
    let output = container.exec(["/attempt", "in-cgroup", "/host-cgroup/another", "exec", "/bin/true"]).run()?;
    assert_eq!(output.text(), "EPERM", "{}", output.error_text());
    let event = enforcer.wait_for_event("true", |event| event.container.profile == "moves" && path_of(event) == "/bin/true")?;
    assert_eq!(event.container.name, "main");
    container.delete()?;
    Ok(())
}

pub(super) fn a_container_in_the_hosts_process_namespace_is_judged(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("hostpid.yaml", &profile("hostpid", "enforce", "    exec: [{path: /attempt}, {path: /bin/sleep}]\n"))?;
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let container =
        Container::builder("hostpid").cgroup("/portcullis/test/hostpid/main").file("/attempt", attempt, 0o755).host_pid().run(vm)?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    assert_eq!(container.exec(["/attempt", "read", "/proc/1/environ"]).run()?.text(), "EPERM", "guarded by default");
    container.delete()?;
    Ok(())
}

pub(super) fn a_flood_of_denials_hides_none_and_frees_nothing(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "flood", rules!(""))?;
    case.enforce()?;
    let denied = || -> Result<u64, Box<dyn std::error::Error>> {
        let status = vm.command("portcullis-enforcer").args(["status", "-o", "json"]).check()?;
        let status: serde_json::Value = serde_json::from_str(&status)?;
        Ok(status["counters"]["denied"].as_u64().unwrap_or_default())
    };
    let before = denied()?;
    assert_eq!(case.attempt(&["flood", "/data", "5000"])?, "denied 5000");
    assert_eq!(case.attempt(&["exec", "/bin/echo", "x"])?, "EPERM");
    assert!(denied()? >= before + 5001, "every denial is counted, told or not");
    case.enforcer.wait_for_event("what followed the flood", |event| event.container.profile == "flood" && path_of(event) == "/bin/echo")?;
    case.end()
}

pub(super) fn the_first_moment_of_a_container_is_judged(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("moment.yaml", &profile("moment", "enforce", "    exec: [{path: /bin/sh}]\n"))?;
    for turn in 0..5 {
        // The first thing that it does, and the last: it is gone when anybody could look.
        let script = "/bin/echo escaped; echo x >/data/new; echo tried";
        let container = Container::builder("moment")
            .cgroup("/portcullis/test/moment/main")
            .file("/data/file", "", 0o666)
            .args(["/bin/sh", "-c", script])
            .run(vm)?;
        container.wait_until_stopped(Duration::from_secs(20))?;
        let output = container.output()?;
        assert!(output.contains("tried") && !output.contains("escaped"), "turn {turn}: {output}");
        assert!(!vm.run("test", &["-e", &format!("{}/data/new", container.rootfs())])?.success(), "turn {turn}");
        container.delete()?;
    }
    Ok(())
}

/// Init and ephemeral containers are containers of the pod by other names. One that the profile lists has its own rules.
pub(super) fn a_container_that_its_profile_does_not_list_may_do_nothing(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let text = profile("pod", "enforce", "    exec: [{path: /bin/sleep}]\n  - name: init\n    exec: [{path: /bin/true}]\n");
    enforcer.apply("pod.yaml", &text)?;
    let runs = |name: &str, program: &str| -> Result<bool, Box<dyn std::error::Error>> {
        let container = Container::builder("pod").cgroup(&format!("/portcullis/test/pod/{name}")).args([program, "0"]).run(vm)?;
        container.wait_until_stopped(Duration::from_secs(20))?;
        let runs = !container.output()?.contains("operation not permitted");
        container.delete()?;
        Ok(runs)
    };
    assert!(runs("main", "/bin/sleep")? && !runs("main", "/bin/true")?);
    assert!(runs("init", "/bin/true")? && !runs("init", "/bin/sleep")?, "each by rules of its own");
    assert!(!runs("debugger", "/bin/sleep")? && !runs("debugger", "/bin/true")?, "one that is not listed has none");
    let event = enforcer.wait_for_event("the debugger", |event| event.container.profile == "pod" && event.container.name == "debugger")?;
    assert_eq!(event.action, Action::Blocked);
    Ok(())
}

pub(super) fn each_exec_session_has_a_number_of_its_own(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("sessions.yaml", &profile("sessions", "audit", "    exec: [{path: /bin/sh}]\n"))?;
    let container = Container::builder("sessions")
        .cgroup("/portcullis/test/sessions/main")
        .args(["/bin/sh", "-c", "/bin/true own; /bin/sleep 100000"])
        .run(vm)?;
    // Two children of each session, one of them a grandchild; no other executes these programs.
    let sessions = [["/bin/cat", "/bin/head"], ["/bin/tail", "/bin/wc"], ["/bin/sort", "/bin/uniq"]];
    for [child, grandchild] in sessions {
        let script = format!("{child} /dev/null; /bin/sh -c '{grandchild} /dev/null; true'; true");
        container.exec(["/bin/sh", "-c", &script]).run()?;
        enforcer.wait_for_event(grandchild, |event| path_of(event) == grandchild)?;
    }
    let events: Vec<Event> = enforcer.events()?.into_iter().filter(|event| event.container.profile == "sessions").collect();
    let number = |program| events.iter().find(|event| path_of(event) == program).and_then(|event| event.process.session);
    let mut numbers = BTreeSet::new();
    for [child, grandchild] in sessions {
        assert_eq!(number(child), number(grandchild), "one number a session");
        numbers.extend(number(child));
    }
    assert_eq!(numbers.len(), 3, "and another for each: {numbers:?}");
    assert!(events.iter().any(|event| path_of(event) == "/bin/true" && event.process.session.is_none()), "the container's own has none");
    container.delete()?;
    Ok(())
}

/// A child that executes nothing is none the less the workload's.
pub(super) fn a_child_is_judged_as_its_parent(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/ash}]\n    files: [{path: /data/file, access: [write]}]\n";
    let mut case = Case::new(vm, "child", rules)?;
    case.enforce()?;
    // Of the shell, what is in brackets is a child without a program of its own.
    let script = "(echo x >/data/file) && echo wrote; (echo y >/data/other) || echo refused";
    assert_eq!(case.container.exec(["/bin/ash", "-c", script]).run()?.text(), "wrote\nrefused");
    case.end()
}

/// A node sees more containers in its life than it has places for at once.
pub(super) fn a_container_that_is_gone_leaves_its_place(vm: &Vm) -> TestResult {
    let _enforcer = Enforcer::start(vm)?;
    let known = || -> Result<u64, Box<dyn std::error::Error>> {
        let status: serde_json::Value = serde_json::from_str(&vm.command("portcullis-enforcer").args(["status", "-o", "json"]).check()?)?;
        Ok(status["containers"].as_array().map_or(0, |containers| containers.len() as u64))
    };
    let before = known()?;
    let container = Container::builder("passing").cgroup("/portcullis/test/passing/main").run(vm)?;
    assert_eq!(known()?, before + 1);
    container.delete()?;
    assert_eq!(known()?, before);
    Ok(())
}

fn counter(vm: &Vm, name: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let status = vm.command("portcullis-enforcer").args(["status", "-o", "json"]).check()?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    Ok(status["counters"][name].as_u64().unwrap_or_default())
}

pub(super) fn a_flood_that_fills_the_ring_is_denied_and_its_losses_are_counted(vm: &Vm) -> TestResult {
    const SIGSTOP: i32 = 19;
    const SIGCONT: i32 = 18;
    let mut case = Case::new(vm, "torrent", rules!(""))?;
    case.enforce()?;
    let (denied, lost) = (counter(vm, "denied")?, counter(vm, "denials_lost")?);
    // Each name is told once a second at most, so there are as many events as names; and nobody reads them.
    vm.kill(case.enforcer.pid(), SIGSTOP)?;
    assert_eq!(case.attempt(&["flood", "/data", "30000"])?, "denied 30000");
    assert_eq!(case.attempt(&["exec", "/bin/echo", "x"])?, "EPERM", "with the ring full");
    assert!(counter(vm, "denied")? > denied + 30_000, "every denial is counted");
    let lost = counter(vm, "denials_lost")? - lost;
    vm.kill(case.enforcer.pid(), SIGCONT)?;
    assert!(lost > 0, "no event was lost: the flood was none");
    // What follows is told again.
    assert_eq!(case.attempt(&["exec", "/bin/cat", "x"])?, "EPERM");
    case.enforcer.wait_for_event("what follows", |event| event.container.profile == "torrent" && path_of(event) == "/bin/cat")?;
    case.end()
}

/// As Docker in a privileged pod: runc, in a container that has every capability and sees the node's cgroups, makes another one elsewhere.
pub(super) fn a_container_within_a_container_is_judged_as_the_outer_one(vm: &Vm) -> TestResult {
    const LIBRARIES: [&str; 3] =
        ["/lib/x86_64-linux-gnu/libseccomp.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];
    let mut outer = Container::builder("outer").capabilities(ALL_CAPABILITIES).bind("/sys/fs/cgroup", "/sys/fs/cgroup");
    for file in ["/bin/runc"].into_iter().chain(LIBRARIES) {
        outer = outer.file(file, vm.read_file(file)?, 0o755);
    }
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/runc}]\n";
    let mut case = Case::with(vm, "outer", rules, |_| outer)?;
    let root = case.container.rootfs();
    let inner = Container::builder("inner").cgroup("/elsewhere/inner").args(["/attempt", "exec", "/bin/echo", "escaped"]).configuration();
    assert!(vm.sh(&format!("mkdir -p {root}/nested/rootfs && cd {root} && cp -a attempt bin dev proc sys tmp nested/rootfs"))?.success());
    vm.write_file(&format!("{root}/nested/config.json"), inner.as_bytes(), 0o644)?;
    let nested = ["/bin/runc", "--root", "/run/inner", "run", "--bundle", "/nested", "inner"];
    let output = case.container.exec(nested).run()?;
    assert_eq!(output.text(), "escaped", "in audit: {output}");
    let echo = |event: &Event| event.container.profile == "outer" && event.container.name == "main" && path_of(event) == "/bin/echo";
    let event = case.enforcer.wait_for_event("what ran within", |event| echo(event) && event.action == Action::WouldBlock)?;
    assert!(event.process.session.is_some());
    case.enforce()?;
    let output = case.container.exec(nested).run()?;
    assert!(!output.success() && !output.text().contains("escaped"), "{output}");
    case.end()
}
