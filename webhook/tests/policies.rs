//! Following policies at an API server on loopback: what is in force, when, and what is said of it.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/resources.rs"]
mod resources;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use portcullis_admission::{Exemptions, Settings, Standards, Templates};
use portcullis_webhook::health::{CertificateHealth, Health};
use portcullis_webhook::metrics::Metrics;
use portcullis_webhook::namespaces::Namespaces;
use portcullis_webhook::policies::Policies;
use portcullis_webhook::policies::follow::{Follower, Follows};
use portcullis_webhook::routes;
use portcullis_webhook::service::Service;
use resources::Resources;
use serde_json::{Value, json};
use tower::ServiceExt;

const POLICIES: &str = "apis/portcullis.dev/v1alpha1/admissionpolicies";
const EXCEPTIONS: &str = "apis/portcullis.dev/v1alpha1/policyexceptions";
const VALIDATING: &str = "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
const CONFIG_MAPS: &str = "api/v1/configmaps";

struct Webhook {
    api: Resources,
    router: Router,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

fn policy(name: &str, expression: &str) -> Value {
    json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": name}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
        "validations": [{"name": "c", "expression": expression, "message": name}]}})
}

impl Webhook {
    /// A webhook that follows an API server with these objects, once it is ready.
    async fn start(objects: &[(&str, Value)]) -> Self {
        let webhook = Self::begin(objects, &[]).await;
        webhook.until(async || webhook.health.readiness().0).await;
        webhook
    }

    /// The same, ready or not. Lists of some kinds fail.
    async fn begin(objects: &[(&str, Value)], failing: &[(&str, u16)]) -> Self {
        let (api, client) = Resources::start(&[POLICIES, EXCEPTIONS, VALIDATING, BINDINGS, CONFIG_MAPS]).await;
        for (list, object) in objects {
            api.apply(list, object.clone());
        }
        failing.iter().for_each(|(list, code)| api.fail(list, Some(*code)));
        let (policies, metrics) = (Arc::new(Policies::default()), Arc::new(Metrics::default()));
        let health = Arc::new(Health::new(Arc::clone(&metrics)));
        health.set_certificate(CertificateHealth { expires: Some(SystemTime::now() + Duration::from_secs(60)), reload_error: None });
        health.await_policies();
        assert!(!health.readiness().0);
        let settings = Settings {
            defaults: Standards::enforcing("privileged".parse().unwrap()),
            exemptions: Exemptions::default(),
            templates: Templates::Enforce,
        };
        let namespaces = Namespaces::Same(settings.defaults);
        let service = Service::new(settings, namespaces, Arc::clone(&metrics)).with_policies(Arc::clone(&policies));
        let follows = Follows { kubernetes: true, trusted: ["security".to_owned()].into() };
        let follower = Follower::new(client, follows, policies, Arc::clone(&health), Arc::clone(&metrics));
        tokio::spawn(follower.run());
        Self { api, router: routes::router(service), health, metrics }
    }

    /// Waits for what has to become so.
    async fn until(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !is_so().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
    }

    /// What is said to somebody who makes a pod; empty if it is allowed.
    async fn create_pod(&self) -> String {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "namespace": "shop", "name": "web",
            "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
            "object": {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "x"}]}}}});
        let request =
            Request::post("/validate?timeout=10s").header("content-type", "application/json").body(Body::from(review.to_string()));
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        answer["response"]["status"]["message"].as_str().unwrap_or_default().to_owned()
    }

    async fn until_said(&self, part: &str) {
        self.until(async || {
            let said = self.create_pod().await;
            if part.is_empty() { said.is_empty() } else { said.contains(part) }
        })
        .await;
    }

    /// The condition of an object, once there is one with this reason.
    async fn condition(&self, list: &str, name: &str, reason: &str) -> Value {
        self.until(async || self.api.get(list, name)["status"]["conditions"][0]["reason"] == reason).await;
        self.api.get(list, name)["status"].clone()
    }
}

#[tokio::test]
async fn is_ready_once_all_policies_are_known_and_follows_every_change_without_a_restart() {
    let webhook = Webhook::start(&[(POLICIES, policy("one", "false"))]).await;
    assert!(webhook.create_pod().await.contains("policy \"one\" (c): one"));
    webhook.api.apply(POLICIES, policy("one", "true"));
    webhook.until_said("").await;
    webhook.api.apply(POLICIES, policy("two", "false"));
    webhook.until_said("policy \"two\" (c): two").await;
    webhook.api.delete(POLICIES, "two");
    webhook.until_said("").await;
}

#[tokio::test]
async fn the_status_says_whether_a_policy_is_in_force_for_which_generation_and_is_written_once() {
    let webhook = Webhook::start(&[(POLICIES, policy("good", "false")), (POLICIES, policy("bad", "object.x =="))]).await;
    assert!(webhook.create_pod().await.contains("policy \"good\""), "the bad one affects no other");
    let good = webhook.condition(POLICIES, "good", "InForce").await;
    assert_eq!((&good["observedGeneration"], &good["conditions"][0]["status"]), (&json!(1), &json!("True")));
    let bad = webhook.condition(POLICIES, "bad", "Refused").await;
    assert!(bad["conditions"][0]["message"].as_str().unwrap().starts_with("spec.validations[0].expression: 1:"), "{bad}");
    webhook.api.apply(POLICIES, policy("bad", "true"));
    let mended = webhook.condition(POLICIES, "bad", "InForce").await;
    assert_eq!(mended["observedGeneration"], 2);
    // What the webhook wrote itself comes back by the watch, and is no reason to write again.
    webhook.api.apply(POLICIES, policy("last", "true"));
    webhook.condition(POLICIES, "last", "InForce").await;
    assert_eq!(webhook.api.writes(), 4);
    assert!(webhook.metrics.encode().contains(r#"portcullis_policy_resources{kind="AdmissionPolicy",state="in-force"} 3"#));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_a_problem_of_its_own() {
    let mut strange = policy("strange", "false");
    strange["spec"]["future"] = json!(true);
    let webhook = Webhook::start(&[(POLICIES, strange), (POLICIES, policy("good", "false"))]).await;
    assert!(webhook.create_pod().await.contains("policy \"good\""));
    let status = webhook.condition(POLICIES, "strange", "Refused").await;
    assert!(status["conditions"][0]["message"].as_str().unwrap().contains("unknown field `future`"), "{status}");
}

#[tokio::test]
async fn exceptions_count_where_they_are_trusted_and_say_whether_they_do() {
    let exception = |namespace: &str, expires: &str| {
        json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "PolicyException", "metadata": {"namespace": namespace, "name": "e"},
            "spec": {"policy": "one", "controls": ["c"], "namespaces": ["shop"], "subjects": {"names": ["web"]}, "reason": "r", "expires": expires}})
    };
    let soon = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(24)).unwrap().to_string();
    let webhook = Webhook::start(&[(POLICIES, policy("one", "false")), (EXCEPTIONS, exception("shop", &soon))]).await;
    assert!(!webhook.create_pod().await.is_empty());
    webhook.condition(EXCEPTIONS, "shop/e", "Refused").await;
    webhook.api.apply(EXCEPTIONS, exception("security", &soon));
    webhook.until_said("").await;
    webhook.condition(EXCEPTIONS, "security/e", "InForce").await;
    assert!(webhook.metrics.encode().contains("portcullis_policy_exceptions_used_total 1"));
    webhook.api.apply(EXCEPTIONS, exception("security", "2026-01-01T00:00:00Z"));
    webhook.condition(EXCEPTIONS, "security/e", "Expired").await;
    assert!(!webhook.create_pod().await.is_empty());
}

#[tokio::test]
async fn an_edit_with_a_mistake_turns_no_policy_off_and_is_told() {
    let webhook = Webhook::start(&[(POLICIES, policy("one", "object.metadata.name != 'web'"))]).await;
    assert!(webhook.create_pod().await.contains("policy \"one\""));
    webhook.api.apply(POLICIES, policy("one", "object.metadata.name !="));
    let refused = webhook.condition(POLICIES, "one", "Refused").await;
    assert_eq!((&refused["observedGeneration"], &refused["conditions"][0]["status"]), (&json!(2), &json!("False")));
    let message = refused["conditions"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("generation 2 is refused; what was in force before it stays in force"), "{message}");
    assert!(message.contains("\nspec.validations[0].expression: 1:"), "{message}");
    assert!(webhook.create_pod().await.contains("policy \"one\""), "the one before is in force");
    assert!(webhook.metrics.encode().contains(r#"portcullis_policy_resources{kind="AdmissionPolicy",state="kept"} 1"#));
    webhook.api.delete(POLICIES, "one");
    webhook.until_said("").await;
}

fn with_params(kind: &str) -> Value {
    let mut policy = policy("limits", "params.data.open == 'yes'");
    policy["spec"]["paramKind"] = json!({"apiVersion": "v1", "kind": kind});
    policy["spec"]["paramRef"] = json!({"name": "p", "parameterNotFoundAction": "Deny"});
    policy
}

fn map(open: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "p"}, "data": {"open": open}})
}

#[tokio::test]
async fn parameters_that_cannot_be_listed_for_now_keep_the_server_unready_until_they_are_known() {
    let objects = [(POLICIES, with_params("ConfigMap")), (CONFIG_MAPS, map("no"))];
    let webhook = Webhook::begin(&objects, &[(CONFIG_MAPS, 500)]).await;
    webhook
        .until(async || webhook.api.get(POLICIES, "limits")["status"]["conditions"][0]["message"].to_string().contains("cannot be had"))
        .await;
    assert_eq!(webhook.health.readiness(), (false, "policies: not known yet\n".to_owned()));
    webhook.api.fail(CONFIG_MAPS, None);
    webhook.until(async || webhook.health.readiness().0).await;
    assert!(webhook.create_pod().await.contains("limits"), "its policy is in force when it is ready");
    // A no is an answer: another try would not help.
    let webhook = Webhook::begin(&objects, &[(CONFIG_MAPS, 403)]).await;
    webhook.until(async || webhook.health.readiness().0).await;
    assert_eq!(webhook.create_pod().await, "");
}

#[tokio::test]
async fn parameters_are_followed_and_a_kind_that_is_not_served_keeps_its_policy_out_of_force() {
    let webhook = Webhook::start(&[(POLICIES, with_params("ConfigMap")), (CONFIG_MAPS, map("no"))]).await;
    assert!(webhook.create_pod().await.contains("limits"), "the server was ready before the parameters were known");
    webhook.api.apply(CONFIG_MAPS, map("yes"));
    webhook.until_said("").await;
    webhook.api.delete(CONFIG_MAPS, "shop/p");
    webhook.until_said("there is no ConfigMap of v1 for it").await;
    webhook.api.apply(POLICIES, with_params("Nothing"));
    let status = webhook.condition(POLICIES, "limits", "Refused").await;
    assert!(status["conditions"][0]["message"].as_str().unwrap().contains("\nspec.paramKind: the parameters"), "{status}");
    assert!(webhook.create_pod().await.contains("there is no ConfigMap of v1 for it"), "what was in force before stays");
    let webhook = Webhook::start(&[(POLICIES, with_params("Nothing"))]).await;
    assert_eq!(webhook.create_pod().await, "");
    let status = webhook.condition(POLICIES, "limits", "Refused").await;
    assert!(status["conditions"][0]["message"].as_str().unwrap().starts_with("spec.paramKind: the parameters"), "{status}");
}

#[tokio::test]
async fn kubernetes_own_policies_are_in_force_where_they_are_bound() {
    let webhook = Webhook::start(&[]).await;
    let mut theirs = policy("theirs", "false");
    theirs["apiVersion"] = json!("admissionregistration.k8s.io/v1");
    theirs["kind"] = json!("ValidatingAdmissionPolicy");
    theirs["spec"]["validations"] = json!([{"expression": "false"}]);
    webhook.api.apply(VALIDATING, theirs);
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "b"},
        "spec": {"policyName": "theirs", "validationActions": ["Deny"]}});
    webhook.api.apply(BINDINGS, binding);
    webhook.until_said("policy \"theirs/b\" (validations[0]): failed expression: false").await;
    webhook.api.delete(BINDINGS, "b");
    webhook.until_said("").await;
}

#[tokio::test]
async fn others_are_served_while_a_hostile_request_is_judged() {
    let squared = "object.spec.containers.all(a, object.spec.containers.all(b, a.name != b.name || a.image == b.image))";
    let webhook = Webhook::start(&[(POLICIES, policy("squared", squared))]).await;
    let containers: Vec<Value> = (0..10_000).map(|number| json!({"name": format!("c{number}"), "image": "x"})).collect();
    let hostile = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "h", "operation": "CREATE", "namespace": "shop", "name": "web",
        "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
        "object": {"metadata": {"name": "web"}, "spec": {"containers": containers}}}})
    .to_string();
    let deep = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","operation":"CREATE",
            "resource":{{"group":"","version":"v1","resource":"pods"}},"object":{}{}}}}}"#,
        "[".repeat(1_000),
        "]".repeat(1_000)
    );
    let ask = |body: String| {
        let request = Request::post("/validate").header("content-type", "application/json").body(Body::from(body)).unwrap();
        let router = webhook.router.clone();
        async move {
            let response = router.oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        }
    };
    let service = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "s", "operation": "CREATE", "namespace": "shop", "resource": {"group": "", "version": "v1", "resource": "services"},
        "object": {"metadata": {"name": "web"}}}})
    .to_string();
    // One thread polls all of them, in this order: were the hostile one judged there, it would be answered first.
    let order = Mutex::new(Vec::new());
    let told = |who: &'static str| order.lock().unwrap().push(who);
    let ((hostile_status, said), (deep_status, why), others, ()) = tokio::join!(
        async {
            let answer = ask(hostile).await;
            told("hostile");
            answer
        },
        ask(deep),
        async {
            let mut others = Vec::new();
            for _ in 0..20 {
                others.push(webhook.create_pod().await);
            }
            others
        },
        async {
            for _ in 0..20 {
                assert_eq!(ask(service.clone()).await.0, 200);
                told("service");
            }
        }
    );
    let order = order.into_inner().unwrap();
    assert_eq!(order.iter().position(|who| *who == "hostile"), Some(20), "{order:?}");
    assert!(hostile_status == 200 && said.contains("costs more than an expression may"), "{said:.400}");
    assert!(deep_status == 400 && why.contains("recursion limit exceeded"), "{why}");
    assert!(others.iter().all(String::is_empty), "{others:?}");
}
