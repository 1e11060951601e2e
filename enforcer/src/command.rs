//! The command line: which subcommand does what, and what each exits with.

use clap::Parser;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

use crate::{
    canary,
    cli::{Cli, Command, Format, LogFormat},
    kernel::preflight::Host,
    run::{self, RunError},
    status,
};

/// Does what the command line says. What could not be done is said on standard error.
#[must_use]
pub fn main() -> ExitCode {
    let host = Host::default();
    let result = match Cli::parse().command {
        Command::Run(args) => {
            log(args.log_format);
            return exit_of_run(runtime().and_then(|runtime| runtime.block_on(run::run(&args, &host))));
        }
        Command::Status(args) => status::read(&host).map(|status| show(args.output, status)),
        Command::Detach(args) => status::detach(&host.bpffs).map(|detached| match args.output {
            Format::Json => println!("{}", serde_json::json!({ "detached": detached })),
            Format::Text if detached => println!("detached: nothing is enforced any more"),
            Format::Text => println!("nothing was attached"),
        }),
        Command::Canary { cgroup: Some(cgroup) } => canary::enter(&cgroup).map(|never| match never {}),
        Command::Canary { cgroup: None } => canary::attempt(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| RunError::Other(error.into()))
}

fn exit_of_run(result: Result<(), RunError>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let (code, text) = match error {
        RunError::Preflight(error) => (3, format!("{error:#}")),
        RunError::Canary(error) => (4, format!("{error:#}")),
        RunError::Other(error) => (1, format!("{error:#}")),
    };
    tracing::error!(error = text, "not enforcing");
    ExitCode::from(code)
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.init(),
    }
}

fn show(format: Format, status: Option<status::Status>) {
    match (format, status) {
        (Format::Json, status) => println!("{}", serde_json::to_string(&status).unwrap_or_default()),
        (Format::Text, Some(status)) => println!("{status}"),
        (Format::Text, None) => println!("nothing is attached: nothing is enforced"),
    }
}
