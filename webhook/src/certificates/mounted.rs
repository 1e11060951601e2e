//! A certificate from files, and, where the server registers itself, the certificates that the API server is to trust for it.
//!
//! Whoever writes the files may change both at once, as cert-manager does when its authority is renewed. The API server cannot: it hears of the new
//! authority a moment later. So the former is trusted along with the new one, and the new certificate is held back until that has got around.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{CertificateError, Files, Pair};

/// From the time that another authority is published until a certificate of it is used.
const SETTLING: Duration = Duration::from_secs(5);

/// The files, and what they held.
#[derive(Debug)]
pub struct Mounted {
    files: Files,
    bundle: Option<PathBuf>,
    /// The file's contents, and those before.
    trusted: Option<String>,
    formerly_trusted: Option<String>,
    /// When the contents changed last.
    changed: Option<SystemTime>,
    /// When the certificate in use expires.
    expires: SystemTime,
    held: Option<Pair>,
}

impl Mounted {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be read, or are no pair.
    pub fn open(chain: PathBuf, key: PathBuf, bundle: Option<PathBuf>) -> Result<(Self, Pair), CertificateError> {
        let (files, pair) = Files::open(chain, key)?;
        let trusted = bundle.as_ref().map(read).transpose()?;
        let mounted = Self { files, bundle, trusted, formerly_trusted: None, changed: None, expires: pair.expires(), held: None };
        Ok((mounted, pair))
    }

    /// What has to be trusted, in PEM.
    pub fn bundle(&self) -> Option<String> {
        let trusted = self.trusted.clone()?;
        Some([trusted, self.formerly_trusted.clone().unwrap_or_default()].concat())
    }

    /// Reads the files again: a pair that is to be used from now on, if there is one.
    ///
    /// # Errors
    /// They changed, and cannot be used. The same failure is told once.
    pub fn renew(&mut self, now: SystemTime) -> Result<Option<Pair>, CertificateError> {
        // In this order: where all change in between, what has to be trusted is known before what needs it.
        let reread = self.files.reread();
        self.reread_bundle(now);
        if let Some(pair) = reread? {
            self.held = Some(pair);
        }
        let settling = self.changed.is_some_and(|changed| now.duration_since(changed).is_ok_and(|since| since < SETTLING));
        if settling && now < self.expires {
            return Ok(None);
        }
        let pair = self.held.take();
        self.expires = pair.as_ref().map_or(self.expires, Pair::expires);
        Ok(pair)
    }

    /// What cannot be read just now is as good as nothing new.
    fn reread_bundle(&mut self, now: SystemTime) {
        let Some(read) = self.bundle.as_ref().and_then(|path| read(path).ok()) else { return };
        if self.trusted.as_ref() != Some(&read) {
            self.formerly_trusted = self.trusted.replace(read);
            self.changed = Some(now);
        }
    }
}

fn read(path: &PathBuf) -> Result<String, CertificateError> {
    let mut text = std::fs::read_to_string(path).map_err(|source| CertificateError::Read { path: path.clone(), source })?;
    // What follows begins a line of its own.
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Writes a certificate that ends with the century, and as its authority that text.
    fn write(folder: &tempfile::TempDir, authority: &str) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(folder.path().join("tls.crt"), certificate.pem()).unwrap();
        fs::write(folder.path().join("tls.key"), key.serialize_pem()).unwrap();
        fs::write(folder.path().join("ca.crt"), authority).unwrap();
    }

    fn open(folder: &tempfile::TempDir) -> Mounted {
        let path = |name: &str| folder.path().join(name);
        Mounted::open(path("tls.crt"), path("tls.key"), Some(path("ca.crt"))).unwrap().0
    }

    #[test]
    fn uses_a_new_certificate_of_the_same_authority_at_once() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "one\n");
        let mut mounted = open(&folder);
        write(&folder, "one\n");
        assert!(mounted.renew(SystemTime::now()).unwrap().is_some());
        assert_eq!(mounted.bundle().as_deref(), Some("one\n"));
    }

    #[test]
    fn holds_back_one_of_another_authority_until_both_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "one");
        let mut mounted = open(&folder);
        write(&folder, "two");
        let now = SystemTime::now();
        assert!(mounted.renew(now).unwrap().is_none());
        assert_eq!(mounted.bundle().as_deref(), Some("two\none\n"));
        assert!(mounted.renew(now + SETTLING / 2).unwrap().is_none());
        assert!(mounted.renew(now + SETTLING).unwrap().is_some());
        assert!(mounted.renew(now + SETTLING * 2).unwrap().is_none(), "it is in use already");
    }

    #[test]
    fn holds_nothing_back_when_the_one_in_use_has_expired() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "one");
        let mut mounted = open(&folder);
        write(&folder, "two");
        let late = mounted.expires;
        assert!(mounted.renew(late).unwrap().is_some());
    }
}
