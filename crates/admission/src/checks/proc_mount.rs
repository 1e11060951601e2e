//! `procMount` and `procMount_restricted`: the usual masks over `/proc`.
//!
//! From 1.35 on `baseline` lets a pod in its own user namespace unmask it; `restricted` never does, and so has a check of its own.

use std::collections::BTreeSet;

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters, join_quoted};

const WHY: &str = "An unmasked /proc lets a container read and write settings of the node's kernel.";
const FIELDS: &[&str] = &["spec.containers[*].securityContext.procMount"];
const DEFAULT: &str = "Default";

pub(super) const CHECK: Check = Check {
    id: "procMount",
    level: Level::Baseline,
    why: WHY,
    fields: FIELDS,
    allowed: &["unset", DEFAULT, "from v1.35 on, anything where spec.hostUsers is false"],
    revisions: &[
        Revision { since: 0, change: "", overrides: &[], judge },
        Revision { since: 35, change: "anything is allowed where spec.hostUsers is false", overrides: &[], judge: judge_1_35 },
    ],
};

pub(super) const RESTRICTED: Check = Check {
    id: "procMount_restricted",
    level: Level::Restricted,
    why: WHY,
    fields: FIELDS,
    allowed: &["unset", DEFAULT],
    revisions: &[Revision { since: 35, change: "", overrides: &["procMount"], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut setters = Setters::default();
    let mut values = BTreeSet::new();
    let mut findings = Vec::new();
    for container in &pod.containers {
        let Some(value) = container.proc_mount.filter(|value| *value != DEFAULT) else { continue };
        let path = pod.container_path(container).fields(&["securityContext", "procMount"]);
        setters.add_container(container.name);
        values.insert(value);
        findings.push(Finding {
            path: path.clone(),
            value: Some(value.into()),
            allowed: r#"unset or "Default""#.into(),
            change: Change::remove(path),
        });
    }
    (!setters.is_empty()).then(|| Refusal {
        reason: "procMount".into(),
        detail: format!("{setters} must not set securityContext.procMount to {}", join_quoted(&values)),
        findings,
    })
}

fn judge_1_35(pod: &Pod<'_>) -> Option<Refusal> {
    if pod.has_user_namespace() { None } else { judge(pod) }
}
