//! The request that would create an object: of which resource, and in which namespace.
//!
//! Files do not say of a kind whether it is in a namespace, nor what its plural is. Kubernetes' own kinds are listed; of others the
//! CustomResourceDefinitions among the objects tell; what nobody tells of is in a namespace, by the plural that Kubernetes would guess.

use std::collections::BTreeMap;

use portcullis_admission::review::{GroupVersionKind, GroupVersionResource, Operation};
use portcullis_admission::{AdmissionRequest, Workload};
use serde_json::Value;

use crate::findings::Identity;

/// The namespace of what names none, as with `kubectl`.
const DEFAULT_NAMESPACE: &str = "default";

/// The kinds of Kubernetes that are in no namespace, by their API group: those of Kubernetes 1.37, and PodSecurityPolicy of before.
const CLUSTER_SCOPED: &[(&str, &[&str])] = &[
    ("", &["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("authentication.k8s.io", &["SelfSubjectReview", "TokenReview"]),
    ("authorization.k8s.io", &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("internal.apiserver.k8s.io", &["StorageVersion"]),
    ("networking.k8s.io", &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("resource.k8s.io", &["DeviceClass", "DeviceTaintRule", "ResourcePoolStatusRequest", "ResourceSlice"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("storage.k8s.io", &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"]),
    ("storagemigration.k8s.io", &["StorageVersionMigration"]),
];

/// What the CustomResourceDefinitions among the objects say of their kinds, by API group and kind.
#[derive(Debug, Default)]
pub(crate) struct Definitions(BTreeMap<(String, String), Definition>);

#[derive(Debug)]
struct Definition {
    plural: String,
    namespaced: bool,
}

impl Definitions {
    /// Takes note of an object, where it is a CustomResourceDefinition. One that does not say what is needed is passed over.
    pub(crate) fn learn(&mut self, object: &Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str);
        if text("/apiVersion") != Some("apiextensions.k8s.io/v1") || text("/kind") != Some("CustomResourceDefinition") {
            return;
        }
        let names = (text("/spec/group"), text("/spec/names/kind"), text("/spec/names/plural"));
        if let (Some(group), Some(kind), Some(plural)) = names {
            let definition = Definition { plural: plural.to_owned(), namespaced: text("/spec/scope") != Some("Cluster") };
            self.0.insert((group.to_owned(), kind.to_owned()), definition);
        }
    }

    /// The request that would create an object.
    pub(crate) fn request(&self, identity: &Identity, object: &Value) -> AdmissionRequest {
        let group = group(identity);
        let defined = self.0.get(&(group.to_owned(), identity.kind.clone()));
        let namespaced = defined.map_or_else(|| !is_cluster_scoped(group, &identity.kind), |defined| defined.namespaced);
        let namespace = match (namespaced, identity.namespace.as_str()) {
            // The API server asks about a Namespace as if it were in itself.
            (false, _) if is_namespace(identity) => name(object),
            (false, _) => "",
            (true, "") => DEFAULT_NAMESPACE,
            (true, named) => named,
        };
        let of_workload = || Workload::of_kind(&identity.api_version, &identity.kind).map(|workload| workload.resource.to_owned());
        let resource = defined.map(|defined| defined.plural.clone()).or_else(of_workload);
        request_for(identity, object, namespace, resource.unwrap_or_else(|| plural(&identity.kind)))
    }
}

/// The request that would create an object, by what is known without any definition.
pub(crate) fn request(identity: &Identity, object: &Value) -> AdmissionRequest {
    Definitions::default().request(identity, object)
}

/// The request that would create an object of a resource in a namespace; empty for what is in none.
pub(crate) fn request_for(identity: &Identity, object: &Value, namespace: &str, resource: String) -> AdmissionRequest {
    let (group, version) = identity.api_version.split_once('/').unwrap_or(("", &identity.api_version));
    AdmissionRequest {
        uid: "check".to_owned(),
        kind: GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: identity.kind.clone() },
        resource: GroupVersionResource { group: group.to_owned(), version: version.to_owned(), resource },
        name: name(object).to_owned(),
        namespace: namespace.to_owned(),
        operation: Operation::Create,
        object: Some(object.clone()),
        ..AdmissionRequest::default()
    }
}

/// Whether the object is a Namespace.
pub(crate) fn is_namespace(identity: &Identity) -> bool {
    identity.api_version == "v1" && identity.kind == "Namespace"
}

fn is_cluster_scoped(group: &str, kind: &str) -> bool {
    CLUSTER_SCOPED.iter().any(|(own, kinds)| *own == group && kinds.contains(&kind))
}

fn group(identity: &Identity) -> &str {
    identity.api_version.split_once('/').map_or("", |(group, _)| group)
}

fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
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
    use serde_json::json;

    use super::*;

    /// Resource and namespace of what would create an object.
    fn asked(definitions: &Definitions, api_version: &str, kind: &str) -> (String, String) {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}});
        let request = definitions.request(&Identity::of(&object, None).unwrap(), &object);
        (request.resource.resource, request.namespace)
    }

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

    #[test]
    fn what_is_of_the_cluster_is_in_no_namespace_but_a_namespace_is_in_itself() {
        let known = Definitions::default();
        for (api_version, kind, resource) in [
            ("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments"),
            ("storage.k8s.io/v1", "CSINode", "csinodes"),
            ("networking.k8s.io/v1", "IPAddress", "ipaddresses"),
            ("resource.k8s.io/v1", "DeviceClass", "deviceclasses"),
            ("certificates.k8s.io/v1beta1", "ClusterTrustBundle", "clustertrustbundles"),
        ] {
            assert_eq!(asked(&known, api_version, kind), (resource.to_owned(), String::new()));
        }
        assert_eq!(asked(&known, "v1", "Namespace"), ("namespaces".to_owned(), "x".to_owned()));
        assert_eq!(asked(&known, "v1", "Service").1, "default");
    }

    #[test]
    fn a_definition_says_how_its_kind_is_called_and_whether_it_is_in_a_namespace() {
        let mut definitions = Definitions::default();
        assert_eq!(asked(&definitions, "test.example/v1", "Ox"), ("oxs".to_owned(), "default".to_owned()));
        definitions.learn(&json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "spec": {"group": "test.example", "scope": "Cluster", "names": {"kind": "Ox", "plural": "oxen"}},
        }));
        assert_eq!(asked(&definitions, "test.example/v1", "Ox"), ("oxen".to_owned(), String::new()));
        assert_eq!(asked(&definitions, "other.example/v1", "Ox").1, "default");
    }
}
