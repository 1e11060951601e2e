//! Laws that hold for every object, and not for chosen ones only.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/asked.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod asked;
#[path = "support/pods.rs"]
mod pods;
#[path = "support/workloads.rs"]
mod workloads;

use portcullis_admission::policy::PolicySet;
use portcullis_admission::review::{GroupVersionKind, GroupVersionResource, Operation, UnopenedRequest};
use portcullis_admission::{
    AdmissionRequest, Exemptions, FieldPath, Level, NEWEST_MINOR, Pod, Settings, Standard, Standards, Templates, Version, WORKLOADS,
    decide, evaluate, needs_objects, summarise,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use workloads::{prefix, wrap};

fn standards() -> impl Strategy<Value = Standard> {
    let level = prop_oneof![Just(Level::Baseline), Just(Level::Restricted)];
    let version = prop_oneof![(0..=NEWEST_MINOR + 1).prop_map(Version::Minor), Just(Version::Latest)];
    (level, version).prop_map(|(level, version)| Standard { level, version })
}

/// Checks in whose place the level `restricted` has its own, which ask nothing of Windows from v1.25 on: there it lets through what `baseline`
/// refuses.
const REPLACED: [&str; 2] = ["capabilities_baseline", "seccompProfile_baseline"];

/// The checks that the pod violates.
fn judge(pod: &Value, level: Level, minor: u64) -> Vec<&'static str> {
    let standard = Standard { level, version: Version::Minor(minor) };
    evaluate(standard, &Pod::read(Some(pod), &FieldPath::default()).unwrap()).iter().map(|violation| violation.check).collect()
}

#[test]
fn on_windows_restricted_lets_through_what_its_own_checks_replace() {
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {
            "os": {"name": "windows"},
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "Unconfined"}},
            "containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}],
        },
    });
    assert_eq!(judge(&pod, Level::Baseline, 25), REPLACED);
    assert_eq!(judge(&pod, Level::Restricted, 25), [""; 0]);
    assert!(!judge(&pod, Level::Restricted, 24).is_empty());
}

/// JSON of any shape, with the keys that the checks look for.
fn json() -> impl Strategy<Value = Value> {
    let keys = "metadata|annotations|spec|template|jobTemplate|containers|initContainers|securityContext|capabilities|add|volumes|name|hostPath|os|ports|lifecycle|[a-z]{0,3}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(keys, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn request(group: &str, kind: &str, resource: &str, operation: Operation, object: Value, old: Option<Value>) -> AdmissionRequest {
    AdmissionRequest {
        uid: "u".to_owned(),
        kind: GroupVersionKind { group: group.to_owned(), version: "v1".to_owned(), kind: kind.to_owned() },
        resource: GroupVersionResource { group: group.to_owned(), version: "v1".to_owned(), resource: resource.to_owned() },
        operation,
        object: Some(object),
        old_object: old,
        ..AdmissionRequest::default()
    }
}

const FOR_PODS: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: AdmissionPolicy
metadata: {name: pods}
spec: {podSecurity: {level: restricted}, templates: warn}
";
const FOR_SERVICES: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: AdmissionPolicy
metadata: {name: services}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: ['*'], operations: [CREATE, DELETE], resources: [services]}]}
  validations: [{name: named, expression: object != null && has(object.metadata)}]
";

thread_local! {
    /// A policy of each sort, for everything.
    static POLICIES: std::sync::Arc<PolicySet> = std::sync::Arc::new(asked::policies("
apiVersion: portcullis.dev/v1alpha1
kind: AdmissionPolicy
metadata: {name: baseline}
spec: {podSecurity: {level: baseline}, templates: enforce, actions: [deny, audit]}
---
apiVersion: portcullis.dev/v1alpha1
kind: AdmissionPolicy
metadata: {name: all}
spec:
  matchConstraints: {resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*']}]}
  validations:
  - {name: each, each: container, expression: container.image.startsWith('r/'), field: image, messageExpression: string(container.name)}
  - {name: volumes, each: volume, expression: '!has(volume.hostPath)', field: hostPath.path}
  - {name: whole, expression: object.metadata.name != 'x', field: metadata.name}
  auditAnnotations: [{key: name, valueExpression: string(object.metadata.name)}]
  actions: [warn, audit]
---
apiVersion: portcullis.dev/v1alpha1
kind: AdmissionPolicy
metadata: {name: open}
spec:
  matchConstraints: {resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*']}]}
  validations: [{each: container, expression: has(container.image)}]
  failurePolicy: Ignore
  templates: enforce
"));
}

proptest! {
    #[test]
    fn a_pod_and_every_template_of_it_get_the_same_verdict(pod in pods::pod(), standard in standards()) {
        let direct = evaluate(standard, &Pod::read(Some(&pod), &FieldPath::default()).unwrap());
        for workload in WORKLOADS {
            let object = wrap(workload, &pod);
            let wrapped = evaluate(standard, &workload.read_pod(&object).unwrap());
            prop_assert_eq!(summarise(&direct), summarise(&wrapped));
            let prefix = prefix(workload);
            let moved: Vec<String> = direct.iter().flat_map(|violation| &violation.findings).map(|finding| format!("{prefix}{}", finding.path)).collect();
            let paths: Vec<String> = wrapped.iter().flat_map(|violation| &violation.findings).map(|finding| finding.path.to_string()).collect();
            prop_assert_eq!(moved, paths);
        }
    }

    #[test]
    fn following_every_proposed_change_makes_any_pod_pass(mut pod in pods::pod(), standard in standards()) {
        for change in evaluate(standard, &Pod::read(Some(&pod), &FieldPath::default()).unwrap()).iter().flat_map(|violation| &violation.findings).map(|finding| &finding.change) {
            change.apply(&mut pod);
        }
        let left = evaluate(standard, &Pod::read(Some(&pod), &FieldPath::default()).unwrap());
        prop_assert!(left.is_empty(), "{}", summarise(&left));
    }

    #[test]
    fn restricted_refuses_whatever_baseline_refuses_but_what_it_replaces_on_windows(pod in pods::pod(), minor in 0..=NEWEST_MINOR) {
        let replaced: &[&str] = if minor >= 25 && pod["spec"]["os"]["name"] == "windows" { &REPLACED } else { &[] };
        let baseline = judge(&pod, Level::Baseline, minor);
        prop_assert!(baseline.iter().all(|check| replaced.contains(check)) || !judge(&pod, Level::Restricted, minor).is_empty());
    }

    #[test]
    fn a_request_is_allowed_exactly_if_its_pod_has_no_violation(pod in pods::pod(), standard in standards(), workload in 0..WORKLOADS.len()) {
        let workload = &WORKLOADS[workload];
        let settings = Settings { defaults: Standards::enforcing(standard), exemptions: Exemptions::default(), templates: Templates::Enforce };
        let request = request(workload.group, workload.kind, workload.resource, Operation::Create, wrap(workload, &pod), None);
        let violations = evaluate(standard, &Pod::read(Some(&pod), &FieldPath::default()).unwrap());
        let decision = decide(&request, &settings, &settings.defaults.into());
        prop_assert_eq!(decision.is_allowed(), violations.is_empty());
        if let Some(denial) = decision.denial() {
            prop_assert!(denial.status.message.contains(&summarise(&violations)));
        }
    }

    #[test]
    fn no_object_makes_it_panic_and_none_of_the_wrong_type_passes(object in json(), old in proptest::option::of(json()), standard in standards(), workload in 0..WORKLOADS.len()) {
        let workload = &WORKLOADS[workload];
        let settings = Settings { defaults: Standards::enforcing(standard), exemptions: Exemptions::default(), templates: Templates::Enforce };
        let readable = workload.read_pod(&object).is_ok() && !object.is_null();
        let decision = decide(&request(workload.group, workload.kind, workload.resource, Operation::Update, object, old), &settings, &settings.defaults.into());
        if !readable {
            prop_assert!(!decision.is_allowed());
        }
    }

    #[test]
    fn no_object_makes_policies_panic_and_what_one_denies_the_request_is_denied(
        object in json(), old in proptest::option::of(json()), workload in 0..WORKLOADS.len(), operation in 0..5_usize,
    ) {
        let workload = &WORKLOADS[workload];
        let operation = [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect, Operation::Other][operation];
        let set = POLICIES.with(std::sync::Arc::clone);
        let mut asked = asked::Asked::pod(Value::Null);
        asked.request = request(workload.group, workload.kind, workload.resource, operation, object, old);
        let decision = asked.by_set(&set);
        let denied = decision.policies.contains_key(&portcullis_admission::policy::Effect::Deny);
        prop_assert_eq!(denied, decision.denial().is_some_and(|denial| !denial.policies.is_empty()));
        if let Some(denial) = decision.denial() {
            prop_assert!(denial.status.message.len() <= 18 * 1024);
        }
        let response = decision.into_response("u".to_owned());
        prop_assert!(response.warnings.iter().all(|warning| warning.chars().count() <= 256));
        prop_assert!(response.audit_annotations.iter().all(|(key, value)| key.len() <= 63 && value.len() <= 10 * 1024));
    }

    #[test]
    fn what_is_not_worth_opening_makes_no_difference(
        object in json(), old in proptest::option::of(json()), resource in 0..=WORKLOADS.len() + 1, operation in 0..5_usize,
        sub_resource in prop_oneof![Just(""), Just("status"), Just("ephemeralcontainers")], standard in proptest::option::of(standards()),
        policies in 0..3_usize, is_exempt in any::<bool>(),
    ) {
        let (group, kind, resource) = WORKLOADS.get(resource).map_or_else(
            || [("", "Service", "services"), ("", "Namespace", "namespaces")][resource - WORKLOADS.len()],
            |workload| (workload.group, workload.kind, workload.resource),
        );
        let operation = [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect, Operation::Other][operation];
        let mut asked = asked::Asked::pod(Value::Null);
        asked.request = request(group, kind, resource, operation, object, old);
        asked.request.sub_resource = sub_resource.to_owned();
        asked.settings.defaults = Standards::enforcing(standard.unwrap_or(Standard::PRIVILEGED));
        if is_exempt {
            asked.request.namespace = "kube-system".to_owned();
            asked.settings.exemptions.namespaces.insert("kube-system".to_owned());
        }
        let set = [PolicySet::default(), asked::policies(FOR_PODS), asked::policies(FOR_SERVICES)];
        let opened = asked.by_set(&set[policies]);
        let head = AdmissionRequest { object: None, old_object: None, options: None, ..asked.request.clone() };
        if !needs_objects(&head, &asked.settings, &asked.settings.defaults.into(), &set[policies]) {
            asked.request = head;
            prop_assert_eq!(asked.by_set(&set[policies]), opened);
        }
    }

    #[test]
    fn no_body_makes_reading_panic(body in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = UnopenedRequest::read(&body).map(UnopenedRequest::open);
    }
}
