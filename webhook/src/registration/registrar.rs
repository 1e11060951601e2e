//! Registers this webhook and keeps it registered, until dropped.
//!
//! All replicas do the same, each by itself, as with the certificate's authority; where they agree, who is first writes and the others find it done.
//!
//! What is there is written over whole, by a merge patch that carries the version that was read: lists are replaced, so no webhook stays that is not
//! wanted any more, whoever wrote it. Server-side apply would leave what another field manager has applied a part of, and that part is no valid webhook.
//! It is used to make what is not there: where two replicas do so at once, neither fails. It is registered when the API server's answer says so.
//!
//! Rights that this needs: `get`, `create` and `patch` on the ValidatingWebhookConfiguration; `get` on the webhook's own namespace.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use portcullis_admission::policy::{Coverage, PolicySet};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::watch;
use tracing::{info, warn};

use super::answer::{AnswerError, Oneself};
use super::{Due, Registration, difference, due, fail_open, is_broken};
use crate::certificates::bundle;
use crate::certificates::trusted::Trusted;
use crate::health::Health;
use crate::policies::Policies;

/// How often it is looked whether the registration is as it should be.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often it is tried until it is registered for the first time.
const FIRST_INTERVAL: Duration = Duration::from_millis(500);
/// How soon it is tried again when it did not work later.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How long all requests of one round may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long the last deed of a server that stops may take: less than the kubelet waits before it kills.
const LEAVING: Duration = Duration::from_secs(5);
/// How often that is tried where others write meanwhile.
const LEAVING_ATTEMPTS: usize = 4;
/// Who the API server says has written the registration.
const FIELD_MANAGER: &str = "portcullis-registration";

/// Why the webhook is not registered.
#[derive(Debug, Error)]
pub enum RegistrarError {
    /// It should not be yet.
    #[error("not ready: {0}")]
    NotReady(String),
    /// It would not be trusted.
    #[error("there is no bundle to trust")]
    NoBundle,
    /// It does not work.
    #[error("it does not answer itself: {0}")]
    Answer(#[from] AnswerError),
    /// The API server refused, or was not reached.
    #[error("cannot {action}: {source}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// It took something else than was written.
    #[error(
        "the API server has another {field} of the webhook configuration than was written; look which admission plugin or webhook changes it"
    )]
    Changed {
        /// The field.
        field: String,
    },
    /// It has only just become ready.
    #[error("it is ready, and its Service may not lead here yet: it is registered {} s later", .0.as_secs())]
    TooEarly(Duration),
    /// The API server is slow.
    #[error("the API server did not answer in time")]
    TimedOut,
}

fn cannot(action: &'static str) -> impl FnOnce(kube::Error) -> RegistrarError {
    move |source| RegistrarError::Api { action, source: Box::new(source) }
}

/// What a round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Registered,
    HandsOff,
}

/// Keeps a registration.
pub struct Registrar {
    registration: Registration,
    configurations: Api<DynamicObject>,
    namespaces: Api<Namespace>,
    /// The webhook's own namespace, with which the configuration ends.
    home: Option<String>,
    oneself: Oneself,
    trusted: Arc<Trusted>,
    policies: Arc<Policies>,
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar").field("registration", &self.registration).field("home", &self.home).finish_non_exhaustive()
    }
}

impl Registrar {
    /// Keeps `registration` of the webhook that is `oneself`, is to be trusted as `trusted` says and judges by `policies`; it ends with the namespace
    /// `home`.
    pub fn new(
        client: kube::Client,
        registration: Registration,
        home: Option<String>,
        oneself: Oneself,
        trusted: Arc<Trusted>,
        policies: Arc<Policies>,
    ) -> Self {
        trusted.is_registered_here();
        let configurations = Api::all_with(client.clone(), &ApiResource::erase::<ValidatingWebhookConfiguration>(&()));
        Self { registration, configurations, namespaces: Api::all(client), home, oneself, trusted, policies }
    }

    /// Registers as soon as `health` says ready, and keeps it so.
    pub async fn keep(&self, health: &Health) {
        let mut last = None;
        let mut told = None;
        let mut ready_since = None;
        let mut policies = self.policies.follow();
        loop {
            let coverage = policies.borrow_and_update().coverage();
            let round = tokio::time::timeout(TIMEOUT, self.round(health, &mut ready_since, &coverage))
                .await
                .unwrap_or(Err(RegistrarError::TimedOut));
            match round {
                Ok(state) => {
                    if last != Some(state) {
                        self.tell(state);
                    }
                    last = Some(state);
                    told = None;
                }
                Err(error) => {
                    let why = error.to_string();
                    if told.as_ref() != Some(&why) {
                        warn!(why, "the webhook's registration is not known to be as it should");
                    }
                    told = Some(why);
                }
            }
            let pause = match (last, &told) {
                (None, _) => FIRST_INTERVAL,
                (Some(_), Some(_)) => RETRY_INTERVAL,
                (Some(_), None) => INTERVAL,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.trusted.changed() => {}
                () = other(&mut policies, &coverage) => {}
            }
        }
    }

    fn tell(&self, state: State) {
        let configuration = &self.registration.name;
        match state {
            State::Registered => info!(configuration, "registered"),
            State::HandsOff => warn!(configuration, "somebody broke the glass: the registration is left alone; nothing may be enforced"),
        }
    }

    async fn round(&self, health: &Health, ready_since: &mut Option<Instant>, policies: &Coverage) -> Result<State, RegistrarError> {
        let (ready, why) = health.readiness();
        if !ready {
            *ready_since = None;
            return Err(RegistrarError::NotReady(why.trim_end().to_owned()));
        }
        let is_early = ready_since.get_or_insert_with(Instant::now).elapsed() < self.registration.first_after;
        // Held to the end: what is applied must not be older than what the authority's keeper has published meanwhile.
        let bundle = self.trusted.lock().await;
        let bundle = bundle.as_deref().ok_or(RegistrarError::NoBundle)?;
        self.oneself.answers(bundle).await?;
        let home = self.home().await?;
        let existing = self.existing().await?;
        if existing.is_none() && is_early {
            return Err(RegistrarError::TooEarly(self.registration.first_after));
        }
        let published = existing.as_ref().map(|existing| bundle::published(bundle::webhooks(existing))).unwrap_or_default();
        let to_trust = bundle::merged(&published, bundle, SystemTime::now());
        let owner = home.as_ref().map(|home| (home.name.as_str(), home.uid.as_str()));
        let mut wanted = self.registration.configuration(&to_trust, owner, policies);
        if home.as_ref().is_some_and(|home| home.is_ending) {
            fail_open(&mut wanted);
        }
        match due(existing.as_ref(), &wanted) {
            Due::HandsOff => return Ok(State::HandsOff),
            Due::Nothing => {}
            Due::Apply => {
                self.write(existing.as_ref(), &wanted).await?;
                info!(configuration = self.registration.name, "registration written");
            }
        }
        self.trusted.published(bundle);
        Ok(State::Registered)
    }

    /// Tells the API server, where the webhook's own namespace is being deleted, that what no webhook answers for is admitted: replicas end before the
    /// namespace, and the configuration only with it. Without it a namespace that never ends would keep everything out. For a server that stops.
    pub async fn leave(&self) {
        let configuration = &self.registration.name;
        match tokio::time::timeout(LEAVING, self.open_if_ending()).await.unwrap_or(Err(RegistrarError::TimedOut)) {
            Ok(false) => {}
            Ok(true) => {
                warn!(configuration, "the webhook's own namespace is being deleted: what no webhook answers for is admitted from now on")
            }
            Err(why) => warn!(configuration, %why, "it is not known whether the webhook's own namespace is being deleted"),
        }
    }

    /// Whether the namespace is being deleted and anything had to be written.
    async fn open_if_ending(&self) -> Result<bool, RegistrarError> {
        if !self.home().await?.is_some_and(|home| home.is_ending) {
            return Ok(false);
        }
        let mut last = None;
        for _ in 0..LEAVING_ATTEMPTS {
            let Some(existing) = self.existing().await?.filter(|existing| !is_broken(existing)) else { return Ok(false) };
            let mut opened = json!({ "webhooks": bundle::webhooks(&existing) });
            if !fail_open(&mut opened) {
                return Ok(false);
            }
            match self.write(Some(&existing), &opened).await {
                Ok(()) => return Ok(true),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(false), Err)
    }

    async fn existing(&self) -> Result<Option<DynamicObject>, RegistrarError> {
        self.configurations.get_opt(&self.registration.name).await.map_err(cannot("read the webhook configuration"))
    }

    /// Writes what is wanted over `existing`. What was looked at is what is written over: somebody may be breaking the glass just now.
    async fn write(&self, existing: Option<&DynamicObject>, wanted: &Value) -> Result<(), RegistrarError> {
        let name = &self.registration.name;
        let written = match existing {
            None => self.configurations.patch(name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(wanted)).await,
            Some(existing) => {
                let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
                self.configurations.patch(name, &params, &Patch::Merge(over(existing, wanted))).await
            }
        };
        let written = written.map_err(cannot("write the webhook configuration"))?;
        difference(&written, wanted).map_or(Ok(()), |field| Err(RegistrarError::Changed { field }))
    }

    /// The webhook's own namespace.
    async fn home(&self) -> Result<Option<Home>, RegistrarError> {
        let Some(name) = &self.home else { return Ok(None) };
        let metadata = self.namespaces.get(name).await.map_err(cannot("read the webhook's own namespace"))?.metadata;
        let is_ending = metadata.deletion_timestamp.is_some();
        Ok(metadata.uid.map(|uid| Home { name: name.clone(), uid, is_ending }))
    }
}

/// The webhook's own namespace.
struct Home {
    name: String,
    uid: String,
    /// Whether it is being deleted.
    is_ending: bool,
}

/// What is wanted, for the version of `existing` alone.
fn over(existing: &DynamicObject, wanted: &Value) -> Value {
    let mut patch = wanted.clone();
    if let Some(patch) = patch.as_object_mut() {
        let metadata = patch.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("resourceVersion".to_owned(), json!(existing.metadata.resource_version));
        }
    }
    patch
}

/// Until policies are for something else than `known`. Most changes of policies change nothing of that.
async fn other(policies: &mut watch::Receiver<Arc<PolicySet>>, known: &Coverage) {
    loop {
        if policies.changed().await.is_err() {
            // They never change again.
            std::future::pending::<()>().await;
        }
        if policies.borrow_and_update().coverage() != *known {
            return;
        }
    }
}
