//! What judging costs: nanoseconds a request, reading its JSON included and not.
//!
//! `cargo bench -p portcullis-admission`. Each figure is the median of many short runs, so that what else the machine does matters little.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use portcullis_admission::review::UnopenedRequest;
use portcullis_admission::{Exemptions, Settings, Standards, Templates, decide};
use serde_json::{Value, json};

const RUNS: usize = 51;
const RUN: Duration = Duration::from_millis(20);

/// The median time of one call, in nanoseconds.
fn measure(mut call: impl FnMut()) -> u128 {
    let mut times: Vec<u128> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            let mut calls: u128 = 0;
            while begun.elapsed() < RUN {
                call();
                calls += 1;
            }
            begun.elapsed().as_nanos() / calls
        })
        .collect();
    times.sort_unstable();
    times.get(RUNS / 2).copied().unwrap_or_default()
}

/// A pod with many fields that no check cares about, as pods have.
fn pod(containers: usize, hardened: bool) -> Value {
    let security = if hardened {
        json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}})
    } else {
        json!({"privileged": true})
    };
    let environment: Vec<Value> = (0..20).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "some value of some length"})).collect();
    let container = |n: usize| {
        json!({
            "name": format!("c{n}"), "image": "registry.example.org/shop/web@sha256:0123456789abcdef", "env": environment, "securityContext": security,
            "ports": [{"containerPort": 8080}], "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "livenessProbe": {"httpGet": {"path": "/livez", "port": 8080}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        })
    };
    let containers: Vec<Value> = (0..containers).map(container).collect();
    json!({"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"containers": containers, "volumes": [{"name": "v", "emptyDir": {}}]}})
}

fn main() {
    let standard = "restricted:latest".parse().unwrap();
    let settings = Settings { defaults: Standards::enforcing(standard), exemptions: Exemptions::default(), templates: Templates::Enforce };
    let lookup = settings.defaults.into();
    println!("{:<34} {:>12} {:>12} {:>12}", "restricted:latest", "bytes", "read, ns", "decide, ns");
    for (name, containers, hardened) in [
        ("2 containers, allowed", 2, true),
        ("2 containers, denied", 2, false),
        ("50 containers, allowed", 50, true),
        ("50 containers, denied", 50, false),
    ] {
        let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "namespace": "shop", "object": pod(containers, hardened),
            "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"}}})
        .to_string();
        let request = UnopenedRequest::read(body.as_bytes()).unwrap().open().unwrap();
        assert_eq!(decide(&request, &settings, &lookup).is_allowed(), hardened);
        let read = measure(|| _ = black_box(UnopenedRequest::read(black_box(body.as_bytes())).unwrap().open()));
        let decided = measure(|| _ = black_box(decide(black_box(&request), &settings, &lookup)));
        println!("{name:<34} {:>12} {read:>12} {decided:>12}", body.len());
    }
}
