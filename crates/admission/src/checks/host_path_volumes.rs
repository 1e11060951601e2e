//! `hostPathVolumes`: no files of the node.

use serde_json::json;

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, join_quoted, plural};

pub(super) const CHECK: Check = Check {
    id: "hostPathVolumes",
    level: Level::Baseline,
    why: "Through the node's files a pod reaches other pods' secrets, the kubelet's credentials and the runtime's socket.",
    fields: &["spec.volumes[*].hostPath"],
    allowed: &["unset"],
    revisions: &[Revision { since: 0, change: "", overrides: &[], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut names = Vec::new();
    let mut findings = Vec::new();
    for (index, volume) in pod.volumes.iter().enumerate() {
        let Some(host_path) = volume.host_path else { continue };
        let path = pod.spec_path("volumes").index(index);
        names.push(volume.name);
        findings.push(Finding {
            path: path.clone().field("hostPath"),
            value: Some(host_path.clone().into()),
            allowed: "unset".into(),
            change: Change::set(path, json!({ "name": volume.name, "emptyDir": {} })),
        });
    }
    (!names.is_empty()).then(|| Refusal {
        reason: "hostPath volumes".into(),
        detail: format!("{} {}", plural(names.len(), "volume", "volumes"), join_quoted(&names)),
        findings,
    })
}
