//! The step at the API server: AdmissionReviews by TLS to the running webhook.
//!
//! The API server's part is `portcullis-world review`: it trusts one authority and no other, and expects the name of the webhook's Service. The webhook
//! runs in `audit` as one that enforces nothing and notes in the API server's audit log what *baseline* forbids, in `enforce` as one that enforces that.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::time::Duration;

use super::{
    Attempt, Failure, Phase,
    attack::Denial,
    table::{Cell, Of},
};
use crate::{Builder, Error, Vm, process::Process};
use portcullis_api::event::Action;

/// The name that the API server expects: the Service's.
const NAME: &str = "portcullis-webhook.portcullis-system.svc";
/// The certificates' files in the guest.
const AUTHORITY: &str = "/tls/ca.crt";
const CERTIFICATE: &str = "/tls/tls.crt";
const KEY: &str = "/tls/tls.key";
/// The webhook begins, or has logged what it answered.
const SOON: Duration = Duration::from_secs(30);

/// The attacker's pod.
pub(super) const ATTACK: Of = Of { step: "a privileged pod is created", gate: "admission", denial: Some(Denial::Forbidden) };
/// A developer's.
pub(super) const ORDINARY: Of = Of { step: "an ordinary pod is created", gate: "admission", denial: None };

/// A pod that owns its node.
pub(super) fn privileged_pod() -> Value {
    pod(
        "root",
        json!({ "hostPID": true, "containers": [{ "name": "root", "image": "busybox", "securityContext": { "privileged": true } }] }),
    )
}

/// A pod like any other.
pub(super) fn ordinary_pod() -> Value {
    pod("web", json!({ "containers": [{ "name": "web", "image": "shop", "ports": [{ "containerPort": 8080 }] }] }))
}

fn pod(name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "shop" }, "spec": spec })
}

/// An authority and the certificate that it signed for the webhook, in PEM.
pub(super) struct Authority {
    authority: String,
    certificate: String,
    key: String,
}

impl Authority {
    pub(super) fn new() -> Result<Self, Failure> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let signer = KeyPair::generate()?;
        let authority = params.self_signed(&signer)?.pem();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([NAME.to_owned()])?.signed_by(&key, &Issuer::new(params, signer))?;
        Ok(Self { authority, certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Puts the files into the machine.
    pub(super) fn install(&self, builder: Builder) -> Builder {
        let files = [(AUTHORITY, &self.authority), (CERTIFICATE, &self.certificate), (KEY, &self.key)];
        files.into_iter().fold(builder, |builder, (path, pem)| builder.contents(path, pem.as_bytes()))
    }
}

/// A running webhook; it ends with this value.
pub(super) struct Webhook<'vm> {
    vm: &'vm Vm,
    process: Process<'vm>,
    address: String,
    phase: Phase,
}

impl<'vm> Webhook<'vm> {
    pub(super) fn start(vm: &'vm Vm, phase: Phase) -> Result<Self, Failure> {
        let standards = match phase {
            Phase::Audit => ["--pod-security", "privileged:latest", "--pod-security-audit", "baseline:latest"],
            Phase::Enforce => ["--pod-security", "baseline:latest", "--pod-security-audit", "privileged:latest"],
        };
        let place = ["serve", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--tls-cert", CERTIFICATE, "--tls-key", KEY];
        let mut process = vm.command("portcullis-webhook").args(place).args(standards).spawn()?;
        let line = process.wait_for_line("\"serving\"", SOON)?;
        let address = parse(&line).and_then(|line| line.get("address")?.as_str().map(str::to_owned));
        let address = address.ok_or(Failure::Answer { who: "the webhook", answer: line })?;
        Ok(Self { vm, process, address, phase })
    }

    /// Has a pod reviewed that somebody creates, with the stolen token or as one may. A denial counts as reported once it is in the webhook's log.
    pub(super) fn create(&mut self, pod: &Value, of: Of) -> Result<Cell, Failure> {
        let uid = format!("{}-{}", self.phase.word(), pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default());
        let arguments = ["review", &self.address, NAME, AUTHORITY];
        let text = self.vm.command("portcullis-world").args(arguments).input(review(&uid, pod).to_string()).check()?;
        let response = parse(&text).and_then(|review| review.get("response").cloned());
        let response = response.filter(|response| response.get("uid").is_some_and(|answered| *answered == uid));
        let response = response.ok_or(Failure::Answer { who: "the webhook", answer: text })?;
        let mut cell = judge(&response, of);
        if cell.reported == Some(Action::Blocked) {
            match self.process.wait_for_line(&uid, SOON) {
                Ok(_) => {}
                Err(Error::TimedOut { .. }) => cell.reported = None,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(cell)
    }
}

fn parse(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

fn review(uid: &str, pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "name": pod.pointer("/metadata/name"),
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": { "username": "system:serviceaccount:shop:web", "groups": ["system:serviceaccounts"] },
            "object": pod,
            "dryRun": false,
        },
    })
}

/// What the webhook's answer says.
fn judge(response: &Value, of: Of) -> Cell {
    let text = |pointer| response.pointer(pointer).and_then(Value::as_str);
    let violations = text("/auditAnnotations/audit-violations");
    let (attempt, reported, message) = match (response.get("allowed").and_then(Value::as_bool), response.pointer("/status/code")) {
        (Some(true), None) => (Attempt::Succeeded, violations.map(|_| Action::WouldBlock), violations),
        (Some(false), Some(code)) if *code == 403 => (Attempt::Denied(Denial::Forbidden), Some(Action::Blocked), text("/status/message")),
        _ => (Attempt::Unclear(response.to_string()), None, None),
    };
    // In both: `… PodSecurity "baseline:latest": …`, in the denial followed by a line for each field.
    let checks = message.and_then(|message| message.lines().next()?.split_once("PodSecurity ")).map(|(_, checks)| format!("not {checks}"));
    Cell { of, attempt, reported, allowed_by: checks, remark: message.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTED: &str = r#"would violate PodSecurity "baseline:latest": privileged (container "root" must not set x)"#;
    const DENIED: &str =
        "pods \"root\" is forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"root\" must not set x)\n  more";

    #[test]
    fn an_allowed_pod_is_reported_where_an_annotation_says_what_it_violates() {
        let cell = judge(&json!({ "allowed": true, "auditAnnotations": { "audit-violations": NOTED } }), ATTACK);
        assert_eq!((cell.attempt, cell.reported), (Attempt::Succeeded, Some(Action::WouldBlock)));
        let cell = judge(&json!({ "allowed": true }), ORDINARY);
        assert_eq!((cell.attempt, cell.reported, cell.allowed_by), (Attempt::Succeeded, None, None));
    }

    #[test]
    fn the_annotation_and_the_denial_name_the_same_checks() {
        let noted = judge(&json!({ "allowed": true, "auditAnnotations": { "audit-violations": NOTED } }), ATTACK);
        let denied = judge(&json!({ "allowed": false, "status": { "code": 403, "message": DENIED } }), ATTACK);
        assert_eq!(denied.attempt, Attempt::Denied(Denial::Forbidden));
        assert_eq!(noted.allowed_by, denied.allowed_by);
        assert!(noted.allowed_by.unwrap().starts_with(r#"not "baseline:latest": privileged"#));
    }

    #[test]
    fn a_denial_for_another_reason_is_none() {
        let cell = judge(&json!({ "allowed": false, "status": { "code": 500, "message": "down" } }), ATTACK);
        assert!(matches!(cell.attempt, Attempt::Unclear(_)));
    }
}
