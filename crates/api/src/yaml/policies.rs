//! Files of policies: ours, Kubernetes' own with their bindings, exceptions, and the objects that are parameters.

use super::{
    FILE_MAX,
    node::{self, Node, Value},
    problem::{LoadError, Problems},
    read,
    structure::Structure,
};
use crate::{
    AdmissionPolicy, AdmissionPolicySpec, PolicyException, PolicyExceptionSpec, admission_policy, policy_exception,
    validate::{self, FieldPath},
    validating_admission_policy::{
        self as kubernetes, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec,
        ValidatingAdmissionPolicySpec,
    },
    workload_profile::API_VERSION,
};
use std::sync::LazyLock;

// Made once: a document costs less than the structure that it is checked against, and a file may have thousands.
static POLICY: LazyLock<Structure> =
    LazyLock::new(|| Structure::of::<AdmissionPolicySpec>(API_VERSION, admission_policy::KIND).with_status());
static EXCEPTION: LazyLock<Structure> =
    LazyLock::new(|| Structure::of::<PolicyExceptionSpec>(API_VERSION, policy_exception::KIND).with_status());
static VALIDATING: LazyLock<Structure> =
    LazyLock::new(|| Structure::of::<ValidatingAdmissionPolicySpec>(kubernetes::API_VERSION, kubernetes::POLICY_KIND).with_status());
static BINDING: LazyLock<Structure> =
    LazyLock::new(|| Structure::of::<ValidatingAdmissionPolicyBindingSpec>(kubernetes::API_VERSION, kubernetes::BINDING_KIND));

/// A document of a file of policies.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyResource {
    /// A policy of ours.
    Policy(Box<AdmissionPolicy>),
    /// An exception.
    Exception(Box<PolicyException>),
    /// A policy of Kubernetes.
    Validating(Box<ValidatingAdmissionPolicy>),
    /// What puts it in force.
    Binding(Box<ValidatingAdmissionPolicyBinding>),
    /// An object of another kind: a parameter.
    Parameter(serde_json::Value),
}

/// Reads a file of policies, which YAML's `---` separates. Empty documents are passed over; an object of a kind that belongs to nobody here is taken
/// for a parameter.
///
/// # Errors
/// As [`super::load`].
pub fn load_policies(file_name: &str, text: &str) -> Result<Vec<PolicyResource>, LoadError> {
    let mut problems = Problems::new(file_name, text);
    let resources = match node::parse(text, FILE_MAX) {
        Ok(documents) => documents.iter().filter_map(|document| resource(document, &mut problems)).collect(),
        Err(unreadable) => {
            problems.unreadable(unreadable);
            Vec::new()
        }
    };
    problems.into_result(resources)
}

fn resource(document: &Node, problems: &mut Problems<'_>) -> Option<PolicyResource> {
    let (api_version, kind) = (text(document, "apiVersion"), text(document, "kind"));
    match (api_version, kind) {
        (API_VERSION, admission_policy::KIND) => {
            read(document, &POLICY, validate::admission_policy, problems).map(|policy| PolicyResource::Policy(Box::new(policy)))
        }
        (API_VERSION, policy_exception::KIND) => {
            read(document, &EXCEPTION, validate::policy_exception, problems).map(|exception| PolicyResource::Exception(Box::new(exception)))
        }
        (kubernetes::API_VERSION, kubernetes::POLICY_KIND) => read(document, &VALIDATING, validate::validating_admission_policy, problems)
            .map(|policy| PolicyResource::Validating(Box::new(policy))),
        (kubernetes::API_VERSION, kubernetes::BINDING_KIND) => {
            read(document, &BINDING, validate::validating_admission_policy_binding, problems)
                .map(|binding| PolicyResource::Binding(Box::new(binding)))
        }
        _ => parameter(document, api_version, kind, problems),
    }
}

/// The text of a field of a document; empty where there is none.
fn text<'d>(document: &'d Node, field: &str) -> &'d str {
    match &node::at(document, &FieldPath::default().field(field)).value {
        Value::Text(text) => text,
        _ => "",
    }
}

fn parameter(document: &Node, api_version: &str, kind: &str, problems: &mut Problems<'_>) -> Option<PolicyResource> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let ours = [crate::GROUP, "admissionregistration.k8s.io"].contains(&group);
    if ours || api_version.is_empty() || kind.is_empty() || kind.ends_with("List") {
        let known = [
            (API_VERSION, admission_policy::KIND),
            (API_VERSION, policy_exception::KIND),
            (kubernetes::API_VERSION, kubernetes::POLICY_KIND),
            (kubernetes::API_VERSION, kubernetes::BINDING_KIND),
        ]
        .map(|(api_version, kind)| format!("`{kind}` of `{api_version}`"));
        let message = format!("`{kind}` of `{api_version}` is no policy: write {}, or an object that is a parameter", known.join(", "));
        problems.note(document, &FieldPath::default(), message);
        return None;
    }
    Some(PolicyResource::Parameter(node::to_json(document)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"apiVersion: portcullis.dev/v1alpha1
kind: AdmissionPolicy
metadata:
  name: images
spec:
  podSecurity: {level: restricted, version: v1.35}
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [pods]}
  variables:
  - {name: allowed, expression: "params.registries"}
  validations:
  - name: registry
    each: container
    expression: variables.allowed.exists(registry, container.image.startsWith(registry))
    message: another registry
    field: image
  params: {registries: ["registry.example/"]}
  actions: [deny, audit]
  templates: enforce
"#;

    const EXCEPTION: &str = r#"apiVersion: portcullis.dev/v1alpha1
kind: PolicyException
metadata: {namespace: security, name: agent}
spec:
  policy: images
  controls: [registry]
  namespaces: [shop]
  subjects: {images: ["other.example/agent:*"]}
  reason: the vendor has no other registry
  expires: 2027-01-01T00:00:00Z
"#;

    /// As `kubectl get -o yaml` shows it.
    const BOUND: &str = r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: replicas, generation: 1}
spec:
  failurePolicy: Fail
  matchConstraints:
    matchPolicy: Equivalent
    namespaceSelector: {}
    objectSelector: {}
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments], scope: "*"}
  validations:
  - {expression: object.spec.replicas <= 5, reason: Forbidden}
status: {observedGeneration: 1, typeChecking: {}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: replicas-test}
spec:
  policyName: replicas
  validationActions: [Deny]
  matchResources: {matchPolicy: Equivalent, namespaceSelector: {matchLabels: {environment: test}}, objectSelector: {}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: limits}
data: {max: "5"}
"#;

    /// The replacement leads to this one problem: line, field and what is wrong.
    fn refuses(text: &str, from: &str, to: &str, problem: &str) {
        assert!(text.contains(from), "{from}");
        let error = load_policies("f", &text.replacen(from, to, 1)).unwrap_err();
        let [found] = error.problems() else { panic!("{error}") };
        let separator = if found.field.is_empty() { "" } else { ": " };
        let found = format!("{}: {}{separator}{}", found.line, found.field, found.message);
        assert!(found.starts_with(problem), "wanted {problem}\nfound {found}");
    }

    #[test]
    fn policies_bindings_exceptions_and_parameters_are_told_apart() {
        let resources = load_policies("f", &format!("{POLICY}---\n{EXCEPTION}---\n{BOUND}")).unwrap();
        assert!(matches!(
            resources.as_slice(),
            [
                PolicyResource::Policy(_),
                PolicyResource::Exception(_),
                PolicyResource::Validating(_),
                PolicyResource::Binding(_),
                PolicyResource::Parameter(_)
            ]
        ));
    }

    #[test]
    fn unknown_fields_are_refused_at_every_level() {
        refuses(POLICY, "  actions:", "  action: deny\n  actions:", "19: spec.action: unknown field");
        refuses(POLICY, "    field: image", "    fields: image", "17: spec.validations[0].fields: unknown field");
        refuses(EXCEPTION, "{images:", "{users: [x], images:", "8: spec.subjects.users: unknown field");
        refuses(BOUND, "{expression:", "{name: x, expression:", "13: spec.validations[0].name: unknown field");
        refuses(BOUND, "  policyName", "  policy: x\n  policyName", "20: spec.policy: unknown field");
    }

    #[test]
    fn what_the_types_cannot_say_is_told_with_its_place() {
        refuses(POLICY, "version: v1.35", "version: v2", "6: spec.podSecurity.version: `v2` is no version");
        refuses(POLICY, "[deny, audit]", "[deny, warn]", "19: spec.actions: deny and warn exclude each other");
        refuses(POLICY, "resources: [pods]", "resources: [Pods]", "9: spec.matchConstraints.resourceRules[0].resources[0]: `Pods`");
        refuses(POLICY, "name: allowed", "name: in", "11: spec.variables[0].name: `in` is not a valid name");
        refuses(POLICY, "field: image", "field: \"a[0]\"", "17: spec.validations[0].field: `a[0]`");
        refuses(EXCEPTION, "{images: [\"other.example/agent:*\"]}", "{}", "8: spec.subjects: empty");
        refuses(EXCEPTION, "[registry]", "[\"*\"]", "6: spec.controls[0]: no name of a control");
        refuses(EXCEPTION, "2027-01-01T00:00:00Z", "soon", "1: ");
        refuses(BOUND, "[Deny]", "[]", "21: spec.validationActions: empty");
    }

    #[test]
    fn a_rule_with_an_empty_version_is_refused_by_file_and_by_definition() {
        let place = "9: spec.matchConstraints.resourceRules[0].apiVersions[0]: ";
        refuses(POLICY, "apiVersions: [v1]", "apiVersions: [\"\"]", &format!("{place}empty: write a version"));
        refuses(POLICY, "resources: [pods]", "resources: [\"\"]", "9: spec.matchConstraints.resourceRules[0].resources[0]: ");
        refuses(BOUND, "apiVersions: [v1]", "apiVersions: [\"\"]", "11: spec.matchConstraints.resourceRules[0].apiVersions[0]: empty");
        let definition = serde_json::to_value(admission_policy::crd()).unwrap();
        let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let rule = &spec["properties"]["matchConstraints"]["properties"]["resourceRules"]["items"]["properties"];
        assert_eq!((&rule["apiVersions"]["items"]["minLength"], &rule["resources"]["items"]["minLength"]), (&1.into(), &1.into()));
        assert!(rule["apiGroups"]["items"]["minLength"].is_null(), "the core group is empty");
    }

    #[test]
    fn an_expression_of_any_shape_needs_no_message_and_what_is_around_one_does_not_count() {
        let lines = "  - name: other\n    expression: |\n      true &&\n      true\n    message: |\n      one line\n";
        load_policies("f", &POLICY.replace("  params: {", &format!("{lines}  params: {{"))).unwrap();
        load_policies("f", &POLICY.replace("    message: another registry\n", "").replace("registry))", "registry)) &&\n      true"))
            .unwrap();
        load_policies("f", &BOUND.replace("object.spec.replicas <= 5,", "\"object.spec\\n.replicas <= 5\\n\",")).unwrap();
        refuses(POLICY, "message: another registry", "message: \"a\\nb\"", "16: spec.validations[0].message: a message is one line");
    }

    #[test]
    fn a_kind_with_a_slip_in_it_is_no_parameter() {
        refuses(POLICY, "kind: AdmissionPolicy", "kind: AdmisionPolicy", "1: `AdmisionPolicy` of `portcullis.dev/v1alpha1` is no policy");
        refuses(BOUND, "kind: ConfigMap", "kind: ConfigMapList", "24: `ConfigMapList` of `v1` is no policy");
    }

    #[test]
    fn thousands_of_policies_are_read_in_bounded_time() {
        let text = "apiVersion: portcullis.dev/v1alpha1\nkind: AdmissionPolicy\nmetadata: {name: a}\nspec: {}\n---\n";
        assert_eq!(load_policies("f", &text.repeat(2_000)).unwrap_err().problems().len(), 2_000);
    }

    #[test]
    fn a_policy_that_says_nothing_is_refused() {
        let text = "apiVersion: portcullis.dev/v1alpha1\nkind: AdmissionPolicy\nmetadata: {name: a}\nspec: {}\n";
        let error = load_policies("f", text).unwrap_err().to_string();
        assert!(error.starts_with("f:4:7: spec: says nothing"), "{error}");
    }
}
