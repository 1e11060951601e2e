//! Containers of Kubernetes' pods, found by the UID in the names of their cgroups: a pod is armed before its first container exists.
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
    a_pod_is_armed_before_its_first_container_whatever_its_cgroup_is_called,
    a_container_is_judged_by_its_own_rules_once_its_name_is_known,
    a_pod_that_nobody_told_of_is_watched_and_reported,
    a_pod_that_is_gone_leaves_its_containers_judged_and_is_unknown_from_then_on,
    a_pod_is_armed_while_no_agent_runs,
    what_a_container_does_before_it_has_a_name_is_learned,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

const SIGKILL: i32 = 9;

/// What the agent says when the kernel knows the pods that the folder tells of, and when a container has another profile.
const ARMED: &str = "pods armed";
const BOUND: &str = "container bound";

fn start(vm: &Vm) -> Result<Enforcer<'_>, Box<dyn std::error::Error>> {
    Ok(Enforcer::start_with(vm, ["--pods", enforcer::PODS, "--events", enforcer::EVENTS])?)
}

/// A profile of two containers: `web` may execute `/bin/true`, `log` may execute `/bin/echo`, and both what the tests need.
fn profile(name: &str, mode: &str) -> String {
    let container = |name: &str, own: &str| {
        format!("  - name: {name}\n    exec: [{{path: /attempt}}, {{path: /bin/sleep}}, {{path: {own}}}]\n    guard: []\n")
    };
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: WorkloadProfile\nmetadata: {{namespace: test, name: {name}}}\nspec:\n  \
         workload: {{apiVersion: v1, kind: Pod, name: {name}}}\n  mode: {mode}\n  containers:\n{}{}",
        container("web", "/bin/true"),
        container("log", "/bin/echo")
    )
}

/// The description of a pod, with the IDs of those containers that have one.
fn pod(uid: &str, profile: &str, web: Option<&str>) -> String {
    let web = web.map_or_else(|| "null".to_owned(), |id| format!("containerd://{id}"));
    format!("uid: {uid}\nnamespace: test\nprofile: {profile}\ncontainers: {{web: {web}, log: null}}\n")
}

/// An ID as runtimes make them, from a digit.
fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn run<'vm>(vm: &'vm Vm, name: &str, cgroup: &str, program: &[&str]) -> Result<Container<'vm>, Box<dyn std::error::Error>> {
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let builder =
        Container::builder(name).cgroup(cgroup).file("/attempt", attempt, 0o755).file("/pause", vm.read_file("/bin/busybox")?, 0o755);
    Ok(builder.args(program.iter().copied()).run(vm)?)
}

const SLEEP: [&str; 2] = ["/bin/sleep", "1000"];

fn a_pod_is_armed_before_its_first_container_whatever_its_cgroup_is_called(vm: &Vm) -> TestResult {
    let mut enforcer = start(vm)?;
    enforcer.apply("armed.yaml", &profile("armed", "enforce"))?;
    for (index, form) in [
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/cri-containerd-ID.scope",
        "/kubepods/besteffort/podUID/ID",
        "/kubepods/podUID/crio-ID",
        "/kubepods.slice/kubepods-podU_I_D.slice/docker-ID.scope",
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podU_I_D.slice/crio-ID.scope",
    ]
    .into_iter()
    .enumerate()
    {
        // The last one is a static pod's.
        let uid = if index == 4 { format!("{index:032x}") } else { format!("0000000{index}-aaaa-4bbb-8ccc-000000000000") };
        let (file, name) = (format!("armed-{index}.yaml"), format!("armed-{index}"));
        enforcer.tell_of_pod(&file, &pod(&uid, "armed", None), ARMED)?;
        let cgroup = form.replace("U_I_D", &uid.replace('-', "_")).replace("UID", &uid).replace("ID", &id('a'));
        // runc hands the container over before it executes its program.
        let refused = run(vm, &name, &cgroup, &["/bin/cat", "/etc/hostname"])?;
        refused.wait_until_stopped(Duration::from_secs(30))?;
        assert!(refused.output()?.contains("operation not permitted"), "{cgroup}: {}", refused.output()?);
        refused.delete()?;
        enforcer.wait_for_event("the first exec", |event| {
            event.action == Action::Blocked && path_of(event) == "/bin/cat" && event.container.profile == "armed"
        })?;
        let container = run(vm, &format!("{name}-ok"), &cgroup.replace(&id('a'), &id('b')), &SLEEP)?;
        assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "", "what one of its containers may");
        assert_eq!(container.exec(["/attempt", "exec", "/bin/echo"]).run()?.text(), "", "and what another may");
        assert_eq!(container.exec(["/attempt", "exec", "/bin/cat"]).run()?.text(), "EPERM");
        container.delete()?;
    }
    Ok(())
}

fn a_container_is_judged_by_its_own_rules_once_its_name_is_known(vm: &Vm) -> TestResult {
    let mut enforcer = start(vm)?;
    enforcer.apply("named.yaml", &profile("named", "enforce"))?;
    let uid = "11111111-aaaa-4bbb-8ccc-000000000000";
    enforcer.tell_of_pod("named.yaml", &pod(uid, "named", None), ARMED)?;
    let sandbox = run(vm, "named-sandbox", &format!("/kubepods/burstable/pod{uid}/{}", id('0')), &["/pause", "sleep", "1000"])?;
    let container = run(vm, "named", &format!("/kubepods/burstable/pod{uid}/{}", id('c')), &SLEEP)?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/echo"]).run()?.text(), "");
    enforcer.tell_of_pod("named.yaml", &pod(uid, "named", Some(&id('c'))), BOUND)?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "", "its own rules");
    assert_eq!(container.exec(["/attempt", "exec", "/bin/echo"]).run()?.text(), "EPERM", "another container's rules are not its own");
    enforcer.wait_for_event("the denial, by name", |event| {
        event.action == Action::Blocked
            && event.container.profile == "named"
            && event.container.name == "web"
            && path_of(event) == "/bin/echo"
    })?;
    let status = enforcer.status()?;
    let profiles = status["profiles"].as_array().map(Vec::as_slice).unwrap_or_default();
    let containers_of = |name: &str| profiles.iter().find(|profile| profile["name"] == name).map(|profile| profile["containers"].clone());
    assert_eq!(containers_of("test/named/web"), Some(1.into()), "{status:#}");
    assert_eq!(containers_of("test/named/(pending)"), Some(1.into()), "the sandbox: {status:#}");
    container.delete()?;
    sandbox.delete()?;
    Ok(())
}

fn a_pod_that_nobody_told_of_is_watched_and_reported(vm: &Vm) -> TestResult {
    let mut enforcer = start(vm)?;
    let before = enforcer.status()?["counters"]["unknown_pods"].as_u64();
    let seen = enforcer.process().output()?.stderr.len();
    let cgroup = format!("/kubepods/pod22222222-aaaa-4bbb-8ccc-000000000000/{}", id('d'));
    let container = run(vm, "stranger", &cgroup, &SLEEP)?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/true"]).run()?.text(), "");
    enforcer.wait_for_log(seen, "a container of a pod that nobody has told of")?;
    enforcer.wait_for_event("what it did", |event| event.action == Action::Observed && path_of(event) == "/bin/true")?;
    let status = enforcer.status()?;
    let shown = status["containers"].as_array().and_then(|all| all.iter().find(|container| container["path"] == cgroup));
    assert!(shown.is_some_and(|container| container["stranger"] == true && container["profile"].is_null()), "{status:#}");
    assert_eq!(status["counters"]["unknown_pods"].as_u64(), before.map(|before| before + 1));
    // CRI-O's monitor is no container.
    vm.command("mkdir").args(["-p", "/sys/fs/cgroup/kubepods/pod22222222-aaaa-4bbb-8ccc-000000000000/crio-conmon-x"]).check()?;
    assert_eq!(enforcer.status()?["counters"]["unknown_pods"].as_u64(), before.map(|before| before + 1));
    container.delete()?;
    Ok(())
}

fn a_pod_that_is_gone_leaves_its_containers_judged_and_is_unknown_from_then_on(vm: &Vm) -> TestResult {
    let mut enforcer = start(vm)?;
    enforcer.apply("gone.yaml", &profile("gone", "enforce"))?;
    let uid = "33333333-aaaa-4bbb-8ccc-000000000000";
    enforcer.tell_of_pod("gone.yaml", &pod(uid, "gone", None), ARMED)?;
    let container = run(vm, "gone", &format!("/kubepods/pod{uid}/{}", id('e')), &SLEEP)?;
    let seen = enforcer.process().output()?.stderr.len();
    vm.command("rm").arg(format!("{}/gone.yaml", enforcer::PODS)).check()?;
    enforcer.wait_for_log(seen, ARMED)?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/cat"]).run()?.text(), "EPERM", "what runs is judged as it was");
    container.delete()?;
    let later = run(vm, "gone-later", &format!("/kubepods/pod{uid}/{}", id('f')), &SLEEP)?;
    assert_eq!(later.exec(["/attempt", "exec", "/bin/cat"]).run()?.text(), "", "nobody tells of that pod any more");
    enforcer.wait_for_log(seen, "a container of a pod that nobody has told of")?;
    later.delete()?;
    Ok(())
}

fn a_pod_is_armed_while_no_agent_runs(vm: &Vm) -> TestResult {
    let mut enforcer = start(vm)?;
    enforcer.apply("alone.yaml", &profile("alone", "enforce"))?;
    let uid = "44444444-aaaa-4bbb-8ccc-000000000000";
    enforcer.tell_of_pod("alone.yaml", &pod(uid, "alone", None), ARMED)?;
    vm.kill(enforcer.pid(), SIGKILL)?;
    enforcer.process().output()?;
    let container = run(vm, "alone", &format!("/kubepods/pod{uid}/{}", id('a')), &SLEEP)?;
    assert_eq!(container.exec(["/attempt", "exec", "/bin/cat"]).run()?.text(), "EPERM");
    // An agent that comes back knows of which workload each profile is, though it was not there when the container was made.
    let enforcer = start(vm)?;
    enforcer.wait_for_event("the denial", |event| event.action == Action::Blocked && event.container.profile == "alone")?;
    container.delete()?;
    Ok(())
}

fn what_a_container_does_before_it_has_a_name_is_learned(vm: &Vm) -> TestResult {
    let mut enforcer = start(vm)?;
    let uid = "55555555-aaaa-4bbb-8ccc-000000000000";
    enforcer.tell_of_pod("learned.yaml", &pod(uid, "learned", None), ARMED)?;
    let container = run(vm, "learned", &format!("/kubepods/pod{uid}/{}", id('b')), &SLEEP)?;
    container.exec(["/attempt", "exec", "/bin/true"]).check()?;
    enforcer.wait_for_event("what it did", |event| event.container.profile == "learned" && path_of(event) == "/bin/true")?;
    enforcer.tell_of_pod("learned.yaml", &pod(uid, "learned", Some(&id('b'))), BOUND)?;
    let learned = enforcer.wait_for_file("/profiles/test.learned.yaml", |text| text.contains("/bin/true"))?;
    assert!(learned.contains("name: web") && learned.contains("/bin/sleep"), "{learned}");
    container.delete()?;
    Ok(())
}
