//! What is looked at: everything that carries a pod, and what else policies are for when it is made.

use std::collections::BTreeSet;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::discovery::{ApiCapabilities, Discovery, Scope, verbs};
use portcullis_admission::WORKLOADS;
use portcullis_admission::policy::{Coverage, Deeds};
use portcullis_api::admission_policy::OperationName;
use serde_json::Value;

use crate::cluster::{self, ClusterError, answered, cannot};
use crate::findings::CheckError;

/// A kind of objects.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind {
    pub(super) resource: ApiResource,
    pub(super) namespaced: bool,
}

impl Kind {
    fn new(group: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        let resource = ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        Self { resource, namespaced }
    }

    /// A kind that is known when this is compiled, by the plural that Kubernetes would guess.
    pub(super) fn of(kind: cluster::Kind, namespaced: bool) -> Self {
        Self { resource: ApiResource::from_gvk(&kind.gvk()), namespaced }
    }

    pub(super) fn namespaces() -> Self {
        Self::new("", "Namespace", "namespaces", false)
    }

    pub(super) fn is_namespaces(&self) -> bool {
        self.resource.group.is_empty() && self.resource.plural == "namespaces"
    }

    /// Its objects: in one namespace, or all.
    pub(super) fn api(&self, client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        }
    }

    /// As errors name it: `pods`, `deployments.apps`.
    pub(super) fn qualified(&self) -> String {
        let ApiResource { group, plural, .. } = &self.resource;
        if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") }
    }

    /// The path of an object at the API server; of all objects where it has no name.
    pub(super) fn path(&self, namespace: &str, name: &str) -> String {
        let ApiResource { group, api_version, plural, .. } = &self.resource;
        let root = if group.is_empty() { "api" } else { "apis" };
        let namespace = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
        let name = if name.is_empty() { String::new() } else { format!("/{name}") };
        format!("{root}/{api_version}{namespace}/{plural}{name}")
    }

    /// The object as JSON. A list leaves the kind of its elements to itself, and who manages which field is nobody's business here.
    pub(super) fn value(&self, object: &DynamicObject) -> serde_json::Result<Value> {
        let mut value = serde_json::to_value(object)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("apiVersion".to_owned(), self.resource.api_version.clone().into());
            fields.insert("kind".to_owned(), self.resource.kind.clone().into());
            if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("managedFields");
            }
        }
        Ok(value)
    }

    /// Whether its objects are what these deeds make.
    fn is_made_by(&self, deeds: &Deeds) -> bool {
        let own = Deeds {
            group: self.resource.group.clone(),
            version: self.resource.version.clone(),
            resource: self.resource.plural.clone(),
            operation: OperationName::Create,
            namespaced: self.namespaced,
        };
        deeds.include(&own)
    }
}

/// The kinds to look at, and what policies are for that the API server does not have.
pub(super) async fn of(client: &Client, coverage: &Coverage) -> Result<(Vec<Kind>, Vec<CheckError>), ClusterError> {
    let mut kinds: Vec<Kind> = WORKLOADS.iter().map(|workload| Kind::new(workload.group, workload.kind, workload.resource, true)).collect();
    let known: Vec<Kind> = kinds.iter().cloned().chain([Kind::namespaces()]).collect();
    let makes_more = |deeds: &&Deeds| {
        deeds.operation == OperationName::Create
            && (!deeds.resource.contains('/') || deeds.resource.ends_with("/*"))
            && (deeds.is_pattern() || !known.iter().any(|kind| is_of(kind, deeds)))
    };
    let more: Vec<&Deeds> = coverage.keys().filter(makes_more).collect();
    if more.is_empty() {
        return Ok((kinds, Vec::new()));
    }
    let served = served(client).await?;
    let mut found: BTreeSet<String> = known.iter().map(Kind::qualified).collect();
    let mut unknown = BTreeSet::new();
    for deeds in more {
        let made: Vec<&Kind> = served.iter().filter(|kind| kind.is_made_by(deeds)).collect();
        // A rule for both scopes is two deeds, and only one of them is of what there is.
        if made.is_empty() && !served.iter().any(|kind| is_of(kind, deeds)) {
            unknown.insert((deeds.group.clone(), deeds.version.clone(), deeds.resource.clone()));
        }
        kinds.extend(made.into_iter().filter(|kind| found.insert(kind.qualified())).cloned());
    }
    let error = |(group, version, resource): (String, String, String)| {
        let group = if group.is_empty() { version } else { format!("{group}/{version}") };
        let message = format!("a policy is for {resource} of {group}, which the API server does not have, does not list or does not make");
        CheckError { source: format!("{group}/{resource}"), line: None, message }
    };
    Ok((kinds, unknown.into_iter().map(error).collect()))
}

/// Whether the deeds name this kind's resource, whatever the version and the scope.
fn is_of(kind: &Kind, deeds: &Deeds) -> bool {
    let resource = deeds.resource.split('/').next().unwrap_or_default();
    let part = |own: &str, listed: &str| listed == "*" || own == listed;
    part(&kind.resource.group, &deeds.group) && part(&kind.resource.plural, resource)
}

/// Whether somebody can have made its objects, and they can be listed. Others are the cluster's own account of itself, such as ComponentStatuses.
fn is_looked_at(capabilities: &ApiCapabilities) -> bool {
    [verbs::LIST, verbs::CREATE].iter().all(|verb| capabilities.supports_operation(verb))
}

/// Every kind whose objects are made and listed, in every version, the preferred one first.
async fn served(client: &Client) -> Result<Vec<Kind>, ClusterError> {
    let discovery = match answered(Discovery::new(client.clone()).run_aggregated()).await {
        Ok(discovery) => discovery,
        // Before Kubernetes 1.26 there is one request for each version.
        Err(_) => answered(Discovery::new(client.clone()).run()).await.map_err(cannot("ask which resources there are"))?,
    };
    let mut kinds = Vec::new();
    for group in discovery.groups_alphabetical() {
        let preferred = group.preferred_version_or_latest();
        let others = group.versions().filter(|version| *version != preferred);
        for version in std::iter::once(preferred).chain(others) {
            for (resource, capabilities) in group.versioned_resources(version) {
                if is_looked_at(&capabilities) {
                    kinds.push(Kind { resource, namespaced: capabilities.scope == Scope::Namespaced });
                }
            }
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use kube::core::ObjectMeta;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_those_of_the_api_server() {
        let deployments = Kind::new("apps", "Deployment", "deployments", true);
        assert_eq!(deployments.path("shop", "web"), "apis/apps/v1/namespaces/shop/deployments/web");
        assert_eq!(deployments.path("", ""), "apis/apps/v1/deployments");
        assert_eq!(Kind::namespaces().path("", "shop"), "api/v1/namespaces/shop");
    }

    #[test]
    fn an_element_of_a_list_gets_the_kind_that_the_list_left_out() {
        let metadata = ObjectMeta { name: Some("shop".to_owned()), managed_fields: Some(Vec::new()), ..ObjectMeta::default() };
        let object = DynamicObject { types: None, metadata, data: json!({"spec": {}}) };
        let value = Kind::namespaces().value(&object).unwrap();
        assert_eq!(value, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}, "spec": {}}));
    }

    #[test]
    fn what_nobody_can_have_made_is_not_looked_at() {
        let capabilities = |operations: &[&str]| ApiCapabilities {
            scope: Scope::Cluster,
            subresources: Vec::new(),
            operations: operations.iter().map(|operation| (*operation).to_owned()).collect(),
        };
        assert!(is_looked_at(&capabilities(&["create", "delete", "get", "list"])));
        for other in [&["get", "list"][..], &["create"], &[]] {
            assert!(!is_looked_at(&capabilities(other)), "{other:?}");
        }
    }
}
