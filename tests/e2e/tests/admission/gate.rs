//! What gets through the gate, and what the API server tells of it.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Front, Scene, Webhook, cluster, deployment, pod, privileged, refusal, scene};

const MESSAGE: &str = "violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true), \
     privileged (container \"main\" must not set securityContext.privileged=true)";

/// A scene with a webhook that is registered.
async fn guarded(id: &str, arguments: &[&str]) -> (Scene, Front, Webhook) {
    let scene = Scene::new(id).await;
    let front = Front::start(&scene).await;
    let webhook = Webhook::start(&scene, &front, arguments).await;
    webhook.wait_for("registered").await;
    (scene, front, webhook)
}

#[tokio::test(flavor = "multi_thread")]
async fn denies_a_privileged_pod_in_the_standards_words_and_says_what_to_change() {
    let (scene, _front, _webhook) = guarded("deny", &[]).await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    let said = refusal(scene.create(&shop, &privileged("root")).await);
    let expected = format!(
        "admission webhook \"fail-closed.portcullis.dev\" denied the request: pods \"root\" is forbidden: {MESSAGE}\n  \
         spec.hostPID is true; allowed: unset or false; remove spec.hostPID\n"
    );
    assert!(said.starts_with(&expected), "{said}");
    scene.create(&shop, &pod("web")).await.unwrap();
    let pods = scene.api(&shop, &pod("web")).list_metadata(&Default::default()).await.unwrap();
    assert_eq!(pods.items.len(), 1, "the privileged one is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn denies_a_deployment_of_such_a_pod_at_once() {
    let (scene, _front, _webhook) = guarded("workload", &[]).await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    let said = refusal(scene.create(&shop, &deployment("root", &privileged("root"))).await);
    assert!(said.contains("deployments.apps \"root\" is forbidden: ") && said.contains(MESSAGE), "{said}");
    assert!(said.contains("spec.template.spec.hostPID is true"), "{said}");
    scene.create(&shop, &deployment("web", &pod("web"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn admits_such_a_deployment_where_it_is_only_to_warn_and_refuses_its_pods() {
    let (scene, _front, _webhook) = guarded("warned", &["--templates", "audit-and-warn", "--pod-security-warn", "baseline"]).await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    let object = deployment("root", &privileged("root"));
    scene.create(&shop, &object).await.unwrap();
    // The controller manager tries to make the pod, and writes down why it cannot.
    let deployments = scene.api(&shop, &object);
    let said = scene::eventually("the controller is refused", async || {
        let deployment = deployments.get("root").await.unwrap();
        let conditions = deployment.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().find(|condition| condition["type"] == "ReplicaFailure").map(|condition| condition["message"].to_string())
    })
    .await;
    assert!(said.contains("violates PodSecurity"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exempt_passes_and_the_audit_log_says_by_what() {
    let (scene, _front, _webhook) = guarded("exempt", &["--exempt-namespace", "exempt-infra", "--exempt-user", "deployer"]).await;
    let (shop, infra) = (scene.namespace("shop", json!({})).await, scene.namespace("infra", json!({})).await);
    scene.enforced(&shop).await;
    let object = privileged("exempt");
    let deployer = scene::client(|config| {
        config.auth_info.impersonate = Some("deployer".to_owned());
        config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    })
    .await;
    let mut audit = cluster().audit_log().unwrap();
    scene.create(&infra, &object).await.unwrap();
    scene::create(&scene::api(deployer, &shop, &object), &object, false).await.unwrap();
    for (namespace, by) in [(&infra, "namespace"), (&shop, "user")] {
        let event =
            audit.wait_for(|event| event["objectRef"]["name"] == "exempt" && event["objectRef"]["namespace"] == **namespace).unwrap();
        assert_eq!(event["annotations"]["fail-closed.portcullis.dev/exempt"], by, "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denies_an_ephemeral_container_that_violates() {
    let (scene, _front, _webhook) = guarded("ephemeral", &[]).await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    scene.create(&shop, &pod("web")).await.unwrap();
    let pods = scene.api(&shop, &pod("web"));
    let debug = |context: Value| {
        Patch::Strategic(
            json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "example.org/sh:1", "securityContext": context}]}}),
        )
    };
    let params = PatchParams::default();
    let said = refusal(pods.patch_subresource("ephemeralcontainers", "web", &params, &debug(json!({"privileged": true}))).await);
    assert!(said.contains("privileged (container \"debug\" must not set securityContext.privileged=true)"), "{said}");
    pods.patch_subresource("ephemeralcontainers", "web", &params, &debug(json!({}))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_namespaces_labels_takes_effect() {
    let (scene, _front, _webhook) = guarded("labels", &[]).await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    let namespaces = scene.api("", &json!({"apiVersion": "v1", "kind": "Namespace"}));
    let label = async |level: &str| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}}));
        namespaces.patch(&shop, &PatchParams::default(), &patch).await
    };
    label("privileged").await.unwrap();
    scene::eventually("privileged pods are admitted", async || scene.try_create(&shop, &privileged("root")).await.ok()).await;
    let said = refusal(label("strictest").await);
    assert!(said.contains("must be one of privileged, baseline, restricted"), "{said}");
    label("restricted").await.unwrap();
    scene::eventually("they are denied", async || scene.try_create(&shop, &privileged("root")).await.err()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_is_judged_at_every_change_and_in_a_dry_run_likewise() {
    let (scene, _front, _webhook) = guarded("apply", &[]).await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    let good = deployment("web", &pod("web"));
    let bad = deployment("web", &privileged("web"));
    let api = scene.api(&shop, &good);
    let apply = async |object: &Value, dry_run: bool| {
        let params = PatchParams { dry_run, ..PatchParams::apply("test").force() };
        api.patch("web", &params, &Patch::Apply(object)).await
    };
    assert!(refusal(apply(&bad, true).await).contains(MESSAGE));
    apply(&good, true).await.unwrap();
    assert!(api.get_opt("web").await.unwrap().is_none(), "dry runs leave nothing");
    for _ in 0..2 {
        apply(&good, false).await.unwrap();
    }
    assert!(refusal(apply(&bad, false).await).contains(MESSAGE));
    let spec = api.get("web").await.unwrap().data["spec"]["template"]["spec"].clone();
    assert_eq!(spec["hostPID"], Value::Null, "what was denied changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn guards_from_outside_the_cluster_by_a_url_with_one_command() {
    let scene = Scene::new("url").await;
    let front = Front::start(&scene).await;
    let url = format!("https://localhost:{}/validate", front.port());
    let secret = format!("{}/portcullis", scene.system());
    let arguments = ["--tls-secret", &secret, "--tls-name", "localhost", "--webhook-configuration", "portcullis-url"];
    let chosen = ["--register-url", &url, "--register-namespaces", "portcullis-test=url"];
    let webhook = Webhook::behind(&scene, &front, &[&arguments[..], &chosen[..]].concat()).await;
    webhook.wait_for("registered").await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    assert!(refusal(scene.create(&shop, &privileged("root")).await).contains(MESSAGE));
    scene.try_create(&shop, &pod("web")).await.unwrap();
}
