//! For programs. Fields are added, never renamed or removed.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::findings::{CheckError, Findings, Judged, LocatedPolicyViolation, LocatedViolation};

/// Writes the report, one JSON object.
///
/// # Errors
/// It cannot be written.
pub fn write(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, &report(findings))?;
    writeln!(output)
}

fn report(findings: &Findings) -> Value {
    json!({
        "standard": findings.standard.map(|standard| standard.to_string()),
        "judgedBy": findings.judged_by,
        "workloads": findings.workloads.iter().map(workload).collect::<Vec<_>>(),
        "errors": findings.errors.iter().map(error).collect::<Vec<_>>(),
        "summary": {
            "workloads": findings.workloads.len(),
            "violating": findings.violating(),
            "otherObjects": findings.others,
            "errors": findings.errors.len(),
        },
    })
}

fn workload(judged: &Judged) -> Value {
    json!({
        "source": judged.source,
        "line": judged.line,
        "apiVersion": judged.identity.api_version,
        "kind": judged.identity.kind,
        "namespace": judged.identity.namespace,
        "name": judged.identity.name,
        "standard": judged.standard.map(|standard| standard.to_string()),
        "allowed": !judged.violates(),
        "violations": judged.violations.iter().map(violation).collect::<Vec<_>>(),
        "policyViolations": judged.policies.iter().map(policy_violation).collect::<Vec<_>>(),
        "exceptions": judged.waivers,
    })
}

fn violation(located: &LocatedViolation) -> Value {
    let LocatedViolation { violation, lines } = located;
    let finding = |(finding, line): (&portcullis_admission::Finding, &Option<u64>)| {
        let change = match &finding.change.to {
            Some(to) => json!({ "set": finding.change.path.to_string(), "to": &**to }),
            None => json!({ "remove": finding.change.path.to_string() }),
        };
        json!({ "field": finding.path.to_string(), "line": line, "value": finding.value, "allowed": finding.allowed, "change": change })
    };
    json!({
        "check": violation.check,
        "level": violation.level,
        "reason": violation.reason,
        "detail": violation.detail,
        "findings": violation.findings.iter().zip(lines).map(finding).collect::<Vec<_>>(),
    })
}

fn policy_violation(located: &LocatedPolicyViolation) -> Value {
    let violation = &located.violation;
    let finding = |(finding, line): (&portcullis_admission::policy::PolicyFinding, &Option<u64>)| json!({"field": finding.path.to_string(), "line": line, "value": finding.value, "allowed": finding.allowed, "change": finding.change});
    json!({
        "policy": violation.policy,
        "control": violation.control,
        "message": violation.message,
        "actions": violation.actions,
        "deniesPods": violation.denies_pods,
        "findings": violation.findings.iter().zip(&located.lines).map(finding).collect::<Vec<_>>(),
        "moreFindings": violation.more_findings,
    })
}

fn error(error: &CheckError) -> Value {
    json!({ "source": error.source, "line": error.line, "message": error.message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn reports_workloads_violations_findings_and_errors() {
        let mut output = Vec::new();
        write(&example::findings(), &mut output).unwrap();
        let report: Value = serde_json::from_slice(&output).unwrap();
        assert_eq!(report["summary"], json!({"workloads": 2, "violating": 1, "otherObjects": 1, "errors": 1}));
        let workload = &report["workloads"][0];
        assert_eq!((&workload["kind"], &workload["allowed"]), (&json!("Deployment"), &json!(false)));
        let finding = &workload["violations"][1]["findings"][0];
        let field = "spec.template.spec.containers[0].securityContext.privileged";
        assert_eq!(
            finding,
            &json!({"field": field, "line": 13, "value": true, "allowed": "unset or false", "change": {"set": field, "to": false}})
        );
        assert_eq!(report["errors"][0]["line"], 22);
    }
}
