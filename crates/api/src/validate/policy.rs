//! What is wrong with a policy or an exception, as far as the types cannot say. Expressions are compiled elsewhere: this crate knows no CEL.

use super::{Check, FieldPath, FieldProblem, names};
use crate::admission_policy::{
    Action, AdmissionPolicy, AuditAnnotation, LabelSelector, MatchCondition, MatchResources, OperationName, ParamKind, ParamRef,
    ResourceRule, SelectorOperator, Validation, Variable,
};
use crate::validating_admission_policy::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidationAction};

/// Kubernetes' limits for a policy.
const MAX_MATCH_CONDITIONS: usize = 64;
const MAX_AUDIT_ANNOTATIONS: usize = 20;

/// Everything that is wrong with a policy of ours; nothing where it is valid.
#[must_use]
pub fn admission_policy(policy: &AdmissionPolicy) -> Vec<FieldProblem> {
    let mut check = Check::default();
    let at = FieldPath::default().field("spec");
    let spec = &policy.spec;
    check.object_name(policy.metadata.name.as_deref());
    if spec.pod_security.is_none() && spec.validations.is_empty() && spec.audit_annotations.is_empty() {
        check.problem(at.clone(), "says nothing: add podSecurity, validations or auditAnnotations");
    }
    let has_cel = !spec.validations.is_empty() || !spec.audit_annotations.is_empty();
    match &spec.match_constraints {
        None if has_cel => check.problem(at.field("matchConstraints"), "missing: add resourceRules, so that it is clear what is judged"),
        None => {}
        Some(constraints) => check.match_resources(&at.field("matchConstraints"), constraints, true),
    }
    check.cel(&at, &spec.match_conditions, &spec.variables, &spec.audit_annotations);
    check.validations(&at.field("validations"), &spec.validations);
    if let Some(pod_security) = &spec.pod_security
        && !is_version(&pod_security.version)
    {
        let message = format!("`{}` is no version: write `latest`, or `v1.` and a number", pod_security.version);
        check.problem(at.field("podSecurity").field("version"), message);
    }
    check.actions(
        &at.field("actions"),
        spec.actions.is_empty(),
        spec.actions.contains(&Action::Deny),
        spec.actions.contains(&Action::Warn),
    );
    check.params(&at, spec.param_kind.as_ref(), spec.param_ref.as_ref());
    if spec.params.is_some() && (spec.param_kind.is_some() || spec.param_ref.is_some()) {
        check.problem(at.field("params"), "beside paramKind or paramRef: keep one of the two");
    }
    if spec.param_kind.is_some() != spec.param_ref.is_some() {
        check.problem(at.field("paramRef"), "paramKind and paramRef belong together: write both or neither");
    }
    check.problems
}

/// Everything that is wrong with a policy of Kubernetes; nothing where it is valid.
#[must_use]
pub fn validating_admission_policy(policy: &ValidatingAdmissionPolicy) -> Vec<FieldProblem> {
    let mut check = Check::default();
    let at = FieldPath::default().field("spec");
    let spec = &policy.spec;
    check.object_name(policy.metadata.name.as_deref());
    match &spec.match_constraints {
        None => check.problem(at.field("matchConstraints"), "missing: add resourceRules"),
        Some(constraints) => check.match_resources(&at.field("matchConstraints"), constraints, true),
    }
    if spec.validations.is_empty() && spec.audit_annotations.is_empty() {
        check.problem(at.clone(), "says nothing: add validations or auditAnnotations");
    }
    check.cel(&at, &spec.match_conditions, &spec.variables, &spec.audit_annotations);
    let validations: Vec<Validation> = spec.validations.iter().cloned().map(Validation::from).collect();
    check.validations(&at.field("validations"), &validations);
    check.params(&at, spec.param_kind.as_ref(), None);
    check.problems
}

/// Everything that is wrong with a binding; nothing where it is valid.
#[must_use]
pub fn validating_admission_policy_binding(binding: &ValidatingAdmissionPolicyBinding) -> Vec<FieldProblem> {
    let mut check = Check::default();
    let at = FieldPath::default().field("spec");
    let spec = &binding.spec;
    check.object_name(binding.metadata.name.as_deref());
    check.named(at.field("policyName"), Some(&spec.policy_name), names::subdomain);
    if let Some(resources) = &spec.match_resources {
        check.match_resources(&at.field("matchResources"), resources, false);
    }
    let has = |action| spec.validation_actions.contains(&action);
    let actions = &at.field("validationActions");
    check.actions(actions, spec.validation_actions.is_empty(), has(ValidationAction::Deny), has(ValidationAction::Warn));
    check.params(&at, None, spec.param_ref.as_ref());
    check.problems
}

fn is_version(text: &str) -> bool {
    let minor = |minor: &str| !minor.is_empty() && minor.len() <= 4 && minor.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = |minor: &str| minor == "0" || !minor.starts_with('0');
    text == "latest" || text.strip_prefix("v1.").is_some_and(|version| minor(version) && canonical(version))
}

impl Check {
    pub(super) fn object_name(&mut self, name: Option<&str>) {
        self.named(FieldPath::default().field("metadata").field("name"), name, names::subdomain);
    }

    fn cel(&mut self, at: &FieldPath, conditions: &[MatchCondition], variables: &[Variable], annotations: &[AuditAnnotation]) {
        let list = at.field("matchConditions");
        self.at_most(&list, conditions.len(), MAX_MATCH_CONDITIONS);
        self.distinct(&list, "name", conditions.iter().map(|condition| &condition.name));
        for (index, condition) in conditions.iter().enumerate() {
            self.named(list.entry(index).field("name"), Some(&condition.name), names::qualified);
        }
        let list = at.field("variables");
        self.distinct(&list, "name", variables.iter().map(|variable| &variable.name));
        for (index, variable) in variables.iter().enumerate() {
            self.named(list.entry(index).field("name"), Some(&variable.name), names::identifier);
        }
        let list = at.field("auditAnnotations");
        self.at_most(&list, annotations.len(), MAX_AUDIT_ANNOTATIONS);
        self.distinct(&list, "key", annotations.iter().map(|annotation| &annotation.key));
        for (index, annotation) in annotations.iter().enumerate() {
            self.named(list.entry(index).field("key"), Some(&annotation.key), names::annotation_key);
        }
    }

    fn at_most(&mut self, list: &FieldPath, length: usize, most: usize) {
        if length > most {
            self.problem(list.clone(), format!("{length} entries, and no more than {most} are allowed: make fewer"));
        }
    }

    fn validations(&mut self, list: &FieldPath, validations: &[Validation]) {
        self.distinct(list, "name", validations.iter().filter_map(|validation| validation.name.as_ref()));
        for (index, validation) in validations.iter().enumerate() {
            let at = list.entry(index);
            if let Some(name) = &validation.name {
                self.named(at.field("name"), Some(name), names::control);
            }
            // As with Kubernetes, what is around the text does not count, and an expression of any shape can stand for a message.
            if validation.message.as_deref().map(str::trim).is_some_and(|message| message.is_empty() || message.contains('\n')) {
                self.problem(at.field("message"), "a message is one line of text: write one, or leave it out");
            }
            if let Some(field) = &validation.field
                && let Err(message) = names::field(field)
            {
                self.problem(at.field("field"), message);
            }
        }
    }

    fn actions(&mut self, field: &FieldPath, none: bool, deny: bool, warn: bool) {
        if none {
            self.problem(field.clone(), "empty: list what becomes of what violates the policy");
        }
        if deny && warn {
            self.problem(field.clone(), "deny and warn exclude each other, since a denial says the same: keep one");
        }
    }

    fn params(&mut self, at: &FieldPath, kind: Option<&ParamKind>, reference: Option<&ParamRef>) {
        if let Some(kind) = kind {
            let at = at.field("paramKind");
            self.named(at.field("apiVersion"), Some(&kind.api_version), names::api_version);
            self.named(at.field("kind"), Some(&kind.kind), names::kind);
        }
        let Some(reference) = reference else { return };
        let at = at.field("paramRef");
        if reference.name.is_some() == reference.selector.is_some() {
            self.problem(at.clone(), "name or selector is needed: write one of the two");
        }
        if let Some(name) = &reference.name {
            self.named(at.field("name"), Some(name), names::subdomain);
        }
        if let Some(namespace) = &reference.namespace {
            self.named(at.field("namespace"), Some(namespace), names::label);
        }
        if reference.parameter_not_found_action.is_none() {
            self.problem(at.field("parameterNotFoundAction"), "missing: write `Allow` or `Deny`");
        }
        if let Some(selector) = &reference.selector {
            self.selector(&at.field("selector"), selector);
        }
    }

    fn match_resources(&mut self, at: &FieldPath, resources: &MatchResources, needs_rules: bool) {
        if needs_rules && resources.resource_rules.is_empty() {
            self.problem(at.field("resourceRules"), "empty, so nothing is judged: list what is");
        }
        let lists = [("resourceRules", &resources.resource_rules), ("excludeResourceRules", &resources.exclude_resource_rules)];
        for (name, rules) in lists {
            for (index, rule) in rules.iter().enumerate() {
                self.rule(&at.field(name).entry(index), rule);
            }
        }
        for (name, selector) in [("namespaceSelector", &resources.namespace_selector), ("objectSelector", &resources.object_selector)] {
            if let Some(selector) = selector {
                self.selector(&at.field(name), selector);
            }
        }
    }

    fn rule(&mut self, at: &FieldPath, rule: &ResourceRule) {
        let lists = [("apiGroups", &rule.api_groups), ("apiVersions", &rule.api_versions), ("resources", &rule.resources)];
        for (name, values) in lists {
            if values.is_empty() {
                self.problem(at.field(name), "empty, so the rule matches nothing: list some, or `*`");
            }
            if name != "resources" && values.len() > 1 && values.iter().any(|value| value == "*") {
                self.problem(at.field(name), "`*` beside others: it stands for all, so keep it alone");
            }
        }
        // A webhook's registration holds the same versions, and the API server would refuse the whole of it.
        for (index, _) in rule.api_versions.iter().enumerate().filter(|(_, version)| version.is_empty()) {
            self.problem(at.field("apiVersions").entry(index), "empty: write a version, as `v1`, or `*` for all");
        }
        for (index, resource) in rule.resources.iter().enumerate() {
            if let Err(message) = names::resource(resource) {
                self.problem(at.field("resources").entry(index), message);
            }
        }
        if rule.operations.is_empty() {
            self.problem(at.field("operations"), "empty, so the rule matches nothing: list some, or `*`");
        }
        if rule.operations.len() > 1 && rule.operations.contains(&OperationName::All) {
            self.problem(at.field("operations"), "`*` beside others: it stands for all, so keep it alone");
        }
    }

    fn selector(&mut self, at: &FieldPath, selector: &LabelSelector) {
        for (index, requirement) in selector.match_expressions.iter().enumerate() {
            let at = at.field("matchExpressions").entry(index);
            self.named(at.field("key"), Some(&requirement.key), names::qualified);
            let wants_values = matches!(requirement.operator, SelectorOperator::In | SelectorOperator::NotIn);
            if wants_values && requirement.values.is_empty() {
                self.problem(at.field("values"), "empty: list what the label is compared with");
            }
            if !wants_values && !requirement.values.is_empty() {
                self.problem(at.field("values"), "of no use with this operator: leave it out");
            }
        }
        for key in selector.match_labels.keys() {
            self.named(at.field("matchLabels").field(key), Some(key), names::qualified);
        }
    }
}
