//! Every kernel accepts every program with room to spare, and no program grows unnoticed.
//!
//! With `UPDATE=1` in the environment, what the kernels say is recorded instead of compared.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_e2e::{
    Kernel, TestResult,
    enforcer::{self, Enforcer},
    record::Recorded,
    verifier::{self, Record},
};

#[test]
fn no_program_takes_the_verifier_more_than_was_recorded() -> TestResult {
    let update = std::env::var_os("UPDATE").is_some();
    let mut record = Record::load()?;
    let mut complaints = Vec::new();
    for kernel in Kernel::ALL {
        let vm = enforcer::machine(kernel)?.boot()?;
        let mut enforcer = Enforcer::start(&vm)?;
        let now = verifier::figures(&enforcer.process().output()?.error_text());
        assert!(!now.is_empty(), "the enforcer tells nothing of what it loads on Linux {kernel}");
        if update {
            record.0.insert(kernel.to_string(), now.clone());
        }
        complaints.extend(record.complaints(kernel.series(), &now).into_iter().map(|complaint| format!("Linux {kernel}: {complaint}")));
    }
    if update {
        record.save()?;
    }
    assert!(complaints.is_empty(), "{}\nIf this is meant: {}", complaints.join("\n"), Record::UPDATE);
    Ok(())
}
