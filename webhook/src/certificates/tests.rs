use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Issued {
    chain: String,
    key: String,
}

fn issue(name: &str) -> Issued {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    Issued { chain: certificate.pem(), key: key.serialize_pem() }
}

fn fingerprint(pair: &Pair) -> Vec<u8> {
    pair.key.cert[0].to_vec()
}

/// A folder as the kubelet mounts a Secret: files are symlinks into `..data`, itself a symlink that is swapped.
struct Mount {
    folder: tempfile::TempDir,
    generation: u32,
}

impl Mount {
    fn new(issued: &Issued) -> Self {
        let mut mount = Self { folder: tempfile::tempdir().unwrap(), generation: 0 };
        mount.update(&issued.chain, &issued.key);
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), mount.folder.path().join(name)).unwrap();
        }
        mount
    }

    fn update(&mut self, chain: &str, key: &str) {
        self.generation += 1;
        let folder = self.folder.path();
        let data = folder.join(format!("..{}", self.generation));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("tls.crt"), chain).unwrap();
        fs::write(data.join("tls.key"), key).unwrap();
        symlink(&data, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }

    fn open(&self) -> (Files, Pair) {
        Files::open(self.folder.path().join("tls.crt"), self.folder.path().join("tls.key")).unwrap()
    }
}

#[test]
fn accepts_a_chain_and_serves_all_of_it() {
    let (own, issuer) = (issue("own"), issue("issuer"));
    let pair = Pair::from_pem(format!("{}{}", own.chain, issuer.chain).as_bytes(), own.key.as_bytes()).unwrap();
    assert_eq!(pair.key.cert.len(), 2);
    assert!(pair.expires() > SystemTime::now());
}

#[test]
fn refuses_what_is_not_a_pair_and_says_why() {
    let (one, other) = (issue("one"), issue("other"));
    let error = |chain: &str, key: &str| Pair::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("", &one.key), "the certificate file has no certificate");
    assert_eq!(error(&one.chain, &other.key), "the private key does not belong to the certificate");
    assert!(error(&one.chain, "").starts_with("the key file has no private key in PEM"));
    assert!(
        error("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &one.key).starts_with("the certificate cannot be parsed")
    );
}

#[test]
fn sees_the_swap_of_a_mounted_secret() {
    let (old, new) = (issue("old"), issue("new"));
    let mut mount = Mount::new(&old);
    let (mut files, first) = mount.open();
    assert!(files.reread().unwrap().is_none(), "nothing changed");
    mount.update(&new.chain, &new.key);
    let second = files.reread().unwrap().unwrap();
    assert_ne!(fingerprint(&first), fingerprint(&second));
    assert!(files.reread().unwrap().is_none(), "nothing changed since");
}

#[tokio::test]
async fn keeps_the_pair_in_use_when_the_files_become_unusable_and_recovers() {
    let (old, new) = (issue("old"), issue("new"));
    let mut mount = Mount::new(&old);
    let path = |name: &str| mount.folder.path().join(name);
    let (mounted, first) = Mounted::open(path("tls.crt"), path("tls.key"), None).unwrap();
    let mut source = Source::Files(Box::new(mounted));
    let current = CurrentPair::new(first.clone());
    let health = Health::default();

    mount.update(&new.chain, &old.key);
    follow_once(&mut source, SystemTime::now(), &current, &Trusted::default(), &health).await;
    assert_eq!(fingerprint(&current.get()), fingerprint(&first));
    assert_eq!(health.certificate().reload_error.as_deref(), Some("the private key does not belong to the certificate"));
    assert_eq!(health.certificate().expires, Some(first.expires()));

    mount.update(&new.chain, &new.key);
    follow_once(&mut source, SystemTime::now(), &current, &Trusted::default(), &health).await;
    assert_ne!(fingerprint(&current.get()), fingerprint(&first));
    assert_eq!(health.certificate().reload_error, None);
}

#[tokio::test]
async fn what_can_be_renewed_again_is_no_error_any_more_though_nothing_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &[u8]| fs::write(folder.path().join(name), value).unwrap();
    let data = crate::authority::Authority::create(SystemTime::now()).unwrap().write();
    data.iter().for_each(|(name, value)| write(name, value));
    let (signed, pair) = Signed::open(folder.path().to_owned(), vec!["localhost".to_owned()], SystemTime::now()).unwrap();
    let (mut source, current, health) = (Source::Signed(Box::new(signed)), CurrentPair::new(pair), Health::default());
    for (key, failed) in [(&b"nonsense"[..], true), (&data["ca.key"][..], false)] {
        write("ca.key", key);
        follow_once(&mut source, SystemTime::now(), &current, &Trusted::default(), &health).await;
        assert_eq!(health.certificate().reload_error.is_some(), failed);
        follow_once(&mut source, SystemTime::now(), &current, &Trusted::default(), &health).await;
        assert_eq!(health.certificate().reload_error.is_some(), failed, "nor is an error forgotten that is told once");
    }
}

#[test]
fn tells_once_that_files_are_gone() {
    let mount = Mount::new(&issue("a"));
    let (mut files, _) = mount.open();
    fs::remove_file(mount.folder.path().join("tls.key")).unwrap();
    assert!(files.reread().unwrap_err().to_string().starts_with("cannot read "));
    assert!(files.reread().unwrap().is_none());
}

#[test]
fn a_clock_that_jumps_ahead_is_told_from_one_that_goes_on_or_jumps_back() {
    let (start, passed) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000), Instant::now());
    let hour = Duration::from_secs(60 * 60);
    assert_eq!(jump((start, passed), (start + hour, passed)), Some(hour));
    assert_eq!(jump((start, passed), (start + hour, passed + hour)), None, "it took that long");
    assert_eq!(jump((start, passed), (start - hour, passed)), None);
}
