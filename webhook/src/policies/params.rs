//! Following the objects of a kind that policies have as parameters: all of the kind, since any may be named next.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use portcullis_api::admission_policy::ParamKind;
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tracing::warn;

use super::follow::Told;

/// How long to wait before asking again for a kind that the API server does not have.
const RETRY: Duration = Duration::from_secs(10);

type Key = (Option<String>, Option<String>);

/// Tells all objects of the kind whenever some change, and why they cannot be had where they cannot.
pub(super) async fn follow(client: kube::Client, kind: ParamKind, tell: Sender<Told>) {
    loop {
        match resource(&client, &kind).await {
            Ok((resource, cluster_scoped)) => {
                let api: Api<DynamicObject> = Api::all_with(client, &resource);
                let events = watcher(api, watcher::Config::default()).default_backoff();
                return watch(events, kind, cluster_scoped, tell).await;
            }
            Err(error) => {
                let is_answer = matches!(error, kube::Error::Discovery(_)) || is_refusal(&error);
                if !is_answer {
                    warn!(%error, kind = kind.kind, api_version = kind.api_version, "cannot find out about a kind of parameters");
                }
                if tell.send(Told::Unavailable(kind.clone(), error.to_string(), is_answer)).await.is_err() {
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

async fn watch(
    events: impl Stream<Item = watcher::Result<Event<DynamicObject>>>,
    kind: ParamKind,
    cluster_scoped: bool,
    tell: Sender<Told>,
) {
    let mut events = pin!(events.fuse());
    let mut objects = Objects { kind: kind.clone(), known: BTreeMap::new(), listed: BTreeMap::new(), synced: false };
    while let Some(first) = events.next().await {
        // What has come meanwhile is told with it: all objects once, not once for each.
        let mut next = Some(first);
        let mut changed = false;
        while let Some(event) = next {
            match event {
                Ok(event) => changed |= objects.take_in(event),
                Err(error) => {
                    let uses = if objects.synced { "what was learnt is in use" } else { "policies with such parameters are not in force" };
                    warn!(%error, kind = kind.kind, api_version = kind.api_version, "cannot watch parameters; {uses}");
                    let failed = Told::Unavailable(kind.clone(), error.to_string(), is_answer(&error));
                    if !objects.synced && tell.send(failed).await.is_err() {
                        return;
                    }
                }
            }
            next = events.next().now_or_never().flatten();
        }
        let all = || objects.known.values().cloned().collect();
        if changed && tell.send(Told::Parameters(kind.clone(), all(), cluster_scoped)).await.is_err() {
            return;
        }
    }
}

/// The objects of a kind.
struct Objects {
    kind: ParamKind,
    known: BTreeMap<Key, Arc<Value>>,
    /// What a list that is not complete yet has told. Until it is, what was known before holds.
    listed: BTreeMap<Key, Arc<Value>>,
    synced: bool,
}

impl Objects {
    /// Takes in what the watch tells; whether what is known has changed.
    fn take_in(&mut self, event: Event<DynamicObject>) -> bool {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => self.listed.extend(entry(&self.kind, &object)),
            Event::InitDone => {
                self.known = std::mem::take(&mut self.listed);
                self.synced = true;
                return true;
            }
            Event::Apply(object) => {
                self.known.extend(entry(&self.kind, &object));
                return self.synced;
            }
            Event::Delete(object) => return self.known.remove(&key(&object)).is_some() && self.synced,
        }
        false
    }
}

fn is_answer(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => is_refusal(error),
        _ => false,
    }
}

/// Whether the API server says that these objects cannot be had, by anybody or by this program. All else may be otherwise in a moment.
fn is_refusal(error: &kube::Error) -> bool {
    // It is forbidden, not there, or (405) there and cannot be listed.
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403..=405))
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

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, unfold};
    use tokio::sync::mpsc;

    use super::*;

    fn kind() -> ParamKind {
        ParamKind { api_version: "v1".to_owned(), kind: "ConfigMap".to_owned() }
    }

    fn map(number: usize) -> DynamicObject {
        DynamicObject::new(&format!("map-{number}"), &ApiResource::erase::<ConfigMap>(&())).within("shop")
    }

    /// How many objects each message tells.
    async fn told(events: impl Stream<Item = watcher::Result<Event<DynamicObject>>>) -> Vec<usize> {
        let (tell, mut told) = mpsc::channel(10_000);
        watch(events, kind(), false, tell).await;
        let mut counts = Vec::new();
        while let Some(message) = told.recv().await {
            match message {
                Told::Parameters(_, objects, _) => counts.push(objects.len()),
                other => unreachable!("{other:?}"),
            }
        }
        counts
    }

    /// A list of a thousand objects, each told after a while.
    fn list() -> impl Iterator<Item = Event<DynamicObject>> {
        std::iter::once(Event::Init).chain((0..1_000).map(|number| Event::InitApply(map(number)))).chain([Event::InitDone])
    }

    #[tokio::test]
    async fn a_list_is_told_once_however_slowly_it_comes() {
        let events = list().chain(list()).chain([Event::Delete(map(0))]).map(Ok);
        let slow = unfold(events, |mut events| async {
            tokio::task::yield_now().await;
            Some((events.next()?, events))
        });
        assert_eq!(told(slow).await, [1_000, 1_000, 999]);
    }

    #[tokio::test]
    async fn a_burst_of_changes_is_told_once() {
        let events = list().chain((1_000..2_000).map(|number| Event::Apply(map(number)))).map(Ok);
        assert_eq!(told(iter(events)).await, [2_000]);
    }

    #[test]
    fn only_what_the_api_server_says_for_good_is_an_answer() {
        let error = |code: u16| {
            let status = kube::core::Status { code, ..kube::core::Status::default() };
            watcher::Error::InitialListFailed(kube::Error::Api(status.boxed()))
        };
        assert!([403, 404, 405].into_iter().all(|code| is_answer(&error(code))));
        assert!(![401, 408, 410, 429, 500, 503, 504].into_iter().any(|code| is_answer(&error(code))));
        assert!(!is_answer(&watcher::Error::NoResourceVersion));
    }
}
