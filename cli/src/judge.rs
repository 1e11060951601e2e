//! What objects are judged by, and what stands in for the API server: the request that would create each object, and its namespace.
//!
//! `check` and `scan` both judge here, so that they cannot disagree about an object that both have.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use portcullis_admission::policy::{PolicyOutcome, PolicySet, Surroundings};
use portcullis_admission::review::{GroupVersionKind, GroupVersionResource, Operation};
use portcullis_admission::{AdmissionRequest, FieldPath, Level, NamespaceStandards, Standard, Standards, Version, Workload, evaluate};
use serde_json::{Value, json};

use crate::document::Lines;
use crate::findings::{CheckError, Identity, Judged, locate, locate_policy};

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

/// The standard where nobody names one: that of the webhook.
pub(crate) const DEFAULT: Standard = Standard { level: Level::Baseline, version: Version::Latest };

/// Which Pod Security Standard an object is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By none.
    Nothing,
    /// By the same everywhere.
    Standard(Standard),
    /// By what the labels of its namespace enforce; by this where they say nothing.
    Labels(Standard),
}

/// What objects are judged by.
#[derive(Debug)]
pub struct Judge {
    by: By,
    policies: PolicySet,
    /// Namespaces that are among the objects, or that an API server has.
    namespaces: BTreeMap<String, Value>,
    now: Timestamp,
}

/// An object, and where it is from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'o> {
    pub(crate) source: &'o str,
    pub(crate) identity: &'o Identity,
    pub(crate) object: &'o Value,
    pub(crate) lines: &'o Lines,
}

/// What came of an object.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// `None` where nothing is for it, or where it cannot be judged.
    pub(crate) judged: Option<Judged>,
    pub(crate) errors: Vec<CheckError>,
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.policies.len();
        let policies = if count == 1 { "1 policy".to_owned() } else { format!("{count} policies") };
        let standard = match self.by {
            By::Nothing => return f.write_str(&policies),
            By::Standard(standard) => standard.to_string(),
            By::Labels(_) => "the labels of namespaces".to_owned(),
        };
        if count == 0 { f.write_str(&standard) } else { write!(f, "{standard} and {policies}") }
    }
}

impl Judge {
    /// By a standard alone.
    pub fn of_standard(standard: Standard) -> Self {
        Self::new(Some(standard), PolicySet::default(), Timestamp::now())
    }

    /// By a standard and policies, at a moment.
    pub fn new(standard: Option<Standard>, policies: PolicySet, now: Timestamp) -> Self {
        Self::by(standard.map_or(By::Nothing, By::Standard), policies, now)
    }

    pub(crate) const fn by(by: By, policies: PolicySet, now: Timestamp) -> Self {
        Self { by, policies, namespaces: BTreeMap::new(), now }
    }

    /// The standard, if all objects are judged by one.
    pub const fn standard(&self) -> Option<Standard> {
        match self.by {
            By::Standard(standard) => Some(standard),
            By::Nothing | By::Labels(_) => None,
        }
    }

    /// The standard of a namespace, as the webhook enforces it.
    fn standard_of(&self, namespace: &str) -> Option<Standard> {
        match self.by {
            By::Nothing => None,
            By::Standard(standard) => Some(standard),
            By::Labels(default) => {
                let namespace = self.namespaces.get(namespace);
                // Labels that are no map of strings are none: the API server has no such namespace.
                let read = namespace.and_then(|namespace| NamespaceStandards::of_namespace(namespace, Standards::enforcing(default)).ok());
                Some(read.map_or(default, |read| read.standards.enforce))
            }
        }
    }

    /// Judges an object that `request` would make.
    pub(crate) fn judge(&self, subject: Subject<'_>, request: &AdmissionRequest) -> Judgement {
        let Subject { source, identity, object, lines } = subject;
        let mut errors = Vec::new();
        if identity.api_version == "v1" && identity.kind == "Namespace" {
            errors = label_errors(subject);
        }
        let asked = self.ask(request);
        let workload = Workload::of_kind(&identity.api_version, &identity.kind);
        if workload.is_none() && asked.is_none() {
            return Judgement { judged: None, errors };
        }
        let standard = workload.and_then(|_| self.standard_of(&request.namespace));
        let mut violations = Vec::new();
        if let (Some(workload), Some(standard)) = (workload, standard) {
            match workload.read_pod(object) {
                Ok(pod) => violations = evaluate(standard, &pod).into_iter().map(|violation| locate(violation, lines)).collect(),
                Err(malformed) => {
                    errors.push(CheckError {
                        source: source.to_owned(),
                        line: lines.of(&malformed.path),
                        message: format!("cannot judge {identity}: {malformed}"),
                    });
                    return Judgement { judged: None, errors };
                }
            }
        }
        let outcome = asked.unwrap_or_default();
        let judged = Judged {
            source: source.to_owned(),
            identity: identity.clone(),
            line: lines.of(&FieldPath::default()),
            standard,
            violations,
            policies: outcome.violations.into_iter().map(|violation| locate_policy(violation, lines)).collect(),
            waivers: outcome.waivers,
        };
        Judgement { judged: Some(judged), errors }
    }

    /// Takes note of a namespace, wherever in a list it is.
    pub(crate) fn learn(&mut self, object: &Value) {
        let is = |field: &str, value: &str| object.get(field).and_then(Value::as_str) == Some(value);
        for item in object.get("items").and_then(Value::as_array).into_iter().flatten() {
            self.learn(item);
        }
        let name = object.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
        if let Some(name) = name.filter(|_| is("apiVersion", "v1") && is("kind", "Namespace")) {
            self.namespaces.insert(name.to_owned(), object.clone());
        }
    }

    /// What policies say of a request; `None` where none is for it.
    fn ask(&self, request: &AdmissionRequest) -> Option<PolicyOutcome> {
        if !self.policies.concerns(request) {
            return None;
        }
        let unknown = namespace(&request.namespace);
        let namespace = self.namespaces.get(&request.namespace).unwrap_or(&unknown);
        let namespace = Ok(Some(namespace).filter(|_| !request.namespace.is_empty()));
        Some(self.policies.judge(request, &Surroundings { namespace, now: self.now, deadline: None }))
    }
}

/// A namespace whose labels cannot be read is refused by the webhook.
fn label_errors(subject: Subject<'_>) -> Vec<CheckError> {
    let Subject { source, identity, object, lines } = subject;
    let error = |path: &FieldPath, message: String| CheckError {
        source: source.to_owned(),
        line: lines.of(path),
        message: format!("{identity} is invalid: {message}"),
    };
    match NamespaceStandards::of_namespace(object, Standards::enforcing(Standard::PRIVILEGED)) {
        Ok(standards) => standards.errors.iter().map(|wrong| error(&wrong.path(), wrong.to_string())).collect(),
        Err(malformed) => vec![error(&malformed.path, malformed.to_string())],
    }
}

/// The request that would create an object.
pub(crate) fn request(identity: &Identity, object: &Value) -> AdmissionRequest {
    let group = identity.api_version.split_once('/').map_or("", |(group, _)| group);
    let namespaced = !CLUSTER_SCOPED.contains(&(group, identity.kind.as_str()));
    let namespace = match (namespaced, identity.namespace.as_str()) {
        (false, _) => "",
        (true, "") => DEFAULT_NAMESPACE,
        (true, named) => named,
    };
    let resource = Workload::of_kind(&identity.api_version, &identity.kind).map(|workload| workload.resource.to_owned());
    let resource = resource.unwrap_or_else(|| plural(&identity.kind));
    request_for(identity, object, namespace, resource)
}

/// The request that would create an object of a resource in a namespace; empty for what is in none.
pub(crate) fn request_for(identity: &Identity, object: &Value, namespace: &str, resource: String) -> AdmissionRequest {
    let (group, version) = identity.api_version.split_once('/').unwrap_or(("", &identity.api_version));
    AdmissionRequest {
        uid: "check".to_owned(),
        kind: GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: identity.kind.clone() },
        resource: GroupVersionResource { group: group.to_owned(), version: version.to_owned(), resource },
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
