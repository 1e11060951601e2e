//! `portcullis convert`: policies as Kubernetes' own, with what is lost said on standard error.

use std::io::{self, Write};

use portcullis_admission::policy::export;
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
    Ok(if first && status == Status::Passed { Status::Failed } else { status })
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
        own.into_iter().map(serde_json::to_value).collect::<Result<_, _>>()?
    };
    for (index, definition) in definitions.iter().enumerate() {
        if index > 0 {
            writeln!(output, "---")?;
        }
        write_document(definition, output)?;
    }
    Ok(Status::Passed)
}

fn write_document(document: &impl Serialize, output: &mut impl Write) -> io::Result<()> {
    write!(output, "{}", serde_saphyr::to_string(document).map_err(io::Error::other)?)
}
