//! The webhook's clock is set ahead while the API server, whose own is right, calls it: what was made by the wrong clock is good by the right one, and no
//! request is lost.
//!
//! The webhook does not check the API server's certificate here: that of the test cluster is good for a week, which these clocks jump over. Where the
//! clock jumps past the end of a real API server's certificate, a webhook that has to connect anew can change nothing any more, and says so.

use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use portcullis_webhook::authority::{Authority, CA_LIFETIME, LEAF_LIFETIME};
use serde_json::{Value, json};

use crate::support::{Clock, Front, Load, Scene, Webhook};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon a jump has consequences: the clock is looked at every second, and API servers are given another to hear of a new authority. The rest is for
/// a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

/// A webhook with a clock of its own, and a load on it.
struct Running {
    scene: Scene,
    front: Front,
    webhook: Webhook,
    clock: Clock,
    load: Load,
}

impl Running {
    /// The authority was made so long ago.
    async fn start(id: &str, age: Duration) -> Self {
        let scene = Scene::new(id).await;
        scene.trust_any_api_server();
        store(&scene, &Authority::create(SystemTime::now() - age).unwrap()).await;
        let front = Front::start(&scene).await;
        let clock = Clock::new(&scene, "clock");
        let webhook = Webhook::start_by(&clock, &scene, &front).await;
        webhook.wait_for("registered").await;
        let shop = scene.namespace("shop", json!({"portcullis.dev/failure-policy": "Fail"})).await;
        scene.enforced(&shop).await;
        let load = Load::start(&scene, &shop);
        load.more(20).await;
        Self { scene, front, webhook, clock, load }
    }

    /// Sets the clock ahead; the webhook says so, and that it has another certificate.
    async fn jump(&self, by: Duration) {
        let set = Instant::now();
        self.clock.set_ahead(by);
        let told = self.webhook.wait_for("the clock jumped ahead; certificates are renewed by what it says now").await;
        let seconds = told["seconds"].as_u64().unwrap();
        assert!(seconds.abs_diff(by.as_secs()) < 60, "{told}");
        let changed = self.webhook.wait_for("certificate changed").await;
        assert!(set.elapsed() < SOON, "{:?}", set.elapsed());
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(changed["expires"].as_u64().unwrap());
        assert!(expires > SystemTime::now() + by, "good by the clock that is ahead");
    }

    /// No request was lost, and the API server, which has the right time, takes the certificate that is in use now.
    async fn nothing_was_lost(self) {
        self.load.more(50).await;
        calls_anew(&self.scene).await;
        self.load.stop().await.unwrap();
    }
}

async fn store(scene: &Scene, authority: &Authority) {
    let data = authority.write().into_iter().map(|(key, value)| (key, ByteString(value))).collect();
    let metadata = ObjectMeta { name: Some("authority".to_owned()), ..ObjectMeta::default() };
    let secrets: Api<Secret> = Api::namespaced(scene.client(), &scene.system());
    secrets.create(&PostParams::default(), &Secret { metadata, data: Some(data), ..Secret::default() }).await.unwrap();
}

async fn registered(scene: &Scene) -> ValidatingWebhookConfiguration {
    Api::all(scene.client()).get(&format!("portcullis-{}", scene.id())).await.unwrap()
}

/// How many authorities are trusted.
async fn trusted(scene: &Scene) -> usize {
    let webhooks = registered(scene).await.webhooks.unwrap();
    let bundle = webhooks.first().unwrap().client_config.ca_bundle.clone().unwrap();
    String::from_utf8(bundle.0).unwrap().matches("BEGIN CERTIFICATE").count()
}

/// The API server denies a pod by what is registered now, over a connection that it has to make first: under another name, which it has none for yet.
async fn calls_anew(scene: &Scene) {
    let name = format!("{}-anew", scene.id());
    let mut webhook = serde_json::to_value(&registered(scene).await.webhooks.unwrap()[0]).unwrap();
    webhook["name"] = json!("anew.portcullis.dev");
    webhook["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": [webhook],
    });
    scene.create("", &configuration).await.unwrap();
    let namespace = |labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    scene.create("", &namespace(json!({}))).await.unwrap();
    scene.enforced(&name).await;
    scene.delete("", &configuration).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_past_a_renewal_loses_no_request() {
    let running = Running::start("clock-renewal", Duration::ZERO).await;
    running.jump(LEAF_LIFETIME * 2 / 3 + DAY / 4).await;
    assert_eq!(trusted(&running.scene).await, 1, "the authority is the same");
    running.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_past_the_certificates_end_loses_no_request() {
    let running = Running::start("clock-leaf", Duration::ZERO).await;
    running.jump(LEAF_LIFETIME + DAY).await;
    assert_eq!(trusted(&running.scene).await, 1, "the authority is the same");
    running.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_past_the_authoritys_end_loses_no_request() {
    let running = Running::start("clock-authority", Duration::ZERO).await;
    running.jump(CA_LIFETIME + DAY).await;
    running.webhook.wait_for_line(|line| line["step"] == "Create").await.unwrap();
    assert_eq!(trusted(&running.scene).await, 2, "by the right clock the old authority has not ended");
    running.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_and_is_set_right_again_loses_no_request() {
    let running = Running::start("clock-back", CA_LIFETIME / 2).await;
    running.jump(CA_LIFETIME * 2).await;
    running.load.more(50).await;
    running.clock.set_ahead(Duration::ZERO);
    running.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_clock_jumps_past_the_authoritys_end_takes_no_other_down() {
    let mut running = Running::start("clock-replica", Duration::ZERO).await;
    let right = Webhook::start_by(&Clock::new(&running.scene, "right"), &running.scene, &running.front).await;
    running.jump(CA_LIFETIME + DAY).await;
    assert_eq!(trusted(&running.scene).await, 2);
    // From now on the other one is called, which has the right time and a certificate of the old authority.
    running.webhook.terminate();
    assert_eq!(running.webhook.ended().await, Some(0));
    running.load.more(50).await;
    assert!(right.line(|line| line["message"] == "certificate changed").is_none(), "it need not");
    running.nothing_was_lost().await;
}
