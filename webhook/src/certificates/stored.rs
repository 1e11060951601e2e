//! Certificates that this server signs for itself, with an authority that all replicas share in a Secret and keep up together.
//!
//! Each replica does the same, every half minute unless told otherwise: read the Secret, do the next step of the authority's life if one is due ([`authority`](crate::authority)),
//! put the authorities to trust into the webhook configuration, and sign a certificate of its own if the one in use is due. A write carries the
//! version that was read, so of two replicas that take a step at once one fails, reads again and finds it done. Nothing here needs a leader.
//!
//! What else the Secret holds stays as it is, and so does its type: of a Secret that has the wrong one, or that somebody filled otherwise, only the
//! authority's own keys are written. One that is immutable cannot be kept up; the error says what to do.
//!
//! What an API server has to hear of first, it is given a moment to: where another authority is to sign and the certificate in use is trusted, the new
//! one is used only [`HEARING`] after the bundle was published. If the certificate has truly expired, that moment is lost; if only this server's clock
//! says so, no request is.
//!
//! Rights that this needs: `get`, `create` and `update` on the Secret; `get` and `patch` on the ValidatingWebhookConfiguration.

use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use portcullis_api::registration::{PART_OF, PART_OF_LABEL};
use serde_json::{Value, json};
use thiserror::Error;
use tracing::{info, warn};

use super::{CertificateError, Pair, bundle};
use crate::authority::{Authority, IssueError, KEYS, Leaf, Step, next_step};

/// A new authority that nobody was told of before signs after so many looks: by then every replica has seen it, and published it.
const SETTLING_INTERVALS: u32 = 4;
/// From the time that a bundle is published until a certificate that needs it is used. API servers watch what is published, and hear of it at once.
const HEARING: Duration = Duration::from_secs(2);
/// How often a write is tried that others get in the way of. There are only a few replicas.
const ATTEMPTS: usize = 8;
/// Who the API server says has set the bundle.
const FIELD_MANAGER: &str = "portcullis-webhook";
/// How long all requests of one round may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Why the authority could not be kept up.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The API server refused, or was not reached.
    #[error("cannot {action}: {source}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No key can be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// Others wrote the Secret again and again.
    #[error("the {0} changed whenever it was to be written")]
    Contended(&'static str),
    /// Nobody can write the Secret.
    #[error("the Secret {0} is immutable, and has to be written: delete it, and it is made anew")]
    Immutable(String),
    /// The API server is slow.
    #[error("the API server did not answer in time")]
    TimedOut,
}

fn cannot(action: &'static str) -> impl FnOnce(kube::Error) -> StoreError {
    move |source| StoreError::Api { action, source: Box::new(source) }
}

/// The authority in a Secret, and the configuration that names it.
#[derive(Clone)]
pub struct Store {
    secrets: Api<Secret>,
    secret: String,
    /// Untyped, so that fields that this program does not know are written back as they are.
    configurations: Api<DynamicObject>,
    configuration: String,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("secret", &self.secret).field("configuration", &self.configuration).finish_non_exhaustive()
    }
}

impl Store {
    /// The Secret `secret` in `namespace`, and the ValidatingWebhookConfiguration `configuration`.
    pub fn new(client: kube::Client, namespace: &str, secret: String, configuration: String) -> Self {
        let kind = ApiResource::erase::<ValidatingWebhookConfiguration>(&());
        let configurations = Api::all_with(client.clone(), &kind);
        Self { secrets: Api::namespaced(client, namespace), secret, configurations, configuration }
    }

    /// Brings Secret and configuration to where they should be at `now`; the authority that signs. Who signed `leaf` stays trusted, and where the
    /// authority has to be made anew, who is trusted now.
    ///
    /// # Errors
    /// The API server cannot be reached, refuses, or others write again and again.
    pub async fn keep_up(&self, now: SystemTime, leaf: Option<&Leaf>) -> Result<Authority, StoreError> {
        let round = async {
            let authority = self.advance(now, leaf).await?;
            self.publish(&authority.bundle()).await?;
            Ok(authority)
        };
        tokio::time::timeout(TIMEOUT, round).await.map_err(|_| StoreError::TimedOut)?
    }

    async fn advance(&self, now: SystemTime, leaf: Option<&Leaf>) -> Result<Authority, StoreError> {
        for _ in 0..ATTEMPTS {
            let secret = self.secrets.get_opt(&self.secret).await.map_err(cannot("read the Secret"))?;
            let authority = secret.as_ref().and_then(read);
            let step = next_step(now, authority.as_ref());
            let next = match (step, authority) {
                (Step::Keep, Some(authority)) => return Ok(authority),
                (step, Some(authority)) => authority.after(step, now)?,
                (_, None) => Authority::create(now)?.succeeding(leaf, bundle::each(&self.published().await?)),
            };
            if self.write(secret, &next).await? {
                info!(?step, "wrote the certificate authority");
                return Ok(next);
            }
        }
        Err(StoreError::Contended("Secret"))
    }

    /// The bundles that the configuration's webhooks trust.
    async fn published(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.configuration().await?.map(|configuration| bundle::published(bundle::webhooks(&configuration))).unwrap_or_default())
    }

    async fn configuration(&self) -> Result<Option<DynamicObject>, StoreError> {
        self.configurations.get_opt(&self.configuration).await.map_err(cannot("read the webhook configuration"))
    }

    /// Writes the authority over what was read; whether nobody else wrote since.
    async fn write(&self, read: Option<Secret>, authority: &Authority) -> Result<bool, StoreError> {
        let data = authority.write().into_iter().map(|(key, value)| (key, ByteString(value)));
        let written = match read {
            Some(read) if read.immutable == Some(true) => return Err(StoreError::Immutable(self.secret.clone())),
            Some(mut read) => {
                let others = read.data.take().unwrap_or_default().into_iter().filter(|(key, _)| !KEYS.contains(&key.as_str()));
                let secret = Secret { data: Some(others.chain(data).collect()), string_data: None, ..read };
                self.secrets.replace(&self.secret, &PostParams::default(), &secret).await
            }
            None => {
                let labels = Some([(PART_OF_LABEL.to_owned(), PART_OF.to_owned())].into());
                let metadata = ObjectMeta { name: Some(self.secret.clone()), labels, ..ObjectMeta::default() };
                let secret = Secret { metadata, data: Some(data.collect()), type_: Some("Opaque".to_owned()), ..Secret::default() };
                self.secrets.create(&PostParams::default(), &secret).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(cannot("write the Secret")(error)),
        }
    }

    /// Makes the configuration's webhooks trust `bundle`.
    async fn publish(&self, bundle: &str) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(configuration) = self.configuration().await? else {
                warn!(configuration = self.configuration, "there is no such webhook configuration; nobody calls this webhook");
                return Ok(());
            };
            let Some(webhooks) = bundle::trusting(bundle::webhooks(&configuration), bundle) else { return Ok(()) };
            if self.write_webhooks(&configuration, &webhooks).await? {
                info!(configuration = self.configuration, "published the certificate authority");
                return Ok(());
            }
        }
        Err(StoreError::Contended("webhook configuration"))
    }

    /// Writes the list of webhooks over what was read, whole, so that nothing of it stays that others have removed meanwhile; whether nobody else wrote
    /// since.
    async fn write_webhooks(&self, read: &DynamicObject, webhooks: &Value) -> Result<bool, StoreError> {
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": read.metadata.resource_version}, "webhooks": webhooks}));
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self.configurations.patch(&self.configuration, &params, &patch).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(cannot("write the webhook configuration")(error)),
        }
    }
}

fn read(secret: &Secret) -> Option<Authority> {
    let data = secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    Authority::read(&data).inspect_err(|error| warn!(%error, "a new certificate authority replaces what the Secret holds")).ok()
}

/// A server's certificates, signed with the authority in a store.
#[derive(Debug)]
pub struct Stored {
    store: Store,
    names: Vec<String>,
    /// From one look to the next.
    interval: Duration,
    leaf: Leaf,
    bundle: String,
    looked: SystemTime,
    is_well: bool,
}

impl Stored {
    /// Brings the store to where it should be, and signs the first certificate. The store is looked at every `interval`.
    ///
    /// # Errors
    /// The store cannot be kept up, or no certificate can be made.
    pub async fn open(store: Store, names: Vec<String>, interval: Duration, now: SystemTime) -> Result<(Self, Pair), CertificateError> {
        let authority = store.keep_up(now, None).await?;
        let leaf = authority.sign(&names, now)?;
        let pair = Pair::from_pem(leaf.chain().as_bytes(), leaf.key().as_bytes())?;
        Ok((Self { store, names, interval, leaf, bundle: authority.bundle(), looked: now, is_well: true }, pair))
    }

    /// What has to be trusted, as it was published last.
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    /// Whether the store could be kept up when it was looked at last.
    pub const fn is_well(&self) -> bool {
        self.is_well
    }

    /// Keeps up the store, if it is time to; a new certificate, if the one in use is due.
    ///
    /// # Errors
    /// The store cannot be kept up, or no certificate can be made.
    pub async fn renew(&mut self, now: SystemTime) -> Result<Option<Pair>, CertificateError> {
        // A clock that jumped back is a reason to look, too.
        if now.duration_since(self.looked).is_ok_and(|since| since < self.interval) {
            return Ok(None);
        }
        self.looked = now;
        let pair = self.look(now).await;
        self.is_well = pair.is_ok();
        pair
    }

    async fn look(&mut self, now: SystemTime) -> Result<Option<Pair>, CertificateError> {
        let authority = self.store.keep_up(now, Some(&self.leaf)).await?;
        let is_new = std::mem::replace(&mut self.bundle, authority.bundle()) != self.bundle;
        if !authority.outdates(&self.leaf, now) || authority.spares(&self.leaf, self.interval.saturating_mul(SETTLING_INTERVALS), now) {
            return Ok(None);
        }
        if is_new && authority.trusts(&self.leaf) {
            tokio::time::sleep(HEARING.min(self.interval)).await;
        }
        let leaf = authority.sign(&self.names, now)?;
        let pair = Pair::from_pem(leaf.chain().as_bytes(), leaf.key().as_bytes())?;
        self.leaf = leaf;
        Ok(Some(pair))
    }
}
