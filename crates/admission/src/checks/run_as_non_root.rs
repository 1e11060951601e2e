//! `runAsNonRoot`: every container promises not to run as root, itself or through the pod.

use super::{Check, Revision};
use crate::pod::{Pod, Setter};
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters};

const ALLOWED: &str = "true, in the container or in the pod";

pub(super) const CHECK: Check = Check {
    id: "runAsNonRoot",
    level: Level::Restricted,
    why: "Root in a container is root on the node for whatever gets out of it: a mount, a device, a flaw of the runtime.",
    fields: &["spec.securityContext.runAsNonRoot", "spec.containers[*].securityContext.runAsNonRoot"],
    allowed: &[
        "true",
        "for a container: unset, where the pod's is true",
        "for the pod: unset, where every container's is true",
        "from v1.35 on, anything where spec.hostUsers is false",
    ],
    revisions: &[
        Revision { since: 0, change: "", overrides: &[], judge },
        Revision { since: 35, change: "anything is allowed where spec.hostUsers is false", overrides: &[], judge: judge_1_35 },
    ],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let pod_field = || pod.spec_path("securityContext").field("runAsNonRoot");
    let mut refusing = Setters::default();
    let mut missing = Setters::default();
    let mut findings = Vec::new();
    for (setter, security) in pod.security_contexts() {
        let path = pod.security_path(setter).field("runAsNonRoot");
        match (setter, security.run_as_non_root) {
            (_, Some(true)) | (Setter::Pod, None) => {}
            (_, Some(false)) => {
                refusing.add(setter);
                findings.push(Finding {
                    path: path.clone(),
                    value: Some(false.into()),
                    allowed: ALLOWED.into(),
                    change: Change::set(path, true),
                });
            }
            (Setter::Container(_), None) if pod.security.run_as_non_root == Some(true) => {}
            (Setter::Container(_), None) => {
                missing.add(setter);
                findings.push(Finding { path, value: None, allowed: ALLOWED.into(), change: Change::set(pod_field(), true) });
            }
        }
    }
    let detail = if !refusing.is_empty() {
        // The text names what is set wrongly before it asks for what is missing; the findings name both.
        format!("{refusing} must not set securityContext.runAsNonRoot=false")
    } else if !missing.is_empty() {
        format!("pod or {missing} must set securityContext.runAsNonRoot=true")
    } else {
        return None;
    };
    Some(Refusal { reason: "runAsNonRoot != true".into(), detail, findings })
}

fn judge_1_35(pod: &Pod<'_>) -> Option<Refusal> {
    if pod.has_user_namespace() { None } else { judge(pod) }
}
