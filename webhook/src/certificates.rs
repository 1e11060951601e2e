//! The server's certificate, which may change while it serves: from files, or signed here with an authority from a
//! folder ([`signed`]) or from the cluster ([`stored`]).
//!
//! The kubelet updates a mounted Secret by swapping a symlink (`..data`), so watching the files themselves would miss it, and the two are never read in
//! one step. So the *contents* are polled, a pair is used only if its key belongs to its certificate, and a pair that cannot be used changes nothing:
//! the one in use serves on. Handshakes take the current pair from memory; no connection is dropped when it changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tracing::{info, warn};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::{ContentsError, IssueError};
use crate::health::{CertificateHealth, Health};

pub mod bundle;
pub mod callers;
pub mod mounted;
pub mod signed;
pub mod stored;
pub mod trusted;

use mounted::Mounted;
use signed::Signed;
use stored::{StoreError, Stored};
use trusted::Trusted;

/// How often the source is looked at. The kubelet takes up to a minute to bring a changed Secret into a pod.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// A clock that gets ahead by more than this from one look to the next was set, or stood still while the process was suspended.
const JUMP: Duration = Duration::from_secs(60);

/// Why a certificate and key cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The chain's PEM.
    #[error("the certificate file is not PEM: {0}")]
    ChainPem(#[source] rustls::pki_types::pem::Error),
    /// No certificate in it.
    #[error("the certificate file has no certificate")]
    NoCertificate,
    /// The certificate itself.
    #[error("the certificate cannot be parsed: {0}")]
    Certificate(String),
    /// The key's PEM.
    #[error("the key file has no private key in PEM: {0}")]
    KeyPem(#[source] rustls::pki_types::pem::Error),
    /// The key itself.
    #[error("the private key cannot be used: {0}")]
    Key(#[source] rustls::Error),
    /// The key of another certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The authority that should sign.
    #[error("the authority cannot be used: {0}")]
    Authority(#[from] ContentsError),
    /// What it signed would have expired, too.
    #[error("the authority has expired")]
    AuthorityExpired,
    /// Signing.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The authority in the cluster.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A chain, its key, and when the first certificate of the chain expires.
#[derive(Debug, Clone)]
pub struct Pair {
    key: Arc<CertifiedKey>,
    expires: SystemTime,
}

impl Pair {
    /// Reads a pair from PEM.
    ///
    /// # Errors
    /// One of the two is missing or malformed, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>().map_err(CertificateError::ChainPem)?;
        let own = chain.first().ok_or(CertificateError::NoCertificate)?;
        let expires = expiry(own)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateError::KeyPem)?;
        let key = ring::sign::any_supported_type(&key).map_err(CertificateError::Key)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| CertificateError::Mismatch)?;
        Ok(Self { key: Arc::new(certified), expires })
    }

    /// When the certificate expires.
    pub const fn expires(&self) -> SystemTime {
        self.expires
    }
}

fn expiry(certificate: &CertificateDer<'_>) -> Result<SystemTime, CertificateError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| CertificateError::Certificate(error.to_string()))?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// The pair that handshakes use now.
pub struct CurrentPair(RwLock<Pair>);

impl CurrentPair {
    /// Starts with a pair.
    pub const fn new(pair: Pair) -> Self {
        Self(RwLock::new(pair))
    }

    /// Uses another pair from the next handshake on.
    pub fn replace(&self, pair: Pair) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
    }

    /// The pair in use.
    pub fn get(&self) -> Pair {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for CurrentPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentPair").field("expires", &self.get().expires).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for CurrentPair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get().key)
    }
}

/// The two files, and what they held when they were last read.
#[derive(Debug)]
pub struct Files {
    chain: PathBuf,
    key: PathBuf,
    last: Contents,
}

#[derive(Debug, PartialEq, Eq)]
enum Contents {
    Read {
        chain: Vec<u8>,
        key: Vec<u8>,
    },
    /// The error's text: the same error twice is no change.
    Failed(String),
}

impl Files {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be read, or are no pair.
    pub fn open(chain: PathBuf, key: PathBuf) -> Result<(Self, Pair), CertificateError> {
        let (chain_pem, key_pem) = (read(&chain)?, read(&key)?);
        let pair = Pair::from_pem(&chain_pem, &key_pem)?;
        Ok((Self { chain, key, last: Contents::Read { chain: chain_pem, key: key_pem } }, pair))
    }

    /// Reads the files again: the pair, if they changed.
    ///
    /// # Errors
    /// They changed, and cannot be read or are no pair. The same failure is told once.
    pub fn reread(&mut self) -> Result<Option<Pair>, CertificateError> {
        let read = read(&self.chain).and_then(|chain| Ok((chain, read(&self.key)?)));
        let (chain, key) = match read {
            Ok(contents) => contents,
            Err(error) => {
                let failed = Contents::Failed(error.to_string());
                let told = self.last == failed;
                self.last = failed;
                return if told { Ok(None) } else { Err(error) };
            }
        };
        let contents = Contents::Read { chain, key };
        if self.last == contents {
            return Ok(None);
        }
        self.last = contents;
        let Contents::Read { chain, key } = &self.last else { return Ok(None) };
        Pair::from_pem(chain, key).map(Some)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

/// Where certificates come from.
#[derive(Debug)]
pub enum Source {
    /// Files with a pair.
    Files(Box<Mounted>),
    /// An authority in a folder.
    Signed(Box<Signed>),
    /// An authority in the cluster.
    Stored(Box<Stored>),
}

impl Source {
    async fn poll(&mut self, now: SystemTime, trusted: &Trusted) -> Result<Option<Pair>, CertificateError> {
        match self {
            Self::Files(mounted) => mounted.renew(now, trusted),
            Self::Signed(signed) => signed.renew(now, trusted),
            Self::Stored(stored) => stored.renew(now).await,
        }
    }

    /// Whether the last look found all as it should be, though nothing new. Of files only another pair says so.
    fn is_well(&self) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Signed(signed) => signed.is_well(),
            Self::Stored(stored) => stored.is_well(),
        }
    }

    /// What has to be trusted by who calls this server. What cannot be read just now is as good as nothing new.
    pub fn bundle(&self) -> Option<String> {
        match self {
            Self::Files(mounted) => mounted.bundle(),
            Self::Signed(signed) => signed.bundle(),
            Self::Stored(stored) => Some(stored.bundle().to_owned()),
        }
    }
}

/// Keeps `current`, `trusted` and `health` true to the source, until dropped.
pub async fn follow(mut source: Source, current: Arc<CurrentPair>, trusted: Arc<Trusted>, health: Arc<Health>) {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = (SystemTime::now(), Instant::now());
    loop {
        ticks.tick().await;
        let mut bundle = trusted.lock().await;
        let now = SystemTime::now();
        let looked = (now, Instant::now());
        if let Some(jump) = jump(last, looked) {
            warn!(seconds = jump.as_secs(), "the clock jumped ahead; certificates are renewed by what it says now");
        }
        last = looked;
        follow_once(&mut source, now, &current, &trusted, &health).await;
        health.renewal_tried(now);
        let now = source.bundle();
        if now.is_some() && *bundle != now {
            *bundle = now;
            trusted.tell();
        }
    }
}

/// By how much the clock got ahead of the time that passed, if it is worth a word.
fn jump((last, last_passed): (SystemTime, Instant), (now, passed): (SystemTime, Instant)) -> Option<Duration> {
    let elapsed = passed.saturating_duration_since(last_passed);
    now.duration_since(last).ok()?.checked_sub(elapsed).filter(|jump| *jump > JUMP)
}

async fn follow_once(source: &mut Source, now: SystemTime, current: &CurrentPair, trusted: &Trusted, health: &Health) {
    match source.poll(now, trusted).await {
        Ok(None) if source.is_well() && health.certificate().reload_error.is_some() => {
            info!("the certificate can be renewed again");
            health.set_certificate(CertificateHealth { expires: Some(current.get().expires), reload_error: None });
        }
        Ok(None) => {}
        Ok(Some(pair)) => {
            info!(expires = unix_seconds(pair.expires), "certificate changed");
            health.set_certificate(CertificateHealth { expires: Some(pair.expires), reload_error: None });
            current.replace(pair);
        }
        Err(error) => {
            warn!(%error, "the certificate cannot be renewed; the previous one is kept");
            health.set_certificate(CertificateHealth { expires: Some(current.get().expires), reload_error: Some(error.to_string()) });
        }
    }
}

/// A time as the log shows it.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
