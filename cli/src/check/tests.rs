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
    assert_eq!(check_text("replicas: 1\n", false).status(), Status::Passed);
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
