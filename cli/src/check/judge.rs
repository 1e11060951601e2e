//! What manifests are judged by, and what stands in for the API server: the request that would create each object, and its namespace.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use portcullis_admission::policy::{PolicyOutcome, PolicySet, Surroundings};
use portcullis_admission::review::{GroupVersionKind, GroupVersionResource, Operation};
use portcullis_admission::{AdmissionRequest, Level, Standard, Version, Workload};
use serde_json::{Value, json};

use super::Identity;
use crate::args::CheckArgs;
use crate::policies;

/// The namespace of what names none, as with `kubectl`.
const DEFAULT_NAMESPACE: &str = "default";

/// The kinds of Kubernetes that are in no namespace, by their API group.
const CLUSTER_SCOPED: [(&str, &str); 22] = [
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("policy", "PodSecurityPolicy"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "StorageClass"),
];

/// What manifests are judged by.
#[derive(Debug)]
pub struct Judge {
    /// The Pod Security Standard, if by one.
    pub standard: Option<Standard>,
    policies: PolicySet,
    /// Namespaces that are among the manifests.
    namespaces: BTreeMap<String, Value>,
    now: Timestamp,
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.policies.len();
        let policies = if count == 1 { "1 policy".to_owned() } else { format!("{count} policies") };
        match (self.standard, count) {
            (Some(standard), 0) => write!(f, "{standard}"),
            (Some(standard), _) => write!(f, "{standard} and {policies}"),
            (None, _) => f.write_str(&policies),
        }
    }
}

impl Judge {
    /// By a standard alone.
    pub fn of_standard(standard: Standard) -> Self {
        Self::new(Some(standard), PolicySet::default(), Timestamp::now())
    }

    /// By a standard and policies, at a moment.
    pub fn new(standard: Option<Standard>, policies: PolicySet, now: Timestamp) -> Self {
        Self { standard, policies, namespaces: BTreeMap::new(), now }
    }

    /// As the command line says: the default standard only where there are no policies.
    pub(super) fn of_args(args: &CheckArgs) -> Result<Self, Vec<String>> {
        let now = Timestamp::now();
        let default = || args.policy.is_empty().then_some(Standard { level: Level::Baseline, version: Version::Latest });
        let library = policies::load(&args.policy, now)?;
        Ok(Self::new(args.pod_security.or_else(default), library.snapshot(), now))
    }

    /// Takes note of a namespace, wherever in a list it is.
    pub(super) fn learn(&mut self, object: &Value) {
        let is = |field: &str, value: &str| object.get(field).and_then(Value::as_str) == Some(value);
        for item in object.get("items").and_then(Value::as_array).into_iter().flatten() {
            self.learn(item);
        }
        let name = object.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
        if let Some(name) = name.filter(|_| is("apiVersion", "v1") && is("kind", "Namespace")) {
            self.namespaces.insert(name.to_owned(), object.clone());
        }
    }

    /// What policies say of an object that is made; `None` where none is for it.
    pub(super) fn ask(&self, identity: &Identity, object: &Value) -> Option<PolicyOutcome> {
        let request = request(identity, object);
        if !self.policies.concerns(&request) {
            return None;
        }
        let unknown = namespace(&request.namespace);
        let namespace = self.namespaces.get(&request.namespace).unwrap_or(&unknown);
        let namespace = Ok(Some(namespace).filter(|_| !request.namespace.is_empty()));
        Some(self.policies.judge(&request, &Surroundings { namespace, now: self.now, deadline: None }))
    }
}

/// The request that would create an object.
pub(crate) fn request(identity: &Identity, object: &Value) -> AdmissionRequest {
    let (group, version) = identity.api_version.split_once('/').unwrap_or(("", &identity.api_version));
    let namespaced = !CLUSTER_SCOPED.contains(&(group, identity.kind.as_str()));
    let namespace = match (namespaced, identity.namespace.as_str()) {
        (false, _) => "",
        (true, "") => DEFAULT_NAMESPACE,
        (true, named) => named,
    };
    let resource = Workload::of_kind(&identity.api_version, &identity.kind).map(|workload| workload.resource.to_owned());
    AdmissionRequest {
        uid: "check".to_owned(),
        kind: GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: identity.kind.clone() },
        resource: GroupVersionResource {
            group: group.to_owned(),
            version: version.to_owned(),
            resource: resource.unwrap_or_else(|| plural(&identity.kind)),
        },
        name: object.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str).unwrap_or_default().to_owned(),
        namespace: namespace.to_owned(),
        operation: Operation::Create,
        object: Some(object.clone()),
        ..AdmissionRequest::default()
    }
}

/// A namespace of which nothing but the name is known.
pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}})
}

/// The plural of a kind, as Kubernetes guesses it where nobody tells.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.as_str() {
        "endpoints" => kind,
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ if kind.ends_with('y') && !kind.ends_with("ay") && !kind.ends_with("ey") => {
            format!("{}ies", kind.strip_suffix('y').unwrap_or(&kind))
        }
        _ => format!("{kind}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_those_that_kubernetes_guesses() {
        for (kind, expected) in [
            ("Service", "services"),
            ("Ingress", "ingresses"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
            ("Endpoints", "endpoints"),
        ] {
            assert_eq!(plural(kind), expected);
        }
    }
}
