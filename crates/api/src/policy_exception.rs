//! `PolicyException`: one thing that a policy forbids, allowed to whom it says, for as long as it says.
//!
//! Everything in it narrows it down: what it lists all has to hold. Two exceptions together allow nothing that neither allows. The webhook honours only
//! those of namespaces that it was told to trust, so that who may create one is who may write there.

use crate::admission_policy::PolicyStatus;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The `kind` of the resource.
pub const KIND: &str = "PolicyException";
/// The name of its resource.
pub const PLURAL: &str = "policyexceptions";

/// How long an exception may hold, from its creation on: a year, and a day for its leap.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// One thing that a policy forbids, allowed.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "PolicyException",
    namespaced,
    shortname = "polex",
    category = "portcullis",
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "One thing that a policy forbids, allowed to whom it says, for as long as it says.",
    printcolumn = r#"{"name":"Policy","type":"string","jsonPath":".spec.policy"}"#,
    printcolumn = r#"{"name":"Controls","type":"string","jsonPath":".spec.controls"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expires"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyExceptionSpec {
    /// The policy's name; for a ValidatingAdmissionPolicy, its own and its binding's, as `POLICY/BINDING`.
    #[schemars(length(min = 1, max = 507))]
    pub policy: String,
    /// Its controls: ids of Pod Security checks, names of validations.
    #[schemars(extend("x-kubernetes-list-type" = "set"), length(min = 1, max = 32))]
    pub controls: Vec<String>,
    /// The namespaces in which it holds, by name.
    #[schemars(extend("x-kubernetes-list-type" = "set"), length(min = 1, max = 64))]
    pub namespaces: Vec<String>,
    /// To whom it is granted. What is not listed is not asked for.
    pub subjects: ExceptionSubjects,
    /// Why it is needed, for the audit log.
    #[schemars(length(min = 1, max = 512))]
    pub reason: String,
    /// When it ends: at most 366 days after it was made.
    #[schemars(schema_with = "time")]
    pub expires: Timestamp,
}

/// To whom an exception is granted: all lists that are not empty have to match. At least one has to be.
///
/// In patterns `*` stands for any text and `?` for one character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExceptionSubjects {
    /// Kinds of objects, as `Pod` or `DaemonSet`. A DaemonSet's pods are of kind `Pod`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"), length(max = 32))]
    pub kinds: Vec<String>,
    /// Patterns of the object's name, or of the prefix where the API server has yet to make one up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"), length(max = 32))]
    pub names: Vec<String>,
    /// Patterns of containers' names: only what is said of such a container is allowed, nothing that is said of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"), length(max = 32))]
    pub containers: Vec<String>,
    /// Patterns of containers' images, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"), length(max = 32))]
    pub images: Vec<String>,
}

fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// The definition that is installed in the cluster.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    PolicyException::crd()
}
