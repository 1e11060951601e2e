//! No false denials: each application is learned under one load and enforced under another, and what an attacker makes it do is denied.
//!
//! With `UPDATE=1` in the environment, the numbers of rules that were learned are recorded instead of compared.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    applications::{self, Application, NGINX, POSTGRESQL, PYTHON, REDIS_SERVER, record},
    kernel_tests,
};

kernel_tests!(machine:
    nginx_is_denied_nothing_that_it_needs_and_all_that_an_attacker_wants,
    postgresql_is_denied_nothing_that_it_needs_and_all_that_an_attacker_wants,
    python_is_denied_nothing_that_it_needs_and_all_that_an_attacker_wants,
    redis_is_denied_nothing_that_it_needs_and_all_that_an_attacker_wants,
);

fn machine(kernel: Kernel) -> Builder {
    applications::machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

fn prove(application: &Application, vm: &Vm) -> TestResult {
    let rules = application.prove(vm)?;
    record::keep_or_compare(application.name, vm.kernel().series(), &rules)
}

fn nginx_is_denied_nothing_that_it_needs_and_all_that_an_attacker_wants(vm: &Vm) -> TestResult {
    prove(&NGINX, vm)
}

fn postgresql_is_denied_nothing_that_it_needs_and_all_that_an_attacker_wants(vm: &Vm) -> TestResult {
    prove(&POSTGRESQL, vm)
}

fn python_is_denied_nothing_that_it_needs_and_all_that_an_attacker_wants(vm: &Vm) -> TestResult {
    prove(&PYTHON, vm)
}

fn redis_is_denied_nothing_that_it_needs_and_all_that_an_attacker_wants(vm: &Vm) -> TestResult {
    prove(&REDIS_SERVER, vm)
}
