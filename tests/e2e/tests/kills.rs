//! The enforcer is killed a hundred times, at moments that a seeded generator chooses, while a container does what it may and attempts what it may not.
//!
//! A moment may fall anywhere in an agent's life: before it has opened the maps, within the canary, while it switches a profile, or when it only
//! waits. Each life begins with another edition of the profile on disk, so that there is always something to switch; every edition grants the same of
//! what is attempted.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::profile,
    enforcer::{self, Enforcer},
    kernel_tests,
    runc::Container,
};

kernel_tests!(machine:
    a_hundred_deaths_of_the_enforcer_allow_nothing_and_deny_nothing,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

const DEATHS: u32 = 100;
const SIGKILL: i32 = 9;
/// The variable that chooses the moments of an earlier run again.
const SEED: &str = "PORTCULLIS_SEED";

/// SplitMix64, by Sebastiano Vigna: any seed will do.
struct Moments(u64);

impl Moments {
    /// Not the same in every run, so that runs add up; the seed is told.
    fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        Self(given.unwrap_or_else(|| RandomState::new().hash_one(0)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

/// The profile's text: the same grants in every edition, and more or fewer rules beside them.
fn edition(number: u64) -> String {
    let mut rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/true}]\n    capabilities: [SYS_CHROOT]\n    \
                     bind: [{ports: [0/UDP]}]\n    connect: [{cidr: 127.0.0.1/32, ports: [53/UDP]}]\n    \
                     files:\n    - {path: /data/file, access: [write]}\n    - {path: /dev/null, access: [write]}\n"
        .to_owned();
    for index in 0..number % 40 {
        let _ = writeln!(rules, "    - {{path: /srv/{number}/{index}/*, access: [write]}}");
    }
    profile("killed", "enforce", &rules)
}

fn kill(vm: &Vm, agent: Enforcer<'_>) -> TestResult {
    vm.kill(agent.pid(), SIGKILL)?;
    agent.into_process().wait(Duration::from_secs(30))?;
    Ok(())
}

fn a_hundred_deaths_of_the_enforcer_allow_nothing_and_deny_nothing(vm: &Vm) -> TestResult {
    let mut moments = Moments::new();
    eprintln!("Linux {}: {SEED}={}", vm.kernel(), moments.0);
    let mut first = Enforcer::start(vm)?;
    first.apply("killed.yaml", &edition(moments.next()))?;
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let container = Container::builder("killed")
        .cgroup("/portcullis/test/killed/main")
        .file("/attempt", attempt, 0o755)
        .file("/data/file", "x", 0o666)
        .file("/data/other", "x", 0o666)
        .run(vm)?;
    let mut mix = container.exec(["/attempt", "mix", "/stop"]).spawn()?;
    mix.wait_for_line("mixing", Duration::from_secs(30))?;
    kill(vm, first)?;
    // How long an agent takes to begin depends on the machine; the longest life is twice that.
    let begun = Instant::now();
    kill(vm, Enforcer::start(vm)?)?;
    let longest_life = u64::try_from(begun.elapsed().as_millis())?.max(1) * 2;
    let mut lived = 0;
    for _ in 2..DEATHS {
        vm.write_file("/profiles/killed.yaml", edition(moments.next()).as_bytes(), 0o644)?;
        let agent = Enforcer::spawn(vm)?;
        // The moment is what is tested: there is nothing to wait for.
        std::thread::sleep(Duration::from_millis(moments.next() % longest_life));
        vm.kill(agent.pid(), SIGKILL)?;
        let output = agent.wait(Duration::from_secs(30))?;
        lived += u32::from(output.error_text().contains("\"enforcing\""));
    }
    let mut last = Enforcer::start(vm)?;
    last.apply("killed.yaml", &edition(7))?;
    vm.write_file(&format!("{}/stop", container.rootfs()), b"", 0o644)?;
    let output = mix.wait(Duration::from_secs(60))?.text();
    eprintln!("Linux {}: {DEATHS} deaths, {lived} after the agent had said that it enforces; {}", vm.kernel(), output.replace('\n', ", "));
    let lines: Vec<&str> = output.lines().collect();
    let [first, rounds] = lines[..] else { panic!("not all was as it should be:\n{output}") };
    let rounds: u32 = rounds.strip_prefix("rounds ").and_then(|rounds| rounds.parse().ok()).ok_or("no count")?;
    assert!(first == "mixing" && rounds > DEATHS, "{output}");
    assert!(lived > 0 && lived < DEATHS - 2, "{lived} of {DEATHS} agents lived long enough to enforce: the moments miss something");
    container.delete()?;
    Ok(())
}
