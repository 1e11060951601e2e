//! The admission webhook's process: reads the command line, starts the log, serves until told to stop.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use portcullis_webhook::args::{Args, Command};
use portcullis_webhook::{log, serve};

fn main() -> ExitCode {
    let args = Args::parse();
    log::init();
    let result = match args.command {
        Command::Serve(args) => serve::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot serve");
            ExitCode::FAILURE
        }
    }
}
