//! Making keys and certificates.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use thiserror::Error;

use super::pem::PrivateKey;
use super::{CA_LIFETIME, Ca, CaCertificate, FIRST_DAY, LEAF_LIFETIME};

/// Why a certificate cannot be made.
#[derive(Debug, Error)]
pub enum IssueError {
    /// The key or the certificate itself.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// What was made cannot be read back.
    #[error("a certificate that was made cannot be read: {0}")]
    ReadBack(String),
}

/// A server's certificate and key, in memory only.
#[derive(Debug, Clone)]
pub struct Leaf {
    chain: String,
    key: PrivateKey,
    issuer: String,
    created: SystemTime,
    expires: SystemTime,
}

impl Leaf {
    /// The certificate, in PEM.
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// The private key, in PEM.
    pub fn key(&self) -> &str {
        self.key.pem()
    }

    /// When it was made.
    pub const fn created(&self) -> SystemTime {
        self.created
    }

    /// When it expires.
    pub const fn expires(&self) -> SystemTime {
        self.expires
    }

    /// From the time that it was made until it expires.
    pub fn lifetime(&self) -> Duration {
        self.expires.duration_since(self.created).unwrap_or(Duration::ZERO)
    }

    /// The certificate of the authority that signed it, in PEM.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// A time with seconds only, as certificates have it; otherwise what is read back would differ from what was made.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since.as_secs())).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn later(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or(time)
}

impl Ca {
    pub(super) fn create(now: SystemTime) -> Result<Self, IssueError> {
        let now = whole_seconds(now);
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut params = CertificateParams::default();
        // Each authority has a name of its own, so that clients find the right one among several.
        params.distinguished_name = named(&format!("Portcullis webhook CA {seconds}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.not_before = FIRST_DAY.into();
        params.not_after = later(now, CA_LIFETIME).into();
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let certificate = CaCertificate::from_pem(certificate.pem().as_bytes()).map_err(IssueError::ReadBack)?;
        Ok(Self { certificate, key: PrivateKey::from_pem(key.serialize_pem()) })
    }

    pub(super) fn sign(&self, names: &[String], now: SystemTime) -> Result<Leaf, IssueError> {
        let now = whole_seconds(now);
        let expires = later(now, LEAF_LIFETIME).min(self.certificate.expires());
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named("Portcullis webhook");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = FIRST_DAY.into();
        params.not_after = expires.into();
        let issuer = Issuer::from_ca_cert_pem(self.certificate.pem(), KeyPair::from_pem(self.key.pem())?)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Leaf {
            chain: certificate.pem(),
            key: PrivateKey::from_pem(key.serialize_pem()),
            issuer: self.certificate.pem().to_owned(),
            created: now,
            expires,
        })
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
