//! Uninstalling, in a cluster of its own: it removes whatever belongs to Portcullis, that of other tests included.

use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use portcullis_e2e::cluster::{Cluster, Components};
use serde_json::{Value, json};

use crate::support::{Front, Scene, Webhook, deployment, pod, portcullis, privileged, refusal, scene};

const PART_OF: &str = "app.kubernetes.io/part-of";

/// All kinds that an installation has, and whether they are in a namespace.
const KINDS: [(&str, &str, bool); 8] = [
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false),
    ("rbac.authorization.k8s.io/v1", "Role", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", true),
    ("v1", "Secret", true),
    ("v1", "ServiceAccount", true),
    ("apps/v1", "Deployment", true),
];

async fn ours(scene: &Scene) -> Vec<String> {
    let mut found = Vec::new();
    for (api_version, kind, in_namespace) in KINDS {
        let namespace = if in_namespace { scene.system() } else { String::new() };
        let api = scene.api(&namespace, &json!({"apiVersion": api_version, "kind": kind}));
        let list = api.list(&ListParams::default().labels(&format!("{PART_OF}=portcullis"))).await.unwrap();
        found.extend(list.items.iter().map(|object| format!("{kind} {}", object.name_any())));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_nothing_behind_and_locks_nobody_out_on_its_way() {
    let start = || Cluster::start(Components { controller_manager: true, scheduler: false });
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    // It ends with this process.
    let cluster: &Cluster = Box::leak(Box::new(cluster));
    let scene = Scene::within(cluster, "uninstall").await;
    let (system, shop) = (scene.system(), scene.namespace("shop", json!({})).await);
    let part_of = json!({ PART_OF: "portcullis" });
    let namespaces = scene.api("", &json!({"apiVersion": "v1", "kind": "Namespace"}));
    let label = Patch::Merge(json!({"metadata": {"labels": part_of}}));
    namespaces.patch(&system, &PatchParams::default(), &label).await.unwrap();

    let front = Front::start(&scene).await;
    let mut webhook = Webhook::start(&scene, &front, &[]).await;
    webhook.wait_for("registered").await;
    scene.enforced(&shop).await;
    // What the webhook would run in; there are no nodes here, so it runs beside the cluster, and ends with the pod by our hand.
    let mut replica = pod("webhook");
    replica["metadata"]["labels"] = part_of.clone();
    let mut workload = deployment("webhook", &replica);
    workload["metadata"]["labels"] = part_of;
    scene.create(&system, &workload).await.unwrap();
    let pods = scene.api(&system, &json!({"apiVersion": "v1", "kind": "Pod"}));
    scene::eventually("the workload has a pod", async || {
        (!pods.list(&ListParams::default()).await.unwrap().items.is_empty()).then_some(())
    })
    .await;
    webhook.kill().await;
    assert!(refusal(scene.try_create(&shop, &pod("web")).await).contains("failed calling webhook"));

    let kubeconfig = cluster.kubeconfig().to_str().unwrap();
    let uninstall = async |arguments: &[&str]| -> Value {
        let all = [&["uninstall", "--kubeconfig", kubeconfig, "--namespace", &system, "-o", "json"], arguments].concat();
        let output = portcullis(&all).await;
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let before = ours(&scene).await;
    let would = uninstall(&["--dry-run"]).await;
    assert_eq!(ours(&scene).await, before, "a dry run removes nothing");
    let did = uninstall(&[]).await;
    assert_eq!(did["removed"], would["removed"], "and says what a real one does");
    let left = ours(&scene).await;
    assert!(left.is_empty(), "{left:?}");
    assert!(pods.list(&ListParams::default()).await.unwrap().items.is_empty());
    scene.create(&shop, &privileged("free")).await.unwrap();
    scene::eventually("the namespace is gone", async || namespaces.get_opt(&system).await.unwrap().is_none().then_some(())).await;
    assert_eq!(uninstall(&[]).await["removed"], json!([]));

    // Definitions are other people's work, and go only where that is asked for.
    scene.install(&[]).await;
    let kept = uninstall(&[]).await;
    assert_eq!((&kept["removed"], kept["left"].as_array().unwrap().len()), (&json!([]), 3), "{kept}");
    let removed = uninstall(&["--crds"]).await;
    assert_eq!(removed["removed"].as_array().unwrap().len(), 3, "{removed}");
    let definitions = scene.api("", &json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}));
    scene::eventually("no definition is left", async || {
        let list = definitions.list(&ListParams::default()).await.unwrap();
        list.items.iter().all(|definition| !definition.name_any().ends_with(".portcullis.dev")).then_some(())
    })
    .await;
}
