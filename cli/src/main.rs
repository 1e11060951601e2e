//! `portcullis`: reads the command line, runs the command, tells the shell how it went.

#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use portcullis_cli::args::{Args, Command};
use portcullis_cli::{break_glass, cases, check, convert, explain, scan, seccomp, uninstall};

fn main() -> ExitCode {
    let output = match Args::parse().command {
        Command::Check(args) => check::run(&args, &mut io::stdin().lock(), &mut io::stdout().lock()),
        Command::Scan(args) => scan::run(&args, &mut io::stdout().lock()),
        Command::Test(args) => cases::run(&args, &mut io::stdout().lock()),
        Command::Convert(args) => convert::run(&args, &mut io::stdout().lock()),
        Command::Definitions(args) => convert::write_definitions(&args, &mut io::stdout().lock()),
        Command::Explain(args) => explain::run(&args, &mut io::stdout().lock()),
        Command::Seccomp(args) => seccomp::run(&args, &mut io::stdout().lock()),
        Command::BreakGlass(args) => break_glass::run(&args, &mut io::stdout().lock()),
        Command::Uninstall(args) => uninstall::run(&args, &mut io::stdout().lock()),
    };
    match output {
        Ok(status) => status.into(),
        // Whoever reads the output has read enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: cannot write the output: {error}");
            ExitCode::from(2)
        }
    }
}
