//! Whether policies that ship, written as Kubernetes' own by `portcullis convert`, get the same answers from Kubernetes itself.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::policies::{SHIPPED, following, install_lists, said};
use crate::support::{Scene, pod, portcullis, scene};

/// How long the two may take until they agree.
const AGREED: Duration = Duration::from_secs(40);

/// Pods of a policy's cases, in a form that the API server takes.
fn cases(policy: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("{SHIPPED}/{policy}/cases.yaml")).unwrap();
    let cases: Value = serde_saphyr::from_str(&text).unwrap();
    let cases = cases["cases"].as_array().unwrap().iter();
    let pods = cases.filter(|case| case["object"]["kind"] == "Pod" && case["operation"].is_null() && case["with"].is_null());
    pods.map(|case| {
        let mut pod = case["object"].clone();
        pod["metadata"]["namespace"] = Value::Null;
        for list in ["containers", "initContainers"] {
            for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
                if container["image"].is_null() {
                    container["image"] = json!("registry.example/x:1");
                }
            }
        }
        pod
    })
    .collect()
}

/// Whether a pod is denied by our policy in the first namespace, and by Kubernetes' own in the second; `None` where it is not valid at all.
async fn both_say(scene: &Scene, namespaces: [&str; 2], name: &str, pod: &Value) -> Option<(bool, bool)> {
    let (ours, theirs) = (said(scene, namespaces[0], pod).await, said(scene, namespaces[1], pod).await);
    if ours == theirs && ours.contains(" is invalid: ") {
        return None;
    }
    let by_ours = ours.contains(&format!("policy \"both-{name}\""));
    let by_theirs = theirs.contains(&format!("ValidatingAdmissionPolicy 'both-{name}'"));
    assert!((by_ours || ours.is_empty()) && (by_theirs || theirs.is_empty()), "{name}: {pod}\nours: {ours}\ntheirs: {theirs}");
    Some((by_ours, by_theirs))
}

/// Asks until both say the same of every pod, and deny some: both have to be in force by then, with their parameters. Whether each pod is denied.
async fn agreed<'p>(name: &str, ask: impl AsyncFn() -> Vec<((bool, bool), &'p Value)>) -> Vec<bool> {
    let deadline = Instant::now() + AGREED;
    loop {
        let answers = ask().await;
        match answers.iter().find(|((ours, theirs), _)| ours != theirs) {
            None if answers.iter().any(|((denied, _), _)| *denied) => {
                return answers.into_iter().map(|((denied, _), _)| denied).collect();
            }
            Some(((ours, theirs), pod)) if Instant::now() > deadline => {
                panic!("{name}, denied by ours: {ours}, by Kubernetes' own: {theirs}: {pod}")
            }
            _ => assert!(Instant::now() <= deadline, "{name} is not in force"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_ship_get_the_same_answers_from_kubernetes_itself() {
    let (scene, _front, _webhook) = following("both").await;
    install_lists(&scene).await;
    let privileged = || json!({"pod-security.kubernetes.io/enforce": "privileged"});
    let (ours, theirs) = (scene.namespace("ours", privileged()).await, scene.namespace("theirs", privileged()).await);
    let selects = |namespace: &str| json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let mut compared = (0, 0);
    for name in
        ["image-digests", "no-latest-tag", "resource-limits", "service-account-token", "capabilities", "host-paths", "sensitive-mounts"]
    {
        let text = fs::read_to_string(format!("{SHIPPED}/{name}/policy.yaml")).unwrap();
        let mut policy: Value = serde_saphyr::from_str(&text).unwrap();
        policy["metadata"]["name"] = json!(format!("both-{name}"));
        policy["spec"]["matchConstraints"]["namespaceSelector"] = selects(&ours);
        // Kubernetes has no parameters that are written in a policy: they are put in an object, for both.
        if let Some(mut params) = policy["spec"].as_object_mut().unwrap().remove("params") {
            params["apiVersion"] = json!("test.portcullis.dev/v1");
            params["kind"] = json!("List");
            params["metadata"] = json!({"name": format!("both-{name}")});
            scene.apply("", &params).await.unwrap();
            policy["spec"]["paramKind"] = json!({"apiVersion": "test.portcullis.dev/v1", "kind": "List"});
            policy["spec"]["paramRef"] = json!({"name": format!("both-{name}"), "parameterNotFoundAction": "Deny"});
        }
        let path = scene.folder().join("policy.json");
        fs::write(&path, policy.to_string()).unwrap();
        let output = portcullis(&["convert", path.to_str().unwrap()]).await;
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let converted = String::from_utf8(output.stdout).unwrap();
        let converted: Vec<Value> = converted.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
        scene.apply("", &policy).await.unwrap();
        for mut object in converted.clone() {
            if object["kind"] == "ValidatingAdmissionPolicy" {
                object["spec"]["matchConstraints"]["namespaceSelector"] = selects(&theirs);
            }
            scene.apply("", &object).await.unwrap();
        }
        let mut pods = cases(name);
        pods.extend([pod("web")]);
        let ask = async || {
            let mut answers = Vec::new();
            for pod in &pods {
                answers.extend(both_say(&scene, [&ours, &theirs], name, pod).await.map(|answer| (answer, pod)));
            }
            answers
        };
        for denied in agreed(name, ask).await {
            if denied { compared.0 += 1 } else { compared.1 += 1 }
        }
        for object in converted.iter().chain([&policy]) {
            scene.delete("", object).await;
        }
        for (namespace, pod) in pods.iter().flat_map(|pod| [(&ours, pod), (&theirs, pod)]) {
            scene::eventually("nobody denies it", async || (!said(&scene, namespace, pod).await.contains("both-")).then_some(())).await;
        }
    }
    println!("{} pods denied and {} admitted by both", compared.0, compared.1);
    assert!(compared.0 >= 7 && compared.1 >= 7, "{compared:?}");
}

/// A policy of Kubernetes for ConfigMaps of one namespace, and its binding.
fn bound(name: &str, namespace: &str, expression: &str, kind: &Value, reference: &Value) -> [Value; 2] {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]});
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let api_version = "admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": api_version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "paramKind": kind, "matchConstraints": {"namespaceSelector": selector, "resourceRules": [rule]},
            "validations": [{"expression": expression}],
        },
    });
    let binding = json!({
        "apiVersion": api_version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "paramRef": reference, "validationActions": ["Deny"]},
    });
    [policy, binding]
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_kubernetes_that_it_takes_are_taken_and_deny_the_same() {
    let scene = Scene::new("taken").await;
    let shop = scene.namespace("shop", json!({})).await;
    let kind = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let reference = json!({"name": "nowhere", "parameterNotFoundAction": "Deny"});
    let (policies, manifest) = (scene.folder().join("policies.yaml"), scene.folder().join("manifest.json"));
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": shop}});
    fs::write(&manifest, object.to_string()).unwrap();
    object["metadata"]["namespace"] = Value::Null;
    for (name, expression, kind, reference) in [
        ("taken-null", "params != null", &kind, &Value::Null),
        ("taken-unheard", "object.metadata.name != 'x'", &Value::Null, &reference),
        ("taken-lines", "object.metadata.name\n  != 'x'\n", &Value::Null, &Value::Null),
    ] {
        let bound = bound(name, &shop, expression, kind, reference);
        fs::write(&policies, bound.each_ref().map(ToString::to_string).join("\n---\n")).unwrap();
        let output = portcullis(&["check", "--policy", policies.to_str().unwrap(), manifest.to_str().unwrap()]).await;
        let ours = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // The selector asks for a label that the manifests do not tell of, but every namespace has.
        assert!(output.status.code() == Some(1) && ours.contains("failed expression: "), "{name}: {ours}");
        for object in &bound {
            scene.apply("", object).await.unwrap();
        }
        let theirs = format!("ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: failed expression: ");
        scene::eventually(&format!("{name} is in force"), async || {
            let refused = scene.try_create(&shop, &object).await.err()?;
            refused.to_string().contains(&theirs).then_some(())
        })
        .await;
        for object in &bound {
            scene.delete("", object).await;
        }
    }
}
