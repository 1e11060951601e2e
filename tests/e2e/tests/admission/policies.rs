//! Policies before the API server: when they take effect, what the webhook is asked about for them, exceptions and parameters.
//!
//! Policies are of the whole cluster, which all tests share: each test's are for its own namespaces only.

use std::time::{Duration, Instant};

use hyper::Request;
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::support::{Front, Scene, Webhook, cluster, deployment, pod, portcullis, refusal, scene};

/// The folder of the policies that ship.
pub(crate) const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
/// How long a change may take to be in force before a test gives up. On an idle machine it takes a fraction of a second.
const IN_FORCE: Duration = Duration::from_secs(10);

/// Where exceptions count. All webhooks that follow policies write their status, and here they have to agree about it as replicas do.
const EXCEPTIONS: &str = "excepted-exceptions";

/// A scene whose webhook follows policies and exceptions.
pub(crate) async fn following(id: &str) -> (Scene, Front, Webhook) {
    let scene = Scene::new(id).await;
    scene.install(&[]).await;
    scene.grant_rights_for_policies().await;
    let front = Front::start(&scene).await;
    let webhook = Webhook::start(&scene, &front, &["--policies", "--exceptions-from", EXCEPTIONS]).await;
    webhook.wait_for("registered").await;
    (scene, front, webhook)
}

/// A policy of a scene.
fn policy(scene: &Scene, name: &str, rule: Value, spec: Value) -> Value {
    let mut policy = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": format!("{}-{name}", scene.id())},
        "spec": {"matchConstraints": {"namespaceSelector": {"matchLabels": {"portcullis-test": scene.id()}}, "resourceRules": [rule]}},
    });
    policy["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    policy
}

fn rule(group: &str, operations: Value, resource: &str) -> Value {
    json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": operations, "resources": [resource]})
}

/// A policy for pods with one validation.
fn of_pods(scene: &Scene, name: &str, expression: &str) -> Value {
    let validation = json!({"name": "control", "expression": expression, "message": format!("{name} says no")});
    policy(scene, name, rule("", json!(["CREATE"]), "pods"), json!({"validations": [validation]}))
}

/// What is said to somebody who makes a pod; empty if it is admitted.
pub(crate) async fn said(scene: &Scene, namespace: &str, object: &Value) -> String {
    let result = scene.try_create(namespace, object).await;
    if result.is_ok() { String::new() } else { refusal(result) }
}

/// How long it takes until what is said has this part, or until nothing is said where that is empty.
async fn until_said(scene: &Scene, namespace: &str, object: &Value, part: &str) -> Duration {
    let start = Instant::now();
    scene::eventually(&format!("it is said {part:?}"), async || {
        let said = said(scene, namespace, object).await;
        let is_so = if part.is_empty() { said.is_empty() } else { said.contains(part) };
        is_so.then(|| start.elapsed())
    })
    .await
}

/// The condition `Ready` of an object, once it is about the object as it is now.
async fn ready(scene: &Scene, namespace: &str, object: &Value) -> Value {
    let api = scene.api(namespace, object);
    scene::eventually("it has a status", async || {
        let found: DynamicObject = api.get(object["metadata"]["name"].as_str().unwrap()).await.unwrap();
        let observed = found.data["status"]["observedGeneration"].as_i64();
        (observed.is_some() && observed == found.metadata.generation).then(|| found.data["status"]["conditions"][0].clone())
    })
    .await
}

/// All rules of the scene's configuration, as text.
async fn registered(scene: &Scene) -> String {
    let kind = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"});
    let configuration = scene.api("", &kind).get(&format!("portcullis-{}", scene.id())).await.unwrap();
    let webhooks = configuration.data["webhooks"].as_array().unwrap().clone();
    webhooks.iter().map(|webhook| format!("{}: {}\n", webhook["name"], webhook["rules"])).collect()
}

async fn until_registered(scene: &Scene, part: &str, expected: bool) -> Duration {
    let start = Instant::now();
    scene::eventually(&format!("{part} registered: {expected}"), async || {
        (registered(scene).await.contains(part) == expected).then(|| start.elapsed())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_policy_is_in_force_changed_and_gone_without_a_restart() {
    let (scene, _front, _webhook) = following("applied").await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    assert_eq!(said(&scene, &shop, &pod("web")).await, "");
    scene.apply("", &of_pods(&scene, "first", "false")).await.unwrap();
    let applied = until_said(&scene, &shop, &pod("web"), "policy \"applied-first\" (control): first says no").await;
    assert_eq!(ready(&scene, "", &of_pods(&scene, "first", "false")).await["status"], "True");
    scene.apply("", &of_pods(&scene, "first", "namespaceObject.status.phase == 'Active' && object.metadata.name != 'api'")).await.unwrap();
    let changed = until_said(&scene, &shop, &pod("web"), "").await;
    assert!(said(&scene, &shop, &pod("api")).await.contains("first says no"));
    // The pods of a workload are judged by it, too: such a template is warned of.
    scene.try_create(&shop, &deployment("api", &pod("api"))).await.unwrap();
    scene.delete("", &of_pods(&scene, "first", "true")).await;
    let deleted = until_said(&scene, &shop, &pod("api"), "").await;
    println!("in force: applied after {applied:?}, changed after {changed:?}, deleted after {deleted:?}");
    for took in [applied, changed, deleted] {
        assert!(took < IN_FORCE, "{took:?}");
    }
}

/// Waits until a policy is refused for a reason with this part. What is not known yet is another one before.
async fn refused(scene: &Scene, policy: &Value, part: &str) {
    scene::eventually(&format!("it is refused: {part}"), async || {
        let condition = ready(scene, "", policy).await;
        let is_so = condition["reason"] == "Refused" && condition["message"].as_str().is_some_and(|message| message.contains(part));
        is_so.then_some(())
    })
    .await;
}

/// A policy for pods whose parameters nobody can have: what only the status can say.
fn of_nothing(scene: &Scene, name: &str) -> Value {
    let params = json!({"paramKind": {"apiVersion": "nowhere.example/v1", "kind": "Nothing"},
        "paramRef": {"name": "any", "parameterNotFoundAction": "Deny"}, "validations": [{"expression": "params.x == 1"}]});
    policy(scene, name, rule("", json!(["CREATE"]), "pods"), params)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_refused_where_it_is_applied() {
    let (scene, _front, _webhook) = following("refused").await;
    let bad = of_pods(&scene, "bad", "object.metadata.nome != 1 + 'x'");
    let try_it = async |object: &Value| {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let tried = PostParams { dry_run: true, field_manager: None };
        scene.api("", &bad).create(&tried, &object).await.map(drop).map_err(|error| error.to_string())
    };
    let why = scene::eventually("it is refused", async || try_it(&bad).await.err()).await;
    assert!(
        why.contains("admissionpolicies.portcullis.dev \"refused-bad\" is invalid") && why.contains("spec.validations[0].expression"),
        "{why}"
    );
    assert_eq!(try_it(&of_pods(&scene, "good", "object.metadata.name != 'api'")).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_in_force_is_in_the_status_of_the_policy_and_others_stay_in_force() {
    let (scene, _front, _webhook) = following("mistake").await;
    let shop = scene.namespace("shop", json!({})).await;
    let good = of_pods(&scene, "good", "object.metadata.name != 'api'");
    scene.apply("", &good).await.unwrap();
    until_said(&scene, &shop, &pod("api"), "good says no").await;
    let bad = of_nothing(&scene, "bad");
    scene.apply("", &bad).await.unwrap();
    refused(&scene, &bad, "spec.paramKind: the parameters cannot be had").await;
    assert!(said(&scene, &shop, &pod("api")).await.contains("good says no"));
    assert_eq!(said(&scene, &shop, &pod("web")).await, "");
    assert_eq!(ready(&scene, "", &good).await["status"], "True");
    // Such an edit turns off nothing.
    scene.apply("", &of_nothing(&scene, "good")).await.unwrap();
    refused(&scene, &good, "stays in force").await;
    assert!(said(&scene, &shop, &pod("api")).await.contains("good says no"));
    assert_eq!(said(&scene, &shop, &pod("web")).await, "");
    for policy in [good, bad] {
        scene.delete("", &policy).await;
    }
}

/// Asks to execute something in a pod; what is said. No pod runs, so nobody ever may.
async fn exec(client: &Client, namespace: &str, name: &str) -> String {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/exec?command=sh&stdout=true");
    match client.request_text(Request::post(path).body(Vec::new()).unwrap()).await {
        Ok(answer) => panic!("a pod that does not run executed something: {answer}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_executes_anything_in_production_as_long_as_the_policy_says_so() {
    let (scene, _front, _webhook) = following("noexec").await;
    let production = scene.namespace("production", json!({"environment": "production"})).await;
    let test = scene.namespace("test", json!({})).await;
    for namespace in [&production, &test] {
        scene.create(namespace, &pod("web")).await.unwrap();
    }
    let client = scene.client();
    assert!(!exec(&client, &production, "web").await.contains("may not enter"));
    assert!(!registered(&scene).await.contains("pods/exec"));
    let text = std::fs::read_to_string(format!("{SHIPPED}/no-exec-in-production/policy.yaml")).unwrap();
    let policy: Value = serde_saphyr::from_str(&text).unwrap();
    scene.apply("", &policy).await.unwrap();
    let asked = until_registered(&scene, "pods/exec", true).await;
    let denied = scene::eventually("exec is denied", async || {
        let said = exec(&client, &production, "web").await;
        said.contains("may not enter pods of production").then_some(said)
    })
    .await;
    assert!(denied.contains("fail-closed.portcullis.dev") && denied.contains("no-exec-in-production"), "{denied}");
    assert!(!exec(&client, &test, "web").await.contains("may not enter"));
    let member = scene::client(|config| {
        config.auth_info.impersonate = Some("somebody".to_owned());
        config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned(), "break-glass".to_owned()]);
    })
    .await;
    assert!(!exec(&member, &production, "web").await.contains("may not enter"), "somebody may");
    scene.delete("", &policy).await;
    let gone = until_registered(&scene, "pods/exec", false).await;
    println!("asked about exec after {asked:?}, no longer after {gone:?}");
    assert!(asked < IN_FORCE && gone < IN_FORCE, "{asked:?} {gone:?}");
    scene::eventually("exec is not denied", async || (!exec(&client, &production, "web").await.contains("may not enter")).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_is_for_is_asked_about_from_when_it_is_applied_until_it_is_deleted() {
    let (scene, front, mut webhook) = following("wider").await;
    let shop = scene.namespace("shop", json!({})).await;
    scene.enforced(&shop).await;
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let narrow = registered(&scene).await;
    let validation = json!({"expression": "object.metadata.name != 'bad'", "message": "no bad maps"});
    let denies = policy(&scene, "maps", rule("", json!(["CREATE"]), "configmaps"), json!({ "validations": [validation] }));
    scene.apply("", &denies).await.unwrap();
    let asked = until_registered(&scene, "configmaps", true).await;
    until_said(&scene, &shop, &map("bad"), "no bad maps").await;
    assert_eq!(said(&scene, &shop, &map("good")).await, "");
    let system = scene.system();
    assert_eq!(said(&scene, &system, &map("bad")).await, "", "the webhook's own namespace is never sent");

    // A policy that only warns is nobody's lock-out: it is asked about where it fails open.
    let warns = policy(
        &scene,
        "secrets",
        rule("", json!(["CREATE"]), "secrets"),
        json!({"actions": ["warn"], "validations": [{"expression": "false", "message": "a secret"}]}),
    );
    scene.apply("", &warns).await.unwrap();
    until_registered(&scene, "secrets", true).await;
    let rules = registered(&scene).await;
    let open = rules.lines().find(|line| line.contains("\"policies.portcullis.dev\"")).unwrap();
    let in_namespaces = |resource: &str| open.contains(&format!("[\"{resource}\"],\"scope\":\"Namespaced\""));
    assert!(in_namespaces("secrets") && !in_namespaces("configmaps"), "{rules}");
    webhook.kill().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}});
    assert_eq!(said(&scene, &shop, &secret).await, "");
    assert!(said(&scene, &shop, &map("good")).await.contains("failed calling webhook \"fail-closed.portcullis.dev\""));

    // What nobody asks about any more is not registered any more, by whichever replica comes.
    for policy in [&denies, &warns] {
        scene.delete("", policy).await;
    }
    let again = Webhook::start(&scene, &front, &["--policies", "--exceptions-from", EXCEPTIONS]).await;
    again.wait_for("registered").await;
    let gone = until_registered(&scene, "configmaps", false).await;
    println!("asked about ConfigMaps after {asked:?}, no longer {gone:?} after a new replica registered");
    let rules = registered(&scene).await;
    assert!(rules.lines().count() == narrow.lines().count() && !rules.contains("secrets"), "{rules}");
    scene::eventually("maps are made", async || said(&scene, &shop, &map("bad")).await.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_is_used_and_noted_until_it_ends() {
    let (scene, _front, _webhook) = following("excepted").await;
    let (shop, exceptions) = (scene.namespace("shop", json!({})).await, scene.namespace("exceptions", json!({})).await);
    assert_eq!(exceptions, EXCEPTIONS);
    let denies = of_pods(&scene, "names", "!object.metadata.name.startsWith('odd')");
    scene.apply("", &denies).await.unwrap();
    until_said(&scene, &shop, &pod("odd-one"), "names says no").await;
    let exception = |name: &str, pods: &str, expires: &str| {
        json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "PolicyException", "metadata": {"name": name},
            "spec": {
                "policy": "excepted-names", "controls": ["control"], "namespaces": [shop], "subjects": {"kinds": ["Pod"], "names": [pods]},
                "reason": "it was there before", "expires": expires,
            },
        })
    };
    let tomorrow = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    let holds = exception("one", "odd-one", &tomorrow);
    scene.apply(&exceptions, &holds).await.unwrap();
    let used = until_said(&scene, &shop, &pod("odd-one"), "").await;
    let mut audit = cluster().audit_log().unwrap();
    scene.create(&shop, &pod("odd-one")).await.unwrap();
    let event = audit.wait_for(|event| event["objectRef"]["name"] == "odd-one" && event["verb"] == "create").unwrap();
    let annotations = event["annotations"].as_object().unwrap();
    let noted = annotations.iter().find(|(key, _)| key.ends_with("/policy-exceptions")).map(|(_, value)| value.as_str().unwrap());
    let noted: Value = serde_json::from_str(noted.unwrap_or_else(|| panic!("{annotations:?}"))).unwrap();
    assert_eq!(
        (&noted[0]["exception"], &noted[0]["reason"]),
        (&json!("excepted-exceptions/one"), &json!("it was there before")),
        "{noted}"
    );
    assert!(said(&scene, &shop, &pod("odd-two")).await.contains("names says no"), "it is for one pod");

    // One that has ended does nothing and says so, and so does one of a namespace that nobody trusts.
    let ended = exception("two", "odd-two", "2026-01-01T00:00:00Z");
    scene.apply(&exceptions, &ended).await.unwrap();
    assert_eq!(ready(&scene, &exceptions, &ended).await["reason"], "Expired");
    assert!(said(&scene, &shop, &pod("odd-two")).await.contains("names says no"));
    let elsewhere = exception("three", "odd-three", &tomorrow);
    scene.apply(&shop, &elsewhere).await.unwrap();
    assert_eq!(ready(&scene, &shop, &elsewhere).await["reason"], "Refused");
    assert!(said(&scene, &shop, &pod("odd-three")).await.contains("names says no"));
    // What runs by an exception is skipped by a scan, and what has none violates.
    let scan = portcullis(&["scan", "--policies", "--exceptions-from", &exceptions, "--namespace", &shop, "-o", "json"]).await;
    assert_eq!(scan.status.code(), Some(0), "{}", String::from_utf8_lossy(&scan.stderr));
    let report: Value = serde_json::from_slice(&scan.stdout).unwrap();
    let judged = report["workloads"].as_array().unwrap().iter().find(|workload| workload["name"] == "odd-one").unwrap();
    assert_eq!(judged["exceptions"][0]["exception"], "excepted-exceptions/one");
    let scan = portcullis(&["scan", "--policies", "--namespace", &shop]).await;
    assert_eq!(scan.status.code(), Some(1), "{}", String::from_utf8_lossy(&scan.stdout));
    scene.delete(&exceptions, &holds).await;
    let gone = until_said(&scene, &shop, &pod("odd-one-more"), "names says no").await;
    println!("an exception was used after {used:?}, and no longer after {gone:?}");
    scene.delete("", &denies).await;
}

/// A kind of objects that hold lists, in no namespace.
fn lists() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "lists.test.portcullis.dev"},
        "spec": {
            "group": "test.portcullis.dev", "scope": "Cluster", "names": {"kind": "List", "plural": "lists", "singular": "list", "listKind": "ListList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}

pub(crate) async fn install_lists(scene: &Scene) {
    scene.apply("", &lists()).await.unwrap();
    scene::eventually("lists are served", async || {
        let kind = json!({"apiVersion": "test.portcullis.dev/v1", "kind": "List"});
        scene.api("", &kind).list(&Default::default()).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_come_from_a_config_map_of_the_namespace_and_from_a_custom_resource() {
    let (scene, _front, _webhook) = following("params").await;
    install_lists(&scene).await;
    let (shop, bank) = (scene.namespace("shop", json!({})).await, scene.namespace("bank", json!({})).await);
    let limits =
        |allowed: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "names"}, "data": {"allowed": allowed}});
    scene.apply(&shop, &limits("web")).await.unwrap();
    let of_map = policy(
        &scene,
        "map",
        rule("", json!(["CREATE"]), "pods"),
        json!({
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "paramRef": {"name": "names", "parameterNotFoundAction": "Deny"},
            "validations": [{"expression": "object.metadata.name == params.data.allowed", "messageExpression": "'only ' + params.data.allowed"}],
        }),
    );
    scene.apply("", &of_map).await.unwrap();
    until_said(&scene, &shop, &pod("api"), "only web").await;
    assert_eq!(said(&scene, &shop, &pod("web")).await, "");
    assert!(said(&scene, &bank, &pod("web")).await.contains("there is no ConfigMap"));
    scene.apply(&shop, &limits("api")).await.unwrap();
    let changed = until_said(&scene, &shop, &pod("api"), "").await;
    scene.delete("", &of_map).await;
    until_said(&scene, &bank, &pod("web"), "").await;

    let list = |names: &[&str]| json!({"apiVersion": "test.portcullis.dev/v1", "kind": "List", "metadata": {"name": "params-names"}, "names": names});
    scene.apply("", &list(&["web"])).await.unwrap();
    let of_list = policy(
        &scene,
        "list",
        rule("", json!(["CREATE"]), "pods"),
        json!({
            "paramKind": {"apiVersion": "test.portcullis.dev/v1", "kind": "List"}, "paramRef": {"name": "params-names", "parameterNotFoundAction": "Deny"},
            "validations": [{"expression": "object.metadata.name in params.names", "message": "not in the list"}],
        }),
    );
    scene.apply("", &of_list).await.unwrap();
    until_said(&scene, &shop, &pod("api"), "not in the list").await;
    assert_eq!(said(&scene, &shop, &pod("web")).await, "");
    scene.apply("", &list(&["web", "api"])).await.unwrap();
    until_said(&scene, &shop, &pod("api"), "").await;
    println!("a parameter was changed after {changed:?}");
    scene.delete("", &of_list).await;
}
