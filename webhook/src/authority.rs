//! The certificate authority that signs the servers' certificates, as a value in a Secret: what it is now, and what has to happen to it next.
//!
//! Every replica signs a short-lived certificate for itself, in memory; only the authority is stored and shared. So that nobody ever meets a certificate
//! that he cannot check, the authority is renewed in steps, and a new one is trusted before it signs and an old one until after:
//!
//! ```text
//!             created            2/3 of its life      + OVERLAP                 + OVERLAP + LEAF_LIFETIME
//!  current ──────●───────────────────●────────────────────●╮                              ●
//!  next                              ●── trusted only ────●╰► current, signs
//!  previous                                                ●────── still trusted ──────────● forgotten
//! ```
//!
//! All of this is decided by [`next_step`], a function of the time and of what the Secret holds: the certificates' own dates are the only clock.
//!
//! # Whose clock
//!
//! This server's clock says when a certificate is due, the API server's whether it is valid, and the two may differ by any time. So a certificate has no
//! first day that could be in the API server's future: it is valid from 1970 on. Who is ahead of others renews too early, which harms nobody:
//!
//! | this clock jumps ahead | what happens |
//! |---|---|
//! | past two thirds of a certificate's life, or past its end | the same authority signs a new one |
//! | past two thirds of the authority's life | a next one is prepared; it signs a day later |
//! | past the authority's end | a new one takes its place; the old one stays trusted as the previous one, since by other clocks it has not ended |
//!
//! A clock that jumps back changes nothing: what it made before ends that much later. A clock that is behind by more than a certificate's life makes
//! certificates that have ended by others' clocks.
//!
//! A Secret that is gone, or whose contents cannot be used, is replaced: the certificates that are in use would fail with the next renewal anyway, and
//! nobody else writes it. The reason is told, for the log. Who replaces it has those trusted on, as previous ones, that are published and that signed its
//! own certificate, if it has one: other replicas serve with certificates of theirs. All sign anew only once the new one has had the time to get around.
//! To have the previous ones distrusted at once, take their key out of the Secret once all replicas have signed anew.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use thiserror::Error;

mod issue;
mod pem;

pub use issue::{IssueError, Leaf};
pub use pem::CaCertificate;
use pem::PrivateKey;
pub(crate) use pem::certificates;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an authority is valid.
pub const CA_LIFETIME: Duration = Duration::from_secs(365 * DAY.as_secs());
/// How long a server's certificate is valid.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(7 * DAY.as_secs());
/// From the time that an authority is trusted until it signs: long enough for every API server to have seen the new bundle.
pub const OVERLAP: Duration = DAY;
/// The first day of every certificate: long ago by any clock.
const FIRST_DAY: SystemTime = SystemTime::UNIX_EPOCH;

/// The Secret's keys.
const CURRENT_CERTIFICATE: &str = "ca.crt";
const CURRENT_KEY: &str = "ca.key";
const NEXT_CERTIFICATE: &str = "next-ca.crt";
const NEXT_KEY: &str = "next-ca.key";
const PREVIOUS_CERTIFICATE: &str = "previous-ca.crt";
/// All of them. A Secret may have others, which are not ours.
pub const KEYS: [&str; 5] = [CURRENT_CERTIFICATE, CURRENT_KEY, NEXT_CERTIFICATE, NEXT_KEY, PREVIOUS_CERTIFICATE];
/// So many previous authorities are trusted: more than a bundle has at any time of one authority's life.
const MAX_PREVIOUS: usize = 4;

/// The data of a Secret.
pub type SecretData = BTreeMap<String, Vec<u8>>;

/// An authority with its key.
#[derive(Debug, Clone)]
pub struct Ca {
    certificate: CaCertificate,
    key: PrivateKey,
}

/// What the Secret holds.
#[derive(Debug, Clone)]
pub struct Authority {
    current: Ca,
    next: Option<Ca>,
    previous: Vec<CaCertificate>,
}

/// Why a Secret's contents cannot be used.
#[derive(Debug, Error)]
pub enum ContentsError {
    /// A key is missing.
    #[error("the Secret has no {0}")]
    Missing(&'static str),
    /// A value is not what its key says.
    #[error("{0} of the Secret cannot be used: {1}")]
    Unusable(&'static str, String),
}

/// What has to happen to an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// A new one has to be made in place of all: there is none, or it has expired.
    Create,
    /// The next one has to be made, to be trusted.
    Prepare,
    /// The next one becomes the current one.
    Promote,
    /// The previous one need not be trusted any longer.
    Forget,
}

/// What has to happen at `now`.
pub fn next_step(now: SystemTime, authority: Option<&Authority>) -> Step {
    let Some(Authority { current, next, previous }) = authority else { return Step::Create };
    let age = |ca: &CaCertificate| now.duration_since(ca.created()).unwrap_or(Duration::ZERO);
    if now >= current.certificate.expires() {
        return if next.as_ref().is_some_and(|next| now < next.certificate.expires()) { Step::Promote } else { Step::Create };
    }
    // Not sooner if it has expired: by the API server's clock it may not have, and others may serve with it.
    if !previous.is_empty() && age(&current.certificate) >= OVERLAP.saturating_add(LEAF_LIFETIME).saturating_add(DAY) {
        return Step::Forget;
    }
    match next {
        Some(next) if age(&next.certificate) >= OVERLAP => Step::Promote,
        Some(_) => Step::Keep,
        None if age(&current.certificate) >= current.certificate.lifetime() * 2 / 3 => Step::Prepare,
        None => Step::Keep,
    }
}

impl Authority {
    /// A new authority, made at `now`.
    ///
    /// # Errors
    /// No key can be made.
    pub fn create(now: SystemTime) -> Result<Self, IssueError> {
        Ok(Self { current: Ca::create(now)?, next: None, previous: Vec::new() })
    }

    /// The same, which trusts also who signed `leaf`, and the authorities among `published`, each in PEM: it takes over without warning, and certificates
    /// that are in use must not fail for that.
    pub fn succeeding(self, leaf: Option<&Leaf>, published: impl IntoIterator<Item = String>) -> Self {
        let known = leaf.map(|leaf| leaf.issuer().to_owned()).into_iter().chain(published);
        Self { previous: authorities(known), ..self }
    }

    /// What a step makes of an authority.
    ///
    /// # Errors
    /// No key can be made.
    pub fn after(self, step: Step, now: SystemTime) -> Result<Self, IssueError> {
        match (step, self.next) {
            (Step::Keep, next) => Ok(Self { next, ..self }),
            // It has expired by this clock, and perhaps by no other: certificates that are in use must not fail for that.
            (Step::Create, _) => Ok(Self { previous: vec![self.current.certificate], ..Self::create(now)? }),
            (Step::Prepare, _) | (Step::Promote, None) => Ok(Self { next: Some(Ca::create(now)?), ..self }),
            (Step::Promote, Some(next)) => Ok(Self { current: next, next: None, previous: vec![self.current.certificate] }),
            (Step::Forget, next) => Ok(Self { next, previous: Vec::new(), ..self }),
        }
    }

    /// Reads a Secret's data.
    ///
    /// # Errors
    /// The current authority is missing or cannot be used. A next or previous one that cannot be used is as good as none.
    pub fn read(data: &SecretData) -> Result<Self, ContentsError> {
        let next = Ca::read(data, NEXT_CERTIFICATE, NEXT_KEY).ok();
        let previous = data.get(PREVIOUS_CERTIFICATE).map(|pem| String::from_utf8_lossy(pem).into_owned()).unwrap_or_default();
        let previous = authorities(certificates(&previous).map(|(pem, _)| pem));
        Ok(Self { current: Ca::read(data, CURRENT_CERTIFICATE, CURRENT_KEY)?, next, previous })
    }

    /// The data of the Secret.
    pub fn write(&self) -> SecretData {
        let entry = |key: &str, pem: &str| (key.to_owned(), pem.as_bytes().to_vec());
        let mut data =
            SecretData::from([entry(CURRENT_CERTIFICATE, self.current.certificate.pem()), entry(CURRENT_KEY, self.current.key.pem())]);
        if let Some(next) = &self.next {
            data.extend([entry(NEXT_CERTIFICATE, next.certificate.pem()), entry(NEXT_KEY, next.key.pem())]);
        }
        if !self.previous.is_empty() {
            let previous: String = self.previous.iter().map(CaCertificate::pem).collect();
            data.extend([entry(PREVIOUS_CERTIFICATE, &previous)]);
        }
        data
    }

    /// The certificates that have to be trusted, in PEM: a webhook's `caBundle`.
    pub fn bundle(&self) -> String {
        self.trusted().map(CaCertificate::pem).collect()
    }

    /// The same, and who signed `leaf`.
    pub fn bundle_with(&self, leaf: &Leaf) -> String {
        let mut bundle = self.bundle();
        if !self.trusts(leaf) {
            bundle.push_str(leaf.issuer());
        }
        bundle
    }

    fn trusted(&self) -> impl Iterator<Item = &CaCertificate> {
        let next = self.next.as_ref().map(|next| &next.certificate);
        std::iter::once(&self.current.certificate).chain(next).chain(&self.previous)
    }

    /// When the authority that signs expires.
    pub const fn expires(&self) -> SystemTime {
        self.current.certificate.expires()
    }

    /// Whether who signed a certificate is trusted.
    pub fn trusts(&self, leaf: &Leaf) -> bool {
        self.trusted().any(|trusted| trusted.pem() == leaf.issuer())
    }

    /// Whether the authority that signs now signed a certificate.
    pub fn signed(&self, leaf: &Leaf) -> bool {
        self.current.certificate.pem() == leaf.issuer()
    }

    /// Signs a server's certificate with the current authority.
    ///
    /// # Errors
    /// A name cannot be in a certificate, or no key can be made.
    pub fn sign(&self, names: &[String], now: SystemTime) -> Result<Leaf, IssueError> {
        self.current.sign(names, now)
    }

    /// Whether a server has to replace its certificate: two thirds of its life are over, or another authority signed it.
    pub fn outdates(&self, leaf: &Leaf, now: SystemTime) -> bool {
        let age = now.duration_since(leaf.created()).unwrap_or(Duration::ZERO);
        age >= leaf.lifetime() * 2 / 3 || !self.signed(leaf)
    }

    /// Whether a certificate that is outdated had better be used on for a while: it is trusted, and the authority that is to sign a new one is younger
    /// than `settling`, so that there may be API servers and replicas that have not heard of it.
    pub fn spares(&self, leaf: &Leaf, settling: Duration, now: SystemTime) -> bool {
        let age = |created: SystemTime| now.duration_since(created).unwrap_or(Duration::ZERO);
        let trusted = self.previous.iter().any(|previous| previous.pem() == leaf.issuer());
        trusted && age(self.current.certificate.created()) < settling && age(leaf.created()) < leaf.lifetime() * 2 / 3
    }
}

/// The authorities among certificates, each once, in PEM as it was given.
fn authorities(certificates: impl IntoIterator<Item = String>) -> Vec<CaCertificate> {
    let mut authorities: Vec<CaCertificate> = Vec::new();
    for authority in certificates.into_iter().filter_map(|pem| CaCertificate::from_pem(pem.as_bytes()).ok()) {
        if authorities.len() < MAX_PREVIOUS && authorities.iter().all(|known| known.pem() != authority.pem()) {
            authorities.push(authority);
        }
    }
    authorities
}

impl Ca {
    /// Reads an authority and its key.
    ///
    /// # Errors
    /// One of the two is missing or malformed, or they do not belong together.
    fn read(data: &SecretData, certificate_name: &'static str, key_name: &'static str) -> Result<Self, ContentsError> {
        let get = |name| data.get(name).ok_or(ContentsError::Missing(name));
        let certificate = CaCertificate::from_pem(get(certificate_name)?).map_err(|why| ContentsError::Unusable(certificate_name, why))?;
        let unusable = |why: String| ContentsError::Unusable(key_name, why);
        let key = String::from_utf8(get(key_name)?.clone()).map_err(|error| unusable(error.to_string()))?;
        certificate.expect_key(&key).map_err(unusable)?;
        Ok(Self { certificate, key: PrivateKey::from_pem(key) })
    }
}

#[cfg(test)]
mod tests;
