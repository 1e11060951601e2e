use super::*;

fn check_text(text: &str, named: bool) -> Findings {
    check("baseline:latest".parse().unwrap(), vec![Ok(Source { name: "x.yaml".to_owned(), named, text: text.to_owned() })])
}

const BAD_POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec:\n  hostPID: true\n";

#[test]
fn names_the_object_its_line_and_the_line_of_the_field() {
    let findings = check_text(&format!("---\n{BAD_POD}"), true);
    let judged = &findings.workloads[0];
    assert_eq!(judged.identity.to_string(), "Pod shop/web");
    assert_eq!(judged.line, Some(2));
    assert_eq!(judged.violations[0].lines, [Some(6)]);
    assert_eq!(findings.status(), Status::Violated);
}

#[test]
fn looks_into_lists_of_any_kind_and_lists_in_lists() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service}\n- apiVersion: v1\n  kind: PodList\n  items:\n  - metadata: {name: a}\n    spec: {hostIPC: true}\n  - metadata: {name: b}\n";
    let findings = check_text(list, true);
    let judged: Vec<(String, Option<u64>, usize)> =
        findings.workloads.iter().map(|judged| (judged.identity.to_string(), judged.line, judged.violations.len())).collect();
    assert_eq!(judged, [("Pod a".to_owned(), Some(8), 1), ("Pod b".to_owned(), Some(10), 0)]);
    assert_eq!(findings.others, 1);
}

#[test]
fn passes_over_other_yaml_in_folders_but_not_in_files_that_were_named() {
    let values = Source { name: "values.yaml".to_owned(), named: false, text: "replicas: 1\n".to_owned() };
    let good = Source { name: "web.yaml".to_owned(), named: false, text: BAD_POD.replace("  hostPID: true", "  containers: []") };
    assert_eq!(check("baseline".parse().unwrap(), vec![Ok(values), Ok(good)]).status(), Status::Passed);
    assert_eq!(check_text("replicas: 1\n", false).errors[0].message, "no manifests found");
    let findings = check_text("replicas: 1\n", true);
    assert_eq!(findings.errors[0].message, "not a Kubernetes object: it has no apiVersion and kind");
    assert_eq!(findings.status(), Status::Failed);
}

#[test]
fn fails_for_what_it_cannot_judge_and_judges_the_rest() {
    let findings =
        check_text(&format!("{BAD_POD}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec:\n  containers:\n    a: b\n"), true);
    assert_eq!(findings.violating(), 1);
    let error = &findings.errors[0];
    assert_eq!((error.message.as_str(), error.line), ("cannot judge Pod x: spec.containers: must be a list, is an object", Some(11)));
    assert_eq!(findings.status(), Status::Failed);
}

#[test]
fn fails_for_namespaces_with_labels_that_the_webhook_would_refuse() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    pod-security.kubernetes.io/warn: baseline\n    pod-security.kubernetes.io/enforce: strict\n";
    let error = &check_text(text, true).errors[0];
    let expected = "Namespace shop is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted";
    assert_eq!((error.message.as_str(), error.line), (expected, Some(7)));
    assert_eq!(check_text(&text.replace("strict", "restricted"), true).status(), Status::Passed);
}

#[test]
fn fails_where_there_is_nothing_to_judge() {
    assert_eq!(check_text("# nothing\n", true).status(), Status::Failed);
    assert_eq!(check("baseline".parse().unwrap(), Vec::new()).errors[0].message, "no manifests found");
}

#[test]
fn fails_for_each_path_that_leads_to_no_manifest() {
    let source = || Ok(Source { name: "deploy/web.yaml".to_owned(), named: false, text: BAD_POD.replace("hostPID", "hostname") });
    let given = |path: &str, sources| Given { path: path.to_owned(), sources };
    let judge = || Judge::of_standard("baseline".parse().unwrap());
    let findings = check_given(judge(), vec![given("deploy/", vec![source()]), given("rendered/", Vec::new())]);
    let told: Vec<_> = findings.errors.iter().map(|error| (error.source.as_str(), error.message.as_str())).collect();
    assert_eq!(told, [("rendered/", "no manifests found")]);
    assert_eq!(findings.status(), Status::Failed);
    assert_eq!(check_given(judge(), vec![given("deploy/", vec![source()])]).status(), Status::Passed);
}

/// A policy for Services and Namespaces, and what it says of objects.
fn by_policy(expression: &str, failure_policy: &str, text: &str) -> Findings {
    let policy = serde_json::json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": "p"},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services", "namespaces"]}]},
            "validations": [{"expression": expression}], "failurePolicy": failure_policy, "actions": ["warn"],
        },
    });
    let read = portcullis_api::load_policies("p.json", &policy.to_string()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let policies = portcullis_admission::policy::Library::of_files(read, now).snapshot();
    check_by(Judge::new(None, policies, now), vec![Ok(Source { name: "x.yaml".to_owned(), named: true, text: text.to_owned() })])
}

#[test]
fn fails_where_a_policy_could_not_be_evaluated_whatever_it_does_then() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
    let failed = by_policy("object.spec.type == 'x'", "Fail", service);
    assert!(failed.workloads[0].policies[0].is_error() && failed.errors.is_empty());
    assert_eq!(failed.status(), Status::Failed);
    let ignored = by_policy("object.spec.type == 'x'", "Ignore", service);
    assert!(ignored.errors[0].message.starts_with("cannot judge Service web: 1 evaluation of policies with failurePolicy Ignore failed"));
    assert_eq!(ignored.status(), Status::Failed);
    assert_eq!(by_policy("object.metadata.name == 'x'", "Ignore", service).status(), Status::Passed, "it only warns");
}

#[test]
fn a_namespace_is_asked_about_as_the_api_server_asks() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let findings = by_policy("request.namespace == 'shop' && request.name == 'shop'", "Fail", namespace);
    assert!(findings.workloads[0].policies.is_empty(), "{:?}", findings.workloads);
}
