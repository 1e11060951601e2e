//! For code scanning: SARIF 2.1.0, a rule for each check, a result for each field.

use std::collections::BTreeSet;
use std::io::{self, Write};

use portcullis_admission::policy::PolicyFinding;
use portcullis_admission::{CHECKS, Check, Finding, Violation};
use serde_json::{Value, json};

use crate::findings::{CheckError, Findings, Judged, LocatedPolicyViolation};

/// Writes the report, one SARIF log.
///
/// # Errors
/// It cannot be written.
pub fn write(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, &log(findings))?;
    writeln!(output)
}

fn log(findings: &Findings) -> Value {
    let driver = json!({
        "name": "portcullis",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": CHECKS.iter().map(|check| rule(check)).chain(policy_rules(findings)).collect::<Vec<_>>(),
    });
    let notifications: Vec<Value> = findings.errors.iter().map(notification).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "invocations": [{ "executionSuccessful": findings.errors.is_empty(), "toolExecutionNotifications": notifications }],
            "results": results_of(findings),
        }],
    })
}

fn rule(check: &Check) -> Value {
    json!({
        "id": check.id,
        "shortDescription": { "text": format!("Pod Security Standards, {}: {}", check.level, check.id) },
        "fullDescription": { "text": check.why },
        "help": { "text": format!("Fields: {}. Allowed: {}.", check.fields.join(", "), check.allowed.join("; ")) },
        "defaultConfiguration": { "level": "error" },
    })
}

fn results_of(findings: &Findings) -> Vec<Value> {
    findings.workloads.iter().flat_map(|judged| results(judged).into_iter().chain(policy_results(judged))).collect()
}

/// A rule for each control that is violated.
fn policy_rules(findings: &Findings) -> Vec<Value> {
    let ids: BTreeSet<String> = findings.workloads.iter().flat_map(|judged| &judged.policies).map(LocatedPolicyViolation::id).collect();
    let rule = |id: &String| json!({"id": id, "shortDescription": {"text": format!("Policy and control: {id}")}});
    ids.iter().map(rule).collect()
}

fn policy_results(judged: &Judged) -> Vec<Value> {
    judged.policies.iter().flat_map(|located| policy_result(judged, located)).collect()
}

fn policy_result(judged: &Judged, located: &LocatedPolicyViolation) -> Vec<Value> {
    let violation = &located.violation;
    let level = match located.effect() {
        "deny" | "deny the pods" => "error",
        "warn" => "warning",
        _ => "note",
    };
    let result = |finding: Option<&PolicyFinding>, line: Option<u64>| {
        let text = match finding {
            Some(finding) => format!("{}: {}: {finding}", judged.identity, violation.message),
            None => format!("{}: {}", judged.identity, violation.message),
        };
        json!({"ruleId": located.id(), "level": level, "message": {"text": text}, "locations": [location(&judged.source, line.or(judged.line))]})
    };
    if violation.findings.is_empty() {
        return vec![result(None, None)];
    }
    violation.findings.iter().zip(&located.lines).map(|(finding, line)| result(Some(finding), *line)).collect()
}

fn results(judged: &Judged) -> Vec<Value> {
    let pairs =
        judged.violations.iter().flat_map(|located| located.violation.findings.iter().zip(&located.lines).map(move |pair| (located, pair)));
    pairs.map(|(located, (finding, line))| result(judged, &located.violation, finding, *line)).collect()
}

fn result(judged: &Judged, violation: &Violation, finding: &Finding, line: Option<u64>) -> Value {
    let mut location = location(&judged.source, line.or(judged.line));
    if let Some(location) = location.as_object_mut() {
        let name = format!("{} {}", judged.identity, finding.path);
        location.insert("logicalLocations".to_owned(), json!([{ "fullyQualifiedName": name, "kind": "member" }]));
    }
    json!({
        "ruleId": violation.check,
        "ruleIndex": CHECKS.iter().position(|check| check.id == violation.check),
        "level": "error",
        "message": { "text": format!("{}: {violation}: {finding}", judged.identity) },
        "locations": [location],
    })
}

fn location(source: &str, line: Option<u64>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(source) } });
    if let (Some(line), Some(physical)) = (line, physical.as_object_mut()) {
        physical.insert("region".to_owned(), json!({ "startLine": line }));
    }
    json!({ "physicalLocation": physical })
}

fn notification(error: &CheckError) -> Value {
    json!({ "level": "error", "message": { "text": error.message }, "locations": [location(&error.source, error.line)] })
}

/// A path as a relative reference: everything but unreserved characters and slashes is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.strip_prefix("./").unwrap_or(path).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn has_a_rule_for_every_check_and_a_result_for_every_field() {
        let mut output = Vec::new();
        write(&example::findings(), &mut output).unwrap();
        let log: Value = serde_json::from_slice(&output).unwrap();
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), CHECKS.len());
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        for result in results {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        }
        let physical = &results[1]["locations"][0]["physicalLocation"];
        assert_eq!(physical, &json!({"artifactLocation": {"uri": "web.yaml"}, "region": {"startLine": 13}}));
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    }

    #[test]
    fn escapes_paths() {
        assert_eq!(uri("./a b/ü:#.yaml"), "a%20b/%C3%BC%3A%23.yaml");
    }
}
