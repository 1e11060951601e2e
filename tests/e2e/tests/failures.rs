//! What the agent does where something goes wrong, and that enforcement does not: the rows of the table in docs/architecture.md that need a
//! kernel and no luck.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use portcullis_api::event::Action;
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::profile,
    enforcer::{self, Enforcer, path_of},
    kernel_tests,
    runc::Container,
};

kernel_tests!(machine:
    a_canary_that_is_not_denied_ends_the_agent,
    a_container_that_floods_hides_nothing_of_another,
    an_agent_whose_sink_is_full_ends_and_enforcement_stays,
    nothing_is_left_to_the_agent_once_it_enforces,
    status_shows_what_is_live_and_what_each_profile_takes,
    without_a_free_slot_a_container_is_not_judged_and_that_is_counted,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

const SIGKILL: i32 = 9;
const SIGSTOP: i32 = 19;
const SIGCONT: i32 = 18;

const RULES: &str = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    guard: []\n";

fn container<'vm>(vm: &'vm Vm, name: &str, cgroup: &str) -> Result<Container<'vm>, Box<dyn std::error::Error>> {
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    Ok(Container::builder(name).cgroup(cgroup).file("/attempt", attempt, 0o755).args(["/bin/sleep", "1000"]).run(vm)?)
}

fn a_container_that_floods_hides_nothing_of_another(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    for name in ["loud", "quiet"] {
        enforcer.apply(&format!("{name}.yaml"), &profile(name, "enforce", RULES))?;
    }
    let loud = container(vm, "loud", "/portcullis/test/loud/main")?;
    let quiet = container(vm, "quiet", "/portcullis/test/quiet/main")?;
    // Nobody reads.
    vm.kill(enforcer.pid(), SIGSTOP)?;
    let flood = loud.exec(["/attempt", "flood", "/tmp", "30000"]).timeout(Duration::from_secs(300)).run()?;
    assert_eq!(flood.text(), "denied 30000");
    let lost = |name: &str| -> Result<serde_json::Value, Box<dyn std::error::Error>> {
        let status = enforcer::status(vm)?;
        let path = format!("/portcullis/test/{name}/main");
        let shown = status["containers"].as_array().and_then(|all| all.iter().find(|container| container["path"] == path.as_str()));
        Ok(shown.map(|container| container["lost"].clone()).unwrap_or_default())
    };
    assert!(lost("loud")?["denials_lost"].as_u64() > Some(5_000), "the flood found the ring full: {}", lost("loud")?);
    assert_eq!(quiet.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    assert_eq!(lost("quiet")?, serde_json::json!({}));
    assert!(enforcer::status(vm)?["counters"]["denials_lost"].as_u64() > Some(5_000));
    vm.kill(enforcer.pid(), SIGCONT)?;
    enforcer.wait_for_event("the denial that the flood could have hidden", |event| {
        event.action == Action::Blocked && event.container.profile == "quiet" && path_of(event) == "/bin/true"
    })?;
    // What was lost is not forgotten with the agent.
    vm.kill(enforcer.pid(), SIGKILL)?;
    assert!(lost("loud")?["denials_lost"].as_u64() > Some(5_000));
    loud.delete()?;
    quiet.delete()?;
    Ok(())
}

fn an_agent_whose_sink_is_full_ends_and_enforcement_stays(vm: &Vm) -> TestResult {
    vm.write_file("/profiles/full.yaml", profile("full", "enforce", RULES).as_bytes(), 0o644)?;
    let enforcer = Enforcer::start_with(vm, ["--containers", enforcer::CONTAINERS, "--events", "/dev/full"])?;
    let container = container(vm, "full", "/portcullis/test/full/main")?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    let ended = enforcer.into_process().wait(Duration::from_secs(30))?;
    assert_eq!(ended.code(), Some(1));
    assert!(ended.error_text().contains("cannot write an event"), "{}", ended.error_text());
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM", "the kernel goes on");
    container.delete()?;
    Ok(())
}

fn without_a_free_slot_a_container_is_not_judged_and_that_is_counted(vm: &Vm) -> TestResult {
    // All are replicas of one container, so that they share a profile.
    const GLOB: &str = "/replicas/*/*/*/*";
    let mut enforcer = Enforcer::start_with(vm, ["--containers", GLOB, "--events", enforcer::EVENTS])?;
    enforcer.apply("slots.yaml", &profile("slots", "enforce", RULES))?;
    vm.kill(enforcer.pid(), SIGKILL)?;
    enforcer.process().output()?;
    let fill = "cd /sys/fs/cgroup && seq 1 4096 | sed 's|.*|replicas/&/test/slots/main|' | xargs mkdir -p";
    vm.command("sh").args(["-c", fill]).timeout(Duration::from_secs(240)).check()?;
    let container = container(vm, "slots", "/replicas/5000/test/slots/main")?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "", "it runs unjudged");
    let status = enforcer::status(vm)?;
    assert_eq!(status["containers"].as_array().map(Vec::len), Some(4096));
    assert!(status["counters"]["slots_exhausted"].as_u64() >= Some(1), "{}", status["counters"]);
    // The agent says so too. Its canary needs a slot, so one is made free, and the container that had none takes it.
    vm.command("rmdir").arg("/sys/fs/cgroup/replicas/4096/test/slots/main").check()?;
    let process = Enforcer::spawn_with(vm, ["--containers", GLOB, "--events", enforcer::EVENTS])?;
    let ended = process.wait(Duration::from_secs(120))?;
    assert!(ended.error_text().contains("no slot is free for the canary"), "{}", ended.error_text());
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM", "judged since a slot was free");
    vm.command("mkdir").args(["-p", "/sys/fs/cgroup/replicas/6000/test/slots/main"]).check()?;
    let process = Enforcer::spawn_with(vm, ["--containers", GLOB, "--events", enforcer::EVENTS])?;
    let ended = process.wait(Duration::from_secs(120))?;
    assert!(ended.error_text().contains("no slot is free: the container runs unjudged"), "{}", ended.error_text());
    container.delete()?;
    let empty = "cd /sys/fs/cgroup && find replicas -depth -type d | xargs rmdir";
    vm.command("sh").args(["-c", empty]).timeout(Duration::from_secs(240)).check()?;
    Ok(())
}

fn a_canary_that_is_not_denied_ends_the_agent(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    vm.kill(enforcer.pid(), SIGKILL)?;
    enforcer.process().output()?;
    // A link is there by its name, and is another program's: nothing judges binds.
    let links = vm.command("sh").args(["-c", "echo /sys/fs/bpf/portcullis/*/links-*"]).check()?;
    let swap = format!("cd {links} && rm socket_bind && ln path_mkdir socket_bind");
    vm.command("sh").args(["-c", &swap]).check()?;
    let ended = Enforcer::spawn(vm)?.wait(Duration::from_secs(120))?;
    assert_eq!(ended.code(), Some(4), "{}", ended.error_text());
    assert!(ended.error_text().contains("the canary's bind was not denied"), "{}", ended.error_text());
    assert!(!ended.error_text().contains("\"enforcing\""), "{}", ended.error_text());
    let status = enforcer::status(vm)?;
    let hook = status["hooks"].as_array().and_then(|hooks| hooks.iter().find(|hook| hook["name"] == "socket_bind"));
    assert!(hook.is_some_and(|hook| hook["state"] == "dead"), "{hook:?}");
    let text = vm.command("portcullis-enforcer").arg("status").check()?;
    assert!(text.contains("DEAD, nothing judges there: socket_bind"), "{text}");
    vm.command("portcullis-enforcer").arg("detach").check()?;
    Ok(())
}

fn status_shows_what_is_live_and_what_each_profile_takes(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    enforcer.apply("shown.yaml", &profile("shown", "audit", RULES))?;
    let container = container(vm, "shown", "/portcullis/test/shown/main")?;
    let status = enforcer.status()?;
    assert_eq!(status["current"], true);
    let hooks = status["hooks"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(hooks.len() > 40, "{status:#}");
    for hook in hooks {
        // Since 6.2; on 6.1 other hooks do their work.
        let absent = vm.kernel() == Kernel::V6_1
            && ["file_truncate", "inode_set_acl", "inode_remove_acl"].iter().any(|newer| hook["name"] == *newer);
        assert_eq!(hook["state"], if absent { "absent" } else { "live" }, "{hook}");
    }
    assert_eq!(status["unjudged"], serde_json::json!({}), "both kernels have every hook that judges a privilege");
    let profiles = status["profiles"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = profiles.iter().find(|profile| profile["name"] == "test/shown/main").cloned().unwrap_or_default();
    assert_eq!((&shown["mode"], &shown["containers"], &shown["rules"]), (&"audit".into(), &1.into(), &2.into()), "{shown}");
    assert!(shown["bytes"].as_u64() >= Some(16 * 1024), "{shown}");
    let text = vm.command("portcullis-enforcer").arg("status").check()?;
    assert!(text.contains("test/shown/main  audit, 1 containers, 2 rules"), "{text}");
    assert!(text.contains("/portcullis/test/shown/main  test/shown/main"), "{text}");
    container.delete()?;
    Ok(())
}

fn nothing_is_left_to_the_agent_once_it_enforces(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let threads = vm.command("sh").args(["-c", &format!("cat /proc/{}/task/*/status", enforcer.pid())]).check()?;
    let values = |name: &str| -> Vec<String> {
        threads.lines().filter_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned()).collect()
    };
    assert!(values("Name:").len() > 1, "a thread watches the folders: {threads}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert!(values(set).iter().all(|mask| mask.chars().all(|digit| digit == '0')), "{set} {:?}", values(set));
    }
    assert!(values("NoNewPrivs:").iter().all(|value| value == "1"), "{threads}");
    // What it does from then on needs nothing.
    enforcer.apply("bare.yaml", &profile("bare", "enforce", RULES))?;
    let container = container(vm, "bare", "/portcullis/test/bare/main")?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "EPERM");
    enforcer.wait_for_event("the denial", |event| event.container.profile == "bare" && path_of(event) == "/bin/true")?;
    enforcer.apply("bare.yaml", &profile("bare", "enforce", &RULES.replace("/bin/sleep}", "/bin/sleep}, {path: /bin/true}")))?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "");
    // Learning writes files.
    let learned = container_of_new_workload(vm)?;
    enforcer.wait_for_file("/profiles/test.bare-new.yaml", |text| text.contains("/bin/sleep"))?;
    learned.delete()?;
    container.delete()?;
    Ok(())
}

fn container_of_new_workload(vm: &Vm) -> Result<Container<'_>, Box<dyn std::error::Error>> {
    container(vm, "bare-new", "/portcullis/test/bare-new/main")
}
