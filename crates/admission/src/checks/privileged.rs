//! `privileged`: no privileged containers.

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters};

pub(super) const CHECK: Check = Check {
    id: "privileged",
    level: Level::Baseline,
    why: "A privileged container has every capability, every device and no confinement: it is root on the node.",
    fields: &["spec.containers[*].securityContext.privileged"],
    allowed: &["unset", "false"],
    revisions: &[Revision { since: 0, change: "", overrides: &[], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut setters = Setters::default();
    let mut findings = Vec::new();
    for container in pod.containers.iter().filter(|container| container.privileged == Some(true)) {
        let path = pod.container_path(container).fields(&["securityContext", "privileged"]);
        setters.add_container(container.name);
        findings.push(Finding {
            path: path.clone(),
            value: Some(true.into()),
            allowed: "unset or false".into(),
            change: Change::set(path, false),
        });
    }
    (!setters.is_empty()).then(|| Refusal {
        reason: "privileged".into(),
        detail: format!("{setters} must not set securityContext.privileged=true"),
        findings,
    })
}
