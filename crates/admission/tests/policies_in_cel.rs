//! Policies in CEL: what they see, what is said, what becomes of errors; ours, and Kubernetes' own with their bindings.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/asked.rs"]
mod asked;

use asked::{Asked, library_of_objects};
use portcullis_admission::policy::export;
use portcullis_api::load_policies;
use portcullis_api::yaml::PolicyResource;
use serde_json::{Value, json};

/// A policy for pods and what connects to them.
fn policy(rest: &str) -> String {
    let rules = "resourceRules: [{apiGroups: [\"\"], apiVersions: [v1], operations: [\"*\"], resources: [pods, pods/exec]}]";
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: AdmissionPolicy\nmetadata: {{name: p}}\nspec:\n  matchConstraints: {{{rules}}}\n{rest}"
    )
}

fn validation(expression: &str) -> String {
    policy(&format!("  validations:\n  - expression: |-\n      {expression}\n"))
}

fn pod() -> Value {
    json!({"metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "a", "image": "r.example/a:1"}, {"name": "b", "image": "other.example/b"}],
            "initContainers": [{"name": "i", "image": "r.example/i:1"}], "volumes": [{"name": "v", "hostPath": {"path": "/etc"}}]}})
}

fn denied(decision: &portcullis_admission::Decision) -> &str {
    &decision.denial().unwrap().status.message
}

#[test]
fn expressions_see_the_request_the_namespace_and_the_old_object() {
    for expression in [
        "object.metadata.name == 'web'",
        "oldObject == null",
        "request.operation == 'CREATE' && request.namespace == 'shop' && request.userInfo.username == 'dev'",
        "'developers' in request.userInfo.groups",
        "request.kind.kind == 'Pod' && request.resource.resource == 'pods' && request.requestKind.kind == 'Pod'",
        "namespaceObject.metadata.labels['environment'] == 'production'",
        "request.dryRun == false",
        "!has(request.subResource) && !has(request.requestSubResource)",
    ] {
        assert!(Asked::pod(pod()).by(&validation(expression)).is_allowed(), "{expression}");
        assert!(!Asked::pod(pod()).by(&validation(&format!("!({expression})"))).is_allowed(), "{expression}");
    }
}

#[test]
fn a_denial_says_the_message_and_has_the_status_of_the_reason() {
    for (rest, message, code) in [
        ("", "policy \"p\" (validations[0]): failed expression: false", 422),
        ("    message: no\n", "policy \"p\" (validations[0]): no", 422),
        (
            "    message: no\n    messageExpression: \"'never ' + object.metadata.name\"\n    reason: Forbidden\n",
            "(validations[0]): never web",
            403,
        ),
        ("    reason: Unauthorized\n", "failed expression", 401),
        ("    reason: RequestEntityTooLarge\n", "failed expression", 413),
        // What an expression cannot give, the message does.
        ("    message: no\n    messageExpression: string(object.spec.nothing.there)\n", "(validations[0]): no", 422),
        ("    message: no\n    messageExpression: \"'two\\\\nlines'\"\n", "(validations[0]): no", 422),
        ("    message: no\n    messageExpression: \"' '\"\n", "(validations[0]): no", 422),
    ] {
        let decision = Asked::pod(pod()).by(&policy(&format!("  validations:\n  - expression: \"false\"\n{rest}")));
        assert!(denied(&decision).contains(message), "{message}\n{}", denied(&decision));
        assert_eq!(decision.denial().unwrap().status.code, code, "{rest}");
    }
}

#[test]
fn each_container_is_judged_and_named() {
    let registries = policy(
        "  variables: [{name: allowed, expression: \"['r.example/']\"}]
  validations:
  - name: registry
    each: container
    expression: variables.allowed.exists(r, container.image.startsWith(r))
    messageExpression: \"'container ' + container.name + ' has another registry'\"
    field: image
    allowed: images of r.example/
    change: push it to r.example/
",
    );
    let expected = "\npolicy \"p\" (registry): container b has another registry\n  \
        spec.containers[1].image is \"other.example/b\"; allowed: images of r.example/; push it to r.example/\n\
        to read more: portcullis explain p:registry";
    assert!(denied(&Asked::pod(pod()).by(&registries)).ends_with(expected), "{}", denied(&Asked::pod(pod()).by(&registries)));
    let template = Asked::deployment(pod()).by(&format!("{registries}  templates: enforce\n"));
    assert!(denied(&template).contains("spec.template.spec.containers[1].image is"), "{}", denied(&template));
    let exception = "
apiVersion: portcullis.dev/v1alpha1
kind: PolicyException
metadata: {namespace: security, name: b}
spec: {policy: p, controls: [registry], namespaces: [shop], subjects: {images: [other.example/b]}, reason: r, expires: 2027-01-01T00:00:00Z}
";
    assert!(Asked::pod(pod()).by(&format!("{registries}---\n{exception}")).is_allowed());
}

#[test]
fn each_volume_is_judged_and_a_field_of_the_object_is_shown() {
    let volumes = policy("  validations:\n  - {name: paths, each: volume, expression: \"!has(volume.hostPath)\", field: hostPath.path}\n");
    assert!(denied(&Asked::pod(pod()).by(&volumes)).contains("spec.volumes[0].hostPath.path is \"/etc\""));
    let field =
        policy("  validations:\n  - {expression: \"'team' in object.metadata.labels\", field: metadata.labels, allowed: one with team}\n");
    assert!(denied(&Asked::pod(pod()).by(&field)).contains("metadata.labels is {\"app\":\"web\"}; allowed: one with team"));
}

#[test]
fn match_conditions_leave_out_and_their_errors_are_the_failure_policys() {
    let with = |conditions: &str, failure: &str| {
        policy(&format!("  failurePolicy: {failure}\n  matchConditions: [{conditions}]\n  validations: [{{expression: \"false\"}}]\n"))
    };
    let error = "{name: e, expression: object.spec.nothing.there == 1}";
    let no = "{name: n, expression: \"false\"}";
    for (conditions, failure, allowed) in [
        ("{name: y, expression: \"true\"}".to_owned(), "Fail", false),
        (no.to_owned(), "Fail", true),
        (error.to_owned(), "Fail", false),
        (error.to_owned(), "Ignore", true),
        // One that is false settles it.
        (format!("{error}, {no}"), "Fail", true),
    ] {
        assert_eq!(Asked::pod(pod()).by(&with(&conditions, failure)).is_allowed(), allowed, "{conditions} {failure}");
    }
}

#[test]
fn a_namespace_is_in_no_namespace() {
    let policy = validation("namespaceObject == null && object.kind == 'Namespace'").replace("pods, pods/exec", "namespaces");
    let mut asked = Asked::of(json!({"operation": "UPDATE", "object": {"kind": "Namespace", "metadata": {"name": "shop"}}}));
    asked.request.kind.kind = "Namespace".to_owned();
    asked.request.resource.resource = "namespaces".to_owned();
    asked.request.namespace = "shop".to_owned();
    assert!(asked.by(&policy).is_allowed(), "{:?}", asked.by(&policy));
}

#[test]
fn a_container_that_cannot_be_judged_hides_none_that_is_wrong() {
    let privileged = json!({"name": "a", "image": "x", "securityContext": {"privileged": true}});
    for containers in [json!([privileged, {"name": "b", "image": "x"}]), json!([{"name": "b", "image": "x"}, privileged])] {
        let asked = Asked::pod(json!({"metadata": {"name": "web"}, "spec": {"containers": containers}}));
        for (failure_policy, told) in [("Ignore", 1), ("Fail", 2)] {
            let rest = format!(
                "  failurePolicy: {failure_policy}\n  validations: [{{each: container, expression: \"!container.securityContext.privileged\", message: no}}]\n"
            );
            let decision = asked.by(&policy(&rest));
            assert!(denied(&decision).contains("(validations[0]): no"), "{decision:?}");
            assert_eq!(decision.denial().unwrap().policies.len(), told, "{failure_policy}");
        }
    }
}

#[test]
fn an_error_about_a_template_is_a_warning_since_the_pod_is_judged_itself() {
    let named = format!("{}  templates: enforce\n", validation("object.metadata.name.size() < 50"));
    let mut nameless = pod();
    nameless["metadata"].as_object_mut().unwrap().remove("name");
    let decision = Asked::deployment(nameless.clone()).by(&named);
    assert!(decision.is_allowed() && decision.warnings[0].contains("no such key: name"), "{decision:?}");
    assert!(denied(&Asked::pod(nameless).by(&named)).contains("no such key: name"));
}

#[test]
fn what_does_not_fit_of_a_violation_is_counted_and_the_rest_told() {
    let long = "x".repeat(512);
    let rest = format!(
        "  validations: [{{each: container, expression: \"false\", field: image, message: no, allowed: {long}, change: {long}}}]\n"
    );
    let containers: Vec<Value> = (0..20).map(|number| json!({"name": format!("c{number}"), "image": "x"})).collect();
    let decision = Asked::pod(json!({"metadata": {"name": "web"}, "spec": {"containers": containers}})).by(&policy(&rest));
    let message = denied(&decision);
    let told = message.matches("].image is").count();
    assert!((10..20).contains(&told) && message.contains(&format!("  and {} more fields", 20 - told)), "{message}");
    assert!(message.len() <= 17 * 1024, "{}", message.len());
}

#[test]
fn an_error_is_a_violation_only_where_the_policy_fails_closed() {
    let failing = validation("object.spec.nothing.there == 1");
    assert!(denied(&Asked::pod(pod()).by(&failing)).contains("policy \"p\" (error): cannot be judged: validations[0]: "));
    assert!(Asked::pod(pod()).by(&format!("{failing}  failurePolicy: Ignore\n")).is_allowed());
    let warned = Asked::pod(pod()).by(&format!("{failing}  actions: [warn]\n"));
    assert!(warned.is_allowed() && warned.warnings.len() == 1, "a policy never does more than its actions");
}

#[test]
fn parameters_are_written_in_the_policy_or_are_objects() {
    let inline = policy("  params: {max: 1}\n  validations: [{expression: \"object.spec.containers.size() <= params.max\"}]\n");
    assert!(!Asked::pod(pod()).by(&inline).is_allowed() && Asked::pod(pod()).by(&inline.replace("max: 1", "max: 2")).is_allowed());
    let named = policy(
        "  paramKind: {apiVersion: v1, kind: ConfigMap}
  paramRef: {name: limits, parameterNotFoundAction: Deny}
  validations: [{expression: \"object.spec.containers.size() <= int(params.data.max)\"}]
",
    );
    let limits = |namespace: &str, max: usize| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: limits, namespace: {namespace}}}\ndata: {{max: \"{max}\"}}\n")
    };
    assert!(Asked::pod(pod()).by(&format!("{named}{}", limits("shop", 2))).is_allowed());
    assert!(!Asked::pod(pod()).by(&format!("{named}{}", limits("shop", 1))).is_allowed());
    let missing = Asked::pod(pod()).by(&format!("{named}{}", limits("bank", 2)));
    assert!(denied(&missing).contains("there is no ConfigMap of v1 for it"));
    let allowed = named.replace("parameterNotFoundAction: Deny", "parameterNotFoundAction: Allow");
    assert!(Asked::pod(pod()).by(&format!("{allowed}{}", limits("bank", 2))).is_allowed());
}

#[test]
fn a_policy_whose_parameters_cannot_be_had_is_not_in_force_and_says_so() {
    let named = policy(
        "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  paramRef: {name: a, parameterNotFoundAction: Deny}\n  validations: [{expression: \"false\"}]\n",
    );
    let mut library = library_of_objects(&[&named]);
    let kind = library.param_kinds().into_iter().next().unwrap();
    library.set_unavailable(kind.clone(), "forbidden".to_owned());
    assert_eq!(library.entries()[0].problems[0].to_string(), "spec.paramKind: the parameters cannot be had: forbidden");
    assert!(library.snapshot().is_empty());
    library.set_parameters(kind, Vec::new(), false);
    assert!(library.entries()[0].problems.is_empty() && library.snapshot().len() == 1);
}

#[test]
fn expressions_are_refused_when_the_policy_is_applied_all_at_once() {
    let bad = policy(
        "  matchConditions: [{name: c, expression: \"object.x ==\"}]
  variables: [{name: v, expression: nothing.there}]
  validations:
  - {expression: \"'text'\"}
  - {expression: authorizer.group('').resource('pods').check('create').allowed()}
  - {expression: \"params.max > 1\"}
  - {expression: \"true\", messageExpression: \"1\"}
  auditAnnotations: [{key: k, valueExpression: \"1\"}]
",
    );
    let library = library_of_objects(&[&bad]);
    let fields: Vec<String> = library.entries()[0].problems.iter().map(|problem| problem.field.clone()).collect();
    for field in [
        "spec.matchConditions[0].expression",
        "spec.variables[0].expression",
        "spec.validations[0].expression",
        "spec.validations[1].expression",
        "spec.validations[2].expression",
        "spec.validations[3].messageExpression",
        "spec.auditAnnotations[0].valueExpression",
    ] {
        assert!(fields.iter().any(|found| found == field), "{field} is not in {fields:?}");
    }
}

#[test]
fn audit_annotations_are_noted_cut_and_left_out_where_null() {
    let annotations = policy(
        "  auditAnnotations:
  - {key: images, valueExpression: \"object.spec.containers.map(c, c.image).join(', ')\"}
  - {key: none, valueExpression: \"null\"}
",
    );
    let decision = Asked::pod(pod()).by(&annotations);
    assert_eq!(decision.audit_annotations["p.images"], "r.example/a:1, other.example/b");
    assert_eq!(decision.audit_annotations.len(), 1, "{:?}", decision.audit_annotations);
    let mut large = pod();
    large["spec"]["containers"][0]["image"] = json!("x".repeat(20_000));
    assert!(Asked::pod(large).by(&annotations).audit_annotations["p.images"].len() <= 10 * 1024);
}

#[test]
fn connections_are_judged_where_a_policy_asks_for_them() {
    let exec = policy("  validations: [{expression: \"request.operation != 'CONNECT' || object.tty == false\", message: no terminals}]\n");
    let mut asked = Asked::of(json!({"operation": "CONNECT", "subResource": "exec", "object": {"kind": "PodExecOptions", "tty": true},
        "kind": {"group": "", "version": "v1", "kind": "PodExecOptions"}, "resource": {"group": "", "version": "v1", "resource": "pods"}}));
    let denied = asked.by(&exec);
    assert!(denied.denial().unwrap().status.message.starts_with("pods/exec \"web\" is forbidden: violates policy \"p\"\n"));
    asked.request.object.as_mut().unwrap()["tty"] = json!(false);
    assert!(asked.by(&exec).is_allowed());
}

/// The example of Kubernetes' documentation, as it is there.
const BOUND: [&str; 2] = [
    "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: demo-policy.example.com}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  validations:
  - {expression: object.spec.replicas <= 5}
",
    "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: demo-binding-test.example.com}
spec:
  policyName: demo-policy.example.com
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {environment: production}}}
",
];

#[test]
fn a_policy_of_kubernetes_does_nothing_until_it_is_bound() {
    let mut asked = Asked::deployment(pod());
    asked.request.object.as_mut().unwrap()["spec"]["replicas"] = json!(6);
    assert!(asked.by(BOUND[0]).is_allowed());
    let message = denied(&asked.by(&BOUND.join("---\n"))).to_owned();
    assert!(message.contains("policy \"demo-policy.example.com/demo-binding-test.example.com\" (validations[0]): failed expression: object.spec.replicas <= 5"), "{message}");
    asked.namespace = Ok(Some(json!({"metadata": {"name": "shop", "labels": {"environment": "test"}}})));
    assert!(asked.by(&BOUND.join("---\n")).is_allowed(), "the binding is for another namespace");
}

#[test]
fn a_policy_of_kubernetes_is_not_asked_about_templates() {
    let pods = BOUND.join("---\n").replace("apiGroups: [apps]", "apiGroups: [\"\"]").replace("[deployments]", "[pods]");
    assert!(Asked::deployment(pod()).by(&pods.replace("object.spec.replicas <= 5", "\"false\"")).warnings.is_empty());
}

#[test]
fn a_binding_without_its_policy_says_so_and_follows_it_when_it_comes_and_goes() {
    let mut library = library_of_objects(&[BOUND[1]]);
    assert!(library.entries()[0].problems[0].to_string().starts_with("spec.policyName: there is no policy"));
    let policy: Value = serde_saphyr::from_str(BOUND[0]).unwrap();
    library.apply_object(&policy, "2026-11-25T00:00:00Z".parse().unwrap());
    assert_eq!(library.snapshot().len(), 1);
    library.delete(&portcullis_admission::policy::PolicyKey::Validating("demo-policy.example.com".to_owned()));
    assert!(library.snapshot().is_empty());
}

#[test]
fn an_exported_policy_judges_as_ours_does() {
    let ours = policy(
        "  variables: [{name: allowed, expression: \"['r.example/']\"}]
  validations:
  - {name: registry, each: container, expression: \"variables.allowed.exists(r, container.image.startsWith(r)) // here\", message: another registry}
  - {name: paths, each: volume, expression: \"!has(volume.hostPath)\"}
  - {expression: \"object.metadata.name != 'x'\"}
",
    )
    .replace(", pods/exec", "");
    let Some(PolicyResource::Policy(read)) = load_policies("f", &ours).unwrap().into_iter().next() else { panic!("{ours}") };
    let (exported, losses) = export(&read);
    let (theirs, binding) = exported.unwrap();
    let theirs = format!("{}---\n{}", serde_saphyr::to_string(&theirs).unwrap(), serde_saphyr::to_string(&binding).unwrap());
    let fields: Vec<&str> = losses.iter().map(|loss| loss.field.as_str()).collect();
    assert_eq!(fields, ["spec.templates", "spec.validations[0].name", "spec.validations[1].name"]);
    let mut good = pod();
    good["spec"]["containers"][1]["image"] = json!("r.example/b");
    good["spec"]["volumes"] = json!([]);
    let mut named = good.clone();
    named["metadata"]["name"] = json!("x");
    for (pod, allowed) in [(pod(), false), (good, true), (named, false)] {
        assert_eq!(Asked::pod(pod.clone()).by(&ours).is_allowed(), allowed, "{pod}");
        assert_eq!(Asked::pod(pod.clone()).by(&theirs).is_allowed(), allowed, "{pod}\n{theirs}");
    }
}

#[test]
fn what_means_something_else_without_it_is_not_exported() {
    for (rest, field) in [
        ("  params: {a: 1}\n  validations: [{expression: params.a == 1}]\n", "spec.params"),
        ("  validations: [{each: container, expression: \"true\"}]\n", "spec.validations"),
    ] {
        let Some(PolicyResource::Policy(read)) = load_policies("f", &policy(rest)).unwrap().into_iter().next() else { panic!("{rest}") };
        let (exported, losses) = export(&read);
        assert!(exported.is_none() && losses.iter().any(|loss| loss.is_fatal && loss.field == field), "{losses:?}");
    }
}

#[test]
fn work_is_bounded_whatever_is_asked() {
    let containers: Vec<Value> = (0..10_000).map(|number| json!({"name": format!("c{number}"), "image": "x"})).collect();
    let large = json!({"metadata": {"name": "web"}, "spec": {"containers": containers}});
    let squared = validation("object.spec.containers.all(a, object.spec.containers.all(b, a.name != b.name || a.image == b.image))");
    let message = denied(&Asked::pod(large.clone()).by(&squared)).to_owned();
    assert!(message.contains("costs more than an expression may"), "{message}");
    let each = policy(
        "  validations: [{each: container, expression: \"container.image != 'x'\", messageExpression: \"string(container.name)\"}]\n",
    );
    let message = denied(&Asked::pod(large).by(&each)).to_owned();
    assert!(message.len() <= 17 * 1024 && message.contains("more"), "{}", message.len());
    // What would take an engine that backtracks for ever.
    let names: Vec<Value> = (0..1_000).map(|_| json!({"name": "a".repeat(2_000), "image": "x"})).collect();
    let long = json!({"metadata": {"name": "web"}, "spec": {"containers": names}});
    let exploding = validation("object.spec.containers.all(c, !c.name.matches('^(a|aa)+$b|(a+)+c$'))");
    let message = denied(&Asked::pod(long).by(&exploding)).to_owned();
    assert!(message.contains("costs more than an expression may"), "{message}");
}
