//! What a PolicyReport says of one object.
//!
//! One report is about one object, so that it goes when the object goes, and never outgrows what the API server stores: messages, fields and results
//! are cut. An object that has nothing wrong with it has no report: a cluster is mostly such objects, and their reports would fill its store. There is no
//! time in it: a scan that finds what the last one found changes nothing.

use std::collections::BTreeMap;

use portcullis_admission::policy::Waiver;
use portcullis_admission::{Level, Violation};
use portcullis_api::admission_policy::Action;
use portcullis_api::policy_report::{Finding, Outcome, Reference, Report, Severity, Summary};
use serde_json::Value;

use crate::findings::{Identity, LocatedPolicyViolation};
use crate::judge::Judgement;

/// Who says so.
const SOURCE: &str = "portcullis";
/// What the checks of a standard are one of.
const STANDARDS: &str = "Pod Security Standards";
/// Results in one report. Few objects violate so many controls; what is more is counted only.
const MAX_RESULTS: usize = 200;
/// Characters of one message.
const MAX_MESSAGE: usize = 1_024;
/// Fields that one result names.
const MAX_FIELDS: usize = 10;
/// Characters of one field's path.
const MAX_FIELD: usize = 256;

/// The report of an object; `None` where there is nothing to tell, or where the object is not one that an API server has.
pub(super) fn report(identity: &Identity, object: &Value, judgement: &Judgement) -> Option<Report> {
    let uid = object.get("metadata")?.get("uid")?.as_str()?.to_owned();
    let Identity { api_version, kind, namespace, name } = identity.clone();
    let mut results: Vec<Finding> = judgement.errors.iter().map(|error| of_error(&error.message)).collect();
    if let Some(judged) = &judgement.judged {
        let standard = judged.standard.map(|standard| standard.to_string()).unwrap_or_default();
        results.extend(judged.violations.iter().map(|located| of_violation(&located.violation, &standard)));
        results.extend(judged.policies.iter().map(of_policy));
        results.extend(judged.waivers.iter().map(of_waiver));
    }
    if results.is_empty() {
        return None;
    }
    let mut summary = Summary::default();
    results.iter().for_each(|result| summary.count(result.result));
    results.truncate(MAX_RESULTS);
    Some(Report { scope: Reference { api_version, kind, namespace, name, uid }, summary, results })
}

fn of_error(message: &str) -> Finding {
    finding("portcullis", "error", Outcome::Error, message)
}

fn of_violation(violation: &Violation, standard: &str) -> Finding {
    let paths = violation.findings.iter().map(|finding| finding.path.to_string());
    let severity = if violation.level == Level::Restricted { Severity::Medium } else { Severity::High };
    Finding {
        category: Some(STANDARDS),
        severity: Some(severity),
        properties: fields(paths),
        ..finding(&format!("PodSecurity {standard}"), violation.check, Outcome::Fail, &violation.to_string())
    }
}

fn of_policy(located: &LocatedPolicyViolation) -> Finding {
    let violation = &located.violation;
    let outcome = match () {
        () if located.is_error() => Outcome::Error,
        () if violation.denies() || violation.denies_pods => Outcome::Fail,
        () => Outcome::Warn,
    };
    let paths = violation.findings.iter().map(|finding| finding.path.to_string());
    let mut properties = fields(paths);
    let actions: Vec<&str> = violation.actions.iter().map(word).collect();
    properties.insert("actions", actions.join(", "));
    Finding { properties, ..finding(&violation.policy, &violation.control, outcome, &violation.message) }
}

const fn word(action: &Action) -> &'static str {
    match action {
        Action::Deny => "deny",
        Action::Warn => "warn",
        Action::Audit => "audit",
    }
}

fn of_waiver(waiver: &Waiver) -> Finding {
    let message = format!("excepted by {}: {}", waiver.exception, waiver.reason);
    let mut properties = fields(std::iter::once(waiver.field.clone()).filter(|field| !field.is_empty()));
    properties.insert("exception", waiver.exception.clone());
    Finding { properties, ..finding(&waiver.policy, &waiver.control, Outcome::Skip, &message) }
}

fn finding(policy: &str, rule: &str, result: Outcome, message: &str) -> Finding {
    Finding {
        source: SOURCE,
        policy: policy.to_owned(),
        rule: rule.to_owned(),
        result,
        scored: result == Outcome::Fail,
        message: cut(message, MAX_MESSAGE),
        category: None,
        severity: None,
        properties: BTreeMap::new(),
    }
}

fn fields(paths: impl Iterator<Item = String>) -> BTreeMap<&'static str, String> {
    let paths: Vec<String> = paths.map(|path| cut(&path, MAX_FIELD)).collect();
    if paths.is_empty() {
        return BTreeMap::new();
    }
    let mut text = paths.iter().take(MAX_FIELDS).cloned().collect::<Vec<_>>().join(", ");
    let more = paths.len().saturating_sub(MAX_FIELDS);
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    BTreeMap::from([("fields", text)])
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::Lines;
    use crate::judge::{self, Judge, Subject};

    fn of(object: &Value) -> Option<Report> {
        let identity = Identity::of(object, None).unwrap();
        let request = judge::request(&identity, object);
        let subject = Subject { source: "", identity: &identity, object, lines: &Lines::UNKNOWN };
        let judgement = Judge::of_standard("restricted:v1.30".parse().unwrap()).judge(subject, &request);
        report(&identity, object, &judgement)
    }

    fn pod(containers: &[Value]) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"}, "spec": {"containers": containers}})
    }

    #[test]
    fn names_the_object_and_says_what_is_wrong_with_which_field() {
        let hardened = json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(of(&pod(&[json!({"name": "a", "securityContext": hardened.clone()})])), None);
        let mut privileged = hardened;
        privileged["privileged"] = json!(true);
        let report = of(&pod(&[json!({"name": "a", "securityContext": privileged})])).unwrap();
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            json!({
                "scope": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web", "uid": "u-1"},
                "summary": {"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0},
                "results": [{
                    "source": "portcullis", "policy": "PodSecurity restricted:v1.30", "rule": "privileged", "result": "fail", "scored": true,
                    "message": "privileged (container \"a\" must not set securityContext.privileged=true)",
                    "category": "Pod Security Standards", "severity": "high",
                    "properties": {"fields": "spec.containers[0].securityContext.privileged"},
                }],
            })
        );
    }

    #[test]
    fn what_cannot_be_judged_is_an_error_of_the_report() {
        let mut broken = pod(&[]);
        broken["spec"]["hostPID"] = json!("yes");
        let report = of(&broken).unwrap();
        assert_eq!((report.summary.error, report.results[0].result), (1, Outcome::Error));
    }

    #[test]
    fn stays_small_whatever_the_object() {
        let containers: Vec<Value> = (0..10_000).map(|number| json!({"name": format!("c{number}"), "image": "x"})).collect();
        let report = of(&pod(&containers)).unwrap();
        assert!(serde_json::to_vec(&report).unwrap().len() < 16 * 1024);
        assert!(report.results[0].properties["fields"].ends_with(" and 9990 more"), "{:?}", report.results[0]);
    }
}
