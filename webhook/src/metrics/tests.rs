use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_admission::policy::Problem;
use portcullis_admission::{Exemptions, Settings, Standards, Templates, decide};
use serde_json::json;

use super::*;

fn record(metrics: &Metrics, namespace: &str, subresource: &str, standard: &str, object: serde_json::Value) {
    let request: AdmissionRequest = serde_json::from_value(json!({
        "uid": "u", "operation": "CREATE", "namespace": namespace, "subResource": subresource, "object": object,
        "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
    }))
    .unwrap();
    let settings = Settings {
        defaults: Standards::enforcing(standard.parse().unwrap()),
        exemptions: Exemptions { namespaces: ["exempt".to_owned()].into(), ..Exemptions::default() },
        templates: Templates::Enforce,
    };
    metrics.record(&request, &decide(&request, &settings, &settings.defaults.into()));
}

#[test]
fn counts_under_the_names_and_labels_of_pod_security_admission() {
    let metrics = Metrics::default();
    record(&metrics, "a", "", "baseline:v1.30", json!({"spec": {"hostPID": true}}));
    record(&metrics, "a", "", "baseline:v1.30", json!({"spec": {"hostPID": true}}));
    record(&metrics, "a", "ephemeralcontainers", "baseline:latest", json!({"spec": {}}));
    record(&metrics, "exempt", "", "baseline:latest", json!({"spec": {}}));
    record(&metrics, "a", "", "baseline:latest", json!({"spec": 1}));
    let text = metrics.encode();
    for line in [
        r#"pod_security_evaluations_total{decision="deny",policy_level="baseline",policy_version="v1.30",mode="enforce",request_operation="create",resource="pod",subresource=""} 2"#,
        r#"pod_security_evaluations_total{decision="allow",policy_level="baseline",policy_version="latest",mode="enforce",request_operation="create",resource="pod",subresource="ephemeralcontainers"} 1"#,
        r#"pod_security_exemptions_total{request_operation="create",resource="pod",subresource=""} 1"#,
        r#"pod_security_errors_total{fatal="true",request_operation="create",resource="pod",subresource=""} 1"#,
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}

#[test]
fn nothing_that_a_client_writes_becomes_a_label() {
    let metrics = Metrics::default();
    let series = |metrics: &Metrics| metrics.encode().lines().filter(|line| line.starts_with("pod_security_evaluations_total")).count();
    for number in 0..100 {
        record(&metrics, &format!("ns-{number}"), &format!("sub-{number}"), &format!("baseline:v1.{}", 1000 + number), json!({"spec": {}}));
    }
    assert_eq!(series(&metrics), 1, "{}", metrics.encode());
    assert!(metrics.encode().contains(r#"policy_version="future""#));
}

#[test]
fn whoever_reads_while_policies_change_sees_them() {
    let metrics = Metrics::default();
    let entry = |kept: bool| Entry {
        key: PolicyKey::Policy("p".to_owned()),
        generation: Some(2),
        problems: vec![Problem { field: String::new(), message: "no".to_owned() }; usize::from(kept)],
        kept,
        expires: None,
    };
    metrics.set_policies(&[entry(false), entry(true)]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                metrics.set_policies(&[entry(false), entry(true)]);
            }
        });
        for _ in 0..2_000 {
            let text = metrics.encode();
            let is_told =
                |state: &str| text.contains(&format!(r#"portcullis_policy_resources{{kind="AdmissionPolicy",state="{state}"}} 1"#));
            let told = is_told("in-force") && is_told("kept");
            if !told {
                done.store(true, Ordering::Relaxed);
            }
            assert!(told, "{text}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn tells_when_the_certificate_expires() {
    let metrics = Metrics::default();
    metrics.set_certificate_expiry(SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000));
    assert!(metrics.encode().contains("portcullis_webhook_certificate_expiration_timestamp_seconds 1790000000\n"));
}
