//! `allowPrivilegeEscalation`: no process gains more privilege than its parent had.

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters};

pub(super) const CHECK: Check = Check {
    id: "allowPrivilegeEscalation",
    level: Level::Restricted,
    why: "Set-user-ID programs and file capabilities make an unprivileged process root; no_new_privs keeps them from it.",
    fields: &["spec.containers[*].securityContext.allowPrivilegeEscalation"],
    allowed: &["false"],
    revisions: &[
        Revision { since: 8, change: "", overrides: &[], judge },
        Revision { since: 25, change: "Windows pods need not set it", overrides: &[], judge: judge_1_25 },
    ],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut setters = Setters::default();
    let mut findings = Vec::new();
    for container in pod.containers.iter().filter(|container| container.allow_privilege_escalation != Some(false)) {
        let path = pod.container_path(container).fields(&["securityContext", "allowPrivilegeEscalation"]);
        setters.add_container(container.name);
        findings.push(Finding {
            path: path.clone(),
            value: container.allow_privilege_escalation.map(Into::into),
            allowed: "false".into(),
            change: Change::set(path, false),
        });
    }
    (!setters.is_empty()).then(|| Refusal {
        reason: "allowPrivilegeEscalation != false".into(),
        detail: format!("{setters} must set securityContext.allowPrivilegeEscalation=false"),
        findings,
    })
}

fn judge_1_25(pod: &Pod<'_>) -> Option<Refusal> {
    if pod.is_windows() { None } else { judge(pod) }
}
