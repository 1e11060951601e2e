//! Ordinary named tests that run on every kernel, one machine for each kernel and test file.
//!
//! Booting costs seconds under software emulation, so the tests of a file share their machine, one after another.
//! A machine that a test broke is replaced for the next one. Test files of one package run one after another; so at
//! most two machines run at once, one a kernel.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
};

use crate::{builder::Builder, error::Console, kernel::Kernel, vm::Vm};

/// What a test returns: `?` on whatever goes wrong.
pub type TestResult = Result<(), Box<dyn Error>>;

/// The machine that the tests of one file and one kernel share.
pub struct Shared {
    kernel: Kernel,
    machine: Mutex<Machine>,
}

enum Machine {
    /// No test has asked for it yet.
    None,
    /// It runs, or a test has ended it.
    Some(Vm),
    /// It does not boot, for this reason; trying again for every test would take their time for nothing.
    Failed(String),
}

impl Shared {
    /// None yet; the first test boots it.
    #[must_use]
    pub const fn new(kernel: Kernel) -> Self {
        Self { kernel, machine: Mutex::new(Machine::None) }
    }

    /// Runs one test on the machine, alone; boots it as `machine` says where there is none that lives.
    ///
    /// # Errors
    /// The words for the test's failure, with what the console said meanwhile.
    pub fn run(&self, machine: fn(Kernel) -> Builder, test: fn(&Vm) -> TestResult) -> Result<(), String> {
        let mut shared = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*shared, Machine::Some(vm) if vm.is_gone()) {
            *shared = Machine::None;
        }
        if matches!(&*shared, Machine::None) {
            let booted = machine(self.kernel).boot();
            *shared = booted.map_or_else(|error| Machine::Failed(error.to_string()), Machine::Some);
        }
        let vm = match &*shared {
            Machine::Some(vm) => vm,
            Machine::Failed(reason) => return Err(reason.clone()),
            Machine::None => return Err("the machine was not booted".to_owned()),
        };
        let guard = OnPanic { before: vm.console().0.len(), vm };
        test(vm).map_err(|error| format!("{error}{}", guard.console()))
    }
}

/// Shows the console where an assertion fails.
struct OnPanic<'vm> {
    vm: &'vm Vm,
    before: usize,
}

impl OnPanic<'_> {
    /// What the console said since the test began.
    fn console(&self) -> String {
        let console = self.vm.console();
        match console.0.get(self.before..) {
            Some(said) if !said.trim().is_empty() => format!("\nconsole:\n{}", Console(said.to_owned())),
            _ => String::new(),
        }
    }
}

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("on Linux {}{}", self.vm.kernel(), self.console());
        }
    }
}

/// Makes a test for every kernel of each function named: `denies_…::on_v6_1`, `denies_…::on_v6_12`.
///
/// The kernel comes last because tests are run in the order of their names: so two threads work on two machines, and do
/// not wait for each other's. `cargo test v6_12` runs one kernel's.
///
/// The functions are `fn(&Vm) -> TestResult`, defined in the same module; one that is forgotten here is an unused function,
/// which the build refuses. `machine` is `fn(Kernel) -> Builder`.
///
/// ```no_run
/// use portcullis_e2e::{Builder, Kernel, TestResult, Vm, kernel_tests};
///
/// kernel_tests!(machine: lists_bpf_among_the_security_modules);
///
/// fn machine(kernel: Kernel) -> Builder {
///     Vm::builder(kernel)
/// }
///
/// fn lists_bpf_among_the_security_modules(vm: &Vm) -> TestResult {
///     assert!(vm.read_text("/sys/kernel/security/lsm")?.contains("bpf"));
///     Ok(())
/// }
/// ```
#[macro_export]
macro_rules! kernel_tests {
    ($machine:ident: $($test:ident),+ $(,)?) => {
        mod shared {
            pub(super) static V6_1: $crate::Shared = $crate::Shared::new($crate::Kernel::V6_1);
            pub(super) static V6_12: $crate::Shared = $crate::Shared::new($crate::Kernel::V6_12);
        }
        $(mod $test {
            #[test]
            fn on_v6_1() {
                if let Err(failure) = super::shared::V6_1.run(super::$machine, super::$test) {
                    panic!("on Linux 6.1: {failure}");
                }
            }

            #[test]
            fn on_v6_12() {
                if let Err(failure) = super::shared::V6_12.run(super::$machine, super::$test) {
                    panic!("on Linux 6.12: {failure}");
                }
            }
        })+
    };
}
