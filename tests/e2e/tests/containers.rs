//! Containers of the harness, on every kernel: they are what runc makes on a node, and each applet is a file of its own.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the lints know tests by #[test], and these are made into tests by kernel_tests!")]

use std::time::Duration;

use portcullis_e2e::{Builder, Error, Kernel, TestResult, Vm, kernel_tests, runc::Container};

const LONG: Duration = Duration::from_secs(60);

kernel_tests!(machine:
    runs_a_container_in_the_cgroup_it_was_given,
    gives_every_applet_a_file_of_its_own,
    joins_a_running_container,
    separates_created_from_started,
    reports_a_program_that_cannot_be_started,
    runs_a_container_to_its_end,
    runs_a_container_as_another_user_without_capabilities,
);

fn machine(kernel: Kernel) -> Builder {
    Vm::builder(kernel)
}

fn runs_a_container_in_the_cgroup_it_was_given(vm: &Vm) -> TestResult {
    let container = Container::builder("placed").cgroup("/kubepods/pod1/placed").run(vm)?;
    let processes = vm.read_text(&format!("{}/cgroup.procs", container.cgroup_folder()))?;
    assert_eq!(processes, container.pid()?.to_string());
    assert_eq!(container.cgroup_folder(), "/sys/fs/cgroup/kubepods/pod1/placed");
    let folder = container.cgroup_folder();
    container.delete()?;
    assert!(!vm.run("test", &["-e", &folder])?.success(), "the cgroup went with the container");
    Ok(())
}

fn gives_every_applet_a_file_of_its_own(vm: &Vm) -> TestResult {
    let container = Container::builder("applets").run(vm)?;
    assert_eq!(container.exec(["readlink", "/proc/self/exe"]).check()?, "/bin/readlink");
    assert_eq!(vm.command("readlink").arg("/proc/self/exe").check()?, "/bin/busybox", "outside they are links");
    let shell = |line: &str| container.exec(["sh", "-c", line]).check();
    assert_eq!(shell("/bin/readlink /proc/self/exe; true")?, "/bin/readlink");
    assert_eq!(shell("readlink /proc/self/exe; true")?, "/bin/sh", "without a slash, the shell runs its own applet");
    container.delete()?;
    Ok(())
}

fn joins_a_running_container(vm: &Vm) -> TestResult {
    let container = Container::builder("joined").file("/etc/deep/secret", "token", 0o600).env("WHO", "me").run(vm)?;
    assert_eq!(container.exec(["cat", "/etc/deep/secret"]).check()?, "token");
    assert_eq!(container.exec(["sh", "-c", "echo $WHO; exit 5"]).run()?.code(), Some(5));
    assert_eq!(container.exec(["hostname"]).check()?, "joined");
    assert_eq!(container.exec(["cat", "/proc/1/comm"]).check()?, "sleep", "it has its own processes");
    container.delete()?;
    Ok(())
}

fn separates_created_from_started(vm: &Vm) -> TestResult {
    let container = Container::builder("staged").args(["sh", "-c", "echo started; sleep 1000"]).create(vm)?;
    assert_eq!((container.status()?.as_str(), container.output()?.as_str()), ("created", ""));
    container.start()?;
    vm.sh(&format!("until grep -q started /run/bundles/{}/log; do usleep 10000; done", "staged"))?;
    assert_eq!(container.status()?, "running");
    container.kill(9)?;
    container.wait_until_stopped(LONG)?;
    assert_eq!(container.status()?, "stopped");
    container.delete()?;
    Ok(())
}

fn reports_a_program_that_cannot_be_started(vm: &Vm) -> TestResult {
    let Err(error) = Container::builder("broken").args(["/no/such/program"]).run(vm) else { panic!("it ran") };
    assert!(matches!(&error, Error::Command { .. }) && error.to_string().contains("/no/such/program"), "{error}");
    Ok(())
}

fn runs_a_container_to_its_end(vm: &Vm) -> TestResult {
    vm.sh("mkdir -p /tmp/shared && echo from the node > /tmp/shared/file")?;
    let container = Container::builder("ends").bind("/tmp/shared", "/data").args(["cat", "/data/file"]).run(vm)?;
    container.wait_until_stopped(LONG)?;
    assert_eq!(container.output()?, "from the node");
    container.delete()?;
    Ok(())
}

fn runs_a_container_as_another_user_without_capabilities(vm: &Vm) -> TestResult {
    let container = Container::builder("bare").user(1000).capabilities::<String>([]).run(vm)?;
    let status = container.exec(["grep", "-E", "^(Uid|CapEff|CapBnd):", "/proc/1/status"]).check()?;
    assert_eq!(status, "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000");
    container.delete()?;
    Ok(())
}
