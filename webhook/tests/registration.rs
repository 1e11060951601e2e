//! The registration, kept before an API server that has what webhooks are registered with: what is written over what is there.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/client.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod client;
#[path = "support/object_store.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod object_store;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use client::Running;
use k8s_openapi::ByteString;
use object_store::ObjectStore;
use portcullis_webhook::certificates::trusted::Trusted;
use portcullis_webhook::health::{CertificateHealth, Health};
use portcullis_webhook::listener::Limits;
use portcullis_webhook::policies::Policies;
use portcullis_webhook::registration::answer::{Identity, Oneself};
use portcullis_webhook::registration::registrar::Registrar;
use portcullis_webhook::registration::{FailurePolicy, Reached, Registration};
use serde_json::{Value, json};

const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/portcullis";
const HOME: &str = "/api/v1/namespaces/home";

/// A server that registers itself as `portcullis`.
struct Scene {
    objects: ObjectStore,
    server: Running,
    registrar: Arc<Registrar>,
}

impl Scene {
    async fn new() -> Self {
        Self::registering_after(Duration::ZERO).await
    }

    async fn registering_after(first_after: Duration) -> Self {
        let (objects, client) = ObjectStore::start().await;
        objects.set(HOME, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "home", "uid": "u-1"}}));
        let server = Running::start(Limits::default()).await;
        let registration = Registration {
            name: "portcullis".to_owned(),
            reached: Reached::Url("https://localhost:8443/validate".to_owned()),
            namespaces: std::collections::BTreeMap::new(),
            excluded: ["kube-system".to_owned()].into(),
            failure_policy: FailurePolicy::Fail,
            namespace_labels: false,
            applied_policies: false,
            first_after,
        };
        let identity = Arc::new(Identity::create().unwrap());
        let oneself = Oneself { address: server.address, name: "localhost".to_owned(), identity };
        let trusted = Arc::new(Trusted::new(Some(server.certificate.clone())));
        let policies = Arc::new(Policies::default());
        let registrar = Registrar::new(client, registration, Some("home".to_owned()), oneself, trusted, policies);
        Self { objects, server, registrar: Arc::new(registrar) }
    }

    /// Keeps the registration from now on.
    fn keep(&self) {
        let health = Health::default();
        let expires = Some(SystemTime::now() + Duration::from_secs(60 * 60));
        health.set_certificate(CertificateHealth { expires, reload_error: None });
        let registrar = Arc::clone(&self.registrar);
        tokio::spawn(async move { registrar.keep(&health).await });
    }

    fn configuration(&self) -> Value {
        self.objects.get(CONFIGURATION).unwrap_or_default()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let configuration = self.configuration();
            if is_so(&configuration) {
                return configuration;
            }
            assert!(Instant::now() < deadline, "{what}: {configuration}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Changes the configuration behind the registrar's back, before it looks for the first time.
    async fn registered_and_changed(change: impl Fn(&mut Value)) -> Self {
        let scene = Self::new().await;
        scene.keep();
        let mut configuration = scene.until("it is registered", |configuration| configuration.is_object()).await;
        change(&mut configuration);
        let again = Self::new().await;
        again.objects.set(CONFIGURATION, configuration);
        again.keep();
        again
    }
}

fn names(configuration: &Value) -> Vec<&str> {
    configuration["webhooks"].as_array().into_iter().flatten().filter_map(|webhook| webhook["name"].as_str()).collect()
}

fn policies(configuration: &Value) -> Vec<&str> {
    configuration["webhooks"].as_array().into_iter().flatten().filter_map(|webhook| webhook["failurePolicy"].as_str()).collect()
}

fn bundle(configuration: &Value) -> String {
    let bytes: ByteString = serde_json::from_value(configuration["webhooks"][0]["clientConfig"]["caBundle"].clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_not_wanted_any_more_goes_whoever_wrote_it() {
    let obsolete = json!({"name": "policies.portcullis.dev", "clientConfig": {"caBundle": "YQ=="}});
    let scene = Scene::registered_and_changed(|configuration| {
        configuration["webhooks"].as_array_mut().unwrap().push(obsolete.clone());
        configuration["metadata"]["labels"]["team"] = json!("ours");
    })
    .await;
    let configuration = scene.until("it is written", |configuration| names(configuration).len() == 2).await;
    assert_eq!(names(&configuration), ["fail-closed.portcullis.dev", "fail-open.portcullis.dev"]);
    assert_eq!(configuration["metadata"]["labels"]["team"], "ours", "what others added beside stays");
    assert_eq!(scene.objects.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn registers_nothing_before_it_was_noticed_that_it_is_ready_and_keeps_up_what_is_there() {
    let scene = Scene::registering_after(Duration::from_secs(60 * 60)).await;
    scene.keep();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(scene.configuration(), Value::Null, "a replica has looked three times");
    scene.objects.set(CONFIGURATION, json!({"metadata": {"name": "portcullis", "resourceVersion": "1"}, "webhooks": []}));
    scene.until("it is written", |configuration| names(configuration).len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_replica_has_published_stays_trusted() {
    let other = Running::start(Limits::default()).await.certificate.clone();
    let published = other.clone();
    let scene = Scene::registered_and_changed(move |configuration| {
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]["caBundle"] = json!(ByteString(published.clone().into_bytes()));
        }
    })
    .await;
    let own = scene.server.certificate.clone();
    let configuration = scene.until("its own is trusted", |configuration| bundle(configuration).contains(&own)).await;
    assert_eq!(bundle(&configuration), format!("{own}{other}"));
    assert_eq!(scene.objects.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_opens_what_fails_closed_only_where_its_namespace_is_being_deleted() {
    let scene = Scene::new().await;
    scene.keep();
    scene.until("it is registered", |configuration| configuration.is_object()).await;
    scene.registrar.leave().await;
    assert_eq!(policies(&scene.configuration()), ["Fail", "Ignore"]);
    let ending = json!({"name": "home", "uid": "u-1", "deletionTimestamp": "2026-01-01T00:00:00Z"});
    scene.objects.set(HOME, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": ending}));
    scene.registrar.leave().await;
    assert_eq!(policies(&scene.configuration()), ["Ignore", "Ignore"]);
    // What somebody took out of force is his.
    let mut broken = scene.configuration();
    broken["webhooks"][0]["failurePolicy"] = json!("Fail");
    broken["metadata"]["annotations"] = json!({"portcullis.dev/break-glass": "[]"});
    scene.objects.set(CONFIGURATION, broken);
    scene.registrar.leave().await;
    assert_eq!(policies(&scene.configuration()), ["Fail", "Ignore"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_looks_while_its_namespace_is_being_deleted_registers_nothing_that_fails_closed() {
    let scene = Scene::new().await;
    let ending = json!({"name": "home", "uid": "u-1", "deletionTimestamp": "2026-01-01T00:00:00Z"});
    scene.objects.set(HOME, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": ending}));
    scene.keep();
    let configuration = scene.until("it is registered", |configuration| configuration.is_object()).await;
    assert_eq!(policies(&configuration), ["Ignore", "Ignore"]);
}
