//! Policies with a Pod Security Standard, and exceptions: who is asked, what is said, what is waived.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/asked.rs"]
mod asked;

use asked::{Asked, policies};
use portcullis_admission::Verdict;
use portcullis_admission::policy::Effect;
use serde_json::{Value, json};

const BASELINE: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: AdmissionPolicy
metadata: {name: baseline}
spec:
  podSecurity: {level: baseline, version: v1.35}
";

const EXCEPTION: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: PolicyException
metadata: {namespace: security, name: agent}
spec:
  policy: baseline
  controls: [privileged]
  namespaces: [shop]
  subjects: {images: [\"r/agent:*\"]}
  reason: it reads the device
  expires: 2027-01-01T00:00:00Z
";

fn pod(images: &[&str]) -> Value {
    let container =
        |(index, image): (usize, &&str)| json!({"name": format!("c{index}"), "image": image, "securityContext": {"privileged": true}});
    json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"containers": images.iter().enumerate().map(container).collect::<Vec<_>>()}})
}

#[test]
fn denies_a_pod_and_names_policy_field_value_what_is_allowed_and_the_change() {
    let decision = Asked::pod(pod(&["x"])).by(BASELINE);
    let status = &decision.denial().unwrap().status;
    assert_eq!(
        status.message,
        "pods \"web\" is forbidden: violates policy \"baseline\"\n\
         policy \"baseline\" (privileged, baseline:v1.35): privileged (container \"c0\" must not set securityContext.privileged=true)\n  \
         spec.containers[0].securityContext.privileged is true; allowed: unset or false; \
         set spec.containers[0].securityContext.privileged to false\n\
         to read more: portcullis explain privileged"
    );
    assert_eq!(status.code, 403);
    assert_eq!(status.details.as_ref().unwrap().causes[0].field, "spec.containers[0].securityContext.privileged");
    assert_eq!(decision.policies, [(Effect::Deny, 1)].into());
}

#[test]
fn all_violations_of_the_standard_and_of_all_policies_are_in_one_message() {
    let policies =
        format!("{BASELINE}---\n{}", BASELINE.replace("name: baseline", "name: again").replace("level: baseline", "level: restricted"));
    let mut asked = Asked::pod(pod(&["x"]));
    asked.settings.defaults.enforce = "baseline:latest".parse().unwrap();
    let message = asked.by(&policies).denial().unwrap().status.message.clone();
    for part in [
        "violates PodSecurity \"baseline:latest\": privileged (",
        "\npolicy \"again\" (runAsNonRoot, restricted:v1.35): ",
        "\npolicy \"baseline\" (privileged, baseline:v1.35): ",
    ] {
        assert!(message.contains(part), "{part}\n{message}");
    }
    assert_eq!(message.matches("to read more: ").count(), 1);
}

#[test]
fn actions_say_what_becomes_of_a_violation() {
    let with = |actions: &str| Asked::pod(pod(&["x"])).by(&format!("{BASELINE}  actions: [{actions}]\n"));
    let warned = with("warn");
    assert!(warned.is_allowed() && warned.warnings[0].starts_with("would violate policy \"baseline\" (privileged"), "{warned:?}");
    let audited = with("audit");
    assert!(audited.is_allowed() && audited.warnings.is_empty());
    let noted: Value = serde_json::from_str(&audited.audit_annotations["policy-violations"]).unwrap();
    assert_eq!(noted[0]["fields"], json!(["spec.containers[0].securityContext.privileged"]));
    let both = with("deny, audit");
    assert!(!both.is_allowed() && both.audit_annotations.contains_key("policy-violations"));
}

#[test]
fn a_template_is_warned_of_unless_the_policy_enforces_it() {
    let warned = Asked::deployment(pod(&["x"])).by(BASELINE);
    assert!(warned.is_allowed());
    assert!(warned.warnings[0].contains("spec.template.spec.containers[0].securityContext.privileged is true"), "{:?}", warned.warnings);
    let denied = Asked::deployment(pod(&["x"])).by(&format!("{BASELINE}  templates: enforce\n"));
    let message = &denied.denial().unwrap().status.message;
    assert!(message.starts_with("deployments.apps \"web\" is forbidden: violates policy \"baseline\"\n"), "{message}");
    let audited = Asked::deployment(pod(&["x"])).by(&format!("{BASELINE}  actions: [audit]\n"));
    assert!(audited.warnings.is_empty() && audited.audit_annotations.contains_key("policy-violations"));
}

#[test]
fn a_template_that_an_update_leaves_as_it_was_is_not_judged_again() {
    let mut asked = Asked::deployment(pod(&["x"]));
    asked.update_from(asked.request.object.clone().unwrap());
    asked.request.object.as_mut().unwrap()["spec"]["replicas"] = json!(9);
    assert!(asked.by(&format!("{BASELINE}  templates: enforce\n")).is_allowed());
    asked.request.object.as_mut().unwrap()["spec"]["template"]["spec"]["hostPID"] = json!(true);
    assert!(!asked.by(&format!("{BASELINE}  templates: enforce\n")).is_allowed());
}

#[test]
fn an_update_of_a_pod_that_brings_in_nothing_new_is_not_judged_again() {
    let mut asked = Asked::pod(pod(&["x"]));
    asked.update_from(asked.request.object.clone().unwrap());
    asked.request.object.as_mut().unwrap()["metadata"]["labels"] = json!({"a": "b"});
    assert!(asked.by(BASELINE).is_allowed());
    asked.request.object.as_mut().unwrap()["spec"]["containers"][0]["image"] = json!("y");
    assert!(!asked.by(BASELINE).is_allowed());
}

#[test]
fn an_object_that_is_being_deleted_is_judged_like_any_other() {
    let mut pod = pod(&["x"]);
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(!Asked::pod(pod).by(BASELINE).is_allowed());
}

#[test]
fn what_cannot_be_read_violates_a_policy_that_fails_closed_and_passes_one_that_does_not() {
    let broken = json!({"spec": {"containers": [{"name": "a", "securityContext": {"privileged": "yes"}}]}});
    let denied = Asked::pod(broken.clone()).by(BASELINE);
    assert!(denied.denial().unwrap().status.message.contains("cannot be judged: spec.containers[0].securityContext.privileged: must be"));
    assert_eq!(denied.denial().unwrap().status.code, 500);
    let ignored = Asked::pod(broken).by(&format!("{BASELINE}  failurePolicy: Ignore\n"));
    assert!(ignored.is_allowed());
    assert_eq!(ignored.policies, [(Effect::Ignore, 1)].into());
}

#[test]
fn selectors_choose_namespaces_and_objects() {
    let selecting = |selector: &str| {
        let rules = "resourceRules: [{apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE], resources: [pods]}]";
        format!("{BASELINE}  matchConstraints: {{{rules}, {selector}}}\n")
    };
    for (selector, denied) in [
        ("namespaceSelector: {matchLabels: {environment: production}}", true),
        ("namespaceSelector: {matchLabels: {environment: test}}", false),
        ("objectSelector: {matchLabels: {app: web}}", true),
        ("objectSelector: {matchLabels: {app: db}}", false),
        (
            "excludeResourceRules: [{apiGroups: [\"*\"], apiVersions: [\"*\"], operations: [\"*\"], resources: [pods], resourceNames: [web]}]",
            false,
        ),
    ] {
        let mut pod = pod(&["x"]);
        pod["metadata"]["labels"] = json!({"app": "web"});
        assert_eq!(!Asked::pod(pod).by(&selecting(selector)).is_allowed(), denied, "{selector}");
    }
    let mut unknown = Asked::pod(pod(&["x"]));
    unknown.namespace = Err("nobody answered".to_owned());
    let decision = unknown.by(&selecting("namespaceSelector: {matchLabels: {environment: test}}"));
    assert!(decision.denial().unwrap().status.message.contains("the namespace \"shop\" is not known: nobody answered"));
    assert!(unknown.by(&selecting("namespaceSelector: {}")).denial().unwrap().status.code == 403, "nothing has to be known");
}

#[test]
fn one_bad_policy_affects_no_other() {
    let bad = BASELINE.replace("name: baseline", "name: bad").replace("  podSecurity", "  actions: []\n  podSecurity");
    let library = asked::library_of_objects(&[&bad, BASELINE]);
    let problems: Vec<_> = library.entries().into_iter().filter(|entry| !entry.problems.is_empty()).collect();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].problems[0].to_string(), "spec.actions: empty: list what becomes of what violates the policy");
    assert_eq!(library.snapshot().policies().map(|policy| policy.name()).collect::<Vec<_>>(), ["baseline"]);
}

#[test]
fn an_exception_waives_the_one_control_of_the_one_image_in_the_one_namespace() {
    let policies = format!("{BASELINE}---\n{EXCEPTION}");
    let allowed = Asked::pod(pod(&["r/agent:1"])).by(&policies);
    assert_eq!(allowed.verdict, Verdict::Allowed);
    let used: Value = serde_json::from_str(&allowed.audit_annotations["policy-exceptions"]).unwrap();
    assert_eq!(
        used,
        json!([{"exception": "security/agent", "reason": "it reads the device", "policy": "baseline", "control": "privileged",
            "field": "spec.containers[0].securityContext.privileged"}])
    );
    // Another container beside it is told, and it alone.
    let message = Asked::pod(pod(&["r/agent:1", "x"])).by(&policies).denial().unwrap().status.message.clone();
    assert!(
        message.contains("(privileged, baseline:v1.35): privileged\n  spec.containers[1]") && !message.contains("containers[0]"),
        "{message}"
    );
    // Another control of the same container.
    let mut host = pod(&["r/agent:1"]);
    host["spec"]["containers"][0]["ports"] = json!([{"hostPort": 80}]);
    assert!(!Asked::pod(host).by(&policies).is_allowed());
    // The same in another namespace.
    let mut elsewhere = Asked::pod(pod(&["r/agent:1"]));
    elsewhere.request.namespace = "bank".to_owned();
    assert!(!elsewhere.by(&policies).is_allowed());
    // The workload that makes it.
    assert!(Asked::deployment(pod(&["r/agent:1"])).by(&format!("{BASELINE}  templates: enforce\n---\n{EXCEPTION}")).is_allowed());
}

#[test]
fn an_exception_for_containers_says_nothing_about_the_pod() {
    let exception = EXCEPTION.replace("[privileged]", "[hostNamespaces]");
    let mut pod = pod(&[]);
    pod["spec"] = json!({"hostPID": true, "containers": [{"name": "a", "image": "r/agent:1"}]});
    assert!(!Asked::pod(pod.clone()).by(&format!("{BASELINE}---\n{exception}")).is_allowed());
    let by_name = exception.replace("images: [\"r/agent:*\"]", "names: [web]");
    assert!(Asked::pod(pod).by(&format!("{BASELINE}---\n{by_name}")).is_allowed());
}

#[test]
fn two_exceptions_never_allow_together_what_neither_allows() {
    // One has the image and another namespace, the other the namespace and another image.
    let one = EXCEPTION.replace("[shop]", "[bank]");
    let other = EXCEPTION.replace("r/agent:*", "r/other:*").replace("name: agent", "name: other");
    assert!(!Asked::pod(pod(&["r/agent:1"])).by(&format!("{BASELINE}---\n{one}---\n{other}")).is_allowed());
    // Each is for one of two controls: both findings are waived, by one exception each.
    let ports = EXCEPTION.replace("[privileged]", "[hostPorts]").replace("name: agent", "name: ports");
    let mut both = pod(&["r/agent:1"]);
    both["spec"]["containers"][0]["ports"] = json!([{"hostPort": 80}]);
    let decision = Asked::pod(both).by(&format!("{BASELINE}---\n{EXCEPTION}---\n{ports}"));
    assert!(decision.is_allowed());
    assert_eq!(decision.waivers, 2);
}

#[test]
fn an_expired_exception_does_nothing_and_is_warned_of() {
    let mut asked = Asked::pod(pod(&["r/agent:1"]));
    asked.now = "2027-01-01T00:00:00Z".parse().unwrap();
    let decision = asked.by(&format!("{BASELINE}---\n{EXCEPTION}"));
    assert!(!decision.is_allowed());
    assert_eq!(decision.warnings, ["the exception security/agent ended at 2027-01-01T00:00:00Z and allows nothing any more"]);
    let other = Asked { now: asked.now, ..Asked::pod(pod(&["x"])) };
    assert!(other.by(&format!("{BASELINE}---\n{EXCEPTION}")).warnings.is_empty(), "it would not have held");
}

#[test]
fn exceptions_of_a_namespace_that_is_not_trusted_do_not_count() {
    let library = asked::library_of_objects(&[BASELINE, &EXCEPTION.replace("namespace: security", "namespace: shop")]);
    let entries = library.entries();
    let refused = entries.iter().find(|entry| !entry.problems.is_empty()).unwrap();
    assert_eq!(refused.problems[0].field, "metadata.namespace");
    assert!(!Asked::pod(pod(&["r/agent:1"])).by_set(&library.snapshot()).is_allowed());
}

#[test]
fn policies_for_other_resources_and_operations_are_not_touched() {
    let set = policies(BASELINE);
    let mut asked = Asked::pod(pod(&["x"]));
    assert!(set.concerns(&asked.request));
    for (group, resource, operation) in
        [("", "services", "CREATE"), ("batch", "pods", "CREATE"), ("", "pods", "DELETE"), ("", "pods", "CONNECT")]
    {
        asked.request.resource.group = group.to_owned();
        asked.request.resource.resource = resource.to_owned();
        asked.request.operation = operation.to_owned().into();
        assert!(!set.concerns(&asked.request), "{operation} {group}/{resource}");
    }
}

#[test]
fn exempt_namespaces_and_users_are_exempt_from_policies_and_runtime_classes_are_not() {
    let mut asked = Asked::pod(pod(&["x"]));
    asked.request.object.as_mut().unwrap()["spec"]["runtimeClassName"] = json!("kata");
    asked.settings.exemptions.runtime_classes = ["kata".to_owned()].into();
    assert!(!asked.by(BASELINE).is_allowed());
    asked.settings.exemptions.users = ["root".to_owned()].into();
    asked.request.user_info.username = "root".to_owned();
    assert!(asked.by(BASELINE).is_allowed());
    asked.settings.exemptions.users.clear();
    asked.settings.exemptions.namespaces = ["shop".to_owned()].into();
    assert!(asked.by(BASELINE).is_allowed());
}

#[test]
fn a_policy_for_workloads_themselves_is_asked_once() {
    let rules = "resourceRules: [{apiGroups: [\"*\"], apiVersions: [v1], operations: [CREATE], resources: [pods, deployments]}]";
    let decision = Asked::deployment(pod(&["x"])).by(&format!("{BASELINE}  matchConstraints: {{{rules}}}\n"));
    assert!(!decision.is_allowed(), "it names deployments, so it means them");
    assert_eq!(decision.policies, [(Effect::Deny, 1)].into());
}

#[test]
fn a_message_is_bounded_however_much_is_wrong() {
    let images = vec!["x"; 10_000];
    let decision = Asked::pod(pod(&images)).by(BASELINE);
    let status = &decision.denial().unwrap().status;
    assert!(status.message.len() <= 17 * 1024, "{}", status.message.len());
    assert!(status.message.contains("  spec.containers[0].securityContext.privileged is true"), "{}", status.message);
    assert!(status.message.contains("  and 9968 more fields"), "{}", status.message);
    let causes = &status.details.as_ref().unwrap().causes;
    assert!(causes.len() == 256 && causes.iter().all(|cause| cause.message.len() < 2048));
    let audited = Asked::pod(pod(&images)).by(&format!("{BASELINE}  actions: [audit, warn]\n"));
    assert!(audited.audit_annotations["policy-violations"].len() <= 10 * 1024);
    assert!(audited.warnings.iter().all(|warning| warning.chars().count() <= 256));
}
