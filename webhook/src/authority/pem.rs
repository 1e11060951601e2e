//! Certificates of authorities, read from PEM and checked; private keys.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{CA_LIFETIME, FIRST_DAY};

/// Where a certificate begins and ends in PEM.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates in a text, in PEM with a line's end, without those that cannot be read.
pub(crate) fn certificates(text: &str) -> impl Iterator<Item = (String, CertificateDer<'static>)> {
    text.split_inclusive(END).filter_map(|part| {
        let pem = format!("{}\n", part.get(part.find(BEGIN)?..)?);
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        Some((pem, der))
    })
}

/// An authority's certificate.
#[derive(Debug, Clone)]
pub struct CaCertificate {
    pem: String,
    public_key: Vec<u8>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl CaCertificate {
    /// Reads one certificate.
    ///
    /// # Errors
    /// It is none, or not an authority's; the text says why.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(pem).map_err(|error| error.to_string())?;
        let der = CertificateDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| error.to_string())?;
        if !parsed.is_ca() {
            return Err("it is not an authority's certificate".to_owned());
        }
        let time = |seconds: i64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        Ok(Self {
            pem: text.to_owned(),
            public_key: parsed.public_key().raw.to_vec(),
            not_before: time(parsed.validity().not_before.timestamp()).ok_or("its first day is out of range")?,
            not_after: time(parsed.validity().not_after.timestamp()).ok_or("its last day is out of range")?,
        })
    }

    /// The certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// When it was made: where its first day does not tell, as with those that are made here, its last day does.
    pub fn created(&self) -> SystemTime {
        if self.not_before > FIRST_DAY { self.not_before } else { self.not_after.checked_sub(CA_LIFETIME).unwrap_or(FIRST_DAY) }
    }

    /// When it expires.
    pub const fn expires(&self) -> SystemTime {
        self.not_after
    }

    /// From the time that it was made until it expires.
    pub fn lifetime(&self) -> Duration {
        self.not_after.duration_since(self.created()).unwrap_or(Duration::ZERO)
    }

    /// Checks that a private key, in PEM, is this certificate's.
    pub(super) fn expect_key(&self, key: &str) -> Result<(), String> {
        let pair = KeyPair::from_pem(key).map_err(|error| error.to_string())?;
        if pair.subject_public_key_info() == self.public_key { Ok(()) } else { Err("it is not the key of the certificate".to_owned()) }
    }
}

/// A private key in PEM, which does not show itself.
#[derive(Clone)]
pub(super) struct PrivateKey(String);

impl PrivateKey {
    pub(super) const fn from_pem(pem: String) -> Self {
        Self(pem)
    }

    pub(super) fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
