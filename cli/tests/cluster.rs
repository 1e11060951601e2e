//! The commands that need a cluster, before a stand-in for the API server that refuses what a real one refuses seldom.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/api_server.rs"]
mod api_server;

use std::process::{Command, Output};

use api_server::{ApiServer, Request, list, refusal};
use serde_json::{Value, json};

/// Runs the program in this cluster.
fn portcullis(server: &ApiServer, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    server.write_kubeconfig(&kubeconfig);
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).arg("--kubeconfig").arg(kubeconfig).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

fn configuration(name: &str, bundle: &str) -> Value {
    let webhook =
        json!({"name": "a.portcullis.dev", "failurePolicy": "Fail", "clientConfig": {"url": "https://localhost", "caBundle": bundle}});
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name, "resourceVersion": "1"}, "webhooks": [webhook],
    })
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

#[test]
fn the_glass_of_the_others_is_broken_where_one_cannot_be() {
    let server = ApiServer::start(|request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", CONFIGURATIONS) => list(&[configuration("first", "A"), configuration("second", "A")]),
        ("GET", path) => (200, configuration(last(path), "A")),
        ("PUT", path) if path.ends_with("/first") => refusal(403, "not you"),
        _ => (200, request.body.clone()),
    });
    let output = portcullis(&server, &["break-glass"]);
    assert_eq!(output.status.code(), Some(2));
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(error.starts_with("portcullis: cannot write the webhook configuration \"first\": "), "{error}");
    assert!(out.contains("second: what no webhook answers for is admitted") && !out.contains("first"), "{out}");
    assert!(out.contains("undo: portcullis break-glass --undo --kubeconfig=/"), "{out}");
}

#[test]
fn a_copy_that_the_api_server_refuses_is_made_smaller_and_left_out_at_last() {
    for (most, annotation, note) in [
        (usize::MAX, Some("caBundle"), None),
        (1_000, Some("failurePolicy"), Some("is kept without its caBundle")),
        (1, None, Some("what was before is not kept")),
    ] {
        let server = ApiServer::start(move |request| match (request.method.as_str(), request.path.as_str()) {
            ("GET", path) => (200, configuration(last(path), &"A".repeat(10_000))),
            _ if copy(request).len() > most => refusal(422, "metadata.annotations: Too long"),
            _ => (200, request.body.clone()),
        });
        let output = portcullis(&server, &["break-glass", "--configuration", "one"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let written = server.asked("PUT").pop().unwrap();
        assert_eq!(written.body["webhooks"][0]["failurePolicy"], "Ignore");
        assert!(annotation.map_or_else(|| copy(&written).is_empty(), |part| copy(&written).contains(part)), "{most}: {written:?}");
        let out = text(&output.stdout);
        assert!(note.is_none_or(|note| out.contains(note)) && note.is_some() == out.contains("what was before"), "{most}: {out}");
    }
}

fn copy(request: &Request) -> &str {
    request.body["metadata"]["annotations"]["portcullis.dev/break-glass"].as_str().unwrap()
}

fn named(name: &str, namespace: Option<&str>) -> Value {
    json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "resourceVersion": "1"}})
}

#[test]
fn reports_are_removed_together_and_one_by_one_where_that_is_not_allowed() {
    for together in [true, false] {
        let server = ApiServer::start(move |request| match (request.method.as_str(), request.path.as_str()) {
            ("GET", path) if path.ends_with("/v1alpha2/policyreports") => list(&["a", "b"].map(|name| named(name, Some("shop")))),
            ("GET", _) => list(&[]),
            (_, path) if path.ends_with("/policyreports") && !together => refusal(403, "cannot deletecollection"),
            _ => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
        });
        let output = portcullis(&server, &["uninstall"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "removed: PolicyReport a of shop\nremoved: PolicyReport b of shop\n");
        let reports = "/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports";
        let deleted: Vec<_> = server.asked("DELETE").into_iter().map(|request| request.path).collect();
        let one_by_one = [reports.to_owned(), format!("{reports}/a"), format!("{reports}/b")];
        assert_eq!(deleted, &one_by_one[..if together { 1 } else { 3 }]);
    }
}

#[test]
fn what_was_removed_is_told_where_something_cannot_be() {
    let server = ApiServer::start(|request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", path) if path.ends_with("/services") || path.ends_with("/clusterroles") => list(&[named("webhook", None)]),
        ("GET", _) => list(&[]),
        (_, path) if path.ends_with("/clusterroles/webhook") => refusal(403, "not you"),
        _ => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
    });
    let output = portcullis(&server, &["uninstall"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "removed: Service webhook of portcullis-system\n");
    assert!(text(&output.stderr).starts_with("portcullis: cannot delete the ClusterRole \"webhook\": "), "{}", text(&output.stderr));
}

/// A cluster with a namespace and pods that violate the baseline, and a report that no longer holds.
fn with_pods(pods: usize, labels: Value, patched: fn() -> (u16, Value)) -> ApiServer {
    ApiServer::start(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/api/v1/namespaces") => {
            let mut namespace = named("shop", None);
            namespace["metadata"]["labels"] = labels.clone();
            list(&[namespace])
        }
        ("GET", "/api/v1/pods") => {
            let pod = |number: usize| {
                let mut pod = named(&format!("p{number}"), Some("shop"));
                pod["spec"] = json!({"hostPID": true, "containers": []});
                pod
            };
            list(&(0..pods).map(pod).collect::<Vec<_>>())
        }
        ("GET", path) if path.ends_with("/policyreports") => list(&[named("portcullis-gone", Some("shop"))]),
        ("GET", _) => list(&[]),
        ("PATCH", _) => patched(),
        _ => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
    })
}

#[test]
fn a_scan_goes_on_where_reports_cannot_be_written_and_soon_writes_no_more() {
    let server = with_pods(5, json!({}), || refusal(500, "the disk is full"));
    let output = portcullis(&server, &["scan", "--write-reports", "-o", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert_eq!(report["workloads"].as_array().unwrap().len(), 5);
    let errors: Vec<_> = report["errors"].as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert!(errors.len() == 3 && errors[0].starts_with("cannot write the report of Pod shop/p0: "), "{errors:?}");
    assert!(errors[2].ends_with("; 3 in a row could not be written, so no more are") && !errors[1].contains("in a row"), "{errors:?}");
    assert_eq!(server.asked("PATCH").len(), 3);
    assert!(server.asked("DELETE").is_empty(), "what was said before may still hold");
}

#[test]
fn a_namespace_with_a_wrong_label_keeps_no_report_that_does_not_hold() {
    let labels = json!({"pod-security.kubernetes.io/enforce": "strict"});
    let server = with_pods(1, labels, || (200, named("written", None)));
    let output = portcullis(&server, &["scan", "--write-reports"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).ends_with("2 reports written, 1 removed\n"), "{}", text(&output.stderr));
    let [deleted] = &server.asked("DELETE")[..] else { panic!("{:?}", server.asked("DELETE")) };
    assert_eq!(last(&deleted.path), "portcullis-gone");
}
