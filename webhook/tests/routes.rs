//! The routes, without a network: what each kind of request is answered with.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use portcullis_admission::{Exemptions, Settings, Standards, Templates};
use portcullis_webhook::namespaces::Namespaces;
use portcullis_webhook::routes;
use portcullis_webhook::service::Service;
use serde_json::{Value, json};
use tower::ServiceExt;

fn router() -> Router {
    let settings = Settings {
        defaults: Standards::enforcing("baseline:latest".parse().unwrap()),
        exemptions: Exemptions { namespaces: ["kube-system".to_owned()].into(), ..Exemptions::default() },
        templates: Templates::Enforce,
    };
    let namespaces = Namespaces::Same(settings.defaults);
    routes::router(Service::new(settings, namespaces, Arc::default()))
}

async fn post(content_type: &str, body: impl Into<Body>) -> (StatusCode, String) {
    let request = Request::post("/validate").header("content-type", content_type).body(body.into()).unwrap();
    let response = router().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn review(object: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": "shop", "name": "web", "dryRun": true,
        "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": "jane", "groups": ["system:authenticated"]},
        "object": object, "oldObject": null, "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}}})
}

fn host_pid_pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"hostPID": true, "containers": [{"name": "a", "image": "x"}]}})
}

async fn answer(review: &Value) -> Value {
    let (status, body) = post("application/json", review.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn denies_with_forbidden_and_echoes_the_uid() {
    let answer = answer(&review(&host_pid_pod())).await;
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    let response = &answer["response"];
    assert_eq!(response["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(response["status"]["reason"], "Forbidden");
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)"),
        "{message}"
    );
    assert_eq!(response["status"]["details"]["causes"][0]["field"], "spec.hostPID");
}

#[tokio::test]
async fn allows_what_passes_and_says_nothing_more() {
    let answer = answer(&review(&json!({"spec": {"containers": [{"name": "a"}]}}))).await;
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(answer["response"].get("status"), None);
    assert_eq!(answer["response"]["auditAnnotations"]["enforce-policy"], "baseline:latest");
}

#[tokio::test]
async fn exempts_a_namespace() {
    let mut review = review(&host_pid_pod());
    review["request"]["namespace"] = json!("kube-system");
    let answer = answer(&review).await;
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(answer["response"]["auditAnnotations"]["exempt"], "namespace");
}

#[tokio::test]
async fn denies_a_pod_that_it_cannot_read() {
    let answer = answer(&review(&json!({"spec": {"containers": "none"}}))).await;
    assert_eq!(answer["response"]["allowed"], false);
    assert_eq!(answer["response"]["status"]["code"], 400);
    assert_eq!(answer["response"]["status"]["message"], "cannot judge pods \"web\": spec.containers: must be a list, is a string");
}

/// The review with an annotation that is nested too deeply.
fn deep(mut review: Value) -> String {
    review["request"]["object"]["metadata"]["annotations"] = json!({"a": "deep"});
    review.to_string().replace("\"deep\"", &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)))
}

#[tokio::test]
async fn what_nothing_looks_at_is_not_opened() {
    let mut review = review(&host_pid_pod());
    review["request"]["resource"]["resource"] = json!("services");
    let (status, text) = post("application/json", deep(review)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains("\"allowed\":true"), "{text}");
}

#[tokio::test]
async fn answers_400_with_a_reason_to_what_is_not_a_review() {
    let other_version = json!({"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "u"}}).to_string();
    for (body, reason) in [
        (String::new(), "the body is not JSON"),
        ("{".to_owned(), "the body is not JSON"),
        ("[]".to_owned(), "the body is not an AdmissionReview"),
        (json!({"apiVersion": "v1", "kind": "Pod"}).to_string(), "the body is \"Pod\" of \"v1\""),
        (other_version, "of \"admission.k8s.io/v1beta1\""),
        (format!("{{\"request\":{{\"object\":{}", "[".repeat(10_000)), "the body is not JSON"),
        (format!("{{\"request\":{{\"operation\":{}", "[".repeat(10_000)), "the body is not"),
        (deep(review(&host_pid_pod())), "the request's object cannot be read, counted from where it begins: recursion limit exceeded"),
    ] {
        let (status, text) = post("application/json", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn answers_415_to_another_content_type() {
    let body = review(&host_pid_pod()).to_string();
    for content_type in ["text/plain", "", "application/json-patch+json", "application/yaml"] {
        let (status, text) = post(content_type, body.clone()).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}: {text}");
    }
    let (status, _) = post("Application/JSON; charset=utf-8", body).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn answers_413_to_a_body_of_more_than_7_mib_and_reads_one_of_6() {
    let padded = |padding: usize| {
        let mut pod = host_pid_pod();
        pod["metadata"]["annotations"] = json!({"padding": "x".repeat(padding)});
        review(&pod).to_string()
    };
    let (status, text) = post("application/json", padded(7 * 1024 * 1024)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{text}");
    let (status, text) = post("application/json", padded(6 * 1024 * 1024)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("hostPID=true"), "{text}");
}

#[tokio::test]
async fn answers_404_and_405_to_other_paths_and_methods() {
    for (method, path, expected) in [
        (Method::POST, "/", StatusCode::NOT_FOUND),
        (Method::POST, "/validate/x", StatusCode::NOT_FOUND),
        (Method::GET, "/livez", StatusCode::NOT_FOUND),
        (Method::GET, "/validate", StatusCode::METHOD_NOT_ALLOWED),
        (Method::PUT, "/validate?timeout=5s", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        assert_eq!(router().oneshot(request).await.unwrap().status(), expected, "{path}");
    }
}

#[tokio::test]
async fn takes_the_timeout_parameter_that_the_api_server_adds() {
    let request = Request::post("/validate?timeout=5s").header("content-type", "application/json");
    let request = request.body(Body::from(review(&host_pid_pod()).to_string())).unwrap();
    assert_eq!(router().oneshot(request).await.unwrap().status(), StatusCode::OK);
}
