//! `hostNamespaces`: none of the node's own namespaces.

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal};

pub(super) const CHECK: Check = Check {
    id: "hostNamespaces",
    level: Level::Baseline,
    why: "In the node's namespaces a pod sees the node's processes and their memory, and the traffic of every pod on it.",
    fields: &["spec.hostNetwork", "spec.hostPID", "spec.hostIPC"],
    allowed: &["unset", "false"],
    revisions: &[Revision { since: 0, change: "", overrides: &[], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let namespaces = [("hostNetwork", pod.host_network), ("hostPID", pod.host_pid), ("hostIPC", pod.host_ipc)];
    let shared: Vec<&'static str> = namespaces.into_iter().filter(|(_, shared)| *shared).map(|(field, _)| field).collect();
    if shared.is_empty() {
        return None;
    }
    let finding = |field: &&'static str| {
        let path = pod.spec_path(field);
        Finding { path: path.clone(), value: Some(true.into()), allowed: "unset or false".into(), change: Change::remove(path) }
    };
    Some(Refusal {
        reason: "host namespaces".into(),
        detail: shared.iter().map(|field| format!("{field}=true")).collect::<Vec<_>>().join(", "),
        findings: shared.iter().map(finding).collect(),
    })
}
