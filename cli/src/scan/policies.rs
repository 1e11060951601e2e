//! What is judged by: policies of files and of the API server, exceptions and parameters of both.
//!
//! A file's policy takes the place of the API server's of the same name, so that a change can be tried before it is applied. Parameters come from the files
//! where those have any of the kind, else from the API server. A policy of the API server that cannot be in force is an error of the report; one of a
//! file ends the scan, as with `check`.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use kube::api::{GroupVersionKind, ListParams};
use kube::discovery::{Scope, pinned_kind};
use portcullis_admission::policy::{Library, PolicyKey, Trust};
use portcullis_api::admission_policy::{self, ParamKind};
use portcullis_api::{GROUP, PolicyResource, policy_exception};
use serde_json::Value;

use super::ScanError;
use super::kinds::Kind;
use super::pages::Pages;
use crate::args::ScanArgs;
use crate::cluster::{self, ClusterError, answered};
use crate::findings::CheckError;
use crate::policies;

/// What to say where the API server has no policies.
const NOT_INSTALLED: &str =
    "the API server has no AdmissionPolicies: portcullis definitions | kubectl apply --server-side -f -, or leave out --policies";

const POLICIES: cluster::Kind = cluster::Kind { group: GROUP, version: "v1alpha1", kind: admission_policy::KIND };
const EXCEPTIONS: cluster::Kind = cluster::Kind { group: GROUP, version: "v1alpha1", kind: policy_exception::KIND };

/// Reads everything that the command line names; and what is wrong with policies of the API server.
pub(super) async fn read(client: &Client, args: &ScanArgs, now: Timestamp) -> Result<(Library, Vec<CheckError>), ScanError> {
    let resources = policies::read(&args.policy).map_err(ScanError::Policies)?;
    if !args.policy.is_empty() && resources.is_empty() {
        return Err(ScanError::Policies(vec!["no policies found".to_owned()]));
    }
    let unbound = policies::unbound(&resources);
    if !unbound.is_empty() {
        return Err(ScanError::Policies(unbound));
    }
    // Only those exceptions are read whose namespaces are trusted.
    let mut library = Library::new(Trust::Everywhere);
    if args.policies {
        apply_all(client, POLICIES, None, &mut library, now).await?;
        for namespace in &args.exceptions_from {
            apply_all(client, EXCEPTIONS, Some(namespace), &mut library, now).await?;
        }
    }
    let of_files: BTreeSet<PolicyKey> = resources.iter().filter_map(key).collect();
    let kinds_of_files: BTreeSet<ParamKind> = resources.iter().filter_map(param_kind).collect();
    resources.into_iter().for_each(|resource| library.apply(resource, now));
    for kind in library.param_kinds() {
        if !kinds_of_files.contains(&kind) {
            read_parameters(client, kind, &mut library).await;
        }
    }
    let wrong = |entry: &&portcullis_admission::policy::Entry| !entry.problems.is_empty();
    let entries = library.entries();
    let (files, server): (Vec<_>, Vec<_>) =
        entries.iter().filter(wrong).partition(|entry| of_files.contains(&entry.key) || is_bound(&entry.key));
    if !files.is_empty() {
        return Err(ScanError::Policies(files.into_iter().flat_map(policies::problems_of).collect()));
    }
    let error = |message: String| CheckError { source: "apis/portcullis.dev/v1alpha1".to_owned(), line: None, message };
    Ok((library, server.into_iter().flat_map(policies::problems_of).map(error).collect()))
}

fn key(resource: &PolicyResource) -> Option<PolicyKey> {
    match resource {
        PolicyResource::Policy(policy) => policy.metadata.name.clone().map(PolicyKey::Policy),
        PolicyResource::Exception(exception) => {
            let metadata = &exception.metadata;
            metadata.name.clone().map(|name| PolicyKey::Exception(metadata.namespace.clone().unwrap_or_default(), name))
        }
        PolicyResource::Validating(_) | PolicyResource::Binding(_) | PolicyResource::Parameter(_) => None,
    }
}

/// Kubernetes' own are only ever of files here: the API server enforces those that it has itself.
const fn is_bound(key: &PolicyKey) -> bool {
    matches!(key, PolicyKey::Validating(_) | PolicyKey::Binding(_))
}

fn param_kind(resource: &PolicyResource) -> Option<ParamKind> {
    let PolicyResource::Parameter(object) = resource else { return None };
    let text = |field: &str| object.get(field).and_then(Value::as_str).map(str::to_owned);
    Some(ParamKind { api_version: text("apiVersion")?, kind: text("kind")? })
}

async fn apply_all(
    client: &Client,
    kind: cluster::Kind,
    namespace: Option<&str>,
    library: &mut Library,
    now: Timestamp,
) -> Result<(), ScanError> {
    let resource = Kind::of(kind, namespace.is_some());
    let mut pages = Pages::with(resource.api(client, namespace), ListParams::default());
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                for object in page {
                    let value = resource.value(&object).map_err(|error| ClusterError::Contents(format!("{}: {error}", kind.kind)))?;
                    library.apply_object(&value, now);
                }
            }
            Ok(None) => return Ok(()),
            Err(error) if error.is_not_found() => return Err(ScanError::NotInstalled(NOT_INSTALLED)),
            Err(error) => return Err(error.listing(&resource.qualified(), "the API server does not list its policies").into()),
        }
    }
}

/// All objects of a kind that policies have as parameters. Where they cannot be had, policies that need them are not in force, and say why.
async fn read_parameters(client: &Client, kind: ParamKind, library: &mut Library) {
    match list_parameters(client, &kind).await {
        Ok((objects, cluster_scoped)) => library.set_parameters(kind, objects, cluster_scoped),
        Err(why) => library.set_unavailable(kind, why),
    }
}

async fn list_parameters(client: &Client, kind: &ParamKind) -> Result<(Vec<Arc<Value>>, bool), String> {
    let (group, version) = kind.api_version.split_once('/').unwrap_or(("", &kind.api_version));
    let found = answered(pinned_kind(client, &GroupVersionKind::gvk(group, version, &kind.kind))).await;
    let (resource, capabilities) = found.map_err(|error| error.to_string())?;
    let resource = Kind { resource, namespaced: capabilities.scope == Scope::Namespaced };
    let objects = Pages::of(resource.api(client, None)).all().await.map_err(|error| error.to_string())?;
    let values: serde_json::Result<Vec<Arc<Value>>> = objects.iter().map(|object| resource.value(object).map(Arc::new)).collect();
    Ok((values.map_err(|error| error.to_string())?, !resource.namespaced))
}
