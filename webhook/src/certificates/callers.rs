//! Who may ask for reviews, where callers have to show a certificate: whoever has one of an authority in a file, and this process itself.
//!
//! The file is read again and again, as the server's own pair is, and one that cannot be used changes nothing. Who was let in stays until his connection
//! ends; no session is resumed, so whoever connects anew is looked at anew. Who is refused is told in the log, but not each: callers are not trusted to be
//! few.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use thiserror::Error;
use tracing::{info, warn};

use super::POLL_INTERVAL;

/// The log tells of refused callers no more often than this.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// Why a file with authorities cannot be used.
#[derive(Debug, Error)]
pub enum CallersError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its PEM.
    #[error("{} is not PEM: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Nobody would be let in.
    #[error("{} has no certificate: it has to hold those that signed the certificates of callers, in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in it.
    #[error("{} has a certificate that cannot be used: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// Those who are let in.
pub struct Callers {
    path: PathBuf,
    /// Nobody but this process has a certificate from it.
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<dyn ClientCertVerifier>>,
    refusals: Mutex<Refusals>,
}

impl Callers {
    /// Lets in who has a certificate of an authority in the file at `path`, or of `own`.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else than certificates of authorities.
    pub fn open(path: PathBuf, own: CertificateDer<'static>) -> Result<Arc<Self>, CallersError> {
        let provider = Arc::new(ring::default_provider());
        let current = RwLock::new(verifier(&path, &read(&path)?, &own, &provider)?);
        Ok(Arc::new(Self { path, own, provider, current, refusals: Mutex::default() }))
    }

    /// Keeps true to the file, until dropped. The same failure is told once.
    pub async fn follow(&self) {
        let mut last = None;
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let read = read(&self.path).map_err(|error| error.to_string());
            if last.as_ref() == Some(&read) {
                continue;
            }
            let is_first = last.is_none();
            let used = match &read {
                Ok(pem) => self.replace(pem).map_err(|error| error.to_string()),
                Err(error) => Err(error.clone()),
            };
            match used {
                Ok(()) if !is_first => info!(path = %self.path.display(), "the authorities of callers changed"),
                Ok(()) => {}
                Err(error) => warn!(error, "the authorities of callers cannot be read again; the previous ones are kept"),
            }
            last = Some(read);
        }
    }

    fn replace(&self, pem: &[u8]) -> Result<(), CallersError> {
        let verifier = verifier(&self.path, pem, &self.own, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = verifier;
        Ok(())
    }

    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, error: &rustls::Error) {
        if let Some(refused) = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now()) {
            warn!(refused, %error, authorities = %self.path.display(), "refused a caller's certificate; so many since it was told last");
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CallersError> {
    std::fs::read(path).map_err(|source| CallersError::Read { path: path.to_owned(), source })
}

fn verifier(
    path: &Path,
    pem: &[u8],
    own: &CertificateDer<'static>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, CallersError> {
    let unusable = |why: String| CallersError::Certificate { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|source| CallersError::Pem { path: path.to_owned(), source })?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(CallersError::NoCertificate { path: path.to_owned() });
    }
    roots.add(own.clone()).map_err(|error| unusable(error.to_string()))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    verifier.map_err(|error| unusable(error.to_string()))
}

/// How many were refused, and when that was told last.
#[derive(Debug, Default)]
struct Refusals {
    told: Option<Instant>,
    untold: u64,
}

impl Refusals {
    /// Counts one; how many there were since it was told last, if it is time to tell.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.untold = self.untold.saturating_add(1);
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_INTERVAL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Callers {
    /// None: callers show what they have. The hints of now would bind those that change.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.current().verify_client_cert(end_entity, intermediates, now).inspect_err(|error| self.tell(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> String {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn own() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(authority().as_bytes()).unwrap()
    }

    #[test]
    fn refuses_a_file_that_would_let_nobody_in_and_says_what_it_has_to_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        let error = || Callers::open(path.clone(), own()).unwrap_err().to_string();
        assert!(error().starts_with("cannot read "));
        for text in ["", "no certificate"] {
            std::fs::write(&path, text).unwrap();
            assert!(error().ends_with("has no certificate: it has to hold those that signed the certificates of callers, in PEM"));
        }
        std::fs::write(&path, authority()).unwrap();
        assert!(Callers::open(path, own()).is_ok());
    }

    #[test]
    fn the_log_tells_of_the_first_refusal_and_of_the_number_of_others_later() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.count(now), Some(1));
        for _ in 0..100 {
            assert_eq!(refusals.count(now + TELL_INTERVAL / 2), None);
        }
        assert_eq!(refusals.count(now + TELL_INTERVAL), Some(101));
    }
}
