use serde_json::json;

use super::*;
use crate::review::{GroupVersionKind, GroupVersionResource};

fn privileged_pod() -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "x", "securityContext": {"privileged": true}}]}})
}

fn request(workload: &Workload, object: Value) -> AdmissionRequest {
    AdmissionRequest {
        uid: "u".to_owned(),
        kind: GroupVersionKind { group: workload.group.to_owned(), version: "v1".to_owned(), kind: workload.kind.to_owned() },
        resource: GroupVersionResource {
            group: workload.group.to_owned(),
            version: "v1".to_owned(),
            resource: workload.resource.to_owned(),
        },
        name: "web".to_owned(),
        namespace: "shop".to_owned(),
        operation: Operation::Create,
        object: Some(object),
        ..AdmissionRequest::default()
    }
}

fn pod_request(object: Value) -> AdmissionRequest {
    request(Workload::of_resource("", "pods").unwrap(), object)
}

fn deployment_request(template: Value) -> AdmissionRequest {
    request(Workload::of_resource("apps", "deployments").unwrap(), json!({"spec": {"replicas": 1, "template": template}}))
}

/// Decides in a namespace without labels.
fn decide(request: &AdmissionRequest, settings: &Settings) -> Decision {
    super::decide(request, settings, &settings.defaults.into())
}

fn baseline() -> Settings {
    Settings {
        defaults: Standards::enforcing("baseline:latest".parse().unwrap()),
        exemptions: Exemptions::default(),
        templates: Templates::Enforce,
    }
}

#[test]
fn denies_with_the_sentence_of_pod_security_admission_and_the_fields_to_change() {
    let decision = decide(&pod_request(privileged_pod()), &baseline());
    let status = &decision.denial().unwrap().status;
    assert_eq!(
        status.message,
        "pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": \
         privileged (container \"a\" must not set securityContext.privileged=true)\n  \
         spec.containers[0].securityContext.privileged is true; allowed: unset or false; \
         set spec.containers[0].securityContext.privileged to false"
    );
    assert_eq!((status.code, status.reason), (403, StatusReason::Forbidden));
    let cause = &status.details.as_ref().unwrap().causes[0];
    assert_eq!((cause.reason, cause.field.as_str()), ("FieldValueForbidden", "spec.containers[0].securityContext.privileged"));
}

#[test]
fn denies_a_deployment_whose_pods_would_be_denied() {
    let decision = decide(&deployment_request(privileged_pod()), &baseline());
    let message = &decision.denial().unwrap().status.message;
    assert!(
        message.starts_with("deployments.apps \"web\" is forbidden: violates PodSecurity \"baseline:latest\": privileged ("),
        "{message}"
    );
    assert!(message.contains("set spec.template.spec.containers[0].securityContext.privileged to false"), "{message}");
}

#[test]
fn only_warns_about_a_deployment_where_templates_are_not_enforced() {
    let mut settings = baseline();
    settings.templates = Templates::AuditAndWarn;
    settings.defaults.warn = settings.defaults.enforce;
    let decision = decide(&deployment_request(privileged_pod()), &settings);
    assert!(decision.is_allowed());
    assert_eq!(
        decision.warnings,
        ["would violate PodSecurity \"baseline:latest\": privileged (container \"a\" must not set securityContext.privileged=true)"]
    );
    assert!(!decide(&pod_request(privileged_pod()), &settings).is_allowed(), "the pod itself is denied");
}

#[test]
fn audits_and_warns_by_standards_of_their_own() {
    let restricted = "restricted:latest".parse().unwrap();
    let settings =
        Settings { defaults: Standards { enforce: "baseline:v1.30".parse().unwrap(), audit: restricted, warn: restricted }, ..baseline() };
    let decision = decide(&pod_request(json!({"spec": {"containers": [{"name": "a"}]}})), &settings);
    assert!(decision.is_allowed());
    assert!(decision.warnings[0].starts_with("would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false ("));
    assert_eq!(decision.audit_annotations["audit-violations"], decision.warnings[0]);
    assert_eq!(decision.audit_annotations["enforce-policy"], "baseline:v1.30");
    let modes: Vec<(Mode, bool)> = decision.evaluations.iter().map(|evaluation| (evaluation.mode, evaluation.passed)).collect();
    assert_eq!(modes, [(Mode::Enforce, true), (Mode::Audit, false), (Mode::Warn, false)]);
}

#[test]
fn does_not_warn_about_what_it_denies() {
    let mut settings = baseline();
    settings.defaults.warn = settings.defaults.enforce;
    settings.defaults.audit = settings.defaults.enforce;
    let decision = decide(&pod_request(privileged_pod()), &settings);
    assert!(!decision.is_allowed());
    assert!(decision.warnings.is_empty());
    assert!(decision.audit_annotations.contains_key("audit-violations"));
}

#[test]
fn allows_whatever_removes_or_connects() {
    for operation in [Operation::Delete, Operation::Connect] {
        let request = AdmissionRequest { operation, ..pod_request(privileged_pod()) };
        assert_eq!(decide(&request, &baseline()).verdict, Verdict::NotJudged, "{operation:?}");
    }
}

#[test]
fn judges_an_operation_that_it_does_not_know() {
    let request = AdmissionRequest { operation: Operation::Other, ..pod_request(privileged_pod()) };
    assert!(!decide(&request, &baseline()).is_allowed());
}

#[test]
fn judges_every_subresource_of_pods_but_those_known_to_carry_no_spec() {
    for (subresource, judged) in [
        ("", true),
        ("ephemeralcontainers", true),
        ("resize", true),
        ("future", true),
        ("status", false),
        ("binding", false),
        ("exec", false),
    ] {
        let request = AdmissionRequest { sub_resource: subresource.to_owned(), ..pod_request(privileged_pod()) };
        assert_eq!(!decide(&request, &baseline()).is_allowed(), judged, "{subresource}");
    }
    for subresource in ["scale", "status"] {
        let request = AdmissionRequest { sub_resource: subresource.to_owned(), ..deployment_request(privileged_pod()) };
        assert_eq!(decide(&request, &baseline()).verdict, Verdict::NotJudged);
    }
}

#[test]
fn judges_an_ephemeral_container_that_is_added_to_a_pod() {
    let mut new = privileged_pod();
    new["spec"]["containers"][0]["securityContext"] = json!({});
    let old = new.clone();
    new["spec"]["ephemeralContainers"] = json!([{"name": "debug", "image": "y", "securityContext": {"privileged": true}}]);
    let request = AdmissionRequest {
        operation: Operation::Update,
        sub_resource: "ephemeralcontainers".to_owned(),
        old_object: Some(old),
        ..pod_request(new)
    };
    let decision = decide(&request, &baseline());
    assert!(decision.denial().unwrap().status.message.contains("spec.ephemeralContainers[0].securityContext.privileged is true"));
}

#[test]
fn denies_a_pod_that_cannot_be_read_and_names_the_field() {
    let mut pod = privileged_pod();
    pod["spec"]["containers"][0]["securityContext"]["privileged"] = json!("yes");
    let decision = decide(&pod_request(pod), &baseline());
    let status = &decision.denial().unwrap().status;
    assert_eq!(status.message, "cannot judge pods \"web\": spec.containers[0].securityContext.privileged: must be a boolean, is a string");
    assert_eq!((status.code, status.reason), (400, StatusReason::BadRequest));
}

#[test]
fn denies_a_request_without_an_object_or_with_one_of_another_kind() {
    let request = AdmissionRequest { object: None, ..pod_request(Value::Null) };
    assert!(decide(&request, &baseline()).denial().unwrap().status.message.ends_with("the request has no object"));
    let mut request = pod_request(privileged_pod());
    request.kind.kind = "PodFuture".to_owned();
    request.sub_resource = "future".to_owned();
    let message = decide(&request, &baseline()).denial().unwrap().status.message.clone();
    assert_eq!(message, "cannot judge pods \"web\": the object is a \"PodFuture\" of group \"\", not a Pod");
}

#[test]
fn does_not_judge_again_an_update_that_changes_nothing_relevant() {
    for request in [pod_request(privileged_pod()), deployment_request(privileged_pod())] {
        let mut new = request.object.clone().unwrap();
        new["metadata"]["labels"] = json!({"a": "b"});
        new["spec"]["replicas"] = json!(0);
        let update = AdmissionRequest { operation: Operation::Update, old_object: request.object.clone(), object: Some(new), ..request };
        assert_eq!(decide(&update, &baseline()).verdict, Verdict::NotJudged);
    }
}

#[test]
fn judges_in_full_an_update_without_a_readable_old_object() {
    for old_object in [None, Some(json!({"spec": {"containers": 7}}))] {
        let update = AdmissionRequest { operation: Operation::Update, old_object, ..pod_request(privileged_pod()) };
        assert!(!decide(&update, &baseline()).is_allowed());
    }
}

#[test]
fn exempts_by_exact_namespace_user_and_runtime_class_and_says_so() {
    let mut settings = baseline();
    settings.exemptions.namespaces.insert("kube-system".to_owned());
    settings.exemptions.users.insert("admin".to_owned());
    settings.exemptions.runtime_classes.insert("kata".to_owned());
    let mut by_namespace = pod_request(privileged_pod());
    by_namespace.namespace = "kube-system".to_owned();
    let mut by_user = pod_request(privileged_pod());
    by_user.user_info.username = "admin".to_owned();
    let mut by_class = pod_request(privileged_pod());
    by_class.object.as_mut().unwrap()["spec"]["runtimeClassName"] = json!("kata");
    for (request, word) in [(by_namespace, "namespace"), (by_user, "user"), (by_class, "runtimeClass")] {
        let decision = decide(&request, &settings);
        assert!(decision.is_allowed());
        assert_eq!(decision.audit_annotations["exempt"], word);
    }
    let mut nearly = pod_request(privileged_pod());
    nearly.namespace = "kube-system-2".to_owned();
    assert!(!decide(&nearly, &settings).is_allowed());
}

#[test]
fn leaves_resources_alone_that_carry_no_pod() {
    let mut request = pod_request(json!({"spec": 1}));
    request.resource.resource = "services".to_owned();
    assert_eq!(decide(&request, &baseline()).verdict, Verdict::NotJudged);
}

#[test]
fn bounds_the_fields_of_a_message_but_names_every_violation() {
    let containers: Vec<Value> = (0..400).map(|n| json!({"name": format!("c{n}"), "securityContext": {"privileged": true}})).collect();
    let decision = decide(&pod_request(json!({"spec": {"containers": containers, "hostPID": true}})), &baseline());
    let status = &decision.denial().unwrap().status;
    assert!(status.message.contains("host namespaces (hostPID=true), privileged (containers \"c0\", "));
    assert!(status.message.contains("\"c399\" must not set"));
    assert_eq!(status.message.lines().count(), 1 + MAX_FINDINGS_IN_MESSAGE + 1);
    assert!(status.message.ends_with("and 369 more fields"));
    assert_eq!(status.details.as_ref().unwrap().causes.len(), 256);
}

#[test]
fn denies_a_namespace_with_invalid_labels() {
    let mut request = pod_request(json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "strict"}}}));
    request.resource.resource = "namespaces".to_owned();
    assert_eq!(decide(&request, &baseline()).denial().unwrap().status.code, 422);
}

#[test]
fn notes_that_labels_of_the_namespace_could_not_be_read() {
    let labels = [("pod-security.kubernetes.io/enforce", "strict")].into();
    let namespace = NamespaceStandards::from_labels(&labels, Standards::enforcing(Standard::PRIVILEGED));
    let request = pod_request(json!({"spec": {"containers": [{"name": "a"}]}}));
    let decision = super::decide(&request, &baseline(), &NamespaceLookup::Found(namespace));
    assert!(!decision.is_allowed(), "what cannot be read is enforced as restricted");
    assert_eq!(
        decision.audit_annotations["error"],
        "Failed to parse policy: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": \
         must be one of privileged, baseline, restricted"
    );
}

#[test]
fn without_a_namespace_denies_pods_and_allows_workloads_and_the_exempt() {
    let mut settings = baseline();
    settings.exemptions.namespaces.insert("kube-system".to_owned());
    let failed = NamespaceLookup::Failed("timed out".to_owned());
    let good = json!({"spec": {"containers": [{"name": "a"}]}});
    let denied = super::decide(&pod_request(good.clone()), &settings, &failed);
    let status = &denied.denial().unwrap().status;
    assert_eq!((status.code, status.message.as_str()), (500, "failed to lookup namespace \"shop\": timed out"));
    let workload = super::decide(&deployment_request(good.clone()), &settings, &failed);
    assert!(workload.is_allowed());
    assert_eq!(workload.audit_annotations["error"], "failed to lookup namespace: timed out");
    let mut exempt = pod_request(good);
    exempt.namespace = "kube-system".to_owned();
    assert!(super::decide(&exempt, &settings, &failed).is_allowed());
}

#[test]
fn looks_up_a_namespace_only_where_its_labels_matter() {
    let mut settings = baseline();
    settings.exemptions.namespaces.insert("kube-system".to_owned());
    let pod = || pod_request(privileged_pod());
    assert!(needs_namespace(&pod(), &settings));
    assert!(!needs_namespace(&AdmissionRequest { operation: Operation::Delete, ..pod() }, &settings));
    assert!(!needs_namespace(&AdmissionRequest { namespace: "kube-system".to_owned(), ..pod() }, &settings));
    assert!(!needs_namespace(&AdmissionRequest { sub_resource: "status".to_owned(), ..pod() }, &settings));
}

#[test]
fn opens_objects_only_where_something_looks_at_them() {
    let mut settings = baseline();
    settings.exemptions.namespaces.insert("kube-system".to_owned());
    let (pod, policies) = (|| pod_request(privileged_pod()), PolicySet::default());
    let opens = |request: &AdmissionRequest, namespace: NamespaceLookup| needs_objects(request, &settings, &namespace, &policies);
    let (strict, free) = (settings.defaults, Standards::enforcing(Standard::PRIVILEGED));
    assert!(opens(&pod(), strict.into()));
    assert!(opens(&pod(), NamespaceLookup::Failed("timed out".to_owned())));
    assert!(!opens(&pod(), free.into()));
    assert!(!opens(&AdmissionRequest { operation: Operation::Delete, ..pod() }, strict.into()));
    assert!(!opens(&AdmissionRequest { namespace: "kube-system".to_owned(), ..pod() }, strict.into()));
    let resource = GroupVersionResource { resource: "namespaces".to_owned(), ..GroupVersionResource::default() };
    assert!(opens(&AdmissionRequest { resource, ..pod() }, free.into()), "labels are judged whatever they ask for");
}
