//! From a resource to a [`Policy`]: everything that could fail for every request fails here, all of it at once, each problem with its field.

use std::fmt;

use portcullis_api::admission_policy::{
    Action, AdmissionPolicy, AdmissionPolicySpec, FailurePolicy, MatchResources, OperationName, PodSecurity, PodSecurityLevel, ResourceRule,
};
use portcullis_api::validate::{self, FieldProblem};
use portcullis_api::validating_admission_policy::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidationAction};
use serde_json::Value;

use super::expression::Expressions;
use super::params::{Params, Reference};
use super::rules::Rules;
use super::selector::Selector;
use super::{Constraints, Policy};
use crate::checks::demands;
use crate::standard::{Level, Standard, Version};

/// Why a policy or an exception is not in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The field, as `spec.validations[0].expression`.
    pub field: String,
    /// What is wrong, and what to write instead; for an expression, after line and column in it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

impl From<FieldProblem> for Problem {
    fn from(problem: FieldProblem) -> Self {
        Self { field: problem.field.to_string(), message: problem.message }
    }
}

/// Makes a policy of ours ready.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile(policy: &AdmissionPolicy) -> Result<Policy, Vec<Problem>> {
    let problems = validate::admission_policy(policy);
    if !problems.is_empty() {
        return Err(problems.into_iter().map(Problem::from).collect());
    }
    let name = policy.metadata.name.clone().unwrap_or_default();
    let mut compiled = build(name, &policy.spec)?;
    compiled.templates = Some(policy.spec.templates);
    Ok(compiled)
}

/// Makes a policy of Kubernetes ready, as a binding puts it in force.
///
/// # Errors
/// Everything that is wrong with the two.
pub(super) fn compile_bound(
    policy: &ValidatingAdmissionPolicy,
    binding: &ValidatingAdmissionPolicyBinding,
) -> Result<Policy, Vec<Problem>> {
    let mut problems = validate::validating_admission_policy(policy);
    problems.extend(validate::validating_admission_policy_binding(binding));
    if !problems.is_empty() {
        return Err(problems.into_iter().map(Problem::from).collect());
    }
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let mut compiled = build(bound_name(&name(&policy.metadata.name), &name(&binding.metadata.name)), &as_ours(policy, binding))?;
    compiled.constraints.extend(binding.spec.match_resources.as_ref().map(constraints));
    Ok(compiled)
}

/// The name of a policy of Kubernetes as a binding puts it in force.
pub(super) fn bound_name(policy: &str, binding: &str) -> String {
    format!("{policy}/{binding}")
}

/// A policy of Kubernetes in the fields of ours, but for what its binding matches.
fn as_ours(policy: &ValidatingAdmissionPolicy, binding: &ValidatingAdmissionPolicyBinding) -> AdmissionPolicySpec {
    let spec = &policy.spec;
    let action = |action: &ValidationAction| match action {
        ValidationAction::Deny => Action::Deny,
        ValidationAction::Warn => Action::Warn,
        ValidationAction::Audit => Action::Audit,
    };
    AdmissionPolicySpec {
        match_constraints: spec.match_constraints.clone(),
        match_conditions: spec.match_conditions.clone(),
        variables: spec.variables.clone(),
        validations: spec.validations.iter().cloned().map(Into::into).collect(),
        audit_annotations: spec.audit_annotations.clone(),
        param_kind: spec.param_kind.clone(),
        param_ref: binding.spec.param_ref.clone(),
        failure_policy: spec.failure_policy.unwrap_or_default(),
        actions: binding.spec.validation_actions.iter().map(action).collect(),
        ..AdmissionPolicySpec::default()
    }
}

fn build(name: String, spec: &AdmissionPolicySpec) -> Result<Policy, Vec<Problem>> {
    let standard = spec.pod_security.as_ref().map(standard).transpose()?;
    let params = match (&spec.params, &spec.param_kind, &spec.param_ref) {
        (Some(params), ..) => Params::Inline(Value::Object(params.clone())),
        (None, Some(kind), Some(reference)) => Params::Objects(Box::new(Reference::new(kind, reference))),
        // Only with Kubernetes' own: a binding that names none leaves `params` null, and one that names what the policy does not want is not heard.
        (None, Some(_), None) => Params::Inline(Value::Null),
        (None, None, _) => Params::None,
    };
    let mut expressions = Expressions::compile(spec, !matches!(params, Params::None))?;
    expressions.validations.iter_mut().for_each(|control| control.message = one_line(&control.message));
    Ok(Policy {
        name,
        standard,
        demands: standard.map(demands).unwrap_or_default(),
        constraints: vec![spec.match_constraints.as_ref().map_or_else(pods, constraints)],
        params,
        expressions,
        failure: spec.failure_policy,
        actions: spec.actions.clone(),
        templates: None,
    })
}

/// An expression of several lines that stands for a message is told in one.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn constraints(resources: &MatchResources) -> Constraints {
    Constraints {
        rules: Rules::new(resources),
        namespaces: Selector::new(resources.namespace_selector.as_ref()),
        objects: Selector::new(resources.object_selector.as_ref()),
    }
}

/// What a Pod Security Standard alone judges: pods, and whatever subresource of them may change their spec.
fn pods() -> Constraints {
    let rule = ResourceRule {
        api_groups: vec![String::new()],
        api_versions: vec!["*".to_owned()],
        operations: vec![OperationName::Create, OperationName::Update],
        resources: vec!["pods/*".to_owned()],
        ..ResourceRule::default()
    };
    constraints(&MatchResources { resource_rules: vec![rule], ..MatchResources::default() })
}

fn standard(pod_security: &PodSecurity) -> Result<Standard, Vec<Problem>> {
    let level = match pod_security.level {
        PodSecurityLevel::Baseline => Level::Baseline,
        PodSecurityLevel::Restricted => Level::Restricted,
    };
    let version: Result<Version, _> = pod_security.version.parse();
    version
        .map(|version| Standard { level, version })
        .map_err(|error| vec![Problem { field: "spec.podSecurity.version".to_owned(), message: error.to_string() }])
}

impl Policy {
    pub(super) fn fails_closed(&self) -> bool {
        self.failure == FailurePolicy::Fail
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Library, Surroundings, Trust};
    use crate::review::AdmissionRequest;

    const PARAM_KIND: &str = r#"{"apiVersion": "v1", "kind": "ConfigMap"}"#;

    /// What a policy of Kubernetes says of a ConfigMap that is made, `None` where it passes.
    fn said(expression: &str, kind: Value, reference: Value) -> Option<String> {
        let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]});
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"},
            "spec": {"paramKind": kind, "matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression}]},
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "b"},
            "spec": {"policyName": "p", "paramRef": reference, "validationActions": ["Deny"]},
        });
        let mut library = Library::new(Trust::Everywhere);
        [policy, binding].iter().for_each(|object| library.apply_object(object, jiff::Timestamp::UNIX_EPOCH));
        let problems: Vec<String> = library.entries().iter().flat_map(|entry| &entry.problems).map(ToString::to_string).collect();
        assert_eq!(problems, [""; 0], "{expression}");
        let request: AdmissionRequest = serde_json::from_value(json!({
            "operation": "CREATE", "namespace": "shop", "name": "c", "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "object": {"metadata": {"name": "c"}}}))
        .unwrap();
        let surroundings = Surroundings { namespace: Ok(None), now: jiff::Timestamp::UNIX_EPOCH, deadline: None };
        let outcome = library.snapshot().judge(&request, &surroundings);
        outcome.violations.first().map(|violation| violation.message.clone())
    }

    #[test]
    fn a_binding_that_names_no_parameters_leaves_them_null() {
        let kind = || serde_json::from_str(PARAM_KIND).unwrap();
        assert_eq!(said("params == null", kind(), Value::Null), None);
        assert_eq!(said("params == null || params.data.max != ''", kind(), Value::Null), None);
        let failed = said("params.data.max != ''", kind(), Value::Null).unwrap();
        assert!(failed.starts_with("cannot be judged: "), "{failed}");
    }

    #[test]
    fn parameters_that_a_policy_does_not_want_are_not_looked_for() {
        let reference = json!({"name": "limits", "parameterNotFoundAction": "Deny"});
        assert_eq!(said("object.metadata.name == 'c'", Value::Null, reference), None);
    }

    #[test]
    fn an_expression_of_several_lines_that_stands_for_the_message_is_told_in_one() {
        let message = said("object.metadata.name\n  == 'd'\n", Value::Null, Value::Null).unwrap();
        assert_eq!(message, "failed expression: object.metadata.name == 'd'");
    }
}
