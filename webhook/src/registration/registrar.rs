//! Registers this webhook and keeps it registered, until dropped.
//!
//! All replicas do the same, each by itself, as with the certificate's authority; where they agree, who is first writes and the others find it done.
//!
//! Rights that this needs: `get`, `create` and `patch` on the ValidatingWebhookConfiguration; `get` on the webhook's own namespace.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use portcullis_admission::policy::{Coverage, PolicySet};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;
use tracing::{info, warn};

use super::answer::{AnswerError, Oneself};
use super::{Due, Registration, due, newer_bundle};
use crate::certificates::Trusted;
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
/// Another name than the one that publishes the authority: what one applies must not take away what the other did.
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
    configurations: Api<ValidatingWebhookConfiguration>,
    namespaces: Api<Namespace>,
    /// The webhook's own namespace, with which the configuration ends.
    home: Option<String>,
    oneself: Oneself,
    trusted: Arc<Trusted>,
    /// Whether replicas publish what they trust beside this, each as soon as it hears of it.
    is_published: bool,
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
        Self {
            registration,
            configurations: Api::all(client.clone()),
            namespaces: Api::all(client),
            home,
            oneself,
            trusted,
            is_published: false,
            policies,
        }
    }

    /// The same, beside replicas that publish what is to be trusted: what one of them has added is left as it is.
    #[must_use]
    pub fn beside_publishers(self, is_published: bool) -> Self {
        Self { is_published, ..self }
    }

    /// Registers as soon as `health` says ready, and keeps it so.
    pub async fn keep(&self, health: &Health) {
        let mut last = None;
        let mut told = None;
        let mut policies = self.policies.follow();
        loop {
            let coverage = policies.borrow_and_update().coverage();
            let round = tokio::time::timeout(TIMEOUT, self.round(health, &coverage)).await.unwrap_or(Err(RegistrarError::TimedOut));
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

    async fn round(&self, health: &Health, policies: &Coverage) -> Result<State, RegistrarError> {
        let (ready, why) = health.readiness();
        if !ready {
            return Err(RegistrarError::NotReady(why.trim_end().to_owned()));
        }
        // Held to the end: what is applied must not be older than what the authority's keeper has published meanwhile.
        let bundle = self.trusted.lock().await;
        let bundle = bundle.as_deref().ok_or(RegistrarError::NoBundle)?;
        self.oneself.answers(bundle).await?;
        let owner = self.owner().await?;
        let owner = owner.as_ref().map(|(name, uid)| (name.as_str(), uid.as_str()));
        let name = &self.registration.name;
        let existing = self.configurations.get_opt(name).await.map_err(cannot("read the webhook configuration"))?;
        let newer = existing.as_ref().filter(|_| self.is_published).and_then(|existing| newer_bundle(existing, bundle));
        let mut wanted = self.registration.configuration(newer.as_deref().unwrap_or(bundle), owner, policies);
        match due(existing.as_ref(), &wanted) {
            Due::Nothing => Ok(State::Registered),
            Due::HandsOff => Ok(State::HandsOff),
            Due::Apply => {
                // What was looked at is what is written over: somebody may be breaking the glass just now.
                let version = existing.and_then(|existing| existing.metadata.resource_version);
                if let (Some(version), Some(metadata)) = (version, wanted.get_mut("metadata").and_then(Value::as_object_mut)) {
                    metadata.insert("resourceVersion".to_owned(), version.into());
                }
                let params = PatchParams::apply(FIELD_MANAGER).force();
                self.configurations
                    .patch(name, &params, &Patch::Apply(&wanted))
                    .await
                    .map_err(cannot("write the webhook configuration"))?;
                info!(configuration = name, "registration written");
                Ok(State::Registered)
            }
        }
    }

    /// The name and UID of the webhook's own namespace.
    async fn owner(&self) -> Result<Option<(String, String)>, RegistrarError> {
        let Some(home) = &self.home else { return Ok(None) };
        let namespace = self.namespaces.get(home).await.map_err(cannot("read the webhook's own namespace"))?;
        Ok(namespace.metadata.uid.map(|uid| (home.clone(), uid)))
    }
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
