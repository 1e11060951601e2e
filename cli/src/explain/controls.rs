//! What the controls of policies forbid: those that ship, and those of files.

use std::io::{self, Write};
use std::path::PathBuf;

use portcullis_api::admission_policy::{AdmissionPolicy, Validation};
use portcullis_api::{PolicyResource, load_policies};

use crate::policies::{self, SHIPPED};

/// The annotation in which a policy says why it is there.
const WHY: &str = "portcullis.dev/why";

/// The policies of the files, then those that ship and have other names.
pub(super) fn known(paths: &[PathBuf]) -> Result<Vec<AdmissionPolicy>, Vec<String>> {
    let mut known: Vec<AdmissionPolicy> = Vec::new();
    let mut resources = policies::read(paths)?;
    for shipped in SHIPPED {
        resources.extend(load_policies(shipped.name, shipped.policy).map_err(|error| vec![error.to_string()])?);
    }
    for resource in resources {
        if let PolicyResource::Policy(policy) = resource
            && !known.iter().any(|other| other.metadata.name == policy.metadata.name)
        {
            known.push(*policy);
        }
    }
    Ok(known)
}

fn name(policy: &AdmissionPolicy) -> &str {
    policy.metadata.name.as_deref().unwrap_or_default()
}

fn why(policy: &AdmissionPolicy) -> &str {
    policy.metadata.annotations.as_ref().and_then(|annotations| annotations.get(WHY)).map_or("", |why| why.trim())
}

/// The controls that a policy has beside those of its standard.
fn controls(policy: &AdmissionPolicy) -> impl Iterator<Item = (String, &Validation)> {
    let named = |(index, validation): (usize, &Validation)| validation.name.clone().unwrap_or_else(|| format!("validations[{index}]"));
    policy.spec.validations.iter().enumerate().map(move |(index, validation)| (named((index, validation)), validation))
}

pub(super) fn write_list(known: &[AdmissionPolicy], output: &mut impl Write) -> io::Result<()> {
    for policy in known {
        writeln!(output, "{:<27} {:<11} {}", name(policy), "policy", why(policy))?;
        for (control, validation) in controls(policy) {
            let said = validation.message.as_deref().or(validation.allowed.as_deref()).unwrap_or_default();
            writeln!(output, "{:<27} {:<11} {said}", format!("  {}:{control}", name(policy)), "")?;
        }
    }
    Ok(())
}

/// The table of policies, as it is in the documentation.
pub(super) fn write_reference(known: &[AdmissionPolicy], output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "| policy | why | controls |\n|---|---|---|")?;
    for policy in known {
        let name = name(policy);
        let standard = policy.spec.pod_security.iter().map(|standard| format!("the checks of {}", standard.level));
        let controls: Vec<String> = standard.chain(controls(policy).map(|(control, _)| format!("`{control}`"))).collect();
        writeln!(output, "| [`{name}`](../policies/{name}/README.md) | {} | {} |", why(policy), controls.join(", "))?;
    }
    Ok(())
}

/// Writes about a policy, or a control of it; false where there is none of that name.
pub(super) fn write(known: &[AdmissionPolicy], id: &str, output: &mut impl Write) -> io::Result<bool> {
    let (wanted, wanted_control) = id.split_once(':').map_or((id, None), |(policy, control)| (policy, Some(control)));
    let Some(policy) = known.iter().find(|policy| name(policy) == wanted) else { return Ok(false) };
    let found: Vec<_> = controls(policy).filter(|(control, _)| wanted_control.is_none_or(|wanted| wanted == control)).collect();
    if wanted_control.is_some() && found.is_empty() {
        return Ok(false);
    }
    writeln!(output, "{} (policy)\n\n{}", name(policy), why(policy))?;
    if let Some(standard) = policy.spec.pod_security.as_ref().filter(|_| wanted_control.is_none()) {
        writeln!(output, "\nPod Security Standard: {}:{}", standard.level, standard.version)?;
    }
    for (control, validation) in found {
        write_control(&control, validation, output)?;
    }
    Ok(true)
}

fn write_control(control: &str, validation: &Validation, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "\n{control}")?;
    for (what, text) in
        [("says", &validation.message), ("field", &validation.field), ("allowed", &validation.allowed), ("change", &validation.change)]
    {
        if let Some(text) = text {
            writeln!(output, "  {what}: {text}")?;
        }
    }
    if let Some(each) = validation.each {
        writeln!(output, "  for each {}:", each.identifier())?;
    } else {
        writeln!(output, "  has to be true:")?;
    }
    validation.expression.lines().try_for_each(|line| writeln!(output, "    {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_policies_that_ship() {
        let mut table = Vec::new();
        write_reference(&known(&[]).unwrap(), &mut table).unwrap();
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policies.md")).unwrap();
        let wanted = format!("--policies-markdown`: begin -->\n\n{}\n<!--", String::from_utf8(table).unwrap());
        assert!(page.contains(&wanted), "put the output of `portcullis explain --policies-markdown` into docs/policies.md");
    }
}
