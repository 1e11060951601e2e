//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

use crate::key::Selector;

/// The runtime gate of Portcullis: BPF-LSM programs that block what a container's profile does not grant.
#[derive(Debug, Parser)]
#[command(name = "portcullis-enforcer", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load the kernel programs, apply profiles and tell what is blocked, until SIGTERM or SIGINT. Enforcement stays when the agent ends.
    #[command(
        after_help = "Example:\n  portcullis-enforcer run --standalone --profiles /etc/portcullis/profiles --containers '/portcullis/*/*/*'\n\n\
                            A container is a cgroup (v2) whose path ends in NAMESPACE/PROFILE/CONTAINER, as\n\
                            /portcullis/shop/deployment-web/web. A workload without a profile is learned.\n\n\
                            With --pods, the containers of Kubernetes' pods are found by the UID in their cgroups' names:\n\
                            each file in that folder tells of one pod, before its first container is made.\n\n\
                            Exit status: 0 ended by a signal, 1 could not go on, 2 usage, 3 this kernel cannot enforce,\n\
                            4 the canary was not denied."
    )]
    Run(Run),
    /// Show what is attached, the containers, the profiles and what was lost.
    #[command(after_help = "Example:\n  portcullis-enforcer status -o json")]
    Status(Status),
    /// Detach every program and remove every map: nothing is enforced any more. Stop the agent first.
    #[command(after_help = "Example:\n  portcullis-enforcer detach")]
    Detach(Detach),
    /// The process that must be denied. Started by `run`.
    #[command(hide = true)]
    Canary {
        /// The cgroup to join; none for the half that runs inside it.
        cgroup: Option<PathBuf>,
    },
}

/// `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Work without Kubernetes: profiles from files, containers by their cgroups. The only way in this release.
    #[arg(long, required = true)]
    pub standalone: bool,
    /// The folder with WorkloadProfile files (*.yaml). It is watched; profiles that are learned are written there.
    #[arg(long, value_name = "DIR")]
    pub profiles: PathBuf,
    /// Which cgroups are containers: a pattern below the root of the hierarchy that ends in /*/*/*.
    #[arg(long, value_name = "GLOB-OF-CGROUPS", required_unless_present = "pods")]
    pub containers: Option<Selector>,
    /// The folder that tells of this node's pods, one file each (*.yaml, *.json): uid, namespace, profile, and containers, each with its ID
    /// once that is known. It is watched. Containers of other pods are reported.
    #[arg(long, value_name = "DIR")]
    pub pods: Option<PathBuf>,
    /// Append events to this file, one JSON object a line, instead of writing them to standard output.
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Where the last good text of each profile file is kept.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/portcullis")]
    pub state: PathBuf,
    /// Kernel memory for the tables of all profiles together, in MiB. Taken when the maps are made, kept while they exist.
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub table_memory: u32,
    /// How the agent's own log, on standard error, is written.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

/// `status`.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// `detach`.
#[derive(Debug, clap::Args)]
pub struct Detach {
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_has_an_example() {
        let mut command = Cli::command();
        command.build();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example:"), "{}", sub.get_name());
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
