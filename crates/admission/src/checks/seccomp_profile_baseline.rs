//! `seccompProfile_baseline`: seccomp not turned off.
//!
//! Until 1.18 seccomp was set by annotations and only those count; from 1.19 on only the fields do.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters, go_quote, join_quoted, plural};

/// The annotation of the pod's profile.
pub(crate) const SECCOMP_POD_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// What comes before a container's name in the annotation of its profile.
pub(crate) const SECCOMP_CONTAINER_ANNOTATION_PREFIX: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub(super) const TYPES: [&str; 2] = ["RuntimeDefault", "Localhost"];

pub(super) const CHECK: Check = Check {
    id: "seccompProfile_baseline",
    level: Level::Baseline,
    why: "Seccomp keeps a container from the system calls through which kernels are attacked.",
    fields: &[
        "until v1.18: metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]",
        "until v1.18: metadata.annotations[container.seccomp.security.alpha.kubernetes.io/*]",
        "from v1.19 on: spec.securityContext.seccompProfile.type",
        "from v1.19 on: spec.containers[*].securityContext.seccompProfile.type",
    ],
    allowed: &["unset", "for the annotations: runtime/default, docker/default, localhost/*", "for the fields: RuntimeDefault, Localhost"],
    revisions: &[
        Revision { since: 0, change: "", overrides: &[], judge },
        Revision { since: 19, change: "the fields count, no more the annotations", overrides: &[], judge: judge_1_19 },
    ],
};

fn is_allowed_annotation(value: &str) -> bool {
    value == "runtime/default" || value == "docker/default" || value.starts_with("localhost/")
}

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let names_a_container = |key: &str| {
        key.strip_prefix(SECCOMP_CONTAINER_ANNOTATION_PREFIX)
            .is_some_and(|name| pod.containers.iter().any(|container| container.name == name))
    };
    let mut forbidden = BTreeSet::new();
    let mut findings = Vec::new();
    for (key, value) in &pod.annotations {
        if (*key != SECCOMP_POD_ANNOTATION && !names_a_container(key)) || is_allowed_annotation(value) {
            continue;
        }
        let path = pod.annotation_path(key);
        forbidden.insert(format!("{key}={}", go_quote(value)));
        findings.push(Finding {
            path: path.clone(),
            value: Some((*value).into()),
            allowed: r#"unset, "runtime/default", "docker/default", or a value that starts with "localhost/""#.into(),
            change: Change::set(path, "runtime/default"),
        });
    }
    (!forbidden.is_empty()).then(|| Refusal {
        reason: "seccompProfile".into(),
        detail: format!(
            "forbidden {} {}",
            plural(forbidden.len(), "annotation", "annotations"),
            forbidden.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        ),
        findings,
    })
}

fn judge_1_19(pod: &Pod<'_>) -> Option<Refusal> {
    let (setters, types, findings) = explicitly_bad(pod, r#"unset, or of type "RuntimeDefault" or "Localhost""#);
    refuse_explicit(&setters, &types, findings)
}

/// Profiles of a type that neither level allows.
pub(super) fn explicitly_bad<'d>(pod: &Pod<'d>, allowed: &'static str) -> (Setters<'d>, BTreeSet<&'d str>, Vec<Finding>) {
    let mut setters = Setters::default();
    let mut types = BTreeSet::new();
    let mut findings = Vec::new();
    for (setter, security) in pod.security_contexts() {
        let Some(kind) = security.seccomp.filter(|kind| !TYPES.contains(kind)) else { continue };
        let path = pod.security_path(setter).field("seccompProfile");
        setters.add(setter);
        types.insert(kind);
        findings.push(Finding {
            path: path.clone().field("type"),
            value: Some(kind.into()),
            allowed: allowed.into(),
            change: Change::set(path, json!({ "type": "RuntimeDefault" })),
        });
    }
    (setters, types, findings)
}

/// The text for such profiles, the same at both levels.
pub(super) fn refuse_explicit(setters: &Setters<'_>, types: &BTreeSet<&str>, findings: Vec<Finding>) -> Option<Refusal> {
    (!setters.is_empty()).then(|| Refusal {
        reason: "seccompProfile".into(),
        detail: format!("{setters} must not set securityContext.seccompProfile.type to {}", join_quoted(types)),
        findings,
    })
}
