//! `runAsUser`: nobody asks for user 0.

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters};

pub(super) const CHECK: Check = Check {
    id: "runAsUser",
    level: Level::Restricted,
    why: "A pod that promises not to run as root and asks for user 0 would be refused only on the node, when it starts.",
    fields: &["spec.securityContext.runAsUser", "spec.containers[*].securityContext.runAsUser"],
    allowed: &["unset", "any but 0", "from v1.35 on, anything where spec.hostUsers is false"],
    revisions: &[
        Revision { since: 23, change: "", overrides: &[], judge },
        Revision { since: 35, change: "anything is allowed where spec.hostUsers is false", overrides: &[], judge: judge_1_35 },
    ],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut setters = Setters::default();
    let mut findings = Vec::new();
    for (setter, _) in pod.security_contexts().filter(|(_, security)| security.run_as_user == Some(0)) {
        let path = pod.security_path(setter).field("runAsUser");
        setters.add(setter);
        findings.push(Finding {
            path: path.clone(),
            value: Some(0.into()),
            allowed: "unset, or any but 0".into(),
            change: Change::remove(path),
        });
    }
    (!setters.is_empty()).then(|| Refusal { reason: "runAsUser=0".into(), detail: format!("{setters} must not set runAsUser=0"), findings })
}

fn judge_1_35(pod: &Pod<'_>) -> Option<Refusal> {
    if pod.has_user_namespace() { None } else { judge(pod) }
}
