//! `portcullis`: reads the command line, runs the command, tells the shell how it went.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use portcullis_cli::args::{Args, Command};
use portcullis_cli::output::Output;
use portcullis_cli::{Status, break_glass, cases, check, convert, explain, scan, seccomp, uninstall};

fn main() -> ExitCode {
    let mut output = Output::new(io::stdout().lock());
    match run(Args::parse().command, &mut output).and_then(|status| output.flush().map(|()| status)) {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("portcullis: cannot write the output: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command, output: &mut impl Write) -> io::Result<Status> {
    match command {
        Command::Check(args) => check::run(&args, &mut io::stdin().lock(), output),
        Command::Scan(args) => scan::run(&args, output),
        Command::Test(args) => cases::run(&args, output),
        Command::Convert(args) => convert::run(&args, output),
        Command::Definitions(args) => convert::write_definitions(&args, output),
        Command::Explain(args) => explain::run(&args, output),
        Command::Seccomp(args) => seccomp::run(&args, output),
        Command::BreakGlass(args) => break_glass::run(&args, output),
        Command::Uninstall(args) => uninstall::run(&args, output),
    }
}
