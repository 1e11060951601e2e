//! Kubernetes' own ValidatingAdmissionPolicy and its binding, `admissionregistration.k8s.io/v1`: read strictly, and written.
//!
//! These are Kubernetes' types: nothing is defined in the cluster for them. They share the parts that mean the same with [`crate::admission_policy`].

use crate::admission_policy::{
    AuditAnnotation, FailurePolicy, MatchCondition, MatchResources, ParamKind, ParamRef, Validation, ValidationReason, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The `apiVersion` of both.
pub const API_VERSION: &str = "admissionregistration.k8s.io/v1";
/// The `kind` of a policy.
pub const POLICY_KIND: &str = "ValidatingAdmissionPolicy";
/// The `kind` of a binding.
pub const BINDING_KIND: &str = "ValidatingAdmissionPolicyBinding";

/// A policy, which does nothing until it is bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidatingAdmissionPolicy {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`POLICY_KIND`].
    pub kind: String,
    /// Its name.
    pub metadata: ObjectMeta,
    /// What it says.
    pub spec: ValidatingAdmissionPolicySpec,
}

/// What a policy says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidatingAdmissionPolicySpec {
    /// The kind of its parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_kind: Option<ParamKind>,
    /// Which requests it judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_constraints: Option<MatchResources>,
    /// Conditions for a request to be judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_conditions: Vec<MatchCondition>,
    /// Values that later expressions have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// What has to be true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validations: Vec<KubernetesValidation>,
    /// What is noted in the audit log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audit_annotations: Vec<AuditAnnotation>,
    /// What becomes of a request that cannot be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<FailurePolicy>,
}

/// What has to be true, in the fields that Kubernetes has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesValidation {
    /// A boolean in CEL.
    pub expression: String,
    /// What is said where it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The same in CEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_expression: Option<String>,
    /// Which HTTP status a denial has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ValidationReason>,
}

impl From<KubernetesValidation> for Validation {
    fn from(validation: KubernetesValidation) -> Self {
        let KubernetesValidation { expression, message, message_expression, reason } = validation;
        Self { expression, message, message_expression, reason, ..Self::default() }
    }
}

/// What puts a policy in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidatingAdmissionPolicyBinding {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`BINDING_KIND`].
    pub kind: String,
    /// Its name.
    pub metadata: ObjectMeta,
    /// What it says.
    pub spec: ValidatingAdmissionPolicyBindingSpec,
}

/// Which policy is in force, for what, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidatingAdmissionPolicyBindingSpec {
    /// The policy's name.
    pub policy_name: String,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_ref: Option<ParamRef>,
    /// Which of the requests that the policy matches are judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_resources: Option<MatchResources>,
    /// What becomes of a request that violates it.
    pub validation_actions: BTreeSet<ValidationAction>,
}

/// What becomes of a request that violates a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ValidationAction {
    /// It is refused.
    Deny,
    /// Its author is warned.
    Warn,
    /// It is noted in the audit log.
    Audit,
}
