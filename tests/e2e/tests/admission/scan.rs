//! Scanning what is in a cluster already: what it says, and the reports that it writes.

use std::fs;
use std::path::Path;
use std::process::Output;

use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use portcullis_e2e::cluster::{Cluster, Components};
use serde_json::{Value, json};

use crate::support::{Scene, deployment, pod, portcullis, privileged, scene};

/// What a scan asks for at once.
const PAGE: usize = 500;

const REPORTS: (&str, &str) = ("wgpolicyk8s.io/v1alpha2", "PolicyReport");

fn kind(api_version: &str, kind: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind})
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// A policy for ConfigMaps of a scene, and one for pods that a file brings.
fn policies(scene: &Scene) -> String {
    let policy = |name: &str, resources: Value, validation: Value, actions: Value| {
        json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"portcullis-test": scene.id()}},
                    "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": resources}],
                },
                "validations": [validation],
                "actions": actions,
                "templates": "enforce",
            },
        })
    };
    let labelled = json!({"name": "owner", "expression": "has(object.metadata.labels) && 'owner' in object.metadata.labels", "message": "it has no owner"});
    let tagged = json!({"name": "tag", "each": "container", "expression": "!container.image.endsWith(':1')", "message": "the tag is 1", "field": "image"});
    let all = [
        policy("scan-owners", json!(["configmaps"]), labelled, json!(["warn"])),
        policy("scan-tags", json!(["pods"]), tagged, json!(["deny"])),
    ];
    all.map(|policy| policy.to_string()).join("\n---\n")
}

/// Makes one of everything that carries a pod, and something that no pod is in.
async fn populate(scene: &Scene, namespace: &str) {
    let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": privileged("x")["spec"]});
    let selector = json!({"matchLabels": {"app": "x"}});
    let mut job = template.clone();
    job["spec"]["restartPolicy"] = json!("Never");
    let objects = [
        pod("good"),
        privileged("bad"),
        deployment("web", &pod("web")),
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"replicas": 0, "serviceName": "db", "selector": selector, "template": template}}),
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {"selector": selector, "template": template}}),
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "set"}, "spec": {"replicas": 0, "selector": selector, "template": template}}),
        json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "old"}, "spec": {"replicas": 0, "selector": {"app": "x"}, "template": template}}),
        json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "template"}, "template": template}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"suspend": true, "template": job}}),
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "often"}, "spec": {"suspend": true, "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": job}}}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "orphan"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "labels": {"owner": "shop"}}}),
    ];
    for object in objects {
        scene.create(namespace, &object).await.unwrap();
    }
    // More than a page.
    for number in 0..PAGE + 10 {
        scene
            .create(namespace, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("x{number}")}}))
            .await
            .unwrap();
    }
    let pods: Api<DynamicObject> = scene.api(namespace, &kind("v1", "Pod"));
    scene::eventually("the Deployment has its pod", async || {
        let list = pods.list(&ListParams::default().labels("app=web")).await.unwrap();
        (!list.items.is_empty()).then_some(())
    })
    .await;
}

/// The objects of a namespace, and the namespace, as manifests.
async fn dump(scene: &Scene, namespace: &str, path: &Path) {
    let kinds = [
        ("v1", "Pod"),
        ("v1", "PodTemplate"),
        ("v1", "ReplicationController"),
        ("v1", "ConfigMap"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
    ];
    let mut items = Vec::new();
    for (api_version, name) in kinds {
        let list = scene.api(namespace, &kind(api_version, name)).list(&ListParams::default()).await.unwrap();
        for object in list.items {
            let mut value = serde_json::to_value(object).unwrap();
            value["apiVersion"] = json!(api_version);
            value["kind"] = json!(name);
            items.push(value);
        }
    }
    let mut own = serde_json::to_value(scene.api("", &kind("v1", "Namespace")).get(namespace).await.unwrap()).unwrap();
    own["apiVersion"] = json!("v1");
    own["kind"] = json!("Namespace");
    items.push(own);
    fs::write(path, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
}

/// What a report in JSON says of every object, whatever the place where it is from.
fn verdicts(output: &Output) -> Vec<Value> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)));
    assert_eq!(report["errors"], json!([]), "{}", said(output));
    let mut workloads = report["workloads"].as_array().unwrap().clone();
    for workload in &mut workloads {
        for field in ["source", "line"] {
            workload.as_object_mut().unwrap().remove(field);
        }
        for list in ["violations", "policyViolations"] {
            for violation in workload[list].as_array_mut().unwrap() {
                violation["findings"]
                    .as_array_mut()
                    .unwrap()
                    .iter_mut()
                    .for_each(|finding| _ = finding.as_object_mut().unwrap().remove("line"));
            }
        }
    }
    workloads.sort_by_key(|workload| format!("{}/{}", workload["kind"], workload["name"]));
    workloads
}

#[tokio::test(flavor = "multi_thread")]
async fn says_of_what_is_in_the_cluster_what_check_says_of_the_same_manifests() {
    let scene = Scene::new("scan").await;
    let shop = scene.namespace("shop", json!({})).await;
    populate(&scene, &shop).await;
    let (manifests, policies_file) = (scene.folder().join("all.json"), scene.folder().join("policies.yaml"));
    fs::write(&policies_file, policies(&scene)).unwrap();
    // What the cluster does by itself, such as pods of a set, goes on; so both are looked at until nothing changed in between.
    let judged_by = ["--pod-security", "restricted:v1.30", "--policy", policies_file.to_str().unwrap(), "-o", "json"];
    let (scanned, checked) = scene::eventually("nothing changes meanwhile", async || {
        dump(&scene, &shop, &manifests).await;
        let before = fs::read(&manifests).unwrap();
        let scanned = portcullis(&[&["scan", "--namespace", &shop], &judged_by[..]].concat()).await;
        dump(&scene, &shop, &manifests).await;
        if before != fs::read(&manifests).unwrap() {
            return None;
        }
        let checked = portcullis(&[&["check", manifests.to_str().unwrap()], &judged_by[..]].concat()).await;
        Some((scanned, checked))
    })
    .await;
    assert_eq!((scanned.status.code(), checked.status.code()), (Some(1), Some(1)), "{}", said(&scanned));
    let verdicts = (verdicts(&scanned), verdicts(&checked));
    assert_eq!(verdicts.0, verdicts.1);
    assert!(verdicts.0.len() > PAGE + 10);
    let named = |name: &str| verdicts.0.iter().find(|workload| workload["name"] == name).unwrap();
    assert!(named("bad")["violations"].as_array().unwrap().len() > 2);
    for name in ["db", "agent", "set", "old", "template", "once", "often", "web", "good"] {
        assert_eq!(named(name)["allowed"], false, "{name} has an image with the tag 1");
    }
    assert_eq!((&named("orphan")["allowed"], &named("orphan")["policyViolations"][0]["control"]), (&json!(true), &json!("owner")));
    assert_eq!(named("owned")["policyViolations"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn judges_each_namespace_by_its_labels_and_only_those_that_are_meant() {
    let scene = Scene::new("scanned").await;
    let strict = scene.namespace("strict", json!({"pod-security.kubernetes.io/warn": "privileged"})).await;
    let free = scene.namespace("free", json!({"pod-security.kubernetes.io/enforce": "privileged"})).await;
    for namespace in [&strict, &free] {
        scene.create(namespace, &privileged("root")).await.unwrap();
    }
    let selector = format!("portcullis-test={}", scene.id());
    let scan = async |arguments: &[&str]| {
        let output = portcullis(&[&["scan"], arguments].concat()).await;
        (output.status.code(), said(&output))
    };
    let (status, report) = scan(&["--namespace-labels", "--namespace-selector", &selector]).await;
    assert_eq!(status, Some(1), "{report}");
    assert!(report.contains(&format!("Pod {strict}/root violates the labels of namespaces (baseline:latest)")), "{report}");
    assert!(!report.contains(&format!("Pod {free}/root")), "{report}");
    assert!(report.ends_with("1 of 2 objects violates the labels of namespaces\n"), "{report}");
    assert_eq!(scan(&["--namespace-labels", "--namespace", &free]).await.0, Some(0));
    assert_eq!(scan(&["--namespace", &free]).await.0, Some(1), "the default is baseline");
    for (format, expected) in
        [("sarif", "\"ruleId\": \"hostNamespaces\""), ("junit", "<testsuites name=\"portcullis scan\" tests=\"1\" failures=\"1\"")]
    {
        let (status, report) = scan(&["--namespace", &free, "-o", format]).await;
        assert!(status == Some(1) && report.contains(expected), "{report}");
    }
    // Whatever else is left out, what is the cluster's own is too, and what nobody can have made is never looked at.
    let everything = scene.folder().join("everything.yaml");
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["*"]});
    let policy = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": "nothing"},
        "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"name": "never", "expression": "false"}], "actions": ["warn"]},
    });
    fs::write(&everything, policy.to_string()).unwrap();
    let output = portcullis(&["scan", "--policy", everything.to_str().unwrap(), "--except-namespace", &free, "-o", "json"]).await;
    let workloads = verdicts(&output);
    let is_any = |field: &str, value: &str| workloads.iter().any(|workload| workload[field] == value);
    assert!(is_any("namespace", &strict) && is_any("kind", "Namespace"), "{}", said(&output));
    assert!(!is_any("namespace", &free) && !is_any("namespace", "kube-system") && !is_any("kind", "ComponentStatus"));
    let (status, report) = scan(&["--namespace", "scanned-nowhere"]).await;
    assert_eq!((status, report.as_str()), (Some(2), "portcullis: there is no namespace \"scanned-nowhere\"\n"));
}

/// The reports of a namespace: object, counts, rules.
async fn reports(scene: &Scene, namespace: &str) -> Vec<(String, Value, Vec<String>, String)> {
    let list = scene.api(namespace, &kind(REPORTS.0, REPORTS.1)).list(&ListParams::default()).await.unwrap();
    let mut found: Vec<_> = list
        .items
        .iter()
        .map(|report| {
            let rules =
                report.data["results"].as_array().unwrap().iter().map(|result| result["rule"].as_str().unwrap().to_owned()).collect();
            let version = report.resource_version().unwrap();
            let scope = &report.data["scope"];
            let name = format!("{} {}", scope["kind"].as_str().unwrap(), scope["name"].as_str().unwrap());
            (name, report.data["summary"].clone(), rules, version)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_come_are_kept_true_and_go() {
    // In a cluster of its own: another test uninstalls what belongs to Portcullis, and here the definitions are not there at first.
    let start = || Cluster::start(Components { controller_manager: true, scheduler: false });
    let cluster: &Cluster = Box::leak(Box::new(tokio::task::spawn_blocking(start).await.unwrap().unwrap()));
    let scene = Scene::within(cluster, "reports").await;
    let (shop, bank) = (scene.namespace("shop", json!({})).await, scene.namespace("bank", json!({})).await);
    let kubeconfig = cluster.kubeconfig().to_str().unwrap();
    let scan = async |arguments: &[&str]| portcullis(&[&["scan", "--kubeconfig", kubeconfig, "--write-reports"], arguments].concat()).await;

    let missing = scan(&[]).await;
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stdout.is_empty());
    let error = text(&missing.stderr);
    assert!(error.lines().count() == 1 && error.contains("portcullis definitions --policy-reports | kubectl apply"), "{error}");
    let no_policies = portcullis(&["scan", "--kubeconfig", kubeconfig, "--policies"]).await;
    assert_eq!(no_policies.status.code(), Some(2));
    assert!(text(&no_policies.stderr).contains("portcullis definitions | kubectl apply"), "{}", text(&no_policies.stderr));

    scene.install(&["--policy-reports"]).await;
    for namespace in [&shop, &bank] {
        scene.create(namespace, &privileged("root")).await.unwrap();
        scene.create(namespace, &pod("good")).await.unwrap();
    }
    let output = scan(&[]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(text(&output.stderr).contains("2 reports written, 0 removed"), "{}", said(&output));
    let first = reports(&scene, &shop).await;
    assert_eq!(first.len(), 1, "{first:?}");
    let (name, summary, rules, version) = &first[0];
    assert_eq!((name.as_str(), summary["fail"].as_u64()), ("Pod root", Some(2)));
    assert_eq!(*rules, ["hostNamespaces", "privileged"]);

    // The same again changes nothing; another standard changes the report.
    scan(&[]).await;
    assert_eq!(reports(&scene, &shop).await[0].3, *version);
    scan(&["--pod-security", "restricted", "--namespace", &shop]).await;
    let stricter = reports(&scene, &shop).await;
    assert!(stricter[0].1["fail"].as_u64() > Some(2), "{stricter:?}");
    assert_eq!(reports(&scene, &bank).await[0].1["fail"], 2, "it was not scanned");

    // What does not hold any more goes; what was not scanned stays.
    scan(&["--pod-security", "privileged", "--namespace", &shop]).await;
    assert_eq!((reports(&scene, &shop).await.len(), reports(&scene, &bank).await.len()), (0, 1));
    let pods = scene.api(&bank, &kind("v1", "Pod"));
    pods.delete("root", &DeleteParams::default().grace_period(0)).await.unwrap();
    scene::eventually("the report goes with its object", async || reports(&scene, &bank).await.is_empty().then_some(())).await;

    // What is in no namespace has a report of the cluster.
    let of_cluster = scene.api("", &kind(REPORTS.0, "ClusterPolicyReport"));
    let namespaces = scene.folder().join("namespaces.yaml");
    let policy = |resource: &str| {
        let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]});
        let validation = json!({"name": "name", "expression": "object.metadata.name != 'reports-bank'", "message": "it is the bank"});
        json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": "names"},
            "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]},
        })
        .to_string()
    };
    fs::write(&namespaces, policy("namespaces")).unwrap();
    let arguments = ["--pod-security", "baseline", "--policy", namespaces.to_str().unwrap()];
    let output = scan(&arguments).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let found = of_cluster.list(&ListParams::default()).await.unwrap().items;
    assert_eq!((found.len(), &found[0].data["scope"]["name"], &found[0].data["summary"]["fail"]), (1, &json!("reports-bank"), &json!(1)));

    // Where something could not be judged nothing is removed.
    fs::write(&namespaces, policy("widgets")).unwrap();
    let output = scan(&arguments).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(text(&output.stdout).contains("error: a policy is for widgets of v1, which the API server does not have"), "{}", said(&output));
    assert!(text(&output.stderr).contains("1 report written; none removed"), "{}", said(&output));
    assert_eq!(of_cluster.list(&ListParams::default()).await.unwrap().items.len(), 1);

    // Those of others are left alone, by a scan and by uninstalling.
    let mut foreign = kind(REPORTS.0, REPORTS.1);
    foreign["metadata"] = json!({"name": "foreign"});
    foreign["scope"] = json!({"apiVersion": "v1", "kind": "Pod", "name": "good"});
    foreign["results"] = json!([]);
    foreign["summary"] = json!({"pass": 1});
    scene.create(&shop, &foreign).await.unwrap();
    scan(&["--pod-security", "baseline"]).await;
    assert!(of_cluster.list(&ListParams::default()).await.unwrap().items.is_empty());
    assert_eq!(reports(&scene, &shop).await.len(), 2);
    let output = portcullis(&["uninstall", "--kubeconfig", kubeconfig, "--namespace", &scene.system()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(text(&output.stdout).contains("removed: PolicyReport portcullis-"), "{}", said(&output));
    let left = reports(&scene, &shop).await;
    assert_eq!(left.iter().map(|report| report.0.as_str()).collect::<Vec<_>>(), ["Pod good"]);
}
