//! What each namespace's pods are judged by: the same for all, or as their labels say.
//!
//! Labels are followed by a watch of the namespaces' metadata, so that a review costs no request of its own. A namespace that the watch has not told of,
//! such as one that was made a moment ago, is asked for. What was learnt stays in use while the API server cannot be reached; until everything was learnt
//! once, the server is not ready.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use portcullis_admission::{AdmissionRequest, NamespaceLookup, NamespaceStandards, Standards, raised_enforcement};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::health::Health;

mod existing;

/// How long a review may wait for a namespace that the watch has not told of.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

type NamespaceMeta = PartialObjectMeta<Namespace>;

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

    /// What to warn of when a request changes the labels of a namespace.
    pub async fn warnings(&self, request: &AdmissionRequest) -> Vec<String> {
        match self {
            Self::Same(_) => Vec::new(),
            Self::Labelled(labelled) => labelled.warnings(request).await,
        }
    }
}

/// What was found out about a namespace.
#[derive(Debug, Clone)]
pub struct Found {
    /// What its pods are judged by.
    pub standards: NamespaceLookup,
    /// Its metadata, as policies see it: `spec` and `status` are not followed. Why there is none.
    pub object: Result<Arc<Value>, String>,
}

/// The labels of namespaces, as an API server tells them.
pub struct Labelled {
    index: Index,
    api: Api<NamespaceMeta>,
    client: kube::Client,
}

impl std::fmt::Debug for Labelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labelled").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Labelled {
    /// Labels as `client` tells them, over `defaults`. They are learnt by [`follow`](Self::follow).
    pub fn new(client: kube::Client, defaults: Standards) -> Self {
        Self { index: Index::new(defaults), api: Api::all(client.clone()), client }
    }

    /// Namespaces for policies alone: whatever their labels say, the defaults hold.
    pub fn for_policies(client: kube::Client, defaults: Standards) -> Self {
        let mut labelled = Self::new(client, defaults);
        labelled.index.ignores_labels = true;
        labelled
    }

    async fn find(&self, name: &str) -> Found {
        if let Some(known) = self.index.get(name) {
            return Found { standards: NamespaceLookup::Found(known.standards), object: Ok(known.object) };
        }
        let why = match tokio::time::timeout(LOOKUP_TIMEOUT, self.api.get(name)).await {
            Ok(Ok(namespace)) => {
                let known = self.index.known(&namespace);
                return Found { standards: NamespaceLookup::Found(known.standards), object: Ok(known.object) };
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the API server did not answer in time".to_owned(),
        };
        let standards = if self.index.ignores_labels { self.index.defaults.into() } else { NamespaceLookup::Failed(why.clone()) };
        Found { standards, object: Err(why) }
    }

    async fn warnings(&self, request: &AdmissionRequest) -> Vec<String> {
        if self.index.ignores_labels {
            return Vec::new();
        }
        let standards = |object: &Option<Value>| NamespaceStandards::of_namespace(object.as_ref()?, self.index.defaults).ok();
        let (Some(old), Some(new)) = (standards(&request.old_object), standards(&request.object)) else { return Vec::new() };
        match raised_enforcement(old.standards, new.standards) {
            Some(enforce) => existing::warnings(self.client.clone(), &request.name, enforce).await,
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

    fn known(&self, namespace: &NamespaceMeta) -> Known {
        let standards = if self.ignores_labels { self.defaults.into() } else { self.standards_of(namespace) };
        // Metadata is made of maps, lists and texts.
        let mut metadata = serde_json::to_value(&namespace.metadata).unwrap_or_default();
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove("managedFields");
            metadata.remove("ownerReferences");
        }
        Known { standards, object: Arc::new(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})) }
    }

    fn standards_of(&self, namespace: &NamespaceMeta) -> NamespaceStandards {
        let labels = namespace.metadata.labels.iter().flatten();
        let labels: BTreeMap<&str, &str> = labels.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        NamespaceStandards::from_labels(&labels, self.defaults)
    }

    /// Takes in what the watch tells; whether all namespaces are known now that were not before.
    fn handle(&self, event: Event<NamespaceMeta>) -> bool {
        let entry = |namespace: NamespaceMeta| {
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

    use super::*;

    fn namespace(name: &str, enforce: Option<&str>) -> NamespaceMeta {
        let labels = enforce.map(|level| [("pod-security.kubernetes.io/enforce".to_owned(), level.to_owned())].into());
        NamespaceMeta {
            types: None,
            metadata: ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() },
            ..Default::default()
        }
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
