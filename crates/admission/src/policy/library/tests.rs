use serde_json::json;

use super::*;

const KIND: &str = "admissionregistration.k8s.io/v1";

fn now() -> Timestamp {
    "2026-11-25T00:00:00Z".parse().unwrap()
}

fn policy(generation: i64, expression: &str, more: &Value) -> Value {
    let mut policy = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": "p", "generation": generation},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
            "validations": [{"name": format!("of-{generation}"), "expression": expression, "message": "no"}]}});
    policy["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    policy
}

fn with_params(generation: i64, kind: &str) -> Value {
    let params =
        json!({"paramKind": {"apiVersion": "v1", "kind": kind}, "paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}});
    policy(generation, "false", &params)
}

fn library(objects: &[Value]) -> Library {
    let mut library = Library::new(Trust::Namespaces(["security".to_owned()].into()));
    objects.iter().for_each(|object| library.apply_object(object, now()));
    library
}

/// The controls of all policies in force: each tells its generation.
fn in_force(library: &Library) -> Vec<String> {
    library.snapshot().policies().flat_map(|policy| policy.controls().into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn an_edit_with_a_mistake_leaves_in_force_what_was_until_it_is_mended_or_deleted() {
    let mut unreadable = policy(2, "false", &json!({}));
    unreadable["spec"]["future"] = json!(true);
    for wrong in [policy(2, "object.x ==", &json!({})), policy(2, "false", &json!({"actions": []})), unreadable] {
        let mut library = library(&[policy(1, "false", &json!({})), wrong.clone(), wrong]);
        assert_eq!(in_force(&library), ["of-1"]);
        let entry = &library.entries()[0];
        assert_eq!((entry.generation, entry.kept, entry.problems.is_empty()), (Some(2), true, false));
        library.apply_object(&policy(3, "true", &json!({})), now());
        assert_eq!(in_force(&library), ["of-3"]);
        assert!(!library.entries()[0].kept && library.entries()[0].problems.is_empty());
        library.apply_object(&policy(4, "object.x ==", &json!({})), now());
        library.delete(&PolicyKey::Policy("p".to_owned()));
        assert!(library.snapshot().is_empty() && library.entries().is_empty());
    }
}

#[test]
fn what_never_compiled_is_not_in_force() {
    let library = library(&[policy(2, "object.x ==", &json!({}))]);
    assert!(library.snapshot().is_empty() && !library.entries()[0].kept);
}

#[test]
fn an_edit_that_waits_for_parameters_leaves_in_force_what_was() {
    let kind = |kind: &str| ParamKind { api_version: "v1".to_owned(), kind: kind.to_owned() };
    let mut library = library(&[policy(1, "false", &json!({})), with_params(2, "ConfigMap")]);
    assert_eq!(in_force(&library), ["of-1"], "they are not known yet");
    library.set_unavailable(kind("ConfigMap"), "forbidden".to_owned());
    assert_eq!((in_force(&library), library.entries()[0].kept), (vec!["of-1".to_owned()], true));
    library.set_parameters(kind("ConfigMap"), Vec::new(), false);
    assert_eq!((in_force(&library), library.entries()[0].kept), (vec!["of-2".to_owned()], false));
    library.apply_object(&with_params(3, "ConfigMop"), now());
    library.set_unavailable(kind("ConfigMop"), "not served".to_owned());
    assert_eq!((in_force(&library), library.entries()[0].kept), (vec!["of-2".to_owned()], true));
    assert_eq!(library.param_kinds(), [kind("ConfigMap"), kind("ConfigMop")].into(), "those of what stays are followed on");
    library.set_unavailable(kind("ConfigMap"), "forbidden".to_owned());
    assert!(library.snapshot().is_empty(), "what was before that is forgotten");
}

fn theirs(expression: &str) -> Value {
    json!({"apiVersion": KIND, "kind": POLICY_KIND, "metadata": {"name": "theirs"}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
        "validations": [{"expression": expression}]}})
}

fn binding(policy: &str) -> Value {
    json!({"apiVersion": KIND, "kind": BINDING_KIND, "metadata": {"name": "b"}, "spec": {"policyName": policy, "validationActions": ["Deny"]}})
}

#[test]
fn a_policy_of_kubernetes_and_its_binding_stay_in_force_through_mistakes_and_go_with_either() {
    let mut unreadable = (theirs("false"), binding("theirs"));
    unreadable.0["spec"]["future"] = json!(1);
    unreadable.1["spec"]["future"] = json!(1);
    for wrong in [theirs("object.x =="), unreadable.0, unreadable.1, binding("their")] {
        for gone in [PolicyKey::Validating("theirs".to_owned()), PolicyKey::Binding("b".to_owned())] {
            let mut library = library(&[theirs("false"), binding("theirs"), wrong.clone()]);
            assert_eq!(library.snapshot().len(), 1, "{wrong}");
            assert!(library.entries().iter().any(|entry| entry.kept), "{wrong}");
            library.delete(&gone);
            assert!(library.snapshot().is_empty(), "{wrong} {gone:?}");
        }
    }
}

#[test]
fn an_edit_of_an_exception_with_a_mistake_takes_back_what_it_granted() {
    let exception = |expires: &str| {
        json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "PolicyException", "metadata": {"namespace": "security", "name": "e"},
            "spec": {"policy": "p", "controls": ["of-1"], "namespaces": ["shop"], "subjects": {"names": ["web"]}, "reason": "r", "expires": expires}})
    };
    let mut library = library(&[exception("2026-12-01T00:00:00Z")]);
    assert_eq!(library.snapshot().exceptions().len(), 1);
    library.apply_object(&exception("2036-12-01T00:00:00Z"), now());
    assert!(library.snapshot().exceptions().is_empty() && !library.entries()[0].problems.is_empty());
}

#[test]
fn tells_whether_a_policy_looks_at_namespaces() {
    let selecting = |selector: Value| {
        let mut policy = policy(1, "true", &json!({}));
        policy["spec"]["matchConstraints"]["namespaceSelector"] = selector;
        policy
    };
    let named = "namespaceObject.metadata.name == 'shop'";
    for (object, needs) in [
        (policy(1, "true", &json!({})), false),
        (selecting(json!({})), false),
        (selecting(json!({"matchLabels": {"environment": "production"}})), true),
        (policy(1, named, &json!({})), true),
        (policy(1, "variables.v", &json!({"variables": [{"name": "v", "expression": named}]})), true),
    ] {
        assert_eq!(library(std::slice::from_ref(&object)).needs_namespaces(), needs, "{object}");
    }
}
