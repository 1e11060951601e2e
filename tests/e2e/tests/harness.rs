//! The harness proves itself, on every kernel: what it promises about machines, commands and files.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the lints know tests by #[test], and these are made into tests by kernel_tests!")]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process, thread,
    time::{Duration, Instant},
};

use portcullis_e2e::{Builder, Error, Kernel, Status, TestResult, Vm, error::Ending, guest, kernel_tests};

const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(30);

kernel_tests!(machine:
    boots_the_kernel_that_was_asked_for,
    has_bpf_among_its_security_modules,
    mounts_what_the_enforcer_needs,
    runs_from_a_root_that_pivot_root_accepts,
    reports_exit_status_output_and_errors,
    reports_a_program_that_does_not_exist,
    carries_any_byte_both_ways,
    writes_and_reads_files_larger_than_a_frame_of_the_port,
    names_the_file_that_cannot_be_read,
    runs_programs_of_the_host_with_their_libraries,
    runs_as_a_user_who_is_not_root,
    runs_inside_a_cgroup,
    ends_a_command_that_hangs_and_answers_on,
    runs_commands_at_the_same_time,
    shows_output_while_a_program_runs,
    kills_what_a_test_leaves_running,
    waits_for_a_file,
    listens_on_both_loopback_addresses,
    loads_overlayfs,
);

fn machine(kernel: Kernel) -> Builder {
    Vm::builder(kernel).binary("/usr/bin/env").contents("/etc/marker", "made by the host").script("echo ran > /tmp/boot-script")
}

fn boots_the_kernel_that_was_asked_for(vm: &Vm) -> TestResult {
    let release = vm.command("uname").arg("-r").check()?;
    assert!(release.starts_with(&format!("{}.", vm.kernel())), "{release}");
    assert_eq!(vm.read_text("/etc/marker")?, "made by the host");
    assert_eq!(vm.read_text("/tmp/boot-script")?, "ran");
    Ok(())
}

fn has_bpf_among_its_security_modules(vm: &Vm) -> TestResult {
    let modules = vm.read_text("/sys/kernel/security/lsm")?;
    assert!(modules.split(',').any(|module| module == "bpf"), "{modules}");
    Ok(())
}

fn mounts_what_the_enforcer_needs(vm: &Vm) -> TestResult {
    let mounts = vm.read_text("/proc/mounts")?;
    for (place, kind) in [
        ("/", "tmpfs"),
        ("/sys/fs/cgroup", "cgroup2"),
        ("/sys/fs/bpf", "bpf"),
        ("/sys/kernel/security", "securityfs"),
        ("/sys/kernel/debug", "debugfs"),
        ("/sys/kernel/tracing", "tracefs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/tmp", "tmpfs"),
    ] {
        assert!(mounts.contains(&format!(" {place} {kind} ")), "{kind} at {place} in\n{mounts}");
    }
    assert!(vm.read_file("/sys/kernel/btf/vmlinux")?.len() > 1_000_000);
    Ok(())
}

fn runs_from_a_root_that_pivot_root_accepts(vm: &Vm) -> TestResult {
    let script = "mkdir -p /tmp/root/old && mount -t tmpfs t /tmp/root && mkdir /tmp/root/old && pivot_root /tmp/root /tmp/root/old";
    assert_eq!(vm.run("unshare", &["-m", "sh", "-c", script])?.error_text(), "");
    Ok(())
}

fn reports_exit_status_output_and_errors(vm: &Vm) -> TestResult {
    let output = vm.sh("echo out; echo err >&2; exit 7")?;
    assert_eq!((output.code(), output.text(), output.error_text()), (Some(7), "out".into(), "err".into()));
    assert_eq!(vm.sh("kill -TERM $$")?.status, Some(Status::Signal(15)));
    let failure = vm.command("sh").args(["-c", "echo why >&2; false"]).check().unwrap_err().to_string();
    assert!(failure.contains("exit status 1") && failure.contains("why"), "{failure}");
    Ok(())
}

fn reports_a_program_that_does_not_exist(vm: &Vm) -> TestResult {
    let error = vm.run("/no/such/program", &[]).unwrap_err();
    assert!(matches!(&error, Error::Guest { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    Ok(())
}

fn carries_any_byte_both_ways(vm: &Vm) -> TestResult {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let output = vm.command("cat").input(bytes.clone()).run()?;
    assert!(output.success() && output.stdout == bytes, "{} bytes came back", output.stdout.len());
    Ok(())
}

fn writes_and_reads_files_larger_than_a_frame_of_the_port(vm: &Vm) -> TestResult {
    let bytes: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    vm.write_file("/tmp/large", &bytes, 0o600)?;
    assert_eq!(vm.command("stat").args(["-c", "%a %s", "/tmp/large"]).check()?, "600 12000000");
    assert!(vm.read_file("/tmp/large")? == bytes);
    Ok(())
}

fn names_the_file_that_cannot_be_read(vm: &Vm) -> TestResult {
    let error = vm.read_file("/no/such/file").unwrap_err().to_string();
    assert!(error.contains("/no/such/file") && error.contains("No such file"), "{error}");
    Ok(())
}

fn runs_programs_of_the_host_with_their_libraries(vm: &Vm) -> TestResult {
    let version = vm.command("env").arg("--version").check()?;
    assert!(version.contains("GNU coreutils"), "busybox answers differently: {version}");
    Ok(())
}

fn runs_as_a_user_who_is_not_root(vm: &Vm) -> TestResult {
    let (name, id) = guest::USER;
    assert_eq!(vm.command("id").user(id).check()?, format!("uid={id}({name}) gid={id}({name})"));
    assert!(!vm.command("cat").arg("/proc/1/environ").user(id).run()?.success());
    Ok(())
}

fn runs_inside_a_cgroup(vm: &Vm) -> TestResult {
    let folder = "/sys/fs/cgroup/box";
    vm.command("mkdir").arg(folder).check()?;
    let inside = |program: &str| vm.command(program).in_cgroup(folder);
    assert_eq!(inside("cat").arg("/proc/self/cgroup").check()?, "0::/box");
    assert_eq!(vm.command("cat").arg("/proc/self/cgroup").check()?, "0::/");
    assert_eq!(inside("cat").arg("/proc/self/comm").check()?, "cat", "it was executed, not run by a shell");
    let (_, id) = guest::USER;
    assert_eq!(inside("id").arg("-u").user(id).check()?, id.to_string());
    assert_eq!((inside("/no/such/program").run()?.code(), inside("/etc/marker").run()?.code()), (Some(127), Some(126)));
    Ok(())
}

fn ends_a_command_that_hangs_and_answers_on(vm: &Vm) -> TestResult {
    // The child holds the output open too: the whole group has to go.
    let command = vm.command("sh").args(["-c", "echo before; sleep 1000 & sleep 1000"]);
    let Err(Error::TimedOut { output: Some(output), .. }) = command.timeout(SHORT).run() else {
        panic!("it ended by itself");
    };
    assert_eq!((output.text(), output.status), ("before".to_owned(), Some(Status::Signal(9))));
    assert_eq!(vm.sh("grep -l sleep /proc/[0-9]*/comm")?.text(), "");
    Ok(())
}

fn runs_commands_at_the_same_time(vm: &Vm) -> TestResult {
    vm.command("mkfifo").arg("/tmp/between").check()?;
    let reader = vm.command("cat").arg("/tmp/between").spawn()?;
    // Without the reader the writer would wait for ever.
    vm.sh("echo through > /tmp/between")?;
    assert_eq!(reader.wait(LONG)?.text(), "through");
    Ok(())
}

fn shows_output_while_a_program_runs(vm: &Vm) -> TestResult {
    let mut shell = vm.command("sh").spawn()?;
    shell.write(b"echo hello from $$\n")?;
    let line = shell.wait_for_line("hello", LONG)?;
    assert_eq!(line, format!("hello from {}", shell.pid()));
    assert_eq!(shell.output()?.status, None);
    shell.write(b"exit 3\n")?;
    let early = shell.wait_for_line("never said", LONG).unwrap_err();
    assert!(matches!(&early, Error::Command { output, .. } if output.code() == Some(3)), "{early}");
    Ok(())
}

fn kills_what_a_test_leaves_running(vm: &Vm) -> TestResult {
    let left = vm.command("sleep").arg("4321").spawn()?;
    let stays = vm.command("sleep").arg("1234").spawn()?;
    let pid = stays.pid();
    stays.detach();
    let gone = format!("while [ -e /proc/{} ]; do usleep 10000; done", left.pid());
    drop(left);
    vm.command("sh").args(["-c", &gone]).check()?;
    vm.kill(pid, 9)?;
    assert!(vm.kill(1 << 22, 9).is_err(), "there is no such process");
    Ok(())
}

fn waits_for_a_file(vm: &Vm) -> TestResult {
    let maker = vm.command("sh").args(["-c", "read line; mkdir /sys/fs/cgroup/made"]).spawn()?;
    assert!(vm.wait_for_file("/sys/fs/cgroup/made", Duration::from_millis(100)).is_err());
    maker.write(b"now\n")?;
    vm.wait_for_file("/sys/fs/cgroup/made", LONG)?;
    Ok(())
}

fn listens_on_both_loopback_addresses(vm: &Vm) -> TestResult {
    for address in ["127.0.0.1:7000", "[::1]:7000"] {
        let _server = vm.command("httpd").args(["-f", "-p", address, "-h", "/etc"]).spawn()?;
        let client = format!("until wget -q -O - http://{address}/marker; do usleep 50000; done");
        assert_eq!(vm.command("sh").args(["-c", &client]).timeout(LONG).check()?, "made by the host", "{address}");
    }
    Ok(())
}

fn loads_overlayfs(vm: &Vm) -> TestResult {
    let script = "mkdir -p /tmp/o && mount -t tmpfs t /tmp/o && cd /tmp/o && mkdir lower upper work merged && echo low > lower/file \
                  && mount -t overlay o -o lowerdir=lower,upperdir=upper,workdir=work merged && cat merged/file && umount merged";
    assert_eq!(vm.command("sh").args(["-ec", script]).check()?, "low");
    Ok(())
}

/// Tests of machines that end, or are made otherwise, each with one of its own.
mod machines {
    use super::*;

    fn ending(error: Error) -> (Ending, String) {
        match error {
            Error::Gone { ending, console } => (ending, console.0),
            other => panic!("not an end: {other}"),
        }
    }

    #[test]
    fn a_panic_is_reported_with_its_message_to_whoever_waits() {
        let vm = machine(Kernel::V6_12).boot().unwrap();
        let waiting = vm.command("sleep").arg("1000").spawn().unwrap();
        vm.command("sh").args(["-c", "echo c > /proc/sysrq-trigger"]).run().unwrap_err();
        let (ending, console) = ending(waiting.wait(LONG).unwrap_err());
        assert_eq!(ending, Ending::Panicked("sysrq triggered crash".to_owned()));
        assert!(console.contains("Kernel panic"), "{console}");
        assert!(vm.is_gone() && vm.run("true", &[]).is_err());
    }

    #[test]
    fn a_machine_that_switches_itself_off_is_reported() {
        let vm = Vm::builder(Kernel::V6_1).boot().unwrap();
        let error = vm.run("poweroff", &["-f"]).unwrap_err();
        assert_eq!(ending(error).0, Ending::PoweredOff);
    }

    #[test]
    fn a_boot_script_that_fails_fails_the_boot_and_says_why() {
        let (ending, console) = ending(Vm::builder(Kernel::V6_1).script("echo no luck >&2; false").boot().map(drop).unwrap_err());
        assert_eq!(ending, Ending::PoweredOff);
        assert!(console.contains("no luck"), "{console}");
    }

    #[test]
    fn a_boot_that_takes_too_long_ends() {
        let error = Vm::builder(Kernel::V6_1).script("sleep 1000").timeout(Duration::from_secs(15)).boot().map(drop).unwrap_err();
        assert!(matches!(error, Error::Boot { .. }), "{error}");
    }

    #[test]
    fn an_unknown_module_or_file_is_named_before_anything_boots() {
        let error = Vm::builder(Kernel::V6_1).module("nonesuch").boot().map(drop).unwrap_err();
        assert_eq!(error.to_string(), "Linux 6.1 has no module nonesuch");
        let error = Vm::builder(Kernel::V6_1).file("/no/such/file", "/f").boot().map(drop).unwrap_err();
        assert!(error.to_string().contains("/no/such/file"), "{error}");
    }

    #[test]
    fn boots_without_bpf_lsm_and_with_cgroups_of_version_1() {
        let vm = Vm::builder(Kernel::V6_1).lsm("lockdown,capability").cgroups_v1().module("veth").boot().unwrap();
        assert_eq!(vm.read_text("/sys/kernel/security/lsm").unwrap(), "lockdown,capability");
        let mounts = vm.read_text("/proc/mounts").unwrap();
        assert!(mounts.contains(" /sys/fs/cgroup/memory cgroup ") && !mounts.contains("cgroup2"), "{mounts}");
        assert!(vm.read_text("/proc/modules").unwrap().contains("veth"));
    }

    #[test]
    fn a_clock_that_counts_instructions_repeats() {
        let vm = Vm::builder(Kernel::V6_12).icount(true).boot().unwrap();
        assert_eq!(vm.command("nproc").check().unwrap(), "1");
        // The same work twice, timed by the guest in hundredths of a second, once the kernel has ended what it does after a boot.
        // The sleep takes no time outside: a clock that counts instructions jumps over what nobody executes.
        let script = "now() { read up rest < /proc/uptime; at=${up%.*}${up#*.}; }
            sleep 10
            for round in 1 2; do now; begin=$at; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; now; echo $((at-begin)); done";
        let times: Vec<i32> = vm.sh(script).unwrap().text().lines().map(|line| line.parse().unwrap()).collect();
        let [first, second] = times[..] else { panic!("{times:?}") };
        assert!(first > 10 && (first - second).abs() <= 1, "{times:?}");
    }

    /// Is the process there, and not only waiting to be reaped? The number is not used again within these moments.
    fn runs(emulator: u32) -> bool {
        let stat = fs::read_to_string(Path::new("/proc").join(emulator.to_string()).join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    #[test]
    fn a_dropped_machine_leaves_no_emulator() {
        let vm = Vm::builder(Kernel::V6_1).boot().unwrap();
        let emulator = vm.emulator_id();
        assert!(runs(emulator));
        drop(vm);
        assert!(!runs(emulator));
    }

    #[test]
    fn a_killed_test_process_takes_its_emulator_along() {
        const NAME: &str = "machines::a_killed_test_process_takes_its_emulator_along";
        const ROLE: &str = "PORTCULLIS_E2E_IS_TO_BE_KILLED";
        if env::var_os(ROLE).is_some() {
            let vm = Vm::builder(Kernel::V6_12).boot().unwrap();
            println!("emulator {}", vm.emulator_id());
            let _ = vm.command("sleep").arg("1000").timeout(Duration::from_secs(1000)).run();
            return;
        }
        let mut victim = process::Command::new(env::current_exe().unwrap());
        let mut victim = victim.args(["--exact", NAME, "--nocapture"]).env(ROLE, "").stdout(process::Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
        let emulator = lines.filter_map(|line| line.rsplit_once("emulator ")?.1.parse().ok()).next().unwrap();
        assert!(runs(emulator));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let end = Instant::now() + LONG;
        while runs(emulator) {
            assert!(Instant::now() < end, "emulator {emulator} outlives its test");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
