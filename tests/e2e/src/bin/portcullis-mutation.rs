//! `portcullis-mutation [PROGRAM...]`: runs the enforcer without each program (or those named) under the tests that claim to need it, on
//! Linux 6.12, which has every hook; says what failed, and records it. Exit status 1 where nothing failed without a program: a test is missing.
//!
//! `--first` is content with one test that fails, of each program.

use std::process::{Command, ExitCode};

use clap::Parser;
use portcullis_e2e::{
    document::in_repository,
    mutation::{CLAIMS, Claim, LEAVE_OUT, LEFT_OUT, Record},
    record::Recorded,
};

/// The kernel's part of a test's name.
const KERNEL: &str = "on_v6_12";

/// Runs the tests of each kernel program with that program left out.
#[derive(Debug, Parser)]
struct Arguments {
    /// The programs; all where none is named.
    programs: Vec<String>,
    /// Goes on to the next program as soon as one test has failed.
    #[arg(long)]
    first: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("portcullis-mutation: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether something failed without each program.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    let mut all = true;
    let wanted = |claim: &&Claim| arguments.programs.is_empty() || arguments.programs.iter().any(|program| program == claim.program);
    for claim in CLAIMS.iter().filter(wanted) {
        let failed = failing(claim, arguments.first)?;
        println!("without {}: {} of {} tests fail", claim.program, failed.len(), claim.tests.len());
        all &= !failed.is_empty();
        // Recorded at once: what was run is not lost with what comes after it, nor with another run beside this one.
        let mut record = Record::load()?;
        record.0.remove(claim.program);
        if !failed.is_empty() {
            record.0.insert(claim.program.to_owned(), failed);
        }
        record.save()?;
    }
    Ok(all)
}

/// The tests of the claim that fail.
fn failing(claim: &Claim, first: bool) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut failed = Vec::new();
    for test in claim.tests {
        let (file, name) = test.split_once("::").ok_or("a claim names FILE::TEST")?;
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(in_repository(""))
            .args(["test", "--quiet", "--workspace", "--test", file, "--", "--exact", &format!("{name}::{KERNEL}")])
            .env(LEAVE_OUT, claim.program)
            .output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // What fails for another reason, or does not run at all, shows nothing.
        if said.contains("1 passed") {
            continue;
        }
        if !said.contains("1 failed") || !said.contains(&format!("{LEFT_OUT} {}", claim.program)) {
            return Err(format!("{test} did not run without {}:\n{said}", claim.program).into());
        }
        let why = said.lines().skip_while(|line| !line.contains("panicked at")).nth(1).unwrap_or_default();
        println!("{} without {}: {why}", test, claim.program);
        failed.push((*test).to_owned());
        if first {
            break;
        }
    }
    Ok(failed)
}
