//! The parts of a policy that say which requests it judges.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which requests a policy judges: those that a rule matches, no exclusion matches, and both selectors match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchResources {
    /// The labels of the request's namespace. What is in no namespace matches; a Namespace is matched by its own labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// The labels of the object or of the one before: either may match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_selector: Option<LabelSelector>,
    /// What is done to what; at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub resource_rules: Vec<ResourceRule>,
    /// What is left out all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub exclude_resource_rules: Vec<ResourceRule>,
    /// Whether a request for the same object by another version is meant, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_policy: Option<MatchPolicy>,
}

/// What is done to what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceRule {
    /// API groups; empty for the core group, `*` for all.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"), length(min = 1))]
    pub api_groups: Vec<String>,
    /// Their versions, or `*`.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"), length(min = 1), inner(length(min = 1)))]
    pub api_versions: Vec<String>,
    /// What is done.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"), length(min = 1))]
    pub operations: Vec<OperationName>,
    /// Plural names, as `pods`; `pods/exec` and `pods/*` for subresources, `*/scale` for one of every resource, `*` for all resources, `*/*` for
    /// all and their subresources.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"), length(min = 1), inner(length(min = 1)))]
    pub resources: Vec<String>,
    /// Names of objects; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub resource_names: Vec<String>,
    /// Whether objects in a namespace are meant, or others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum OperationName {
    /// A new object.
    Create,
    /// A changed object.
    Update,
    /// A removed object.
    Delete,
    /// A connection to an object.
    Connect,
    /// All of them.
    #[serde(rename = "*")]
    All,
}

/// Whether objects in a namespace are meant, or others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// Objects in no namespace; a Namespace is one.
    Cluster,
    /// Objects in a namespace.
    Namespaced,
    /// Both.
    #[serde(rename = "*")]
    All,
}

/// Whether a request for the same object by another version is meant, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MatchPolicy {
    /// No: what the client asked for has to match.
    Exact,
    /// Yes.
    #[default]
    Equivalent,
}

/// Labels that objects have to have; all of it has to hold, and nothing asked for means all objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements for labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<SelectorRequirement>,
}

/// A requirement for one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectorRequirement {
    /// The label's key.
    pub key: String,
    /// How it is compared.
    pub operator: SelectorOperator,
    /// With what; empty for `Exists` and `DoesNotExist`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SelectorOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is absent.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}
