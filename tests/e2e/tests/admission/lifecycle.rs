//! Replicas that come and go, and what becomes of requests meanwhile.

use serde_json::{Value, json};

use crate::support::{Front, Load, Scene, Webhook, cluster, pod, privileged, refusal, scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_loses_no_request() {
    let scene = Scene::new("restart").await;
    let front = Front::start(&scene).await;
    let linger = ["--linger", "2"];
    let mut old = Webhook::start(&scene, &front, &linger).await;
    old.wait_for("registered").await;
    let shop = scene.namespace("shop", json!({"portcullis.dev/failure-policy": "Fail"})).await;
    scene.enforced(&shop).await;
    let load = Load::start(&scene, &shop);
    for _ in 0..2 {
        load.more(50).await;
        let new = Webhook::start(&scene, &front, &linger).await;
        new.wait_for("registered").await;
        load.more(50).await;
        old.terminate();
        assert_eq!(old.ended().await, Some(0));
        load.more(50).await;
        old = new;
    }
    let answered = load.stop().await.unwrap();
    assert!(answered >= 300, "{answered}");
    assert!(scene.try_create(&shop, &privileged("root")).await.is_err(), "it was judged all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_webhook_answers_a_namespaces_label_decides_and_the_audit_log_tells() {
    let scene = Scene::new("dead").await;
    let front = Front::start(&scene).await;
    let mut webhook = Webhook::start(&scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    let closed = scene.namespace("closed", json!({})).await;
    let open = scene.namespace("open", json!({"portcullis.dev/failure-policy": "Ignore"})).await;
    for namespace in [&closed, &open] {
        scene.enforced(namespace).await;
    }
    webhook.kill().await;
    let said = refusal(scene.create(&closed, &pod("web")).await);
    assert!(said.contains("failed calling webhook \"fail-closed.portcullis.dev\""), "{said}");
    let mut audit = cluster().audit_log().unwrap();
    scene.create(&open, &privileged("unjudged")).await.unwrap();
    let event = audit.wait_for(|event| event["objectRef"]["name"] == "unjudged").unwrap();
    let annotations = event["annotations"].as_object().unwrap();
    assert!(annotations.keys().any(|key| key.starts_with("failed-open.")), "{annotations:?}");

    // The way out does not lead through the webhook: its own namespace, new namespaces and labels.
    scene.create(&scene.system(), &pod("webhook")).await.unwrap();
    scene.namespace("new", json!({})).await;
    let namespaces = scene.api("", &json!({"apiVersion": "v1", "kind": "Namespace"}));
    let ignore = kube::api::Patch::Merge(json!({"metadata": {"labels": {"portcullis.dev/failure-policy": "Ignore"}}}));
    namespaces.patch(&closed, &Default::default(), &ignore).await.unwrap();
    scene::eventually("the label counts", async || scene.try_create(&closed, &pod("web")).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_can_report_pods_that_run_already_and_nobody_else_can_say_so() {
    let scene = Scene::new("mirror").await;
    let front = Front::start(&scene).await;
    let webhook = Webhook::start(&scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mirror-node"}});
    let node = scene.create("", &node).await.unwrap();
    let mut mirror = privileged("static-mirror-node");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    mirror["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Node", "name": "mirror-node", "uid": node.metadata.uid, "controller": true}]);
    mirror["spec"]["nodeName"] = json!("mirror-node");
    mirror["spec"]["automountServiceAccountToken"] = json!(false);
    assert!(refusal(scene.create(&shop, &mirror).await).contains("violates PodSecurity"), "an administrator is no node");
    let kubelet = scene::client(|config| {
        config.auth_info.impersonate = Some("system:node:mirror-node".to_owned());
        config.auth_info.impersonate_groups = Some(vec!["system:nodes".to_owned()]);
    })
    .await;
    scene::create(&scene::api(kubelet, &shop, &mirror), &mirror, false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_the_api_server_and_itself_where_callers_have_to_show_a_certificate() {
    let scene = Scene::new("client").await;
    let front = Front::start(&scene).await;
    let authority = cluster().webhook_client_ca().to_str().unwrap();
    let webhook = Webhook::start(&scene, &front, &["--client-ca", authority]).await;
    webhook.wait_for("registered").await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    assert!(refusal(scene.create(&shop, &privileged("root")).await).contains("violates PodSecurity"));
    scene.create(&shop, &pod("web")).await.unwrap();
    // It is the certificate that counts: the API server's is not from this authority.
    let other = Scene::new("stranger").await;
    let front = Front::start(&other).await;
    let stranger = rcgen_authority();
    std::fs::write(other.folder().join("ca.crt"), stranger).unwrap();
    let path = other.folder().join("ca.crt");
    let webhook = Webhook::start(&other, &front, &["--client-ca", path.to_str().unwrap()]).await;
    webhook.wait_for("registered").await;
    let shop = other.namespace("shop", json!({})).await;
    let said: Value = scene::eventually("the webhook is called", async || {
        let refused = other.try_create(&shop, &pod("web")).await;
        refused.is_err().then(|| json!(refusal(refused)))
    })
    .await;
    assert!(said.to_string().contains("failed calling webhook"), "{said}");
}

fn rcgen_authority() -> String {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}
