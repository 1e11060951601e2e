//! The certificate authority in the cluster: a Secret and a webhook configuration that several replicas keep up.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/object_store.rs"]
mod object_store;

use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use object_store::ObjectStore;
use portcullis_webhook::authority::{CA_LIFETIME, LEAF_LIFETIME, OVERLAP};
use portcullis_webhook::certificates::stored::{Store, Stored};
use serde_json::{Value, json};

const SECRET: &str = "/api/v1/namespaces/portcullis-system/secrets/ca";
const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/portcullis";

const INTERVAL: Duration = Duration::from_secs(30);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

async fn cluster() -> (ObjectStore, Store) {
    let (objects, client) = ObjectStore::start().await;
    let webhook = |name: &str| json!({"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": {"service": {"namespace": "n", "name": "s"}}});
    objects.set(
        CONFIGURATION,
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "portcullis", "resourceVersion": "1"},
            "webhooks": [webhook("pods.portcullis.dev"), webhook("templates.portcullis.dev")],
        }),
    );
    let store = Store::new(client, "portcullis-system", "ca".to_owned(), "portcullis".to_owned());
    (objects, store)
}

fn decode(value: &Value) -> String {
    let bytes: ByteString = serde_json::from_value(value.clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

/// What every webhook of the configuration trusts.
fn bundle(objects: &ObjectStore) -> String {
    let configuration = objects.get(CONFIGURATION).unwrap();
    let bundles: Vec<String> =
        configuration["webhooks"].as_array().unwrap().iter().map(|webhook| decode(&webhook["clientConfig"]["caBundle"])).collect();
    assert!(bundles.windows(2).all(|pair| pair[0] == pair[1]), "the webhooks trust different authorities");
    bundles[0].clone()
}

/// Somebody writes what the webhooks trust.
fn trust(objects: &ObjectStore, bundle: &str) {
    let mut configuration = objects.get(CONFIGURATION).unwrap();
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"]["caBundle"] = json!(bundle);
    }
    objects.set(CONFIGURATION, configuration);
}

#[tokio::test]
async fn makes_an_authority_publishes_it_and_leaves_both_alone_from_then_on() {
    let (objects, store) = cluster().await;
    let authority = store.keep_up(start(), None).await.unwrap();
    assert_eq!(bundle(&objects), authority.bundle());
    assert_eq!(decode(&objects.get(SECRET).unwrap()["data"]["ca.crt"]), authority.bundle());
    let writes = objects.writes();
    assert_eq!(writes, [format!("POST {SECRET}"), format!("PATCH {CONFIGURATION}")]);
    assert_eq!(store.keep_up(start() + LEAF_LIFETIME, None).await.unwrap().bundle(), authority.bundle());
    assert_eq!(objects.writes(), writes);
}

#[tokio::test]
async fn replicas_that_start_at_once_agree_on_one_authority() {
    let (objects, store) = cluster().await;
    let replicas: Vec<_> = (0..5)
        .map(|_| store.clone())
        .map(|store| tokio::spawn(async move { store.keep_up(start(), None).await.unwrap().bundle() }))
        .collect();
    let mut bundles = Vec::new();
    for replica in replicas {
        bundles.push(replica.await.unwrap());
    }
    assert!(bundles.iter().all(|other| *other == bundles[0]));
    assert_eq!(bundle(&objects), bundles[0]);
    assert_eq!(objects.writes().iter().filter(|write| write.contains("secrets")).count(), 1);
}

#[tokio::test]
async fn renews_the_authority_so_that_it_is_trusted_before_it_signs() {
    let (objects, store) = cluster().await;
    let first = store.keep_up(start(), None).await.unwrap().bundle();
    let prepare = start() + CA_LIFETIME * 2 / 3;
    store.keep_up(prepare, None).await.unwrap();
    assert_eq!(bundle(&objects).matches("BEGIN CERTIFICATE").count(), 2);
    assert!(bundle(&objects).starts_with(&first), "the first one signs still");
    store.keep_up(prepare + OVERLAP, None).await.unwrap();
    assert_eq!(bundle(&objects).matches("BEGIN CERTIFICATE").count(), 2);
    assert!(bundle(&objects).ends_with(&first), "the first one is trusted still");
    store.keep_up(prepare + OVERLAP * 2 + LEAF_LIFETIME, None).await.unwrap();
    assert!(!bundle(&objects).contains(&first));
}

/// Ways to spoil a Secret.
fn spoilings(objects: &ObjectStore) -> [Box<dyn Fn() + '_>; 2] {
    [
        Box::new(|| objects.delete(SECRET)),
        Box::new(|| {
            let mut secret = objects.get(SECRET).unwrap();
            secret["data"]["ca.key"] = json!("AAAA");
            objects.set(SECRET, secret);
        }),
    ]
}

#[tokio::test]
async fn recovers_from_a_secret_that_was_deleted_or_spoilt_and_trusts_both_authorities_before_the_new_one_signs() {
    let (objects, store) = cluster().await;
    let (mut stored, _) = Stored::open(store, vec!["webhook.svc".to_owned()], INTERVAL, start()).await.unwrap();
    let mut now = start();
    for spoil in spoilings(&objects) {
        let before = stored.bundle().to_owned();
        spoil();
        now += INTERVAL;
        assert!(stored.renew(now).await.unwrap().is_none(), "nobody knows the new authority yet");
        let new = decode(&objects.get(SECRET).unwrap()["data"]["ca.crt"]);
        assert_eq!(bundle(&objects), format!("{new}{before}"));
        now += INTERVAL * 4;
        assert!(stored.renew(now).await.unwrap().is_some(), "everybody knows it");
        assert_eq!(bundle(&objects), format!("{new}{before}"), "other replicas may use theirs still");
    }
}

#[tokio::test]
async fn a_replica_whose_certificate_nobody_trusts_any_more_signs_anew_at_once() {
    let (objects, store) = cluster().await;
    let (mut stored, _) = Stored::open(store.clone(), vec!["webhook.svc".to_owned()], INTERVAL, start()).await.unwrap();
    objects.delete(SECRET);
    trust(&objects, "");
    store.keep_up(start() + INTERVAL, None).await.unwrap();
    assert!(stored.renew(start() + INTERVAL).await.unwrap().is_some());
}

#[tokio::test]
async fn puts_its_bundle_back_when_somebody_overwrites_it() {
    let (objects, store) = cluster().await;
    let authority = store.keep_up(start(), None).await.unwrap();
    trust(&objects, "");
    store.keep_up(start(), None).await.unwrap();
    assert_eq!(bundle(&objects), authority.bundle());
}

#[tokio::test]
async fn a_replica_that_starts_without_the_secret_leaves_the_certificates_of_others_trusted() {
    let (objects, store) = cluster().await;
    let names = || vec!["webhook.svc".to_owned()];
    let (mut old, _) = Stored::open(store.clone(), names(), INTERVAL, start()).await.unwrap();
    let before = bundle(&objects);
    objects.delete(SECRET);
    let (new, _) = Stored::open(store.clone(), names(), INTERVAL, start() + INTERVAL).await.unwrap();
    let new = new.bundle().to_owned();
    assert!(new.ends_with(&before) && new != before, "both are trusted");
    assert_eq!(bundle(&objects), new);
    assert!(old.renew(start() + INTERVAL).await.unwrap().is_none(), "what it serves with is trusted");
    assert!(old.renew(start() + INTERVAL * 5).await.unwrap().is_some());

    // Taken out of the Secret, it is trusted no longer.
    let mut secret = objects.get(SECRET).unwrap();
    secret["data"].as_object_mut().unwrap().remove("previous-ca.crt");
    objects.set(SECRET, secret);
    store.keep_up(start() + INTERVAL * 6, None).await.unwrap();
    assert_eq!(format!("{}{before}", bundle(&objects)), new);
}

#[tokio::test]
async fn a_secret_of_another_type_is_filled_and_keeps_what_else_it_holds() {
    let (objects, store) = cluster().await;
    let data = json!({"tls.crt": "YQ==", "tls.key": "Yg==", "next-ca.crt": "Yw=="});
    objects.set(
        SECRET,
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ca", "resourceVersion": "1"}, "type": "kubernetes.io/tls", "data": data}),
    );
    let authority = store.keep_up(start(), None).await.unwrap();
    let secret = objects.get(SECRET).unwrap();
    assert_eq!(decode(&secret["data"]["ca.crt"]), authority.bundle());
    assert_eq!((&secret["data"]["tls.crt"], &secret["type"]), (&json!("YQ=="), &json!("kubernetes.io/tls")));
    assert_eq!(secret["data"]["next-ca.crt"], Value::Null, "what is the authority's own is as the authority is");
}

#[tokio::test]
async fn says_what_to_do_about_a_secret_that_nobody_can_change() {
    let (objects, store) = cluster().await;
    objects
        .set(SECRET, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ca", "resourceVersion": "1"}, "immutable": true}));
    let error = store.keep_up(start(), None).await.unwrap_err().to_string();
    assert_eq!(error, "the Secret ca is immutable, and has to be written: delete it, and it is made anew");
}

#[tokio::test]
async fn publishes_for_whatever_webhooks_there_are_and_changes_nothing_else_of_them() {
    let (objects, store) = cluster().await;
    store.keep_up(start(), None).await.unwrap();
    let mut configuration = objects.get(CONFIGURATION).unwrap();
    configuration["webhooks"].as_array_mut().unwrap().truncate(1);
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = json!("");
    configuration["webhooks"][0]["fieldOfTomorrow"] = json!({"a": 1});
    objects.set(CONFIGURATION, configuration);
    let authority = store.keep_up(start(), None).await.unwrap();
    let webhooks = objects.get(CONFIGURATION).unwrap()["webhooks"].clone();
    assert_eq!(webhooks.as_array().unwrap().len(), 1);
    assert_eq!((bundle(&objects), &webhooks[0]["fieldOfTomorrow"]), (authority.bundle(), &json!({"a": 1})));
}

#[tokio::test]
async fn is_well_again_once_the_api_server_answers_though_no_certificate_is_due() {
    let (objects, store) = cluster().await;
    let (mut stored, _) = Stored::open(store, vec!["webhook.svc".to_owned()], INTERVAL, start()).await.unwrap();
    trust(&objects, "");
    objects.refuse_writes(Some(403));
    stored.renew(start() + INTERVAL).await.unwrap_err();
    assert!(stored.renew(start() + INTERVAL).await.unwrap().is_none() && !stored.is_well(), "it was not looked at since");
    objects.refuse_writes(None);
    assert!(stored.renew(start() + INTERVAL * 2).await.unwrap().is_none() && stored.is_well());
}

#[tokio::test]
async fn serves_though_there_is_no_webhook_configuration_yet() {
    let (objects, store) = cluster().await;
    objects.delete(CONFIGURATION);
    assert!(store.keep_up(start(), None).await.is_ok());
}

#[tokio::test]
async fn keeps_its_certificate_while_the_api_server_refuses() {
    let (objects, store) = cluster().await;
    let (mut stored, _) = Stored::open(store, vec!["webhook.svc".to_owned()], INTERVAL, start()).await.unwrap();
    objects.delete(SECRET);
    objects.refuse_writes(Some(403));
    let error = stored.renew(start() + Duration::from_secs(60)).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot write the Secret: "), "{error}");
    assert!(stored.renew(start() + Duration::from_secs(61)).await.unwrap().is_none(), "it does not ask all the time");
    objects.refuse_writes(None);
    assert!(stored.renew(start() + Duration::from_secs(120)).await.unwrap().is_none());
    assert!(objects.get(SECRET).is_some());
    assert!(stored.renew(start() + Duration::from_secs(240)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_clock_that_jumps_past_the_authoritys_end_loses_nobody() {
    let (objects, store) = cluster().await;
    let names = || vec!["webhook.svc".to_owned()];
    let (mut other, _) = Stored::open(store.clone(), names(), INTERVAL, start()).await.unwrap();
    let (mut stored, before) = Stored::open(store, names(), INTERVAL, start()).await.unwrap();
    let old = bundle(&objects);
    let ahead = start() + CA_LIFETIME * 2;
    let after = stored.renew(ahead).await.unwrap().expect("the certificate has expired by this clock");
    assert!(after.expires() > ahead && before.expires() < ahead);
    let both = bundle(&objects);
    assert!(both.ends_with(&old) && both != old, "both are trusted");
    assert!(stored.renew(ahead + INTERVAL).await.unwrap().is_none());
    assert!(other.renew(start() + INTERVAL).await.unwrap().is_none(), "who has the right time serves on");
    assert_eq!(bundle(&objects), both);
}
