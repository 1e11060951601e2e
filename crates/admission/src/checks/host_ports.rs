//! `hostPorts`: no ports of the node.

use std::collections::BTreeSet;

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters, plural};

pub(super) const CHECK: Check = Check {
    id: "hostPorts",
    level: Level::Baseline,
    why: "A port of the node is reached from outside the cluster's network policies, and can stand in for the node's own services.",
    fields: &["spec.containers[*].ports[*].hostPort"],
    allowed: &["unset", "0"],
    revisions: &[Revision { since: 0, change: "", overrides: &[], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut setters = Setters::default();
    // Sorted as strings, as Pod Security Admission lists them.
    let mut ports = BTreeSet::new();
    let mut findings = Vec::new();
    for container in pod.containers.iter().filter(|container| !container.host_ports.is_empty()) {
        setters.add_container(container.name);
        for port in &container.host_ports {
            let path = pod.container_path(container).field("ports").index(port.index).field("hostPort");
            ports.insert(port.port.to_string());
            findings.push(Finding {
                path: path.clone(),
                value: Some(port.port.into()),
                allowed: "unset or 0".into(),
                change: Change::remove(path),
            });
        }
    }
    (!setters.is_empty()).then(|| Refusal {
        reason: "hostPort".into(),
        detail: format!(
            "{setters} {} {} {}",
            plural(setters.containers(), "uses", "use"),
            plural(ports.len(), "hostPort", "hostPorts"),
            ports.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        ),
        findings,
    })
}
