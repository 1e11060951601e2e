//! The webhook's registration: when it is made, how it is kept, and how people take it back.

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Front, Scene, Webhook, pod, portcullis, privileged, refusal, scene};

fn kind(api_version: &str, kind: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind})
}

fn names(configuration: &DynamicObject) -> Vec<String> {
    let webhooks = configuration.data["webhooks"].as_array().cloned().unwrap_or_default();
    webhooks.iter().map(|webhook| webhook["name"].as_str().unwrap().to_owned()).collect()
}

async fn configuration(scene: &Scene) -> Option<DynamicObject> {
    let kind = kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration");
    scene.api("", &kind).get_opt(&format!("portcullis-{}", scene.id())).await.unwrap()
}

fn policies(configuration: &DynamicObject) -> Vec<String> {
    let webhooks = configuration.data["webhooks"].as_array().cloned().unwrap_or_default();
    webhooks.iter().map(|webhook| webhook["failurePolicy"].as_str().unwrap().to_owned()).collect()
}

/// Runs `portcullis break-glass`; its report.
async fn break_glass(scene: &Scene, arguments: &[&str]) -> Value {
    let name = format!("portcullis-{}", scene.id());
    let output = portcullis(&[&["break-glass", "--configuration", &name, "-o", "json"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_glass_can_be_broken_while_the_webhook_is_dead_and_mended_and_the_webhook_respects_it() {
    let scene = Scene::new("glass").await;
    let front = Front::start(&scene).await;
    let mut webhook = Webhook::start(&scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    webhook.kill().await;
    assert!(refusal(scene.try_create(&shop, &pod("web")).await).contains("failed calling webhook"));

    let report = break_glass(&scene, &["--dry-run"]).await;
    assert_eq!(
        report["configurations"][0]["webhooks"][0],
        json!({"name": "fail-closed.portcullis.dev", "before": "Fail", "after": "Ignore"})
    );
    assert_eq!(policies(&configuration(&scene).await.unwrap()), ["Fail", "Ignore", "Ignore"], "a dry run changes nothing");

    let before = configuration(&scene).await.unwrap().data;
    break_glass(&scene, &[]).await;
    scene::eventually("pods are admitted", async || scene.try_create(&shop, &pod("web")).await.ok()).await;
    break_glass(&scene, &["--remove"]).await;
    assert!(policies(&configuration(&scene).await.unwrap()).is_empty());

    // A replica that comes back does not put itself in force.
    let again = Webhook::start(&scene, &front, &[]).await;
    again.wait_for("somebody broke the glass: the registration is left alone; nothing may be enforced").await;
    assert!(policies(&configuration(&scene).await.unwrap()).is_empty());

    let report = break_glass(&scene, &["--undo"]).await;
    assert_eq!(report["configurations"][0]["changed"], true);
    assert_eq!(configuration(&scene).await.unwrap().data, before);
    scene::eventually("it is enforced again", async || {
        let result = scene.try_create(&shop, &privileged("root")).await;
        result.is_err_and(|error| error.to_string().contains("violates PodSecurity")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_it_did_and_how_to_undo_it() {
    let scene = Scene::new("words").await;
    let front = Front::start(&scene).await;
    let webhook = Webhook::start(&scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    let output = portcullis(&["break-glass", "--configuration", "portcullis-words"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("fail-closed.portcullis.dev: Fail -> Ignore")
            && text.ends_with("undo: portcullis break-glass --undo --configuration=portcullis-words\n"),
        "{text}"
    );
    let output = portcullis(&["break-glass", "--configuration", "portcullis-nowhere"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_for_nothing_in_its_own_namespace_and_in_kube_system() {
    let scene = Scene::new("narrow").await;
    let front = Front::start(&scene).await;
    let webhook = Webhook::start(&scene, &front, &["--register-except", "narrow-infra"]).await;
    webhook.wait_for("registered").await;
    let (shop, infra) = (scene.namespace("shop", json!({})).await, scene.namespace("infra", json!({})).await);
    scene.enforced(&shop).await;
    for namespace in [scene.system(), infra] {
        scene.try_create(&namespace, &privileged("root")).await.unwrap();
    }
    for webhook in configuration(&scene).await.unwrap().data["webhooks"].as_array().unwrap() {
        let excluded = &webhook["namespaceSelector"]["matchExpressions"][0]["values"];
        assert_eq!(*excluded, json!(["kube-system", "narrow-infra", "narrow-system"]));
        assert_eq!(webhook["timeoutSeconds"], 3);
    }
}

const ASKED_ALWAYS: [&str; 3] = ["fail-closed.portcullis.dev", "fail-open.portcullis.dev", "namespace-labels.portcullis.dev"];

#[tokio::test(flavor = "multi_thread")]
async fn what_no_policy_is_for_any_more_is_not_asked_about_though_another_authority_was_published_meanwhile() {
    let scene = Scene::new("renewed").await;
    scene.install(&[]).await;
    scene.grant_rights_for_policies().await;
    let front = Front::start(&scene).await;
    let webhook = Webhook::start(&scene, &front, &["--policies"]).await;
    webhook.wait_for("registered").await;
    // In no namespace, so it fails open: that is what a webhook of its own is for.
    let policy = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy",
        "metadata": {"name": "renewed-volumes"},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["persistentvolumes"], "operations": ["CREATE"]},
            ]},
            "validations": [{"name": "all", "expression": "true"}],
        },
    });
    scene.apply("", &policy).await.unwrap();
    let registered = async |expected: &[&str]| {
        scene::eventually("the registration is written", async || (names(&configuration(&scene).await.unwrap()) == expected).then_some(()))
            .await;
    };
    let applied = "applied-policies.portcullis.dev";
    registered(&[&ASKED_ALWAYS[..], &[applied, "policies.portcullis.dev"]].concat()).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "authority"}});
    scene.delete(&scene.system(), &secret).await;
    webhook.wait_for("certificate changed").await;
    scene.delete("", &policy).await;
    registered(&[&ASKED_ALWAYS[..], &[applied]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_its_namespace_is_being_deleted_a_webhook_that_stops_locks_nobody_out() {
    let scene = Scene::new("ending").await;
    let front = Front::start(&scene).await;
    let mut webhook = Webhook::start(&scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    // Pods end before all else does. This one does not, and so the namespace stays.
    let mut held = pod("held");
    held["metadata"]["finalizers"] = json!(["portcullis.dev/test"]);
    scene.create(&scene.system(), &held).await.unwrap();
    scene.api("", &kind("v1", "Namespace")).delete(&scene.system(), &DeleteParams::default()).await.unwrap();
    webhook.terminate();
    assert_eq!(webhook.ended().await, Some(0));
    assert_eq!(policies(&configuration(&scene).await.unwrap()), ["Ignore", "Ignore", "Ignore"]);
    let shop = scene.namespace("shop", json!({})).await;
    scene::eventually("pods are admitted", async || scene.try_create(&shop, &pod("web")).await.ok()).await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    scene.api(&scene.system(), &held).patch("held", &PatchParams::default(), &free).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registration_goes_with_the_webhooks_namespace() {
    let scene = Scene::new("owned").await;
    let front = Front::start(&scene).await;
    let mut webhook = Webhook::start(&scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    webhook.kill().await;
    scene.api("", &kind("v1", "Namespace")).delete(&scene.system(), &DeleteParams::default()).await.unwrap();
    scene::eventually("the registration is collected", async || configuration(&scene).await.is_none().then_some(())).await;
}
