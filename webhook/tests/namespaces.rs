//! Following the labels of namespaces, from an API server on loopback.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/api_server.rs"]
mod api_server;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api_server::ApiServer;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use portcullis_admission::{Exemptions, NamespaceLookup, Settings, Standards, Templates};
use portcullis_webhook::health::{CertificateHealth, Health};
use portcullis_webhook::namespaces::{Labelled, Namespaces};
use portcullis_webhook::routes;
use portcullis_webhook::service::Service;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

struct Follower {
    api: ApiServer,
    namespaces: Namespaces,
    health: Arc<Health>,
}

fn defaults() -> Standards {
    Standards::enforcing("baseline".parse().unwrap())
}

/// Follows the labels of an API server that has the given namespaces, once all are known.
async fn follow(namespaces: &[(&str, Value)]) -> Follower {
    let (api, client) = ApiServer::start().await;
    for (name, labels) in namespaces {
        api.set(name, labels.clone());
    }
    let labelled = Arc::new(Labelled::new(client, defaults()));
    let health = Arc::new(Health::default());
    health.set_certificate(CertificateHealth { expires: Some(SystemTime::now() + Duration::from_secs(60)), reload_error: None });
    health.await_namespaces();
    assert!(!health.readiness().0);
    let (follower, follower_health) = (Arc::clone(&labelled), Arc::clone(&health));
    tokio::spawn(async move { follower.follow(&follower_health).await });
    let follower = Follower { api, namespaces: Namespaces::Labelled(labelled), health };
    until(async || follower.health.readiness().0).await;
    follower
}

impl Follower {
    async fn enforced(&self, name: &str) -> String {
        match self.namespaces.lookup(name).await {
            NamespaceLookup::Found(namespace) => namespace.standards.enforce.to_string(),
            NamespaceLookup::Failed(why) => format!("failed: {why}"),
        }
    }

    /// The status of the answer to a pod that only `restricted` denies; 0 if it is allowed.
    async fn create_pod(&self, namespace: &str) -> u64 {
        let response = self.ask(json!({
            "operation": "CREATE", "namespace": namespace, "object": {"spec": {"containers": [{"name": "a"}]}},
            "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
        }));
        response.await["status"]["code"].as_u64().unwrap_or(0)
    }

    /// The answer to a change of a namespace's labels.
    async fn relabel(&self, name: &str, old: Value, new: Value) -> Value {
        let response = self.ask(json!({
            "operation": "UPDATE", "name": name, "namespace": name,
            "object": {"metadata": {"name": name, "labels": new}}, "oldObject": {"metadata": {"name": name, "labels": old}},
            "kind": {"group": "", "version": "v1", "kind": "Namespace"}, "resource": {"group": "", "version": "v1", "resource": "namespaces"},
        }));
        response.await
    }

    async fn ask(&self, mut request: Value) -> Value {
        let exemptions = Exemptions { runtime_classes: ["kata".to_owned()].into(), ..Exemptions::default() };
        let settings = Settings { defaults: defaults(), exemptions, templates: Templates::Enforce };
        let router = routes::router(Service::new(settings, self.namespaces.clone(), Arc::default()));
        request["uid"] = json!("u");
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        let request = Request::post("/validate").header("content-type", "application/json").body(Body::from(review.to_string())).unwrap();
        let body = router.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&body).unwrap()["response"].clone()
    }
}

async fn until(condition: impl AsyncFn() -> bool) {
    let within = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    within.await.expect("it happens in time");
}

#[tokio::test]
async fn judges_by_the_labels_of_each_namespace() {
    let follower =
        follow(&[("open", json!({})), ("strict", json!({ ENFORCE: "restricted" })), ("broken", json!({ ENFORCE: "strictest" }))]).await;
    assert_eq!(follower.enforced("open").await, "baseline:latest");
    assert_eq!(follower.create_pod("open").await, 0);
    assert_eq!(follower.create_pod("strict").await, 403);
    assert_eq!(follower.create_pod("broken").await, 403, "what cannot be read is enforced as restricted");
}

#[tokio::test]
async fn follows_namespaces_as_they_come_change_and_go() {
    let follower = follow(&[]).await;
    follower.api.set("shop", json!({ ENFORCE: "privileged" }));
    until(async || follower.enforced("shop").await == "privileged:latest").await;
    follower.api.set("shop", json!({ ENFORCE: "restricted" }));
    until(async || follower.enforced("shop").await == "restricted:latest").await;
    follower.api.delete("shop");
    until(async || follower.enforced("shop").await.starts_with("failed: ")).await;
}

#[tokio::test]
async fn asks_for_a_namespace_that_the_watch_has_not_told_of() {
    let follower = follow(&[]).await;
    follower.api.set_untold("new", json!({ ENFORCE: "restricted" }));
    assert_eq!(follower.enforced("new").await, "restricted:latest");
    assert_eq!(follower.create_pod("new").await, 403);
}

#[tokio::test]
async fn denies_a_pod_whose_namespace_cannot_be_found() {
    let follower = follow(&[]).await;
    let why = follower.enforced("none").await;
    assert!(why.contains("not found"), "{why}");
    assert_eq!(follower.create_pod("none").await, 500);
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_long_for_an_api_server_that_is_silent() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = kube::Config::new(format!("http://{}", silent.local_addr().unwrap()).parse().unwrap());
    let namespaces = Namespaces::Labelled(Arc::new(Labelled::new(kube::Client::try_from(config).unwrap(), defaults())));
    let begun = tokio::time::Instant::now();
    let NamespaceLookup::Failed(why) = namespaces.lookup("shop").await else { panic!("nobody answered") };
    assert_eq!(why, "the API server did not answer in time");
    assert!(begun.elapsed() <= Duration::from_secs(3));
}

#[tokio::test]
async fn warns_of_pods_that_could_not_be_made_again_when_a_namespace_becomes_stricter() {
    let follower = follow(&[("shop", json!({}))]).await;
    follower.api.run("shop", "good", &json!({"containers": []}));
    follower.api.run("shop", "host", &json!({"hostNetwork": true}));
    follower.api.run("shop", "in-a-machine-of-its-own", &json!({"hostNetwork": true, "runtimeClassName": "kata"}));
    let stricter = follower.relabel("shop", json!({ ENFORCE: "privileged" }), json!({ ENFORCE: "baseline" })).await;
    assert_eq!(stricter["allowed"], true);
    assert_eq!(
        stricter["warnings"],
        json!([
            "new PodSecurity enforce level only checked against the first 2 of 4 existing pods",
            "existing pods in namespace \"shop\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "host: host namespaces",
        ])
    );
    let looser = follower.relabel("shop", json!({ ENFORCE: "restricted" }), json!({ ENFORCE: "baseline" })).await;
    assert_eq!((&looser["allowed"], looser.get("warnings")), (&json!(true), None));
    let invalid = follower.relabel("shop", json!({}), json!({ ENFORCE: "strictest" })).await;
    assert_eq!((&invalid["status"]["code"], invalid.get("warnings")), (&json!(422), None));
}

#[tokio::test]
async fn looks_at_the_pods_of_two_namespaces_at_once_and_tells_all_others_that_it_does_not() {
    let follower = follow(&[("shop", json!({}))]).await;
    follower.api.run("shop", "host", &json!({"hostNetwork": true}));
    let relabel = || follower.relabel("shop", json!({ ENFORCE: "privileged" }), json!({ ENFORCE: "baseline" }));
    follower.api.hold(true);
    let (first, second, third) = tokio::join!(relabel(), relabel(), async {
        follower.api.until_asked(2).await;
        let third = relabel().await;
        follower.api.hold(false);
        third
    });
    let busy = "failed to list pods while checking new PodSecurity enforce level: others are being checked";
    assert_eq!((&third["allowed"], &third["warnings"]), (&json!(true), &json!([busy])));
    for answer in [first, second, relabel().await] {
        assert_eq!(answer["warnings"][2], "host: host namespaces", "{answer}");
    }
}

#[tokio::test]
async fn asks_for_few_namespaces_at_once_and_for_none_that_cannot_be() {
    let follower = follow(&[]).await;
    follower.api.hold(true);
    let mut lookups = JoinSet::new();
    for number in 0..40 {
        let namespaces = follower.namespaces.clone();
        lookups.spawn(async move { namespaces.lookup(&format!("none-{number}")).await });
    }
    follower.api.until_asked(16).await;
    follower.api.hold(false);
    for found in lookups.join_all().await {
        assert!(matches!(&found, NamespaceLookup::Failed(why) if why.contains("not found")), "{found:?}");
    }
    assert_eq!(follower.api.until_asked(0).await.most, 16);
    for name in ["", "..", "a/pods", "a?watch=true", "A", &"x".repeat(64)] {
        assert_eq!(follower.enforced(name).await, "failed: no namespace has such a name");
    }
}
