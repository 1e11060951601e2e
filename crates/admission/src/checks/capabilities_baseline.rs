//! `capabilities_baseline`: nothing added to what runtimes give by default.

use std::collections::BTreeSet;

use super::{Check, Revision};
use crate::pod::{Container, Pod};
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters, join_quoted};

/// Compared exactly: `CAP_CHOWN`, `chown` and `ALL` are not among them.
const ALLOWED: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(super) const CHECK: Check = Check {
    id: "capabilities_baseline",
    level: Level::Baseline,
    why: "More capabilities than the default ones are ways out of a container: SYS_ADMIN, SYS_PTRACE, SYS_MODULE, NET_RAW.",
    fields: &["spec.containers[*].securityContext.capabilities.add"],
    allowed: &[
        "unset",
        "AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT",
    ],
    revisions: &[Revision { since: 0, change: "", overrides: &[], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut setters = Setters::default();
    let mut forbidden = BTreeSet::new();
    let mut findings = Vec::new();
    for container in &pod.containers {
        if let Some(finding) = forbidden_additions(pod, container, ALLOWED, &mut forbidden) {
            setters.add_container(container.name);
            findings.push(finding);
        }
    }
    (!setters.is_empty()).then(|| Refusal {
        reason: "non-default capabilities".into(),
        detail: describe_additions(&setters, &forbidden),
        findings,
    })
}

/// What a container adds beyond what is allowed: into `forbidden`, and as one finding.
pub(super) fn forbidden_additions<'d>(
    pod: &Pod<'d>,
    container: &Container<'d>,
    allowed: &[&str],
    forbidden: &mut BTreeSet<&'d str>,
) -> Option<Finding> {
    let (keep, drop): (Vec<&str>, Vec<&str>) = container.capabilities.add.iter().partition(|name| allowed.contains(name));
    if drop.is_empty() {
        return None;
    }
    forbidden.extend(drop.iter().copied());
    let path = pod.container_path(container).fields(&["securityContext", "capabilities", "add"]);
    Some(Finding {
        path: path.clone(),
        value: Some(container.capabilities.add.clone().into()),
        allowed: format!("unset, or only {}", join_quoted(allowed)).into(),
        change: if keep.is_empty() { Change::remove(path) } else { Change::set(path, keep) },
    })
}

/// The text for such containers, the same at both levels.
pub(super) fn describe_additions(setters: &Setters<'_>, forbidden: &BTreeSet<&str>) -> String {
    format!("{setters} must not include {} in securityContext.capabilities.add", join_quoted(forbidden))
}
