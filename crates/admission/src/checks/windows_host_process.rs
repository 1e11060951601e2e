//! `windowsHostProcess`: no processes on the Windows node itself.

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters};

pub(super) const CHECK: Check = Check {
    id: "windowsHostProcess",
    level: Level::Baseline,
    why: "A host process container runs on the Windows node, not in a container.",
    fields: &["spec.securityContext.windowsOptions.hostProcess", "spec.containers[*].securityContext.windowsOptions.hostProcess"],
    allowed: &["unset", "false"],
    revisions: &[Revision { since: 0, change: "", overrides: &[], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut setters = Setters::default();
    let mut findings = Vec::new();
    for (setter, _) in pod.security_contexts().filter(|(_, security)| security.windows_host_process == Some(true)) {
        let path = pod.security_path(setter).fields(&["windowsOptions", "hostProcess"]);
        setters.add(setter);
        findings.push(Finding {
            path: path.clone(),
            value: Some(true.into()),
            allowed: "unset or false".into(),
            change: Change::set(path, false),
        });
    }
    (!setters.is_empty()).then(|| Refusal {
        reason: "hostProcess".into(),
        detail: format!("{setters} must not set securityContext.windowsOptions.hostProcess=true"),
        findings,
    })
}
