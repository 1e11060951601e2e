//! What a configuration's webhooks are to trust: `caBundle`, and what may be written to it.
//!
//! | who writes | what |
//! |---|---|
//! | the keeper of an authority in a Secret ([`stored`](super::stored)) | what the Secret says, which all replicas share: that, and nothing else |
//! | the registration, wherever its certificates are from | [`merged`]: its own, and what others published, until it ends |
//!
//! Replicas see new files up to a minute apart, and none knows what the others serve with. So nobody takes away what another may need, and who finds his
//! own there changes nothing: two replicas agree after one write each.

use std::time::SystemTime;

use k8s_openapi::ByteString;
use kube::api::DynamicObject;
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::authority::certificates;

/// So many certificates of others are kept, the ones that were published last: a bundle goes to every API server, and no rollout has more generations.
const MAX_OTHERS: usize = 8;

/// What to publish where the webhooks have these bundles, for a server that needs `own`: what is there, if it has all of that and nothing that ended;
/// else its own certificates, then those of others that have not ended.
pub fn merged(published: &[String], own: &str, now: SystemTime) -> String {
    let ours: Vec<CertificateDer<'_>> = certificates(own).map(|(_, certificate)| certificate).collect();
    let there: Vec<(String, CertificateDer<'_>)> = published.iter().flat_map(|bundle| certificates(bundle)).collect();
    let is_kept = |other: &CertificateDer<'_>| ours.contains(other) || !has_ended(other, now);
    let is_there = |own: &CertificateDer<'_>| there.iter().any(|(_, certificate)| certificate == own);
    if let [bundle] = published
        && !ours.is_empty()
        && ours.iter().all(is_there)
        && there.iter().all(|(_, certificate)| is_kept(certificate))
        && there.len() <= ours.len().saturating_add(MAX_OTHERS)
    {
        return bundle.clone();
    }
    let mut others: Vec<(String, CertificateDer<'_>)> = Vec::new();
    for (pem, other) in there {
        if !ours.contains(&other) && !has_ended(&other, now) && others.iter().all(|(_, kept)| *kept != other) {
            others.push((pem, other));
        }
    }
    std::iter::once(line_ended(own)).chain(others.into_iter().take(MAX_OTHERS).map(|(pem, _)| pem)).collect()
}

fn has_ended(certificate: &CertificateDer<'_>, now: SystemTime) -> bool {
    super::expiry(certificate).is_ok_and(|end| end <= now)
}

/// The certificates of bundles, each in PEM, without those that cannot be read.
pub fn each(bundles: &[String]) -> impl Iterator<Item = String> {
    bundles.iter().flat_map(|bundle| certificates(bundle)).map(|(pem, _)| pem)
}

/// The webhooks of a configuration.
pub fn webhooks(configuration: &DynamicObject) -> &Value {
    configuration.data.get("webhooks").unwrap_or(&Value::Null)
}

/// The bundles of a configuration's webhooks, each once.
pub fn published(webhooks: &Value) -> Vec<String> {
    let mut bundles: Vec<String> = Vec::new();
    for bundle in webhooks.as_array().into_iter().flatten().filter_map(bundle_of) {
        if !bundles.contains(&bundle) {
            bundles.push(bundle);
        }
    }
    bundles
}

fn bundle_of(webhook: &Value) -> Option<String> {
    let bytes: ByteString = serde_json::from_value(webhook.pointer("/clientConfig/caBundle")?.clone()).ok()?;
    String::from_utf8(bytes.0).ok()
}

/// The webhooks, all of which trust `bundle`; nothing if they do.
pub fn trusting(webhooks: &Value, bundle: &str) -> Option<Value> {
    let Ok(wanted) = serde_json::to_value(ByteString(bundle.as_bytes().to_vec())) else { return None };
    let mut trusting = webhooks.clone();
    for webhook in trusting.as_array_mut().into_iter().flatten() {
        if let Some(config) = webhook.get_mut("clientConfig").and_then(Value::as_object_mut) {
            config.insert("caBundle".to_owned(), wanted.clone());
        }
    }
    (trusting != *webhooks).then_some(trusting)
}

/// The same text, so that what follows begins a line of its own.
pub(super) fn line_ended(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
    }

    /// A certificate that is good for so long.
    fn certificate(left: Duration) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.not_after = (now() + left).into();
        params.self_signed(&key).unwrap().pem()
    }

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn nobody_takes_away_what_another_published_until_it_ends() {
        let (old, new) = (certificate(HOUR), certificate(HOUR * 3));
        assert_eq!(merged(&[], &old, now()), old);
        let both = merged(std::slice::from_ref(&old), &new, now());
        assert_eq!(both, format!("{new}{old}"));
        assert_eq!(merged(std::slice::from_ref(&both), &old, now()), both, "who has the old one still finds it there");
        assert_eq!(merged(std::slice::from_ref(&both), &new, now()), both, "who starts with the new one, too");
        assert_eq!(merged(&[both], &new, now() + HOUR * 2), new);
    }

    #[test]
    fn replicas_that_hold_different_files_agree_after_one_write_each() {
        let own: Vec<String> = (0..3).map(|_| certificate(HOUR)).collect();
        let mut published = Vec::new();
        let mut writes = 0;
        for own in own.iter().cycle().take(30) {
            let next = vec![merged(&published, own, now())];
            writes += usize::from(next != published);
            published = next;
        }
        assert_eq!(writes, own.len());
        assert!(own.iter().all(|own| published[0].contains(own)));
    }

    #[test]
    fn what_webhooks_do_not_have_in_common_comes_together() {
        let (one, two) = (certificate(HOUR), certificate(HOUR));
        assert_eq!(merged(&[one.clone(), format!("{two}{one}")], &two, now()), format!("{two}{one}"));
        assert_eq!(merged(&["nonsense".to_owned()], &one, now()), one);
    }

    #[test]
    fn what_others_published_is_bounded() {
        let others: String = (0..20).map(|_| certificate(HOUR)).collect();
        let own = certificate(HOUR);
        let published = merged(&[others], &own, now());
        assert_eq!(certificates(&published).count(), MAX_OTHERS + 1);
        assert_eq!(merged(std::slice::from_ref(&published), &own, now()), published);
    }

    #[test]
    fn a_webhook_that_trusts_something_else_is_changed_and_nothing_but_what_it_trusts() {
        let webhook = |bundle: &str| serde_json::json!({"name": "a", "later": {"field": 1}, "clientConfig": {"url": "https://a/", "caBundle": bundle}});
        let (before, after) = (Value::Array(vec![webhook("YQ=="), webhook("Yg==")]), Value::Array(vec![webhook("Yg=="), webhook("Yg==")]));
        assert_eq!(published(&before), ["a", "b"]);
        assert_eq!(trusting(&before, "b").as_ref(), Some(&after));
        assert_eq!(trusting(&after, "b"), None);
    }
}
