//! A kernel that cannot enforce gets one clear error that says how to have what is missing, and nothing is loaded.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_e2e::{
    Kernel, TestResult, Vm,
    enforcer::{self, Enforcer},
};
use std::time::Duration;

/// The enforcer's exit status and log on such a machine.
fn refusal(vm: &Vm) -> Result<(Option<i32>, String), Box<dyn std::error::Error>> {
    let output = Enforcer::spawn(vm)?.wait(Duration::from_secs(30))?;
    Ok((output.code(), output.error_text()))
}

#[test]
fn a_kernel_without_bpf_lsm_is_refused_with_the_command_line_that_has_it() -> TestResult {
    for kernel in Kernel::ALL {
        let vm = enforcer::machine(kernel)?.lsm("lockdown,capability").boot()?;
        let (code, log) = refusal(&vm)?;
        assert_eq!(code, Some(3), "{log}");
        assert!(log.contains("BPF-LSM is not active") && log.contains("lsm=") && log.contains(",bpf on its command line"), "{log}");
        assert_eq!(vm.command("sh").args(["-c", "ls -A /sys/fs/bpf"]).check()?, "");
    }
    Ok(())
}

#[test]
fn a_kernel_with_cgroup_v1_only_is_refused() -> TestResult {
    let vm = enforcer::machine(Kernel::V6_1)?.cgroups_v1().boot()?;
    let (code, log) = refusal(&vm)?;
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("is not a cgroup v2 hierarchy") && log.contains("systemd.unified_cgroup_hierarchy=1"), "{log}");
    Ok(())
}

#[test]
fn a_kernel_without_type_information_is_refused() -> TestResult {
    let vm = enforcer::machine(Kernel::V6_12)?.boot()?;
    // No kernel of Debian is built without it, so it is hidden.
    vm.command("mount").args(["-t", "tmpfs", "none", "/sys/kernel/btf"]).check()?;
    let (code, log) = refusal(&vm)?;
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("CONFIG_DEBUG_INFO_BTF"), "{log}");
    Ok(())
}
