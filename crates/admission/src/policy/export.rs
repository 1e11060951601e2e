//! A policy of ours as one of Kubernetes with its binding, and exactly what of it gets lost.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use portcullis_api::admission_policy::{Action, AdmissionPolicy, AdmissionPolicySpec, Each, Validation};
use portcullis_api::validating_admission_policy::{
    API_VERSION, BINDING_KIND, KubernetesValidation, POLICY_KIND, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec, ValidationAction,
};

/// A part of a policy that Kubernetes has nothing for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The field.
    pub field: String,
    /// What is lost, and what to do instead.
    pub message: String,
    /// Whether the validations mean something else without it, so that there is no policy at all.
    pub is_fatal: bool,
}

/// The containers of a pod, in CEL.
const CONTAINERS: &str =
    "(object.spec.?initContainers.orValue([]) + object.spec.containers + object.spec.?ephemeralContainers.orValue([]))";
/// Its volumes.
const VOLUMES: &str = "object.spec.?volumes.orValue([])";

/// Writes a policy as Kubernetes' own, where that can be, and says what is lost.
pub fn export(policy: &AdmissionPolicy) -> (Option<(ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding)>, Vec<Loss>) {
    let mut losses = losses(&policy.spec);
    let validations = policy.spec.validations.iter().enumerate();
    let validations: Vec<KubernetesValidation> = validations.map(|(index, validation)| rewrite(index, validation, &mut losses)).collect();
    let says_something = !validations.is_empty() || !policy.spec.audit_annotations.is_empty();
    if !says_something || losses.iter().any(|loss| loss.is_fatal) {
        return (None, losses);
    }
    (Some((as_policy(policy, validations), as_binding(policy))), losses)
}

fn losses(spec: &AdmissionPolicySpec) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut lose = |field: &str, is_fatal, message: &str| {
        losses.push(Loss { field: field.to_owned(), message: message.to_owned(), is_fatal });
    };
    if spec.pod_security.is_some() {
        lose("spec.podSecurity", false, "the standards are not in CEL: label namespaces with pod-security.kubernetes.io/enforce");
    }
    if spec.params.is_some() {
        lose(
            "spec.params",
            true,
            "no parameters can be written in the policy: put them in an object, and name it by paramKind and paramRef",
        );
    }
    if matches_pods(spec) && !(spec.validations.is_empty() && spec.audit_annotations.is_empty()) {
        lose("spec.templates", false, "templates are not asked about: workloads pass, and their pods are denied");
    }
    if spec.validations.iter().any(|validation| validation.each.is_some()) && !matches_only_pods(spec) {
        lose("spec.validations", true, "`each` finds the pod in any workload, and CEL has to be told where it is: match pods alone");
    }
    losses
}

fn resources(spec: &AdmissionPolicySpec) -> impl Iterator<Item = &str> {
    spec.match_constraints.iter().flat_map(|constraints| &constraints.resource_rules).flat_map(|rule| &rule.resources).map(String::as_str)
}

fn matches_pods(spec: &AdmissionPolicySpec) -> bool {
    resources(spec).any(|resource| ["pods", "pods/*", "*", "*/*"].contains(&resource))
}

fn matches_only_pods(spec: &AdmissionPolicySpec) -> bool {
    resources(spec).all(|resource| ["pods", "pods/ephemeralcontainers", "pods/resize"].contains(&resource))
}

fn rewrite(index: usize, validation: &Validation, losses: &mut Vec<Loss>) -> KubernetesValidation {
    let at = format!("spec.validations[{index}]");
    let Validation { name, each, expression, message, message_expression, reason, field, allowed, change } = validation;
    for (lost, what) in [("name", name), ("field", field), ("allowed", allowed), ("change", change)] {
        if what.is_some() {
            let message = "Kubernetes' answers do not have it".to_owned();
            losses.push(Loss { field: format!("{at}.{lost}"), message, is_fatal: false });
        }
    }
    let over = each.map(|each| (each.identifier(), if each == Each::Container { CONTAINERS } else { VOLUMES }));
    // A comment at the end of the expression must not swallow what follows.
    let expression = over.map_or_else(|| expression.clone(), |(name, list)| format!("{list}.all({name}, (\n{expression}\n))"));
    let names_part = |text: &String| over.is_some_and(|(name, _)| names(text, name));
    let message_expression = message_expression.clone().filter(|text| {
        let lost = names_part(text);
        if lost {
            let message = "it names the part that is at fault, which is not known outside the loop".to_owned();
            losses.push(Loss { field: format!("{at}.messageExpression"), message, is_fatal: false });
        }
        !lost
    });
    let message = message
        .clone()
        .or_else(|| over.is_some().then(|| format!("failed expression: {}", validation.expression.trim()).replace('\n', " ")));
    KubernetesValidation { expression, message, message_expression, reason: *reason }
}

/// Whether an expression names an identifier, or seems to.
fn names(expression: &str, identifier: &str) -> bool {
    expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == identifier)
}

fn as_policy(policy: &AdmissionPolicy, validations: Vec<KubernetesValidation>) -> ValidatingAdmissionPolicy {
    let spec = &policy.spec;
    ValidatingAdmissionPolicy {
        api_version: API_VERSION.to_owned(),
        kind: POLICY_KIND.to_owned(),
        metadata: metadata(policy),
        spec: ValidatingAdmissionPolicySpec {
            param_kind: spec.param_kind.clone(),
            match_constraints: spec.match_constraints.clone(),
            match_conditions: spec.match_conditions.clone(),
            variables: spec.variables.clone(),
            validations,
            audit_annotations: spec.audit_annotations.clone(),
            failure_policy: Some(spec.failure_policy),
        },
    }
}

fn as_binding(policy: &AdmissionPolicy) -> ValidatingAdmissionPolicyBinding {
    let action = |action: &Action| match action {
        Action::Deny => ValidationAction::Deny,
        Action::Warn => ValidationAction::Warn,
        Action::Audit => ValidationAction::Audit,
    };
    ValidatingAdmissionPolicyBinding {
        api_version: API_VERSION.to_owned(),
        kind: BINDING_KIND.to_owned(),
        metadata: metadata(policy),
        spec: ValidatingAdmissionPolicyBindingSpec {
            policy_name: policy.metadata.name.clone().unwrap_or_default(),
            param_ref: policy.spec.param_ref.clone(),
            match_resources: None,
            validation_actions: policy.spec.actions.iter().map(action).collect(),
        },
    }
}

/// The name and what people wrote beside it.
fn metadata(policy: &AdmissionPolicy) -> ObjectMeta {
    let metadata = &policy.metadata;
    ObjectMeta {
        name: metadata.name.clone(),
        labels: metadata.labels.clone(),
        annotations: metadata.annotations.clone(),
        ..Default::default()
    }
}
