//! The command line: the same engine as the webhook's, for manifests that are not in a cluster yet.
//!
//! ```text
//!   files, folders, stdin ─► source ─► document (YAML, JSON; lines) ─► check ─► report: text, json, sarif, junit
//!                                                                        │
//!   policies ─► policies: Library ─► PolicySet ────────► portcullis_admission: Workload, evaluate, PolicySet::judge
//!   cases.yaml ─► cases ─────────────────────────────────┘
//! ```
//!
//! [`scan`] judges what is in a cluster already, by the same [`judge`]. Two commands are for a cluster where the webhook is installed: [`break_glass`]
//! takes it out of force, [`uninstall`] removes it. All three talk to the API server alone. [`seccomp`] is for
//! what the enforcer has learned.
//!
//! Exit status: 0 if everything passes, 1 if something violates the standard, 2 if something could not be judged. What cannot be judged is never passed
//! over: a file that cannot be read or parsed, a field of the wrong type, a path without any manifest.

#![forbid(unsafe_code)]

pub mod args;
pub mod break_glass;
pub mod cases;
pub mod check;
pub mod cluster;
pub mod convert;
pub mod document;
pub mod explain;
pub mod findings;
pub mod judge;
pub mod output;
pub mod policies;
pub mod report;
pub mod scan;
pub mod seccomp;
pub mod source;
pub mod uninstall;

use std::process::ExitCode;

/// How a command went, for the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// 0: everything passes.
    Passed,
    /// 1: something violates the standard.
    Violated,
    /// 2: something could not be judged, or the command line is wrong.
    Failed,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Passed => Self::SUCCESS,
            Status::Violated => Self::from(1),
            Status::Failed => Self::from(2),
        }
    }
}
