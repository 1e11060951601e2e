//! A certificate from files, and, where the server registers itself, the certificates that the API server is to trust for it.
//!
//! Whoever writes the files may change both at once, as cert-manager does when its authority is renewed. The API server cannot: it hears of the new
//! authority a moment later. So the former is trusted along with the new one until the new certificate is used, and that waits until the new one has got
//! around ([`trusted`](super::trusted)).

use std::path::PathBuf;
use std::time::SystemTime;

use super::bundle::line_ended;
use super::trusted::{Trusted, Waiting};
use super::{CertificateError, Files, Pair};

/// The files, and what they held.
#[derive(Debug)]
pub struct Mounted {
    files: Files,
    bundle: Option<PathBuf>,
    /// The file's contents, and those that the certificate in use may need.
    trusted: Option<String>,
    formerly_trusted: Option<String>,
    /// When the certificate in use expires.
    expires: SystemTime,
    held: Option<Pair>,
    waiting: Waiting,
}

impl Mounted {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be read, or are no pair.
    pub fn open(chain: PathBuf, key: PathBuf, bundle: Option<PathBuf>) -> Result<(Self, Pair), CertificateError> {
        let (files, pair) = Files::open(chain, key)?;
        let trusted = bundle.as_ref().map(read).transpose()?;
        let mounted =
            Self { files, bundle, trusted, formerly_trusted: None, expires: pair.expires(), held: None, waiting: Waiting::default() };
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
    pub fn renew(&mut self, now: SystemTime, trusted: &Trusted) -> Result<Option<Pair>, CertificateError> {
        // In this order: where all change in between, what has to be trusted is known before what needs it.
        let reread = self.files.reread();
        self.reread_bundle();
        if let Some(pair) = reread? {
            self.held = Some(pair);
        }
        if self.held.is_none() || self.must_wait(now, trusted) {
            return Ok(None);
        }
        let pair = self.held.take();
        self.expires = pair.as_ref().map_or(self.expires, Pair::expires);
        self.formerly_trusted = None;
        Ok(pair)
    }

    /// Where what has to be trusted is as it was, there is nothing to wait for.
    fn must_wait(&mut self, now: SystemTime, trusted: &Trusted) -> bool {
        let Some(bundle) = self.formerly_trusted.as_ref().and_then(|_| self.bundle()) else { return false };
        self.waiting.goes_on(trusted, &bundle, now, self.expires)
    }

    /// What cannot be read just now is as good as nothing new. Of several changes while a certificate waits, the first says what the one in use needs.
    fn reread_bundle(&mut self) {
        let Some(read) = self.bundle.as_ref().and_then(|path| read(path).ok()) else { return };
        if self.trusted.as_ref() != Some(&read) {
            let before = self.trusted.replace(read);
            self.formerly_trusted = self.formerly_trusted.take().or(before);
        }
    }
}

fn read(path: &PathBuf) -> Result<String, CertificateError> {
    let text = std::fs::read_to_string(path).map_err(|source| CertificateError::Read { path: path.clone(), source })?;
    Ok(line_ended(&text))
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

    /// A bundle that has to be published here.
    fn registered() -> Trusted {
        let trusted = Trusted::default();
        trusted.is_registered_here();
        trusted
    }

    #[test]
    fn uses_a_new_certificate_of_the_same_authority_at_once() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "one\n");
        let mut mounted = open(&folder);
        write(&folder, "one\n");
        assert!(mounted.renew(SystemTime::now(), &registered()).unwrap().is_some());
        assert_eq!(mounted.bundle().as_deref(), Some("one\n"));
    }

    #[test]
    fn holds_back_one_of_another_authority_until_both_are_registered_and_forgets_the_former_then() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "one");
        let (mut mounted, trusted) = (open(&folder), registered());
        trusted.settle("one\n");
        write(&folder, "two");
        let now = SystemTime::now();
        assert!(mounted.renew(now, &trusted).unwrap().is_none());
        let both = mounted.bundle().unwrap();
        assert_eq!(both, "two\none\n");
        assert!(mounted.renew(now, &trusted).unwrap().is_none(), "however often it is asked");
        trusted.settle(&both);
        assert!(mounted.renew(now, &trusted).unwrap().is_some());
        assert!(mounted.renew(now, &trusted).unwrap().is_none(), "it is in use already");
        assert_eq!(mounted.bundle().as_deref(), Some("two\n"), "nobody needs the other one here");
    }

    #[test]
    fn what_the_certificate_in_use_needs_is_trusted_through_several_changes() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "one");
        let (mut mounted, trusted) = (open(&folder), registered());
        for (authority, expected) in [("two", "two\none\n"), ("three", "three\none\n")] {
            write(&folder, authority);
            assert!(mounted.renew(SystemTime::now(), &trusted).unwrap().is_none());
            assert_eq!(mounted.bundle().as_deref(), Some(expected));
        }
    }

    #[test]
    fn holds_nothing_back_when_the_one_in_use_has_expired() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "one");
        let mut mounted = open(&folder);
        write(&folder, "two");
        let late = mounted.expires;
        assert!(mounted.renew(late, &registered()).unwrap().is_some());
    }
}
