//! `restrictedVolumes`: only volumes that are made for pods.
//!
//! Sources are judged by name, so one that this version does not know is refused, as `unknown`. The API server takes volumes with one source only;
//! one with several is judged by the worst of them.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, join_quoted, plural};

const ALLOWED: &[&str] =
    &["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"];

/// Sources that the text names; it calls all others unknown.
const FORBIDDEN: &[&str] = &[
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

pub(super) const CHECK: Check = Check {
    id: "restrictedVolumes",
    level: Level::Restricted,
    why: "Other volumes reach the node's files or carry credentials and code of the node's own into a mount.",
    fields: &["spec.volumes[*]"],
    allowed: ALLOWED,
    revisions: &[Revision { since: 0, change: "", overrides: &["hostPathVolumes"], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut names = Vec::new();
    let mut kinds = BTreeSet::new();
    let mut findings = Vec::new();
    for (index, volume) in pod.volumes.iter().enumerate() {
        let forbidden: Vec<&str> = volume.sources.iter().copied().filter(|source| !ALLOWED.contains(source)).collect();
        if forbidden.is_empty() {
            continue;
        }
        names.push(volume.name);
        let path = pod.spec_path("volumes").index(index);
        let change = Change::set(path.clone(), json!({ "name": volume.name, "emptyDir": {} }));
        for source in forbidden {
            kinds.insert(if FORBIDDEN.contains(&source) { source } else { "unknown" });
            findings.push(Finding {
                path: path.clone(),
                value: Some(source.into()),
                allowed: format!("one of {}", ALLOWED.join(", ")).into(),
                change: change.clone(),
            });
        }
    }
    (!names.is_empty()).then(|| Refusal {
        reason: "restricted volume types".into(),
        detail: format!(
            "{} {} {} {} {}",
            plural(names.len(), "volume", "volumes"),
            join_quoted(&names),
            plural(names.len(), "uses", "use"),
            plural(kinds.len(), "restricted volume type", "restricted volume types"),
            join_quoted(&kinds)
        ),
        findings,
    })
}
