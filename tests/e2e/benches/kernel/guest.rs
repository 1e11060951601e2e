//! One boot: the load, without the enforcer, beside it, and in its containers.

use portcullis_e2e::{
    Kernel, Vm, cargo,
    cost::{Operation, Report, Row, Samples},
    enforcer::{Enforcer, PROFILES},
};
use std::{error::Error, time::Duration};

use crate::profiles;

/// How long loading and compiling may take: the emulator does some tens of millions of instructions a second.
const START: Duration = Duration::from_secs(1800);
/// How long all rounds of one operation may take.
const LOAD: Duration = Duration::from_secs(600);
/// The root of the hierarchy of cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";
/// As deep as a container's cgroup, and none.
const OUTSIDE: &str = "plain/bench/outside/main";
/// Iterations of the loop that shows what the clock counts.
const TURNS: u32 = 10_000_000;
/// Every folder and file that is opened, beside those that the load makes itself. The profiles, which the agent watches, lie in a file system of
/// their own, as those of a node do seen from a container: every open in one that is watched costs 166 instructions more, whoever watches.
const FILES: &str = "mv /profiles /watched && mkdir /profiles && mount -t tmpfs profiles /profiles && mv /watched/* /profiles
    mkdir -p /etc/ssl/private /opt/app/modules /var/log/app /ccccc/ccccc/ccccc
    touch /opt/app/modules/000000 /var/log/app/error.log /var/log/app/other.log /a /bbbbbbbbbbbbbbbbbbbbbbb /ccccc/ccccc/ccccc/ccccc";

/// Measures every operation in every setting.
pub(crate) fn measure(kernel: Kernel) -> Result<Report, Box<dyn Error>> {
    let mut builder = Vm::builder(kernel)
        .icount(true)
        .memory_mib(3072)
        .binary(cargo::optimised_static_binary("portcullis-enforcer", "portcullis-enforcer")?)
        .binary(cargo::optimised_static_binary("portcullis-e2e", "portcullis-load")?)
        .binary(cargo::static_binary("portcullis-e2e", "portcullis-attempt")?)
        .script(FILES);
    for rules in profiles::RULES {
        builder = builder.contents(&format!("{PROFILES}/{}.yaml", profiles::name(rules)), profiles::yaml(rules));
    }
    let vm = builder.boot()?;
    // The kernel works on for a while after a boot; time in which nothing runs passes at once.
    vm.command("sleep").arg("30").check()?;

    let clock = load(&vm, OUTSIDE, "count", TURNS)?;
    let baseline = operations(&vm, OUTSIDE)?;
    start(&vm)?;
    let outside = operations(&vm, OUTSIDE)?;
    let mut inside = Vec::new();
    for rules in profiles::RULES {
        let container = format!("portcullis/bench/{}/main", profiles::name(rules));
        let samples = operations(&vm, &container)?;
        denies_what_is_not_granted(&vm, &container)?;
        inside.push((rules, samples));
    }
    let rows = Operation::ALL.iter().zip(baseline).zip(outside).enumerate().map(|(index, ((operation, baseline), outside))| {
        let profiles: Vec<_> = inside.iter().filter_map(|(rules, all)| Some((*rules, all.get(index)?.clone()))).collect();
        Row::new(operation, &baseline, &outside, &profiles)
    });
    Ok(Report { kernel: vm.command("uname").arg("-r").check()?, clock: clock.of_a_thousand(), rows: rows.collect() })
}

/// Starts the enforcer, and waits until it enforces all profiles.
fn start(vm: &Vm) -> Result<(), Box<dyn Error>> {
    let mut enforcer = Enforcer::spawn(vm)?;
    eprintln!("  loading the programs and compiling the profiles");
    enforcer.wait_for_line("\"enforcing\"", START)?;
    let log = enforcer.output()?.error_text();
    for rules in profiles::RULES {
        let name = profiles::name(rules);
        if !log.lines().any(|line| line.contains("profile applied") && line.contains(&format!("/{name}/"))) {
            return Err(format!("the profile {name} was not applied:\n{log}").into());
        }
    }
    enforcer.detach();
    // What was read and compiled is given back, and the agent comes to rest.
    vm.command("sleep").arg("30").check()?;
    Ok(())
}

/// Every operation in this cgroup.
fn operations(vm: &Vm, cgroup: &str) -> Result<Vec<Samples>, Box<dyn Error>> {
    eprintln!("  in {cgroup}");
    Operation::ALL
        .iter()
        .map(|operation| {
            if let Some(("first", rest)) = operation.load.split_once(' ') {
                let folder = rest.split(' ').next_back().unwrap_or(rest);
                say(vm, OUTSIDE, &format!("make {folder}"), operation.count)?;
            }
            load(vm, cgroup, operation.load, operation.count)
        })
        .collect()
}

fn load(vm: &Vm, cgroup: &str, words: &str, count: u32) -> Result<Samples, Box<dyn Error>> {
    Ok(Samples::parse(&say(vm, cgroup, words, count)?, count)?)
}

/// Runs the load in a mount namespace of its own: the first exec there is the one that begins a container's workload.
fn say(vm: &Vm, cgroup: &str, words: &str, count: u32) -> Result<String, Box<dyn Error>> {
    let mut words = words.split(' ');
    let operation = words.next().unwrap_or_default();
    Ok(enter(vm, cgroup)?.args(["/bin/portcullis-load", operation, &count.to_string()]).args(words).timeout(LOAD).check()?)
}

/// A profile that allowed everything would be cheap.
fn denies_what_is_not_granted(vm: &Vm, cgroup: &str) -> Result<(), Box<dyn Error>> {
    for words in [["write", "/var/log/app/other.log"], ["udp", "127.0.0.1:10"]] {
        let output = enter(vm, cgroup)?.arg("/bin/portcullis-attempt").args(words).run()?;
        if output.text() != "EPERM" {
            return Err(format!("{words:?} in {cgroup} was not denied: {output}").into());
        }
    }
    Ok(())
}

/// What enters the cgroup, made where it does not exist, and leaves the host's mount namespace.
fn enter<'vm>(vm: &'vm Vm, cgroup: &str) -> Result<portcullis_e2e::process::Command<'vm>, Box<dyn Error>> {
    let folder = format!("{CGROUPS}/{cgroup}");
    vm.command("mkdir").args(["-p", &folder]).check()?;
    Ok(vm.command("unshare").arg("-m").in_cgroup(&folder))
}
