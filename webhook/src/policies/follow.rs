//! Following policies, exceptions and the objects that are their parameters, at an API server.
//!
//! Objects are read as they are, not as types: one that cannot be read is that policy's problem, and does not end the watch of the others. What a watch
//! tells is taken in at once, and all that has come meanwhile is taken in before the set is swapped, so that a change is in force within moments, and a
//! thousand of them cost one swap.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use portcullis_admission::policy::{Library, PolicyKey, Trust};
use portcullis_api::admission_policy::{self, ParamKind};
use portcullis_api::{GROUP, policy_exception};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::status::{Observed, Status};
use super::{Policies, now, params};
use crate::health::Health;
use crate::metrics::Metrics;

/// How many events may wait to be taken in.
const MAX_WAITING: usize = 1_024;
/// How often exceptions are looked at that end by themselves, for their status.
const TICK: Duration = Duration::from_secs(60);

/// What is followed.
#[derive(Debug, Clone, Default)]
pub struct Follows {
    /// Kubernetes' own policies and bindings, too.
    pub kubernetes: bool,
    /// The namespaces whose exceptions count.
    pub trusted: BTreeSet<String>,
}

/// What one watch is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watched {
    Policies,
    Exceptions,
    Validating,
    Bindings,
}

impl Watched {
    fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = match self {
            Self::Policies => (GROUP, "v1alpha1", admission_policy::KIND, admission_policy::PLURAL),
            Self::Exceptions => (GROUP, "v1alpha1", policy_exception::KIND, policy_exception::PLURAL),
            Self::Validating => ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
            Self::Bindings => {
                ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")
            }
        };
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: format!("{group}/{version}"),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    fn key(self, object: &DynamicObject) -> PolicyKey {
        let name = object.metadata.name.clone().unwrap_or_default();
        match self {
            Self::Policies => PolicyKey::Policy(name),
            Self::Exceptions => PolicyKey::Exception(object.metadata.namespace.clone().unwrap_or_default(), name),
            Self::Validating => PolicyKey::Validating(name),
            Self::Bindings => PolicyKey::Binding(name),
        }
    }

    fn is_of(self, key: &PolicyKey) -> bool {
        matches!(
            (self, key),
            (Self::Policies, PolicyKey::Policy(_))
                | (Self::Exceptions, PolicyKey::Exception(..))
                | (Self::Validating, PolicyKey::Validating(_))
                | (Self::Bindings, PolicyKey::Binding(_))
        )
    }
}

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Told {
    Of(Watched, Box<Event<DynamicObject>>),
    /// All objects of a kind of parameters, as they are now.
    Parameters(ParamKind, Vec<Arc<Value>>, bool),
    /// They cannot be had, and whether that is the API server's answer and not just a failure to get one.
    Unavailable(ParamKind, String, bool),
    /// Time has passed.
    Tick,
}

/// Follows policies and swaps the set.
pub struct Follower {
    client: kube::Client,
    follows: Vec<Watched>,
    library: Library,
    policies: Arc<Policies>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    /// The names that a list which is not complete yet has told.
    listed: BTreeMap<Watched, BTreeSet<PolicyKey>>,
    synced: BTreeSet<Watched>,
    /// The kinds of parameters that are followed, and whether something is known of them.
    params: BTreeMap<ParamKind, bool>,
    /// The statuses that the objects have.
    observed: Observed,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("follows", &self.follows).field("synced", &self.synced).finish_non_exhaustive()
    }
}

impl Follower {
    /// Follows the API server that `client` talks to, once it [runs](Self::run).
    pub fn new(client: kube::Client, follows: Follows, policies: Arc<Policies>, health: Arc<Health>, metrics: Arc<Metrics>) -> Self {
        let mut watched = vec![Watched::Policies, Watched::Exceptions];
        if follows.kubernetes {
            watched.extend([Watched::Validating, Watched::Bindings]);
        }
        Self {
            client,
            follows: watched,
            library: Library::new(Trust::Namespaces(follows.trusted)),
            policies,
            health,
            metrics,
            listed: BTreeMap::new(),
            synced: BTreeSet::new(),
            params: BTreeMap::new(),
            observed: Observed::default(),
        }
    }

    /// Follows until dropped.
    pub async fn run(mut self) {
        let (tell, mut told) = mpsc::channel(MAX_WAITING);
        // Dropping the set ends its tasks.
        let mut tasks = JoinSet::new();
        for watched in self.follows.clone() {
            tasks.spawn(watch(self.client.clone(), watched, tell.clone()));
        }
        tasks.spawn(tick(tell.clone()));
        let status = Status::start(self.client.clone(), &mut tasks);
        while let Some(first) = told.recv().await {
            self.take_in(first);
            while let Ok(next) = told.try_recv() {
                self.take_in(next);
            }
            for kind in self.new_param_kinds() {
                tasks.spawn(params::follow(self.client.clone(), kind, tell.clone()));
            }
            self.swap();
            status.want(self.observed.wanted(&self.library.entries(), now()));
        }
    }

    fn swap(&self) {
        self.policies.replace(self.library.snapshot());
        self.metrics.set_policies(&self.library.entries());
        let known = self.synced.len() == self.follows.len() && self.params.values().all(|known| *known);
        if known {
            self.health.policies_known();
        }
    }

    /// The kinds of parameters that are to be followed from now on. One that no policy names any more goes on being followed: it may come back.
    fn new_param_kinds(&mut self) -> Vec<ParamKind> {
        let new: Vec<ParamKind> = self.library.param_kinds().into_iter().filter(|kind| !self.params.contains_key(kind)).collect();
        self.params.extend(new.iter().cloned().map(|kind| (kind, false)));
        new
    }

    fn take_in(&mut self, told: Told) {
        match told {
            Told::Of(watched, event) => self.handle(watched, *event),
            Told::Parameters(kind, objects, cluster_scoped) => {
                self.params.insert(kind.clone(), true);
                self.library.set_parameters(kind, objects, cluster_scoped);
            }
            Told::Unavailable(kind, why, is_answer) => {
                *self.params.entry(kind.clone()).or_default() |= is_answer;
                self.library.set_unavailable(kind, why);
            }
            Told::Tick => {}
        }
    }

    fn handle(&mut self, watched: Watched, event: Event<DynamicObject>) {
        match event {
            Event::Init => _ = self.listed.insert(watched, BTreeSet::new()),
            Event::InitApply(object) => {
                self.listed.entry(watched).or_default().insert(watched.key(&object));
                self.apply(watched, &object);
            }
            Event::Apply(object) => self.apply(watched, &object),
            Event::Delete(object) => self.delete(&watched.key(&object)),
            Event::InitDone => {
                let listed = self.listed.remove(&watched).unwrap_or_default();
                let gone = |key: &PolicyKey| watched.is_of(key) && !listed.contains(key);
                self.library.keys().iter().filter(|key| gone(key)).for_each(|key| self.delete(key));
                if self.synced.insert(watched) {
                    info!(kind = watched.resource().kind, objects = listed.len(), "learnt all");
                }
            }
        }
    }

    fn apply(&mut self, watched: Watched, object: &DynamicObject) {
        let key = watched.key(object);
        match serde_json::to_value(object) {
            Ok(mut value) => {
                // A list leaves the kind of its elements to itself.
                let resource = watched.resource();
                if let Some(fields) = value.as_object_mut() {
                    fields.insert("apiVersion".to_owned(), resource.api_version.into());
                    fields.insert("kind".to_owned(), resource.kind.into());
                }
                self.observed.see(key, &value);
                self.library.apply_object(&value, now());
            }
            Err(error) => warn!(%error, ?key, "cannot read what the API server told; what was known of it stays in force"),
        }
    }

    fn delete(&mut self, key: &PolicyKey) {
        self.library.delete(key);
        self.observed.forget(key);
    }
}

async fn watch(client: kube::Client, watched: Watched, tell: mpsc::Sender<Told>) {
    let resource = watched.resource();
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if tell.send(Told::Of(watched, Box::new(event))).await.is_err() {
                    return;
                }
            }
            Err(error) => warn!(%error, kind = resource.kind, "cannot watch; what was learnt is in force"),
        }
    }
}

async fn tick(tell: mpsc::Sender<Told>) {
    let mut interval = tokio::time::interval(TICK);
    // The first tick comes at once, and says nothing.
    interval.tick().await;
    loop {
        interval.tick().await;
        if tell.send(Told::Tick).await.is_err() {
            return;
        }
    }
}
