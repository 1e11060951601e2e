//! What each namespace's pods are judged by: the same for all, or as their labels say.
//!
//! They are followed by a watch of the namespaces, which are small, so that a review costs no request of its own. A namespace that the watch has not told of,
//! such as one that was made a moment ago, is asked for. What was learnt stays in use while the API server cannot be reached; until everything was learnt
//! once, the server is not ready.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use portcullis_admission::{AdmissionRequest, NamespaceLookup, NamespaceStandards, Standards, raised_enforcement};
use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::health::Health;

mod existing;

use existing::Existing;

/// How long a review may wait for a namespace that the watch has not told of.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// How many such namespaces are asked for at once. Whoever asks for reviews can name as many as they like.
const MAX_LOOKUPS: usize = 16;

/// Where standards come from.
#[derive(Debug, Clone)]
pub enum Namespaces {
    /// The same for all namespaces.
    Same(Standards),
    /// Their labels.
    Labelled(Arc<Labelled>),
}

impl Namespaces {
    /// The standards of a namespace.
    pub async fn lookup(&self, name: &str) -> NamespaceLookup {
        self.find(name).await.standards
    }

    /// The standards of a namespace, and the namespace itself.
    pub async fn find(&self, name: &str) -> Found {
        match self {
            Self::Same(standards) => {
                Found { standards: (*standards).into(), object: Err("this webhook does not follow namespaces".to_owned()) }
            }
            Self::Labelled(labelled) => labelled.find(name).await,
        }
    }

    /// What to warn of when a request changes the labels of a namespace. Pods of `exempt` runtime classes are not judged.
    pub async fn warnings(&self, request: &AdmissionRequest, exempt: &BTreeSet<String>) -> Vec<String> {
        match self {
            Self::Same(_) => Vec::new(),
            Self::Labelled(labelled) => labelled.warnings(request, exempt).await,
        }
    }
}

/// What was found out about a namespace.
#[derive(Debug, Clone)]
pub struct Found {
    /// What its pods are judged by.
    pub standards: NamespaceLookup,
    /// The namespace, as policies see it: without `managedFields` and `ownerReferences`. Why there is none.
    pub object: Result<Arc<Value>, String>,
}

/// The labels of namespaces, as an API server tells them.
pub struct Labelled {
    index: Index,
    api: Api<Namespace>,
    lookups: Semaphore,
    existing: Existing,
}

impl std::fmt::Debug for Labelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labelled").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Labelled {
    /// Labels as `client` tells them, over `defaults`. They are learnt by [`follow`](Self::follow).
    pub fn new(client: kube::Client, defaults: Standards) -> Self {
        let (api, lookups) = (Api::all(client.clone()), Semaphore::new(MAX_LOOKUPS));
        Self { index: Index::new(defaults), api, lookups, existing: Existing::new(client) }
    }

    /// Namespaces for policies alone: whatever their labels say, the defaults hold.
    pub fn for_policies(client: kube::Client, defaults: Standards) -> Self {
        let mut labelled = Self::new(client, defaults);
        labelled.index.ignores_labels = true;
        labelled
    }

    async fn find(&self, name: &str) -> Found {
        let known = match self.index.get(name) {
            Some(known) => Ok(known),
            None => self.ask(name).await.map(|namespace| self.index.known(&namespace)),
        };
        match known {
            Ok(known) => Found { standards: NamespaceLookup::Found(known.standards), object: Ok(known.object) },
            Err(why) => {
                let failed = || NamespaceLookup::Failed(why.clone());
                let standards = if self.index.ignores_labels { self.index.defaults.into() } else { failed() };
                Found { standards, object: Err(why) }
            }
        }
    }

    async fn ask(&self, name: &str) -> Result<Namespace, String> {
        if !is_name(name) {
            return Err("no namespace has such a name".to_owned());
        }
        let answer = async {
            // It is never closed; were it, asking without a permit would still be right.
            let _permit = self.lookups.acquire().await.ok();
            self.api.get(name).await
        };
        let answer = tokio::time::timeout(LOOKUP_TIMEOUT, answer).await;
        answer.map_err(|_| "the API server did not answer in time".to_owned())?.map_err(|error| error.to_string())
    }

    async fn warnings(&self, request: &AdmissionRequest, exempt: &BTreeSet<String>) -> Vec<String> {
        if self.index.ignores_labels || !is_name(&request.name) {
            return Vec::new();
        }
        let standards = |object: &Option<Value>| NamespaceStandards::of_namespace(object.as_ref()?, self.index.defaults).ok();
        let (Some(old), Some(new)) = (standards(&request.old_object), standards(&request.object)) else { return Vec::new() };
        match raised_enforcement(old.standards, new.standards) {
            Some(enforce) => self.existing.warnings(&request.name, enforce, exempt).await,
            None => Vec::new(),
        }
    }

    /// Learns labels, until dropped.
    pub async fn follow(&self, health: &Health) {
        let mut events = pin!(watcher(self.api.clone(), watcher::Config::default()).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if self.index.handle(event) {
                        info!(namespaces = self.index.len(), "learnt the labels of all namespaces");
                        health.namespaces_known();
                    }
                }
                Err(error) => warn!(%error, "cannot watch namespaces; what was learnt is in use"),
            }
        }
    }
}

/// Whether a namespace may have this name. The name becomes a part of a path, and anybody may have written it.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 63 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Standards by namespace.
#[derive(Debug)]
struct Index {
    defaults: Standards,
    ignores_labels: bool,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<String, Known>,
    /// What a list that is not complete yet has told. Until it is, what was known before holds.
    listed: HashMap<String, Known>,
}

/// What is known of a namespace.
#[derive(Debug, Clone)]
struct Known {
    standards: NamespaceStandards,
    object: Arc<Value>,
}

impl Index {
    fn new(defaults: Standards) -> Self {
        Self { defaults, ignores_labels: false, state: RwLock::default() }
    }

    fn get(&self, name: &str) -> Option<Known> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).known.get(name).cloned()
    }

    fn len(&self) -> usize {
        self.state.read().unwrap_or_else(PoisonError::into_inner).known.len()
    }

    fn known(&self, namespace: &Namespace) -> Known {
        let standards = if self.ignores_labels { self.defaults.into() } else { self.standards_of(namespace) };
        // It is made of maps, lists and texts.
        let mut object = serde_json::to_value(namespace).unwrap_or_default();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            metadata.remove("ownerReferences");
        }
        Known { standards, object: Arc::new(object) }
    }

    fn standards_of(&self, namespace: &Namespace) -> NamespaceStandards {
        let labels = namespace.metadata.labels.iter().flatten();
        let labels: BTreeMap<&str, &str> = labels.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        NamespaceStandards::from_labels(&labels, self.defaults)
    }

    /// Takes in what the watch tells; whether all namespaces are known now that were not before.
    fn handle(&self, event: Event<Namespace>) -> bool {
        let entry = |namespace: Namespace| {
            let known = self.known(&namespace);
            namespace.metadata.name.map(|name| (name, known))
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => state.listed.clear(),
            Event::InitApply(namespace) => state.listed.extend(entry(namespace)),
            Event::InitDone => {
                state.known = std::mem::take(&mut state.listed);
                return true;
            }
            Event::Apply(namespace) => state.known.extend(entry(namespace)),
            Event::Delete(namespace) => {
                if let Some(name) = namespace.metadata.name {
                    state.known.remove(&name);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use kube::core::ObjectMeta;
    use serde_json::json;

    use super::*;

    fn namespace(name: &str, enforce: Option<&str>) -> Namespace {
        let labels = enforce.map(|level| [("pod-security.kubernetes.io/enforce".to_owned(), level.to_owned())].into());
        Namespace { metadata: ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() }, ..Namespace::default() }
    }

    fn enforced(index: &Index, name: &str) -> Option<String> {
        index.get(name).map(|known| known.standards.standards.enforce.to_string())
    }

    #[test]
    fn knows_what_was_listed_once_the_list_is_complete() {
        let index = Index::new(Standards::enforcing("baseline".parse().unwrap()));
        assert!(!index.handle(Event::Init));
        assert!(!index.handle(Event::InitApply(namespace("shop", Some("restricted")))));
        assert_eq!(enforced(&index, "shop"), None);
        assert!(index.handle(Event::InitDone));
        assert_eq!(enforced(&index, "shop").as_deref(), Some("restricted:latest"));
    }

    #[test]
    fn follows_changes_and_deletions() {
        let index = Index::new(Standards::enforcing("baseline".parse().unwrap()));
        index.handle(Event::Apply(namespace("shop", None)));
        assert_eq!(enforced(&index, "shop").as_deref(), Some("baseline:latest"));
        index.handle(Event::Apply(namespace("shop", Some("privileged"))));
        assert_eq!(enforced(&index, "shop").as_deref(), Some("privileged:latest"));
        index.handle(Event::Delete(namespace("shop", None)));
        assert_eq!(enforced(&index, "shop"), None);
    }

    #[test]
    fn policies_see_the_whole_namespace_but_for_whose_fields_they_are() {
        let index = Index::new(Standards::enforcing("baseline".parse().unwrap()));
        let told = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}, "managedFields": [{}],
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}]},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        index.handle(Event::Apply(serde_json::from_value(told).unwrap()));
        let seen = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        assert_eq!(*index.get("shop").unwrap().object, seen);
    }

    #[test]
    fn keeps_what_it_knows_while_it_lists_again_and_forgets_what_is_gone() {
        let index = Index::new(Standards::enforcing("baseline".parse().unwrap()));
        index.handle(Event::Apply(namespace("old", None)));
        index.handle(Event::Init);
        index.handle(Event::InitApply(namespace("new", None)));
        assert!(enforced(&index, "old").is_some() && enforced(&index, "new").is_none());
        index.handle(Event::Init);
        index.handle(Event::InitApply(namespace("newer", None)));
        index.handle(Event::InitDone);
        let known = ["old", "new", "newer"].map(|name| enforced(&index, name).is_some());
        assert_eq!(known, [false, false, true]);
    }
}
