//! Resources as files: text to values, with every problem's place, and profiles to text.
//!
//! ```text
//!  text ──serde-saphyr──▶ tree of nodes with places ──structure──▶ JSON ──serde──▶ the resource ────validate──▶ Ok
//!            │ one problem: the syntax       │ all: unknown and missing fields,            │ all: names, duplicates
//!            ▼                               ▼ wrong types, bad patterns, ranges, ports    ▼
//!                                        LoadError
//! ```
//!
//! The structure is checked against the very schema that the types generate, so the two cannot disagree; a document whose structure is
//! wrong is not checked further. All other documents of the file are.

mod node;
mod policies;
mod problem;
mod structure;
mod write;

pub use policies::{PolicyResource, load_policies};
pub use problem::{LoadError, Problem};
pub use write::to_yaml;

use crate::{
    WorkloadProfile, WorkloadProfileSpec,
    validate::{self, FieldProblem},
    workload_profile::{API_VERSION, KIND},
};
use node::Node;
use problem::Problems;
use serde::de::DeserializeOwned;
use std::sync::LazyLock;
use structure::Structure;

/// The longest file that is read, in bytes: twice what etcd stores as one object.
pub const FILE_MAX: usize = 3 << 20;

static PROFILE: LazyLock<Structure> = LazyLock::new(|| Structure::of::<WorkloadProfileSpec>(API_VERSION, KIND));

/// Reads a file of profiles, which YAML's `---` separates. Empty documents are passed over.
///
/// # Errors
/// Every problem of the file, in order of documents; one alone where the file is longer than [`FILE_MAX`] or its YAML cannot be read
/// (bad syntax, a key that is there twice, aliases that unfold to more than a file could hold).
pub fn load(file_name: &str, text: &str) -> Result<Vec<WorkloadProfile>, LoadError> {
    let mut problems = Problems::new(file_name, text);
    let profiles = match node::parse(text, FILE_MAX) {
        Ok(documents) => {
            documents.iter().filter_map(|document| read(document, &PROFILE, validate::workload_profile, &mut problems)).collect()
        }
        Err(unreadable) => {
            problems.unreadable(unreadable);
            Vec::new()
        }
    };
    problems.into_result(profiles)
}

/// The resource of one document; `None` where there is a problem, which is noted.
fn read<T: DeserializeOwned>(
    document: &Node,
    structure: &Structure,
    validate: fn(&T) -> Vec<FieldProblem>,
    problems: &mut Problems<'_>,
) -> Option<T> {
    if !structure.check(document, problems) {
        return None;
    }
    let resource: T = match serde_json::from_value(node::to_json(document)) {
        Ok(resource) => resource,
        Err(error) => {
            problems.note(document, &validate::FieldPath::default(), error.to_string());
            return None;
        }
    };
    let found = validate(&resource);
    let valid = found.is_empty();
    for problem in found {
        problems.note(node::at(document, &problem.field), &problem.field, problem.message);
    }
    valid.then_some(resource)
}

#[cfg(test)]
mod tests;
