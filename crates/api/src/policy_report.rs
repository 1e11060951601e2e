//! `PolicyReport` and `ClusterPolicyReport` of `wgpolicyk8s.io/v1alpha2`: what a scan found, in the resources of Kubernetes' Policy Working Group,
//! which dashboards and other tools read.
//!
//! They are not Portcullis' own: the working group's prototype (kubernetes-sigs/wg-policy-prototypes) says what is in them. Here is the part that a
//! scanner writes, and a definition of the whole for clusters where no other tool has brought one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

/// The API group.
pub const GROUP: &str = "wgpolicyk8s.io";
/// Its version.
pub const VERSION: &str = "v1alpha2";
/// A report about objects of a namespace, in that namespace.
pub const KIND: &str = "PolicyReport";
/// A report about what is in no namespace.
pub const CLUSTER_KIND: &str = "ClusterPolicyReport";

/// What was found of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The object.
    pub scope: Reference,
    /// How many results there are of each kind, those included that did not fit.
    pub summary: Summary,
    /// What was found.
    pub results: Vec<Finding>,
}

/// Names an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for what is in none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What tells it from others of that name over time.
    pub uid: String,
}

/// Counts of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Of [`Outcome::Pass`]. A scan reports none: what passes has no report.
    pub pass: usize,
    /// Of [`Outcome::Fail`].
    pub fail: usize,
    /// Of [`Outcome::Warn`].
    pub warn: usize,
    /// Of [`Outcome::Error`].
    pub error: usize,
    /// Of [`Outcome::Skip`].
    pub skip: usize,
}

impl Summary {
    /// Counts one more.
    pub fn count(&mut self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Fail => &mut self.fail,
            Outcome::Warn => &mut self.warn,
            Outcome::Error => &mut self.error,
            Outcome::Skip => &mut self.skip,
        };
        *counter = counter.saturating_add(1);
    }
}

/// What one control came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Who says so.
    pub source: &'static str,
    /// The policy or the standard.
    pub policy: String,
    /// The control in it.
    pub rule: String,
    /// How it went.
    pub result: Outcome,
    /// Whether it counts against the object: whether it, or its pods, would be denied.
    pub scored: bool,
    /// What is wrong.
    pub message: String,
    /// What the policy is one of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<&'static str>,
    /// How bad it is; nothing where nobody has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// More, as text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<&'static str, String>,
}

/// `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It would be denied.
    Fail,
    /// It would be warned of, or noted.
    Warn,
    /// It cannot be judged.
    Error,
    /// Somebody made an exception.
    Skip,
}

/// `severity`, of which every version of the definition has these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A way out of the container.
    High,
    /// Hardening that is missing.
    Medium,
}

/// The definitions of both kinds, as JSON, for clusters where no other tool has brought them.
pub fn definitions() -> [Value; 2] {
    [crd(KIND, "policyreport", "polr", "Namespaced"), crd(CLUSTER_KIND, "clusterpolicyreport", "cpolr", "Cluster")]
}

fn crd(kind: &str, singular: &str, short: &str, scope: &str) -> Value {
    let column = |name: &str, path: &str, priority: u8| json!({"name": name, "type": "string", "jsonPath": path, "priority": priority});
    let count = |name: &str, path: &str| json!({"name": name, "type": "integer", "jsonPath": path});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{singular}s.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "singular": singular, "plural": format!("{singular}s"), "shortNames": [short],
            },
            "versions": [{
                "name": VERSION, "served": true, "storage": true,
                "additionalPrinterColumns": [
                    column("Kind", ".scope.kind", 1), column("Name", ".scope.name", 1),
                    count("Pass", ".summary.pass"), count("Fail", ".summary.fail"), count("Warn", ".summary.warn"),
                    count("Error", ".summary.error"), count("Skip", ".summary.skip"),
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": "What a policy engine found of an object or of several.",
                    "properties": {
                        "apiVersion": text("The version of this representation."),
                        "kind": text("The kind of this object."),
                        "metadata": {"type": "object"},
                        "scope": reference("What the report is about."),
                        "scopeSelector": selector("What the report is about, by labels."),
                        "summary": summary(),
                        "results": {"type": "array", "description": "What was found.", "items": result()},
                    },
                }},
            }],
        },
    })
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn reference(description: &str) -> Value {
    let fields = ["apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid"];
    let properties: serde_json::Map<String, Value> =
        fields.iter().map(|field| ((*field).to_owned(), text("As in a reference to an object."))).collect();
    json!({"type": "object", "description": description, "properties": properties})
}

fn selector(description: &str) -> Value {
    let requirement = json!({
        "type": "object", "required": ["key", "operator"],
        "properties": {"key": text("The label."), "operator": text("How it is compared."), "values": {"type": "array", "items": {"type": "string"}}},
    });
    json!({
        "type": "object", "description": description,
        "properties": {
            "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
            "matchExpressions": {"type": "array", "items": requirement},
        },
    })
}

fn summary() -> Value {
    let count = |what: &str| json!({"type": "integer", "description": format!("How many results are {what}.")});
    json!({
        "type": "object", "description": "Counts of results.",
        "properties": {"pass": count("pass"), "fail": count("fail"), "warn": count("warn"), "error": count("error"), "skip": count("skip")},
    })
}

fn result() -> Value {
    json!({
        "type": "object", "required": ["policy"],
        "properties": {
            "source": text("Who says so."),
            "policy": text("The policy."),
            "rule": text("The rule in it."),
            "category": text("What the policy is one of."),
            "message": text("What is wrong."),
            "result": {"type": "string", "enum": ["pass", "fail", "warn", "error", "skip"], "description": "How it went."},
            "scored": {"type": "boolean", "description": "Whether it counts."},
            "severity": {"type": "string", "enum": ["critical", "high", "low", "medium", "info"], "description": "How bad it is."},
            "properties": {"type": "object", "additionalProperties": {"type": "string"}, "description": "More."},
            "resources": {"type": "array", "description": "The objects, where it is not the report's.", "items": reference("An object.")},
            "resourceSelector": selector("The objects, by labels."),
            "timestamp": {
                "type": "object", "required": ["nanos", "seconds"], "description": "When it was found.",
                "properties": {"nanos": {"type": "integer", "format": "int32"}, "seconds": {"type": "integer", "format": "int64"}},
            },
        },
    })
}
