use serde_json::json;

use super::*;
use crate::review::GroupVersionResource;

fn defaults() -> Standards {
    Standards::enforcing(Standard::PRIVILEGED)
}

fn standards(labels: &[(&str, &str)]) -> (String, String, String, usize) {
    let labels: Vec<(String, &str)> = labels.iter().map(|(key, value)| (format!("{PREFIX}{key}"), *value)).collect();
    let labels = labels.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let NamespaceStandards { standards, errors } = NamespaceStandards::from_labels(&labels, defaults());
    (standards.enforce.to_string(), standards.audit.to_string(), standards.warn.to_string(), errors.len())
}

fn expect(labels: &[(&str, &str)], enforce: &str, audit: &str, warn: &str, errors: usize) {
    assert_eq!(standards(labels), (enforce.to_owned(), audit.to_owned(), warn.to_owned(), errors), "{labels:?}");
}

#[test]
fn takes_the_defaults_where_labels_say_nothing() {
    expect(&[], "privileged:latest", "privileged:latest", "privileged:latest", 0);
    expect(&[("audit", "baseline")], "privileged:latest", "baseline:latest", "privileged:latest", 0);
    expect(&[("enforce-version", "v1.20")], "privileged:v1.20", "privileged:latest", "privileged:latest", 0);
}

#[test]
fn warns_by_what_it_enforces_unless_a_label_says_otherwise() {
    expect(&[("enforce", "baseline"), ("enforce-version", "v1.20")], "baseline:v1.20", "privileged:latest", "baseline:v1.20", 0);
    expect(
        &[("enforce", "baseline"), ("enforce-version", "v1.20"), ("warn-version", "v1.30")],
        "baseline:v1.20",
        "privileged:latest",
        "baseline:v1.30",
        0,
    );
    expect(&[("enforce", "baseline"), ("warn", "privileged")], "baseline:latest", "privileged:latest", "privileged:latest", 0);
    expect(&[("enforce", "baseline"), ("warn", "restricted")], "baseline:latest", "privileged:latest", "restricted:latest", 0);
}

#[test]
fn fails_closed_where_it_enforces_and_open_where_it_tells() {
    expect(&[("enforce", "strict")], "restricted:latest", "privileged:latest", "privileged:latest", 1);
    expect(&[("enforce", "baseline"), ("enforce-version", "1.20")], "baseline:latest", "privileged:latest", "baseline:latest", 1);
    expect(&[("audit", "x"), ("warn", "y")], "privileged:latest", "privileged:latest", "privileged:latest", 2);
    expect(&[("audit", "baseline"), ("audit-version", "x")], "privileged:latest", "baseline:latest", "privileged:latest", 1);
}

fn request(operation: Operation, labels: Value, old: Option<Value>) -> AdmissionRequest {
    let namespace = |labels| json!({"metadata": {"name": "shop", "labels": labels}});
    AdmissionRequest {
        resource: GroupVersionResource { group: String::new(), version: "v1".to_owned(), resource: "namespaces".to_owned() },
        name: "shop".to_owned(),
        operation,
        object: Some(namespace(labels)),
        old_object: old.map(namespace),
        ..AdmissionRequest::default()
    }
}

#[test]
fn denies_a_namespace_with_labels_that_mean_nothing_and_names_each() {
    let labels = json!({"pod-security.kubernetes.io/enforce": "strict", "pod-security.kubernetes.io/warn-version": "1.30"});
    let decision = decide(&request(Operation::Create, labels, None), defaults());
    let status = &decision.denial().unwrap().status;
    assert_eq!((status.code, status.reason), (422, StatusReason::Invalid));
    assert_eq!(
        status.message,
        "Namespace \"shop\" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": \
         must be one of privileged, baseline, restricted, \
         metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: \"1.30\": must be \"latest\" or \"v1.x\"]"
    );
    let fields: Vec<&str> = status.details.as_ref().unwrap().causes.iter().map(|cause| cause.field.as_str()).collect();
    assert_eq!(fields, ["metadata.labels[pod-security.kubernetes.io/enforce]", "metadata.labels[pod-security.kubernetes.io/warn-version]"]);
}

#[test]
fn allows_valid_labels_and_leaves_old_errors_alone() {
    let bad = json!({"pod-security.kubernetes.io/enforce": "strict"});
    let other = json!({"pod-security.kubernetes.io/enforce": "stricter"});
    let valid = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    for (operation, labels, old, allowed) in [
        (Operation::Create, valid.clone(), None, true),
        (Operation::Update, bad.clone(), Some(bad.clone()), true),
        (Operation::Update, other, Some(bad.clone()), false),
        (Operation::Update, bad.clone(), Some(valid.clone()), false),
        (Operation::Update, valid, Some(bad.clone()), true),
        (Operation::Update, bad.clone(), None, false),
        (Operation::Delete, bad.clone(), Some(bad), true),
        (Operation::Create, json!({"a": "b"}), None, true),
    ] {
        assert_eq!(decide(&request(operation, labels.clone(), old), defaults()).is_allowed(), allowed, "{operation:?} {labels}");
    }
    let malformed = decide(&request(Operation::Create, json!(["a"]), None), defaults());
    assert_eq!(
        malformed.denial().unwrap().status.message,
        "cannot judge namespaces \"shop\": metadata.labels: must be an object, is a list"
    );
}

#[test]
fn looks_at_existing_pods_again_only_where_enforcement_became_stricter() {
    let raised = |old: &str, new: &str| {
        raised_enforcement(Standards::enforcing(old.parse().unwrap()), Standards::enforcing(new.parse().unwrap()))
            .map(|standard| standard.to_string())
    };
    assert_eq!(raised("privileged", "baseline").as_deref(), Some("baseline:latest"));
    assert_eq!(raised("baseline", "restricted").as_deref(), Some("restricted:latest"));
    assert_eq!(raised("restricted", "baseline"), None);
    assert_eq!(raised("restricted:v1.20", "baseline:v1.30").as_deref(), Some("baseline:v1.30"), "another version may forbid more");
    assert_eq!(raised("baseline", "baseline"), None);
    assert_eq!(raised("baseline", "privileged:v1.20"), None);
}

#[test]
fn groups_existing_pods_by_what_is_wrong_with_them() {
    let host_pid = json!({"spec": {"hostPID": true}});
    let good = json!({"spec": {}});
    let port = json!({"spec": {"containers": [{"name": "a", "ports": [{"hostPort": 80}]}]}});
    let pods = [("c", &host_pid), ("b", &port), ("a", &host_pid), ("g", &good), ("d", &host_pid)];
    let pods = pods.map(|(name, pod)| ExistingPod { name, pod: Pod::read(Some(pod), &FieldPath::default()).unwrap() });
    assert_eq!(
        warn_of_existing_pods("shop", "baseline".parse().unwrap(), pods, 7),
        [
            "new PodSecurity enforce level only checked against the first 5 of 7 existing pods",
            "existing pods in namespace \"shop\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "a (and 2 other pods): host namespaces",
            "b: hostPort",
        ]
    );
    assert!(warn_of_existing_pods("shop", "baseline".parse().unwrap(), [], 0).is_empty());
}
