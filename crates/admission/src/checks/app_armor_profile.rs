//! `appArmorProfile`: the runtime's profile, or one of the node's; never none.
//!
//! Fields and annotations count at every version, also before 1.30, when the fields did not exist. The container that an annotation names is not
//! checked to exist.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters, go_quote, join_quoted, plural};

const ANNOTATION_PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
const TYPES: [&str; 2] = ["RuntimeDefault", "Localhost"];
const ALLOWED_TYPES: &str = r#"unset, or of type "RuntimeDefault" or "Localhost""#;
const ALLOWED_ANNOTATIONS: &str = r#"unset, "runtime/default", or a value that starts with "localhost/""#;

pub(super) const CHECK: Check = Check {
    id: "appArmorProfile",
    level: Level::Baseline,
    why: "AppArmor confines a container's files and mounts; unconfined, it lacks that second fence.",
    fields: &[
        "spec.securityContext.appArmorProfile.type",
        "spec.containers[*].securityContext.appArmorProfile.type",
        "metadata.annotations[container.apparmor.security.beta.kubernetes.io/*]",
    ],
    allowed: &["unset", "for the fields: RuntimeDefault, Localhost", "for the annotations: runtime/default, localhost/*, the empty string"],
    revisions: &[Revision { since: 0, change: "", overrides: &[], judge }],
};

fn is_allowed_annotation(value: &str) -> bool {
    value.is_empty() || value == "runtime/default" || value.starts_with("localhost/")
}

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut setters = Setters::default();
    let mut types = BTreeSet::new();
    let mut findings = Vec::new();
    for (setter, security) in pod.security_contexts() {
        let Some(kind) = security.app_armor.filter(|kind| !TYPES.contains(kind)) else { continue };
        let path = pod.security_path(setter).field("appArmorProfile");
        setters.add(setter);
        types.insert(kind);
        findings.push(Finding {
            path: path.clone().field("type"),
            value: Some(kind.into()),
            allowed: ALLOWED_TYPES.into(),
            change: Change::set(path, json!({ "type": "RuntimeDefault" })),
        });
    }
    let mut values: Vec<String> = types.into_iter().map(str::to_owned).collect();
    let mut annotations = BTreeSet::new();
    for (key, value) in &pod.annotations {
        if !key.starts_with(ANNOTATION_PREFIX) || is_allowed_annotation(value) {
            continue;
        }
        let path = pod.annotation_path(key);
        setters.add_annotation();
        annotations.insert(format!("{key}={}", go_quote(value)));
        findings.push(Finding {
            path: path.clone(),
            value: Some((*value).into()),
            allowed: ALLOWED_ANNOTATIONS.into(),
            change: Change::remove(path),
        });
    }
    values.extend(annotations);
    (!setters.is_empty()).then(|| Refusal {
        reason: plural(values.len(), "forbidden AppArmor profile", "forbidden AppArmor profiles").into(),
        detail: format!("{setters} must not set AppArmor profile type to {}", join_quoted(&values)),
        findings,
    })
}
