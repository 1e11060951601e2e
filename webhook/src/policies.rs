//! The policies that requests are judged by: one immutable set, swapped as a whole.
//!
//! ```text
//!  API server ─ watch ─► follow ─► Library ─► snapshot ─► Policies ─► service, one snapshot a request
//!                          │          └─► entries ─► status (written where it changed), metrics
//!                          └─ kinds of parameters ─ watch
//!  files ───────────────► Library ─► snapshot ─► Policies
//! ```
//!
//! While the API server cannot be reached, what was learnt stays in force. Until everything was learnt once, the server is not ready.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail};
use jiff::Timestamp;
use portcullis_admission::policy::{Library, PolicySet};
use portcullis_api::load_policies;
use tokio::sync::watch;

pub mod follow;
mod params;
mod status;

/// The set that is in force.
#[derive(Debug, Default)]
pub struct Policies(watch::Sender<Arc<PolicySet>>);

impl Policies {
    /// The set, as it is now.
    pub fn current(&self) -> Arc<PolicySet> {
        Arc::clone(&self.0.borrow())
    }

    /// Puts another set in force, for requests that are read from now on.
    pub fn replace(&self, set: PolicySet) {
        self.0.send_replace(Arc::new(set));
    }

    /// The set, as it changes.
    pub fn follow(&self) -> watch::Receiver<Arc<PolicySet>> {
        self.0.subscribe()
    }
}

/// The time, as exceptions are compared with.
fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX)
}

/// Reads policies from files. One that is wrong keeps the server from starting: nobody would see it otherwise.
///
/// # Errors
/// Every problem of every file.
pub fn of_files(files: &[PathBuf]) -> anyhow::Result<Library> {
    let mut resources = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
        resources.extend(load_policies(&name, &text)?);
    }
    let library = Library::of_files(resources, now());
    let problems: Vec<String> = library.entries().iter().flat_map(|entry| &entry.problems).map(ToString::to_string).collect();
    if problems.is_empty() { Ok(library) } else { bail!("{}", problems.join("\n")) }
}
