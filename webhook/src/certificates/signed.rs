//! Certificates that this server signs for itself, with an authority from a mounted Secret.
//!
//! The certificate is in memory only and short-lived. It is signed anew when two thirds of its life are over or another authority signs; the time is
//! looked at with every poll, so that a process that was paused misses nothing. An authority that has expired by this clock signs nothing: a certificate of
//! it would be no better than the one in use, which by the caller's clock may be valid. Nor does one that has not got around yet
//! ([`trusted`](super::trusted)); until then who signed the certificate in use is trusted, too.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use super::trusted::{Trusted, Waiting};
use super::{CertificateError, Pair};
use crate::authority::{Authority, Leaf, SecretData};

/// A folder with an authority, and the certificate that was signed with it last.
#[derive(Debug)]
pub struct Signed {
    folder: PathBuf,
    names: Vec<String>,
    leaf: Leaf,
    /// The last failure that was told: the same one is told once.
    told: Option<String>,
    waiting: Waiting,
}

impl Signed {
    /// Reads the authority in `folder` and signs the first certificate, for the DNS names or addresses `names`.
    ///
    /// # Errors
    /// The folder holds no authority that can be used, or no certificate can be made.
    pub fn open(folder: PathBuf, names: Vec<String>, now: SystemTime) -> Result<(Self, Pair), CertificateError> {
        let leaf = read(&folder)?.sign(&names, now)?;
        let pair = Pair::from_pem(leaf.chain().as_bytes(), leaf.key().as_bytes())?;
        Ok((Self { folder, names, leaf, told: None, waiting: Waiting::default() }, pair))
    }

    /// A new certificate, if the one in use is due.
    ///
    /// # Errors
    /// The authority cannot be used any more; the same failure is told once.
    pub fn renew(&mut self, now: SystemTime, trusted: &Trusted) -> Result<Option<Pair>, CertificateError> {
        match self.try_renew(now, trusted) {
            Ok(pair) => {
                self.told = None;
                Ok(pair)
            }
            Err(error) => {
                let told = self.told.replace(error.to_string());
                if told == self.told { Ok(None) } else { Err(error) }
            }
        }
    }

    /// What has to be trusted: what the folder says, and who signed the certificate in use.
    pub fn bundle(&self) -> Option<String> {
        read(&self.folder).ok().map(|authority| authority.bundle_with(&self.leaf))
    }

    /// Whether the folder could be used when it was looked at last.
    pub const fn is_well(&self) -> bool {
        self.told.is_none()
    }

    fn try_renew(&mut self, now: SystemTime, trusted: &Trusted) -> Result<Option<Pair>, CertificateError> {
        let authority = read(&self.folder)?;
        if !authority.outdates(&self.leaf, now) {
            return Ok(None);
        }
        if now >= authority.expires() {
            return Err(CertificateError::AuthorityExpired);
        }
        // The same authority is known already, or will be as soon as this server is.
        let is_another = !authority.signed(&self.leaf);
        if is_another && self.waiting.goes_on(trusted, &authority.bundle_with(&self.leaf), now, self.leaf.expires()) {
            return Ok(None);
        }
        let leaf = authority.sign(&self.names, now)?;
        let pair = Pair::from_pem(leaf.chain().as_bytes(), leaf.key().as_bytes())?;
        self.leaf = leaf;
        Ok(Some(pair))
    }
}

fn read(folder: &PathBuf) -> Result<Authority, CertificateError> {
    let failed = |source| CertificateError::Read { path: folder.clone(), source };
    let mut data = SecretData::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.')) else { continue };
        data.insert(name.to_owned(), super::read(&path)?);
    }
    Ok(Authority::read(&data)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::authority::{LEAF_LIFETIME, Step};

    fn store(folder: &tempfile::TempDir, authority: &Authority) {
        for (name, value) in authority.write() {
            fs::write(folder.path().join(name), value).unwrap();
        }
    }

    #[test]
    fn signs_anew_when_the_certificate_is_old_and_when_the_authority_changes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(now).unwrap();
        store(&folder, &authority);
        let (mut signed, first) = Signed::open(folder.path().to_owned(), vec!["webhook.svc".to_owned()], now).unwrap();
        assert_eq!(first.expires(), now + LEAF_LIFETIME);
        assert!(signed.renew(now + LEAF_LIFETIME / 2, &Trusted::default()).unwrap().is_none());
        let later = now + LEAF_LIFETIME * 2 / 3;
        assert_eq!(signed.renew(later, &Trusted::default()).unwrap().unwrap().expires(), later + LEAF_LIFETIME);

        let prepared = authority.after(Step::Prepare, later).unwrap();
        store(&folder, &prepared);
        assert!(signed.renew(later, &Trusted::default()).unwrap().is_none(), "the next authority does not sign yet");
        store(&folder, &prepared.after(Step::Promote, later).unwrap());
        assert!(signed.renew(later, &Trusted::default()).unwrap().is_some());
    }

    #[test]
    fn another_authority_signs_once_it_is_registered_and_the_former_is_trusted_until_then() {
        let now = SystemTime::now();
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (Authority::create(now).unwrap(), Authority::create(now).unwrap());
        store(&folder, &one);
        let (mut signed, _) = Signed::open(folder.path().to_owned(), vec!["webhook.svc".to_owned()], now).unwrap();
        let trusted = Trusted::default();
        trusted.is_registered_here();
        trusted.settle(&one.bundle());
        store(&folder, &two);
        assert!(signed.renew(now, &trusted).unwrap().is_none());
        let both = signed.bundle().unwrap();
        assert_eq!(both, two.bundle() + &one.bundle());
        trusted.settle(&both);
        assert!(signed.renew(now, &trusted).unwrap().is_some());
        assert_eq!(signed.bundle().unwrap(), two.bundle());
    }

    #[test]
    fn an_authority_that_has_expired_signs_nothing_and_that_is_told_once() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(now).unwrap();
        store(&folder, &authority);
        let (mut signed, _) = Signed::open(folder.path().to_owned(), vec!["webhook.svc".to_owned()], now).unwrap();
        assert_eq!(signed.renew(authority.expires(), &Trusted::default()).unwrap_err().to_string(), "the authority has expired");
        assert!(signed.renew(authority.expires(), &Trusted::default()).unwrap().is_none());
        store(&folder, &Authority::create(authority.expires()).unwrap());
        assert!(signed.renew(authority.expires(), &Trusted::default()).unwrap().is_some());
    }

    #[test]
    fn keeps_its_certificate_while_the_authority_cannot_be_read_and_tells_once() {
        let now = SystemTime::now();
        let folder = tempfile::tempdir().unwrap();
        store(&folder, &Authority::create(now).unwrap());
        let (mut signed, _) = Signed::open(folder.path().to_owned(), vec!["webhook.svc".to_owned()], now).unwrap();
        fs::remove_file(folder.path().join("ca.key")).unwrap();
        assert_eq!(
            signed.renew(now, &Trusted::default()).unwrap_err().to_string(),
            "the authority cannot be used: the Secret has no ca.key"
        );
        assert!(signed.renew(now, &Trusted::default()).unwrap().is_none());
    }
}
