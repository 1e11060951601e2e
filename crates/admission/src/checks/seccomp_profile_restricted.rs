//! `seccompProfile_restricted`: seccomp on, for every container, by its own profile or by the pod's.

use serde_json::json;

use super::seccomp_profile_baseline::{TYPES, explicitly_bad, refuse_explicit};
use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters};

const ALLOWED: &str = r#""RuntimeDefault" or "Localhost", in the container or in the pod"#;

pub(super) const CHECK: Check = Check {
    id: "seccompProfile_restricted",
    level: Level::Restricted,
    why: "Without a profile a container may use every system call, those through which kernels are attacked among them.",
    fields: &["spec.securityContext.seccompProfile.type", "spec.containers[*].securityContext.seccompProfile.type"],
    allowed: &[
        "RuntimeDefault",
        "Localhost",
        "for a container: unset, where the pod's is one of these",
        "for the pod: unset, where every container's is one of these",
    ],
    revisions: &[
        Revision { since: 19, change: "", overrides: &["seccompProfile_baseline"], judge },
        Revision { since: 25, change: "Windows pods need none", overrides: &["seccompProfile_baseline"], judge: judge_1_25 },
    ],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let (explicit, types, mut findings) = explicitly_bad(pod, ALLOWED);
    let mut missing = Setters::default();
    if !pod.security.seccomp.is_some_and(|kind| TYPES.contains(&kind)) {
        for container in pod.containers.iter().filter(|container| container.security.seccomp.is_none()) {
            missing.add_container(container.name);
            findings.push(Finding {
                path: pod.container_path(container).fields(&["securityContext", "seccompProfile", "type"]),
                value: None,
                allowed: ALLOWED.into(),
                change: Change::set(pod.spec_path("securityContext").field("seccompProfile"), json!({ "type": "RuntimeDefault" })),
            });
        }
    }
    if !explicit.is_empty() {
        // The text names what is set wrongly before it asks for what is missing; the findings name both.
        return refuse_explicit(&explicit, &types, findings);
    }
    (!missing.is_empty()).then(|| Refusal {
        reason: "seccompProfile".into(),
        detail: format!(r#"pod or {missing} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost""#),
        findings,
    })
}

fn judge_1_25(pod: &Pod<'_>) -> Option<Refusal> {
    if pod.is_windows() { None } else { judge(pod) }
}
