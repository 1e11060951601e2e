use std::collections::VecDeque;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;
use crate::certificates::Pair;

const NAME: &str = "portcullis-webhook.portcullis-system.svc";

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn days(days: u32) -> Duration {
    DAY * days
}

/// Whether a client that trusts `bundle` accepts `leaf` at `now`.
fn accepts(bundle: &str, leaf: &Leaf, now: SystemTime) -> bool {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let certificate = CertificateDer::from_pem_slice(leaf.chain().as_bytes()).unwrap();
    let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    verifier.verify_server_cert(&certificate, &[], &ServerName::try_from(NAME).unwrap(), &[], now).is_ok()
}

fn names() -> Vec<String> {
    vec![NAME.to_owned()]
}

#[test]
fn signs_certificates_that_a_server_can_use_and_a_client_accepts() {
    let authority = Authority::create(start()).unwrap();
    let leaf = authority.sign(&names(), start()).unwrap();
    let pair = Pair::from_pem(leaf.chain().as_bytes(), leaf.key().as_bytes()).unwrap();
    assert_eq!(pair.expires(), start() + LEAF_LIFETIME);
    assert!(accepts(&authority.bundle(), &leaf, start()));
    assert!(!accepts(&authority.bundle(), &leaf, start() + LEAF_LIFETIME + days(1)), "it has expired");
    assert!(!accepts(&Authority::create(start()).unwrap().bundle(), &leaf, start()), "another authority did not sign it");
}

#[test]
fn a_certificate_never_outlives_its_authority() {
    let authority = Authority::create(start()).unwrap();
    let late = start() + CA_LIFETIME - days(2);
    let leaf = authority.sign(&names(), late).unwrap();
    assert_eq!(leaf.lifetime(), days(2));
    assert!(authority.outdates(&leaf, late + days(2)));
}

#[test]
fn reads_back_what_it_writes_with_every_part() {
    let mut authority = Authority::create(start()).unwrap();
    authority =
        authority.after(Step::Prepare, start()).unwrap().after(Step::Promote, start()).unwrap().after(Step::Prepare, start()).unwrap();
    let data = authority.write();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["ca.crt", "ca.key", "next-ca.crt", "next-ca.key", "previous-ca.crt"]);
    let read = Authority::read(&data).unwrap();
    assert_eq!(read.write(), data);
    assert_eq!(read.bundle().matches("BEGIN CERTIFICATE").count(), 3);
}

#[test]
fn refuses_contents_that_it_cannot_use_and_says_why() {
    let data = Authority::create(start()).unwrap().write();
    let other = Authority::create(start()).unwrap().write();
    let error = |change: &dyn Fn(&mut SecretData)| {
        let mut data = data.clone();
        change(&mut data);
        Authority::read(&data).unwrap_err().to_string()
    };
    assert_eq!(Authority::read(&SecretData::new()).unwrap_err().to_string(), "the Secret has no ca.crt");
    assert_eq!(error(&|data| _ = data.remove("ca.key")), "the Secret has no ca.key");
    assert_eq!(
        error(&|data| _ = data.insert("ca.key".to_owned(), other["ca.key"].clone())),
        "ca.key of the Secret cannot be used: it is not the key of the certificate"
    );
    assert!(error(&|data| _ = data.insert("ca.crt".to_owned(), vec![0xff])).starts_with("ca.crt of the Secret cannot be used: "));
    let leaf = Authority::create(start()).unwrap().sign(&names(), start()).unwrap();
    assert_eq!(
        error(&|data| _ = data.insert("ca.crt".to_owned(), leaf.chain().as_bytes().to_vec())),
        "ca.crt of the Secret cannot be used: it is not an authority's certificate"
    );
}

#[test]
fn takes_a_next_or_previous_authority_that_it_cannot_read_for_none() {
    let mut data = Authority::create(start()).unwrap().write();
    for key in ["next-ca.crt", "next-ca.key", "previous-ca.crt"] {
        data.insert(key.to_owned(), b"x".to_vec());
    }
    assert_eq!(Authority::read(&data).unwrap().write().len(), 2);
}

#[test]
fn a_clock_that_jumps_back_changes_nothing_and_one_that_jumps_ahead_starts_anew() {
    let authority = Authority::create(start()).unwrap();
    assert_eq!(next_step(start() - days(400), Some(&authority)), Step::Keep);
    assert_eq!(next_step(start() + days(400), Some(&authority)), Step::Create);
    assert_eq!(next_step(start(), None), Step::Create);
}

#[test]
fn what_a_clock_that_is_ahead_makes_is_accepted_by_one_that_is_right() {
    let old = Authority::create(start()).unwrap();
    let in_use = old.sign(&names(), start()).unwrap();
    for ahead in [LEAF_LIFETIME * 2 / 3, LEAF_LIFETIME + days(1), CA_LIFETIME + days(1), days(20_000)] {
        let then = start() + ahead;
        let step = next_step(then, Some(&old));
        assert_eq!(step == Step::Create, ahead > CA_LIFETIME);
        let new = Authority::read(&old.clone().after(step, then).unwrap().write()).unwrap();
        assert!(new.outdates(&in_use, then));
        let leaf = new.sign(&names(), then).unwrap();
        for clock in [start(), then] {
            assert!(accepts(&new.bundle(), &leaf, clock), "{ahead:?} ahead");
        }
        assert!(new.trusts(&in_use) && accepts(&new.bundle(), &in_use, start()), "other replicas serve on, {ahead:?} ahead");
        assert_eq!(next_step(then, Some(&new)), Step::Keep, "and are not forgotten at the next look");
    }
}

#[test]
fn what_was_made_tells_when_it_was_made() {
    let read = |authority: &Authority| CaCertificate::from_pem(authority.bundle().as_bytes()).unwrap();
    let authority = read(&Authority::create(start()).unwrap());
    assert_eq!((authority.created(), authority.lifetime()), (start(), CA_LIFETIME));
}

#[test]
fn an_expired_authority_gives_way_to_the_one_that_was_prepared() {
    let authority = Authority::create(start()).unwrap().after(Step::Prepare, start() + days(300)).unwrap();
    assert_eq!(next_step(start() + days(366), Some(&authority)), Step::Promote);
}

/// Ten years of a Secret that is looked at once an hour, of three replicas that look at it at different times, and of API servers that see a bundle
/// hours after it was published.
#[test]
fn for_ten_years_no_client_meets_a_certificate_that_it_cannot_check() {
    const HOUR: Duration = Duration::from_secs(3600);
    const LAG_HOURS: usize = 12;
    let mut now = start();
    let mut authority = Authority::create(now).unwrap();
    let mut bundles: VecDeque<String> = VecDeque::from([authority.bundle()]);
    let mut replicas = vec![authority.sign(&names(), now).unwrap(); 3];
    let mut steps = [0_u32; 5];
    for hour in 0..10 * 365 * 24_usize {
        now += HOUR;
        let step = next_step(now, Some(&authority));
        steps[step as usize] += 1;
        if step != Step::Keep {
            authority = Authority::read(&authority.after(step, now).unwrap().write()).unwrap();
        }
        bundles.push_back(authority.bundle());
        if bundles.len() > LAG_HOURS {
            bundles.pop_front();
        }
        let replica = hour % 3;
        if authority.outdates(&replicas[replica], now) {
            replicas[replica] = authority.sign(&names(), now).unwrap();
        }
        // Checking signatures is slow; around every step all hours are checked, else one a week.
        if step != Step::Keep || bundles.front() != bundles.back() || hour % 168 == 0 {
            for leaf in &replicas {
                assert!(accepts(&bundles[0], leaf, now), "hour {hour}, by a bundle {LAG_HOURS} hours old");
                assert!(accepts(bundles.back().unwrap(), leaf, now), "hour {hour}, by the newest bundle");
            }
        }
    }
    let [_, created, prepared, promoted, forgotten] = steps;
    assert_eq!(created, 0, "the first one was renewed, never replaced");
    assert!(prepared >= 14 && prepared - promoted <= 1 && promoted - forgotten <= 1, "{steps:?}");
}
