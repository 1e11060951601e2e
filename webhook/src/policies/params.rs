//! Following the objects of a kind that policies have as parameters: all of the kind, since any may be named next.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use portcullis_api::admission_policy::ParamKind;
use serde_json::Value;
use tokio::sync::mpsc::Sender;

use super::follow::Told;

/// How long to wait before asking again for a kind that the API server does not have.
const RETRY: Duration = Duration::from_secs(10);

type Key = (Option<String>, Option<String>);

/// Tells all objects of the kind whenever one changes, and why they cannot be had where they cannot.
pub(super) async fn follow(client: kube::Client, kind: ParamKind, tell: Sender<Told>) {
    loop {
        match resource(&client, &kind).await {
            Ok((resource, cluster_scoped)) => return watch(client, kind, &resource, cluster_scoped, tell).await,
            Err(error) => {
                if tell.send(Told::Unavailable(kind.clone(), error.to_string())).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn resource(client: &kube::Client, kind: &ParamKind) -> kube::Result<(ApiResource, bool)> {
    // Nearly all are ConfigMaps, and those are everywhere.
    if kind.api_version == "v1" && kind.kind == "ConfigMap" {
        return Ok((ApiResource::erase::<ConfigMap>(&()), false));
    }
    let (group, version) = kind.api_version.split_once('/').unwrap_or(("", &kind.api_version));
    let (resource, capabilities) = pinned_kind(client, &GroupVersionKind::gvk(group, version, &kind.kind)).await?;
    Ok((resource, capabilities.scope == Scope::Cluster))
}

async fn watch(client: kube::Client, kind: ParamKind, resource: &ApiResource, cluster_scoped: bool, tell: Sender<Told>) {
    let api: Api<DynamicObject> = Api::all_with(client, resource);
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
    let (mut known, mut listed): (BTreeMap<Key, Arc<Value>>, BTreeMap<Key, Arc<Value>>) = (BTreeMap::new(), BTreeMap::new());
    let mut synced = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => listed.extend(entry(&kind, &object)),
            Ok(Event::InitDone) => {
                known = std::mem::take(&mut listed);
                synced = true;
            }
            Ok(Event::Apply(object)) => known.extend(entry(&kind, &object)),
            Ok(Event::Delete(object)) => _ = known.remove(&key(&object)),
            // What was learnt stays in use.
            Err(_) if synced => continue,
            Err(error) => {
                if tell.send(Told::Unavailable(kind.clone(), error.to_string())).await.is_err() {
                    return;
                }
            }
        }
        let objects = || known.values().cloned().collect();
        if synced && tell.send(Told::Parameters(kind.clone(), objects(), cluster_scoped)).await.is_err() {
            return;
        }
    }
}

fn key(object: &DynamicObject) -> Key {
    (object.metadata.namespace.clone(), object.metadata.name.clone())
}

fn entry(kind: &ParamKind, object: &DynamicObject) -> Option<(Key, Arc<Value>)> {
    let mut value = serde_json::to_value(object).ok()?;
    let fields = value.as_object_mut()?;
    fields.insert("apiVersion".to_owned(), kind.api_version.clone().into());
    fields.insert("kind".to_owned(), kind.kind.clone().into());
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Some((key(object), Arc::new(value)))
}
