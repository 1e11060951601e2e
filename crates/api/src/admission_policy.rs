//! `AdmissionPolicy`: what may be created, changed, removed or connected to, by a Pod Security Standard, by validations in CEL, or by both.
//!
//! The fields of CEL are those of Kubernetes' ValidatingAdmissionPolicy v1, with the same meaning. What ours has beside them is in its own fields
//! (`podSecurity`, `params`, `templates`, and in a validation `name`, `each`, `field`, `allowed`, `change`), so that a ValidatingAdmissionPolicy reads as
//! one of ours without them, and ours can be written as one where it does not use them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, CustomResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fmt};

mod expression;
mod matching;

pub use expression::{AuditAnnotation, Each, MatchCondition, Validation, ValidationReason, Variable};
pub use matching::{LabelSelector, MatchPolicy, MatchResources, OperationName, ResourceRule, Scope, SelectorOperator, SelectorRequirement};

/// The `kind` of the resource.
pub const KIND: &str = "AdmissionPolicy";
/// The name of its resource.
pub const PLURAL: &str = "admissionpolicies";

/// What may be created, changed, removed or connected to.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AdmissionPolicy",
    shortname = "apol",
    category = "portcullis",
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "What may be created, changed, removed or connected to, and what becomes of what violates it.",
    printcolumn = r#"{"name":"Actions","type":"string","jsonPath":".spec.actions"}"#,
    printcolumn = r#"{"name":"Templates","type":"string","jsonPath":".spec.templates"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdmissionPolicySpec {
    /// The Pod Security Standard that pods have to meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// Which requests are judged. Required with CEL; a Pod Security Standard alone judges pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_constraints: Option<MatchResources>,
    /// Conditions that all have to be true for a request to be judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub match_conditions: Vec<MatchCondition>,
    /// Values that later expressions have as `variables.NAME`; each sees those before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub variables: Vec<Variable>,
    /// What has to be true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub validations: Vec<Validation>,
    /// What is noted in the API server's audit log of each request that is judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub audit_annotations: Vec<AuditAnnotation>,
    /// The value of `params`, written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub params: Option<Map<String, Value>>,
    /// The kind of the objects that `paramRef` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_kind: Option<ParamKind>,
    /// The objects that `params` are: each is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_ref: Option<ParamRef>,
    /// What becomes of a request that cannot be judged.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// What becomes of a request that violates the policy; `deny` and `warn` exclude each other.
    #[serde(default = "deny")]
    #[schemars(extend("x-kubernetes-list-type" = "set"), length(min = 1, max = 2))]
    pub actions: BTreeSet<Action>,
    /// What becomes of a workload whose pods would violate the policy.
    #[serde(default)]
    pub templates: TemplateAction,
}

fn deny() -> BTreeSet<Action> {
    [Action::Deny].into()
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A Pod Security Standard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSecurity {
    /// How much is forbidden.
    pub level: PodSecurityLevel,
    /// The edition: `latest`, or `v1.` and the minor version of the Kubernetes that published it.
    #[serde(default = "latest")]
    #[schemars(extend("pattern" = "^(latest|v1\\.(0|[1-9][0-9]{0,3}))$"), length(max = 7))]
    pub version: String,
}

fn latest() -> String {
    "latest".to_owned()
}

/// How much a Pod Security Standard forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurityLevel {
    /// Known ways to more privilege.
    Baseline,
    /// Whatever is not hardened.
    Restricted,
}

impl fmt::Display for PodSecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        })
    }
}

/// The kind of parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParamKind {
    /// Group and version, as `v1`.
    #[schemars(length(min = 1, max = 317))]
    pub api_version: String,
    /// The kind, as `ConfigMap`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
}

/// Which objects are parameters: one by its name, or all that a selector matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParamRef {
    /// The name of the one object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Its namespace; the request's where unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// The labels of the objects, in place of a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// What becomes of a request for which there is no such object; required, as in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_not_found_action: Option<ParameterNotFoundAction>,
}

/// What becomes of a request for which there is no parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ParameterNotFoundAction {
    /// It passes.
    Allow,
    /// `failurePolicy` decides.
    Deny,
}

/// What becomes of a request that cannot be judged: an expression fails, a parameter is not there, the namespace is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// It violates the policy.
    #[default]
    Fail,
    /// It passes.
    Ignore,
}

/// What becomes of a request that violates a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is refused.
    Deny,
    /// Its author is warned.
    Warn,
    /// It is noted in the API server's audit log.
    Audit,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Audit => "audit",
        })
    }
}

/// What becomes of a Deployment, Job or other workload whose pods would violate a policy that matches pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TemplateAction {
    /// What becomes of the pod itself.
    Enforce,
    /// Its author is warned where the pod would be denied.
    #[default]
    Warn,
}

impl fmt::Display for TemplateAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
        })
    }
}

/// What the webhook makes of a policy or an exception.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyStatus {
    /// The generation that the conditions are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: whether it is in force, and if not, every reason.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The definition that is installed in the cluster.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    AdmissionPolicy::crd()
}
