//! The webhook, `portcullis check` and the templates of workloads agree about thousands of generated pods, whatever standard they are judged by.
//!
//! `PORTCULLIS_DIFFERENTIAL_PODS` sets how many; the pods are the same with every run.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../../crates/admission/tests/support/pods.rs"]
mod pods;
#[path = "../../crates/admission/tests/support/workloads.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod workloads;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use portcullis_admission::policy::{Library, PolicySet, PolicyViolation, Surroundings};
use portcullis_admission::review::UnopenedRequest;
use portcullis_admission::{
    Exemptions, Level, NEWEST_MINOR, NamespaceLookup, Settings, Standard, Standards, Templates, Version, WORKLOADS, Workload, summarise,
};
use portcullis_api::{PolicyResource, load_policies};
use portcullis_cli::check::{Judge, check, check_by};
use portcullis_cli::policies::SHIPPED;
use portcullis_cli::source::Source;
use portcullis_webhook::metrics::Metrics;
use portcullis_webhook::namespaces::Namespaces;
use portcullis_webhook::service::{Context, Service};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use workloads::wrap;

const PODS: usize = 3_000;

/// What the webhook says: the sentence about violations, or nothing if it allows.
fn webhook(standard: Standard, metrics: &Arc<Metrics>, workload: &Workload, object: &Value) -> Option<String> {
    let settings = Settings { defaults: Standards::enforcing(standard), exemptions: Exemptions::default(), templates: Templates::Enforce };
    let lookup: NamespaceLookup = settings.defaults.into();
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "namespace": "n", "name": "p", "object": object,
        "kind": {"group": workload.group, "version": "v1", "kind": workload.kind},
        "resource": {"group": workload.group, "version": "v1", "resource": workload.resource}}});
    let namespaces = Namespaces::Same(settings.defaults);
    let service = Service::new(settings, namespaces, Arc::clone(metrics));
    let context = Context::from(lookup);
    let request = service.open(UnopenedRequest::read(review.to_string().as_bytes()).unwrap(), &context).unwrap();
    let answer = service.answer(request, &context);
    let message = answer.response.status?.message;
    let (_, sentence) = message.lines().next().unwrap().split_once(&format!("violates PodSecurity \"{standard}\": ")).unwrap();
    Some(sentence.to_owned())
}

/// What `portcullis check` says, likewise.
fn command_line(standard: Standard, workload: &Workload, object: &Value) -> Option<String> {
    let mut manifest = object.clone();
    manifest["apiVersion"] = if workload.group.is_empty() { json!("v1") } else { json!(format!("{}/v1", workload.group)) };
    manifest["kind"] = json!(workload.kind);
    let source = Source { name: "p.yaml".to_owned(), named: true, text: serde_saphyr::to_string(&manifest).unwrap() };
    let findings = check(standard, vec![Ok(source)]);
    assert_eq!((findings.errors.len(), findings.workloads.len()), (0, 1), "{:?}", findings.errors);
    let violations: Vec<_> = findings.workloads[0].violations.iter().map(|located| located.violation.clone()).collect();
    (!violations.is_empty()).then(|| summarise(&violations))
}

#[test]
fn webhook_check_and_templates_agree_about_every_generated_pod() {
    let pods = std::env::var("PORTCULLIS_DIFFERENTIAL_PODS").map_or(PODS, |pods| pods.parse().unwrap());
    let mut runner = TestRunner::deterministic();
    let level = proptest::sample::select(vec![Level::Baseline, Level::Restricted]);
    let cases = (pods::pod(), level, 0..=NEWEST_MINOR, 0..WORKLOADS.len());
    let pod_workload = Workload::of_kind("v1", "Pod").unwrap();
    let metrics = Arc::new(Metrics::default());
    let mut denied: usize = 0;
    for number in 0..pods {
        let (pod, level, minor, workload) = cases.new_tree(&mut runner).unwrap().current();
        let standard = Standard { level, version: Version::Minor(minor) };
        let workload = &WORKLOADS[workload];
        let object = wrap(workload, &pod);
        let expected = webhook(standard, &metrics, pod_workload, &pod);
        let others = [
            ("the webhook, in a template", webhook(standard, &metrics, workload, &object)),
            ("check", command_line(standard, pod_workload, &pod)),
            ("check, in a template", command_line(standard, workload, &object)),
        ];
        for (who, said) in others {
            assert_eq!(said, expected, "pod {number}: {who} ({}) at {standard}: {pod}", workload.kind);
        }
        denied += usize::from(expected.is_some());
    }
    println!("{pods} pods, {denied} denied: no disagreement");
    assert!(denied > pods / 10 && denied < pods, "the pods have to be of both kinds");
}

/// The policies that ship and that are for pods, templates enforced.
fn policies() -> Library {
    let resources: Vec<PolicyResource> = SHIPPED
        .iter()
        .filter(|shipped| !["no-exec-in-production", "require-profile"].contains(&shipped.name))
        .flat_map(|shipped| load_policies(shipped.name, shipped.policy).unwrap())
        .collect();
    let library = Library::of_files(resources, Timestamp::now());
    assert!(library.entries().iter().all(|entry| entry.problems.is_empty()));
    library
}

/// The controls and fields that the webhook names, fields as they are in the pod.
fn webhook_by_policies(policies: &Arc<PolicySet>, workload: &Workload, object: &Value) -> Vec<(String, String)> {
    let request = serde_json::from_value(json!({
        "uid": "u", "operation": "CREATE", "namespace": "n", "name": "p", "object": object,
        "kind": {"group": workload.group, "version": "v1", "kind": workload.kind},
        "resource": {"group": workload.group, "version": "v1", "resource": workload.resource}}))
    .unwrap();
    let surroundings = Surroundings { namespace: Ok(None), now: Timestamp::now(), deadline: None };
    named(&policies.judge(&request, &surroundings).violations, workload)
}

fn named(violations: &[PolicyViolation], workload: &Workload) -> Vec<(String, String)> {
    let prefix = workloads::prefix(workload);
    let mut named = Vec::new();
    for violation in violations {
        // A policy that fails on a template is only told: the pod itself is judged when it is made.
        let is_told = violation.denies_pods && violation.control == "error";
        assert!(violation.denies() || is_told, "{violation:?}");
        let control = format!("{}:{}", violation.policy, violation.control);
        for finding in &violation.findings {
            let path = finding.path.to_string();
            named.push((control.clone(), path.strip_prefix(&prefix).unwrap().to_owned()));
        }
        // What is missing where the API server has it, such as a host path's path, cannot be judged: then that is what all have to say.
        if violation.findings.is_empty() {
            named.push((control, violation.message.clone()));
        }
    }
    named.sort();
    named
}

fn command_line_by_policies(policies: PolicySet, workload: &Workload, object: &Value) -> Vec<(String, String)> {
    let mut manifest = object.clone();
    manifest["apiVersion"] = if workload.group.is_empty() { json!("v1") } else { json!(format!("{}/v1", workload.group)) };
    manifest["kind"] = json!(workload.kind);
    let source = Source { name: "p.yaml".to_owned(), named: true, text: serde_saphyr::to_string(&manifest).unwrap() };
    let findings = check_by(Judge::new(None, policies, Timestamp::now()), vec![Ok(source)]);
    assert_eq!((findings.errors.len(), findings.workloads.len()), (0, 1), "{:?}", findings.errors);
    let violations: Vec<PolicyViolation> = findings.workloads[0].policies.iter().map(|located| located.violation.clone()).collect();
    named(&violations, workload)
}

#[test]
fn webhook_check_and_templates_agree_about_every_generated_pod_by_every_policy_that_ships() {
    let pods = std::env::var("PORTCULLIS_DIFFERENTIAL_PODS").map_or(PODS / 10, |pods| pods.parse().unwrap());
    let mut runner = TestRunner::deterministic();
    let cases = (pods::pod(), 0..WORKLOADS.len());
    let pod_workload = Workload::of_kind("v1", "Pod").unwrap();
    let library = policies();
    let set = Arc::new(library.snapshot());
    let mut controls: BTreeSet<String> = BTreeSet::new();
    for number in 0..pods {
        let (pod, workload) = cases.new_tree(&mut runner).unwrap().current();
        let workload = &WORKLOADS[workload];
        let object = wrap(workload, &pod);
        let expected = webhook_by_policies(&set, pod_workload, &pod);
        let others = [
            ("the webhook, in a template", webhook_by_policies(&set, workload, &object)),
            ("check", command_line_by_policies(library.snapshot(), pod_workload, &pod)),
            ("check, in a template", command_line_by_policies(library.snapshot(), workload, &object)),
        ];
        for (who, said) in others {
            assert_eq!(said, expected, "pod {number}: {who} ({}): {pod}", workload.kind);
        }
        controls.extend(expected.into_iter().map(|(control, _)| control));
    }
    assert!(controls.len() > 20, "{controls:?}");
}
