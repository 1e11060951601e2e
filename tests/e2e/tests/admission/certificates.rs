//! Certificates that end, go missing or change while the API server calls: what need not be lost is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use portcullis_webhook::authority::{Authority, CA_LIFETIME, OVERLAP, Step};
use serde_json::json;

use crate::support::{Front, Load, Scene, Webhook, privileged, refusal, scene};

const SECRET: &str = "authority";

fn secrets(scene: &Scene) -> Api<Secret> {
    Api::namespaced(scene.client(), &scene.system())
}

async fn store(scene: &Scene, authority: &Authority) {
    let data = authority.write().into_iter().map(|(key, value)| (key, ByteString(value))).collect();
    let metadata = ObjectMeta { name: Some(SECRET.to_owned()), ..ObjectMeta::default() };
    secrets(scene).create(&PostParams::default(), &Secret { metadata, data: Some(data), ..Secret::default() }).await.unwrap();
}

async fn stored(scene: &Scene) -> Option<String> {
    let data = secrets(scene).get_opt(SECRET).await.unwrap()?.data?;
    String::from_utf8(data.get("ca.crt")?.0.clone()).ok()
}

/// A registered webhook, a namespace that it fails closed for, and a load on it.
async fn loaded(scene: &Scene) -> (Front, Webhook, String, Load) {
    let front = Front::start(scene).await;
    let webhook = Webhook::start(scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    let shop = scene.namespace("shop", json!({"portcullis.dev/failure-policy": "Fail"})).await;
    scene.enforced(&shop).await;
    let load = Load::start(scene, &shop);
    load.more(20).await;
    (front, webhook, shop, load)
}

/// The webhook has signed a new certificate, and the API server calls it on with that.
async fn signed_anew(webhook: &Webhook, load: Load) {
    webhook.wait_for("certificate changed").await;
    load.more(50).await;
    load.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_is_made_anew_under_load_and_no_request_is_lost() {
    let scene = Scene::new("deleted").await;
    let (_front, webhook, _, load) = loaded(&scene).await;
    let before = stored(&scene).await.unwrap();
    secrets(&scene).delete(SECRET, &DeleteParams::default()).await.unwrap();
    signed_anew(&webhook, load).await;
    assert_ne!(stored(&scene).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_nonsense_is_replaced_under_load_and_no_request_is_lost() {
    let scene = Scene::new("nonsense").await;
    let (_front, webhook, _, load) = loaded(&scene).await;
    let nonsense = Patch::Merge(json!({"data": {"ca.crt": "bm9uc2Vuc2U=", "ca.key": null}}));
    secrets(&scene).patch(SECRET, &PatchParams::default(), &nonsense).await.unwrap();
    signed_anew(&webhook, load).await;
    assert!(stored(&scene).await.unwrap().contains("BEGIN CERTIFICATE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_is_rotated_under_load_and_no_request_is_lost() {
    let scene = Scene::new("rotated").await;
    // Two thirds of its life are over, and its successor has been trusted for a day but for a few seconds.
    let now = SystemTime::now();
    let (made, prepared) = (now - CA_LIFETIME * 2 / 3 - OVERLAP, now - OVERLAP + Duration::from_secs(25));
    let authority = Authority::create(made).unwrap().after(Step::Prepare, prepared).unwrap();
    store(&scene, &authority).await;
    let (_front, webhook, _, load) = loaded(&scene).await;
    let before = stored(&scene).await.unwrap();
    signed_anew(&webhook, load).await;
    let after = stored(&scene).await.unwrap();
    assert!(after != before && authority.bundle().contains(&after), "the successor signs");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_has_expired_is_replaced_before_anything_is_registered() {
    let scene = Scene::new("expired").await;
    let expired = Authority::create(SystemTime::now() - CA_LIFETIME - Duration::from_secs(60)).unwrap();
    store(&scene, &expired).await;
    let front = Front::start(&scene).await;
    let webhook = Webhook::start(&scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    assert!(refusal(scene.create(&shop, &privileged("root")).await).contains("violates PodSecurity"));
    assert_ne!(stored(&scene).await.unwrap(), expired.bundle());
}

/// Writes a certificate for the scene's webhook that ends at a time, and what to trust, as the kubelet does: all files change at once.
fn mount(scene: &Scene, folder: &Path, generation: u32, not_after: SystemTime) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![format!("webhook.{}.svc", scene.system())]).unwrap();
    params.not_before = (not_after - Duration::from_secs(24 * 60 * 60)).into();
    params.not_after = not_after.into();
    let certificate = params.self_signed(&key).unwrap().pem();
    let data = folder.join(format!("..{generation}"));
    fs::create_dir(&data).unwrap();
    for (name, contents) in [("tls.crt", &certificate), ("ca.crt", &certificate), ("tls.key", &key.serialize_pem())] {
        fs::write(data.join(name), contents).unwrap();
        if generation == 0 {
            std::os::unix::fs::symlink(format!("..data/{name}"), folder.join(name)).unwrap();
        }
    }
    std::os::unix::fs::symlink(&data, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

/// A folder with such files, and the arguments that name them.
fn mounted(scene: &Scene, not_after: SystemTime) -> (PathBuf, Vec<String>) {
    let folder = scene.folder().join("tls");
    fs::create_dir(&folder).unwrap();
    mount(scene, &folder, 0, not_after);
    let path = |name: &str| folder.join(name).into_os_string().into_string().unwrap();
    let arguments = [("--tls-cert", "tls.crt"), ("--tls-key", "tls.key"), ("--ca-bundle", "ca.crt")];
    let arguments = arguments.into_iter().flat_map(|(flag, name)| [flag.to_owned(), path(name)]).collect();
    (folder, arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_swapped_under_load_together_with_their_authority_lose_no_request() {
    let scene = Scene::new("swapped").await;
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    let (folder, arguments) = mounted(&scene, tomorrow);
    let front = Front::start(&scene).await;
    let webhook = Webhook::start_registered(&scene, &front, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    webhook.wait_for("registered").await;
    let shop = scene.namespace("shop", json!({"portcullis.dev/failure-policy": "Fail"})).await;
    scene.enforced(&shop).await;
    let load = Load::start(&scene, &shop);
    load.more(20).await;
    mount(&scene, &folder, 1, tomorrow);
    signed_anew(&webhook, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_expired_registers_nothing_and_locks_nobody_out_until_it_is_renewed() {
    let scene = Scene::new("files").await;
    let (folder, arguments) = mounted(&scene, SystemTime::now() - Duration::from_secs(60));
    let front = Front::start(&scene).await;
    let webhook = Webhook::start_registered(&scene, &front, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    webhook.wait_for_line(|line| line["why"] == "not ready: certificate: expired").await.unwrap();
    let shop = scene.namespace("shop", json!({})).await;
    scene.try_create(&shop, &privileged("root")).await.unwrap();
    assert!(webhook.line(|line| line["message"] == "registered").is_none());

    mount(&scene, &folder, 1, SystemTime::now() + Duration::from_secs(60 * 60));
    webhook.wait_for("registered").await;
    scene.enforced(&shop).await;
    let said = scene::eventually("the webhook denies", async || {
        let message = refusal(scene.try_create(&shop, &privileged("root")).await);
        message.contains("violates PodSecurity").then_some(message)
    })
    .await;
    assert!(said.contains("fail-closed.portcullis.dev"), "{said}");
}
