//! `portcullis convert`: policies as Kubernetes' own, with what is lost said on standard error.

use std::io::{self, Write};
use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use portcullis_admission::policy::export;
use portcullis_api::registration::{PART_OF, PART_OF_LABEL};
use portcullis_api::{PolicyResource, admission_policy, policy_exception, policy_report, workload_profile};
use serde::Serialize;

use crate::Status;
use crate::args::{ConvertArgs, DefinitionsArgs};
use crate::policies;

/// Writes every policy of the files that Kubernetes can have.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &ConvertArgs, output: &mut impl Write) -> io::Result<Status> {
    let resources = match policies::read(&args.paths) {
        Ok(resources) => resources,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("portcullis: {problem}"));
            return Ok(Status::Failed);
        }
    };
    let mut status = Status::Passed;
    let mut first = true;
    for resource in &resources {
        let PolicyResource::Policy(policy) = resource else { continue };
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let (exported, losses) = export(policy);
        for loss in &losses {
            eprintln!("portcullis: {name}: {}: {}", loss.field, loss.message);
        }
        let Some((policy, binding)) = exported else {
            eprintln!("portcullis: {name}: cannot be written as a ValidatingAdmissionPolicy");
            status = Status::Violated;
            continue;
        };
        if !first {
            writeln!(output, "---")?;
        }
        first = false;
        write_document(&policy, output)?;
        writeln!(output, "---")?;
        write_document(&binding, output)?;
    }
    if first && status == Status::Passed {
        eprintln!("portcullis: no AdmissionPolicy found: there is nothing to convert in {}", listed(&args.paths));
        return Ok(Status::Failed);
    }
    Ok(status)
}

/// Writes the definitions of the resources, as one file.
///
/// # Errors
/// The output cannot be written.
pub fn write_definitions(args: &DefinitionsArgs, output: &mut impl Write) -> io::Result<Status> {
    let definitions = if args.policy_reports {
        policy_report::definitions().to_vec()
    } else {
        let own = [admission_policy::crd(), policy_exception::crd(), workload_profile::crd()];
        own.into_iter().map(labelled).map(serde_json::to_value).collect::<Result<_, _>>()?
    };
    for (index, definition) in definitions.iter().enumerate() {
        if index > 0 {
            writeln!(output, "---")?;
        }
        write_document(definition, output)?;
    }
    Ok(Status::Passed)
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Ours, so that `portcullis uninstall --crds` finds it.
fn labelled(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    definition.metadata.labels.get_or_insert_default().insert(PART_OF_LABEL.to_owned(), PART_OF.to_owned());
    definition
}

fn write_document(document: &impl Serialize, output: &mut impl Write) -> io::Result<()> {
    write!(output, "{}", serde_saphyr::to_string(document).map_err(io::Error::other)?)
}
